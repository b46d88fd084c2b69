//! The ledger: what was granted on disk, written down before it is done.
//!
//! One append-only file per grant, named after the SID and the root's identity, so that even a file whose every line is
//! destroyed still says where to look and for whom. Lines are independent of each other (see [`record`]); a torn end, a
//! damaged line or a foreign file costs what it touches and nothing else. The last line says whether the grant is complete,
//! so that a warm start reads a few hundred bytes whatever the size of the tree.

mod record;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use ringfence_ntsec::Sid;
use serde::{Deserialize, Serialize};

pub use record::{Begin, DaclHash, Edit, Skipped};
use record::{HexBytes, Line, Record};

use super::disk::{FileId, NtStatus};
use super::storage::Storage;
use crate::Error;
use crate::facts::windows::ObjectId;

/// All ledgers of a user.
#[derive(Debug)]
pub struct Ledgers<'s, S> {
    storage: &'s S,
}

/// Which grant: to whom, and on which root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The workspace's SID.
    pub sid: Sid,
    /// The root directory.
    pub root: ObjectId,
}

/// What a ledger says, as far as it is intact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// What the grant was last meant to be; `None` if that line is lost.
    pub begin: Option<Begin>,
    /// How far it is.
    pub progress: Progress,
    /// The last edit of each file.
    pub edits: BTreeMap<FileId, Edit>,
    /// What the last pass left alone.
    pub skipped: Vec<Skipped>,
    /// Lines that are torn or damaged.
    pub damaged: usize,
    dacls: HashMap<DaclHash, Vec<u8>>,
    unknown: Vec<Vec<u8>>,
    version: u32,
}

/// How far a grant is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Begun and not finished, or not known.
    #[default]
    Unfinished,
    /// Complete for the plan with this digest.
    Complete(String),
    /// Being taken back.
    Revoking,
}

/// Why an object was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Why {
    /// This user may not change its permissions.
    Denied,
    /// It has names that were not found below the root; a descriptor belongs to the file, not to the name.
    HardLink {
        /// How many names it has.
        links: u32,
    },
    /// It has no DACL: everybody may do everything with it already.
    NoDacl,
    /// Its content lies elsewhere: a cloud file, or a kind of reparse point that is not known.
    Placeholder,
    /// It is one of the places that are never granted.
    NeverGranted,
    /// Its DACL has no room for another entry.
    DaclFull,
    /// It is a directory that hands nothing down, so that what is made in it would have our entries and no others.
    NothingInherited,
    /// Its descriptor does not parse.
    Malformed,
    /// It was exchanged for something else while the walk looked at it.
    Changed,
    /// A call failed.
    Failed {
        /// What the kernel said.
        status: u32,
    },
}

/// The exclusive right to write ledgers and to edit descriptors.
#[derive(Debug)]
pub struct Exclusive<'s, S: Storage> {
    storage: &'s S,
    _lock: S::Lock,
}

/// A ledger that is being written.
#[derive(Debug)]
pub struct Writer<'s, S: Storage> {
    storage: &'s S,
    file: S::Appender,
    pending: Vec<u8>,
    known: HashSet<DaclHash>,
}

/// The version of the format.
const VERSION: u32 = 1;

/// More than the last line of a complete ledger can need.
const TAIL: usize = 1024;

const SUFFIX: &str = ".grants";
const NEW_SUFFIX: &str = ".grants-new";

/// How long a writer waits for another one.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const LOCK_ATTEMPTS: u32 = 600;

impl<'s, S: Storage> Ledgers<'s, S> {
    /// The ledgers in a directory.
    pub fn new(storage: &'s S) -> Self {
        Self { storage }
    }

    /// Every grant that there is a ledger of. Files with other names are not looked at.
    ///
    /// # Errors
    /// [`Error::State`] if the directory cannot be read.
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        Ok(self.storage.names()?.iter().filter_map(|name| Key::from_name(name)).collect())
    }

    /// Whether the grant is complete for this digest. Reads the end of the file only.
    ///
    /// # Errors
    /// [`Error::State`] if it cannot be read.
    pub fn is_complete(&self, key: &Key, digest: &str) -> Result<bool, Error> {
        let Some(tail) = self.storage.tail(&key.name(), TAIL)? else {
            return Ok(false);
        };
        let Some(text) = tail.strip_suffix(b"\n") else {
            return Ok(false);
        };
        let start = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        Ok(matches!(Line::read(&text[start..]), Line::Record(Record::Complete { digest: found }) if found == digest))
    }

    /// Everything that is intact in a ledger.
    ///
    /// # Errors
    /// [`Error::State`] if it cannot be read, [`Error::LedgerVersion`] if a newer release wrote it.
    pub fn load(&self, key: &Key) -> Result<Ledger, Error> {
        let ledger = Ledger::parse(&self.storage.read(&key.name())?.unwrap_or_default());
        if ledger.version > VERSION {
            return Err(Error::LedgerVersion { path: self.storage.path(&key.name()), version: ledger.version });
        }
        Ok(ledger)
    }

    /// Waits for the right to write, for half a minute at most.
    ///
    /// # Errors
    /// [`Error::GrantsBusy`] when the time is over, [`Error::State`] if the lock cannot be used at all.
    pub fn lock(&self) -> Result<Exclusive<'s, S>, Error> {
        for attempt in 0..LOCK_ATTEMPTS {
            if attempt > 0 {
                self.storage.pause(LOCK_PAUSE);
            }
            if let Some(lock) = self.storage.try_lock()? {
                return Ok(Exclusive { storage: self.storage, _lock: lock });
            }
        }
        Err(Error::GrantsBusy { waited: LOCK_PAUSE * LOCK_ATTEMPTS })
    }
}

