//! Whether this system enforces a finished token: tried once per boot, by a probe that runs in one.
//!
//! The probe's answers and what is found on disk afterwards are data; [`judge`] decides what follows from them. A system
//! that ignores restricting SIDs (Wine does) is found out here and not by its name.

use serde::{Deserialize, Serialize};

use crate::facts::windows::{Reading, SelfCheck};

#[cfg(windows)]
pub(crate) mod inside;
#[cfg(windows)]
pub(crate) mod outside;

/// One thing that the probe tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Appends to a file that the user may write and that names no restricting SID.
    WriteOutside,
    /// Makes a file in such a directory.
    CreateOutside,
    /// Appends to a file that names the workspace's SID.
    WriteInside,
    /// Makes a file in such a directory.
    CreateInside,
    /// Opens a file outside with DELETE.
    Delete,
    /// Opens a file outside with WRITE_DAC.
    WriteDac,
    /// Opens a file outside with WRITE_OWNER.
    WriteOwner,
    /// Deletes a file outside that denies DELETE, by FILE_DELETE_CHILD on its directory.
    DeleteChild,
    /// Opens the null device for writing, as `> NUL` does.
    NullDevice,
    /// Starts a child process and waits for it.
    ChildProcess,
    /// Reads what a child process writes into a pipe.
    Pipe,
    /// Asks on which desktop it is.
    Desktop,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It was done.
    Succeeded,
    /// The system answered that it may not be done (ERROR_ACCESS_DENIED).
    Denied,
    /// Something else was wrong.
    Failed {
        /// What.
        why: String,
    },
}

/// A line of the probe's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// What was tried.
    pub(crate) step: Step,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What the probe reported, and what was found after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observations {
    /// In the order of the report.
    pub(crate) steps: Vec<Observation>,
    /// Whether anything outside was changed: asked of the disk, since a probe could be wrong about itself.
    pub(crate) outside_changed: bool,
    /// Whether what the probe wrote inside is there.
    pub(crate) inside_changed: bool,
    /// The probe's exit code, or why there is none.
    pub(crate) end: Result<u32, String>,
    /// In which attributes the finished token differed from its plan.
    pub(crate) token_differences: Vec<String>,
    /// Whether the desktop was in a window station of its own.
    pub(crate) own_station: bool,
}

impl Observations {
    pub(crate) fn outcome(&self, step: Step) -> Option<&Outcome> {
        self.steps.iter().find(|observation| observation.step == step).map(|observation| &observation.outcome)
    }
}

/// What follows from the observations. Whatever is missing or unclear counts as a failure.
pub(crate) fn judge(seen: &Observations) -> SelfCheck {
    let failed = |step: &str, why: String| SelfCheck::Failed { step: step.to_owned(), why };
    if seen.outside_changed {
        return failed(
            "a write outside",
            "a process in the finished token changed a file that names no restricting SID".into(),
        );
    }
    for (step, name) in [(Step::WriteOutside, "a write outside"), (Step::CreateOutside, "a file made outside")] {
        match seen.outcome(step) {
            Some(Outcome::Denied) => {}
            Some(Outcome::Succeeded) => return failed(name, "it was not denied".into()),
            Some(Outcome::Failed { why }) => return failed(name, format!("it was not denied, it failed: {why}")),
            None => return failed(name, unreported(seen)),
        }
    }
    for (step, name) in [
        (Step::WriteInside, "a write inside"),
        (Step::CreateInside, "a file made inside"),
        (Step::ChildProcess, "a child process"),
        (Step::Pipe, "a pipe"),
        (Step::Desktop, "a desktop"),
    ] {
        match seen.outcome(step) {
            Some(Outcome::Succeeded) => {}
            Some(Outcome::Denied) => return failed(name, "it was denied".into()),
            Some(Outcome::Failed { why }) => return failed(name, why.clone()),
            None => return failed(name, unreported(seen)),
        }
    }
    if !seen.inside_changed {
        return failed("a write inside", "what was written is not there".into());
    }
    if let Some(difference) = seen.token_differences.first() {
        return failed("the finished token", difference.clone());
    }
    if seen.end != Ok(0) {
        return failed("the probe", unreported(seen));
    }
    SelfCheck::Passed { reading: reading(seen), window_station: seen.own_station }
}

/// The reading that explains what was seen; where none does, the one that covers least.
fn reading(seen: &Observations) -> Reading {
    let denied = |step| seen.outcome(step) == Some(&Outcome::Denied);
    let standard = [Step::Delete, Step::WriteDac, Step::WriteOwner].into_iter().all(denied);
    match (standard, denied(Step::DeleteChild)) {
        (true, true) => Reading::Wide,
        (true, false) => Reading::Reported,
        (false, _) => Reading::Narrow,
    }
}

fn unreported(seen: &Observations) -> String {
    match &seen.end {
        Ok(code) => format!("the probe ended with {code:#x} and did not report it"),
        Err(why) => why.clone(),
    }
}

