//! What a Windows host can enforce, who asks, and what lies at the paths that a policy names.
//!
//! Probed through handles, never through names that could be swapped in between; a plan is a pure function of this.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use ringfence_ntsec::{AccessMask, SecurityDescriptor, Sid, Token, WriteReading};
use ringfence_policy::Origin;
use serde::{Deserialize, Serialize};

use crate::facts::FactRow;
use crate::survey::Watch;
use crate::windows::path::WindowsPath;

/// Everything that a plan for Windows needs to know beyond the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsFacts {
    /// What the host can enforce.
    pub host: WindowsHost,
    /// Who asks.
    pub caller: Caller,
    /// What lies at the paths that the policy names.
    pub survey: WindowsSurvey,
    /// The SIDs that are ringfence's own.
    pub identity: RunIdentity,
}

/// What a Windows host can enforce. It stays the same until the next boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsHost {
    /// Version of this format.
    pub version: u32,
    /// The boot that this was measured in; a reboot may bring another kernel or other settings.
    pub boot: String,
    /// The system's build.
    pub build: WindowsBuild,
    /// Logical processors; a processor limit is a share of them all.
    pub processors: u32,
    /// Whether this system enforces a finished token, as tried by starting a probe in one.
    pub self_check: SelfCheck,
    /// The shells that were found, also those that cannot be used.
    pub shells: Vec<Shell>,
    /// Runtimes of MSYS or Cygwin that are in the search path. Their programs make pipes with descriptors of their own,
    /// which name no restricting SID, and so fail in a restricted token.
    pub posix_runtimes: Vec<WindowsPath>,
    /// Places that Everyone may write.
    pub everyone_writable: Audit,
}

/// A build of Windows (`RtlGetVersion`, and UBR in the registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsBuild {
    /// Major version: 10 for Windows 10, 11 and the Servers since 2016.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Build number, which is what tells releases apart.
    pub build: u32,
    /// Update build revision, 0 where it is unknown.
    pub revision: u32,
    /// Whether it is a Server edition.
    pub server: bool,
}

/// The outcome of starting a probe in a finished token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SelfCheck {
    /// Not tried in this boot.
    NotMade,
    /// A step did not end as it must where the kernel enforces the token. Nothing may run.
    Failed {
        /// The step.
        step: String,
        /// What happened instead.
        why: String,
    },
    /// A write outside failed, a write inside succeeded, and a child process, a pipe and a desktop worked.
    Passed {
        /// Which rights of files WRITE_RESTRICTED covers on this system.
        reading: Reading,
        /// Whether the caller may make a window station of its own; otherwise the desktop stands in the caller's.
        window_station: bool,
    },
}

/// Which rights WRITE_RESTRICTED covers, as it was measured: [`WriteReading`] in a form that is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// [`WriteReading::Narrow`].
    Narrow,
    /// [`WriteReading::Reported`].
    Reported,
    /// [`WriteReading::Wide`].
    Wide,
}

/// A shell or interpreter that commands commonly start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    /// What it is.
    pub kind: ShellKind,
    /// The executable; for a Store alias what the alias leads to, where that could be read.
    pub path: WindowsPath,
    /// Whether it can be started in a restricted token.
    pub state: ShellState,
}

/// Kinds of shells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShellKind {
    /// `cmd.exe`.
    Cmd,
    /// `powershell.exe`, Windows PowerShell 5.1.
    WindowsPowershell,
    /// `pwsh.exe`, PowerShell 7 and later.
    Powershell,
    /// `bash.exe` of Git for Windows, MSYS2 or Cygwin.
    PosixBash,
    /// `bash.exe` or `wsl.exe` of the Windows Subsystem for Linux.
    Wsl,
}

/// Whether a shell can be started in a restricted token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ShellState {
    /// It was found and not tried.
    Found,
    /// It started in the narrow token.
    Starts,
    /// It started only with Everyone among the restricting SIDs.
    NeedsEveryone,
    /// It is not used.
    Skipped {
        /// Why, for example: a Store alias, which no restricted token can start.
        reason: String,
    },
}

/// A bounded search for places that Everyone may write outside of the write roots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// What was found.
    pub places: Vec<EveryonePlace>,
    /// How many objects were looked at; 0 if the search was not made.
    pub looked_at: u32,
    /// Whether the search reached the end of what it set out to look at. Where it did not, there may be more places.
    pub complete: bool,
}

/// A place that Everyone may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EveryonePlace {
    /// Where it is.
    pub path: WindowsPath,
    /// The rights that Everyone has there and that write.
    pub rights: AccessMask,
}