impl<'s, S: Storage> Exclusive<'s, S> {
    /// Opens a ledger for more lines, making it if there is none.
    ///
    /// # Errors
    /// [`Error::State`] if it cannot be written, [`Error::LedgerVersion`] if a newer release wrote it.
    pub fn writer(&self, key: &Key) -> Result<Writer<'s, S>, Error> {
        let name = key.name();
        let mut pending = Vec::new();
        match self.storage.tail(&name, 1)?.as_deref() {
            None | Some([]) => Record::Ledger(VERSION).write_to(&mut pending)?,
            Some([b'\n']) => {}
            // Ends a line that a crash tore, so that it costs itself alone.
            Some(_) => pending.push(b'\n'),
        }
        let file = self.storage.appender(&name)?;
        Ok(Writer { storage: self.storage, file, pending, known: HashSet::new() })
    }

    /// Removes a ledger whose grant is gone from the disk.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn remove(&self, key: &Key) -> Result<(), Error> {
        self.storage.remove(&key.new_name())?;
        self.storage.remove(&key.name())
    }

    /// Rewrites a ledger without what later lines replaced. A crash leaves the old one or the new one.
    ///
    /// # Errors
    /// As [`Exclusive::writer`]; the old one is then still there.
    pub fn compact(&self, key: &Key) -> Result<(), Error> {
        let ledger = Ledgers::new(self.storage).load(key)?;
        self.storage.remove(&key.new_name())?;
        let mut file = self.storage.appender(&key.new_name())?;
        self.storage.append(&mut file, &ledger.to_bytes()?)?;
        self.storage.flush(&mut file)?;
        // Windows does not rename over a file that somebody has open.
        drop(file);
        self.storage.rename(&key.new_name(), &key.name())
    }
}

impl<S: Storage> Writer<'_, S> {
    /// Notes that a grant begins, or begins again.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn begin(&mut self, begin: Begin) -> Result<(), Error> {
        Record::Begin(Box::new(begin)).write_to(&mut self.pending)
    }

    /// Notes an edit that is about to be made. `before` and `after` are self-relative descriptors that hold the DACL only.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn edit(&mut self, file: FileId, before: &[u8], after: &[u8], path: String) -> Result<(), Error> {
        let [before, after] = [self.dacl(before)?, self.dacl(after)?];
        Record::Edit(Edit { file, before, after, path }).write_to(&mut self.pending)
    }

    /// Notes an object that is left alone.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn skipped(&mut self, skipped: Skipped) -> Result<(), Error> {
        Record::Skipped(skipped).write_to(&mut self.pending)
    }

    /// Notes that the grant is complete.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn complete(&mut self, digest: String) -> Result<(), Error> {
        Record::Complete { digest }.write_to(&mut self.pending)
    }

    /// Notes that the grant is being taken back.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn revoking(&mut self) -> Result<(), Error> {
        Record::Revoking {}.write_to(&mut self.pending)
    }

    /// Makes everything that was noted durable: one append and one flush, whatever the number of lines. Only after this
    /// may an edit be made.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn commit(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.storage.append(&mut self.file, &self.pending)?;
        self.pending.clear();
        self.storage.flush(&mut self.file)
    }

    fn dacl(&mut self, bytes: &[u8]) -> Result<DaclHash, Error> {
        let hash = DaclHash::of(bytes);
        // A tree has few different DACLs: each is written once.
        if self.known.insert(hash) {
            Record::Dacl { hash, bytes: HexBytes(bytes.to_vec()) }.write_to(&mut self.pending)?;
        }
        Ok(hash)
    }
}

