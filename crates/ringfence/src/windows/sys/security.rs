//! Security descriptors for objects that are made, and of objects that exist.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr;

use ringfence_ntsec::SecurityDescriptor;
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, GetKernelObjectSecurity, OWNER_SECURITY_INFORMATION,
    SECURITY_ATTRIBUTES,
};

use super::call::{Aligned, check, size_of_u32};

/// A descriptor in the form that calls which create objects take.
pub(crate) struct Attributes {
    /// What the structure points to.
    _descriptor: Aligned,
    raw: SECURITY_ATTRIBUTES,
}

impl Attributes {
    /// A descriptor for a new object whose handle nobody inherits.
    pub(crate) fn new(descriptor: &SecurityDescriptor) -> io::Result<Self> {
        let mut descriptor = Aligned::copied(&descriptor.to_bytes().map_err(io::Error::other)?);
        let raw = SECURITY_ATTRIBUTES {
            nLength: size_of_u32::<SECURITY_ATTRIBUTES>(),
            lpSecurityDescriptor: descriptor.as_mut_ptr(),
            bInheritHandle: 0,
        };
        Ok(Self { _descriptor: descriptor, raw })
    }

    /// Valid for as long as this value lives: the buffer does not move with it.
    pub(super) fn as_ptr(&self) -> *const SECURITY_ATTRIBUTES {
        &raw const self.raw
    }
}

/// Owner, group and DACL of the object that the handle, opened with `READ_CONTROL`, leads to.
pub(crate) fn descriptor_of(handle: BorrowedHandle<'_>) -> io::Result<SecurityDescriptor> {
    let wanted = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut needed = 0;
    // SAFETY: a null buffer of length zero asks for the size.
    unsafe { GetKernelObjectSecurity(handle.as_raw_handle(), wanted, ptr::null_mut(), 0, &mut needed) };
    let mut buffer = Aligned::zeroed(needed as usize);
    let length = buffer.length()?;
    // SAFETY: the buffer has the length given.
    check(unsafe {
        GetKernelObjectSecurity(handle.as_raw_handle(), wanted, buffer.as_mut_ptr(), length, &mut needed)
    })?;
    SecurityDescriptor::from_bytes(&buffer.bytes(needed as usize)).map_err(io::Error::other)
}
