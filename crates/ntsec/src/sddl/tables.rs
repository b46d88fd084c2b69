//! The words of SDDL.

use crate::{AccessMask, AceFlags, AceKind, Control};

/// ACE types. `TL` and `FL` are the process trust label and the access filter of newer systems.
pub(super) const KINDS: &[(&str, AceKind)] = &[
    ("A", AceKind::Allowed),
    ("D", AceKind::Denied),
    ("OA", AceKind::AllowedObject),
    ("OD", AceKind::DeniedObject),
    ("AU", AceKind::Audit),
    ("AL", AceKind::Alarm),
    ("OU", AceKind::AuditObject),
    ("OL", AceKind::AlarmObject),
    ("ML", AceKind::MandatoryLabel),
    ("XA", AceKind::AllowedCallback),
    ("XD", AceKind::DeniedCallback),
    ("ZA", AceKind::AllowedCallbackObject),
    ("XU", AceKind::AuditCallback),
    ("RA", AceKind::ResourceAttribute),
    ("SP", AceKind::ScopedPolicy),
    ("TL", AceKind::ProcessTrustLabel),
    ("FL", AceKind::AccessFilter),
];

/// ACE flags in the order in which Windows writes them. `TP` shares its bit with `SA`; it is written for access filters.
pub(super) const FLAGS: &[(&str, AceFlags)] = &[
    ("OI", AceFlags::OBJECT_INHERIT),
    ("CI", AceFlags::CONTAINER_INHERIT),
    ("NP", AceFlags::NO_PROPAGATE_INHERIT),
    ("IO", AceFlags::INHERIT_ONLY),
    ("ID", AceFlags::INHERITED),
    ("CR", AceFlags::CRITICAL),
    ("SA", AceFlags::SUCCESSFUL_ACCESS),
    ("FA", AceFlags::FAILED_ACCESS),
    ("TP", AceFlags::SUCCESSFUL_ACCESS),
];

/// Rights that name one bit, lowest first: Windows writes them in this order.
pub(super) const BITS: &[(&str, AccessMask)] = &[
    ("CC", AccessMask(0x0001)),
    ("DC", AccessMask(0x0002)),
    ("LC", AccessMask(0x0004)),
    ("SW", AccessMask(0x0008)),
    ("RP", AccessMask(0x0010)),
    ("WP", AccessMask(0x0020)),
    ("DT", AccessMask(0x0040)),
    ("LO", AccessMask(0x0080)),
    ("CR", AccessMask(0x0100)),
    ("SD", AccessMask::DELETE),
    ("RC", AccessMask::READ_CONTROL),
    ("WD", AccessMask::WRITE_DAC),
    ("WO", AccessMask::WRITE_OWNER),
    ("GA", AccessMask::GENERIC_ALL),
    ("GX", AccessMask::GENERIC_EXECUTE),
    ("GW", AccessMask::GENERIC_WRITE),
    ("GR", AccessMask::GENERIC_READ),
];

/// Rights that name a whole mask.
pub(super) const MASKS: &[(&str, AccessMask)] = &[
    ("FA", AccessMask::FILE_ALL_ACCESS),
    ("FR", AccessMask::FILE_GENERIC_READ),
    ("FW", AccessMask::FILE_GENERIC_WRITE),
    ("FX", AccessMask::FILE_GENERIC_EXECUTE),
    ("KA", AccessMask::KEY_ALL_ACCESS),
    ("KR", AccessMask::KEY_READ),
    ("KW", AccessMask::KEY_WRITE),
    ("KX", AccessMask::KEY_READ),
];

/// Rights of a mandatory label.
pub(super) const LABEL: &[(&str, AccessMask)] = &[
    ("NW", AccessMask::LABEL_NO_WRITE_UP),
    ("NR", AccessMask::LABEL_NO_READ_UP),
    ("NX", AccessMask::LABEL_NO_EXECUTE_UP),
];

/// ACL flags: the word and its bit for a DACL and for a SACL.
pub(super) const ACL_FLAGS: &[(&str, Control, Control)] = &[
    ("P", Control::DACL_PROTECTED, Control::SACL_PROTECTED),
    ("AR", Control::DACL_AUTO_INHERIT_REQUIRED, Control::SACL_AUTO_INHERIT_REQUIRED),
    ("AI", Control::DACL_AUTO_INHERITED, Control::SACL_AUTO_INHERITED),
];

/// A DACL that is present and NULL.
pub(super) const NULL_ACL: &str = "NO_ACCESS_CONTROL";

/// Finds a word of one or two letters, in any case.
pub(super) fn word<T: Copy>(table: &[(&str, T)], text: &[u8]) -> Option<T> {
    let wanted = key(text)?;
    table.iter().find(|(name, _)| key(name.as_bytes()) == Some(wanted)).map(|(_, value)| *value)
}

/// A word as a number, so that looking it up is a comparison of numbers.
fn key(text: &[u8]) -> Option<u16> {
    match *text {
        [first, second] => Some(u16::from_be_bytes([first.to_ascii_uppercase(), second.to_ascii_uppercase()])),
        [first] => Some(u16::from(first.to_ascii_uppercase())),
        _ => None,
    }
}
