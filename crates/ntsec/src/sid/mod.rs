//! Security identifiers.

mod ringfence;
pub mod well_known;

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

pub use ringfence::RingfenceSid;

use crate::error::{Error, SddlProblem, Structure};
use crate::reader::Reader;

/// A security identifier: who somebody is (MS-DTYP §2.4.2).
///
/// Held inline, so that copying and comparing one never allocates. Ordered by authority, then by sub-authorities.
#[derive(Clone, Copy)]
pub struct Sid {
    /// 48 bits.
    authority: u64,
    /// A word that differs for most pairs of SIDs: one comparison tells nearly all strangers apart.
    fingerprint: u32,
    count: u8,
    sub_authorities: [u32; Sid::MAX_SUB_AUTHORITIES],
}

impl Sid {
    /// `SID_MAX_SUB_AUTHORITIES` (winnt.h).
    pub const MAX_SUB_AUTHORITIES: usize = 15;
    /// Bytes of the longest SID (`SECURITY_MAX_SID_SIZE`, winnt.h).
    pub const MAX_BYTES: usize = 8 + 4 * Sid::MAX_SUB_AUTHORITIES;
    /// `SID_REVISION`, the only one there is.
    const REVISION: u8 = 1;

    /// A SID from its parts.
    ///
    /// # Errors
    /// An authority above 48 bits or more than 15 sub-authorities.
    pub fn new(authority: u64, sub_authorities: &[u32]) -> Result<Self, Error> {
        if authority >> 48 != 0 {
            return Err(Error::sddl(0, SddlProblem::BadAuthority));
        }
        if sub_authorities.len() > Self::MAX_SUB_AUTHORITIES {
            return Err(Error::TooManySubAuthorities { offset: 0, found: sub_authorities.len() });
        }
        Ok(Self::known(authority, sub_authorities))
    }

    /// For parts that are known to be within the limits.
    pub(crate) const fn known(authority: u64, sub_authorities: &[u32]) -> Self {
        let mut array = [0; Self::MAX_SUB_AUTHORITIES];
        let mut at = 0;
        while at < sub_authorities.len() {
            array[at] = sub_authorities[at];
            at += 1;
        }
        Self::complete(authority, at as u8, array)
    }

    /// The SID of these parts; the sub-authorities beyond `count` are zero.
    const fn complete(authority: u64, count: u8, sub_authorities: [u32; Self::MAX_SUB_AUTHORITIES]) -> Self {
        let last = sub_authorities[if count == 0 { 0 } else { count as usize - 1 }];
        let fingerprint = last.wrapping_mul(0x9e37_79b1)
            ^ sub_authorities[1].rotate_left(9)
            ^ sub_authorities[0].rotate_left(20)
            ^ (authority as u32) << 8
            ^ count as u32;
        Sid { authority, fingerprint, count, sub_authorities }
    }

    /// The identifier authority (5 for `NT AUTHORITY`).
    pub fn authority(&self) -> u64 {
        self.authority
    }

    /// The sub-authorities; the last one is the RID.
    pub fn sub_authorities(&self) -> &[u32] {
        &self.sub_authorities[..usize::from(self.count)]
    }

    /// The last sub-authority, relative to its domain.
    pub fn rid(&self) -> Option<u32> {
        self.sub_authorities().last().copied()
    }

    /// This SID with `rid` appended: an account of the domain that this SID names.
    ///
    /// # Errors
    /// The SID has 15 sub-authorities already.
    pub fn with_rid(&self, rid: u32) -> Result<Self, Error> {
        let mut sub_authorities = self.sub_authorities;
        let place = sub_authorities
            .get_mut(usize::from(self.count))
            .ok_or(Error::TooManySubAuthorities { offset: 0, found: Self::MAX_SUB_AUTHORITIES + 1 })?;
        *place = rid;
        Ok(Self::complete(self.authority, self.count + 1, sub_authorities))
    }

    /// Whether the first sub-authorities are `prefix` and the authority is the same.
    pub fn starts_with(&self, prefix: &Sid) -> bool {
        self.authority == prefix.authority && self.sub_authorities().starts_with(prefix.sub_authorities())
    }

