//! Creating, reading, writing, deleting, renaming, linking.

use std::collections::btree_map::Entry as Slot;

use super::lookup::{LastLink, Located};
use super::name::{Folded, short_name};
use super::{Entry, FileId, Kind, Node, Reparse, Volume, directory, file};
use crate::inherit::{ChildKind, new_object};
use crate::{AccessMask, Error, ObjectType, Privilege, SecurityDescriptor, Token};

impl Volume {
    /// Creates an empty file: needs FILE_ADD_FILE on the directory.
    ///
    /// # Errors
    /// The name is taken or bad, the directory does not exist or does not allow it.
    pub fn create_file(
        &mut self,
        token: &Token,
        path: &str,
        creator: Option<&SecurityDescriptor>,
    ) -> Result<FileId, Error> {
        self.create(token, path, file(), creator, None)
    }

    /// Creates an empty directory: needs FILE_ADD_SUBDIRECTORY on the directory above.
    ///
    /// # Errors
    /// As [`Volume::create_file`].
    pub fn create_directory(
        &mut self,
        token: &Token,
        path: &str,
        creator: Option<&SecurityDescriptor>,
    ) -> Result<FileId, Error> {
        self.create(token, path, directory(), creator, None)
    }

    /// Creates a junction: a new directory that leads to the absolute path `target` of this volume. Needs no privilege.
    ///
    /// # Errors
    /// As [`Volume::create_file`].
    pub fn create_junction(&mut self, token: &Token, path: &str, target: &str) -> Result<FileId, Error> {
        self.create(token, path, directory(), None, Some(Reparse::Junction(target.to_owned())))
    }

    /// Creates a symbolic link: needs SeCreateSymbolicLinkPrivilege besides the right to create. (Developer Mode waives the
    /// privilege on real systems; give the token the privilege to model that.)
    ///
    /// # Errors
    /// As [`Volume::create_file`], and without the privilege.
    pub fn create_symlink(
        &mut self,
        token: &Token,
        path: &str,
        target: &str,
        kind: ChildKind,
    ) -> Result<FileId, Error> {
        if !token.has_privilege(Privilege::CreateSymbolicLink) {
            return Err(Error::Unsupported {
                operation: "creating a symbolic link",
                path: path.to_owned(),
                reason: "SeCreateSymbolicLinkPrivilege is not held",
            });
        }
        let made = if kind == ChildKind::Container { directory() } else { file() };
        self.create(token, path, made, None, Some(Reparse::Symlink(target.to_owned())))
    }

    /// Reads a stream: needs FILE_READ_DATA on the file.
    ///
    /// # Errors
    /// No such file or stream; not allowed; a directory.
    pub fn read(&self, token: &Token, path: &str) -> Result<&[u8], Error> {
        let located = self.locate(Some(token), path, LastLink::Follow)?;
        let (id, node) = self.existing(located.id, path)?;
        self.require(token, id, Some(located.parent), AccessMask::FILE_READ_DATA, "reading", path)?;
        node.stream(&located.stream).ok_or_else(|| super::lookup::not_found(path))
    }

    /// Replaces a stream of an existing file, which makes a named one that is not there yet: needs FILE_WRITE_DATA on the
    /// file.
    ///
    /// # Errors
    /// No such file; not allowed; a directory.
    pub fn write(&mut self, token: &Token, path: &str, data: &[u8]) -> Result<(), Error> {
        let located = self.locate(Some(token), path, LastLink::Follow)?;
        let (id, _) = self.existing(located.id, path)?;
        self.require(token, id, Some(located.parent), AccessMask::FILE_WRITE_DATA, "writing", path)?;
        match self.nodes.get_mut(&id).map(|node| &mut node.kind) {
            Some(Kind::File { streams }) => {
                streams.insert(Folded::new(&located.stream), data.to_vec());
                Ok(())
            }
            _ => Err(unsupported("writing", path, "it is a directory")),
        }
    }

    /// Deletes a name: needs DELETE on the object, or FILE_DELETE_CHILD on its directory. A file is gone with its last name; a
    /// link is deleted itself.
    ///
    /// # Errors
    /// No such file; not allowed; a directory that is not empty; the root.
    pub fn delete(&mut self, token: &Token, path: &str) -> Result<(), Error> {
        let located = self.locate(Some(token), path, LastLink::Stay)?;
        let (id, node) = self.existing(located.id, path)?;
        if located.name.is_empty() {
            return Err(unsupported("deleting", path, "the path does not end in a name"));
        }
        self.require(token, id, Some(located.parent), AccessMask::DELETE, "deleting", path)?;
        if node.children().next().is_some() {
            return Err(unsupported("deleting", path, "the directory is not empty"));
        }
        self.unlink(located.parent, &located.name);
        Ok(())
    }

