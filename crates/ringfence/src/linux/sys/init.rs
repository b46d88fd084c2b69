//! The process that `clone` makes: it begins the sandbox, waits for its script, finishes the sandbox by it, starts the
//! command in it, and waits.
//!
//! In a PID namespace it is process 1, and when it ends the kernel ends everything else in there. Without one it is a
//! child subreaper outside the command's Landlock domain, and ends what the command left one by one.

use std::cell::Cell;

use super::call::{self, Errno, RawFd};
use super::lockdown;
use super::mounts::{self, Stopped};
use super::network;
use super::script::{Ended, Failure, LockIn, Opening, Script, Stage, Strings};

/// The child's ends of what connects it with the supervisor.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Failures; closed by a successful execve(2).
    pub(super) report: RawFd,
    /// How the command ended ([`Ended`]), when no process of the run but this one is left.
    pub(super) status: RawFd,
    /// The address of the script comes first, then signals to pass on, one byte each; closed when the supervisor is
    /// gone. A terminal goes the other way.
    pub(super) control: RawFd,
}

/// What the process is started with.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) opening: Opening<'a>,
    pub(super) ends: Ends,
    /// The other ends.
    pub(super) supervisors: [RawFd; 3],
    /// Whether this process has to be made dumpable before it can write its id maps.
    pub(super) make_dumpable: bool,
}

