//! What a policy says to one action.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;

use crate::host::Host;
use crate::host_rule::{HostPattern, HostRule};
use crate::names::{NetworkMode, Verdict};
use crate::origin::{Origin, Rule};
use crate::path::{PathKey, TreeIndex};
use crate::policy::{Hide, Policy, Protect, ReadScope};
use crate::printable::printable;
use crate::secrets::{runtime_locations, secret_locations};

/// A verdict and the rule that it rests on; what `ringfence why` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision<'p> {
    /// Whether the action may happen.
    pub verdict: Verdict,
    /// Why, without the rule's place.
    pub reason: Reason,
    /// The rule that decided; none where the absence of a rule decided.
    pub rule: Option<Deciding<'p>>,
}

/// The rule that a [`Decision`] rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deciding<'p> {
    /// The key it belongs to: `filesystem.protect`.
    pub key: &'static str,
    /// The rule's value.
    pub value: String,
    /// Where it was written.
    pub origin: &'p Origin,
}

/// Why a [`Decision`] is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The path is not absolute, so nothing is known about it.
    NotAbsolute,
    /// Below an entry of `filesystem.hide`.
    Hidden,
    /// Below an entry of `filesystem.protect`.
    Protected,
    /// A part of a Git repository that `@git` protects.
    ProtectedGit,
    /// Below an entry of `filesystem.write`.
    InWriteRoot,
    /// Below no entry of `filesystem.write`.
    OutsideWriteRoots,
    /// `filesystem.read` is `"host"`.
    HostReadable,
    /// Below an entry of `filesystem.read`.
    InReadRoot,
    /// A part of the system's runtime.
    InRuntime,
    /// Below no entry of `filesystem.read`.
    OutsideReadRoots,
    /// `network.mode` is `"off"`.
    NetworkOff,
    /// An entry of `network.deny` matches.
    HostDenied,
    /// `network.mode` is `"open"`.
    NetworkOpen,
    /// An entry of `network.allow` matches.
    HostAllowed,
    /// An entry of `network.allow` matches the host, but none the port.
    PortNotListed,
    /// No entry of `network.allow` matches.
    HostNotListed,
    /// The address is not public, and no entry of `network.allow` is this very address. Which addresses those are is the
    /// proxy's knowledge, so that no function of this crate gives this reason.
    AddressNotPublic,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path is not absolute",
            Self::Hidden => "it is hidden",
            Self::Protected => "it is protected",
            Self::ProtectedGit => "it is a part of a Git repository that runs or is obeyed later",
            Self::InWriteRoot => "it lies in a write root",
            Self::OutsideWriteRoots => "no write root covers it",
            Self::HostReadable => "the whole host is readable",
            Self::InReadRoot => "it lies in a read root",
            Self::InRuntime => "it belongs to the system's runtime",
            Self::OutsideReadRoots => "no read root covers it",
            Self::NetworkOff => "the network is off",
            Self::HostDenied => "the host is denied",
            Self::NetworkOpen => "the network is open",
            Self::HostAllowed => "the host is allowed",
            Self::PortNotListed => "the host is allowed, but not on this port",
            Self::HostNotListed => "no rule allows the host",
            Self::AddressNotPublic => "the address is not public, and no rule names it literally",
        })
    }
}

/// `denied: it is protected (filesystem.protect ".vscode", ringfence.toml:7:12)`
impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Allow => "allowed",
            Verdict::Deny => "denied",
        };
        write!(f, "{verdict}: {}", self.reason)?;
        match &self.rule {
            Some(rule) => write!(f, " ({} \"{}\", {})", rule.key, printable(&rule.value), rule.origin),
            None => Ok(()),
        }
    }
}

/// Whether the command may change the file. Lexical: links are the host's business.
#[must_use]
pub fn decide_write<'p>(policy: &'p Policy, path: &Path) -> Decision<'p> {
    FileRules::new(policy).write(path)
}

/// Whether the command may read the file. Lexical: links are the host's business.
#[must_use]
pub fn decide_read<'p>(policy: &'p Policy, path: &Path) -> Decision<'p> {
    FileRules::new(policy).read(path)
}

/// Whether the command may connect to a port of a host.
#[must_use]
pub fn decide_connect<'p>(policy: &'p Policy, host: &Host, port: u16) -> Decision<'p> {
    HostRules::new(policy).connect(host, port)
}

/// The rules about files, indexed: judging a path costs its depth.
pub(crate) struct FileRules<'p> {
    policy: &'p Policy,
    hide: TreeIndex,
    protect: TreeIndex,
    git: Option<usize>,
    write: TreeIndex,
    read: TreeIndex,
    runtime: TreeIndex,
}

