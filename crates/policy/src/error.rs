//! Why a policy is refused.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::anchor::PathError;
use crate::host::HostError;
use crate::names::Verdict;
use crate::origin::Origin;
use crate::printable::printable;
use crate::refuse::RefusedRoot;
use crate::value_error::{ValueError, did_you_mean, quoted};

/// Why a policy is refused; nothing of a refused policy is ever applied.
///
/// The message names file, line and column (or the flag), the offending text and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A policy file cannot be read.
    #[error("{}cannot read the policy {}: {message}; check the path and the permissions", prefix(.at), printable(&.path.display().to_string()))]
    Read {
        /// The `extends` that names it, if one does.
        at: Option<Origin>,
        /// The file.
        path: PathBuf,
        /// What kind of failure.
        kind: io::ErrorKind,
        /// What the system says.
        message: String,
    },
    /// A policy file is larger than any honest one.
    #[error("{}: {size} bytes, more than the {limit} that a policy may have; remove entries", printable(&.path.display().to_string()))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// A policy file is not UTF-8, as TOML has to be.
    #[error("{at}: not UTF-8 from here on; save the file as UTF-8")]
    NotUtf8 {
        /// The first bad byte.
        at: Origin,
    },
    /// Not TOML.
    #[error("{at}: no valid TOML at `{text}`: {problem}")]
    Syntax {
        /// Where.
        at: Origin,
        /// The offending text.
        text: String,
        /// What the parser says.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{at}: unknown key `{}` {}{}; possible here: {}", printable(.key), in_table(.table), did_you_mean(.suggestion), quoted(.known))]
    UnknownKey {
        /// Where.
        at: Origin,
        /// The key.
        key: String,
        /// The table it stands in; empty for the top level.
        table: Box<str>,
        /// The nearest key, if one is near.
        suggestion: Option<&'static str>,
        /// All keys of the table.
        known: Box<[&'static str]>,
    },
    /// A value of the wrong type.
    #[error("{at}: `{text}` is {found}, but `{}` is {expected}", printable(.key))]
    WrongType {
        /// Where.
        at: Origin,
        /// Dotted.
        key: String,
        /// The offending text.
        text: Box<str>,
        /// Its type.
        found: &'static str,
        /// What would be right, with an example.
        expected: &'static str,
    },
    /// A key that has to be there.
    #[error("{at}: `{key}` is missing; write {expected}")]
    MissingKey {
        /// Where it should be.
        at: Origin,
        /// Dotted.
        key: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A `version` that this program does not know.
    #[error(
        "{at}: version `{version}` is not known to this program, which reads version 1; write `version = 1` or update ringfence"
    )]
    Version {
        /// Where.
        at: Origin,
        /// What was written.
        version: i64,
    },
    /// A `[[test]]` with no action, or with several.
    #[error("{at}: a test has {count} actions; write exactly one of `connect`, `write` and `read`")]
    TestActions {
        /// The test.
        at: Origin,
        /// How many there are.
        count: usize,
    },
    /// A value that is refused.
    #[error("{at}: {key}: {problem}")]
    Value {
        /// Where.
        at: Origin,
        /// Dotted.
        key: &'static str,
        /// Why.
        problem: ValueError,
    },
    /// A host that is refused.
    #[error("{at}: {key}: `{text}`: {problem}")]
    Host {
        /// Where.
        at: Origin,
        /// Dotted.
        key: &'static str,
        /// What was written.
        text: String,
        /// Why.
        problem: HostError,
    },
    /// A path that is refused.
    #[error("{at}: {key}: `{}`: {problem}", printable(.text))]
    Path {
        /// Where.
        at: Origin,
        /// Dotted.
        key: &'static str,
        /// What was written.
        text: String,
        /// Why.
        problem: PathError,
    },
    /// The workspace or the home directory is unusable.
    #[error("the {which} `{}` cannot anchor a policy: {problem}", printable(&.path.display().to_string()))]
    Anchor {
        /// `workspace` or `home directory`.
        which: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why.
        problem: PathError,
    },
    /// `extends` (or the caller) names a profile that does not exist.
    #[error(
        "{}there is no built-in profile `{}`{}; there are {}, and a policy file is named by a path such as \
         \"./base.toml\"",
        prefix(.at), printable(.name), did_you_mean(.suggestion), quoted(.known)
    )]
    UnknownProfile {
        /// Where, if in a file.
        at: Option<Origin>,
        /// What was written.
        name: String,
        /// The nearest profile, if one is near.
        suggestion: Option<&'static str>,
        /// All profiles.
        known: &'static [&'static str],
    },
    /// Policies that extend each other.
    #[error("{at}: `extends` goes in a circle: {}; remove one of them", printable(&.chain.join(" -> ")))]
    ExtendsCycle {
        /// The `extends` that closes the circle.
        at: Origin,
        /// The files, the first one repeated at the end.
        chain: Vec<String>,
    },
    /// Too many policies that extend each other.
    #[error("{at}: more than {limit} policies extend each other: merge some of them")]
    ExtendsTooDeep {
        /// The `extends` that is one too many.
        at: Origin,
        /// The bound.
        limit: usize,
    },
    /// A write root that would give the machine away.
    #[error("{at}: filesystem.write: `{}` is refused as a write root: {reason}; name the project's directory instead", printable(&.path.display().to_string()))]
    RefusedWriteRoot {
        /// Where.
        at: Origin,
        /// The root.
        path: PathBuf,
        /// Why.
        reason: RefusedRoot,
    },
    /// Host rules that nothing would enforce.
    #[error(
        "{at}: `{rule}` has no effect while `network.mode` is \"open\" ({mode}); use mode \"allowlist\", or remove the rule"
    )]
    RulesWhileOpen {
        /// The host rule.
        at: Origin,
        /// Its text.
        rule: String,
        /// Where the mode was set.
        mode: Box<Origin>,
    },
    /// Two flags that contradict each other.
    #[error("{first} and {second} contradict each other: leave one out")]
    FlagConflict {
        /// One flag.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The managed policy prescribes another proxy.
    #[error("{at}: the upstream `{upstream}` contradicts `{required}`, which {by} prescribes; remove it")]
    UpstreamConflict {
        /// Where.
        at: Origin,
        /// The refused proxy.
        upstream: String,
        /// The prescribed one.
        required: String,
        /// Where that was written.
        by: Box<Origin>,
    },
    /// A `[[test]]` whose expectation does not hold.
    #[error(
        "{at}: the policy's own test failed: `{action}` is expected to get \"{expect}\" but gets \"{verdict}\": {reason}; change the rule or the test"
    )]
    SelfTest {
        /// The test.
        at: Origin,
        /// What is tested, as written.
        action: String,
        /// The expected verdict.
        expect: Verdict,
        /// The policy's verdict.
        verdict: Verdict,
        /// Which rule decided.
        reason: String,
    },
}

