//! Measures what this kernel, with these settings, lets this user do.

use std::path::Path;

use super::cgroup;
use super::compile::{Compiler, Made};
use super::sys::{Failure, LockIn, Memory, Stage, Waiting, call, wait_for};
use crate::facts::{Architecture, Availability, HostFacts};
use crate::plan::Command;
use crate::plan::linux::{
    Attributes, FileAccess, LandlockPlan, LinuxPlan, Mechanism, MountStep, Namespace, Opening, SeccompAction,
    SeccompPlan, SeccompRule, User,
};

/// The boot that facts belong to, and the user.
pub(crate) fn identity() -> (String, u32) {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    (boot.trim_end().to_owned(), rustix::process::geteuid().as_raw())
}

/// Where this process may make control groups.
pub(crate) fn cgroup() -> crate::facts::CgroupFacts {
    cgroup::delegated()
}

/// Tries each mechanism for real.
pub(crate) fn probe() -> HostFacts {
    let (boot, uid) = identity();
    let gid = rustix::process::getegid().as_raw();
    let name = rustix::system::uname();
    let landlock_abi = landlock_abi();
    let user = User { uid, gid };
    HostFacts {
        version: HostFacts::VERSION,
        boot,
        kernel: format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
        uid,
        gid,
        architecture: Architecture::of_this_build(),
        namespaces: tried(attempt(&namespaces(user)), "a sandbox of namespaces was built"),
        landlock_abi,
        seccomp: tried(attempt(&bare(user, Mechanism::Landlock)), "a filter was installed"),
        cgroup: cgroup::delegated(),
        processors: std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
    }
}

/// The ABI of the kernel's Landlock, 0 if it has none that works.
fn landlock_abi() -> u32 {
    let Ok(abi @ 1..) = call::landlock_abi() else {
        return 0;
    };
    let ruleset = LandlockPlan {
        abi,
        handled: vec![FileAccess::Write],
        handles_tcp: false,
        connect: Vec::new(),
        rules: Vec::new(),
        scopes: Vec::new(),
    };
    let plan = LinuxPlan { landlock: Some(ruleset), ..bare(User { uid: 0, gid: 0 }, Mechanism::Landlock) };
    if attempt(&plan).is_ok() { abi } else { 0 }
}

/// The smallest sandbox that uses every kind of namespace and mount which a real one does.
fn namespaces(user: User) -> LinuxPlan {
    let attributes = Attributes { read_only: true };
    let tmp = Path::new("/tmp");
    LinuxPlan {
        namespaces: vec![
            Namespace::User,
            Namespace::Mount,
            Namespace::Pid,
            Namespace::Ipc,
            Namespace::Uts,
            Namespace::Network,
        ],
        mounts: vec![
            MountStep::Capture { slot: 0, path: "/dev/null".into(), identity: None, recursive: false, attributes },
            MountStep::LockHost,
            MountStep::Tmpfs { path: tmp.into(), mode: 0o755 },
            MountStep::File { path: tmp.join("null") },
            MountStep::Place { slot: 0, path: tmp.join("null") },
            MountStep::Directory { path: tmp.join("pts"), mode: 0o755 },
            MountStep::Devpts { path: tmp.join("pts") },
            MountStep::Proc { path: "/proc".into() },
        ],
        ..bare(user, Mechanism::Namespaces)
    }
}

fn bare(user: User, mechanism: Mechanism) -> LinuxPlan {
    let refused = SeccompRule { call: "kexec_load".into(), when: None, action: SeccompAction::Eperm };
    LinuxPlan {
        mechanism,
        user,
        namespaces: Vec::new(),
        mounts: Vec::new(),
        landlock: None,
        egress: None,
        seccomp: SeccompPlan {
            architecture: Architecture::of_this_build().unwrap_or(Architecture::X86_64),
            rules: vec![refused],
        },
        private_temporary: false,
        rlimits: Vec::new(),
        cgroup: None,
        monitor_ms: None,
        affinity: None,
        watch: Vec::new(),
    }
}

/// Builds the sandbox and executes nothing in it.
fn attempt(plan: &LinuxPlan) -> Result<(), String> {
    let command = Command {
        program: "/".into(),
        argv: Vec::new(),
        directory: "/".into(),
        environment: Vec::new(),
        tty: false,
        keep_descriptors: Vec::new(),
    };
    let arena = Memory::Copied.arena().map_err(|error| error.to_string())?;
    let compiler = Compiler::new(&arena);
    let opening = Opening::of(plan);
    let begin = compiler.opening(&opening).map_err(|error| error.to_string())?;
    let mut script = compiler.script(&command, plan, &opening, &Made::default()).map_err(|error| error.to_string())?;
    script.program = None;
    // The lock-down is part of what is tried, whichever process takes it on itself in a real run.
    script.lock_in = LockIn::Init;
    let waiting = Waiting::start(begin, &arena, Memory::Copied, None)
        .map_err(|error| format!("clone3 failed: {error}{}", advice(&error)))?;
    let mut launched = waiting.tell(script, &arena).map_err(|error| error.to_string())?;
    let outcome = launched.outcome();
    wait_for(launched.pid).map_err(|error| error.to_string())?;
    match outcome.map_err(|error| error.to_string())? {
        None => Ok(()),
        Some(failure) => Err(reason(plan, failure)),
    }
}

fn reason(plan: &LinuxPlan, failure: Failure) -> String {
    let error = std::io::Error::from_raw_os_error(failure.errno);
    let what = match failure.stage {
        Stage::Mount => match plan.mounts.get(failure.index as usize) {
            Some(MountStep::Proc { .. }) => {
                "mounting a process file system (is /proc partly covered, as in a container?)"
            }
            Some(MountStep::LockHost) => "making the host read-only (mount_setattr, Linux 5.12)",
            _ => "mounting",
        },
        Stage::IdMaps => "mapping the user's id",
        Stage::Namespaces => "making namespaces",
        Stage::Ruleset => "entering a Landlock ruleset",
        Stage::Filter => "installing a seccomp filter",
        Stage::Privileges => "dropping capabilities",
        Stage::Loopback => "bringing the loopback device up",
        _ => "preparing a process",
    };
    format!("{what} failed: {error}{}", advice(&error))
}

/// The settings that usually forbid user namespaces, where one of them is on.
fn advice(error: &std::io::Error) -> String {
    let setting = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return " (kernel.apparmor_restrict_unprivileged_userns is 1)".into();
    }
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return " (kernel.unprivileged_userns_clone is 0)".into();
    }
    if setting("/proc/sys/user/max_user_namespaces") == "0" {
        return " (user.max_user_namespaces is 0)".into();
    }
    if error.raw_os_error() == Some(libc::ENOSYS) {
        return " (a seccomp filter, as in a container or another sandbox, or an old kernel)".into();
    }
    String::new()
}

fn tried(result: Result<(), String>, detail: &str) -> Availability {
    match result {
        Ok(()) => Availability::yes(detail),
        Err(why) => Availability::no(why),
    }
}