/// Carries the opening out, and then the script. Called in the child only.
pub(super) fn run(task: &Task<'_>) -> ! {
    // Or the end of the supervisor would not be seen here.
    task.supervisors.into_iter().for_each(call::close);
    let Err(failure) = prepare_and_wait(task);
    report(task.ends, failure)
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

fn prepare_and_wait(task: &Task<'_>) -> Result<std::convert::Infallible, Failure> {
    let Task { opening, ends, make_dumpable, .. } = *task;
    if make_dumpable {
        call::prctl(libc::PR_SET_DUMPABLE, 1).map_err(failed(Stage::Start))?;
    }
    // The caller's mask is for what the command makes, not for what is made here.
    let umask = set_umask(0);
    begin(&opening)?;
    let script = &wait_for_script(ends)?;
    // What was captured by the opening is placed by the script.
    for (all, captured) in script.slots.iter().zip(opening.slots.iter()) {
        all.set(captured.get());
    }
    let ours = [ends.report, ends.status, ends.control].into_iter().chain(script.slots.iter().map(Cell::get));
    keep_only(ours.chain(script.keep.iter().copied())).map_err(failed(Stage::Start))?;
    // Before the mounts, so that the supervisor has its sockets while those are made.
    if let Some(egress) = &script.egress {
        network::hand_over(egress, ends.control).map_err(|(index, errno)| failed_at(Stage::Egress, index, errno))?;
    }
    mounts::build(&script.mounts, script.slots).map_err(|stopped| not_mounted(stopped, script.steps_before))?;
    call::change_directory(&script.directory).map_err(failed(Stage::Directory))?;
    let terminal = match &script.terminal {
        Some(path) => Some(open_terminal(path, ends.control).map_err(failed(Stage::Terminal))?),
        None => None,
    };
    let ruleset = match &script.ruleset {
        Some(ruleset) => {
            Some(lockdown::prepare(ruleset).map_err(|(index, errno)| failed_at(Stage::Ruleset, index, errno))?)
        }
        None => None,
    };
    // Before the filter, which refuses to let the command change this.
    if let Some(mask) = &script.affinity {
        let arguments = [0, size_of_val::<[u64]>(mask), mask.address(), 0, 0, 0];
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
    let ended = child_events().map_err(failed(Stage::Start))?;
    let command = fork_command(&Start { script, ends, ruleset, terminal, umask }).map_err(failed(Stage::Fork))?;
    call::close(ends.report);
    // A reader of the command's output must see its end when the command's processes are gone, not when this one is.
    keep_only([ends.status, ends.control, ended].into_iter()).map_err(failed(Stage::Start))?;
    for standard in 0..3 {
        if ![ends.status, ends.control, ended].contains(&standard) {
            call::close(standard);
        }
    }
    wait(command, ended, ends)
}

/// What does not depend on the policy.
fn begin(opening: &Opening<'_>) -> Result<(), Failure> {
    if let Some(maps) = &opening.maps {
        write_file(c"/proc/self/setgroups", b"deny").map_err(failed(Stage::IdMaps))?;
        write_file(c"/proc/self/uid_map", &maps.users).map_err(failed(Stage::IdMaps))?;
        write_file(c"/proc/self/gid_map", &maps.groups).map_err(failed(Stage::IdMaps))?;
    }
    // Only now: the maps of a process that cannot be dumped belong to the superuser.
    call::prctl(libc::PR_SET_DUMPABLE, 0).map_err(failed(Stage::Start))?;
    call::unshare(opening.namespaces).map_err(failed(Stage::Namespaces))?;
    if opening.loopback {
        network::bring_up_loopback().map_err(failed(Stage::Loopback))?;
    }
    lockdown::forgo_privileges().map_err(failed(Stage::Privileges))?;
    mounts::build(&opening.mounts, opening.slots).map_err(|stopped| not_mounted(stopped, 0))
}

/// The script, when the supervisor has written it down and says where; ends the process if nobody will.
fn wait_for_script<'a>(ends: Ends) -> Result<Script<'a>, Failure> {
    let mut address = [0; size_of::<usize>()];
    match call::read(ends.control, &mut address).map_err(failed(Stage::Start))? {
        read if read == address.len() => {
            let script = usize::from_ne_bytes(address) as *const Script<'a>;
            // SAFETY: only the supervisor has the other end. It sends where a script lies in the arena, whose mapping this
            // process shares at the same addresses, and does not change it from then on. Whatever the script refers to
            // lies in there too, since only an arena makes such references; the mapping stays until the process ends.
            Ok(unsafe { *script })
        }
        _ => call::exit(0),
    }
}

fn failed_at(stage: Stage, index: usize, Errno(errno): Errno) -> Failure {
    Failure { stage, index: u32::try_from(index).unwrap_or(u32::MAX), errno }
}

fn not_mounted(stopped: Stopped, steps_before: usize) -> Failure {
    let stage = if stopped.changed { Stage::Changed } else { Stage::Mount };
    failed_at(stage, steps_before + stopped.index, stopped.errno)
}

/// What the command's process needs.
struct Start<'a> {
    script: &'a Script<'a>,
    ends: Ends,
    ruleset: Option<RawFd>,
    terminal: Option<RawFd>,
    umask: u32,
}

/// A stack that is large enough for a handful of nested calls, aligned as every processor's calling convention demands.
#[repr(C, align(16))]
struct Stack(std::mem::MaybeUninit<[u8; 32 * 1024]>);

/// Starts the command's process, which borrows this one's memory until it executes the command: copying the page tables
/// would take longer than all that it does.
fn fork_command(start: &Start<'_>) -> call::Result<i32> {
    extern "C" fn enter(start: *mut libc::c_void) -> i32 {
        // SAFETY: the address is that of the value below, whose owner is suspended until this process is gone or has
        // executed the command.
        let start = unsafe { &*start.cast::<Start<'_>>() };
        let Err(failure) = run_command(start);
        report(start.ends, failure)
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let mut stack = Stack(std::mem::MaybeUninit::uninit());
    let argument = std::ptr::from_ref(start).cast_mut().cast();
    // SAFETY: the stack is memory that nothing else uses, and its end is aligned as its type demands; it grows down from
    // there. Stack and argument live until the call returns, which is when the other process no longer shares this memory.
    let pid = unsafe { libc::clone(enter, (&raw mut stack).add(1).cast(), flags, argument) };
    // Only here the C library's error number is used, which may be the supervisor's: the run has failed then.
    if pid < 0 { Err(Errno::last()) } else { Ok(pid) }
}

fn lock(script: &Script<'_>, ruleset: Option<RawFd>) -> Result<(), Failure> {
    lockdown::drop_capabilities().map_err(failed(Stage::Privileges))?;
    if let Some(ruleset) = ruleset {
        lockdown::restrict(ruleset).map_err(failed(Stage::Ruleset))?;
    }
    lockdown::filter(script).map_err(failed(Stage::Filter))
}

/// The last steps in the command's own process.
fn run_command(start: &Start<'_>) -> Result<std::convert::Infallible, Failure> {
    let Start { script, ruleset, terminal, .. } = *start;
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
        unsafe { call::raw(libc::SYS_prlimit64, arguments) }.map_err(|errno| failed_at(Stage::Limits, index, errno))?;
    }
    // Everything is closed by execve(2), except what is named here.
    const CLOSE_ON_EXEC: u32 = 4;
    call::close_range(3, u32::MAX, CLOSE_ON_EXEC).map_err(failed(Stage::Descriptors))?;
    for fd in script.keep.iter() {
        call::inherit(*fd).map_err(failed(Stage::Descriptors))?;
    }
    if script.lock_in == LockIn::Command {
        lock(script, ruleset)?;
    }
    set_umask(start.umask);
    restore_signals(&script.signals).map_err(failed(Stage::Start))?;
    Err(failed(Stage::Execute)(execute(script)))
}

/// Executes the program, and as a shell script if the kernel does not know its format, as execvp(3) does.
fn execute(script: &Script<'_>) -> Errno {
    let Some(program) = &script.program else {
        return Errno(libc::ENOENT);
    };
    let execve = |program: &std::ffi::CStr, argv: Strings<'_>| {
        let arguments = [program.as_ptr() as usize, argv.address(), script.environment.address(), 0, 0, 0];
        // SAFETY: both arrays end with a null pointer, and every other pointer in them is a string in the arena.
        unsafe { call::raw(libc::SYS_execve, arguments) }.err().unwrap_or(Errno(libc::EINVAL))
    };
    match execve(program, script.argv) {
        Errno(libc::ENOEXEC) => execve(c"/bin/sh", script.shell_argv),
        errno => errno,
    }
}

/// A descriptor that can be read when a child has ended (signalfd(2)).
fn child_events() -> call::Result<RawFd> {
    let children = 1_u64 << (libc::SIGCHLD - 1);
    let flags = (libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) as usize;
    let arguments = [usize::MAX, (&raw const children) as usize, SIGNAL_SET, flags, 0, 0];
    // SAFETY: the set is the kernel's and lives through the call.
    unsafe { call::raw(libc::SYS_signalfd4, arguments) }.map(|fd| RawFd::try_from(fd).unwrap_or(-1))
}

/// Waits for the command, passes signals on, and ends with it.
fn wait(command: i32, ended: RawFd, ends: Ends) -> ! {
    loop {
        while let Ok(Some((pid, status))) = call::reap() {
            if pid == command {
                end_all();
                call::write(ends.status, &Ended::now(status).to_bytes()).unwrap_or_default();
                call::exit(0);
            }
        }
        let mut events = [
            libc::pollfd { fd: ended, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: ends.control, events: libc::POLLIN, revents: 0 },
        ];
        // SAFETY: the array is valid and its length is given; without a time limit or a mask the call only waits.
        unsafe { call::raw(libc::SYS_ppoll, [events.as_mut_ptr() as usize, events.len(), 0, 0, 0, 0]) }
            .unwrap_or_default();
        let mut drain = [0; 128];
        // The number of ended children does not matter: all are reaped above.
        call::read(ended, &mut drain).unwrap_or_default();
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
fn keep_only(kept: impl Iterator<Item = RawFd> + Clone) -> call::Result<()> {
    let mut from = 3;
    loop {
        // The smallest kept descriptor that is not below `from`: no sorting, no memory.
        let next = kept.clone().filter(|fd| *fd >= from).min();
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
    // The kernel's own structure: handler, flags, restorer, mask; all zero is the default action.
    let default = [0_usize; 4];
    let action = [libc::SIGPIPE as usize, default.as_ptr() as usize, 0, SIGNAL_SET, 0, 0];
    // SAFETY: the structure lives through the call.
    unsafe { call::raw(libc::SYS_rt_sigaction, action) }?;
    let set = [libc::SIG_SETMASK as usize, std::ptr::from_ref(mask) as usize, 0, SIGNAL_SET, 0, 0];
    // SAFETY: the C library's set begins with the kernel's, and lives through the call.
    unsafe { call::raw(libc::SYS_rt_sigprocmask, set) }.map(drop)
}

/// Size of the kernel's signal set.
const SIGNAL_SET: usize = 8;

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
