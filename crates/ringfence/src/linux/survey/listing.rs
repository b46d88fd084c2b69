//! Answers whether names exist from directory listings.
//!
//! Most of the places where secrets could be do not exist. One listing of a directory answers for all names in it, where
//! a lookup of each would cost more than the rest of a start.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Listings that were made so far.
#[derive(Default)]
pub(super) struct Listings {
    directories: HashMap<PathBuf, Listing>,
}

enum Listing {
    /// It does not exist.
    Missing,
    /// Its names.
    Names(HashSet<OsString>),
    /// It cannot be listed, or has more names than are worth listing: every name must be looked up by itself.
    Unknown,
}

/// More names than this are not listed.
const LIMIT: usize = 2000;

impl Listings {
    /// Whether a path may exist; a `false` is certain.
    pub(super) fn may_exist(&mut self, path: &Path) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return true;
        };
        if !self.directories.contains_key(parent) {
            let listing = if self.may_exist(parent) { list(parent) } else { Listing::Missing };
            self.directories.insert(parent.to_owned(), listing);
        }
        match self.directories.get(parent) {
            Some(Listing::Missing) => false,
            Some(Listing::Names(names)) => names.contains(name),
            Some(Listing::Unknown) | None => true,
        }
    }
}

fn list(directory: &Path) -> Listing {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if super::is_missing(&error) => return Listing::Missing,
        Err(_) => return Listing::Unknown,
    };
    let mut names = HashSet::new();
    for entry in entries {
        match entry {
            Ok(entry) if names.len() < LIMIT => {
                names.insert(entry.file_name());
            }
            _ => return Listing::Unknown,
        }
    }
    Listing::Names(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_exists_is_never_taken_for_missing() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path();
        std::fs::create_dir(root.join("there")).unwrap();
        std::fs::write(root.join("there/key"), "").unwrap();
        std::os::unix::fs::symlink("there", root.join("link")).unwrap();
        let mut listings = Listings::default();
        for present in ["there", "there/key", "link", "link/key"] {
            assert!(listings.may_exist(&root.join(present)), "{present}");
        }
        for missing in ["gone", "gone/key", "there/gone", "link/gone", "there/key/below"] {
            assert!(!listings.may_exist(&root.join(missing)), "{missing}");
        }
    }

    #[test]
    fn a_directory_that_is_too_large_to_list_rules_nothing_out() {
        let base = tempfile::tempdir().unwrap();
        for number in 0..=LIMIT {
            std::fs::write(base.path().join(number.to_string()), "").unwrap();
        }
        assert!(Listings::default().may_exist(&base.path().join("anything")));
    }
}
