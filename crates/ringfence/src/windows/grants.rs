//! The grants: what a plan changes on disk, and its undoing.
//!
//! A root is granted once, by a walk of our own ([`walk`]); from then on everything that is made in it inherits. A warm
//! start looks at the root and at the objects that the plan names, and at nothing else. See `docs/grants.md`.

mod entries;
mod grant;
mod open;
#[cfg(windows)]
#[cfg(test)]
mod real_disk;
mod revoke;
mod walk;

use std::collections::{BTreeMap, HashSet};

use ringfence_ntsec::{AccessMask, Sid};
use serde::Serialize;

use grant::{Own, grant};
use open::open_object;
pub use walk::{Control, Progress};

use super::disk::{Disk, FileId, NtStatus};
use super::ledger::{Begin, Exclusive, Key, Ledger, Ledgers, Progress as LedgerProgress, Skipped, Why, Writer};
use super::path::WindowsPath;
use super::storage::Storage;
use crate::Error;
use crate::facts::windows::ObjectId;
use crate::plan::windows::GrantPlan;

/// The grants of a user: the disk that they are on, and the ledgers that know of them.
#[derive(Debug)]
pub struct Grants<'g, D, S> {
    disk: &'g D,
    storage: &'g S,
}

/// What making sure of a plan's grants did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Whether everything was there already, so that no descriptor was written.
    pub was_warm: bool,
    /// Objects that were walked over.
    pub seen: u64,
    /// Descriptors that were written.
    pub edited: u64,
    /// What was left alone, and is not writable inside.
    pub skipped: Vec<Skipped>,
}

/// A grant as its ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// To whom.
    pub sid: Sid,
    /// On which object.
    pub object: ObjectId,
    /// Where its root was; `None` if that line of the ledger is lost.
    pub root: Option<WindowsPath>,
    /// How far it is.
    pub progress: LedgerProgress,
    /// Objects whose descriptor was edited.
    pub edited: u64,
    /// What was left alone.
    pub skipped: Vec<Skipped>,
    /// Lines of the ledger that are torn or damaged.
    pub damaged: usize,
}

/// What taking a grant back did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// To whom it was.
    pub sid: Sid,
    /// On which object.
    pub object: ObjectId,
    /// Where its root was.
    pub root: Option<WindowsPath>,
    /// Descriptors that were put back.
    pub edited: u64,
    /// What still carries entries, or may; the ledger is kept until none is left.
    pub remaining: Vec<Skipped>,
    /// What could not be looked at and was never edited.
    pub unseen: Vec<Skipped>,
}

/// Every grant that there is a ledger of. No disk is looked at.
///
/// # Errors
/// Those of the ledger.
pub fn list<S: Storage>(storage: &S) -> Result<Vec<Listed>, Error> {
    let ledgers = Ledgers::new(storage);
    ledgers.keys()?.into_iter().map(|key| Ok(Listed::new(key, ledgers.load(&key)?))).collect()
}

impl<'g, D: Disk, S: Storage> Grants<'g, D, S> {
    /// The grants on a disk whose ledgers lie in a storage.
    pub fn new(disk: &'g D, storage: &'g S) -> Self {
        Self { disk, storage }
    }

