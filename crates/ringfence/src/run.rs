//! A plan, carried out.

use std::sync::Arc;

use ringfence_egress::Ask;

use crate::grants::{Audience, Nobody};
use crate::{Error, Plan, Receipt, State};

#[cfg(target_os = "linux")]
use crate::linux::run::LinuxRun as SystemRun;
#[cfg(windows)]
use crate::windows::run::WindowsRun as SystemRun;

/// A supervised process tree.
#[derive(Debug)]
pub struct Run {
    #[cfg(any(target_os = "linux", windows))]
    run: SystemRun,
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
    pub fn start(plan: &Plan, state: &State) -> Result<Self, Error> {
        Self::start_before(plan, state, None, &Nobody)
    }

    /// As [`Run::start`], with someone to ask about hosts that no rule names, if the plan says that someone is asked, and before
    /// somebody who hears of a first use of the workspace, of which only Windows has anything to tell.
    ///
    /// # Errors
    ///
    /// As [`Run::start`].
    #[cfg(any(target_os = "linux", windows))]
    pub fn start_before(
        plan: &Plan,
        state: &State,
        ask: Option<Arc<dyn Ask>>,
        #[cfg_attr(not(windows), expect(unused_variables, reason = "nothing has to be granted here"))]
        audience: &dyn Audience,
    ) -> Result<Self, Error> {
        if let Some(refusal) = plan.refusal() {
            return Err(refusal);
        }
        #[cfg(windows)]
        let run = SystemRun::start(plan, state, ask, audience)?;
        #[cfg(not(windows))]
        let run = SystemRun::start(plan, state, ask)?;
        Ok(Self { run })
    }

    /// Not on this system yet.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(any(target_os = "linux", windows)))]
    pub fn start_before(_: &Plan, _: &State, _: Option<Arc<dyn Ask>>, _: &dyn Audience) -> Result<Self, Error> {
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
