//! The rules one by one, each in both directions.

use super::*;
use crate::{Group, GroupAttributes, Lowbox, Restricting};

const USER: &str = "S-1-5-21-1-2-3-1001";
const SANDBOX: &str = "S-1-5-21-9-9-9-3735000001";
const PACKAGE: &str = "S-1-15-2-1-2-3-4-5-6-7";

fn token(lines: &str) -> Token {
    format!("user {USER}\ngroup WD\ngroup BU\n{lines}").parse().unwrap()
}

fn descriptor(sddl: &str) -> SecurityDescriptor {
    sddl.parse().unwrap_or_else(|error| panic!("{sddl}: {error}"))
}

fn maximum(lines: &str, sddl: &str) -> AccessMask {
    AccessCheck::new(&token(lines), &descriptor(sddl), ObjectType::File).maximum()
}

fn decide(lines: &str, sddl: &str, desired: AccessMask) -> Decision {
    AccessCheck::new(&token(lines), &descriptor(sddl), ObjectType::File).decide(desired)
}

#[test]
fn order_decides_between_grant_and_denial() {
    let read = AccessMask::FILE_GENERIC_READ;
    assert!(decide("", "D:(D;;FW;;;BU)(A;;FR;;;WD)", AccessMask::FILE_READ_DATA).is_granted());
    assert_eq!(
        decide("", "D:(D;;FR;;;BU)(A;;FR;;;WD)", read).refusal,
        Some(Refusal::Denied { pass: Pass::Normal, index: 0, denied: read })
    );
    assert!(decide("", "D:(A;;FR;;;WD)(D;;FR;;;BU)", read).is_granted());
    assert_eq!(maximum("", "D:(A;;FR;;;WD)(D;;FA;;;BU)(A;;FA;;;WD)"), read);
}

