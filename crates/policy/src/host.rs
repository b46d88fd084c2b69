//! Host names and addresses in one normal form each, so that a comparison cannot be talked around by another spelling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::printable::printable;

/// The host of a connection, in normal form.
///
/// The forms follow the host parser of the WHATWG URL Standard (§3.5), because that is what browsers, Node and curl-like
/// clients do with the same text; what that parser leaves open to interpretation (percent encoding, zone ids, empty
/// labels) is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Host {
    /// A name that has to be resolved.
    Name(DomainName),
    /// An IPv4 address; also what an IPv4-mapped IPv6 address becomes, since that is where the packets go.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads a host, without a port, in any spelling that a client may use, and normalises it.
    ///
    /// Case, one trailing dot, brackets, IDNA (UTS #46, non-transitional) and the decimal, octal, hexadecimal and
    /// short forms of IPv4 addresses are normalised.
    ///
    /// # Errors
    /// Whatever is not a host by these rules, with the reason.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > LONGEST_TEXT {
            return Err(HostError::TooLong);
        }
        if text.starts_with('[') || text.contains(':') {
            return parse_ipv6(text);
        }
        if text.contains('%') {
            return Err(HostError::PercentEncoding);
        }
        let ascii = to_ascii(text)?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if ends_in_a_number(name) {
            return parse_ipv4(name).map(Self::V4).ok_or(HostError::Ipv4);
        }
        check_labels(name)?;
        Ok(Self::Name(DomainName(name.to_owned())))
    }

    /// The address, where the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

/// The normal form; IPv6 in brackets, so that `:port` can follow.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl From<DomainName> for Host {
    fn from(name: DomainName) -> Self {
        Self::Name(name)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        Self::parse(&text)
    }
}

/// A domain name in normal form: lower-case ASCII (A-labels), no trailing dot, labels of 1 to 63 characters, at most
/// 253 characters together (RFC 1035 §2.3.4), and never something that a client would read as an IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DomainName(String);

impl DomainName {
    /// Reads a name in any spelling and normalises it.
    ///
    /// # Errors
    /// As [`Host::parse`], and [`HostError::NotAName`] for addresses.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        match Host::parse(text)? {
            Host::Name(name) => Ok(name),
            Host::V4(_) | Host::V6(_) => Err(HostError::NotAName),
        }
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name lies strictly below `ancestor`.
    #[must_use]
    pub fn is_below(&self, ancestor: &Self) -> bool {
        self.0.strip_suffix(&ancestor.0).is_some_and(|rest| rest.ends_with('.'))
    }

    /// The names above this one, nearest first: `b.c` and `c` for `a.b.c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('.').map(|(dot, _)| &self.0[dot + 1..])
    }

    /// As [`Self::ancestors`]; what follows a dot of a normal name is a normal name.
    pub(crate) fn ancestor_names(&self) -> impl Iterator<Item = Self> {
        self.ancestors().map(|name| Self(name.to_owned()))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl TryFrom<String> for DomainName {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        Self::parse(&text)
    }
}

/// Why a text is no host, or no host rule. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostError {
    /// Nothing is there.
    #[error("a host is missing: write a name such as \"example.com\"")]
    Empty,
    /// Longer than any name can be.
    #[error("longer than the 253 characters that a host name can have (RFC 1035)")]
    TooLong,
    /// A `%`.
    #[error("percent encoding is refused in hosts: write the characters themselves")]
    PercentEncoding,
    /// An IPv6 zone id.
    #[error("zone ids (`%eth0`) are refused: they mean something else on every machine")]
    ZoneId,
    /// Brackets or colons that hold no IPv6 address.
    #[error("no IPv6 address: write it as \"[2001:db8::1]\"")]
    Ipv6,
    /// Ends in a number, so clients read it as an IPv4 address, but is none.
    #[error("no IPv4 address, though its last part is a number: write four numbers from 0 to 255")]
    Ipv4,
    /// Two dots in a row, or one in front.
    #[error("a label between two dots is empty: remove the extra dot")]
    EmptyLabel,
    /// A label of more than 63 characters.
    #[error("a label is longer than 63 characters (RFC 1035)")]
    LongLabel,
    /// A character that no host name has.
    #[error("the character `{}` cannot be in a host name", .0.escape_debug())]
    Character(char),
    /// Not valid by UTS #46.
    #[error("no valid internationalised name (UTS #46)")]
    Idna,
    /// An address where only a name can be.
    #[error("an address where a name is needed")]
    NotAName,
    /// `host:port` where only a host can be.
    #[error("a port is not possible here: write the host alone")]
    UnexpectedPort,
    /// A port that is none.
    #[error("no port: write a number from 1 to 65535, or `*` for every port")]
    Port,
    /// A URL.
    #[error("a URL where a host is needed: write \"{}\"", printable(.0))]
    Url(String),
    /// A path after the host.
    #[error("a path cannot be matched, TLS hides it: write the host alone")]
    Path,
    /// `10.0.0.0/8`.
    #[error("address ranges are not supported: list the addresses, or a name")]
    Range,
    /// User information before the host.
    #[error("user names do not belong into a host: write what follows the `@`")]
    UserInformation,
    /// A `*` anywhere but as the whole first label.
    #[error("a wildcard stands only for whole labels in front: write \"*.example.com\"")]
    Wildcard,
    /// A wildcard in a test.
    #[error("a test connects to one host and one port: write \"host:port\" without `*`")]
    TestWildcard,
    /// IPv6 without brackets.
    #[error("an IPv6 address needs brackets: write \"[{0}]\"")]
    UnbracketedIpv6(Ipv6Addr),
    /// An address in one of its other spellings.
    #[error("another spelling of {0}: write that")]
    NotNormal(Ipv4Addr),
}

