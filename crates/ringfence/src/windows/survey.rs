//! Looks at every path that a policy names, through handles.

use std::io;
use std::path::{Path, PathBuf};

use ringfence_ntsec::{AccessCheck, ObjectType, Token};
use ringfence_policy::{Origin, Policy, Protect};
use sha2::{Digest, Sha256};
use windows_sys::Win32::System::SystemServices::{FILE_PERSISTENT_ACLS, FILE_READ_ONLY_VOLUME};

use super::host::{self, plain};
use super::path::WindowsPath;
use super::search::{Lister, Search};
use super::sys::object::{Object, VolumeInformation, device_of, drive_type, kind};
use crate::facts::windows::{
    CacheTool, DeveloperCache, Directories, DriveKind, ObjectId, Program, Reached, ReparseKind, RunIdentity, Shell,
    Volume, WindowsFacts, WindowsPlace, WindowsSurvey,
};
use crate::git::{self, Repository};
use crate::survey::{Before, Watch};
use crate::{Error, Invocation, State};

/// Everything that a plan for Windows needs to know.
///
/// # Errors
///
/// A path of the policy that cannot be examined, a root that does not exist, a command that does not exist.
pub(crate) fn probe(policy: &Policy, invocation: &Invocation, state: &State) -> Result<WindowsFacts, Error> {
    let token = host::caller_token()?;
    let (host, mut directories) = host::cached(&token, state)?;
    directories.developer_caches = developer_caches(&directories, &invocation.environment);
    let survey = survey(policy, invocation, &token, &host.shells, &host.posix_runtimes)?;
    let identity = identity(policy, &survey, state)?;
    let caller = host::caller(token, directories)?;
    Ok(WindowsFacts { host, caller, survey, identity })
}

fn survey(
    policy: &Policy,
    invocation: &Invocation,
    token: &Token,
    shells: &[Shell],
    posix_runtimes: &[WindowsPath],
) -> Result<WindowsSurvey, Error> {
    let look = Look { token };
    let workspace = look.directory("workspace", &invocation.workspace)?;
    let directory = look.directory("working directory", &invocation.directory)?.path;
    let mut write: Vec<WindowsPlace> = Vec::new();
    for rule in &policy.filesystem.write {
        let failed = |source| Error::Root { what: "write", path: rule.value.clone(), source };
        let mut place = look.target(&rule.value).map_err(failed)?;
        place.origin = Some(rule.origin.clone());
        write.push(place);
    }
    write.sort_by(|a, b| a.path.cmp(&b.path));
    // A root inside of another adds nothing.
    let outer: Vec<WindowsPath> = write.iter().map(|root| root.path.clone()).collect();
    let mut seen = Vec::new();
    write.retain(|root| {
        let inside = outer.iter().any(|other| *other != root.path && root.path.is_in(other));
        let again = seen.contains(&root.object);
        seen.push(root.object);
        !inside && !again
    });
    let writable: Vec<WindowsPath> = write.iter().map(|root| root.path.clone()).collect();
    let program = program(policy, invocation, &directory, &writable, shells, posix_runtimes)?;
    let mut protected = Protected { look: &look, write, protect: Vec::new(), watch: Vec::new() };
    protected.find(policy)?;
    let Protected { write, protect, watch, .. } = protected;
    let between = between(&look, &write, &protect)?;
    Ok(WindowsSurvey { program, workspace, directory, write, protect, between, watch })
}

/// The SIDs of a run. That of the workspace depends on the roots and on what is protected in them: with others, what an
/// earlier run was granted is no part of this one.
fn identity(policy: &Policy, survey: &WindowsSurvey, state: &State) -> Result<RunIdentity, Error> {
    let mut rules = Sha256::new_with_prefix(b"ringfence grants 1\0");
    for root in &survey.write {
        rules.update(root.object.to_string());
        rules.update(b"\0");
    }
    let protect: Vec<&Protect> = policy.filesystem.protect.iter().map(|rule| &rule.value).collect();
    let encoded = serde_json::to_vec(&protect);
    rules.update(encoded.map_err(|source| Error::Encode { what: "the protect rules", source })?);
    host::identity(state, survey.workspace.object, &rules.finalize().into())
}