#[test]
fn null_and_empty_dacl() {
    assert_eq!(maximum("", "D:NO_ACCESS_CONTROL"), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum("", "O:SY"), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(decide("", "O:SYD:", AccessMask::MAXIMUM_ALLOWED).refusal, Some(Refusal::Nothing));
    assert!(!decide("", "D:NO_ACCESS_CONTROL", AccessMask::NONE).is_granted());
    assert_eq!(
        decide("", "D:NO_ACCESS_CONTROL", AccessMask::ACCESS_SYSTEM_SECURITY).refusal,
        Some(Refusal::PrivilegeNotHeld)
    );
}

#[test]
fn inherit_only_aces_and_generic_rights_in_aces_do_nothing() {
    assert_eq!(maximum("", "O:SYD:(D;OICIIO;FA;;;WD)(A;;FR;;;WD)"), AccessMask::FILE_GENERIC_READ);
    assert_eq!(maximum("", "O:SYD:(A;OIIO;FA;;;WD)"), AccessMask::NONE);
    assert_eq!(maximum("", "O:SYD:(A;;GA;;;WD)"), AccessMask::NONE);
    let mut mapped = descriptor("O:SYD:(A;;GA;;;WD)");
    mapped.dacl.acl_mut().map_generic(&ObjectType::File.mapping());
    let caller = token("");
    assert_eq!(AccessCheck::new(&caller, &mapped, ObjectType::File).maximum(), AccessMask::FILE_ALL_ACCESS);
    // A request may be generic.
    assert!(decide("", "D:(A;;FR;;;WD)", AccessMask::GENERIC_READ).is_granted());
    assert!(!decide("", "D:(A;;FR;;;WD)", AccessMask::GENERIC_WRITE).is_granted());
}

#[test]
fn deny_only_and_disabled_groups() {
    let everything = "D:(A;;FA;;;BA)";
    assert_eq!(maximum("group BA", everything), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum("group BA deny-only", everything), AccessMask::NONE);
    assert_eq!(maximum("group BA disabled", everything), AccessMask::NONE);
    let denied = "D:(D;;FA;;;BA)(A;;FA;;;WD)";
    assert_eq!(maximum("group BA deny-only", denied), AccessMask::NONE);
    assert_eq!(maximum("group BA disabled", denied), AccessMask::FILE_ALL_ACCESS);
    let user = format!("D:(A;;FA;;;{USER})");
    assert_eq!(maximum("", &user), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum(&format!("user {USER} deny-only"), &user), AccessMask::NONE);
}

#[test]
fn the_owner_keeps_reading_and_writing_the_dacl() {
    let implied = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
    let owned = |dacl: &str| format!("O:{USER}{dacl}");
    assert_eq!(maximum("", &owned("D:")), implied);
    assert_eq!(maximum("", "O:SYD:"), AccessMask::NONE);
    // Even past a denial …
    assert!(decide("", &owned("D:(D;;FA;;;WD)"), implied).is_granted());
    // … but not when OWNER RIGHTS are spelled out.
    assert_eq!(maximum("", &owned("D:(A;;RC;;;OW)")), AccessMask::READ_CONTROL);
    assert_eq!(maximum("", "O:SYD:(A;;RC;;;OW)"), AccessMask::NONE);
    assert_eq!(maximum("", &owned("D:(A;OIIO;RC;;;OW)")), implied);
    // A group may own; a group for denials only does not.
    assert_eq!(maximum("", "O:BUD:"), implied);
    assert_eq!(maximum("group BA deny-only", "O:BAD:"), AccessMask::NONE);
}

#[test]
fn privileges_are_asked_for_by_name() {
    let security = AccessMask::ACCESS_SYSTEM_SECURITY;
    assert!(decide("privilege SeSecurityPrivilege", "O:SYD:", security).is_granted());
    assert_eq!(
        decide("privilege SeSecurityPrivilege disabled", "O:SYD:(A;;FA;;;WD)", security).refusal,
        Some(Refusal::PrivilegeNotHeld)
    );
    for privilege in ["SeTakeOwnershipPrivilege", "SeRelabelPrivilege"] {
        let lines = format!("privilege {privilege}");
        assert!(decide(&lines, "O:SYD:(D;;FA;;;WD)", AccessMask::WRITE_OWNER).is_granted());
        assert_eq!(maximum(&lines, "O:SYD:"), AccessMask::NONE);
    }
    assert!(!decide("privilege SeBackupPrivilege", "O:SYD:", AccessMask::WRITE_OWNER).is_granted());
}

#[test]
fn mandatory_labels() {
    let low = "integrity low";
    let open = "D:(A;;FA;;;WD)";
    let read = AccessMask(0x0012_00A9);
    assert_eq!(maximum("", open), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum(low, open), read);
    assert_eq!(maximum(low, &format!("{open}S:(ML;;NW;;;LW)")), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum("", &format!("{open}S:(ML;;NW;;;HI)")), read);
    assert_eq!(maximum("labels off", &format!("{open}S:(ML;;NW;;;HI)")), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum("", &format!("{open}S:(ML;;NWNR;;;HI)")), AccessMask::FILE_GENERIC_EXECUTE);
    assert_eq!(maximum("", &format!("{open}S:(ML;;NWNRNX;;;HI)")), AccessMask::NONE);
    assert!(!maximum("", &format!("{open}S:(ML;;NR;;;HI)")).intersects(AccessMask::FILE_READ_DATA));
    assert!(maximum("", &format!("{open}S:(ML;;NR;;;HI)")).contains(AccessMask::FILE_GENERIC_WRITE));
    assert_eq!(maximum("", &format!("{open}S:(ML;OICIIO;NW;;;HI)")), AccessMask::FILE_ALL_ACCESS);
    // Neither ownership nor a grant helps from below.
    assert!(matches!(
        decide(low, &format!("O:{USER}{open}"), AccessMask::WRITE_DAC).refusal,
        Some(Refusal::MandatoryLabel { object: IntegrityLevel::MEDIUM, missing: AccessMask::WRITE_DAC })
    ));
    // SeRelabel reopens WRITE_OWNER, SeTakeOwnership does not.
    let relabel = format!("{low}\nprivilege SeRelabelPrivilege");
    assert!(decide(&relabel, open, AccessMask::WRITE_OWNER).is_granted());
    assert!(!decide(&format!("{low}\nprivilege SeTakeOwnershipPrivilege"), open, AccessMask::WRITE_OWNER).is_granted());
    // The book's measurement with a mutant: everything but what GENERIC_WRITE alone gives.
    let caller = token("integrity untrusted");
    let object = descriptor(open);
    let mutant = AccessCheck::new(&caller, &object, ObjectType::Mutant).maximum();
    assert_eq!(mutant, AccessMask(0x0012_0001));
}

#[test]
fn restricted_tokens_need_both_passes() {
    let restricted = format!("restricting {SANDBOX}");
    let all = AccessMask::FILE_ALL_ACCESS;
    assert_eq!(maximum(&restricted, "D:(A;;FA;;;WD)"), AccessMask::NONE);
    assert_eq!(maximum(&restricted, &format!("D:(A;;FA;;;{SANDBOX})")), AccessMask::NONE);
    assert_eq!(maximum(&restricted, &format!("D:(A;;FA;;;WD)(A;;FR;;;{SANDBOX})")), AccessMask::FILE_GENERIC_READ);
    assert_eq!(maximum(&restricted, &format!("D:(A;;FA;;;WD)(A;;FA;;;{SANDBOX})")), all);
    // Denials count in the second pass, and only for the restricting SIDs.
    assert_eq!(
        maximum(&restricted, &format!("D:(D;;FW;;;{SANDBOX})(A;;FA;;;WD)(A;;FA;;;{SANDBOX})")),
        all - AccessMask::FILE_GENERIC_WRITE
    );
    assert_eq!(maximum(&format!("{restricted}\nrestricting WD"), "D:(A;;FR;;;WD)"), AccessMask::FILE_GENERIC_READ);
    // Nobody at all matches an empty list.
    assert_eq!(maximum("restricting none", "D:(A;;FA;;;WD)"), AccessMask::NONE);
    // A NULL DACL is checked by no pass.
    assert_eq!(maximum(&restricted, "D:NO_ACCESS_CONTROL"), all);
    // Ownership counts only if the owner is in both lists.
    let owned = format!("O:{USER}D:");
    assert_eq!(maximum(&restricted, &owned), AccessMask::NONE);
    let both = format!("restricting {USER}");
    assert_eq!(maximum(&both, &owned), AccessMask::READ_CONTROL | AccessMask::WRITE_DAC);
    // Privileges pass by both.
    let privileged = format!("{restricted}\nprivilege SeTakeOwnershipPrivilege");
    assert!(decide(&privileged, "O:SYD:", AccessMask::WRITE_OWNER).is_granted());
}

#[test]
fn write_restricted_tokens_under_each_reading() {
    let caller = token(&format!("restricting {SANDBOX}\nwrite-restricted"));
    let full = descriptor("O:SYD:(A;;FA;;;WD)");
    let maximum =
        |reading| AccessCheck::new(&caller, &full, ObjectType::Directory).with_write_reading(reading).maximum();
    let [narrow, reported, wide] = WriteReading::ALL.map(maximum);
    let undisputed = AccessMask(0x0012_00A9);
    let standard = AccessMask::DELETE | AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER;
    assert_eq!(wide, undisputed);
    assert_eq!(reported, undisputed | AccessMask::FILE_DELETE_CHILD);
    assert_eq!(narrow, undisputed | AccessMask::FILE_DELETE_CHILD | standard);
    // A request that mixes reading and writing needs the second pass for the writing alone.
    let workspace = descriptor(&format!("O:SYD:(A;;FA;;;WD)(A;;0x100116;;;{SANDBOX})"));
    for reading in WriteReading::ALL {
        let check = AccessCheck::new(&caller, &workspace, ObjectType::File).with_write_reading(reading);
        assert!(check.allows(AccessMask::GENERIC_READ | AccessMask::GENERIC_WRITE));
        assert!(
            !AccessCheck::new(&caller, &full, ObjectType::File)
                .with_write_reading(reading)
                .allows(AccessMask::GENERIC_READ | AccessMask::FILE_WRITE_DATA)
        );
    }
}

#[test]
fn app_containers() {
    let lowbox = format!("integrity low\npackage {PACKAGE}\ncapability S-1-15-3-1");
    let all = AccessMask::FILE_ALL_ACCESS;
    let read = AccessMask::FILE_GENERIC_READ;
    assert_eq!(maximum(&lowbox, "D:(A;;FA;;;WD)"), AccessMask::NONE);
    assert_eq!(maximum(&lowbox, "D:(A;;FA;;;WD)(A;;FA;;;AC)"), all);
    assert_eq!(maximum(&lowbox, &format!("D:(A;;FA;;;WD)(A;;FR;;;{PACKAGE})")), read);
    assert_eq!(maximum(&lowbox, "D:(A;;FA;;;WD)(A;;FR;;;S-1-15-3-1)"), read);
    assert_eq!(maximum(&lowbox, "D:(A;;FA;;;WD)(A;;FR;;;S-1-15-3-2)"), AccessMask::NONE);
    assert_eq!(maximum(&lowbox, &format!("D:(A;;FA;;;{PACKAGE})")), AccessMask::NONE);
    // A denial that names the package does nothing.
    assert_eq!(maximum(&lowbox, &format!("D:(D;;FW;;;{PACKAGE})(A;;FA;;;WD)(A;;FA;;;AC)")), all);
    // Objects above Medium keep their label; a NULL DACL and ownership are no grants.
    assert_eq!(maximum(&lowbox, "D:(A;;FA;;;WD)(A;;FA;;;AC)S:(ML;;NW;;;HI)"), AccessMask(0x0012_00A9));
    assert_eq!(decide(&lowbox, "D:NO_ACCESS_CONTROL", read).refusal, Some(Refusal::NullDaclForLowbox));
    assert_eq!(maximum(&lowbox, &format!("O:{USER}D:")), AccessMask::NONE);
    assert!(!decide(&lowbox, &format!("O:{USER}D:"), AccessMask::WRITE_DAC).is_granted());
    // Less privileged: ALL APPLICATION PACKAGES does not name it.
    let lpac = format!("{lowbox}\nless-privileged");
    assert_eq!(maximum(&lpac, "D:(A;;FA;;;WD)(A;;FA;;;AC)"), AccessMask::NONE);
    assert_eq!(maximum(&lpac, "D:(A;;FA;;;WD)(A;;FR;;;S-1-15-2-2)"), read);
    // Other low callers do not reach the objects of a package.
    let object = format!("D:(A;;FA;;;WD)(A;;FA;;;{PACKAGE})S:(ML;;NW;;;LW)");
    assert_eq!(maximum("integrity low", &object), AccessMask::NONE);
    assert_eq!(maximum("", &object), all);
    // Restricted and contained at once: the least of all.
    let both = format!("{lowbox}\nrestricting {SANDBOX}");
    assert_eq!(maximum(&both, &format!("D:(A;;FA;;;WD)(A;;FR;;;AC)(A;;FX;;;{SANDBOX})")), AccessMask(0x0012_0080));
}

#[test]
fn a_disabled_capability_does_not_count() {
    let package: crate::Sid = PACKAGE.parse().unwrap();
    let capability: crate::Sid = "S-1-15-3-1".parse().unwrap();
    let object = descriptor("D:(A;;FA;;;WD)(A;;FR;;;S-1-15-3-1)");
    for (attributes, expected) in
        [(GroupAttributes::ENABLED, AccessMask::FILE_GENERIC_READ), (GroupAttributes::empty(), AccessMask::NONE)]
    {
        let caller = token("")
            .to_builder()
            .lowbox(Lowbox {
                package,
                capabilities: vec![Group { sid: capability, attributes }],
                less_privileged: false,
            })
            .build();
        assert_eq!(AccessCheck::new(&caller, &object, ObjectType::File).maximum(), expected);
    }
}

#[test]
fn object_and_conditional_aces() {
    let guid = "00299570-246d-11d0-a768-00aa006e0529";
    assert_eq!(maximum("", &format!("O:SYD:(OA;;FA;{guid};;WD)")), AccessMask::NONE);
    assert_eq!(maximum("", "O:SYD:(OA;;FA;;;WD)"), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum("", &format!("O:SYD:(OD;;FW;{guid};;WD)(A;;FW;;;WD)")), AccessMask::NONE);
    let caller = token("");
    let object = descriptor("O:SYD:(XD;;FW;;;WD;(a == 1))(XA;;FA;;;WD;(a == 2))");
    let check = AccessCheck::new(&caller, &object, ObjectType::File);
    assert_eq!(check.maximum(), AccessMask::NONE);
    assert!(check.explain(AccessMask::FILE_READ_DATA).to_string().contains("not evaluated"));
    assert_eq!(
        check.with_conditions(Conditions::Met).maximum(),
        AccessMask::FILE_ALL_ACCESS - AccessMask::FILE_GENERIC_WRITE
    );
}

#[test]
fn a_write_restricted_list_may_be_empty() {
    let caller = token("").to_builder().restricting(Restricting { sids: vec![], write_only: true }).build();
    let object = descriptor("O:SYD:(A;;FA;;;WD)");
    let maximum = AccessCheck::new(&caller, &object, ObjectType::File).with_write_reading(WriteReading::Wide).maximum();
    assert_eq!(maximum, AccessMask(0x0012_00A9));
}

#[test]
fn explanations_name_ace_pass_and_rule() {
    let caller = token(&format!("restricting {SANDBOX}\nwrite-restricted\nprivilege SeTakeOwnershipPrivilege"));
    let object = descriptor(&format!("O:{USER}D:(D;;SD;;;BU)(A;ID;FA;;;WD)"));
    let check = AccessCheck::new(&caller, &object, ObjectType::File);
    let explanation = check.explain(AccessMask::FILE_WRITE_DATA | AccessMask::FILE_READ_DATA | AccessMask::WRITE_OWNER);
    assert_eq!(
        explanation.to_string(),
        "refused: FILE_READ_DATA | FILE_WRITE_DATA | WRITE_OWNER: nothing grants FILE_WRITE_DATA to the restricting SIDs\n\
         \x20 SeTakeOwnershipPrivilege grants WRITE_OWNER\n\
         \x20 user and groups: ACE 1 (A;ID;FA;;;WD) (inherited) grants FILE_READ_DATA | FILE_WRITE_DATA\n\
         \x20 restricting SIDs: no ACE grants FILE_WRITE_DATA\n"
    );
    assert_eq!(explanation.about(AccessMask::FILE_READ_DATA).count(), 1);
    assert_eq!(explanation.about(AccessMask::FILE_WRITE_DATA).count(), 2);
    let denied = check.explain(AccessMask::DELETE).to_string();
    assert!(denied.contains("ACE 0 (D;;SD;;;BU) (explicit) denies DELETE"), "{denied}");
}
