//! The ways out that Linux has.

pub(crate) mod environment;
pub(crate) mod hide;
pub(crate) mod ipc;
pub(crate) mod kernel;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod privilege;
pub(crate) mod process;
pub(crate) mod protect;
pub(crate) mod write;

use std::fs;
use std::io;
use std::path::Path;

use crate::attempt::Failure;
use crate::sys::mounts;

/// Moves the process into user, mount, network, IPC and UTS namespaces of its own, in which it is root.
pub(crate) fn enter_own_namespaces() -> Result<(), Failure> {
    let own = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let (user, group) = mounts::effective_ids();
    let enter = || -> io::Result<()> {
        mounts::unshare(own)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
        mounts::mount(None, Path::new("/"), None, libc::MS_REC | libc::MS_PRIVATE)
    };
    enter().map_err(Failure::preparing("cannot enter namespaces of its own for the control"))
}

/// Takes an error that shows that the kernel got past its check of rights for the success that it is.
fn reached(result: io::Result<()>, errors: &[i32]) -> Result<String, Failure> {
    match result {
        Ok(()) => Ok("the call went through".to_owned()),
        Err(error) if error.raw_os_error().is_some_and(|number| errors.contains(&number)) => {
            Ok(format!("the call was let in, and only then refused its arguments: {error}"))
        }
        Err(error) => Err(error.into()),
    }
}
