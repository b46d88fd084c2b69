//! The disk as the grants see it: open files, their identities, their descriptors.
//!
//! Everything is done through handles. A name is only ever one component, looked up in an open directory, and a reparse
//! point is opened itself, never its target. What a handle stands for cannot be exchanged under the engine, whatever is
//! renamed, replaced or turned into a junction meanwhile.
//!
//! Each method is one system call of Windows, so that the simulated host can fail, crash and interleave at the same places
//! as a real one.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence_ntsec::AccessMask;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::facts::windows::ObjectId;

/// The calls that the grants make.
///
/// Several threads use one implementation at the same time. A handle is closed when it is dropped.
pub trait Disk: Sync {
    /// An open file or directory.
    type Handle: Send + Sync;

    /// Opens the root directory of a volume.
    ///
    /// `NtOpenFile` of `volume`, which is an NT path that ends in a backslash (`\??\C:\`), with `FILE_DIRECTORY_FILE |
    /// FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_FOR_BACKUP_INTENT`, every share mode, `OBJ_CASE_INSENSITIVE`.
    ///
    /// # Errors
    /// What the system answers.
    fn open_volume(&self, volume: &OsStr, access: AccessMask) -> Result<Self::Handle, DiskError>;

    /// Opens what `name` stands for in an open directory. A reparse point is opened itself.
    ///
    /// `NtOpenFile` relative to `directory` (`ObjectAttributes.RootDirectory`) with `FILE_OPEN_REPARSE_POINT |
    /// FILE_OPEN_FOR_BACKUP_INTENT`, every share mode, `OBJ_CASE_INSENSITIVE`. Neither `FILE_DIRECTORY_FILE` nor
    /// `FILE_NON_DIRECTORY_FILE`: [`Disk::stat`] says what it is. The implementation adds FILE_READ_ATTRIBUTES to `access`; and
    /// SYNCHRONIZE with `FILE_SYNCHRONOUS_IO_NONALERT` only where `access` has FILE_READ_DATA or FILE_WRITE_DATA, since a
    /// descriptor can be looked at and set without, and the owner of an object may have no more than that. `name` must be
    /// refused with [`NtStatus::OBJECT_NAME_INVALID`] if it is empty, `.`, `..`, or holds a backslash, a slash or a colon: a single
    /// component is what makes the call unable to leave the directory.
    ///
    /// # Errors
    /// What the system answers.
    fn open_child(&self, directory: &Self::Handle, name: &OsStr, access: AccessMask)
    -> Result<Self::Handle, DiskError>;

    /// Opens a file by its id, wherever it is now on the volume of `anchor`. A reparse point is opened itself.
    ///
    /// As [`Disk::open_child`] with `FILE_OPEN_BY_FILE_ID`, relative to any handle of the volume.
    ///
    /// # Errors
    /// What the system answers; a file that is gone is [`NtStatus::is_gone`].
    fn open_by_id(&self, anchor: &Self::Handle, file: FileId, access: AccessMask) -> Result<Self::Handle, DiskError>;

    /// What the handle stands for: `GetFileInformationByHandleEx` with `FileIdInfo`, `FileStandardInfo` and
    /// `FileAttributeTagInfo`.
    ///
    /// # Errors
    /// What the system answers.
    fn stat(&self, handle: &Self::Handle) -> Result<Stat, DiskError>;

    /// The directories that hold the names of a file, one for each name, all of one moment. `NtQueryInformationFile` with
    /// `FileHardLinkInformation`.
    ///
    /// # Errors
    /// What the system answers.
    fn parents(&self, handle: &Self::Handle) -> Result<Vec<FileId>, DiskError>;

    /// The self-relative descriptor: owner, group and DACL. `NtQuerySecurityObject`; needs READ_CONTROL.
    ///
    /// # Errors
    /// What the system answers.
    fn security(&self, handle: &Self::Handle) -> Result<Vec<u8>, DiskError>;