struct Look<'a> {
    token: &'a Token,
}

impl Look<'_> {
    fn directory(&self, what: &'static str, path: &Path) -> Result<WindowsPlace, Error> {
        let failed = |source| Error::Directory { what, path: path.to_owned(), source };
        let place = self.target(path).map_err(failed)?;
        if place.directory { Ok(place) } else { Err(failed(io::ErrorKind::NotADirectory.into())) }
    }

    /// What a path leads to.
    fn target(&self, path: &Path) -> io::Result<WindowsPlace> {
        self.place(path, &Object::look(path, false)?)
    }

    /// What is at a path, a link where it is one.
    fn itself(&self, path: &Path) -> io::Result<WindowsPlace> {
        self.place(path, &Object::look(path, true)?)
    }

    fn place(&self, asked: &Path, object: &Object) -> io::Result<WindowsPlace> {
        let path = WindowsPath::from_path(Path::new(&object.path))
            .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem.to_string()))?;
        let rights = object.rights.unwrap_or_else(|| match &object.descriptor {
            Some(descriptor) => AccessCheck::new(self.token, descriptor, ObjectType::File).maximum(),
            None => ringfence_ntsec::AccessMask::NONE,
        });
        Ok(WindowsPlace {
            asked: asked.to_owned(),
            object: ObjectId { volume: object.volume_serial, file: object.file_id },
            directory: object.is_directory,
            links: if object.is_directory { 1 } else { object.links },
            reparse: object.reparse.map_or(ReparseKind::None, reparse_kind),
            volume: volume(asked, &path, &object.volume),
            descriptor: object.descriptor.clone(),
            rights,
            origin: None,
            path,
        })
    }
}

/// What is protected inside the write roots.
struct Protected<'a> {
    look: &'a Look<'a>,
    write: Vec<WindowsPlace>,
    protect: Vec<WindowsPlace>,
    watch: Vec<Watch>,
}

