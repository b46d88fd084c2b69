//! The plan of a run on Linux: a pure function from policy and facts to data.

use std::ffi::OsStr;
use std::path::PathBuf;

use ringfence_policy::{NetworkMode, Policy, System};
use serde::{Deserialize, Serialize};

use super::egress::{self, EgressPlan};
use super::{Command, Limits, Plan, SystemPlan};
use crate::facts::{Architecture, CgroupFacts, LinuxFacts};
use crate::invocation::MechanismChoice;
use crate::survey::Watch;
use crate::{Error, Invocation, Text, environment};

mod landlock;
mod layout;
#[cfg(any(target_os = "linux", test))]
mod opening;
mod rules;
mod seccomp;
mod view;

pub use landlock::{FileAccess, LandlockPlan, LandlockRule, Scope};
pub use layout::{Attributes, MountStep};
#[cfg(target_os = "linux")]
pub(crate) use opening::Opening;
pub use seccomp::{Condition, SeccompAction, SeccompPlan, SeccompRule};
pub use view::Shown;

/// What the kernel will be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxPlan {
    /// Which of the two mechanisms carries the plan.
    pub mechanism: Mechanism,
    /// The caller's ids, which stay the same inside.
    pub user: User,
    /// Namespaces that the command gets of its own.
    pub namespaces: Vec<Namespace>,
    /// The file system, in the order in which it is built.
    pub mounts: Vec<MountStep>,
    /// The Landlock ruleset, where the kernel has Landlock.
    pub landlock: Option<LandlockPlan>,
    /// The system call filter.
    pub seccomp: SeccompPlan,
    /// The way out, where the policy lists hosts.
    pub egress: Option<EgressPlan>,
    /// A directory that is made for the run and removed after it, where there is no private `/tmp`.
    pub private_temporary: bool,
    /// Resource limits of each process (`setrlimit(2)`), by name.
    pub rlimits: Vec<Rlimit>,
    /// The control group of the run, where one is delegated.
    pub cgroup: Option<CgroupPlan>,
    /// How often the tree is measured, in milliseconds, where no control group limits its memory.
    pub monitor_ms: Option<u64>,
    /// The processors that the command may run on.
    pub affinity: Option<Vec<u32>>,
    /// Names that are compared after the run.
    pub watch: Vec<Watch>,
}

/// The two ways to confine a process on Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// Namespaces with a file system view of their own, and Landlock and seccomp on top.
    Namespaces,
    /// Landlock and seccomp alone.
    Landlock,
}

/// User and group of the command: the caller's own, so that files made inside belong to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// A kind of namespace (namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// User and group ids, capabilities.
    User,
    /// The mount table.
    Mount,
    /// Process ids.
    Pid,
    /// Network devices, ports, abstract sockets.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name.
    Uts,
}

/// A resource limit, the same soft and hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Which resource.
    pub resource: Resource,
    /// The limit.
    pub limit: u64,
}

/// A resource of `setrlimit(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Private writable memory of a process, in bytes.
    Data,
    /// Processes of the user, counted within the user namespace.
    Processes,
    /// Size of a core file.
    Core,
}

/// A control group made for the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPlan {
    /// The directory in which it is made.
    pub parent: PathBuf,
    /// Interface files and what is written to them.
    pub settings: Vec<(String, String)>,
}

/// How often the tree is measured where only a monitor can.
const MONITOR_MS: u64 = 50;

/// Makes the plan of a run on Linux.
pub(super) fn resolve(policy: &Policy, facts: &LinuxFacts, invocation: &Invocation) -> Result<Plan, Error> {
    let mechanism = choose(facts, invocation.mechanism)?;
    let architecture = facts.host.architecture.ok_or_else(|| Error::NoMechanism {
        why: "there is no system call table for this processor; x86-64 and aarch64 have one".into(),
    })?;
    let limits = Limits::of(policy);
    let cgroup = cgroup(&facts.host.cgroup, &limits);
    let mut linux = LinuxPlan {
        mechanism,
        user: User { uid: facts.host.uid, gid: facts.host.gid },
        namespaces: namespaces(mechanism, policy.network.mode.value),
        mounts: Vec::new(),
        landlock: landlock::plan(mechanism, policy, facts),
        seccomp: seccomp::plan(architecture, mechanism, policy.network.mode.value, limits.cpus_milli.is_some()),
        egress: egress::plan(policy, mechanism == Mechanism::Namespaces, invocation.ask)?,
        private_temporary: mechanism == Mechanism::Landlock,
        rlimits: rlimits(&limits, cgroup.as_ref()),
        monitor_ms: monitored(&limits, cgroup.as_ref(), facts.host.uid).then_some(MONITOR_MS),
        affinity: affinity(&limits, cgroup.as_ref(), facts.host.processors),
        cgroup,
        watch: facts.survey.watch.clone(),
    };
    if mechanism == Mechanism::Namespaces {
        linux.mounts = layout::steps(policy, &facts.survey, facts.host.uid);
    }
    let rules = rules::judge(policy, facts, &linux, &limits);
    let notes = rules::notes(policy, facts, &linux);
    Ok(Plan {
        version: Plan::VERSION,
        policy_hash: super::fingerprint("the policy", policy)?,
        command: command(policy, facts, invocation, &linux),
        rules,
        notes,
        require: policy.enforcement.require.value,
        limits,
        system: SystemPlan::Linux(Box::new(linux)),
    })
}

