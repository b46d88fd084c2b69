//! Resource attributes (`RA` ACEs): text to `CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1` and back
//! (grammar: MS-DTYP §2.5.1.1; structure: §2.4.10.1).

use core::fmt::Write;

use super::condition::{quoted, utf16};
use super::parse::Cursor;
use crate::Sid;
use crate::error::{Error, SddlProblem, Structure};
use crate::reader::Reader;

/// Name, offset; type, reserved; flags; count.
const HEADER_LENGTH: usize = 16;

/// The words of SDDL and the `ValueType`s they stand for.
const TYPES: [(&str, u16); 6] = [("TI", 0x01), ("TU", 0x02), ("TS", 0x03), ("TD", 0x05), ("TX", 0x10), ("TB", 0x06)];

/// Reads `("name",TS,0x0,"value",…)`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
    cursor.expect(b'(')?;
    cursor.skip_spaces();
    let name = quoted(cursor)?;
    comma(cursor)?;
    let kind = cursor
        .rest()
        .get(..2)
        .and_then(|word| TYPES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)))
        .ok_or(Error::sddl(cursor.at, SddlProblem::BadAttribute))?
        .1;
    cursor.at += 2;
    comma(cursor)?;
    let flags = unsigned(cursor)
        .and_then(|flags| u32::try_from(flags).map_err(|_| Error::sddl(cursor.at, SddlProblem::BadAttribute)))?;
    let mut values = Vec::new();
    loop {
        cursor.skip_spaces();
        if cursor.accept(b')') {
            break;
        }
        comma(cursor)?;
        values.push(value(cursor, kind)?);
    }
    Ok(encode(&name, kind, flags, &values))
}

fn comma(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    cursor.skip_spaces();
    cursor.expect(b',')?;
    cursor.skip_spaces();
    Ok(())
}

fn unsigned(cursor: &mut Cursor<'_>) -> Result<u64, Error> {
    let start = cursor.at;
    crate::sid::number(cursor.text, &mut cursor.at).ok_or(Error::sddl(start, SddlProblem::BadAttribute))
}

