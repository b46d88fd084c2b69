//! `ringfence log`: the receipts of past runs, and whether their hash chain is whole.

use crate::status::Status;
use std::time::{Duration, UNIX_EPOCH};

use ringfence::State;
use ringfence::receipt::{Entry, Log, Verification};
use serde::Serialize;

use super::print;
use crate::cli;
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, Table, WARNING, quoted};

/// Lists receipts and verifies the chain; the exit status is 1 if the chain is broken.
pub(crate) fn log(arguments: &cli::Log) -> Result<Status, Failure> {
    let log = Log::open(&State::open()?)?;
    let verification = log.verify()?;
    let mut text = String::new();
    if !arguments.verify {
        let entries = log.entries()?;
        let skipped = arguments.last.map_or(0, |last| entries.len().saturating_sub(last));
        text = if arguments.json { lines(&entries[skipped..])? } else { page(&entries[skipped..]) };
    }
    match (arguments.json, arguments.verify) {
        (false, _) => text += &conclusion(&verification),
        (true, true) => text += &json(&Chain::from(&verification))?,
        // Every line is a receipt: the exit status tells the rest.
        (true, false) => {}
    }
    print(&text)?;
    Ok(Status::from(u8::from(!verification.is_whole())))
}

fn page(entries: &[Entry]) -> String {
    let mut table = Table::default();
    if !entries.is_empty() {
        table.heads(["Line", "Started (UTC)", "Took", "Ended", "Command"]);
    }
    for entry in entries {
        let line = Cell::new(entry.line.to_string()).right();
        let receipt = match &entry.receipt {
            Ok(receipt) => receipt,
            Err(reason) => {
                let reason = Cell::new(format!("no receipt: {reason}")).style(WARNING);
                table.row([line, "".into(), "".into(), "".into(), reason]);
                continue;
            }
        };
        let started = UNIX_EPOCH + Duration::from_millis(receipt.started_ms);
        let started = humantime::format_rfc3339_seconds(started).to_string();
        let words: Vec<String> = receipt.argv.iter().map(|word| quoted(&word.to_string())).collect();
        let ended = Cell::new(receipt.exit.to_string());
        table.row([
            line,
            Cell::new(started.trim_end_matches('Z').replace('T', " ")),
            Cell::new(format!("{:.3} s", Duration::from_millis(receipt.duration_ms).as_secs_f64())).right(),
            if receipt.exit_status() == 0 { ended } else { ended.style(WARNING) },
            Cell::new(words.join(" ")),
        ]);
        if !entry.chained {
            let warning = "does not follow from the line before: something was changed, taken out or put in";
            table.row(["".into(), "".into(), "".into(), "".into(), Cell::new(warning).style(BAD)]);
        }
    }
    table.render()
}

/// Every receipt on a line of its own; what is none is left out, and `--verify` tells of it.
fn lines(entries: &[Entry]) -> Result<String, Failure> {
    entries.iter().filter_map(|entry| entry.receipt.as_ref().ok()).map(json).collect()
}

/// The state of the chain as JSON.
#[derive(Serialize)]
struct Chain<'a> {
    whole: bool,
    receipts: usize,
    /// Numbers of lines that a crash cut off.
    torn: &'a [usize],
    /// Numbers of lines that do not follow from the line before.
    broken: &'a [usize],
}

impl<'a> From<&'a Verification> for Chain<'a> {
    fn from(verification: &'a Verification) -> Self {
        Self {
            whole: verification.is_whole(),
            receipts: verification.receipts,
            torn: &verification.torn,
            broken: &verification.broken,
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map(|line| line + "\n").map_err(|source| Failure::Encode { source })
}

fn conclusion(verification: &Verification) -> String {
    let receipts = match verification.receipts {
        1 => "1 receipt".to_owned(),
        count => format!("{count} receipts"),
    };
    let torn = match verification.torn.as_slice() {
        [] => String::new(),
        lines => format!(", cut off by a crash: line {}", numbers(lines)),
    };
    match verification.broken.as_slice() {
        [] => format!("{GOOD}chain whole{GOOD:#}  {receipts}{torn}\n"),
        lines => format!("{BAD}chain broken{BAD:#} at line {}  {receipts}{torn}\n", numbers(lines)),
    }
}

fn numbers(lines: &[usize]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
