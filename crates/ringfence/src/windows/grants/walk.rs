//! The walk over a tree: list, look, write down, edit, in rounds.
//!
//! A directory is listed only after its own descriptor was set. So a file that appears behind the walk inherits, and one that
//! was there before is found. What one round edits is in the ledger, flushed once, before the first of its edits.
//!
//! Each phase of a round is a set of independent calls on several threads; between the phases nothing runs. Open
//! directories wait on a stack, so that their number grows with the depth of the tree and not with its size.

use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringfence_ntsec::AccessMask;

use super::entries::Change;
use super::open::{EDIT, LOOK, Opened, why};
use crate::Error;
use crate::windows::disk::{Disk, DiskError, Entry, FileId, ReparseKind, Stat};
use crate::windows::ledger::{Skipped, Why};

/// What a walk does with the objects that it meets.
pub(super) trait Pass: Sync {
    /// What a directory hands down.
    type Below: Clone + Send + Sync;

    /// Whether an object that cannot be edited is looked at all the same.
    const LOOKS_AT_ALL: bool;

    /// What becomes of an object. `security` is its descriptor, `from` what its directory hands down.
    fn decide(&self, object: &Seen<'_>, from: &Self::Below) -> Decision<Self::Below>;

    /// Writes down what is about to be edited. Nothing is edited if it fails.
    fn journal(&mut self, edits: &[Edit<'_>]) -> Result<(), Error>;

    /// Takes note of an object that is left alone.
    fn skip(&mut self, file: Option<FileId>, skipped: Skipped) -> Result<(), Error>;

    /// Takes note of an edit that could not be made.
    fn failed(&mut self, skipped: Skipped) -> Result<(), Error>;

    /// Takes note of a directory that was entered.
    fn entered(&mut self, _: FileId, _: &Self::Below) {}

    /// Takes note of an object that was looked at.
    fn met(&mut self, _: FileId) {}

    /// Takes note of an object whose turn comes after the walk.
    fn postpone(&mut self, _: FileId, _: String) {}

    /// Takes note of an edit that was made.
    fn edited(&mut self) {}
}

/// An object as a pass sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) name: &'a OsStr,
    pub(super) stat: &'a Stat,
    pub(super) security: &'a [u8],
}

/// What becomes of an object.
#[derive(Debug)]
pub(super) struct Decision<B> {
    pub(super) outcome: Outcome,
    /// What it hands down; `None` leaves everything below it alone.
    pub(super) below: Option<B>,
}

/// What becomes of an object itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is as it should be.
    Keep,
    /// It is edited.
    Edit(Change),
    /// It is left alone, and said to be.
    Skip(Why),
    /// It is decided after the walk.
    Postpone,
}

/// An edit that is about to be made.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    pub(super) file: FileId,
    pub(super) path: &'a str,
    pub(super) change: &'a Change,
}

/// How a walk tells how far it is, and how it is told to stop.
pub struct Control<'a> {
    /// Called after each round.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Set to stop after the current round.
    pub interrupted: &'a AtomicBool,
}

/// How far a walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Objects that are done.
    pub done: u64,
    /// Objects that are known so far; grows while directories are listed.
    pub known: u64,
}

/// An object that was looked at.
struct Found<H, B> {
    opened: Opened<H>,
    name: OsString,
    path: String,
    security: Vec<u8>,
    from: B,
    decision: Decision<B>,
    can_list: bool,
}

/// A directory to be listed.
struct Directory<H, B> {
    handle: Arc<H>,
    id: FileId,
    path: Arc<str>,
    below: B,
    is_started: bool,
    attempts: u8,
}

/// Why an object was not looked at.
enum Miss {
    /// It is gone: nobody has to know.
    Gone,
    /// Another object has its name now.
    Changed,
    Skip(FileId, Why),
}

/// Directories that are listed in one round.
const DIRECTORIES: usize = 128;

/// Objects that are open at the same time, and edits that share a flush.
pub(super) const OBJECTS: usize = 4096;

/// How often a directory is listed again because something in it was exchanged.
const ATTEMPTS: u8 = 3;

/// Walks everything from an open object down, that object first. `path` is its path for people.
///
/// # Errors
/// What the pass returns; [`Error::GrantsInterrupted`]. An object that cannot be dealt with is no error.
pub(super) fn walk<D: Disk, P: Pass>(
    disk: &D,
    pass: &mut P,
    start: Opened<D::Handle>,
    path: &str,
    from: &P::Below,
    control: &Control<'_>,
) -> Result<Progress, Error> {
    let mut walk = Walk {
        disk,
        pass,
        pending: Vec::new(),
        again: Vec::new(),
        progress: Progress { done: 0, known: 1 },
        volume: start.stat.object.volume,
    };
    let name = path.rsplit('\\').next().unwrap_or_default();
    match look(disk, &*walk.pass, start, OsStr::new(name), String::new(), from, true) {
        Ok(found) => walk.settle(vec![found])?,
        Err(miss) => walk.missed(miss, String::new())?,
    }
    walk.progress.done += 1;
    loop {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(Error::GrantsInterrupted { path: path.into() });
        }
        (control.progress)(walk.progress);
        if walk.pending.is_empty() {
            walk.pending.append(&mut walk.again);
        }
        if walk.pending.is_empty() {
            return Ok(walk.progress);
        }
        walk.round()?;
    }
}

