//! The way out of a run with an allowlist: what listens inside, which addresses lead there, and which rules decide.
//!
//! In a network namespace of its own (Linux) the run reaches nothing but its loopback device. The sockets of the egress
//! proxy are bound there by the child and handed to the supervisor, so that the listener is the link: no relay, no port of
//! the host, and every connection belongs to this run by construction. Elsewhere the proxy listens on the host's loopback
//! device, and something else has to keep the run from going around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ringfence_egress::{Endpoint, Rules, proxy_environment};
use ringfence_policy::{HostRule, Network, NetworkMode, Policy, Rule, Upstream};
use serde::{Deserialize, Serialize};

/// What the supervisor's proxy serves, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressPlan {
    /// Hosts that may be reached.
    pub allow: Vec<Rule<HostRule>>,
    /// Hosts that may not, whatever the other list says.
    pub deny: Vec<Rule<HostRule>>,
    /// The proxy that connections go through.
    pub upstream: Option<Upstream>,
    /// Whether a person is asked about hosts that no rule names.
    pub ask: bool,
    /// The sockets that the proxy serves.
    pub sockets: Vec<EgressSocket>,
    /// Addresses that are made local inside, so that connections to them arrive at the sockets.
    pub routes: Vec<Prefix>,
    /// Whether the loopback device is the run's own.
    pub own_loopback: bool,
}

/// A socket that the proxy serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressSocket {
    /// What arrives there.
    pub serves: Serves,
    /// Stream or datagram.
    pub protocol: Protocol,
    /// Where it is bound: inside the run's network namespace, or where there is none, on the host, with port 0 for one
    /// that the kernel chooses.
    pub address: SocketAddr,
    /// Whether the run goes on without it, where the kernel has no such address.
    pub optional: bool,
}

/// What arrives on a socket of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// HTTP and SOCKS5.
    Proxy,
    /// DNS questions.
    Names,
    /// Connections of programs that know of no proxy.
    Direct,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// An address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// Its first address.
    pub address: IpAddr,
    /// Leading bits that all its addresses share.
    pub length: u8,
}

/// The port of the proxy inside a network namespace of its own, where the kernel chooses none: the usual one of proxies.
const PROXY_PORT: u16 = 3128;
const DNS_PORT: u16 = 53;

/// What stands for names: the range that is set aside for measuring networks (RFC 2544), which nothing routes.
const SYNTHETIC: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::new(198, 18, 0, 0)), length: 15 };

/// More than any policy needs; every socket is a descriptor and a few system calls at each start.
const MOST_SOCKETS: usize = 512;

impl EgressPlan {
    /// The rules of the decision.
    pub fn rules(&self) -> Rules {
        Rules::new(self.allow.clone(), self.deny.clone())
    }

    /// The environment of proxy-aware programs.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.address().map(|address| self.environment_at(address)).unwrap_or_default()
    }

    /// What a variable of the command's environment becomes once the proxy listens at `actual`: nothing else, unless it is one
    /// of [`EgressPlan::environment`] that the policy has not set to another value.
    #[cfg(any(target_os = "linux", windows))]
    pub(crate) fn actual_value(
        &self,
        name: &std::ffi::OsStr,
        value: &std::ffi::OsStr,
        actual: SocketAddr,
    ) -> Option<String> {
        let mut planned = self.environment().into_iter();
        let index = planned.position(|(known, set)| name == known.as_str() && value == set.as_str())?;
        self.environment_at(actual).into_iter().nth(index).map(|(_, value)| value)
    }

    fn environment_at(&self, address: SocketAddr) -> Vec<(String, String)> {
        proxy_environment(&Endpoint { address, own_loopback: self.own_loopback })
    }

    /// Where the plan says that the proxy listens.
    fn address(&self) -> Option<SocketAddr> {
        self.sockets.iter().find(|socket| socket.serves == Serves::Proxy).map(|socket| socket.address)
    }
}

/// The way out, where the policy lists hosts. `own_loopback` says whether the run has a network namespace of its own.
pub(super) fn plan(policy: &Policy, own_loopback: bool, ask: bool) -> Result<Option<EgressPlan>, crate::Error> {
    let network = &policy.network;
    if network.mode.value != NetworkMode::Allowlist {
        return Ok(None);
    }
    let rules = Rules::from(network);
    let (sockets, routes) = match own_loopback {
        true => (inside(&rules, ask), routes(&rules)),
        // The loopback device is the host's: a port that is free, and no direct connections.
        false => (vec![tcp(Serves::Proxy, Ipv4Addr::LOCALHOST, 0)], Vec::new()),
    };
    if sockets.len() > MOST_SOCKETS {
        let what = "the list of allowed ports";
        return Err(crate::Error::TooMany { what, count: sockets.len(), limit: MOST_SOCKETS });
    }
    let Network { allow, deny, upstream, .. } = network.clone();
    let upstream = upstream.map(|rule| rule.value);
    Ok(Some(EgressPlan { allow, deny, upstream, ask, sockets, routes, own_loopback }))
}