    /// Makes sure that the roots of a plan, and no others, are granted to the plan's SID. If they are, a fixed number of
    /// objects is looked at, nothing is written and no lock is taken. Otherwise the ledgers are brought up to date, whatever
    /// a crash left of them: grants that the plan does not have any more are taken back, the others completed.
    ///
    /// `never` are objects that get no entry even if they lie in a root.
    ///
    /// # Errors
    /// [`Error::RootChanged`], [`Error::RootRefused`], [`Error::Disk`] for what the plan names; [`Error::GrantsBusy`],
    /// [`Error::GrantsInterrupted`]; those of the ledger. What is granted until then is in the ledger.
    pub fn apply(
        &self,
        grants: &[GrantPlan],
        never: &HashSet<ObjectId>,
        control: &Control<'_>,
    ) -> Result<Applied, Error> {
        let Some(sid) = grants.first().map(|grant| grant.allow.sid) else {
            return Ok(Applied { was_warm: true, ..Applied::default() });
        };
        let own = Own::of(grants);
        let plans = keyed(grants, &sid)?;
        let ledgers = Ledgers::new(self.storage);
        if self.is_warm(&ledgers, &plans, &own, &sid)? {
            return Ok(Applied { was_warm: true, ..Applied::default() });
        }
        let exclusive = ledgers.lock()?;
        // Whoever had the lock may have done all of it.
        if self.is_warm(&ledgers, &plans, &own, &sid)? {
            return Ok(Applied { was_warm: true, ..Applied::default() });
        }
        let known = ledgers.keys()?;
        for key in known.iter().filter(|key| key.sid == sid && !plans.contains_key(key)) {
            let revoked = self.revoke_one(&exclusive, key, control)?;
            if let Some(first) = revoked.remaining.first() {
                // What the policy took out must not stay writable.
                return Err(left_over(&revoked, first));
            }
        }
        let mut applied = Applied::default();
        for (key, (plan, digest)) in &plans {
            let mut writer = exclusive.writer(key)?;
            let granted = self.grant_one(&mut writer, plan, digest, &own, never, control)?;
            applied.seen += granted.seen;
            applied.edited += granted.edited;
            let is_whole = !granted.skipped.iter().any(|skipped| skipped.why.is_passing());
            applied.skipped.extend(granted.skipped);
            if is_whole && self.flush(plan)? {
                writer.complete(digest.clone())?;
            }
            writer.commit()?;
            drop(writer);
            if granted.edited > 0 && known.contains(key) {
                // A ledger that is longer than it need be is no reason to fail: somebody may have it open.
                let _ = exclusive.compact(key);
            }
        }
        match own.astray(self.disk, &sid)? {
            None => Ok(applied),
            Some(target) => Err(Error::RootChanged { path: target.path.to_path_buf() }),
        }
    }

    /// Takes back every grant of the workspaces that have a root at `path`, or all grants. Each descriptor is then as it was,
    /// byte for byte, unless somebody changed it meanwhile: then only entries of ours are gone.
    ///
    /// # Errors
    /// [`Error::GrantsBusy`], [`Error::GrantsInterrupted`]; those of the ledger.
    pub fn revoke(&self, path: Option<&WindowsPath>, control: &Control<'_>) -> Result<Vec<Revoked>, Error> {
        let ledgers = Ledgers::new(self.storage);
        let exclusive = ledgers.lock()?;
        let mut keys = ledgers.keys()?;
        if let Some(path) = path {
            let mut sids: HashSet<Sid> = HashSet::new();
            for key in &keys {
                let begin = ledgers.load(key)?.begin;
                if begin.is_some_and(|begin| begin.root.is_in(path) && path.is_in(&begin.root)) {
                    sids.insert(key.sid);
                }
            }
            keys.retain(|key| sids.contains(&key.sid));
        }
        keys.iter().map(|key| self.revoke_one(&exclusive, key, control)).collect()
    }

    fn is_warm(
        &self,
        ledgers: &Ledgers<'_, S>,
        plans: &BTreeMap<Key, (&GrantPlan, String)>,
        own: &Own<'_>,
        sid: &Sid,
    ) -> Result<bool, Error> {
        let granted: Vec<Key> = ledgers.keys()?.into_iter().filter(|key| key.sid == *sid).collect();
        if !granted.iter().all(|key| plans.contains_key(key)) {
            return Ok(false);
        }
        for (key, (_, digest)) in plans {
            if !ledgers.is_complete(key, digest)? {
                return Ok(false);
            }
        }
        Ok(own.astray(self.disk, sid)?.is_none())
    }

    fn grant_one(
        &self,
        writer: &mut Writer<'_, S>,
        plan: &GrantPlan,
        digest: &str,
        own: &Own<'_>,
        never: &HashSet<ObjectId>,
        control: &Control<'_>,
    ) -> Result<grant::Granted, Error> {
        writer.begin(Begin {
            root: plan.root.path.clone(),
            allow: plan.allow.clone(),
            denied: plan.protect.iter().chain(&plan.hold).map(|edit| edit.target.path.clone()).collect(),
            digest: digest.to_owned(),
        })?;
        writer.commit()?;
        grant(self.disk, writer, plan, own, never, control)
    }

