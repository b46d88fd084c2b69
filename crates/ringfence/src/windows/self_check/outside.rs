//! Arranges the self-check: makes what the probe aims at, starts it, and looks at what is left.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringfence_ntsec::{SecurityDescriptor, Sid};

use super::inside::{self, EXISTING, INSIDE, MADE, OUTSIDE, UNDELETABLE};
use super::{Observations, Step, judge, parse_report};
use crate::facts::windows::{SelfCheck, Shell, ShellKind, ShellState};
use crate::plan::windows::{ConsolePlan, DesktopPlan, JobPlan, ProcessPlan, StandardHandle, TokenPlan};
use crate::windows::path::WindowsPath;
use crate::windows::sandbox::Sandbox;
use crate::windows::sys::event::wait_any;
use crate::windows::sys::files::{create_directory, create_file};
use crate::windows::sys::process::{Child, Terminal};
use crate::windows::sys::stdio::{Stdio, pipe};
use crate::windows::wide::Wide;
use crate::windows::{command_line, environment_block, helper, sys};
use crate::{Error, State};

/// How long the probe may take: a first start on a slow disk under a virus scanner.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is in the files before the probe.
const BEFORE: &[u8] = b"before\n";

/// The plans of a sandbox, for the SIDs of one check: with a window station of its own, or without.
pub(crate) struct Plans {
    /// Stands for the directory that may be written.
    pub(crate) workspace: Sid,
    /// The token.
    pub(crate) token: TokenPlan,
    /// The token with Everyone among the restricting SIDs.
    pub(crate) token_with_everyone: TokenPlan,
    /// The job.
    pub(crate) job: JobPlan,
    /// The desktop, in a window station of its own.
    pub(crate) desktop: DesktopPlan,
}

/// What was found out.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) outcome: SelfCheck,
    /// Absent where the probe could not even be arranged.
    pub(crate) observations: Option<Observations>,
}

/// Starts the probe, in a window station of its own and, if that does not pass, in the caller's.
///
/// # Errors
///
/// [`Error::Sandbox`] if what the probe aims at cannot be made.
pub(crate) fn check(plans: &Plans, user: &Sid, state: &State) -> Result<Checked, Error> {
    let Some(program) = helper::program() else {
        return Ok(Checked { outcome: SelfCheck::NotMade, observations: None });
    };
    let mut checked = attempt(program, plans, &plans.desktop, user, state)?;
    if !matches!(checked.outcome, SelfCheck::Passed { .. }) {
        let shared = DesktopPlan { window_station: None, ..plans.desktop.clone() };
        let second = attempt(program, plans, &shared, user, state)?;
        if matches!(second.outcome, SelfCheck::Passed { .. }) || checked.observations.is_none() {
            checked = second;
        }
    }
    Ok(checked)
}

fn attempt(program: &Path, plans: &Plans, desktop: &DesktopPlan, user: &Sid, state: &State) -> Result<Checked, Error> {
    let failed = |source| Error::Sandbox { step: "arranging the self-check".to_owned(), source };
    let scratch = Scratch::make(plans, user, state).map_err(failed)?;
    let sandbox = match Sandbox::build(&plans.token, &plans.job, desktop) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let outcome = SelfCheck::Failed { step: "the sandbox".into(), why: error.to_string() };
            return Ok(Checked { outcome, observations: None });
        }
    };
    let mut arguments = vec![program.into(), OsString::from(helper::SELF_CHECK)];
    arguments.extend(inside::arguments(&scratch.path, sandbox.desktop().name()));
    let ended = start(&sandbox, program, &arguments, &scratch.path.join(INSIDE));
    let (end, report) = match ended {
        Ok((code, report)) => (Ok(code), report),
        Err(error) => (Err(format!("the probe could not be run: {error}")), String::new()),
    };
    let mut steps = parse_report(&report);
    if !scratch.deletes_by_directory {
        // A denial would prove nothing. What was not measured counts as not covered.
        steps.retain(|observation| observation.step != Step::DeleteChild);
    }
    let observations = Observations {
        steps,
        outside_changed: scratch.outside_changed(),
        inside_changed: scratch.inside_changed(),
        end,
        token_differences: sandbox.token_differences.clone(),
        own_station: sandbox.desktop().has_own_station(),
    };
    Ok(Checked { outcome: judge(&observations), observations: Some(observations) })
}

