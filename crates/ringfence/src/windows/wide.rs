//! UTF-16 strings of Windows in JSON, without loss.

use std::ffi::OsStr;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A string of UTF-16 units as Windows holds it; unpaired surrogates are possible.
///
/// In JSON it is a string where it is valid UTF-16, and `{"utf16": [...]}` of its units where it is not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wide(pub Vec<u16>);

impl Wide {
    /// A string of the operating system; `None` where that is another system and the string is not Unicode.
    pub fn from_os(text: &OsStr) -> Option<Self> {
        #[cfg(windows)]
        return Some(Self(std::os::windows::ffi::OsStrExt::encode_wide(text).collect()));
        #[cfg(not(windows))]
        return text.to_str().map(Self::from);
    }

    /// The units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }

    /// The units with the NUL that ends them for the system.
    pub fn with_nul(&self) -> Vec<u16> {
        self.0.iter().copied().chain([0]).collect()
    }
}

impl From<&str> for Wide {
    fn from(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }
}

impl fmt::Debug for Wide {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf16_lossy(&self.0), out)
    }
}

/// For people: unpaired surrogates appear as replacement characters.
impl fmt::Display for Wide {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf16_lossy(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Units { utf16: Vec<u16> },
}

impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match String::from_utf16(&self.0) {
            Ok(text) => serializer.serialize_str(&text),
            Err(_) => Form::Units { utf16: self.0.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Text(text) => Self::from(text.as_str()),
            Form::Units { utf16 } => Self(utf16),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_string_survives_json(units in proptest::collection::vec(any::<u16>(), 0..64)) {
            let wide = Wide(units);
            let json = serde_json::to_string(&wide).unwrap();
            prop_assert_eq!(serde_json::from_str::<Wide>(&json).unwrap(), wide);
        }
    }

    #[test]
    fn ordinary_text_stays_readable() {
        assert_eq!(serde_json::to_string(&Wide::from("cmd /c exit")).unwrap(), "\"cmd /c exit\"");
    }
}
