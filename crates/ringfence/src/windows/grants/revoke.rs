//! Taking a grant back.

use std::collections::HashSet;
use std::ffi::OsStr;

use ringfence_ntsec::{AccessMask, AclState, SecurityDescriptor, Sid};

use super::entries::{Change, Entries, current};
use super::open::{EDIT, LOOK, Opened, open_id, open_path, why};
use super::walk::{Control, Decision, Edit, Outcome, Pass, Seen, walk};
use crate::Error;
use crate::windows::disk::{Disk, FileId};
use crate::windows::ledger::{DaclHash, Key, Ledger, Skipped, Why};

/// What taking a grant back did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    /// Objects that are as they were.
    pub(super) edited: u64,
    /// Objects that still carry entries, or may.
    pub(super) remaining: Vec<Skipped>,
    /// Directories and files that nobody but their owner can look at, and that this ledger never edited.
    pub(super) unseen: Vec<Skipped>,
}

/// More passes than this only somebody who keeps moving things about makes necessary.
const PASSES: usize = 5;

/// Takes the entries of a grant off everything that may carry them: what lies below the root, and what the ledger edited and
/// lies elsewhere now. Ends with a pass that found none.
///
/// # Errors
/// An interruption.
pub(super) fn revoke<D: Disk>(
    disk: &D,
    anchor: &D::Handle,
    key: &Key,
    ledger: &Ledger,
    control: &Control<'_>,
) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    let root_path = ledger.begin.as_ref().map(|begin| begin.root.to_string()).unwrap_or_default();
    for _ in 0..PASSES {
        let mut pass = Taking { sid: key.sid, ledger, seen: HashSet::new(), done: Taken::default() };
        let files = std::iter::once(FileId(key.root.file)).chain(ledger.edits.keys().copied());
        for file in files {
            if pass.seen.contains(&file) {
                continue;
            }
            let path = ledger.edits.get(&file).map_or("", |edit| edit.path.as_str());
            match open_any(disk, anchor, file) {
                Ok(object) => {
                    walk(disk, &mut pass, object, &root_path, &(), control)?;
                }
                Err(error) if error.status.is_gone() => {}
                Err(error) => {
                    pass.skip(Some(file), Skipped { path: path.to_owned(), why: why(error) })?;
                }
            }
        }
        taken.edited += pass.done.edited;
        taken.remaining = pass.done.remaining;
        taken.unseen = pass.done.unseen;
        if pass.done.edited == 0 {
            return Ok(taken);
        }
    }
    taken.remaining.push(Skipped { path: String::new(), why: Why::Changed });
    Ok(taken)
}

/// A handle on the volume of a grant: by the path in the ledger, else by trying every drive.
pub(super) fn anchor<D: Disk>(disk: &D, key: &Key, ledger: &Ledger) -> Option<D::Handle> {
    let is_volume = |handle: &D::Handle| disk.stat(handle).is_ok_and(|stat| stat.object.volume == key.root.volume);
    if let Some(begin) = &ledger.begin {
        if let Ok(root) = open_path(disk, &begin.root, LOOK)
            && root.stat.object.volume == key.root.volume
        {
            return Some(root.handle);
        }
        let (volume, _) = begin.root.nt_components();
        if let Ok(handle) = disk.open_volume(OsStr::new(&volume), AccessMask::FILE_READ_ATTRIBUTES)
            && is_volume(&handle)
        {
            return Some(handle);
        }
    }
    ('A'..='Z').find_map(|letter| {
        let volume = format!(r"\??\{letter}:\");
        let handle = disk.open_volume(OsStr::new(&volume), AccessMask::FILE_READ_ATTRIBUTES).ok()?;
        is_volume(&handle).then_some(handle)
    })
}

struct Taking<'l> {
    sid: Sid,
    ledger: &'l Ledger,
    seen: HashSet<FileId>,
    done: Taken,
}

impl Pass for Taking<'_> {
    type Below = ();
    const LOOKS_AT_ALL: bool = true;

    fn decide(&self, object: &Seen<'_>, (): &()) -> Decision<()> {
        let keep = Decision { outcome: Outcome::Keep, below: Some(()) };
        let Ok(descriptor) = SecurityDescriptor::from_bytes(object.security) else {
            return Decision { outcome: Outcome::Skip(Why::Malformed), ..keep };
        };
        if !matches!(descriptor.dacl, AclState::Present(_)) {
            return keep;
        }
        match Change::to(&descriptor, &self.sid, &Entries::default()) {
            Ok(None) => keep,
            Ok(Some(mut change)) => {
                if let Some(before) = self.before(FileId(object.stat.object.file), &descriptor) {
                    change.after = before.into();
                }
                Decision { outcome: Outcome::Edit(change), ..keep }
            }
            Err(why) => Decision { outcome: Outcome::Skip(why), ..keep },
        }
    }

    /// The ledger says already that the grant is being taken back, and what each object had.
    fn journal(&mut self, _: &[Edit<'_>]) -> Result<(), Error> {
        Ok(())
    }

    fn skip(&mut self, file: Option<FileId>, skipped: Skipped) -> Result<(), Error> {
        let was_edited = file.is_none_or(|file| self.ledger.edits.contains_key(&file));
        if was_edited || skipped.why != Why::Denied {
            self.done.remaining.push(skipped);
        } else {
            self.done.unseen.push(skipped);
        }
        Ok(())
    }

    fn failed(&mut self, skipped: Skipped) -> Result<(), Error> {
        self.done.remaining.push(skipped);
        Ok(())
    }

    fn met(&mut self, file: FileId) {
        self.seen.insert(file);
    }

    fn edited(&mut self) {
        self.done.edited += 1;
    }
}

impl Taking<'_> {
    /// What the ledger says that the object had, if nobody changed it since.
    fn before(&self, file: FileId, descriptor: &SecurityDescriptor) -> Option<&[u8]> {
        let edit = self.ledger.edits.get(&file)?;
        (DaclHash::of(&current(descriptor)?) == edit.after).then(|| self.ledger.dacl(edit.before))?
    }
}

/// Opens an object with as many of the rights as there are.
fn open_any<D: Disk>(
    disk: &D,
    anchor: &D::Handle,
    file: FileId,
) -> Result<Opened<D::Handle>, crate::windows::disk::DiskError> {
    let list = AccessMask::FILE_READ_DATA;
    let mut result = open_id(disk, anchor, file, EDIT | list);
    for access in [LOOK | list, EDIT] {
        match &result {
            Err(error) if error.status.is_denied() => result = open_id(disk, anchor, file, access),
            _ => break,
        }
    }
    result
}
