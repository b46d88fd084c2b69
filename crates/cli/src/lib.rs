//! The `ringfence` command as a library: its definition, and its entry point.
//!
//! A library, so that the generators of the man pages and completions read the very definition that the command is parsed
//! with.
#![forbid(unsafe_code)]

pub mod cli;
mod commands;
mod destination;
mod failure;
pub mod page;
mod request;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Action, Cli};
use crate::failure::Failure;

/// Does what the arguments of the process ask for, and returns the exit status that says how it went.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let json = asks_for_json(&arguments);
    let outcome = match Cli::try_parse_from(arguments) {
        Ok(cli) => perform(cli.action),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            commands::printed(error.print()).map(|()| ExitCode::SUCCESS)
        }
        Err(error) => Err(Failure::usage(&error)),
    };
    outcome.unwrap_or_else(|failure| {
        failure.report().print(json);
        ExitCode::from(failure.exit_status())
    })
}

fn perform(action: Action) -> Result<ExitCode, Failure> {
    match action {
        Action::Why(arguments) => commands::why::why(&arguments),
        Action::Policy(arguments) => commands::policy::policy(&arguments),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Whether errors are to be printed as JSON. Asked before the arguments are parsed, because the error may be that they
/// cannot be.
fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .skip(1)
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}
