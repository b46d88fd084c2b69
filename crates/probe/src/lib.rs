//! Ways out of a sandbox, each tried for real.
//!
//! A [`Probe`] is one attempt: write outside the workspace, read a key, signal a process of the host, load a kernel
//! module. The `ringfence` binary carries them behind a hidden subcommand, so that the same code runs twice: once
//! outside, where it must succeed (the *positive control*), and once inside, where it must be denied. A sandbox that
//! merely fails to start therefore proves nothing here, and neither does an attempt that could never have worked.
//!
//! * [`catalogue`] lists the probes of this system, [`main`] carries one out.
//! * [`stage`] builds what they aim at: a home with keys in it, a repository, listeners, a neighbour process.
//! * [`judge`] runs a probe outside and inside and compares.

#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the portable attempts exist there"))]
mod attempt;
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the portable attempts exist there"))]
mod catalogue;
#[cfg(target_os = "linux")]
pub mod judge;
#[cfg(target_os = "linux")]
mod linux;
mod portable;
#[cfg(target_os = "linux")]
pub mod stage;
#[cfg(target_os = "linux")]
mod sys;

use std::ffi::OsString;
use std::io::Write as _;

pub use attempt::{Outcome, Report};
pub use catalogue::{Class, Control, Evidence, Probe, System, Wiring, catalogue, find};

use attempt::{Failure, Targets};

/// Exit status of [`main`] when the arguments name no probe.
pub const UNKNOWN_PROBE: u8 = 2;

/// Carries out one probe and prints its [`Report`] as one JSON line on standard output, and nothing else ever.
///
/// `arguments` are the probe's name and then `key=value` pairs that say what to aim at; [`stage::Stage::targets`] makes
/// them. The exit status is 0 whatever the outcome (an attempt that is stopped is a result, not an error), or
/// [`UNKNOWN_PROBE`].
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let Some(probe) = name.to_str().and_then(find) else {
        let unknown = Report {
            probe: name.to_string_lossy().into_owned(),
            outcome: Outcome::Unavailable { errno: None, detail: "no probe has this name".to_owned() },
        };
        print(&unknown);
        return UNKNOWN_PROBE;
    };
    let targets = Targets::parse(arguments);
    let outcome = match prepare(&targets).and_then(|()| probe.attempt(&targets)) {
        Ok(detail) => Outcome::Succeeded { detail },
        Err(Failure::Denied { errno, detail }) => Outcome::Denied { errno, detail },
        Err(Failure::Unavailable { errno, detail }) => Outcome::Unavailable { errno, detail },
    };
    print(&Report { probe: probe.name.to_owned(), outcome });
    if probe.wiring == Wiring::Held {
        // What the attempt opened has to stay open until the other side has looked at it: the end of input says so.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    }
    0
}

/// Puts the process into namespaces of its own first, where the control of a probe asks for it ([`Control::Apart`]).
fn prepare(targets: &Targets) -> Result<(), Failure> {
    if !targets.apart() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    return linux::enter_own_namespaces();
    #[cfg(not(target_os = "linux"))]
    Err(Failure::unavailable("namespaces exist on Linux only"))
}

fn print(report: &Report) {
    let mut line = serde_json::to_vec(report).unwrap_or_default();
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    // Nobody is left to tell when standard output is gone; the judge reads a missing line as "killed".
    let _ = output.write_all(&line).and_then(|()| output.flush());
}
