//! A machine: a volume, a state directory, and what the seed lets go wrong at each call.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use ringfence_ntsec::volume::{Handle, Reparse, Volume};
use ringfence_ntsec::{AccessMask, AclState, Control, SecurityDescriptor, Token, volume};

use super::adversary::Adversary;
use super::random::Random;
use super::turns::Turns;
use crate::Error;
use crate::facts::windows::ObjectId;
use crate::windows::disk::{Disk, DiskError, Entry, FileId, NtStatus, ReparseTag, Stat};
use crate::windows::storage::Storage;

/// The serial number of the one volume, and its root.
pub(super) const SERIAL: u64 = 0x1234_5678_9ABC_DEF0;
const VOLUME: &str = r"\??\C:\";

/// The status of every call after a crash; the engine cannot know it, and nothing follows it.
const CRASHED: NtStatus = NtStatus(0xC000_0001);

/// What a failing call may say.
const FAULTS: [NtStatus; 5] = [
    NtStatus::ACCESS_DENIED,
    NtStatus::SHARING_VIOLATION,
    NtStatus::INSUFFICIENT_RESOURCES,
    NtStatus::IO_DEVICE_ERROR,
    NtStatus::DISK_FULL,
];

/// Entries in one answer to a listing: few, so that directories need several.
const BUFFER: usize = 3;

pub(super) struct Host {
    world: Mutex<World>,
    turns: Turns,
}

/// Everything that is on the machine.
pub(super) struct World {
    pub(super) volume: Volume,
    /// The token of ringfence itself.
    pub(super) user: Token,
    pub(super) counts: Counts,
    pub(super) weather: Weather,
    pub(super) adversary: Option<Adversary>,
    pub(super) files: BTreeMap<String, File>,
    random: Random,
    calls: u64,
    is_crashed: bool,
    lock: Option<u64>,
    locks: u64,
    /// What a loss of power may undo, the oldest first: what changed on the volume, and in the state directory.
    disk_log: Vec<Undo>,
    state_log: Vec<Undo>,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// Calls in a thousand that fail.
    pub(super) faults: usize,
    /// The call at which everything stops.
    pub(super) crash_at: Option<u64>,
    /// Calls in a thousand before which somebody else does something.
    pub(super) adversary: usize,
    /// Whether the state directory lies on the same volume as the roots.
    pub(super) is_one_volume: bool,
    /// Whether tasks run on threads; else one after the other, in any order.
    pub(super) has_threads: bool,
}

/// Calls, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) opens: u64,
    pub(super) looks: u64,
    pub(super) sets: u64,
    pub(super) lists: u64,
    pub(super) flushes: u64,
}

/// A file of the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct File {
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<u8>,
}

enum Undo {
    Set { id: volume::FileId, before: Box<SecurityDescriptor>, after: Box<SecurityDescriptor> },
    Create { name: String },
    Remove { name: String, file: File },
    Rename { from: String, to: String, replaced: Option<File> },
}

pub(super) struct SimulatedHandle {
    handle: Handle,
    position: Mutex<Option<String>>,
}

pub(super) struct Lock<'h> {
    host: &'h Host,
    number: u64,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        let mut world = self.host.world();
        if world.lock == Some(self.number) {
            world.lock = None;
        }
    }
}

impl Host {
    pub(super) fn new(volume: Volume, user: Token, seed: u64) -> Self {
        let world = World {
            volume,
            user,
            counts: Counts::default(),
            weather: Weather::default(),
            adversary: None,
            files: BTreeMap::new(),
            random: Random::new(seed),
            calls: 0,
            is_crashed: false,
            lock: None,
            locks: 0,
            disk_log: Vec::new(),
            state_log: Vec::new(),
        };
        Self { world: Mutex::new(world), turns: Turns::new(seed ^ 1) }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Runs several programs at the same time.
    pub(super) fn at_once<'t>(&self, programs: Vec<Box<dyn FnOnce() + Send + 't>>) {
        self.turns.run(programs);
    }

    /// Starts the machine again after what happened, with other weather. Whether there was a crash.
    pub(super) fn restart(&self, weather: Weather) -> bool {
        let mut world = self.world();
        let crashed = world.is_crashed;
        if crashed {
            world.recover();
        }
        world.is_crashed = false;
        world.calls = 0;
        world.weather = weather;
        crashed
    }

    fn call(&self, operation: &'static str) -> Result<MutexGuard<'_, World>, DiskError> {
        self.turns.take();
        let mut world = self.world();
        match world.passes(true) {
            Ok(()) => Ok(world),
            Err(status) => Err(DiskError { operation, status }),
        }
    }

    fn state_call(&self, name: &str) -> Result<MutexGuard<'_, World>, Error> {
        self.call("state").map_err(|error| Error::State {
            path: self.path(name),
            source: std::io::Error::other(error.status.to_string()),
        })
    }
}

