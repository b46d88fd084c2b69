//! Signals as events (signalfd(2)), and waiting for a child.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::call::{self, Errno};

/// Signals that are delivered through a descriptor while this value lives.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: OwnedFd,
    before: libc::sigset_t,
}

/// A signal that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caught {
    number: u8,
}

/// Signals that ask a program to end, to reload, or that tell of a new window size.
const CAUGHT: [i32; 7] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

impl Signals {
    /// Starts catching, in this thread.
    ///
    /// # Errors
    ///
    /// What `signalfd(2)` answered.
    pub(crate) fn catch() -> std::io::Result<Self> {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset(3) initialises the set before it is read; `before` is only written.
        let descriptor = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in CAUGHT {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor < 0 {
            return Err(Errno::last().into());
        }
        // SAFETY: the descriptor is new and nobody else's; pthread_sigmask(3) wrote the old mask.
        Ok(unsafe { Self { descriptor: OwnedFd::from_raw_fd(descriptor), before: before.assume_init() } })
    }

    /// The mask of this thread before.
    pub(crate) fn mask_before(&self) -> &libc::sigset_t {
        &self.before
    }

    /// The next signal, if one arrived.
    pub(crate) fn next(&self) -> Option<Caught> {
        // Larger than one entry of signalfd_siginfo, smaller than two: one is read at a time.
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        let read = call::read(self.descriptor.as_raw_fd(), &mut bytes).ok()?;
        if read < bytes.len() {
            return None;
        }
        // The field ssi_signo; signals have small numbers.
        let number = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Some(Caught { number: u8::try_from(number).ok()? })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What arrived in the last moment was meant for a command that has ended.
        while self.next().is_some() {}
        // SAFETY: the mask is the one that pthread_sigmask(3) wrote.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

impl Caught {
    /// The signal's number.
    pub(crate) fn number(self) -> u8 {
        self.number
    }

    /// Whether the size of the terminal changed.
    pub(crate) fn is_resize(self) -> bool {
        i32::from(self.number) == libc::SIGWINCH
    }
}

/// The signal mask of this thread (pthread_sigmask(3)).
pub(crate) fn mask() -> libc::sigset_t {
    let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: without a new mask the call only writes the old one; the zeroes are an empty mask should it fail.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr());
        mask.assume_init()
    }
}

/// Waits for a child to end (waitpid(2)).
///
/// # Errors
///
/// What the call answered, other than an interruption.
pub(crate) fn wait_for(pid: i32) -> std::io::Result<()> {
    loop {
        // SAFETY: the status is not asked for.
        let waited = unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        match (waited == pid, Errno::last()) {
            (true, _) => return Ok(()),
            (false, Errno(libc::EINTR)) => {}
            (false, errno) => return Err(errno.into()),
        }
    }
}
