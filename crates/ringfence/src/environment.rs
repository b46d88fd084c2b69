//! The command's environment: what the policy passes, what it sets, and nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use ringfence_policy::{Environment, System};

use crate::text::Text;

/// Filters the caller's variables by the policy, then adds what the plan and the policy set.
///
/// `defaults` are variables of the plan itself (a private temporary directory and caches); what the policy sets wins
/// over them, and they win over what the caller had, since the caller's value would point outside the sandbox. On Windows
/// names that differ in case alone are one variable.
pub fn compose(
    policy: &Environment,
    system: System,
    caller: &[(OsString, OsString)],
    defaults: &[(&str, &OsStr)],
) -> Vec<(Text, Text)> {
    let mut variables = BTreeMap::new();
    let mut insert = |name: &str, value: Text| {
        variables.insert(folded(name, system), (Text::from(name), value));
    };
    for (name, value) in caller {
        // A name that is not UTF-8 matches no pattern. The password of the upstream proxy is the supervisor's, however
        // wide a pattern is.
        let own = [UPSTREAM_CREDENTIALS, UPSTREAM_CREDENTIALS_FILE];
        let passes = |name: &str| {
            !own.iter().any(|own| name.eq_ignore_ascii_case(own))
                && policy.pass.iter().any(|rule| rule.value.matches_on(name.as_bytes(), system))
        };
        if let Some(name) = name.to_str().filter(|name| passes(name)) {
            insert(name, Text(value.clone()));
        }
    }
    for (name, value) in defaults {
        insert(name, Text((*value).to_owned()));
    }
    for (name, rule) in &policy.set {
        insert(name, Text::from(&rule.value));
    }
    variables.into_values().collect()
}

fn folded(name: &str, system: System) -> String {
    match system {
        System::Linux => name.to_owned(),
        System::Windows => name.to_uppercase(),
    }
}

/// Holds `user:password` for the upstream proxy.
pub(crate) const UPSTREAM_CREDENTIALS: &str = "RINGFENCE_UPSTREAM_CREDENTIALS";
/// Names a file that holds the same.
pub(crate) const UPSTREAM_CREDENTIALS_FILE: &str = "RINGFENCE_UPSTREAM_CREDENTIALS_FILE";
