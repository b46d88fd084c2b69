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
