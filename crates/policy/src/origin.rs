//! Where a rule was written.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a rule was written.
///
/// Ordered by authority (managed file, built-in profile, file, flag), so that where two policies say the same, the
/// stronger author is the one that [`meet`](crate::meet) names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A profile that comes with the program.
    Builtin {
        /// Its name.
        profile: Cow<'static, str>,
    },
    /// A policy file.
    File {
        /// As it was named or found through `extends`.
        path: PathBuf,
        /// From 1.
        line: u32,
        /// In characters, from 1.
        column: u32,
        /// Whether it belongs to the machine-wide managed policy.
        managed: bool,
    },
    /// A flag on the command line.
    Flag {
        /// With its dashes: `--write`.
        flag: String,
    },
}

impl Origin {
    pub(crate) fn flag(name: &str) -> Self {
        Self::Flag { flag: name.to_owned() }
    }

    fn authority(&self) -> u8 {
        match self {
            Self::File { managed: true, .. } => 0,
            Self::Builtin { .. } => 1,
            Self::File { managed: false, .. } => 2,
            Self::Flag { .. } => 3,
        }
    }
}

/// `workspace (built in)`, `ringfence.toml:7:12`, `--write`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin { profile } => write!(f, "{profile} (built in)"),
            Self::File { path, line, column, .. } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

impl Ord for Origin {
    fn cmp(&self, other: &Self) -> Ordering {
        self.authority().cmp(&other.authority()).then_with(|| match (self, other) {
            (Self::Builtin { profile: a }, Self::Builtin { profile: b }) => a.cmp(b),
            (
                Self::File { path: a, line: a_line, column: a_column, .. },
                Self::File { path: b, line: b_line, column: b_column, .. },
            ) => (a, a_line, a_column).cmp(&(b, b_line, b_column)),
            (Self::Flag { flag: a }, Self::Flag { flag: b }) => a.cmp(b),
            // The authorities of two different variants differ.
            _ => Ordering::Equal,
        })
    }
}

impl PartialOrd for Origin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub origin: Origin,
}

impl<T> Rule<T> {
    /// A value written at `origin`.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}
