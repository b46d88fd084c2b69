//! Supervises one run on Linux.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ringfence_egress::{Ask, Builder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ahead::Ahead;
use super::cgroup::Cgroup;
use super::compile::Made;
use super::descriptors::receive_sockets;
use super::pending::Pending;
use super::sys::{Ended, Launched, Signals, wait_for};
use super::terminal::Terminal;
use super::{compile, monitor, quarantine};
use crate::egress::{Egress, Sockets};
use crate::plan::linux::{Mechanism, Opening};
use crate::plan::{EgressPlan, Limits, Plan, hex};
use crate::receipt::{Exit, Log, Outcome, Receipt, Usage, Writer};
use crate::{Error, State};

/// A process tree and everything that was made for it.
#[derive(Debug)]
pub(crate) struct LinuxRun {
    plan: Plan,
    plan_hash: String,
    state: State,
    log: Writer,
    id: String,
    started: (SystemTime, Instant),
    process: Process,
    signals: Signals,
    terminal: Option<Terminal>,
    egress: Option<Egress>,
    pending: Option<Pending>,
    _temporary: Option<Temporary>,
    _cgroup: Option<Cgroup>,
}

impl LinuxRun {
    pub(crate) fn start(
        plan: Plan,
        state: &State,
        ask: Option<Arc<dyn Ask>>,
        ahead: Option<Ahead>,
    ) -> Result<Self, Error> {
        let linux = plan.system.linux()?;
        let id = random_id()?;
        // A run that cannot be recorded is not started.
        let log = Log::open(state)?.writer()?;
        let temporary = linux.private_temporary.then(|| Temporary::create(&id)).transpose()?;
        let cgroup = linux.cgroup.as_ref().map(|plan| Cgroup::create(plan, &id)).transpose()?;
        let ahead = match ahead.filter(|ahead| ahead.begins(&plan.command, linux) && cgroup.is_none()) {
            Some(ahead) => ahead,
            None => Ahead::start(Opening::of(linux), cgroup.as_ref().map(Cgroup::descriptor))?,
        };
        let proxy = linux.egress.as_ref().map(|egress| Egress::prepare(egress, ask)).transpose()?;
        let (bound, address) = match (&linux.egress, linux.mechanism) {
            (Some(egress), Mechanism::Landlock) => Sockets::bind(egress).map(|(bound, at)| (Some(bound), Some(at)))?,
            _ => (None, None),
        };
        let directory = temporary.as_ref().map(|temporary| temporary.path.as_path());
        let made = Made { temporary: directory, proxy: address };
        let pending = Pending::record(&linux.watch, &id, state)?;
        let started = (SystemTime::now(), Instant::now());
        // From here on a signal that asks this process to end is the command's.
        let signals = Signals::catch().map_err(Error::system("catching signals"))?;
        let launched = ahead.tell(&plan.command, linux, &made, &signals)?;
        let mut process = Process { launched: Some(launched), mechanism: linux.mechanism };
        // The child is busy building; what the receipt needs is made meanwhile.
        let plan_hash = plan.hash()?;
        let egress = match (&linux.egress, proxy) {
            (Some(egress), Some(proxy)) => process.egress(egress, bound, proxy)?,
            _ => None,
        };
        let terminal = process.terminal(plan.command.tty)?;
        if let Some(failure) = process.launched()?.outcome().map_err(Error::system("reading the child's report"))? {
            pending.into_iter().for_each(Pending::done);
            return Err(compile::explain(&plan, linux, failure));
        }
        Ok(Self {
            plan,
            plan_hash,
            state: state.clone(),
            log,
            id,
            started,
            process,
            signals,
            terminal,
            egress,
            pending,
            _temporary: temporary,
            _cgroup: cgroup,
        })
    }

