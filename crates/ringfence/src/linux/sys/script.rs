//! What the process that is started does, prepared so that it needs no memory of its own.

use std::cell::Cell;
use std::ffi::CStr;

use super::arena::{Arena, Shared};
use super::call::RawFd;
use super::network::Egress;
use crate::linux::seccomp::Instruction;

/// What the process begins with, before it waits for its [`Script`].
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    /// `CLONE_NEW*` flags.
    pub(crate) namespaces: u64,
    /// Contents of `uid_map` and `gid_map`, where there is a user namespace.
    pub(crate) maps: Option<IdMaps<'a>>,
    /// Whether the loopback device is brought up.
    pub(crate) loopback: bool,
    /// The first steps of the file system.
    pub(crate) mounts: Shared<'a, [Step<'a>]>,
    /// Room for descriptors of captured trees, by slot.
    pub(crate) slots: Slots<'a>,
}

/// Everything from there to `execve`.
#[derive(Clone, Copy)]
pub(crate) struct Script<'a> {
    /// What the egress proxy needs inside.
    pub(crate) egress: Option<Egress<'a>>,
    /// The further steps of the file system.
    pub(crate) mounts: Shared<'a, [Step<'a>]>,
    /// How many steps came before them.
    pub(crate) steps_before: usize,
    /// Room for all descriptors of captured trees, by slot.
    pub(crate) slots: Slots<'a>,
    /// The Landlock ruleset.
    pub(crate) ruleset: Option<Ruleset<'a>>,
    /// The seccomp program.
    pub(crate) filter: Shared<'a, [Instruction]>,
    /// Which process locks itself down.
    pub(crate) lock_in: LockIn,
    /// Where the command starts.
    pub(crate) directory: Shared<'a, CStr>,
    /// What is executed; nothing, if only the sandbox is tried out.
    pub(crate) program: Option<Shared<'a, CStr>>,
    /// Arguments.
    pub(crate) argv: Strings<'a>,
    /// Arguments for a shell that is to run the program: its name, the program, all arguments but the first.
    pub(crate) shell_argv: Strings<'a>,
    /// Environment.
    pub(crate) environment: Strings<'a>,
    /// `setrlimit(2)`: resource, limit.
    pub(crate) rlimits: Shared<'a, [(u32, u64)]>,
    /// Processors, as the mask of `sched_setaffinity(2)`.
    pub(crate) affinity: Option<Shared<'a, [u64]>>,
    /// The path of the terminal multiplexer, if the command gets a terminal of its own.
    pub(crate) terminal: Option<Shared<'a, CStr>>,
    /// Descriptors that the command inherits beyond the standard ones.
    pub(crate) keep: Shared<'a, [RawFd]>,
    /// The command's signal mask.
    pub(crate) signals: libc::sigset_t,
}

/// Descriptors that the process itself fills in.
pub(crate) type Slots<'a> = Shared<'a, [Cell<RawFd>]>;

/// An array of pointers to strings, ended by a null pointer, as execve(2) takes it.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'a>(Shared<'a, [*const libc::c_char]>);

impl<'a> Strings<'a> {
    /// Lays an array of strings out.
    ///
    /// # Errors
    ///
    /// If the arena is full.
    pub(crate) fn new(arena: &'a Arena, strings: &[Shared<'a, CStr>]) -> std::io::Result<Self> {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        arena.list(pointers).map(Self)
    }

    /// The array.
    pub(super) fn address(self) -> usize {
        self.0.address()
    }
}

/// Identity mappings of a user namespace (user_namespaces(7)).
#[derive(Clone, Copy)]
pub(crate) struct IdMaps<'a> {
    pub(crate) users: Shared<'a, [u8]>,
    pub(crate) groups: Shared<'a, [u8]>,
}

/// Which process takes the filter, the ruleset and the loss of privileges on itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockIn {
    /// The one that waits for the command, and the command through it.
    Init,
    /// The command only: without a PID namespace the other one must be able to end what the command left.
    Command,
}

