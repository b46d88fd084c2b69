//! What ringfence changed on this machine's disks, and its undoing: the one place where systems are told apart.
//!
//! Only Windows has anything to change. The engine is [`crate::windows::grants`].

use std::path::PathBuf;

use crate::windows::disk::Disk;
use crate::windows::grants::{Control, Grants, Listed, Revoked};
use crate::windows::path::WindowsPath;
use crate::windows::storage::Directory;
use crate::{Error, State};

/// Which grants are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those of every workspace that has a root at this absolute path.
    At(PathBuf),
    /// All of them.
    All,
}

/// Every grant that the ledgers of this user know of.
///
/// # Errors
///
/// [`Error::Unsupported`] where permissions are never changed; those of the ledger.
#[cfg(windows)]
pub fn list(state: &State) -> Result<Vec<Listed>, Error> {
    crate::windows::grants::list(&Directory::open(state)?)
}

/// Not on this system.
///
/// # Errors
///
/// Always.
#[cfg(not(windows))]
pub fn list(_: &State) -> Result<Vec<Listed>, Error> {
    Err(unsupported())
}

/// Takes grants back: see [`Grants::revoke`].
///
/// # Errors
///
/// [`Error::Unsupported`] where permissions are never changed, and as there.
#[cfg(windows)]
pub fn revoke(state: &State, which: &Which, control: &Control<'_>) -> Result<Vec<Revoked>, Error> {
    revoke_on(&crate::windows::sys::disk::NtDisk, state, which, control)
}

/// Not on this system.
///
/// # Errors
///
/// Always.
#[cfg(not(windows))]
pub fn revoke(_: &State, _: &Which, _: &Control<'_>) -> Result<Vec<Revoked>, Error> {
    Err(unsupported())
}

/// As [`revoke`], on a disk of the caller's.
///
/// # Errors
///
/// As [`Grants::revoke`]; [`Error::Root`] for a path that no root can have.
pub fn revoke_on<D: Disk>(
    disk: &D,
    state: &State,
    which: &Which,
    control: &Control<'_>,
) -> Result<Vec<Revoked>, Error> {
    let storage = Directory::open(state)?;
    let path = match which {
        Which::All => None,
        Which::At(path) => Some(WindowsPath::from_path(path).map_err(|problem| Error::Root {
            what: "write",
            path: path.clone(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidInput, problem.to_string()),
        })?),
    };
    Grants::new(disk, &storage).revoke(path.as_ref(), control)
}

#[cfg(not(windows))]
fn unsupported() -> Error {
    Error::Unsupported {
        what: "changing permissions on disk".into(),
        advice: "ringfence changes none on this system, so there is nothing to list or to take back".into(),
    }
}