impl<'p> FileRules<'p> {
    pub(crate) fn new(policy: &'p Policy) -> Self {
        let system = policy.anchors.system;
        let files = &policy.filesystem;
        let mut rules = Self {
            policy,
            hide: TreeIndex::default(),
            protect: TreeIndex::default(),
            git: files.protect.iter().position(|rule| rule.value == Protect::Git),
            write: TreeIndex::of(files.write.iter().map(|rule| &rule.value), system),
            read: TreeIndex::default(),
            runtime: TreeIndex::default(),
        };
        for (number, rule) in files.hide.iter().enumerate() {
            match &rule.value {
                Hide::Path(path) => rules.hide.insert_path(path, system, number),
                Hide::Secrets => {
                    for path in secret_locations(&policy.anchors) {
                        rules.hide.insert_path(&path, system, number);
                    }
                }
            }
        }
        for (number, rule) in files.protect.iter().enumerate() {
            if let Protect::Path(path) = &rule.value {
                rules.protect.insert_path(path, system, number);
            }
        }
        if let ReadScope::Roots(roots) = &files.read {
            rules.read = TreeIndex::of(roots.iter().map(|rule| &rule.value), system);
            rules.runtime = TreeIndex::of(&runtime_locations(system), system);
        }
        rules
    }

    pub(crate) fn write(&self, path: &Path) -> Decision<'p> {
        let Some(key) = PathKey::new(path, self.policy.anchors.system) else {
            return denied(Reason::NotAbsolute, None);
        };
        if let Some(hidden) = self.hidden(&key) {
            return hidden;
        }
        let files = &self.policy.filesystem;
        let protect = |number: usize| protect_rule(&files.protect[number]);
        if let Some(number) = self.protect.covering(&key) {
            return denied(Reason::Protected, Some(protect(number)));
        }
        if let Some(number) = self.git.filter(|_| is_protected_in_git(&key)) {
            return denied(Reason::ProtectedGit, Some(protect(number)));
        }
        match self.write.covering(&key) {
            Some(number) => allowed(Reason::InWriteRoot, Some(path_rule("filesystem.write", &files.write[number]))),
            None => denied(Reason::OutsideWriteRoots, None),
        }
    }

    pub(crate) fn read(&self, path: &Path) -> Decision<'p> {
        let Some(key) = PathKey::new(path, self.policy.anchors.system) else {
            return denied(Reason::NotAbsolute, None);
        };
        if let Some(hidden) = self.hidden(&key) {
            return hidden;
        }
        let files = &self.policy.filesystem;
        let roots = match &files.read {
            ReadScope::Host(origin) => {
                let rule = Deciding { key: "filesystem.read", value: "host".to_owned(), origin };
                return allowed(Reason::HostReadable, Some(rule));
            }
            ReadScope::Roots(roots) => roots,
        };
        if let Some(number) = self.read.covering(&key) {
            return allowed(Reason::InReadRoot, Some(path_rule("filesystem.read", &roots[number])));
        }
        if let Some(number) = self.write.covering(&key) {
            return allowed(Reason::InWriteRoot, Some(path_rule("filesystem.write", &files.write[number])));
        }
        match self.runtime.covering(&key) {
            Some(_) => allowed(Reason::InRuntime, None),
            None => denied(Reason::OutsideReadRoots, None),
        }
    }

    fn hidden(&self, key: &PathKey) -> Option<Decision<'p>> {
        let rule = &self.policy.filesystem.hide[self.hide.covering(key)?];
        let value = match &rule.value {
            Hide::Path(path) => path.display().to_string(),
            Hide::Secrets => "@secrets".to_owned(),
        };
        Some(denied(Reason::Hidden, Some(Deciding { key: "filesystem.hide", value, origin: &rule.origin })))
    }
}

/// The rules about connections, indexed: judging a host costs the number of its labels.
pub(crate) struct HostRules<'p> {
    policy: &'p Policy,
    allow: HostIndex<'p>,
    deny: HostIndex<'p>,
}

impl<'p> HostRules<'p> {
    pub(crate) fn new(policy: &'p Policy) -> Self {
        let allow = HostIndex::new(&policy.network.allow);
        Self { policy, allow, deny: HostIndex::new(&policy.network.deny) }
    }

