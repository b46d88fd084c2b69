//! Measures what this Windows, with these settings, lets this user do, once per boot.

use std::io;
use std::path::{Path, PathBuf};

use ringfence_ntsec::{AccessMask, SecurityDescriptor, Sid, Token, well_known};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::path::WindowsPath;
use super::self_check::Observations;
use super::self_check::outside::{self, Plans};
use super::sys;
use super::sys::folders::{Folder, Folders};
use super::sys::token::SystemToken;
use crate::facts::windows::{
    Audit, Caller, Directories, Elevation, ObjectId, RunIdentity, SelfCheck, Shell, ShellKind, ShellState,
    WindowsBuild, WindowsHost,
};
use crate::plan::windows::containment;
use crate::{Error, State};

/// What is remembered in the state directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    host: WindowsHost,
    directories: Directories,
    /// What the self-check saw, for whoever wants to know why.
    observations: Option<Observations>,
    /// The user that it was measured as.
    user: Sid,
    /// The program that measured it, by its version.
    program: String,
}

/// The host and the user's directories, as they were measured in this boot by this user, or measured now.
///
/// A failed self-check is remembered too: it refuses every run, so that nothing is lost by its being out of date, and
/// `ringfence doctor` measures anew.
///
/// # Errors
///
/// [`Error::State`] if the record cannot be written; what asking the system answers.
pub(crate) fn cached(caller: &Token, state: &State) -> Result<(WindowsHost, Directories), Error> {
    let record = match remembered(caller, state)? {
        Some(record) => record,
        None => measure(caller, state)?,
    };
    Ok((record.host, record.directories))
}

/// The host, measured now and remembered.
///
/// # Errors
///
/// As [`cached`].
pub(crate) fn measured(state: &State) -> Result<WindowsHost, Error> {
    measure(&caller_token()?, state).map(|record| record.host)
}

/// The token of this process as plain data.
pub(crate) fn caller_token() -> Result<Token, Error> {
    SystemToken::of_process().and_then(|token| token.read()).map_err(Error::system("reading this process's token"))
}

/// Who asks.
pub(crate) fn caller(token: Token, directories: Directories) -> Result<Caller, Error> {
    let system_token = SystemToken::of_process().map_err(Error::system("opening this process's token"))?;
    let elevation = match system_token.elevation().map_err(Error::system("asking for the kind of token"))? {
        2 => Elevation::Full,
        3 => Elevation::Limited,
        _ => Elevation::Default,
    };
    let session = system_token.session().map_err(Error::system("asking for the session"))?;
    Ok(Caller { token, elevation, session, directories })
}

fn path(state: &State) -> PathBuf {
    state.file("windows-host.json")
}

fn boot() -> Result<String, Error> {
    sys::host::boot_time().map(|time| format!("{time:016x}")).map_err(Error::system("asking when the system started"))
}

fn remembered(caller: &Token, state: &State) -> Result<Option<Record>, Error> {
    let Ok(bytes) = std::fs::read(path(state)) else {
        return Ok(None);
    };
    let boot = boot()?;
    let record = serde_json::from_slice::<Record>(&bytes).ok().filter(|record| {
        record.host.version == WindowsHost::VERSION
            && record.host.boot == boot
            && record.user == *caller.user()
            && record.program == env!("CARGO_PKG_VERSION")
            // A program that cannot be the probe measured nothing, and another may be able to.
            && record.host.self_check != SelfCheck::NotMade
    });
    Ok(record)
}

