//! Supervises one run on Windows.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::windows::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ringfence_egress::Ask;
use ringfence_policy::RuleId;
use windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_REPARSE_POINT;

use super::helper;
use super::quarantine;
use super::sandbox::Sandbox;
use super::sys::console::{Asked, Controls};
use super::sys::disk::NtDisk;
use super::sys::event::wait_any;
use super::sys::files::create_directory;
use super::sys::job::JobUsage;
use super::sys::object;
use super::sys::process::{Child, Terminal};
use super::sys::stdio::Stdio;
use super::terminal::PseudoTerminal;
use super::{environment_block, wide::Wide};
use crate::egress::{Egress, Sockets};
use crate::facts::windows::ObjectId;
use crate::grants::{Audience, apply_on};
use crate::plan::windows::{PrivateDirectory, PrivatePurpose, WindowsPlan};
use crate::plan::{Command, Plan};
use crate::receipt::{Exit, Log, Outcome, Receipt, Usage, Writer};
use crate::{Error, State, Text};

/// How long the end of the tree may take once the kernel was told to end it.
const END_OF_TREE: Duration = Duration::from_secs(10);

/// How long what was printed may take to arrive once the tree has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// `STATUS_CONTROL_C_EXIT`: what processes exit with that Ctrl-C ended.
const CONTROL_C_EXIT: u32 = 0xC000_013A;

/// A process tree and everything that was made for it.
#[derive(Debug)]
pub(crate) struct WindowsRun {
    plan: Plan,
    plan_hash: String,
    state: State,
    id: String,
    log: Writer,
    started: (SystemTime, Instant),
    child: Child,
    sandbox: Sandbox,
    controls: Controls,
    streams: Streams,
    egress: Option<Egress>,
    /// Dropped before what follows, which could not be removed else.
    held: Vec<File>,
    temporary: Vec<Temporary>,
}

/// What the command reads from and writes to.
#[derive(Debug)]
enum Streams {
    Handles(Stdio),
    Terminal(PseudoTerminal),
}

impl WindowsRun {
    pub(crate) fn start(
        plan: &Plan,
        state: &State,
        ask: Option<Arc<dyn Ask>>,
        audience: &dyn Audience,
    ) -> Result<Self, Error> {
        let windows = plan.system.windows()?;
        // A run that cannot be recorded is not started.
        let log = Log::open(state)?.writer()?;
        let plan_hash = plan.hash()?;
        let proxy = windows.egress.as_ref().map(|egress| Egress::prepare(egress, ask)).transpose()?;
        let bound = windows.egress.as_ref().map(Sockets::bind).transpose()?;
        let (sockets, address) = bound.unzip();
        let sandbox = Sandbox::build(&windows.token, &windows.job, &windows.desktop)?;
        check_token(plan, &sandbox)?;
        // A token that is not restricted, as the operator accepted, needs no entry on disk.
        if sandbox.token_differences.is_empty() {
            apply_on(&NtDisk, state, &windows.grants, audience)?;
        }
        let temporary = windows.private.iter().filter_map(|wanted| prepare(wanted).transpose());
        let temporary = temporary.collect::<Result<Vec<_>, _>>()?;
        let held = hold(windows)?;
        // From here on a request to end this process is the command's.
        let controls = Controls::catch().map_err(Error::system("catching the console's requests"))?;
        let mut streams = Streams::open(&plan.command)?;
        let started = (SystemTime::now(), Instant::now());
        // The proxy serves before the command can ask it.
        let egress = proxy.zip(sockets).map(|(proxy, sockets)| Egress::start(proxy, sockets)).transpose()?;
        let environment = environment(plan, windows, address)?;
        let child = streams.start(&sandbox, windows, &plan.command, &environment)?;
        Ok(Self {
            plan: plan.clone(),
            plan_hash,
            state: state.clone(),
            id: windows.id.clone(),
            log,
            started,
            child,
            sandbox,
            controls,
            streams,
            egress,
            held,
            temporary,
        })
    }

