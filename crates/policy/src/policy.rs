//! The typed, anchored policy that a Plan is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::anchor::Anchors;
use crate::host::Host;
use crate::host_rule::HostRule;
use crate::limits::{ByteSize, Cpus, Timeout};
use crate::names::{Everyone, NetworkMode, Require, RuleId, Verdict};
use crate::origin::{Origin, Rule};
use crate::upstream::Upstream;
use crate::variable::VariablePattern;

/// Everything that a command may do, with the place where each rule was written.
///
/// Every path is absolute and lexically normal for [`Anchors::system`]; whether it is a symbolic link is a fact of
/// the host, which this crate never asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The profile's name, or the policy file's path.
    pub profile: String,
    /// What relative paths, `~` and `@secrets` were resolved against.
    pub anchors: Anchors,
    /// Files and directories.
    pub filesystem: Filesystem,
    /// Connections.
    pub network: Network,
    /// Limits on the process tree.
    pub process: Process,
    /// Environment variables.
    pub environment: Environment,
    /// How strongly the rules have to hold before anything runs.
    pub enforcement: Enforcement,
    /// What only Windows knows.
    pub windows: Windows,
    /// What the policy asserts about itself.
    pub tests: Vec<Rule<SelfTest>>,
}

/// Rules about files. `hide` wins over `protect`, `protect` over `write`; what no root covers is not writable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Trees that the command may change.
    pub write: Vec<Rule<PathBuf>>,
    /// Never writable, even inside a write root.
    pub protect: Vec<Rule<Protect>>,
    /// What is readable before `hide` is subtracted.
    pub read: ReadScope,
    /// Never readable and never writable.
    pub hide: Vec<Rule<Hide>>,
}

/// One entry of `filesystem.protect`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protect {
    /// A file or a tree.
    Path(PathBuf),
    /// `@git`: hooks, configuration, gitfile and modules' hooks of every repository in the write roots. Which
    /// repositories there are is a fact of the disk.
    Git,
}

/// One entry of `filesystem.hide`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hide {
    /// A file or a tree.
    Path(PathBuf),
    /// `@secrets`: every place of [`secret_locations`](crate::secret_locations).
    Secrets,
}

/// What may be read before `hide` is subtracted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadScope {
    /// Whatever the user can read.
    Host(Origin),
    /// These trees, the write roots and the [system runtime](crate::runtime_locations).
    Roots(Vec<Rule<PathBuf>>),
}

/// Rules about connections. `deny` wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Nothing, a list, or everything.
    pub mode: Rule<NetworkMode>,
    /// Hosts that may be reached while `mode` is `allowlist`.
    pub allow: Vec<Rule<HostRule>>,
    /// Hosts that may never be reached.
    pub deny: Vec<Rule<HostRule>>,
    /// Host sockets (`AF_UNIX` path names) that stay reachable; a directory means every socket in it.
    pub unix_sockets: Vec<Rule<PathBuf>>,
    /// The HTTP proxy that allowed connections go through.
    pub upstream: Option<Rule<Upstream>>,
}

/// Limits on the whole process tree; `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Wall-clock time.
    pub timeout: Option<Rule<Timeout>>,
    /// Memory of all processes together.
    pub memory: Option<Rule<ByteSize>>,
    /// Processes and threads alive at once.
    pub processes: Option<Rule<u32>>,
    /// Processor time per wall-clock time.
    pub cpus: Option<Rule<Cpus>>,
}

/// Which environment variables the command sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Variables of the caller that pass; all others are dropped.
    pub pass: Vec<Rule<VariablePattern>>,
    /// Variables set to a literal; they win over passed ones.
    pub set: BTreeMap<String, Rule<String>>,
}

/// How strongly the rules have to hold before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The least strength that `run` starts with.
    pub require: Rule<Require>,
    /// Rules that may be weaker than `require`.
    pub accept_degraded: Vec<Rule<RuleId>>,
}

/// What only Windows knows; carried, and without effect, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// Whether Everyone (S-1-1-0) may be among the restricting SIDs of the token.
    pub everyone: Rule<Everyone>,
}

/// One `[[test]]`: an action and what the policy has to say to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SelfTest {
    /// The action that is judged.
    pub action: TestAction,
    /// The verdict that it must get.
    pub expect: Verdict,
}

/// The action of a [`SelfTest`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestAction {
    /// A connection; the port is 443 where none is written.
    Connect {
        /// Where to.
        host: Host,
        /// TCP port.
        port: u16,
    },
    /// Changing a file.
    Write(PathBuf),
    /// Reading a file.
    Read(PathBuf),
}
