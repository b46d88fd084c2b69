//! The plan: everything the operating system will be asked to do, as plain data.
//!
//! Making a plan touches nothing. It is a function of the policy, the facts of the host and the invocation,
//! and it says for every rule of the policy how strongly this host holds it.

use std::fmt;
use std::path::PathBuf;

use ringfence_policy::{Origin, Policy, Require, RuleId, Timeout};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::text::Text;
use crate::{Error, Facts, Invocation};

mod egress;
pub mod linux;
pub use egress::{EgressPlan, EgressSocket, Prefix, Protocol, Serves};
pub mod windows;

mod rows;

/// What one run will be, before anything of it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub version: u32,
    /// SHA-256 of the effective policy's canonical JSON.
    pub policy_hash: String,
    /// The command.
    pub command: Command,
    /// How strongly each rule holds.
    pub rules: Vec<PlannedRule>,
    /// Holes that no rule names, in words.
    pub notes: Vec<String>,
    /// How much degradation the policy allows.
    pub require: Require,
    /// Limits that hold for the process tree.
    pub limits: Limits,
    /// What is asked of the operating system.
    pub system: SystemPlan,
}

/// The command of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The executable file, absolute.
    pub program: PathBuf,
    /// The arguments, the command's own name first.
    pub argv: Vec<Text>,
    /// Where the command starts.
    pub directory: PathBuf,
    /// The whole environment of the command.
    pub environment: Vec<(Text, Text)>,
    /// Whether it gets a pseudo-terminal of its own.
    pub tty: bool,
    /// Descriptors beyond 0, 1 and 2 that it inherits.
    pub keep_descriptors: Vec<i32>,
}

/// One rule of the policy, and how strongly it holds here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRule {
    /// Which rule.
    pub rule: RuleId,
    /// What the policy asks, in words.
    pub asked: String,
    /// How strongly it holds.
    pub holds: Holds,
    /// Where the policy says so, if one line does.
    pub origin: Option<Origin>,
    /// Whether the operator accepted that it does not hold fully.
    pub accepted: bool,
}

/// How strongly a rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "level", rename_all = "lowercase")]
pub enum Holds {
    /// The kernel enforces it, by the named mechanism.
    Kernel {
        /// The mechanism in the field's own terms.
        mechanism: String,
    },
    /// Ordinary programs follow it; a program that means to break it can.
    Advisory {
        /// Why it is not more.
        why: String,
    },
    /// Nothing enforces it.
    None {
        /// Why not.
        why: String,
    },
}

/// Limits of the process tree; absent means unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Memory of the tree in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Processors, in thousandths.
    pub cpus_milli: Option<u32>,
}

/// The part of a plan that is particular to an operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "system", rename_all = "lowercase")]
pub enum SystemPlan {
    /// Namespaces or Landlock.
    Linux(Box<linux::LinuxPlan>),
    /// A write-restricted token in a job.
    Windows(Box<windows::WindowsPlan>),
}

impl Plan {
    /// The version of the format that this build writes.
    pub const VERSION: u32 = 1;

    /// Makes the plan of a run.
    ///
    /// # Errors
    ///
    /// What cannot be planned at all: a command that does not exist, a root that is refused, no mechanism.
    /// A rule that is only weakly enforced is no error here: see [`Plan::refusal`].
    pub fn resolve(policy: &Policy, facts: &Facts, invocation: &Invocation) -> Result<Self, Error> {
        match facts {
            Facts::Linux(facts) => linux::resolve(policy, facts, invocation),
            Facts::Windows(facts) => windows::resolve(policy, facts, invocation),
        }
    }

    /// How strongly each rule of the policy holds.
    pub fn rules(&self) -> &[PlannedRule] {
        &self.rules
    }

