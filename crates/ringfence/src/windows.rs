//! Enforcement on Windows.
//!
//! Everything here but `sys` is data and pure functions, compiled and tested on every system.

pub mod command_line;
pub mod disk;
pub mod environment_block;
pub mod grants;
#[cfg(windows)]
mod helper;
#[cfg(windows)]
pub(crate) mod host;
pub mod ledger;
pub mod path;
#[cfg_attr(not(windows), allow(dead_code, reason = "judged everywhere in tests, asked on Windows only"))]
pub(crate) mod private;
#[cfg(windows)]
mod quarantine;
#[cfg(windows)]
pub(crate) mod run;
#[cfg(windows)]
mod sandbox;
pub mod search;
#[cfg_attr(not(windows), allow(dead_code, reason = "judged everywhere in tests, made on Windows only"))]
mod self_check;
#[cfg(test)]
mod simulated;
pub mod storage;
#[cfg(windows)]
pub(crate) mod survey;
#[cfg(windows)]
pub(crate) mod sys;
#[cfg(windows)]
mod terminal;
pub mod wide;

#[cfg(windows)]
pub use helper::dispatch;

/// How many cases a test of chance tries: as many as the variable says.
#[cfg(test)]
pub(crate) fn cases<T: std::str::FromStr>(variable: &str, ordinary: T) -> T {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(ordinary)
}