/// The token that ringfence runs in, and the directories of its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// User, groups (the logon SID among them), privileges, integrity level, and restricting SIDs if it has some already.
    #[serde(with = "token_lines")]
    pub token: Token,
    /// The kind of token (`TokenElevationType`).
    pub elevation: Elevation,
    /// The session (`TokenSessionId`); services, scheduled tasks and remote shells run in session 0, without a desktop.
    pub session: u32,
    /// Where the user's and the system's directories are.
    pub directories: Directories,
}

/// What user account control made of a token (`TOKEN_ELEVATION_TYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Elevation {
    /// There is no other token of this logon.
    Default,
    /// An administrator's token with the powers taken out.
    Limited,
    /// An administrator's full token.
    Full,
}

/// Known folders (`SHGetKnownFolderPath`), not variables of the environment, which anybody may have set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directories {
    /// `C:\Windows`.
    pub system_root: WindowsPath,
    /// `C:\ProgramData`.
    pub program_data: WindowsPath,
    /// `C:\Program Files` and its like.
    pub program_files: Vec<WindowsPath>,
    /// The user's profile.
    pub profile: WindowsPath,
    /// `AppData\Local`.
    pub local_app_data: WindowsPath,
    /// `AppData\Roaming`.
    pub roaming_app_data: WindowsPath,
    /// The user's temporary directory.
    pub temporary: WindowsPath,
    /// ringfence's state: ledger, receipts, host facts.
    pub state: WindowsPath,
    /// Where a run gets a temporary directory of its own and a workspace its cache: on a volume with persistent ACLs.
    pub private: WindowsPath,
    /// The homes of package managers, where they exist.
    pub developer_caches: Vec<DeveloperCache>,
}

/// The directory in which a package manager keeps what it downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeveloperCache {
    /// Which.
    pub tool: CacheTool,
    /// Where it is for this user: from the tool's own variable where the policy passes it, else the tool's default.
    pub path: WindowsPath,
}

/// Package managers whose caches are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheTool {
    /// NuGet, of .NET.
    Nuget,
    /// npm, of Node.js.
    Npm,
    /// pip, of Python.
    Pip,
    /// Cargo, of Rust.
    Cargo,
    /// Gradle, of the JVM.
    Gradle,
    /// Go's module and build caches.
    Go,
}

/// The paths of one run, as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsSurvey {
    /// The program.
    pub program: Program,
    /// The project.
    pub workspace: WindowsPlace,
    /// Where the command starts.
    pub directory: WindowsPath,
    /// The write roots, and what a linked git worktree needs besides.
    pub write: Vec<WindowsPlace>,
    /// Protected objects that exist inside the write roots, `@git` resolved.
    pub protect: Vec<WindowsPlace>,
    /// Directories on the way from a write root to a protected object, both excluded: renaming one would take the protected
    /// name away from under its ACE.
    pub between: Vec<WindowsPlace>,
    /// Protected names that do not exist, or are links: compared after the run.
    pub watch: Vec<Watch>,
}

/// The executable of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The file, absolute: found in the PATH that the policy passes, never in the workspace or the current directory.
    pub path: WindowsPath,
    /// How it is started.
    pub kind: ProgramKind,
    /// Which shell it is, if one.
    pub shell: Option<ShellKind>,
    /// Whether it loads a runtime of MSYS or Cygwin.
    pub posix_runtime: bool,
}

/// How a program file is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramKind {
    /// By the system: `.exe` and `.com`.
    Executable,
    /// By `cmd.exe`: `.bat` and `.cmd`.
    Batch,
}

/// A file or directory, opened without following its last component if it is a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsPlace {
    /// The path that the policy or the caller named.
    pub asked: PathBuf,
    /// The path that the handle has (`GetFinalPathNameByHandleW`): links resolved, 8.3 names expanded, drives of SUBST
    /// replaced.
    pub path: WindowsPath,
    /// Which object it is.
    pub object: ObjectId,
    /// Whether it is a directory.
    pub directory: bool,
    /// How many names the file has; 1 for a directory.
    pub links: u32,
    /// What stands between the name and a plain file or directory.
    pub reparse: ReparseKind,
    /// The volume that it lies on.
    pub volume: Volume,
    /// Owner, group and DACL; absent where the caller has no READ_CONTROL.
    pub descriptor: Option<SecurityDescriptor>,
    /// The rights that the caller has on it (`MAXIMUM_ALLOWED`); WRITE_DAC is needed to grant anything.
    pub rights: AccessMask,
    /// Which line of the policy asks for it.
    pub origin: Option<Origin>,
}

