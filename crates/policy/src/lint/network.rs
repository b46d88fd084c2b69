//! Lints about what can be reached.

use std::net::IpAddr;

use super::Lints;
use super::data::{FILE_DROPS, FORGES, POWERFUL_SOCKETS};
use crate::decide::{HostRules, Reason};
use crate::host::{DomainName, Host};
use crate::host_rule::{HostPattern, HostRule, Ports};
use crate::names::NetworkMode;
use crate::origin::{Origin, Rule};
use crate::path::PathKey;
use crate::policy::Policy;

pub(super) fn lint_network(policy: &Policy, lints: &mut Lints) {
    let network = &policy.network;
    let idle = |rule: &Origin, lints: &mut Lints, key: &str| {
        let message = format!("`{key}` has no effect while `network.mode` is \"{}\"", network.mode.value);
        lints.add("network-rule-idle", rule, message, "set `mode = \"allowlist\"` or remove it");
    };
    if network.mode.value == NetworkMode::Open {
        let message = "nothing confines the network".to_owned();
        lints.add("network-open", &network.mode.origin, message, "set `mode = \"allowlist\"` and list the hosts");
    }
    if network.mode.value != NetworkMode::Allowlist {
        if let Some(rule) = network.allow.first() {
            idle(&rule.origin, lints, "network.allow");
        }
        if let Some(rule) = &network.upstream {
            idle(&rule.origin, lints, "network.upstream");
        }
        return;
    }
    let hosts = HostRules::new(policy);
    for rule in &network.allow {
        lint_allowed_host(rule, &hosts, lints);
    }
}

fn lint_allowed_host(rule: &Rule<HostRule>, hosts: &HostRules<'_>, lints: &mut Lints) {
    let HostRule { pattern, ports } = &rule.value;
    let mut add = |code, message: String, advice| lints.add(code, &rule.origin, message, advice);
    if *ports == Ports::All {
        let message = format!("`{}` allows every port of the host, mail and remote shells included", rule.value);
        add("allow-every-port", message, "list the ports, as in \"host:5432\"");
    }
    let name = match pattern {
        HostPattern::Any => {
            let message = "`*` allows every host, so anything readable can be sent anywhere".to_owned();
            add("allow-everything", message, "list the hosts that are needed");
            return;
        }
        HostPattern::Ip(address) => {
            if is_metadata_service(*address) {
                let message = format!("{address} is a cloud's metadata service, which hands out credentials");
                add("allow-metadata-service", message, "remove it");
            }
            None
        }
        HostPattern::Suffix(name) => {
            if is_public_suffix(name) {
                let message = format!("anybody can get a name below `{name}`, so `*.{name}` allows everybody's hosts");
                add("allow-public-suffix", message, "list the hosts that are needed");
            }
            Some((name, true))
        }
        HostPattern::Exact(name) => Some((name, false)),
    };
    if let Some((name, wildcard)) = name {
        let host = DomainMatch { name, wildcard };
        if let Some(drop) = host.find(FILE_DROPS) {
            let message = format!("`{}` reaches {drop}, where anybody can leave data for anybody", rule.value);
            add("allow-file-drop", message, "remove it, or list only the hosts below it that are needed");
        }
        if let Some(forge) = host.find(FORGES) {
            let message = format!(
                "`{}` reaches {forge}, which accepts pushes: code can leave with any account's token",
                rule.value
            );
            add(
                "allow-accepts-pushes",
                message,
                "keep it only if the command has to fetch from there; prefer a mirror that is read-only",
            );
        }
    }
    let host = match pattern {
        HostPattern::Exact(name) => Host::Name(name.clone()),
        HostPattern::Ip(address) => Host::from(*address),
        HostPattern::Suffix(_) | HostPattern::Any => return,
    };
    let samples: &[u16] = match ports {
        Ports::Web => &[80, 443],
        Ports::One(port) => std::slice::from_ref(port),
        Ports::All => return,
    };
    if samples.iter().all(|port| hosts.connect(&host, *port).reason == Reason::HostDenied) {
        let message = format!("`{}` is allowed and denied; the denial wins", rule.value);
        add("allow-denied", message, "remove one of the two rules");
    }
}

pub(super) fn lint_sockets(policy: &Policy, lints: &mut Lints) {
    let system = policy.anchors.system;
    for rule in &policy.network.unix_sockets {
        let name = rule.value.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let everything = PathKey::new(&rule.value, system)
            .is_some_and(|key| matches!(key.components().collect::<Vec<_>>().as_slice(), [] | [b"run" | b"tmp"]));
        if everything || POWERFUL_SOCKETS.contains(&name) {
            let message = format!("behind {} something acts with more rights than the command", rule.value.display());
            lints.add("unix-socket-powerful", &rule.origin, message, "name a socket of a narrower service");
        }
    }
}

/// A name that a rule allows, and perhaps every name below it.
struct DomainMatch<'a> {
    name: &'a DomainName,
    wildcard: bool,
}

impl DomainMatch<'_> {
    /// The first known host that the rule reaches: the host itself, one above the rule's (all of `*.ngrok.io` is a file
    /// drop), or one below its wildcard.
    fn find(&self, known: &[&'static str]) -> Option<&'static str> {
        let name = self.name.as_str();
        let below = |name: &str, above: &str| name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'));
        known.iter().copied().find(|known| {
            let itself = name == *known || name.strip_prefix("www.") == Some(*known);
            itself || (self.wildcard && (below(known, name) || below(name, known)))
        })
    }
}

fn is_metadata_service(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_link_local() || matches!(address.octets(), [100, 100, 100, 200] | [168, 63, 129, 16])
        }
        // fd00:ec2::254
        IpAddr::V6(address) => address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
    }
}

fn is_public_suffix(name: &DomainName) -> bool {
    use psl::Psl;
    let name = name.as_str().as_bytes();
    psl::List.suffix(name).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name)
}
