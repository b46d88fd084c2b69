//! From a path to a file.

use std::collections::VecDeque;

use super::name::{self, Folded};
use super::{Entry, FileId, Kind, Node, Reparse, Volume};
use crate::{AccessMask, Error, Privilege, Token};

/// Reparse points that the object manager follows in one path
/// (`IO_MAXIMUM_REPARSE…`: <https://learn.microsoft.com/windows/win32/fileio/symbolic-link-programming-consideration>).
const MAX_LINKS: usize = 63;

/// Where a path leads.
pub(super) struct Located {
    /// The directory that holds the name; the root holds itself.
    pub(super) parent: FileId,
    /// The last component as it was written; empty for the root.
    pub(super) name: String,
    /// The file, if it exists.
    pub(super) id: Option<FileId>,
    /// The named stream, empty for the file itself.
    pub(super) stream: String,
}

/// Whether a link at the end of the path is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LastLink {
    Follow,
    Stay,
}

impl Volume {
    /// The file at `path`, seen from outside: no access is checked, a link at the end is followed.
    ///
    /// # Errors
    /// No such file; a bad name; a loop of links.
    pub fn find(&self, path: &str) -> Result<FileId, Error> {
        self.locate(None, path, LastLink::Follow)?.id.ok_or_else(|| not_found(path))
    }

    /// As [`Volume::find`], but a link at the end is not followed.
    ///
    /// # Errors
    /// As [`Volume::find`].
    pub fn find_link(&self, path: &str) -> Result<FileId, Error> {
        self.locate(None, path, LastLink::Stay)?.id.ok_or_else(|| not_found(path))
    }

    /// Walks `path` as `token`, which needs SeChangeNotifyPrivilege or FILE_TRAVERSE on every directory it passes. Everything
    /// but the last component must exist.
    pub(super) fn locate(&self, token: Option<&Token>, path: &str, last_link: LastLink) -> Result<Located, Error> {
        let (path_of_file, stream) = split_stream(path);
        let mut pending = components(path_of_file);
        let mut trail = vec![Self::ROOT];
        let mut links = 0;
        let mut located = Located { parent: Self::ROOT, name: String::new(), id: Some(Self::ROOT), stream };
        while let Some(component) = pending.pop_front() {
            if component == ".." {
                if trail.len() > 1 {
                    trail.pop();
                }
                located = Located { id: trail.last().copied(), name: String::new(), parent: Self::ROOT, ..located };
                continue;
            }
            name::check(&component)?;
            let directory = trail.last().copied().unwrap_or(Self::ROOT);
            self.may_traverse(token, directory, path)?;
            let found = self.entry(directory, &component);
            let is_last = pending.is_empty();
            let Some(entry) = found else {
                if !is_last {
                    return Err(not_found(path));
                }
                return Ok(Located { parent: directory, name: component, id: None, ..located });
            };
            let node = self.nodes.get(&entry.id).ok_or_else(|| not_found(path))?;
            if let Some(reparse) = node.reparse()
                && (!is_last || last_link == LastLink::Follow)
            {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::TooManyLinks { path: path.to_owned(), limit: MAX_LINKS });
                }
                let (Reparse::Junction(target) | Reparse::Symlink(target)) = reparse;
                let is_relative = matches!(reparse, Reparse::Symlink(_)) && !target.starts_with(['\\', '/']);
                if !is_relative {
                    trail.truncate(1);
                }
                let mut replaced = components(target);
                replaced.append(&mut pending);
                pending = replaced;
                located = Located { id: trail.last().copied(), name: String::new(), ..located };
                continue;
            }
            if !is_last && !node.is_directory() {
                return Err(not_found(path));
            }
            located = Located { parent: directory, name: component, id: Some(entry.id), ..located };
            trail.push(entry.id);
        }
        Ok(located)
    }

    /// The entry for a long or an 8.3 name, in any case.
    pub(super) fn entry(&self, directory: FileId, name: &str) -> Option<&Entry> {
        let Kind::Directory { entries, short_names } = &self.nodes.get(&directory)?.kind else {
            return None;
        };
        let folded = Folded::new(name);
        entries.get(&folded).or_else(|| entries.get(short_names.get(&folded)?))
    }

    pub(super) fn existing(&self, id: Option<FileId>, path: &str) -> Result<(FileId, &Node), Error> {
        id.and_then(|id| Some((id, self.nodes.get(&id)?))).ok_or_else(|| not_found(path))
    }

    fn may_traverse(&self, token: Option<&Token>, directory: FileId, path: &str) -> Result<(), Error> {
        match token {
            Some(token) if !token.has_privilege(Privilege::ChangeNotify) => {
                self.require(token, directory, None, AccessMask::FILE_EXECUTE, "traversing", path)
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn not_found(path: &str) -> Error {
    Error::NotFound { path: path.to_owned() }
}

fn components(path: &str) -> VecDeque<String> {
    path.split(['\\', '/']).filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

/// `file:stream` and `file:stream:$DATA`.
fn split_stream(path: &str) -> (&str, String) {
    let name_start = path.rfind(['\\', '/']).map_or(0, |place| place + 1);
    match path[name_start..].split_once(':') {
        None => (path, String::new()),
        Some((name, stream)) => {
            let stream = stream.strip_suffix(":$DATA").unwrap_or(stream);
            (&path[..name_start + name.len()], stream.to_owned())
        }
    }
}
