//! `ringfence why`: which rule decides.

use std::process::ExitCode;

use ringfence_policy::{Decision, Verdict, decide_connect, decide_read, decide_write};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::{Boundary, Question, Why};
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, Table, plain};
use crate::request;

/// Answers one question; the exit status is 0 for "allow" and 1 for "deny".
pub(crate) fn why(arguments: &Why) -> Result<ExitCode, Failure> {
    match &arguments.question {
        Question::Write(asked) => {
            let path = request::absolute(&asked.path)?;
            answer(&asked.boundary, asked.json, "write", path.display(), |policy| decide_write(policy, &path))
        }
        Question::Read(asked) => {
            let path = request::absolute(&asked.path)?;
            answer(&asked.boundary, asked.json, "read", path.display(), |policy| decide_read(policy, &path))
        }
        Question::Connect(asked) => {
            let to = &asked.destination;
            answer(&asked.boundary, asked.json, "connect", to, |policy| decide_connect(policy, &to.host, to.port))
        }
    }
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    action: &'static str,
    target: &'a str,
    #[serde(flatten)]
    decision: &'a Decision<'a>,
}

fn answer(
    boundary: &Boundary,
    json: bool,
    action: &'static str,
    target: impl ToString,
    decide: impl FnOnce(&ringfence_policy::Policy) -> Decision<'_>,
) -> Result<ExitCode, Failure> {
    let policy = request::policy(boundary)?;
    let decision = decide(&policy);
    let target = target.to_string();
    if json {
        print_json(&Answer { action, target: &target, decision: &decision })?;
    } else {
        print(&page(action, &target, &decision))?;
    }
    Ok(match decision.verdict {
        Verdict::Allow => ExitCode::SUCCESS,
        Verdict::Deny => ExitCode::from(1),
    })
}

fn page(action: &str, target: &str, decision: &Decision<'_>) -> String {
    let style = if decision.verdict == Verdict::Allow { GOOD } else { BAD };
    let mut table = Table::indented(2);
    table.row(["because".into(), Cell::new(decision.reason.to_string())]);
    if let Some(rule) = &decision.rule {
        table.row(["rule".into(), Cell::new(format!("{} = {}", rule.key, rule.value))]);
        table.row(["written".into(), Cell::new(rule.origin.to_string())]);
    }
    format!("{style}{}{style:#}  {action} {}\n{}", decision.verdict, plain(target), table.render())
}