    /// Renames or moves: needs DELETE on the object (or FILE_DELETE_CHILD on its directory) and FILE_ADD_FILE or
    /// FILE_ADD_SUBDIRECTORY on the target's directory; to replace a file there, DELETE on that one too. The descriptor
    /// moves along unchanged: nothing is inherited from the new directory.
    ///
    /// # Errors
    /// No such file; not allowed; the target exists; a directory into itself.
    pub fn rename(&mut self, token: &Token, from: &str, to: &str, replace: bool) -> Result<(), Error> {
        let source = self.locate(Some(token), from, LastLink::Stay)?;
        let (id, node) = self.existing(source.id, from)?;
        if source.name.is_empty() {
            return Err(unsupported("renaming", from, "the path does not end in a name"));
        }
        self.require(token, id, Some(source.parent), AccessMask::DELETE, "renaming", from)?;
        let is_directory = node.is_directory();
        let target = self.locate(Some(token), to, LastLink::Stay)?;
        super::name::check(&target.name)?;
        self.require(token, target.parent, None, add_right(is_directory), "renaming into", to)?;
        if is_directory && self.is_within(target.parent, id) {
            return Err(unsupported("renaming", from, "the target lies within it"));
        }
        if let Some(existing) = target.id.filter(|existing| *existing != id) {
            let (_, existing_node) = self.existing(Some(existing), to)?;
            if !replace {
                return Err(Error::AlreadyExists { path: to.to_owned() });
            }
            if existing_node.is_directory() {
                return Err(unsupported("replacing", to, "it is a directory"));
            }
            self.require(token, existing, Some(target.parent), AccessMask::DELETE, "replacing", to)?;
            self.unlink(target.parent, &target.name);
        }
        // The node must outlive the moment in which it has no name.
        let node = self.nodes.get(&id).cloned();
        self.unlink(source.parent, &source.name);
        if let Some(node) = node {
            self.nodes.entry(id).or_insert_with(|| Node { links: Vec::new(), ..node });
        }
        self.enter(target.parent, &target.name, id);
        Ok(())
    }

    /// Gives a file another name: needs FILE_WRITE_ATTRIBUTES on the file
    /// (<https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-createhardlinkw>) and FILE_ADD_FILE on the new
    /// name's directory. The descriptor stays that of the file.
    ///
    /// # Errors
    /// No such file; not allowed; a directory; the new name is taken.
    pub fn link(&mut self, token: &Token, existing: &str, new: &str) -> Result<(), Error> {
        let source = self.locate(Some(token), existing, LastLink::Stay)?;
        let (id, node) = self.existing(source.id, existing)?;
        if node.is_directory() {
            return Err(unsupported("linking", existing, "it is a directory"));
        }
        self.require(token, id, Some(source.parent), AccessMask::FILE_WRITE_ATTRIBUTES, "linking", existing)?;
        let target = self.locate(Some(token), new, LastLink::Stay)?;
        if target.id.is_some() {
            return Err(Error::AlreadyExists { path: new.to_owned() });
        }
        self.require(token, target.parent, None, add_right(false), "linking into", new)?;
        self.enter(target.parent, &target.name, id);
        Ok(())
    }

    fn create(
        &mut self,
        token: &Token,
        path: &str,
        kind: Kind,
        creator: Option<&SecurityDescriptor>,
        reparse: Option<Reparse>,
    ) -> Result<FileId, Error> {
        let Located { parent, name, id, stream } = self.locate(Some(token), path, LastLink::Stay)?;
        if id.is_some() {
            return Err(Error::AlreadyExists { path: path.to_owned() });
        }
        if !stream.is_empty() {
            return Err(unsupported("creating", path, "a stream is made by writing to an existing file"));
        }
        let is_directory = matches!(kind, Kind::Directory { .. });
        self.require(token, parent, None, add_right(is_directory), "creating in", path)?;
        let descriptor = if self.options.persistent_acls {
            let child_kind = if is_directory { ChildKind::Container } else { ChildKind::Leaf };
            let parent = self.nodes.get(&parent).map(Node::descriptor);
            new_object(parent, creator, token, child_kind, &ObjectType::File.mapping())
        } else {
            SecurityDescriptor::default()
        };
        let id = self.fresh_id();
        self.nodes.insert(id, Node { kind, descriptor, reparse, links: Vec::new() });
        self.enter(parent, &name, id);
        Ok(id)
    }

    /// Gives `id` a name.
    fn enter(&mut self, parent: FileId, name: &str, id: FileId) {
        let makes_short = self.options.short_names;
        if let Some(Kind::Directory { entries, short_names }) = self.nodes.get_mut(&parent).map(|node| &mut node.kind) {
            let short = if makes_short { short_name(name, short_names, entries) } else { None };
            if let Some(short) = &short {
                short_names.insert(Folded::new(short), Folded::new(name));
            }
            entries.insert(Folded::new(name), Entry { name: name.to_owned(), short_name: short, id });
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.links.push((parent, name.to_owned()));
        }
    }

    /// Takes a name away; the node goes with its last one.
    fn unlink(&mut self, parent: FileId, name: &str) {
        let Some(long_name) = self.entry(parent, name).map(|entry| entry.name.clone()) else {
            return;
        };
        let Some(Kind::Directory { entries, short_names }) = self.nodes.get_mut(&parent).map(|node| &mut node.kind)
        else {
            return;
        };
        let Some(entry) = entries.remove(&Folded::new(&long_name)) else {
            return;
        };
        if let Some(short) = &entry.short_name {
            short_names.remove(&Folded::new(short));
        }
        if let Slot::Occupied(mut slot) = self.nodes.entry(entry.id) {
            slot.get_mut().links.retain(|link| *link != (parent, long_name.clone()));
            if slot.get().links.is_empty() {
                slot.remove();
            }
        }
    }

    /// Whether `directory` is `ancestor` or lies below it.
    fn is_within(&self, directory: FileId, ancestor: FileId) -> bool {
        let mut current = Some(directory);
        while let Some(id) = current {
            if id == ancestor {
                return true;
            }
            current = self.nodes.get(&id).and_then(|node| node.links.first()).map(|(parent, _)| *parent);
        }
        false
    }
}

fn add_right(is_directory: bool) -> AccessMask {
    // On a directory these bits are FILE_ADD_SUBDIRECTORY and FILE_ADD_FILE.
    if is_directory { AccessMask::FILE_APPEND_DATA } else { AccessMask::FILE_WRITE_DATA }
}

fn unsupported(operation: &'static str, path: &str, reason: &'static str) -> Error {
    Error::Unsupported { operation, path: path.to_owned(), reason }
}
