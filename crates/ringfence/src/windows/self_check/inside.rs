//! The probe of the self-check: what runs in the finished token.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringfence_ntsec::AccessMask;

use super::{Observation, Outcome, Step};
use crate::windows::sys;

/// What the probe's child prints.
const CHILD_SAYS: &str = "child";

/// The argument that makes it the child.
const CHILD: &str = "child";

/// Names below the scratch directory.
pub(super) const OUTSIDE: &str = "outside";
pub(super) const INSIDE: &str = "inside";
/// A file that exists in each of both.
pub(super) const EXISTING: &str = "existing";
/// A file that is made in each of both.
pub(super) const MADE: &str = "made";
/// A file outside that denies DELETE.
pub(super) const UNDELETABLE: &str = "undeletable";

/// Carries out the probe with the arguments that [`arguments`] made, and returns the exit code.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut arguments = arguments.into_iter();
    let first = arguments.next().unwrap_or_default();
    if first == CHILD {
        let printed = io::stdout().write_all(CHILD_SAYS.as_bytes());
        return u8::from(printed.is_err());
    }
    let scratch = PathBuf::from(first);
    let desktop = arguments.next().unwrap_or_default();
    let mut report = io::stdout().lock();
    for (step, outcome) in steps(&scratch, &desktop) {
        let written = serde_json::to_writer(&mut report, &Observation { step, outcome })
            .map_err(io::Error::from)
            .and_then(|()| report.write_all(b"\n"));
        if written.is_err() {
            return 1;
        }
    }
    0
}

/// The arguments of the probe for a scratch directory and the desktop that it must find itself on.
pub(super) fn arguments(scratch: &Path, desktop: &OsStr) -> [OsString; 2] {
    [scratch.into(), desktop.into()]
}

fn steps(scratch: &Path, desktop: &OsStr) -> Vec<(Step, Outcome)> {
    let (outside, inside) = (scratch.join(OUTSIDE), scratch.join(INSIDE));
    let victim = outside.join(EXISTING);
    vec![
        (Step::WriteOutside, outcome(append(&victim))),
        (Step::CreateOutside, outcome(make(&outside.join(MADE)))),
        (Step::WriteInside, outcome(append(&inside.join(EXISTING)))),
        (Step::CreateInside, outcome(make(&inside.join(MADE)))),
        (Step::Delete, outcome(open(&victim, AccessMask::DELETE))),
        (Step::WriteDac, outcome(open(&victim, AccessMask::WRITE_DAC))),
        (Step::WriteOwner, outcome(open(&victim, AccessMask::WRITE_OWNER))),
        (Step::DeleteChild, outcome(std::fs::remove_file(outside.join(UNDELETABLE)))),
        (Step::NullDevice, outcome(OpenOptions::new().write(true).open("NUL").map(drop))),
        (Step::ChildProcess, outcome(child())),
        (Step::Pipe, outcome(pipe())),
        (Step::Desktop, outcome(on_desktop(desktop))),
    ]
}

fn outcome(result: io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Succeeded,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Outcome::Denied,
        Err(error) => Outcome::Failed { why: error.to_string() },
    }
}

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b"written\n")
}

fn make(path: &Path) -> io::Result<()> {
    File::create_new(path).map(drop)
}

/// Opens with each of the rights that tell the readings apart: the control of what the probe measures.
pub(super) fn open_for_measures(path: &Path) -> io::Result<()> {
    open(path, AccessMask::DELETE)?;
    open(path, AccessMask::WRITE_DAC)?;
    open(path, AccessMask::WRITE_OWNER)
}

/// Opens with these rights and does nothing with them.
fn open(path: &Path, rights: AccessMask) -> io::Result<()> {
    OpenOptions::new().access_mode(rights.0).open(path).map(drop)
}

fn ourselves() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::windows::helper::SELF_CHECK).arg(CHILD);
    Ok(command)
}

fn child() -> io::Result<()> {
    let status = ourselves()?.stdout(io::stderr()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the child ended with {status}"))) }
}

/// The standard library makes the pipe as a named one and opens it by its name, which is what needs the default DACL.
fn pipe() -> io::Result<()> {
    let output = ourselves()?.output()?;
    if output.stdout == CHILD_SAYS.as_bytes() {
        return Ok(());
    }
    Err(io::Error::other(format!("the child's output did not arrive; it ended with {}", output.status)))
}

fn on_desktop(expected: &OsStr) -> io::Result<()> {
    let found = sys::desktop::of_this_thread()?;
    // The name of a desktop in a window station carries the station's in front.
    let name = expected.to_string_lossy();
    let name = name.rsplit('\\').next().unwrap_or_default();
    if found == *name { Ok(()) } else { Err(io::Error::other(format!("it is on `{}`", found.to_string_lossy()))) }
}
