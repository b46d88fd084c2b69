//! A pseudo-console for a command, joined to the user's console.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::sys::console::{Input, PseudoConsole, RawConsole};
use super::sys::stdio::Pump;

/// The size of a terminal that nobody looks at.
const DEFAULT_SIZE: (i16, i16) = (80, 25);

/// Both consoles and what copies between them.
#[derive(Debug)]
pub(crate) struct PseudoTerminal {
    console: Arc<Mutex<Option<PseudoConsole>>>,
    user: Option<RawConsole>,
    input: Option<Pump>,
    output: Pump,
}

impl PseudoTerminal {
    /// Makes the pseudo-console, in the size of the user's, and takes the user's over where there is one. Without one the
    /// command's output goes to standard output.
    ///
    /// # Errors
    ///
    /// What the system answers; Wine 8 has no pseudo-consoles.
    pub(crate) fn open() -> std::io::Result<Self> {
        let user = RawConsole::take().ok();
        let size = user.as_ref().and_then(|user| user.size().ok()).unwrap_or(DEFAULT_SIZE);
        let (console, input, output) = PseudoConsole::new(size)?;
        let console = Arc::new(Mutex::new(Some(console)));
        let (from, to) = match &user {
            Some(user) => {
                let (from, to) = user.handles()?;
                (Some(from), to)
            }
            None => (None, super::sys::stdio::output()?),
        };
        let output = Pump::copying(output, to)?;
        let input = match (from, &user) {
            (Some(from), Some(user)) => {
                let (sizes, console) = (user.handles()?.1, Arc::clone(&console));
                Some(Pump::start(move || type_into(&from, input, &sizes, &console))?)
            }
            _ => None,
        };
        Ok(Self { console, user, input, output })
    }

    /// Calls `use_it` with the pseudo-console.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&PseudoConsole) -> T) -> Option<T> {
        self.console.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(use_it)
    }

    /// Prints what the command printed before it ended, or gives up when the time is over, and leaves the user's console
    /// as it was.
    pub(crate) fn close(self, until: Instant) {
        let Self { console, user, input, output } = self;
        let open = console.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Closing waits for the output to be read on some systems, and whoever reads it may be stuck.
        let closing = Pump::start(move || drop(open));
        output.finish(until);
        if let Ok(closing) = closing {
            closing.finish(until);
        }
        if let Some(input) = input {
            input.finish(Instant::now());
        }
        drop(user);
    }
}

/// Passes on what is typed, as UTF-8, and the size of the window, until one of both consoles is gone.
fn type_into(from: &File, mut to: File, window: &File, console: &Mutex<Option<PseudoConsole>>) {
    let mut pending = None;
    while let Ok(inputs) = RawConsole::read(from) {
        let mut text = String::new();
        for input in inputs {
            match input {
                Input::Unit(unit) => text.extend(decode(&mut pending, unit)),
                Input::Resized => {
                    let console = console.lock().unwrap_or_else(PoisonError::into_inner);
                    if let (Some(console), Ok(size)) = (console.as_ref(), RawConsole::size_of(window)) {
                        // The command sees the old size then, which is no reason to end it.
                        console.resize(size).unwrap_or_default();
                    }
                }
            }
        }
        if to.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The character that a unit of UTF-16 completes. The first half of a pair is kept for the next; half a pair alone is
/// dropped, since UTF-8 cannot say it.
fn decode(pending: &mut Option<u16>, unit: u16) -> Option<char> {
    let units = [pending.take(), Some(unit)].into_iter().flatten();
    match char::decode_utf16(units).last() {
        Some(Ok(character)) => Some(character),
        _ => {
            *pending = (0xD800..0xDC00).contains(&unit).then_some(unit);
            None
        }
    }
}
