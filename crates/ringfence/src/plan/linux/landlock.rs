//! The Landlock ruleset as data (landlock(7)).

use std::path::PathBuf;

use ringfence_policy::{NetworkMode, Policy};
use serde::{Deserialize, Serialize};

use super::Mechanism;
use crate::facts::LinuxFacts;
use crate::survey::FRESH;

/// What a ruleset governs and what it grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandlockPlan {
    /// The ABI that the ruleset is written for; rights that are newer are not in it.
    pub abi: u32,
    /// Rights that nobody has unless a rule grants them.
    pub handled: Vec<FileAccess>,
    /// Whether `bind(2)` and `connect(2)` of TCP are governed too.
    pub handles_tcp: bool,
    /// Ports that TCP may connect to, on any address; 0 stands for the port of the run's proxy.
    pub connect: Vec<u16>,
    /// What the ruleset grants.
    pub rules: Vec<LandlockRule>,
    /// What processes inside may not do to processes outside.
    pub scopes: Vec<Scope>,
}

/// Rights in a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandlockRule {
    /// The top of the hierarchy, or one file.
    pub path: PathBuf,
    /// The rights.
    pub access: Vec<FileAccess>,
}

/// Groups of file system rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileAccess {
    /// `EXECUTE`, `READ_FILE` and `READ_DIR`.
    Read,
    /// Everything that changes content or names: `WRITE_FILE`, `REMOVE_*`, `MAKE_*`, `REFER`.
    Write,
    /// `TRUNCATE` and `IOCTL_DEV`. The kernel decides them at every `open(2)`, also one for reading, which then costs a
    /// walk to the root.
    Descriptor,
}

/// A relation to processes outside the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Connecting to abstract Unix sockets.
    AbstractUnixSocket,
    /// Sending signals.
    Signal,
}

/// The ABI that brought scopes.
pub(super) const SCOPES: u32 = 6;
/// The ABI that brought TCP.
pub(super) const TCP: u32 = 4;

pub(super) fn plan(mechanism: Mechanism, policy: &Policy, facts: &LinuxFacts) -> Option<LandlockPlan> {
    let abi = facts.host.landlock_abi;
    if abi == 0 {
        return None;
    }
    let scopes = if abi >= SCOPES { vec![Scope::AbstractUnixSocket, Scope::Signal] } else { Vec::new() };
    let access = match mechanism {
        Mechanism::Namespaces => vec![FileAccess::Write],
        Mechanism::Landlock => vec![FileAccess::Write, FileAccess::Descriptor],
    };
    let write = |path: PathBuf| LandlockRule { path, access: access.clone() };
    let roots = facts.survey.write.iter().map(|root| write(root.path.clone()));
    Some(match mechanism {
        // The mounts decide what can be read; the ruleset is the second lock on what can be written. It also covers
        // what a read-only mount does not: writing into a named pipe of the host. Truncation needs no second lock: a
        // read-only mount refuses it whatever the file is, and devices work nowhere but in the private /dev.
        Mechanism::Namespaces => LandlockPlan {
            abi,
            handled: vec![FileAccess::Write],
            handles_tcp: false,
            connect: Vec::new(),
            rules: FRESH.iter().map(|path| write(path.into())).chain(roots).collect(),
            scopes,
        },
        Mechanism::Landlock => LandlockPlan {
            abi,
            handled: vec![FileAccess::Read, FileAccess::Write, FileAccess::Descriptor],
            handles_tcp: abi >= TCP && policy.network.mode.value != NetworkMode::Open,
            connect: match policy.network.mode.value {
                NetworkMode::Allowlist if abi >= TCP => vec![0],
                _ => Vec::new(),
            },
            rules: alone(facts).chain(roots).collect(),
            scopes,
        },
    })
}

/// The rules of the mechanism that has nothing but the ruleset.
fn alone(facts: &LinuxFacts) -> impl Iterator<Item = LandlockRule> {
    let readable = facts.survey.carved.iter().flat_map(|carved| &carved.grant);
    let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts"];
    readable
        .map(|path| LandlockRule { path: path.clone(), access: vec![FileAccess::Read] })
        .chain(
            devices.map(|path| LandlockRule {
                path: path.into(),
                access: vec![FileAccess::Write, FileAccess::Descriptor],
            }),
        )
        .chain([LandlockRule {
            path: super::PRIVATE_TEMPORARY.into(),
            access: vec![FileAccess::Read, FileAccess::Write, FileAccess::Descriptor],
        }])
}
