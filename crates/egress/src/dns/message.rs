//! DNS messages (RFC 1035 §4) with one question: just enough to be a stub that asks nobody.

use std::net::Ipv4Addr;

use ringfence_policy::DomainName;

use crate::code::Code;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question<'a> {
    id: [u8; 2],
    recursion_desired: bool,
    /// Name, type and class as they came, to be repeated in the answer.
    wire: &'a [u8],
    /// The name as it was asked, dots between the labels; not yet a host name.
    pub name: String,
    /// The record type.
    pub kind: u16,
    /// The class.
    pub class: u16,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One IPv4 address.
    Address(Ipv4Addr),
    /// The name exists, and has no record of that type.
    Empty,
    /// By policy.
    Refused,
    /// No address left to hand out.
    ServerFailure,
}

/// Type A.
pub(crate) const TYPE_A: u16 = 1;
/// Class IN.
pub(crate) const CLASS_IN: u16 = 1;

/// Reads a query.
///
/// # Errors
/// [`Code::DnsMalformed`] for everything but a standard query with exactly one uncompressed question.
pub(crate) fn read_question(message: &[u8]) -> Result<Question<'_>, Code> {
    let (header, body) = message.split_at_checked(HEADER).ok_or(Code::DnsMalformed)?;
    let counts = [header[4], header[5], header[6], header[7], header[8], header[9]];
    // QR and OPCODE must be zero; a question, and neither answers nor authorities. Additional records (EDNS) may follow.
    if header[2] & 0b1111_1000 != 0 || counts != [0, 1, 0, 0, 0, 0] {
        return Err(Code::DnsMalformed);
    }
    let mut rest = body;
    let mut name = String::new();
    loop {
        let (&length, after) = rest.split_first().ok_or(Code::DnsMalformed)?;
        if length == 0 {
            rest = after;
            break;
        }
        // The two high bits mark compression, which a question has nothing to point at.
        let (label, after) =
            (length <= 63).then(|| after.split_at_checked(length.into())).flatten().ok_or(Code::DnsMalformed)?;
        // A dot inside a label would make two names look like one.
        if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)) {
            return Err(Code::DnsMalformed);
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().copied().map(char::from));
        if name.len() > 253 {
            return Err(Code::DnsMalformed);
        }
        rest = after;
    }
    let [kind_high, kind_low, class_high, class_low, after @ ..] = rest else {
        return Err(Code::DnsMalformed);
    };
    Ok(Question {
        id: [header[0], header[1]],
        recursion_desired: header[2] & 1 != 0,
        wire: &body[..body.len() - after.len()],
        name,
        kind: u16::from_be_bytes([*kind_high, *kind_low]),
        class: u16::from_be_bytes([*class_high, *class_low]),
    })
}

impl Question<'_> {
    /// The name as a host name, where it can be one.
    pub(crate) fn domain(&self) -> Option<DomainName> {
        DomainName::parse(&self.name).ok()
    }

    /// The message that answers.
    pub(crate) fn reply(&self, answer: Answer) -> Vec<u8> {
        let (code, count) = match answer {
            Answer::Address(_) => (0, 1),
            Answer::Empty => (0, 0),
            Answer::ServerFailure => (2, 0),
            Answer::Refused => (5, 0),
        };
        let mut reply = Vec::with_capacity(HEADER + self.wire.len() + 16);
        reply.extend(self.id);
        // QR, AA for nobody, RD as asked; RA, so that clients do not complain.
        reply.extend([0x80 | u8::from(self.recursion_desired), 0x80 | code]);
        reply.extend([0, 1, 0, count, 0, 0, 0, 0]);
        reply.extend(self.wire);
        if let Answer::Address(address) = answer {
            reply.extend([0xc0, HEADER as u8]); // the name: a pointer to the question's
            reply.extend(TYPE_A.to_be_bytes());
            reply.extend(CLASS_IN.to_be_bytes());
            reply.extend(TTL.to_be_bytes());
            reply.extend([0, 4]);
            reply.extend(address.octets());
        }
        reply
    }
}

/// FORMERR for a message that could not be read, as far as its id is there.
pub(crate) fn reply_to_malformed(message: &[u8]) -> Option<Vec<u8>> {
    // Never an answer to an answer: two stubs would talk forever.
    match message {
        [high, low, flags, ..] if flags & 0x80 == 0 => Some(vec![*high, *low, 0x80, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]),
        _ => None,
    }
}

const HEADER: usize = 12;
/// Seconds. A synthetic address belongs to its name for the whole run.
const TTL: u32 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message
    }

    #[test]
    fn a_question_is_repeated_in_its_answer() {
        let message = query("Example.COM", TYPE_A);
        let question = read_question(&message).unwrap();
        assert_eq!(question.domain().unwrap().as_str(), "example.com");
        let reply = question.reply(Answer::Address(Ipv4Addr::new(198, 18, 0, 7)));
        assert_eq!(reply[..4], [0xab, 0xcd, 0x81, 0x80]);
        assert_eq!(reply[12..message.len()], message[12..]);
        assert_eq!(reply[reply.len() - 4..], [198, 18, 0, 7]);
        assert_eq!(question.reply(Answer::Refused)[3] & 0xf, 5);
    }

    #[test]
    fn what_is_not_one_plain_question_is_malformed() {
        let good = query("example.com", TYPE_A);
        assert!(read_question(&good).is_ok());
        for length in 0..good.len() {
            assert!(read_question(&good[..length]).is_err(), "cut at {length}");
        }
        for (at, value) in [(2, 0x81), (2, 0x28), (5, 2), (5, 0), (7, 1), (9, 1), (12, 0xc0), (13, b'.'), (13, 0)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(read_question(&bad), Err(Code::DnsMalformed), "byte {at} = {value}");
        }
        assert_eq!(reply_to_malformed(&[1, 2, 0x80, 0]), None);
        assert_eq!(reply_to_malformed(&[1, 2, 0]).unwrap()[3] & 0xf, 1);
    }
}
