//! The supervisor's side of a launch.

use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::net::SendFlags;

use super::arena::{Arena, Shared};
use super::call::{self, Errno};
use super::init::{self, Ends};
use super::script::{Failure, Opening, Script};
use super::signals::wait_for;

/// A process that carries out its opening, or has, and does nothing more until it is told a script.
#[derive(Debug)]
pub(crate) struct Waiting(Option<Launched>);

/// A process that is building its sandbox, or has.
#[derive(Debug)]
pub(crate) struct Launched {
    /// Its process id, as seen from here.
    pub(crate) pid: i32,
    /// A descriptor of it (`pidfd_open(2)`), which cannot come to mean another process.
    pub(crate) pidfd: OwnedFd,
    /// The command's wait status arrives here when it ends.
    pub(crate) status: OwnedFd,
    /// Signals go out here; a terminal comes in.
    pub(crate) control: OwnedFd,
    report: OwnedFd,
}

/// The namespaces that a process can only be born in. It makes the others itself, while its parent goes on.
const BORN_IN: u64 = (libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64;

impl Waiting {
    /// Starts a process with an opening, in a control group if one is given.
    ///
    /// # Errors
    ///
    /// What `clone3(2)` or making the pipes answered. What fails later is in [`Launched::outcome`].
    pub(crate) fn start(opening: &Opening<'_>, cgroup: Option<i32>) -> std::io::Result<Self> {
        let (report, child_report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (status, child_status) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (control, child_control) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )?;
        let ends = Ends {
            report: child_report.as_raw_fd(),
            status: child_status.as_raw_fd(),
            control: child_control.as_raw_fd(),
        };
        let supervisors = [&report, &status, &control].map(AsRawFd::as_raw_fd);
        // No signal handler of the embedding program may run in the copy of its memory. The command gets the mask that
        // its script names.
        let mask = block_signals()?;
        let cloned = clone(opening, ends, supervisors, cgroup);
        restore_signals(&mask);
        let (pid, pidfd) = cloned?;
        Ok(Self(Some(Launched { pid, pidfd, status, control, report })))
    }

    /// Tells the process what to do. The script must refer to nothing but the arena that the opening lies in.
    ///
    /// # Errors
    ///
    /// `E2BIG` if the arena is full; what `write(2)` answered.
    pub(crate) fn tell<'a>(mut self, script: Script<'a>, arena: &'a Arena) -> std::io::Result<Launched> {
        let script: Shared<'a, Script<'a>> = arena.value(script)?;
        let launched = self.0.take().ok_or(std::io::ErrorKind::NotConnected)?;
        match rustix::net::send(&launched.control, &script.address().to_ne_bytes(), SendFlags::NOSIGNAL) {
            // A process that failed before is not there to listen; its report says why.
            Ok(_) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(launched),
            Err(errno) => {
                drop(Self(Some(launched)));
                Err(errno.into())
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(launched) = self.0.take() {
            // One that has ended already is no error, and nobody is left to report to.
            rustix::process::pidfd_send_signal(&launched.pidfd, rustix::process::Signal::KILL).unwrap_or_default();
            wait_for(launched.pid).unwrap_or_default();
        }
    }
}

impl Launched {
    /// Waits until the command runs or a step failed.
    ///
    /// # Errors
    ///
    /// What reading from the child answered.
    pub(crate) fn outcome(&mut self) -> std::io::Result<Option<Failure>> {
        let mut bytes = Vec::with_capacity(Failure::SIZE);
        let mut file = std::fs::File::from(self.report.try_clone()?);
        file.read_to_end(&mut bytes)?;
        match <[u8; Failure::SIZE]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Failure::from_bytes(bytes).map(Some).ok_or_else(|| std::io::ErrorKind::InvalidData.into()),
            // Closed without a word: the command runs, or the child was ended from outside, which its status will tell.
            Err(_) => Ok(None),
        }
    }
}

/// `clone3(2)`: in the child, carries out the opening and what follows, and does not return.
fn clone(
    opening: &Opening<'_>,
    ends: Ends,
    supervisors: [i32; 3],
    cgroup: Option<i32>,
) -> std::io::Result<(i32, OwnedFd)> {
    #[repr(C, align(8))]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: i32 = -1;
    let mut arguments = CloneArgs {
        flags: opening.namespaces & BORN_IN | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup as u64;
    }
    let size = size_of::<CloneArgs>();
    // SAFETY: without CLONE_VM the child has a copy of this memory and its own stack at the same addresses. It runs
    // `init::run`, which allocates nothing, takes no lock and never returns. The structure lives through the call.
    let result = match unsafe { call::raw(libc::SYS_clone3, [(&raw mut arguments) as usize, size, 0, 0, 0, 0]) } {
        // Filters of containers and other sandboxes refuse the call, since they cannot look at its flags. The older one
        // does the same, except for cgroups.
        Err(Errno(libc::ENOSYS)) if cgroup.is_none() => {
            let flags = arguments.flags | arguments.exit_signal;
            // SAFETY: as above; with CLONE_PIDFD the third argument is where the descriptor is written (clone(2)).
            unsafe { call::raw(libc::SYS_clone, [flags as usize, 0, (&raw mut pidfd) as usize, 0, 0, 0]) }
        }
        other => other,
    };
    match result {
        Ok(0) => {
            let further = Opening { namespaces: opening.namespaces & !BORN_IN, ..*opening };
            init::run(&further, ends, supervisors)
        }
        Ok(pid) => {
            // SAFETY: the kernel wrote a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok((i32::try_from(pid).unwrap_or(-1), pidfd))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Blocks every signal of this thread and returns the mask that it had.
fn block_signals() -> std::io::Result<libc::sigset_t> {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset(3) initialises the first set before it is read; the second is only written.
    let result = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr())
    };
    if result != 0 {
        return Err(Errno(result).into());
    }
    // SAFETY: the call succeeded, so it wrote the old mask.
    Ok(unsafe { before.assume_init() })
}

fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: the mask is valid, and the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}
