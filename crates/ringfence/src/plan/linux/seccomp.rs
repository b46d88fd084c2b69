//! The system call filter as data: which calls are refused, and with which error.
//!
//! The filter is the third lock. It takes away the calls that make new mounts and namespaces, that reach keys, other
//! processes' descriptors or the kernel's own machinery, and socket families that leave the network namespace. A call
//! with a number that the table does not know is refused as if the kernel did not have it, so that tomorrow's kernel
//! adds nothing.

use ringfence_policy::NetworkMode;
use serde::{Deserialize, Serialize};

use super::Mechanism;
use crate::facts::Architecture;

/// A filter: what is not named is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompPlan {
    /// The architecture that the numbers are for; any other kills the process.
    pub architecture: Architecture,
    /// The refusals.
    pub rules: Vec<SeccompRule>,
}

/// Refusal of one system call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompRule {
    /// The call's name, as in syscalls(2).
    pub call: String,
    /// When it is refused; always, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// What the caller gets.
    pub action: SeccompAction,
}

/// A condition on one argument. Only its low 32 bits are compared: every argument named here is an `int` or has all
/// its meaning there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Any of these bits is set.
    AnyBit {
        /// Argument number.
        argument: u8,
        /// The bits.
        bits: u32,
    },
    /// It is one of these values.
    OneOf {
        /// Argument number.
        argument: u8,
        /// The values.
        values: Vec<u32>,
    },
    /// It is none of these values.
    NoneOf {
        /// Argument number.
        argument: u8,
        /// The values.
        values: Vec<u32>,
    },
    /// One argument has a value, and another is none of these.
    Both {
        /// Argument number of the first.
        argument: u8,
        /// Its value.
        value: u32,
        /// Argument number of the second.
        other: u8,
        /// What the second must be one of.
        allowed: Vec<u32>,
    },
}

/// What a refused call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeccompAction {
    /// Not permitted.
    Eperm,
    /// The kernel has no such call: callers have a fallback.
    Enosys,
    /// The address family is not supported.
    Eafnosupport,
}

/// Mounts: the view that was built stays as it is.
const MOUNT: &[&str] = &[
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "swapon",
    "swapoff",
    "quotactl",
    "quotactl_fd",
    "acct",
];

/// Reaching what belongs to others: descriptors of other processes, files by handle, keys, the kernel's log.
const OTHERS: &[&str] = &[
    "setns",
    "pidfd_getfd",
    "open_by_handle_at",
    "keyctl",
    "add_key",
    "request_key",
    "syslog",
    "fanotify_init",
    "kcmp",
];

/// The kernel's own machinery, and subsystems whose faults are a way out more often than a program's need.
const KERNEL: &[&str] = &[
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "iopl",
    "ioperm",
    "modify_ldt",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "vhangup",
    "nfsservctl",
    "lookup_dcookie",
    "uselib",
    "_sysctl",
    "sysfs",
    "ustat",
    "move_pages",
    "migrate_pages",
    "set_mempolicy_home_node",
];

/// Objects of System V and POSIX IPC, which only a namespace of its own keeps apart.
const IPC: &[&str] = &[
    "shmget",
    "shmat",
    "shmctl",
    "semget",
    "semctl",
    "semop",
    "semtimedop",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "mq_open",
    "mq_unlink",
];

/// `CLONE_NEW*` of clone(2): time, mount, cgroup, UTS, IPC, user, PID, network.
pub(crate) const NEW_NAMESPACE: u32 = 0x7e02_0080;

/// `TIOCSTI`, `TIOCCONS` and `TIOCLINUX` of ioctl_tty(2): typing into, stealing and pasting at the caller's terminal.
const TERMINAL: &[u32] = &[0x5412, 0x541d, 0x541c];

/// personality(2): `PER_LINUX`, `PER_LINUX32`, `UNAME26` with either, `ADDR_NO_RANDOMIZE` for debuggers, and the query.
const PERSONALITIES: &[u32] = &[0, 0x8, 0x2_0000, 0x2_0008, 0x4_0000, 0xffff_ffff];

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
/// Routing information, which resolvers and runtimes read; every other netlink protocol configures the kernel.
const NETLINK_ROUTE: u32 = 0;

pub(super) fn plan(
    architecture: Architecture,
    mechanism: Mechanism,
    network: NetworkMode,
    pinned: bool,
) -> SeccompPlan {
    let mut rules = rules(mechanism, network, pinned);
    rules.retain(|rule| crate::syscalls::number(architecture, &rule.call).is_some());
    SeccompPlan { architecture, rules }
}

