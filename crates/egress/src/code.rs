//! The stable codes that say why something was refused or ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::AddressClass;

/// Why a connection, a request or a name was refused, or why an allowed one ended early.
///
/// The text form ([`Code::as_str`]) is what the `x-ringfence-reason` header, the events and the receipt carry. It is part of
/// the interface: a code is never renamed or reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// No allow rule names the host.
    HostNotAllowed,
    /// An allow rule names the host, but not with this port.
    PortNotAllowed,
    /// A deny rule names the host or one of its addresses.
    HostDenied,
    /// The host is neither a domain name nor an address in any accepted spelling.
    HostMalformed,
    /// Two places of one request name different hosts (request target and `Host`).
    HostMismatch,
    /// A person was asked, and did not say yes.
    AskRefused,
    /// The host is, or resolved to, an address that is not public and has no literal rule.
    Address(AddressClass),
    /// A transparent connection to a synthetic address that the stub resolver never handed out.
    AddressUnknown,
    /// The name does not exist.
    NameNotFound,
    /// The resolver failed.
    NameResolutionFailed,
    /// The resolver did not answer in time.
    NameResolutionTimeout,
    /// A DNS message that the stub resolver does not answer.
    DnsMalformed,
    /// The stub resolver has handed out every synthetic address it may.
    DnsExhausted,
    /// The server refused the connection.
    ConnectRefused,
    /// The server did not answer in time.
    ConnectTimeout,
    /// The server could not be reached.
    ConnectFailed,
    /// The server broke an established connection.
    ServerReset,
    /// The client broke an established connection.
    ClientReset,
    /// The server's answer is not HTTP, or ended early.
    ServerMalformed,
    /// The upstream proxy could not be reached.
    UpstreamFailed,
    /// The upstream proxy did not open the tunnel.
    UpstreamRefused,
    /// The ClientHello names no server.
    TlsNameMissing,
    /// The ClientHello names another server than the connection was opened for.
    TlsNameMismatch,
    /// As [`Code::TlsNameMismatch`], with an encrypted ClientHello inside.
    TlsEchNameMismatch,
    /// A connection to a TLS port that does not start with TLS.
    TlsExpected,
    /// The ClientHello cannot be read.
    TlsMalformed,
    /// The ClientHello did not arrive in time.
    TlsHelloTimeout,
    /// The request head is not valid HTTP/1.
    RequestMalformed,
    /// The request head is larger than the limit.
    RequestHeadTooLarge,
    /// The request head did not arrive in time.
    RequestHeadTimeout,
    /// The request is for an origin server, and this is a proxy.
    RequestNotForProxy,
    /// Absolute-form with another scheme than `http`.
    SchemeUnsupported,
    /// The SOCKS message cannot be read.
    SocksMalformed,
    /// The SOCKS message did not arrive in time.
    SocksTimeout,
    /// Another SOCKS command than CONNECT.
    SocksCommandUnsupported,
    /// The client offers no SOCKS authentication method that is spoken here.
    SocksMethodUnsupported,
    /// The run has as many connections open as its limit allows.
    TooManyConnections,
    /// The process or the system has no file descriptors left.
    DescriptorsExhausted,
    /// Nothing moved for the idle limit.
    IdleTimeout,
    /// The connection reached the total limit.
    TotalTimeout,
    /// The run ended while the connection was open.
    Shutdown,
}

impl Code {
    /// The stable text of the code.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status of the HTTP answer: 403 where policy refuses, else what RFC 9110 §15 has for the case.
    pub const fn http_status(self) -> u16 {
        self.row().1
    }

    /// The reply field of the SOCKS answer (RFC 1928 §6).
    pub const fn socks_reply(self) -> u8 {
        self.row().2
    }

    /// Whether an allow rule (and so a flag) can change the answer.
    pub const fn is_rule_missing(self) -> bool {
        match self {
            Self::HostNotAllowed | Self::PortNotAllowed | Self::AskRefused => true,
            Self::Address(class) => class.may_be_ruled(),
            _ => false,
        }
    }