    pub(crate) fn wait(mut self) -> Result<Receipt, Error> {
        let (exit, usage) = self.supervise()?;
        let duration = self.started.1.elapsed();
        // The caller's terminal is usable again before anything else is printed.
        self.terminal = None;
        // The command's processes are gone; the kernel takes the namespaces down while the rest is done here.
        let linux = self.plan.system.linux()?;
        let network = self.egress.map(Egress::finish);
        let quarantined = quarantine::sweep(&linux.watch, &self.id, &self.state)?;
        self.pending.into_iter().for_each(Pending::done);
        let outcome = Outcome { exit, usage, network, quarantined };
        let mut receipt = Receipt::of_run(self.plan, self.plan_hash, self.id, self.started.0, duration, outcome);
        self.log.append(&mut receipt)?;
        self.process.finish()?;
        Ok(receipt)
    }

    /// Waits for the end of the command, passing on signals and what is typed and printed, and enforcing what only the
    /// supervisor can.
    fn supervise(&mut self) -> Result<(Exit, Usage), Error> {
        let linux = self.plan.system.linux()?;
        let deadline = self.plan.limits.timeout_ms.map(|limit| self.started.1 + Duration::from_millis(limit));
        let period = linux.monitor_ms.map(Duration::from_millis);
        let mut next_sample = period.map(|period| Instant::now() + period);
        loop {
            let ready = self.poll(deadline.into_iter().chain(next_sample).min())?;
            if ready.signals {
                self.pass_on()?;
            }
            if let Some(terminal) = &mut self.terminal {
                if ready.output {
                    terminal.copy_output();
                }
                if ready.input && terminal.copy_input().is_err() {
                    terminal.input_open = false;
                }
            }
            if ready.status {
                self.drain_terminal();
                return self.process.ended();
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return self.cut_short(Exit::TimedOut);
            }
            if let Some(period) = period
                && next_sample.is_some_and(|next| Instant::now() >= next)
            {
                if let Some(exit) = exceeded(&self.plan.limits, self.process.launched()?.pid) {
                    return self.cut_short(exit);
                }
                next_sample = Some(Instant::now() + period);
            }
        }
    }

    /// Ends the tree, and waits until nothing of it is left.
    fn cut_short(&mut self, exit: Exit) -> Result<(Exit, Usage), Error> {
        self.process.end();
        self.process.finish()?;
        Ok((exit, Usage::default()))
    }

    fn poll(&mut self, until: Option<Instant>) -> Result<Ready, Error> {
        let status = &self.process.launched.as_ref().ok_or_else(gone)?.status;
        let mut polled = vec![
            PollFd::from_borrowed_fd(status.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
        ];
        let stdin = std::io::stdin();
        if let Some(terminal) = &self.terminal {
            polled.push(PollFd::from_borrowed_fd(terminal.master(), PollFlags::IN));
            if terminal.input_open {
                polled.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
            }
        }
        let timeout = until.and_then(|until| {
            let left = until.saturating_duration_since(Instant::now());
            Timespec::try_from(left).ok()
        });
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(Error::System { operation: "waiting for events", source: errno.into() });
            }
        }
        let ready = |index: usize| polled.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready { status: ready(0), signals: ready(1), output: ready(2), input: ready(3) })
    }

    fn pass_on(&mut self) -> Result<(), Error> {
        while let Some(caught) = self.signals.next() {
            if caught.is_resize() {
                if let Some(terminal) = &self.terminal {
                    terminal.resize();
                }
            } else {
                let control = &self.process.launched()?.control;
                // The command may just have ended, which the next round will see.
                rustix::io::write(control, &[caught.number()]).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// What the command printed before it ended is still in the terminal.
    fn drain_terminal(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            // Every process that could print more has ended or is about to; the kernel then answers with an error.
            while has_output(terminal) && terminal.copy_output() {}
        }
    }
}

struct Ready {
    status: bool,
    signals: bool,
    output: bool,
    input: bool,
}

fn has_output(terminal: &Terminal) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::from_borrowed_fd(terminal.master(), PollFlags::IN)];
    poll(&mut polled, Some(&now)).is_ok_and(|_| polled[0].revents().contains(PollFlags::IN))
}

/// The child process, ended and reaped however this value goes away.
#[derive(Debug)]
struct Process {
    launched: Option<Launched>,
    mechanism: Mechanism,
}