/// The refusals, whatever the architecture; not every one has every call.
fn rules(mechanism: Mechanism, network: NetworkMode, pinned: bool) -> Vec<SeccompRule> {
    let mut rules = Vec::new();
    let refuse = |calls: &[&str]| calls.iter().map(|call| rule(call, None, SeccompAction::Eperm)).collect::<Vec<_>>();
    for calls in [MOUNT, OTHERS, KERNEL] {
        rules.extend(refuse(calls));
    }
    // Its flags lie in memory, where a filter cannot look; C libraries fall back to clone(2).
    rules.push(rule("clone3", None, SeccompAction::Enosys));
    for call in ["clone", "unshare"] {
        rules.push(rule(call, Some(Condition::AnyBit { argument: 0, bits: NEW_NAMESPACE }), SeccompAction::Eperm));
    }
    rules.push(rule("ioctl", Some(Condition::OneOf { argument: 1, values: TERMINAL.to_vec() }), SeccompAction::Eperm));
    // Everything but the ordinary ones weakens the memory protection of what is executed next.
    let ordinary = Condition::NoneOf { argument: 0, values: PERSONALITIES.to_vec() };
    rules.push(rule("personality", Some(ordinary), SeccompAction::Eperm));
    if pinned {
        rules.push(rule("sched_setaffinity", None, SeccompAction::Eperm));
    }
    let mut families = vec![AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];
    if mechanism == Mechanism::Landlock {
        rules.extend(refuse(IPC));
        // Here there is no namespace that makes a socket harmless, and no rule that looks at a socket's path.
        families = match network {
            NetworkMode::Open => vec![AF_INET, AF_INET6, AF_NETLINK],
            NetworkMode::Allowlist => vec![AF_INET, AF_INET6],
            NetworkMode::Off => Vec::new(),
        };
        if network == NetworkMode::Allowlist {
            rules.extend(only_tcp_connections());
        }
    }
    let family = |call| {
        let when = Condition::NoneOf { argument: 0, values: families.clone() };
        rule(call, Some(when), SeccompAction::Eafnosupport)
    };
    rules.push(family("socket"));
    if mechanism == Mechanism::Namespaces {
        rules.push(family("socketpair"));
    }
    if families.contains(&AF_NETLINK) {
        let when = Condition::Both { argument: 0, value: AF_NETLINK, other: 2, allowed: vec![NETLINK_ROUTE] };
        rules.push(rule("socket", Some(when), SeccompAction::Eafnosupport));
    }
    rules
}

/// What Landlock's rule about TCP connections does not look at: every other protocol, data that is sent before a connection
/// (TCP Fast Open), and waiting for connections, for which the kernel chooses a port by itself.
fn only_tcp_connections() -> Vec<SeccompRule> {
    const SOCK_STREAM: u32 = 1;
    const SOCK_NONBLOCK: u32 = 0x800;
    const SOCK_CLOEXEC: u32 = 0x8_0000;
    const IPPROTO_TCP: u32 = 6;
    const MSG_FASTOPEN: u32 = 0x2000_0000;
    let types = [0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC].map(|flags| SOCK_STREAM | flags);
    let socket = |argument, values: &[u32]| {
        rule("socket", Some(Condition::NoneOf { argument, values: values.to_vec() }), SeccompAction::Eperm)
    };
    let fast_open =
        |call, argument| rule(call, Some(Condition::AnyBit { argument, bits: MSG_FASTOPEN }), SeccompAction::Eperm);
    vec![
        socket(1, &types),
        socket(2, &[0, IPPROTO_TCP]),
        rule("listen", None, SeccompAction::Eperm),
        fast_open("sendto", 3),
        fast_open("sendmsg", 2),
        fast_open("sendmmsg", 3),
    ]
}

fn rule(call: &str, when: Option<Condition>, action: SeccompAction) -> SeccompRule {
    SeccompRule { call: call.to_owned(), when, action }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_refused_has_a_number_somewhere() {
        for mechanism in [Mechanism::Namespaces, Mechanism::Landlock] {
            for network in [NetworkMode::Off, NetworkMode::Allowlist, NetworkMode::Open] {
                for rule in rules(mechanism, network, true) {
                    // A name that no table knows would be dropped without a word.
                    let known = [Architecture::X86_64, Architecture::Aarch64]
                        .map(|architecture| crate::syscalls::number(architecture, &rule.call));
                    assert_ne!(known, [None, None], "{}", rule.call);
                }
            }
        }
    }
}