    /// A package SID of an AppContainer: `S-1-15-2-` and the seven words of its hash
    /// (<https://learn.microsoft.com/windows/win32/api/userenv/nf-userenv-deriveappcontainersidfromappcontainername>).
    pub fn is_package(&self) -> bool {
        self.authority == 15 && self.count == 8 && self.sub_authorities[0] == 2
    }

    /// A capability SID: `S-1-15-3-…`.
    pub fn is_capability(&self) -> bool {
        self.authority == 15 && self.sub_authorities().first() == Some(&3)
    }

    /// Bytes of the binary form.
    pub fn byte_len(&self) -> usize {
        8 + 4 * usize::from(self.count)
    }

    /// Appends the binary form (MS-DTYP §2.4.2.2).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.push(Self::REVISION);
        out.push(self.count);
        out.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for sub_authority in self.sub_authorities() {
            out.extend_from_slice(&sub_authority.to_le_bytes());
        }
    }

    /// The binary form (MS-DTYP §2.4.2.2).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.byte_len());
        self.write_to(&mut out);
        out
    }

    /// Reads a SID at the start of `bytes`; its length is [`Sid::byte_len`].
    ///
    /// # Errors
    /// Truncated, unknown revision, or more than 15 sub-authorities.
    pub fn read_prefix(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, Structure::Sid);
        let revision = reader.u8()?;
        if revision != Self::REVISION {
            return Err(Error::UnknownRevision { what: Structure::Sid, offset: 0, found: revision });
        }
        let count = reader.u8()?;
        if usize::from(count) > Self::MAX_SUB_AUTHORITIES {
            return Err(Error::TooManySubAuthorities { offset: 0, found: count.into() });
        }
        let authority = reader.take(6)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let mut sub_authorities = [0; Self::MAX_SUB_AUTHORITIES];
        for sub_authority in &mut sub_authorities[..usize::from(count)] {
            *sub_authority = reader.u32()?;
        }
        Ok(Self::complete(authority, count, sub_authorities))
    }

    /// Reads a SID that fills `bytes`.
    ///
    /// # Errors
    /// As [`Sid::read_prefix`], and bytes that follow the SID.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let sid = Self::read_prefix(bytes)?;
        match bytes.len() - sid.byte_len() {
            0 => Ok(sid),
            extra => Err(Error::TrailingBytes { what: Structure::Sid, offset: sid.byte_len(), extra }),
        }
    }

    /// Equal SIDs have equal fingerprints.
    pub(crate) fn fingerprint(&self) -> u32 {
        self.fingerprint
    }
}

impl PartialEq for Sid {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
            && self.count == other.count
            && self.authority == other.authority
            && self.sub_authorities() == other.sub_authorities()
    }
}

impl Eq for Sid {}

impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.hash(state);
        self.sub_authorities().hash(state);
    }
}

impl Ord for Sid {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.authority, self.sub_authorities()).cmp(&(other.authority, other.sub_authorities()))
    }
}

impl PartialOrd for Sid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Sid {
    /// `S-1-5-32-544`; an authority above 32 bits is written in hexadecimal (MS-DTYP §2.4.2.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority >> 32 == 0 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-{:#014x}", self.authority)?;
        }
        self.sub_authorities().iter().try_for_each(|sub_authority| write!(f, "-{sub_authority}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = Error;

    /// The string form of MS-DTYP §2.4.2.1, in any case. Two-letter aliases belong to SDDL: see [`Sid::from_sddl`].
    fn from_str(text: &str) -> Result<Self, Error> {
        let (sid, length) = parse_prefix(text.as_bytes())?;
        if length == text.len() { Ok(sid) } else { Err(Error::sddl(length, SddlProblem::BadSubAuthority)) }
    }
}

/// Reads a SID string at the start of `text`: the SID and the bytes it took.
pub(crate) fn parse_prefix(text: &[u8]) -> Result<(Sid, usize), Error> {
    match text {
        [b'S' | b's', b'-', b'1', b'-', ..] => {}
        _ => return Err(Error::sddl(0, SddlProblem::NotASid)),
    }
    let mut at = 4;
    let authority =
        number(text, &mut at).filter(|value| value >> 48 == 0).ok_or(Error::sddl(at, SddlProblem::BadAuthority))?;
    let mut sub_authorities = [0; Sid::MAX_SUB_AUTHORITIES];
    let mut count = 0_u8;
    while text.get(at) == Some(&b'-') {
        at += 1;
        let start = at;
        let value = number(text, &mut at)
            .and_then(|value| u32::try_from(value).ok())
            .ok_or(Error::sddl(start, SddlProblem::BadSubAuthority))?;
        let place = sub_authorities
            .get_mut(usize::from(count))
            .ok_or(Error::sddl(start, SddlProblem::TooManySubAuthorities))?;
        *place = value;
        count += 1;
    }
    Ok((Sid::complete(authority, count, sub_authorities), at))
}

/// A decimal or `0x` hexadecimal number; `None` if there is no digit or it exceeds 64 bits.
pub(crate) fn number(text: &[u8], at: &mut usize) -> Option<u64> {
    if let Some([b'0', b'x' | b'X', ..]) = text.get(*at..) {
        return hexadecimal(text, at);
    }
    let start = *at;
    let mut position = start;
    let mut value = 0_u64;
    while let Some(digit) = text.get(position).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        position += 1;
    }
    *at = position;
    (position > start).then_some(value)
}