/// Identifies an object on this machine: `FILE_ID_INFO`
/// (<https://learn.microsoft.com/windows/win32/api/winbase/ns-winbase-file_id_info>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId {
    /// Serial number of the volume, 64 bits.
    pub volume: u64,
    /// Id of the file on it, 128 bits.
    pub file: u128,
}

/// What a path's last component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReparseKind {
    /// A plain file or directory.
    None,
    /// A junction, or the mount point of a volume.
    Junction,
    /// A symbolic link.
    Symlink,
    /// A placeholder of a cloud provider, whose content may be elsewhere.
    Cloud,
    /// An app execution alias of the Store.
    StoreAlias,
    /// Another reparse point; its tag says whose.
    Other {
        /// `IO_REPARSE_TAG_…`.
        tag: u32,
    },
}

/// A volume, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The file system's name: `NTFS`, `ReFS`, `exFAT`.
    pub file_system: String,
    /// Whether it keeps descriptors (`FILE_PERSISTENT_ACLS`).
    pub persistent_acls: bool,
    /// Whether it cannot be written at all.
    pub read_only: bool,
    /// What kind of drive it is (`GetDriveTypeW` and `FILE_REMOTE_DEVICE`).
    pub drive: DriveKind,
    /// How the path that was asked for leads to it.
    pub reached: Reached,
    /// Whether it is a Dev Drive: ReFS, on which filters may be off.
    pub dev_drive: bool,
}

/// Kinds of drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriveKind {
    /// Built in.
    Fixed,
    /// Can be taken out; its file ids and descriptors go with it.
    Removable,
    /// On another machine.
    Remote,
    /// An optical drive.
    Optical,
    /// In memory.
    Ram,
    /// Windows does not say.
    Unknown,
}

/// Ways to a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reached {
    /// By the drive letter that is its own, or a folder that it is mounted in.
    Direct,
    /// By a letter that SUBST made; it exists in one logon session only and can be pointed elsewhere by its user.
    Subst,
    /// By a letter that is mapped to a share.
    Mapped,
    /// By `\\server\share`.
    Unc,
}

/// The SIDs that are ringfence's own, derived before the plan is made, so that plans are pure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Stands for this workspace with exactly these write roots and protect rules ([`Sid::ringfence_workspace`]). It is another
    /// one for other roots, so that what an earlier run was granted is no part of this one.
    pub workspace: Sid,
    /// Stands for this execution alone ([`Sid::ringfence_run`]).
    pub run: Sid,
    /// The execution's id, as in the receipt: 32 hexadecimal digits.
    pub id: String,
}

impl Directories {
    /// The variables that Windows itself makes of these folders.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        [
            ("SystemRoot", &self.system_root),
            ("ProgramData", &self.program_data),
            ("USERPROFILE", &self.profile),
            ("LOCALAPPDATA", &self.local_app_data),
            ("APPDATA", &self.roaming_app_data),
            ("TEMP", &self.temporary),
            ("TMP", &self.temporary),
        ]
        .map(|(name, path)| (name.into(), path.as_str().into()))
        .into()
    }
}

impl WindowsFacts {
    /// The facts as lines for people.
    pub fn rows(&self) -> Vec<FactRow> {
        let mut rows = self.host.rows();
        let row = |name, available, detail: String| FactRow { name, available, detail };
        let token = &self.caller.token;
        let kind = match self.caller.elevation {
            Elevation::Default => "an ordinary user's",
            Elevation::Limited => "an administrator's, without the powers",
            Elevation::Full => "an administrator's, with all powers; commands get none of them",
        };
        let (usable, detail) = if token.lowbox().is_some() {
            (false, "it belongs to an AppContainer".to_owned())
        } else if token.restricting().is_some() {
            (false, "it is restricted already, as inside another sandbox".to_owned())
        } else {
            (true, format!("{kind}, in session {}", self.caller.session))
        };
        rows.push(row("your token", usable, detail));
        for root in &self.survey.write {
            let volume = &root.volume;
            let acls = if volume.persistent_acls { "keeps permissions" } else { "keeps no permissions" };
            rows.push(row(
                "write root",
                volume.persistent_acls,
                format!("{}: {}, {acls}", root.path, volume.file_system),
            ));
        }
        rows
    }
}

