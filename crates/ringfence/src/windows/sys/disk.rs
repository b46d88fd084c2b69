//! The real disk: what the grants ask for, as calls of the kernel.

use std::ffi::{OsStr, OsString, c_void};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use ringfence_ntsec::AccessMask;
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_DIRECTORY_FILE, FILE_INFORMATION_CLASS, FILE_OPEN_BY_FILE_ID, FILE_OPEN_FOR_BACKUP_INTENT,
    FILE_OPEN_REPARSE_POINT, FILE_SYNCHRONOUS_IO_NONALERT, FileAttributeTagInformation, FileHardLinkInformation,
    FileIdBothDirectoryInformation, FileIdExtdDirectoryInformation, FileIdInformation, FileStandardInformation,
    NTCREATEFILE_CREATE_OPTIONS, NtFlushBuffersFile, NtOpenFile, NtQueryDirectoryFile, NtQueryInformationFile,
    NtQuerySecurityObject, NtSetSecurityObject,
};
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE, UNICODE_STRING};
use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO, FILE_ID_INFO, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_STANDARD_INFO,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::call::{Aligned, size_of_u32};
use crate::facts::windows::ObjectId;
use crate::windows::disk::{Disk, DiskError, Entry, FileId, NtStatus, ReparseTag, Stat};

/// The disks of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NtDisk;

/// `STATUS_NO_MORE_FILES`.
const NO_MORE_FILES: NtStatus = NtStatus(0x8000_0006);
/// `STATUS_BUFFER_TOO_SMALL`.
const BUFFER_TOO_SMALL: NtStatus = NtStatus(0xC000_0023);
/// `STATUS_BUFFER_OVERFLOW`.
const BUFFER_OVERFLOW: NtStatus = NtStatus(0x8000_0005);
/// `STATUS_INVALID_INFO_CLASS`.
const INVALID_INFO_CLASS: NtStatus = NtStatus(0xC000_0003);
/// `STATUS_NOT_SUPPORTED`.
const NOT_SUPPORTED: NtStatus = NtStatus(0xC000_00BB);

/// Every other use of the file goes on meanwhile.
const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// What is asked for at once of a directory.
const LISTING: usize = 64 * 1024;

impl Disk for NtDisk {
    type Handle = OwnedHandle;

    fn open_volume(&self, volume: &OsStr, access: AccessMask) -> Result<OwnedHandle, DiskError> {
        let name: Vec<u16> = volume.encode_wide().collect();
        let options = FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_FOR_BACKUP_INTENT;
        let rights = access | AccessMask::SYNCHRONIZE | AccessMask::FILE_READ_ATTRIBUTES;
        open("opening the volume", None, units_as_bytes(&name), rights, options)
    }

    fn open_child(&self, directory: &OwnedHandle, name: &OsStr, access: AccessMask) -> Result<OwnedHandle, DiskError> {
        const FORBIDDEN: [u16; 4] = [b'\\' as u16, b'/' as u16, b':' as u16, 0];
        let units: Vec<u16> = name.encode_wide().collect();
        if units.is_empty() || name == "." || name == ".." || units.iter().any(|unit| FORBIDDEN.contains(unit)) {
            return Err(DiskError { operation: "opening", status: NtStatus::OBJECT_NAME_INVALID });
        }
        open_itself("opening", directory, units_as_bytes(&units), access, 0)
    }

    fn open_by_id(&self, anchor: &OwnedHandle, file: FileId, access: AccessMask) -> Result<OwnedHandle, DiskError> {
        const OPERATION: &str = "opening by id";
        // NTFS takes its own ids of 64 bits, everything else those of 128.
        if let Ok(short) = u64::try_from(file.0) {
            return open_itself(OPERATION, anchor, &short.to_le_bytes(), access, FILE_OPEN_BY_FILE_ID);
        }
        open_itself(OPERATION, anchor, &file.0.to_le_bytes(), access, FILE_OPEN_BY_FILE_ID)
    }

