//! What is allowed, but probably not meant.

use serde::Serialize;

use crate::anchor::Anchors;
use crate::origin::Origin;
use crate::policy::Policy;

/// Something that a policy allows, but that its author probably did not mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// Stable name.
    pub code: &'static str,
    /// The rule it is about.
    pub origin: Option<Origin>,
    /// What is risky.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// Everything in the policy that is allowed but probably not meant.
#[must_use]
pub fn lint(policy: &Policy, anchors: &Anchors) -> Vec<Lint> {
    let _ = (policy, anchors);
    Vec::new()
}
