//! A host and a port, as a question names them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ringfence_policy::{Host, HostError, HostPattern, HostRule, Ports};

/// Where a connection would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// The host or the port is not valid.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The text means several hosts or ports.
    #[error("a question is about one host and one port: write them without *")]
    Several,
}

/// Written as a rule is, and without a port 443 is meant.
impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let rule: HostRule = text.parse()?;
        let host = match rule.pattern {
            HostPattern::Exact(name) => Host::Name(name),
            HostPattern::Ip(IpAddr::V4(address)) => Host::V4(address),
            HostPattern::Ip(IpAddr::V6(address)) => Host::V6(address),
            HostPattern::Suffix(_) | HostPattern::Any => return Err(DestinationError::Several),
        };
        let port = match rule.ports {
            Ports::Web => 443,
            Ports::One(port) => port,
            Ports::All => return Err(DestinationError::Several),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::V6(address) => write!(f, "[{address}]:{}", self.port),
            ref host => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_one_host_and_one_port() {
        for (text, normal) in [
            ("Example.COM", "example.com:443"),
            ("example.com:8443", "example.com:8443"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:5432", "[::1]:5432"),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), normal);
        }
        for text in ["*.example.com", "*", "example.com:*"] {
            assert_eq!(text.parse::<Destination>(), Err(DestinationError::Several), "{text}");
        }
        assert!(matches!("exa mple".parse::<Destination>(), Err(DestinationError::Host(_))));
    }
}
