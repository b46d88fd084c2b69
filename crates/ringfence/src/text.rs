//! Strings of the operating system in JSON, without loss.

use std::ffi::{OsStr, OsString};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An argument or a variable as the operating system holds it.
///
/// In JSON it is a string where it is valid UTF-8, and `{"hex": "…"}` of its bytes where it is not, so that a plan
/// or a receipt never shows something else than what was run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub OsString);

impl Text {
    /// The string as the operating system holds it.
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }
}

impl<T: Into<OsString>> From<T> for Text {
    fn from(value: T) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

/// For people: bytes that are not UTF-8 appear as replacement characters.
impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string_lossy().fmt(out)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes { hex: String },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => Form::Bytes { hex: crate::plan::hex(self.0.as_encoded_bytes()) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text.into())),
            Form::Bytes { hex } => decode(&hex).map(Self).ok_or_else(|| serde::de::Error::custom("not hexadecimal")),
        }
    }
}

#[cfg(unix)]
fn decode(hex: &str) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits
        .chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .map(OsString::from_vec)
}

#[cfg(not(unix))]
fn decode(_: &str) -> Option<OsString> {
    // Only the program that wrote it knows the encoding; a plan made on another system is shown, not run.
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_string_survives_json(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = Text(OsString::from_vec(bytes));
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
        }
    }

    #[test]
    fn ordinary_text_stays_readable() {
        assert_eq!(serde_json::to_string(&Text::from("make")).unwrap(), "\"make\"");
    }
}
