//! What `run`, `plan` and `log` print, and to whom.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail this way, in its helpers too")]

mod common;

use std::fs;

use common::{Project, stderr, stdout};

/// Whether this machine can hold a command; prints the reason if it cannot, and the test then counts as skipped.
fn can_run(project: &Project) -> bool {
    let output = project.call(["run", "true"]);
    let able = output.status.success();
    if !able {
        let reason = stderr(&output);
        assert!(reason.contains("error[no-mechanism]") || reason.contains("error[not-enforced]"), "{reason}");
        eprintln!("skipped: {reason}");
    }
    able
}

#[test]
fn the_command_meets_signals_as_it_would_outside() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    // Ringfence itself ignores SIGPIPE, as Rust programs do; a command that inherited that would print errors instead of
    // ending quietly when its reader goes.
    let masks = |output: &str| -> Vec<String> {
        output
            .lines()
            .filter(|line| line.starts_with("SigIgn") || line.starts_with("SigBlk"))
            .map(str::to_owned)
            .collect()
    };
    let output = project.call(["run", "--", "cat", "/proc/self/status"]);
    let outside = std::process::Command::new("cat").arg("/proc/self/status").output().unwrap();
    assert_eq!(masks(&stdout(&output)), masks(&stdout(&outside)));
    let output = project.call(["run", "--", "sh", "-c", "yes | head -n 1"]);
    assert_eq!((stdout(&output), stderr(&output)), ("y\n".to_owned(), String::new()));
}

#[test]
fn the_receipt_is_one_line_of_json_on_standard_error() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let output = project.call(["run", "--json", "--", "sh", "-c", "echo out; exit 3"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(3), "out\n"));
    let text = stderr(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    let receipt: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(receipt["argv"], serde_json::json!(["sh", "-c", "echo out; exit 3"]));
    assert_eq!(receipt["exit"]["code"], 3, "{receipt}");
}

#[test]
fn the_log_lists_what_ran_and_notices_what_was_changed() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    // can_run left one receipt.
    for script in ["exit 1", "exit 2"] {
        project.call(["run", "--", "sh", "-c", script]);
    }
    let output = project.call(["log", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 3);
    assert!(stdout(&output).lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let page = stdout(&project.call(["log", "-n", "1"]));
    assert!(page.contains("exit 2") && !page.contains("exit 1"), "{page}");
    assert_eq!(project.call(["log", "--verify"]).status.code(), Some(0));

    let file = fs::read_dir(project.state())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("exit 1", "exit 9", 1)).unwrap();
    for arguments in [["log", "--verify"].as_slice(), &["log"], &["log", "--json"]] {
        assert_eq!(project.call(arguments).status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn terminal_escapes_in_arguments_do_not_reach_the_terminal() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    project.call(["run", "--", "true", "\x1b[2J\nforged line"]);
    for arguments in [["log"].as_slice(), &["plan", "--", "true", "\x1b[2J\nforged line"]] {
        let output = project.call(arguments);
        let page = stdout(&output);
        assert!(page.contains(r"\u{1b}[2J\nforged line"), "{page}");
        assert!(!page.contains('\x1b'), "{page}");
    }
}

#[test]
fn a_plan_changes_nothing_and_says_for_each_rule_how_strongly_it_holds() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let output = project.call(["plan", "--json", "--", "touch", "made"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = plan["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["rule"] == "filesystem.write"), "{plan}");
    assert!(rules.iter().all(|rule| rule["holds"]["level"].is_string()), "{plan}");
    let page = stdout(&project.call(["plan", "--", "touch", "made"]));
    for part in ["filesystem.write", "kernel(", "workspace (built in)", "network"] {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    assert!(fs::read_dir(project.workspace()).unwrap().next().is_none());
}
