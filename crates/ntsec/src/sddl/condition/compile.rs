//! Text to program.

use super::super::parse::Cursor;
use super::{
    AND, COMPOSITE, EXISTS, INT64, LOCAL_ATTRIBUTE, MAX_DEPTH, MEMBERSHIPS, NOT, NOT_EXISTS, OCTETS, OR, RELATIONS,
    SCOPES, SID, SIGNATURE, STRING, is_name_byte,
};
use crate::error::{Error, SddlProblem};

/// Reads a condition with its parentheses: the data of a callback ACE, padded to four bytes.
pub(in super::super) fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
    let mut out = SIGNATURE.to_vec();
    if cursor.peek() != Some(b'(') {
        return cursor.fail(SddlProblem::BadCondition);
    }
    primary(cursor, &mut out, 0)?;
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(out)
}

fn disjunction(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    conjunction(cursor, out, depth)?;
    while symbol(cursor, "||") {
        conjunction(cursor, out, depth)?;
        out.push(OR);
    }
    Ok(())
}

fn conjunction(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    primary(cursor, out, depth)?;
    while symbol(cursor, "&&") {
        primary(cursor, out, depth)?;
        out.push(AND);
    }
    Ok(())
}

fn primary(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    if depth >= MAX_DEPTH {
        return cursor.fail(SddlProblem::TooDeep);
    }
    cursor.skip_spaces();
    if cursor.peek() == Some(b'!') && cursor.rest().get(1) != Some(&b'=') {
        cursor.at += 1;
        primary(cursor, out, depth + 1)?;
        out.push(NOT);
        return Ok(());
    }
    if cursor.accept(b'(') {
        disjunction(cursor, out, depth + 1)?;
        cursor.skip_spaces();
        return cursor.expect(b')');
    }
    if let Some(code) = keyword(cursor, MEMBERSHIPS) {
        sid_list(cursor, out)?;
        out.push(code);
        return Ok(());
    }
    if let Some(code) = keyword(cursor, &[("Exists", EXISTS), ("Not_Exists", NOT_EXISTS)]) {
        attribute(cursor, out)?;
        out.push(code);
        return Ok(());
    }
    attribute(cursor, out)?;
    cursor.skip_spaces();
    if let Some(code) = relation(cursor) {
        value(cursor, out, depth)?;
        out.push(code);
    }
    Ok(())
}

/// Takes a symbol such as `&&`.
fn symbol(cursor: &mut Cursor<'_>, name: &str) -> bool {
    cursor.skip_spaces();
    let found = cursor.rest().starts_with(name.as_bytes());
    if found {
        cursor.at += name.len();
    }
    found
}

/// Takes a word that is not the beginning of a longer word.
fn keyword(cursor: &mut Cursor<'_>, table: &[(&str, u8)]) -> Option<u8> {
    let rest = cursor.rest();
    let (name, code) = table.iter().find(|(name, _)| {
        rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
            && !rest.get(name.len()).copied().is_some_and(is_name_byte)
    })?;
    cursor.at += name.len();
    Some(*code)
}

fn relation(cursor: &mut Cursor<'_>) -> Option<u8> {
    let symbolic = RELATIONS.iter().take(6).find(|(name, _)| cursor.rest().starts_with(name.as_bytes()));
    match symbolic {
        Some((name, code)) => {
            cursor.at += name.len();
            Some(*code)
        }
        None => keyword(cursor, &RELATIONS[6..]),
    }
}

fn attribute(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    cursor.skip_spaces();
    let rest = cursor.rest();
    let scope = SCOPES
        .iter()
        .find(|(name, _)| rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes())));
    let code = scope.map_or(LOCAL_ATTRIBUTE, |(name, code)| {
        cursor.at += name.len();
        *code
    });
    let start = cursor.at;
    while cursor.peek().is_some_and(is_name_byte) {
        cursor.at += 1;
    }
    let name = &cursor.text[start..cursor.at];
    if name.first().is_none_or(|first| first.is_ascii_digit()) {
        return Err(Error::sddl(start, SddlProblem::BadCondition));
    }
    push_string(out, code, &String::from_utf8_lossy(name));
    Ok(())
}

