//! Files and directories: made with their descriptor, and opened by what they are.

use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsHandle;
use std::path::Path;

use ringfence_ntsec::{AccessMask, SecurityDescriptor};
use windows_sys::Win32::Foundation::GENERIC_WRITE;
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT,
};

use super::call::{check, owned, wide};
use super::security::{Attributes, descriptor_of};

/// Makes a directory that has this descriptor from its first moment.
pub(crate) fn create_directory(path: &Path, descriptor: &SecurityDescriptor) -> io::Result<()> {
    let (path, attributes) = (wide(path)?, Attributes::new(descriptor)?);
    // SAFETY: the path ends with a zero and the attributes outlive the call.
    check(unsafe { CreateDirectoryW(path.as_ptr(), attributes.as_ptr()) })
}

/// Makes a file that has this descriptor from its first moment, for writing.
pub(crate) fn create_file(path: &Path, descriptor: &SecurityDescriptor) -> io::Result<File> {
    let (path, attributes) = (wide(path)?, Attributes::new(descriptor)?);
    // SAFETY: the path ends with a zero, the attributes outlive the call, and there is no template.
    let handle = unsafe {
        owned(CreateFileW(
            path.as_ptr(),
            GENERIC_WRITE,
            0,
            attributes.as_ptr(),
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            std::ptr::null_mut(),
        ))
    }?;
    Ok(File::from(handle))
}

/// Opens a file or a directory itself, also where it is a link, with these rights.
pub(crate) fn open_itself(path: &Path, rights: AccessMask) -> io::Result<File> {
    File::options()
        .access_mode(rights.0)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// The descriptor of a file or a directory, and not of what it leads to if it is a link.
pub(crate) fn descriptor(path: &Path) -> io::Result<SecurityDescriptor> {
    descriptor_of(open_itself(path, AccessMask::READ_CONTROL)?.as_handle())
}
