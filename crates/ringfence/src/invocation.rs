//! What the caller asks to run, and where.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Error;

/// A command together with the surroundings that it was asked for in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The command and its arguments, as typed.
    pub argv: Vec<OsString>,
    /// The project: what `.` means in a policy.
    pub workspace: PathBuf,
    /// Where the command starts.
    pub directory: PathBuf,
    /// The caller's environment, before the policy filters it.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether the command gets a pseudo-terminal of its own.
    pub tty: bool,
    /// Descriptors beyond 0, 1 and 2 that the command inherits under the same numbers.
    pub keep_descriptors: Vec<i32>,
    /// Whether a person is asked about hosts that no rule of an allowlist names.
    pub ask: bool,
    /// Which Linux mechanism to use; [`MechanismChoice::Auto`] takes the stronger one that the host offers.
    pub mechanism: MechanismChoice,
}

/// A caller's choice among the Linux mechanisms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MechanismChoice {
    /// Namespaces where the host allows them, else Landlock.
    #[default]
    Auto,
    /// Namespaces, or refuse.
    Namespaces,
    /// Landlock and seccomp, or refuse.
    Landlock,
}

impl Invocation {
    /// A command in the current directory, which is also its workspace, with the caller's environment.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`] if the current directory does not exist any more.
    pub fn here(argv: Vec<OsString>) -> Result<Self, Error> {
        let directory = std::env::current_dir().map_err(|source| Error::Directory {
            what: "working directory",
            path: PathBuf::from("."),
            source,
        })?;
        Ok(Self {
            argv,
            workspace: directory.clone(),
            directory,
            environment: std::env::vars_os().collect(),
            tty: false,
            keep_descriptors: Vec::new(),
            ask: false,
            mechanism: MechanismChoice::Auto,
        })
    }
}
