//! What every call needs: its outcome as a result, its handle owned, its strings and buffers in the form it wants.

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError};
use windows_sys::core::{BOOL, HRESULT};

/// The outcome of a call that answers with a truth value and leaves its reason in the thread's last error.
pub(super) fn check(result: BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The outcome of a call of `ntdll`, with its status as the nearest Windows error.
pub(super) fn check_status(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: a pure translation of a number.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(error(code))
}

/// The outcome of a call that answers with a COM status.
pub(super) fn check_hresult(result: HRESULT) -> io::Result<()> {
    /// `HRESULT_FROM_WIN32` puts the Windows error below this facility.
    const FACILITY_WIN32: u32 = 0x8007_0000;
    if result >= 0 {
        return Ok(());
    }
    let bits = result.cast_unsigned();
    Err(if bits & 0xffff_0000 == FACILITY_WIN32 { error(bits & 0xffff) } else { io::Error::from_raw_os_error(result) })
}

/// A Windows error number as an error.
pub(super) fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// Owns the handle that a call returned; a null or an invalid one is the call's failure.
///
/// # Safety
///
/// The handle was returned by the call just made and nobody else closes it.
pub(super) unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: by the caller the handle is open and ours alone.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// A string as the wide functions take it: UTF-16, ended by a zero.
///
/// A zero inside would cut the string short, so that another file or argument would be meant than the one that was
/// checked: refused.
pub(super) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a string holds a zero character"));
    }
    units.push(0);
    Ok(units)
}

/// The length of a structure as the calls take it.
pub(super) const fn size_of_u32<T>() -> u32 {
    assert!(size_of::<T>() <= u32::MAX as usize);
    size_of::<T>() as u32
}

/// Bytes that are aligned for every structure of the Windows API.
pub(super) struct Aligned {
    words: Vec<u64>,
    length: usize,
}

impl Aligned {
    pub(super) fn zeroed(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(size_of::<u64>()).max(1)], length }
    }

    pub(super) fn copied(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        let words = aligned.words.iter_mut();
        for (word, chunk) in words.zip(bytes.chunks(size_of::<u64>())) {
            let mut whole = [0; size_of::<u64>()];
            whole[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(whole);
        }
        aligned
    }

    /// The number of bytes that were asked for, as the calls take it.
    pub(super) fn length(&self) -> io::Result<u32> {
        u32::try_from(self.length).map_err(io::Error::other)
    }

    pub(super) fn as_ptr<T>(&self) -> *const T {
        self.words.as_ptr().cast()
    }

    pub(super) fn as_mut_ptr<T>(&mut self) -> *mut T {
        self.words.as_mut_ptr().cast()
    }

    /// The first `length` bytes, or all if there are fewer.
    pub(super) fn bytes(&self, length: usize) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_ne_bytes()).take(length.min(self.length)).collect()
    }
}
