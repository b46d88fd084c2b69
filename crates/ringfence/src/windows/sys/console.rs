//! The console: what its user asks for with Ctrl-C, and pseudo-consoles for commands that want a terminal.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::System::Console::{
    AttachConsole, CONSOLE_MODE, CONSOLE_SCREEN_BUFFER_INFO, COORD, CTRL_C_EVENT, CTRL_CLOSE_EVENT, ClosePseudoConsole,
    CreatePseudoConsole, ENABLE_PROCESSED_OUTPUT, ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING,
    ENABLE_WINDOW_INPUT, FreeConsole, GenerateConsoleCtrlEvent, GetConsoleCP, GetConsoleMode, GetConsoleOutputCP,
    GetConsoleScreenBufferInfo, HPCON, INPUT_RECORD, KEY_EVENT, ReadConsoleInputW, ResizePseudoConsole, SetConsoleCP,
    SetConsoleCtrlHandler, SetConsoleMode, SetConsoleOutputCP, WINDOW_BUFFER_SIZE_EVENT,
};

use super::call::{check, check_hresult};
use super::event::Event;
use super::stdio::pipe;

/// What the console's user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Ctrl-C: the command is told, and decides.
    Interrupt,
    /// Ctrl-Break, the window closed, logged off or shut down: everything ends.
    End,
}

/// Requests since the last [`Controls::next`]: one bit per kind, set by the handler's thread.
static REQUESTS: AtomicU32 = AtomicU32::new(0);
const INTERRUPT: u32 = 1;
const END: u32 = 2;
static REQUESTED: OnceLock<Event> = OnceLock::new();

/// Takes what the console's user asks for, in place of the default action, which would end the supervisor alone.
#[derive(Debug)]
pub(crate) struct Controls {
    event: &'static Event,
}

impl Controls {
    pub(crate) fn catch() -> io::Result<Self> {
        let event = match REQUESTED.get() {
            Some(event) => event,
            None => {
                let event = Event::new()?;
                REQUESTED.get_or_init(|| event)
            }
        };
        // SAFETY: the handler is a function of the program, and only sets an atomic and an event that is never freed.
        check(unsafe { SetConsoleCtrlHandler(Some(asked), 1) })?;
        Ok(Self { event })
    }

    /// Signalled when there is a request.
    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.event.handle()
    }

    /// The strongest request since the last call.
    pub(crate) fn next(&self) -> Option<Asked> {
        match REQUESTS.swap(0, Ordering::AcqRel) {
            0 => None,
            bits if bits & END != 0 => Some(Asked::End),
            _ => Some(Asked::Interrupt),
        }
    }
}

impl Drop for Controls {
    fn drop(&mut self) {
        // SAFETY: as when it was added. That it is gone already is no failure.
        unsafe { SetConsoleCtrlHandler(Some(asked), 0) };
    }
}

/// Runs on a thread that the system makes for it.
unsafe extern "system" fn asked(kind: u32) -> windows_sys::core::BOOL {
    REQUESTS.fetch_or(if kind == CTRL_C_EVENT { INTERRUPT } else { END }, Ordering::AcqRel);
    if let Some(event) = REQUESTED.get() {
        // Nobody is left to tell.
        event.set().unwrap_or_default();
    }
    if kind >= CTRL_CLOSE_EVENT {
        // When this returns from a closed window, a logoff or a shutdown, the system ends the process. The supervisor
        // shall write the receipt before; the system waits for some seconds and then ends it all the same, and the job
        // with it.
        loop {
            std::thread::park();
        }
    }
    1
}

/// Sends Ctrl-C to every process on the console of the process `id`. For a helper process, which gives up its own
/// console for it.
pub(crate) fn interrupt_console_of(id: u32) -> io::Result<()> {
    // SAFETY: take nothing or numbers. Without a handler, but told to ignore it, this process survives what it sends.
    unsafe {
        // That there is none to give up is no failure.
        FreeConsole();
        check(AttachConsole(id))?;
        check(SetConsoleCtrlHandler(None, 1))?;
        check(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0))
    }
}

/// A terminal that a command holds one side of, and we the other, in UTF-8
/// (<https://learn.microsoft.com/windows/console/pseudoconsoles>).
#[derive(Debug)]
pub(crate) struct PseudoConsole {
    raw: HPCON,
}

impl PseudoConsole {
    /// Makes one of a size in columns and rows, with our sides of its input and output.
    pub(crate) fn new(size: (i16, i16)) -> io::Result<(Self, File, File)> {
        let (read_input, write_input) = pipe()?;
        let (read_output, write_output) = pipe()?;
        let mut raw = 0;
        // SAFETY: both handles are open; the call makes copies of them, so that ours are closed after it.
        check_hresult(unsafe {
            CreatePseudoConsole(
                coordinates(size),
                read_input.as_raw_handle(),
                write_output.as_raw_handle(),
                0,
                &mut raw,
            )
        })?;
        Ok((Self { raw }, File::from(write_input), File::from(read_output)))
    }

    pub(crate) fn resize(&self, size: (i16, i16)) -> io::Result<()> {
        // SAFETY: the pseudo-console is open.
        check_hresult(unsafe { ResizePseudoConsole(self.raw, coordinates(size)) })
    }