/// A prepared [`MountStep`](crate::plan::linux::MountStep).
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Capture { slot: usize, path: Shared<'a, CStr>, identity: Option<(u64, u64)>, recursive: bool, attributes: u64 },
    LockHost { attributes: u64 },
    EmptyRoot,
    DetachHost,
    Mount { path: Shared<'a, CStr>, kind: Shared<'a, CStr>, flags: u64, data: Option<Shared<'a, CStr>> },
    Directory { path: Shared<'a, CStr>, mode: u32 },
    File { path: Shared<'a, CStr> },
    Text { path: Shared<'a, CStr>, content: Shared<'a, [u8]> },
    Symlink { path: Shared<'a, CStr>, target: Shared<'a, CStr> },
    Place { slot: usize, path: Shared<'a, CStr> },
    Cover { path: Shared<'a, CStr>, with: Shared<'a, CStr>, optional: bool },
    ReadOnly { path: Shared<'a, CStr> },
    Share { slot: usize, path: Shared<'a, CStr> },
}

/// A prepared Landlock ruleset.
#[derive(Clone, Copy)]
pub(crate) struct Ruleset<'a> {
    pub(crate) handled_files: u64,
    pub(crate) handled_network: u64,
    pub(crate) scoped: u64,
    /// TCP ports that may be connected to.
    pub(crate) connect: Shared<'a, [u16]>,
    /// Path and rights; rights that only a directory can have are dropped for a file.
    pub(crate) rules: Shared<'a, [(Shared<'a, CStr>, u64)]>,
}

/// Where the child was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Stage {
    Start = 1,
    IdMaps,
    Namespaces,
    Mount,
    Changed,
    Loopback,
    Egress,
    Directory,
    Ruleset,
    Privileges,
    Filter,
    Terminal,
    Fork,
    Limits,
    Descriptors,
    Execute,
}

impl Stage {
    pub(crate) const ALL: [Self; 16] = [
        Self::Start,
        Self::IdMaps,
        Self::Namespaces,
        Self::Mount,
        Self::Changed,
        Self::Loopback,
        Self::Egress,
        Self::Directory,
        Self::Ruleset,
        Self::Privileges,
        Self::Filter,
        Self::Terminal,
        Self::Fork,
        Self::Limits,
        Self::Descriptors,
        Self::Execute,
    ];
}

/// What the child reports when a step fails: the stage, the index of the step in it, the error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) index: u32,
    pub(crate) errno: i32,
}

impl Failure {
    pub(crate) const SIZE: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&(self.stage as u32).to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.index.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.errno.to_ne_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let stage = Stage::ALL.into_iter().find(|stage| *stage as u32 == word(0))?;
        Some(Self { stage, index: word(4), errno: word(8).cast_signed() })
    }
}

/// How the command ended and what the tree used, as the process that waited for it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The wait status (wait(2)).
    pub(crate) status: i32,
    /// Processor time in programs, in milliseconds.
    pub(crate) user_ms: u64,
    /// Processor time in the kernel, in milliseconds.
    pub(crate) system_ms: u64,
    /// The largest resident set of one process, in bytes.
    pub(crate) max_rss_bytes: u64,
}

impl Ended {
    pub(crate) const SIZE: usize = 32;

    pub(super) fn now(status: i32) -> Self {
        let usage = super::call::children_usage();
        let milliseconds = |time: libc::timeval| {
            time.tv_sec.unsigned_abs().saturating_mul(1000).saturating_add(time.tv_usec.unsigned_abs() / 1000)
        };
        Self {
            status,
            user_ms: milliseconds(usage.ru_utime),
            system_ms: milliseconds(usage.ru_stime),
            max_rss_bytes: usage.ru_maxrss.unsigned_abs().saturating_mul(1024),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let words = [u64::from(self.status.cast_unsigned()), self.user_ms, self.system_ms, self.max_rss_bytes];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let mut words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
        let mut next = || words.next().unwrap_or_default();
        Self {
            status: u32::try_from(next()).unwrap_or(u32::MAX).cast_signed(),
            user_ms: next(),
            system_ms: next(),
            max_rss_bytes: next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_child_tells_arrives_as_it_was() {
        let ended = Ended { status: -1, user_ms: 1, system_ms: u64::MAX, max_rss_bytes: 3 };
        assert_eq!(Ended::from_bytes(ended.to_bytes()), ended);
        for stage in Stage::ALL {
            let failure = Failure { stage, index: 7, errno: 13 };
            assert_eq!(Failure::from_bytes(failure.to_bytes()), Some(failure));
        }
        assert_eq!(Failure::from_bytes([0; Failure::SIZE]), None);
    }
}
