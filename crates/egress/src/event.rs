//! What the proxy tells the engine while it runs.

use std::net::IpAddr;

use ringfence_policy::Origin;
use serde::{Deserialize, Serialize};

use crate::code::Code;

/// Receives the events of one run. Called on the proxy's thread: it must not block.
pub trait Events: Send + Sync {
    /// One event.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Events for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Something that belongs into the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A host was allowed or refused.
    Decision(Decision),
    /// A connection ended.
    Closed(Closed),
    /// The proxy met a fault of its own or of the host.
    Fault {
        /// Which.
        code: Code,
    },
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The client's connection; several decisions share one where a client keeps it open. Zero for names asked over DNS.
    pub connection: u64,
    /// How the client asked.
    pub protocol: Protocol,
    /// The host in normal form, or what the client wrote (shortened, control characters escaped) where it has none.
    pub host: String,
    /// TCP port; zero where the client named none.
    pub port: u16,
    /// The address that was connected to, or that refused the host.
    pub address: Option<IpAddr>,
    /// Allowed or refused.
    pub verdict: Verdict,
    /// Why it was refused, or failed.
    pub code: Option<Code>,
    /// Where the deciding rule was written, where a rule decided.
    pub rule: Option<Origin>,
}

/// Which way a decision went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// By a rule, and the connection was made.
    Allowed,
    /// By a person's answer.
    AllowedByAnswer,
    /// Refused.
    Refused,
    /// Allowed, but the connection could not be made.
    Failed,
}

/// How a client asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP CONNECT.
    Connect,
    /// A plain HTTP request.
    Http,
    /// SOCKS5.
    Socks,
    /// A direct connection that arrived on a transparent listener.
    Transparent,
    /// A name asked of the stub resolver.
    Dns,
}

/// The end of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The client's connection.
    pub connection: u64,
    /// Bytes from the client. Of a tunnel its payload; of plain HTTP everything that the client sent, heads included.
    pub bytes_up: u64,
    /// Bytes to the client.
    pub bytes_down: u64,
    /// Why it ended, where it did not end by itself.
    pub code: Option<Code>,
}
