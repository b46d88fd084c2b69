//! What a policy says to one action.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::host::Host;
use crate::names::Verdict;
use crate::origin::Origin;
use crate::policy::Policy;

/// A verdict and the rule that it rests on; what `ringfence why` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision<'p> {
    /// Whether the action may happen.
    pub verdict: Verdict,
    /// Why, without the rule's place.
    pub reason: Reason,
    /// The rule that decided; none where the absence of a rule decided.
    pub rule: Option<Deciding<'p>>,
}

/// The rule that a [`Decision`] rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deciding<'p> {
    /// The key it belongs to: `filesystem.protect`.
    pub key: &'static str,
    /// The rule's value.
    pub value: String,
    /// Where it was written.
    pub origin: &'p Origin,
}

/// Why a [`Decision`] is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The path is not absolute, so nothing is known about it.
    NotAbsolute,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path is not absolute")
    }
}

/// Whether the command may change the file. Lexical: links are the host's business.
#[must_use]
pub fn decide_write<'p>(policy: &'p Policy, path: &Path) -> Decision<'p> {
    let _ = (policy, path);
    Decision {
        verdict: Verdict::Deny,
        reason: Reason::NotAbsolute,
        rule: None,
    }
}

/// Whether the command may read the file. Lexical: links are the host's business.
#[must_use]
pub fn decide_read<'p>(policy: &'p Policy, path: &Path) -> Decision<'p> {
    let _ = (policy, path);
    Decision {
        verdict: Verdict::Deny,
        reason: Reason::NotAbsolute,
        rule: None,
    }
}

/// Whether the command may connect to a port of a host.
#[must_use]
pub fn decide_connect<'p>(policy: &'p Policy, host: &Host, port: u16) -> Decision<'p> {
    let _ = (policy, host, port);
    Decision {
        verdict: Verdict::Deny,
        reason: Reason::NotAbsolute,
        rule: None,
    }
}
