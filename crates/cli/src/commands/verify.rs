//! `ringfence verify`: every probe, outside and inside, and what held.

use crate::status::Status;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anstyle::Style;
use ringfence::{Facts, Invocation, Plan, State};
use ringfence_policy::RuleId;
use ringfence_probe::judge::{Fence, Verdict, judge};
use ringfence_probe::stage::Stage;
use ringfence_probe::{Probe, catalogue};
use serde::Serialize;

use super::{print, run};
use crate::cli::{Mechanism, Verify};
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, HEADING, QUIET, Table, WARNING};
use crate::request;

/// Judges every probe that was asked for; the exit status is 1 unless everything that is promised held.
pub(crate) fn verify(arguments: &Verify) -> Result<Status, Failure> {
    let stage = |source| Failure::Stage { source };
    let base = Base::make().map_err(stage)?;
    let weak = weak_rules(arguments.mechanism, &Stage::build(&base.0, None).map_err(stage)?)?;
    let mut flags = vec![format!("--mechanism={}", arguments.mechanism.as_str())];
    // A rule that is not held here would have every run refused. What it leaves open is shown, and not counted as held.
    flags.extend(weak.iter().map(|rule| format!("--accept-degraded={rule}")));
    let fence = Fence { program: std::env::current_exe().map_err(stage)?, flags };
    let wanted = |probe: &&Probe| arguments.filter.as_deref().is_none_or(|text| probe.name.contains(text));
    let probes: Vec<&Probe> = catalogue().iter().filter(wanted).collect();
    let mut progress = Progress::of(probes.len());
    let mut findings = Vec::new();
    for probe in probes {
        progress.step();
        let verdict = judge(probe, &fence, &base.0, None).map_err(stage)?.verdict;
        findings.push(Finding::new(probe, verdict, excuse(probe, arguments.mechanism, &weak)));
    }
    drop(progress);
    if findings.is_empty() {
        return Err(Failure::NoProbe { filter: arguments.filter.clone().unwrap_or_default() });
    }
    if arguments.json {
        let lines: Result<Vec<String>, _> = findings.iter().map(serde_json::to_string).collect();
        let lines = lines.map_err(|source| Failure::Encode { source })?;
        print(&(lines.join("\n") + "\n"))?;
    } else {
        print(&page(&findings))?;
    }
    let sound = findings.iter().all(|finding| finding.result.is_sound());
    Ok(Status::from(u8::from(!sound)))
}

/// What came of one probe.
#[derive(Debug, Serialize)]
struct Finding {
    probe: &'static str,
    class: &'static str,
    tries: &'static str,
    result: Outcome,
    /// Why it is not simply held.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

/// How the refusal of a rule that cannot be held begins.
const NOT_ENFORCED: &str = "error[not-enforced]";

/// What a probe shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// It works outside and not inside.
    Held,
    /// It works inside, and the plan says so.
    Open,
    /// It works neither inside nor outside: it shows nothing, and there is nothing to hold.
    NothingToHold,
    /// It needs a rule that this machine cannot hold, so ringfence refused to run it.
    Refused,
    /// It works inside, against the plan.
    Escaped,
    /// It could not be judged.
    Failed,
}

impl Outcome {
    const ALL: [Self; 6] = [Self::Held, Self::Open, Self::NothingToHold, Self::Refused, Self::Escaped, Self::Failed];

    fn is_sound(self) -> bool {
        match self {
            Self::Held | Self::Open | Self::NothingToHold | Self::Refused => true,
            Self::Escaped | Self::Failed => false,
        }
    }

    fn shown(self) -> (&'static str, Style) {
        match self {
            Self::Held => ("held", GOOD),
            Self::Open => ("open", WARNING),
            Self::NothingToHold => ("nothing to hold", QUIET),
            Self::Refused => ("refused", WARNING),
            Self::Escaped => ("ESCAPED", BAD),
            Self::Failed => ("NOT JUDGED", BAD),
        }
    }
}

