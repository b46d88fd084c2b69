//! Finds the real path of what a policy names, cheaply where it is real already.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::survey::{Identity, Place};

/// An object that exists, under its real path.
pub(super) struct Resolved {
    pub(super) path: PathBuf,
    stat: Stat,
}

/// Looks a path up, following symbolic links.
///
/// Most paths that a policy names are missing or contain no link. One `openat2(2)` that refuses links answers both; only
/// a path with a link is walked component by component.
pub(super) fn resolve(path: &Path) -> std::io::Result<Resolved> {
    match open(path, ResolveFlags::NO_SYMLINKS) {
        Ok(fd) => Ok(Resolved { path: path.to_owned(), stat: rustix::fs::fstat(fd)? }),
        Err(Errno::LOOP | Errno::NOSYS) => {
            let real = std::fs::canonicalize(path)?;
            let stat = rustix::fs::fstat(open(&real, ResolveFlags::empty())?)?;
            Ok(Resolved { path: real, stat })
        }
        Err(errno) => Err(errno.into()),
    }
}

impl Resolved {
    pub(super) fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    pub(super) fn place(self, origin: Option<ringfence_policy::Origin>) -> Place {
        Place { identity: identity(&self.stat), directory: self.is_directory(), path: self.path, origin }
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

pub(super) fn identity(stat: &Stat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

fn open(path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    if resolve.is_empty() {
        return rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    }
    rustix::fs::openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}