    pub(crate) fn wait(mut self) -> Result<Receipt, Error> {
        let exit = self.supervise()?;
        let duration = self.started.1.elapsed();
        // The end of the command is the end of the run: whatever it left behind goes now, also what holds its pipes.
        self.sandbox.job.terminate(CONTROL_C_EXIT).map_err(Error::system("ending the job"))?;
        let empty = self.sandbox.job.wait_until_empty(Instant::now() + END_OF_TREE);
        if !empty.map_err(Error::system("waiting for the end of the job"))? {
            return Err(Error::System {
                operation: "ending every process of the command",
                source: io::ErrorKind::TimedOut.into(),
            });
        }
        self.streams.close(Instant::now() + DRAIN);
        let usage = self.sandbox.job.usage().map_err(Error::system("asking what the job used"))?;
        drop(self.held);
        drop(self.temporary);
        let quarantined = quarantine::sweep(&self.plan.system.windows()?.watch, &self.id, &self.state)?;
        let outcome = Outcome { exit, usage: used(usage), network: self.egress.map(Egress::finish), quarantined };
        let mut receipt = Receipt::of_run(self.plan, self.plan_hash, self.id, self.started.0, duration, outcome);
        self.log.append(&mut receipt)?;
        Ok(receipt)
    }

    /// Waits for the end of the command, passing on what the console's user asks for, and keeping the time.
    fn supervise(&mut self) -> Result<Exit, Error> {
        let deadline = self.plan.limits.timeout_ms.map(|limit| self.started.1 + Duration::from_millis(limit));
        loop {
            let ready = wait_any(&[self.child.handle(), self.controls.handle()], deadline);
            match ready.map_err(Error::system("waiting for the command"))? {
                None => return Ok(Exit::TimedOut),
                Some(0) => {
                    let code = self.child.exit_code().map_err(Error::system("reading the exit code"))?;
                    return Ok(Exit::Code { code });
                }
                Some(_) => match self.controls.next() {
                    None => {}
                    Some(Asked::Interrupt) if helper::interrupt(self.child.id()) => {}
                    Some(Asked::Interrupt | Asked::End) => return Ok(Exit::Code { code: CONTROL_C_EXIT }),
                },
            }
        }
    }
}

impl Streams {
    fn open(command: &Command) -> Result<Self, Error> {
        if command.tty {
            return PseudoTerminal::open().map(Self::Terminal).map_err(|source| Error::Sandbox {
                step: "making a pseudo-console (run without --tty where there are none)".to_owned(),
                source,
            });
        }
        Stdio::of_this_process().map(Self::Handles).map_err(Error::system("preparing the standard handles"))
    }

    fn start(
        &mut self,
        sandbox: &Sandbox,
        plan: &WindowsPlan,
        command: &Command,
        environment: &[u16],
    ) -> Result<Child, Error> {
        let start = |terminal: Terminal<'_>| sandbox.start(&plan.process, environment, &command.directory, terminal);
        let started = match self {
            Self::Handles(stdio) => {
                let started = stdio.handles().and_then(|handles| start(Terminal::Handles(handles)));
                stdio.handed_over();
                started
            }
            Self::Terminal(terminal) => terminal
                .with(|console| start(Terminal::Pseudo(console)))
                .unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into())),
        };
        started.map_err(|source| not_started(command, source))
    }

    fn close(self, until: Instant) {
        match self {
            Self::Handles(mut stdio) => stdio.drain(until),
            Self::Terminal(terminal) => terminal.close(until),
        }
    }
}

/// The environment block of the command; where the proxy listens is known only now.
fn environment(plan: &Plan, windows: &WindowsPlan, proxy: Option<SocketAddr>) -> Result<Vec<u16>, Error> {
    let actual = |name: &Text, value: &Text| {
        windows
            .egress
            .as_ref()
            .zip(proxy)
            .and_then(|(egress, proxy)| egress.actual_value(name.as_os_str(), value.as_os_str(), proxy))
    };
    let variables = plan.command.environment.iter().map(|(name, value)| {
        let value = actual(name, value).map_or_else(|| wide(value), |actual| Wide::from(actual.as_str()));
        (wide(name), value)
    });
    environment_block::encode(&variables.collect::<Vec<_>>())
}

