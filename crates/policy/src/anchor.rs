//! From paths as they are written to absolute, lexically normal ones.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::System;

/// What a policy's relative paths, `~` and `@secrets` mean on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Anchors {
    /// The project's directory: absolute, what `.` means.
    pub workspace: PathBuf,
    /// The user's own directory: absolute, what `~` means.
    pub home: Option<PathBuf>,
    /// Whose rules for paths apply.
    pub system: System,
}

/// Why a path is refused. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing is there.
    #[error("a path is missing: write \".\" for the workspace")]
    Empty,
}

impl PathError {
    /// The stable name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "path-empty",
        }
    }
}
