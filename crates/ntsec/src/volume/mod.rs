//! An NTFS volume in memory: names, links and descriptors, with every operation checked as NTFS checks it.
//!
//! It is where code that edits descriptors proves itself: the tree can be looked at from outside (no checks) and worked on by
//! a [`Token`](crate::Token) (all checks).
//!
//! Sources: MS-FSA §2.1.5.1 (open and create), §2.1.5.15 (rename, link, disposition, security);
//! <https://learn.microsoft.com/windows/win32/fileio/file-security-and-access-rights>. Left out, as nothing here depends on
//! them: share modes, attributes such as read-only, quotas, transactions, oplocks.

mod access;
mod lookup;
mod name;
mod operations;
mod security;

use std::collections::BTreeMap;

pub use access::{Handle, OpenOptions};
pub use security::Propagation;

use crate::inherit::ChildKind;
use crate::{SecurityDescriptor, WriteReading};
use name::Folded;

/// A file's identity on its volume: the same through every name it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// What kind of volume it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeOptions {
    /// Whether descriptors are kept (`FILE_PERSISTENT_ACLS`). Without them, as on FAT, everybody may do everything.
    pub persistent_acls: bool,
    /// Whether long names get an 8.3 name as well.
    pub short_names: bool,
    /// The reading under which write-restricted tokens are checked.
    pub write_reading: WriteReading,
}

impl Default for VolumeOptions {
    fn default() -> Self {
        VolumeOptions { persistent_acls: true, short_names: true, write_reading: WriteReading::default() }
    }
}

/// Where a reparse point leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reparse {
    /// A directory junction to an absolute path of this volume.
    Junction(String),
    /// A symbolic link: absolute, or relative to the directory that holds it.
    Symlink(String),
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    kind: Kind,
    descriptor: SecurityDescriptor,
    reparse: Option<Reparse>,
    /// Every directory that has a name for it, with that name. The root has none.
    links: Vec<(FileId, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory {
        entries: BTreeMap<Folded, Entry>,
        /// 8.3 name to long name.
        short_names: BTreeMap<Folded, Folded>,
    },
    File {
        /// The unnamed stream has the empty name.
        streams: BTreeMap<Folded, Vec<u8>>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    short_name: Option<String>,
    id: FileId,
}

impl Node {
    /// Whether it can have children.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory { .. })
    }

    /// What inheritance calls it.
    pub fn child_kind(&self) -> ChildKind {
        if self.is_directory() { ChildKind::Container } else { ChildKind::Leaf }
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> &SecurityDescriptor {
        &self.descriptor
    }

    /// Where it leads, if it is a link.
    pub fn reparse(&self) -> Option<&Reparse> {
        self.reparse.as_ref()
    }

    /// How many names it has.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The directories that hold it and its names there.
    pub fn links(&self) -> &[(FileId, String)] {
        &self.links
    }

    /// The contents of a stream of a file; the unnamed one is `""`.
    pub fn stream(&self, name: &str) -> Option<&[u8]> {
        match &self.kind {
            Kind::File { streams } => streams.get(&Folded::new(name)).map(Vec::as_slice),
            Kind::Directory { .. } => None,
        }
    }

    /// The names in a directory, sorted, with what they stand for.
    pub fn children(&self) -> impl Iterator<Item = (&str, FileId)> {
        let entries = match &self.kind {
            Kind::Directory { entries, .. } => Some(entries),
            Kind::File { .. } => None,
        };
        entries.into_iter().flatten().map(|(_, entry)| (entry.name.as_str(), entry.id))
    }

    /// The 8.3 name that a directory has for an entry.
    pub fn short_name_of(&self, name: &str) -> Option<&str> {
        match &self.kind {
            Kind::Directory { entries, .. } => entries.get(&Folded::new(name))?.short_name.as_deref(),
            Kind::File { .. } => None,
        }
    }
}

/// A tree of files and directories with their descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    options: VolumeOptions,
    nodes: BTreeMap<FileId, Node>,
    next_id: u64,
}

impl Volume {
    /// The root directory's id, as on NTFS.
    pub const ROOT: FileId = FileId(5);

    /// An empty volume.
    pub fn new(root: SecurityDescriptor, options: VolumeOptions) -> Self {
        let node = Node { kind: directory(), descriptor: root, reparse: None, links: Vec::new() };
        Volume { options, nodes: BTreeMap::from([(Self::ROOT, node)]), next_id: 64 }
    }

    /// What kind of volume it is.
    pub fn options(&self) -> &VolumeOptions {
        &self.options
    }

    /// A file or directory, seen from outside: no access is checked.
    pub fn node(&self, id: FileId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// Every file and directory, seen from outside.
    pub fn nodes(&self) -> impl Iterator<Item = (FileId, &Node)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// Puts a descriptor in place from outside: no access is checked, nothing is inherited. Whether there was such a file.
    pub fn put_descriptor(&mut self, id: FileId, descriptor: SecurityDescriptor) -> bool {
        let node = self.nodes.get_mut(&id);
        let found = node.is_some();
        if let Some(node) = node {
            node.descriptor = descriptor;
        }
        found
    }

    /// Every file whose descriptor names a SID of ringfence's own.
    pub fn ringfence_residue(&self) -> impl Iterator<Item = FileId> {
        self.nodes().filter(|(_, node)| node.descriptor.has_ringfence_residue()).map(|(id, _)| id)
    }

    fn fresh_id(&mut self) -> FileId {
        self.next_id += 1;
        FileId(self.next_id)
    }
}

fn directory() -> Kind {
    Kind::Directory { entries: BTreeMap::new(), short_names: BTreeMap::new() }
}

fn file() -> Kind {
    Kind::File { streams: BTreeMap::from([(Folded::new(""), Vec::new())]) }
}

#[cfg(test)]
mod tests;
