//! A communicator of MPI whose calls return their errors.

use super::Element;
use crate::error::Error;
use core::ffi::{c_char, c_int};
use core::marker::PhantomData;
use mpi::environment::{Threading, Universe, processor_name, threading_support};
use mpi::ffi;
use std::io::Write;
use std::time::{Duration, Instant};

/// A communicator of this crate's own, so that its messages meet no others.
pub(super) struct Comm<'u> {
    handle: ffi::MPI_Comm,
    pub(super) rank: usize,
    pub(super) size: usize,
    /// Whether it is freed at the end.
    is_freed: bool,
    /// MPI is not finalised before this ends, and no other thread calls it.
    universe: PhantomData<(&'u Universe, *const ())>,
}

impl<'u> Comm<'u> {
    /// A copy of a communicator, once all its ranks ask for one.
    pub(super) fn copy(_: &'u Universe, parent: ffi::MPI_Comm, patience: Duration) -> Result<Self, Error> {
        check_thread()?;
        // MPI writes the handle when the request is done. Where it never is, the place for it stays.
        let place_of_handle = Box::into_raw(Box::new(parent));
        let mut request = null_request();
        // SAFETY: MPI is initialised as long as the universe lives; the communicator is the caller's and valid.
        check("MPI_Comm_idup", unsafe { ffi::MPI_Comm_idup(parent, place_of_handle, &raw mut request) })?;
        let start = Instant::now();
        let mut is_done = 0;
        while is_done == 0 {
            // SAFETY: the request is this function's own.
            let code = unsafe { ffi::MPI_Test(&raw mut request, &raw mut is_done, ffi::RSMPI_STATUS_IGNORE) };
            check("MPI_Test", code)?;
            if start.elapsed() > patience {
                let [rank, size] = place(parent)?;
                let ranks = (0..size).filter(|other| *other != rank).collect();
                return Err(Error::Silent { ranks, seconds: patience.as_secs_f64() });
            }
            std::thread::yield_now();
        }
        // SAFETY: the box was made above, and MPI is done with it.
        let handle = *unsafe { Box::from_raw(place_of_handle) };
        // SAFETY: a communicator of our own, and a constant of the library.
        check("MPI_Comm_set_errhandler", unsafe { ffi::MPI_Comm_set_errhandler(handle, ffi::RSMPI_ERRORS_RETURN) })?;
        let [rank, size] = place(handle)?;
        Ok(Self { handle, rank, size, is_freed: true, universe: PhantomData })
    }

    /// # Safety
    /// `len` elements at `data` stay readable, and nobody writes to them, until the request is done.
    pub(super) unsafe fn send<T: Element>(
        &self,
        data: *const T,
        len: usize,
        to: usize,
        tag: i32,
    ) -> Result<ffi::MPI_Request, Error> {
        let (count, mut request) = (count(len)?, null_request());
        // SAFETY: the communicator lives, the rank is one of its, and the caller vouches for the data.
        let code = unsafe {
            ffi::MPI_Isend(data.cast(), count, T::datatype(), to as c_int, tag, self.handle, &raw mut request)
        };
        check("MPI_Isend", code)?;
        Ok(request)
    }

    /// # Safety
    /// `len` elements at `data` stay writable, and nobody reads or writes them, until the request is done.
    pub(super) unsafe fn receive<T: Element>(
        &self,
        data: *mut T,
        len: usize,
        from: usize,
        tag: i32,
    ) -> Result<ffi::MPI_Request, Error> {
        let (count, mut request) = (count(len)?, null_request());
        // SAFETY: the communicator lives, the rank is one of its, and the caller vouches for the data.
        let code = unsafe {
            ffi::MPI_Irecv(data.cast(), count, T::datatype(), from as c_int, tag, self.handle, &raw mut request)
        };
        check("MPI_Irecv", code)?;
        Ok(request)
    }

