//! A tree of any size that exists only where somebody looks: names and ids are arithmetic, and only descriptors that were
//! set are kept.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ringfence_ntsec::inherit::{ChildKind, new_object};
use ringfence_ntsec::{AccessMask, Ace, AceFlags, ObjectType, SecurityDescriptor};

use super::host::{Counts, SERIAL};
use super::scene::{user, workspace_sid};
use crate::facts::windows::ObjectId;
use crate::plan::windows::{AceEdit, GrantPlan, GrantTarget};
use crate::windows::disk::{Disk, DiskError, Entry, FileId, NtStatus, Stat};
use crate::windows::path::WindowsPath;

/// The volume's root, the granted root `C:\tree`, and the first id of what is made after the grant.
const VOLUME: u64 = 5;
const ROOT: u64 = 100;
const LATER: u64 = 1 << 40;

/// Entries of a directory.
const WIDTH: u64 = 50;

/// Entries in one answer to a listing.
const BUFFER: usize = 20;

pub(super) struct Endless {
    /// Objects that are there from the start, the root among them; entry 0 of the root is the protected `.git`.
    pub(super) nodes: u64,
    /// Objects in a tree `later` that was made in the root after it was granted.
    pub(super) later: AtomicU64,
    set: Mutex<HashMap<u64, Arc<[u8]>>>,
    plain: [Arc<[u8]>; 2],
    counts: [AtomicU64; 5],
}

pub(super) struct EndlessHandle {
    id: u64,
    position: AtomicUsize,
}

impl Endless {
    pub(super) fn new(nodes: u64) -> Self {
        let parent: SecurityDescriptor = "O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BU)".parse().unwrap();
        let plain = [ChildKind::Leaf, ChildKind::Container].map(|kind| made_in(&parent, kind));
        Self { nodes, later: AtomicU64::new(0), set: Mutex::default(), plain, counts: Default::default() }
    }

    /// The plan that grants the root and protects one directory of it.
    pub(super) fn plan(&self) -> GrantPlan {
        let target = |path: &str, id: u64| GrantTarget {
            path: WindowsPath::parse(path).unwrap(),
            object: ObjectId { volume: SERIAL, file: id.into() },
            directory: true,
        };
        let deny = Ace::deny(workspace_sid(), super::scene::PROTECT, AceFlags::INHERIT_ALL);
        GrantPlan {
            root: target(r"C:\tree", ROOT),
            allow: Ace::allow(workspace_sid(), AccessMask::FILE_MODIFY, AceFlags::INHERIT_ALL),
            protect: vec![AceEdit { target: target(r"C:\tree\0", ROOT + 1), ace: deny }],
            hold: Vec::new(),
        }
    }

    /// The calls since the last time.
    pub(super) fn counts(&self) -> Counts {
        let [opens, looks, sets, lists, flushes] =
            [0, 1, 2, 3, 4].map(|kind| self.counts[kind].swap(0, Ordering::Relaxed));
        Counts { opens, looks, sets, lists, flushes }
    }

    fn count(&self, kind: usize) {
        self.counts[kind].fetch_add(1, Ordering::Relaxed);
    }

    /// The first id of its tree, its number in it and the size of the tree.
    fn place(&self, id: u64) -> (u64, u64, u64) {
        if id >= LATER {
            (LATER, id - LATER, self.later.load(Ordering::Relaxed))
        } else {
            (ROOT, id - ROOT, self.nodes)
        }
    }

    fn is_directory(&self, id: u64) -> bool {
        if id == VOLUME || id == ROOT + 1 {
            return true;
        }
        let (_, number, size) = self.place(id);
        number * WIDTH + 1 < size
    }

