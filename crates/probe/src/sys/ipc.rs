//! System V and POSIX objects that processes share by name.

use std::ffi::CStr;
use std::io;
use std::ptr;

use super::check_int;

/// The three kinds of System V object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SharedMemory,
    Semaphore,
    MessageQueue,
}

/// Finds (or with `create` makes) the object of that key, and returns its identifier.
pub(crate) fn get(kind: Kind, key: i32, create: bool) -> io::Result<i32> {
    let flags = if create { libc::IPC_CREAT | libc::IPC_EXCL | 0o666 } else { 0o600 };
    let size = if create { 4096 } else { 0 };
    // SAFETY: plain integers in every arm.
    let returned = unsafe {
        match kind {
            Kind::SharedMemory => libc::shmget(key, size, flags),
            Kind::Semaphore => libc::semget(key, i32::from(create), flags),
            Kind::MessageQueue => libc::msgget(key, flags),
        }
    };
    check_int(returned)
}

/// Removes an object.
pub(crate) fn remove(kind: Kind, identifier: i32) -> io::Result<()> {
    // SAFETY: the command IPC_RMID ignores its buffer, which is null or left out.
    let returned = unsafe {
        match kind {
            Kind::SharedMemory => libc::shmctl(identifier, libc::IPC_RMID, ptr::null_mut()),
            Kind::Semaphore => libc::semctl(identifier, 0, libc::IPC_RMID),
            Kind::MessageQueue => libc::msgctl(identifier, libc::IPC_RMID, ptr::null_mut()),
        }
    };
    check_int(returned).map(drop)
}

/// mq_open(3) of a queue, which is made if `create`. The descriptor stays open until the process ends.
pub(crate) fn open_queue(name: &CStr, create: bool) -> io::Result<()> {
    let returned = if create {
        // SAFETY: `name` is NUL-terminated; with O_CREAT the call takes a mode and attributes, which may be null.
        unsafe {
            libc::mq_open(
                name.as_ptr(),
                libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC,
                0o666 as libc::mode_t,
                ptr::null_mut::<libc::mq_attr>(),
            )
        }
    } else {
        // SAFETY: `name` is NUL-terminated and outlives the call.
        unsafe { libc::mq_open(name.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }
    };
    check_int(returned).map(drop)
}

/// mq_unlink(3).
pub(crate) fn remove_queue(name: &CStr) -> io::Result<()> {
    // SAFETY: `name` is NUL-terminated and outlives the call.
    check_int(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}
