//! What a process takes on itself for good: no new privileges, no capabilities, the ruleset, the filter.

use super::call::{self, Errno, RawFd, Result};
use super::script::{Ruleset, Script};

/// Makes the ruleset. Its paths are opened in the view that was built, so this comes after the mounts.
pub(super) fn prepare(ruleset: &Ruleset<'_>) -> std::result::Result<RawFd, (usize, Errno)> {
    #[repr(C)]
    struct RulesetAttr {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    let attributes = RulesetAttr {
        handled_access_fs: ruleset.handled_files,
        handled_access_net: ruleset.handled_network,
        scoped: ruleset.scoped,
    };
    // An older kernel takes a shorter structure, as long as what it does not know is zero (landlock_create_ruleset(2)).
    let arguments = [(&raw const attributes) as usize, size_of::<RulesetAttr>(), 0, 0, 0, 0];
    // SAFETY: the structure lives through the call, and the size is its own.
    let fd = unsafe { call::raw(libc::SYS_landlock_create_ruleset, arguments) }.map_err(|errno| (usize::MAX, errno))?;
    let fd = RawFd::try_from(fd).unwrap_or(-1);
    for (index, (path, access)) in ruleset.rules.iter().enumerate() {
        // Every path of a plan is real: a link that has taken its place since must not lead the grant elsewhere.
        let top = match call::open_exact(path) {
            Ok(top) => top,
            // A rule only grants: what is not there needs no grant.
            Err(Errno(libc::ENOENT)) => continue,
            Err(errno) => return Err((index, errno)),
        };
        grant(fd, top, *access).map_err(|errno| (index, errno))?;
        call::close(top);
    }
    for port in ruleset.connect.iter() {
        grant_connect(fd, *port).map_err(|errno| (usize::MAX, errno))?;
    }
    Ok(fd)
}

/// Lets TCP connect to a port, on any address.
fn grant_connect(ruleset: RawFd, port: u16) -> Result<()> {
    const RULE_NET_PORT: usize = 2;
    #[repr(C)]
    struct NetPortAttr {
        allowed_access: u64,
        port: u64,
    }
    let rule = NetPortAttr { allowed_access: crate::linux::landlock::CONNECT, port: port.into() };
    let arguments = [ruleset as usize, RULE_NET_PORT, (&raw const rule) as usize, 0, 0, 0];
    // SAFETY: the structure has the layout of this kind of rule and lives through the call.
    unsafe { call::raw(libc::SYS_landlock_add_rule, arguments) }.map(drop)
}

fn grant(ruleset: RawFd, top: RawFd, access: u64) -> Result<()> {
    const RULE_PATH_BENEATH: usize = 1;
    /// `EXECUTE`, `WRITE_FILE`, `READ_FILE`, `TRUNCATE`, `IOCTL_DEV`: what a file that is not a directory can have.
    const FILE_RIGHTS: u64 = 1 | 2 | 4 | 1 << 14 | 1 << 15;
    #[repr(C, packed)]
    struct PathBeneathAttr {
        allowed_access: u64,
        parent_fd: i32,
    }
    let (_, _, directory) = call::identify(top)?;
    let allowed_access = if directory { access } else { access & FILE_RIGHTS };
    let rule = PathBeneathAttr { allowed_access, parent_fd: top };
    let arguments = [ruleset as usize, RULE_PATH_BENEATH, (&raw const rule) as usize, 0, 0, 0];
    // SAFETY: the structure has the layout of this kind of rule and lives through the call.
    unsafe { call::raw(libc::SYS_landlock_add_rule, arguments) }.map(drop)
}

/// Gives up what a program that is executed later could bring: privileges of its file, capabilities of the superuser's
/// id. What this process can do itself stays as it is.
pub(super) fn forgo_privileges() -> Result<()> {
    call::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    // Without these bits the superuser's id alone would bring capabilities back at the next execve(2).
    // NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE with their locks, and the lock of KEEP_CAPS (capabilities(7)).
    const SECURE_BITS: usize = 0b1110_1111;
    match call::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS) {
        // Who has no capability cannot set the bits, and has nothing that they would take away.
        Ok(_) | Err(Errno(libc::EPERM)) => {}
        Err(errno) => return Err(errno),
    }
    for capability in 0..64 {
        match call::prctl(libc::PR_CAPBSET_DROP, capability) {
            Ok(_) => {}
            // Past the last capability of this kernel.
            Err(Errno(libc::EINVAL)) => break,
            Err(Errno(libc::EPERM)) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives up every capability.
pub(super) fn drop_capabilities() -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let data = [const { Data { effective: 0, permitted: 0, inheritable: 0 } }; 2];
    // SAFETY: version 3 takes a header and two data structures of this layout (capset(2)).
    unsafe { call::raw(libc::SYS_capset, [(&raw const header) as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Enters the ruleset.
pub(super) fn restrict(ruleset: RawFd) -> Result<()> {
    // SAFETY: two numbers.
    unsafe { call::raw(libc::SYS_landlock_restrict_self, [ruleset as usize, 0, 0, 0, 0, 0]) }?;
    call::close(ruleset);
    Ok(())
}

/// Installs the filter. The last step: the filter refuses most of what came before it.
pub(super) fn filter(script: &Script<'_>) -> Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const crate::linux::seccomp::Instruction,
    }
    let length = u16::try_from(script.filter.len()).map_err(|_| Errno(libc::E2BIG))?;
    let program = Program { length, instructions: script.filter.as_ptr() };
    const SET_MODE_FILTER: usize = 1;
    // SAFETY: the structure has the layout of sock_fprog, and its instructions live through the call.
    unsafe { call::raw(libc::SYS_seccomp, [SET_MODE_FILTER, 0, (&raw const program) as usize, 0, 0, 0]) }.map(drop)
}
