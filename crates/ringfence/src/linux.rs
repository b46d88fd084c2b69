//! Enforcement on Linux.

pub(crate) mod host;
pub(crate) mod quarantine;
pub(crate) mod run;
pub(crate) mod seccomp;
pub(crate) mod survey;

pub(crate) mod ahead;
mod cgroup;
mod compile;
mod descriptors;
mod landlock;
mod monitor;
pub(crate) mod pending;
mod rtnetlink;
mod sys;
mod terminal;
