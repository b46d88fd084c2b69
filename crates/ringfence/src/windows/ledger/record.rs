//! One line of a ledger.
//!
//! A line is a checksum, a space, JSON and a line break. Whatever happens to one line, the next one begins after the next
//! line break, so that damage costs the lines that it touches and no others.

use std::fmt;
use std::str::FromStr;

use ringfence_ntsec::Ace;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::windows::disk::FileId;
use crate::windows::path::WindowsPath;

/// What a ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Record {
    /// The first line: the version of the format.
    Ledger(u32),
    /// A grant is being made: from here on, any object below the root may carry entries of the SID.
    Begin(Box<Begin>),
    /// A DACL that later lines refer to, self-relative.
    Dacl { hash: DaclHash, bytes: HexBytes },
    /// An edit that is about to be made.
    Edit(Edit),
    /// An object that was left alone.
    Skipped(Skipped),
    /// The grant is complete.
    Complete { digest: String },
    /// The grant is being taken back.
    Revoking {},
}

/// What a grant is meant to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Where the root was.
    pub root: WindowsPath,
    /// The entry that the root gets.
    pub allow: Ace,
    /// The objects below it that carry denials.
    pub denied: Vec<WindowsPath>,
    /// Stands for the whole plan of the grant.
    pub digest: String,
}

/// One edit of one DACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Which file.
    #[serde(rename = "f")]
    pub file: FileId,
    /// The DACL without entries of the SID.
    #[serde(rename = "b")]
    pub before: DaclHash,
    /// The DACL that is set.
    #[serde(rename = "a")]
    pub after: DaclHash,
    /// Where it was, from the root down, for people.
    #[serde(rename = "p")]
    pub path: String,
}

/// An object that was left alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Where it was, from the root down, for people.
    pub path: String,
    /// Why.
    pub why: super::Why,
}

/// 128 bits of a DACL's SHA-256: enough that nobody finds two with the same, though anybody may choose DACLs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaclHash([u8; 16]);

/// Bytes that JSON shows in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HexBytes(pub(super) Vec<u8>);

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A record of this version.
    Record(Record),
    /// Whole, but of a kind that this version does not know.
    Unknown,
    /// Torn, changed or not ours.
    Damaged,
}

/// Hexadecimal digits of the checksum: 64 bits, which guard against accidents.
const SUM_LENGTH: usize = 16;

impl Record {
    /// Appends the line.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let json = serde_json::to_vec(self).map_err(|source| Error::Encode { what: "a line of the ledger", source })?;
        out.extend_from_slice(sum(&json).as_bytes());
        out.push(b' ');
        out.extend_from_slice(&json);
        out.push(b'\n');
        Ok(())
    }
}

impl Line {
    /// Reads a line without its line break.
    pub(super) fn read(line: &[u8]) -> Self {
        let json = match line.split_at_checked(SUM_LENGTH) {
            Some((found, rest)) if rest.first() == Some(&b' ') && sum(&rest[1..]).as_bytes() == found => &rest[1..],
            _ => return Self::Damaged,
        };
        match serde_json::from_slice(json) {
            Ok(record) => Self::Record(record),
            Err(_) => Self::Unknown,
        }
    }
}

impl DaclHash {
    /// The hash of a self-relative descriptor that holds a DACL only.
    pub fn of(dacl: &[u8]) -> Self {
        let digest = Sha256::digest(dacl);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }
}

impl fmt::Display for DaclHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&crate::plan::hex(&self.0))
    }
}

impl fmt::Debug for DaclHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for DaclHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DaclHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HexBytes(bytes) = HexBytes::deserialize(deserializer)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("not a hash"))
    }
}

impl FromStr for HexBytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = Vec::with_capacity(pairs.len());
        for [high, low] in pairs {
            match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => bytes.push(high << 4 | low),
                _ => return Err("not hexadecimal"),
            }
        }
        if rest.is_empty() { Ok(Self(bytes)) } else { Err("half a byte") }
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::plan::hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn sum(json: &[u8]) -> String {
    crate::plan::hex(&Sha256::digest(json)[..SUM_LENGTH / 2])
}