/// Tries whether a shell starts in the finished token, and if not, whether it does with Everyone among the restricting
/// SIDs.
pub(crate) fn try_shell(plans: &Plans, kind: ShellKind, path: WindowsPath) -> Shell {
    let arguments: &[&str] = match kind {
        ShellKind::Cmd => &["/d", "/c", "exit 0"],
        ShellKind::WindowsPowershell | ShellKind::Powershell => {
            &["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", "exit 0"]
        }
        ShellKind::PosixBash => &["--noprofile", "--norc", "-c", "exit 0"],
        ShellKind::Wsl => {
            let reason = "it runs commands in a virtual machine, which no token and no job of this system holds";
            return Shell { kind, path, state: ShellState::Skipped { reason: reason.into() } };
        }
    };
    let program = path.to_path_buf();
    let starts = |token: &TokenPlan| -> Result<(), String> {
        let sandbox = Sandbox::build(token, &plans.job, &plans.desktop).map_err(|error| error.to_string())?;
        let mut argv = vec![program.clone().into_os_string()];
        argv.extend(arguments.iter().map(OsString::from));
        let directory = program.parent().unwrap_or(&program);
        match start(&sandbox, &program, &argv, directory) {
            Ok((0, _)) => Ok(()),
            Ok((code, _)) => Err(format!("it ended with {code:#x} in the finished token")),
            Err(error) => Err(error.to_string()),
        }
    };
    let state = match starts(&plans.token) {
        Ok(()) => ShellState::Starts,
        Err(reason) if starts(&plans.token_with_everyone).is_err() => ShellState::Skipped { reason },
        Err(_) => ShellState::NeedsEveryone,
    };
    Shell { kind, path, state }
}

/// What the probe aims at, removed with this value.
struct Scratch {
    path: PathBuf,
    /// Whether a file that denies DELETE can be deleted by FILE_DELETE_CHILD on its directory here, outside of any sandbox.
    deletes_by_directory: bool,
}

impl Scratch {
    fn make(plans: &Plans, user: &Sid, state: &State) -> io::Result<Self> {
        let random: [u8; 8] = sys::host::random()?;
        let path = state.file(&format!("self-check-{}", crate::plan::hex(&random)));
        let mut scratch = Self { path, deletes_by_directory: false };
        // Protected, so that nothing that an ancestor passes on blurs what is measured.
        let outside = descriptor(&format!("D:P(A;OICI;FA;;;{user})"))?;
        let inside = descriptor(&format!("D:P(A;OICI;FA;;;{user})(A;OICI;0x1301bf;;;{})", plans.workspace))?;
        let undeletable = descriptor(&format!("D:P(D;;SD;;;{user})(A;;FA;;;{user})"))?;
        create_directory(&scratch.path, &outside)?;
        for (name, of_directory) in [(OUTSIDE, &outside), (INSIDE, &inside)] {
            let directory = scratch.path.join(name);
            create_directory(&directory, of_directory)?;
            create_file(&directory.join(EXISTING), of_directory)?.write_all(BEFORE)?;
        }
        create_file(&scratch.path.join(OUTSIDE).join(UNDELETABLE), &undeletable)?;
        // What the probe will try to do outside, done where nothing keeps it from it: otherwise a denial would prove nothing.
        let outside = scratch.path.join(OUTSIDE);
        inside::open_for_measures(&outside.join(EXISTING))?;
        let twin = outside.join("twin");
        drop(create_file(&twin, &undeletable)?);
        scratch.deletes_by_directory = fs::remove_file(twin).is_ok();
        Ok(scratch)
    }

