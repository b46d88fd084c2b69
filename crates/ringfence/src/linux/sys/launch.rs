//! The supervisor's side of a launch.

use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::SendFlags;

use super::arena::{Arena, Mapping, Shared};
use super::call::{self, Errno};
use super::init::{self, Ends, Task};
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
    /// What it reads.
    _arena: Arc<Mapping>,
    /// Given back when the process is gone.
    _borrowed: Option<Borrowed>,
}

/// Whose memory a process works in. It allocates nothing and takes no lock either way.
#[derive(Debug)]
pub(crate) enum Memory {
    /// A copy of its parent's.
    Copied,
    /// Its parent's itself. Nothing has to be copied then, at the start or at the first write to each page.
    Borrowed(Borrowed),
}

impl Memory {
    /// An arena that such a process sees.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` or `mprotect(2)` answered.
    pub(crate) fn arena(&self) -> std::io::Result<Arena> {
        match self {
            Self::Copied => Arena::shared(),
            Self::Borrowed(borrowed) => Arena::own(borrowed),
        }
    }
}

/// The right to lend this process's memory to a child. While it is lent, this process cannot be traced or dumped
/// (`PR_SET_DUMPABLE`), as is due to the child: the kernel keeps that with the memory.
#[derive(Debug)]
pub(crate) struct Borrowed(());

/// Whether the memory is lent.
static LENT: AtomicBool = AtomicBool::new(false);

impl Borrowed {
    /// `None` if the memory is lent already, or if this process cannot be dumped for reasons of its own: a child could not
    /// write its id maps then.
    pub(crate) fn take() -> Option<Self> {
        if LENT.swap(true, Ordering::AcqRel) {
            return None;
        }
        if call::prctl(libc::PR_GET_DUMPABLE, 0) == Ok(1) {
            return Some(Self(()));
        }
        LENT.store(false, Ordering::Release);
        None
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // As it was: only a process that could be dumped lends its memory.
        call::prctl(libc::PR_SET_DUMPABLE, 1).map(drop).unwrap_or_default();
        LENT.store(false, Ordering::Release);
    }
}

/// The namespaces that a process can only be born in. It makes the others itself, while its parent goes on.
const BORN_IN: u64 = (libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64;

impl Waiting {
    /// Starts a process with an opening that lies in the arena, in a control group if one is given.
    ///
    /// # Errors
    ///
    /// What `clone3(2)` or making the pipes answered. What fails later is in [`Launched::outcome`].
    pub(crate) fn start<'a>(
        opening: Opening<'a>,
        arena: &'a Arena,
        memory: Memory,
        cgroup: Option<i32>,
    ) -> std::io::Result<Self> {
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
        let born_in = opening.namespaces & BORN_IN;
        let opening = Opening { namespaces: opening.namespaces & !BORN_IN, ..opening };
        // A copy of memory that is lent inherits what the kernel keeps with it.
        let make_dumpable = matches!(memory, Memory::Copied) && LENT.load(Ordering::Acquire);
        let task = arena.value(Task { opening, ends, supervisors, make_dumpable })?;
        // No signal handler of the embedding program may run in the child. The command gets the mask that its script
        // names.
        let mask = block_signals()?;
        let (cloned, borrowed) = match memory {
            Memory::Copied => (clone_copying(task, born_in, cgroup), None),
            Memory::Borrowed(borrowed) => (clone_borrowing(task, born_in, arena), Some(borrowed)),
        };
        restore_signals(&mask);
        let (pid, pidfd) = cloned?;
        let arena = arena.keep();
        Ok(Self(Some(Launched { pid, pidfd, status, control, report, _arena: arena, _borrowed: borrowed })))
    }

    /// The process id, as seen from here.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> Option<i32> {
        self.0.as_ref().map(|launched| launched.pid)
    }

    /// Tells the process what to do.
    ///
    /// # Errors
    ///
    /// `E2BIG` if the arena is full; what `send(2)` answered.
    pub(crate) fn tell<'a>(mut self, script: Script<'a>, arena: &'a Arena) -> std::io::Result<Launched> {
        let script = arena.value(script)?;
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

/// `clone(2)` of a child that works in this process's memory, on a stack of the arena.
fn clone_borrowing(task: Shared<'_, Task<'_>>, born_in: u64, arena: &Arena) -> std::io::Result<(i32, OwnedFd)> {
    extern "C" fn enter(task: *mut libc::c_void) -> i32 {
        // SAFETY: the address is that of the task below, in an arena that is kept until this process is gone.
        init::run(unsafe { &*task.cast::<Task<'_>>() })
    }
    let mut pidfd: i32 = -1;
    let flags = born_in as i32 | libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    let task = task.address() as *mut libc::c_void;
    // SAFETY: the stack is used by nobody else, is aligned as every processor's calling convention demands, and is kept
    // like the task until the child is gone. The child runs `init::run`, which allocates nothing, takes no lock, changes
    // no memory but its stack and cells of the arena, and never returns. With CLONE_PIDFD the last argument is where the
    // descriptor is written (clone(2)).
    let pid = unsafe { libc::clone(enter, arena.stack().as_ptr().cast(), flags, task, &raw mut pidfd) };
    if pid < 0 {
        return Err(Errno::last().into());
    }
    // SAFETY: the kernel wrote a new descriptor that nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// `clone3(2)` of a child with a copy of this process's memory.
fn clone_copying(task: Shared<'_, Task<'_>>, born_in: u64, cgroup: Option<i32>) -> std::io::Result<(i32, OwnedFd)> {
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
        flags: born_in | libc::CLONE_PIDFD as u64,
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
        Ok(0) => init::run(&task),
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