impl World {
    /// Lets the adversary act if it may, counts the call, and says whether it fails.
    fn passes(&mut self, somebody_acts: bool) -> Result<(), NtStatus> {
        self.calls += 1;
        if self.is_crashed || self.weather.crash_at.is_some_and(|at| self.calls >= at) {
            self.is_crashed = true;
            return Err(CRASHED);
        }
        if somebody_acts
            && self.random.happens(self.weather.adversary)
            && let Some(mut adversary) = self.adversary.take()
        {
            adversary.act(&mut self.volume, &mut self.random);
            self.adversary = Some(adversary);
        }
        if self.random.happens(self.weather.faults) {
            return Err(*self.random.pick(&FAULTS));
        }
        Ok(())
    }

    /// What a crash leaves: of the process alone everything that it did, of a loss of power what was flushed, and some more.
    fn recover(&mut self) {
        self.lock = None;
        if self.random.happens(300) {
            for file in self.files.values_mut() {
                file.durable.append(&mut file.pending);
            }
        } else {
            for name in self.files.keys().cloned().collect::<Vec<_>>() {
                let random = &mut self.random;
                let file = self.files.get_mut(&name).unwrap();
                let kept = random.below(file.pending.len() + 1);
                file.durable.extend_from_slice(&file.pending[..kept]);
                // The file may have got its length before its content.
                if random.happens(200) {
                    file.durable.resize(file.durable.len() + random.below(file.pending.len() - kept + 1), 0);
                }
                file.pending.clear();
            }
            for mut log in [std::mem::take(&mut self.disk_log), std::mem::take(&mut self.state_log)] {
                // Both logs are written in order: what is lost is an end of each.
                let kept = self.random.below(log.len() + 1);
                for undo in log.drain(kept..).rev() {
                    self.undo(undo);
                }
            }
        }
        self.disk_log.clear();
        self.state_log.clear();
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Set { id, before, after } => {
                if self.volume.node(id).is_some_and(|node| *node.descriptor() == *after) {
                    self.volume.put_descriptor(id, *before);
                }
            }
            Undo::Create { name } => {
                self.files.remove(&name);
            }
            Undo::Remove { name, file } => {
                self.files.insert(name, file);
            }
            Undo::Rename { from, to, replaced } => {
                if let Some(file) = self.files.remove(&to) {
                    self.files.insert(from, file);
                }
                if let Some(file) = replaced {
                    self.files.insert(to, file);
                }
            }
        }
    }

    fn open(&self, opened: Result<Handle, ringfence_ntsec::Error>) -> Result<SimulatedHandle, DiskError> {
        match opened {
            Ok(handle) => Ok(SimulatedHandle { handle, position: Mutex::new(None) }),
            Err(error) => Err(DiskError { operation: "opening", status: status(&error) }),
        }
    }
}

fn status(error: &ringfence_ntsec::Error) -> NtStatus {
    match error {
        ringfence_ntsec::Error::NotFound { .. } => NtStatus::OBJECT_NAME_NOT_FOUND,
        ringfence_ntsec::Error::AccessDenied { .. } => NtStatus::ACCESS_DENIED,
        ringfence_ntsec::Error::BadName { .. } => NtStatus::OBJECT_NAME_INVALID,
        other => panic!("no such failure is expected: {other}"),
    }
}

fn gone(operation: &'static str) -> DiskError {
    DiskError { operation, status: NtStatus::FILE_DELETED }
}

/// What the open handle was not opened for, the kernel refuses.
fn require(handle: &SimulatedHandle, right: AccessMask, operation: &'static str) -> Result<(), DiskError> {
    if handle.handle.granted.contains(right) {
        return Ok(());
    }
    Err(DiskError { operation, status: NtStatus::ACCESS_DENIED })
}

impl Disk for Host {
    type Handle = SimulatedHandle;

    fn open_volume(&self, volume: &OsStr, access: AccessMask) -> Result<SimulatedHandle, DiskError> {
        let mut world = self.call("opening a volume")?;
        world.counts.opens += 1;
        if volume != VOLUME {
            return Err(DiskError { operation: "opening a volume", status: NtStatus::OBJECT_NAME_NOT_FOUND });
        }
        world.open(world.volume.open_by_id(&world.user, Volume::ROOT, access | AccessMask::FILE_READ_ATTRIBUTES))
    }

