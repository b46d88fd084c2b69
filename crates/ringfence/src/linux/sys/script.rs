//! What the child does, prepared so that it needs no memory of its own.

use std::ffi::{CStr, CString};

use super::call::RawFd;
use super::network::Egress;
use crate::linux::seccomp::Instruction;

/// Everything between `clone` and `execve`.
pub(crate) struct Script {
    /// `CLONE_NEW*` flags.
    pub(crate) namespaces: u64,
    /// The cgroup that the child is born in.
    pub(crate) cgroup: Option<RawFd>,
    /// Contents of `uid_map` and `gid_map`, where there is a user namespace.
    pub(crate) maps: Option<IdMaps>,
    /// The file system.
    pub(crate) mounts: Vec<Step>,
    /// Descriptors of captured trees, by slot.
    pub(crate) slots: Vec<RawFd>,
    /// Whether the loopback device is brought up.
    pub(crate) loopback: bool,
    /// What the egress proxy needs inside.
    pub(crate) egress: Option<Egress>,
    /// The Landlock ruleset.
    pub(crate) ruleset: Option<Ruleset>,
    /// The seccomp program.
    pub(crate) filter: Vec<Instruction>,
    /// Which process locks itself down.
    pub(crate) lock_in: LockIn,
    /// Where the command starts.
    pub(crate) directory: CString,
    /// What is executed; nothing, if only the sandbox is tried out.
    pub(crate) program: Option<CString>,
    /// Arguments.
    pub(crate) argv: Strings,
    /// Environment.
    pub(crate) environment: Strings,
    /// `setrlimit(2)`: resource, limit.
    pub(crate) rlimits: Vec<(u32, u64)>,
    /// Processors, as the mask of `sched_setaffinity(2)`.
    pub(crate) affinity: Option<Vec<u64>>,
    /// The path of the terminal multiplexer, if the command gets a terminal of its own.
    pub(crate) terminal: Option<CString>,
    /// Descriptors that the command inherits beyond the standard ones.
    pub(crate) keep: Vec<RawFd>,
    /// The stack of the command's process until it executes the command.
    pub(crate) stack: Box<[StackBlock]>,
}

/// A piece of a stack, aligned as every processor's calling convention demands.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct StackBlock(#[expect(dead_code, reason = "only the kernel and the compiled code use it")] [u8; 16]);

impl StackBlock {
    /// An empty stack that is large enough for a handful of nested calls.
    pub(crate) fn stack() -> Box<[Self]> {
        vec![Self([0; 16]); 32 * 1024 / 16].into_boxed_slice()
    }
}

/// Strings, and the array of pointers to them that execve(2) takes.
pub(crate) struct Strings {
    pointers: Vec<*const libc::c_char>,
    /// Keeps what the pointers point to alive; a moved `CString` leaves its bytes where they are.
    _strings: Vec<CString>,
}

impl Strings {
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        // One free place in front, for the name of a shell.
        let pointers = std::iter::once(std::ptr::null())
            .chain(strings.iter().map(|string| string.as_ptr()))
            .chain([std::ptr::null()])
            .collect();
        Self { pointers, _strings: strings }
    }

    /// The array, ended by a null pointer.
    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers[1..].as_ptr()
    }

    /// The array for a shell that is to run `program`: its name, the program in place of the first string, the rest.
    pub(super) fn for_shell(&mut self, program: &CStr) -> *const *const libc::c_char {
        self.pointers[0] = c"sh".as_ptr();
        if self.pointers.len() > 2 {
            self.pointers[1] = program.as_ptr();
        }
        self.pointers.as_ptr()
    }
}

/// Identity mappings of a user namespace (user_namespaces(7)).
pub(crate) struct IdMaps {
    pub(crate) users: Vec<u8>,
    pub(crate) groups: Vec<u8>,
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
pub(crate) enum Step {
    Capture { slot: usize, path: CString, identity: Option<(u64, u64)>, recursive: bool, attributes: u64 },
    LockHost { attributes: u64 },
    EmptyRoot,
    DetachHost,
    Mount { path: CString, kind: CString, flags: u64, data: Option<CString> },
    Directory { path: CString, mode: u32 },
    File { path: CString },
    Text { path: CString, content: Vec<u8> },
    Symlink { path: CString, target: CString },
    Place { slot: usize, path: CString },
    Cover { path: CString, with: CString, optional: bool },
    ReadOnly { path: CString },
    Share { slot: usize, path: CString },
}

/// A prepared Landlock ruleset.
pub(crate) struct Ruleset {
    pub(crate) handled_files: u64,
    pub(crate) handled_network: u64,
    pub(crate) scoped: u64,
    /// TCP ports that may be connected to.
    pub(crate) connect: Vec<u16>,
    /// Path and rights; rights that only a directory can have are dropped for a file.
    pub(crate) rules: Vec<(CString, u64)>,
}

/// Where the child was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Stage {
    Start = 1,
    IdMaps,
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
    pub(crate) const ALL: [Self; 15] = [
        Self::Start,
        Self::IdMaps,
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