fn value(cursor: &mut Cursor<'_>, kind: u16) -> Result<Vec<u8>, Error> {
    let start = cursor.at;
    let bad = || Error::sddl(start, SddlProblem::BadAttribute);
    let counted = |bytes: Vec<u8>| {
        let mut out = (bytes.len() as u32).to_le_bytes().to_vec();
        out.extend(bytes);
        out
    };
    match kind {
        0x01 => {
            let negative = cursor.accept(b'-');
            let magnitude = i64::try_from(unsigned(cursor)?).map_err(|_| bad())?;
            Ok((if negative { -magnitude } else { magnitude }).to_le_bytes().to_vec())
        }
        0x02 => unsigned(cursor).map(|value| value.to_le_bytes().to_vec()),
        0x06 => match unsigned(cursor)? {
            value @ (0 | 1) => Ok(value.to_le_bytes().to_vec()),
            _ => Err(bad()),
        },
        0x03 => quoted(cursor).map(|text| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()),
        0x05 => {
            if !cursor.rest().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SID(")) {
                return Err(bad());
            }
            cursor.at += 4;
            let sid = cursor.sid()?;
            cursor.expect(b')')?;
            Ok(counted(sid.to_bytes()))
        }
        _ => {
            cursor.accept(b'#');
            let digits = cursor.rest().iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let text = core::str::from_utf8(&cursor.rest()[..digits]).map_err(|_| bad())?;
            let bytes: Option<Vec<u8>> = (0..digits)
                .step_by(2)
                .map(|at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
                .collect();
            cursor.at += digits;
            bytes.map(counted).ok_or_else(bad)
        }
    }
}

fn encode(name: &str, kind: u16, flags: u32, values: &[Vec<u8>]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let name_offset = HEADER_LENGTH + 4 * values.len();
    let mut out = Vec::new();
    out.extend_from_slice(&(name_offset as u32).to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&(values.len() as u32).to_le_bytes());
    let mut offset = (name_offset + name.len()).next_multiple_of(4);
    for value in values {
        out.extend_from_slice(&(offset as u32).to_le_bytes());
        offset = (offset + value.len()).next_multiple_of(4);
    }
    out.extend_from_slice(&name);
    out.resize(out.len().next_multiple_of(4), 0);
    for value in values {
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Writes the claim in parentheses; `None` if the bytes are no claim that text can express.
pub(super) fn write(data: &[u8]) -> Option<String> {
    let mut header = Reader::new(data, Structure::Condition);
    let name_offset = usize::try_from(header.u32().ok()?).ok()?;
    let kind = header.u16().ok()?;
    header.u16().ok()?;
    let flags = header.u32().ok()?;
    let count = usize::try_from(header.u32().ok()?).ok()?;
    let (word, _) = TYPES.iter().find(|(_, known)| *known == kind)?;
    let mut out = format!("(\"{}\",{word},{flags:#x}", text_at(data, name_offset)?);
    for _ in 0..count {
        let offset = usize::try_from(header.u32().ok()?).ok()?;
        let quad = || Some(u64::from_le_bytes(data.get(offset..offset.checked_add(8)?)?.try_into().ok()?));
        let counted = || {
            let length = data.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
            let start = offset + 4;
            data.get(start..start.checked_add(usize::try_from(u32::from_le_bytes(length)).ok()?)?)
        };
        // Writing to a String cannot fail.
        let _ = match kind {
            0x01 => write!(out, ",{}", quad()? as i64),
            0x02 | 0x06 => write!(out, ",{}", quad()?),
            0x03 => write!(out, ",\"{}\"", text_at(data, offset)?),
            0x05 => {
                let sid = Sid::from_bytes(counted()?).ok()?;
                match sid.sddl_alias() {
                    Some(alias) => write!(out, ",SID({alias})"),
                    None => write!(out, ",SID({sid})"),
                }
            }
            _ => {
                out.push_str(",#");
                counted()?.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        };
        // Hostile offsets may name one long value many times.
        if out.len() > 16 * data.len() + 64 {
            return None;
        }
    }
    out.push(')');
    Some(out)
}

/// The text up to its terminating zero.
fn text_at(data: &[u8], offset: usize) -> Option<String> {
    let rest = data.get(offset..)?;
    let length = rest.chunks_exact(2).position(|pair| pair == [0, 0])?;
    utf16(&rest[..2 * length]).filter(|text| !text.contains('"'))
}

#[cfg(test)]
mod tests {
    use crate::{Ace, SecurityDescriptor};

    #[test]
    fn claims_come_back() {
        for text in [
            "S:(RA;;;;;WD;(\"Project\",TS,0x0,\"Windows\",\"SQL\"))",
            "S:(RA;;;;;WD;(\"Secrecy\",TU,0x2,3))",
            "S:(RA;;;;;WD;(\"Debt\",TI,0x0,-3,7))",
            "S:(RA;;;;;WD;(\"Owner\",TD,0x0,SID(BA)))",
            "S:(RA;;;;;WD;(\"Blob\",TX,0x0,#00ff))",
            "S:(RA;;;;;WD;(\"Yes\",TB,0x0,1))",
        ] {
            let descriptor: SecurityDescriptor = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(descriptor.to_sddl().unwrap(), text);
            let bytes = descriptor.to_bytes().unwrap();
            assert_eq!(SecurityDescriptor::from_bytes(&bytes).unwrap(), descriptor);
        }
        for bad in ["(\"a\",TQ,0)", "(\"a\",TS,0,3)", "(a,TS,0)", "(\"a\",TB,0,2)", "(\"a\",TX,0,#abc)", "(\"a\""] {
            assert!(format!("(RA;;;;;WD;{bad})").parse::<Ace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hostile_claims_have_no_text() {
        for data in [
            vec![],
            vec![0xff; 16],
            vec![0; 16],
            [[0_u8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]].concat(),
        ] {
            assert_eq!(super::write(&data), None);
        }
    }
}
