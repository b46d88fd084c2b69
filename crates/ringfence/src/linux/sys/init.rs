//! The process that `clone` makes: it builds the sandbox, starts the command in it, and waits.
//!
//! In a PID namespace it is process 1, and when it ends the kernel ends everything else in there. Without one it is a
//! child subreaper outside the command's Landlock domain, and ends what the command left one by one.

use super::call::{self, Errno, RawFd};
use super::lockdown;
use super::mounts;
use super::network;
use super::script::{Ended, Failure, LockIn, Script, Stage};

/// The child's ends of what connects it with the supervisor.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Failures; closed by a successful execve(2).
    pub(super) report: RawFd,
    /// How the command ended ([`Ended`]), when no process of the run but this one is left.
    pub(super) status: RawFd,
    /// Signals to pass on, one byte each; closed when the supervisor is gone. A terminal goes the other way.
    pub(super) control: RawFd,
}

/// Runs the script. Called in the child only.
pub(super) fn run(script: &mut Script, ends: Ends, mask: &libc::sigset_t) -> ! {
    let Err(failure) = prepare_and_wait(script, ends, mask);
    report(ends, failure)
}

/// Tells the supervisor and ends.
fn report(ends: Ends, failure: Failure) -> ! {
    // Nobody is left to tell if this fails; the supervisor then sees the pipe close, and the status.
    call::write(ends.report, &failure.to_bytes()).unwrap_or_default();
    call::exit(125)
}

fn failed(stage: Stage) -> impl Fn(Errno) -> Failure {
    move |Errno(errno)| Failure { stage, index: 0, errno }
}

fn prepare_and_wait(
    script: &mut Script,
    ends: Ends,
    mask: &libc::sigset_t,
) -> Result<std::convert::Infallible, Failure> {
    keep_only(&[ends.report, ends.status, ends.control], &script.keep).map_err(failed(Stage::Start))?;
    // The caller's mask is for what the command makes, not for what is made here.
    let umask = set_umask(0);
    if let Some(maps) = &script.maps {
        write_file(c"/proc/self/setgroups", b"deny").map_err(failed(Stage::IdMaps))?;
        write_file(c"/proc/self/uid_map", &maps.users).map_err(failed(Stage::IdMaps))?;
        write_file(c"/proc/self/gid_map", &maps.groups).map_err(failed(Stage::IdMaps))?;
    }
    // Only now: the maps of a process that cannot be dumped belong to the superuser.
    call::prctl(libc::PR_SET_DUMPABLE, 0).map_err(failed(Stage::Start))?;
    if script.loopback {
        network::bring_up_loopback().map_err(failed(Stage::Loopback))?;
    }
    // Before the mounts, so that the supervisor has its sockets while those are made.
    if let Some(egress) = &script.egress {
        network::hand_over(egress, ends.control).map_err(|(index, Errno(errno))| Failure {
            stage: Stage::Egress,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            errno,
        })?;
    }
    mounts::build(&script.mounts, &mut script.slots).map_err(|stopped| Failure {
        stage: if stopped.changed { Stage::Changed } else { Stage::Mount },
        index: u32::try_from(stopped.index).unwrap_or(u32::MAX),
        errno: stopped.errno.0,
    })?;
    call::change_directory(&script.directory).map_err(failed(Stage::Directory))?;
    let terminal = match &script.terminal {
        Some(path) => Some(open_terminal(path, ends.control).map_err(failed(Stage::Terminal))?),
        None => None,
    };
    let ruleset = match &script.ruleset {
        Some(ruleset) => Some(lockdown::prepare(ruleset).map_err(|(index, Errno(errno))| Failure {
            stage: Stage::Ruleset,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            errno,
        })?),
        None => None,
    };
    // Before the filter, which refuses to let the command change this.
    if let Some(mask) = &script.affinity {
        let arguments = [0, size_of_val(mask.as_slice()), mask.as_ptr() as usize, 0, 0, 0];
        // SAFETY: pointer and size describe the mask.
        unsafe { call::raw(libc::SYS_sched_setaffinity, arguments) }.map_err(failed(Stage::Limits))?;
    }
    if script.lock_in == LockIn::Init {
        lock(script, ruleset)?;
    } else {
        call::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map_err(failed(Stage::Start))?;
    }
    if script.program.is_none() {
        call::exit(0);
    }
    let command = fork_command(script, Start { ends, ruleset, terminal, mask, umask }).map_err(failed(Stage::Fork))?;
    call::close(ends.report);
    // A reader of the command's output must see its end when the command's processes are gone, not when this one is.
    keep_only(&[ends.status, ends.control], &[]).map_err(failed(Stage::Start))?;
    for standard in 0..3 {
        if standard != ends.status && standard != ends.control {
            call::close(standard);
        }
    }
    wait(command, ends)
}

