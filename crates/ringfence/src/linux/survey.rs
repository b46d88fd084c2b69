//! Looks at every path that a policy names.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use ringfence_policy::{
    Anchors, Hide, NetworkMode, Origin, Policy, Protect, ReadScope, System, runtime_locations, secrets_elsewhere,
    secrets_in_home,
};

use crate::environment::UPSTREAM_CREDENTIALS_FILE;
use crate::git::{self, Repository};
use crate::survey::{Before, FRESH, Identity, Place, RuntimePath, Survey, VAR_TMP, Watch};
use crate::{Error, Invocation, State};

mod carve;
mod listing;
mod names;
mod resolve;
mod sockets;

use resolve::resolve;

impl Survey {
    /// Looks at every path that the policy and the invocation name. `carve` asks for the list that a Landlock
    /// ruleset needs, which costs a directory listing per hidden path.
    pub(crate) fn take(policy: &Policy, invocation: &Invocation, state: &State, carve: bool) -> Result<Self, Error> {
        check_descriptors(&invocation.keep_descriptors)?;
        let workspace = place_of("workspace", &invocation.workspace)?;
        let directory = place_of("working directory", &invocation.directory)?.path;
        let anchors = &policy.anchors;
        let write = write_roots(policy, anchors)?;
        let mut survey = Self {
            program: find_program(invocation, &directory, policy)?,
            workspace,
            directory,
            write,
            read: read_roots(policy)?,
            protect: Vec::new(),
            watch: Vec::new(),
            hide: Vec::new(),
            sockets: Vec::new(),
            allowed_sockets: allowed_sockets(policy)?,
            fresh: fresh()?,
            carved: None,
            names: Vec::new(),
            resolver: resolver_files(),
            runtime: Vec::new(),
        };
        survey.find_protected(policy)?;
        survey.find_hidden(policy, anchors, state)?;
        if policy.network.mode.value == NetworkMode::Allowlist {
            survey.names = names::name_files();
        }
        survey.sockets = sockets::reachable(&survey)?;
        if survey.read.is_some() {
            survey.runtime = runtime()?;
        }
        if carve {
            survey.carved = Some(carve::carve(&survey)?);
        }
        Ok(survey)
    }

    fn find_protected(&mut self, policy: &Policy) -> Result<(), Error> {
        let known = &mut Parents::new();
        for rule in &policy.filesystem.protect {
            match &rule.value {
                Protect::Path(path) => self.protect_path(path, &rule.origin, known)?,
                Protect::Git => {
                    let directories = self.write.iter().filter(|root| root.directory);
                    let roots: Vec<PathBuf> = directories.map(|root| root.path.clone()).collect();
                    for root in roots {
                        self.protect_git(&root, &rule.origin, known)?;
                    }
                }
            }
        }
        self.protect.sort_by(|a, b| a.path.cmp(&b.path));
        self.protect.dedup_by(|a, b| a.path == b.path);
        self.watch.sort_by(|a, b| a.path.cmp(&b.path));
        self.watch.dedup_by(|a, b| a.path == b.path);
        Ok(())
    }

    /// Protects what a repository executes: hooks, configuration, gitfiles. A linked worktree's metadata lies outside
    /// the workspace, so it becomes a write root of its own, as narrow as git allows.
    fn protect_git(&mut self, root: &Path, origin: &Origin, known: &mut Parents) -> Result<(), Error> {
        let Some(repository) = Repository::find(root)? else {
            let entry = root.join(".git");
            self.watch.push(Watch { path: entry.clone(), before: Before::MissingOrDirectory });
            for name in git::NAMES_OF_A_NEW_REPOSITORY {
                self.watch.push(Watch { path: entry.join(name), before: Before::Missing });
            }
            return Ok(());
        };
        for path in repository.writable() {
            if !self.writable(&path) {
                let mut place = place_of("write", &path)?;
                place.origin = Some(origin.clone());
                self.write.push(place);
            }
        }
        for path in repository.protected() {
            self.protect_path(&path, origin, known)?;
        }
        Ok(())
    }

