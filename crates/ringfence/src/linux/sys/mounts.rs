//! Carries the file system part of a script out.

use std::ffi::CStr;

use super::call::{self, Errno, On, RawFd, Result};
use super::mount_attributes::READ_ONLY;
use super::script::{Slots, Step};

/// The index of the step that failed, the error, and whether it was an object that is not the planned one.
pub(super) struct Stopped {
    pub(super) index: usize,
    pub(super) errno: Errno,
    pub(super) changed: bool,
}

/// Builds the file system; stops at the first step that fails.
pub(super) fn build(steps: &[Step<'_>], slots: Slots<'_>) -> std::result::Result<(), Stopped> {
    let mut host_root = -1;
    for (index, step) in steps.iter().enumerate() {
        let result = match step {
            Step::Capture { slot, path, identity, recursive, attributes } => {
                match capture(path, *identity, *recursive, *attributes) {
                    Ok(Some(tree)) => hold(slots, *slot, tree),
                    Ok(None) => {
                        return Err(Stopped { index, errno: Errno(libc::ESTALE), changed: true });
                    }
                    Err(Errno(libc::ENOENT | libc::ELOOP | libc::ENOTDIR)) if identity.is_some() => {
                        return Err(Stopped { index, errno: Errno(libc::ENOENT), changed: true });
                    }
                    Err(errno) => Err(errno),
                }
            }
            Step::Share { slot, path } => share(path).and_then(|tree| hold(slots, *slot, tree)),
            other => apply(other, slots, &mut host_root),
        };
        result.map_err(|errno| Stopped { index, errno, changed: false })?;
    }
    Ok(())
}

fn hold(slots: Slots<'_>, slot: usize, tree: RawFd) -> Result<()> {
    slots.get(slot).ok_or(NO_SLOT)?.set(tree);
    Ok(())
}

/// A plan that places what it never took hold of.
const NO_SLOT: Errno = Errno(libc::EINVAL);

/// A detached copy of what is at the path, or `None` if that is not the object that was planned.
fn capture(path: &CStr, identity: Option<(u64, u64)>, recursive: bool, attributes: u64) -> Result<Option<RawFd>> {
    let fd = call::open_exact(path)?;
    if let Some(planned) = identity {
        let (device, inode, _) = call::identify(fd)?;
        if (device, inode) != planned {
            call::close(fd);
            return Ok(None);
        }
    }
    let tree = call::clone_tree(fd, recursive)?;
    call::close(fd);
    call::set_attributes(On::Descriptor(tree), attributes, recursive)?;
    Ok(Some(tree))
}

fn share(path: &CStr) -> Result<RawFd> {
    let fd = call::open_exact(path)?;
    let tree = call::clone_tree(fd, true);
    call::close(fd);
    tree
}

fn apply(step: &Step<'_>, slots: Slots<'_>, host_root: &mut RawFd) -> Result<()> {
    match step {
        Step::Capture { .. } | Step::Share { .. } => Ok(()),
        Step::LockHost { attributes } => call::set_attributes(On::Path(c"/"), *attributes, true),
        Step::EmptyRoot => {
            // Propagation first: pivot_root(2) refuses shared mounts.
            call::set_attributes(On::Path(c"/"), 0, true)?;
            *host_root = call::open(c"/", libc::O_PATH | libc::O_DIRECTORY, 0)?;
            let flags = libc::MS_NOSUID | libc::MS_NODEV;
            call::mount(c"tmpfs", c"/proc", c"tmpfs", flags, Some(c"mode=755"))?;
            call::change_directory(c"/proc")?;
            call::pivot_here()
        }
        Step::DetachHost => {
            call::change_directory_to(*host_root)?;
            call::detach_here()?;
            call::close(*host_root);
            call::change_directory(c"/")
        }
        Step::Mount { path, kind, flags, data } => call::mount(kind, path, kind, *flags, data.as_deref()),
        Step::Directory { path, mode } => call::make_directory(path, *mode),
        Step::File { path } => make_file(path),
        Step::Text { path, content } => write_file(path, content),
        Step::Symlink { path, target } => call::make_symlink(target, path),
        Step::Place { slot, path } => {
            let tree = slots.get(*slot).ok_or(NO_SLOT)?.replace(-1);
            call::attach_tree(tree, path)?;
            call::close(tree);
            Ok(())
        }
        Step::Cover { path, with, optional } => allow_missing(*optional, bind(with, path)),
        Step::ReadOnly { path } => call::set_attributes(On::Path(path), READ_ONLY, false),
    }
}

/// An empty file; one that exists is fine.
fn make_file(path: &CStr) -> Result<()> {
    match call::make_file(path, 0o444) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        other => other,
    }
}

fn write_file(path: &CStr, content: &[u8]) -> Result<()> {
    let fd = call::open(path, libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_WRONLY, 0o444)?;
    let written = call::write(fd, content);
    call::close(fd);
    written
}

fn bind(source: &CStr, target: &CStr) -> Result<()> {
    call::mount(source, target, c"none", libc::MS_BIND, None)
}

fn allow_missing(optional: bool, result: Result<()>) -> Result<()> {
    match result {
        Err(Errno(libc::ENOENT)) if optional => Ok(()),
        other => other,
    }
}
