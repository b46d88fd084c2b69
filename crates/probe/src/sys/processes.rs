//! Processes: what `std::process` cannot do.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::ptr;

use super::{check, check_int, own};

/// kill(2).
pub(crate) fn kill(process: i32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::kill(process, signal) }).map(drop)
}

/// ptrace(2) with `PTRACE_SEIZE`; the kernel detaches when the tracer exits.
pub(crate) fn seize(process: i32) -> io::Result<()> {
    // SAFETY: this request ignores its address and takes option bits as data: no memory of ours is touched.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) }).map(drop)
}

/// process_vm_readv(2) of a few bytes at `address` of another process.
pub(crate) fn read_memory(process: i32, address: usize, into: &mut [u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: ptr::without_provenance_mut(address), iov_len: into.len() };
    // SAFETY: the kernel writes only into `local`, which is exactly `into`; `remote` is never dereferenced here.
    check(unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) as libc::c_long })
        .map(drop)
}

/// process_vm_writev(2) of no bytes at all: the kernel checks the right to write first.
pub(crate) fn write_no_memory(process: i32) -> io::Result<()> {
    let byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw const byte).cast_mut().cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: ptr::null_mut(), iov_len: 1 };
    // SAFETY: the kernel only reads `local`, one byte that is alive; `remote` lies in the other process.
    check(unsafe { libc::process_vm_writev(process, &raw const local, 1, &raw const remote, 1, 0) as libc::c_long })
        .map(drop)
}

/// pidfd_open(2).
pub(crate) fn open(process: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    own(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) })
}

/// pidfd_getfd(2): a copy of a descriptor of another process.
pub(crate) fn take_descriptor(process: &OwnedFd, descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain integers, and the descriptor is open.
    own(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0) })
}

/// pidfd_send_signal(2).
pub(crate) fn signal(process: &OwnedFd, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: the signal information is null, which the call allows; the rest are integers.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, ptr::null::<u8>(), 0) })
        .map(drop)
}

/// prlimit(2): sets the core limit of another process to what it is.
pub(crate) fn set_core_limit(process: i32) -> io::Result<()> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the new limit is null, `limit` is writable.
    check_int(unsafe { libc::prlimit64(process, libc::RLIMIT_CORE, ptr::null(), &raw mut limit) })?;
    // SAFETY: `limit` is readable, the old limit is null.
    check_int(unsafe { libc::prlimit64(process, libc::RLIMIT_CORE, &raw const limit, ptr::null_mut()) }).map(drop)
}

/// setpriority(2): makes another process nicer.
pub(crate) fn make_nicer(process: i32) -> io::Result<()> {
    let process = libc::id_t::try_from(process).map_err(io::Error::other)?;
    // SAFETY: plain integers.
    check_int(unsafe { libc::setpriority(libc::PRIO_PROCESS, process, 19) }).map(drop)
}

/// sched_setaffinity(2): allows another process every processor.
pub(crate) fn set_affinity(process: i32) -> io::Result<()> {
    let everything = [u64::MAX; 16];
    // SAFETY: the mask is readable for the size that is passed.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, process, size_of_val(&everything), everything.as_ptr()) })
        .map(drop)
}

/// prctl(2) with `PR_SET_CHILD_SUBREAPER`.
pub(crate) fn become_subreaper() -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// How a process of the probe's is to detach itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detach {
    /// A new session and standard streams on nothing, as a daemon does.
    Session,
    /// The streams stay, so that a reader of them sees no end.
    KeepStreams,
}

/// A bound on the life of a survivor, in seconds, so that even an escaped one ends.
const SURVIVOR_SECONDS: libc::c_uint = 30;