    fn open_child(
        &self,
        directory: &SimulatedHandle,
        name: &OsStr,
        access: AccessMask,
    ) -> Result<SimulatedHandle, DiskError> {
        let mut world = self.call("opening")?;
        world.counts.opens += 1;
        let waits = access.intersects(AccessMask::FILE_READ_DATA | AccessMask::FILE_WRITE_DATA);
        let access =
            access | AccessMask::FILE_READ_ATTRIBUTES | if waits { AccessMask::SYNCHRONIZE } else { AccessMask::NONE };
        let name = name.to_str().unwrap();
        world.open(world.volume.open_child(&world.user, directory.handle.id, name, access))
    }

    fn open_by_id(&self, _: &SimulatedHandle, file: FileId, access: AccessMask) -> Result<SimulatedHandle, DiskError> {
        let mut world = self.call("opening by id")?;
        world.counts.opens += 1;
        let id = volume::FileId(u64::try_from(file.0).unwrap());
        world.open(world.volume.open_by_id(&world.user, id, access | AccessMask::FILE_READ_ATTRIBUTES))
    }

    fn stat(&self, handle: &SimulatedHandle) -> Result<Stat, DiskError> {
        let world = self.call("asking what it is")?;
        let node = world.volume.node(handle.handle.id).ok_or_else(|| gone("asking what it is"))?;
        Ok(Stat {
            object: ObjectId { volume: SERIAL, file: handle.handle.id.0.into() },
            is_directory: node.is_directory(),
            links: u32::try_from(node.link_count().max(1)).unwrap(),
            reparse: node.reparse().map(|reparse| match reparse {
                Reparse::Junction(_) => ReparseTag::MOUNT_POINT,
                Reparse::Symlink(_) => ReparseTag::SYMLINK,
            }),
        })
    }

    fn parents(&self, handle: &SimulatedHandle) -> Result<Vec<FileId>, DiskError> {
        let world = self.call("asking for names")?;
        let node = world.volume.node(handle.handle.id).ok_or_else(|| gone("asking for names"))?;
        Ok(node.links().iter().map(|(parent, _)| FileId(parent.0.into())).collect())
    }

    fn security(&self, handle: &SimulatedHandle) -> Result<Vec<u8>, DiskError> {
        let mut world = self.call("reading the descriptor")?;
        require(handle, AccessMask::READ_CONTROL, "reading the descriptor")?;
        world.counts.looks += 1;
        let node = world.volume.node(handle.handle.id).ok_or_else(|| gone("reading the descriptor"))?;
        // The SACL takes a privilege.
        Ok(SecurityDescriptor { sacl: AclState::Absent, ..node.descriptor().clone() }.to_bytes().unwrap())
    }

    fn set_dacl(&self, handle: &SimulatedHandle, descriptor: &[u8]) -> Result<(), DiskError> {
        // The engine looks immediately before. Nobody acts in between: that race is one that no program on Windows can win.
        let mut world = self.world();
        world.passes(false).map_err(|status| DiskError { operation: "setting the descriptor", status })?;
        require(handle, AccessMask::WRITE_DAC, "setting the descriptor")?;
        world.counts.sets += 1;
        let id = handle.handle.id;
        let given = SecurityDescriptor::from_bytes(descriptor).unwrap();
        let before = world.volume.node(id).ok_or_else(|| gone("setting the descriptor"))?.descriptor().clone();
        let mut after = before.clone();
        after.dacl = given.dacl;
        after.control.set(Control::DACL_PROTECTED, given.control.contains(Control::DACL_PROTECTED));
        let auto = Control::DACL_AUTO_INHERITED | Control::DACL_AUTO_INHERIT_REQUIRED;
        after.control.set(Control::DACL_AUTO_INHERITED, given.control.contains(auto));
        world.volume.put_descriptor(id, after.clone());
        world.disk_log.push(Undo::Set { id, before: before.into(), after: after.into() });
        Ok(())
    }

    fn list(&self, directory: &SimulatedHandle, restart: bool) -> Result<Vec<Entry>, DiskError> {
        let mut world = self.call("listing")?;
        require(directory, AccessMask::FILE_READ_DATA, "listing")?;
        world.counts.lists += 1;
        let node = world.volume.node(directory.handle.id).ok_or_else(|| gone("listing"))?;
        let mut position = directory.position.lock().unwrap();
        if restart {
            *position = None;
        }
        let folded = |name: &str| name.to_ascii_uppercase();
        let after = position.clone();
        let entries: Vec<Entry> = node
            .children()
            .filter(|(name, _)| after.as_ref().is_none_or(|after| folded(name) > *after))
            .take(BUFFER)
            .map(|(name, id)| Entry {
                name: name.into(),
                file: FileId(id.0.into()),
                is_directory: world.volume.node(id).is_some_and(volume::Node::is_directory),
            })
            .collect();
        if let Some(last) = entries.last() {
            *position = Some(folded(last.name.to_str().unwrap()));
        }
        Ok(entries)
    }

