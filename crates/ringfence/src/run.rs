//! A plan, carried out.

use std::sync::Arc;

use ringfence_egress::Ask;

use crate::grants::{Audience, Nobody};
use crate::{Error, Plan, Receipt, State};

#[cfg(target_os = "linux")]
use crate::linux::{ahead::Ahead as SystemAhead, run::LinuxRun as SystemRun};
#[cfg(windows)]
use crate::windows::run::WindowsRun as SystemRun;

/// A supervised process tree.
#[derive(Debug)]
pub struct Run {
    #[cfg(any(target_os = "linux", windows))]
    run: SystemRun,
}

/// A run that has begun before its plan is known.
///
/// On Linux a process of its own makes namespaces and fresh directories while policy and plan are still being made, so
/// that neither waits for the other. It becomes part of a run whose plan begins the same way, and is ended otherwise:
/// what is enforced is always the plan. Elsewhere there is nothing to do ahead.
///
/// The mask of file modes and the resource limits that the command inherits are those of the moment when it was begun.
///
/// It borrows this program's memory, and as long as it or its run lives, this program cannot be traced or dumped
/// (`PR_SET_DUMPABLE`): files of `/proc/self` belong to the superuser meanwhile.
#[derive(Debug)]
pub struct Ahead {
    #[cfg(target_os = "linux")]
    ahead: SystemAhead,
}

/// Who and what goes along with a run from its start.
pub struct Company<'a> {
    /// Someone to ask about hosts that no rule names, if the plan says that someone is asked.
    pub ask: Option<Arc<dyn Ask>>,
    /// Somebody who hears of a first use of the workspace, of which only Windows has anything to tell.
    pub audience: &'a dyn Audience,
    /// What was begun before the plan was made.
    pub ahead: Option<Ahead>,
}

impl Ahead {
    /// Begins a run. `None` if there is nothing to do ahead here, or if it failed: what is wrong will come up again when the
    /// run is started, and is told then.
    pub fn start() -> Option<Self> {
        #[cfg(target_os = "linux")]
        return SystemAhead::usual()?.ok().map(|ahead| Self { ahead });
        #[cfg(not(target_os = "linux"))]
        return None;
    }
}

impl Default for Company<'_> {
    fn default() -> Self {
        Self { ask: None, audience: &Nobody, ahead: None }
    }
}

impl Run {
    /// Builds the sandbox and starts the command in it.
    ///
    /// With an allowlist of hosts this process serves the run's proxy on a thread of its own, and its soft limit of open files
    /// is raised, as far as the hard one allows.
    ///
    /// # Errors
    ///
    /// [`Plan::refusal`], if there is one; a step of building the sandbox that failed. Either way nothing was started.
    pub fn start(plan: Plan, state: &State) -> Result<Self, Error> {
        Self::start_with(plan, state, Company::default())
    }

    /// As [`Run::start`], in company.
    ///
    /// # Errors
    ///
    /// As [`Run::start`].
    #[cfg(any(target_os = "linux", windows))]
    pub fn start_with(plan: Plan, state: &State, company: Company<'_>) -> Result<Self, Error> {
        if let Some(refusal) = plan.refusal() {
            return Err(refusal);
        }
        #[cfg(windows)]
        let run = SystemRun::start(&plan, state, company.ask, company.audience)?;
        #[cfg(not(windows))]
        let run = SystemRun::start(plan, state, company.ask, company.ahead.map(|ahead| ahead.ahead))?;
        Ok(Self { run })
    }

    /// Not on this system yet.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(any(target_os = "linux", windows)))]
    pub fn start_with(_: Plan, _: &State, _: Company<'_>) -> Result<Self, Error> {
        Err(Error::Unsupported {
            what: "running a command".into(),
            advice: "this system cannot enforce a plan yet".into(),
        })
    }

    /// Protected names that appeared or changed since earlier runs whose supervisor was killed before it could compare them.
    /// Each is told once. They are left where they are: they may be the user's own by now.
    #[cfg(target_os = "linux")]
    pub fn left_over(state: &State) -> Vec<std::path::PathBuf> {
        crate::linux::pending::left_over(state)
    }

    /// Waits for the command, ends whatever it left, and writes the receipt.
    ///
    /// Signals that ask this process to end are passed on to the command meanwhile.
    ///
    /// # Errors
    ///
    /// What waiting answered, or a receipt that could not be written.
    #[cfg(any(target_os = "linux", windows))]
    pub fn wait(self) -> Result<Receipt, Error> {
        self.run.wait()
    }

    /// Not on this system yet.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(any(target_os = "linux", windows)))]
    pub fn wait(self) -> Result<Receipt, Error> {
        Err(Error::Unsupported { what: "waiting for a command".into(), advice: "nothing was started".into() })
    }
}
