//! The cost of a run, against a bare start and against comparators.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use ringfence_cli::page::{BAD, Cell, GOOD, HEADING, Table, WARNING};
use serde::Serialize;

use super::contestant::{ALLOWLIST, BARE, BWRAP, Contestant, RINGFENCE, Series, Setting, interleave};
use super::{inside, supervisor, workspace};

/// Arguments of `cargo xtask bench spawn`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each contestant is started
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Fail if a bound is missed or could not be measured
    #[arg(long)]
    check: bool,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    /// Measure this program instead of building one
    #[arg(long, value_name = "FILE")]
    ringfence: Option<PathBuf>,
}

/// The results of one measurement.
#[derive(Serialize)]
struct Report {
    start: Vec<Series>,
    open_close: Vec<Series>,
    grep: Vec<Series>,
    /// Contestants that were not measured, with the reason.
    left_out: Vec<(String, String)>,
    /// Load average of the last minute, before the start: what else the machine had to do.
    load: Option<f64>,
    bounds: Vec<Bound>,
}

/// A promise, and what was measured.
#[derive(Serialize)]
struct Bound {
    what: &'static str,
    limit: f64,
    unit: &'static str,
    /// Nothing, if it could not be measured here.
    measured: Option<f64>,
}

impl Bound {
    fn is_kept(&self) -> bool {
        self.measured.is_some_and(|measured| measured <= self.limit)
    }
}

/// Measures, prints, and with `--check` judges.
pub(crate) fn spawn(arguments: &Arguments) -> Result<()> {
    let ringfence = match &arguments.ringfence {
        Some(path) => path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?,
        None => build()?,
    };
    let directory = crate::root().join("target/bench");
    let setting = workspace::make(&directory)?;
    let report = measure(&ringfence, &setting, arguments.rounds)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    let missed = report.bounds.iter().filter(|bound| !bound.is_kept()).count();
    if arguments.check && missed > 0 {
        bail!("{missed} of {} bounds are not kept", report.bounds.len());
    }
    Ok(())
}

/// Builds the release and returns the path of the program.
fn build() -> Result<PathBuf> {
    let root = crate::root();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--package", "ringfence-cli"])
        .current_dir(&root)
        .status()?;
    ensure!(status.success(), "cannot build ringfence");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // As an installation would: the comparators are installed too, and a file that a linker wrote piece by piece lies in
    // the kernel's cache in smaller pieces than a copy, each of which is mapped by itself.
    let (built, installed) = (target.join("release/ringfence"), target.join("installed/ringfence"));
    fs::create_dir_all(target.join("installed"))?;
    fs::copy(&built, &installed).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(installed)
}

fn measure(ringfence: &Path, setting: &Setting, rounds: usize) -> Result<Report> {
    let load = load();
    let nothing = [OsString::from("/bin/true")];
    let mut left_out = Vec::new();
    let mut present = Vec::new();
    for contestant in Contestant::all(ringfence, &setting.workspace) {
        match contestant.output(&nothing, setting) {
            Ok(_) => present.push(contestant),
            // A ringfence that does not run is no comparator that is missing: it is the failure of the measurement.
            Err(error) if contestant.name == RINGFENCE => return Err(error),
            Err(error) => left_out.push((contestant.name.to_owned(), format!("{error:#}"))),
        }
    }
    let start = interleave(&present, rounds, |contestant| contestant.time(&nothing, setting))?;

    let loops = open_close_loop(setting)?;
    let open_close = interleave(&present, rounds.div_ceil(20), |contestant| {
        let output = contestant.output(&loops, setting)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Duration::from_nanos(text.trim().parse().context("the loop printed no number")?))
    })?;

    let search = ["grep", "-rc", workspace::WORD, "packages"].map(OsString::from);
    let grep = interleave(&present, rounds.div_ceil(10), |contestant| contestant.time(&search, setting))?;

    let measured =
        present.iter().find(|contestant| contestant.name == RINGFENCE).context("ringfence was not measured")?;
    let bounds = vec![
        Bound {
            what: "start, against bwrap --unshare-all",
            limit: 0.6,
            unit: "x",
            measured: ratio(&start, RINGFENCE, BWRAP),
        },
        Bound {
            what: "start with an allowlist, above network off",
            limit: 2.0,
            unit: "ms",
            measured: median(&start, ALLOWLIST).zip(median(&start, RINGFENCE)).map(|(list, off)| (list - off) / 1e6),
        },
        Bound {
            what: "open+close, above bare",
            limit: 2.5,
            unit: "µs",
            measured: median(&open_close, RINGFENCE)
                .zip(median(&open_close, BARE))
                .map(|(inside, bare)| (inside - bare) / 1_000.0),
        },
        Bound {
            what: "grep over 3,000 files, against bare",
            limit: 1.3,
            unit: "x",
            measured: ratio(&grep, RINGFENCE, BARE),
        },
        Bound {
            what: "peak memory of the supervisor",
            limit: 10.0,
            unit: "MiB",
            measured: Some(supervisor::peak_memory(measured, setting)? as f64 / f64::from(1 << 20)),
        },
        Bound {
            what: "size of the program",
            limit: 10.0,
            unit: "MB",
            measured: Some(fs::metadata(ringfence)?.len() as f64 / 1e6),
        },
    ];
    Ok(Report { start, open_close, grep, left_out, load, bounds })
}

