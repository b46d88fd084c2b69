//! Chores of the project: `cargo xtask CHORE`.
#![forbid(unsafe_code)]

mod generate;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Chores of the project
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the man pages (docs/man) and the shell completions (completions) from the definition of the command line
    Generate(generate::Arguments),
}

/// Returns the root of the repository.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(1)
        .unwrap_or_else(|| std::path::Path::new("."))
        .to_owned()
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Generate(arguments) => generate::generate(&arguments),
    }
}
