//! Descriptor to text.

use core::fmt::Write;

use super::tables::{ACL_FLAGS, BITS, FLAGS, KINDS, LABEL, MASKS, NULL_ACL};
use super::{attribute, condition};
use crate::error::Error;
use crate::{AccessMask, Ace, AceKind, AclState, SecurityDescriptor, Sid};

pub(super) fn descriptor(descriptor: &SecurityDescriptor) -> Result<String, Error> {
    let mut out = String::new();
    for (letter, sid) in [("O:", &descriptor.owner), ("G:", &descriptor.group)] {
        if let Some(sid) = sid {
            out.push_str(letter);
            write_sid(&mut out, sid);
        }
    }
    for (letter, is_sacl, state) in [("D:", false, &descriptor.dacl), ("S:", true, &descriptor.sacl)] {
        if *state == AclState::Absent || (is_sacl && *state == AclState::Null) {
            continue;
        }
        out.push_str(letter);
        for (name, dacl, sacl) in ACL_FLAGS {
            if descriptor.control.contains(if is_sacl { *sacl } else { *dacl }) {
                out.push_str(name);
            }
        }
        if *state == AclState::Null {
            out.push_str(NULL_ACL);
        }
        for (index, ace) in state.aces().iter().enumerate() {
            out.push_str(&ace_at(ace, index)?);
        }
    }
    Ok(out)
}

/// Writes one ACE in parentheses: `(A;OICI;FA;;;BA)`.
///
/// # Errors
/// The ACE's type or data has no SDDL form.
pub fn write_ace(ace: &Ace) -> Result<String, Error> {
    ace_at(ace, 0)
}

fn ace_at(ace: &Ace, index: usize) -> Result<String, Error> {
    let no_form = || Error::NoSddlForm { index, kind: ace.kind.byte() };
    let (name, _) = KINDS.iter().find(|(_, kind)| *kind == ace.kind).ok_or_else(no_form)?;
    let mut out = format!("({name};");
    for (name, flag) in FLAGS {
        let is_filter = ace.kind == AceKind::AccessFilter;
        let shown = match *name {
            "TP" => is_filter,
            "SA" => !is_filter,
            _ => true,
        };
        if shown && ace.flags.contains(*flag) {
            out.push_str(name);
        }
    }
    out.push(';');
    write_rights(&mut out, ace);
    for guid in [ace.objects.object, ace.objects.inherited] {
        out.push(';');
        if let Some(guid) = guid {
            // Writing to a String cannot fail.
            let _ = write!(out, "{guid}");
        }
    }
    out.push(';');
    write_sid(&mut out, &ace.sid);
    match ace.kind {
        AceKind::ResourceAttribute => {
            out.push(';');
            out.push_str(&attribute::write(&ace.data).ok_or_else(no_form)?);
        }
        kind if kind.is_conditional() => {
            out.push(';');
            out.push_str(&condition::write(&ace.data).ok_or_else(no_form)?);
        }
        _ if !ace.data.is_empty() => return Err(no_form()),
        _ => {}
    }
    out.push(')');
    Ok(out)
}

pub(super) fn write_sid(out: &mut String, sid: &Sid) {
    match sid.sddl_alias() {
        Some(alias) => out.push_str(alias),
        None => {
            let _ = write!(out, "{sid}");
        }
    }
}