    fn stat(&self, handle: &OwnedHandle) -> Result<Stat, DiskError> {
        const OPERATION: &str = "asking what it is";
        let id: FILE_ID_INFO = information(OPERATION, handle, FileIdInformation)?;
        let standard: FILE_STANDARD_INFO = information(OPERATION, handle, FileStandardInformation)?;
        let tag: FILE_ATTRIBUTE_TAG_INFO = information(OPERATION, handle, FileAttributeTagInformation)?;
        let is_link = tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0;
        Ok(Stat {
            object: ObjectId { volume: id.VolumeSerialNumber, file: u128::from_le_bytes(id.FileId.Identifier) },
            is_directory: tag.FileAttributes & FILE_ATTRIBUTE_DIRECTORY != 0,
            links: standard.NumberOfLinks,
            reparse: is_link.then_some(ReparseTag(tag.ReparseTag)),
        })
    }

    fn parents(&self, handle: &OwnedHandle) -> Result<Vec<FileId>, DiskError> {
        let mut size = 4096;
        loop {
            let mut buffer = Aligned::zeroed(size);
            let mut block = IO_STATUS_BLOCK::default();
            // SAFETY: the buffer has the length given, and the out pointer is valid for the call.
            let status = unsafe {
                NtQueryInformationFile(
                    handle.as_raw_handle(),
                    &mut block,
                    buffer.as_mut_ptr(),
                    length_of(&buffer),
                    FileHardLinkInformation,
                )
            };
            if NtStatus(status.cast_unsigned()) == BUFFER_OVERFLOW {
                size *= 2;
                continue;
            }
            check("asking for its names", status)?;
            return parents_in(&buffer.bytes(size))
                .ok_or(DiskError { operation: "asking for its names", status: NtStatus::IO_DEVICE_ERROR });
        }
    }

    fn security(&self, handle: &OwnedHandle) -> Result<Vec<u8>, DiskError> {
        const OPERATION: &str = "reading its permissions";
        let wanted = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
        let mut buffer = Aligned::zeroed(1024);
        loop {
            let mut needed = 0;
            // SAFETY: the buffer has the length given, and the out pointer is valid for the call.
            let status = unsafe {
                NtQuerySecurityObject(
                    handle.as_raw_handle(),
                    wanted,
                    buffer.as_mut_ptr(),
                    length_of(&buffer),
                    &mut needed,
                )
            };
            if NtStatus(status.cast_unsigned()) == BUFFER_TOO_SMALL && needed > length_of(&buffer) {
                buffer = Aligned::zeroed(needed as usize);
                continue;
            }
            check(OPERATION, status)?;
            return Ok(buffer.bytes(needed as usize));
        }
    }

    fn set_dacl(&self, handle: &OwnedHandle, descriptor: &[u8]) -> Result<(), DiskError> {
        let mut descriptor = Aligned::copied(descriptor);
        // SAFETY: the buffer holds a whole self-relative descriptor, made by a function that is tested to do so, and the
        // kernel checks it once more.
        let status =
            unsafe { NtSetSecurityObject(handle.as_raw_handle(), DACL_SECURITY_INFORMATION, descriptor.as_mut_ptr()) };
        check("setting its permissions", status)
    }

    fn list(&self, directory: &OwnedHandle, restart: bool) -> Result<Vec<Entry>, DiskError> {
        const OPERATION: &str = "listing";
        let entries = list_as(directory, restart, FileIdExtdDirectoryInformation, &Layout::EXTENDED);
        match entries {
            // The first call decides how the handle is listed; a file system that has no ids of 128 bits says so at once.
            Err(DiskError { status, .. })
                if [INVALID_INFO_CLASS, NOT_SUPPORTED, NtStatus::INVALID_PARAMETER].contains(&status) =>
            {
                list_as(directory, restart, FileIdBothDirectoryInformation, &Layout::BOTH)
            }
            Err(DiskError { status: NO_MORE_FILES, .. }) => Ok(Vec::new()),
            entries => entries,
        }
        .or_else(|error| if error.status == NO_MORE_FILES { Ok(Vec::new()) } else { Err(error) })
        .map_err(|error| DiskError { operation: OPERATION, ..error })
    }

    fn flush(&self, directory: &OwnedHandle) -> Result<(), DiskError> {
        let mut block = IO_STATUS_BLOCK::default();
        // SAFETY: the handle is open and the out pointer is valid for the call.
        check("flushing", unsafe { NtFlushBuffersFile(directory.as_raw_handle(), &mut block) })
    }
}

