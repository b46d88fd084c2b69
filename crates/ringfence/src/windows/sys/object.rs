//! What lies at a path: asked of a handle, so that all answers are about the same object.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::Path;
use std::ptr;

use ringfence_ntsec::{AccessMask, SecurityDescriptor};
use windows_sys::Wdk::Foundation::{NtQueryObject, ObjectBasicInformation};
use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_INFO, FILE_INFO_BY_HANDLE_CLASS, FILE_REMOTE_PROTOCOL_INFO, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FILE_STANDARD_INFO, FileAttributeTagInfo, FileIdInfo, FileRemoteProtocolInfo, FileStandardInfo,
    GetDriveTypeW, GetFileInformationByHandleEx, GetFinalPathNameByHandleW, GetVolumeInformationByHandleW,
    QueryDosDeviceW,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::{
    FILE_FS_PERSISTENT_VOLUME_INFORMATION, FSCTL_QUERY_PERSISTENT_VOLUME_STATE, PERSISTENT_VOLUME_STATE_DEV_VOLUME,
};

use super::call::{Aligned, check, check_status, size_of_u32, wide};
use super::security::descriptor_of;

/// An object of the file system.
#[derive(Debug)]
pub(crate) struct Object {
    /// The path that the handle has, in verbatim form.
    pub(crate) path: OsString,
    pub(crate) volume_serial: u64,
    pub(crate) file_id: u128,
    pub(crate) is_directory: bool,
    pub(crate) links: u32,
    /// The tag of the reparse point that it is, if it is one.
    pub(crate) reparse: Option<u32>,
    /// The rights that the caller has, where another program's exclusive use did not keep that from being asked.
    pub(crate) rights: Option<AccessMask>,
    /// Owner, group and DACL, where the caller may read them.
    pub(crate) descriptor: Option<SecurityDescriptor>,
    pub(crate) volume: VolumeInformation,
}

/// The volume of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeInformation {
    pub(crate) file_system: String,
    /// `FILE_PERSISTENT_ACLS` and the like.
    pub(crate) flags: u32,
    pub(crate) is_remote: bool,
    pub(crate) is_dev_drive: bool,
}

impl Object {
    /// Looks at what a path leads to; `itself` asks for a link rather than for its target.
    pub(crate) fn look(path: &Path, itself: bool) -> io::Result<Self> {
        /// Every right that the caller has.
        const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
        let (file, rights) = match open(path, MAXIMUM_ALLOWED, itself) {
            Ok(file) => {
                let rights = granted(&file)?;
                (file, Some(rights))
            }
            Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION.cast_signed()) => {
                let least = AccessMask::READ_CONTROL | AccessMask::FILE_READ_ATTRIBUTES;
                (open(path, least.0, itself)?, None)
            }
            Err(error) => return Err(error),
        };
        let id: FILE_ID_INFO = information(&file, FileIdInfo)?;
        let standard: FILE_STANDARD_INFO = information(&file, FileStandardInfo)?;
        let tag: FILE_ATTRIBUTE_TAG_INFO = information(&file, FileAttributeTagInfo)?;
        Ok(Self {
            path: final_path(&file)?,
            volume_serial: id.VolumeSerialNumber,
            file_id: u128::from_le_bytes(id.FileId.Identifier),
            is_directory: tag.FileAttributes & FILE_ATTRIBUTE_DIRECTORY != 0,
            links: standard.NumberOfLinks,
            reparse: (tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0).then_some(tag.ReparseTag),
            rights,
            descriptor: descriptor_of(file.as_handle()).ok(),
            volume: volume(&file)?,
        })
    }
}

/// Opens an object itself so that nobody deletes or renames it, or what it lies in, as long as it is open. Returns its
/// volume and its id as well.
pub(crate) fn hold(path: &Path) -> io::Result<(File, u64, u128)> {
    let file = File::options()
        .access_mode(AccessMask::FILE_READ_DATA.0)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    let id: FILE_ID_INFO = information(&file, FileIdInfo)?;
    Ok((file, id.VolumeSerialNumber, u128::from_le_bytes(id.FileId.Identifier)))
}

/// The tag of the reparse point at a path, if it is one, and whether it is a directory.
pub(crate) fn kind(path: &Path) -> io::Result<(Option<u32>, bool)> {
    let file = open(path, AccessMask::FILE_READ_ATTRIBUTES.0, true)?;
    let tag: FILE_ATTRIBUTE_TAG_INFO = information(&file, FileAttributeTagInfo)?;
    let reparse = (tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0).then_some(tag.ReparseTag);
    Ok((reparse, tag.FileAttributes & FILE_ATTRIBUTE_DIRECTORY != 0))
}

/// `DRIVE_FIXED` and its like, of a root such as `C:\`.
pub(crate) fn drive_type(root: &str) -> io::Result<u32> {
    let root = wide(root)?;
    // SAFETY: the path ends with a zero.
    Ok(unsafe { GetDriveTypeW(root.as_ptr()) })
}

