//! System calls that act on the kernel itself, with arguments that change nothing.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr;

use super::{check, check_int, own};

/// An argument of [`bpf`]'s `BPF_MAP_CREATE`: the beginning of `union bpf_attr`.
#[repr(C)]
struct MapAttributes {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

/// bpf(2): creates an array map of one entry.
pub(crate) fn bpf() -> io::Result<OwnedFd> {
    const BPF_MAP_CREATE: libc::c_int = 0;
    const BPF_MAP_TYPE_ARRAY: u32 = 2;
    let attributes = MapAttributes { kind: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: 4, entries: 1, flags: 0 };
    // SAFETY: `attributes` is readable for the size that is passed.
    own(unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, &raw const attributes, size_of::<MapAttributes>()) })
}

/// perf_event_open(2): counts this process's own context switches in user mode, the least that can be asked for.
pub(crate) fn perf_event() -> io::Result<OwnedFd> {
    const SIZE: usize = 64; // PERF_ATTR_SIZE_VER0
    const PERF_TYPE_SOFTWARE: u32 = 1;
    const PERF_COUNT_SW_DUMMY: u64 = 9;
    const EXCLUDE_KERNEL_AND_HYPERVISOR: u64 = 1 << 5 | 1 << 6;
    let mut attributes = [0_u8; SIZE];
    attributes[..4].copy_from_slice(&PERF_TYPE_SOFTWARE.to_ne_bytes());
    attributes[4..8].copy_from_slice(&(SIZE as u32).to_ne_bytes());
    attributes[8..16].copy_from_slice(&PERF_COUNT_SW_DUMMY.to_ne_bytes());
    attributes[40..48].copy_from_slice(&EXCLUDE_KERNEL_AND_HYPERVISOR.to_ne_bytes());
    // SAFETY: `attributes` is readable for the size that it states.
    own(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0) })
}

/// io_uring_setup(2) with one entry.
pub(crate) fn io_uring() -> io::Result<OwnedFd> {
    const PARAMETERS: usize = 120; // sizeof(struct io_uring_params)
    let mut parameters = [0_u64; PARAMETERS / 8];
    // SAFETY: `parameters` is writable and as large as the structure that the call fills.
    own(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })
}

/// userfaultfd(2), for faults of user mode only.
pub(crate) fn userfaultfd() -> io::Result<OwnedFd> {
    const UFFD_USER_MODE_ONLY: libc::c_int = 1;
    // SAFETY: plain integers.
    own(unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | UFFD_USER_MODE_ONLY) })
}

/// A keyring that every process can name.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Keyring {
    Process = -2,
    Session = -3,
    User = -4,
}

/// add_key(2) of a key of type `user`.
pub(crate) fn add_key(description: &CStr, payload: &[u8], keyring: Keyring) -> io::Result<i64> {
    // SAFETY: the strings are NUL-terminated, `payload` is readable for its length; all outlive the call.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            keyring as i32,
        )
    };
    check(returned)
}

/// request_key(2) for a key of type `user`.
pub(crate) fn request_key(description: &CStr) -> io::Result<i64> {
    // SAFETY: the strings are NUL-terminated and outlive the call; the information for user space is null.
    let returned =
        unsafe { libc::syscall(libc::SYS_request_key, c"user".as_ptr(), description.as_ptr(), ptr::null::<u8>(), 0) };
    check(returned)
}

/// keyctl(2) with `KEYCTL_GET_KEYRING_ID`.
pub(crate) fn keyring_id(keyring: Keyring) -> io::Result<i64> {
    const KEYCTL_GET_KEYRING_ID: libc::c_int = 0;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, keyring as i32, 1) })
}

/// kexec_load(2) with flags that do not exist.
pub(crate) fn kexec() -> io::Result<()> {
    // SAFETY: no segments are passed, so the null pointer is never read.
    check(unsafe { libc::syscall(libc::SYS_kexec_load, 0, 0, ptr::null::<u8>(), 0xffff_u64) }).map(drop)
}

/// init_module(2) of an image of no bytes.
pub(crate) fn init_module() -> io::Result<()> {
    // SAFETY: a length of nought is passed, so the image is never read; the parameters are an empty string.
    check(unsafe { libc::syscall(libc::SYS_init_module, ptr::null::<u8>(), 0, c"".as_ptr()) }).map(drop)
}

/// finit_module(2) of a descriptor that is none.
pub(crate) fn finit_module() -> io::Result<()> {
    // SAFETY: plain integers and an empty string.
    check(unsafe { libc::syscall(libc::SYS_finit_module, -1, c"".as_ptr(), 0) }).map(drop)
}

/// delete_module(2) of a module that does not exist.
pub(crate) fn delete_module() -> io::Result<()> {
    // SAFETY: the name is NUL-terminated; the rest are integers.
    check(unsafe { libc::syscall(libc::SYS_delete_module, c"ringfence_probe".as_ptr(), libc::O_NONBLOCK) }).map(drop)
}

