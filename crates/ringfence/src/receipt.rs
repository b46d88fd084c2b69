//! What happened: one JSON line per run, each carrying the hash of the one before it.

use std::fmt;
use std::path::PathBuf;
#[cfg(any(target_os = "linux", windows))]
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringfence_egress::Summary;
use serde::{Deserialize, Serialize};

#[cfg(any(target_os = "linux", windows))]
use crate::plan::Plan;
use crate::plan::PlannedRule;
use crate::text::Text;

mod log;

pub use log::{Entry, Log, Verification, Writer};

/// The record of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this format.
    pub version: u32,
    /// Identifies the run: 16 random bytes in hexadecimal.
    pub id: String,
    /// When the run started, in milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
    /// The command as it was run.
    pub argv: Vec<Text>,
    /// The file that was executed.
    pub program: PathBuf,
    /// Where it started.
    pub directory: PathBuf,
    /// SHA-256 of the effective policy.
    pub policy_hash: String,
    /// SHA-256 of the plan.
    pub plan_hash: String,
    /// How strongly each rule held.
    pub rules: Vec<PlannedRule>,
    /// How the command ended.
    pub exit: Exit,
    /// Wall-clock time in milliseconds.
    pub duration_ms: u64,
    /// What the process tree used.
    pub usage: Usage,
    /// What was reached and refused through the egress proxy, where the run had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Summary>,
    /// Protected names that appeared and were moved away.
    pub quarantined: Vec<Quarantined>,
    /// SHA-256 of the line before this one; 64 zeros in the first.
    pub previous: String,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Exit {
    /// With a status of its own.
    Code {
        /// The status: below 256 on Linux, of 32 bits on Windows, where a crash is a large one such as 0xC0000005.
        code: u32,
    },
    /// By a signal.
    Signal {
        /// Its number.
        signal: u8,
    },
    /// The tree was ended at its time limit.
    TimedOut,
    /// The tree was ended since it used more memory than it may.
    OutOfMemory,
    /// The tree was ended since it had more processes than it may.
    TooManyProcesses,
}

/// Resources that a process tree used, as far as it waited for its children (`getrusage(2)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time in the programs, in milliseconds.
    pub user_ms: u64,
    /// Processor time in the kernel, in milliseconds.
    pub system_ms: u64,
    /// The largest resident set of any one process, in bytes.
    pub max_rss_bytes: u64,
}

/// A protected name that appeared during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Where it appeared.
    pub path: PathBuf,
    /// Where it is now.
    pub moved_to: PathBuf,
}

/// What a run came to.
#[cfg(any(target_os = "linux", windows))]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) usage: Usage,
    pub(crate) network: Option<Summary>,
    pub(crate) quarantined: Vec<Quarantined>,
}

impl Receipt {
    /// The version of the format that this build writes.
    pub const VERSION: u32 = 1;

    /// The receipt of a run that has ended; the log chains it to the one before.
    #[cfg(any(target_os = "linux", windows))]
    pub(crate) fn of_run(
        plan: Plan,
        plan_hash: String,
        id: String,
        started: SystemTime,
        duration: Duration,
        outcome: Outcome,
    ) -> Self {
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            version: Self::VERSION,
            id,
            started_ms: milliseconds(started.duration_since(UNIX_EPOCH).unwrap_or_default()),
            argv: plan.command.argv,
            program: plan.command.program,
            directory: plan.command.directory,
            policy_hash: plan.policy_hash,
            plan_hash,
            rules: plan.rules,
            exit: outcome.exit,
            duration_ms: milliseconds(duration),
            usage: outcome.usage,
            network: outcome.network,
            quarantined: outcome.quarantined,
            previous: String::new(),
        }
    }

    /// The status that `ringfence run` ends with: the command's own, 124 for the time limit, 128 + n for signal n.
    pub fn exit_status(&self) -> u32 {
        self.exit.status()
    }
}

impl Exit {
    /// As [`Receipt::exit_status`].
    pub fn status(self) -> u32 {
        const SIGKILL: u32 = 9;
        match self {
            Self::Code { code } => code,
            Self::Signal { signal } => 128 + u32::from(signal),
            Self::TimedOut => 124,
            Self::OutOfMemory | Self::TooManyProcesses => 128 + SIGKILL,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code } => write!(out, "exit {code}"),
            Self::Signal { signal } => write!(out, "signal {signal}"),
            Self::TimedOut => out.write_str("timed out"),
            Self::OutOfMemory => out.write_str("out of memory"),
            Self::TooManyProcesses => out.write_str("too many processes"),
        }
    }
}
