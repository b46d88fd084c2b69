//! The decision itself: pure functions from rules and addresses to a verdict.
//!
//! The order is fixed. A deny rule wins. Then an address that is not public is refused unless a literal rule names it. Then an
//! allow rule must name the host with the port. After the name is resolved, *every* address passes the same two checks, and one
//! bad address refuses the host: an answer that mixes public and private addresses is what DNS rebinding looks like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_policy::{DomainName, Host, HostPattern, HostRule, Network, Origin, Ports, Rule};

use crate::address::AddressClass;
use crate::code::Code;

/// The network rules of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    allow: Vec<Rule<HostRule>>,
    deny: Vec<Rule<HostRule>>,
}

/// Why a host is allowed: the rule that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit<'a> {
    /// The deciding allow rule.
    pub rule: &'a Rule<HostRule>,
}

/// Why a host is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial<'a> {
    /// The reason.
    pub code: Code,
    /// The deny rule that decided, where one did.
    pub rule: Option<&'a Rule<HostRule>>,
    /// The address that decided, where one did.
    pub address: Option<IpAddr>,
}

impl Rules {
    /// Rules from their two lists.
    pub fn new(allow: Vec<Rule<HostRule>>, deny: Vec<Rule<HostRule>>) -> Self {
        Self { allow, deny }
    }

    /// Decides about a host as the client wrote it (normalised), before anything is resolved. `own` are the addresses of this
    /// host's interfaces.
    ///
    /// # Errors
    /// The denial, with the deciding rule where there is one.
    pub fn judge_host(&self, host: &Host, port: u16, own: &[IpAddr]) -> Result<Permit<'_>, Denial<'_>> {
        self.judge_denied(host, port)?;
        let class = host.ip().and_then(|address| AddressClass::of(address, own));
        if let Some(class) = class {
            return match self.literal_rule(host, port) {
                Some(rule) if class.may_be_ruled() => Ok(Permit { rule }),
                _ => Err(Denial { code: Code::Address(class), rule: None, address: host.ip() }),
            };
        }
        if let Some(rule) = self.allow.iter().find(|rule| rule.value.matches(host, port)) {
            // `localhost` is the name of an address, and a name rule that happens to cover it (`*`) does not open that.
            return match self.literal_rule(host, port) {
                None if is_localhost(host) => {
                    Err(Denial { code: Code::Address(AddressClass::Loopback), rule: None, address: None })
                }
                literal => Ok(Permit { rule: literal.unwrap_or(rule) }),
            };
        }
        let named = self.allow.iter().any(|rule| rule.value.pattern.matches(host));
        let code = if named {
            Code::PortNotAllowed
        } else if is_localhost(host) {
            Code::Address(AddressClass::Loopback)
        } else {
            Code::HostNotAllowed
        };
        Err(Denial { code, rule: None, address: host.ip() })
    }

