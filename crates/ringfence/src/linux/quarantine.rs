//! Moves away what appeared under protected names during a run.
//!
//! The command owned the directories above these names, so nothing about them is believed: every path is walked from
//! its write root without following a link, and a link on the way is itself what gets moved.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::receipt::Quarantined;
use crate::survey::{Before, Watch};
use crate::{Error, State};

/// Compares every watched name with what was there before, and moves away what is new.
pub(super) fn sweep(watches: &[Watch], id: &str, state: &State) -> Result<Vec<Quarantined>, Error> {
    let mut moved = Vec::new();
    for watch in watches {
        let failed = |errno: Errno| Error::Quarantine { path: watch.path.clone(), source: errno.into() };
        // Most names never appear: one call tells, and what a link on the way leads to is not there either.
        if matches!(rustix::fs::lstat(&watch.path), Err(Errno::NOENT | Errno::NOTDIR))
            && !matches!(watch.before, Before::Symlink(_))
        {
            continue;
        }
        let Some(found) = find(&watch.path).map_err(failed)? else {
            if let Before::Symlink(target) = &watch.before {
                restore(&watch.path, target).map_err(failed)?;
            }
            continue;
        };
        if found.unchanged(watch) {
            continue;
        }
        let moved_to = take_away(&found, id, moved.len(), state).map_err(failed)?;
        moved.push(Quarantined { path: found.path.clone(), moved_to });
        if let Before::Symlink(target) = &watch.before
            && found.path == watch.path
        {
            restore(&watch.path, target).map_err(failed)?;
        }
    }
    Ok(moved)
}

/// What is at a watched name, or on the way to it, that was not there before.
pub(super) fn changed(watch: &Watch) -> Option<PathBuf> {
    find(&watch.path).ok().flatten().filter(|found| !found.unchanged(watch)).map(|found| found.path)
}

/// Something at a watched name, or a link on the way to it.
struct Found {
    path: PathBuf,
    parent: OwnedFd,
    name: std::ffi::OsString,
    directory: bool,
    link: Option<PathBuf>,
}

impl Found {
    fn unchanged(&self, watch: &Watch) -> bool {
        match &watch.before {
            Before::Missing => false,
            Before::MissingOrDirectory => self.path == watch.path && self.directory,
            Before::Symlink(target) => self.path == watch.path && self.link.as_ref() == Some(target),
        }
    }
}

/// Walks to a name without following links. A link ends the walk: it is what leads to the name now.
fn find(path: &Path) -> Result<Option<Found>, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut parent = rustix::fs::open("/", flags, Mode::empty())?;
    let mut walked = PathBuf::from("/");
    let mut names = path.components().skip(1).peekable();
    while let Some(name) = names.next() {
        let name = name.as_os_str();
        walked.push(name);
        let stat = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        let link = match kind {
            rustix::fs::FileType::Symlink => {
                let target = rustix::fs::readlinkat(&parent, name, Vec::new())?;
                Some(PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(target.as_bytes())))
            }
            _ => None,
        };
        if names.peek().is_none() || link.is_some() {
            let directory = kind == rustix::fs::FileType::Directory;
            return Ok(Some(Found { path: walked, parent, name: name.to_owned(), directory, link }));
        }
        if kind != rustix::fs::FileType::Directory {
            // Something that cannot hold the name.
            return Ok(None);
        }
        parent = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
    }
    Ok(None)
}

/// Moves it into the state directory, or, on another file system, to a name that no tool looks for.
fn take_away(found: &Found, id: &str, number: usize, state: &State) -> Result<PathBuf, Errno> {
    let directory = state.file("quarantine").join(id);
    std::fs::create_dir_all(&directory).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let target = directory.join(number.to_string());
    match rustix::fs::renameat(found.parent.as_fd(), &found.name, CWD, &target) {
        Ok(()) => Ok(target),
        Err(Errno::XDEV) => {
            let mut name = found.name.clone();
            name.push(format!(".quarantined-{id}"));
            rustix::fs::renameat(found.parent.as_fd(), &found.name, found.parent.as_fd(), &name)?;
            Ok(found.path.with_file_name(name))
        }
        Err(errno) => Err(errno),
    }
}

/// Puts a symbolic link back that was there before the run.
fn restore(path: &Path, target: &Path) -> Result<(), Errno> {
    rustix::fs::symlink(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(path: PathBuf) -> Watch {
        Watch { path, before: Before::Missing }
    }

    fn fixture() -> (tempfile::TempDir, PathBuf, State) {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap();
        let state = State::at(&root.join("state")).unwrap();
        let project = root.join("project");
        std::fs::create_dir(&project).unwrap();
        (base, project, state)
    }

    #[test]
    fn what_appeared_is_moved_and_what_did_not_is_left() {
        let (_base, project, state) = fixture();
        let (appeared, absent) = (project.join(".vscode"), project.join(".idea"));
        std::fs::create_dir(&appeared).unwrap();
        std::fs::write(appeared.join("tasks.json"), "x").unwrap();
        let moved = sweep(&[missing(appeared.clone()), missing(absent)], "r", &state).unwrap();
        assert_eq!(moved.len(), 1);
        assert!(!appeared.exists());
        assert_eq!(std::fs::read_to_string(moved[0].moved_to.join("tasks.json")).unwrap(), "x");
    }

    #[test]
    fn a_link_on_the_way_is_moved_and_its_target_is_not() {
        let (base, project, state) = fixture();
        let victim = base.path().join("victim");
        std::fs::create_dir_all(victim.join("hooks")).unwrap();
        std::os::unix::fs::symlink(&victim, project.join(".git")).unwrap();
        let moved = sweep(&[missing(project.join(".git/hooks"))], "r", &state).unwrap();
        assert_eq!(moved[0].path, project.join(".git"));
        assert!(victim.join("hooks").is_dir(), "the user's own directory stays where it is");
        assert!(std::fs::symlink_metadata(project.join(".git")).is_err());
    }

    #[test]
    fn a_new_gitfile_is_moved_and_a_new_repository_is_not() {
        let (_base, project, state) = fixture();
        let entry = project.join(".git");
        let watch = Watch { path: entry.clone(), before: Before::MissingOrDirectory };
        std::fs::create_dir(&entry).unwrap();
        assert!(sweep(std::slice::from_ref(&watch), "r", &state).unwrap().is_empty());
        std::fs::remove_dir(&entry).unwrap();
        std::fs::write(&entry, "gitdir: evil\n").unwrap();
        assert_eq!(sweep(&[watch], "s", &state).unwrap().len(), 1);
        assert!(!entry.exists());
    }

    #[test]
    fn a_replaced_link_is_put_back() {
        let (_base, project, state) = fixture();
        let path = project.join(".vscode");
        let before = Before::Symlink("shared/vscode".into());
        std::fs::create_dir(&path).unwrap();
        let watch = Watch { path: path.clone(), before };
        assert_eq!(sweep(std::slice::from_ref(&watch), "r", &state).unwrap().len(), 1);
        assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("shared/vscode"));
        assert!(sweep(&[watch], "s", &state).unwrap().is_empty(), "an unchanged link is left alone");
    }
}
