//! `ringfence why`: which rule decides.

use crate::status::Status;

use ringfence::proxy::{Code, OwnAddresses as _, Rules, SystemInterfaces};
use ringfence_policy::{Decision, NetworkMode, Policy, Reason, Verdict, decide_connect, decide_read, decide_write};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::{Boundary, Question, Why};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, Table, plain};
use crate::request;

/// Answers one question; the exit status is 0 for "allow" and 1 for "deny".
pub(crate) fn why(arguments: &Why) -> Result<Status, Failure> {
    match &arguments.question {
        Question::Write(asked) => {
            let path = request::absolute(&asked.path)?;
            answer(&asked.boundary, asked.json, "write", path.display(), |policy| (decide_write(policy, &path), None))
        }
        Question::Read(asked) => {
            let path = request::absolute(&asked.path)?;
            answer(&asked.boundary, asked.json, "read", path.display(), |policy| (decide_read(policy, &path), None))
        }
        Question::Connect(asked) => {
            let to = &asked.destination;
            answer(&asked.boundary, asked.json, "connect", to, |policy| connect(policy, to))
        }
    }
}

/// What the policy says, and what the proxy of a run would say: the code that a client is given, and what is only known when
/// the connection is made.
fn connect<'p>(policy: &'p Policy, to: &Destination) -> (Decision<'p>, Option<Proxy>) {
    let mut decision = decide_connect(policy, &to.host, to.port);
    if policy.network.mode.value != NetworkMode::Allowlist {
        return (decision, None);
    }
    let rules = Rules::from(&policy.network);
    let own = SystemInterfaces::default().own_addresses();
    let proxy = match rules.judge_host(&to.host, to.port, &own) {
        Ok(_) if to.host.ip().is_some() || policy.network.upstream.is_some() => Proxy { code: None, later: None },
        Ok(_) => {
            Proxy { code: None, later: Some("every address of the name must be public, or have a rule of its own") }
        }
        Err(denial) => {
            if decision.verdict == Verdict::Allow {
                decision = Decision { verdict: Verdict::Deny, reason: Reason::AddressNotPublic, rule: None };
            }
            Proxy { code: Some(denial.code), later: None }
        }
    };
    (decision, Some(proxy))
}

/// What the proxy of a run would add.
#[derive(Serialize)]
struct Proxy {
    /// Why it would refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// What it checks when it connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    later: Option<&'static str>,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    action: &'static str,
    target: &'a str,
    #[serde(flatten)]
    decision: &'a Decision<'a>,
    #[serde(flatten)]
    proxy: Option<Proxy>,
}

fn answer(
    boundary: &Boundary,
    json: bool,
    action: &'static str,
    target: impl ToString,
    decide: impl FnOnce(&Policy) -> (Decision<'_>, Option<Proxy>),
) -> Result<Status, Failure> {
    let policy = request::policy(boundary)?;
    let (decision, proxy) = decide(&policy);
    let target = target.to_string();
    if json {
        print_json(&Answer { action, target: &target, decision: &decision, proxy })?;
    } else {
        print(&page(action, &target, &decision, proxy.as_ref()))?;
    }
    Ok(match decision.verdict {
        Verdict::Allow => Status::SUCCESS,
        Verdict::Deny => Status::from(1_u8),
    })
}

fn page(action: &str, target: &str, decision: &Decision<'_>, proxy: Option<&Proxy>) -> String {
    let style = if decision.verdict == Verdict::Allow { GOOD } else { BAD };
    let mut table = Table::indented(2);
    table.row(["because".into(), Cell::new(decision.reason.to_string())]);
    if let Some(rule) = &decision.rule {
        table.row(["rule".into(), Cell::new(format!("{} = {}", rule.key, rule.value))]);
        table.row(["written".into(), Cell::new(rule.origin.to_string())]);
    }
    if let Some(code) = proxy.and_then(|proxy| proxy.code) {
        table.row(["code".into(), Cell::new(code.to_string())]);
    }
    if let Some(later) = proxy.and_then(|proxy| proxy.later) {
        table.row(["later".into(), Cell::new(later)]);
    }
    format!("{style}{}{style:#}  {action} {}\n{}", decision.verdict, plain(target), table.render())
}
