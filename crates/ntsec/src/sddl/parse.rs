//! Text to descriptor.

use super::tables::{ACL_FLAGS, BITS, FLAGS, KINDS, LABEL, MASKS, NULL_ACL, word};
use super::{Domains, attribute, condition};
use crate::error::{Error, SddlProblem};
use crate::sid::{number, well_known};
use crate::{AccessMask, Ace, AceFlags, AceKind, Acl, AclState, Guid, ObjectTypes, SecurityDescriptor, Sid};

/// A position in the text. Shared with the parsers of conditions and attributes.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) domains: &'a Domains,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, domains: &'a Domains) -> Self {
        Cursor { text: text.as_bytes(), at: 0, domains }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn fail<T>(&self, problem: SddlProblem) -> Result<T, Error> {
        Err(Error::sddl(self.at, problem))
    }

    pub(super) fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next.
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.accept(byte) { Ok(()) } else { self.fail(SddlProblem::Expected(char::from(byte))) }
    }

    pub(super) fn sid(&mut self) -> Result<Sid, Error> {
        let start = self.at;
        let (sid, length) =
            well_known::parse_prefix(self.rest(), self.domains).map_err(|error| error.shifted(start))?;
        self.at += length;
        Ok(sid)
    }

    /// The field up to the next `;`, without surrounding spaces.
    fn field(&mut self) -> Result<&'a [u8], Error> {
        self.skip_spaces();
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b';' => {
                    let field = self.text[start..self.at].trim_ascii_end();
                    self.at += 1;
                    return Ok(field);
                }
                b'(' | b')' => break,
                _ => self.at += 1,
            }
        }
        self.fail(SddlProblem::Expected(';'))
    }
}

pub(super) fn descriptor(text: &str, domains: &Domains) -> Result<SecurityDescriptor, Error> {
    let mut cursor = Cursor::new(text, domains);
    let mut descriptor = SecurityDescriptor::default();
    let mut seen = [false; 4];
    loop {
        cursor.skip_spaces();
        let start = cursor.at;
        let section = match cursor.rest() {
            [] => return Ok(descriptor),
            [letter, b':', ..] => b"OGDS".iter().position(|known| *known == letter.to_ascii_uppercase()),
            _ => None,
        };
        let Some(section) = section else {
            return cursor.fail(SddlProblem::UnknownSection);
        };
        if core::mem::replace(&mut seen[section], true) {
            return Err(Error::sddl(start, SddlProblem::DuplicateSection));
        }
        cursor.at += 2;
        cursor.skip_spaces();
        match section {
            0 => descriptor.owner = Some(cursor.sid()?),
            1 => descriptor.group = Some(cursor.sid()?),
            2 => descriptor.dacl = acl(&mut cursor, &mut descriptor.control, false)?,
            _ => descriptor.sacl = acl(&mut cursor, &mut descriptor.control, true)?,
        }
    }
}

pub(super) fn single_ace(text: &str, domains: &Domains) -> Result<Ace, Error> {
    let mut cursor = Cursor::new(text, domains);
    let ace = ace(&mut cursor)?;
    if cursor.rest().is_empty() { Ok(ace) } else { cursor.fail(SddlProblem::Unexpected) }
}

