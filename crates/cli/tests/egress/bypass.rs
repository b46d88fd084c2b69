//! The table of ways around the allowlist of a run (`bypass.tsv`): each is tried outside, where it must succeed, and inside.

use std::collections::BTreeSet;
use std::process::Output;

use crate::receipt::{blocked, printed};
use crate::support::{Place, show, skip, stderr, stdout};
use crate::world::World;
use crate::{Attempts, DONE, NO_PYTHON, Outcome};

/// One line of the table.
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) setting: &'static str,
    /// Whether only root has the privilege that the attempt needs outside.
    pub(crate) root: bool,
    /// How it ends inside; several where the kernel's answer depends on its version or the caller.
    pub(crate) outcomes: Vec<&'static str>,
    /// What the receipt has among the refused: `CODE HOST:PORT`, or nothing.
    receipt: &'static str,
    pub(crate) attempt: &'static str,
}

/// What the specification promises.
const LEAST_ROWS: usize = 240;

/// The table.
pub(crate) fn rows() -> Vec<Row> {
    let lines = include_str!("bypass.tsv").lines().enumerate();
    let rows: Vec<_> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let columns: Vec<_> = line.split('\t').collect();
            let [setting, control, outcomes, receipt, attempt] = columns[..] else {
                panic!("bypass.tsv, line {}: {} columns", index + 1, columns.len());
            };
            assert!(["any", "root"].contains(&control), "bypass.tsv, line {}: {control}", index + 1);
            let outcomes = outcomes.split('|').collect();
            Row { line: index + 1, setting, root: control == "root", outcomes, receipt, attempt }
        })
        .collect();
    assert!(rows.len() >= LEAST_ROWS, "{} rows", rows.len());
    rows
}

/// The allowlist of the table.
pub(crate) const POLICY: &str = r#"
version = 1
extends = "workspace"

[network]
mode = "allowlist"
allow = [
    "allowed.test", "inhosts.test", "*.wild.test", "ssh.test:2222", "nobody.test:4444",
    "localhost:7001", "93.184.216.30:9000", "[2606:4700::30]:9000",
]
deny = ["secret.wild.test"]
"#;

/// What the run is started with.
fn flags(setting: &str) -> Vec<&'static str> {
    match setting {
        "namespaces" => vec!["--mechanism", "namespaces"],
        "landlock" => crate::LANDLOCK.to_vec(),
        other => panic!("unknown setting {other}"),
    }
}

/// Tries the row inside and outside.
pub(crate) fn every_way_around_is_held(world: &World, place: &Place, row: &Row) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    if row.setting == "landlock" && !crate::landlock_limits_tcp(place) {
        return skip("this kernel's Landlock does not limit TCP connections");
    }
    let policy = place.write("policy.toml", POLICY);
    let token = world.token();

    let mut run = place.ringfence(["run", "--json", "--policy"]);
    run.arg(&policy).args(flags(row.setting)).arg("--").args(attempts.words(&token, row.attempt));
    let inside = run.output()?;
    let outcome = said(&inside);
    assert!(row.outcomes.contains(&&*outcome), "inside: {outcome:?}, not {:?}\n{}", row.outcomes, show(&inside));
    assert_eq!(world.saw(&token), outcome == "reached", "what reached a server: {}", show(&inside));
    let expected: BTreeSet<_> = match row.receipt {
        "-" => BTreeSet::new(),
        text => text.split(", ").map(|text| text.replace("TOKEN", &token)).collect(),
    };
    assert_eq!(blocked(&printed(&inside)), expected, "the receipt");

    let token = world.token();
    let words = attempts.words(&token, row.attempt);
    let outside = place.command(&words[0]).args(&words[1..]).output()?;
    match said(&outside).as_str() {
        "reached" => DONE,
        _ if row.root && place.uid() != 0 => skip("needs a privilege outside that this user does not have"),
        other => skip(format!("held inside, but outside it fails too on this machine: {other} {}", stderr(&outside))),
    }
}

fn said(output: &Output) -> String {
    stdout(output).trim_end().to_owned()
}
