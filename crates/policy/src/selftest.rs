//! A policy tests itself.

use crate::decide::{Decision, FileRules, HostRules};
use crate::error::PolicyError;
use crate::names::Verdict;
use crate::origin::Rule;
use crate::policy::{Policy, SelfTest, TestAction};

/// Checks tests against a policy; the first one that fails is the error.
pub(crate) fn check<'t>(
    policy: &Policy,
    tests: impl IntoIterator<Item = &'t Rule<SelfTest>>,
) -> Result<(), PolicyError> {
    let mut tests = tests.into_iter().peekable();
    if tests.peek().is_none() {
        return Ok(());
    }
    let files = FileRules::new(policy);
    let hosts = HostRules::new(policy);
    for test in tests {
        let decision = judge(&files, &hosts, &test.value.action);
        if decision.verdict != test.value.expect {
            return Err(PolicyError::SelfTest {
                at: test.origin.clone(),
                action: describe(&test.value.action),
                expect: test.value.expect,
                verdict: decision.verdict,
                reason: decision.to_string(),
            });
        }
    }
    Ok(())
}

/// The tests that must hold whatever flags and ceiling do to the policy: a denial may not be lost, while an allowed
/// action may be taken away.
pub(crate) fn denials(policy: &Policy) -> impl Iterator<Item = &Rule<SelfTest>> {
    policy.tests.iter().filter(|test| test.value.expect == Verdict::Deny)
}

fn judge<'p>(files: &FileRules<'p>, hosts: &HostRules<'p>, action: &TestAction) -> Decision<'p> {
    match action {
        TestAction::Connect { host, port } => hosts.connect(host, *port),
        TestAction::Write(path) => files.write(path),
        TestAction::Read(path) => files.read(path),
    }
}

fn describe(action: &TestAction) -> String {
    match action {
        TestAction::Connect { host, port } => format!("connect {host}:{port}"),
        TestAction::Write(path) => format!("write {}", path.display()),
        TestAction::Read(path) => format!("read {}", path.display()),
    }
}
