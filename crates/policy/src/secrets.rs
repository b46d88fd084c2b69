//! Where secrets and the runtime of a system lie.

use std::path::PathBuf;

use crate::anchor::Anchors;
use crate::names::System;

/// What `@secrets` means: places of keys, cloud credentials, browser profiles and agent sockets. A pure list; most of
/// them do not exist on a given machine.
#[must_use]
pub fn secret_locations(anchors: &Anchors) -> Vec<PathBuf> {
    anchors.home.iter().map(|home| home.join(".ssh")).collect()
}

/// What stays readable when `filesystem.read` is a list: the loader, libraries, programs and public configuration.
#[must_use]
pub fn runtime_locations(system: System) -> Vec<PathBuf> {
    match system {
        System::Linux => vec![PathBuf::from("/usr")],
        System::Windows => vec![PathBuf::from("C:\\Windows")],
    }
}
