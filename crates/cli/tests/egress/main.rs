//! The way out of a run with an allowlist, tried from inside: what reaches, what does not, and what the receipt says.
//!
//! Everything happens in a network namespace of this program's own (`world`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

#[path = "../support/mod.rs"]
mod support;

mod asking;
mod bypass;
mod clients;
mod faults;
mod installs;
mod neighbours;
mod receipt;
mod servers;
mod upstream;
mod web;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed};
use support::{Check, Ground, Place, run_checks, skip};
use world::{Standing, World};

pub(crate) type Outcome = Result<Completion, Failed>;

pub(crate) const DONE: Outcome = Ok(Completion::Completed);

/// The mechanism without namespaces, with everything accepted that it holds less of.
pub(crate) const LANDLOCK: &[&str] = &[
    "--mechanism",
    "landlock",
    "--accept-degraded",
    "filesystem.metadata",
    "--accept-degraded",
    "filesystem.protect",
    "--accept-degraded",
    "network",
    "--accept-degraded",
    "process.tree",
];

/// Whether the kernel's Landlock knows rules about TCP (since Linux 6.7).
pub(crate) fn landlock_limits_tcp(place: &Place) -> bool {
    let output = place.ringfence(["plan", "--json", "--allow", "a.test"]).args(LANDLOCK).args(["--", "true"]).output();
    let plan: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap_or_default();
    plan["system"]["landlock"]["handles_tcp"] == true
}

/// The script of an attempt (`attempt.py`) in the workspace, and a line of shell for each attempt.
pub(crate) struct Attempts {
    python: &'static str,
    script: std::path::PathBuf,
}

impl Attempts {
    /// Nothing where there is no Python.
    pub(crate) fn prepare(place: &Place) -> Option<Self> {
        let script = place.write("home/project/attempt.py", include_str!("attempt.py"));
        support::python().map(|python| Self { python, script })
    }

    /// The words of a command.
    pub(crate) fn words(&self, token: &str, attempt: &str) -> Vec<String> {
        let script = self.script.to_str().unwrap();
        [self.python, "-IS", script, token].into_iter().chain(attempt.split(' ')).map(str::to_owned).collect()
    }

    /// The same for a shell; nothing in these attempts needs quoting but `*`.
    pub(crate) fn line(&self, token: &str, attempt: &str) -> String {
        self.words(token, attempt).join(" ").replace('*', "'*'") + "\n"
    }
}

/// Whether the `PATH` has the program.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

/// Far longer than anything here takes that is not held up, and shorter than what would hold it up.
pub(crate) const PROMPT: std::time::Duration = std::time::Duration::from_secs(20);

/// Why a case does not run.
pub(crate) const NO_PYTHON: &str = "python3 is not installed";

/// A case in the world.
pub(crate) type Case = fn(&World, &Place, &Ground) -> Outcome;

/// A case that carries what it is about.
type InWorld = Box<dyn Fn(&World, &Place, &Ground) -> Outcome + Send + Sync>;

