//! `ringfence policy`: write, check and describe policy files.

use crate::status::Status;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use ringfence_policy::{Lint, lint};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::{Policy, PolicyAction, PolicyCheck, PolicyInit};
use crate::failure::Failure;
use crate::page::{GOOD, WARNING, plain};
use crate::request;

/// What `ringfence policy init` writes.
const TEMPLATE: &str = include_str!("policy.toml");

/// Does what is asked.
pub(crate) fn policy(arguments: &Policy) -> Result<Status, Failure> {
    match &arguments.action {
        PolicyAction::Init(arguments) => init(arguments),
        PolicyAction::Check(arguments) => check(arguments),
        PolicyAction::Schema => print_json(&ringfence_policy::schema()).map(|()| Status::SUCCESS),
    }
}

fn init(arguments: &PolicyInit) -> Result<Status, Failure> {
    let path = &arguments.file;
    let mut options = OpenOptions::new();
    options.write(true);
    if arguments.force {
        options.create(true).truncate(true);
    } else {
        // Not looked up first: between a look and the writing another process could make the file.
        options.create_new(true);
    }
    let outcome = options.open(path).and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    outcome.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Failure::FileExists { path: path.clone() },
        _ => Failure::WriteFile { path: path.clone(), source },
    })?;
    let path = plain(&path.to_string_lossy());
    print(&format!("wrote {path}; use it with: ringfence run --policy {path} -- COMMAND\n"))?;
    Ok(Status::SUCCESS)
}

/// The findings as JSON.
#[derive(Serialize)]
struct Findings<'a> {
    policy: &'a str,
    tests: usize,
    warnings: &'a [Lint],
}

fn check(arguments: &PolicyCheck) -> Result<Status, Failure> {
    let anchors = request::anchors(arguments.workspace.as_deref())?;
    let policy = request::policy_file(&arguments.file, &anchors)?;
    let warnings = lint(&policy, &anchors);
    if arguments.json {
        print_json(&Findings { policy: &policy.profile, tests: policy.tests.len(), warnings: &warnings })?;
    } else {
        print(&page(&policy.profile, policy.tests.len(), &warnings))?;
    }
    let fail = arguments.strict && !warnings.is_empty();
    Ok(Status::from(u8::from(fail)))
}

fn page(name: &str, tests: usize, warnings: &[Lint]) -> String {
    let mut page = String::new();
    for warning in warnings {
        let place =
            warning.origin.as_ref().map_or_else(String::new, |origin| format!("{}: ", plain(&origin.to_string())));
        let (message, advice) = (plain(&warning.message), plain(&warning.advice));
        page += &format!("{place}{WARNING}warning[{}]{WARNING:#}: {message}; {advice}\n", warning.code);
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    page += &format!(
        "{GOOD}valid{GOOD:#}  {} ({} of its own held, {})\n",
        plain(name),
        count(tests, "test"),
        count(warnings.len(), "warning")
    );
    page
}
