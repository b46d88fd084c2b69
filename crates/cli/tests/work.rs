//! Real work inside the boundary: what developers do all day is possible under the default policy, with the network off.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Project, can_run, stderr, stdout};

/// Runs a script under the default policy in the project and expects it to succeed.
fn inside(project: &Project, script: &str) -> String {
    let output = project.call(["run", "--", "sh", "-euc", script]);
    assert!(output.status.success(), "{}: {}\n{}", output.status, stdout(&output), stderr(&output));
    stdout(&output)
}

/// Whether a program is there; prints that the test is skipped if it is not.
fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn ringfence_builds_and_tests_a_crate_of_its_own_inside_itself() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    // The crate alone, so that what is built is small, with the versions that this build has already fetched.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = "cargo test --offline --package ringfence-ntsec --lib --target-dir target/inside";
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    let cargo_path = Path::new(env!("CARGO")).parent().unwrap();
    command
        .args(["run", "--", "sh", "-euc", script])
        .current_dir(&root)
        .env("RINGFENCE_STATE_DIR", project.state())
        .env("PATH", format!("{}:{}", cargo_path.display(), std::env::var("PATH").unwrap()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    assert!(stdout(&output).contains("test result: ok"), "{}", stdout(&output));
}

#[test]
fn a_commit_is_made_inside_while_hooks_and_configuration_stay_as_they_are() {
    let project = Project::new();
    if !has("git") || !can_run(&project) {
        return;
    }
    let git = |arguments: &str| {
        let status = Command::new("git").args(arguments.split(' ')).current_dir(project.workspace()).status().unwrap();
        assert!(status.success(), "git {arguments}");
    };
    git("init --quiet --initial-branch=main");
    git("config user.name Nobody");
    git("config user.email nobody@example.com");
    let config = fs::read_to_string(project.workspace().join(".git/config")).unwrap();
    inside(
        &project,
        "echo text > file; git add file; git commit --quiet --message first; git branch side; git gc --quiet",
    );
    git("fsck --strict");
    for script in ["echo x > .git/hooks/pre-commit", "git config core.pager x", "rm -r .git/hooks", "mv .git elsewhere"]
    {
        let output = project.call(["run", "--", "sh", "-euc", script]);
        assert!(!output.status.success(), "{script}");
    }
    assert_eq!(fs::read_to_string(project.workspace().join(".git/config")).unwrap(), config);
    assert!(!project.workspace().join(".git/hooks/pre-commit").exists());
    let log = Command::new("git").args(["log", "--format=%s"]).current_dir(project.workspace()).output().unwrap();
    assert_eq!(stdout(&log), "first\n");
    // The positive control: without the boundary all of that is possible.
    git("config core.pager cat");
    fs::write(project.workspace().join(".git/hooks/pre-commit"), "x").unwrap();
}

#[test]
fn a_python_test_suite_runs_inside() {
    let project = Project::new();
    if !has("python3") || !can_run(&project) {
        return;
    }
    let suite = "import tempfile, unittest\n\
        class Works(unittest.TestCase):\n    \
            def test_files(self):\n        \
                with tempfile.NamedTemporaryFile('w') as file:\n            file.write('x')\n    \
            def test_processes(self):\n        \
                import subprocess; self.assertEqual(subprocess.check_output(['echo', 'x']), b'x\\n')\n    \
            def test_semaphores(self):\n        \
                import multiprocessing; multiprocessing.Lock()\n";
    fs::write(project.workspace().join("test_works.py"), suite).unwrap();
    let output = project.call(["run", "--", "python3", "-m", "unittest", "-v"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("Ran 3 tests"), "{}", stderr(&output));
}

#[test]
fn a_c_program_is_built_and_run_inside() {
    let project = Project::new();
    if !has("cc") || !can_run(&project) {
        return;
    }
    fs::write(project.workspace().join("main.c"), "#include <stdio.h>\nint main(void) { puts(\"built\"); }\n").unwrap();
    assert_eq!(inside(&project, "cc -O2 -o main main.c; ./main"), "built\n");
}
