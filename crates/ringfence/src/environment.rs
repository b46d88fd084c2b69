//! The command's environment: what the policy passes, what it sets, and nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use ringfence_policy::Environment;

use crate::text::Text;

/// Filters the caller's variables by the policy, then adds what the plan and the policy set.
///
/// `defaults` are variables of the plan itself (a private temporary directory and caches); what the policy sets wins
/// over them, and they win over what the caller had, since the caller's value would point outside the sandbox.
pub fn compose(
    policy: &Environment,
    caller: &[(OsString, OsString)],
    defaults: &[(&str, &OsStr)],
) -> Vec<(Text, Text)> {
    let mut variables = BTreeMap::new();
    for (name, value) in caller {
        // A name that is not UTF-8 matches no pattern. The password of the upstream proxy is the supervisor's, however
        // wide a pattern is.
        let passes =
            |name: &str| name != UPSTREAM_CREDENTIALS && policy.pass.iter().any(|rule| rule.value.matches(name));
        if name.to_str().is_some_and(passes) {
            variables.insert(Text(name.clone()), Text(value.clone()));
        }
    }
    for (name, value) in defaults {
        variables.insert(Text::from(*name), Text(value.into()));
    }
    for (name, rule) in &policy.set {
        variables.insert(Text::from(name), Text::from(&rule.value));
    }
    variables.into_iter().collect()
}

/// Holds `user:password` for the upstream proxy.
pub(crate) const UPSTREAM_CREDENTIALS: &str = "RINGFENCE_UPSTREAM_CREDENTIALS";
/// Names a file that holds the same.
pub(crate) const UPSTREAM_CREDENTIALS_FILE: &str = "RINGFENCE_UPSTREAM_CREDENTIALS_FILE";
