//! From a file and flags to a policy.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::anchor::Anchors;
use crate::error::PolicyError;
use crate::host_rule::HostRule;
use crate::limits::{ByteSize, Cpus, Timeout};
use crate::names::{NetworkMode, RuleId};
use crate::policy::Policy;
use crate::variable::VariablePattern;

/// How policy files are read; this crate never touches the disk itself.
pub trait Files {
    /// The content of a file. An implementation should refuse to read more than
    /// [`MAX_FILE_SIZE`](crate::MAX_FILE_SIZE) bytes and one.
    ///
    /// # Errors
    /// Whatever keeps the file from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// What to load.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The user's policy.
    pub source: PolicySource,
    /// The machine-wide policy that the result must not exceed.
    pub managed: Option<PathBuf>,
    /// Flags.
    pub overrides: Overrides,
    /// What relative paths, `~` and `@secrets` mean.
    pub anchors: &'a Anchors,
}

/// The user's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// A built-in profile.
    Profile(String),
    /// A policy file.
    File(PathBuf),
}

/// What flags add to (lists) or replace in (the rest) the user's policy. They never exceed the managed policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--write`
    pub write: Vec<PathBuf>,
    /// `--read`: only where `filesystem.read` is a list.
    pub read: Vec<PathBuf>,
    /// `--hide`
    pub hide: Vec<PathBuf>,
    /// `--protect`
    pub protect: Vec<PathBuf>,
    /// `--allow`: a mode of `off` becomes an allowlist of these hosts.
    pub allow: Vec<HostRule>,
    /// `--offline`
    pub offline: bool,
    /// `--network`
    pub network: Option<NetworkMode>,
    /// `--timeout`
    pub timeout: Option<Timeout>,
    /// `--memory`
    pub memory: Option<ByteSize>,
    /// `--processes`
    pub processes: Option<u32>,
    /// `--cpus`
    pub cpus: Option<Cpus>,
    /// `--pass`
    pub pass: Vec<VariablePattern>,
    /// `--set`
    pub set: BTreeMap<String, String>,
    /// `--accept-degraded`
    pub accept_degraded: Vec<RuleId>,
    /// `--unix-socket`
    pub unix_sockets: Vec<PathBuf>,
}

/// Reads a policy: parse, `extends`, anchor, flags, self-tests, managed ceiling, refused write roots.
///
/// # Errors
/// The first thing that is wrong; nothing of such a policy may be applied.
pub fn load(request: &Request<'_>, files: &dyn Files) -> Result<Policy, PolicyError> {
    let _ = files;
    let name = match &request.source {
        PolicySource::Profile(name) => name.clone(),
        PolicySource::File(path) => path.display().to_string(),
    };
    Err(PolicyError::UnknownProfile {
        at: None,
        name,
        suggestion: None,
        known: &[],
    })
}
