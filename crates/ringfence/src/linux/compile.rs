//! Turns a plan into the script that the child walks.

use std::cell::Cell;
use std::ffi::{CStr, OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::sys::mount_attributes::{NODEV, NOSUID, READ_ONLY};
use super::sys::{self, Arena, Egress, Failure, IdMaps, LockIn, Ruleset, Script, Shared, Socket, Stage, Step, Strings};
use super::{landlock, rtnetlink, seccomp};
use crate::plan::linux::{
    Attributes, LandlockPlan, LandlockRule, LinuxPlan, Mechanism, MountStep, Namespace, Opening, PRIVATE_TEMPORARY,
    Resource,
};
use crate::plan::{Command, EgressPlan, EgressSocket, Plan, Prefix, Protocol};
use crate::{Error, Text};

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

/// Writes scripts down where the process that carries them out can read them.
pub(super) struct Compiler<'a> {
    arena: &'a Arena,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(arena: &'a Arena) -> Self {
        Self { arena }
    }

    /// What a process begins with.
    pub(super) fn opening(&self, opening: &Opening) -> Result<sys::Opening<'a>, Error> {
        // The process mounts before its script is looked at.
        if !opening.mounts.is_empty() {
            require_isolation(&opening.namespaces)?;
        }
        let has = |namespace| opening.namespaces.contains(&namespace);
        let map = |id: u32| self.list(format!("{id} {id} 1").into_bytes());
        let maps = || Ok(IdMaps { users: map(opening.user.uid)?, groups: map(opening.user.gid)? });
        Ok(sys::Opening {
            namespaces: opening.namespaces.iter().fold(0, |flags, namespace| flags | flag(*namespace)),
            maps: has(Namespace::User).then(maps).transpose()?,
            loopback: has(Namespace::Network),
            mounts: self.steps(&opening.mounts)?,
            slots: self.slots(&opening.mounts)?,
        })
    }

    /// What follows an opening, by the plan that begins with it.
    pub(super) fn script(
        &self,
        command: &Command,
        plan: &LinuxPlan,
        opening: &Opening,
        made: &Made<'_>,
    ) -> Result<Script<'a>, Error> {
        if plan.mechanism == Mechanism::Namespaces || !plan.mounts.is_empty() {
            require_isolation(&plan.namespaces)?;
        }
        let program = self.path(&command.program)?;
        let argument = |argument: &Text| self.string("an argument", argument.as_os_str());
        let argv = command.argv.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        let mut shell_argv = vec![self.string("an argument", OsStr::new("sh"))?, program];
        shell_argv.extend(argv.iter().skip(1));
        let environment = command.environment.iter().map(|(name, value)| {
            let mut variable = name.as_os_str().to_owned();
            variable.push("=");
            variable.push(match made.variable(name.as_os_str(), value.as_os_str(), plan) {
                Some(value) => value.into(),
                None => fill_in(value.as_os_str(), made.temporary),
            });
            self.string("the environment", &variable)
        });
        let environment = environment.collect::<Result<Vec<_>, _>>()?;
        let terminal = match plan.mechanism {
            Mechanism::Namespaces => "/dev/pts/ptmx",
            Mechanism::Landlock => "/dev/ptmx",
        };
        let egress = plan.egress.as_ref().filter(|_| plan.mechanism == Mechanism::Namespaces);
        let affinity = plan.affinity.as_deref().map(|processors| self.list(affinity(processors)));
        Ok(Script {
            egress: egress.map(|egress| self.egress(egress)).transpose()?,
            mounts: self.steps(plan.mounts.get(opening.mounts.len()..).unwrap_or_default())?,
            steps_before: opening.mounts.len(),
            slots: self.slots(&plan.mounts)?,
            ruleset: plan.landlock.as_ref().map(|plan| self.ruleset(plan, made)).transpose()?,
            filter: self.list(seccomp::compile(&plan.seccomp))?,
            lock_in: match plan.mechanism {
                Mechanism::Namespaces => LockIn::Init,
                Mechanism::Landlock => LockIn::Command,
            },
            directory: self.path(&command.directory)?,
            program: Some(program),
            argv: self.strings(&argv)?,
            shell_argv: self.strings(&shell_argv)?,
            environment: self.strings(&environment)?,
            rlimits: self.list(plan.rlimits.iter().map(|limit| (resource(limit.resource), limit.limit)))?,
            affinity: affinity.transpose()?,
            terminal: command.tty.then(|| self.path(Path::new(terminal))).transpose()?,
            keep: self.list(command.keep_descriptors.iter().copied())?,
            signals: sys::mask(),
        })
    }

    fn steps(&self, steps: &[MountStep]) -> Result<Shared<'a, [Step<'a>]>, Error> {
        self.list(steps.iter().map(|step| self.step(step)).collect::<Result<Vec<_>, _>>()?)
    }

    /// Room for what the steps capture.
    fn slots(&self, steps: &[MountStep]) -> Result<sys::Slots<'a>, Error> {
        let slots = steps.iter().filter_map(|step| match step {
            MountStep::Capture { slot, .. } | MountStep::Share { slot, .. } => Some(*slot as usize + 1),
            _ => None,
        });
        self.list((0..slots.max().unwrap_or_default()).map(|_| Cell::new(-1)))
    }

    fn step(&self, step: &MountStep) -> Result<Step<'a>, Error> {
        let mount = |at: &Path, kind: &str, flags: u64, data: Option<String>| {
            Ok::<_, Error>(Step::Mount {
                path: self.path(at)?,
                kind: self.string("a file system", kind.as_ref())?,
                flags,
                data: data.map(|data| self.string("mount options", data.as_ref())).transpose()?,
            })
        };
        Ok(match step {
            MountStep::Capture { slot, path, identity, recursive, attributes } => Step::Capture {
                slot: *slot as usize,
                path: self.path(path)?,
                identity: identity.map(|identity| (identity.device, identity.inode)),
                recursive: *recursive,
                attributes: bits(*attributes),
            },
            MountStep::LockHost => Step::LockHost { attributes: bits(Attributes { read_only: true }) },
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
            MountStep::Device { node, path } => {
                Step::Cover { path: self.path(path)?, with: self.path(node)?, optional: false }
            }
            MountStep::Directory { path, mode } => Step::Directory { path: self.path(path)?, mode: *mode },
            MountStep::File { path } => Step::File { path: self.path(path)? },
            MountStep::Text { path, content } => {
                Step::Text { path: self.path(path)?, content: self.list(content.bytes())? }
            }
            MountStep::Symlink { path, target } => Step::Symlink { path: self.path(path)?, target: self.path(target)? },
            MountStep::Place { slot, path } => Step::Place { slot: *slot as usize, path: self.path(path)? },
            MountStep::Cover { path, with, optional } => {
                Step::Cover { path: self.path(path)?, with: self.path(with)?, optional: *optional }
            }
            MountStep::ReadOnly { path } => Step::ReadOnly { path: self.path(path)? },
            MountStep::Share { slot, path } => Step::Share { slot: *slot as usize, path: self.path(path)? },
        })
    }

    fn egress(&self, plan: &EgressPlan) -> Result<Egress<'a>, Error> {
        let socket = |socket: &EgressSocket| Socket {
            address: socket.address,
            stream: socket.protocol == Protocol::Tcp,
            optional: socket.optional,
        };
        let route = |prefix: &Prefix| self.list(rtnetlink::add_local_route(*prefix));
        Ok(Egress {
            routes: self.list(plan.routes.iter().map(route).collect::<Result<Vec<_>, _>>()?)?,
            sockets: self.list(plan.sockets.iter().map(socket))?,
        })
    }

    fn ruleset(&self, plan: &LandlockPlan, made: &Made<'_>) -> Result<Ruleset<'a>, Error> {
        let rule = |rule: &LandlockRule| {
            let filled = fill_in(rule.path.as_os_str(), made.temporary);
            Ok((self.path(Path::new(&filled))?, landlock::granted(plan.abi, &rule.access)))
        };
        // A rule for port 0 would stand for any port that the kernel may choose (landlock(7)).
        let port = |port: &u16| match port {
            0 => made.proxy.map(|address| address.port()),
            port => Some(*port),
        };
        Ok(Ruleset {
            handled_files: landlock::handled(plan),
            handled_network: landlock::network(plan),
            scoped: landlock::scoped(plan),
            connect: self.list(plan.connect.iter().filter_map(port).collect::<Vec<_>>())?,
            rules: self.list(plan.rules.iter().map(rule).collect::<Result<Vec<_>, Error>>()?)?,
        })
    }

    fn path(&self, path: &Path) -> Result<Shared<'a, CStr>, Error> {
        self.string("a path", path.as_os_str())
    }

    fn string(&self, what: &str, text: &OsStr) -> Result<Shared<'a, CStr>, Error> {
        if text.as_bytes().contains(&0) {
            return Err(Error::NulByte { what: what.to_owned() });
        }
        self.arena.c_string(text.as_bytes()).map_err(too_much)
    }

    fn strings(&self, strings: &[Shared<'a, CStr>]) -> Result<Strings<'a>, Error> {
        Strings::new(self.arena, strings).map_err(too_much)
    }

    fn list<T>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> Result<Shared<'a, [T]>, Error> {
        self.arena.list(items).map_err(too_much)
    }
}

