//! Enforcement on Linux.

pub(crate) mod host;
pub(crate) mod quarantine;
pub(crate) mod run;
pub(crate) mod seccomp;
pub(crate) mod survey;

mod cgroup;
mod compile;
mod descriptors;
mod landlock;
mod monitor;
pub(crate) mod pending;
mod rtnetlink;
mod sys;
mod terminal;