fn choose(facts: &LinuxFacts, choice: MechanismChoice) -> Result<Mechanism, Error> {
    let host = &facts.host;
    if !host.seccomp.available {
        return Err(Error::NoMechanism { why: host.seccomp.detail.clone() });
    }
    let namespaces = || match host.namespaces.available {
        true => Ok(Mechanism::Namespaces),
        false => Err(format!("namespaces: {}", host.namespaces.detail)),
    };
    let landlock = || match host.landlock_abi {
        0 => Err("landlock: the kernel has none".to_owned()),
        _ => Ok(Mechanism::Landlock),
    };
    match choice {
        MechanismChoice::Namespaces => namespaces(),
        MechanismChoice::Landlock => landlock(),
        MechanismChoice::Auto => {
            namespaces().or_else(|first| landlock().map_err(|second| format!("{first}; {second}")))
        }
    }
    .map_err(|why| Error::NoMechanism { why })
}

fn namespaces(mechanism: Mechanism, network: NetworkMode) -> Vec<Namespace> {
    if mechanism == Mechanism::Landlock {
        return Vec::new();
    }
    let mut list = vec![Namespace::User, Namespace::Mount, Namespace::Pid, Namespace::Ipc, Namespace::Uts];
    if network != NetworkMode::Open {
        list.push(Namespace::Network);
    }
    list
}

/// The control group, if every limit that needs one finds its controller.
fn cgroup(facts: &CgroupFacts, limits: &Limits) -> Option<CgroupPlan> {
    let parent = facts.directory.clone()?;
    let has = |controller: &str| facts.controllers.iter().any(|name| name == controller);
    let mut settings = Vec::new();
    if let Some(bytes) = limits.memory_bytes.filter(|_| has("memory")) {
        settings.push(("memory.max".to_owned(), bytes.to_string()));
        settings.push(("memory.swap.max".to_owned(), "0".to_owned()));
        settings.push(("memory.oom.group".to_owned(), "1".to_owned()));
    }
    if let Some(count) = limits.processes.filter(|_| has("pids")) {
        // The process that waits for the command counts too.
        settings.push(("pids.max".to_owned(), (u64::from(count) + 1).to_string()));
    }
    if let Some(milli) = limits.cpus_milli.filter(|_| has("cpu")) {
        settings.push(("cpu.max".to_owned(), format!("{} 100000", u64::from(milli) * 100)));
    }
    (!settings.is_empty()).then_some(CgroupPlan { parent, settings })
}

impl CgroupPlan {
    fn sets(&self, file: &str) -> bool {
        self.settings.iter().any(|(name, _)| name == file)
    }
}

fn sets(cgroup: Option<&CgroupPlan>, file: &str) -> bool {
    cgroup.is_some_and(|plan| plan.sets(file))
}

fn rlimits(limits: &Limits, cgroup: Option<&CgroupPlan>) -> Vec<Rlimit> {
    // A core file would be written by the kernel, outside every rule of the policy.
    let mut list = vec![Rlimit { resource: Resource::Core, limit: 0 }];
    if let Some(limit) = limits.memory_bytes.filter(|_| !sets(cgroup, "memory.max")) {
        list.push(Rlimit { resource: Resource::Data, limit });
    }
    if let Some(limit) = limits.processes.filter(|_| !sets(cgroup, "pids.max")) {
        list.push(Rlimit { resource: Resource::Processes, limit: u64::from(limit) + 1 });
    }
    list
}

/// Without a control group the tree's memory is only known by adding it up. The kernel exempts the superuser from the
/// limit on processes, so there they are counted too.
fn monitored(limits: &Limits, cgroup: Option<&CgroupPlan>, uid: u32) -> bool {
    limits.memory_bytes.is_some() && !sets(cgroup, "memory.max")
        || limits.processes.is_some() && !sets(cgroup, "pids.max") && uid == 0
}

fn affinity(limits: &Limits, cgroup: Option<&CgroupPlan>, processors: u32) -> Option<Vec<u32>> {
    let milli = limits.cpus_milli.filter(|_| !sets(cgroup, "cpu.max"))?;
    let count = milli.div_ceil(1000).max(1);
    (count < processors).then(|| (0..count).collect())
}

fn command(policy: &Policy, facts: &LinuxFacts, invocation: &Invocation, plan: &LinuxPlan) -> Command {
    let argv = invocation.argv.iter().cloned().map(Text).collect();
    // With a private /tmp its name is known; otherwise the run fills in the directory that it makes.
    let temporary: &str = match plan.mechanism {
        Mechanism::Namespaces => "/tmp",
        Mechanism::Landlock => PRIVATE_TEMPORARY,
    };
    let cache = format!("{temporary}/.cache");
    let proxy = plan.egress.as_ref().map(EgressPlan::environment).unwrap_or_default();
    let mut defaults: Vec<(&str, &OsStr)> = vec![
        ("TMPDIR", temporary.as_ref()),
        // The home directory is read-only; caches that tools insist on writing live and die with the run.
        ("XDG_CACHE_HOME", cache.as_ref()),
        ("RINGFENCE", "1".as_ref()),
    ];
    defaults.extend(proxy.iter().map(|(name, value)| (name.as_str(), OsStr::new(value))));
    Command {
        program: facts.survey.program.clone(),
        argv,
        directory: facts.survey.directory.clone(),
        environment: environment::compose(&policy.environment, System::Linux, &invocation.environment, &defaults),
        tty: invocation.tty,
        keep_descriptors: invocation.keep_descriptors.clone(),
    }
}

/// Stands in a plan for the directory that a run without a private `/tmp` makes for itself.
pub const PRIVATE_TEMPORARY: &str = "@temporary";

impl Architecture {
    /// The architecture that this program was built for, if it has a table.
    pub fn of_this_build() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }
}
