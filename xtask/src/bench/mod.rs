//! Measurements, each side by side with its comparators in one run, and the bounds that they must keep.

mod contestant;
mod egress;
pub(crate) mod inside;
mod spawn;
mod supervisor;
mod workspace;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The cost of a run: start, open, a recursive grep, memory, size of the program
    Spawn(spawn::Arguments),
    /// The egress proxy beside tinyproxy and squid
    Egress(egress::Arguments),
}

/// Runs the measurement that was asked for.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    match &arguments.bench {
        Bench::Spawn(arguments) => spawn::spawn(arguments),
        Bench::Egress(arguments) => egress::run(arguments).map(drop).map_err(anyhow::Error::msg),
    }
}