    fn protect_path(&mut self, path: &Path, origin: &Origin, known: &mut Parents) -> Result<(), Error> {
        let Some(path) = resolve_parent(path, known)? else {
            // The directory that it would be in is missing: the command could create both.
            if self.writable(path) {
                self.watch.push(Watch { path: path.to_owned(), before: Before::Missing });
            }
            return Ok(());
        };
        if !self.writable(&path) || self.write.iter().any(|root| root.path == path) {
            return Ok(());
        }
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target =
                    std::fs::read_link(&path).map_err(|source| Error::Survey { path: path.clone(), source })?;
                self.watch.push(Watch { path: path.clone(), before: Before::Symlink(target) });
                if let Ok(real) = std::fs::canonicalize(&path)
                    && real != path
                {
                    self.protect_path(&real, origin, known)?;
                }
            }
            Ok(metadata) => self.protect.push(Place::new(path, &metadata, Some(origin.clone()))),
            Err(error) if is_missing(&error) => self.watch.push(Watch { path, before: Before::Missing }),
            Err(source) => return Err(Error::Survey { path, source }),
        }
        Ok(())
    }

    fn find_hidden(&mut self, policy: &Policy, anchors: &Anchors, state: &State) -> Result<(), Error> {
        let mut hide = |path: &Path, origin: Option<Origin>| match resolve(path) {
            Ok(found) => {
                self.hide.push(found.place(origin));
                Ok(())
            }
            Err(error) if is_missing(&error) => Ok(()),
            // What the user cannot reach, the command cannot reach either.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
            Err(source) => Err(Error::Survey { path: path.to_owned(), source }),
        };
        for rule in &policy.filesystem.hide {
            match &rule.value {
                Hide::Path(path) => hide(path, Some(rule.origin.clone()))?,
                Hide::Secrets => {
                    // A HOME that points elsewhere must not leave the keys of the account open.
                    let account = account_home().filter(|home| Some(home) != anchors.home.as_ref());
                    for home in anchors.home.iter().chain(&account) {
                        for path in listing::may_exist(home, secrets_in_home(System::Linux)) {
                            hide(&path, Some(rule.origin.clone()))?;
                        }
                    }
                    for path in secrets_elsewhere(System::Linux) {
                        hide(Path::new(path), Some(rule.origin.clone()))?;
                    }
                }
            }
        }
        hide(state.directory(), None)?;
        if let Some(credentials) = std::env::var_os(UPSTREAM_CREDENTIALS_FILE) {
            hide(&std::path::absolute(&credentials).unwrap_or_else(|_| credentials.into()), None)?;
        }
        self.hide.sort_by(|a, b| a.path.cmp(&b.path));
        // What lies under a hidden directory is hidden with it.
        self.hide.dedup_by(|inner, outer| inner.path.starts_with(&outer.path));
        for root in &self.write {
            if let Some(hidden) = self.hide.iter().find(|hidden| root.path.starts_with(&hidden.path)) {
                let by = hidden.origin.as_ref().map_or("ringfence keeps its state there".into(), Origin::to_string);
                let reason = format!("it lies in `{}`, which is hidden ({by})", hidden.path.display());
                return Err(Error::RootRefused { path: root.path.clone(), reason });
            }
        }
        Ok(())
    }
}

impl Place {
    fn new(path: PathBuf, metadata: &std::fs::Metadata, origin: Option<Origin>) -> Self {
        Self {
            path,
            identity: Identity { device: metadata.dev(), inode: metadata.ino() },
            directory: metadata.is_dir(),
            origin,
        }
    }
}

