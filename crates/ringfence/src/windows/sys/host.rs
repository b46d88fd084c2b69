//! What the system says about itself.

use std::io;

use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemTimeOfDayInformation};
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;

use super::call::{Aligned, check_status, size_of_u32};

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let length = u32::try_from(N).map_err(io::Error::other)?;
    // SAFETY: the buffer has the length given; with this flag no algorithm is named.
    check_status(unsafe {
        BCryptGenRandom(std::ptr::null_mut(), bytes.as_mut_ptr(), length, BCRYPT_USE_SYSTEM_PREFERRED_RNG)
    })?;
    Ok(bytes)
}

/// Major version, minor version and build number. `RtlGetVersion` is not bent by compatibility settings, which lower
/// what `GetVersionEx` answers.
pub(crate) fn version() -> io::Result<(u32, u32, u32)> {
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut version: OSVERSIONINFOW = unsafe { std::mem::zeroed() };
    version.dwOSVersionInfoSize = size_of_u32::<OSVERSIONINFOW>();
    // SAFETY: the structure is as long as its first field says.
    check_status(unsafe { RtlGetVersion(&mut version) })?;
    Ok((version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber))
}

/// When the system started, in 100 nanoseconds since 1601. A clock that is set may move it, which only makes
/// measurements be repeated.
pub(crate) fn boot_time() -> io::Result<u64> {
    /// `SYSTEM_TIMEOFDAY_INFORMATION`, whose first field is the boot time
    /// (<https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation>).
    const LENGTH: usize = 48;
    let mut buffer = Aligned::zeroed(LENGTH);
    let length = buffer.length()?;
    let mut returned = 0;
    // SAFETY: the buffer has the length given.
    check_status(unsafe {
        NtQuerySystemInformation(SystemTimeOfDayInformation, buffer.as_mut_ptr(), length, &mut returned)
    })?;
    // SAFETY: the buffer is at least as long as its first field, and aligned for it.
    Ok(unsafe { *buffer.as_ptr::<u64>() })
}