impl Protected<'_> {
    fn find(&mut self, policy: &Policy) -> Result<(), Error> {
        for rule in &policy.filesystem.protect {
            match &rule.value {
                Protect::Path(path) => self.path(path, &rule.origin)?,
                Protect::Git => {
                    let directories = self.write.iter().filter(|root| root.directory);
                    let roots: Vec<PathBuf> = directories.map(|root| PathBuf::from(root.path.verbatim())).collect();
                    for root in roots {
                        self.git(&root, &rule.origin)?;
                    }
                }
            }
        }
        self.protect.sort_by(|a, b| a.path.cmp(&b.path));
        self.protect.dedup_by(|a, b| a.object == b.object);
        self.watch.sort_by(|a, b| a.path.cmp(&b.path));
        self.watch.dedup_by(|a, b| a.path == b.path);
        Ok(())
    }

    /// What a repository executes: hooks, configuration, gitfiles. A linked worktree's metadata lies outside of the
    /// workspace, so it becomes a write root of its own.
    fn git(&mut self, root: &Path, origin: &Origin) -> Result<(), Error> {
        let Some(repository) = Repository::find(root)? else {
            let entry = plain(&root.join(".git"))?.to_path_buf();
            self.watch.push(Watch { path: entry.clone(), before: Before::MissingOrDirectory });
            for name in git::NAMES_OF_A_NEW_REPOSITORY {
                self.watch.push(Watch { path: entry.join(name), before: Before::Missing });
            }
            return Ok(());
        };
        for path in repository.writable() {
            let failed = |source| Error::Root { what: "write", path: path.clone(), source };
            let mut place = self.look.target(&path).map_err(failed)?;
            if !self.is_writable(&place.path) {
                place.origin = Some(origin.clone());
                self.write.push(place);
            }
        }
        repository.protected().iter().try_for_each(|path| self.path(path, origin))
    }

    fn path(&mut self, path: &Path, origin: &Origin) -> Result<(), Error> {
        let failed = |source| Error::Survey { path: path.to_owned(), source };
        match self.look.itself(path) {
            Ok(place) if place.reparse == ReparseKind::None || place.reparse == ReparseKind::Cloud => {
                let is_root = self.write.iter().any(|root| root.object == place.object);
                if self.is_writable(&place.path) && !is_root {
                    self.protect.push(WindowsPlace { origin: Some(origin.clone()), ..place });
                }
            }
            // A link: what it leads to is protected, and that it leads there is compared afterwards.
            Ok(place) => {
                if !self.is_writable(&place.path) {
                    return Ok(());
                }
                let target = std::fs::read_link(path).map_err(failed)?;
                self.watch.push(Watch { path: place.path.to_path_buf(), before: Before::Symlink(target) });
                if let Ok(real) = std::fs::canonicalize(path)
                    && plain(&real)? != place.path
                {
                    self.path(&real, origin)?;
                }
            }
            Err(error) if is_missing(&error) => {
                let path = plain(path)?;
                if self.is_writable(&path) {
                    self.watch.push(Watch { path: path.to_path_buf(), before: Before::Missing });
                }
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }

    fn is_writable(&self, path: &WindowsPath) -> bool {
        self.write.iter().any(|root| path.is_in(&root.path))
    }
}

/// The directories between the write roots and what is protected in them.
fn between(look: &Look<'_>, write: &[WindowsPlace], protect: &[WindowsPlace]) -> Result<Vec<WindowsPlace>, Error> {
    let mut found: Vec<WindowsPlace> = Vec::new();
    for place in protect {
        let Some(root) = write.iter().find(|root| place.path.is_in(&root.path)) else {
            continue;
        };
        let mut directory = place.path.parent();
        while let Some(path) = directory.filter(|path| path.is_in(&root.path) && *path != root.path) {
            if !found.iter().any(|known| known.path == path) {
                let verbatim = PathBuf::from(path.verbatim());
                let failed = |source| Error::Survey { path: path.to_path_buf(), source };
                found.push(look.itself(&verbatim).map_err(failed)?);
            }
            directory = path.parent();
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn program(
    policy: &Policy,
    invocation: &Invocation,
    directory: &WindowsPath,
    writable: &[WindowsPath],
    shells: &[Shell],
    posix_runtimes: &[WindowsPath],
) -> Result<Program, Error> {
    let command = invocation.argv.first().ok_or(Error::CommandEmpty)?;
    let command = command.to_str().ok_or_else(|| Error::PathNotUtf8 { path: command.into() })?;
    let is_path = |name: &str| name.eq_ignore_ascii_case("PATH");
    let set = policy.environment.set.iter().find(|(name, _)| is_path(name)).map(|(_, rule)| rule.value.clone());
    let callers = invocation.environment.iter().find(|(name, _)| name.to_str().is_some_and(is_path));
    let search_path = set.or_else(|| callers.and_then(|(_, value)| value.to_str().map(str::to_owned)));
    let search = Search { path: search_path.as_deref().unwrap_or_default(), directory, writable };
    let found = search.find(command, &RealDisk)?;
    let shell = shells.iter().find(|shell| shell.path == found.path).map(|shell| shell.kind);
    // Programs of Git for Windows lie beside the runtime, or in the directory above it.
    let near = found.path.parent();
    let posix_runtime =
        near.is_some_and(|near| posix_runtimes.iter().any(|library| library.parent().is_some_and(|at| at == near)));
    Ok(Program { path: found.path, kind: found.kind, shell, posix_runtime })
}

/// Where programs are searched.
struct RealDisk;

impl Lister for RealDisk {
    fn file(&self, path: &WindowsPath) -> Option<ReparseKind> {
        let verbatim = PathBuf::from(path.verbatim());
        match kind(&verbatim) {
            Ok((tag, false)) => Some(tag.map_or(ReparseKind::None, reparse_kind)),
            _ => None,
        }
    }
}

fn reparse_kind(tag: u32) -> ReparseKind {
    use windows_sys::Win32::System::SystemServices as tags;
    /// All tags of cloud providers differ in these bits only (`IO_REPARSE_TAG_CLOUD_MASK`).
    const CLOUD_MASK: u32 = 0x0000_F000;
    match tag {
        tags::IO_REPARSE_TAG_MOUNT_POINT => ReparseKind::Junction,
        tags::IO_REPARSE_TAG_SYMLINK => ReparseKind::Symlink,
        tags::IO_REPARSE_TAG_APPEXECLINK => ReparseKind::StoreAlias,
        tag if tag & !CLOUD_MASK == tags::IO_REPARSE_TAG_CLOUD => ReparseKind::Cloud,
        tag => ReparseKind::Other { tag },
    }
}

fn volume(asked: &Path, path: &WindowsPath, seen: &VolumeInformation) -> Volume {
    use windows_sys::Win32::System::WindowsProgramming as drives;
    let drive = path.as_str().get(..2).filter(|_| !path.is_unc());
    let kind = drive.and_then(|drive| drive_type(&format!(r"{drive}\")).ok());
    let drive = match kind {
        _ if seen.is_remote || path.is_unc() => DriveKind::Remote,
        Some(drives::DRIVE_FIXED) => DriveKind::Fixed,
        Some(drives::DRIVE_REMOVABLE) => DriveKind::Removable,
        Some(drives::DRIVE_REMOTE) => DriveKind::Remote,
        Some(drives::DRIVE_CDROM) => DriveKind::Optical,
        Some(drives::DRIVE_RAMDISK) => DriveKind::Ram,
        _ => DriveKind::Unknown,
    };
    Volume {
        file_system: seen.file_system.clone(),
        persistent_acls: seen.flags & FILE_PERSISTENT_ACLS != 0,
        read_only: seen.flags & FILE_READ_ONLY_VOLUME != 0,
        drive,
        reached: reached(asked),
        dev_drive: seen.is_dev_drive,
    }
}

/// How the path as it was asked for leads to its volume.
fn reached(asked: &Path) -> Reached {
    let Ok(asked) = plain(asked) else {
        return Reached::Direct;
    };
    if asked.is_unc() {
        return Reached::Unc;
    }
    let Some(drive) = asked.as_str().get(..2) else {
        return Reached::Direct;
    };
    if drive_type(&format!(r"{drive}\"))
        .is_ok_and(|kind| kind == windows_sys::Win32::System::WindowsProgramming::DRIVE_REMOTE)
    {
        return Reached::Mapped;
    }
    match device_of(drive) {
        Ok(device) if device.to_string_lossy().starts_with(r"\??\") => Reached::Subst,
        _ => Reached::Direct,
    }
}

/// The caches that exist: where the tool's own variable says, else where the tool puts them.
fn developer_caches(
    directories: &Directories,
    environment: &[(std::ffi::OsString, std::ffi::OsString)],
) -> Vec<DeveloperCache> {
    let (profile, local) = (&directories.profile, &directories.local_app_data);
    let known = [
        (CacheTool::Nuget, "NUGET_PACKAGES", profile.join(r".nuget\packages")),
        (CacheTool::Npm, "npm_config_cache", local.join("npm-cache")),
        (CacheTool::Pip, "PIP_CACHE_DIR", local.join(r"pip\Cache")),
        (CacheTool::Cargo, "CARGO_HOME", profile.join(".cargo")),
        (CacheTool::Gradle, "GRADLE_USER_HOME", profile.join(".gradle")),
        (CacheTool::Go, "GOPATH", profile.join("go")),
    ];
    let caches = known.into_iter().filter_map(|(tool, variable, default)| {
        let named = environment.iter().find(|(name, _)| name.eq_ignore_ascii_case(variable));
        let named = named.and_then(|(_, value)| WindowsPath::from_path(Path::new(value)).ok());
        Some(DeveloperCache { tool, path: named.or(default.ok())? })
    });
    caches.filter(|cache| cache.path.to_path_buf().is_dir()).collect()
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
