//! `ringfence run`: the command, held.

use std::io::Write;
use std::process::ExitCode;

use ringfence::{Exit, Facts, Invocation, MechanismChoice, Plan, Receipt, State};

use crate::cli::{self, Boundary, Mechanism, Start, Target};
use crate::failure::Failure;
use crate::page::{WARNING, plain};
use crate::request;

/// Runs the command and ends as it ended.
pub(crate) fn run(arguments: &cli::Run) -> Result<ExitCode, Failure> {
    let state = State::open()?;
    let plan = resolve(&arguments.boundary, &arguments.start, &arguments.target, &state)?;
    let receipt = ringfence::Run::start(&plan, &state)?.wait()?;
    if arguments.json {
        print_receipt(&receipt)?;
    } else if !arguments.quiet {
        print_summary(&receipt);
    }
    Ok(ExitCode::from(receipt.exit_status()))
}

/// Makes the plan of a run: nothing is started or changed, apart from the record of what this machine can enforce.
pub(crate) fn resolve(boundary: &Boundary, start: &Start, target: &Target, state: &State) -> Result<Plan, Failure> {
    let policy = request::policy(boundary)?;
    let invocation = invocation(boundary, start, target)?;
    let facts = Facts::probe(&policy, &invocation, state)?;
    Ok(Plan::resolve(&policy, &facts, &invocation)?)
}

fn invocation(boundary: &Boundary, start: &Start, target: &Target) -> Result<Invocation, Failure> {
    let mut invocation = Invocation::here(target.argv.clone())?;
    invocation.workspace = request::workspace(boundary.source.workspace.as_deref())?;
    invocation.tty = start.tty;
    invocation.keep_descriptors.clone_from(&start.keep_fd);
    invocation.mechanism = mechanism(start.mechanism);
    Ok(invocation)
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