/// What the command's process needs beside the script.
#[derive(Clone, Copy)]
struct Start<'a> {
    ends: Ends,
    ruleset: Option<RawFd>,
    terminal: Option<RawFd>,
    mask: &'a libc::sigset_t,
    umask: u32,
}

/// Starts the command's process, which borrows this one's memory until it executes the command: copying the page tables
/// would take longer than all that it does.
fn fork_command(script: &mut Script, start: Start<'_>) -> call::Result<i32> {
    struct Argument<'a> {
        script: *mut Script,
        start: Start<'a>,
    }
    extern "C" fn enter(argument: *mut libc::c_void) -> i32 {
        // SAFETY: the address is that of the argument below, whose owner is suspended until this process is gone or has
        // executed the command; so nobody else uses it or the script.
        let (script, start) = unsafe {
            let argument = &*argument.cast::<Argument<'_>>();
            (&mut *argument.script, argument.start)
        };
        let Err(failure) = run_command(script, start);
        report(start.ends, failure)
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = script.stack.as_mut_ptr_range().end;
    let mut argument = Argument { script, start };
    // SAFETY: the stack is memory of the script's that nothing else uses, and its end is aligned as the type demands; it
    // grows down from there. The argument lives until the call returns, which is when the other process no longer
    // shares this memory.
    let pid = unsafe { libc::clone(enter, top.cast(), flags, (&raw mut argument).cast()) };
    if pid < 0 { Err(Errno::last()) } else { Ok(pid) }
}

fn lock(script: &Script, ruleset: Option<RawFd>) -> Result<(), Failure> {
    lockdown::drop_privileges().map_err(failed(Stage::Privileges))?;
    if let Some(ruleset) = ruleset {
        lockdown::restrict(ruleset).map_err(failed(Stage::Ruleset))?;
    }
    lockdown::filter(script).map_err(failed(Stage::Filter))
}

/// The last steps in the command's own process.
fn run_command(script: &mut Script, start: Start<'_>) -> Result<std::convert::Infallible, Failure> {
    let Start { ruleset, terminal, mask, .. } = start;
    // A session of its own: a signal that the command sends to its process group stays in the run, and the caller's
    // terminal is not its controlling one.
    // SAFETY: no arguments.
    unsafe { call::raw(libc::SYS_setsid, [0; 6]) }.map_err(failed(Stage::Terminal))?;
    if let Some(terminal) = terminal {
        take_terminal(terminal).map_err(failed(Stage::Terminal))?;
    }
    for (index, (resource, limit)) in script.rlimits.iter().enumerate() {
        let limit = libc::rlimit { rlim_cur: *limit, rlim_max: *limit };
        let arguments = [0, *resource as usize, (&raw const limit) as usize, 0, 0, 0];
        // SAFETY: the limit lives through the call.
        unsafe { call::raw(libc::SYS_prlimit64, arguments) }.map_err(|Errno(errno)| Failure {
            stage: Stage::Limits,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            errno,
        })?;
    }
    // Everything is closed by execve(2), except what is named here.
    const CLOSE_ON_EXEC: u32 = 4;
    call::close_range(3, u32::MAX, CLOSE_ON_EXEC).map_err(failed(Stage::Descriptors))?;
    for fd in &script.keep {
        call::inherit(*fd).map_err(failed(Stage::Descriptors))?;
    }
    if script.lock_in == LockIn::Command {
        lock(script, ruleset)?;
    }
    set_umask(start.umask);
    restore_signals(mask).map_err(failed(Stage::Start))?;
    Err(failed(Stage::Execute)(execute(script)))
}