impl HostError {
    /// The stable name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "host-empty",
            Self::TooLong => "host-too-long",
            Self::PercentEncoding => "host-percent-encoding",
            Self::ZoneId => "host-zone-id",
            Self::Ipv6 => "host-ipv6",
            Self::Ipv4 => "host-ipv4",
            Self::EmptyLabel => "host-empty-label",
            Self::LongLabel => "host-long-label",
            Self::Character(_) => "host-character",
            Self::Idna => "host-idna",
            Self::NotAName => "host-not-a-name",
            Self::UnexpectedPort => "host-unexpected-port",
            Self::Port => "host-port",
            Self::Url(_) => "host-url",
            Self::Path => "host-path",
            Self::Range => "host-range",
            Self::UserInformation => "host-user-information",
            Self::Wildcard => "host-wildcard",
            Self::TestWildcard => "host-test-wildcard",
            Self::UnbracketedIpv6(_) => "host-unbracketed-ipv6",
            Self::NotNormal(_) => "host-not-normal",
        }
    }
}

/// No valid name is longer, whatever its Unicode form: 253 characters of at most 4 bytes.
const LONGEST_TEXT: usize = 1024;

fn parse_ipv6(text: &str) -> Result<Host, HostError> {
    let inner = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((inner, "")) => inner,
            Some((_, after)) if after.starts_with(':') => return Err(HostError::UnexpectedPort),
            _ => return Err(HostError::Ipv6),
        },
        None => text,
    };
    if inner.contains('%') {
        return Err(HostError::ZoneId);
    }
    match inner.parse::<Ipv6Addr>() {
        Ok(address) => Ok(Host::from(IpAddr::V6(address))),
        Err(_) if !text.starts_with('[') && text.matches(':').count() == 1 => Err(HostError::UnexpectedPort),
        Err(_) => Err(HostError::Ipv6),
    }
}

fn to_ascii(text: &str) -> Result<String, HostError> {
    // ASCII that IDNA would refuse without naming the culprit.
    if let Some(character) = text.chars().find(|c| c.is_ascii() && !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
        return Err(HostError::Character(character));
    }
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| HostError::Idna)?;
    // Compatibility mapping may have produced ASCII that was not there before.
    match ascii.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(*c))) {
        Some(character) => Err(HostError::Character(character)),
        None => Ok(ascii.into_owned()),
    }
}

fn check_labels(name: &str) -> Result<(), HostError> {
    if name.len() > 253 {
        return Err(HostError::TooLong);
    }
    for label in name.split('.') {
        match label.len() {
            0 => return Err(HostError::EmptyLabel),
            1..=63 => {}
            _ => return Err(HostError::LongLabel),
        }
    }
    Ok(())
}

/// "Ends in a number" of the WHATWG URL Standard §3.5.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// The IPv4 parser of the WHATWG URL Standard §3.5, on lower-case text without a trailing dot.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = [0_u64; 4];
    let mut count = 0;
    for part in text.split('.') {
        *parts.get_mut(count)? = parse_ipv4_part(part)?;
        count += 1;
    }
    let (last, leading) = parts.get(..count)?.split_last()?;
    let room = 1_u64 << (8 * (4 - leading.len()));
    if *last >= room {
        return None;
    }
    let mut address = *last;
    for (index, part) in leading.iter().enumerate() {
        if *part > 255 {
            return None;
        }
        address += part << (8 * (3 - index));
    }
    u32::try_from(address).ok().map(Ipv4Addr::from)
}

fn parse_ipv4_part(part: &str) -> Option<u64> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (&part[1..], 8),
        None => (part, 10),
    };
    // `from_str_radix` accepts a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}
