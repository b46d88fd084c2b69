//! System calls that no safe crate offers, and the code that runs between `clone` and `execve`.
//!
//! That code works in a copy of the supervisor's memory, in which another thread may have held the allocator's lock, or
//! in that memory itself. So it allocates nothing, takes no lock and calls nothing but system calls: it walks a script
//! that was prepared before.

mod arena;
pub(crate) mod call;
mod init;
mod launch;
mod lockdown;
pub(crate) mod mount_attributes;
mod mounts;
mod network;
mod script;
mod signals;

pub(crate) use arena::{Arena, Shared};
pub(crate) use launch::{Borrowed, Launched, Memory, Waiting};
pub(crate) use network::{Egress, Socket};
pub(crate) use script::{Ended, Failure, IdMaps, LockIn, Opening, Ruleset, Script, Slots, Stage, Step, Strings};
pub(crate) use signals::{Signals, mask, wait_for};
