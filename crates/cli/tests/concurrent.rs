//! Many runs at once: all succeed, none loses its receipt, nothing is left behind.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{Project, can_run, stderr, stdout};

const RUNS: usize = 500;

#[test]
fn five_hundred_runs_at_once_all_succeed_and_leave_nothing_behind() {
    let project = Project::new();
    if !can_run(&project) {
        return;
    }
    let before = Residue::now();
    let children: Vec<_> = (0..RUNS)
        .map(|number| {
            let mut command = project.command(["run", "--quiet", "--", "touch", &number.to_string()]);
            command.stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "run {number}: {}: {}", output.status, stderr(&output));
    }
    let made = fs::read_dir(project.workspace()).unwrap().count();
    assert_eq!(made, RUNS);
    // can_run left one receipt.
    let log = project.call(["log", "--json"]);
    assert_eq!(log.status.code(), Some(0), "{}", stderr(&log));
    assert_eq!(stdout(&log).lines().count(), RUNS + 1);
    let identities: BTreeSet<String> = stdout(&log)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
        .collect();
    assert_eq!(identities.len(), RUNS + 1);
    assert_eq!(Residue::now(), before);
}

/// What a run could leave behind on the host.
#[derive(Debug, PartialEq, Eq)]
struct Residue {
    mounts: BTreeSet<String>,
    groups: BTreeSet<String>,
    temporary: BTreeSet<String>,
    /// Processes that run this program.
    processes: BTreeSet<String>,
}

impl Residue {
    fn now() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().map(str::to_owned).collect();
        let ours = |name: &String| name.contains("ringfence");
        let own = Path::new(env!("CARGO_BIN_EXE_ringfence")).canonicalize().unwrap();
        let processes = names("/proc".as_ref())
            .into_iter()
            .filter(|name| fs::read_link(format!("/proc/{name}/exe")).is_ok_and(|path| path == own))
            .collect();
        Self {
            mounts,
            groups: directories("/sys/fs/cgroup".as_ref(), 4).into_iter().filter(ours).collect(),
            temporary: [std::env::temp_dir().as_path(), "/var/tmp".as_ref(), "/run".as_ref()]
                .into_iter()
                .flat_map(names)
                .filter(ours)
                .collect(),
            processes,
        }
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn directories(directory: &Path, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(entry.path().to_string_lossy().into_owned());
            found.append(&mut directories(&entry.path(), depth - 1));
        }
    }
    found
}