    fn children(&self, id: u64) -> Vec<(String, u64)> {
        if id == VOLUME {
            return vec![("tree".into(), ROOT)];
        }
        let (first, number, size) = self.place(id);
        let start = number * WIDTH + 1;
        let mut children: Vec<(String, u64)> =
            (start..size.min(start + WIDTH)).map(|number| ((number - start).to_string(), first + number)).collect();
        if id == ROOT && self.later.load(Ordering::Relaxed) > 0 {
            children.push(("later".into(), LATER));
        }
        children
    }

    fn descriptor(&self, id: u64) -> Arc<[u8]> {
        if let Some(set) = self.set.lock().unwrap().get(&id) {
            return Arc::clone(set);
        }
        if id >= LATER {
            // Made after the grant: it has what its directory hands down.
            let root = SecurityDescriptor::from_bytes(&self.descriptor(ROOT)).unwrap();
            let kind = if self.is_directory(id) { ChildKind::Container } else { ChildKind::Leaf };
            return made_in(&root, kind);
        }
        Arc::clone(&self.plain[usize::from(self.is_directory(id))])
    }

    fn open(&self, id: u64) -> EndlessHandle {
        self.count(0);
        EndlessHandle { id, position: AtomicUsize::new(0) }
    }
}

fn made_in(parent: &SecurityDescriptor, kind: ChildKind) -> Arc<[u8]> {
    new_object(Some(parent), None, &user(), kind, &ObjectType::File.mapping()).to_bytes().unwrap().into()
}

impl Disk for Endless {
    type Handle = EndlessHandle;

    fn open_volume(&self, _: &OsStr, _: AccessMask) -> Result<EndlessHandle, DiskError> {
        Ok(self.open(VOLUME))
    }

    fn open_child(&self, directory: &EndlessHandle, name: &OsStr, _: AccessMask) -> Result<EndlessHandle, DiskError> {
        let found = self.children(directory.id).into_iter().find(|(child, _)| name == child.as_str());
        let (_, id) = found.ok_or(DiskError { operation: "opening", status: NtStatus::OBJECT_NAME_NOT_FOUND })?;
        Ok(self.open(id))
    }

    fn open_by_id(&self, _: &EndlessHandle, file: FileId, _: AccessMask) -> Result<EndlessHandle, DiskError> {
        Ok(self.open(u64::try_from(file.0).unwrap()))
    }

    fn stat(&self, handle: &EndlessHandle) -> Result<Stat, DiskError> {
        let object = ObjectId { volume: SERIAL, file: handle.id.into() };
        Ok(Stat { object, is_directory: self.is_directory(handle.id), links: 1, reparse: None })
    }

    fn parents(&self, _: &EndlessHandle) -> Result<Vec<FileId>, DiskError> {
        Ok(Vec::new())
    }

    fn security(&self, handle: &EndlessHandle) -> Result<Vec<u8>, DiskError> {
        self.count(1);
        Ok(self.descriptor(handle.id).to_vec())
    }

    fn set_dacl(&self, handle: &EndlessHandle, descriptor: &[u8]) -> Result<(), DiskError> {
        self.count(2);
        let given = SecurityDescriptor::from_bytes(descriptor).unwrap();
        let mut after = SecurityDescriptor::from_bytes(&self.descriptor(handle.id)).unwrap();
        after.dacl = given.dacl;
        self.set.lock().unwrap().insert(handle.id, after.to_bytes().unwrap().into());
        Ok(())
    }

    fn list(&self, directory: &EndlessHandle, restart: bool) -> Result<Vec<Entry>, DiskError> {
        self.count(3);
        if restart {
            directory.position.store(0, Ordering::Relaxed);
        }
        let position = directory.position.fetch_add(BUFFER, Ordering::Relaxed);
        let entries = self.children(directory.id).into_iter().skip(position).take(BUFFER);
        Ok(entries
            .map(|(name, id)| Entry { name: name.into(), file: FileId(id.into()), is_directory: self.is_directory(id) })
            .collect())
    }

    fn flush(&self, _: &EndlessHandle) -> Result<(), DiskError> {
        self.count(4);
        Ok(())
    }
}
