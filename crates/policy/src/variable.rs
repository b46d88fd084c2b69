//! Names of environment variables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::System;
use crate::value_error::ValueError;

/// One entry of `environment.pass`: a name, or a prefix followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum VariablePattern {
    /// This variable.
    Exact(String),
    /// Every variable whose name starts so; an empty prefix means all.
    Prefix(String),
}

impl VariablePattern {
    /// Whether the variable is meant, by the rules of the system that this program was built for.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matches_on(name.as_bytes(), System::current())
    }

    /// Whether the variable is meant on `system`, where the name may hold any bytes
    /// ([`OsStr::as_encoded_bytes`](std::ffi::OsStr::as_encoded_bytes)). Windows ignores case.
    #[must_use]
    pub fn matches_on(&self, name: &[u8], system: System) -> bool {
        let same = |a: &[u8], b: &[u8]| match system {
            System::Linux => a == b,
            System::Windows => a.eq_ignore_ascii_case(b),
        };
        match self {
            Self::Exact(exact) => same(exact.as_bytes(), name),
            Self::Prefix(prefix) => name.get(..prefix.len()).is_some_and(|start| same(prefix.as_bytes(), start)),
        }
    }

    /// The pattern that matches exactly what both match; `None` where that is nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self, system: System) -> Option<Self> {
        match (self, other) {
            (Self::Exact(name), pattern) | (pattern, Self::Exact(name)) => {
                pattern.matches_on(name.as_bytes(), system).then(|| Self::Exact(name.clone()))
            }
            (Self::Prefix(a), Self::Prefix(b)) => {
                let (short, long) = if a.len() <= b.len() { (self, b) } else { (other, a) };
                short.matches_on(long.as_bytes(), system).then(|| Self::Prefix(long.clone()))
            }
        }
    }
}

/// Checks the name of a variable that is set to a literal.
pub(crate) fn check_name(name: &str) -> Result<(), ValueError> {
    let refuse = |problem| Err(ValueError::Variable { text: name.to_owned(), problem });
    match name.chars().find(|c| c.is_control() || matches!(c, '=' | '*')) {
        _ if name.is_empty() => refuse("it is empty"),
        _ if name.len() > 255 => refuse("it is longer than 255 bytes"),
        Some('=') => refuse("a name holds no `=`"),
        Some('*') => refuse("`*` can only stand at the end of an entry of `pass`"),
        Some(_) => refuse("a name holds no control characters"),
        None => Ok(()),
    }
}

impl FromStr for VariablePattern {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Prefix(String::new())),
            Some(prefix) => check_name(prefix).map(|()| Self::Prefix(prefix.to_owned())),
            None => check_name(text).map(|()| Self::Exact(text.to_owned())),
        }
    }
}

impl fmt::Display for VariablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl From<VariablePattern> for String {
    fn from(pattern: VariablePattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for VariablePattern {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}