fn measure(caller: &Token, state: &State) -> Result<Record, Error> {
    let directories = directories(state)?;
    let plans = plans(caller)?;
    let checked = outside::check(&plans, caller.user(), state)?;
    let shells = match checked.outcome {
        SelfCheck::Passed { .. } => shells(&directories, |kind, path| outside::try_shell(&plans, kind, path)),
        // Nothing is learnt from a token that is not enforced.
        _ => shells(&directories, |kind, path| Shell { kind, path, state: ShellState::Found }),
    };
    let needed = shells.iter().any(|shell| shell.state == ShellState::NeedsEveryone);
    let (major, minor, build) = sys::host::version().map_err(Error::system("asking for the system's version"))?;
    let host = WindowsHost {
        version: WindowsHost::VERSION,
        boot: boot()?,
        build: WindowsBuild { major, minor, build, revision: 0, server: false },
        processors: std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
        self_check: checked.outcome,
        shells,
        posix_runtimes: posix_runtimes(),
        everyone_writable: if needed { audit(&directories) } else { Audit::default() },
    };
    let record = Record {
        host,
        directories,
        observations: checked.observations,
        user: *caller.user(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let bytes = serde_json::to_vec(&record).map_err(|source| Error::Encode { what: "the host's facts", source })?;
    crate::state::replace(&path(state), &bytes)?;
    Ok(record)
}

fn directories(state: &State) -> Result<Directories, Error> {
    let folders = Folders::load().map_err(Error::system("loading the shell's library"))?;
    let known = |folder| -> Result<WindowsPath, Error> {
        let path = folders.path(folder).map_err(Error::system("asking for a known folder"))?;
        plain(Path::new(&path))
    };
    let profile = known(Folder::Profile)?;
    let local_app_data = known(Folder::LocalAppData)?;
    // A 64-bit system has both, another one only the first.
    let program_files =
        [Folder::ProgramFiles, Folder::ProgramFilesX86].into_iter().filter_map(|folder| known(folder).ok());
    let mut program_files: Vec<WindowsPath> = program_files.collect();
    program_files.dedup();
    let state = plain(state.directory())?;
    let below = |directory: &WindowsPath, name: &str| {
        directory.join(name).map_err(|_| Error::PathNotUtf8 { path: directory.to_path_buf() })
    };
    Ok(Directories {
        system_root: known(Folder::Windows)?,
        program_data: known(Folder::ProgramData)?,
        program_files,
        temporary: below(&local_app_data, "Temp")?,
        private: below(&state, "private")?,
        roaming_app_data: known(Folder::RoamingAppData)?,
        developer_caches: Vec::new(),
        profile,
        local_app_data,
        state,
    })
}

/// The plans of a sandbox for the self-check: those of a run, for SIDs that nothing else names.
fn plans(caller: &Token) -> Result<Plans, Error> {
    let random = || sys::host::random::<16>().map_err(Error::system("reading random bytes"));
    let run = random()?;
    let identity = RunIdentity {
        workspace: Sid::ringfence_run(&random()?),
        run: Sid::ringfence_run(&run),
        id: crate::plan::hex(&run),
    };
    let (token, job, desktop) = containment(caller, &identity, false);
    let (token_with_everyone, ..) = containment(caller, &identity, true);
    Ok(Plans { workspace: identity.workspace, token, token_with_everyone, job, desktop })
}

/// The shells that are there, each tried.
fn shells(directories: &Directories, try_one: impl Fn(ShellKind, WindowsPath) -> Shell) -> Vec<Shell> {
    let system = &directories.system_root;
    let mut candidates = vec![
        (ShellKind::Cmd, system.join(r"System32\cmd.exe")),
        (ShellKind::WindowsPowershell, system.join(r"System32\WindowsPowerShell\v1.0\powershell.exe")),
        (ShellKind::Wsl, system.join(r"System32\wsl.exe")),
    ];
    for programs in &directories.program_files {
        candidates.push((ShellKind::Powershell, programs.join(r"PowerShell\7\pwsh.exe")));
        candidates.push((ShellKind::PosixBash, programs.join(r"Git\bin\bash.exe")));
    }
    let existing = candidates.into_iter().filter_map(|(kind, path)| {
        let path = path.ok()?;
        path.to_path_buf().is_file().then_some((kind, path))
    });
    existing.map(|(kind, path)| try_one(kind, path)).collect()
}

/// The runtimes of MSYS and Cygwin in the search path, or where Git for Windows keeps its own beside the directory that is
/// in it.
fn posix_runtimes() -> Vec<WindowsPath> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = Vec::new();
    for entry in std::env::split_paths(&path).filter(|entry| entry.is_absolute()) {
        for place in [entry.clone(), entry.join(r"..\usr\bin")] {
            for library in ["msys-2.0.dll", "cygwin1.dll"] {
                let library = place.join(library);
                if library.is_file()
                    && let Some(path) = std::fs::canonicalize(&library).ok().and_then(|path| plain(&path).ok())
                    && !found.contains(&path)
                {
                    found.push(path);
                }
            }
        }
    }
    found
}

/// Looks for directories that Everyone may write: the search path, and what lies below the system drive, the common
/// profile and the program data. Bounded, so that a large disk cannot hold up a start.
fn audit(directories: &Directories) -> Audit {
    const MOST: u32 = 4096;
    let mut places: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let drive = directories.system_root.parent().map(|root| root.to_path_buf());
    let common =
        directories.profile.parent().and_then(|users| users.join("Public").ok()).map(|path| path.to_path_buf());
    for directory in
        [drive, common, Some(directories.program_data.to_path_buf()), Some(directories.system_root.to_path_buf())]
            .into_iter()
            .flatten()
    {
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        places.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
        places.push(directory);
    }
    let mut audit = Audit { complete: true, ..Audit::default() };
    for place in places {
        if audit.looked_at >= MOST {
            audit.complete = false;
            break;
        }
        audit.looked_at += 1;
        let Ok(descriptor) = sys::files::descriptor(&place) else {
            continue;
        };
        let rights = everyones_writes(&descriptor);
        if !rights.is_empty()
            && let Ok(path) = plain(&place)
        {
            audit.places.push(crate::facts::windows::EveryonePlace { path, rights });
        }
    }
    audit
}

/// The rights that write and that a descriptor grants to Everyone.
fn everyones_writes(descriptor: &SecurityDescriptor) -> AccessMask {
    let everyone = Token::builder(well_known::EVERYONE).build();
    let writes = AccessMask(0x0000_0156) | AccessMask::DELETE | AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER;
    let check = ringfence_ntsec::AccessCheck::new(&everyone, descriptor, ringfence_ntsec::ObjectType::File);
    let each = (0..32).map(|bit| AccessMask(1 << bit)).filter(|bit| writes.contains(*bit));
    each.filter(|bit| check.allows(*bit)).fold(AccessMask::NONE, |all, bit| all | bit)
}

/// The SIDs and the id of a run on a workspace.
///
/// `rules` stands for the roots and for what is protected in them.
pub(crate) fn identity(state: &State, workspace: ObjectId, rules: &[u8; 32]) -> Result<RunIdentity, Error> {
    let random = sys::host::random::<16>().map_err(Error::system("reading random bytes"))?;
    let secret: [u8; 32] = Sha256::new().chain_update(secret(state)?).chain_update(rules).finalize().into();
    Ok(RunIdentity {
        workspace: Sid::ringfence_workspace(&secret, workspace.volume, workspace.file),
        run: Sid::ringfence_run(&random),
        id: crate::plan::hex(&random),
    })
}

/// The secret that workspaces' SIDs are derived from, made at its first use.
fn secret(state: &State) -> Result<[u8; 32], Error> {
    let path = state.file("machine-secret");
    let failed = |source| Error::State { path: path.clone(), source };
    let read = || std::fs::read(&path).and_then(|bytes| <[u8; 32]>::try_from(bytes).map_err(|_| damaged()));
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map_err(failed),
    }
    let fresh: [u8; 32] = sys::host::random().map_err(Error::system("reading random bytes"))?;
    let temporary = state.file(&format!("machine-secret.{}", crate::plan::hex(&fresh[..8])));
    std::fs::write(&temporary, fresh).map_err(failed)?;
    // Another run may make one at the same moment: the first wins, and both use that one.
    let linked = std::fs::hard_link(&temporary, &path);
    std::fs::remove_file(&temporary).map_err(failed)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => read().map_err(failed),
    }
}

/// A secret that were made anew would orphan every grant on disk: that is for the user to decide.
fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not 32 bytes; revoke all grants and remove it")
}

/// A path of this system in the form that plans hold.
pub(crate) fn plain(path: &Path) -> Result<WindowsPath, Error> {
    let unusable = |problem: ringfence_policy::PathError| Error::Survey {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, problem.to_string()),
    };
    WindowsPath::from_path(path).map_err(unusable)
}
