//! Thin wrappers over single system calls: no allocation, the error number as the error.

use std::ffi::CStr;

/// An error number (errno(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// A descriptor in the child, where nothing is dropped: the process image is replaced instead.
pub(crate) type RawFd = i32;

impl Errno {
    /// The error of the last failed call.
    pub(crate) fn last() -> Self {
        // SAFETY: the C library's error number is a valid thread-local location for the life of the thread.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

/// Makes a system call with up to six arguments.
///
/// # Safety
///
/// The arguments must be what the call of that number expects, and every pointer among them must be valid for what the
/// kernel reads and writes through it.
pub(crate) unsafe fn raw(number: libc::c_long, arguments: [usize; 6]) -> Result<usize> {
    // SAFETY: the caller promises that the arguments fit the call.
    let result = unsafe { enter_kernel(number, arguments) };
    // The kernel's errors are the last page of numbers (syscall(2)).
    match result {
        error @ -4095..0 => Err(Errno(i32::try_from(-error).unwrap_or(libc::EIO))),
        value => Ok(value.cast_unsigned()),
    }
}

/// The instruction itself. The C library's function keeps the error number in memory that belongs to a thread, and a
/// process that borrows the supervisor's memory would overwrite the supervisor's.
///
/// # Safety
///
/// As [`raw`].
#[cfg(target_arch = "x86_64")]
unsafe fn enter_kernel(number: libc::c_long, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the registers are those of the kernel's calling convention (syscall(2)); it changes the three that are named
    // as outputs, and no stack.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// As for x86-64.
///
/// # Safety
///
/// As [`raw`].
#[cfg(target_arch = "aarch64")]
unsafe fn enter_kernel(number: libc::c_long, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the registers are those of the kernel's calling convention (syscall(2)); it changes only the first.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number, inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}

/// There is no system call table for this processor, so no plan is ever carried out on it.
///
/// # Safety
///
/// As [`raw`].
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn enter_kernel(_: libc::c_long, _: [usize; 6]) -> isize {
    -(libc::ENOSYS as isize)
}

fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// Sign extension is what the kernel expects of a descriptor such as `AT_FDCWD`.
fn descriptor(fd: RawFd) -> usize {
    fd as isize as usize
}

fn as_fd(result: usize) -> RawFd {
    RawFd::try_from(result).unwrap_or(-1)
}

/// `openat(2)` relative to the current directory.
pub(crate) fn open(path: &CStr, flags: i32, mode: u32) -> Result<RawFd> {
    let arguments =
        [descriptor(libc::AT_FDCWD), address(path), (flags | libc::O_CLOEXEC) as usize, mode as usize, 0, 0];
    // SAFETY: the path is a valid string; the other arguments are numbers.
    unsafe { raw(libc::SYS_openat, arguments) }.map(as_fd)
}

/// `openat2(2)` with `O_PATH` that follows no symbolic link anywhere in the path.
pub(crate) fn open_exact(path: &CStr) -> Result<RawFd> {
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const RESOLVE_NO_SYMLINKS: u64 = 0x04;
    let how = OpenHow {
        flags: (libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW) as u64,
        mode: 0,
        resolve: RESOLVE_NO_SYMLINKS,
    };
    let arguments = [descriptor(libc::AT_FDCWD), address(path), (&raw const how) as usize, size_of::<OpenHow>(), 0, 0];
    // SAFETY: path and structure live through the call, and the size is the structure's.
    unsafe { raw(libc::SYS_openat2, arguments) }.map(as_fd)
}

/// `close(2)`.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: closing a number that is not open only fails.
    unsafe { raw(libc::SYS_close, [descriptor(fd), 0, 0, 0, 0, 0]) }.unwrap_or_default();
}

/// `close_range(2)`.
pub(crate) fn close_range(first: u32, last: u32, flags: u32) -> Result<()> {
    // SAFETY: three numbers.
    unsafe { raw(libc::SYS_close_range, [first as usize, last as usize, flags as usize, 0, 0, 0]) }.map(drop)
}

/// `fstat(2)` of what matters here: device, inode and whether it is a directory.
pub(crate) fn identify(fd: RawFd) -> Result<(u64, u64, bool)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the buffer is large enough and writable; the C library's structure is the kernel's here.
    unsafe { raw(libc::SYS_fstat, [descriptor(fd), stat.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    // SAFETY: the call succeeded, so the kernel filled the buffer.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.st_dev, stat.st_ino, stat.st_mode & libc::S_IFMT == libc::S_IFDIR))
}

/// `write(2)`, all of it or an error.
pub(crate) fn write(fd: RawFd, bytes: &[u8]) -> Result<()> {
    // SAFETY: pointer and length describe a valid slice.
    let written = unsafe { raw(libc::SYS_write, [descriptor(fd), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) }?;
    if written == bytes.len() { Ok(()) } else { Err(Errno(libc::EIO)) }
}

/// `read(2)`.
pub(crate) fn read(fd: RawFd, bytes: &mut [u8]) -> Result<usize> {
    // SAFETY: pointer and length describe a valid, exclusive slice.
    unsafe { raw(libc::SYS_read, [descriptor(fd), bytes.as_mut_ptr() as usize, bytes.len(), 0, 0, 0]) }
}

/// `unshare(2)`.
pub(crate) fn unshare(namespaces: u64) -> Result<()> {
    // SAFETY: a number.
    unsafe { raw(libc::SYS_unshare, [namespaces as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// `prctl(2)` with numbers only.
pub(crate) fn prctl(option: i32, argument: usize) -> Result<usize> {
    // SAFETY: every option that is used here takes numbers; unused arguments are zero, as the kernel demands.
    unsafe { raw(libc::SYS_prctl, [option as usize, argument, 0, 0, 0, 0]) }
}

/// `mount(2)`.
pub(crate) fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: Option<&CStr>) -> Result<()> {
    let data = data.map_or(0, address);
    // SAFETY: all strings live through the call.
    unsafe { raw(libc::SYS_mount, [address(source), address(target), address(kind), flags as usize, data, 0]) }
        .map(drop)
}

/// `open_tree(2)`: a detached copy of the mount at a descriptor.
pub(crate) fn clone_tree(fd: RawFd, recursive: bool) -> Result<RawFd> {
    const OPEN_TREE_CLONE: i32 = 1;
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: an empty string and numbers.
    unsafe { raw(libc::SYS_open_tree, [descriptor(fd), address(c""), flags as usize, 0, 0, 0]) }.map(as_fd)
}

/// `move_mount(2)`: attaches a detached tree at a path, whose last component is not followed.
pub(crate) fn attach_tree(tree: RawFd, target: &CStr) -> Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
    let arguments =
        [descriptor(tree), address(c""), descriptor(libc::AT_FDCWD), address(target), MOVE_MOUNT_F_EMPTY_PATH, 0];
    // SAFETY: both strings live through the call.
    unsafe { raw(libc::SYS_move_mount, arguments) }.map(drop)
}

/// Where [`set_attributes`] works.
pub(crate) enum On<'a> {
    Descriptor(RawFd),
    Path(&'a CStr),
}

/// `mount_setattr(2)`: adds attributes and cuts propagation.
pub(crate) fn set_attributes(on: On<'_>, set: u64, recursive: bool) -> Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attributes = MountAttr { set, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    let (fd, path, mut flags) = match on {
        On::Descriptor(fd) => (fd, c"", libc::AT_EMPTY_PATH),
        On::Path(path) => (libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW),
    };
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let arguments =
        [descriptor(fd), address(path), flags as usize, (&raw const attributes) as usize, size_of::<MountAttr>(), 0];
    // SAFETY: path and structure live through the call, and the size is the structure's.
    unsafe { raw(libc::SYS_mount_setattr, arguments) }.map(drop)
}

/// `mkdirat(2)`; a directory that exists is fine.
pub(crate) fn make_directory(path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path is a valid string.
    let result = unsafe { raw(libc::SYS_mkdirat, [descriptor(libc::AT_FDCWD), address(path), mode as usize, 0, 0, 0]) };
    match result {
        Err(Errno(libc::EEXIST)) => Ok(()),
        other => other.map(drop),
    }
}

/// `mknodat(2)` of an ordinary file.
pub(crate) fn make_file(path: &CStr, mode: u32) -> Result<()> {
    let mode = (libc::S_IFREG | mode) as usize;
    // SAFETY: the path is a valid string.
    unsafe { raw(libc::SYS_mknodat, [descriptor(libc::AT_FDCWD), address(path), mode, 0, 0, 0]) }.map(drop)
}

/// `symlinkat(2)`.
pub(crate) fn make_symlink(target: &CStr, path: &CStr) -> Result<()> {
    // SAFETY: both strings live through the call.
    unsafe { raw(libc::SYS_symlinkat, [address(target), descriptor(libc::AT_FDCWD), address(path), 0, 0, 0]) }.map(drop)
}

/// `chdir(2)`.
pub(crate) fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: the path is a valid string.
    unsafe { raw(libc::SYS_chdir, [address(path), 0, 0, 0, 0, 0]) }.map(drop)
}

/// `fchdir(2)`.
pub(crate) fn change_directory_to(fd: RawFd) -> Result<()> {
    // SAFETY: a number.
    unsafe { raw(libc::SYS_fchdir, [descriptor(fd), 0, 0, 0, 0, 0]) }.map(drop)
}

/// `pivot_root(2)` with the current directory as both, which stacks the old root over the new one.
pub(crate) fn pivot_here() -> Result<()> {
    // SAFETY: two valid strings.
    unsafe { raw(libc::SYS_pivot_root, [address(c"."), address(c"."), 0, 0, 0, 0]) }.map(drop)
}

/// `umount2(2)` of the current directory, lazily.
pub(crate) fn detach_here() -> Result<()> {
    // SAFETY: a valid string and a number.
    unsafe { raw(libc::SYS_umount2, [address(c"."), libc::MNT_DETACH as usize, 0, 0, 0, 0]) }.map(drop)
}

/// `ioctl(2)` with a number or an address as its argument.
///
/// # Safety
///
/// The argument must be what the request expects.
pub(crate) unsafe fn control(fd: RawFd, request: u64, argument: usize) -> Result<usize> {
    // SAFETY: the caller promises that the argument fits the request.
    unsafe { raw(libc::SYS_ioctl, [descriptor(fd), request as usize, argument, 0, 0, 0]) }
}

/// `dup3(2)` without `O_CLOEXEC`, also onto itself.
pub(crate) fn duplicate_onto(from: RawFd, to: RawFd) -> Result<()> {
    if from == to {
        return inherit(from);
    }
    // SAFETY: three numbers.
    unsafe { raw(libc::SYS_dup3, [descriptor(from), descriptor(to), 0, 0, 0, 0]) }.map(drop)
}

/// Clears close-on-exec.
pub(crate) fn inherit(fd: RawFd) -> Result<()> {
    // SAFETY: three numbers.
    unsafe { raw(libc::SYS_fcntl, [descriptor(fd), libc::F_SETFD as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Sends one descriptor over a Unix socket (unix(7)).
pub(crate) fn send_descriptor(socket: RawFd, fd: RawFd) -> Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        fd: i32,
        padding: i32,
    }
    let mut byte = [b'+'];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control {
        // SAFETY: an all-zero header is a valid value; its fields are set below.
        header: unsafe { std::mem::zeroed() },
        fd,
        padding: 0,
    };
    let length = size_of::<libc::cmsghdr>() + size_of::<i32>();
    control.header.cmsg_len = length as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: an all-zero message header is a valid value; its fields are set below.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the message and all that it points to live through the call.
    unsafe { raw(libc::SYS_sendmsg, [socket as usize, (&raw const message) as usize, 0, 0, 0, 0]) }.map(drop)
}

/// `kill(2)`.
pub(crate) fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: two numbers.
    unsafe { raw(libc::SYS_kill, [descriptor(pid), signal as usize, 0, 0, 0, 0]) }.map(drop)
}

/// A child that ended, as `wait4(2)` tells without waiting: `None` if none has.
pub(crate) fn reap() -> Result<Option<(i32, i32)>> {
    let mut status: i32 = 0;
    let arguments = [descriptor(-1), (&raw mut status) as usize, libc::WNOHANG as usize, 0, 0, 0];
    // SAFETY: the status is writable and lives through the call.
    let pid = unsafe { raw(libc::SYS_wait4, arguments) }?;
    Ok((pid != 0).then(|| (as_fd(pid), status)))
}

/// This process's id in its own PID namespace (getpid(2)).
pub(crate) fn process_id() -> i32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_getpid, [0; 6]) }.map_or(0, as_fd)
}

/// Waits until a child ended (wait4(2)).
pub(crate) fn wait_for_any() -> Result<()> {
    // SAFETY: nothing is asked for but the wait itself.
    unsafe { raw(libc::SYS_wait4, [descriptor(-1), 0, 0, 0, 0, 0]) }.map(drop)
}

/// What the children of this process that it waited for used (getrusage(2)).
pub(crate) fn children_usage() -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let arguments = [descriptor(libc::RUSAGE_CHILDREN), usage.as_mut_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the buffer is large enough and writable.
    unsafe { raw(libc::SYS_getrusage, arguments) }.unwrap_or_default();
    // SAFETY: zeroes are a valid value should the call have failed.
    unsafe { usage.assume_init() }
}

/// The ABI of the kernel's Landlock (landlock_create_ruleset(2)).
pub(crate) fn landlock_abi() -> Result<u32> {
    const VERSION: usize = 1;
    // SAFETY: with this flag and no attributes the kernel only answers with a number.
    let abi = unsafe { raw(libc::SYS_landlock_create_ruleset, [0, 0, VERSION, 0, 0, 0]) }?;
    u32::try_from(abi).map_err(|_| Errno(libc::EOVERFLOW))
}

/// Ends the process at once.
pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process without running anything of the image that it shares or is a copy of.
        unsafe { raw(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) }.unwrap_or_default();
    }
}
