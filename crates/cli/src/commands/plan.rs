//! `ringfence plan`: what would be enforced, how strongly, and by what.

use crate::status::Status;

use anstyle::Style;
use ringfence::plan::linux::{LinuxPlan, Shown};
use ringfence::plan::{Command, EgressPlan, Serves, SystemPlan};
use ringfence::{Holds, Plan, PlannedRule, State};

use super::{print, print_json, recorded, run};
use crate::cli;
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, HEADING, QUIET, Table, WARNING, plain, quoted};

mod windows;

/// Prints the plan; the exit status is that of the refusal if `ringfence run` would refuse it.
pub(crate) fn plan(arguments: &cli::Plan) -> Result<Status, Failure> {
    let plan = match &arguments.facts {
        Some(file) => recorded::plan(arguments, file)?,
        None => {
            let state = State::open()?;
            let (boundary, start, target) = (&arguments.boundary, &arguments.start, &arguments.target);
            let (plan, facts) = run::resolve_with_facts(boundary, start, target, &state)?;
            if let Some(file) = &arguments.save_facts {
                recorded::save(&facts, file)?;
            }
            plan
        }
    };
    if arguments.json {
        print_json(&plan)?;
    } else {
        print(&page(&plan))?;
    }
    match plan.refusal() {
        Some(refusal) => Err(refusal.into()),
        None => Ok(Status::SUCCESS),
    }
}

fn page(plan: &Plan) -> String {
    let mut page = head(&plan.command, plan).render();
    page += &section("Rules", &rules(plan.rules()));
    match &plan.system {
        SystemPlan::Linux(linux) => {
            page += &section("Files", &mounts(linux));
            page += &section("Way out", &linux.egress.as_ref().map(way_out).unwrap_or_default());
        }
        SystemPlan::Windows(windows) => page += &windows::sections(windows),
    }
    page += &section("Environment", &environment(&plan.command));
    let mut notes = Table::indented(2);
    for note in plan.notes() {
        notes.row([Cell::new(note)]);
    }
    page += &section("Not confined by any rule", &notes);
    page
}

/// A titled table; nothing where there are no rows.
fn section(title: &str, table: &Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!("\n{HEADING}{title}{HEADING:#}\n{}", table.render())
}

fn head(command: &Command, plan: &Plan) -> Table {
    let words: Vec<String> = command.argv.iter().map(|word| quoted(&word.to_string())).collect();
    let mut table = Table::default();
    table.row([Cell::new("Command").style(HEADING), Cell::new(words.join(" "))]);
    table.row([Cell::new("Program").style(HEADING), Cell::new(command.program.to_string_lossy())]);
    table.row([Cell::new("Directory").style(HEADING), Cell::new(command.directory.to_string_lossy())]);
    match &plan.system {
        SystemPlan::Linux(linux) => {
            let kinds: Vec<String> = linux.namespaces.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
            let mut mechanism = format!("{:?}", linux.mechanism).to_lowercase();
            if !kinds.is_empty() {
                mechanism += &format!(" ({})", kinds.join(", "));
            }
            table.row([Cell::new("Held by").style(HEADING), Cell::new(mechanism)]);
        }
        SystemPlan::Windows(_) => {
            table.row([Cell::new("Held by").style(HEADING), Cell::new("write-restricted token, job object")]);
        }
    }
    table
}

fn rules(rules: &[PlannedRule]) -> Table {
    let mut table = Table::indented(2);
    for planned in rules {
        let accepted = if planned.accepted && !planned.holds.is_kernel() { ", accepted" } else { "" };
        table.row([
            Cell::new(planned.rule.as_str()),
            Cell::new(planned.origin.as_ref().map_or_else(String::new, ToString::to_string)).style(QUIET),
            Cell::new(format!("{}{accepted}", planned.holds)).style(strength(&planned.holds)),
        ]);
        table.note(Cell::new(&planned.asked).style(QUIET));
    }
    table
}

fn strength(holds: &Holds) -> Style {
    match holds {
        Holds::Kernel { .. } => GOOD,
        Holds::Advisory { .. } => WARNING,
        Holds::None { .. } => BAD,
    }
}

/// What the command finds at which path, the deeper ones after the shallower ones.
fn mounts(linux: &LinuxPlan) -> Table {
    let mut table = Table::indented(2);
    for (path, shown) in linux.view() {
        let (word, style) = match shown {
            Shown::Host(attributes) if attributes.read_only => ("read-only", Style::new()),
            Shown::Device => ("device", Style::new()),
            Shown::Host(_) => ("writable", WARNING),
            Shown::OnlyListed => ("only what is listed here", Style::new()),
            Shown::Empty => ("private, empty", Style::new()),
            Shown::Own => ("its own", Style::new()),
            Shown::Processes => ("its own processes", Style::new()),
            Shown::Terminals => ("its own terminals", Style::new()),
            Shown::Hidden => ("hidden", GOOD),
        };
        table.row([Cell::new(path.to_string_lossy()), Cell::new(word).style(style)]);
    }
    table
}

/// Where the proxy listens, and for whom.
fn way_out(egress: &EgressPlan) -> Table {
    let mut table = Table::indented(2);
    for socket in &egress.sockets {
        let serves = match socket.serves {
            Serves::Proxy => "HTTP and SOCKS5 proxy",
            Serves::Names => "names",
            Serves::Direct => "direct connections",
        };
        let protocol = format!("{:?}", socket.protocol).to_lowercase();
        table.row([Cell::new(format!("{protocol} {}", socket.address)), Cell::new(serves)]);
    }
    table
}

/// The names of the variables; their values may be nobody else's business.
fn environment(command: &Command) -> Table {
    let mut table = Table::indented(2);
    let names: Vec<String> = command.environment.iter().map(|(name, _)| plain(&name.to_string())).collect();
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && line.len() + name.len() >= 100 {
            table.row([Cell::new(&line)]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += &name;
    }
    table.row([Cell::new(line)]);
    table
}