/// The sockets of a network namespace of its own.
fn inside(rules: &Rules, ask: bool) -> Vec<EgressSocket> {
    let names = tcp(Serves::Names, Ipv4Addr::LOCALHOST, DNS_PORT);
    let mut sockets = vec![
        tcp(Serves::Proxy, Ipv4Addr::LOCALHOST, PROXY_PORT),
        EgressSocket { protocol: Protocol::Udp, ..names },
        names,
    ];
    let mut direct = rules.transparent_ports();
    if ask {
        // A host that no rule names is asked for on the ports that a rule without one would open.
        direct.extend([80, 443]);
        direct.sort_unstable();
        direct.dedup();
    }
    let v6 = rules.literal_addresses().iter().any(IpAddr::is_ipv6);
    for &port in direct.iter().filter(|port| !is_taken(**port)) {
        sockets.push(tcp(Serves::Direct, Ipv4Addr::UNSPECIFIED, port));
        if v6 {
            sockets.push(optional(tcp(Serves::Direct, Ipv6Addr::UNSPECIFIED, port)));
        }
    }
    for port in rules.localhost_ports().into_iter().filter(|port| !is_taken(*port)) {
        // A socket on every address takes what is meant for the loopback one, too.
        if !direct.contains(&port) {
            sockets.push(tcp(Serves::Direct, Ipv4Addr::LOCALHOST, port));
        }
        if !(direct.contains(&port) && v6) {
            sockets.push(optional(tcp(Serves::Direct, Ipv6Addr::LOCALHOST, port)));
        }
    }
    sockets
}

/// Whether the proxy's own sockets have the port. A host on it is reached through the proxy only.
fn is_taken(port: u16) -> bool {
    port == PROXY_PORT || port == DNS_PORT
}

fn tcp(serves: Serves, address: impl Into<IpAddr>, port: u16) -> EgressSocket {
    EgressSocket { serves, protocol: Protocol::Tcp, address: SocketAddr::new(address.into(), port), optional: false }
}

/// IPv6 may be switched off.
fn optional(socket: EgressSocket) -> EgressSocket {
    EgressSocket { optional: true, ..socket }
}

fn routes(rules: &Rules) -> Vec<Prefix> {
    let literal = rules.literal_addresses().into_iter().filter(|address| !is_local(*address));
    let whole = |address: IpAddr| Prefix { address, length: if address.is_ipv4() { 32 } else { 128 } };
    std::iter::once(SYNTHETIC).chain(literal.map(whole)).collect()
}

/// Whether the loopback device has the address already.
fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 198 && v4.octets()[1] & !1 == 18)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(allow: &[&str]) -> Vec<String> {
        let origin = ringfence_policy::Origin::Flag { flag: "--allow".to_owned() };
        let rule = |text: &&str| Rule::new(text.parse().unwrap(), origin.clone());
        let rules = Rules::new(allow.iter().map(rule).collect(), vec![]);
        inside(&rules, false)
            .iter()
            .map(|socket| format!("{:?} {:?} {}", socket.serves, socket.protocol, socket.address))
            .collect()
    }

    #[test]
    fn direct_connections_arrive_on_every_port_that_a_rule_names_and_on_no_other() {
        let own = ["Proxy Tcp 127.0.0.1:3128", "Names Udp 127.0.0.1:53", "Names Tcp 127.0.0.1:53"];
        assert_eq!(sockets(&[]), own);
        let web = ["Direct Tcp 0.0.0.0:80", "Direct Tcp 0.0.0.0:443"];
        assert_eq!(sockets(&["example.com"]), [&own[..], &web].concat());
        assert_eq!(sockets(&["db.example:5432"])[3..], ["Direct Tcp 0.0.0.0:5432"]);
        assert_eq!(sockets(&["localhost:5432"])[3..], ["Direct Tcp 127.0.0.1:5432", "Direct Tcp [::1]:5432"]);
        assert_eq!(
            sockets(&["localhost:5432", "db.example:5432"])[3..],
            ["Direct Tcp 0.0.0.0:5432", "Direct Tcp [::1]:5432"]
        );
        assert_eq!(
            sockets(&["[2001:db8::1]:22", "localhost:22"])[3..],
            ["Direct Tcp 0.0.0.0:22", "Direct Tcp [::]:22"]
        );
        // The proxy's own ports cannot be had twice.
        assert_eq!(sockets(&["example.com:3128", "localhost:53"]), own);
    }

    #[test]
    fn literal_addresses_get_routes_unless_they_are_local_already() {
        let origin = ringfence_policy::Origin::Flag { flag: "--allow".to_owned() };
        let allow = ["10.0.0.5:443", "127.0.0.1:80", "198.19.1.1:80", "[2001:db8::1]:443", "example.com"];
        let rules =
            Rules::new(allow.iter().map(|text| Rule::new(text.parse().unwrap(), origin.clone())).collect(), vec![]);
        let shown: Vec<_> = routes(&rules).iter().map(|route| format!("{}/{}", route.address, route.length)).collect();
        assert_eq!(shown, ["198.18.0.0/15", "10.0.0.5/32", "2001:db8::1/128"]);
    }
}
