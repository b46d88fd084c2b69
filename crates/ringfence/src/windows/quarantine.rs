//! Moves away what appeared under protected names during a run, once its processes are gone.

use std::fs::Metadata;
use std::io;
use std::os::windows::fs::MetadataExt;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_REPARSE_POINT;

use crate::receipt::Quarantined;
use crate::survey::{Before, Watch};
use crate::{Error, State};

/// Compares every watched name with what was there before, and moves away what is new.
pub(super) fn sweep(watches: &[Watch], id: &str, state: &State) -> Result<Vec<Quarantined>, Error> {
    let mut moved = Vec::new();
    for watch in watches {
        let failed = |source| Error::Quarantine { path: watch.path.clone(), source };
        let Some((path, metadata)) = find(&watch.path).map_err(failed)? else {
            continue;
        };
        if is_unchanged(watch, &path, &metadata) {
            continue;
        }
        let moved_to = take_away(&path, id, moved.len(), state).map_err(failed)?;
        moved.push(Quarantined { path, moved_to });
    }
    Ok(moved)
}

/// What is at a name, or the first link on the way to it. The survey resolved the way, so that a link on it is new, and
/// whatever it leads to is not ours to move.
fn find(path: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    // The root of the volume is no link.
    for ancestor in ancestors.into_iter().skip(1) {
        match std::fs::symlink_metadata(ancestor) {
            Ok(metadata) if ancestor == path || is_link(&metadata) => {
                return Ok(Some((ancestor.to_owned(), metadata)));
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_unchanged(watch: &Watch, found: &Path, metadata: &Metadata) -> bool {
    match &watch.before {
        Before::Missing => false,
        Before::MissingOrDirectory => found == watch.path && metadata.is_dir() && !is_link(metadata),
        Before::Symlink(target) => found == watch.path && std::fs::read_link(found).is_ok_and(|now| now == *target),
    }
}

/// Links of every kind: junctions are no symbolic links to the standard library.
fn is_link(metadata: &Metadata) -> bool {
    metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0
}

/// Moves it into the state directory, or, on another volume, to a name that no tool looks for. Neither follows a link.
fn take_away(path: &Path, id: &str, number: usize, state: &State) -> io::Result<PathBuf> {
    let directory = state.file("quarantine").join(id);
    std::fs::create_dir_all(&directory)?;
    let target = directory.join(number.to_string());
    match std::fs::rename(path, &target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".quarantined-{id}"));
            let target = path.with_file_name(name);
            std::fs::rename(path, &target).map(|()| target)
        }
        moved => moved.map(|()| target),
    }
}