/// Opens what nobody may delete or rename during the run: what the plan names, and its private directories.
fn hold(plan: &WindowsPlan) -> Result<Vec<File>, Error> {
    let mut held = Vec::with_capacity(plan.held.len() + plan.private.len());
    for target in &plan.held {
        let failed = |source| Error::Sandbox { step: format!("keeping `{}` in its place", target.path), source };
        let (file, volume, id) = object::hold(Path::new(&target.path.verbatim())).map_err(failed)?;
        if (ObjectId { volume, file: id }) != target.object {
            return Err(Error::RootChanged { path: target.path.to_path_buf() });
        }
        held.push(file);
    }
    for directory in &plan.private {
        let failed = |source| Error::Sandbox { step: format!("keeping `{}` in its place", directory.path), source };
        let (file, ..) = object::hold(Path::new(&directory.path.verbatim())).map_err(failed)?;
        held.push(file);
    }
    Ok(held)
}

/// Refuses a token that differs from its plan. Where the plan itself says that the kernel does not hold the token's rule
/// and the operator accepted that, a difference is what was to be expected.
fn check_token(plan: &Plan, sandbox: &Sandbox) -> Result<(), Error> {
    let claimed = plan.rules.iter().any(|rule| rule.rule == RuleId::FilesystemWrite && rule.holds.is_kernel());
    match sandbox.token_differences.first() {
        Some(difference) if claimed => Err(Error::Sandbox {
            step: format!("comparing the finished token with its plan ({difference})"),
            source: io::ErrorKind::InvalidData.into(),
        }),
        _ => Ok(()),
    }
}

/// Makes a directory of ringfence's own, unless it is there from an earlier run. What is for this run alone is removed with
/// the returned value.
fn prepare(wanted: &PrivateDirectory) -> Result<Option<Temporary>, Error> {
    let path = wanted.path.to_path_buf();
    let failed = |source| Error::Sandbox { step: format!("making the directory `{}`", path.display()), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let made = create_directory(&path, &wanted.descriptor);
    match (wanted.purpose, made) {
        (PrivatePurpose::Temporary, made) => made.map(|()| Some(Temporary { path: path.clone() })).map_err(failed),
        (PrivatePurpose::Holder | PrivatePurpose::Cache, Ok(())) => Ok(None),
        (PrivatePurpose::Holder | PrivatePurpose::Cache, Err(error))
            if error.kind() == io::ErrorKind::AlreadyExists =>
        {
            let found = fs::symlink_metadata(&path).map_err(failed)?;
            let is_link = found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0;
            if is_link || !found.is_dir() { Err(Error::RootChanged { path: path.clone() }) } else { Ok(None) }
        }
        (PrivatePurpose::Holder | PrivatePurpose::Cache, Err(error)) => Err(failed(error)),
    }
}

/// A directory that goes with everything in it when the run is over.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The standard library removes without following links.
        fs::remove_dir_all(&self.path).unwrap_or_default();
    }
}

/// Why the command could not be started, told apart by what the caller can do about it.
fn not_started(command: &Command, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::CommandNotFound { command: command.program.display().to_string() },
        io::ErrorKind::PermissionDenied => {
            Error::CommandNotExecutable { path: command.program.clone(), reason: source.to_string() }
        }
        _ => Error::Sandbox { step: format!("starting `{}`", command.program.display()), source },
    }
}

fn wide(text: &Text) -> Wide {
    use std::os::windows::ffi::OsStrExt;
    Wide(text.as_os_str().encode_wide().collect())
}

fn used(usage: JobUsage) -> Usage {
    const PER_MILLISECOND: u64 = 10_000;
    Usage {
        user_ms: usage.user_time / PER_MILLISECOND,
        system_ms: usage.kernel_time / PER_MILLISECOND,
        max_rss_bytes: usage.peak_process_memory,
    }
}