impl Finding {
    /// `excuse` is why the plan does not promise to hold the probe, where it does not.
    fn new(probe: &Probe, verdict: Verdict, excuse: Option<String>) -> Self {
        let (result, detail) = match verdict {
            Verdict::Held => (Outcome::Held, String::new()),
            Verdict::Escaped => match excuse {
                Some(excuse) => (Outcome::Open, excuse),
                None => (Outcome::Escaped, String::new()),
            },
            Verdict::NoControl(reason) => (Outcome::NothingToHold, reason),
            Verdict::ControlFailed(reason) => (Outcome::Failed, format!("does not work outside: {reason}")),
            Verdict::Broken(reason) if reason.contains(NOT_ENFORCED) => (Outcome::Refused, reason),
            Verdict::Broken(reason) => (Outcome::Failed, format!("did not run inside: {reason}")),
            _ => (Outcome::Failed, "this verdict is not known".to_owned()),
        };
        Self { probe: probe.name, class: probe.class.name(), tries: probe.tries, result, detail }
    }
}

/// Why the plan does not promise to hold a probe, where it does not.
fn excuse(probe: &Probe, mechanism: Mechanism, weak: &[RuleId]) -> Option<String> {
    let rule = weak.iter().find(|rule| probe.class.rule() == Some(rule.as_str()));
    rule.map(|rule| format!("{rule} is not held by the kernel here: see ringfence plan")).or_else(|| {
        let reason = probe.beyond_landlock.filter(|_| mechanism == Mechanism::Landlock)?;
        Some(reason.to_owned())
    })
}

/// The rules of the default policy that this machine does not hold by its kernel, in a project such as the probes find.
fn weak_rules(mechanism: Mechanism, stage: &Stage) -> Result<Vec<RuleId>, Failure> {
    let state = State::open()?;
    let policy = request::default_policy(&stage.workspace())?;
    let mut invocation = Invocation::here(vec!["true".into()])?;
    invocation.workspace = stage.workspace();
    invocation.directory = stage.workspace();
    invocation.mechanism = run::mechanism(mechanism);
    let plan = Plan::resolve(&policy, &Facts::probe(&policy, &invocation, &state)?, &invocation)?;
    let weak = plan.rules().iter().filter(|planned| !planned.holds.is_kernel());
    Ok(weak.map(|planned| planned.rule).collect())
}

/// How far the probes are, on a terminal only.
struct Progress {
    done: usize,
    all: usize,
    shown: bool,
}

impl Progress {
    fn of(all: usize) -> Self {
        Self { done: 0, all, shown: std::io::stderr().is_terminal() }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.shown {
            let _ = write!(std::io::stderr(), "\rway out {} of {}", self.done, self.all);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            // Back to the first column, and the rest of the line cleared (ECMA-48, EL).
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// The directory below which the probes find what they aim at; removed at the end.
///
/// Not in `/tmp`, which a run has of its own, and not in the state directory, which is hidden from it.
struct Base(PathBuf);

impl Base {
    fn make() -> std::io::Result<Self> {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
        let cache = cache.ok_or_else(|| std::io::Error::other("there is no home directory; set XDG_CACHE_HOME"))?;
        let directory = cache.join(format!("ringfence-verify-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // What cannot be removed is left for the user to find under a name that says where it comes from.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn page(findings: &[Finding]) -> String {
    let mut table = Table::default();
    table.heads(["Way out", "Class", "Result", ""]);
    for finding in findings {
        let (word, style) = finding.result.shown();
        let detail = if finding.detail.is_empty() { finding.tries } else { &finding.detail };
        table.row([
            Cell::new(finding.probe),
            Cell::new(finding.class),
            Cell::new(word).style(style),
            Cell::new(detail).style(QUIET),
        ]);
    }
    let counts: Vec<String> = Outcome::ALL
        .iter()
        .map(|result| (result, findings.iter().filter(|finding| finding.result == *result).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(result, count)| format!("{count} {}", result.shown().0))
        .collect();
    let total = findings.len();
    let ways = if total == 1 { "way out" } else { "ways out" };
    format!("{}\n{HEADING}{total} {ways}{HEADING:#}: {}\n", table.render(), counts.join(", "))
}
