//! Enforcement on Windows.
//!
//! Everything here but `sys` is data and pure functions, compiled and tested on every system.

pub mod command_line;
pub mod disk;
pub mod environment_block;
pub mod path;
pub mod search;
pub mod wide;
