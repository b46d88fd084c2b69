//! Strings of the operating system in JSON, without loss.

use std::ffi::{OsStr, OsString};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An argument or a variable as the operating system holds it.
///
/// In JSON it is a string where it is valid Unicode. Where it is not, it is `{"hex": "…"}` of its bytes, or on Windows
/// `{"utf16": […]}` of its units, so that a plan or a receipt never shows something else than what was run.
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
    Units { utf16: Vec<u16> },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => encode(&self.0).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text.into())),
            other => decode(&other).map(Self).ok_or_else(|| serde::de::Error::custom("no string of this system")),
        }
    }
}

#[cfg(unix)]
fn encode(text: &OsStr) -> Form {
    Form::Bytes { hex: crate::plan::hex(text.as_encoded_bytes()) }
}

#[cfg(unix)]
fn decode(form: &Form) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    let Form::Bytes { hex } = form else {
        return None;
    };
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

#[cfg(windows)]
fn encode(text: &OsStr) -> Form {
    Form::Units { utf16: std::os::windows::ffi::OsStrExt::encode_wide(text).collect() }
}

#[cfg(windows)]
fn decode(form: &Form) -> Option<OsString> {
    match form {
        Form::Units { utf16 } => Some(std::os::windows::ffi::OsStringExt::from_wide(utf16)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[cfg(unix)]
    fn strange(bytes: Vec<u8>) -> OsString {
        std::os::unix::ffi::OsStringExt::from_vec(bytes)
    }

    /// Half of what is made this way are halves of surrogate pairs.
    #[cfg(windows)]
    fn strange(bytes: Vec<u8>) -> OsString {
        let units: Vec<u16> = bytes.iter().map(|byte| 0xD780 + u16::from(*byte)).collect();
        std::os::windows::ffi::OsStringExt::from_wide(&units)
    }

    proptest! {
        #[test]
        fn every_string_of_this_system_survives_json(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = Text(strange(bytes));
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
        }
    }

    #[test]
    fn ordinary_text_stays_readable() {
        assert_eq!(serde_json::to_string(&Text::from("make")).unwrap(), "\"make\"");
    }
}