/// What a drive such as `C:` stands for in the names of the kernel; `\??\` in front is SUBST's.
pub(crate) fn device_of(drive: &str) -> io::Result<OsString> {
    const LENGTH: u32 = 1024;
    let drive = wide(drive)?;
    let mut buffer = [0; LENGTH as usize];
    // SAFETY: the name ends with a zero and the buffer has the length given.
    let length = unsafe { QueryDosDeviceW(drive.as_ptr(), buffer.as_mut_ptr(), LENGTH) };
    check(i32::from(length != 0))?;
    // A list; the first is the one that counts.
    let first = buffer.split(|unit| *unit == 0).next().unwrap_or_default();
    Ok(OsString::from_wide(first))
}

fn open(path: &Path, rights: u32, itself: bool) -> io::Result<File> {
    let link = if itself { FILE_FLAG_OPEN_REPARSE_POINT } else { 0 };
    File::options().access_mode(rights).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | link).open(path)
}

/// The rights that the handle was opened with (`PUBLIC_OBJECT_BASIC_INFORMATION`: attributes, then the granted access).
fn granted(file: &File) -> io::Result<AccessMask> {
    const LENGTH: usize = 56;
    let mut buffer = Aligned::zeroed(LENGTH);
    let length = buffer.length()?;
    // SAFETY: the buffer has the length given.
    check_status(unsafe {
        NtQueryObject(file.as_raw_handle(), ObjectBasicInformation, buffer.as_mut_ptr(), length, ptr::null_mut())
    })?;
    // SAFETY: the buffer is longer than two numbers, and aligned for them.
    Ok(AccessMask(unsafe { *buffer.as_ptr::<u32>().add(1) }))
}

fn information<T: Default>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut value = T::default();
    // SAFETY: the structure is that of the class, consists of numbers, and is as long as is said.
    check(unsafe {
        GetFileInformationByHandleEx(file.as_raw_handle(), class, ptr::from_mut(&mut value).cast(), size_of_u32::<T>())
    })?;
    Ok(value)
}

fn final_path(file: &File) -> io::Result<OsString> {
    let mut buffer = vec![0; 512];
    loop {
        let room = u32::try_from(buffer.len()).map_err(io::Error::other)?;
        // SAFETY: the buffer has the length given. Zero asks for the normalised path with a drive letter.
        let length = unsafe { GetFinalPathNameByHandleW(file.as_raw_handle(), buffer.as_mut_ptr(), room, 0) } as usize;
        check(i32::from(length != 0))?;
        if length < buffer.len() {
            return Ok(OsString::from_wide(&buffer[..length]));
        }
        buffer.resize(length + 1, 0);
    }
}

fn volume(file: &File) -> io::Result<VolumeInformation> {
    const LENGTH: u32 = 64;
    let mut name = [0; LENGTH as usize];
    let mut flags = 0;
    // SAFETY: the buffer has the length given, the out pointer is valid, and what is not asked for may be null.
    check(unsafe {
        GetVolumeInformationByHandleW(
            file.as_raw_handle(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            &mut flags,
            name.as_mut_ptr(),
            LENGTH,
        )
    })?;
    let name = name.split(|unit| *unit == 0).next().unwrap_or_default();
    Ok(VolumeInformation {
        file_system: String::from_utf16_lossy(name),
        flags,
        // The call succeeds for files of other machines only.
        is_remote: information::<FILE_REMOTE_PROTOCOL_INFO>(file, FileRemoteProtocolInfo).is_ok(),
        is_dev_drive: persistent_state(file).is_ok_and(|state| state & PERSISTENT_VOLUME_STATE_DEV_VOLUME != 0),
    })
}

/// `FSCTL_QUERY_PERSISTENT_VOLUME_STATE`; systems that know no Dev Drives answer with an error.
fn persistent_state(file: &File) -> io::Result<u32> {
    let asked = FILE_FS_PERSISTENT_VOLUME_INFORMATION {
        FlagMask: PERSISTENT_VOLUME_STATE_DEV_VOLUME,
        Version: 1,
        ..FILE_FS_PERSISTENT_VOLUME_INFORMATION::default()
    };
    let mut answer = FILE_FS_PERSISTENT_VOLUME_INFORMATION::default();
    let mut returned = 0;
    // SAFETY: both structures are as long as is said, and nothing is asynchronous.
    check(unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_QUERY_PERSISTENT_VOLUME_STATE,
            (&raw const asked).cast(),
            size_of_u32::<FILE_FS_PERSISTENT_VOLUME_INFORMATION>(),
            (&raw mut answer).cast(),
            size_of_u32::<FILE_FS_PERSISTENT_VOLUME_INFORMATION>(),
            &mut returned,
            ptr::null_mut(),
        )
    })?;
    Ok(answer.VolumeFlags)
}