fn hexadecimal(text: &[u8], at: &mut usize) -> Option<u64> {
    let start = *at + 2;
    let mut position = start;
    let mut value = 0_u64;
    while let Some(digit) = text.get(position).and_then(|&byte| char::from(byte).to_digit(16)) {
        // In SDDL a hexadecimal number may be followed by the section `D:`.
        if position > start && text.get(position + 1) == Some(&b':') {
            break;
        }
        value = value.checked_mul(16)?.checked_add(u64::from(digit))?;
        position += 1;
    }
    if position == start {
        return None;
    }
    *at = position;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        // The example of MS-DTYP §2.4.2.1 and the bytes of BUILTIN\Administrators.
        let administrators: Sid = "S-1-5-32-544".parse().unwrap();
        let bytes = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];
        assert_eq!(administrators.to_bytes(), bytes);
        assert_eq!(Sid::from_bytes(&bytes).unwrap(), administrators);
        assert_eq!("s-1-0x5-0x20-544".parse::<Sid>().unwrap(), administrators);
        let wide: Sid = "S-1-0x0123456789AB-7".parse().unwrap();
        assert_eq!(wide.to_string(), "S-1-0x0123456789ab-7");
        assert_eq!(wide.authority(), 0x0123_4567_89ab);
    }

    #[test]
    fn limits_are_errors_with_offsets() {
        let fifteen = format!("S-1-5{}", "-1".repeat(15));
        assert_eq!(fifteen.parse::<Sid>().unwrap().to_string(), fifteen);
        let offset = |text: &str| match text.parse::<Sid>() {
            Err(Error::Sddl { offset, problem }) => (offset, problem),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(offset(&format!("{fifteen}-1")), (fifteen.len() + 1, SddlProblem::TooManySubAuthorities));
        assert_eq!(offset("S-1-5-"), (6, SddlProblem::BadSubAuthority));
        assert_eq!(offset("S-1-5-4294967296"), (6, SddlProblem::BadSubAuthority));
        assert_eq!(offset("S-1-281474976710656"), (19, SddlProblem::BadAuthority));
        assert_eq!(offset("S-2-5-1").1, SddlProblem::NotASid);
        assert_eq!(offset("S-1-5-32x"), (8, SddlProblem::BadSubAuthority));
        assert_eq!(offset("").1, SddlProblem::NotASid);

        let mut bytes = vec![1, 16, 0, 0, 0, 0, 0, 5];
        bytes.resize(8 + 64, 0);
        assert_eq!(Sid::from_bytes(&bytes), Err(Error::TooManySubAuthorities { offset: 0, found: 16 }));
        assert!(matches!(Sid::from_bytes(&[1, 1, 0, 0, 0, 0, 0, 5, 1, 0]), Err(Error::Truncated { offset: 8, .. })));
        assert!(matches!(Sid::from_bytes(&[2, 0, 0, 0, 0, 0, 0, 5]), Err(Error::UnknownRevision { found: 2, .. })));
    }

    #[test]
    fn order_is_numeric_not_textual() {
        let sid = |text: &str| text.parse::<Sid>().unwrap();
        assert!(sid("S-1-5-9") < sid("S-1-5-10"));
        assert!(sid("S-1-5-32") < sid("S-1-5-32-0"));
        assert!(sid("S-1-5-99") < sid("S-1-15-1"));
    }
}