    /// Replaces the DACL of this object and of nothing below it. `NtSetSecurityObject` with `DACL_SECURITY_INFORMATION`
    /// alone; needs WRITE_DAC. Never `SetSecurityInfo`, which walks the tree.
    ///
    /// `descriptor` is self-relative and holds a DACL only. Its control bits are those that the object is to have:
    /// `SE_DACL_PROTECTED` as it is, and `SE_DACL_AUTO_INHERITED` together with `SE_DACL_AUTO_INHERIT_REQ`, without which
    /// the kernel drops it (MS-DTYP §2.4.6).
    ///
    /// # Errors
    /// What the system answers.
    fn set_dacl(&self, handle: &Self::Handle, descriptor: &[u8]) -> Result<(), DiskError>;

    /// The next entries of a directory, without `.` and `..`; none at the end. `NtQueryDirectoryFile` with
    /// `FileIdExtdDirectoryInformation` (`FileIdBothDirectoryInformation` where the file system has no 128-bit ids), a
    /// buffer of 64 KiB or so, and `RestartScan` if `restart` is set. The position belongs to the handle; needs
    /// FILE_LIST_DIRECTORY.
    ///
    /// # Errors
    /// What the system answers.
    fn list(&self, directory: &Self::Handle, restart: bool) -> Result<Vec<Entry>, DiskError>;

    /// Makes the descriptors that were set on the volume of `directory` survive a loss of power, as far as an ordinary
    /// user can ask for it: `NtFlushBuffersFile`. The handle has FILE_ADD_FILE.
    ///
    /// # Errors
    /// What the system answers.
    fn flush(&self, directory: &Self::Handle) -> Result<(), DiskError>;

    /// Calls `task` with every number below `tasks`, on as many threads as pay off, and returns when all are done. The
    /// simulated host overrides it, because it decides which thread goes on.
    fn in_parallel(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let threads = tasks.div_ceil(WORTH_A_THREAD).min(MOST_THREADS).min(processors());
        if threads <= 1 {
            (0..tasks).for_each(task);
            return;
        }
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= tasks {
                    break;
                }
                task(number);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    }
}

/// Fewer tasks than this cost less than starting a thread for them.
const WORTH_A_THREAD: usize = 32;

/// More threads than this wait for the file system's own locks.
const MOST_THREADS: usize = 8;

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A file's id on its volume (`FILE_ID_128`; on NTFS the upper half is zero).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u128);

/// What an open handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Which file.
    pub object: ObjectId,
    /// Whether it can have entries.
    pub is_directory: bool,
    /// How many names it has (`NumberOfLinks`).
    pub links: u32,
    /// The tag of the reparse point that it is, if it is one.
    pub reparse: Option<ReparseTag>,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// The file that the name stood for when the directory was listed.
    pub file: FileId,
    /// Whether it was a directory.
    pub is_directory: bool,
}

/// The tag of a reparse point (MS-FSCC §2.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReparseTag(pub u32);

/// What a reparse point means for a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReparseKind {
    /// It stands for another name: junction, symbolic link, mount point. Never followed.
    Link,
    /// Its content lies elsewhere and comes when it is asked for (cloud files, projected files).
    Placeholder,
    /// Its data is stored in a special way (compressed, deduplicated); otherwise a file like any other.
    Storage,
}

impl ReparseTag {
    /// `IO_REPARSE_TAG_MOUNT_POINT`: a junction or a mounted volume.
    pub const MOUNT_POINT: Self = Self(0xA000_0003);
    /// `IO_REPARSE_TAG_SYMLINK`.
    pub const SYMLINK: Self = Self(0xA000_000C);
    /// `IO_REPARSE_TAG_DEDUP`.
    const DEDUP: Self = Self(0x8000_0013);
    /// `IO_REPARSE_TAG_WOF`: a file that the Windows overlay filter compressed.
    const WOF: Self = Self(0x8000_0017);
    /// The bit that says "stands for another name" (`IsReparseTagNameSurrogate`).
    const NAME_SURROGATE: u32 = 0x2000_0000;

