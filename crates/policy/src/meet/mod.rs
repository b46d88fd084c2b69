//! The widest policy that exceeds neither of two.

mod hosts;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use crate::names::{NetworkMode, Require, RuleId, System};
use crate::origin::Rule;
use crate::path::{PathKey, TreeIndex};
use crate::policy::{Enforcement, Environment, Filesystem, Network, Policy, Process, ReadScope, Windows};
use crate::variable::VariablePattern;
use hosts::{meet_hosts, normal_hosts};

/// The widest policy that allows nothing that either side denies.
///
/// The meet is commutative and associative, and the meet of a policy with itself says the same as the policy, in
/// normal form (sorted, without entries that another one covers). Both sides must be anchored alike. Of equal rules,
/// the stronger author's is kept ([`Origin`](crate::Origin)'s order).
///
/// Two different upstream proxies leave no way that both prescribe, so their meet has its network off.
/// `environment.set` holds only text from the policies themselves and gives no authority, so both sides' entries stay.
#[must_use]
pub fn meet(a: &Policy, b: &Policy) -> Policy {
    Policy {
        profile: a.profile.as_str().min(&b.profile).to_owned(),
        anchors: (&a.anchors).min(&b.anchors).clone(),
        filesystem: meet_filesystem(a, b),
        network: meet_network(&a.network, &b.network, a.anchors.system),
        process: Process {
            timeout: least_limit(&a.process.timeout, &b.process.timeout),
            memory: least_limit(&a.process.memory, &b.process.memory),
            processes: least_limit(&a.process.processes, &b.process.processes),
            cpus: least_limit(&a.process.cpus, &b.process.cpus),
        },
        environment: Environment {
            pass: meet_variables(&a.environment.pass, &b.environment.pass, a.anchors.system),
            set: meet_set(&a.environment.set, &b.environment.set),
        },
        enforcement: meet_enforcement(&a.enforcement, &b.enforcement),
        windows: Windows { everyone: (&a.windows.everyone).min(&b.windows.everyone).clone() },
        tests: union(&a.tests, &b.tests),
    }
}

fn meet_filesystem(a: &Policy, b: &Policy) -> Filesystem {
    let system = a.anchors.system;
    let write = meet_trees(&a.filesystem.write, &b.filesystem.write, system);
    let read = match (&a.filesystem.read, &b.filesystem.read) {
        (ReadScope::Host(a), ReadScope::Host(b)) => ReadScope::Host(a.min(b).clone()),
        (ReadScope::Host(_), ReadScope::Roots(_)) => ReadScope::Roots(widest(readable(b), &write, system)),
        (ReadScope::Roots(_), ReadScope::Host(_)) => ReadScope::Roots(widest(readable(a), &write, system)),
        (ReadScope::Roots(_), ReadScope::Roots(_)) => {
            ReadScope::Roots(widest(meet_trees(&readable(a), &readable(b), system), &write, system))
        }
    };
    Filesystem {
        protect: union(&a.filesystem.protect, &b.filesystem.protect),
        hide: union(&a.filesystem.hide, &b.filesystem.hide),
        read,
        write,
    }
}

/// What is readable by the policy's lists: write roots are, too.
fn readable(policy: &Policy) -> Vec<Rule<PathBuf>> {
    let mut roots = policy.filesystem.write.clone();
    if let ReadScope::Roots(read) = &policy.filesystem.read {
        roots.extend(read.iter().cloned());
    }
    roots
}

/// The trees that lie in a tree of each side.
fn meet_trees(a: &[Rule<PathBuf>], b: &[Rule<PathBuf>], system: System) -> Vec<Rule<PathBuf>> {
    let a_index = TreeIndex::of(a.iter().map(|rule| &rule.value), system);
    let b_index = TreeIndex::of(b.iter().map(|rule| &rule.value), system);
    let inside = |rules: &[Rule<PathBuf>], other: &TreeIndex| -> Vec<Rule<PathBuf>> {
        let covered =
            |rule: &&Rule<PathBuf>| PathKey::new(&rule.value, system).is_some_and(|key| other.covering(&key).is_some());
        rules.iter().filter(covered).cloned().collect()
    };
    let mut both = inside(a, &b_index);
    both.extend(inside(b, &a_index));
    widest(both, &[], system)
}

/// The trees that lie strictly in no other of them and in none of `covered`, each once, sorted.
fn widest(mut trees: Vec<Rule<PathBuf>>, covered: &[Rule<PathBuf>], system: System) -> Vec<Rule<PathBuf>> {
    // Of two spellings of one tree, the first by value and author stays.
    trees.sort();
    let index = TreeIndex::of(trees.iter().map(|rule| &rule.value), system);
    let covered = TreeIndex::of(covered.iter().map(|rule| &rule.value), system);
    let mut kept = Vec::new();
    for (number, rule) in trees.iter().enumerate() {
        let Some(key) = PathKey::new(&rule.value, system) else {
            continue;
        };
        let first_of_its_kind = index.covering(&key) == Some(number);
        if first_of_its_kind && index.strictly_covering(&key).is_none() && covered.covering(&key).is_none() {
            kept.push(rule.clone());
        }
    }
    kept
}

