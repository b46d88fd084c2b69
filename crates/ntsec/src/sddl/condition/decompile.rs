//! Program to text.

use super::super::Domains;
use super::super::parse::Cursor;
use super::{
    AND, COMPOSITE, EXISTS, INT64, LOCAL_ATTRIBUTE, MAX_DEPTH, MEMBERSHIPS, NOT, NOT_EXISTS, OCTETS, OR, RELATIONS,
    SCOPES, SIGNATURE, STRING, is_name_byte, parse,
};
use crate::Sid;
use crate::error::Structure;
use crate::reader::Reader;

/// Writes the condition of a callback ACE with its parentheses; `None` if no text stands for exactly these bytes.
pub(in super::super) fn write(data: &[u8]) -> Option<String> {
    let text = decompile(data.strip_prefix(SIGNATURE)?)?;
    // A program that text cannot express could come out as another condition; reading it back finds out.
    let domains = Domains::default();
    let again = parse(&mut Cursor::new(&text, &domains)).ok()?;
    (again == data).then_some(text)
}

/// A part of the expression while it is put together.
struct Operand {
    text: String,
    precedence: Precedence,
    /// Levels of parentheses and negations, each of which costs a copy of the text.
    depth: usize,
    /// An attribute or a literal, which the operators on values take.
    is_leaf: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Or,
    And,
    Unary,
}

fn decompile(program: &[u8]) -> Option<String> {
    let mut reader = Reader::new(program, Structure::Condition);
    let mut stack: Vec<Operand> = Vec::new();
    let predicate = |text: String| Operand { text, precedence: Precedence::Unary, depth: 0, is_leaf: false };
    while !reader.rest().is_empty() {
        let code = reader.u8().ok()?;
        let operand = match code {
            0 if reader.rest().iter().all(|byte| *byte == 0) => break,
            AND | OR => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let precedence = if code == AND { Precedence::And } else { Precedence::Or };
                let mut joined = bracketed(left, precedence, false)?;
                let right = bracketed(right, precedence, true)?;
                joined.text.push_str(if code == AND { " && " } else { " || " });
                joined.text.push_str(&right.text);
                Operand { precedence, depth: joined.depth.max(right.depth), is_leaf: false, ..joined }
            }
            NOT => {
                let inner = stack.pop()?;
                let depth = deeper(inner.depth)?;
                Operand { depth, ..predicate(format!("!({})", inner.text)) }
            }
            EXISTS => predicate(format!("Exists {}", leaf(&mut stack)?)),
            NOT_EXISTS => predicate(format!("Not_Exists {}", leaf(&mut stack)?)),
            code => {
                if let Some((name, _)) = MEMBERSHIPS.iter().find(|(_, known)| *known == code) {
                    predicate(format!("{name} {}", leaf(&mut stack)?))
                } else if let Some((name, _)) = RELATIONS.iter().find(|(_, known)| *known == code) {
                    let (right, left) = (leaf(&mut stack)?, leaf(&mut stack)?);
                    predicate(format!("{left} {name} {right}"))
                } else {
                    Operand { is_leaf: true, ..predicate(literal(code, &mut reader, 0)?) }
                }
            }
        };
        stack.push(operand);
    }
    match stack.as_slice() {
        [whole] => Some(format!("({})", whole.text)),
        _ => None,
    }
}

/// Parentheses where the grammar would otherwise read another tree; operators associate to the left.
fn bracketed(operand: Operand, outer: Precedence, is_right: bool) -> Option<Operand> {
    let inner = operand.precedence;
    if inner < outer || (is_right && inner == outer) {
        let depth = deeper(operand.depth)?;
        Some(Operand { text: format!("({})", operand.text), precedence: Precedence::Unary, depth, is_leaf: false })
    } else {
        Some(operand)
    }
}

/// The text of an operand that is an attribute or a literal.
fn leaf(stack: &mut Vec<Operand>) -> Option<String> {
    stack.pop().filter(|operand| operand.is_leaf).map(|operand| operand.text)
}

/// One level more, unless reading the text back would refuse it.
fn deeper(depth: usize) -> Option<usize> {
    (depth < MAX_DEPTH).then_some(depth + 1)
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
        STRING => utf16(body).filter(|text| !text.contains('"')).map(|text| format!("\"{text}\"")),
        OCTETS => Some(body.iter().fold(String::from("#"), |text, byte| text + &format!("{byte:02x}"))),
        super::SID => Sid::from_bytes(body).ok().map(|sid| match sid.sddl_alias() {
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
            utf16(body).filter(|name| is_name(name)).map(|name| format!("{scope}{name}"))
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name_byte) && !name.as_bytes()[0].is_ascii_digit()
}

pub(in super::super) fn utf16(bytes: &[u8]) -> Option<String> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok()
}