fn write_roots(policy: &Policy, anchors: &Anchors) -> Result<Vec<Place>, Error> {
    let mut roots: Vec<Place> = Vec::new();
    for rule in &policy.filesystem.write {
        let failed = |source| Error::Root { what: "write", path: rule.value.clone(), source };
        let found = resolve(&rule.value).map_err(failed)?;
        // Refused again after symbolic links are resolved: a link in the project may point at the home directory.
        if let Some(refused) = ringfence_policy::refused_write_root(&found.path, anchors) {
            return Err(Error::RootRefused { path: found.path, reason: refused.to_string() });
        }
        if !(found.is_directory() || found.is_file()) {
            return Err(Error::RootRefused { path: found.path, reason: "it is neither a directory nor a file".into() });
        }
        utf8(&found.path)?;
        roots.push(found.place(Some(rule.origin.clone())));
    }
    roots.sort_by(|a, b| a.path.cmp(&b.path));
    roots.dedup_by(|inner, outer| inner.path.starts_with(&outer.path));
    Ok(roots)
}

fn read_roots(policy: &Policy) -> Result<Option<Vec<Place>>, Error> {
    let ReadScope::Roots(rules) = &policy.filesystem.read else {
        return Ok(None);
    };
    let mut roots = Vec::with_capacity(rules.len());
    for rule in rules {
        let failed = |source| Error::Root { what: "read", path: rule.value.clone(), source };
        let found = resolve(&rule.value).map_err(failed)?;
        if found.path == Path::new("/") {
            return Ok(None);
        }
        utf8(&found.path)?;
        roots.push(found.place(Some(rule.origin.clone())));
    }
    Ok(Some(roots))
}

fn runtime() -> Result<Vec<RuntimePath>, Error> {
    let mut found = Vec::new();
    for path in runtime_locations(System::Linux) {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target =
                    std::fs::read_link(&path).map_err(|source| Error::Survey { path: path.clone(), source })?;
                found.push(RuntimePath::Symlink(path, target));
            }
            Ok(metadata) => found.push(RuntimePath::Directory(Place::new(path, &metadata, None))),
            Err(error) if is_missing(&error) => {}
            Err(source) => return Err(Error::Survey { path, source }),
        }
    }
    Ok(found)
}

/// `/etc/resolv.conf` is often a link into `/run`, which every run gets fresh.
fn resolver_files() -> Vec<Place> {
    match resolve(Path::new("/etc/resolv.conf")) {
        Ok(found) if found.path.starts_with("/run") && found.is_file() => vec![found.place(None)],
        _ => Vec::new(),
    }
}

fn place_of(what: &'static str, path: &Path) -> Result<Place, Error> {
    let failed = |source| Error::Directory { what, path: path.to_owned(), source };
    let found = resolve(path).map_err(failed)?;
    if !found.is_directory() {
        return Err(failed(rustix::io::Errno::NOTDIR.into()));
    }
    utf8(&found.path)?;
    Ok(found.place(None))
}

/// Directories that were resolved already: most protected names lie in one of two.
type Parents = std::collections::HashMap<PathBuf, Option<PathBuf>>;

/// Resolves the directory of a path but not its last component. `None` if the directory does not exist.
fn resolve_parent(path: &Path, known: &mut Parents) -> Result<Option<PathBuf>, Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Some(path.to_owned()));
    };
    let real = match known.get(parent) {
        Some(real) => real,
        None => {
            let real = match resolve(parent) {
                Ok(real) => Some(real.path),
                Err(error) if is_missing(&error) => None,
                Err(source) => return Err(Error::Survey { path: path.to_owned(), source }),
            };
            known.entry(parent.to_owned()).or_insert(real)
        }
    };
    Ok(real.as_ref().map(|real| real.join(name)))
}

pub(crate) fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn utf8(path: &Path) -> Result<(), Error> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Error::PathNotUtf8 { path: path.to_owned() }),
    }
}

/// The directories that a run gets fresh. All must be there, since what cannot be covered would show through.
fn fresh() -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::with_capacity(FRESH.len());
    for path in FRESH.iter().map(PathBuf::from) {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => found.push(path),
            _ if path == Path::new(VAR_TMP) => {}
            Ok(_) => return Err(Error::Survey { path, source: rustix::io::Errno::NOTDIR.into() }),
            Err(source) => return Err(Error::Survey { path, source }),
        }
    }
    Ok(found)
}