/// Opens an object itself, relative to an open one.
fn open_itself(
    operation: &'static str,
    from: &OwnedHandle,
    name: &[u8],
    access: AccessMask,
    more: NTCREATEFILE_CREATE_OPTIONS,
) -> Result<OwnedHandle, DiskError> {
    let mut options = FILE_OPEN_REPARSE_POINT | FILE_OPEN_FOR_BACKUP_INTENT | more;
    let mut rights = access | AccessMask::FILE_READ_ATTRIBUTES;
    if access.contains(AccessMask::FILE_READ_DATA) || access.contains(AccessMask::FILE_WRITE_DATA) {
        options |= FILE_SYNCHRONOUS_IO_NONALERT;
        rights |= AccessMask::SYNCHRONIZE;
    }
    open(operation, Some(from), name, rights, options)
}

/// `name` are the bytes of a path, or those of a file id.
fn open(
    operation: &'static str,
    from: Option<&OwnedHandle>,
    name: &[u8],
    rights: AccessMask,
    options: NTCREATEFILE_CREATE_OPTIONS,
) -> Result<OwnedHandle, DiskError> {
    let invalid = |_| DiskError { operation, status: NtStatus::OBJECT_NAME_INVALID };
    let length = u16::try_from(name.len()).map_err(invalid)?;
    let buffer = Aligned::copied(name);
    let string = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: buffer.as_ptr::<u16>().cast_mut() };
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of_u32::<OBJECT_ATTRIBUTES>(),
        RootDirectory: from.map_or(ptr::null_mut(), AsRawHandle::as_raw_handle),
        ObjectName: &raw const string,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let mut handle: HANDLE = ptr::null_mut();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the attributes point to a string whose buffer has the length it says, both outlive the call, which only reads
    // them, and the out pointers are valid.
    let status = unsafe { NtOpenFile(&mut handle, rights.0, &attributes, &mut block, SHARE_ALL, options) };
    check(operation, status)?;
    // SAFETY: the call succeeded, so that the handle is open and ours.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn information<T: Default>(
    operation: &'static str,
    handle: &OwnedHandle,
    class: FILE_INFORMATION_CLASS,
) -> Result<T, DiskError> {
    let mut value = T::default();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the structure is that of the class, consists of numbers, and is as long as is said.
    check(operation, unsafe {
        NtQueryInformationFile(
            handle.as_raw_handle(),
            &mut block,
            ptr::from_mut(&mut value).cast(),
            size_of_u32::<T>(),
            class,
        )
    })?;
    Ok(value)
}

/// Where the fields of an entry of a listing are (MS-FSCC §2.4.22 `FileIdBothDirectoryInformation`, and
/// `FILE_ID_EXTD_DIR_INFORMATION` of the driver kit).
struct Layout {
    attributes: usize,
    name_length: usize,
    id: usize,
    id_length: usize,
    name: usize,
}

impl Layout {
    const EXTENDED: Self = Self { attributes: 56, name_length: 60, id: 72, id_length: 16, name: 88 };
    const BOTH: Self = Self { attributes: 56, name_length: 60, id: 96, id_length: 8, name: 104 };
}

fn list_as(
    directory: &OwnedHandle,
    restart: bool,
    class: FILE_INFORMATION_CLASS,
    layout: &Layout,
) -> Result<Vec<Entry>, DiskError> {
    const OPERATION: &str = "listing";
    let mut buffer = Aligned::zeroed(LISTING);
    let mut first = restart;
    loop {
        let mut block = IO_STATUS_BLOCK::default();
        // SAFETY: the buffer has the length given, the handle is synchronous, and what is not asked for may be null.
        check(OPERATION, unsafe {
            NtQueryDirectoryFile(
                directory.as_raw_handle(),
                ptr::null_mut(),
                None,
                ptr::null::<c_void>(),
                &mut block,
                buffer.as_mut_ptr(),
                length_of(&buffer),
                class,
                false,
                ptr::null(),
                first,
            )
        })?;
        first = false;
        let damaged = DiskError { operation: OPERATION, status: NtStatus::IO_DEVICE_ERROR };
        let entries = entries_in(&buffer.bytes(block.Information), layout).ok_or(damaged)?;
        // Nothing but `.` and `..` is not the end.
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
}

/// The entries of a listing, without `.` and `..`; `None` if it contradicts itself.
fn entries_in(bytes: &[u8], layout: &Layout) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    loop {
        let next = number(rest, 0)? as usize;
        let length = number(rest, layout.name_length)? as usize;
        let name: Vec<u16> = rest
            .get(layout.name..layout.name.checked_add(length)?)?
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let name = OsString::from_wide(&name);
        if name != "." && name != ".." {
            let mut id = [0; 16];
            id.get_mut(..layout.id_length)?.copy_from_slice(rest.get(layout.id..layout.id + layout.id_length)?);
            let attributes = number(rest, layout.attributes)?;
            entries.push(Entry {
                name,
                file: FileId(u128::from_le_bytes(id)),
                is_directory: attributes & FILE_ATTRIBUTE_DIRECTORY != 0,
            });
        }
        if next == 0 {
            return Some(entries);
        }
        rest = rest.get(next..)?;
    }
}

