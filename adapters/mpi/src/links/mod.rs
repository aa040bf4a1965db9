//! Messages between ranks: the only place that calls MPI.
//!
//! All calls are non-blocking and all waits poll, so that a rank that never answers is noticed.

mod comm;
mod mail;
mod memory;

pub(crate) use memory::{Adding, Memory};

use crate::error::Error;
use comm::Comm;
use core::ops::Range;
use mpi::environment::Universe;
use mpi::ffi;
use std::time::{Duration, Instant};

/// How long a rank without messages keeps its core: about as long as the next one takes to come. Then it lets others run, which
/// may be ranks on the same core.
const AWAKE: Duration = Duration::from_micros(100);

/// A request of the current round, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(usize);

/// A message's other end, and which way it goes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    peer: usize,
    is_receive: bool,
    is_done: bool,
}

/// The ranks' messages, and the memory that they go from and to.
///
/// Requests belong to a round, which [`finish`](Self::finish) ends. While requests are under way, MPI reads and writes the
/// memory, so that it is never freed then: where a round fails, it stays allocated.
pub(crate) struct Links<'u> {
    comm: Comm<'u>,
    memory: Memory,
    requests: Vec<ffi::MPI_Request>,
    entries: Vec<Entry>,
    indices: Vec<i32>,
    statuses: Vec<ffi::MPI_Status>,
    under_way: usize,
    patience: Duration,
    /// When the last request was completed or posted.
    last_progress: Instant,
    is_broken: bool,
}

/// A type of elements that MPI knows.
pub(crate) trait Element: Copy + Default + 'static {
    /// MPI's handle of the type.
    fn datatype() -> ffi::MPI_Datatype;
}

macro_rules! element {
    ($type:ty, $handle:ident) => {
        impl Element for $type {
            fn datatype() -> ffi::MPI_Datatype {
                // SAFETY: a constant of the library, which is only read.
                unsafe { ffi::$handle }
            }
        }
    };
}

element!(f32, RSMPI_FLOAT);
element!(f64, RSMPI_DOUBLE);
element!(u64, RSMPI_UINT64_T);
element!(u8, RSMPI_UINT8_T);

impl<'u> Links<'u> {
    /// Messages of their own among the ranks of a communicator.
    ///
    /// # Errors
    /// [`Error::Thread`], [`Error::Silent`] and [`Error::Mpi`].
    pub(crate) fn new(universe: &'u Universe, parent: ffi::MPI_Comm, patience: Duration) -> Result<Self, Error> {
        Ok(Self {
            comm: Comm::copy(universe, parent, patience)?,
            memory: Memory::default(),
            requests: Vec::new(),
            entries: Vec::new(),
            indices: Vec::new(),
            statuses: Vec::new(),
            under_way: 0,
            patience,
            last_progress: Instant::now(),
            is_broken: false,
        })
    }

    pub(crate) fn rank(&self) -> usize {
        self.comm.rank
    }

    pub(crate) fn size(&self) -> usize {
        self.comm.size
    }