    /// What it means for a walk. A tag that is not known is taken for a placeholder, which is left alone.
    pub fn kind(self) -> ReparseKind {
        match self {
            Self(tag) if tag & Self::NAME_SURROGATE != 0 => ReparseKind::Link,
            Self::DEDUP | Self::WOF => ReparseKind::Storage,
            _ => ReparseKind::Placeholder,
        }
    }
}

/// A status of the kernel (MS-ERREF §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NtStatus(pub u32);

impl NtStatus {
    /// `STATUS_ACCESS_DENIED`.
    pub const ACCESS_DENIED: Self = Self(0xC000_0022);
    /// `STATUS_OBJECT_NAME_NOT_FOUND`.
    pub const OBJECT_NAME_NOT_FOUND: Self = Self(0xC000_0034);
    /// `STATUS_OBJECT_NAME_INVALID`.
    pub const OBJECT_NAME_INVALID: Self = Self(0xC000_0033);
    /// `STATUS_OBJECT_PATH_NOT_FOUND`.
    pub const OBJECT_PATH_NOT_FOUND: Self = Self(0xC000_003A);
    /// `STATUS_NO_SUCH_FILE`.
    pub const NO_SUCH_FILE: Self = Self(0xC000_000F);
    /// `STATUS_INVALID_PARAMETER`: the answer to a file id that is not in use.
    pub const INVALID_PARAMETER: Self = Self(0xC000_000D);
    /// `STATUS_DELETE_PENDING`.
    pub const DELETE_PENDING: Self = Self(0xC000_0056);
    /// `STATUS_FILE_DELETED`.
    pub const FILE_DELETED: Self = Self(0xC000_0123);
    /// `STATUS_NOT_A_DIRECTORY`.
    pub const NOT_A_DIRECTORY: Self = Self(0xC000_0103);
    /// `STATUS_SHARING_VIOLATION`.
    pub const SHARING_VIOLATION: Self = Self(0xC000_0043);
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub const INSUFFICIENT_RESOURCES: Self = Self(0xC000_009A);
    /// `STATUS_IO_DEVICE_ERROR`.
    pub const IO_DEVICE_ERROR: Self = Self(0xC000_0185);
    /// `STATUS_DISK_FULL`.
    pub const DISK_FULL: Self = Self(0xC000_007F);
    /// `STATUS_INVALID_DEVICE_REQUEST`: the file system does not know the request.
    pub const INVALID_DEVICE_REQUEST: Self = Self(0xC000_0010);
    /// `STATUS_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(0xC000_00BB);
    /// `STATUS_MEDIA_WRITE_PROTECTED`.
    pub const MEDIA_WRITE_PROTECTED: Self = Self(0xC000_00A2);

    /// Whether it says that the object is not there any more.
    pub fn is_gone(self) -> bool {
        matches!(
            self,
            Self::OBJECT_NAME_NOT_FOUND
                | Self::OBJECT_PATH_NOT_FOUND
                | Self::NO_SUCH_FILE
                | Self::INVALID_PARAMETER
                | Self::DELETE_PENDING
                | Self::FILE_DELETED
        )
    }

    /// Whether it says that this user may not, which no repetition changes.
    pub fn is_denied(self) -> bool {
        matches!(self, Self::ACCESS_DENIED | Self::MEDIA_WRITE_PROTECTED)
    }

    /// Whether the file system does not know the request at all.
    pub fn is_unsupported(self) -> bool {
        matches!(self, Self::INVALID_DEVICE_REQUEST | Self::NOT_SUPPORTED | Self::INVALID_PARAMETER)
    }

    fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Self::ACCESS_DENIED => "access denied",
            Self::OBJECT_NAME_INVALID => "the name is not valid",
            Self::NOT_A_DIRECTORY => "it is not a directory",
            Self::SHARING_VIOLATION => "another program has it open",
            Self::INSUFFICIENT_RESOURCES => "the system is out of resources",
            Self::IO_DEVICE_ERROR => "the device failed",
            Self::DISK_FULL => "the disk is full",
            Self::MEDIA_WRITE_PROTECTED => "the medium is write-protected",
            gone if gone.is_gone() => "it is not there any more",
            _ => return None,
        })
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            Some(meaning) => write!(out, "{meaning} (status {:#010x})", self.0),
            None => write!(out, "status {:#010x}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NtStatus({:#010x})", self.0)
    }
}

/// A call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {status}")]
pub struct DiskError {
    /// What was done, for people.
    pub operation: &'static str,
    /// What the kernel said.
    pub status: NtStatus,
}

impl DiskError {
    /// The engine's error for this failure at a path.
    pub fn at(self, path: impl Into<PathBuf>) -> Error {
        Error::Disk { path: path.into(), source: self }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}", self.0)
    }
}

impl std::str::FromStr for FileId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// As hexadecimal text: JSON's numbers end at 53 bits for many readers.
impl Serialize for FileId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_from_files_that_are_stored_in_a_special_way() {
        for (tag, kind) in [
            (ReparseTag::MOUNT_POINT, ReparseKind::Link),
            (ReparseTag::SYMLINK, ReparseKind::Link),
            // WSL's symbolic link.
            (ReparseTag(0xA000_001D), ReparseKind::Link),
            (ReparseTag::DEDUP, ReparseKind::Storage),
            (ReparseTag::WOF, ReparseKind::Storage),
            // A OneDrive file.
            (ReparseTag(0x9000_001A), ReparseKind::Placeholder),
            (ReparseTag(0x0000_1234), ReparseKind::Placeholder),
        ] {
            assert_eq!(tag.kind(), kind, "{tag:?}");
        }
    }

    #[test]
    fn ids_survive_json() {
        let id = FileId(u128::MAX - 1);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<FileId>(&json).unwrap(), id);
        // Also from text that cannot be borrowed.
        assert_eq!(serde_json::from_reader::<_, FileId>(json.as_bytes()).unwrap(), id);
        assert!(serde_json::from_str::<FileId>("\"x\"").is_err());
    }

    #[test]
    fn every_task_is_done_once() {
        struct Nowhere;
        impl Disk for Nowhere {
            type Handle = ();
            fn open_volume(&self, _: &OsStr, _: AccessMask) -> Result<(), DiskError> {
                Ok(())
            }
            fn open_child(&self, (): &(), _: &OsStr, _: AccessMask) -> Result<(), DiskError> {
                Ok(())
            }
            fn open_by_id(&self, (): &(), _: FileId, _: AccessMask) -> Result<(), DiskError> {
                Ok(())
            }
            fn stat(&self, (): &()) -> Result<Stat, DiskError> {
                Err(DiskError { operation: "asking what it is", status: NtStatus::FILE_DELETED })
            }
            fn parents(&self, (): &()) -> Result<Vec<FileId>, DiskError> {
                Ok(Vec::new())
            }
            fn security(&self, (): &()) -> Result<Vec<u8>, DiskError> {
                Ok(Vec::new())
            }
            fn set_dacl(&self, (): &(), _: &[u8]) -> Result<(), DiskError> {
                Ok(())
            }
            fn list(&self, (): &(), _: bool) -> Result<Vec<Entry>, DiskError> {
                Ok(Vec::new())
            }
            fn flush(&self, (): &()) -> Result<(), DiskError> {
                Ok(())
            }
        }
        for tasks in [0, 1, WORTH_A_THREAD, 1000] {
            let done: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            Nowhere.in_parallel(tasks, &|number| {
                done[number].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }
}
