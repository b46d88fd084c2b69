//! Turns a plan into the script that the child walks.

use std::ffi::{CString, OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::sys::mount_attributes::{NODEV, NOSUID, READ_ONLY};
use super::sys::{Egress, Failure, IdMaps, LockIn, Ruleset, Script, Socket, StackBlock, Stage, Step, Strings};
use super::{landlock, rtnetlink, seccomp};
use crate::Error;
use crate::plan::linux::{
    Attributes, EMPTY_DIRECTORY, EMPTY_FILE, LandlockPlan, LinuxPlan, Mechanism, MountStep, Namespace,
    PRIVATE_TEMPORARY, Resource,
};
use crate::plan::{Command, EgressPlan, EgressSocket, Plan, Protocol};

/// What was made for a run that has no namespaces of its own, and that its plan could not name.
#[derive(Default)]
pub(super) struct Made<'a> {
    /// The directory for temporary files.
    pub(super) temporary: Option<&'a Path>,
    /// Where the proxy listens.
    pub(super) proxy: Option<SocketAddr>,
}

impl Made<'_> {
    /// The value of a variable that tells programs of the proxy, if it had no port yet when the plan was made.
    fn variable(&self, name: &OsStr, value: &OsStr, plan: &LinuxPlan) -> Option<String> {
        plan.egress.as_ref()?.actual_value(name, value, self.proxy?)
    }
}

/// The script of a plan.
pub(super) fn compile(command: &Command, plan: &LinuxPlan, made: &Made<'_>) -> Result<Script, Error> {
    let isolated = [Namespace::User, Namespace::Mount, Namespace::Pid];
    if plan.mechanism == Mechanism::Namespaces && !isolated.iter().all(|one| plan.namespaces.contains(one)) {
        let advice = "a plan is only carried out as it was made";
        return Err(Error::Unsupported { what: "a plan of namespaces without its own".into(), advice: advice.into() });
    }
    let argv = command.argv.iter().map(|argument| string("an argument", argument.as_os_str()));
    let environment = command.environment.iter().map(|(name, value)| {
        let mut variable = name.as_os_str().to_owned();
        variable.push("=");
        variable.push(match made.variable(name.as_os_str(), value.as_os_str(), plan) {
            Some(value) => value.into(),
            None => fill_in(value.as_os_str(), made.temporary),
        });
        string("the environment", &variable)
    });
    Ok(Script {
        namespaces: plan.namespaces.iter().fold(0, |flags, namespace| flags | flag(*namespace)),
        cgroup: None,
        maps: plan.namespaces.contains(&Namespace::User).then(|| IdMaps {
            users: format!("{0} {0} 1", plan.user.uid).into_bytes(),
            groups: format!("{0} {0} 1", plan.user.gid).into_bytes(),
        }),
        slots: vec![
            -1;
            plan.mounts
                .iter()
                .filter(|step| matches!(step, MountStep::Capture { .. } | MountStep::Share { .. }))
                .count()
        ],
        mounts: plan.mounts.iter().map(step).collect::<Result<_, _>>()?,
        loopback: plan.namespaces.contains(&Namespace::Network),
        egress: plan.egress.as_ref().filter(|_| plan.mechanism == Mechanism::Namespaces).map(egress),
        ruleset: plan.landlock.as_ref().map(|plan| ruleset(plan, made)).transpose()?,
        filter: seccomp::compile(&plan.seccomp),
        lock_in: match plan.mechanism {
            Mechanism::Namespaces => LockIn::Init,
            Mechanism::Landlock => LockIn::Command,
        },
        directory: path(&command.directory)?,
        program: Some(path(&command.program)?),
        argv: Strings::new(argv.collect::<Result<_, _>>()?),
        environment: Strings::new(environment.collect::<Result<_, _>>()?),
        rlimits: plan.rlimits.iter().map(|limit| (resource(limit.resource), limit.limit)).collect(),
        affinity: plan.affinity.as_deref().map(affinity),
        terminal: command.tty.then(|| match plan.mechanism {
            Mechanism::Namespaces => c"/dev/pts/ptmx".to_owned(),
            Mechanism::Landlock => c"/dev/ptmx".to_owned(),
        }),
        keep: command.keep_descriptors.clone(),
        stack: StackBlock::stack(),
    })
}

