//! One file for each subcommand: from its arguments to what it prints and the exit status.

pub(crate) mod doctor;
pub(crate) mod grants;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod recorded;
pub(crate) mod run;
#[cfg(target_os = "linux")]
pub(crate) mod verify;
pub(crate) mod why;

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Prints a page on standard output. A reader that has gone (`ringfence log | head`) is no failure.
pub(crate) fn print(page: &str) -> Result<(), Failure> {
    let mut stream = anstream::stdout().lock();
    printed(stream.write_all(page.as_bytes()).and_then(|()| stream.flush()))
}

/// Prints a value as indented JSON on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|source| Failure::Encode { source })?;
    text.push('\n');
    let mut stream = io::stdout().lock();
    printed(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()))
}

/// Turns the outcome of printing into ours.
pub(crate) fn printed(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(Failure::WriteOutput { source }),
        _ => Ok(()),
    }
}
