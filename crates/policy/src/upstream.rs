//! The proxy that the egress proxy itself goes through.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::{Host, HostError};
use crate::value_error::ValueError;

/// An HTTP proxy, written `http://proxy.example:3128`. Credentials are refused: a policy is no place for a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Upstream {
    /// Where it listens.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Upstream {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = |problem: String| ValueError::Upstream { text: text.to_owned(), problem };
        let Some(authority) = text.strip_prefix("http://") else {
            return Err(refuse("it does not start with `http://`".to_owned()));
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            // The text holds a password, so the message must not repeat it.
            return Err(ValueError::Upstream {
                text: "http://…@…".to_owned(),
                problem: "credentials do not belong into a policy".to_owned(),
            });
        }
        let Some((host, port)) = authority.rsplit_once(':') else {
            return Err(refuse("the port is missing".to_owned()));
        };
        let host = Host::parse(host).map_err(|error| refuse(error.to_string()))?;
        match port.parse() {
            // The integer parser accepts a sign.
            Ok(number) if number > 0 && !port.starts_with('+') => Ok(Self { host, port: number }),
            _ => Err(refuse(HostError::Port.to_string())),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl From<Upstream> for String {
    fn from(upstream: Upstream) -> Self {
        upstream.to_string()
    }
}

impl TryFrom<String> for Upstream {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}
