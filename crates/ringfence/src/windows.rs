//! Enforcement on Windows.
//!
//! Everything here but `sys` is data and pure functions, compiled and tested on every system.

pub mod command_line;
pub mod disk;
pub mod environment_block;
pub mod grants;
pub mod ledger;
pub mod path;
pub mod search;
#[cfg(test)]
mod simulated;
pub mod storage;
pub mod wide;

/// How many cases a test of chance tries: as many as the variable says.
#[cfg(test)]
pub(crate) fn cases<T: std::str::FromStr>(variable: &str, ordinary: T) -> T {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(ordinary)
}