/// Whoever mounts without namespaces of his own changes the host.
fn require_isolation(namespaces: &[Namespace]) -> Result<(), Error> {
    if [Namespace::User, Namespace::Mount, Namespace::Pid].iter().all(|one| namespaces.contains(one)) {
        return Ok(());
    }
    let advice = "a plan is only carried out as it was made".into();
    Err(Error::Unsupported { what: "a plan of namespaces without its own".into(), advice })
}

fn too_much(source: std::io::Error) -> Error {
    Error::System { operation: "writing the steps of the plan down", source }
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
        Stage::Namespaces => "making namespaces".to_owned(),
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
        MountStep::Device { path, .. } => ("showing the device", path.as_path()),
        MountStep::Directory { path, .. } => ("making the directory", path.as_path()),
        MountStep::File { path } => ("making the file", path.as_path()),
        MountStep::Text { path, .. } => ("writing", path.as_path()),
        MountStep::Symlink { path, .. } => ("making the symbolic link", path.as_path()),
        MountStep::Place { path, .. } => ("placing", path.as_path()),
        MountStep::Cover { path, .. } => ("covering", path.as_path()),
        MountStep::Share { path, .. } => ("taking hold of", path.as_path()),
        MountStep::ReadOnly { path } => ("making read-only", path.as_path()),
    };
    format!("{what} `{}`", path.display())
}

fn bits(attributes: Attributes) -> u64 {
    NOSUID | NODEV | if attributes.read_only { READ_ONLY } else { 0 }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::linux::User;

    #[test]
    fn nothing_is_mounted_without_namespaces_of_its_own() {
        let arena = Arena::shared().unwrap();
        let compiler = Compiler::new(&arena);
        let usual = Opening::usual(User { uid: 0, gid: 0 });
        assert!(compiler.opening(&usual).is_ok());
        for missing in [Namespace::User, Namespace::Mount, Namespace::Pid] {
            let mut opening = Opening::usual(usual.user);
            opening.namespaces.retain(|namespace| *namespace != missing);
            let refused = compiler.opening(&opening).err().map(|error| error.code());
            assert_eq!(refused, Some("unsupported"), "{missing:?}");
        }
    }
}