fn main() -> ExitCode {
    let (world, reason) = match world::enter() {
        Standing::Inside(world) => (Some(world), String::new()),
        Standing::Done(code) => return code,
        Standing::Impossible(reason) => (None, reason),
    };
    let named: &[(&str, Case)] = &[
        ("the_receipt_tells_the_whole_story", receipt::the_receipt_tells_the_whole_story),
        ("blocked_hosts_are_listed_with_their_flag", receipt::blocked_hosts_are_listed_with_their_flag),
        ("many_blocked_hosts_are_counted", receipt::many_blocked_hosts_are_counted),
        ("a_host_name_cannot_write_on_the_terminal", receipt::a_host_name_cannot_write_on_the_terminal),
        ("curl_reaches_the_allowlist_only", clients::curl_reaches_the_allowlist_only),
        ("curl_under_landlock_needs_the_proxy", clients::curl_under_landlock_needs_the_proxy),
        ("python_reaches_the_allowlist_only", clients::python_reaches_the_allowlist_only),
        ("node_reaches_the_allowlist_only", clients::node_reaches_the_allowlist_only),
        ("openssl_reaches_the_allowlist_only", clients::openssl_reaches_the_allowlist_only),
        ("git_over_https_reaches_the_allowlist_only", clients::git_over_https_reaches_the_allowlist_only),
        ("java_reaches_the_allowlist_only", clients::java_reaches_the_allowlist_only),
        ("ssh_and_git_over_ssh_reach_the_allowlist_only", clients::ssh_and_git_over_ssh_reach_the_allowlist_only),
        (
            "pip_installs_and_the_same_run_reaches_nothing_else",
            installs::pip_installs_and_the_same_run_reaches_nothing_else,
        ),
        (
            "npm_installs_and_its_packages_reach_nothing_else",
            installs::npm_installs_and_its_packages_reach_nothing_else,
        ),
        ("once_is_for_one_connection_and_no_is_for_the_run", asking::once_is_for_one_connection_and_no_is_for_the_run),
        ("run_is_for_the_host_and_the_port_until_the_end", asking::run_is_for_the_host_and_the_port_until_the_end),
        ("what_a_rule_decides_is_not_asked_about", asking::what_a_rule_decides_is_not_asked_about),
        ("typed_ahead_is_no_answer", asking::typed_ahead_is_no_answer),
        ("the_command_cannot_answer_for_the_person", asking::the_command_cannot_answer_for_the_person),
        ("a_terminal_that_hangs_up_says_no", asking::a_terminal_that_hangs_up_says_no),
        ("without_a_terminal_nothing_starts", asking::without_a_terminal_nothing_starts),
        (
            "credentials_reach_the_upstream_and_never_the_command",
            upstream::credentials_reach_the_upstream_and_never_the_command,
        ),
        ("an_upstream_that_is_gone_is_not_gone_around", upstream::an_upstream_that_is_gone_is_not_gone_around),
        ("the_plan_tells_what_an_upstream_changes", upstream::the_plan_tells_what_an_upstream_changes),
        ("a_server_that_dies_ends_the_tunnel", faults::a_server_that_dies_ends_the_tunnel),
        (
            "a_resolver_that_says_nothing_holds_up_nobody_else",
            faults::a_resolver_that_says_nothing_holds_up_nobody_else,
        ),
        ("a_run_does_not_wait_for_a_resolver", faults::a_run_does_not_wait_for_a_resolver),
        ("few_descriptors_are_few_connections_or_an_error", faults::few_descriptors_are_few_connections_or_an_error),
        (
            "the_command_keeps_the_callers_limit_of_descriptors",
            faults::the_command_keeps_the_callers_limit_of_descriptors,
        ),
        ("killing_the_supervisor_ends_the_connections", faults::killing_the_supervisor_ends_the_connections),
        ("a_run_cannot_use_the_proxy_of_another", neighbours::a_run_cannot_use_the_proxy_of_another),
        ("a_run_that_is_ended_has_its_decisions", receipt::a_run_that_is_ended_has_its_decisions),
    ];
    let mut cases: Vec<(String, InWorld)> = Vec::new();
    for (name, case) in named {
        cases.push(((*name).to_owned(), Box::new(*case)));
    }
    for row in bypass::rows() {
        let name = format!("bypass::line_{}: {} {}", row.line, row.setting, row.attempt);
        cases.push((name, Box::new(move |world, place, _| bypass::every_way_around_is_held(world, place, &row))));
    }
    let in_world = |case: InWorld| -> Check {
        let reason = reason.clone();
        Arc::new(move |place, ground| match world {
            Some(world) => case(world, place, ground),
            None => skip(&reason),
        })
    };
    run_checks(cases.into_iter().map(|(name, case)| (name, in_world(case))).collect())
}
