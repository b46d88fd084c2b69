//! Runs a command under a built-in profile and prints its receipt: `embed PROFILE COMMAND…`.

use std::ffi::OsString;
use std::path::Path;

use ringfence::{Facts, Invocation, Plan, Run, State};
use ringfence_policy::{Anchors, Files, Overrides, PolicySource, Request, System};

/// Policy files come from wherever the embedding program keeps them.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let profile = arguments.next().unwrap_or_else(|| "workspace".into()).to_string_lossy().into_owned();
    let argv: Vec<OsString> = arguments.collect();
    let invocation = Invocation::here(argv)?;
    let anchors =
        Anchors { workspace: invocation.workspace.clone(), home: std::env::home_dir(), system: System::current() };
    let request = Request {
        source: PolicySource::Profile(profile),
        managed: None,
        overrides: Overrides::default(),
        anchors: &anchors,
    };
    let policy = ringfence_policy::load(&request, &Disk)?;
    let state = State::open()?;
    let facts = Facts::probe(&policy, &invocation, &state)?;
    let plan = Plan::resolve(&policy, &facts, &invocation)?;
    let receipt = Run::start(plan, &state)?.wait()?;
    eprintln!("{}", serde_json::to_string(&receipt)?);
    std::process::exit(receipt.exit_status().cast_signed());
}
