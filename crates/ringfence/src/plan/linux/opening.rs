//! What a run begins with whatever its policy says.
//!
//! Namespaces and fresh directories take the kernel longer than reading a policy takes ringfence. Both can be done at
//! once: a process carries out the opening while the plan is still being made. It becomes a run only if the finished
//! plan begins with exactly that opening; what is enforced is the plan, and never what was guessed.

use ringfence_policy::NetworkMode;

use super::{LinuxPlan, Mechanism, MountStep, Namespace, User, layout, namespaces};

/// The beginning of a plan.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The caller's ids.
    pub(crate) user: User,
    /// Namespaces that the process gets of its own.
    pub(crate) namespaces: Vec<Namespace>,
    /// The first steps of the file system.
    pub(crate) mounts: Vec<MountStep>,
}

impl Opening {
    /// The opening of most plans: without network, or with a list of hosts, and with the host's files readable.
    pub(crate) fn usual(user: User) -> Self {
        Self {
            user,
            namespaces: namespaces(Mechanism::Namespaces, NetworkMode::Off),
            mounts: layout::opening(user.uid),
        }
    }

    /// Whether a plan begins so: what was carried out is then a part of it, and the rest is all that is missing.
    pub(crate) fn begins(&self, plan: &LinuxPlan) -> bool {
        self.user == plan.user && self.namespaces == plan.namespaces && plan.mounts.starts_with(&self.mounts)
    }

    /// The opening of a plan: its namespaces, and its first mounts if they are the usual ones.
    pub(crate) fn of(plan: &LinuxPlan) -> Self {
        let mut mounts = layout::opening(plan.user.uid);
        if !plan.mounts.starts_with(&mounts) {
            mounts.clear();
        }
        Self { user: plan.user, namespaces: plan.namespaces.clone(), mounts }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::SeccompPlan;
    use super::*;
    use crate::facts::Architecture;

    fn plan(user: User) -> LinuxPlan {
        let Opening { user, namespaces, mut mounts } = Opening::usual(user);
        mounts.push(MountStep::LockHost);
        LinuxPlan {
            mechanism: Mechanism::Namespaces,
            user,
            namespaces,
            mounts,
            landlock: None,
            seccomp: SeccompPlan { architecture: Architecture::X86_64, rules: Vec::new() },
            egress: None,
            private_temporary: false,
            rlimits: Vec::new(),
            cgroup: None,
            monitor_ms: None,
            affinity: None,
            watch: Vec::new(),
        }
    }

    #[test]
    fn a_plan_that_differs_in_anything_that_was_carried_out_begins_otherwise() {
        let user = User { uid: 1000, gid: 1000 };
        let usual = Opening::usual(user);
        assert!(usual.begins(&plan(user)));
        assert!(!usual.begins(&plan(User { uid: 0, gid: 0 })));
        assert!(!usual.begins(&LinuxPlan { user: User { uid: 1000, gid: 1001 }, ..plan(user) }));
        let open_network = namespaces(Mechanism::Namespaces, NetworkMode::Open);
        assert!(!usual.begins(&LinuxPlan { namespaces: open_network, ..plan(user) }));
        assert!(!usual.begins(&LinuxPlan { namespaces: Vec::new(), mounts: Vec::new(), ..plan(user) }));
        for index in 0..usual.mounts.len() {
            let mut mounts = plan(user).mounts;
            mounts[index] = MountStep::ReadOnly { path: Path::new("/elsewhere").to_owned() };
            assert!(!usual.begins(&LinuxPlan { mounts: mounts.clone(), ..plan(user) }), "{index}");
            mounts.remove(index);
            assert!(!usual.begins(&LinuxPlan { mounts, ..plan(user) }), "{index}");
        }
    }

    #[test]
    fn the_opening_of_a_plan_is_one_that_it_begins_with() {
        let user = User { uid: 1000, gid: 1000 };
        let whole = plan(user);
        assert_eq!(Opening::of(&whole).mounts, Opening::usual(user).mounts);
        let other = LinuxPlan { mounts: whole.mounts[1..].to_vec(), ..whole };
        assert!(Opening::of(&other).mounts.is_empty());
        assert!(Opening::of(&other).begins(&other));
    }
}
