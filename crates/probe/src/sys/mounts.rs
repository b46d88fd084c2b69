//! Mounts, roots and namespaces.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;

use super::{c_path, check, check_int, own};

/// mount(2).
pub(crate) fn mount(source: Option<&Path>, target: &Path, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let source = source.map(c_path).transpose()?;
    let target = c_path(target)?;
    // SAFETY: each pointer is null where mount(2) allows it, or a NUL-terminated string that outlives the call.
    let returned = unsafe {
        libc::mount(
            source.as_ref().map_or(ptr::null(), |source| source.as_ptr()),
            target.as_ptr(),
            kind.map_or(ptr::null(), CStr::as_ptr),
            flags,
            ptr::null(),
        )
    };
    check_int(returned).map(drop)
}

/// umount2(2) with `MNT_DETACH`.
pub(crate) fn detach(target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: `target` is NUL-terminated and outlives the call.
    check_int(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// pivot_root(2).
pub(crate) fn pivot_root(new: &Path, old: &Path) -> io::Result<()> {
    let new = c_path(new)?;
    let old = c_path(old)?;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) }).map(drop)
}

/// chroot(2).
pub(crate) fn chroot(to: &Path) -> io::Result<()> {
    let to = c_path(to)?;
    // SAFETY: `to` is NUL-terminated and outlives the call.
    check_int(unsafe { libc::chroot(to.as_ptr()) }).map(drop)
}

/// unshare(2).
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: plain integers; the probe has one thread, so no other code sees namespaces change under it.
    check_int(unsafe { libc::unshare(flags) }).map(drop)
}

/// setns(2).
pub(crate) fn enter(namespace: impl AsFd, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call, the rest are integers.
    check_int(unsafe { libc::setns(namespace.as_fd().as_raw_fd(), kind) }).map(drop)
}

/// fsopen(2), fsconfig(2) with `FSCONFIG_CMD_CREATE`, fsmount(2): a detached mount of that kind of file system.
pub(crate) fn new_file_system(kind: &CStr) -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    // SAFETY: `kind` is NUL-terminated and outlives the call.
    let context = own(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 0) })?;
    // SAFETY: this command takes neither key nor value, so both are null.
    let created = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            ptr::null::<u8>(),
            ptr::null::<u8>(),
            0,
        )
    };
    check(created)?;
    // SAFETY: plain integers, and the descriptor is open.
    own(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 0, 0) })
}

/// open_tree(2) with `OPEN_TREE_CLONE`: a detached copy of the mount at `path`.
pub(crate) fn clone_tree(path: &Path) -> io::Result<OwnedFd> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let path = c_path(path)?;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    own(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), OPEN_TREE_CLONE) })
}

/// move_mount(2) of the mount at `from` to `to`.
pub(crate) fn move_mount(from: &Path, to: &Path) -> io::Result<()> {
    let from = c_path(from)?;
    let to = c_path(to)?;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    let returned =
        unsafe { libc::syscall(libc::SYS_move_mount, libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), 0) };
    check(returned).map(drop)
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// mount_setattr(2): makes the mount at `path`, and those below it, writable.
pub(crate) fn make_writable(path: &Path) -> io::Result<()> {
    const MOUNT_ATTR_RDONLY: u64 = 1;
    const AT_RECURSIVE: libc::c_int = 0x8000;
    let path = c_path(path)?;
    let attributes = MountAttributes { set: 0, clear: MOUNT_ATTR_RDONLY, propagation: 0, user_namespace: 0 };
    // SAFETY: `path` is NUL-terminated, `attributes` has the layout and the size that are passed; both outlive the call.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    check(returned).map(drop)
}

/// fspick(2): a handle for reconfiguring the file system mounted at `path`.
pub(crate) fn pick(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    own(unsafe { libc::syscall(libc::SYS_fspick, libc::AT_FDCWD, path.as_ptr(), 0) })
}

/// The caller's effective user and group.
pub(crate) fn effective_ids() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: these calls take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}
