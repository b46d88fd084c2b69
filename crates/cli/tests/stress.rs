//! Many runs at once: all succeed, none is lost from the log, and nothing of them remains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use libtest_mimic::{Completion, Failed};
use support::{Case, Ground, Place, expect_status, run_cases, show, stdout};

const RUNS: usize = 500;

fn main() -> ExitCode {
    let cases: &[(&'static str, Case)] =
        &[("five_hundred_runs_at_once_succeed_and_leave_nothing", five_hundred_runs_at_once)];
    run_cases(cases)
}

fn five_hundred_runs_at_once(place: &Place, _: &Ground) -> Result<Completion, Failed> {
    // What is made once per user (a probe of the host, the state directory) is no leftover of a run.
    expect_status(&place.run(&[], "true"), 0);
    let before = Remains::find(place);
    let children: Vec<_> = (0..RUNS)
        .map(|number| {
            let mut command = place.shell(&[], &format!("echo {number} > made-{number}"));
            command.env("TMPDIR", place.home()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        expect_status(&child.wait_with_output()?, 0);
    }
    for number in 0..RUNS {
        assert_eq!(fs::read_to_string(place.workspace().join(format!("made-{number}")))?, format!("{number}\n"));
    }
    let left = Remains::find(place).without(&before);
    assert_eq!(left, Remains::default(), "something is left");
    let verified = place.ringfence(["log", "--verify"]).output()?;
    expect_status(&verified, 0);
    let listed = place.ringfence(["log", "--json", "-n", "1000"]).output()?;
    let receipts = (0..RUNS).filter(|number| stdout(&listed).contains(&format!("echo {number} > made-{number}\"")));
    assert_eq!(receipts.count(), RUNS, "receipts are missing: {}", show(&verified));
    Ok(Completion::Completed)
}

/// Everything that a run could leave behind. Other programs work on the same machine, so what counts is what bears the
/// project's name, belongs to the place's user where that is nobody else's, or lies in the place.
#[derive(Debug, Default, PartialEq, Eq)]
struct Remains {
    mounts: BTreeSet<String>,
    control_groups: BTreeSet<PathBuf>,
    processes: BTreeSet<String>,
    files: BTreeSet<PathBuf>,
    home: BTreeSet<PathBuf>,
}

impl Remains {
    fn find(place: &Place) -> Self {
        // Root owns too much for that to be a sign; its runs are told to keep temporary files in the place.
        let ours = |path: &Path| {
            place.account().is_some() && path.symlink_metadata().is_ok_and(|data| data.uid() == place.uid())
        };
        let named = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("ringfence"));
        let files =
            ["/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock"].iter().flat_map(|path| entries(Path::new(path)));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut control_groups = BTreeSet::new();
        walk(Path::new("/sys/fs/cgroup"), &mut control_groups);
        Self {
            mounts: mounts.lines().map(str::to_owned).collect(),
            control_groups: control_groups.into_iter().filter(|path| named(path)).collect(),
            processes: entries(Path::new("/proc")).filter_map(|path| process_of(place, &path)).collect(),
            // Other tests of this suite have their own grounds there while this one runs.
            files: files.filter(|path| ours(path) && !place.path().starts_with(path)).collect(),
            home: entries(&place.home()).collect(),
        }
    }
}

impl Remains {
    /// What was not there before.
    fn without(self, before: &Self) -> Self {
        fn new<T: Ord + Clone>(now: &BTreeSet<T>, before: &BTreeSet<T>) -> BTreeSet<T> {
            now.difference(before).cloned().collect()
        }
        Self {
            mounts: new(&self.mounts, &before.mounts),
            control_groups: new(&self.control_groups, &before.control_groups),
            processes: new(&self.processes, &before.processes),
            files: new(&self.files, &before.files),
            home: new(&self.home, &before.home),
        }
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn walk(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for path in entries(directory).filter(|path| path.is_dir() && !path.is_symlink()) {
        walk(&path, found);
        found.insert(path);
    }
}

/// The command line of a process that runs the program of this test, or that works in its workspace.
fn process_of(place: &Place, process: &Path) -> Option<String> {
    let number = process.file_name()?.to_str()?.parse::<u32>().ok()?;
    let line = fs::read(process.join("cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let works_here = fs::read_link(process.join("cwd")).is_ok_and(|path| path.starts_with(place.path()));
    (works_here || line.contains(place.program().to_str()?)).then(|| format!("{number}: {line}"))
}