struct Walk<'w, D: Disk, P: Pass> {
    disk: &'w D,
    pass: &'w mut P,
    pending: Vec<Directory<D::Handle, P::Below>>,
    again: Vec<Directory<D::Handle, P::Below>>,
    progress: Progress,
    volume: u64,
}

impl<D: Disk, P: Pass> Walk<'_, D, P> {
    fn round(&mut self) -> Result<(), Error> {
        let mut directories = self.pending.split_off(self.pending.len().saturating_sub(DIRECTORIES));
        let (disk, volume) = (self.disk, self.volume);
        let listings = each(disk, directories.len(), &|number| {
            let directory: &Directory<_, _> = &directories[number];
            disk.list(&directory.handle, !directory.is_started)
        });
        let mut entries: Vec<(usize, Entry)> = Vec::new();
        for (number, listing) in listings.into_iter().enumerate() {
            match listing {
                Err(error) if error.status.is_gone() => {}
                Err(error) => {
                    let directory = &directories[number];
                    let skipped = Skipped { path: directory.path.to_string(), why: why(error) };
                    self.pass.skip(Some(directory.id), skipped)?;
                }
                Ok(found) if found.is_empty() => {}
                Ok(found) => {
                    directories[number].is_started = true;
                    self.pending.push(directories[number].again(0));
                    entries.extend(found.into_iter().map(|entry| (number, entry)));
                }
            }
        }
        self.progress.known += entries.len() as u64;
        let mut changed: Vec<usize> = Vec::new();
        for chunk in entries.chunks(OBJECTS) {
            let pass = &*self.pass;
            let results = each(disk, chunk.len(), &|number| {
                let (directory, entry) = &chunk[number];
                look_at_entry(disk, pass, &directories[*directory], entry, volume)
            });
            let mut found = Vec::with_capacity(results.len());
            for (result, (directory, entry)) in results.into_iter().zip(chunk) {
                match result {
                    Ok(object) => found.push(object),
                    Err(Miss::Changed) if directories[*directory].attempts < ATTEMPTS => changed.push(*directory),
                    Err(miss) => self.missed(miss, below(&directories[*directory].path, &entry.name))?,
                }
            }
            self.settle(found)?;
            self.progress.done += chunk.len() as u64;
        }
        changed.sort_unstable();
        changed.dedup();
        self.again.extend(changed.into_iter().map(|number| directories[number].again(1)));
        Ok(())
    }

    /// Writes down and makes the edits of objects that were looked at, and takes their directories for a later round.
    fn settle(&mut self, mut found: Vec<Found<D::Handle, P::Below>>) -> Result<(), Error> {
        for attempt in 0.. {
            let edits: Vec<Edit<'_>> = found.iter().filter_map(Found::edit).collect();
            if !edits.is_empty() {
                self.pass.journal(&edits)?;
            }
            let disk = self.disk;
            let results = each(disk, found.len(), &|number| {
                let object = &found[number];
                match &object.decision.outcome {
                    Outcome::Edit(change) => set_unless_changed(disk, &object.opened.handle, &object.security, change),
                    _ => Ok(None),
                }
            });
            let mut changed = Vec::new();
            for (mut object, result) in found.into_iter().zip(results) {
                match result {
                    Ok(Some(security)) if attempt < ATTEMPTS => {
                        object.security = security;
                        object.decision = self.pass.decide(&object.seen(), &object.from);
                        changed.push(object);
                    }
                    Ok(Some(_)) => self.pass.failed(Skipped { path: object.path, why: Why::Changed })?,
                    Ok(None) => self.done(object, Ok(()))?,
                    Err(error) => self.done(object, Err(error))?,
                }
            }
            if changed.is_empty() {
                break;
            }
            found = changed;
        }
        Ok(())
    }

    /// Takes note of what became of an object, and of the directory that it is.
    fn done(&mut self, object: Found<D::Handle, P::Below>, result: Result<(), DiskError>) -> Result<(), Error> {
        let file = FileId(object.opened.stat.object.file);
        self.pass.met(file);
        match (object.decision.outcome, result) {
            (Outcome::Edit(_), Ok(())) => self.pass.edited(),
            (Outcome::Edit(_), Err(error)) if error.status.is_gone() => return Ok(()),
            // What lies below must not carry what its directory does not.
            (Outcome::Edit(_), Err(error)) => {
                return self.pass.failed(Skipped { path: object.path, why: why(error) });
            }
            (Outcome::Skip(why), _) => self.pass.skip(Some(file), Skipped { path: object.path.clone(), why })?,
            (Outcome::Postpone, _) => self.pass.postpone(file, object.path.clone()),
            (Outcome::Keep, _) => {}
        }
        let Some(below) = object.decision.below.filter(|_| is_entered(&object.opened.stat)) else {
            return Ok(());
        };
        if !object.can_list {
            return self.pass.skip(Some(file), Skipped { path: object.path, why: Why::Denied });
        }
        self.pass.entered(file, &below);
        self.pending.push(Directory {
            handle: Arc::new(object.opened.handle),
            id: file,
            path: object.path.into(),
            below,
            is_started: false,
            attempts: 0,
        });
        Ok(())
    }

    fn missed(&mut self, miss: Miss, path: String) -> Result<(), Error> {
        match miss {
            Miss::Gone => Ok(()),
            Miss::Changed => self.pass.skip(None, Skipped { path, why: Why::Changed }),
            Miss::Skip(file, why) => self.pass.skip(Some(file), Skipped { path, why }),
        }
    }
}

