//! The part of a measurement that happens inside a boundary: `xtask` starts itself there.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

/// The hidden subcommand that runs [`open_close`].
pub(crate) const OPEN_CLOSE: &str = "__open-close";

/// Arguments of the loop of `open` and `close`.
#[derive(Args)]
pub(crate) struct OpenClose {
    path: PathBuf,
    calls: u32,
}

/// Opens and closes a file many times and prints the nanoseconds that one pair of calls takes.
pub(crate) fn open_close(arguments: &OpenClose) -> Result<()> {
    let open = || File::open(&arguments.path).with_context(|| format!("cannot open {}", arguments.path.display()));
    for _ in 0..arguments.calls / 10 {
        open()?;
    }
    let start = Instant::now();
    for _ in 0..arguments.calls {
        open()?;
    }
    println!("{}", start.elapsed().as_nanos() / u128::from(arguments.calls.max(1)));
    Ok(())
}
