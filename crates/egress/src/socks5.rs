//! The messages of SOCKS version 5 (RFC 1928), as far as CONNECT without authentication needs them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ringfence_policy::Host;

use crate::code::Code;

/// The first byte of every SOCKS5 connection, and of no HTTP request.
pub(crate) const VERSION: u8 = 5;

/// The most bytes a request can have: a name of 255 bytes.
pub(crate) const LONGEST_REQUEST: usize = 4 + 1 + 255 + 2;

/// Reads the method selection. `None` means that bytes are missing; else how many bytes it took.
///
/// # Errors
/// [`Code::SocksMalformed`], or [`Code::SocksMethodUnsupported`] where `no authentication` is not offered.
pub(crate) fn read_greeting(received: &[u8]) -> Result<Option<usize>, Code> {
    match received {
        [] | [VERSION] => Ok(None),
        [VERSION, 0, ..] => Err(Code::SocksMalformed),
        [VERSION, count, methods @ ..] => match methods.get(..usize::from(*count)) {
            None => Ok(None),
            Some(offered) if offered.contains(&NO_AUTHENTICATION) => Ok(Some(2 + usize::from(*count))),
            Some(_) => Err(Code::SocksMethodUnsupported),
        },
        _ => Err(Code::SocksMalformed),
    }
}

/// The host of a request: in normal form, or as it was written where it has none.
pub(crate) type Destination = (Result<Host, String>, u16);

/// Reads the request. `None` means that bytes are missing; else where it wants to go, and how many bytes it took.
///
/// # Errors
/// [`Code::SocksMalformed`] or [`Code::SocksCommandUnsupported`].
pub(crate) fn read_request(received: &[u8]) -> Result<Option<(Destination, usize)>, Code> {
    let [version, command, reserved, kind, rest @ ..] = received else {
        return if received.first().is_none_or(|version| *version == VERSION) {
            Ok(None)
        } else {
            Err(Code::SocksMalformed)
        };
    };
    if *version != VERSION || *reserved != 0 {
        return Err(Code::SocksMalformed);
    }
    if *command != CONNECT {
        return Err(Code::SocksCommandUnsupported);
    }
    let (length, rest) = match (*kind, rest) {
        (IPV4, rest) => (4, rest),
        (IPV6, rest) => (16, rest),
        (NAME, [0, ..]) => return Err(Code::SocksMalformed),
        (NAME, [length, rest @ ..]) => (usize::from(*length), rest),
        (NAME, []) => return Ok(None),
        _ => return Err(Code::SocksMalformed),
    };
    let Some((address, [high, low, after @ ..])) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    let host = match (*kind, address) {
        (IPV4, &[a, b, c, d]) => Ok(Host::V4(Ipv4Addr::new(a, b, c, d))),
        (IPV6, address) => <[u8; 16]>::try_from(address)
            .map(|octets| Host::from(IpAddr::V6(Ipv6Addr::from(octets))))
            .map_err(|_| String::new()),
        (_, name) => host_of_name(name),
    };
    let port = u16::from_be_bytes([*high, *low]);
    Ok(Some(((host, port), received.len() - after.len())))
}

/// The answer to the method selection: `no authentication`, or none that is acceptable.
pub(crate) fn method_reply(accepted: bool) -> [u8; 2] {
    [VERSION, if accepted { NO_AUTHENTICATION } else { NO_ACCEPTABLE_METHOD }]
}

/// The answer to a request: zero, or the reply code of the refusal; with the address that was connected to, where there is one.
pub(crate) fn reply(code: Option<Code>, bound: Option<SocketAddr>) -> Vec<u8> {
    let mut reply = vec![VERSION, code.map_or(0, Code::socks_reply), 0];
    match bound.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))) {
        SocketAddr::V4(address) => {
            reply.push(IPV4);
            reply.extend(address.ip().octets());
            reply.extend(address.port().to_be_bytes());
        }
        SocketAddr::V6(address) => {
            reply.push(IPV6);
            reply.extend(address.ip().octets());
            reply.extend(address.port().to_be_bytes());
        }
    }
    reply
}

const NO_AUTHENTICATION: u8 = 0;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A name may also be an address in text form: many clients send what the user typed.
fn host_of_name(bytes: &[u8]) -> Result<Host, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| String::from_utf8_lossy(bytes).into_owned())?;
    Host::parse(text).map_err(|_| text.to_owned())
}
