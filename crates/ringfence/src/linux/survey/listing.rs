//! Tells which of many names below a directory may exist.
//!
//! Most of the places where secrets could be do not exist. One listing of a directory answers for all names in it, where
//! a lookup of each would cost more than the rest of a start.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;

/// The paths among `names` below a directory that may exist; what is left out certainly does not. A name may have several
/// components.
pub(super) fn may_exist<'a>(directory: &Path, names: impl Iterator<Item = &'a str>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(directory, names, &mut found);
    found
}

/// So many names in a directory are worth a listing of it.
const WORTH_LISTING: usize = 8;

fn search<'a>(directory: &Path, names: impl Iterator<Item = &'a str>, found: &mut Vec<PathBuf>) {
    let listing = Listing::of(directory);
    let mut deeper: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        if !listing.may_have(first.as_ref()) {
            continue;
        }
        if rest.is_empty() {
            found.push(directory.join(first));
            continue;
        }
        match deeper.iter_mut().find(|(above, _)| *above == first) {
            Some((_, below)) => below.push(rest),
            None => deeper.push((first, vec![rest])),
        }
    }
    for (above, below) in deeper {
        let above = directory.join(above);
        if below.len() >= WORTH_LISTING {
            search(&above, below.into_iter(), found);
        } else {
            found.extend(below.into_iter().map(|name| above.join(name)));
        }
    }
}

/// What is in a directory.
enum Listing {
    /// The hashes of its names. Two names with the same hash only cost a lookup more.
    Names(Vec<u64>),
    /// It cannot be listed, or has more names than are worth listing: every name must be looked up by itself.
    Unknown,
}

/// More names than this are not listed.
const LIMIT: usize = 2000;

impl Listing {
    fn of(directory: &Path) -> Self {
        match Self::read(directory) {
            Ok(names) => names.map_or(Self::Unknown, Self::Names),
            Err(Errno::NOENT | Errno::NOTDIR) => Self::Names(Vec::new()),
            Err(_) => Self::Unknown,
        }
    }

    fn read(directory: &Path) -> Result<Option<Vec<u64>>, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, directory, flags, Mode::empty())?;
        let mut buffer = [const { MaybeUninit::uninit() }; 8192];
        let mut entries = RawDir::new(directory, &mut buffer);
        let mut names = Vec::with_capacity(64);
        while let Some(entry) = entries.next() {
            if names.len() == LIMIT {
                return Ok(None);
            }
            names.push(hash(entry?.file_name().to_bytes()));
        }
        Ok(Some(names))
    }

    fn may_have(&self, name: &OsStr) -> bool {
        match self {
            Self::Names(names) => names.contains(&hash(name.as_bytes())),
            Self::Unknown => true,
        }
    }
}

/// FNV-1a.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_exists_is_never_taken_for_missing() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path();
        std::fs::create_dir(root.join("there")).unwrap();
        let keys: Vec<String> = (0..WORTH_LISTING).map(|number| format!("key{number}")).collect();
        for key in &keys {
            std::fs::write(root.join("there").join(key), "").unwrap();
        }
        std::os::unix::fs::symlink("there", root.join("link")).unwrap();
        let below = |directory: &str, name: &str| format!("{directory}/{name}");
        let mut names: Vec<String> = ["there", "link", "link/key0"].map(str::to_owned).into();
        names.extend(keys.iter().map(|key| below("there", key)));
        let present: Vec<_> = names.iter().map(|name| root.join(name)).collect();
        names.extend(["gone", "gone/key0", "there/gone", "there/key0x"].map(str::to_owned));
        let mut found = may_exist(root, names.iter().map(String::as_str));
        found.sort();
        let mut expected = present;
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(may_exist(&root.join("gone"), ["a", "b/c"].into_iter()), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_directory_that_is_too_large_to_list_rules_nothing_out() {
        let base = tempfile::tempdir().unwrap();
        for number in 0..=LIMIT {
            std::fs::write(base.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(may_exist(base.path(), ["anything"].into_iter()), [base.path().join("anything")]);
    }
}