/// Says in words which step of a plan failed.
pub(super) fn explain(plan: &Plan, linux: &LinuxPlan, failure: Failure) -> Error {
    let source = std::io::Error::from_raw_os_error(failure.errno);
    let index = usize::try_from(failure.index).unwrap_or(usize::MAX);
    let program = || plan.command.program.clone();
    let step = match failure.stage {
        Stage::Execute if failure.errno == libc::ENOENT => {
            return Error::CommandNotFound { command: program().display().to_string() };
        }
        Stage::Execute => {
            return Error::CommandNotExecutable { path: program(), reason: source.to_string() };
        }
        Stage::Changed => {
            if let Some(MountStep::Capture { path, .. }) = linux.mounts.get(index) {
                return Error::RootChanged { path: path.clone() };
            }
            "checking a path".to_owned()
        }
        Stage::Mount => match linux.mounts.get(index) {
            Some(step) => describe(step),
            None => "a mount".to_owned(),
        },
        Stage::Ruleset => {
            let rule = linux.landlock.as_ref().and_then(|ruleset| ruleset.rules.get(index));
            match rule {
                Some(rule) => format!("the Landlock rule for `{}`", rule.path.display()),
                None => "the Landlock ruleset".to_owned(),
            }
        }
        Stage::Start => "preparing the process".to_owned(),
        Stage::IdMaps => "writing the id maps of the user namespace".to_owned(),
        Stage::Loopback => "bringing the loopback device up".to_owned(),
        Stage::Egress => match linux.egress.as_ref().and_then(|egress| egress.sockets.get(index)) {
            Some(socket) => format!("binding {} in the run's network namespace", socket.address),
            None => "making the routes of the run's network namespace".to_owned(),
        },
        Stage::Directory => format!("entering `{}`", plan.command.directory.display()),
        Stage::Privileges => "dropping capabilities".to_owned(),
        Stage::Filter => "installing the seccomp filter".to_owned(),
        Stage::Terminal => "making the pseudo-terminal".to_owned(),
        Stage::Fork => "starting the command's process".to_owned(),
        Stage::Limits => "setting resource limits".to_owned(),
        Stage::Descriptors => "passing descriptors".to_owned(),
    };
    Error::Sandbox { step, source }
}

fn describe(step: &MountStep) -> String {
    let (what, path) = match step {
        MountStep::Capture { path, .. } => ("taking hold of", path.as_path()),
        MountStep::LockHost => ("making the host read-only at", Path::new("/")),
        MountStep::EmptyRoot => ("making an empty root over", Path::new("/")),
        MountStep::DetachHost => ("letting go of the host's", Path::new("/")),
        MountStep::Tmpfs { path, .. } => ("mounting a tmpfs at", path.as_path()),
        MountStep::Proc { path } => ("mounting the process file system at", path.as_path()),
        MountStep::Devpts { path } => ("mounting the terminal file system at", path.as_path()),
        MountStep::Directory { path, .. } => ("making the directory", path.as_path()),
        MountStep::File { path } => ("making the file", path.as_path()),
        MountStep::Text { path, .. } => ("writing", path.as_path()),
        MountStep::Show { path, .. } => ("covering", path.as_path()),
        MountStep::Symlink { path, .. } => ("making the symbolic link", path.as_path()),
        MountStep::Place { path, .. } => ("placing", path.as_path()),
        MountStep::Cover { path, .. } => ("covering", path.as_path()),
        MountStep::Share { path, .. } => ("taking hold of", path.as_path()),
        MountStep::ReadOnly { path } => ("making read-only", path.as_path()),
    };
    format!("{what} `{}`", path.display())
}

