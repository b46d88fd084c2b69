//! The contract of `ringfence run` with scripts: exit status, streams, environment, receipts.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use common::{Project, can_run, stderr, stdout};

#[test]
fn the_exit_status_is_the_commands_own() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    for (script, status) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        let output = project.call(["run", "--", "sh", "-c", script]);
        assert_eq!(output.status.code(), Some(status), "{script}: {}", stderr(&output));
        assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()), "{script}");
    }
}

#[test]
fn a_command_whose_time_is_over_ends_with_124_and_so_do_its_children() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    // Both wait for input that never comes; the pipe's other end is closed only when the last of them is gone.
    let mut child = project
        .command(["run", "--timeout", "300ms", "--", "sh", "-c", "echo started; cat & cat; wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "started\n");
    assert_eq!(child.wait().unwrap().code(), Some(124));
}

#[test]
fn the_streams_belong_to_the_command() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let mut child = project
        .command(["run", "--", "sh", "-c", "cat; echo problem >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a\0b\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout, output.stderr), (b"a\0b\n".to_vec(), b"problem\n".to_vec()));
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
    assert_eq!(masks(&stdout(&output)), ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
    let output = project.call(["run", "--", "sh", "-c", "yes | head -n 1"]);
    assert_eq!((stdout(&output), stderr(&output)), ("y\n".to_owned(), String::new()));
}

#[test]
fn the_command_sees_only_the_variables_that_the_policy_passes() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let mut command = project.command(["run", "--pass", "MINE_*", "--set", "SET=a=b", "--", "env"]);
    let output = command.env("MINE_TOO", "1").env("API_TOKEN", "secret").output().unwrap();
    let text = stdout(&output);
    for line in ["MINE_TOO=1", "SET=a=b", "RINGFENCE=1"] {
        assert!(text.lines().any(|found| found == line), "{line} is missing: {text}");
    }
    assert!(!text.contains("API_TOKEN"), "{text}");
}

#[test]
fn the_command_has_no_descriptors_but_the_standard_ones_and_those_that_were_named() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let list = |flags: &str| {
        let script = format!(
            "exec 5</dev/null 6</dev/null; exec {} run {flags} -- sh -c 'ls /proc/self/fd'",
            env!("CARGO_BIN_EXE_ringfence")
        );
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).current_dir(project.workspace()).env("RINGFENCE_STATE_DIR", project.state());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // The last one is the directory that ls reads.
    assert_eq!(list(""), ["0", "1", "2", "3"]);
    assert_eq!(list("--keep-fd 6"), ["0", "1", "2", "3", "6"]);
}

#[test]
fn files_made_inside_the_project_stay_and_belong_to_the_caller_and_files_outside_are_not_made() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let inside = project.workspace().join("made");
    let outside = project.home().join("made");
    let touch = |path: &std::path::Path| project.call(["run", "--", "touch", &path.to_string_lossy()]);
    assert!(touch(&inside).status.success());
    assert!(!touch(&outside).status.success());
    assert_eq!(fs::metadata(&inside).unwrap().uid(), fs::metadata(project.workspace()).unwrap().uid());
    assert!(!outside.exists());
    // The same file can be made outside once the policy says so: it was the boundary that refused.
    let output = project.call(["run", "--write", &project.home().to_string_lossy(), "--", "true"]);
    assert_eq!(output.status.code(), Some(126), "a home directory is never a write root");
    let other = project.state().with_file_name("other");
    fs::create_dir(&other).unwrap();
    let file = other.join("made").to_string_lossy().into_owned();
    assert!(!project.call(["run", "--", "touch", &file]).status.success());
    assert!(project.call(["run", "--write", &other.to_string_lossy(), "--", "touch", &file]).status.success());
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
