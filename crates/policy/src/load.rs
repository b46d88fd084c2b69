//! From a file and flags to a policy.

use std::io;
use std::path::{Path, PathBuf};

use crate::anchor::Anchors;
use crate::error::PolicyError;
use crate::extends::read_chain;
use crate::meet::meet;
use crate::names::NetworkMode;
use crate::overrides::Overrides;
use crate::policy::Policy;
use crate::refuse::refused_write_root;
use crate::selftest;

/// How policy files are read; this crate never touches the disk itself.
pub trait Files {
    /// The content of a file. An implementation should stop after [`MAX_FILE_SIZE`](crate::MAX_FILE_SIZE) bytes and
    /// one more: a larger file is refused anyway.
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
    /// The machine-wide policy that the result must not exceed. Given only where there is one: a managed policy that
    /// cannot be read is an error.
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

/// Reads a policy: parse, `extends`, anchor, self-tests, flags, managed ceiling, refused write roots.
///
/// Self-tests are checked on the policy as written. Those that expect a denial are checked once more on the result, so
/// that a flag cannot undo what the file asserts; those that expect an allowance are not, since a flag or the ceiling
/// may well take something away.
///
/// # Errors
/// The first thing that is wrong; nothing of such a policy may be applied.
pub fn load(request: &Request<'_>, files: &dyn Files) -> Result<Policy, PolicyError> {
    let anchors = request.anchors.normal()?;
    let mut policy = read_chain(&request.source, false, &anchors, files)?;
    selftest::check(&policy, &policy.tests)?;
    refuse_idle_rules(&policy)?;

    request.overrides.apply(&mut policy, &anchors)?;
    refuse_idle_rules(&policy)?;
    refuse_write_roots(&policy, &anchors)?;

    if let Some(path) = &request.managed {
        let ceiling = read_chain(&PolicySource::File(path.clone()), true, &anchors, files)?;
        selftest::check(&ceiling, &ceiling.tests)?;
        refuse_idle_rules(&ceiling)?;
        refuse_other_upstream(&policy, &ceiling)?;
        let profile = std::mem::take(&mut policy.profile);
        policy = meet(&policy, &ceiling);
        policy.profile = profile;
        refuse_write_roots(&policy, &anchors)?;
    }
    selftest::check(&policy, selftest::denials(&policy))?;
    Ok(policy)
}

/// A rule that nothing enforces is an error: an open network does not pass through the proxy.
fn refuse_idle_rules(policy: &Policy) -> Result<(), PolicyError> {
    let network = &policy.network;
    match network.deny.iter().chain(&network.allow).next() {
        Some(rule) if network.mode.value == NetworkMode::Open => Err(PolicyError::RulesWhileOpen {
            at: rule.origin.clone(),
            rule: rule.value.to_string(),
            mode: Box::new(network.mode.origin.clone()),
        }),
        _ => Ok(()),
    }
}

fn refuse_write_roots(policy: &Policy, anchors: &Anchors) -> Result<(), PolicyError> {
    for root in &policy.filesystem.write {
        if let Some(reason) = refused_write_root(&root.value, anchors) {
            return Err(PolicyError::RefusedWriteRoot { at: root.origin.clone(), path: root.value.clone(), reason });
        }
    }
    Ok(())
}

fn refuse_other_upstream(policy: &Policy, ceiling: &Policy) -> Result<(), PolicyError> {
    match (&policy.network.upstream, &ceiling.network.upstream) {
        (Some(own), Some(required)) if own.value != required.value => Err(PolicyError::UpstreamConflict {
            at: own.origin.clone(),
            upstream: own.value.to_string(),
            required: required.value.to_string(),
            by: Box::new(required.origin.clone()),
        }),
        _ => Ok(()),
    }
}