fn acl(cursor: &mut Cursor<'_>, control: &mut crate::Control, is_sacl: bool) -> Result<AclState, Error> {
    let mut null = false;
    loop {
        cursor.skip_spaces();
        let rest = cursor.rest();
        let starts = |name: &str| rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
        if matches!(rest, [] | [b'(', ..] | [_, b':', ..]) {
            break;
        } else if starts(NULL_ACL) {
            if is_sacl {
                return cursor.fail(SddlProblem::NullAclWithAces);
            }
            null = true;
            cursor.at += NULL_ACL.len();
        } else if let Some((name, dacl, sacl)) = ACL_FLAGS.iter().find(|(name, ..)| starts(name)) {
            *control |= if is_sacl { *sacl } else { *dacl };
            cursor.at += name.len();
        } else {
            return cursor.fail(SddlProblem::UnknownAclFlag);
        }
    }
    let mut aces = Vec::new();
    let mut size = 8;
    while cursor.peek() == Some(b'(') {
        let start = cursor.at;
        if null {
            return cursor.fail(SddlProblem::NullAclWithAces);
        }
        let ace = ace(cursor)?;
        if (ace.kind.is_allow() || ace.kind.is_deny()) == is_sacl {
            return Err(Error::sddl(start, SddlProblem::WrongAcl));
        }
        size += ace.byte_len();
        if size > Acl::MAX_BYTES {
            return Err(Error::sddl(start, SddlProblem::TooLarge));
        }
        aces.push(ace);
        cursor.skip_spaces();
    }
    Ok(if null { AclState::Null } else { AclState::Present(Acl::from_aces(aces)) })
}

fn ace(cursor: &mut Cursor<'_>) -> Result<Ace, Error> {
    cursor.expect(b'(')?;
    let start = cursor.at;
    let name = cursor.field()?;
    let kind = word(KINDS, name).ok_or(Error::sddl(start, SddlProblem::UnknownAceType))?;
    let start = cursor.at;
    let flags = flags(cursor.field()?).map_err(|error| error.shifted(start))?;
    let start = cursor.at;
    let mask = rights(cursor.field()?).map_err(|error| error.shifted(start))?;
    let objects = ObjectTypes { object: guid(cursor, kind)?, inherited: guid(cursor, kind)? };
    cursor.skip_spaces();
    let sid = cursor.sid()?;
    cursor.skip_spaces();
    let data = if cursor.accept(b';') {
        cursor.skip_spaces();
        match kind {
            AceKind::ResourceAttribute => attribute::parse(cursor)?,
            kind if kind.is_conditional() => condition::parse(cursor)?,
            _ => return cursor.fail(SddlProblem::ConditionMismatch),
        }
    } else if kind.is_conditional() || kind == AceKind::ResourceAttribute {
        return cursor.fail(SddlProblem::ConditionMismatch);
    } else {
        Vec::new()
    };
    cursor.skip_spaces();
    cursor.expect(b')')?;
    Ok(Ace { kind, flags, mask, sid, objects, data })
}

fn flags(field: &[u8]) -> Result<AceFlags, Error> {
    let mut flags = AceFlags::empty();
    for (place, name) in field.chunks(2).enumerate() {
        flags |= word(FLAGS, name).ok_or(Error::sddl(2 * place, SddlProblem::UnknownAceFlag))?;
    }
    Ok(flags)
}

fn rights(field: &[u8]) -> Result<AccessMask, Error> {
    if field.first().is_some_and(u8::is_ascii_digit) {
        let mut at = 0;
        return number(field, &mut at)
            .filter(|_| at == field.len())
            .and_then(|value| u32::try_from(value).ok())
            .map(AccessMask)
            .ok_or(Error::sddl(0, SddlProblem::UnknownRight));
    }
    let mut mask = AccessMask::NONE;
    for (place, name) in field.chunks(2).enumerate() {
        mask |= word(MASKS, name)
            .or_else(|| word(BITS, name))
            .or_else(|| word(LABEL, name))
            .ok_or(Error::sddl(2 * place, SddlProblem::UnknownRight))?;
    }
    Ok(mask)
}

fn guid(cursor: &mut Cursor<'_>, kind: AceKind) -> Result<Option<Guid>, Error> {
    let start = cursor.at;
    let field = cursor.field()?;
    if field.is_empty() {
        return Ok(None);
    }
    if !kind.has_object_types() {
        return Err(Error::sddl(start, SddlProblem::UnexpectedGuid));
    }
    core::str::from_utf8(field)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(Error::sddl(start, SddlProblem::BadGuid))
}