/// The directories in a `FILE_LINKS_INFORMATION` (bytes, count, then entries of: offset of the next, directory's id, length of
/// the name, name); `None` if it contradicts itself.
fn parents_in(bytes: &[u8]) -> Option<Vec<FileId>> {
    let count = number(bytes, 4)?;
    let mut parents = Vec::new();
    let mut rest = bytes.get(8..)?;
    for _ in 0..count {
        let next = number(rest, 0)? as usize;
        let id: [u8; 8] = rest.get(8..16)?.try_into().ok()?;
        parents.push(FileId(u128::from(u64::from_le_bytes(id))));
        if next == 0 {
            break;
        }
        rest = rest.get(next..)?;
    }
    (parents.len() == count as usize).then_some(parents)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn units_as_bytes(units: &[u16]) -> &[u8] {
    // SAFETY: the numbers have no padding and every byte of them is a value; the length is theirs.
    unsafe { std::slice::from_raw_parts(units.as_ptr().cast(), size_of_val(units)) }
}

fn length_of(buffer: &Aligned) -> u32 {
    // Buffers are made here, of sizes that are far from the limit.
    buffer.length().unwrap_or(u32::MAX)
}

fn check(operation: &'static str, status: NTSTATUS) -> Result<(), DiskError> {
    let status = NtStatus(status.cast_unsigned());
    // Success and information; the two upper bits are those of warnings and errors.
    if status.0 < 0x8000_0000 { Ok(()) } else { Err(DiskError { operation, status }) }
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use ringfence_ntsec::{Ace, AceFlags, SecurityDescriptor, Sid};

    use super::*;

    /// Opens a directory from its volume on, as the grants do.
    fn walk(path: &std::path::Path, access: AccessMask) -> OwnedHandle {
        let path = std::fs::canonicalize(path).unwrap();
        let text = path.to_str().unwrap().trim_start_matches(r"\\?\").to_owned();
        let volume = format!(r"\??\{}\", &text[..2]);
        let look = AccessMask::FILE_READ_ATTRIBUTES | AccessMask::FILE_EXECUTE;
        let mut handle = NtDisk.open_volume(OsStr::new(&volume), look).unwrap();
        let names: Vec<_> = std::path::Path::new(&text)
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_owned()),
                _ => None,
            })
            .collect();
        for (place, name) in names.iter().enumerate() {
            let access = if place + 1 == names.len() { access } else { look };
            handle = NtDisk.open_child(&handle, name, access).unwrap();
        }
        handle
    }

    fn list_all(directory: &OwnedHandle) -> Vec<Entry> {
        let mut all = NtDisk.list(directory, true).unwrap();
        loop {
            let more = NtDisk.list(directory, false).unwrap();
            if more.is_empty() {
                all.sort_by(|a, b| a.name.cmp(&b.name));
                return all;
            }
            all.extend(more);
        }
    }

    #[test]
    fn a_directory_is_listed_whole_and_its_entries_open_by_name_and_by_id() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("inner")).unwrap();
        // More than one buffer holds.
        for number in 0..1500 {
            std::fs::write(base.path().join(format!("file-{number:04}-with-a-name-of-some-length")), "").unwrap();
        }
        let directory = walk(base.path(), AccessMask::FILE_READ_DATA | AccessMask::FILE_EXECUTE);
        let entries = list_all(&directory);
        assert_eq!(entries.len(), 1501);
        assert_eq!(list_all(&directory).len(), 1501, "from the beginning again");
        let nothing = AccessMask::NONE;
        for entry in [&entries[0], &entries[1500]] {
            let by_name = NtDisk.open_child(&directory, &entry.name, nothing).unwrap();
            let seen = NtDisk.stat(&by_name).unwrap();
            assert_eq!((FileId(seen.object.file), seen.is_directory), (entry.file, entry.is_directory));
            assert_eq!((seen.links, seen.reparse), (1, None));
            let by_id = NtDisk.open_by_id(&directory, entry.file, nothing).unwrap();
            assert_eq!(NtDisk.stat(&by_id).unwrap().object, seen.object);
        }
        assert!(entries[1500].is_directory, "{:?}", entries[1500]);
    }

    #[test]
    fn only_a_single_name_is_looked_up() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("a").join("b")).unwrap();
        let directory = walk(base.path(), AccessMask::FILE_EXECUTE);
        for name in ["", ".", "..", r"a\b", "a/b", "a:stream", "a\0"] {
            let error = NtDisk.open_child(&directory, OsStr::new(name), AccessMask::NONE).unwrap_err();
            assert_eq!(error.status, NtStatus::OBJECT_NAME_INVALID, "{name:?}");
        }
        assert!(NtDisk.open_child(&directory, OsStr::new("A"), AccessMask::NONE).is_ok(), "case does not count");
        let missing = NtDisk.open_child(&directory, OsStr::new("missing"), AccessMask::NONE).unwrap_err();
        assert!(missing.status.is_gone(), "{missing}");
    }

    #[test]
    fn every_name_of_a_file_has_its_directory() {
        let base = tempfile::tempdir().unwrap();
        let (one, other) = (base.path().join("one"), base.path().join("other"));
        std::fs::create_dir(&other).unwrap();
        std::fs::write(&one, "").unwrap();
        std::fs::hard_link(&one, other.join("two")).unwrap();
        let file = walk(&one, AccessMask::NONE);
        let mut expected =
            [base.path(), &other].map(|path| FileId(NtDisk.stat(&walk(path, AccessMask::NONE)).unwrap().object.file));
        let mut found = NtDisk.parents(&file).unwrap();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(NtDisk.stat(&file).unwrap().links, 2);
    }

    #[test]
    fn a_dacl_is_set_on_one_object_and_put_back_byte_for_byte() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let rights = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
        let (directory, below) = (walk(base.path(), rights), walk(&inner, rights));
        let (before, before_below) = (NtDisk.security(&directory).unwrap(), NtDisk.security(&below).unwrap());
        let with_dacl_only = |bytes: &[u8], change: &dyn Fn(&mut SecurityDescriptor)| {
            let mut descriptor = SecurityDescriptor::from_bytes(bytes).unwrap();
            change(&mut descriptor);
            (descriptor.owner, descriptor.group) = (None, None);
            if descriptor.control.contains(ringfence_ntsec::Control::DACL_AUTO_INHERITED) {
                descriptor.control |= ringfence_ntsec::Control::DACL_AUTO_INHERIT_REQUIRED;
            }
            descriptor.to_bytes().unwrap()
        };
        let sid = Sid::ringfence_run(&[7; 16]);
        let changed = with_dacl_only(&before, &|descriptor| {
            let entry = Ace::allow(sid, AccessMask::FILE_ALL_ACCESS, AceFlags::INHERIT_ALL);
            descriptor.dacl.acl_mut().insert(entry).unwrap();
        });
        NtDisk.set_dacl(&directory, &changed).unwrap();
        let found = SecurityDescriptor::from_bytes(&NtDisk.security(&directory).unwrap()).unwrap();
        assert!(found.has_ringfence_residue(), "the control: it was set");
        assert_eq!(NtDisk.security(&below).unwrap(), before_below, "it was propagated");
        NtDisk.set_dacl(&directory, &with_dacl_only(&before, &|_| {})).unwrap();
        let after = SecurityDescriptor::from_bytes(&NtDisk.security(&directory).unwrap()).unwrap();
        assert!(after.same_bytes(&SecurityDescriptor::from_bytes(&before).unwrap()).unwrap());
    }
}
