//! Files: what `std::fs` cannot do.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use super::{c_path, check, check_int, own};

/// mknod(2). `mode` carries the file type.
pub(crate) fn mknod(path: &Path, mode: libc::mode_t, device: libc::dev_t) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    check_int(unsafe { libc::mknod(path.as_ptr(), mode, device) }).map(drop)
}

/// truncate(2).
pub(crate) fn truncate(path: &Path, length: i64) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    check_int(unsafe { libc::truncate(path.as_ptr(), length) }).map(drop)
}

/// setxattr(2).
pub(crate) fn set_attribute(path: &Path, name: &std::ffi::CStr, value: &[u8]) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: both strings are NUL-terminated, `value` is readable for its length, all outlive the call.
    let returned = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    check_int(returned).map(drop)
}

/// utimensat(2): sets both times to the epoch.
pub(crate) fn set_times_to_epoch(path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let epoch = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let times = [epoch, epoch];
    // SAFETY: `path` is NUL-terminated, `times` has the two elements that the call reads; both outlive it.
    check_int(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) }).map(drop)
}

/// openat(2) for creating a file below a descriptor that the process merely inherited, whatever it is.
pub(crate) fn create_at(directory: RawFd, name: &Path) -> io::Result<OwnedFd> {
    let name = c_path(name)?;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: `name` is NUL-terminated and outlives the call; a number that is no descriptor gives EBADF.
    own(unsafe { libc::syscall(libc::SYS_openat, directory, name.as_ptr(), flags, 0o644) })
}

/// linkat(2) on `/proc/self/fd`: gives an unnamed file (`O_TMPFILE`) a name.
pub(crate) fn link_unnamed(file: &File, to: &Path) -> io::Result<()> {
    let from = c_path(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))?;
    let to = c_path(to)?;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    let returned =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    check_int(returned).map(drop)
}

/// renameat2(2) with `RENAME_EXCHANGE`.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let one = c_path(one)?;
    let other = c_path(other)?;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    let returned =
        unsafe { libc::renameat2(libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
    check_int(returned).map(drop)
}

/// Room for the largest handle that a file system may give (`MAX_HANDLE_SZ`).
const HANDLE_BYTES: u32 = 128;

/// `struct file_handle`, with its flexible member at its largest.
#[repr(C)]
struct FileHandle {
    handle_bytes: u32,
    handle_type: i32,
    handle: [u8; HANDLE_BYTES as usize],
}

/// name_to_handle_at(2) and then open_by_handle_at(2) for writing, with `mount` as any descriptor on that mount.
pub(crate) fn open_by_handle(path: &Path, mount: &File) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut handle = FileHandle { handle_bytes: HANDLE_BYTES, handle_type: 0, handle: [0; HANDLE_BYTES as usize] };
    let mut mount_id: libc::c_int = 0;
    // SAFETY: `handle` announces its true capacity, `mount_id` is a writable int, `path` is NUL-terminated.
    let named = unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, path.as_ptr(), &raw mut handle, &raw mut mount_id, 0)
    };
    check(named)?;
    // SAFETY: `handle` was filled by the kernel and outlives the call.
    own(unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const handle, libc::O_WRONLY) })
}

/// fchmod(2) on a descriptor that the process merely inherited.
pub(crate) fn change_mode_of(descriptor: RawFd, mode: libc::mode_t) -> io::Result<()> {
    // SAFETY: plain integers; a number that is no descriptor gives EBADF.
    check_int(unsafe { libc::fchmod(descriptor, mode) }).map(drop)
}

/// `ioctl(FS_IOC_SETFLAGS)` with the flags the file already has plus `NODUMP`, which changes nothing but the inode.
pub(crate) fn set_no_dump(file: &File) -> io::Result<()> {
    const NO_DUMP: libc::c_int = 0x40;
    let mut flags: libc::c_int = 0;
    // SAFETY: the request reads into an int, which `flags` is, and the descriptor is open.
    check_int(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) })?;
    flags |= NO_DUMP;
    // SAFETY: the request reads an int from `flags`, and the descriptor is open.
    check_int(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) }).map(drop)
}