    /// The other ranks, from the next one on, so that not all begin with the same.
    pub(crate) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let (rank, size) = (self.rank(), self.size());
        (1..size).map(move |distance| (rank + distance) % size)
    }

    /// Makes room for so many values. Their contents are unspecified.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where memory cannot be had.
    pub(crate) fn make_room(&mut self, len: usize) -> Result<(), Error> {
        self.check()?;
        debug_assert_eq!(self.under_way, 0, "requests hold the memory");
        self.memory.make_room(len)
    }

    /// The memory of messages.
    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Posts that values of the memory go to another rank.
    ///
    /// # Safety
    /// Nobody writes to the range before the request is done.
    ///
    /// # Errors
    /// [`Error::Mpi`]
    pub(crate) unsafe fn send(&mut self, range: Range<usize>, to: usize, tag: i32) -> Result<Id, Error> {
        let (at, len) = (self.memory.at(&range), range.len());
        // SAFETY: the range lies in the memory, which stays while requests are under way; the caller keeps it unwritten.
        unsafe { self.post_send(at.cast_const(), len, to, tag) }
    }

    /// Posts that values from another rank come into the memory.
    ///
    /// # Safety
    /// Nobody reads or writes the range before the request is done.
    ///
    /// # Errors
    /// [`Error::Mpi`]
    pub(crate) unsafe fn receive(&mut self, range: Range<usize>, from: usize, tag: i32) -> Result<Id, Error> {
        let (at, len) = (self.memory.at(&range), range.len());
        // SAFETY: the range lies in the memory, which stays while requests are under way; the caller leaves it alone.
        unsafe { self.post_receive(at, len, from, tag) }
    }

    /// # Safety
    /// `len` elements at `data` stay readable, and nobody writes to them, until the request is done.
    unsafe fn post_send<T: Element>(&mut self, data: *const T, len: usize, to: usize, tag: i32) -> Result<Id, Error> {
        self.check()?;
        // SAFETY: the caller's promise.
        let request = unsafe { self.comm.send(data, len, to, tag) };
        self.enter(request, Entry { peer: to, is_receive: false, is_done: false })
    }

    /// # Safety
    /// `len` elements at `data` stay writable, and nobody reads or writes them, until the request is done.
    unsafe fn post_receive<T: Element>(
        &mut self,
        data: *mut T,
        len: usize,
        from: usize,
        tag: i32,
    ) -> Result<Id, Error> {
        self.check()?;
        // SAFETY: the caller's promise.
        let request = unsafe { self.comm.receive(data, len, from, tag) };
        self.enter(request, Entry { peer: from, is_receive: true, is_done: false })
    }

    /// Notes a request. Where it could not be posted, others wait for it in vain.
    fn enter(&mut self, request: Result<ffi::MPI_Request, Error>, entry: Entry) -> Result<Id, Error> {
        self.is_broken |= request.is_err();
        self.requests.push(request?);
        self.entries.push(entry);
        self.under_way += 1;
        self.last_progress = Instant::now();
        Ok(Id(self.requests.len() - 1))
    }

    /// Whether a request of this round is done.
    pub(crate) fn is_done(&self, id: Id) -> bool {
        self.entries[id.0].is_done
    }

    /// Lets MPI work, and notes which requests are done.
    ///
    /// # Errors
    /// [`Error::Mpi`]
    pub(crate) fn poll(&mut self) -> Result<(), Error> {
        self.check()?;
        if self.under_way == 0 {
            return Ok(());
        }
        self.indices.resize(self.requests.len(), 0);
        let done = match self.comm.test_some(&mut self.requests, &mut self.indices, &mut self.statuses) {
            Ok(done) => done,
            Err(error) => {
                self.is_broken = true;
                return Err(error);
            }
        };
        for &index in &self.indices[..done] {
            self.entries[index as usize].is_done = true;
        }
        self.under_way -= done;
        if done > 0 {
            self.last_progress = Instant::now();
        }
        Ok(())
    }

    /// Polls until it is so, or until nothing has come for as long as patience lasts.
    ///
    /// # Errors
    /// [`Error::Silent`], [`Error::Mpi`], and those of the question.
    pub(crate) fn wait(&mut self, mut is_so: impl FnMut(&mut Self) -> Result<bool, Error>) -> Result<(), Error> {
        self.last_progress = Instant::now();
        loop {
            self.poll()?;
            if is_so(self)? {
                return Ok(());
            }
            let idle = self.last_progress.elapsed();
            if idle > self.patience {
                self.is_broken = true;
                return Err(Error::Silent { ranks: self.silent(), seconds: self.patience.as_secs_f64() });
            }
            if idle > AWAKE {
                std::thread::yield_now();
            }
        }
    }

    /// The ranks from which something is missing; where nothing is, those that do not take what they are sent.
    fn silent(&self) -> Vec<usize> {
        let open = |is_receive| {
            let entries = self.entries.iter().filter(move |entry| !entry.is_done && entry.is_receive == is_receive);
            let mut ranks: Vec<usize> = entries.map(|entry| entry.peer).collect();
            ranks.sort_unstable();
            ranks.dedup();
            ranks
        };
        Some(open(true)).filter(|ranks| !ranks.is_empty()).unwrap_or_else(|| open(false))
    }

    /// Waits for all requests, and ends their round.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.wait(|links| Ok(links.under_way == 0))?;
        self.requests.clear();
        self.entries.clear();
        Ok(())
    }

    /// Runs a part of a call in which every rank waits for the others: an error here, which the others do not know of, is the
    /// end of their work together.
    ///
    /// # Errors
    /// Those of the part.
    pub(crate) fn keep_together<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let result = part(self);
        self.is_broken |= result.is_err();
        result
    }

    /// Whether the ranks can no longer work together.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// # Errors
    /// [`Error::Broken`]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_broken { Err(Error::Broken) } else { Ok(()) }
    }

    /// Ends all ranks, with a message on the terminal.
    pub(crate) fn abort(&self, message: &str) -> ! {
        self.comm.abort(message)
    }
}

impl Drop for Links<'_> {
    fn drop(&mut self) {
        if self.under_way > 0 || self.is_broken {
            // MPI still reads and writes it.
            core::mem::take(&mut self.memory).leak();
            self.comm.leave();
        }
        // The others would wait for this rank.
        if std::thread::panicking() && self.size() > 1 {
            self.abort("the program panicked");
        }
    }
}