    /// The handle as a process attribute takes it.
    pub(super) fn raw(&self) -> HPCON {
        self.raw
    }
}

impl Drop for PseudoConsole {
    fn drop(&mut self) {
        // Before Windows 11 24H2 the call waits until everything that was printed has been read: whoever drops this
        // reads on meanwhile.
        // SAFETY: the pseudo-console is open and closed once.
        unsafe { ClosePseudoConsole(self.raw) };
    }
}

fn coordinates((columns, rows): (i16, i16)) -> COORD {
    COORD { X: columns, Y: rows }
}

/// What a console's user did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// A unit of UTF-16 was typed, which may be half of a character.
    Unit(u16),
    /// The window has another size.
    Resized,
}

/// The user's console, passing on every key and understanding escape sequences, until this value goes away.
#[derive(Debug)]
pub(crate) struct RawConsole {
    input: File,
    output: File,
    modes: (CONSOLE_MODE, CONSOLE_MODE),
    code_pages: (u32, u32),
}

impl RawConsole {
    /// Takes over the console of this process.
    pub(crate) fn take() -> io::Result<Self> {
        const UTF8: u32 = 65001;
        // By name, since standard input and output may lead elsewhere.
        let input = File::options().read(true).write(true).open("CONIN$")?;
        let output = File::options().read(true).write(true).open("CONOUT$")?;
        let modes = (mode(&input)?, mode(&output)?);
        // SAFETY: take nothing.
        let code_pages = unsafe { (GetConsoleCP(), GetConsoleOutputCP()) };
        let console = Self { input, output, modes, code_pages };
        set_mode(&console.input, ENABLE_WINDOW_INPUT | ENABLE_VIRTUAL_TERMINAL_INPUT)?;
        let printed = ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
        set_mode(&console.output, modes.1 | printed)?;
        // SAFETY: take numbers.
        check(unsafe { SetConsoleCP(UTF8) })?;
        // SAFETY: as above.
        check(unsafe { SetConsoleOutputCP(UTF8) })?;
        Ok(console)
    }

    /// Columns and rows of the window.
    pub(crate) fn size(&self) -> io::Result<(i16, i16)> {
        Self::size_of(&self.output)
    }

    /// As [`RawConsole::size`], of a handle to its output.
    pub(crate) fn size_of(output: &File) -> io::Result<(i16, i16)> {
        let mut information = CONSOLE_SCREEN_BUFFER_INFO::default();
        // SAFETY: the handle is open and the out pointer is valid for the call.
        check(unsafe { GetConsoleScreenBufferInfo(output.as_raw_handle(), &mut information) })?;
        let window = information.srWindow;
        Ok((window.Right - window.Left + 1, window.Bottom - window.Top + 1))
    }

    /// Further handles for threads that read and print.
    pub(crate) fn handles(&self) -> io::Result<(File, File)> {
        Ok((self.input.try_clone()?, self.output.try_clone()?))
    }

    /// Waits for what the user does next.
    pub(crate) fn read(input: &File) -> io::Result<Vec<Input>> {
        const AT_ONCE: u32 = 128;
        let mut records = [INPUT_RECORD::default(); AT_ONCE as usize];
        let mut count = 0;
        // SAFETY: the array has room for as many records as is said, and the out pointer is valid for the call.
        check(unsafe { ReadConsoleInputW(input.as_raw_handle(), records.as_mut_ptr(), AT_ONCE, &mut count) })?;
        let mut inputs = Vec::new();
        for record in &records[..(count as usize).min(records.len())] {
            match u32::from(record.EventType) {
                KEY_EVENT => {
                    // SAFETY: the type says which member of the union is set; both members of the inner one are numbers.
                    let (key, unit) = unsafe { (record.Event.KeyEvent, record.Event.KeyEvent.uChar.UnicodeChar) };
                    if key.bKeyDown != 0 && unit != 0 {
                        inputs.extend((0..key.wRepeatCount.max(1)).map(|_| Input::Unit(unit)));
                    }
                }
                WINDOW_BUFFER_SIZE_EVENT => inputs.push(Input::Resized),
                _ => {}
            }
        }
        Ok(inputs)
    }
}

impl Drop for RawConsole {
    fn drop(&mut self) {
        // Nobody is left to tell that the console is gone.
        set_mode(&self.input, self.modes.0).unwrap_or_default();
        set_mode(&self.output, self.modes.1).unwrap_or_default();
        // SAFETY: take numbers.
        unsafe {
            SetConsoleCP(self.code_pages.0);
            SetConsoleOutputCP(self.code_pages.1);
        }
    }
}

fn mode(console: &File) -> io::Result<CONSOLE_MODE> {
    let mut mode = 0;
    // SAFETY: the handle is open and the out pointer is valid for the call.
    check(unsafe { GetConsoleMode(console.as_raw_handle(), &mut mode) })?;
    Ok(mode)
}

fn set_mode(console: &File, mode: CONSOLE_MODE) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { SetConsoleMode(console.as_raw_handle(), mode) })
}