impl Process {
    fn launched(&mut self) -> Result<&mut Launched, Error> {
        self.launched.as_mut().ok_or_else(gone)
    }

    fn terminal(&mut self, wanted: bool) -> Result<Option<Terminal>, Error> {
        if !wanted {
            return Ok(None);
        }
        Terminal::receive(self.launched()?.control.as_fd()).map_err(Error::system("receiving the pseudo-terminal"))
    }

    /// Starts the proxy on the sockets that were bound before, or on those that the child hands over. `None` if the child
    /// failed before; its report will tell.
    fn egress(&mut self, plan: &EgressPlan, bound: Option<Sockets>, proxy: Builder) -> Result<Option<Egress>, Error> {
        let sockets = match bound {
            Some(bound) => Some(bound),
            None => receive_sockets(plan, self.launched()?.control.as_fd())?,
        };
        sockets.map(|sockets| Egress::start(proxy, sockets)).transpose()
    }

    /// How the command ended, from the process that waited for it and ended what it left.
    fn ended(&mut self) -> Result<(Exit, Usage), Error> {
        let mut bytes = [0; Ended::SIZE];
        let read = rustix::io::read(&self.launched()?.status, &mut bytes)
            .map_err(|errno| Error::System { operation: "reading the command's status", source: errno.into() })?;
        if read < bytes.len() {
            // It was ended from outside, and the kernel ends the others with it.
            self.finish()?;
            return Ok((Exit::Signal { signal: 9 }, Usage::default()));
        }
        let Ended { status, user_ms, system_ms, max_rss_bytes } = Ended::from_bytes(bytes);
        let low = |value: i32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
        let exit = match status & 0x7f {
            0 => Exit::Code { code: u32::from(low(status >> 8)) },
            signal => Exit::Signal { signal: low(signal) },
        };
        Ok((exit, Usage { user_ms, system_ms, max_rss_bytes }))
    }

    /// Ends the whole tree.
    fn end(&mut self) {
        let Some(launched) = &self.launched else {
            return;
        };
        match self.mechanism {
            // Process 1 of the namespace: the kernel ends everything in there with it. A process that has ended
            // already is not an error here.
            Mechanism::Namespaces => {
                rustix::process::pidfd_send_signal(&launched.pidfd, rustix::process::Signal::KILL).unwrap_or_default();
            }
            // The subreaper ends the tree when nobody is left at the other end.
            Mechanism::Landlock => {
                rustix::net::shutdown(&launched.control, rustix::net::Shutdown::Both).unwrap_or_default();
            }
        }
    }

    /// Waits until the tree is gone.
    fn finish(&mut self) -> Result<(), Error> {
        let Some(launched) = self.launched.take() else {
            return Ok(());
        };
        wait_for(launched.pid).map_err(Error::system("waiting for the command's tree"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        // Nobody is left to report to.
        self.finish().unwrap_or_default();
    }
}

/// The process was waited for already.
fn gone() -> Error {
    Error::System { operation: "supervising the command", source: std::io::ErrorKind::NotConnected.into() }
}

fn exceeded(limits: &Limits, top: i32) -> Option<Exit> {
    let sample = monitor::measure(top);
    if limits.memory_bytes.is_some_and(|limit| sample.memory > limit) {
        return Some(Exit::OutOfMemory);
    }
    if limits.processes.is_some_and(|limit| sample.processes > u64::from(limit)) {
        return Some(Exit::TooManyProcesses);
    }
    None
}

/// A directory for temporary files where `/tmp` is the host's; removed with everything in it.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn create(id: &str) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt;
        let base = std::env::temp_dir();
        let failed = |source| Error::Sandbox { step: "making a private temporary directory".to_owned(), source };
        let base = std::fs::canonicalize(base).map_err(failed)?;
        let path = base.join(format!("ringfence-{id}"));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self { path })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The standard library removes without following links.
        std::fs::remove_dir_all(&self.path).unwrap_or_default();
    }
}

fn random_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::System { operation: "reading random bytes", source: errno.into() })?;
    Ok(hex(&bytes))
}
