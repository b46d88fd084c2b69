//! What the program itself is started again for, behind hidden first arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{self_check, sys};

/// Makes it the probe of the self-check.
pub(crate) const SELF_CHECK: &str = "__self-check";

/// Makes it what sends Ctrl-C to the console of a process.
const INTERRUPT: &str = "__interrupt";

/// This program, if it answers to the hidden arguments.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Carries out a hidden subcommand of this program, if the arguments (without the program's name) name one, and returns
/// the exit status.
///
/// A program that runs commands calls this first of all. Otherwise it is not started again for what has to happen in
/// another process: nothing then finds out whether the system enforces a plan, so that it is not relied upon, and
/// Ctrl-C ends the command instead of being passed on to it.
pub fn dispatch(arguments: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut arguments = arguments.into_iter();
    let first = arguments.next();
    match first.as_deref().and_then(|first| first.to_str()) {
        Some(SELF_CHECK) => return Some(self_check::inside::main(arguments)),
        Some(INTERRUPT) => {
            let id = arguments.next().and_then(|id| id.to_str()?.parse().ok());
            let sent = id.map(sys::console::interrupt_console_of);
            return Some(u8::from(!matches!(sent, Some(Ok(())))));
        }
        _ => {}
    }
    if let Ok(program) = std::env::current_exe() {
        PROGRAM.get_or_init(|| program);
    }
    None
}

/// This program, if it answers to the hidden arguments.
pub(crate) fn program() -> Option<&'static PathBuf> {
    PROGRAM.get()
}

/// Sends Ctrl-C to every process on the console of the process `id`; whether that was possible.
///
/// Another process has to do it: a process can have one console only, and this one keeps the user's.
pub(crate) fn interrupt(id: u32) -> bool {
    let Some(program) = program() else {
        return false;
    };
    let status = Command::new(program)
        .arg(INTERRUPT)
        .arg(id.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
