//! Every probe, outside and inside: as root and as an ordinary user, held by namespaces and by Landlock.
//!
//! Outside, the attempt must succeed, so that a sandbox that merely fails to start cannot pass; inside it must not.
//! A probe whose attempt is impossible here even outside counts as ignored, with the reason, but it is still made
//! inside, and a success there fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use ringfence_probe::judge::{Fence, Observation, Verdict, compare, inside, outside};
use ringfence_probe::stage::{Account, Stage};
use ringfence_probe::{Class, Probe, catalogue};
use support::{Ground, accounts, is_root, skip};

/// How many attempts must have been shown in both directions, for each user, under the default mechanism.
const LEAST_BOTH_WAYS: usize = 60;

const MECHANISMS: [&str; 2] = ["namespaces", "landlock"];

/// How a class fared under one user and mechanism.
#[derive(Default)]
struct Tally {
    held: usize,
    ignored: usize,
    failed: usize,
}

/// The attempt outside, made once for all mechanisms.
type Control = OnceLock<Result<Observation, String>>;

type Table = BTreeMap<(String, Class), Tally>;

static TABLE: Mutex<Table> = Mutex::new(BTreeMap::new());

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let ground: &'static Ground = Box::leak(Box::new(Ground::prepare()));
    let mut trials = Vec::new();
    for (who, account) in accounts() {
        let controls: &'static [Control] =
            Box::leak(catalogue().iter().map(|_| OnceLock::new()).collect::<Vec<_>>().into());
        for mechanism in MECHANISMS {
            let promise: &'static Promise = Box::leak(Box::new(Promise::ask(ground, account, mechanism)));
            for (probe, control) in catalogue().iter().zip(controls) {
                let column = format!("{who} {mechanism}");
                trials.push(Trial::ignorable_test(format!("{who}::{mechanism}::{}", probe.name), move || {
                    let result = attempt(probe, control, promise, ground.path(), account);
                    record(column, probe.class, &result);
                    result
                }));
            }
        }
    }
    if !is_root() {
        trials.push(Trial::ignorable_test("root", || skip("every probe runs also as root when the caller is root")));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let _ = std::fs::remove_dir_all(ground.path());
    if arguments.list {
        return conclusion.exit_code();
    }
    let enough = print_table();
    let complete = arguments.filter.is_none() && arguments.skip.is_empty();
    if complete && !conclusion.has_failed() && !enough {
        eprintln!("fewer than {LEAST_BOTH_WAYS} attempts were shown in both directions");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// What the plan promises for a user and a mechanism.
struct Promise {
    fence: Fence,
    mechanism: &'static str,
    /// The rules that the plan does not give to the kernel, with what it says instead.
    weak: BTreeMap<String, String>,
    /// Why there is no such mechanism here.
    refused: Option<String>,
}

impl Promise {
    fn ask(ground: &Ground, account: Option<Account>, mechanism: &'static str) -> Self {
        let mut flags = vec!["--mechanism".to_owned(), mechanism.to_owned()];
        let stage = Stage::build(ground.path(), account).unwrap();
        let mut command = stage.command(&ground.program);
        let output = command.arg("plan").args(&flags).args(["--json", "--", "true"]).output().unwrap();
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut weak = BTreeMap::new();
        for rule in plan["rules"].as_array().into_iter().flatten() {
            let name = rule["rule"].as_str().unwrap_or_default().to_owned();
            let holds = rule["holds"].to_string();
            if !name.is_empty() && !holds.to_lowercase().contains("kernel") {
                flags.extend(["--accept-degraded".to_owned(), name.clone()]);
                weak.insert(name, holds);
            }
        }
        let refused = plan["rules"].as_array().is_none().then(|| support::show(&output));
        Self { fence: Fence { program: ground.program.clone(), flags }, mechanism, weak, refused }
    }

    /// Why this mechanism is not expected to hold this probe, if it is not.
    fn exempts(&self, probe: &Probe) -> Option<String> {
        let weak = probe.class.rule().and_then(|rule| Some((rule, self.weak.get(rule)?)));
        weak.map(|(rule, holds)| format!("the plan says of {rule}: {holds}"))
            .or_else(|| probe.beyond_landlock.filter(|_| self.mechanism == "landlock").map(str::to_owned))
    }
}

fn attempt(
    probe: &'static Probe,
    control: &Control,
    promise: &Promise,
    base: &Path,
    account: Option<Account>,
) -> Result<Completion, Failed> {
    if let Some(refused) = &promise.refused {
        // The default mechanism must work wherever this suite runs; the other may be missing from the kernel.
        return if promise.mechanism == MECHANISMS[0] { Err(refused.into()) } else { skip(refused) };
    }
    if let Some(reason) = promise.exempts(probe) {
        return skip(reason);
    }
    let program = &promise.fence.program;
    let control = control.get_or_init(|| outside(probe, program, base, account).map_err(|error| error.to_string()));
    let control = control.as_ref().map_err(Failed::from)?;
    let inside = inside(probe, &promise.fence, base, account)?;
    match compare(probe, control, &inside) {
        Verdict::Held => Ok(Completion::Completed),
        Verdict::NoControl(reason) => skip(reason),
        verdict => Err(format!("{}\n{verdict:?}\noutside: {control:?}\ninside: {inside:?}", probe.tries).into()),
    }
}

fn record(column: String, class: Class, result: &Result<Completion, Failed>) {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let tally = table.entry((column, class)).or_default();
    match result {
        Ok(Completion::Completed) => tally.held += 1,
        Ok(_) => tally.ignored += 1,
        Err(_) => tally.failed += 1,
    }
}

/// Prints how each class fared, and tells whether enough was shown in both directions under the default mechanism.
fn print_table() -> bool {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sums: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    println!("{:<18} {:<12} {:>14} {:>8} {:>7}", "who and how", "class", "held both ways", "ignored", "failed");
    for ((column, class), tally) in table.iter() {
        println!("{column:<18} {:<12} {:>14} {:>8} {:>7}", class.name(), tally.held, tally.ignored, tally.failed);
        let sum = sums.entry(column).or_default();
        for (sum, count) in sum.iter_mut().zip([tally.held, tally.ignored, tally.failed]) {
            *sum += count;
        }
    }
    for (column, [held, ignored, failed]) in &sums {
        println!("{column:<18} {:<12} {held:>14} {ignored:>8} {failed:>7}", "all");
    }
    sums.iter().filter(|(column, _)| column.ends_with(MECHANISMS[0])).all(|(_, [held, ..])| *held >= LEAST_BOTH_WAYS)
}
