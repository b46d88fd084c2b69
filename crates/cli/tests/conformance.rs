//! Judges the table of `conformance/`: the columns of this system, as every user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{ExitCode, Output};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use ringfence_probe::find;
use ringfence_probe::stage::{Account, Stage};
use serde::Deserialize;
use support::{Ground, accounts, is_root, show, skip, stderr, stdout};

const TABLE: &str = include_str!("../../../conformance/cases.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    profile: Option<String>,
    policy: Option<String>,
    attempt: String,
    target: String,
    namespaces: Expected,
    landlock: Expected,
    token: Expected,
    account: Expected,
}

/// What a column says.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Expected {
    /// The rules for which the run is refused, until each is accepted as degraded.
    refused: Vec<String>,
    allowed: bool,
}

impl TryFrom<String> for Expected {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (refused, outcome) = match text.strip_prefix("refuse ") {
            Some(rest) => rest.split_once(", ").ok_or_else(|| format!("{text:?} does not say what then"))?,
            None => ("", text.as_str()),
        };
        let allowed = match outcome {
            "allow" => true,
            "deny" => false,
            other => return Err(format!("{other:?} is neither allow nor deny")),
        };
        Ok(Self { refused: refused.split_whitespace().map(str::to_owned).collect(), allowed })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let table: Table = toml::from_str(TABLE).unwrap();
    let cases: &'static [Case] = Box::leak(table.case.into());
    let ground: &'static Ground = Box::leak(Box::new(Ground::prepare()));
    let mut trials = Vec::new();
    for case in cases {
        for (column, expected) in [("namespaces", &case.namespaces), ("landlock", &case.landlock)] {
            for (who, account) in accounts() {
                let name = format!("{who}::{column}::{}", case.name);
                trials.push(Trial::ignorable_test(name, move || judge(case, column, expected, ground, account)));
            }
        }
        for (column, _expected) in [("token", &case.token), ("account", &case.account)] {
            let name = format!("windows::{column}::{}", case.name);
            trials.push(Trial::ignorable_test(name, || skip("this column is judged on Windows")));
        }
    }
    if !is_root() {
        trials.push(Trial::ignorable_test("root", || skip("every case runs also as root when the caller is root")));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let _ = fs::remove_dir_all(ground.path());
    conclusion.exit_code()
}

fn judge(
    case: &Case,
    mechanism: &str,
    expected: &Expected,
    ground: &Ground,
    account: Option<Account>,
) -> Result<Completion, Failed> {
    let inside = |stage: &Stage, accepted: &[String]| {
        let mut command = stage.command(&ground.program);
        command.args(["run", "--quiet", "--mechanism", mechanism]);
        command.args(accepted.iter().flat_map(|rule| ["--accept-degraded", rule]));
        if let Some(policy) = &case.policy {
            let file = stage.backstage().join("policy.toml");
            fs::write(&file, place_names(policy, ground, stage)).unwrap();
            command.arg("--policy").arg(file);
        }
        if let Some(profile) = &case.profile {
            command.args(["--profile", profile]);
        }
        command.arg("--").args(attempt(case, ground, stage)).output().unwrap()
    };
    for rule in &expected.refused {
        let others: Vec<String> = expected.refused.iter().filter(|other| *other != rule).cloned().collect();
        let refused = inside(&stage(ground.path(), account)?, &others);
        assert_eq!(refused.status.code(), Some(126), "{rule}: {}", show(&refused));
        assert!(stderr(&refused).contains(rule.as_str()), "{rule}: {}", show(&refused));
    }
    let place = stage(ground.path(), account)?;
    let output = inside(&place, &expected.refused);
    assert!(output.status.success(), "it was not run: {}", show(&output));
    assert_eq!(succeeded(case, &place, &output), expected.allowed, "{}", show(&output));
    if !expected.allowed {
        let place = stage(ground.path(), account)?;
        let outside = place.command(&ground.program).args(&attempt(case, ground, &place)[1..]).output()?;
        assert!(succeeded(case, &place, &outside), "outside: {}", show(&outside));
    }
    Ok(Completion::Completed)
}

fn stage(base: &Path, account: Option<Account>) -> Result<Stage, Failed> {
    let stage = Stage::build(base, account)?;
    fs::write(stage.home().join("notes"), stage.canary())?;
    // A repository that is none of the workspace's own, for the limit that the table names.
    let hooks = stage.workspace().join("deeper/.git/hooks");
    fs::create_dir_all(&hooks)?;
    fs::write(hooks.join("pre-commit"), "#!/bin/sh\n")?;
    stage.give(&stage.workspace().join("deeper"))?;
    Ok(stage)
}

/// The command that makes the attempt: the program itself, and then its arguments.
fn attempt(case: &Case, ground: &Ground, stage: &Stage) -> Vec<std::ffi::OsString> {
    let probe = find(&case.attempt).unwrap_or_else(|| panic!("no probe is called {}", case.attempt));
    let key = match probe.name {
        "file-create" => "create",
        "file-append" | "file-delete" => "file",
        "file-read" => "secret",
        "tcp-connect" => "address",
        "variable-read" => "variable",
        other => panic!("{other} is not a portable probe"),
    };
    let targets = stage.targets();
    let listener = targets.iter().find_map(|target| target.to_str()?.strip_prefix("address=")).unwrap();
    let target = place_names(&case.target, ground, stage).replace("{listener}", listener);
    vec![ground.program.clone().into(), "__probe".into(), probe.name.into(), format!("{key}={target}").into()]
}

fn place_names(text: &str, ground: &Ground, stage: &Stage) -> String {
    text.replace("{workspace}", stage.workspace().to_str().unwrap())
        .replace("{outside}", stage.outside().to_str().unwrap())
        .replace("{home}", stage.home().to_str().unwrap())
        .replace("{program}", ground.program.to_str().unwrap())
}

/// Whether the attempt succeeded: what was to be read has to be shown.
fn succeeded(case: &Case, stage: &Stage, output: &Output) -> bool {
    let shown = stdout(output);
    let reads = matches!(case.attempt.as_str(), "file-read" | "variable-read");
    shown.contains("\"outcome\":\"succeeded\"") && (!reads || shown.contains(stage.canary()))
}
