//! A process that has begun its sandbox before its plan is known.

use super::compile::{Compiler, Made};
use super::sys::{Arena, Borrowed, Launched, Memory, Signals, Waiting};
use crate::Error;
use crate::plan::Command;
use crate::plan::linux::{LinuxPlan, Opening, User};

/// A process that carries out an opening and then waits for the rest. Ended when it is dropped untold.
#[derive(Debug)]
pub(crate) struct Ahead {
    opening: Opening,
    waiting: Waiting,
    /// What the process is told lies in here.
    arena: Arena,
}

impl Ahead {
    /// Starts the opening that most plans have, in this process's own memory. `None` if that is lent already.
    pub(crate) fn usual() -> Option<Result<Self, Error>> {
        let memory = Memory::Borrowed(Borrowed::take()?);
        let user = User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        Some(Self::start_in(memory, Opening::usual(user), None))
    }

    /// Starts an opening, in a control group if one is given.
    pub(super) fn start(opening: Opening, cgroup: Option<i32>) -> Result<Self, Error> {
        Self::start_in(Memory::Copied, opening, cgroup)
    }

    fn start_in(memory: Memory, opening: Opening, cgroup: Option<i32>) -> Result<Self, Error> {
        let failed = |source| Error::Sandbox { step: "making the process".to_owned(), source };
        let arena = memory.arena().map_err(failed)?;
        let script = Compiler::new(&arena).opening(&opening)?;
        let waiting = Waiting::start(script, &arena, memory, cgroup).map_err(failed)?;
        Ok(Self { opening, waiting, arena })
    }

    /// What the process has begun.
    pub(super) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Makes the process carry out the rest of a plan that begins with its opening.
    pub(super) fn tell(
        self,
        command: &Command,
        plan: &LinuxPlan,
        made: &Made<'_>,
        signals: &Signals,
    ) -> Result<Launched, Error> {
        let mut script = Compiler::new(&self.arena).script(command, plan, &self.opening, made)?;
        // Signals that are caught already are not blocked for the command.
        script.signals = *signals.mask_before();
        self.waiting
            .tell(script, &self.arena)
            .map_err(|source| Error::Sandbox { step: "telling the process its steps".to_owned(), source })
    }
}
