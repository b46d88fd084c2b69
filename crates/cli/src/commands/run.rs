//! `ringfence run`: the command, held.

use crate::status::Status;
use std::io::Write;
use std::sync::Arc;

use ringfence::proxy::{Ask, Blocked};
use ringfence::{Ahead, Company, Exit, Facts, Invocation, MechanismChoice, Plan, Receipt, State};

use crate::cli::{self, Boundary, Mechanism, Start, Target};
use crate::failure::Failure;
use crate::first_use::FirstUse;
use crate::page::{WARNING, plain};
use crate::request;

/// Runs the command and ends as it ended.
///
/// What was begun ahead is carried on, if the plan begins the same way.
pub(crate) fn run(arguments: &cli::Run, ahead: Option<Ahead>) -> Result<Status, Failure> {
    let state = State::open()?;
    // With --json standard error has one object, and what is told once would be lost.
    #[cfg(target_os = "linux")]
    if !arguments.json {
        print_left_over(&ringfence::Run::left_over(&state));
    }
    let plan = resolve(&arguments.boundary, &arguments.start, &arguments.target, &state)?;
    let ask = if arguments.start.ask { asking(&plan)? } else { None };
    let first_use = FirstUse::new(arguments.quiet || arguments.json);
    let company = Company { ask, audience: &first_use, ahead };
    let started = ringfence::Run::start_with(plan, &state, company);
    first_use.finish();
    let receipt = started?.wait()?;
    if arguments.json {
        print_receipt(&receipt)?;
    } else if !arguments.quiet {
        print_summary(&receipt);
    }
    Ok(receipt.exit_status().into())
}

/// Makes the plan of a run: nothing is started or changed, apart from the record of what this machine can enforce.
pub(crate) fn resolve(boundary: &Boundary, start: &Start, target: &Target, state: &State) -> Result<Plan, Failure> {
    resolve_with_facts(boundary, start, target, state).map(|(plan, _)| plan)
}

/// As [`resolve`], with what the plan was made from.
pub(crate) fn resolve_with_facts(
    boundary: &Boundary,
    start: &Start,
    target: &Target,
    state: &State,
) -> Result<(Plan, Facts), Failure> {
    let policy = request::policy(boundary)?;
    let invocation = invocation(boundary, start, target)?;
    let facts = Facts::probe(&policy, &invocation, state)?;
    Ok((Plan::resolve(&policy, &facts, &invocation)?, facts))
}

fn invocation(boundary: &Boundary, start: &Start, target: &Target) -> Result<Invocation, Failure> {
    let mut invocation = Invocation::here(target.argv.clone())?;
    invocation.workspace = request::workspace(boundary.source.workspace.as_deref())?;
    invocation.tty = start.tty;
    invocation.ask = start.ask;
    invocation.keep_descriptors.clone_from(&start.keep_fd);
    invocation.mechanism = mechanism(start.mechanism);
    Ok(invocation)
}

/// Who is asked about hosts, unless the plan has no question to ask.
#[cfg(unix)]
fn asking(plan: &Plan) -> Result<Option<Arc<dyn Ask>>, Failure> {
    if plan.refusal().is_some() {
        return Ok(None);
    }
    Ok(Some(Arc::new(crate::ask::Terminal::open()?)))
}

#[cfg(not(unix))]
fn asking(_: &Plan) -> Result<Option<Arc<dyn Ask>>, Failure> {
    let advice = "allow hosts with --allow".to_owned();
    Err(ringfence::Error::Unsupported { what: "--ask".to_owned(), advice }.into())
}

/// What holds the command, in the engine's terms.
pub(crate) fn mechanism(asked: Mechanism) -> MechanismChoice {
    match asked {
        Mechanism::Auto => MechanismChoice::Auto,
        Mechanism::Namespaces => MechanismChoice::Namespaces,
        Mechanism::Landlock => MechanismChoice::Landlock,
    }
}

/// Prints the receipt on standard error: standard output belongs to the command.
fn print_receipt(receipt: &Receipt) -> Result<(), Failure> {
    let line = serde_json::to_string(receipt).map_err(|source| Failure::Encode { source })?;
    // Nobody may be left to read it; the log has it.
    let _ = writeln!(std::io::stderr(), "{line}");
    Ok(())
}

/// Tells on standard error what the user should know or look at.
fn print_summary(receipt: &Receipt) {
    let mut stream = anstream::stderr().lock();
    // A status alone does not tell a limit from a command that ended that way by itself.
    if matches!(receipt.exit, Exit::TimedOut | Exit::OutOfMemory | Exit::TooManyProcesses) {
        let _ = writeln!(stream, "ringfence: {WARNING}ended{WARNING:#}: {}", receipt.exit);
    }
    if let Some(network) = &receipt.network {
        print_blocked(&mut stream, &network.blocked);
    }
    for item in &receipt.quarantined {
        let (path, place) = (item.path.to_string_lossy(), item.moved_to.to_string_lossy());
        let _ = writeln!(
            stream,
            "ringfence: {WARNING}quarantined{WARNING:#}: {} appeared during the run and is protected; look at it in {}",
            plain(&path),
            plain(&place)
        );
    }
}

/// Tells what nobody has looked at.
#[cfg(target_os = "linux")]
fn print_left_over(paths: &[std::path::PathBuf]) {
    for path in paths {
        let _ = writeln!(
            anstream::stderr(),
            "ringfence: {WARNING}left over{WARNING:#}: {} appeared during or after a run that was killed, and is protected; look at it before a tool of yours reads it",
            plain(&path.to_string_lossy())
        );
    }
}

/// Tells which hosts were refused, and which flag would allow each.
fn print_blocked(stream: &mut impl Write, blocked: &[Blocked]) {
    const SHOWN: usize = 12;
    for row in blocked.iter().take(SHOWN) {
        let port = if row.port == 0 { String::new() } else { format!(":{}", row.port) };
        let times = if row.count == 1 { String::new() } else { format!(", {} times", row.count) };
        let flag = row.flag.as_ref().map(|flag| format!("; {flag} would allow it")).unwrap_or_default();
        let _ = writeln!(
            stream,
            "ringfence: {WARNING}blocked{WARNING:#}: {}{port} ({}{times}){flag}",
            plain(&row.host),
            row.code
        );
    }
    if blocked.len() > SHOWN {
        let _ = writeln!(stream, "ringfence: and {} more; `ringfence log --json` has them", blocked.len() - SHOWN);
    }
}
