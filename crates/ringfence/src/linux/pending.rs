//! Runs that have begun and not ended: what a killed supervisor can no longer compare, the next run tells of.
//!
//! It only tells. What appeared since may be the user's own as well, and nobody can know which.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::quarantine;
use crate::survey::Watch;
use crate::{Error, State};

/// The record of a run that has begun, locked while its supervisor lives.
#[derive(Debug)]
pub(super) struct Pending {
    path: PathBuf,
    /// Holds the lock; the kernel gives it up with the process.
    _file: File,
}

impl Pending {
    /// Notes which names are compared after the run.
    pub(super) fn record(watches: &[Watch], id: &str, state: &State) -> Result<Option<Self>, Error> {
        if watches.is_empty() {
            return Ok(None);
        }
        let directory = state.file(DIRECTORY);
        let path = directory.join(id);
        let failed = |source| Error::State { path: path.clone(), source };
        let bytes = serde_json::to_vec(watches)
            .map_err(|source| Error::Encode { what: "the names to compare after the run", source })?;
        let mut file = match File::create_new(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&directory).and_then(|()| File::create_new(&path))
            }
            other => other,
        }
        .map_err(failed)?;
        // Before the content is there: who finds it locked does not read it.
        flock(&file, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        file.write_all(&bytes).map_err(failed)?;
        Ok(Some(Self { path, _file: file }))
    }

    /// The names were compared, or nothing was started.
    pub(super) fn done(self) {
        // One that stays is looked at by the next run, and says the same again.
        std::fs::remove_file(&self.path).unwrap_or_default();
    }
}

/// Protected names that appeared or changed since runs whose supervisor was killed, each told once.
pub(crate) fn left_over(state: &State) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(state.file(DIRECTORY)) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let watches = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Vec<Watch>>(&bytes).ok());
        // A record that was cut off belongs to a run that never began.
        found.extend(watches.iter().flatten().filter_map(quarantine::changed));
        std::fs::remove_file(&path).unwrap_or_default();
    }
    found.sort();
    found.dedup();
    found
}

/// In the state directory.
const DIRECTORY: &str = "pending";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Before;

    #[test]
    fn what_appeared_after_a_supervisor_was_killed_is_told_once() {
        let base = tempfile::tempdir().unwrap();
        let state = State::at(&base.path().join("state")).unwrap();
        let project = base.path().canonicalize().unwrap();
        let watch = |name: &str| Watch { path: project.join(name), before: Before::Missing };
        let watches = [watch(".vscode"), watch(".idea")];
        let alive = Pending::record(&watches, "alive", &state).unwrap().unwrap();
        std::fs::create_dir(project.join(".vscode")).unwrap();
        assert_eq!(left_over(&state), Vec::<PathBuf>::new(), "its supervisor will compare them");
        // The lock goes with the process; dropping the value is the same for the kernel.
        drop(alive);
        assert_eq!(left_over(&state), [project.join(".vscode")]);
        assert_eq!(left_over(&state), Vec::<PathBuf>::new());
        let ended = Pending::record(&watches, "ended", &state).unwrap().unwrap();
        ended.done();
        assert_eq!(left_over(&state), Vec::<PathBuf>::new());
        assert!(Pending::record(&[], "nothing", &state).unwrap().is_none());
    }
}
