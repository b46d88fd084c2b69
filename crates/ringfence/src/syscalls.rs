//! System call numbers of the calls that a filter names.
//!
//! Sources: `arch/x86/entry/syscalls/syscall_64.tbl` and `scripts/syscall.tbl` of Linux. Since 5.1 new calls have the
//! same number on every architecture.

use crate::facts::Architecture;

/// The highest number that this table's authors have looked at (`file_setattr`, Linux 6.17).
#[cfg(target_os = "linux")]
pub(crate) const LAST_KNOWN: u32 = 469;

/// Set in the number of an x32 call, which a filter for x86-64 must refuse (seccomp(2)).
#[cfg(target_os = "linux")]
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// The number of a call, if the architecture has it.
pub(crate) fn number(architecture: Architecture, call: &str) -> Option<u32> {
    let index = CALLS.binary_search_by_key(&call, |(name, ..)| name).ok()?;
    let (_, x86_64, aarch64) = CALLS[index];
    match architecture {
        Architecture::X86_64 => x86_64,
        Architecture::Aarch64 => aarch64,
    }
}

/// The value of `seccomp_data.arch` (`AUDIT_ARCH_*` of linux/audit.h).
#[cfg(target_os = "linux")]
pub(crate) fn audit_architecture(architecture: Architecture) -> u32 {
    match architecture {
        Architecture::X86_64 => 0xc000_003e,
        Architecture::Aarch64 => 0xc000_00b7,
    }
}

/// Name, number on x86-64, number on aarch64; sorted by name.
const CALLS: &[(&str, Option<u32>, Option<u32>)] = &[
    ("_sysctl", Some(156), None),
    ("acct", Some(163), Some(89)),
    ("add_key", Some(248), Some(217)),
    ("adjtimex", Some(159), Some(171)),
    ("bpf", Some(321), Some(280)),
    ("chroot", Some(161), Some(51)),
    ("clock_adjtime", Some(305), Some(266)),
    ("clock_settime", Some(227), Some(112)),
    ("clone", Some(56), Some(220)),
    ("clone3", Some(435), Some(435)),
    ("delete_module", Some(176), Some(106)),
    ("fanotify_init", Some(300), Some(262)),
    ("finit_module", Some(313), Some(273)),
    ("fsconfig", Some(431), Some(431)),
    ("fsmount", Some(432), Some(432)),
    ("fsopen", Some(430), Some(430)),
    ("fspick", Some(433), Some(433)),
    ("init_module", Some(175), Some(105)),
    ("io_uring_enter", Some(426), Some(426)),
    ("io_uring_register", Some(427), Some(427)),
    ("io_uring_setup", Some(425), Some(425)),
    ("ioctl", Some(16), Some(29)),
    ("ioperm", Some(173), None),
    ("iopl", Some(172), None),
    ("kcmp", Some(312), Some(272)),
    ("kexec_file_load", Some(320), Some(294)),
    ("kexec_load", Some(246), Some(104)),
    ("keyctl", Some(250), Some(219)),
    ("listen", Some(50), Some(201)),
    ("lookup_dcookie", Some(212), Some(18)),
    ("migrate_pages", Some(256), Some(238)),
    ("modify_ldt", Some(154), None),
    ("mount", Some(165), Some(40)),
    ("mount_setattr", Some(442), Some(442)),
    ("move_mount", Some(429), Some(429)),
    ("move_pages", Some(279), Some(239)),
    ("mq_open", Some(240), Some(180)),
    ("mq_unlink", Some(241), Some(181)),
    ("msgctl", Some(71), Some(187)),
    ("msgget", Some(68), Some(186)),
    ("msgrcv", Some(70), Some(188)),
    ("msgsnd", Some(69), Some(189)),
    ("nfsservctl", Some(180), Some(42)),
    ("open_by_handle_at", Some(304), None),
    ("open_tree", Some(428), Some(428)),
    ("open_tree_attr", Some(467), Some(467)),
    ("perf_event_open", Some(298), Some(241)),
    ("personality", Some(135), Some(92)),
    ("pidfd_getfd", Some(438), Some(438)),
    ("pivot_root", Some(155), Some(41)),
    ("quotactl", Some(179), Some(60)),
    ("quotactl_fd", Some(443), Some(443)),
    ("reboot", Some(169), Some(142)),
    ("request_key", Some(249), Some(218)),
    ("sched_setaffinity", Some(203), Some(122)),
    ("semctl", Some(66), Some(191)),
    ("semget", Some(64), Some(190)),
    ("semop", Some(65), Some(193)),
    ("semtimedop", Some(220), Some(192)),
    ("sendmmsg", Some(307), Some(269)),
    ("sendmsg", Some(46), Some(211)),
    ("sendto", Some(44), Some(206)),
    ("set_mempolicy_home_node", Some(450), Some(450)),
    ("setdomainname", Some(171), Some(162)),
    ("sethostname", Some(170), Some(161)),
    ("setns", Some(308), Some(268)),
    ("settimeofday", Some(164), Some(170)),
    ("shmat", Some(30), Some(196)),
    ("shmctl", Some(31), Some(195)),
    ("shmget", Some(29), Some(194)),
    ("socket", Some(41), Some(198)),
    ("socketpair", Some(53), Some(199)),
    ("swapoff", Some(168), Some(225)),
    ("swapon", Some(167), Some(224)),
    ("sysfs", Some(139), None),
    ("syslog", Some(103), Some(116)),
    ("umount2", Some(166), Some(39)),
    ("unshare", Some(272), Some(97)),
    ("uselib", Some(134), None),
    ("userfaultfd", Some(323), Some(282)),
    ("ustat", Some(136), None),
    ("vhangup", Some(153), Some(58)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_call_is_found() {
        assert!(CALLS.is_sorted_by_key(|(name, ..)| *name));
        for (name, x86_64, aarch64) in CALLS {
            assert_eq!(number(Architecture::X86_64, name), *x86_64);
            assert_eq!(number(Architecture::Aarch64, name), *aarch64);
        }
    }

    #[test]
    fn calls_that_are_newer_than_5_1_have_one_number_everywhere() {
        for (name, x86_64, aarch64) in CALLS {
            if x86_64.is_some_and(|number| number >= 424) {
                assert_eq!(x86_64, aarch64, "{name}");
            }
        }
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn the_table_agrees_with_the_c_library() {
        let samples = [
            ("mount", libc::SYS_mount),
            ("bpf", libc::SYS_bpf),
            ("keyctl", libc::SYS_keyctl),
            ("clone3", libc::SYS_clone3),
            ("listen", libc::SYS_listen),
            ("sendmmsg", libc::SYS_sendmmsg),
            ("sendmsg", libc::SYS_sendmsg),
            ("sendto", libc::SYS_sendto),
            ("socket", libc::SYS_socket),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
            ("kexec_file_load", libc::SYS_kexec_file_load),
            ("mount_setattr", libc::SYS_mount_setattr),
            ("setns", libc::SYS_setns),
        ];
        for (name, expected) in samples {
            assert_eq!(number(Architecture::X86_64, name).map(i64::from), Some(expected), "{name}");
        }
    }
}