/// Forks twice and leaves a grandchild behind that waits until it is killed; its process id comes back once it is
/// ready. `keep` is what it must go on holding.
pub(crate) fn leave_survivor(detach: Detach, keep: &File) -> io::Result<i32> {
    let (mut reader, writer) = io::pipe()?;
    match fork()? {
        Fork::Child => {
            // SAFETY: setsid takes nothing; that it fails in a group leader does not matter here.
            unsafe { libc::setsid() };
            if let Ok(Fork::Child) = fork() {
                survive(detach, keep, writer);
            }
            exit_now(0)
        }
        Fork::Parent(child) => {
            drop(writer);
            wait(child)?;
            let mut process = [0; size_of::<i32>()];
            reader.read_exact(&mut process)?;
            Ok(i32::from_ne_bytes(process))
        }
    }
}

fn survive(detach: Detach, keep: &File, mut ready: io::PipeWriter) -> ! {
    if detach == Detach::Session
        && let Ok(nothing) = File::options().read(true).write(true).open("/dev/null")
    {
        for stream in 0..=2 {
            // SAFETY: both descriptors are open or the call fails; this process is about to do nothing but wait.
            unsafe { libc::dup2(nothing.as_raw_fd(), stream) };
        }
    }
    let _ = ready.write_all(&std::process::id().to_ne_bytes());
    drop(ready);
    let _held = keep.as_raw_fd();
    // SAFETY: takes an integer; the default action of the alarm is what ends this process.
    unsafe { libc::alarm(SURVIVOR_SECONDS) };
    loop {
        // SAFETY: takes nothing, returns on a signal.
        unsafe { libc::pause() };
    }
}

/// Forks `wanted` children that wait together until all are there, and returns how many there were.
pub(crate) fn fork_together(wanted: usize, each: impl Fn() -> bool) -> io::Result<usize> {
    let (mut ready, ready_writer) = io::pipe()?;
    let (mut hold, hold_writer) = io::pipe()?;
    let mut children = Vec::new();
    let mut refusal = None;
    for _ in 0..wanted {
        match fork() {
            Ok(Fork::Child) => {
                drop(hold_writer);
                drop(ready);
                if each() {
                    let _ = (&ready_writer).write_all(&[1]);
                }
                drop(ready_writer);
                let _ = hold.read(&mut [0]);
                exit_now(0)
            }
            Ok(Fork::Parent(child)) => children.push(child),
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    drop(ready_writer);
    let mut bytes = vec![0; wanted];
    let mut arrived = 0;
    while arrived < children.len() {
        match ready.read(&mut bytes)? {
            0 => break,
            count => arrived += count,
        }
    }
    drop(hold_writer);
    for child in &children {
        wait(*child)?;
    }
    match refusal {
        Some(error) => Err(error),
        None => Ok(arrived),
    }
}

enum Fork {
    Child,
    Parent(libc::pid_t),
}

fn fork() -> io::Result<Fork> {
    // SAFETY: the probe has one thread, so the child's copy of the process is consistent.
    match check_int(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent(child)),
    }
}

fn exit_now(status: libc::c_int) -> ! {
    // SAFETY: ends this process at once, without running what the parent has registered.
    unsafe { libc::_exit(status) }
}

fn wait(child: libc::pid_t) -> io::Result<libc::c_int> {
    let mut status = 0;
    // SAFETY: `status` is a writable int.
    check_int(unsafe { libc::waitpid(child, &raw mut status, 0) })?;
    Ok(status)
}

/// Runs `body` in a child, and tells whether the child ended by itself with the status 0 that `body` gave. For calls
/// after which a process may be dead or useless.
pub(crate) fn in_child(body: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match fork()? {
        Fork::Child => {
            let errno = body().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
            exit_now(errno.min(255))
        }
        Fork::Parent(child) => {
            let status = wait(child)?;
            if libc::WIFSIGNALED(status) {
                return Err(io::Error::other(format!("killed by signal {}", libc::WTERMSIG(status))));
            }
            match libc::WEXITSTATUS(status) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

/// poll(2) on nothing: lets a monitor that samples have its turn. The duration is part of the attempt.
pub(crate) fn hold(milliseconds: libc::c_int) {
    // SAFETY: no descriptors are passed, so the null pointer is never read.
    unsafe { libc::poll(ptr::null_mut(), 0, milliseconds) };
}