/// iopl(2): the input and output instructions, for a process that then does not use them.
#[cfg(target_arch = "x86_64")]
pub(crate) fn iopl() -> io::Result<()> {
    // SAFETY: plain integers; the level ends with the process.
    check(unsafe { libc::syscall(libc::SYS_iopl, 3) }).map(drop)
}

/// ioperm(2) for one port.
#[cfg(target_arch = "x86_64")]
pub(crate) fn ioperm() -> io::Result<()> {
    // SAFETY: plain integers; the permission ends with the process.
    check(unsafe { libc::syscall(libc::SYS_ioperm, 0x80, 1, 1) }).map(drop)
}

/// personality(2): makes every readable page executable in programs started later.
pub(crate) fn executable_data() -> io::Result<()> {
    const READ_IMPLIES_EXEC: libc::c_ulong = 0x0040_0000;
    // SAFETY: plain integers.
    check_int(unsafe { libc::personality(READ_IMPLIES_EXEC) }).map(drop)
}

/// reboot(2) with magic numbers that are none.
pub(crate) fn reboot() -> io::Result<()> {
    // SAFETY: plain integers; the kernel refuses such magic after it has checked the right to reboot.
    check(unsafe { libc::syscall(libc::SYS_reboot, 1, 2, 3, ptr::null::<u8>()) }).map(drop)
}

/// swapon(2) of a path that does not exist.
pub(crate) fn swapon() -> io::Result<()> {
    // SAFETY: the path is NUL-terminated.
    check_int(unsafe { libc::swapon(c"/nonexistent/ringfence-probe".as_ptr(), 0) }).map(drop)
}

/// swapoff(2) of a path that does not exist.
pub(crate) fn swapoff() -> io::Result<()> {
    // SAFETY: the path is NUL-terminated.
    check_int(unsafe { libc::swapoff(c"/nonexistent/ringfence-probe".as_ptr()) }).map(drop)
}

/// settimeofday(2) of the time zone to what it is. The time itself is left out.
pub(crate) fn set_time_zone() -> io::Result<()> {
    let mut zone = [0_i32; 2]; // struct timezone
    // SAFETY: the time is null, `zone` has the two ints that the call writes.
    check(unsafe { libc::syscall(libc::SYS_gettimeofday, ptr::null_mut::<u8>(), zone.as_mut_ptr()) })?;
    // SAFETY: the time is null, `zone` has the two ints that the call reads.
    check(unsafe { libc::syscall(libc::SYS_settimeofday, ptr::null::<u8>(), zone.as_ptr()) }).map(drop)
}

/// adjtimex(2): sets the length of a tick to what it is.
pub(crate) fn set_tick() -> io::Result<()> {
    // SAFETY: `timex` is plain C data, for which all zeroes is a value.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `clock` is writable; without modes the call only reads the clock.
    check_int(unsafe { libc::adjtimex(&raw mut clock) })?;
    clock.modes = libc::ADJ_TICK;
    // SAFETY: `clock` is writable.
    check_int(unsafe { libc::adjtimex(&raw mut clock) }).map(drop)
}

/// sethostname(2) to what it is.
pub(crate) fn set_host_name() -> io::Result<()> {
    let mut name = [0_u8; 65];
    // SAFETY: `name` is writable for the length that is passed.
    check_int(unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) })?;
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len() - 1);
    // SAFETY: `name` is readable for `length`.
    check_int(unsafe { libc::sethostname(name.as_ptr().cast(), length) }).map(drop)
}

/// quotactl(2): turns quotas on for a device that does not exist.
pub(crate) fn quota() -> io::Result<()> {
    const Q_QUOTAON: libc::c_int = 0x0080_0002;
    let command = Q_QUOTAON << 8;
    // SAFETY: both paths are NUL-terminated.
    let returned =
        unsafe { libc::syscall(libc::SYS_quotactl, command, c"/nonexistent".as_ptr(), 0, c"/nonexistent".as_ptr()) };
    check(returned).map(drop)
}

/// acct(2) into a file that does not exist.
pub(crate) fn accounting() -> io::Result<()> {
    // SAFETY: the path is NUL-terminated.
    check_int(unsafe { libc::acct(c"/nonexistent/ringfence-probe".as_ptr()) }).map(drop)
}

/// syslog(2): reads the kernel's messages.
pub(crate) fn kernel_messages() -> io::Result<usize> {
    const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
    let mut buffer = [0_u8; 256];
    // SAFETY: `buffer` is writable for the length that is passed.
    let returned =
        unsafe { libc::syscall(libc::SYS_syslog, SYSLOG_ACTION_READ_ALL, buffer.as_mut_ptr(), buffer.len()) };
    Ok(usize::try_from(check(returned)?).unwrap_or_default())
}

/// clone(2) like fork(2), but with namespaces. The child ends at once.
pub(crate) fn clone_into(namespaces: libc::c_int) -> io::Result<()> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: no stack is given, so the child runs on a copy of this one, as after fork; the probe has one thread.
    match check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        // SAFETY: the child ends without touching anything.
        0 => unsafe { libc::_exit(0) },
        child => reap(child),
    }
}