impl<H, B: Clone> Directory<H, B> {
    /// The same directory once more: for its next entries, or from the start after a change.
    fn again(&self, more_attempts: u8) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
            id: self.id,
            path: Arc::clone(&self.path),
            below: self.below.clone(),
            is_started: more_attempts == 0 && self.is_started,
            attempts: self.attempts + more_attempts,
        }
    }
}

impl<H, B> Found<H, B> {
    fn seen(&self) -> Seen<'_> {
        Seen { name: &self.name, stat: &self.opened.stat, security: &self.security }
    }

    fn edit(&self) -> Option<Edit<'_>> {
        match &self.decision.outcome {
            Outcome::Edit(change) => {
                Some(Edit { file: FileId(self.opened.stat.object.file), path: &self.path, change })
            }
            _ => None,
        }
    }
}

/// Makes an edit, unless the descriptor is another one by now: then that one. Windows has no such call, so what another
/// program sets between the look and the edit that follows it at once is lost.
pub(super) fn set_unless_changed<D: Disk>(
    disk: &D,
    handle: &D::Handle,
    seen: &[u8],
    change: &Change,
) -> Result<Option<Vec<u8>>, DiskError> {
    let now = disk.security(handle)?;
    if now != seen {
        return Ok(Some(now));
    }
    disk.set_dacl(handle, &change.after)?;
    Ok(None)
}

/// Whether the walk goes into it: never through a link, and not into what a provider would have to bring first.
fn is_entered(stat: &Stat) -> bool {
    stat.is_directory && stat.reparse.is_none_or(|tag| tag.kind() == ReparseKind::Storage)
}

fn look_at_entry<D: Disk, P: Pass>(
    disk: &D,
    pass: &P,
    directory: &Directory<D::Handle, P::Below>,
    entry: &Entry,
    volume: u64,
) -> Result<Found<D::Handle, P::Below>, Miss> {
    let skip = |error: DiskError| {
        if error.status.is_gone() { Miss::Gone } else { Miss::Skip(entry.file, why(error)) }
    };
    let list = if entry.is_directory { AccessMask::FILE_READ_DATA } else { AccessMask::NONE };
    let open = |access| disk.open_child(&directory.handle, &entry.name, access);
    let mut can_list = true;
    let mut handle = open(EDIT | list);
    if P::LOOKS_AT_ALL && handle.as_ref().is_err_and(|error| error.status.is_denied()) {
        handle = open(LOOK | list);
        if handle.as_ref().is_err_and(|error| error.status.is_denied()) {
            can_list = false;
            handle = open(EDIT);
        }
    }
    let handle = handle.map_err(skip)?;
    let stat = disk.stat(&handle).map_err(skip)?;
    // The open handle cannot be exchanged any more; what it stands for must be what was listed in this directory.
    let same_volume = stat.object.volume == volume;
    if !same_volume || FileId(stat.object.file) != entry.file || stat.is_directory != entry.is_directory {
        return Err(Miss::Changed);
    }
    let path = below(&directory.path, &entry.name);
    look(disk, pass, Opened { handle, stat }, &entry.name, path, &directory.below, can_list)
}

fn look<D: Disk, P: Pass>(
    disk: &D,
    pass: &P,
    opened: Opened<D::Handle>,
    name: &OsStr,
    path: String,
    from: &P::Below,
    can_list: bool,
) -> Result<Found<D::Handle, P::Below>, Miss> {
    let file = FileId(opened.stat.object.file);
    let security = disk
        .security(&opened.handle)
        .map_err(|error| if error.status.is_gone() { Miss::Gone } else { Miss::Skip(file, why(error)) })?;
    let decision = pass.decide(&Seen { name, stat: &opened.stat, security: &security }, from);
    Ok(Found { opened, name: name.to_owned(), path, security, from: from.clone(), decision, can_list })
}

fn below(directory: &str, name: &OsStr) -> String {
    if directory.is_empty() {
        return name.to_string_lossy().into_owned();
    }
    format!("{directory}\\{}", name.to_string_lossy())
}

/// The results of `task` for every number below `tasks`, in order.
pub(super) fn each<D: Disk, R: Send>(disk: &D, tasks: usize, task: &(dyn Fn(usize) -> R + Sync)) -> Vec<R> {
    let results: Vec<Mutex<Option<R>>> = (0..tasks).map(|_| Mutex::new(None)).collect();
    disk.in_parallel(tasks, &|number| {
        *results[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(task(number));
    });
    results.into_iter().filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