/// The command that opens and closes a file, six directories deep, many times.
fn open_close_loop(setting: &Setting) -> Result<Vec<OsString>> {
    let path = workspace::file(&setting.workspace, workspace::FILES / 2);
    let built = std::env::current_exe().context("cannot find this program")?;
    // A checkout in /tmp is not there for a run; the workspace always is.
    let own = setting.workspace.join("open-close");
    fs::hard_link(&built, &own).or_else(|_| fs::copy(&built, &own).map(drop)).context("cannot copy this program")?;
    Ok(vec![own.into(), inside::OPEN_CLOSE.into(), path.into(), "50000".into()])
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn median(series: &[Series], name: &str) -> Option<f64> {
    series.iter().find(|series| series.name == name).map(|series| series.median_ns as f64)
}

fn ratio(series: &[Series], name: &str, against: &str) -> Option<f64> {
    median(series, name).zip(median(series, against)).map(|(one, other)| one / other)
}

fn print(report: &Report) {
    let mut page = String::new();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if let Some(load) = report.load.filter(|load| *load > 0.5 * processors as f64) {
        page += &format!(
            "{WARNING}The machine was busy{WARNING:#} (load {load} on {processors} processors): the figures say little.\n\n"
        );
    }
    for (title, unit, scale, series) in [
        ("Start and end of /bin/true", "ms", 1e6, &report.start),
        ("open+close of one file, six directories deep", "µs", 1e3, &report.open_close),
        ("grep -rc over 3,000 files", "ms", 1e6, &report.grep),
    ] {
        let rounds = series.first().map_or(0, |series| series.rounds);
        page += &format!("{HEADING}{title}{HEADING:#} ({unit}, {rounds} rounds, interleaved)\n");
        let mut table = Table::indented(2);
        table.heads(["", "best", "median", "95 %", "x bare", "x bwrap"]);
        for entry in series {
            let against =
                |name| ratio(series, entry.name, name).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let numbers = [
                format!("{:.2}", entry.best_ns as f64 / scale),
                format!("{:.2}", entry.median_ns as f64 / scale),
                format!("{:.2}", entry.p95_ns as f64 / scale),
                against(BARE),
                against(BWRAP),
            ];
            table.row([Cell::new(entry.name)].into_iter().chain(numbers.map(|number| Cell::new(number).right())));
        }
        page += &table.render();
        page.push('\n');
    }
    page += &format!("{HEADING}Bounds{HEADING:#}\n");
    let mut table = Table::indented(2);
    for bound in &report.bounds {
        let (verdict, style) = match bound.measured {
            None => ("not measured", WARNING),
            Some(_) if bound.is_kept() => ("kept", GOOD),
            Some(_) => ("missed", BAD),
        };
        table.row([
            bound.what.into(),
            Cell::new(bound.measured.map_or_else(String::new, |measured| format!("{measured:.2} {}", bound.unit)))
                .right(),
            Cell::new(format!("at most {} {}", bound.limit, bound.unit)),
            Cell::new(verdict).style(style),
        ]);
    }
    page += &table.render();
    if !report.left_out.is_empty() {
        page += &format!("\n{HEADING}Left out{HEADING:#}\n");
        let mut table = Table::indented(2);
        for (name, reason) in &report.left_out {
            table.row([Cell::new(name), Cell::new(reason)]);
        }
        page += &table.render();
    }
    anstream::print!("{page}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_was_not_measured_is_not_kept() {
        let bound = |measured| Bound { what: "", limit: 0.6, unit: "x", measured };
        assert!(bound(Some(0.6)).is_kept());
        assert!(!bound(Some(0.61)).is_kept());
        assert!(!bound(None).is_kept());
        assert!(!bound(Some(f64::NAN)).is_kept());
    }
}
