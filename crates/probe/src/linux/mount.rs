//! Taking the boundary down: mounts, roots and namespaces.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Control, Probe};
use crate::sys::{kernel, mounts};

const ALL_NAMESPACES: [(&str, libc::c_int); 7] = [
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("pid", libc::CLONE_NEWPID),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

pub(crate) const PROBES: &[Probe] = &[
    apart("mount-bind", "Binds a directory outside over one of the workspace.", |t| {
        let target = own_directory(t)?;
        Ok(done(mounts::mount(Some(t.path("outside")?), &target, None, libc::MS_BIND)?))
    }),
    apart("mount-remount-writable", "Remounts the root of the file system for writing.", |_| {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        Ok(done(mounts::mount(None, Path::new("/"), None, flags)?))
    }),
    apart("mount-remount-protection", "Remounts a protected path for writing.", |t| {
        let hooks = t.join("workspace", ".git/hooks")?;
        bind_for_control(t, &hooks)?;
        Ok(done(mounts::mount(None, &hooks, None, libc::MS_REMOUNT | libc::MS_BIND)?))
    }),
    apart("mount-unmount-protection", "Unmounts what protects a path.", |t| {
        let hooks = t.join("workspace", ".git/hooks")?;
        bind_for_control(t, &hooks)?;
        Ok(done(mounts::detach(&hooks)?))
    }),
    apart("mount-temporary", "Mounts a file system in memory over a directory of the workspace.", |t| {
        Ok(done(mounts::mount(None, &own_directory(t)?, Some(c"tmpfs"), 0)?))
    }),
    apart("mount-move", "Moves a mount to another place.", |t| {
        let from = own_directory(t)?;
        let to = t.join("workspace", "sub")?;
        bind_for_control(t, &from)?;
        Ok(done(mounts::mount(Some(&from), &to, None, libc::MS_MOVE)?))
    }),
    apart("mount-propagation", "Makes mounts travel back to the host.", |_| {
        Ok(done(mounts::mount(None, Path::new("/"), None, libc::MS_REC | libc::MS_SHARED)?))
    }),
    apart("mount-new-interface", "Makes a file system with fsopen.", |_| Ok(done(mounts::new_file_system(c"tmpfs")?))),
    apart("mount-open-tree", "Copies a mount with open_tree.", |t| Ok(done(mounts::clone_tree(t.path("outside")?)?))),
    apart("mount-move-mount", "Moves a mount with move_mount.", |t| {
        let from = own_directory(t)?;
        bind_for_control(t, &from)?;
        Ok(done(mounts::move_mount(&from, &t.join("workspace", "sub")?)?))
    }),
    apart("mount-setattr", "Makes every mount writable with mount_setattr.", |t| {
        bind_for_control(t, t.path("workspace")?)?;
        Ok(done(mounts::make_writable(t.path("workspace")?)?))
    }),
    Probe::new("mount-fspick", Class::Mount, "Opens the file system for reconfiguring with fspick.", |_| {
        Ok(done(mounts::pick(Path::new("/"))?))
    })
    .privileged(),
    apart("mount-pivot-root", "Makes another directory the root.", |t| {
        let root = own_directory(t)?;
        bind_for_control(t, &root)?;
        Ok(done(mounts::pivot_root(&root, &root)?))
    }),
    apart("mount-chroot", "Changes its root directory.", |t| Ok(done(mounts::chroot(t.path("workspace")?)?))),
    Probe::new("namespace-user", Class::Mount, "Makes a user namespace, in which it is root.", |_| {
        Ok(done(mounts::unshare(libc::CLONE_NEWUSER)?))
    }),
    Probe::new("namespace-user-mount", Class::Mount, "Makes user and mount namespaces and mounts there.", |t| {
        let target = own_directory(t)?;
        mounts::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
        mounts::mount(None, Path::new("/"), None, libc::MS_REC | libc::MS_PRIVATE)?;
        Ok(done(mounts::mount(None, &target, Some(c"tmpfs"), 0)?))
    }),
    Probe::new("namespace-clone", Class::Mount, "Makes a user namespace with clone.", |_| {
        Ok(done(kernel::clone_into(libc::CLONE_NEWUSER)?))
    }),
    Probe::new("namespace-clone3", Class::Mount, "Makes a user namespace with clone3.", |_| {
        Ok(done(kernel::clone3_into(libc::CLONE_NEWUSER)?))
    }),
    apart("namespace-mount", "Makes a mount namespace.", |_| Ok(done(mounts::unshare(libc::CLONE_NEWNS)?))),
    apart("namespace-network", "Makes a network namespace.", |_| Ok(done(mounts::unshare(libc::CLONE_NEWNET)?))),
    apart("namespace-process", "Makes a process namespace.", |_| Ok(done(mounts::unshare(libc::CLONE_NEWPID)?))),
    apart("namespace-ipc", "Makes an IPC namespace.", |_| Ok(done(mounts::unshare(libc::CLONE_NEWIPC)?))),
    apart("namespace-uts", "Makes a host name namespace.", |_| Ok(done(mounts::unshare(libc::CLONE_NEWUTS)?))),
    apart("namespace-cgroup", "Makes a control group namespace.", |_| {
        Ok(done(mounts::unshare(libc::CLONE_NEWCGROUP)?))
    }),
    apart("namespace-time", "Makes a time namespace.", |_| {
        const CLONE_NEWTIME: libc::c_int = 0x80;
        Ok(done(mounts::unshare(CLONE_NEWTIME)?))
    }),
    Probe::new("namespace-enter-neighbour", Class::Mount, "Enters the namespaces of another process.", |t| {
        let neighbour = t.text("neighbour")?;
        // Any of them will do; the first, the user namespace, refuses whoever is in it already.
        let mut last = Failure::denied("it has no namespaces");
        for (name, kind) in &ALL_NAMESPACES[1..] {
            match enter(&format!("/proc/{neighbour}/ns/{name}"), *kind) {
                Ok(()) => return Ok(format!("entered its {name} namespace")),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    })
    .privileged(),
    Probe::new("namespace-enter-init", Class::Mount, "Enters the namespaces of process 1.", |_| {
        Ok(done(enter("/proc/1/ns/uts", libc::CLONE_NEWUTS)?))
    })
    .privileged(),
    apart("namespace-enter-own", "Enters a namespace that it is in already.", |_| {
        Ok(done(enter("/proc/self/ns/uts", libc::CLONE_NEWUTS)?))
    }),
];

/// Done to the host these would change it, and only root could: the control runs in namespaces of its own.
const fn apart(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Mount, tries, run).control(Control::Apart)
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

fn own_directory(targets: &Targets) -> Result<PathBuf, Failure> {
    let directory = targets.join("workspace", "mount-point")?;
    fs::create_dir_all(&directory).map_err(Failure::preparing("mount-point"))?;
    Ok(directory)
}

/// Inside, a mount is there already; the control has to make the one that it then changes.
fn bind_for_control(targets: &Targets, path: &Path) -> Result<(), Failure> {
    if !targets.apart() {
        return Ok(());
    }
    mounts::mount(Some(path), path, None, libc::MS_BIND).map_err(Failure::preparing("a mount to change"))
}

fn enter(path: &str, kind: libc::c_int) -> Result<(), Failure> {
    Ok(mounts::enter(File::open(path)?, kind)?)
}