    /// Holes that no rule names.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Why this plan must not run: the first rule that holds less strongly than the policy requires and that
    /// nobody accepted.
    pub fn refusal(&self) -> Option<Error> {
        let mut weak = self.rules.iter().filter_map(|planned| match &planned.holds {
            Holds::Advisory { why } if self.require == Require::Kernel && !planned.accepted => {
                Some((planned.rule, why))
            }
            Holds::None { why } if !planned.accepted => Some((planned.rule, why)),
            _ => None,
        });
        let (rule, why) = weak.next()?;
        let further: Vec<RuleId> = weak.map(|(rule, _)| rule).collect();
        Some(Error::NotEnforced { rule, why: why.clone(), alternative: self.system.alternative(rule, &further) })
    }

    /// SHA-256 of the plan's JSON, in hexadecimal.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if a path of the plan cannot be written as JSON.
    pub fn hash(&self) -> Result<String, Error> {
        fingerprint("the plan", self)
    }
}

impl Limits {
    /// The limits that a policy states.
    fn of(policy: &Policy) -> Self {
        let process = &policy.process;
        let milliseconds = |timeout: Timeout| u64::try_from(timeout.duration().as_millis()).unwrap_or(u64::MAX);
        Self {
            timeout_ms: process.timeout.as_ref().map(|rule| milliseconds(rule.value)),
            memory_bytes: process.memory.as_ref().map(|rule| rule.value.bytes()),
            processes: process.processes.as_ref().map(|rule| rule.value),
            cpus_milli: process.cpus.as_ref().map(|rule| rule.value.milli()),
        }
    }
}

impl SystemPlan {
    /// A way on for a plan in which `rule`, and `further` ones, are too weak.
    fn alternative(&self, rule: RuleId, further: &[RuleId]) -> Option<String> {
        match self {
            Self::Linux(_) => None,
            Self::Windows(_) => windows::alternative(rule, further),
        }
    }

    /// The plan for Windows.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if it is one for another system, which this one cannot carry out.
    #[cfg(windows)]
    pub(crate) fn windows(&self) -> Result<&windows::WindowsPlan, Error> {
        match self {
            Self::Windows(plan) => Ok(plan),
            Self::Linux(_) => Err(Error::Unsupported {
                what: "running a plan that was made for Linux".into(),
                advice: "run it there".into(),
            }),
        }
    }

    /// The plan for Linux.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if it is one for another system, which this one cannot carry out.
    #[cfg(target_os = "linux")]
    pub(crate) fn linux(&self) -> Result<&linux::LinuxPlan, Error> {
        match self {
            Self::Linux(plan) => Ok(plan),
            Self::Windows(_) => Err(Error::Unsupported {
                what: "running a plan that was made for Windows".into(),
                advice: "run it there".into(),
            }),
        }
    }
}

impl Holds {
    /// Whether the kernel enforces the rule.
    pub fn is_kernel(&self) -> bool {
        matches!(self, Self::Kernel { .. })
    }

    pub(crate) fn kernel(mechanism: impl Into<String>) -> Self {
        Self::Kernel { mechanism: mechanism.into() }
    }

    pub(crate) fn advisory(why: impl Into<String>) -> Self {
        Self::Advisory { why: why.into() }
    }

    pub(crate) fn none(why: impl Into<String>) -> Self {
        Self::None { why: why.into() }
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { mechanism } => write!(out, "kernel({mechanism})"),
            Self::Advisory { why } => write!(out, "advisory({why})"),
            Self::None { why } => write!(out, "none({why})"),
        }
    }
}

/// SHA-256 of a value's JSON. Struct fields and sorted maps keep the text, and so the hash, stable.
pub(crate) fn fingerprint(what: &'static str, value: &impl Serialize) -> Result<String, Error> {
    // Most of a text of this size is written before its room has to grow.
    let mut json = Vec::with_capacity(16 << 10);
    serde_json::to_writer(&mut json, value).map_err(|source| Error::Encode { what, source })?;
    Ok(hex(&Sha256::digest(&json)))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
