//! What this host can enforce, and what lies at the paths that a policy names. Probed, never assumed from a version.

use std::path::PathBuf;

use ringfence_policy::Policy;
use serde::{Deserialize, Serialize};

#[cfg(not(windows))]
use crate::invocation::MechanismChoice;
use crate::survey::Survey;
use crate::{Error, Invocation, State};

pub mod windows;

pub use windows::WindowsFacts;

/// Everything that a plan needs to know beyond the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "system", rename_all = "lowercase")]
pub enum Facts {
    /// Of a Linux host.
    Linux(Box<LinuxFacts>),
    /// Of a Windows host.
    Windows(Box<WindowsFacts>),
}

/// Everything that a plan for Linux needs to know beyond the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxFacts {
    /// What the host can enforce.
    pub host: HostFacts,
    /// What lies at the paths that the policy names.
    pub survey: Survey,
}

/// What a host can enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Version of this format.
    pub version: u32,
    /// The boot that this was measured in; a reboot may bring another kernel or other settings.
    pub boot: String,
    /// The kernel's own name and release.
    pub kernel: String,
    /// The effective user id that this was measured as.
    pub uid: u32,
    /// The effective group id that this was measured as.
    pub gid: u32,
    /// The processor architecture of the seccomp filter, where there is a table for it.
    pub architecture: Option<Architecture>,
    /// Whether a whole namespace sandbox could be built.
    pub namespaces: Availability,
    /// The Landlock ABI, 0 where there is none.
    pub landlock_abi: u32,
    /// Whether a seccomp filter could be installed.
    pub seccomp: Availability,
    /// The cgroup v2 directory that this process may create children in, with the needed controllers.
    pub cgroup: CgroupFacts,
    /// Online processors.
    pub processors: u32,
}

/// Whether something is there, and the reason where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Whether it is there.
    pub available: bool,
    /// What was found, or why it is not there.
    pub detail: String,
}

/// A processor architecture that there is a system call table for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// x86-64.
    X86_64,
    /// aarch64.
    Aarch64,
}

/// Delegation of cgroup v2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFacts {
    /// The directory under which a run may make its own group.
    pub directory: Option<PathBuf>,
    /// The controllers that a child group gets: of `memory`, `pids` and `cpu` those that are delegated.
    pub controllers: Vec<String>,
    /// What was found, or why it cannot be used.
    pub detail: String,
}

/// One line of `ringfence doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactRow {
    /// What was looked for.
    pub name: &'static str,
    /// Whether it is there.
    pub available: bool,
    /// What was found, or the reason for the no.
    pub detail: String,
}

impl Facts {
    /// Looks at the host (from this boot's record, where there is one) and at every path that the policy names.
    ///
    /// # Errors
    ///
    /// A path of the policy that cannot be examined, a root that does not exist or is refused, a command that
    /// does not exist.
    #[cfg(windows)]
    pub fn probe(policy: &Policy, invocation: &Invocation, state: &State) -> Result<Self, Error> {
        crate::windows::survey::probe(policy, invocation, state).map(|facts| Self::Windows(Box::new(facts)))
    }

    /// Looks at the host (from this boot's record, where there is one) and at every path that the policy names.
    ///
    /// # Errors
    ///
    /// A path of the policy that cannot be examined, a root that does not exist or is refused, a command that
    /// does not exist.
    #[cfg(not(windows))]
    pub fn probe(policy: &Policy, invocation: &Invocation, state: &State) -> Result<Self, Error> {
        let mut host = HostFacts::cached(state)?;
        let process = &policy.process;
        if process.memory.is_some() || process.processes.is_some() || process.cpus.is_some() {
            // Which group this process is in, and who may make others there, is no property of the boot.
            host.cgroup = crate::host::cgroup();
        }
        let carve = invocation.mechanism == MechanismChoice::Landlock || !host.namespaces.available;
        let survey = take_survey(policy, invocation, state, carve)?;
        Ok(Self::Linux(Box::new(LinuxFacts { host, survey })))
    }
}

impl HostFacts {
    /// The version of the record in the state directory.
    pub const VERSION: u32 = 1;

    /// The facts as they were measured in this boot by this user, measuring them now if they were not.
    ///
    /// # Errors
    ///
    /// [`Error::State`] if the record cannot be written.
    pub fn cached(state: &State) -> Result<Self, Error> {
        let path = state.file("host.json");
        let (boot, uid) = crate::host::identity();
        if let Ok(bytes) = std::fs::read(&path)
            && let Ok(facts) = serde_json::from_slice::<Self>(&bytes)
            && (facts.version, facts.uid) == (Self::VERSION, uid)
            && facts.boot == boot
            // What was missing may have been allowed since; only a yes is remembered.
            && facts.namespaces.available
        {
            return Ok(facts);
        }
        let facts = Self::probe();
        let bytes = serde_json::to_vec(&facts).map_err(|source| Error::Encode { what: "the host's facts", source })?;
        crate::state::replace(&path, &bytes)?;
        Ok(facts)
    }

    /// Measures the host now, by building a sandbox as far as it goes.
    pub fn probe() -> Self {
        crate::host::probe()
    }

    /// The facts as lines for people.
    pub fn rows(&self) -> Vec<FactRow> {
        let landlock = match self.landlock_abi {
            0 => "the kernel has no Landlock, or it is not among its active security modules".to_owned(),
            abi => format!("ABI {abi}"),
        };
        let row = |name, available, detail: &str| FactRow { name, available, detail: detail.to_owned() };
        vec![
            row("kernel", true, &self.kernel),
            row("namespaces", self.namespaces.available, &self.namespaces.detail),
            row("landlock", self.landlock_abi > 0, &landlock),
            row("seccomp", self.seccomp.available, &self.seccomp.detail),
            row("cgroup v2", self.cgroup.directory.is_some(), &self.cgroup.detail),
        ]
    }
}

#[cfg(target_os = "linux")]
fn take_survey(policy: &Policy, invocation: &Invocation, state: &State, carve: bool) -> Result<Survey, Error> {
    Survey::take(policy, invocation, state, carve)
}

#[cfg(not(any(target_os = "linux", windows)))]
fn take_survey(_: &Policy, _: &Invocation, _: &State, _: bool) -> Result<Survey, Error> {
    let advice = "this system cannot enforce a plan yet".into();
    Err(Error::Unsupported { what: "looking at paths".into(), advice })
}

impl Availability {
    #[cfg(target_os = "linux")]
    pub(crate) fn yes(detail: impl Into<String>) -> Self {
        Self { available: true, detail: detail.into() }
    }

    pub(crate) fn no(detail: impl Into<String>) -> Self {
        Self { available: false, detail: detail.into() }
    }
}
