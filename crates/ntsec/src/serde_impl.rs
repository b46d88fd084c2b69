//! Serialised forms for plans: SIDs, ACEs and descriptors as their text, masks as numbers.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AccessMask, Ace, SecurityDescriptor, Sid, ace_to_sddl};

impl Serialize for Sid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for AccessMask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for AccessMask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(AccessMask)
    }
}

impl Serialize for Ace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&ace_to_sddl(self).map_err(S::Error::custom)?)
    }
}

impl Serialize for SecurityDescriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_sddl().map_err(S::Error::custom)?)
    }
}

macro_rules! from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

from_text!(Sid, Ace, SecurityDescriptor);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_come_back() {
        let sddl = "O:SYG:SYD:P(A;OICI;0x1301bf;;;S-1-5-21-1-2-3-3735000001)";
        let descriptor: SecurityDescriptor = sddl.parse().unwrap();
        let ace = descriptor.dacl.aces()[0].clone();
        let json = serde_json::to_string(&(&descriptor, &ace, ace.sid, ace.mask)).unwrap();
        let sid = ace.sid;
        assert_eq!(json, format!("[\"{sddl}\",\"(A;OICI;0x1301bf;;;{sid})\",\"{sid}\",1245631]"));
        let back: (SecurityDescriptor, Ace, Sid, AccessMask) = serde_json::from_str(&json).unwrap();
        assert_eq!(back, (descriptor, ace.clone(), ace.sid, ace.mask));
        assert!(serde_json::from_str::<Sid>("\"BA\"").is_err());
    }
}
