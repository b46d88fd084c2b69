//! Conditional expressions: text to the binary form that callback ACEs carry, and back
//! (grammar: MS-DTYP §2.5.1.1; encoding: §2.4.4.17).
//!
//! The binary form is a postfix program after the signature `artx`. It is preserved byte for byte in a descriptor that is only
//! read and written; these functions are for SDDL. **No condition is ever evaluated here**: see
//! [`Conditions`](crate::Conditions).

use super::parse::Cursor;
use crate::Sid;
use crate::error::{Error, SddlProblem, Structure};
use crate::reader::Reader;

const SIGNATURE: &[u8; 4] = b"artx";
/// Deeper nesting is refused: the parser is recursive, and hostile text must not exhaust the stack.
const MAX_DEPTH: usize = 64;

const STRING: u8 = 0x10;
const OCTETS: u8 = 0x18;
const COMPOSITE: u8 = 0x50;
const SID: u8 = 0x51;
const INT64: u8 = 0x04;
const EXISTS: u8 = 0x87;
const NOT_EXISTS: u8 = 0x8d;
const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const LOCAL_ATTRIBUTE: u8 = 0xf8;

/// Attribute scopes (§2.4.4.17.8).
const SCOPES: &[(&str, u8)] = &[("@User.", 0xf9), ("@Resource.", 0xfa), ("@Device.", 0xfb)];

/// Binary operators between an attribute and a value (§2.4.4.17.6). Longer symbols first.
const RELATIONS: &[(&str, u8)] = &[
    ("==", 0x80),
    ("!=", 0x81),
    ("<=", 0x83),
    (">=", 0x85),
    ("<", 0x82),
    (">", 0x84),
    ("Contains", 0x86),
    ("Any_of", 0x88),
    ("Not_Contains", 0x8e),
    ("Not_Any_of", 0x8f),
];

/// Operators on a list of SIDs. Longer names first, as one may begin with another.
const MEMBERSHIPS: &[(&str, u8)] = &[
    ("Member_of_Any", 0x8b),
    ("Member_of", 0x89),
    ("Device_Member_of_Any", 0x8c),
    ("Device_Member_of", 0x8a),
    ("Not_Member_of_Any", 0x92),
    ("Not_Member_of", 0x90),
    ("Not_Device_Member_of_Any", 0x93),
    ("Not_Device_Member_of", 0x91),
];

/// Reads a condition with its parentheses: the data of a callback ACE, padded to four bytes.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
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
        rest.get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
            && !rest.get(name.len()).copied().is_some_and(is_name_byte)
    })?;
    cursor.at += name.len();
    Some(*code)
}

fn relation(cursor: &mut Cursor<'_>) -> Option<u8> {
    let symbolic = RELATIONS
        .iter()
        .take(6)
        .find(|(name, _)| cursor.rest().starts_with(name.as_bytes()));
    match symbolic {
        Some((name, code)) => {
            cursor.at += name.len();
            Some(*code)
        }
        None => keyword(cursor, &RELATIONS[6..]),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b':' | b'.' | b'/' | b'#' | b'$' | b'%')
        || byte >= 0x80
}