/// The probe's report: a JSON object per line. Lines that are none are left out, and what they would have said is then
/// missing.
pub(crate) fn parse_report(report: &str) -> Vec<Observation> {
    report.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_STEP: [Step; 12] = [
        Step::WriteOutside,
        Step::CreateOutside,
        Step::WriteInside,
        Step::CreateInside,
        Step::Delete,
        Step::WriteDac,
        Step::WriteOwner,
        Step::DeleteChild,
        Step::NullDevice,
        Step::ChildProcess,
        Step::Pipe,
        Step::Desktop,
    ];

    /// A system that enforces, by the widest reading.
    fn enforcing() -> Observations {
        let outcome = |step| match step {
            Step::WriteOutside
            | Step::CreateOutside
            | Step::Delete
            | Step::WriteDac
            | Step::WriteOwner
            | Step::DeleteChild => Outcome::Denied,
            _ => Outcome::Succeeded,
        };
        Observations {
            steps: EVERY_STEP.map(|step| Observation { step, outcome: outcome(step) }).to_vec(),
            outside_changed: false,
            inside_changed: true,
            end: Ok(0),
            token_differences: vec![],
            own_station: true,
        }
    }

    fn with(step: Step, outcome: Outcome) -> Observations {
        let mut seen = enforcing();
        for observation in seen.steps.iter_mut().filter(|observation| observation.step == step) {
            observation.outcome = outcome.clone();
        }
        seen
    }

    fn passed(seen: &Observations) -> bool {
        matches!(judge(seen), SelfCheck::Passed { .. })
    }

    #[test]
    fn a_system_that_enforces_passes_with_its_reading() {
        assert_eq!(judge(&enforcing()), SelfCheck::Passed { reading: Reading::Wide, window_station: true });
        let reading_with = |step| match judge(&with(step, Outcome::Succeeded)) {
            SelfCheck::Passed { reading, .. } => reading,
            other => panic!("{other:?}"),
        };
        assert_eq!(reading_with(Step::DeleteChild), Reading::Reported);
        for step in [Step::Delete, Step::WriteDac, Step::WriteOwner] {
            assert_eq!(reading_with(step), Reading::Narrow);
        }
        // That the null device cannot be opened is an inconvenience, not a way out.
        assert!(passed(&with(Step::NullDevice, Outcome::Denied)));
    }

    #[test]
    fn a_system_that_ignores_the_token_fails() {
        for step in [Step::WriteOutside, Step::CreateOutside] {
            assert!(!passed(&with(step, Outcome::Succeeded)), "{step:?}");
            // Neither denied nor done proves nothing.
            assert!(!passed(&with(step, Outcome::Failed { why: "no such file".into() })), "{step:?}");
        }
        // The disk is believed more than the probe.
        assert!(!passed(&Observations { outside_changed: true, ..enforcing() }));
        assert!(!passed(&Observations { inside_changed: false, ..enforcing() }));
        assert!(!passed(&Observations { token_differences: vec!["it holds SeDebugPrivilege".into()], ..enforcing() }));
    }

    #[test]
    fn what_cannot_run_fails() {
        for step in [Step::WriteInside, Step::CreateInside, Step::ChildProcess, Step::Pipe, Step::Desktop] {
            assert!(!passed(&with(step, Outcome::Denied)), "{step:?}");
            assert!(!passed(&with(step, Outcome::Failed { why: "it broke".into() })), "{step:?}");
        }
    }

    #[test]
    fn what_is_missing_fails_with_the_reason() {
        for step in EVERY_STEP {
            let mut seen = enforcing();
            seen.steps.retain(|observation| observation.step != step);
            let measured_only =
                matches!(step, Step::Delete | Step::WriteDac | Step::WriteOwner | Step::DeleteChild | Step::NullDevice);
            assert_eq!(passed(&seen), measured_only, "{step:?}");
        }
        let died = Observations { steps: vec![], end: Ok(0xC000_0142), ..enforcing() };
        let SelfCheck::Failed { why, .. } = judge(&died) else { panic!("passed") };
        assert!(why.contains("0xc0000142"), "{why}");
        assert!(!passed(&Observations { end: Ok(1), ..enforcing() }));
        assert!(!passed(&Observations { end: Err("it did not end".into()), ..enforcing() }));
    }

    #[test]
    fn the_report_survives_its_way_through_a_pipe() {
        let steps = with(Step::Pipe, Outcome::Failed { why: "a \"reason\"\nof two lines".into() }).steps;
        let lines: Vec<String> = steps.iter().map(|step| serde_json::to_string(step).unwrap()).collect();
        let report = format!("noise\n{}\r\n{{\"step\":\"unknown\"}}\n", lines.join("\n"));
        assert_eq!(parse_report(&report), steps);
    }
}
