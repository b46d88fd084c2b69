//! What an attempt is given, and what it gives back.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The way out is open as far as the probe can see from where it runs.
    Succeeded {
        /// What was reached; for a read, the beginning of what was read.
        detail: String,
    },
    /// The system refused.
    Denied {
        /// The system's error number, where the refusal carried one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errno: Option<i32>,
        /// The refusal in words.
        detail: String,
    },
    /// The attempt could not be made at all: its target or one of its own preparations is missing.
    Unavailable {
        /// The system's error number, where a preparation failed with one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errno: Option<i32>,
        /// What is missing.
        detail: String,
    },
}

impl Outcome {
    /// Whether the attempt went through.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }

    /// The system's error number, if there was one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Denied { errno, .. } | Self::Unavailable { errno, .. } => *errno,
        }
    }

    /// The outcome in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Succeeded { detail } | Self::Denied { detail, .. } | Self::Unavailable { detail, .. } => detail,
        }
    }
}

/// The one line that a probe prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The probe's name.
    pub probe: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What an attempt returns: what it reached, or why not.
pub(crate) type Attempt = Result<String, Failure>;

/// Why an attempt did not go through.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system refused the attempt itself.
    Denied { errno: Option<i32>, detail: String },
    /// The attempt was never made.
    Unavailable { errno: Option<i32>, detail: String },
}

impl Failure {
    pub(crate) fn denied(detail: impl Into<String>) -> Self {
        Self::Denied { errno: None, detail: detail.into() }
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { errno: None, detail: detail.into() }
    }

    /// For the preparations of an attempt, whose failure says nothing about the way out.
    pub(crate) fn preparing(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Unavailable { errno: error.raw_os_error(), detail: format!("{what}: {error}") }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Denied { errno: error.raw_os_error(), detail: error.to_string() }
    }
}

/// What a probe aims at: `key=value` pairs from its command line.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    values: BTreeMap<String, OsString>,
}

impl Targets {
    /// Reads the pairs; a later pair replaces an earlier one of the same key, and what is no pair is ignored.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Self {
        let values = arguments
            .filter_map(|argument| {
                let bytes = argument.as_encoded_bytes();
                let equals = bytes.iter().position(|byte| *byte == b'=')?;
                let key = std::str::from_utf8(&bytes[..equals]).ok()?.to_owned();
                let value = split_value(&argument, equals)?;
                Some((key, value))
            })
            .collect();
        Self { values }
    }

    pub(crate) fn apart(&self) -> bool {
        self.values.contains_key("apart")
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str, Failure> {
        self.value(key)?.to_str().ok_or_else(|| Failure::unavailable(format!("the target {key} is not UTF-8")))
    }

    pub(crate) fn path(&self, key: &str) -> Result<&Path, Failure> {
        self.value(key).map(Path::new)
    }

    pub(crate) fn join(&self, key: &str, relative: &str) -> Result<PathBuf, Failure> {
        Ok(self.path(key)?.join(relative))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, Failure> {
        self.text(key)?.parse().map_err(|_| Failure::unavailable(format!("the target {key} is no number")))
    }

    fn value(&self, key: &str) -> Result<&OsStr, Failure> {
        self.values
            .get(key)
            .map(OsString::as_os_str)
            .ok_or_else(|| Failure::unavailable(format!("the target {key} was not given")))
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "the other systems' version can fail")]
fn split_value(argument: &OsStr, equals: usize) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(OsStr::from_bytes(&argument.as_bytes()[equals + 1..]).to_owned())
}

#[cfg(not(unix))]
fn split_value(argument: &OsStr, equals: usize) -> Option<OsString> {
    argument.to_str().map(|text| OsString::from(&text[equals + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(pairs: &[&str]) -> Targets {
        Targets::parse(pairs.iter().map(OsString::from))
    }

    #[test]
    fn a_value_may_contain_an_equals_sign_and_a_later_pair_wins() {
        let targets = targets(&["outside=/a=b", "port=1", "nothing", "port=2"]);
        assert_eq!(targets.path("outside").unwrap(), Path::new("/a=b"));
        assert_eq!(targets.number::<u16>("port").unwrap(), 2);
    }

    #[test]
    fn a_missing_target_makes_the_attempt_unavailable_and_not_denied() {
        assert!(matches!(targets(&[]).path("outside"), Err(Failure::Unavailable { .. })));
    }

    #[test]
    fn a_report_survives_the_round_trip_as_one_line() {
        let report = Report {
            probe: "write-home".to_owned(),
            outcome: Outcome::Denied { errno: Some(30), detail: "two\nlines".to_owned() },
        };
        let line = serde_json::to_string(&report).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        assert!(line.starts_with(r#"{"probe":"write-home","outcome":"denied","errno":30"#), "{line}");
    }
}
