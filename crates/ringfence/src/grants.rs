//! What ringfence changed on this machine's disks, and its undoing: the one place where systems are told apart.
//!
//! Only Windows has anything to change. The engine is [`crate::windows::grants`].

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::plan::windows::GrantPlan;
use crate::windows::disk::Disk;
use crate::windows::grants::{Applied, Control, Grants, Listed, Progress, Revoked};
use crate::windows::ledger::Skipped;
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

/// Who is told while a workspace is used for the first time, which takes a while if it is large.
pub trait Audience: Sync {
    /// How far it is; called often.
    fn progress(&self, progress: Progress);

    /// It is done. What is listed was left alone, and is not writable inside.
    fn granted(&self, skipped: &[Skipped]);
}

/// Nobody.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Audience for Nobody {
    fn progress(&self, _: Progress) {}

    fn granted(&self, _: &[Skipped]) {}
}

/// Makes sure that the roots of a plan are granted: see [`Grants::apply`]. The audience hears of it unless all was there.
///
/// # Errors
///
/// As there.
pub fn apply_on<D: Disk>(
    disk: &D,
    state: &State,
    grants: &[GrantPlan],
    audience: &dyn Audience,
) -> Result<Applied, Error> {
    if grants.is_empty() {
        return Ok(Applied { was_warm: true, ..Applied::default() });
    }
    let storage = Directory::open(state)?;
    let control = Control { progress: &|progress| audience.progress(progress), interrupted: &AtomicBool::new(false) };
    let applied = Grants::new(disk, &storage).apply(grants, &HashSet::new(), &control)?;
    if !applied.was_warm {
        audience.granted(&applied.skipped);
    }
    Ok(applied)
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
