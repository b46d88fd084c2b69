//! The one error type of the engine.

use std::path::PathBuf;

use ringfence_policy::RuleId;

use crate::plan::windows::{CallerProblem, RootProblem};

/// What went wrong, where, and what to do about it.
///
/// Every variant is one failing operation. [`Error::code`] is stable across releases; the text is for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No command was given.
    #[error("no command was given; write it after `--`, as in `ringfence run -- make`")]
    CommandEmpty,
    /// The command names no file that exists.
    #[error("`{command}` was not found; give a path, or a name that is in the PATH which the policy passes")]
    CommandNotFound {
        /// The command as it was asked for.
        command: String,
    },
    /// The command names a file that cannot be executed.
    #[error("`{}` cannot be executed: {reason}", path.display())]
    CommandNotExecutable {
        /// The file that was found.
        path: PathBuf,
        /// What keeps it from being executed.
        reason: String,
    },
    /// A string that is handed to the kernel contains a NUL byte.
    #[error("{what} contains a NUL byte, which no program can be given; remove it")]
    NulByte {
        /// Which string.
        what: String,
    },
    /// The arguments cannot be written as a command line of Windows.
    #[error("the command line cannot be made: {why}; shorten it, or write the arguments into a file")]
    CommandLine {
        /// Why not.
        why: String,
    },
    /// An argument of a batch file holds what `cmd.exe` would read as something else.
    #[error(
        "argument {index} of the batch file holds {why}; change it, or start the program that the batch file starts"
    )]
    BatchArgument {
        /// Which argument; 0 is the batch file's own name.
        index: usize,
        /// What it holds, and what that would do.
        why: &'static str,
    },
    /// A variable cannot be in an environment of Windows.
    #[error("the variable `{name}` cannot be passed: {why}; take it out of `environment.pass` and `environment.set`")]
    Variable {
        /// Its name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A path of the plan is not valid UTF-8, so that no receipt could name it.
    #[error("`{}` is not valid UTF-8; rename it, since a receipt must be able to name it", path.display())]
    PathNotUtf8 {
        /// The path, shown with replacement characters.
        path: PathBuf,
    },
    /// The workspace or the working directory cannot be used.
    #[error("the {what} `{}` cannot be used: {source}", path.display())]
    Directory {
        /// `workspace` or `working directory`.
        what: &'static str,
        /// Which directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A write or read root of the policy cannot be used.
    #[error("the {what} root `{}` cannot be used: {source}; create it or take it out of the policy", path.display())]
    Root {
        /// `write` or `read`.
        what: &'static str,
        /// Which root.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A write root is refused by design.
    #[error("`{}` is refused as a write root: {reason}; choose a directory inside it", path.display())]
    RootRefused {
        /// The root, after symbolic links were resolved.
        path: PathBuf,
        /// Why it is refused.
        reason: String,
    },
    /// A write root lies where Windows could not hold it, or where a grant would do harm.
    #[error("`{}` cannot be a write root: {problem}", path.display())]
    RootUnfit {
        /// The root, as the policy or the caller names it.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: RootProblem,
    },
    /// The token of the caller cannot be restricted in a way that works.
    #[error("no token for the command can be made of yours: {problem}")]
    Caller {
        /// Why not, and what to do.
        problem: CallerProblem,
    },
    /// A path of the plan is no longer the object that the plan was made for.
    #[error("`{}` changed between the plan and the run; nothing was started, run again", path.display())]
    RootChanged {
        /// The path.
        path: PathBuf,
    },
    /// A path that the policy protects or hides cannot be examined.
    #[error("`{}` is named by the policy but cannot be examined: {source}", path.display())]
    Survey {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There are more paths under a rule than the mechanism can carry.
    #[error("{what} needs {count} entries, more than the {limit} that can be enforced; narrow the rule")]
    TooMany {
        /// What is too large.
        what: &'static str,
        /// How many it would be.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A rule would not be enforced as strongly as the policy requires.
    #[error(
        "`{rule}` would not be enforced by the kernel: {why}; accept it with `--accept-degraded {rule}`{}",
        alternative.as_deref().map(|text| format!(", {text}")).unwrap_or_default()
    )]
    NotEnforced {
        /// The rule.
        rule: RuleId,
        /// Why it would be advisory or absent.
        why: String,
        /// Another way on, where there is one.
        alternative: Option<String>,
    },
    /// The policy asks for something that this build cannot do at all.
    #[error("{what} is not supported here: {advice}")]
    Unsupported {
        /// What was asked.
        what: String,
        /// What to do instead.
        advice: String,
    },
    /// No mechanism of this host can confine a command.
    #[error("this host offers no mechanism that confines a command: {why}; `ringfence doctor` lists the reasons")]
    NoMechanism {
        /// The reasons, one per mechanism.
        why: String,
    },
    /// A step of building the sandbox failed; the command was not started.
    #[error("the sandbox could not be built: {step} failed: {source}; nothing was started (see `ringfence doctor`)")]
    Sandbox {
        /// The step, with its path where it has one.
        step: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An operating system call of the supervisor failed.
    #[error("{operation} failed: {source}")]
    System {
        /// The operation.
        operation: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The state directory cannot be used.
    #[error("the state directory `{}` cannot be used: {source}; set RINGFENCE_STATE_DIR to a directory of your own", path.display())]
    State {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The state directory is one that others, or the command, could write.
    #[error("the state directory `{}` cannot be trusted: {reason}", path.display())]
    StateUntrusted {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The receipt could not be written.
    #[error("the receipt cannot be written to `{}`: {source}; make room, or set RINGFENCE_STATE_DIR", path.display())]
    Receipt {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The egress proxy of the run could not be started; the command was ended.
    #[error("the way out of the run could not be opened: {source}; nothing is left running")]
    Egress {
        /// What the proxy said.
        source: ringfence_egress::EgressError,
    },
    /// The credentials of the upstream proxy cannot be read.
    #[error("the credentials of the upstream proxy cannot be read from `{}`: {source}; correct RINGFENCE_UPSTREAM_CREDENTIALS_FILE", path.display())]
    UpstreamCredentials {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A plan or a receipt could not be turned into JSON, or back.
    #[error("{what} could not be encoded: {source}")]
    Encode {
        /// What.
        what: &'static str,
        /// The encoder's reason.
        source: serde_json::Error,
    },
    /// Something that a rule protects appeared during the run and could not be moved away.
    #[error("`{}` appeared during the run and could not be quarantined: {source}; inspect it before any tool of yours reads it", path.display())]
    Quarantine {
        /// The path that appeared.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A call on a file or directory whose permissions are edited failed.
    #[error("`{}`: {source}", path.display())]
    Disk {
        /// The file or directory.
        path: PathBuf,
        /// The call and what the kernel said.
        source: crate::windows::disk::DiskError,
    },
    /// Another process is editing permissions, and did not finish in the time that this one waits.
    #[error("another ringfence is still editing permissions after {} seconds; wait for it and run again", waited.as_secs())]
    GrantsBusy {
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// Editing permissions was interrupted before it was complete.
    #[error("editing the permissions below `{}` was interrupted; run the same again to go on", path.display())]
    GrantsInterrupted {
        /// The root.
        path: PathBuf,
    },
    /// The ledger was written by a newer release.
    #[error("`{}` was written by a newer ringfence (format {version}); use that one", path.display())]
    LedgerVersion {
        /// The ledger.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
}

impl Error {
    /// Every code that [`Error::code`] can return, for the documentation's completeness test.
    pub const CODES: &[&str] = &[
        "command-empty",
        "command-not-found",
        "command-not-executable",
        "nul-byte",
        "command-line",
        "batch-argument",
        "environment-variable",
        "path-not-utf8",
        "directory-unusable",
        "root-unusable",
        "root-refused",
        "root-link",
        "root-reparse-point",
        "root-cloud",
        "root-no-acls",
        "root-read-only",
        "root-remote",
        "root-mapped",
        "root-subst",
        "root-null-dacl",
        "root-not-grantable",
        "root-hard-links",
        "root-holds-state",
        "caller-restricted",
        "caller-app-container",
        "caller-no-logon-session",
        "root-changed",
        "survey-failed",
        "too-many-entries",
        "not-enforced",
        "unsupported",
        "no-mechanism",
        "sandbox-failed",
        "system-call-failed",
        "state-unusable",
        "state-untrusted",
        "receipt-unwritable",
        "egress-failed",
        "upstream-credentials",
        "encode-failed",
        "quarantine-failed",
        "disk-failed",
        "grants-busy",
        "grants-interrupted",
        "ledger-version",
    ];

    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CommandEmpty => "command-empty",
            Self::CommandNotFound { .. } => "command-not-found",
            Self::CommandNotExecutable { .. } => "command-not-executable",
            Self::NulByte { .. } => "nul-byte",
            Self::CommandLine { .. } => "command-line",
            Self::BatchArgument { .. } => "batch-argument",
            Self::Variable { .. } => "environment-variable",
            Self::PathNotUtf8 { .. } => "path-not-utf8",
            Self::Directory { .. } => "directory-unusable",
            Self::Root { .. } => "root-unusable",
            Self::RootRefused { .. } => "root-refused",
            Self::RootUnfit { problem, .. } => problem.code(),
            Self::Caller { problem } => problem.code(),
            Self::RootChanged { .. } => "root-changed",
            Self::Survey { .. } => "survey-failed",
            Self::TooMany { .. } => "too-many-entries",
            Self::NotEnforced { .. } => "not-enforced",
            Self::Unsupported { .. } => "unsupported",
            Self::NoMechanism { .. } => "no-mechanism",
            Self::Sandbox { .. } => "sandbox-failed",
            Self::System { .. } => "system-call-failed",
            Self::State { .. } => "state-unusable",
            Self::StateUntrusted { .. } => "state-untrusted",
            Self::Receipt { .. } => "receipt-unwritable",
            Self::Egress { .. } => "egress-failed",
            Self::UpstreamCredentials { .. } => "upstream-credentials",
            Self::Encode { .. } => "encode-failed",
            Self::Quarantine { .. } => "quarantine-failed",
            Self::Disk { .. } => "disk-failed",
            Self::GrantsBusy { .. } => "grants-busy",
            Self::GrantsInterrupted { .. } => "grants-interrupted",
            Self::LedgerVersion { .. } => "ledger-version",
        }
    }

    /// [`Error::System`] for an operation, to be given what the operating system said.
    #[cfg(any(target_os = "linux", windows))]
    pub(crate) fn system(operation: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::System { operation, source }
    }

    /// The exit status that `ringfence run` ends with: 125 ringfence failed, 126 refused, 127 command not found.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::CommandNotFound { .. } => 127,
            Self::CommandNotExecutable { .. }
            | Self::CommandLine { .. }
            | Self::BatchArgument { .. }
            | Self::Variable { .. }
            | Self::RootRefused { .. }
            | Self::RootUnfit { .. }
            | Self::Caller { .. }
            | Self::NotEnforced { .. }
            | Self::Unsupported { .. }
            | Self::NoMechanism { .. }
            | Self::TooMany { .. } => 126,
            _ => 125,
        }
    }

    /// The path that this error is about, where there is one.
    pub fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::CommandNotExecutable { path, .. }
            | Self::PathNotUtf8 { path }
            | Self::Directory { path, .. }
            | Self::Root { path, .. }
            | Self::RootRefused { path, .. }
            | Self::RootUnfit { path, .. }
            | Self::RootChanged { path }
            | Self::Survey { path, .. }
            | Self::State { path, .. }
            | Self::StateUntrusted { path, .. }
            | Self::Receipt { path, .. }
            | Self::UpstreamCredentials { path, .. }
            | Self::Quarantine { path, .. }
            | Self::Disk { path, .. }
            | Self::GrantsInterrupted { path }
            | Self::LedgerVersion { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The operating system's error number, where an operation of its failed.
    pub fn os_code(&self) -> Option<i32> {
        match self {
            Self::Directory { source, .. }
            | Self::Root { source, .. }
            | Self::Survey { source, .. }
            | Self::Sandbox { source, .. }
            | Self::System { source, .. }
            | Self::State { source, .. }
            | Self::Receipt { source, .. }
            | Self::UpstreamCredentials { source, .. }
            | Self::Quarantine { source, .. } => source.raw_os_error(),
            // As GetExceptionCode and the debugger show it: the bits of the status.
            Self::Disk { source, .. } => Some(source.status.0.cast_signed()),
            _ => None,
        }
    }
}
