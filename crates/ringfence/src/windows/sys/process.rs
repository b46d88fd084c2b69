//! Starting a process in a token, a job, a desktop and with exactly the handles that it shall have.

use std::ffi::{OsStr, c_void};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW, DeleteProcThreadAttributeList,
    EXTENDED_STARTUPINFO_PRESENT, GetExitCodeProcess, InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST,
    PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST, PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE,
    PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW, UpdateProcThreadAttribute,
};

use super::call::{Aligned, check, owned, size_of_u32, wide};
use super::console::PseudoConsole;
use super::job::Job;
use super::token::SystemToken;

/// Everything that a new process is given.
pub(crate) struct Launch<'a> {
    pub(crate) token: &'a SystemToken,
    pub(crate) job: &'a Job,
    /// The executable file, absolute: nothing is ever searched for.
    pub(crate) program: &'a Path,
    /// The command line, without the zero that ends it.
    pub(crate) command_line: &'a [u16],
    /// The environment block, with the zeros that end it.
    pub(crate) environment: &'a [u16],
    pub(crate) directory: &'a Path,
    /// As [`super::desktop::Desktop::name`].
    pub(crate) desktop: &'a OsStr,
    pub(crate) terminal: Terminal<'a>,
}

/// What a new process reads from and writes to.
pub(crate) enum Terminal<'a> {
    /// Standard input, output and error, each inheritable, and a console of its own that nobody sees: in the caller's
    /// console it could type into the caller's shell.
    Handles([BorrowedHandle<'a>; 3]),
    /// A pseudo-console.
    Pseudo(&'a PseudoConsole),
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    process: OwnedHandle,
    id: u32,
}

impl Child {
    pub(crate) fn launch(launch: &Launch<'_>) -> io::Result<Self> {
        let program = wide(launch.program)?;
        // The call may write into it.
        let mut command_line = launch.command_line.to_vec();
        if command_line.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command line holds a zero character"));
        }
        command_line.push(0);
        if !launch.environment.ends_with(&[0, 0]) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the environment block has no end"));
        }
        let directory = wide(launch.directory)?;
        let mut desktop = wide(launch.desktop)?;

        let mut startup = STARTUPINFOEXW::default();
        startup.StartupInfo.cb = size_of_u32::<STARTUPINFOEXW>();
        startup.StartupInfo.lpDesktop = desktop.as_mut_ptr();
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        let jobs = [launch.job.handle().as_raw_handle()];
        let mut inherited: Vec<HANDLE> = Vec::new();
        let mut flags = CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
        let mut attributes = AttributeList::new(2)?;
        attributes.add_handles(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;
        match &launch.terminal {
            Terminal::Handles(handles) => {
                flags |= CREATE_NO_WINDOW;
                let [input, output, error] = handles.map(|handle| handle.as_raw_handle());
                startup.StartupInfo.hStdInput = input;
                startup.StartupInfo.hStdOutput = output;
                startup.StartupInfo.hStdError = error;
                // The call refuses a list that names a handle twice.
                inherited.extend([input, output, error]);
                inherited.sort_unstable();
                inherited.dedup();
                attributes.add_handles(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &inherited)?;
            }
            Terminal::Pseudo(console) => {
                // With no handles named the new process would be given this process's own.
                startup.StartupInfo.hStdInput = INVALID_HANDLE_VALUE;
                startup.StartupInfo.hStdOutput = INVALID_HANDLE_VALUE;
                startup.StartupInfo.hStdError = INVALID_HANDLE_VALUE;
                attributes.add_pseudo_console(console)?;
            }
        }
        startup.lpAttributeList = attributes.as_ptr();
        let mut information = PROCESS_INFORMATION::default();
        // SAFETY: every string ends with a zero, the command line may be written to, the environment block ends with two
        // zeros, and the start-up structure, its attribute list and the arrays that the list points to outlive the call.
        check(unsafe {
            CreateProcessAsUserW(
                launch.token.handle().as_raw_handle(),
                program.as_ptr(),
                command_line.as_mut_ptr(),
                ptr::null(),
                ptr::null(),
                i32::from(!inherited.is_empty()),
                flags,
                launch.environment.as_ptr().cast(),
                directory.as_ptr(),
                (&raw const startup).cast(),
                &mut information,
            )
        })?;
        // SAFETY: the call returned both handles to us; that of the thread is closed at once.
        let (process, _thread) = unsafe { (owned(information.hProcess), owned(information.hThread)) };
        Ok(Self { process: process?, id: information.dwProcessId })
    }

    /// Signalled when the process has ended.
    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The exit code of a process that has ended.
    pub(crate) fn exit_code(&self) -> io::Result<u32> {
        let mut code = 0;
        // SAFETY: the handle is open and the out pointer is valid for the call.
        check(unsafe { GetExitCodeProcess(self.process.as_raw_handle(), &mut code) })?;
        Ok(code)
    }
}

/// `PROC_THREAD_ATTRIBUTE_LIST`: what `STARTUPINFO` has no room for.
struct AttributeList<'a> {
    buffer: Aligned,
    /// The list holds pointers to what was added.
    _values: std::marker::PhantomData<&'a [HANDLE]>,
}

impl<'a> AttributeList<'a> {
    fn new(capacity: u32) -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: a null list asks for the size.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), capacity, 0, &mut size) };
        let mut buffer = Aligned::zeroed(size);
        // SAFETY: the buffer has the size that the call asked for. Its words lie on the heap and do not move.
        check(unsafe { InitializeProcThreadAttributeList(buffer.as_mut_ptr(), capacity, 0, &mut size) })?;
        Ok(Self { buffer, _values: std::marker::PhantomData })
    }

    fn add_handles(&mut self, attribute: u32, handles: &'a [HANDLE]) -> io::Result<()> {
        self.add(attribute, handles.as_ptr().cast(), size_of_val(handles))
    }

    fn add_pseudo_console(&mut self, console: &'a PseudoConsole) -> io::Result<()> {
        // This attribute's value is the handle itself and not a pointer to it.
        let value = console.raw();
        self.add(PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE, value as *const c_void, size_of_val(&value))
    }

    fn add(&mut self, attribute: u32, value: *const c_void, size: usize) -> io::Result<()> {
        // SAFETY: the list was initialised with room for this attribute, and the value outlives it.
        check(unsafe {
            UpdateProcThreadAttribute(
                self.buffer.as_mut_ptr::<c_void>().cast(),
                0,
                attribute as usize,
                value,
                size,
                ptr::null_mut(),
                ptr::null(),
            )
        })
    }

    fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.buffer.as_mut_ptr::<c_void>().cast()
    }
}

impl Drop for AttributeList<'_> {
    fn drop(&mut self) {
        let list = self.as_ptr();
        // SAFETY: the list was initialised and is not used any more.
        unsafe { DeleteProcThreadAttributeList(list) };
    }
}
