//! Standard input, output and error of a command, from those of this process.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_OPERATION_ABORTED, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Console::{
    GetConsoleMode, GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::IO::CancelSynchronousIo;
use windows_sys::Win32::System::Pipes::CreatePipe;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::call::{check, owned};
use super::event::wait_any;

/// The three standard handles of a command, inheritable.
#[derive(Debug)]
pub(crate) struct Stdio {
    handles: Option<[OwnedHandle; 3]>,
    output: Vec<Pump>,
    input: Option<Pump>,
}

impl Stdio {
    /// Those of this process: files and pipes as they are, a console by way of a pipe, and `NUL` where there is none.
    ///
    /// A console itself is not handed over. Who holds it can put keys into its input, which the caller's shell would
    /// read as typed.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let mut stdio = Self { handles: None, output: Vec::new(), input: None };
        let input = match standard(STD_INPUT_HANDLE) {
            Source::Console(console) => {
                let (read, write) = pipe()?;
                stdio.input = Some(Pump::typed(File::from(duplicate(console, false)?), File::from(write))?);
                inheritable(&read)?
            }
            Source::Handle(handle) => duplicate(handle, true)?,
            Source::Absent => inheritable(&null()?)?,
        };
        let output = stdio.output(STD_OUTPUT_HANDLE)?;
        let error = stdio.output(STD_ERROR_HANDLE)?;
        stdio.handles = Some([input, output, error]);
        Ok(stdio)
    }

    /// Nothing to read, a pipe to print to, and errors to nobody.
    pub(crate) fn capturing(output: &OwnedHandle) -> io::Result<Self> {
        let null = null()?;
        let handles = [inheritable(&null)?, inheritable(output)?, inheritable(&null)?];
        Ok(Self { handles: Some(handles), output: Vec::new(), input: None })
    }

    fn output(&mut self, which: STD_HANDLE) -> io::Result<OwnedHandle> {
        match standard(which) {
            Source::Console(console) => {
                let (read, write) = pipe()?;
                self.output.push(Pump::copying(File::from(read), File::from(duplicate(console, false)?))?);
                inheritable(&write)
            }
            Source::Handle(handle) => duplicate(handle, true),
            Source::Absent => inheritable(&null()?),
        }
    }

    /// For the new process.
    pub(crate) fn handles(&self) -> io::Result<[BorrowedHandle<'_>; 3]> {
        let [input, output, error] = self.handles.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok([input.as_handle(), output.as_handle(), error.as_handle()])
    }

    /// Closes our copies of what the new process holds now: as long as one is open, its end is never seen.
    pub(crate) fn handed_over(&mut self) {
        self.handles = None;
    }

    /// Waits until everything that was printed is on the console, or the time is over.
    pub(crate) fn drain(&mut self, until: Instant) {
        self.handles = None;
        for pump in self.output.drain(..) {
            pump.finish(until);
        }
        if let Some(pump) = self.input.take() {
            pump.finish(Instant::now());
        }
    }
}

/// A thread that copies until either side is closed.
#[derive(Debug)]
pub(crate) struct Pump {
    thread: JoinHandle<()>,
}

impl Pump {
    pub(crate) fn copying(mut from: File, mut to: File) -> io::Result<Self> {
        Self::start(move || {
            // That either side is gone is how this ends.
            io::copy(&mut from, &mut to).and_then(|_| to.flush()).unwrap_or_default();
        })
    }

    /// From a console, where Ctrl-C ends a read but not the input.
    fn typed(mut from: File, mut to: File) -> io::Result<Self> {
        Self::start(move || {
            let mut buffer = [0; 4096];
            loop {
                match from.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => {
                        if to.write_all(&buffer[..count]).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.raw_os_error() == Some(ERROR_OPERATION_ABORTED.cast_signed()) => {}
                    Err(_) => return,
                }
            }
        })
    }

    pub(crate) fn start(work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        thread::Builder::new().name("ringfence-pump".to_owned()).spawn(work).map(|thread| Self { thread })
    }

    /// Waits for its end, and gives up on it when the time is over: whoever still holds the other side may hold it for
    /// ever.
    pub(crate) fn finish(self, until: Instant) {
        let ended = wait_any(&[self.thread.as_handle()], Some(until));
        if matches!(ended, Ok(Some(_))) {
            // A panic in there was printed already, and there is nothing to do about it.
            self.thread.join().unwrap_or_default();
            return;
        }
        // SAFETY: the handle is that of a thread of ours. That it waits for nothing is no failure here.
        unsafe { CancelSynchronousIo(self.thread.as_raw_handle()) };
    }
}

/// Whether a handle is a console's.
fn is_console(handle: BorrowedHandle<'_>) -> bool {
    let mut mode = 0;
    // SAFETY: the handle is open and the out pointer is valid for the call.
    unsafe { GetConsoleMode(handle.as_raw_handle(), &mut mode) != 0 }
}

/// A further handle to this process's standard output.
pub(crate) fn output() -> io::Result<File> {
    match standard(STD_OUTPUT_HANDLE) {
        Source::Console(handle) | Source::Handle(handle) => duplicate(handle, false).map(File::from),
        Source::Absent => null().map(File::from),
    }
}

enum Source {
    Console(BorrowedHandle<'static>),
    Handle(BorrowedHandle<'static>),
    Absent,
}

fn standard(which: STD_HANDLE) -> Source {
    // SAFETY: takes a number; what it returns belongs to the process.
    let handle: HANDLE = unsafe { GetStdHandle(which) };
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Source::Absent;
    }
    // SAFETY: standard handles stay open while the process runs; the standard library relies on the same.
    let handle = unsafe { BorrowedHandle::borrow_raw(handle) };
    if is_console(handle) { Source::Console(handle) } else { Source::Handle(handle) }
}

/// An anonymous pipe: its end to read from and its end to write to. Nobody inherits them.
pub(crate) fn pipe() -> io::Result<(OwnedHandle, OwnedHandle)> {
    let (mut read, mut write) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the out pointers are valid for the call; no attributes and the default size.
    check(unsafe { CreatePipe(&mut read, &mut write, ptr::null(), 0) })?;
    // SAFETY: the call returned both handles to us.
    let (read, write) = unsafe { (owned(read), owned(write)) };
    Ok((read?, write?))
}

fn null() -> io::Result<OwnedHandle> {
    File::options().read(true).write(true).open("NUL").map(OwnedHandle::from)
}

fn inheritable(handle: &OwnedHandle) -> io::Result<OwnedHandle> {
    duplicate(handle.as_handle(), true)
}

fn duplicate(handle: BorrowedHandle<'_>, inheritable: bool) -> io::Result<OwnedHandle> {
    let mut copy = ptr::null_mut();
    // SAFETY: the pseudo handle of this process needs no closing, the source is open, and the out pointer is valid.
    check(unsafe {
        let process = GetCurrentProcess();
        DuplicateHandle(
            process,
            handle.as_raw_handle(),
            process,
            &mut copy,
            0,
            i32::from(inheritable),
            DUPLICATE_SAME_ACCESS,
        )
    })?;
    // SAFETY: the call returned the handle to us.
    unsafe { owned(copy) }
}
