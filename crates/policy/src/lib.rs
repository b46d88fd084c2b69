//! What a sandboxed command may do: the policy of ringfence, without a word about any operating system's means.
//!
//! [`load`] turns a TOML file (or a built-in profile) and flags into a [`Policy`]; [`meet`] holds it under a ceiling;
//! [`decide_write`], [`decide_read`] and [`decide_connect`] say what it means for one action; [`lint`] says what its
//! author probably did not mean. The crate reads no disk and asks no operating system anything: what it needs to
//! know comes in as [`Anchors`] and [`Files`].

#![forbid(unsafe_code)]

mod anchor;
mod decide;
mod document;
mod error;
mod extends;
mod host;
mod host_rule;
mod layer;
mod limits;
mod lint;
mod load;
mod meet;
mod names;
mod origin;
mod overrides;
mod parse;
mod path;
mod policy;
mod printable;
mod profile;
mod refuse;
mod schema;
mod secrets;
mod selftest;
mod source;
mod upstream;
mod value_error;
mod variable;

pub use anchor::{Anchors, PathError, absolute_path};
pub use decide::{Deciding, Decision, Reason, decide_connect, decide_read, decide_write};
pub use error::PolicyError;
pub use host::{DomainName, Host, HostError};
pub use host_rule::{HostPattern, HostRule, Ports};
pub use limits::{ByteSize, Cpus, Timeout};
pub use lint::{Lint, lint};
pub use load::{Files, PolicySource, Request, load};
pub use meet::meet;
pub use names::{Everyone, NetworkMode, Require, RuleId, System, Verdict};
pub use origin::{Origin, Rule};
pub use overrides::Overrides;
pub use path::is_in_tree;
pub use policy::{
    Enforcement, Environment, Filesystem, Hide, Network, Policy, Process, Protect, ReadScope, SelfTest, TestAction,
    Windows,
};
pub use profile::{PROFILES, builtin};
pub use refuse::{RefusedRoot, refused_write_root};
pub use schema::schema;
pub use secrets::{runtime_locations, secret_locations, secrets_elsewhere, secrets_in_home};
pub use upstream::Upstream;
pub use value_error::ValueError;
pub use variable::VariablePattern;

/// The largest policy file, in bytes, that is read; 10,000 entries fit with ease.
pub const MAX_FILE_SIZE: usize = 1 << 20;
