//! The rows of a plan, as every system writes them.

use std::fmt::{Display, Write};
use std::path::Path;

use ringfence_policy::{Hide, Origin, Policy, Protect, RuleId};

use super::{Holds, PlannedRule};

/// Rows of one plan, in the order in which they were added.
pub(super) struct Rows<'a> {
    policy: &'a Policy,
    rows: Vec<PlannedRule>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self { policy, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, rule: RuleId, asked: String, holds: Holds, origin: Option<Origin>) {
        let accepted = self.policy.enforcement.accept_degraded.iter().any(|accepted| accepted.value == rule);
        self.rows.push(PlannedRule { rule, asked, holds, origin, accepted });
    }

    /// The row of the environment.
    pub(super) fn environment(&mut self, mechanism: &str) {
        let environment = &self.policy.environment;
        let pass = environment.pass.first().map(|rule| rule.origin.clone());
        let asked = format!("{} variables pass, {} are set", environment.pass.len(), environment.set.len());
        self.add(RuleId::Environment, asked, Holds::kernel(mechanism), pass);
    }

    pub(super) fn finish(self) -> Vec<PlannedRule> {
        self.rows
    }
}

/// What the policy protects, in words.
pub(super) fn protected(policy: &Policy) -> String {
    list(policy.filesystem.protect.iter().map(|rule| match &rule.value {
        Protect::Path(path) => path.as_path(),
        Protect::Git => Path::new("@git"),
    }))
}

/// What the policy hides, in words.
pub(super) fn hidden(policy: &Policy) -> String {
    list(policy.filesystem.hide.iter().map(|rule| match &rule.value {
        Hide::Path(path) => path.as_path(),
        Hide::Secrets => Path::new("@secrets"),
    }))
}

/// Up to six paths, then how many more.
pub(super) fn list<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    some(paths.map(|path| path.display()))
}

/// Up to six words, then how many more.
pub(super) fn some(words: impl Iterator<Item = impl Display>) -> String {
    const SHOWN: usize = 6;
    let words: Vec<_> = words.collect();
    let mut text = String::new();
    for word in words.iter().take(SHOWN) {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        write!(text, "{separator}{word}").unwrap_or_default();
    }
    if words.len() > SHOWN {
        write!(text, " and {} more", words.len() - SHOWN).unwrap_or_default();
    }
    text
}