fn meet_network(a: &Network, b: &Network, system: System) -> Network {
    let upstream = least_limit(&a.upstream, &b.upstream);
    let mut mode = (&a.mode).min(&b.mode).clone();
    if let (Some(ours), Some(theirs)) = (&a.upstream, &b.upstream)
        && ours.value != theirs.value
    {
        mode = Rule::new(NetworkMode::Off, ours.origin.clone().min(theirs.origin.clone()).min(mode.origin));
    }
    // An open network allows every host, so the other side's list decides; where nothing is reachable no list does.
    let allow = match (a.mode.value, b.mode.value) {
        (NetworkMode::Off, _) | (_, NetworkMode::Off) => Vec::new(),
        (NetworkMode::Open, NetworkMode::Open) => Vec::new(),
        (NetworkMode::Open, NetworkMode::Allowlist) => normal_hosts(&b.allow),
        (NetworkMode::Allowlist, NetworkMode::Open) => normal_hosts(&a.allow),
        (NetworkMode::Allowlist, NetworkMode::Allowlist) => meet_hosts(&a.allow, &b.allow),
    };
    let allow = if mode.value == NetworkMode::Off { Vec::new() } else { allow };
    Network {
        mode,
        allow,
        deny: union(&a.deny, &b.deny),
        unix_sockets: meet_trees(&a.unix_sockets, &b.unix_sockets, system),
        upstream,
    }
}

/// Variables that a pattern of each side passes.
fn meet_variables(
    a: &[Rule<VariablePattern>],
    b: &[Rule<VariablePattern>],
    system: System,
) -> Vec<Rule<VariablePattern>> {
    let (a_index, b_index) = (VariableIndex::new(a, system), VariableIndex::new(b, system));
    let in_b = a.iter().filter(|rule| b_index.cover(&rule.value));
    let in_a = b.iter().filter(|rule| a_index.cover(&rule.value));
    let mut both: Vec<Rule<VariablePattern>> = in_b.chain(in_a).cloned().collect();
    both.sort();
    let index = VariableIndex::new(&both, system);
    let mut seen = HashSet::new();
    both.retain(|rule| !index.cover_strictly(&rule.value) && seen.insert(variable_key(&rule.value, system)));
    both
}

/// Patterns over variables; asking costs the length of the name.
struct VariableIndex {
    system: System,
    exact: HashSet<String>,
    prefixes: HashSet<String>,
}

impl VariableIndex {
    fn new(rules: &[Rule<VariablePattern>], system: System) -> Self {
        let mut index = Self { system, exact: HashSet::new(), prefixes: HashSet::new() };
        for rule in rules {
            let (prefix, text) = variable_key(&rule.value, system);
            if prefix { &mut index.prefixes } else { &mut index.exact }.insert(text);
        }
        index
    }

    fn cover(&self, pattern: &VariablePattern) -> bool {
        let (prefix, text) = variable_key(pattern, self.system);
        let same = if prefix { &self.prefixes } else { &self.exact };
        same.contains(&text) || self.cover_strictly(pattern)
    }

    /// Whether a wider pattern covers it.
    fn cover_strictly(&self, pattern: &VariablePattern) -> bool {
        let (prefix, text) = variable_key(pattern, self.system);
        let ends = (0..=text.len()).filter(|end| text.is_char_boundary(*end) && !(prefix && *end == text.len()));
        ends.into_iter().any(|end| self.prefixes.contains(&text[..end]))
    }
}

/// Whether the pattern is a prefix, and its text, folded where the system ignores case.
fn variable_key(pattern: &VariablePattern, system: System) -> (bool, String) {
    let (prefix, text) = match pattern {
        VariablePattern::Exact(name) => (false, name),
        VariablePattern::Prefix(start) => (true, start),
    };
    match system {
        System::Linux => (prefix, text.clone().into_owned()),
        System::Windows => (prefix, text.to_ascii_lowercase()),
    }
}

/// Both sides' entries; where both set one variable, the stronger author decides.
fn meet_set(a: &BTreeMap<String, Rule<String>>, b: &BTreeMap<String, Rule<String>>) -> BTreeMap<String, Rule<String>> {
    let mut set = a.clone();
    for (name, theirs) in b {
        let stronger = |ours: &Rule<String>| (&ours.origin, &ours.value) <= (&theirs.origin, &theirs.value);
        if !set.get(name).is_some_and(stronger) {
            set.insert(name.clone(), theirs.clone());
        }
    }
    set
}

fn meet_enforcement(a: &Enforcement, b: &Enforcement) -> Enforcement {
    // Who requires nothing of the kernel accepts every degradation.
    let accept_degraded = match (a.require.value, b.require.value) {
        (Require::Advisory, Require::Kernel) => union(&b.accept_degraded, &[]),
        (Require::Kernel, Require::Advisory) => union(&a.accept_degraded, &[]),
        _ => {
            let accepted = |rules: &[Rule<RuleId>], id| rules.iter().any(|rule| rule.value == id);
            let mut both = union(&a.accept_degraded, &b.accept_degraded);
            both.retain(|rule| accepted(&a.accept_degraded, rule.value) && accepted(&b.accept_degraded, rule.value));
            both
        }
    };
    Enforcement { require: (&a.require).min(&b.require).clone(), accept_degraded }
}

/// The smaller of two limits, where no limit is the largest.
fn least_limit<T: Ord + Clone>(a: &Option<Rule<T>>, b: &Option<Rule<T>>) -> Option<Rule<T>> {
    a.iter().chain(b).min().cloned()
}

/// Every value of both sides once, sorted, by its strongest author.
fn union<T: Ord + Clone>(a: &[Rule<T>], b: &[Rule<T>]) -> Vec<Rule<T>> {
    let mut both: Vec<Rule<T>> = a.iter().chain(b).cloned().collect();
    both.sort();
    both.dedup_by(|later, first| later.value == first.value);
    both
}