/// Windows' choice: a name for the whole mask, else one name per bit if every bit has one, else a number.
fn write_rights(out: &mut String, ace: &Ace) {
    let is_label = ace.kind == AceKind::MandatoryLabel;
    let bits = if is_label { LABEL } else { BITS };
    if ace.mask.is_empty() && ace.kind == AceKind::ResourceAttribute {
        return;
    }
    if !is_label && let Some((name, _)) = MASKS.iter().find(|(_, mask)| *mask == ace.mask) {
        out.push_str(name);
        return;
    }
    let named = bits.iter().fold(AccessMask::NONE, |all, (_, bit)| all | *bit);
    if ace.mask.is_empty() || !named.contains(ace.mask) {
        let _ = write!(out, "{:#x}", ace.mask.0);
        return;
    }
    for (name, bit) in bits {
        if ace.mask.contains(*bit) {
            out.push_str(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::{Error, SddlProblem};
    use crate::{Ace, AclState, Control, SecurityDescriptor};

    fn round_trip(text: &str) -> SecurityDescriptor {
        let descriptor: SecurityDescriptor = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(descriptor.to_sddl().unwrap(), text);
        let bytes = descriptor.to_bytes().unwrap();
        assert_eq!(SecurityDescriptor::from_bytes(&bytes).unwrap(), descriptor, "{text}");
        descriptor
    }

    #[test]
    fn descriptors_of_real_windows_machines() {
        // C:\Windows, C:\ and the System32 of a stock installation, as icacls /save prints them.
        round_trip(
            "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:S-1-5-80-956008885-3418522649-1831038044-\
             1853292631-2271478464D:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;BA)(A;;0x1301bf;;;\
             BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;CIIO;GA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-\
             2271478464)(A;;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)(A;;0x1200a9;;;AC)(A;OICIIO;\
             GXGR;;;AC)(A;;0x1200a9;;;S-1-15-2-2)(A;OICIIO;GXGR;;;S-1-15-2-2)"
                .replace(char::is_whitespace, "")
                .as_str(),
        );
        round_trip("D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;SDGXGWGR;;;AU)(A;;LC;;;AU)(A;OICI;0x1200a9;;;BU)");
        round_trip(
            "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)S:(AU;FA;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)",
        );
        round_trip("O:SYG:SYD:AR(A;;KA;;;BA)S:(ML;OICI;NWNR;;;HI)");
        round_trip("O:BAG:BAD:(OA;;CR;00299570-246d-11d0-a768-00aa006e0529;bf967aba-0de6-11d0-a285-00aa003049e2;PS)");
    }

    #[test]
    fn null_empty_and_absent() {
        assert_eq!(round_trip("D:NO_ACCESS_CONTROL").dacl, AclState::Null);
        assert_eq!(round_trip("D:").dacl.aces(), []);
        assert_eq!(round_trip("O:BA").dacl, AclState::Absent);
        let protected = round_trip("D:PNO_ACCESS_CONTROL");
        assert_eq!((protected.dacl, protected.control), (AclState::Null, Control::DACL_PROTECTED));
    }

    #[test]
    fn notations_that_mean_the_same() {
        for (text, same) in [
            ("d:(a;oici;fa;;;ba)", "D:(A;OICI;FA;;;BA)"),
            ("D: ( A ; ; 0x1F01FF ; ; ; S-1-5-32-544 )", "D:(A;;FA;;;BA)"),
            ("D:(A;;2032127;;;BA)", "D:(A;;FA;;;BA)"),
            ("D:(A;;GRGX;;;BA)", "D:(A;;GXGR;;;BA)"),
            ("S:(ML;;NW;;;S-1-16-8192)D:G:SYO:BA", "O:BAG:SYD:S:(ML;;NW;;;ME)"),
            ("O:S-1-5-0xDD:", "O:S-1-5-13D:"),
        ] {
            let descriptor: SecurityDescriptor = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(descriptor.to_sddl().unwrap(), same);
        }
    }

    #[test]
    fn mistakes_are_reported_where_they_are() {
        for (text, offset, problem) in [
            ("X:", 0, SddlProblem::UnknownSection),
            ("O:BAO:BA", 4, SddlProblem::DuplicateSection),
            ("O:QQ", 2, SddlProblem::UnknownSidAlias),
            ("O:", 2, SddlProblem::UnknownSidAlias),
            ("O:DA", 2, SddlProblem::NeedsDomain),
            ("O:S-1-5-", 8, SddlProblem::BadSubAuthority),
            ("D:Q(A;;FA;;;BA)", 2, SddlProblem::UnknownAclFlag),
            ("D:(QQ;;FA;;;BA)", 3, SddlProblem::UnknownAceType),
            ("D:(A;OIQQ;FA;;;BA)", 7, SddlProblem::UnknownAceFlag),
            ("D:(A;;FAQ;;;BA)", 8, SddlProblem::UnknownRight),
            ("D:(A;;0x100000000;;;BA)", 6, SddlProblem::UnknownRight),
            ("D:(A;;0xzz;;;BA)", 6, SddlProblem::UnknownRight),
            ("D:(A;;FA;00299570-246d-11d0-a768-00aa006e0529;;BA)", 9, SddlProblem::UnexpectedGuid),
            ("D:(OA;;CR;nonsense;;BA)", 10, SddlProblem::BadGuid),
            ("D:(A;;FA;;;BA", 13, SddlProblem::Expected(')')),
            ("D:(A;;FA)", 8, SddlProblem::Expected(';')),
            ("D:(A;;FA;;;BA)x", 14, SddlProblem::UnknownSection),
            ("D:(AU;SA;FA;;;BA)", 2, SddlProblem::WrongAcl),
            ("S:(A;;FA;;;BA)", 2, SddlProblem::WrongAcl),
            ("D:NO_ACCESS_CONTROL(A;;FA;;;BA)", 19, SddlProblem::NullAclWithAces),
            ("S:NO_ACCESS_CONTROL", 2, SddlProblem::NullAclWithAces),
            ("D:(A;;FA;;;BA;(1==1))", 14, SddlProblem::ConditionMismatch),
            ("D:(XA;;FA;;;BA)", 14, SddlProblem::ConditionMismatch),
            ("O:é", 2, SddlProblem::UnknownSidAlias),
        ] {
            assert_eq!(text.parse::<SecurityDescriptor>(), Err(Error::sddl(offset, problem)), "{text}");
        }
        assert!("(A;;FA;;;BA)".parse::<Ace>().is_ok());
        assert_eq!("(A;;FA;;;BA)D:".parse::<Ace>(), Err(Error::sddl(12, SddlProblem::Unexpected)));
    }

    #[test]
    fn a_megabyte_of_aces_stops_at_the_limit() {
        let text = format!("D:{}", "(A;;FA;;;BA)".repeat(90_000));
        let error = text.parse::<SecurityDescriptor>().unwrap_err();
        assert!(matches!(error, Error::Sddl { problem: SddlProblem::TooLarge, .. }));
    }
}
