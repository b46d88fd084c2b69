//! The table of probes.

use std::sync::LazyLock;

use crate::attempt::{Attempt, Targets};

/// One way out, and everything needed to judge it.
#[derive(Clone, Copy)]
pub struct Probe {
    /// Stable name, in kebab-case.
    pub name: &'static str,
    /// What is attempted, in one sentence.
    pub tries: &'static str,
    /// The kind of way out.
    pub class: Class,
    /// The system that has this way out.
    pub system: System,
    /// How it is shown that the same action works where nothing holds it.
    pub control: Control,
    /// What decides whether it went through.
    pub evidence: Evidence,
    /// How the probe has to be connected to the world.
    pub wiring: Wiring,
    /// Flags of `ringfence run` that the probe is about, such as a limit.
    pub flags: &'static [&'static str],
    /// Only root can do it outside: for an ordinary user there is nothing to lose and so no control.
    pub privileged: bool,
    /// Why Landlock with seccomp alone, without namespaces, does not hold it, where that is so.
    pub beyond_landlock: Option<&'static str>,
    /// Why nothing promises to hold it, where that is so: a named limit, which is tried all the same.
    pub unpromised: Option<&'static str>,
    run: fn(&Targets) -> Attempt,
}

impl Probe {
    pub(crate) const fn new(
        name: &'static str,
        class: Class,
        tries: &'static str,
        run: fn(&Targets) -> Attempt,
    ) -> Self {
        Self {
            name,
            tries,
            class,
            system: System::Linux,
            control: Control::Same,
            evidence: Evidence::Outcome,
            wiring: Wiring::Plain,
            flags: &[],
            privileged: false,
            beyond_landlock: None,
            unpromised: None,
            run,
        }
    }

    pub(crate) const fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    pub(crate) const fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    pub(crate) const fn wiring(mut self, wiring: Wiring) -> Self {
        self.wiring = wiring;
        self
    }

    pub(crate) const fn flags(mut self, flags: &'static [&'static str]) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) const fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    pub(crate) const fn beyond_landlock(mut self, reason: &'static str) -> Self {
        self.beyond_landlock = Some(reason);
        self
    }

    pub(crate) const fn unpromised(mut self, reason: &'static str) -> Self {
        self.unpromised = Some(reason);
        self
    }

    pub(crate) const fn on(mut self, system: System) -> Self {
        self.system = system;
        self
    }

    pub(crate) fn attempt(&self, targets: &Targets) -> Attempt {
        (self.run)(targets)
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Probe").field("name", &self.name).field("class", &self.class).finish_non_exhaustive()
    }
}

/// The kind of way out a probe belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// Changing something outside the write roots.
    Write,
    /// Changing a protected path inside a write root.
    Protect,
    /// Reading what is hidden.
    Hide,
    /// Taking the boundary down: mounts, roots, namespaces.
    Mount,
    /// Reaching other processes.
    Process,
    /// Outliving the run.
    Survive,
    /// Using more than a limit allows.
    Limit,
    /// Reaching a Unix socket of the host.
    Socket,
    /// Reaching a System V or POSIX object of the host.
    Ipc,
    /// Reaching a network.
    Network,
    /// System calls that act on the kernel, or widen what it can be attacked by.
    Kernel,
    /// Gaining privilege.
    Privilege,
    /// Variables and descriptors that travel into the run.
    Environment,
    /// Tampering with the receipts.
    State,
}

impl Class {
    /// The policy rule that promises to stop this class, in the rule's string form, if it is one of the rules.
    ///
    /// The classes without a rule hold whatever the policy says, because every policy rests on them.
    #[must_use]
    pub fn rule(self) -> Option<&'static str> {
        match self {
            Self::Write | Self::State => Some("filesystem.write"),
            Self::Protect => Some("filesystem.protect"),
            Self::Hide => Some("filesystem.hide"),
            Self::Survive => Some("process.tree"),
            Self::Socket => Some("network.unix_sockets"),
            Self::Network => Some("network"),
            Self::Environment => Some("environment"),
            Self::Process | Self::Mount | Self::Limit | Self::Ipc | Self::Kernel | Self::Privilege => None,
        }
    }

    /// The class as one lower-case word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Protect => "protect",
            Self::Hide => "hide",
            Self::Mount => "mount",
            Self::Process => "process",
            Self::Survive => "survive",
            Self::Limit => "limit",
            Self::Socket => "socket",
            Self::Ipc => "ipc",
            Self::Network => "network",
            Self::Kernel => "kernel",
            Self::Privilege => "privilege",
            Self::Environment => "environment",
            Self::State => "state",
        }
    }
}

/// A system that a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum System {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// Every system.
    Any,
}

impl System {
    fn is_this(self) -> bool {
        match self {
            Self::Linux => cfg!(target_os = "linux"),
            Self::Windows => cfg!(windows),
            Self::Any => true,
        }
    }
}

/// How it is shown that an attempt works where nothing holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The same action outside, on targets made for it.
    Same,
    /// The same action outside, after the probe has moved itself into user, mount, network, IPC and UTS namespaces of
    /// its own: done on the host it would change the host, or only root could do it.
    Apart,
    /// The same system call outside, with arguments that the kernel refuses as senseless *after* it has checked the
    /// caller's rights, or that change nothing: that it got so far is the success. The text says what is passed.
    Harmless(&'static str),
}

/// What decides whether an attempt went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// What the probe itself saw.
    Outcome,
    /// Something outside the workspace is different afterwards, seen from the host. A probe that "wrote" into a private
    /// directory has not got out.
    OutsideChanged,
    /// A protected path in the workspace is different afterwards.
    ProtectedChanged,
    /// The probe shows the content of the secret, which it is never told.
    Secret,
    /// A process of the probe is alive after the run has ended.
    Survivor,
    /// A datagram arrived at the host's socket.
    Datagram,
    /// The host could connect to the probe's listener.
    Reachable,
}

/// How a probe has to be connected to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wiring {
    /// Standard streams only.
    Plain,
    /// Descriptor 7 is a directory outside and descriptor 8 a secret file, both left open by whoever starts the run.
    Inherited,
    /// Standard input is a file outside, opened for reading.
    InputFile,
    /// Standard input is a directory outside.
    InputDirectory,
    /// The probe is told the process id of whoever starts the run.
    Starter,
    /// The run is started by a shell of the same user, which waits for it.
    Shell,
    /// The run is started from a terminal.
    Terminal,
    /// The probe stays until its standard input ends.
    Held,
}

/// Every probe of this system, in a fixed order.
#[must_use]
pub fn catalogue() -> &'static [Probe] {
    static CATALOGUE: LazyLock<Vec<Probe>> = LazyLock::new(|| {
        let tables: &[&[Probe]] = &[
            crate::portable::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::write::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::protect::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::hide::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::mount::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::process::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::ipc::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::network::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::kernel::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::privilege::PROBES,
            #[cfg(target_os = "linux")]
            crate::linux::environment::PROBES,
        ];
        tables.concat().into_iter().filter(|probe| probe.system.is_this()).collect()
    });
    &CATALOGUE
}

/// The probe of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Probe> {
    catalogue().iter().find(|probe| probe.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let mut seen = BTreeSet::new();
        for probe in catalogue() {
            assert!(seen.insert(probe.name), "{} is listed twice", probe.name);
            assert!(
                probe.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                probe.name
            );
            assert!(probe.tries.ends_with('.'), "{}: {:?} is not a sentence", probe.name, probe.tries);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn there_are_at_least_eighty_ways_out_on_linux() {
        assert!(catalogue().len() >= 80, "only {}", catalogue().len());
    }
}