impl Ledger {
    /// The DACL that had this hash, if its line is intact.
    pub fn dacl(&self, hash: DaclHash) -> Option<&[u8]> {
        self.dacls.get(&hash).map(Vec::as_slice)
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut ledger = Self::default();
        let mut last_is_whole = true;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            // Without its line break a line may lack its end: a number without its last digits is a number as well.
            let read = line
                .strip_suffix(b"\n")
                .map_or(Line::Damaged, |text| if text.is_empty() { Line::Unknown } else { Line::read(text) });
            last_is_whole = read != Line::Damaged;
            match read {
                Line::Record(record) => ledger.apply(record),
                Line::Unknown if line != b"\n" => ledger.unknown.push(line.to_vec()),
                Line::Unknown => {}
                Line::Damaged => ledger.damaged += 1,
            }
        }
        // The line that came after "complete" may have taken it back.
        if !last_is_whole && matches!(ledger.progress, Progress::Complete(_)) {
            ledger.progress = Progress::Unfinished;
        }
        ledger
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Ledger(version) => self.version = self.version.max(version),
            Record::Begin(begin) => {
                self.begin = Some(*begin);
                self.progress = Progress::Unfinished;
                self.skipped.clear();
            }
            Record::Dacl { hash, bytes: HexBytes(bytes) } => {
                if DaclHash::of(&bytes) == hash {
                    self.dacls.insert(hash, bytes);
                } else {
                    self.damaged += 1;
                }
            }
            Record::Edit(edit) => {
                self.edits.insert(edit.file, edit);
            }
            Record::Skipped(skipped) => self.skipped.push(skipped),
            Record::Complete { digest } => self.progress = Progress::Complete(digest),
            Record::Revoking {} => self.progress = Progress::Revoking,
        }
    }

    /// The shortest file that says the same.
    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        Record::Ledger(self.version.max(VERSION)).write_to(&mut out)?;
        if let Some(begin) = &self.begin {
            Record::Begin(Box::new(begin.clone())).write_to(&mut out)?;
        }
        self.unknown.iter().for_each(|line| out.extend_from_slice(line));
        let used: HashSet<DaclHash> = self.edits.values().flat_map(|edit| [edit.before, edit.after]).collect();
        let mut dacls: Vec<_> = self.dacls.iter().filter(|(hash, _)| used.contains(hash)).collect();
        dacls.sort_unstable();
        for (hash, bytes) in dacls {
            Record::Dacl { hash: *hash, bytes: HexBytes(bytes.clone()) }.write_to(&mut out)?;
        }
        for edit in self.edits.values() {
            Record::Edit(edit.clone()).write_to(&mut out)?;
        }
        for skipped in &self.skipped {
            Record::Skipped(skipped.clone()).write_to(&mut out)?;
        }
        match &self.progress {
            Progress::Unfinished => {}
            Progress::Complete(digest) => Record::Complete { digest: digest.clone() }.write_to(&mut out)?,
            Progress::Revoking => Record::Revoking {}.write_to(&mut out)?,
        }
        Ok(out)
    }
}

impl Key {
    /// The name of its ledger. It says everything that is needed to look for what was granted.
    pub fn name(&self) -> String {
        format!("{}_{:x}_{}{SUFFIX}", self.sid, self.root.volume, FileId(self.root.file))
    }

    fn new_name(&self) -> String {
        self.name().replace(SUFFIX, NEW_SUFFIX)
    }

    fn from_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.split('_');
        let (sid, volume, file) = (parts.next()?, parts.next()?, parts.next()?);
        let sid: Sid = sid.parse().ok()?;
        let volume = u64::from_str_radix(volume, 16).ok()?;
        let FileId(file) = file.parse().ok()?;
        let key = Self { sid, root: ObjectId { volume, file } };
        // Nobody else's SID is ever searched for and removed, and each grant has one name.
        (sid.is_ringfence() && key.name() == name).then_some(key)
    }
}

impl Why {
    /// Whether another attempt may end otherwise.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Changed | Self::Failed { .. })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => out.write_str("you may not change its permissions"),
            Self::HardLink { links } => write!(out, "it has {links} names, some of them outside"),
            Self::NoDacl => out.write_str("it has no permissions at all, so that everybody may write it already"),
            Self::Placeholder => out.write_str("its content lies elsewhere"),
            Self::NeverGranted => out.write_str("it is a place that is never granted"),
            Self::DaclFull => out.write_str("its list of permissions is full"),
            Self::NothingInherited => {
                out.write_str("nothing is inherited from it, so that new files would be ours alone")
            }
            Self::Malformed => out.write_str("its permissions cannot be read"),
            Self::Changed => out.write_str("it changed meanwhile"),
            Self::Failed { status } => NtStatus(*status).fmt(out),
        }
    }
}

#[cfg(test)]
mod tests;