    pub(crate) fn connect(&self, host: &Host, port: u16) -> Decision<'p> {
        let mode = &self.policy.network.mode;
        let mode_rule = Some(Deciding { key: "network.mode", value: mode.value.to_string(), origin: &mode.origin });
        if mode.value == NetworkMode::Off {
            return denied(Reason::NetworkOff, mode_rule);
        }
        let rule =
            |key, rule: &'p Rule<HostRule>| Some(Deciding { key, value: rule.value.to_string(), origin: &rule.origin });
        if let Some(deny) = self.deny.find(host, Some(port)) {
            return denied(Reason::HostDenied, rule("network.deny", deny));
        }
        if mode.value == NetworkMode::Open {
            return allowed(Reason::NetworkOpen, mode_rule);
        }
        if let Some(allow) = self.allow.find(host, Some(port)) {
            return allowed(Reason::HostAllowed, rule("network.allow", allow));
        }
        match self.allow.find(host, None) {
            Some(allow) => denied(Reason::PortNotListed, rule("network.allow", allow)),
            None => denied(Reason::HostNotListed, mode_rule),
        }
    }
}

/// Host rules by what they match.
#[derive(Default)]
struct HostIndex<'p> {
    exact: HashMap<&'p str, Vec<&'p Rule<HostRule>>>,
    suffix: HashMap<&'p str, Vec<&'p Rule<HostRule>>>,
    ip: HashMap<IpAddr, Vec<&'p Rule<HostRule>>>,
    any: Vec<&'p Rule<HostRule>>,
}

impl<'p> HostIndex<'p> {
    fn new(rules: &'p [Rule<HostRule>]) -> Self {
        let mut index = Self::default();
        for rule in rules {
            match &rule.value.pattern {
                HostPattern::Exact(name) => index.exact.entry(name.as_str()).or_default().push(rule),
                HostPattern::Suffix(name) => index.suffix.entry(name.as_str()).or_default().push(rule),
                HostPattern::Ip(address) => index.ip.entry(address.to_canonical()).or_default().push(rule),
                HostPattern::Any => index.any.push(rule),
            }
        }
        index
    }

    /// The most specific rule for the host, and for the port if one is asked for.
    fn find(&self, host: &Host, port: Option<u16>) -> Option<&'p Rule<HostRule>> {
        let first = |rules: &Vec<&'p Rule<HostRule>>| {
            rules.iter().copied().find(|rule| port.is_none_or(|port| rule.value.ports.contain(port)))
        };
        let specific = match host {
            Host::Name(name) => self
                .exact
                .get(name.as_str())
                .and_then(first)
                .or_else(|| name.ancestors().find_map(|above| self.suffix.get(above).and_then(first))),
            Host::V4(_) | Host::V6(_) => host.ip().and_then(|address| self.ip.get(&address)).and_then(first),
        };
        specific.or_else(|| first(&self.any))
    }
}

/// What `@git` protects, as far as names tell: hooks and configuration of a repository, of its worktrees and of its
/// submodules. The gitfile is told from a `.git` directory only by the disk.
fn is_protected_in_git(key: &PathKey) -> bool {
    let components: Vec<&[u8]> = key.components().collect();
    let repositories = components.iter().enumerate().filter(|(_, name)| **name == b".git");
    let mut inside = repositories.map(|(index, _)| &components[index + 1..]);
    inside.any(|inside| match inside {
        [b"hooks", ..] | [b"config" | b"config.worktree" | b"commondir", ..] => true,
        [b"worktrees", _, b"config.worktree" | b"commondir" | b"gitdir", ..] => true,
        [b"modules", below @ ..] => {
            below.iter().any(|name| *name == b"hooks")
                || matches!(below.last(), Some(&(b"config" | b"config.worktree" | b"commondir")))
        }
        _ => false,
    })
}

fn allowed<'p>(reason: Reason, rule: Option<Deciding<'p>>) -> Decision<'p> {
    Decision { verdict: Verdict::Allow, reason, rule }
}

fn denied<'p>(reason: Reason, rule: Option<Deciding<'p>>) -> Decision<'p> {
    Decision { verdict: Verdict::Deny, reason, rule }
}

fn path_rule<'p>(key: &'static str, rule: &'p Rule<std::path::PathBuf>) -> Deciding<'p> {
    Deciding { key, value: rule.value.display().to_string(), origin: &rule.origin }
}

fn protect_rule(rule: &Rule<Protect>) -> Deciding<'_> {
    let value = match &rule.value {
        Protect::Path(path) => path.display().to_string(),
        Protect::Git => "@git".to_owned(),
    };
    Deciding { key: "filesystem.protect", value, origin: &rule.origin }
}
