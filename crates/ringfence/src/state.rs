//! The state directory: receipts and what was measured about this host, where no sandboxed process can reach.

use std::path::{Path, PathBuf};

use crate::Error;

/// A directory of the user's own that no command can write: mode 0700, and hidden by every plan; on Windows with a DACL that
/// names nobody but the user, administrators and the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    directory: PathBuf,
}

impl State {
    /// Opens `$RINGFENCE_STATE_DIR`, else `$XDG_STATE_HOME/ringfence`, else `~/.local/state/ringfence`
    /// (on Windows `%LOCALAPPDATA%\ringfence`), creating it if it is missing.
    ///
    /// # Errors
    ///
    /// [`Error::State`] if it cannot be created, [`Error::StateUntrusted`] if others may write it.
    pub fn open() -> Result<Self, Error> {
        let directory = Self::default_directory().ok_or_else(|| Error::StateUntrusted {
            path: PathBuf::new(),
            reason: "neither RINGFENCE_STATE_DIR nor a home directory is set; set RINGFENCE_STATE_DIR".into(),
        })?;
        Self::at(&directory)
    }

    /// Opens the state directory at a given place.
    ///
    /// # Errors
    ///
    /// As [`State::open`].
    pub fn at(directory: &Path) -> Result<Self, Error> {
        let failed = |source| Error::State { path: directory.to_owned(), source };
        if !directory.is_absolute() {
            return Err(Error::StateUntrusted {
                path: directory.to_owned(),
                reason: "it is not an absolute path".into(),
            });
        }
        if std::fs::symlink_metadata(directory).is_err() {
            create_private(directory).map_err(failed)?;
        }
        // The real path is what a plan must hide: a hidden symbolic link would leave its target open.
        let directory = std::fs::canonicalize(directory).map_err(failed)?;
        check_private(&directory)?;
        Ok(Self { directory })
    }

    /// The directory, with symbolic links resolved.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a file in the state directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn default_directory() -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(directory) = set("RINGFENCE_STATE_DIR") {
            return Some(directory);
        }
        if cfg!(windows) {
            return set("LOCALAPPDATA").map(|base| base.join("ringfence"));
        }
        set("XDG_STATE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".local/state")))
            .map(|base| base.join("ringfence"))
    }
}

/// Replaces a file of the state directory in one step, so that a crash leaves the old or the new content.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::State { path: path.to_owned(), source };
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&temporary, bytes).map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)
}

#[cfg(unix)]
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        // Another run of the same user made it at the same moment.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(windows)]
fn create_private(directory: &Path) -> std::io::Result<()> {
    use crate::windows::{private, sys};
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let user = sys::token::SystemToken::of_process()?.user()?;
    let descriptor = private::descriptor(&user).map_err(std::io::Error::other)?;
    match sys::files::create_directory(directory, &descriptor) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(not(any(unix, windows)))]
fn create_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(unix)]
fn check_private(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let metadata =
        std::fs::metadata(directory).map_err(|source| Error::State { path: directory.to_owned(), source })?;
    let untrusted = |reason: &str| Error::StateUntrusted { path: directory.to_owned(), reason: reason.into() };
    if !metadata.is_dir() {
        return Err(untrusted("it is not a directory"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(untrusted("it belongs to another user; choose one of your own with RINGFENCE_STATE_DIR"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(untrusted("others can write it; run `chmod 700` on it"));
    }
    Ok(())
}

#[cfg(windows)]
fn check_private(directory: &Path) -> Result<(), Error> {
    use crate::windows::{private, sys};
    let failed = |source| Error::State { path: directory.to_owned(), source };
    let user = sys::token::SystemToken::of_process().and_then(|token| token.user()).map_err(failed)?;
    let descriptor = sys::files::descriptor(directory).map_err(failed)?;
    match private::problem(&descriptor, &user) {
        None => Ok(()),
        Some(reason) => Err(Error::StateUntrusted { path: directory.to_owned(), reason }),
    }
}

#[cfg(not(any(unix, windows)))]
fn check_private(_: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_fresh_directory_is_private() {
        let base = tempfile::tempdir().unwrap();
        let state = State::at(&base.path().join("a/b")).unwrap();
        let mode = std::fs::metadata(state.directory()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("open");
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(State::at(&directory).unwrap_err().code(), "state-untrusted");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(State::at(&directory).is_ok());
    }
}
