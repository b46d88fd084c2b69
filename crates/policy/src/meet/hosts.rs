//! The hosts that two lists allow.

use std::collections::{BTreeMap, HashMap};

use crate::host_rule::{HostPattern, HostRule, Ports};
use crate::origin::{Origin, Rule};

/// What both lists allow, in the fewest rules.
pub(crate) fn meet_hosts(a: &[Rule<HostRule>], b: &[Rule<HostRule>]) -> Vec<Rule<HostRule>> {
    let a = PortsByPattern::new(a);
    let b = PortsByPattern::new(b);
    let mut both = PortsByPattern::default();
    a.restrict_to(&b, &mut both);
    b.restrict_to(&a, &mut both);
    both.into_rules()
}

/// What the list allows, in the fewest rules.
pub(crate) fn normal_hosts(rules: &[Rule<HostRule>]) -> Vec<Rule<HostRule>> {
    PortsByPattern::new(rules).into_rules()
}

/// Host rules grouped by pattern, each with every port and the author of the port: what makes the meet of two long
/// lists cost their length and not their product.
#[derive(Default)]
struct PortsByPattern {
    patterns: HashMap<HostPattern, PortSet>,
}

/// Ports, each with the strongest rule that lists it.
#[derive(Default, Clone)]
struct PortSet {
    all: Option<Origin>,
    some: BTreeMap<u16, Origin>,
}

impl PortsByPattern {
    fn new(rules: &[Rule<HostRule>]) -> Self {
        let mut grouped = Self::default();
        for rule in rules {
            let ports = grouped.patterns.entry(rule.value.pattern.clone()).or_default();
            match rule.value.ports {
                Ports::All => ports.insert_all(&rule.origin),
                Ports::One(port) => ports.insert(port, &rule.origin),
                Ports::Web => {
                    ports.insert(80, &rule.origin);
                    ports.insert(443, &rule.origin);
                }
            }
        }
        grouped
    }

    /// Adds to `both` what this side allows of its own patterns and the other side allows through any pattern around
    /// them.
    fn restrict_to(&self, other: &Self, both: &mut Self) {
        for (pattern, ports) in &self.patterns {
            for around in patterns_around(pattern) {
                if let Some(limit) = other.patterns.get(&around) {
                    both.patterns.entry(pattern.clone()).or_default().insert_meet(ports, limit);
                }
            }
        }
        both.patterns.retain(|_, ports| !ports.is_empty());
    }

    /// The fewest rules that say the same, sorted.
    fn into_rules(self) -> Vec<Rule<HostRule>> {
        let mut rules = Vec::new();
        for (pattern, ports) in &self.patterns {
            let wider: Vec<&PortSet> = patterns_around(pattern)
                .filter(|around| around != pattern)
                .filter_map(|around| self.patterns.get(&around))
                .collect();
            ports.without(&wider).push_rules(pattern, &mut rules);
        }
        rules.sort();
        rules
    }
}

/// The pattern itself and every pattern that matches all that it matches.
fn patterns_around(pattern: &HostPattern) -> impl Iterator<Item = HostPattern> {
    let name = match pattern {
        HostPattern::Exact(name) | HostPattern::Suffix(name) => Some(name),
        HostPattern::Ip(_) | HostPattern::Any => None,
    };
    let suffixes: Vec<HostPattern> =
        name.iter().flat_map(|name| name.ancestor_names()).map(HostPattern::Suffix).collect();
    let any = (*pattern != HostPattern::Any).then_some(HostPattern::Any);
    std::iter::once(pattern.clone()).chain(suffixes).chain(any)
}

impl PortSet {
    fn is_empty(&self) -> bool {
        self.all.is_none() && self.some.is_empty()
    }

    fn insert(&mut self, port: u16, origin: &Origin) {
        self.some
            .entry(port)
            .and_modify(|known| {
                if origin < known {
                    *known = origin.clone();
                }
            })
            .or_insert_with(|| origin.clone());
    }

    fn insert_all(&mut self, origin: &Origin) {
        self.all = match self.all.take() {
            Some(known) => Some(known.min(origin.clone())),
            None => Some(origin.clone()),
        };
    }

    fn insert_meet(&mut self, a: &Self, b: &Self) {
        if let (Some(a), Some(b)) = (&a.all, &b.all) {
            self.insert_all(a.min(b));
        }
        for (one, other) in [(a, b), (b, a)] {
            for (port, origin) in &one.some {
                let limit = other.some.get(port).into_iter().chain(&other.all).min();
                if let Some(limit) = limit {
                    self.insert(*port, origin.min(limit));
                }
            }
        }
    }

    /// What none of the wider sets contains.
    fn without(&self, wider: &[&Self]) -> Self {
        if wider.iter().any(|set| set.all.is_some()) {
            return Self::default();
        }
        if self.all.is_some() {
            return Self { all: self.all.clone(), some: BTreeMap::new() };
        }
        let some = self.some.iter().filter(|(port, _)| !wider.iter().any(|set| set.some.contains_key(port)));
        Self { all: None, some: some.map(|(port, origin)| (*port, origin.clone())).collect() }
    }

    fn push_rules(mut self, pattern: &HostPattern, rules: &mut Vec<Rule<HostRule>>) {
        let rule = |ports, origin| Rule::new(HostRule { pattern: pattern.clone(), ports }, origin);
        if let Some(origin) = self.all {
            rules.push(rule(Ports::All, origin));
            return;
        }
        if let (Some(http), Some(https)) = (self.some.get(&80), self.some.get(&443)) {
            rules.push(rule(Ports::Web, http.min(https).clone()));
            self.some.remove(&80);
            self.some.remove(&443);
        }
        rules.extend(self.some.into_iter().map(|(port, origin)| rule(Ports::One(port), origin)));
    }
}