    /// One sentence for a person or a model: what is wrong, without the host.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::HostNotAllowed => "no rule of this run allows the host",
            Self::PortNotAllowed => "the host is allowed, but not on this port",
            Self::HostDenied => "a deny rule names the host or its address, and deny wins over every allow rule",
            Self::HostMalformed => "the host is not written in a form that can be compared with a rule",
            Self::HostMismatch => "the request names two different hosts (its target and its Host header)",
            Self::AskRefused => "a person was asked about the host and did not allow it",
            Self::Address(class) => class.explanation(),
            Self::AddressUnknown => "the address was not handed out by the resolver of this run; connect by name",
            Self::NameNotFound => "the name does not exist",
            Self::NameResolutionFailed => "the name could not be resolved",
            Self::NameResolutionTimeout => "the resolver did not answer in time",
            Self::DnsMalformed => "the DNS message is not a single plain question",
            Self::DnsExhausted => "the run asked for more different names than the resolver may answer",
            Self::ConnectRefused => "the server refused the connection",
            Self::ConnectTimeout => "the server did not answer in time",
            Self::ConnectFailed => "the server could not be reached",
            Self::ServerReset => "the server broke the connection",
            Self::ClientReset => "the client broke the connection",
            Self::ServerMalformed => "the server's answer is not valid HTTP/1 or ended early",
            Self::UpstreamFailed => "the upstream proxy of the policy could not be reached",
            Self::UpstreamRefused => "the upstream proxy of the policy did not open the tunnel",
            Self::TlsNameMissing => "the TLS ClientHello carries no server name, so that the host cannot be verified",
            Self::TlsNameMismatch => "the TLS ClientHello names another server than the connection was opened for",
            Self::TlsEchNameMismatch => {
                "the TLS ClientHello is encrypted (ECH) and its outer name is not the host that was asked for; \
                 turn ECH off in the client"
            }
            Self::TlsExpected => "the port is a TLS port, and the connection does not start with TLS",
            Self::TlsMalformed => "the TLS ClientHello cannot be read",
            Self::TlsHelloTimeout => "the TLS ClientHello did not arrive in time",
            Self::RequestMalformed => "the request is not valid HTTP/1.1",
            Self::RequestHeadTooLarge => "the request head is larger than the limit",
            Self::RequestHeadTimeout => "the request head did not arrive in time",
            Self::RequestNotForProxy => "this is a proxy: send CONNECT or a request with an absolute http:// URL",
            Self::SchemeUnsupported => {
                "only http:// can be requested in absolute form; use CONNECT for everything else"
            }
            Self::SocksMalformed => "the SOCKS message cannot be read; SOCKS version 5 is spoken here",
            Self::SocksTimeout => "the SOCKS message did not arrive in time",
            Self::SocksCommandUnsupported => "only the SOCKS command CONNECT is spoken here",
            Self::SocksMethodUnsupported => "only the SOCKS method `no authentication` is spoken here",
            Self::TooManyConnections => "the run has reached its limit of open connections",
            Self::DescriptorsExhausted => "the supervisor has no file descriptors left",
            Self::IdleTimeout => "nothing moved on the connection for too long",
            Self::TotalTimeout => "the connection was open for longer than the limit",
            Self::Shutdown => "the run ended",
        }
    }

    /// Every code, for documentation and for reading codes back.
    pub fn all() -> impl Iterator<Item = Self> {
        PLAIN.iter().copied().chain(AddressClass::ALL.iter().copied().map(Self::Address))
    }

    /// Text, HTTP status, SOCKS reply.
    const fn row(self) -> (&'static str, u16, u8) {
        match self {
            Self::HostNotAllowed => ("host-not-allowed", 403, 2),
            Self::PortNotAllowed => ("port-not-allowed", 403, 2),
            Self::HostDenied => ("host-denied", 403, 2),
            Self::HostMalformed => ("host-malformed", 403, 2),
            Self::HostMismatch => ("host-mismatch", 403, 2),
            Self::AskRefused => ("ask-refused", 403, 2),
            Self::Address(class) => (class.code(), 403, 2),
            Self::AddressUnknown => ("address-unknown", 403, 2),
            Self::NameNotFound => ("name-not-found", 502, 4),
            Self::NameResolutionFailed => ("name-resolution-failed", 502, 4),
            Self::NameResolutionTimeout => ("name-resolution-timeout", 504, 4),
            Self::DnsMalformed => ("dns-malformed", 400, 1),
            Self::DnsExhausted => ("dns-exhausted", 503, 1),
            Self::ConnectRefused => ("connect-refused", 502, 5),
            Self::ConnectTimeout => ("connect-timeout", 504, 6),
            Self::ConnectFailed => ("connect-failed", 502, 3),
            Self::ServerReset => ("server-reset", 502, 1),
            Self::ClientReset => ("client-reset", 400, 1),
            Self::ServerMalformed => ("server-malformed", 502, 1),
            Self::UpstreamFailed => ("upstream-failed", 502, 1),
            Self::UpstreamRefused => ("upstream-refused", 502, 1),
            Self::TlsNameMissing => ("tls-name-missing", 403, 2),
            Self::TlsNameMismatch => ("tls-name-mismatch", 403, 2),
            Self::TlsEchNameMismatch => ("tls-ech-name-mismatch", 403, 2),
            Self::TlsExpected => ("tls-expected", 403, 2),
            Self::TlsMalformed => ("tls-malformed", 403, 2),
            Self::TlsHelloTimeout => ("tls-hello-timeout", 403, 2),
            Self::RequestMalformed => ("request-malformed", 400, 1),
            Self::RequestHeadTooLarge => ("request-head-too-large", 431, 1),
            Self::RequestHeadTimeout => ("request-head-timeout", 408, 1),
            Self::RequestNotForProxy => ("request-not-for-proxy", 400, 1),
            Self::SchemeUnsupported => ("scheme-unsupported", 403, 1),
            Self::SocksMalformed => ("socks-malformed", 400, 1),
            Self::SocksTimeout => ("socks-timeout", 408, 1),
            Self::SocksCommandUnsupported => ("socks-command-unsupported", 403, 7),
            Self::SocksMethodUnsupported => ("socks-method-unsupported", 403, 0xff),
            Self::TooManyConnections => ("too-many-connections", 503, 1),
            Self::DescriptorsExhausted => ("descriptors-exhausted", 503, 1),
            Self::IdleTimeout => ("idle-timeout", 504, 1),
            Self::TotalTimeout => ("total-timeout", 504, 1),
            Self::Shutdown => ("shutdown", 503, 1),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::all().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason code of this version of ringfence")]
pub struct UnknownCode;

/// Every code but those of addresses.
const PLAIN: &[Code] = &[
    Code::HostNotAllowed,
    Code::PortNotAllowed,
    Code::HostDenied,
    Code::HostMalformed,
    Code::HostMismatch,
    Code::AskRefused,
    Code::AddressUnknown,
    Code::NameNotFound,
    Code::NameResolutionFailed,
    Code::NameResolutionTimeout,
    Code::DnsMalformed,
    Code::DnsExhausted,
    Code::ConnectRefused,
    Code::ConnectTimeout,
    Code::ConnectFailed,
    Code::ServerReset,
    Code::ClientReset,
    Code::ServerMalformed,
    Code::UpstreamFailed,
    Code::UpstreamRefused,
    Code::TlsNameMissing,
    Code::TlsNameMismatch,
    Code::TlsEchNameMismatch,
    Code::TlsExpected,
    Code::TlsMalformed,
    Code::TlsHelloTimeout,
    Code::RequestMalformed,
    Code::RequestHeadTooLarge,
    Code::RequestHeadTimeout,
    Code::RequestNotForProxy,
    Code::SchemeUnsupported,
    Code::SocksMalformed,
    Code::SocksTimeout,
    Code::SocksCommandUnsupported,
    Code::SocksMethodUnsupported,
    Code::TooManyConnections,
    Code::DescriptorsExhausted,
    Code::IdleTimeout,
    Code::TotalTimeout,
    Code::Shutdown,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_text_and_reads_back() {
        let texts: BTreeSet<_> = Code::all().map(Code::as_str).collect();
        assert_eq!(texts.len(), Code::all().count());
        for code in Code::all() {
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
        assert_eq!("allowed".parse::<Code>(), Err(UnknownCode));
    }
}