impl PolicyError {
    /// The stable name of the error, as `--json` reports it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "policy-unreadable",
            Self::TooLarge { .. } => "policy-too-large",
            Self::NotUtf8 { .. } => "policy-not-utf8",
            Self::Syntax { .. } => "policy-syntax",
            Self::UnknownKey { .. } => "unknown-key",
            Self::WrongType { .. } => "wrong-type",
            Self::MissingKey { .. } => "missing-key",
            Self::Version { .. } => "unsupported-version",
            Self::TestActions { .. } => "test-actions",
            Self::Value { problem, .. } => problem.code(),
            Self::Host { problem, .. } => problem.code(),
            Self::Path { problem, .. } => problem.code(),
            Self::Anchor { .. } => "bad-anchor",
            Self::UnknownProfile { .. } => "unknown-profile",
            Self::ExtendsCycle { .. } => "extends-cycle",
            Self::ExtendsTooDeep { .. } => "extends-too-deep",
            Self::RefusedWriteRoot { .. } => "refused-write-root",
            Self::RulesWhileOpen { .. } => "rules-while-open",
            Self::FlagConflict { .. } => "flag-conflict",
            Self::UpstreamConflict { .. } => "upstream-conflict",
            Self::SelfTest { .. } => "self-test-failed",
        }
    }

    /// Where the offending text was written, where that is known.
    #[must_use]
    pub fn at(&self) -> Option<&Origin> {
        match self {
            Self::Read { at, .. } | Self::UnknownProfile { at, .. } => at.as_ref(),
            Self::NotUtf8 { at }
            | Self::Syntax { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::WrongType { at, .. }
            | Self::MissingKey { at, .. }
            | Self::Version { at, .. }
            | Self::TestActions { at, .. }
            | Self::Value { at, .. }
            | Self::Host { at, .. }
            | Self::Path { at, .. }
            | Self::ExtendsCycle { at, .. }
            | Self::ExtendsTooDeep { at, .. }
            | Self::RefusedWriteRoot { at, .. }
            | Self::RulesWhileOpen { at, .. }
            | Self::UpstreamConflict { at, .. }
            | Self::SelfTest { at, .. } => Some(at),
            Self::TooLarge { .. } | Self::Anchor { .. } | Self::FlagConflict { .. } => None,
        }
    }

    /// The policy file at fault, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match (self, self.at()) {
            (_, Some(Origin::File { path, .. })) | (Self::Read { path, .. } | Self::TooLarge { path, .. }, _) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// The line in [`Self::path`], from 1.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        match self.at() {
            Some(Origin::File { line, .. }) => Some(*line),
            _ => None,
        }
    }

    /// The column in [`Self::line`], in characters from 1.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        match self.at() {
            Some(Origin::File { column, .. }) => Some(*column),
            _ => None,
        }
    }
}

fn prefix(at: &Option<Origin>) -> String {
    at.as_ref().map_or_else(String::new, |at| format!("{at}: "))
}

fn in_table(table: &str) -> String {
    if table.is_empty() { "at the top level".to_owned() } else { format!("in [{table}]") }
}