/// Executes the program, and as a shell script if the kernel does not know its format, as execvp(3) does.
fn execute(script: &mut Script) -> Errno {
    let Some(program) = &script.program else {
        return Errno(libc::ENOENT);
    };
    let environment = script.environment.as_ptr() as usize;
    let execve = |program: &std::ffi::CStr, argv: *const *const libc::c_char| {
        let arguments = [program.as_ptr() as usize, argv as usize, environment, 0, 0, 0];
        // SAFETY: both arrays end with a null pointer, and every other pointer in them is a string of the script.
        unsafe { call::raw(libc::SYS_execve, arguments) }.err().unwrap_or(Errno(libc::EINVAL))
    };
    match execve(program, script.argv.as_ptr()) {
        Errno(libc::ENOEXEC) => execve(c"/bin/sh", script.argv.for_shell(program)),
        errno => errno,
    }
}

/// Waits for the command, passes signals on, and ends with it.
fn wait(command: i32, ends: Ends) -> ! {
    let mut children = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by sigemptyset(3) before it is used; both calls only write to it.
    let signals = unsafe {
        libc::sigemptyset(children.as_mut_ptr());
        libc::sigaddset(children.as_mut_ptr(), libc::SIGCHLD);
        libc::signalfd(-1, children.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    loop {
        while let Ok(Some((pid, status))) = call::reap() {
            if pid == command {
                end_all();
                call::write(ends.status, &Ended::now(status).to_bytes()).unwrap_or_default();
                call::exit(0);
            }
        }
        let mut events = [
            libc::pollfd { fd: signals, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: ends.control, events: libc::POLLIN, revents: 0 },
        ];
        // SAFETY: the array is valid and its length is given.
        unsafe { libc::poll(events.as_mut_ptr(), 2, -1) };
        let mut drain = [0; 128];
        // The number of ended children does not matter: all are reaped above.
        call::read(signals, &mut drain).unwrap_or_default();
        if events[1].revents != 0 {
            let mut signal = [0; 1];
            match call::read(ends.control, &mut signal) {
                // The command leads a process group of its own.
                Ok(1) => call::kill(-command, i32::from(signal[0])).unwrap_or_default(),
                // The supervisor is gone.
                _ => {
                    end_all();
                    call::exit(0);
                }
            }
        }
    }
}

/// Ends every other process of the run, and returns when none is left.
fn end_all() {
    // In a PID namespace of its own this is process 1, and one call ends all others there, which become its children.
    // Anywhere else the same call would end every process of the user.
    if call::process_id() == 1 {
        call::kill(-1, libc::SIGKILL).unwrap_or_default();
        while call::wait_for_any().is_ok() {}
    } else {
        end_descendants();
    }
}

/// Ends everything that descends from this process: the children, then what becomes a child when its parent is gone.
fn end_descendants() {
    // Each round ends at least one process; the bound only stops a tree that forks faster than it is ended.
    for _ in 0..100_000 {
        let mut list = [0; 4096];
        let read = call::open(c"/proc/thread-self/children", libc::O_RDONLY, 0).and_then(|fd| {
            let read = call::read(fd, &mut list);
            call::close(fd);
            read
        });
        for pid in numbers(&list[..read.unwrap_or_default()]) {
            call::kill(pid, libc::SIGKILL).unwrap_or_default();
        }
        if call::wait_for_any() == Err(Errno(libc::ECHILD)) {
            return;
        }
    }
}

/// The numbers of a text, separated by anything else. The last may be cut off by the buffer, so it must be ended by a
/// separator.
fn numbers(text: &[u8]) -> impl Iterator<Item = i32> + '_ {
    text.split_inclusive(|byte| !byte.is_ascii_digit()).filter_map(|part| {
        let (last, digits) = part.split_last()?;
        if last.is_ascii_digit() || digits.is_empty() {
            return None;
        }
        digits.iter().try_fold(0i32, |sum, digit| sum.checked_mul(10)?.checked_add(i32::from(digit - b'0')))
    })
}

/// Closes every descriptor above 2 but these.
fn keep_only(ours: &[RawFd], more: &[RawFd]) -> call::Result<()> {
    let mut from = 3;
    loop {
        // The smallest kept descriptor that is not below `from`: no sorting, no memory.
        let next = ours.iter().chain(more).copied().filter(|fd| *fd >= from).min();
        let last = next.map_or(u32::MAX, |fd| fd.unsigned_abs().saturating_sub(1));
        if from.unsigned_abs() <= last {
            call::close_range(from.unsigned_abs(), last, 0)?;
        }
        match next {
            Some(fd) => from = fd + 1,
            None => return Ok(()),
        }
    }
}

fn write_file(path: &std::ffi::CStr, bytes: &[u8]) -> call::Result<()> {
    let fd = call::open(path, libc::O_WRONLY, 0)?;
    let result = call::write(fd, bytes);
    call::close(fd);
    result
}

/// Sets the file mode creation mask and returns the one before.
fn set_umask(mask: u32) -> u32 {
    // SAFETY: umask(2) takes a number and cannot fail.
    let before = unsafe { call::raw(libc::SYS_umask, [mask as usize, 0, 0, 0, 0, 0]) };
    before.ok().and_then(|before| u32::try_from(before).ok()).unwrap_or(mask)
}

/// The signal mask that the caller had, and the default action for SIGPIPE, which Rust programs ignore.
fn restore_signals(mask: &libc::sigset_t) -> call::Result<()> {
    // SAFETY: a signal number and the default action; then a valid mask.
    let result = unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// Makes a pseudo-terminal of the run's own terminal file system, hands its master to the supervisor and waits until
/// that has set the size. Returns the command's side.
fn open_terminal(multiplexer: &std::ffi::CStr, control: RawFd) -> call::Result<RawFd> {
    let master = call::open(multiplexer, libc::O_RDWR | libc::O_NOCTTY, 0)?;
    let unlock: i32 = 0;
    // SAFETY: TIOCSPTLCK reads an int.
    unsafe { call::control(master, libc::TIOCSPTLCK, (&raw const unlock) as usize) }?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags as a number.
    let slave = unsafe { call::control(master, libc::TIOCGPTPEER, flags as usize) }?;
    call::send_descriptor(control, master)?;
    call::close(master);
    let mut ready = [0; 1];
    match call::read(control, &mut ready)? {
        1 => Ok(RawFd::try_from(slave).unwrap_or(-1)),
        _ => Err(Errno(libc::EPIPE)),
    }
}

/// Makes the terminal the controlling one of the session, and the standard descriptors.
fn take_terminal(terminal: RawFd) -> call::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    unsafe { call::control(terminal, libc::TIOCSCTTY, 0) }?;
    (0..3).try_for_each(|standard| call::duplicate_onto(terminal, standard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_number_is_not_taken_for_a_process() {
        assert_eq!(numbers(b"12 345 6").collect::<Vec<_>>(), [12, 345]);
        assert_eq!(numbers(b"12 345 ").collect::<Vec<_>>(), [12, 345]);
        assert_eq!(numbers(b"").count(), 0);
        assert_eq!(numbers(b"99999999999 7 ").collect::<Vec<_>>(), [7]);
    }
}
