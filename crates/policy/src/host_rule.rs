//! Patterns over hosts and ports, as `network.allow` and `network.deny` list them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::{DomainName, Host, HostError};

/// One entry of `network.allow` or `network.deny`: `example.com`, `*.example.com:8443`, `[2001:db8::1]:443`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostRule {
    /// Which hosts.
    pub pattern: HostPattern,
    /// Which of their ports.
    pub ports: Ports,
}

/// Which hosts a [`HostRule`] means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This name alone.
    Exact(DomainName),
    /// Every name below this one; the name itself is not included.
    Suffix(DomainName),
    /// This address, when a client asks for it by number.
    Ip(IpAddr),
    /// Every host, addresses included.
    Any,
}

/// Which TCP ports a [`HostRule`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// 443 and 80: what a rule without a port allows.
    Web,
    /// This port alone.
    One(u16),
    /// Every port, written `:*`; what a rule without a port denies.
    All,
}

impl HostRule {
    /// Reads an entry of `network.deny`, where a missing port means every port: who refuses a host means all of it.
    ///
    /// # Errors
    /// As the [`FromStr`] implementation, which reads entries of `network.allow`.
    pub fn parse_deny(text: &str) -> Result<Self, HostError> {
        Self::parse(text, Ports::All)
    }

    /// Whether a connection to this port of this host is meant.
    #[must_use]
    pub fn matches(&self, host: &Host, port: u16) -> bool {
        self.ports.contain(port) && self.pattern.matches(host)
    }

    /// The rule that matches exactly what both match; `None` where that is nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        Some(Self { pattern: self.pattern.intersect(&other.pattern)?, ports: self.ports.intersect(other.ports)? })
    }

    fn parse(text: &str, default: Ports) -> Result<Self, HostError> {
        let (host, port) = split_port(text)?;
        let ports = port.map_or(Ok(default), parse_ports)?;
        Ok(Self { pattern: parse_pattern(host)?, ports })
    }
}

impl HostPattern {
    /// Whether the host is meant.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(name), Host::Name(host)) => name == host,
            (Self::Suffix(suffix), Host::Name(host)) => host.is_below(suffix),
            (Self::Ip(address), host) => host.ip() == Some(address.to_canonical()),
            (Self::Exact(_) | Self::Suffix(_), Host::V4(_) | Host::V6(_)) => false,
        }
    }

    /// The pattern that matches exactly what both match; `None` where that is nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let narrower = match (self, other) {
            (Self::Any, pattern) | (pattern, Self::Any) => pattern,
            (Self::Exact(name), Self::Suffix(suffix)) if name.is_below(suffix) => self,
            (Self::Suffix(suffix), Self::Exact(name)) if name.is_below(suffix) => other,
            (Self::Suffix(a), Self::Suffix(b)) if a.is_below(b) => self,
            (Self::Suffix(a), Self::Suffix(b)) if b.is_below(a) => other,
            (a, b) if a == b => a,
            _ => return None,
        };
        Some(narrower.clone())
    }
}

impl Ports {
    /// Whether the port is meant.
    #[must_use]
    pub fn contain(self, port: u16) -> bool {
        match self {
            Self::Web => matches!(port, 80 | 443),
            Self::One(one) => one == port,
            Self::All => true,
        }
    }

    /// The ports that both mean; `None` where there are none.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::All, ports) | (ports, Self::All) => Some(ports),
            (Self::Web, Self::Web) => Some(Self::Web),
            (Self::Web, Self::One(port)) | (Self::One(port), Self::Web) => {
                Self::Web.contain(port).then_some(Self::One(port))
            }
            (Self::One(a), Self::One(b)) => (a == b).then_some(Self::One(a)),
        }
    }
}

/// As an entry of `network.allow` is written.
impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.fmt(f)?;
        match self.ports {
            Ports::Web => Ok(()),
            Ports::One(port) => write!(f, ":{port}"),
            Ports::All => f.write_str(":*"),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Suffix(name) => write!(f, "*.{name}"),
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// As an entry of `network.allow`: a missing port means 443 and 80.
impl FromStr for HostRule {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text, Ports::Web)
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for HostRule {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`, and recognises what people write instead.
fn split_port(text: &str) -> Result<(&str, Option<&str>), HostError> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        return Err(HostError::Url(host.to_owned()));
    }
    if text.contains('@') {
        return Err(HostError::UserInformation);
    }
    if let Some((host, _)) = text.split_once('/') {
        let range = matches!(Host::parse(host), Ok(Host::V4(_) | Host::V6(_)));
        return Err(if range { HostError::Range } else { HostError::Path });
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Err(HostError::UnbracketedIpv6(address));
    }
    if text.starts_with('[') {
        return match text.split_once(']') {
            Some((_, "")) => Ok((text, None)),
            Some((inner, after)) => match after.strip_prefix(':') {
                Some(port) => Ok((&text[..=inner.len()], Some(port))),
                None => Err(HostError::Ipv6),
            },
            None => Err(HostError::Ipv6),
        };
    }
    Ok(text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))))
}

fn parse_ports(text: &str) -> Result<Ports, HostError> {
    if text == "*" {
        return Ok(Ports::All);
    }
    // The integer parser accepts a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(HostError::Port),
        Ok(port) => Ok(Ports::One(port)),
    }
}

fn parse_pattern(text: &str) -> Result<HostPattern, HostError> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let (suffix, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
    if name.contains('*') {
        return Err(HostError::Wildcard);
    }
    match Host::parse(name)? {
        Host::Name(name) if suffix => Ok(HostPattern::Suffix(name)),
        Host::Name(name) => Ok(HostPattern::Exact(name)),
        _ if suffix => Err(HostError::Wildcard),
        // A reader of the policy must see the address that is meant.
        Host::V4(address) if name != address.to_string() => Err(HostError::NotNormal(address)),
        Host::V4(address) => Ok(HostPattern::Ip(address.into())),
        Host::V6(address) => Ok(HostPattern::Ip(address.into())),
    }
}
