//! The `ringfence` command as a library: its definition, and its entry point.
//!
//! A library, so that the generators of the man pages and completions read the very definition that the command is parsed
//! with.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod ask;
pub mod cli;
mod commands;
mod destination;
mod failure;
mod first_use;
pub mod page;
mod progress;
mod request;
mod status;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, FromArgMatches, Parser};
use ringfence::Ahead;

use crate::cli::{Action, Cli, Run};
use crate::failure::Failure;
pub use crate::status::Status;

/// The hidden subcommand that carries out one probe, for `ringfence verify`. It is no part of the definition: nobody is
/// meant to find it, and its arguments may be any bytes.
const PROBE: &str = "__probe";

/// Does what the arguments of the process ask for, and returns the exit status that says how it went.
pub fn main() -> Status {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|argument| argument == PROBE) {
        return Status::from(ringfence_probe::main(arguments.into_iter().skip(2)));
    }
    #[cfg(windows)]
    if let Some(status) = ringfence::windows::dispatch(arguments.iter().skip(1).cloned()) {
        return Status::from(status);
    }
    let json = asks_for_json(&arguments);
    // Nearly every run begins the same way, whatever its flags are.
    let ahead = if asks_for_run(&arguments) { Ahead::start() } else { None };
    let outcome = match parse(arguments) {
        Ok(action) => perform(action, ahead),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            commands::printed(error.print()).map(|()| Status::SUCCESS)
        }
        Err(error) => Err(Failure::usage(&error)),
    };
    outcome.unwrap_or_else(|failure| {
        failure.report().print(json);
        Status::from(failure.exit_status())
    })
}

/// Parses the arguments by the definition of the command line.
///
/// Nearly every call is `ringfence run`, and to build the definition of all the other subcommands would be a tenth of
/// the time that ringfence itself takes. So that one is tried alone first; what does not fit, or asks for help, is left to
/// the whole definition.
fn parse(arguments: Vec<OsString>) -> Result<Action, clap::Error> {
    if asks_for_run(&arguments) {
        let alone = Run::augment_args(clap::Command::new("run")).try_get_matches_from(&arguments[1..]);
        if let Ok(run) = alone.and_then(|matches| Run::from_arg_matches(&matches)) {
            return Ok(Action::Run(run));
        }
    }
    Cli::try_parse_from(arguments).map(|cli| cli.action)
}

fn perform(action: Action, ahead: Option<Ahead>) -> Result<Status, Failure> {
    match action {
        Action::Run(arguments) => commands::run::run(&arguments, ahead),
        Action::Plan(arguments) => commands::plan::plan(&arguments),
        Action::Why(arguments) => commands::why::why(&arguments),
        Action::Doctor(arguments) => commands::doctor::doctor(&arguments),
        Action::Log(arguments) => commands::log::log(&arguments),
        Action::Grants(arguments) => commands::grants::grants(&arguments),
        Action::Policy(arguments) => commands::policy::policy(&arguments),
        #[cfg(target_os = "linux")]
        Action::Verify(arguments) => commands::verify::verify(&arguments),
        #[cfg(not(target_os = "linux"))]
        Action::Verify(_) => Err(Failure::Engine(ringfence::Error::Unsupported {
            what: "ringfence verify".into(),
            advice: "its probes exist for Linux only so far".into(),
        })),
    }
}

fn asks_for_run(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|argument| argument == "run")
}

/// Whether errors are to be printed as JSON. Asked before the arguments are parsed, because the error may be that they
/// cannot be.
fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}