    fn revoke_one(&self, exclusive: &Exclusive<'_, S>, key: &Key, control: &Control<'_>) -> Result<Revoked, Error> {
        let ledger = Ledgers::new(self.storage).load(key)?;
        let mut writer = exclusive.writer(key)?;
        writer.revoking()?;
        writer.commit()?;
        drop(writer);
        let root = ledger.begin.as_ref().map(|begin| begin.root.clone());
        let mut revoked =
            Revoked { sid: key.sid, object: key.root, root, edited: 0, remaining: Vec::new(), unseen: Vec::new() };
        let Some(anchor) = revoke::anchor(self.disk, key, &ledger) else {
            let status = NtStatus::OBJECT_PATH_NOT_FOUND.0;
            revoked.remaining.push(Skipped { path: String::new(), why: Why::Failed { status } });
            return Ok(revoked);
        };
        let taken = revoke::revoke(self.disk, &anchor, key, &ledger, control)?;
        revoked.edited = taken.edited;
        revoked.remaining = taken.remaining;
        revoked.unseen = taken.unseen;
        if revoked.remaining.is_empty() && self.flush_volume(&anchor, key) {
            exclusive.remove(key)?;
        }
        Ok(revoked)
    }

    /// Whether what was set below a root survives a loss of power, or the file system cannot be asked.
    fn flush(&self, plan: &GrantPlan) -> Result<bool, Error> {
        let access = AccessMask::FILE_WRITE_DATA;
        let root = match open_object(self.disk, &plan.root.path, plan.root.object, access) {
            Ok(root) => root,
            Err(Error::Disk { source, .. }) => return Ok(source.status.is_denied()),
            Err(error) => return Err(error),
        };
        Ok(is_flushed(self.disk.flush(&root.handle)))
    }

    fn flush_volume(&self, anchor: &D::Handle, key: &Key) -> bool {
        match self.disk.open_by_id(anchor, FileId(key.root.file), AccessMask::FILE_WRITE_DATA) {
            Ok(root) => is_flushed(self.disk.flush(&root)),
            // Without a root there is nothing left that could be asked.
            Err(error) => error.status.is_gone() || error.status.is_denied(),
        }
    }
}

impl Listed {
    fn new(key: Key, ledger: Ledger) -> Self {
        Self {
            sid: key.sid,
            object: key.root,
            root: ledger.begin.map(|begin| begin.root),
            progress: ledger.progress,
            edited: ledger.edits.len() as u64,
            skipped: ledger.skipped,
            damaged: ledger.damaged,
        }
    }
}

/// The plans by their ledgers, with what stands for each.
fn keyed<'p>(grants: &'p [GrantPlan], sid: &Sid) -> Result<BTreeMap<Key, (&'p GrantPlan, String)>, Error> {
    let mut plans = BTreeMap::new();
    for grant in grants {
        let named = grant.protect.iter().chain(&grant.hold).map(|edit| &edit.ace).chain([&grant.allow]);
        if let Some(ace) = named.into_iter().find(|ace| ace.sid != *sid || !sid.is_ringfence()) {
            return Err(Error::RootRefused {
                path: grant.root.path.to_path_buf(),
                reason: format!("{} is not the SID of this workspace", ace.sid),
            });
        }
        let digest = crate::plan::fingerprint("the grant", grant)?;
        plans.insert(Key { sid: *sid, root: grant.root.object }, (grant, digest));
    }
    Ok(plans)
}

fn is_flushed(result: Result<(), super::disk::DiskError>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => error.status.is_unsupported() || error.status.is_denied(),
    }
}

fn left_over(revoked: &Revoked, first: &Skipped) -> Error {
    let root = revoked.root.as_ref().map(ToString::to_string).unwrap_or_default();
    Error::RootRefused {
        path: root.into(),
        reason: format!(
            "the policy does not have it any more, but it could not be taken back: {}: {}",
            first.path, first.why
        ),
    }
}