fn value(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    cursor.skip_spaces();
    match cursor.peek() {
        Some(b'{') => composite(cursor, out, depth),
        Some(b'"') => {
            let text = quoted(cursor)?;
            push_string(out, STRING, &text);
            Ok(())
        }
        Some(b'#') => octets(cursor, out),
        Some(b'0'..=b'9' | b'+' | b'-') => integer(cursor, out),
        Some(_) if cursor.rest().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SID(")) => sid(cursor, out),
        _ => attribute(cursor, out),
    }
}

fn composite(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    if depth >= MAX_DEPTH {
        return cursor.fail(SddlProblem::TooDeep);
    }
    cursor.expect(b'{')?;
    let place = begin(out, COMPOSITE);
    cursor.skip_spaces();
    if !cursor.accept(b'}') {
        loop {
            value(cursor, out, depth + 1)?;
            cursor.skip_spaces();
            if cursor.accept(b'}') {
                break;
            }
            cursor.expect(b',')?;
        }
    }
    finish(out, place);
    Ok(())
}

/// `{SID(BA), SID(WD)}`, or one SID without braces.
fn sid_list(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    cursor.skip_spaces();
    let place = begin(out, COMPOSITE);
    if cursor.accept(b'{') {
        loop {
            cursor.skip_spaces();
            sid(cursor, out)?;
            cursor.skip_spaces();
            if cursor.accept(b'}') {
                break;
            }
            cursor.expect(b',')?;
        }
    } else {
        sid(cursor, out)?;
    }
    finish(out, place);
    Ok(())
}

fn sid(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    if !cursor.rest().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SID(")) {
        return cursor.fail(SddlProblem::BadCondition);
    }
    cursor.at += 4;
    cursor.skip_spaces();
    let sid = cursor.sid()?;
    cursor.skip_spaces();
    cursor.expect(b')')?;
    let place = begin(out, SID);
    sid.write_to(out);
    finish(out, place);
    Ok(())
}

pub(in super::super) fn quoted(cursor: &mut Cursor<'_>) -> Result<String, Error> {
    cursor.expect(b'"')?;
    let start = cursor.at;
    while let Some(byte) = cursor.peek() {
        cursor.at += 1;
        if byte == b'"' {
            return Ok(String::from_utf8_lossy(&cursor.text[start..cursor.at - 1]).into_owned());
        }
    }
    cursor.fail(SddlProblem::Expected('"'))
}

fn octets(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    cursor.expect(b'#')?;
    let place = begin(out, OCTETS);
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(high) = digit(cursor.peek()) {
        let Some(low) = digit(cursor.rest().get(1).copied()) else {
            return cursor.fail(SddlProblem::BadCondition);
        };
        out.push((high << 4 | low) as u8);
        cursor.at += 2;
    }
    finish(out, place);
    Ok(())
}

fn integer(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = cursor.at;
    let sign = match cursor.peek() {
        Some(b'+') => 1,
        Some(b'-') => 2,
        _ => 3,
    };
    cursor.at += usize::from(sign != 3);
    let base = match cursor.rest() {
        [b'0', b'x' | b'X', ..] => 3,
        [b'0', b'0'..=b'7', ..] => 1,
        _ => 2,
    };
    let bad = Error::sddl(start, SddlProblem::BadCondition);
    let magnitude = if base == 1 {
        let mut value = 0_i64;
        while let Some(digit @ b'0'..=b'7') = cursor.peek() {
            value = value.checked_mul(8).and_then(|v| v.checked_add(i64::from(digit - b'0'))).ok_or(bad.clone())?;
            cursor.at += 1;
        }
        value
    } else {
        crate::sid::number(cursor.text, &mut cursor.at).and_then(|value| i64::try_from(value).ok()).ok_or(bad)?
    };
    out.push(INT64);
    out.extend_from_slice(&(if sign == 2 { -magnitude } else { magnitude }).to_le_bytes());
    out.extend_from_slice(&[sign, base]);
    Ok(())
}

fn push_string(out: &mut Vec<u8>, code: u8, text: &str) {
    let place = begin(out, code);
    out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    finish(out, place);
}

/// Starts a token whose length follows its code.
fn begin(out: &mut Vec<u8>, code: u8) -> usize {
    out.push(code);
    out.extend_from_slice(&[0; 4]);
    out.len()
}

fn finish(out: &mut [u8], place: usize) {
    // The text that produced this is bounded by the address space of a 32-bit length in practice; an ACE above 64 KiB is
    // refused later.
    let length = (out.len() - place) as u32;
    out[place - 4..place].copy_from_slice(&length.to_le_bytes());
}
