//! GUIDs of object ACEs.

use core::fmt;
use core::str::FromStr;

use crate::error::{Error, SddlProblem};

/// A GUID in its packet layout (MS-DTYP §2.3.4.2): the first three fields are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

/// Byte of the packet layout that each pair of hexadecimal digits stands for.
const TEXT_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, &byte) in TEXT_ORDER.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[byte])?;
        }
        Ok(())
    }
}

impl FromStr for Guid {
    type Err = Error;

    /// The curly-string form without braces, any case (MS-DTYP §2.3.4.3).
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::sddl(0, SddlProblem::BadGuid);
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return Err(bad());
        }
        let mut out = [0; 16];
        let mut at = 0;
        for (place, &target) in TEXT_ORDER.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                if bytes[at] != b'-' {
                    return Err(bad());
                }
                at += 1;
            }
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
            let (high, low) = (digit(bytes[at]).ok_or_else(bad)?, digit(bytes[at + 1]).ok_or_else(bad)?);
            out[target] = high << 4 | low;
            at += 2;
        }
        Ok(Guid(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_packet_order_differ_as_ms_dtyp_says() {
        let guid: Guid = "c1530121-71c7-11d1-bc3e-0000f80367c1".parse().unwrap();
        assert_eq!(guid.0[..8], [0x21, 0x01, 0x53, 0xc1, 0xc7, 0x71, 0xd1, 0x11]);
        assert_eq!(guid.to_string(), "c1530121-71c7-11d1-bc3e-0000f80367c1");
        assert!("c1530121-71c7-11d1-bc3e-0000f80367c".parse::<Guid>().is_err());
        assert!("c1530121x71c7-11d1-bc3e-0000f80367c1".parse::<Guid>().is_err());
        assert!("c1530121-71c7-11d1-bc3e-0000f80367cé".parse::<Guid>().is_err());
    }
}
