//! The worked examples of MS-DTYP and of Microsoft's documentation.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ringfence_ntsec::{
    AccessCheck, AccessMask, AceFlags, AceKind, Layout, ObjectType, SecurityDescriptor, Sid, Token, well_known,
};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// MS-DTYP §2.5.1.4, "SDDL String to Binary Security Descriptor Examples".
#[test]
fn sddl_to_binary() {
    let sddl = "O:BAG:BAD:P(A;CIOI;GRGX;;;BU)(A;CIOI;GA;;;BA)(A;CIOI;GA;;;SY)(A;CIOI;GA;;;CO)S:P(AU;FA;GR;;;WD)";
    let dump = bytes(
        "01 00 14 b0 90 00 00 00 a0 00 00 00 14 00 00 00 30 00 00 00 02 00 1c 00 01 00 00 00 02 80 14 00
         00 00 00 80 01 01 00 00 00 00 00 01 00 00 00 00 02 00 60 00 04 00 00 00 00 03 18 00 00 00 00 a0
         01 02 00 00 00 00 00 05 20 00 00 00 21 02 00 00 00 03 18 00 00 00 00 10 01 02 00 00 00 00 00 05
         20 00 00 00 20 02 00 00 00 03 14 00 00 00 00 10 01 01 00 00 00 00 00 05 12 00 00 00 00 03 14 00
         00 00 00 10 01 01 00 00 00 00 00 03 00 00 00 00 01 02 00 00 00 00 00 05 20 00 00 00 20 02 00 00
         01 02 00 00 00 00 00 05 20 00 00 00 20 02 00 00",
    );
    let descriptor: SecurityDescriptor = sddl.parse().unwrap();
    assert_eq!(descriptor.to_bytes_in(Layout::ACLS_FIRST).unwrap(), dump);
    assert_eq!(SecurityDescriptor::from_bytes(&dump).unwrap(), descriptor);
    assert_eq!(Layout::of(&dump).unwrap(), Some(Layout::ACLS_FIRST));
    // Windows writes OI before CI and rights from the lowest bit.
    assert_eq!(
        descriptor.to_sddl().unwrap(),
        "O:BAG:BAD:P(A;OICI;GXGR;;;BU)(A;OICI;GA;;;BA)(A;OICI;GA;;;SY)(A;OICI;GA;;;CO)S:P(AU;FA;GR;;;WD)"
    );
}

/// <https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>, the two examples.
#[test]
fn security_descriptor_strings() {
    let domains = ringfence_ntsec::Domains { domain: Some("S-1-5-21-1-2-3".parse().unwrap()), ..Default::default() };
    let text = "O:AOG:DAD:(A;;RPWPCCDCLCSWRCWDWOGA;;;S-1-0-0)";
    let descriptor = SecurityDescriptor::from_sddl_in(text, &domains).unwrap();
    assert_eq!(descriptor.owner, Some("S-1-5-32-548".parse().unwrap()));
    assert_eq!(descriptor.group, Some("S-1-5-21-1-2-3-512".parse().unwrap()));
    let ace = &descriptor.dacl.aces()[0];
    assert_eq!((ace.kind, ace.flags, ace.sid), (AceKind::Allowed, AceFlags::empty(), well_known::NULL));
    // READ_CONTROL, WRITE_DAC, WRITE_OWNER, GENERIC_ALL and the six rights of the directory service that are named.
    assert_eq!(ace.mask, AccessMask(0x100e_003f));

    let text = "O:DAG:DAD:(A;;RPWPCCDCLCRCWOWDSDSW;;;SY)(A;;RPWPCCDCLCRCWOWDSDSW;;;DA)\
                (OA;;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AO)(OA;;CCDC;bf967a9c-0de6-11d0-a285-00aa003049e2;;AO)\
                (OA;;CCDC;6da8a4ff-0e52-11d0-a286-00aa003049e2;;AO)(OA;;CCDC;bf967aa8-0de6-11d0-a285-00aa003049e2;;PO)\
                (A;;RPLCRC;;;AU)S:(AU;SAFA;WDWOSDWPCCDCSW;;;WD)";
    let descriptor = SecurityDescriptor::from_sddl_in(text, &domains).unwrap();
    assert_eq!(descriptor.dacl.aces().len(), 7);
    assert_eq!(descriptor.dacl.acl().unwrap().revision(), 4);
    assert_eq!(descriptor.sacl.aces()[0].flags, AceFlags::SUCCESSFUL_ACCESS | AceFlags::FAILED_ACCESS);
    assert_eq!(SecurityDescriptor::from_bytes(&descriptor.to_bytes().unwrap()).unwrap(), descriptor);
}

