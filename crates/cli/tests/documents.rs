//! The console blocks of the documentation do what the documentation says.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail this way, in its helpers too")]

use std::fs;
use std::path::Path;

#[test]
fn the_examples_of_the_documentation_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let mut trial = std::process::Command::new(env!("CARGO_BIN_EXE_ringfence"));
    trial.args(["run", "--", "true"]).current_dir(&root).env("RINGFENCE_STATE_DIR", &state);
    let trial = trial.output().unwrap();
    if !trial.status.success() {
        // The examples show what a machine can do that holds the default policy.
        let reason = String::from_utf8_lossy(&trial.stderr);
        assert!(reason.contains("error[no-mechanism]") || reason.contains("error[not-enforced]"), "{reason}");
        eprintln!("skipped: {reason}");
        return;
    }
    let cases = trycmd::TestCases::new();
    cases.env("RINGFENCE_STATE_DIR", state.to_string_lossy());
    cases.env("LC_ALL", "C");
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        // Each page has a project of its own to work in: what lies in `NAME.in` is copied before each block.
        let copy = directory.path().join(page.file_name().unwrap());
        if fs::read_to_string(page).unwrap_or_default().contains("```console") {
            fs::copy(page, &copy).unwrap();
            fs::create_dir(copy.with_extension("in")).unwrap();
            fs::create_dir(copy.with_extension("out")).unwrap();
            project(&copy.with_extension("in"));
            cases.case(&copy);
        }
    }
    cases.run();
}

/// A small repository, as a reader might try the examples in.
fn project(directory: &Path) {
    fs::create_dir_all(directory.join(".git/hooks")).unwrap();
    fs::write(directory.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(directory.join(".git/config"), "[core]\n\tbare = false\n").unwrap();
    let facts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/windows-facts.json");
    fs::copy(facts, directory.join("windows-facts.json")).unwrap();
    fs::write(directory.join("Makefile"), "all:\n\t@echo built > result\n").unwrap();
}
