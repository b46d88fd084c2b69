//! The token, the job and the desktop of a plan, made.

use std::io;
use std::path::Path;

use ringfence_ntsec::{Acl, IntegrityLevel, RestrictFlags, Sid};

use super::sys::desktop::Desktop;
use super::sys::job::{Job, JobLimits};
use super::sys::process::{Child, Launch, Terminal};
use super::sys::security::Attributes;
use super::sys::token::SystemToken;
use crate::Error;
use crate::plan::windows::{DesktopPlan, JobPlan, ProcessPlan, TokenFlag, TokenPlan, UiLimit};

/// Everything that holds a process, before there is one.
#[derive(Debug)]
pub(crate) struct Sandbox {
    token: SystemToken,
    /// What holds the processes, bounds them and ends them.
    pub(crate) job: Job,
    desktop: Desktop,
    /// In which attributes the finished token differs from its plan.
    pub(crate) token_differences: Vec<String>,
}

impl Sandbox {
    /// Makes all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Sandbox`] with the step that failed.
    pub(crate) fn build(token: &TokenPlan, job: &JobPlan, desktop: &DesktopPlan) -> Result<Self, Error> {
        let (token, token_differences) = finished(token)?;
        let job = Job::new(&limits(job)).map_err(failed("making the job object"))?;
        let desktop = make(desktop).map_err(failed("making the desktop"))?;
        Ok(Self { token, job, desktop, token_differences })
    }

    /// Starts a process in it. The environment is a whole block.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(crate) fn start(
        &self,
        process: &ProcessPlan,
        environment: &[u16],
        directory: &Path,
        terminal: Terminal<'_>,
    ) -> io::Result<Child> {
        Child::launch(&Launch {
            token: &self.token,
            job: &self.job,
            program: &process.application.to_path_buf(),
            command_line: process.command_line.units(),
            environment,
            directory,
            desktop: self.desktop.name(),
            terminal,
        })
    }

    /// The desktop's name, with its window station's in front where that is the sandbox's own.
    pub(crate) fn desktop(&self) -> &Desktop {
        &self.desktop
    }
}

/// The finished token, and in what it differs from its plan.
fn finished(plan: &TokenPlan) -> Result<(SystemToken, Vec<String>), Error> {
    let caller = SystemToken::of_process().map_err(failed("opening this process's token"))?;
    let flags = plan.flags.iter().map(|flag| match flag {
        TokenFlag::DisableMaxPrivilege => RestrictFlags::DISABLE_MAX_PRIVILEGE,
        TokenFlag::LuaToken => RestrictFlags::LUA_TOKEN,
        TokenFlag::WriteRestricted => RestrictFlags::WRITE_RESTRICTED,
    });
    let restricting: Vec<Sid> = plan.restricting.iter().map(|restricting| restricting.sid).collect();
    let token = caller.restrict(flags.collect(), &restricting).map_err(failed("restricting the token"))?;
    let dacl = Acl::from_aces(plan.default_dacl.clone());
    token.set_default_dacl(&dacl).map_err(failed("setting the token's default DACL"))?;
    let mut found = token.read().map_err(failed("reading the token back"))?;
    // Whether LUA_TOKEN lowers the level of an administrator's token is not documented.
    let integrity = IntegrityLevel(plan.integrity);
    if found.integrity() > integrity {
        token.set_integrity(integrity).map_err(failed("lowering the token's integrity level"))?;
        found = token.read().map_err(failed("reading the token back"))?;
    }
    let differences = plan.differences(&found);
    Ok((token, differences))
}

fn limits(plan: &JobPlan) -> JobLimits {
    JobLimits {
        memory_bytes: plan.memory_bytes,
        active_processes: plan.active_processes,
        cpu_rate: plan.cpu_rate,
        user_interface: plan.ui.iter().map(|limit| ui_limit(*limit)).fold(0, |all, one| all | one),
    }
}

/// `JOB_OBJECT_UILIMIT_…`.
fn ui_limit(limit: UiLimit) -> u32 {
    use windows_sys::Win32::System::JobObjects as job;
    match limit {
        UiLimit::Desktop => job::JOB_OBJECT_UILIMIT_DESKTOP,
        UiLimit::Displaysettings => job::JOB_OBJECT_UILIMIT_DISPLAYSETTINGS,
        UiLimit::Exitwindows => job::JOB_OBJECT_UILIMIT_EXITWINDOWS,
        UiLimit::Globalatoms => job::JOB_OBJECT_UILIMIT_GLOBALATOMS,
        UiLimit::Handles => job::JOB_OBJECT_UILIMIT_HANDLES,
        UiLimit::Readclipboard => job::JOB_OBJECT_UILIMIT_READCLIPBOARD,
        UiLimit::Systemparameters => job::JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS,
        UiLimit::Writeclipboard => job::JOB_OBJECT_UILIMIT_WRITECLIPBOARD,
    }
}

fn make(plan: &DesktopPlan) -> io::Result<Desktop> {
    let desktop = Attributes::new(&plan.descriptor)?;
    match &plan.window_station {
        Some(station) => Desktop::in_own_station(&plan.name, &Attributes::new(station)?, &desktop),
        None => Desktop::in_station_of_process(&plan.name, &desktop),
    }
}

fn failed(step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Sandbox { step: step.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::windows::RunIdentity;
    use crate::plan::windows::containment;
    use crate::windows::host::caller_token;

    fn identity(number: u8) -> RunIdentity {
        let id = crate::plan::hex(&[number; 16]);
        RunIdentity { workspace: Sid::ringfence_run(&[number; 16]), run: Sid::ringfence_run(&[number + 100; 16]), id }
    }

    #[test]
    fn a_finished_token_reads_back_as_it_was_planned() {
        for everyone in [false, true] {
            let (token, job, desktop) = containment(&caller_token().unwrap(), &identity(1), everyone);
            let desktop = DesktopPlan { window_station: None, ..desktop };
            let sandbox = Sandbox::build(&token, &job, &desktop).unwrap();
            assert_eq!(sandbox.token_differences, Vec::<String>::new());
        }
    }

    #[test]
    fn a_token_with_other_sids_is_told_apart() {
        let caller = caller_token().unwrap();
        let (token, ..) = containment(&caller, &identity(1), false);
        let (other, ..) = containment(&caller, &identity(2), false);
        let made = SystemToken::of_process().unwrap().restrict(RestrictFlags::WRITE_RESTRICTED, &[]).unwrap();
        assert!(!token.differences(&made.read().unwrap()).is_empty());
        let (_, differences) = finished(&other).unwrap();
        assert_eq!(differences, Vec::<String>::new(), "the control");
    }

    #[test]
    fn two_sandboxes_exist_at_once_in_a_window_station_of_their_own() {
        let caller = caller_token().unwrap();
        let make = |number| {
            let (token, job, desktop) = containment(&caller, &identity(number), false);
            Sandbox::build(&token, &job, &desktop)
        };
        // Where the caller may make no window station, a run uses the caller's: nothing to see here then.
        let Ok(first) = make(3) else {
            return;
        };
        let second = make(4).unwrap();
        assert!(first.desktop().has_own_station() && second.desktop().has_own_station());
        assert_ne!(first.desktop().name(), second.desktop().name());
    }
}