    /// How many of the requests were completed since the last call; `indices`, as long as `requests`, names them.
    pub(super) fn test_some(
        &self,
        requests: &mut [ffi::MPI_Request],
        indices: &mut [i32],
        statuses: &mut Vec<ffi::MPI_Status>,
    ) -> Result<usize, Error> {
        let mut done = 0;
        statuses.clear();
        statuses.reserve(requests.len());
        assert_eq!(requests.len(), indices.len());
        // SAFETY: the three arrays have room for as many elements as there are requests, each of which is null or was
        // returned by MPI; whoever posted it keeps its data.
        let code = unsafe {
            ffi::MPI_Testsome(
                count(requests.len())?,
                requests.as_mut_ptr(),
                &raw mut done,
                indices.as_mut_ptr(),
                statuses.as_mut_ptr(),
            )
        };
        if code == ffi::MPI_ERR_IN_STATUS as c_int && done > 0 {
            // SAFETY: MPI has filled in as many statuses as it says are done.
            let statuses = unsafe { core::slice::from_raw_parts(statuses.as_ptr(), done as usize) };
            let failed = statuses.iter().map(|status| status.MPI_ERROR).find(|code| *code != ffi::MPI_SUCCESS as c_int);
            check("MPI_Testsome", failed.unwrap_or(code))?;
        }
        check("MPI_Testsome", code)?;
        // Undefined, which is negative, where all requests are null.
        Ok(usize::try_from(done).unwrap_or(0))
    }

    /// Ends all ranks, with a message on the terminal.
    pub(super) fn abort(&self, message: &str) -> ! {
        let Self { rank, size, .. } = self;
        let host = processor_name().unwrap_or_default();
        eprintln!("fused-dense-mpi: rank {rank} of {size} on {host} ends the job: {message}");
        let _ = std::io::stderr().flush();
        // SAFETY: MPI is initialised, and the communicator lives.
        unsafe { ffi::MPI_Abort(self.handle, 1) };
        std::process::abort()
    }

    /// Leaves the communicator to MPI: freeing it would wait for ranks that do not answer.
    pub(super) fn leave(&mut self) {
        self.is_freed = false;
    }
}

impl Drop for Comm<'_> {
    fn drop(&mut self) {
        if self.is_freed {
            // SAFETY: MPI is initialised as long as the universe lives; no request is under way. A failure leaves the
            // communicator, which MPI frees at its end.
            unsafe { ffi::MPI_Comm_free(&raw mut self.handle) };
        }
    }
}

/// This rank's number and that of all ranks.
fn place(handle: ffi::MPI_Comm) -> Result<[usize; 2], Error> {
    let (mut rank, mut size) = (0, 0);
    // SAFETY: the communicator lives.
    check("MPI_Comm_rank", unsafe { ffi::MPI_Comm_rank(handle, &raw mut rank) })?;
    // SAFETY: as above.
    check("MPI_Comm_size", unsafe { ffi::MPI_Comm_size(handle, &raw mut size) })?;
    Ok([rank as usize, size as usize])
}

/// Whether this thread may call MPI.
fn check_thread() -> Result<(), Error> {
    if threading_support() >= Threading::Serialized {
        return Ok(());
    }
    let mut is_main = 0;
    // SAFETY: MPI is initialised.
    check("MPI_Is_thread_main", unsafe { ffi::MPI_Is_thread_main(&raw mut is_main) })?;
    if is_main == 0 { Err(Error::Thread) } else { Ok(()) }
}

fn null_request() -> ffi::MPI_Request {
    // SAFETY: a constant of the library, which is only read.
    unsafe { ffi::RSMPI_REQUEST_NULL }
}

fn count(len: usize) -> Result<c_int, Error> {
    c_int::try_from(len).map_err(|_| Error::TooLarge { elements: len })
}

fn check(call: &'static str, code: c_int) -> Result<(), Error> {
    if code == ffi::MPI_SUCCESS as c_int {
        return Ok(());
    }
    let mut text = [0 as c_char; ffi::MPI_MAX_ERROR_STRING as usize];
    let mut len = 0;
    // SAFETY: the text has room for the longest message.
    unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &raw mut len) };
    let bytes = text[..usize::try_from(len).unwrap_or(0).min(text.len())].iter().map(|&letter| letter as u8).collect();
    Err(Error::Mpi { call, message: String::from_utf8(bytes).unwrap_or_else(|_| format!("code {code}")) })
}