    /// Decides about every address that an allowed host resolved to.
    ///
    /// # Errors
    /// The first address that refuses the host.
    pub fn judge_addresses(&self, port: u16, addresses: &[IpAddr], own: &[IpAddr]) -> Result<(), Denial<'_>> {
        for &address in addresses {
            // The raw form first: `Host` folds the v4-mapped form away, and no resolver has a reason to answer with one.
            let class = AddressClass::of(address, own);
            let literal = Host::from(address);
            self.judge_denied(&literal, port).map_err(|denial| Denial { address: Some(address), ..denial })?;
            if let Some(class) = class
                && (!class.may_be_ruled() || self.literal_rule(&literal, port).is_none())
            {
                return Err(Denial { code: Code::Address(class), rule: None, address: Some(address) });
            }
        }
        Ok(())
    }

    /// Decides whether the name may be connected to on some port, so that the stub resolver answers it.
    ///
    /// # Errors
    /// The denial, with the deny rule where one names it with every port.
    pub fn judge_name(&self, name: &DomainName) -> Result<(), Denial<'_>> {
        let host = Host::Name(name.clone());
        let names = |rule: &&Rule<HostRule>| rule.value.pattern.matches(&host);
        let denied = self.deny.iter().filter(|rule| rule.value.ports == Ports::All).find(names);
        match denied {
            Some(rule) => Err(Denial { code: Code::HostDenied, rule: Some(rule), address: None }),
            None if self.allow.iter().any(|rule| names(&rule)) => Ok(()),
            None => Err(Denial { code: Code::HostNotAllowed, rule: None, address: None }),
        }
    }

    /// The ports on which transparent connections are to be accepted, sorted. Rules for all ports contribute none: a listener
    /// on every port is not possible, so that such rules work through the proxy only.
    pub fn transparent_ports(&self) -> Vec<u16> {
        self.ports(|pattern| !is_localhost_pattern(pattern))
    }

    /// The ports of `localhost` rules: services of the host that are to be reachable inside on the loopback address, sorted.
    pub fn localhost_ports(&self) -> Vec<u16> {
        self.ports(is_localhost_pattern)
    }

    /// The addresses that rules name literally, which transparent connections need a route for.
    pub fn literal_addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = self
            .allow
            .iter()
            .filter_map(|rule| match rule.value.pattern {
                HostPattern::Ip(address) => Some(address),
                _ => None,
            })
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    fn ports(&self, wanted: impl Fn(&HostPattern) -> bool) -> Vec<u16> {
        let rules = self.allow.iter().filter(|rule| wanted(&rule.value.pattern));
        let mut ports: Vec<u16> = rules
            .flat_map(|rule| match rule.value.ports {
                Ports::Web => vec![80, 443],
                Ports::One(port) => vec![port],
                Ports::All => vec![],
            })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn judge_denied(&self, host: &Host, port: u16) -> Result<(), Denial<'_>> {
        let denies = |rule: &&Rule<HostRule>| {
            let localhost = loopback_literal(host) && is_localhost_pattern(&rule.value.pattern);
            rule.value.ports.contain(port) && (localhost || rule.value.pattern.matches(host))
        };
        match self.deny.iter().find(denies) {
            Some(rule) => Err(Denial { code: Code::HostDenied, rule: Some(rule), address: host.ip() }),
            None => Ok(()),
        }
    }

    /// The allow rule that names this very address, or `localhost` for the loopback addresses that it stands for.
    fn literal_rule(&self, host: &Host, port: u16) -> Option<&Rule<HostRule>> {
        let localhost = is_localhost(host) || loopback_literal(host);
        self.allow.iter().find(|rule| {
            rule.value.ports.contain(port)
                && match &rule.value.pattern {
                    HostPattern::Ip(_) => rule.value.pattern.matches(host),
                    pattern => localhost && is_localhost_pattern(pattern),
                }
        })
    }
}

impl From<&Network> for Rules {
    fn from(network: &Network) -> Self {
        Self::new(network.allow.clone(), network.deny.clone())
    }
}

impl Denial<'_> {
    /// Where the deciding rule was written.
    pub fn origin(&self) -> Option<&Origin> {
        self.rule.map(|rule| &rule.origin)
    }
}

/// What `localhost` resolves to, without asking anyone (RFC 6761 §6.3). IPv4 first: more services listen there.
pub(crate) const LOCALHOST_ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

const LOCALHOST: &str = "localhost";

pub(crate) fn is_localhost(host: &Host) -> bool {
    matches!(host, Host::Name(name) if name.as_str() == LOCALHOST)
}

fn is_localhost_pattern(pattern: &HostPattern) -> bool {
    matches!(pattern, HostPattern::Exact(name) if name.as_str() == LOCALHOST)
}

/// 127.0.0.1 and `::1`: what a `localhost` rule stands for. The rest of 127.0.0.0/8 needs its own literal.
fn loopback_literal(host: &Host) -> bool {
    host.ip().is_some_and(|address| LOCALHOST_ADDRESSES.contains(&address))
}
