//! Chores of the project: `cargo xtask CHORE`.
#![forbid(unsafe_code)]

mod bench;
mod documents;
mod generate;
mod windows;

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
    /// Check the Markdown files: links, commands, length of the README
    Docs,
    /// Measure, side by side with comparators
    Bench(bench::Arguments),
    /// Check and test the Windows side on Linux
    Windows(windows::Arguments),
    #[command(name = bench::inside::OPEN_CLOSE, hide = true)]
    OpenClose(bench::inside::OpenClose),
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
        Chore::Docs => documents::check(&root()),
        Chore::Bench(arguments) => bench::bench(&arguments),
        Chore::Windows(arguments) => windows::windows(&arguments),
        Chore::OpenClose(arguments) => bench::inside::open_close(&arguments),
    }
}
