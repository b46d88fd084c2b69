//! What lies at the paths that a policy names: canonical paths, identities, what exists and what does not.

use std::path::PathBuf;

use ringfence_policy::Origin;
use serde::{Deserialize, Serialize};

/// The paths of one run, as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The executable file.
    pub program: PathBuf,
    /// The project.
    pub workspace: Place,
    /// Where the command starts.
    pub directory: PathBuf,
    /// Directories and files that the command may write.
    pub write: Vec<Place>,
    /// Where the command may read, if the policy lists it; otherwise the whole host.
    pub read: Option<Vec<Place>>,
    /// Paths inside the write roots that stay read-only.
    pub protect: Vec<Place>,
    /// Protected names that nothing can hold, since they are missing or symbolic links: compared after the run.
    pub watch: Vec<Watch>,
    /// Paths that stay unreadable.
    pub hide: Vec<Place>,
    /// Pathname sockets of the host that a read-only mount would leave open.
    pub sockets: Vec<PathBuf>,
    /// Sockets of the host that the policy allows.
    pub allowed_sockets: Vec<Place>,
    /// Directories that the command gets fresh.
    pub fresh: Vec<PathBuf>,
    /// What a ruleset without exceptions may grant instead; only where Landlock is the mechanism.
    pub carved: Option<Carved>,
    /// Files of name resolution that a run with an allowlist sees instead of the host's.
    #[serde(default)]
    pub names: Vec<NameFile>,
    /// Files that name resolution reads and that lie under directories which every run gets fresh.
    pub resolver: Vec<Place>,
    /// The system's own directories, for a policy that lists what may be read.
    pub runtime: Vec<RuntimePath>,
}

/// A path that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The path, with symbolic links resolved.
    pub path: PathBuf,
    /// Which object it is, so that a swap between plan and run is noticed.
    pub identity: Identity,
    /// Whether it is a directory.
    pub directory: bool,
    /// Which line asks for it.
    pub origin: Option<Origin>,
}

/// A file of name resolution, with the text that a run with an allowlist finds in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFile {
    /// Where programs look for it, with symbolic links resolved.
    pub path: PathBuf,
    /// What they find.
    pub content: String,
}

/// Device and inode number of a file (`stat(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// A protected name that no mount can hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The name.
    pub path: PathBuf,
    /// What was there before the run.
    pub before: Before,
}

/// What was at a watched name before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Before {
    /// Nothing.
    Missing,
    /// Nothing, and a directory may appear: what may not appear in it is watched by itself. A file or a link would lead
    /// elsewhere.
    MissingOrDirectory,
    /// A symbolic link with this target.
    Symlink(PathBuf),
}

/// A top-level path of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimePath {
    /// A directory.
    Directory(Place),
    /// A symbolic link (`/bin` on a merged-`/usr` system) and its target.
    Symlink(PathBuf, PathBuf),
}

/// What may be read, as hierarchies that contain nothing hidden, for a mechanism that has no exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carved {
    /// Hierarchies to grant.
    pub grant: Vec<PathBuf>,
    /// Directories that were opened up: they cannot be listed, and names that appear in them later cannot be read.
    pub opened: Vec<PathBuf>,
}

/// Directories that every run gets fresh on Linux; nothing of the host's can be reached under them.
pub(crate) const FRESH: &[&str] = &["/dev", "/proc", "/run", "/tmp", VAR_TMP];

/// The one of them that a host may lack, or have as a link to another.
pub(crate) const VAR_TMP: &str = "/var/tmp";

#[cfg(target_os = "linux")]
impl Survey {
    /// Whether a path lies in a write root.
    pub(crate) fn writable(&self, path: &std::path::Path) -> bool {
        self.write.iter().any(|root| path.starts_with(&root.path))
    }
}