/// A number that is not open now would come to mean whatever this process opens next, and what it has opened itself is
/// not the command's: all of that closes on exec.
fn check_descriptors(descriptors: &[i32]) -> Result<(), Error> {
    let inherited = |descriptor: i32| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = i64::from_str_radix(flags.trim(), 8).ok()?;
        Some(flags & i64::from(rustix::fs::OFlags::CLOEXEC.bits()) == 0)
    };
    match descriptors.iter().find(|descriptor| !inherited(**descriptor).unwrap_or(false)) {
        None => Ok(()),
        Some(descriptor) => Err(Error::Unsupported {
            what: format!("passing on descriptor {descriptor}, which is not open or closes on exec,"),
            advice: "open it in the program that starts ringfence, without close-on-exec".into(),
        }),
    }
}

/// The home directory of this user's account (passwd(5)); accounts that are kept elsewhere have only HOME.
fn account_home() -> Option<PathBuf> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let uid = rustix::process::geteuid().as_raw().to_string();
    let home = accounts.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()? == uid).then(|| fields.nth(2))?
    })?;
    Some(PathBuf::from(home)).filter(|home| home.is_absolute())
}

/// Sockets that the policy allows and that exist.
fn allowed_sockets(policy: &Policy) -> Result<Vec<Place>, Error> {
    let mut found = Vec::new();
    for rule in &policy.network.unix_sockets {
        let failed = |source| Error::Survey { path: rule.value.clone(), source };
        match resolve(&rule.value) {
            Ok(socket) => found.push(socket.place(Some(rule.origin.clone()))),
            Err(error) if is_missing(&error) => {}
            Err(source) => return Err(failed(source)),
        }
    }
    Ok(found)
}

/// Finds the executable file as `execvp(3)` would, except that relative entries of PATH are skipped.
fn find_program(invocation: &Invocation, directory: &Path, policy: &Policy) -> Result<PathBuf, Error> {
    let command = invocation.argv.first().filter(|command| !command.is_empty()).ok_or(Error::CommandEmpty)?;
    if command.as_encoded_bytes().contains(&b'/') {
        let path = directory.join(command);
        let mut lexical = PathBuf::new();
        path.components().filter(|part| *part != Component::CurDir).for_each(|part| lexical.push(part));
        return check_program(lexical).map_err(|failure| failure.into_error(command));
    }
    let path_variable = policy.environment.set.get("PATH").map(|rule| OsString::from(&rule.value));
    let caller = invocation.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let search = path_variable.or(caller).unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut denied = None;
    for entry in std::env::split_paths(&search).filter(|entry| entry.is_absolute()) {
        match check_program(entry.join(command)) {
            Ok(path) => return Ok(path),
            Err(Unusable::Missing | Unusable::Unreachable) => {}
            Err(failure) => denied = Some(failure),
        }
    }
    Err(denied.unwrap_or(Unusable::Missing).into_error(command))
}

enum Unusable {
    Missing,
    /// A directory on the way cannot be searched, so that nobody knows.
    Unreachable,
    Not(PathBuf, String),
}

impl Unusable {
    fn into_error(self, command: &OsStr) -> Error {
        match self {
            Self::Missing | Self::Unreachable => {
                Error::CommandNotFound { command: command.to_string_lossy().into_owned() }
            }
            Self::Not(path, reason) => Error::CommandNotExecutable { path, reason },
        }
    }
}

fn check_program(path: PathBuf) -> Result<PathBuf, Unusable> {
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Err(Unusable::Not(path, "it is a directory".into())),
        Ok(metadata) if !metadata.is_file() => Err(Unusable::Not(path, "it is not a regular file".into())),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            Err(Unusable::Not(path, "it has no execute permission; run `chmod +x` on it".into()))
        }
        Ok(_) => Ok(path),
        Err(error) if is_missing(&error) => Err(Unusable::Missing),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Unusable::Unreachable),
        Err(error) => Err(Unusable::Not(path, error.to_string())),
    }
}

/// Whether a path is a socket.
fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}
