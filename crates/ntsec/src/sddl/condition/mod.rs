//! Conditional expressions: text to the binary form that callback ACEs carry, and back
//! (grammar: MS-DTYP §2.5.1.1; encoding: §2.4.4.17).
//!
//! The binary form is a postfix program after the signature `artx`. It is preserved byte for byte in a descriptor that is only
//! read and written; these functions are for SDDL. **No condition is ever evaluated here**: see
//! [`Conditions`](crate::Conditions).

mod compile;
mod decompile;

pub(super) use compile::{parse, quoted};
pub(super) use decompile::{utf16, write};

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

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'/' | b'#' | b'$' | b'%') || byte >= 0x80
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
        let ace = ace("(@User.Title==\"PM\" && (@User.Division==\"Finance\" || @User.Division ==\" Sales\"))").unwrap();
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
            assert_eq!(ace_to_sddl(&ace).unwrap(), format!("(XA;;FX;;;WD;{condition})"));
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
        assert_eq!(problem(&format!("({}a)", "!".repeat(1 << 20))), SddlProblem::TooDeep);
        assert_eq!(problem(&format!("(a == {}", "{".repeat(1 << 20))), SddlProblem::TooDeep);
        assert_eq!(problem("(a == \"open"), SddlProblem::Expected('"'));
        assert_eq!(problem("(a == 99999999999999999999)"), SddlProblem::BadCondition);
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
            // A lone SID where text always makes a list: reading the text back would give other bytes.
            b"artx\x51\x0c\0\0\0\x01\x01\0\0\0\0\0\x01\0\0\0\0\x89\0\0",
            // `Exists` of a comparison: as text it would be a comparison of an existence.
            b"artx\xf8\x02\0\0\0a\0\xf8\x02\0\0\0b\0\x80\x87\0\0\0",
        ] {
            assert_eq!(super::write(data), None, "{data:?}");
        }
    }
}