/// clone3(2) like fork(2), but with namespaces. The child ends at once.
pub(crate) fn clone3_into(namespaces: libc::c_int) -> io::Result<()> {
    let mut arguments = [0_u64; 8]; // struct clone_args, CLONE_ARGS_SIZE_VER0
    arguments[0] = u64::from(namespaces.unsigned_abs());
    arguments[4] = u64::from(libc::SIGCHLD.unsigned_abs());
    // SAFETY: no stack is given, so the child runs on a copy of this one, as after fork; the probe has one thread.
    match check(unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) })? {
        // SAFETY: the child ends without touching anything.
        0 => unsafe { libc::_exit(0) },
        child => reap(child),
    }
}

fn reap(child: libc::c_long) -> io::Result<()> {
    let child = libc::pid_t::try_from(child).map_err(io::Error::other)?;
    // SAFETY: the status may be null; the child is ours.
    check_int(unsafe { libc::waitpid(child, ptr::null_mut(), 0) }).map(drop)
}

/// setresuid(2).
pub(crate) fn become_user(user: libc::uid_t) -> io::Result<()> {
    // SAFETY: plain integers; the probe has one thread.
    check(unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) }).map(drop)
}

/// setgroups(2) to one group.
pub(crate) fn join_group(group: libc::gid_t) -> io::Result<()> {
    // SAFETY: the list has the one element that is announced.
    check_int(unsafe { libc::setgroups(1, &raw const group) }).map(drop)
}

/// capset(2): makes CAP_SYS_ADMIN effective again.
pub(crate) fn raise_capability() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    const CAP_SYS_ADMIN: u32 = 1 << 21;
    let mut header = [VERSION_3, 0];
    let sets = [CAP_SYS_ADMIN, CAP_SYS_ADMIN, 0, 0, 0, 0];
    // SAFETY: `header` is writable, `sets` has the two elements of three words that this version reads.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()) }).map(drop)
}

/// prctl(2) with `PR_CAP_AMBIENT_RAISE`, after the capability has been made inheritable.
pub(crate) fn raise_ambient_capability() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    const CAP_SYS_ADMIN: u32 = 21;
    let mut header = [VERSION_3, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: `header` and `sets` are writable, and as large as this version asks for.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) })?;
    sets[2] |= sets[1];
    sets[5] |= sets[4];
    // SAFETY: `header` is writable, `sets` has the two elements of three words that this version reads.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()) })?;
    // SAFETY: plain integers.
    check_int(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) }).map(drop)
}

/// prctl(2) with `PR_SET_SECUREBITS` and no bits: undoes what keeps root from being special.
pub(crate) fn clear_secure_bits() -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, 0, 0, 0, 0) }).map(drop)
}

/// seccomp(2): installs a filter of our own that allows everything, as if that could undo another.
pub(crate) fn allow_everything() -> io::Result<()> {
    const BPF_RETURN_CONSTANT: u16 = 0x06;
    // SAFETY: plain integers. Without this bit an ordinary user may not install a filter at all.
    check_int(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let mut filter = libc::sock_filter { code: BPF_RETURN_CONSTANT, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut filter };
    // SAFETY: `program` points to the one instruction that it announces; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// A system call by its 32-bit number and through the 32-bit gate, which a filter for 64-bit numbers may have forgotten:
/// keyctl with `KEYCTL_GET_KEYRING_ID`.
#[cfg(target_arch = "x86_64")]
pub(crate) fn keyring_id_by_32_bit_gate(keyring: Keyring) -> io::Result<i64> {
    const KEYCTL_I386: u64 = 288;
    const GET_KEYRING_ID: u64 = 0;
    let returned: u64;
    // SAFETY: the call takes plain integers. LLVM keeps rbx for itself, so it is saved and restored around the gate,
    // below the red zone that this block is not told to leave alone (no `nostack`, so there is none). The gate
    // clobbers r8 to r11 in some kernels.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov rbx, {command}",
            "int 0x80",
            "pop rbx",
            command = in(reg) GET_KEYRING_ID,
            inlateout("rax") KEYCTL_I386 => returned,
            in("rcx") keyring as i32 as u32 as u64,
            in("rdx") 1_u64,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    from_raw(returned as u32 as i32)
}

/// The same through the numbers of the x32 interface, which share the 64-bit gate.
#[cfg(target_arch = "x86_64")]
pub(crate) fn keyring_id_by_x32_number(keyring: Keyring) -> io::Result<i64> {
    const X32_BIT: libc::c_long = 0x4000_0000;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(X32_BIT + libc::SYS_keyctl, 0, keyring as i32, 1) })
}

#[cfg(target_arch = "x86_64")]
fn from_raw(returned: i32) -> io::Result<i64> {
    if (-4095..0).contains(&returned) { Err(io::Error::from_raw_os_error(-returned)) } else { Ok(i64::from(returned)) }
}
