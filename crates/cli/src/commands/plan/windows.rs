//! The part of a plan's page that is about Windows.

use ringfence::plan::windows::{
    AceEdit, ConsolePlan, DesktopPlan, GrantPlan, GrantTarget, JobPlan, PrivateDirectory, PrivatePurpose, ProcessPlan,
    SidRole, TokenPlan, UiLimit, WindowsPlan,
};
use ringfence_ntsec::{Ace, ace_to_sddl};

use super::section;
use crate::page::{Cell, GOOD, QUIET, Table, WARNING};

/// What the kernel will be asked for, from the token to the process.
pub(super) fn sections(plan: &WindowsPlan) -> String {
    let mut page = section("Token", &token(&plan.token));
    page += &section("Grants", &grants(&plan.grants));
    page += &section("Kept open, so that nobody deletes or renames them", &held(&plan.held));
    page += &section("Directories of its own", &private(&plan.private));
    page += &section("Job", &job(&plan.job));
    page += &section("Desktop", &desktop(&plan.desktop));
    page += &section("Process", &process(&plan.process));
    page
}

fn token(token: &TokenPlan) -> Table {
    let mut table = Table::indented(2);
    let flags: Vec<String> = token.flags.iter().map(word).collect();
    table.row([Cell::new("flags"), Cell::new(flags.join(" | "))]);
    for restricting in &token.restricting {
        let (opens, style) = match restricting.role {
            SidRole::Workspace => ("restricting: the write roots", GOOD),
            SidRole::Run => ("restricting: what this run makes", GOOD),
            SidRole::Logon => ("restricting: the desktop", GOOD),
            SidRole::Everyone => ("restricting: whatever Everyone may write", WARNING),
        };
        table.row([Cell::new(restricting.sid.to_string()), Cell::new(opens).style(style)]);
    }
    table.row([Cell::new("privileges"), Cell::new(token.privileges.join(" "))]);
    let dacl: Vec<String> = token.default_dacl.iter().map(sddl).collect();
    table.row([Cell::new("default DACL"), Cell::new(dacl.concat())]);
    table
}

fn grants(grants: &[GrantPlan]) -> Table {
    let mut table = Table::indented(2);
    for grant in grants {
        let mut row = |edit: &AceEdit, what: &str, style| {
            table.row([
                Cell::new(edit.target.path.as_str()),
                Cell::new(what).style(style),
                Cell::new(sddl(&edit.ace)).style(QUIET),
            ]);
        };
        let root = AceEdit { target: grant.root.clone(), ace: grant.allow.clone() };
        row(&root, "writable", WARNING);
        grant.protect.iter().for_each(|edit| row(edit, "protected", GOOD));
        for edit in &grant.hold {
            row(edit, "stays where it is", GOOD);
        }
    }
    table
}

fn held(targets: &[GrantTarget]) -> Table {
    let mut table = Table::indented(2);
    targets.iter().for_each(|target| table.row([Cell::new(target.path.as_str())]));
    table
}

fn private(directories: &[PrivateDirectory]) -> Table {
    let mut table = Table::indented(2);
    for directory in directories {
        let purpose = match directory.purpose {
            PrivatePurpose::Holder => continue,
            PrivatePurpose::Temporary => "TEMP of this run, removed after it",
            PrivatePurpose::Cache => "caches of package managers, kept with the workspace",
        };
        table.row([Cell::new(directory.path.as_str()), Cell::new(purpose)]);
    }
    table
}

fn job(job: &JobPlan) -> Table {
    let mut table = Table::indented(2);
    if job.kill_on_close {
        table.row([Cell::new("tree"), Cell::new("ended when the job is closed; no breakaway")]);
    }
    let mut limit = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            table.row([Cell::new(name), Cell::new(value)]);
        }
    };
    limit("memory", job.memory_bytes.map(|bytes| format!("{bytes} bytes committed")));
    limit("processes", job.active_processes.map(|count| count.to_string()));
    limit("processor", job.cpu_rate.map(|rate| format!("{}.{:02} % of all", rate / 100, rate % 100)));
    let forbidden: Vec<String> = job.ui.iter().map(|limit: &UiLimit| word(limit).to_lowercase()).collect();
    limit("may not", Some(forbidden.join(", ")));
    table
}

fn desktop(desktop: &DesktopPlan) -> Table {
    let mut table = Table::indented(2);
    let station = if desktop.window_station.is_some() { "of its own" } else { "the caller's" };
    table.row([Cell::new("window station"), Cell::new(station)]);
    table.row([Cell::new("desktop"), Cell::new(&desktop.name)]);
    table
}

fn process(process: &ProcessPlan) -> Table {
    let mut table = Table::indented(2);
    table.row([Cell::new("application"), Cell::new(process.application.as_str())]);
    table.row([Cell::new("command line"), Cell::new(process.command_line.to_string())]);
    let console = match process.console {
        ConsolePlan::Hidden => "none that is seen",
        ConsolePlan::Pseudo => "a pseudoconsole",
    };
    table.row([Cell::new("console"), Cell::new(console)]);
    table
}

fn sddl(ace: &Ace) -> String {
    // Only entries that no text exists for have none; plans have none of these.
    ace_to_sddl(ace).unwrap_or_default()
}

/// A word as the plan's JSON has it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
