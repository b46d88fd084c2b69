//! Where a request wants to go: its target and its `Host` header have to agree on it.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Method, Version};
use ringfence_policy::Host;

use crate::code::Code;
use crate::session::Target;

use super::HTTP_PORT;

/// A head that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadTarget {
    pub(crate) code: Code,
    /// What it named, as far as that is known.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Reads the host and port of a request. `fixed` is the host that the connection was made for, if it was; then requests in
/// origin form are right, else they are not.
pub(crate) fn read_target(head: &Parts, fixed: Option<&Target>) -> Result<Target, BadTarget> {
    check_framing(head)?;
    let named = named_host(&head.headers)?;
    if head.method == Method::CONNECT {
        let authority_form = head.uri.scheme().is_none() && head.uri.path_and_query().is_none();
        let authority = head.uri.authority().filter(|_| authority_form && fixed.is_none());
        let Some(authority) = authority else {
            return Err(Code::RequestMalformed.into());
        };
        let target = parse_authority(authority.as_str(), None)?;
        // Clients disagree about the port of this header, so that its host alone has to be right.
        return match named.map(|text| parse_authority(text, Some(target.port))).transpose()? {
            Some(named) if named.host != target.host => Err(mismatch(&target)),
            _ => Ok(target),
        };
    }
    // RFC 9112 §3.2: HTTP/1.1 without Host is malformed, in every form.
    if named.is_none() && head.version == Version::HTTP_11 {
        return Err(Code::RequestMalformed.into());
    }
    let named = named.map(|text| parse_authority(text, Some(HTTP_PORT))).transpose()?;
    let target = match (head.uri.scheme(), head.uri.authority()) {
        (Some(scheme), Some(authority)) => {
            let target = parse_authority(authority.as_str(), Some(HTTP_PORT))?;
            if *scheme != Scheme::HTTP {
                return Err(BadTarget {
                    code: Code::SchemeUnsupported,
                    host: target.host.to_string(),
                    port: target.port,
                });
            }
            target
        }
        (None, None) => match (fixed, &named) {
            (None, _) => return Err(Code::RequestNotForProxy.into()),
            (Some(_), Some(named)) => named.clone(),
            (Some(fixed), None) => fixed.clone(),
        },
        _ => return Err(Code::RequestMalformed.into()),
    };
    if named.is_some_and(|named| named != target) || fixed.is_some_and(|fixed| *fixed != target) {
        return Err(mismatch(&target));
    }
    Ok(target)
}

/// One length, or chunked alone: everything else is read differently by different servers (RFC 9112 §6.3, request smuggling).
fn check_framing(head: &Parts) -> Result<(), BadTarget> {
    let mut encodings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = match (encodings.next(), encodings.next()) {
        (None, _) => false,
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(Code::RequestMalformed.into()),
    };
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
    let connect_with_body = head.method == Method::CONNECT && (chunked || lengths > 0);
    if lengths > 1 || (chunked && lengths > 0) || connect_with_body {
        return Err(Code::RequestMalformed.into());
    }
    Ok(())
}

/// The one `Host` header.
fn named_host(headers: &HeaderMap) -> Result<Option<&str>, BadTarget> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(BadTarget {
                code: Code::HostMalformed,
                host: String::from_utf8_lossy(value.as_bytes()).into_owned(),
                port: 0,
            }),
        },
        (Some(_), Some(_)) => Err(Code::RequestMalformed.into()),
    }
}

/// `host:port`; `host` alone where a port is given to fall back on.
fn parse_authority(text: &str, default_port: Option<u16>) -> Result<Target, BadTarget> {
    let malformed = |code, port| BadTarget { code, host: text.to_owned(), port };
    // User information would be a way to make one host look like another.
    if text.contains('@') {
        return Err(malformed(Code::HostMalformed, 0));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => default_port,
        // The integer parser accepts a sign.
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        Some(_) => None,
    };
    let Some(port) = port.filter(|port| *port != 0) else {
        return Err(malformed(Code::RequestMalformed, 0));
    };
    // Only brackets make colons part of a host here; `Host` would accept an address without them.
    if host.contains(':') && !host.starts_with('[') {
        return Err(malformed(Code::HostMalformed, port));
    }
    match Host::parse(host) {
        Ok(host) => Ok(Target { host, port }),
        Err(_) => Err(BadTarget { code: Code::HostMalformed, host: host.to_owned(), port }),
    }
}

fn mismatch(target: &Target) -> BadTarget {
    BadTarget { code: Code::HostMismatch, host: target.host.to_string(), port: target.port }
}

impl From<Code> for BadTarget {
    fn from(code: Code) -> Self {
        Self { code, host: String::new(), port: 0 }
    }
}
