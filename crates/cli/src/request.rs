//! From flags to a policy: which files are read, and what relative paths mean.

use std::fs::File;
use std::io::{self, Read};
use std::path::{self, Component, Path, PathBuf};

use ringfence_policy::{Anchors, Files, MAX_FILE_SIZE, Overrides, Policy, PolicySource, Request, System};

use crate::cli::{Boundary, Source};
use crate::failure::Failure;

/// The profile that applies where nothing else is asked for.
const DEFAULT_PROFILE: &str = "workspace";

/// Loads the policy that the flags describe, held under the managed policy of the machine.
pub(crate) fn policy(boundary: &Boundary) -> Result<Policy, Failure> {
    let anchors = anchors(boundary.source.workspace.as_deref())?;
    let absolute = |paths: &[PathBuf]| paths.iter().map(|path| absolute(path)).collect();
    load(source(&boundary.source), overrides(boundary, absolute)?, &anchors)
}

/// Loads the policy that the flags describe for another machine: its rules for paths, and no managed policy of this one.
pub(crate) fn policy_elsewhere(boundary: &Boundary, anchors: &Anchors) -> Result<Policy, Failure> {
    let overrides = overrides(boundary, |paths| Ok(paths.to_vec()))?;
    let request = Request { source: source(&boundary.source), managed: None, overrides, anchors };
    ringfence_policy::load(&request, &Disk).map_err(|error| Failure::Policy(Box::new(error)))
}

/// Loads one policy file, without flags, held under the managed policy of the machine.
pub(crate) fn policy_file(file: &Path, anchors: &Anchors) -> Result<Policy, Failure> {
    load(PolicySource::File(file.to_owned()), Overrides::default(), anchors)
}

/// Loads the policy that applies without flags, held under the managed policy of the machine.
#[cfg(target_os = "linux")]
pub(crate) fn default_policy(workspace: &Path) -> Result<Policy, Failure> {
    load(PolicySource::Profile(DEFAULT_PROFILE.to_owned()), Overrides::default(), &anchors(Some(workspace))?)
}

/// Says what `.` and `~` mean in a policy.
pub(crate) fn anchors(workspace: Option<&Path>) -> Result<Anchors, Failure> {
    // The home directory of the account where HOME is not set: secrets are to be hidden in a cron job as well.
    Ok(Anchors { workspace: self::workspace(workspace)?, home: std::env::home_dir(), system: System::current() })
}

/// The project's directory, without symbolic links: the one that was asked for, or the current one.
pub(crate) fn workspace(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = asked.unwrap_or(Path::new("."));
    let unusable = |source| ringfence::Error::Directory { what: "workspace", path: path.to_owned(), source };
    Ok(path.canonicalize().map_err(unusable)?)
}

/// Makes a path that was typed absolute: it is relative to where the user is, unlike one in a policy file.
///
/// A path with `..` means what the file system makes of it, since the directory before it may be a symbolic link.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if path.components().any(|component| component == Component::ParentDir)
        && let Ok(resolved) = path.canonicalize()
    {
        return Ok(resolved);
    }
    path::absolute(path).map_err(|source| Failure::CurrentDirectory { source })
}

fn load(source: PolicySource, overrides: Overrides, anchors: &Anchors) -> Result<Policy, Failure> {
    let request = Request { source, managed: managed_policy(), overrides, anchors };
    ringfence_policy::load(&request, &Disk).map_err(|error| Failure::Policy(Box::new(error)))
}

fn source(source: &Source) -> PolicySource {
    match (&source.policy, &source.profile) {
        (Some(file), _) => PolicySource::File(file.clone()),
        (None, Some(profile)) => PolicySource::Profile(profile.clone()),
        (None, None) => PolicySource::Profile(DEFAULT_PROFILE.to_owned()),
    }
}

/// `absolute` says what the paths that were typed mean.
fn overrides(
    boundary: &Boundary,
    absolute: impl Fn(&[PathBuf]) -> Result<Vec<PathBuf>, Failure>,
) -> Result<Overrides, Failure> {
    Ok(Overrides {
        write: absolute(&boundary.write)?,
        read: absolute(&boundary.read)?,
        hide: absolute(&boundary.hide)?,
        protect: absolute(&boundary.protect)?,
        allow: boundary.allow.clone(),
        offline: boundary.offline,
        network: boundary.network,
        timeout: boundary.timeout,
        memory: boundary.memory,
        processes: boundary.processes,
        cpus: boundary.cpus,
        pass: boundary.pass.clone(),
        set: boundary.set.iter().cloned().collect(),
        accept_degraded: boundary.accept_degraded.clone(),
        unix_sockets: absolute(&boundary.unix_socket)?,
    })
}

/// The machine-wide policy, if there is one. One that exists but cannot be read is not skipped: loading it fails.
fn managed_policy() -> Option<PathBuf> {
    let path = if cfg!(windows) {
        PathBuf::from(std::env::var_os("ProgramData")?).join("ringfence").join("policy.toml")
    } else {
        PathBuf::from("/etc/ringfence/policy.toml")
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        _ => Some(path),
    }
}

/// The files of this machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // One byte more than a policy may have shows that it is too large; a device that never ends is not read further.
        let mut content = Vec::new();
        File::open(path)?.take(MAX_FILE_SIZE as u64 + 1).read_to_end(&mut content)?;
        Ok(content)
    }
}
