//! The control group of a run (cgroups(7), version 2).

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::facts::CgroupFacts;
use crate::plan::linux::CgroupPlan;

/// A group that was made for one run, removed when dropped.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    directory: OwnedFd,
}

/// Controllers that limits need.
const WANTED: [&str; 3] = ["memory", "pids", "cpu"];

/// Looks for a place where this user may make groups that have controllers.
pub(super) fn delegated() -> CgroupFacts {
    let Some(own) = own_group() else {
        return CgroupFacts { detail: "no cgroup v2 hierarchy is mounted".into(), ..CgroupFacts::default() };
    };
    let mut why = String::new();
    // A group that has processes cannot give its children controllers, so it is usually the parent that can.
    for directory in [own.parent(), Some(own.as_path())].into_iter().flatten() {
        match usable(directory) {
            Ok(controllers) => {
                let detail = format!("{} delegates {}", directory.display(), controllers.join(", "));
                return CgroupFacts { directory: Some(directory.to_owned()), controllers, detail };
            }
            Err(reason) => why = format!("{}: {reason}", directory.display()),
        }
    }
    CgroupFacts { detail: why, ..CgroupFacts::default() }
}

fn usable(directory: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(directory.join("cgroup.subtree_control")).map_err(|error| error.to_string())?;
    let controllers: Vec<String> =
        text.split_whitespace().filter(|name| WANTED.contains(name)).map(str::to_owned).collect();
    if controllers.is_empty() {
        return Err("it gives its children none of memory, pids and cpu".into());
    }
    for path in [directory.to_owned(), directory.join("cgroup.procs")] {
        rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).map_err(|error| format!("not delegated: {error}"))?;
    }
    Ok(controllers)
}

/// The directory of the group that this process is in.
fn own_group() -> Option<PathBuf> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    // Fields up to a lone dash are the mount, then come type, source and options (proc(5)).
    let mount = mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4))?
    })?;
    Some(Path::new(mount).join(group))
}

impl Cgroup {
    /// Makes the group and sets its limits.
    pub(super) fn create(plan: &CgroupPlan, id: &str) -> Result<Self, Error> {
        let path = plan.parent.join(format!("ringfence-{id}"));
        let failed = |step: &str, source| Error::Sandbox { step: format!("{step} `{}`", path.display()), source };
        std::fs::create_dir(&path).map_err(|source| failed("making the control group", source))?;
        let open = || {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
            rustix::fs::open(&path, flags, rustix::fs::Mode::empty())
        };
        let group = match open() {
            Ok(directory) => Self { path: path.clone(), directory },
            Err(errno) => {
                let source = errno.into();
                // Nothing is in it, and the error that is reported is the first one.
                std::fs::remove_dir(&path).unwrap_or_default();
                return Err(failed("opening the control group", source));
            }
        };
        for (file, value) in &plan.settings {
            match std::fs::write(group.path.join(file), value) {
                Ok(()) => {}
                // A kernel without swap accounting has no such file, and no swap to limit.
                Err(error) if file == "memory.swap.max" && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed(&format!("setting {file} of"), source)),
            }
        }
        Ok(group)
    }

    pub(super) fn descriptor(&self) -> i32 {
        self.directory.as_raw_fd()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes are gone; a group that is still busy is left to whoever delegated it.
        std::fs::remove_dir(&self.path).unwrap_or_default();
    }
}
