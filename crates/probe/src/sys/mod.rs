//! The system calls that the standard library does not offer. The only place of this crate with `unsafe`.
//!
//! Each function is one call. None of them decides anything, and each is sound for every argument.

pub(crate) mod files;
pub(crate) mod ipc;
pub(crate) mod kernel;
pub(crate) mod mounts;
pub(crate) mod processes;
pub(crate) mod sockets;
pub(crate) mod terminal;

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Turns the kernel's convention (-1 and `errno`) into a result.
fn check(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// The same for functions of the C library that return an `int`.
fn check_int(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// Takes ownership of a descriptor that a call has just returned.
fn own(returned: libc::c_long) -> io::Result<OwnedFd> {
    let descriptor = RawFd::try_from(check(returned)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
