//! What this host can enforce: the one place where facts of different systems are chosen between.

#[cfg(target_os = "linux")]
pub(crate) use crate::linux::host::{cgroup, identity, probe};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use crate::facts::{Availability, CgroupFacts, HostFacts};

    /// The boot and the user that facts belong to.
    pub(crate) fn identity() -> (String, u32) {
        (String::new(), 0)
    }

    /// Nothing of Linux is here.
    pub(crate) fn cgroup() -> CgroupFacts {
        CgroupFacts { detail: "only Linux has them".into(), ..CgroupFacts::default() }
    }

    /// Nothing of Linux is here.
    pub(crate) fn probe() -> HostFacts {
        HostFacts {
            version: HostFacts::VERSION,
            boot: String::new(),
            kernel: std::env::consts::OS.to_owned(),
            uid: 0,
            gid: 0,
            architecture: None,
            namespaces: Availability::no("only Linux has them"),
            landlock_abi: 0,
            seccomp: Availability::no("only Linux has it"),
            cgroup: cgroup(),
            processors: 0,
        }
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) use elsewhere::cgroup;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{identity, probe};
