//! Waiting for several things at once.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::time::Instant;

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects};

use super::call::{check, owned};

/// An event that wakes one waiter and resets itself.
#[derive(Debug)]
pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no attributes and no name; the returned handle is ours.
        unsafe { owned(CreateEventW(ptr::null(), 0, 0, ptr::null())) }.map(Self)
    }

    pub(crate) fn set(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { SetEvent(self.0.as_raw_handle()) })
    }

    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        use std::os::windows::io::AsHandle;
        self.0.as_handle()
    }
}

/// Waits until one of the objects is signalled and returns the first one that is, or `None` when the time is over.
pub(crate) fn wait_any(handles: &[BorrowedHandle<'_>], until: Option<Instant>) -> io::Result<Option<usize>> {
    let raw: Vec<HANDLE> = handles.iter().map(AsRawHandle::as_raw_handle).collect();
    let count = u32::try_from(raw.len()).map_err(io::Error::other)?;
    loop {
        let milliseconds = until.map_or(INFINITE, milliseconds_until);
        // SAFETY: the array holds as many open handles as the count says.
        let answer = unsafe { WaitForMultipleObjects(count, raw.as_ptr(), 0, milliseconds) };
        match answer {
            WAIT_FAILED => return Err(io::Error::last_os_error()),
            WAIT_TIMEOUT if until.is_some_and(|until| Instant::now() >= until) => return Ok(None),
            // A wait is shorter than the time that is left where that does not fit its argument.
            WAIT_TIMEOUT => {}
            // No mutex is ever among the objects, so that "abandoned" cannot be answered.
            signalled => return Ok(usize::try_from(signalled - WAIT_OBJECT_0).ok()),
        }
    }
}

/// The time that is left, rounded up: a wait that ends a little early would be repeated without end.
pub(crate) fn milliseconds_until(until: Instant) -> u32 {
    let left = until.saturating_duration_since(Instant::now());
    u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u32::MAX).min(INFINITE - 1)
}
