//! A terminal for runs that need one.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;

use rustix::fs::{Mode, OFlags};
use rustix::termios::Winsize;

use super::Place;

/// A pseudo-terminal of the test's, standing in for the user's.
pub(crate) struct Terminal {
    controller: File,
    /// The side that a program has, until one has it: when that ends, so does the reading.
    terminal: Option<OwnedFd>,
}

impl Terminal {
    pub(crate) fn open(rows: u16, columns: u16) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let terminal = Self { controller: File::from(controller), terminal: Some(terminal) };
        terminal.resize(rows, columns);
        terminal
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.controller, size).unwrap();
    }

    /// `ringfence run FLAGS -- sh -c SCRIPT` as if a shell had started it here.
    pub(crate) fn start(&mut self, place: &Place, flags: &[&str], script: &str) -> Child {
        let terminal = self.terminal.take().unwrap();
        let mut command = place.command("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(place.program())
            .args(["run", "--quiet"])
            .args(flags)
            .args(["--", "/bin/sh", "-c", script])
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal);
        command.spawn().unwrap()
    }

    /// Reads until the terminal has shown `text`, and returns everything that it showed.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut shown = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let seen = String::from_utf8_lossy(&shown).into_owned();
            if seen.contains(text) {
                return seen;
            }
            match self.controller.read(&mut buffer) {
                Ok(count @ 1..) => shown.extend_from_slice(&buffer[..count]),
                other => panic!("the terminal ended ({other:?}) after showing {seen:?}, without {text:?}"),
            }
        }
    }

    /// Reads to the end, as a terminal does: whoever restores its modes waits until all output is read. Gives the status.
    pub(crate) fn finish(mut self, mut child: Child) -> i32 {
        while self.controller.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
        child.wait().unwrap().code().unwrap_or(-1)
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.controller.write_all(text.as_bytes()).unwrap();
    }
}
