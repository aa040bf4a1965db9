//! Small messages from every rank to every other.

use super::{Element, Id, Links};
use crate::error::Error;
use core::mem::ManuallyDrop;

/// Letters on their way: one to all others, and one from each.
struct Mail<T: Element> {
    /// MPI reads it until the requests are done, so that it is not freed before.
    sent: ManuallyDrop<Vec<T>>,
    /// From each rank; this rank's own at its place. MPI writes to them until the requests are done.
    received: ManuallyDrop<Vec<Vec<T>>>,
    requests: Vec<Id>,
}

impl Links<'_> {
    /// Posts a letter to all other ranks, and one from each, of as many elements as `lens` says.
    ///
    /// # Errors
    /// [`Error::Mpi`]
    fn post<T: Element>(&mut self, letter: Vec<T>, lens: impl Fn(usize) -> usize, tag: i32) -> Result<Mail<T>, Error> {
        let received = (0..self.size()).map(|rank| vec![T::default(); lens(rank)]).collect();
        let sent = ManuallyDrop::new(letter);
        let mut mail = Mail { sent, received: ManuallyDrop::new(received), requests: Vec::new() };
        for peer in self.others() {
            let place = &mut mail.received[peer];
            let (at, len) = (place.as_mut_ptr(), place.len());
            // SAFETY: the vector is freed, and looked at, only by `collect`, once all requests are done.
            mail.requests.push(unsafe { self.post_receive(at, len, peer, tag)? });
        }
        for peer in self.others() {
            // SAFETY: as above.
            mail.requests.push(unsafe { self.post_send(mail.sent.as_ptr(), mail.sent.len(), peer, tag)? });
        }
        Ok(mail)
    }

    /// Waits for all letters: those of all ranks, this one's among them.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    fn collect<T: Element>(&mut self, mut mail: Mail<T>) -> Result<Vec<Vec<T>>, Error> {
        self.wait(|links| Ok(mail.requests.iter().all(|id| links.is_done(*id))))?;
        let Mail { sent, received, .. } = &mut mail;
        // SAFETY: MPI is done with both, and the letters are taken once: `mail` ends here.
        let (sent, mut received) = unsafe { (ManuallyDrop::take(sent), ManuallyDrop::take(received)) };
        received[self.rank()] = sent;
        Ok(received)
    }

    /// Sends a letter to all other ranks and waits for theirs. No other request may be under way.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub(crate) fn exchange<T: Element>(
        &mut self,
        letter: Vec<T>,
        lens: impl Fn(usize) -> usize,
        tag: i32,
    ) -> Result<Vec<Vec<T>>, Error> {
        let mail = self.post(letter, lens, tag)?;
        let letters = self.collect(mail)?;
        self.finish()?;
        Ok(letters)
    }
}