    fn outside_changed(&self) -> bool {
        let outside = self.path.join(OUTSIDE);
        outside.join(MADE).exists() || fs::read(outside.join(EXISTING)).ok().as_deref() != Some(BEFORE)
    }

    fn inside_changed(&self) -> bool {
        let inside = self.path.join(INSIDE);
        let grown = fs::read(inside.join(EXISTING)).is_ok_and(|content| content.len() > BEFORE.len());
        inside.join(MADE).exists() && grown
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The user may delete all of it by FILE_DELETE_CHILD. What stays is empty but for a few bytes, and inert.
        fs::remove_dir_all(&self.path).unwrap_or_default();
    }
}

fn descriptor(sddl: &str) -> io::Result<SecurityDescriptor> {
    sddl.parse().map_err(io::Error::other)
}

/// Starts a program in a sandbox, waits for its end and returns its exit code and what it printed.
fn start(sandbox: &Sandbox, program: &Path, argv: &[OsString], directory: &Path) -> Result<(u32, String), Error> {
    let failed = |source| Error::Sandbox { step: format!("starting `{}`", program.display()), source };
    let process = process(program, argv)?;
    let environment = environment_block::encode(&caller_environment())?;
    let directory = plain(directory)?.to_path_buf();
    let until = Instant::now() + PATIENCE;
    let capture = || -> io::Result<(Child, mpsc::Receiver<Vec<u8>>)> {
        let (read, write) = pipe()?;
        let mut stdio = Stdio::capturing(&write)?;
        drop(write);
        let child = sandbox.start(&process, &environment, &directory, Terminal::Handles(stdio.handles()?))?;
        stdio.handed_over();
        let (sender, receiver) = mpsc::channel();
        let mut read = fs::File::from(read);
        std::thread::spawn(move || {
            let mut output = Vec::new();
            // What was read until the pipe broke is what there is.
            read.read_to_end(&mut output).unwrap_or_default();
            sender.send(output).unwrap_or_default();
        });
        Ok((child, receiver))
    };
    let (child, receiver) = capture().map_err(failed)?;
    let ended = wait_any(&[child.handle().as_handle()], Some(until)).map_err(failed)?;
    sandbox.job.terminate(1).map_err(failed)?;
    if ended.is_none() {
        return Err(failed(io::ErrorKind::TimedOut.into()));
    }
    let code = child.exit_code().map_err(failed)?;
    let output = receiver.recv_timeout(PATIENCE).unwrap_or_default();
    Ok((code, String::from_utf8_lossy(&output).into_owned()))
}

fn process(program: &Path, argv: &[OsString]) -> Result<ProcessPlan, Error> {
    let argv: Vec<Wide> = argv.iter().map(|argument| wide(argument)).collect();
    Ok(ProcessPlan {
        application: plain(program)?,
        command_line: command_line::quote(&argv)?,
        handles: vec![StandardHandle::Input, StandardHandle::Output, StandardHandle::Error],
        console: ConsolePlan::Hidden,
    })
}

/// A path without the verbatim prefix, which neither a program's name nor a current directory may have.
fn plain(path: &Path) -> Result<WindowsPath, Error> {
    WindowsPath::from_path(path).map_err(|_| Error::PathNotUtf8 { path: path.to_owned() })
}

/// The caller's variables without those of `cmd.exe` that are no variables (`=C:`), and the first of those that differ in
/// case only.
fn caller_environment() -> Vec<(Wide, Wide)> {
    let mut variables: Vec<(Wide, Wide)> = Vec::new();
    for (name, value) in std::env::vars_os() {
        let (name, value) = (wide(&name), wide(&value));
        let known = |other: &Wide| environment_block::folded(other) == environment_block::folded(&name);
        if name.units().first() != Some(&u16::from(b'=')) && !variables.iter().any(|(other, _)| known(other)) {
            variables.push((name, value));
        }
    }
    variables
}

fn wide(text: &OsStr) -> Wide {
    Wide(text.encode_wide().collect())
}