    fn flush(&self, directory: &SimulatedHandle) -> Result<(), DiskError> {
        let mut world = self.call("flushing")?;
        require(directory, AccessMask::FILE_WRITE_DATA, "flushing")?;
        world.counts.flushes += 1;
        world.disk_log.clear();
        if world.weather.is_one_volume {
            world.state_log.clear();
        }
        Ok(())
    }

    fn in_parallel(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let mut order: Vec<usize> = (0..tasks).collect();
        let threads = {
            let mut world = self.world();
            for place in (1..tasks).rev() {
                let other = world.random.below(place + 1);
                order.swap(place, other);
            }
            if world.weather.has_threads { tasks.min(2 + world.random.below(2)) } else { 1 }
        };
        if threads <= 1 {
            order.into_iter().for_each(task);
            return;
        }
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            while let Some(number) = order.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                task(*number);
            }
        };
        self.turns.run((0..threads).map(|_| Box::new(work) as Box<dyn FnOnce() + Send>).collect());
    }
}

impl<'h> Storage for &'h Host {
    type Appender = String;
    type Lock = Lock<'h>;

    fn names(&self) -> Result<Vec<String>, Error> {
        Ok(self.state_call("")?.files.keys().cloned().collect())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state_call(name)?.files.get(name).map(|file| [&*file.durable, &*file.pending].concat()))
    }

    fn tail(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.read(name)?.map(|bytes| bytes[bytes.len().saturating_sub(most)..].to_vec()))
    }

    fn appender(&self, name: &str) -> Result<String, Error> {
        let mut world = self.state_call(name)?;
        if !world.files.contains_key(name) {
            world.files.insert(name.to_owned(), File::default());
            world.state_log.push(Undo::Create { name: name.to_owned() });
        }
        Ok(name.to_owned())
    }

    fn append(&self, file: &mut String, bytes: &[u8]) -> Result<(), Error> {
        match self.state_call(file) {
            Ok(mut world) => {
                world.files.get_mut(&*file).unwrap().pending.extend_from_slice(bytes);
                Ok(())
            }
            Err(error) => {
                // A failure in the middle, as on a full disk.
                let mut world = self.world();
                let written = world.random.below(bytes.len() + 1);
                let happens_now = world.weather.crash_at.is_none_or(|at| world.calls <= at);
                if let Some(file) = world.files.get_mut(&*file).filter(|_| happens_now) {
                    file.pending.extend_from_slice(&bytes[..written]);
                }
                Err(error)
            }
        }
    }

    fn flush(&self, file: &mut String) -> Result<(), Error> {
        let mut world = self.state_call(file)?;
        let flushed = world.files.get_mut(&*file).unwrap();
        flushed.durable.append(&mut flushed.pending);
        world.state_log.clear();
        if world.weather.is_one_volume {
            world.disk_log.clear();
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut world = self.state_call(to)?;
        let file = world.files.remove(from).unwrap();
        let replaced = world.files.insert(to.to_owned(), file);
        world.state_log.push(Undo::Rename { from: from.to_owned(), to: to.to_owned(), replaced });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let mut world = self.state_call(name)?;
        if let Some(file) = world.files.remove(name) {
            world.state_log.push(Undo::Remove { name: name.to_owned(), file });
        }
        Ok(())
    }

    fn try_lock(&self) -> Result<Option<Lock<'h>>, Error> {
        let mut world = self.state_call("lock")?;
        if world.lock.is_some() {
            return Ok(None);
        }
        world.locks += 1;
        world.lock = Some(world.locks);
        Ok(Some(Lock { host: self, number: world.locks }))
    }

    fn pause(&self, _: Duration) {
        self.turns.take();
    }
}

/// The ids of everything in the tree below a directory, it included; links are not followed.
pub(super) fn tree_of(volume: &Volume, root: volume::FileId) -> BTreeSet<volume::FileId> {
    let mut found = BTreeSet::new();
    let mut pending = vec![root];
    while let Some(id) = pending.pop() {
        if let Some(node) = volume.node(id)
            && found.insert(id)
            && node.reparse().is_none()
        {
            pending.extend(node.children().map(|(_, child)| child));
        }
    }
    found
}

/// Those of [`tree_of`] that have no name elsewhere: what may be granted.
pub(super) fn only_in(volume: &Volume, root: volume::FileId) -> BTreeSet<volume::FileId> {
    let tree = tree_of(volume, root);
    let has_no_other_name = |id: &volume::FileId| {
        let links = volume.node(*id).map(volume::Node::links).unwrap_or_default();
        *id == root || links.iter().all(|(parent, _)| tree.contains(parent))
    };
    tree.iter().copied().filter(has_no_other_name).collect()
}
