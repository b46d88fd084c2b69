//! The supervisor's side of a pseudo-terminal: raw mode, size, and copying both ways.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::descriptors::{Received, receive};

/// The master side, and the caller's terminal while it is in raw mode.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    /// How the caller's terminal was, if standard input is one.
    before: Option<Termios>,
    /// Whether standard input may still bring something.
    pub(super) input_open: bool,
}

impl Terminal {
    /// Receives the master from the child, sizes it, and lets the command start. `None` if the child failed before.
    pub(super) fn receive(control: BorrowedFd<'_>) -> std::io::Result<Option<Self>> {
        let Received::Descriptor(master) = receive(control)? else {
            return Ok(None);
        };
        let mut terminal = Self { master, before: None, input_open: true };
        terminal.resize();
        terminal.make_raw()?;
        rustix::io::write(control, b"r")?;
        Ok(Some(terminal))
    }

    pub(super) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Gives the command's terminal the size of the caller's; the kernel tells the command.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(std::io::stdout()) {
            // A size is a comfort: without it programs assume one.
            tcsetwinsize(&self.master, size).unwrap_or_default();
        }
    }

    /// Copies what the user typed. The end of the input is passed on as the terminal's own end-of-file character.
    pub(super) fn copy_input(&mut self) -> std::io::Result<()> {
        const END_OF_FILE: &[u8] = &[4];
        let mut buffer = [0; 4096];
        let read = rustix::io::read(std::io::stdin(), &mut buffer)?;
        if read == 0 {
            self.input_open = false;
        }
        let mut text = if read == 0 { END_OF_FILE } else { &buffer[..read] };
        while !text.is_empty() {
            let written = rustix::io::write(&self.master, text)?;
            text = &text[written..];
        }
        Ok(())
    }

    /// Copies what the command printed; `false` at its end.
    pub(super) fn copy_output(&mut self) -> bool {
        let mut buffer = [0; 16384];
        match std::fs::File::from(match self.master.try_clone() {
            Ok(master) => master,
            Err(_) => return false,
        })
        .read(&mut buffer)
        {
            // EIO: nobody has the other side open any more (pty(7)).
            Ok(0) | Err(_) => false,
            Ok(read) => {
                let mut out = std::io::stdout().lock();
                out.write_all(&buffer[..read]).and_then(|()| out.flush()).is_ok()
            }
        }
    }

    fn make_raw(&mut self) -> std::io::Result<()> {
        let Ok(before) = tcgetattr(std::io::stdin()) else {
            return Ok(());
        };
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw)?;
        self.before = Some(before);
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nothing can be done about a terminal that is gone.
            tcsetattr(std::io::stdin(), OptionalActions::Drain, before).unwrap_or_default();
        }
    }
}