impl WindowsHost {
    /// The facts as lines for people.
    pub fn rows(&self) -> Vec<FactRow> {
        let row = |name, available, detail: String| FactRow { name, available, detail };
        let mut rows = vec![row("system", true, format!("Windows {}", self.build))];
        let (held, detail) = match &self.self_check {
            SelfCheck::NotMade => (false, "not tried in this boot".to_owned()),
            SelfCheck::Failed { step, why } => (false, format!("{step}: {why}")),
            SelfCheck::Passed { reading, .. } => match reading {
                Reading::Narrow => (false, "deleting and changing permissions are not covered".to_owned()),
                Reading::Reported => (true, "all writes but FILE_DELETE_CHILD are covered".to_owned()),
                Reading::Wide => (true, "all writes are covered".to_owned()),
            },
        };
        rows.push(row("write-restricted token", held, detail));
        if let SelfCheck::Passed { window_station, .. } = self.self_check {
            let detail = if window_station { "of its own" } else { "commands share yours" };
            rows.push(row("window station", window_station, detail.to_owned()));
        }
        for shell in &self.shells {
            let (starts, detail) = match &shell.state {
                ShellState::Found => (true, "not tried".to_owned()),
                ShellState::Starts => (true, "starts".to_owned()),
                ShellState::NeedsEveryone => (false, "starts only with Everyone as a restricting SID".to_owned()),
                ShellState::Skipped { reason } => (false, reason.clone()),
            };
            rows.push(row("shell", starts, format!("{}: {detail}", shell.path)));
        }
        if !self.posix_runtimes.is_empty() {
            let runtimes: Vec<&str> = self.posix_runtimes.iter().map(WindowsPath::as_str).collect();
            let detail = format!("{}: its programs mostly do not start in a restricted token", runtimes.join(", "));
            rows.push(row("MSYS or Cygwin", false, detail));
        }
        let audit = &self.everyone_writable;
        if audit.looked_at > 0 {
            let end = if audit.complete { "" } else { "; the search did not reach its end" };
            let found = match audit.places.as_slice() {
                [] => "nothing outside".to_owned(),
                places => places.iter().map(|place| place.path.as_str()).collect::<Vec<_>>().join(", "),
            };
            rows.push(row("Everyone may write", audit.places.is_empty() && audit.complete, format!("{found}{end}")));
        }
        // Stated for every machine: it is what the tier is.
        rows.push(row("hidden files", false, "a write-restricted token reads what you can read".to_owned()));
        rows.push(row("network", false, "a write-restricted token may open connections as you may".to_owned()));
        rows
    }

    /// The version of the record in the state directory.
    pub const VERSION: u32 = 1;

    /// Measures the host now, whatever was measured before, and remembers it for this boot.
    ///
    /// # Errors
    ///
    /// [`crate::Error::State`] if it cannot be written down; what asking the system answers.
    #[cfg(windows)]
    pub fn measure(state: &crate::State) -> Result<Self, crate::Error> {
        crate::windows::host::measured(state)
    }

    /// The measured reading, if there is one.
    pub fn reading(&self) -> Option<Reading> {
        match self.self_check {
            SelfCheck::Passed { reading, .. } => Some(reading),
            SelfCheck::NotMade | SelfCheck::Failed { .. } => None,
        }
    }
}

impl From<Reading> for WriteReading {
    fn from(reading: Reading) -> Self {
        match reading {
            Reading::Narrow => Self::Narrow,
            Reading::Reported => Self::Reported,
            Reading::Wide => Self::Wide,
        }
    }
}

impl From<WriteReading> for Reading {
    fn from(reading: WriteReading) -> Self {
        match reading {
            WriteReading::Narrow => Self::Narrow,
            WriteReading::Reported => Self::Reported,
            WriteReading::Wide => Self::Wide,
        }
    }
}

impl fmt::Display for WindowsBuild {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edition = if self.server { " (Server)" } else { "" };
        write!(out, "{}.{}.{}.{}{edition}", self.major, self.minor, self.build, self.revision)
    }
}

/// `0123456789abcdef:00000000000000000000000000000abc`: JSON has no numbers of 128 bits.
impl fmt::Display for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}:{:032x}", self.volume, self.file)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(volume, file)| {
            Some(Self { volume: u64::from_str_radix(volume, 16).ok()?, file: u128::from_str_radix(file, 16).ok()? })
        });
        parts.ok_or_else(|| format!("`{text}` is not VOLUME:FILE in hexadecimal"))
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

/// A token as the lines of its description ([`Token`]'s text form).
mod token_lines {
    use ringfence_ntsec::Token;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
        token.to_string().lines().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Token, D::Error> {
        Vec::<String>::deserialize(deserializer)?.join("\n").parse().map_err(serde::de::Error::custom)
    }
}
