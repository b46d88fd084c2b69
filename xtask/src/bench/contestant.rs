//! What is measured side by side, and how: round after round, each contestant once per round.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use ringfence_policy::RuleId;
use serde::Serialize;

/// A way to start a command: the words that stand before it.
pub(crate) struct Contestant {
    /// How tables call it.
    pub(crate) name: &'static str,
    prefix: Vec<OsString>,
}

/// The names that bounds refer to.
pub(crate) const BARE: &str = "bare";
pub(crate) const RINGFENCE: &str = "ringfence";
pub(crate) const ALLOWLIST: &str = "ringfence, allowlist";
pub(crate) const BWRAP: &str = "bwrap --unshare-all";

impl Contestant {
    /// Returns all that could be measured on a machine that has every comparator.
    pub(crate) fn all(ringfence: &Path, workspace: &Path) -> Vec<Self> {
        let ringfence = ringfence.as_os_str();
        let workspace = workspace.as_os_str();
        let with = |name, words: &[&str]| Self { name, prefix: words.iter().map(OsString::from).collect() };
        vec![
            with(BARE, &[]),
            Self { name: RINGFENCE, prefix: [ringfence, "run".as_ref(), "--".as_ref()].map(OsString::from).to_vec() },
            Self {
                name: "ringfence, landlock",
                // Landlock alone cannot hold every rule of the default policy: what it costs is measured all the same.
                prefix: [ringfence, "run".as_ref(), "--mechanism=landlock".as_ref()]
                    .into_iter()
                    .map(OsString::from)
                    .chain(RuleId::WORDS.iter().map(|rule| format!("--accept-degraded={rule}").into()))
                    .chain(["--".into()])
                    .collect(),
            },
            Self {
                name: ALLOWLIST,
                prefix: [ringfence, "run".as_ref(), "--allow=example.com".as_ref(), "--".as_ref()]
                    .map(OsString::from)
                    .to_vec(),
            },
            Self {
                name: BWRAP,
                prefix: "bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc --bind"
                    .split(' ')
                    .map(OsString::from)
                    .chain([workspace, workspace, "--".as_ref()].map(OsString::from))
                    .collect(),
            },
            with("bwrap --ro-bind / /", &["bwrap", "--ro-bind", "/", "/", "--"]),
            with("unshare -Urmpf", &["unshare", "-Urmpf", "--"]),
            with("firejail --noprofile", &["firejail", "--quiet", "--noprofile", "--"]),
            with("nono wrap", &["nono", "wrap", "--allow-cwd", "--"]),
            with("landrun", &["landrun", "--rox", "/usr", "--ro", "/", "--"]),
        ]
    }

    /// Returns the command that starts `argv` this way, in `workspace`, without terminal or input.
    pub(crate) fn command(&self, argv: &[OsString], setting: &Setting) -> Command {
        let mut words = self.prefix.iter().chain(argv);
        let mut command = Command::new(words.next().map_or_else(OsString::new, Clone::clone));
        command
            .args(words)
            .current_dir(&setting.workspace)
            .env("RINGFENCE_STATE_DIR", &setting.state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs `argv` this way to its end and returns what it printed; fails with the reason if it failed.
    pub(crate) fn output(&self, argv: &[OsString], setting: &Setting) -> Result<Output> {
        let output =
            self.command(argv, setting).stdout(Stdio::piped()).stderr(Stdio::piped()).output().map_err(|error| {
                match error.kind() {
                    ErrorKind::NotFound => anyhow!("not installed"),
                    _ => anyhow!("cannot start: {error}"),
                }
            })?;
        if !output.status.success() {
            bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output)
    }

    /// Returns the time from before the start of `argv` until it was waited for.
    pub(crate) fn time(&self, argv: &[OsString], setting: &Setting) -> Result<Duration> {
        let mut command = self.command(argv, setting);
        // With nothing to do between fork and exec, the standard library uses posix_spawn: no shell, and no copy of
        // this process' page tables.
        let start = Instant::now();
        let status = command.status().with_context(|| format!("cannot start {}", self.name))?;
        let elapsed = start.elapsed();
        if !status.success() {
            bail!("{}: {status} in the middle of the measurement", self.name);
        }
        Ok(elapsed)
    }
}

/// Where contestants run.
pub(crate) struct Setting {
    /// The current directory, writable inside.
    pub(crate) workspace: std::path::PathBuf,
    /// The state directory of ringfence: receipts go there.
    pub(crate) state: std::path::PathBuf,
}

/// The measurements of one contestant.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) best_ns: u64,
    pub(crate) median_ns: u64,
    pub(crate) p95_ns: u64,
    pub(crate) rounds: usize,
}

/// Measures every contestant once per round, for so many `rounds`, so that a slow moment of the machine meets all of them;
/// who begins changes from round to round, so that nobody always follows the same neighbour.
pub(crate) fn interleave(
    contestants: &[Contestant],
    rounds: usize,
    mut measure: impl FnMut(&Contestant) -> Result<Duration>,
) -> Result<Vec<Series>> {
    let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
    for round in 0..WARM_UP + rounds {
        for turn in 0..contestants.len() {
            let index = (round + turn) % contestants.len();
            let contestant = &contestants[index];
            let time = measure(contestant).with_context(|| contestant.name)?;
            if round >= WARM_UP {
                times[index].push(time);
            }
        }
    }
    Ok(contestants.iter().zip(&mut times).map(|(contestant, times)| series(contestant.name, times)).collect())
}

/// Rounds at the start that fill caches and are not counted.
const WARM_UP: usize = 3;

fn series(name: &'static str, times: &mut [Duration]) -> Series {
    times.sort_unstable();
    let at = |fraction: f64| {
        let index = (times.len().saturating_sub(1) as f64 * fraction).round() as usize;
        times.get(index).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    };
    Series { name, best_ns: at(0.0), median_ns: at(0.5), p95_ns: at(0.95), rounds: times.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contestant_is_measured_in_every_round_and_begins_in_turn() {
        let setting = ("ringfence".as_ref(), "/".as_ref());
        let contestants: Vec<_> = Contestant::all(setting.0, setting.1).into_iter().take(3).collect();
        let mut order = Vec::new();
        let series = interleave(&contestants, 6, |contestant| {
            order.push(contestant.name);
            Ok(Duration::from_nanos(order.len() as u64))
        })
        .unwrap();
        assert!(series.iter().all(|series| series.rounds == 6));
        let first: Vec<_> = order.chunks(3).map(|round| round[0]).collect();
        assert_eq!(first[..3], [BARE, RINGFENCE, "ringfence, landlock"]);
    }

    #[test]
    fn the_median_is_not_moved_by_an_outlier() {
        let mut times: Vec<_> = [5, 1, 2, 4, 3_000_000].map(Duration::from_nanos).to_vec();
        let series = series(BARE, &mut times);
        assert_eq!((series.best_ns, series.median_ns, series.p95_ns), (1, 4, 3_000_000));
    }
}
