//! Terminals.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

use super::check_int;

/// openpty(3): the controlling side and the terminal side.
pub(crate) fn open_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut controller, mut terminal) = (-1, -1);
    // SAFETY: both descriptors are writable ints; name, attributes and size may be null.
    check_int(unsafe {
        libc::openpty(&raw mut controller, &raw mut terminal, ptr::null_mut(), ptr::null(), ptr::null())
    })?;
    // SAFETY: the call has just made both descriptors, nobody else knows them.
    Ok(unsafe { (OwnedFd::from_raw_fd(controller), OwnedFd::from_raw_fd(terminal)) })
}

/// Makes `terminal` the controlling terminal of the command, in a session of its own.
pub(crate) fn control(command: &mut Command, terminal: &OwnedFd) {
    let descriptor = terminal.as_raw_fd();
    let take = move || {
        // SAFETY: takes nothing.
        check_int(unsafe { libc::setsid() })?;
        // SAFETY: plain integers; the descriptor is open in the child until it executes the command.
        check_int(unsafe { libc::ioctl(descriptor, libc::TIOCSCTTY, 0) }).map(drop)
    };
    // SAFETY: between fork and exec the closure makes two system calls and nothing else.
    unsafe { command.pre_exec(take) };
}

/// `ioctl(TIOCSTI)`: puts a byte into the terminal's input, as if it had been typed.
pub(crate) fn type_into(terminal: &File, byte: u8) -> io::Result<()> {
    // SAFETY: the request reads one byte, which is alive.
    check_int(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const byte) }).map(drop)
}

/// `ioctl(TIOCLINUX)` with a subcode that does not exist: the console's own way of pasting into the input.
pub(crate) fn console_request(terminal: &File) -> io::Result<()> {
    let subcode = u8::MAX;
    // SAFETY: the request reads one byte, the subcode, which is alive.
    check_int(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCLINUX, &raw const subcode) }).map(drop)
}
