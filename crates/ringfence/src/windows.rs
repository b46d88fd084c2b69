//! Enforcement on Windows.
//!
//! Everything here but `sys` is data and pure functions, compiled and tested on every system.

pub mod disk;
pub mod path;
pub mod wide;
