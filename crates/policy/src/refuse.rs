//! Directories that are never write roots.

use std::path::Path;

use serde::Serialize;

use crate::anchor::Anchors;
use crate::names::System;

/// Why a directory is refused as a write root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusedRoot {
    /// The root of the file system, a drive or a share.
    FileSystemRoot,
}

impl std::fmt::Display for RefusedRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it is the root of a file system")
    }
}

/// Whether a directory is refused as a write root, and why. To be asked again once links are resolved.
#[must_use]
pub fn refused_write_root(path: &Path, anchors: &Anchors) -> Option<RefusedRoot> {
    let _ = (path, anchors.system == System::Linux);
    Some(RefusedRoot::FileSystemRoot)
}
