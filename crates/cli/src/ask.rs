//! Asking the operator about a host that no rule names.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::time::{Duration, Instant};

use ringfence::proxy::{Answer, Ask, Limits, Question};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{QueueSelector, isatty, tcflush};

use crate::failure::Failure;

/// The supervisor's own terminal, whatever its standard streams are.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: File,
    patience: Duration,
}

impl Terminal {
    /// Opens the controlling terminal, and takes from the command what it could read a terminal from: what is typed is an
    /// answer, and a command that could read it could make a question wait for ever.
    ///
    /// # Errors
    ///
    /// [`Failure::NoTerminal`] where nobody can be asked.
    pub(crate) fn open() -> Result<Self, Failure> {
        let failed = |source| Failure::NoTerminal { source };
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
        if isatty(io::stdin()) {
            let nothing = File::open("/dev/null").map_err(failed)?;
            rustix::stdio::dup2_stdin(&nothing).map_err(|errno| failed(errno.into()))?;
        }
        // A terminal is usually open for both ways, whatever it is meant for.
        if isatty(io::stdout()) {
            let output = write_only("/dev/fd/1").map_err(failed)?;
            rustix::stdio::dup2_stdout(&output).map_err(|errno| failed(errno.into()))?;
        }
        if isatty(io::stderr()) {
            let output = write_only("/dev/fd/2").map_err(failed)?;
            rustix::stdio::dup2_stderr(&output).map_err(|errno| failed(errno.into()))?;
        }
        Ok(Self { file, patience: Limits::default().ask_time })
    }

    fn converse(&self, question: &Question) -> io::Result<Answer> {
        // What was typed before the question answers something else.
        tcflush(&self.file, QueueSelector::IFlush)?;
        let Question { host, port, .. } = question;
        write!(
            &self.file,
            "ringfence: may the command reach {host} on port {port}? (o)nce, for this (r)un, or (n)o: "
        )?;
        let answer = self.line(Instant::now() + self.patience)?;
        if answer.is_none() {
            writeln!(&self.file, "no answer is no")?;
        }
        Ok(answer.map_or(Answer::No, |line| understand(&line)))
    }

    /// One line, or nothing if none comes in time.
    fn line(&self, until: Instant) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let left = until.saturating_duration_since(Instant::now());
            let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
            if left.is_zero() || poll(&mut polled, Timespec::try_from(left).ok().as_ref())? == 0 {
                return Ok(None);
            }
            let mut buffer = [0; 256];
            match rustix::io::read(&self.file, &mut buffer)? {
                0 => break,
                read => line.extend_from_slice(&buffer[..read]),
            }
            if line.len() > LONGEST_LINE {
                break;
            }
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

/// The same terminal, without the right to read. One that belongs to another user (after su(1)) cannot be opened by its
/// name; the controlling one always can.
fn write_only(path: &str) -> io::Result<File> {
    let open = |path| OpenOptions::new().write(true).open(path);
    open(path).or_else(|_| open("/dev/tty"))
}

impl Ask for Terminal {
    fn ask(&self, question: &Question) -> Answer {
        // A terminal that has gone cannot say yes.
        self.converse(question).unwrap_or(Answer::No)
    }
}

/// A terminal in its usual mode gives lines of up to 4096 bytes (termios(3)).
const LONGEST_LINE: usize = 4096;

/// Anything that is not clearly a yes is a no.
fn understand(line: &str) -> Answer {
    match line.trim() {
        "o" | "once" => Answer::Once,
        "r" | "run" => Answer::Run,
        _ => Answer::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_words_are_a_yes() {
        for (line, answer) in
            [("o\n", Answer::Once), ("once", Answer::Once), (" r \n", Answer::Run), ("run\n", Answer::Run)]
        {
            assert_eq!(understand(line), answer, "{line:?}");
        }
        for line in ["", "\n", "n", "no", "y", "yes", "O", "on", "once more", "r o"] {
            assert_eq!(understand(line), Answer::No, "{line:?}");
        }
    }
}
