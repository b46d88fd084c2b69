//! What a run costs in memory while its command works.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::contestant::{Contestant, Setting};

const COMMAND: &str = "cat";

/// Returns the peak resident set, in bytes, of all processes of ringfence that a run consists of, the command left out.
///
/// The command is `cat`: that it has answered shows that the start is over, and it waits at no cost for its input to end.
/// Pages that a supervisor shares with a process that it forked count twice: the figure is an upper bound. A process that
/// works in the supervisor's memory itself has none of its own.
pub(crate) fn peak_memory(contestant: &Contestant, setting: &Setting) -> Result<u64> {
    let mut child = contestant
        .command(&[COMMAND.into()], setting)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start ringfence")?;
    let mut input = child.stdin.take().context("no standard input")?;
    let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
    input.write_all(b"ready\n")?;
    let mut line = String::new();
    output.read_line(&mut line)?;
    ensure!(line == "ready\n", "the command did not answer");
    let peak = peak_of_tree(child.id(), "");
    drop(input);
    ensure!(child.wait()?.success(), "the command failed");
    peak
}

/// Sums the peaks of a process and its descendants, down to the command. `above` is what the parent says of its memory.
fn peak_of_tree(process: u32, above: &str) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{process}/status")).context("cannot read the status of a process")?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("Name:") == Some(COMMAND) {
        return Ok(0);
    }
    let peak = field("VmHWM:").and_then(|text| text.strip_suffix(" kB")).context("no VmHWM")?;
    let memory: String = status.lines().filter(|line| line.starts_with("Vm")).collect();
    // Sizes and peaks of everything to the page: a copy, of which both have written to some part, differs.
    let own = if memory == above { 0 } else { peak.trim().parse::<u64>()? * 1024 };
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))
        .context("cannot read the children of a process")?;
    let below = children.split_whitespace().map(|child| peak_of_tree(child.parse()?, &memory));
    below.sum::<Result<u64>>().map(|below| own + below)
}
