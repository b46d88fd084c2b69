//! A project to run commands in, with a state directory and a home of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A directory with a workspace, a home and a state directory; removed at the end.
pub(crate) struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    /// Makes an empty project.
    pub(crate) fn new() -> Self {
        // Not in /tmp: a run has one of its own, and a file of the host that is not there cannot be denied.
        let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let project = Self { directory: tempfile::tempdir_in(base).unwrap() };
        for directory in [project.workspace(), project.home()] {
            fs::create_dir(directory).unwrap();
        }
        project
    }

    /// Where commands run.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// What `~` means.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Where receipts go.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Returns a call of ringfence that has not started yet.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command
            .args(arguments)
            .current_dir(self.workspace())
            .env("HOME", self.home())
            .env("RINGFENCE_STATE_DIR", self.state())
            .stdin(Stdio::null());
        command
    }

    /// Calls ringfence and waits for it.
    pub(crate) fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