fn step(step: &MountStep) -> Result<Step, Error> {
    let mount = |at: &Path, kind: &str, flags: u64, data: Option<String>| {
        Ok::<_, Error>(Step::Mount {
            path: path(at)?,
            kind: string("a file system", kind.as_ref())?,
            flags,
            data: data.map(|data| string("mount options", data.as_ref())).transpose()?,
        })
    };
    Ok(match step {
        MountStep::Capture { slot, path: at, identity, recursive, attributes } => Step::Capture {
            slot: *slot as usize,
            path: path(at)?,
            identity: identity.map(|identity| (identity.device, identity.inode)),
            recursive: *recursive,
            attributes: bits(*attributes),
        },
        MountStep::LockHost => Step::LockHost { attributes: bits(Attributes { read_only: true, devices: false }) },
        MountStep::EmptyRoot => Step::EmptyRoot,
        MountStep::DetachHost => Step::DetachHost,
        MountStep::Tmpfs { path, mode } => {
            mount(path, "tmpfs", libc::MS_NOSUID | libc::MS_NODEV, Some(format!("mode={mode:o}")))?
        }
        MountStep::Proc { path } => mount(path, "proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, None)?,
        MountStep::Devpts { path } => {
            let options = "newinstance,ptmxmode=0666,mode=620".to_owned();
            mount(path, "devpts", libc::MS_NOSUID | libc::MS_NOEXEC, Some(options))?
        }
        MountStep::Directory { path: at, mode } => Step::Directory { path: path(at)?, mode: *mode },
        MountStep::File { path: at } => Step::File { path: path(at)? },
        MountStep::Text { path: at, content } => Step::Text { path: path(at)?, content: content.clone().into_bytes() },
        MountStep::Show { file, path: at } => Step::Cover { path: path(at)?, with: path(file)?, optional: false },
        MountStep::Symlink { path: at, target } => Step::Symlink { path: path(at)?, target: path(target)? },
        MountStep::Place { slot, path: at } => Step::Place { slot: *slot as usize, path: path(at)? },
        MountStep::Cover { path: at, directory, optional } => Step::Cover {
            path: path(at)?,
            with: path(Path::new(if *directory { EMPTY_DIRECTORY } else { EMPTY_FILE }))?,
            optional: *optional,
        },
        MountStep::ReadOnly { path: at } => Step::ReadOnly { path: path(at)? },
        MountStep::Share { slot, path: at } => Step::Share { slot: *slot as usize, path: path(at)? },
    })
}

fn bits(attributes: Attributes) -> u64 {
    NOSUID | if attributes.read_only { READ_ONLY } else { 0 } | if attributes.devices { 0 } else { NODEV }
}

fn egress(plan: &EgressPlan) -> Egress {
    let socket = |socket: &EgressSocket| Socket {
        address: socket.address,
        stream: socket.protocol == Protocol::Tcp,
        optional: socket.optional,
    };
    Egress {
        routes: plan.routes.iter().map(|prefix| rtnetlink::add_local_route(*prefix)).collect(),
        sockets: plan.sockets.iter().map(socket).collect(),
    }
}

fn ruleset(plan: &LandlockPlan, made: &Made<'_>) -> Result<Ruleset, Error> {
    let rule = |rule: &crate::plan::linux::LandlockRule| {
        let filled = fill_in(rule.path.as_os_str(), made.temporary);
        Ok((path(Path::new(&filled))?, landlock::granted(plan.abi, &rule.access)))
    };
    Ok(Ruleset {
        handled_files: landlock::handled(plan),
        handled_network: landlock::network(plan),
        scoped: landlock::scoped(plan),
        // A rule for port 0 would stand for any port that the kernel may choose (landlock(7)).
        connect: plan
            .connect
            .iter()
            .filter_map(|port| match port {
                0 => made.proxy.map(|address| address.port()),
                port => Some(*port),
            })
            .collect(),
        rules: plan.rules.iter().map(rule).collect::<Result<_, Error>>()?,
    })
}

/// Puts the run's own temporary directory where the plan only names that there will be one.
fn fill_in(text: &OsStr, temporary: Option<&Path>) -> OsString {
    match (temporary, text.as_bytes().strip_prefix(PRIVATE_TEMPORARY.as_bytes())) {
        (Some(directory), Some(rest)) => {
            let mut filled = directory.as_os_str().to_owned();
            filled.push(OsStr::from_bytes(rest));
            filled
        }
        _ => text.to_owned(),
    }
}

fn flag(namespace: Namespace) -> u64 {
    let flag = match namespace {
        Namespace::User => libc::CLONE_NEWUSER,
        Namespace::Mount => libc::CLONE_NEWNS,
        Namespace::Pid => libc::CLONE_NEWPID,
        Namespace::Network => libc::CLONE_NEWNET,
        Namespace::Ipc => libc::CLONE_NEWIPC,
        Namespace::Uts => libc::CLONE_NEWUTS,
    };
    u64::from(flag.cast_unsigned())
}

fn resource(resource: Resource) -> u32 {
    match resource {
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Processes => libc::RLIMIT_NPROC,
        Resource::Core => libc::RLIMIT_CORE,
    }
}

fn affinity(processors: &[u32]) -> Vec<u64> {
    let words = processors.iter().max().map_or(1, |last| last / 64 + 1);
    let mut mask = vec![0; words as usize];
    for processor in processors {
        mask[(processor / 64) as usize] |= 1 << (processor % 64);
    }
    mask
}

fn path(path: &Path) -> Result<CString, Error> {
    string("a path", path.as_os_str())
}

fn string(what: &str, text: &OsStr) -> Result<CString, Error> {
    CString::new(text.to_owned().into_vec()).map_err(|_| Error::NulByte { what: what.to_owned() })
}