/// <https://learn.microsoft.com/windows/win32/secauthz/how-dacls-control-access-to-an-object>: Andrew is denied by the first
/// entry although everybody may read; Jane, of Group A, gathers writing from the second and reading from the third.
#[test]
fn andrew_and_jane() {
    let (andrew, jane, group_a) = ("S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002", "S-1-5-21-1-2-3-2001");
    let sddl = format!("O:SYG:SYD:(D;;0x1f01bf;;;{andrew})(A;;FW;;;{group_a})(A;;0x1200a9;;;WD)");
    let descriptor: SecurityDescriptor = sddl.parse().unwrap();
    let everything = AccessMask::GENERIC_READ | AccessMask::GENERIC_WRITE | AccessMask::GENERIC_EXECUTE;
    let check = |lines: String, desired: AccessMask| {
        let token: Token = lines.parse().unwrap();
        AccessCheck::new(&token, &descriptor, ObjectType::File).allows(desired)
    };
    let thread_a = format!("user {andrew}\ngroup WD");
    let thread_b = format!("user {jane}\ngroup {group_a}\ngroup WD");
    assert!(!check(thread_a.clone(), AccessMask::GENERIC_READ));
    assert!(!check(thread_a, everything));
    assert!(check(thread_b.clone(), everything));
    assert!(!check(thread_b, everything | AccessMask::DELETE));
    // A stranger reads and executes but does not write.
    let stranger = "user S-1-5-21-1-2-3-1003\ngroup WD".to_owned();
    assert!(check(stranger.clone(), AccessMask::GENERIC_READ | AccessMask::GENERIC_EXECUTE));
    assert!(!check(stranger, AccessMask::FILE_WRITE_DATA));
}

/// <https://learn.microsoft.com/windows/win32/secauthz/restricted-tokens>: access is granted only if both checks grant it.
#[test]
fn both_access_checks_must_grant() {
    let descriptor: SecurityDescriptor = "O:SYG:SYD:(A;;FA;;;S-1-5-21-1-2-3-1001)(A;;FR;;;RC)".parse().unwrap();
    let user = "user S-1-5-21-1-2-3-1001\n";
    let maximum = |lines: String| {
        let token: Token = lines.parse().unwrap();
        AccessCheck::new(&token, &descriptor, ObjectType::File).maximum()
    };
    assert_eq!(maximum(user.to_owned()), AccessMask::FILE_ALL_ACCESS);
    assert_eq!(maximum(format!("{user}restricting RC")), AccessMask::FILE_GENERIC_READ);
    assert_eq!(maximum(format!("{user}restricting WR")), AccessMask::NONE);
}

/// <https://learn.microsoft.com/windows/win32/secauthz/mandatory-integrity-control>: a low process does not write to a medium
/// object even if the DACL grants it; a medium one does. `S:(ML;;NW;;;LW)` is the label that the page builds.
#[test]
fn a_low_process_does_not_write_up() {
    let medium: SecurityDescriptor = "O:BUG:BUD:(A;;FA;;;BU)".parse().unwrap();
    let low: SecurityDescriptor = "O:BUG:BUD:(A;;FA;;;BU)S:(ML;;NW;;;LW)".parse().unwrap();
    let allows = |level: &str, descriptor: &SecurityDescriptor| {
        let token: Token = format!("user BU\nintegrity {level}").parse().unwrap();
        AccessCheck::new(&token, descriptor, ObjectType::File).allows(AccessMask::GENERIC_WRITE)
    };
    assert!(!allows("low", &medium));
    assert!(allows("low", &low));
    assert!(allows("medium", &medium) && allows("medium", &low));
}

/// <https://learn.microsoft.com/windows/win32/secauthz/well-known-sids> and MS-DTYP §2.4.2.4: names and numbers.
#[test]
fn well_known_sids() {
    for (alias, text) in [
        ("WD", "S-1-1-0"),
        ("CO", "S-1-3-0"),
        ("CG", "S-1-3-1"),
        ("OW", "S-1-3-4"),
        ("NU", "S-1-5-2"),
        ("IU", "S-1-5-4"),
        ("SU", "S-1-5-6"),
        ("AN", "S-1-5-7"),
        ("PS", "S-1-5-10"),
        ("AU", "S-1-5-11"),
        ("RC", "S-1-5-12"),
        ("SY", "S-1-5-18"),
        ("LS", "S-1-5-19"),
        ("NS", "S-1-5-20"),
        ("WR", "S-1-5-33"),
        ("BA", "S-1-5-32-544"),
        ("BU", "S-1-5-32-545"),
        ("BG", "S-1-5-32-546"),
        ("PU", "S-1-5-32-547"),
        ("BO", "S-1-5-32-551"),
        ("AC", "S-1-15-2-1"),
        ("LW", "S-1-16-4096"),
        ("ME", "S-1-16-8192"),
        ("HI", "S-1-16-12288"),
        ("SI", "S-1-16-16384"),
    ] {
        let sid = Sid::from_sddl(alias).unwrap();
        assert_eq!(sid.to_string(), text);
        assert_eq!(sid.sddl_alias(), Some(alias));
    }
}