fn attribute(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    cursor.skip_spaces();
    let rest = cursor.rest();
    let scope = SCOPES.iter().find(|(name, _)| {
        rest.get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    });
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
        Some(_)
            if cursor
                .rest()
                .get(..4)
                .is_some_and(|head| head.eq_ignore_ascii_case(b"SID(")) =>
        {
            sid(cursor, out)
        }
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
    if !cursor
        .rest()
        .get(..4)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"SID("))
    {
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

pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Result<String, Error> {
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
            value = value
                .checked_mul(8)
                .and_then(|v| v.checked_add(i64::from(digit - b'0')))
                .ok_or(bad.clone())?;
            cursor.at += 1;
        }
        value
    } else {
        crate::sid::number(cursor.text, &mut cursor.at)
            .and_then(|value| i64::try_from(value).ok())
            .ok_or(bad)?
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

/// Writes the condition of a callback ACE with its parentheses; `None` if the bytes are no expression.
pub(super) fn write(data: &[u8]) -> Option<String> {
    let program = data.strip_prefix(SIGNATURE)?;
    let mut reader = Reader::new(program, Structure::Condition);
    // Every operand with the precedence of its outermost operator, so that no needless parentheses are written.
    let mut stack: Vec<(String, Precedence)> = Vec::new();
    // A hostile program could double the text with every operator; the result of honest ones is bounded by their length.
    let limit = 16 * data.len() + 64;
    while !reader.rest().is_empty() {
        let code = reader.u8().ok()?;
        let entry = match code {
            0 if reader.rest().iter().all(|byte| *byte == 0) => break,
            AND | OR => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let (symbol, level) = if code == AND {
                    ("&&", Precedence::And)
                } else {
                    ("||", Precedence::Or)
                };
                (
                    format!(
                        "{} {symbol} {}",
                        bracketed(left, level, false),
                        bracketed(right, level, true)
                    ),
                    level,
                )
            }
            NOT => (format!("!({})", stack.pop()?.0), Precedence::Unary),
            EXISTS => (format!("Exists {}", stack.pop()?.0), Precedence::Unary),
            NOT_EXISTS => (format!("Not_Exists {}", stack.pop()?.0), Precedence::Unary),
            code => {
                if let Some((name, _)) = MEMBERSHIPS.iter().find(|(_, known)| *known == code) {
                    (format!("{name} {}", stack.pop()?.0), Precedence::Unary)
                } else if let Some((name, _)) = RELATIONS.iter().find(|(_, known)| *known == code) {
                    let (right, left) = (stack.pop()?.0, stack.pop()?.0);
                    (format!("{left} {name} {right}"), Precedence::Unary)
                } else {
                    (literal(code, &mut reader, 0)?, Precedence::Unary)
                }
            }
        };
        if entry.0.len() > limit {
            return None;
        }
        stack.push(entry);
    }
    match stack.as_slice() {
        [(text, _)] => Some(format!("({text})")),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Or,
    And,
    Unary,
}

/// Parentheses where the grammar would otherwise read another tree; operators associate to the left.
fn bracketed((text, inner): (String, Precedence), outer: Precedence, is_right: bool) -> String {
    if inner < outer || (is_right && inner == outer) {
        format!("({text})")
    } else {
        text
    }
}

fn literal(code: u8, reader: &mut Reader<'_>, depth: usize) -> Option<String> {
    if depth >= MAX_DEPTH {
        return None;
    }
    if (0x01..=INT64).contains(&code) {
        let value = i64::from_le_bytes(reader.take(8).ok()?.try_into().ok()?);
        let (sign, base) = (reader.u8().ok()?, reader.u8().ok()?);
        // Only the width of 64 bits is ever produced by text; another width would not come back.
        if code != INT64 || !(1..=3).contains(&sign) || (sign == 2) != (value < 0) && value != 0 {
            return None;
        }
        let sign = ["+", "-", ""][usize::from(sign) - 1];
        let magnitude = value.unsigned_abs();
        return match base {
            1 => Some(format!("{sign}0{magnitude:o}")),
            2 => Some(format!("{sign}{magnitude}")),
            3 => Some(format!("{sign}{magnitude:#x}")),
            _ => None,
        };
    }
    let length = usize::try_from(reader.u32().ok()?).ok()?;
    let body = reader.take(length).ok()?;
    match code {
        STRING => utf16(body)
            .filter(|text| !text.contains('"'))
            .map(|text| format!("\"{text}\"")),
        OCTETS => Some(body.iter().fold(String::from("#"), |text, byte| {
            text + &format!("{byte:02x}")
        })),
        SID => Sid::from_bytes(body)
            .ok()
            .map(|sid| match sid.sddl_alias() {
                Some(alias) => format!("SID({alias})"),
                None => format!("SID({sid})"),
            }),
        COMPOSITE => {
            let mut inner = Reader::new(body, Structure::Condition);
            let mut items = Vec::new();
            while !inner.rest().is_empty() {
                let code = inner.u8().ok()?;
                items.push(literal(code, &mut inner, depth + 1)?);
            }
            Some(format!("{{{}}}", items.join(", ")))
        }
        LOCAL_ATTRIBUTE => utf16(body).filter(|name| is_name(name)),
        code => {
            let (scope, _) = SCOPES.iter().find(|(_, known)| *known == code)?;
            utf16(body)
                .filter(|name| is_name(name))
                .map(|name| format!("{scope}{name}"))
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name_byte) && !name.as_bytes()[0].is_ascii_digit()
}

pub(super) fn utf16(bytes: &[u8]) -> Option<String> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use crate::error::{Error, SddlProblem};
    use crate::{Ace, ace_to_sddl};

    fn ace(condition: &str) -> Result<Ace, Error> {
        format!("(XA;;FX;;;WD;{condition})").parse()
    }

    #[test]
    fn the_example_of_ms_dtyp_2_5_1_1_has_its_documented_bytes() {
        // (XA; ;FX;;;S-1-1-0; (@User.Title=="PM" && (@User.Division=="Finance" || @User.Division ==" Sales")))
        let ace = ace(
            "(@User.Title==\"PM\" && (@User.Division==\"Finance\" || @User.Division ==\" Sales\"))",
        )
        .unwrap();
        assert_eq!(&ace.data[..9], b"artx\xf9\x0a\0\0\0");
        assert_eq!(&ace.data[9..19], b"T\0i\0t\0l\0e\0");
        assert_eq!(&ace.data[19..29], b"\x10\x04\0\0\0P\0M\0\x80");
        let end = ace.data.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(&ace.data[end - 2..=end], [0x80, 0xa1, 0xa0]);
    }

    #[test]
    fn text_comes_back() {
        for condition in [
            "(@User.Title == \"PM\" && (@User.Division == \"Finance\" || @User.Division == \" Sales\"))",
            "(Member_of {SID(BA), SID(S-1-5-21-1-2-3-4)} && !(Exists WIN://SYSAPPID))",
            "(@Resource.dept Any_of {\"Sales\", \"HR\"} || clearance >= -7)",
            "(a == 0x1f && b != 017 && c < +5)",
            "(a || b && c || (d || e))",
            "(@Device.Bitlocker == #0aff)",
        ] {
            let ace = ace(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
            assert_eq!(
                ace_to_sddl(&ace).unwrap(),
                format!("(XA;;FX;;;WD;{condition})")
            );
        }
    }

    #[test]
    fn hostile_conditions_fail_fast() {
        let problem = |condition: &str| match ace(condition) {
            Err(Error::Sddl { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        assert_eq!(problem(&"(".repeat(1 << 20)), SddlProblem::TooDeep);
        assert_eq!(problem(&"!".repeat(1 << 20)), SddlProblem::BadCondition);
        assert_eq!(
            problem(&format!("({}a)", "!".repeat(1 << 20))),
            SddlProblem::TooDeep
        );
        assert_eq!(
            problem(&format!("(a == {}", "{".repeat(1 << 20))),
            SddlProblem::TooDeep
        );
        assert_eq!(problem("(a == \"open"), SddlProblem::Expected('"'));
        assert_eq!(
            problem("(a == 99999999999999999999)"),
            SddlProblem::BadCondition
        );
        assert_eq!(problem("()"), SddlProblem::BadCondition);
        assert_eq!(problem("(Member_of {BA})"), SddlProblem::BadCondition);
    }

    #[test]
    fn bytes_that_are_no_expression_have_no_text() {
        for data in [
            &b"artx\xa0"[..],
            b"artx\x87",
            b"artx\x10\xff\xff\xff\xff",
            b"none",
            b"artx",
            b"artx\x50\x05\0\0\0\x10\xff\0\0\0",
        ] {
            assert_eq!(super::write(data), None, "{data:?}");
        }
    }
}
