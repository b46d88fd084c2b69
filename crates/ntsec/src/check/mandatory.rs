//! Mandatory integrity (MS-DTYP §2.5.3.3; <https://learn.microsoft.com/windows/win32/secauthz/mandatory-integrity-control>).

use crate::{
    AccessMask, GenericMapping, IntegrityLevel, MandatoryPolicy, Privilege, SecurityDescriptor, SystemMandatoryPolicy,
    Token,
};

/// The level of the object and the most that its label leaves to this caller; `None` if it leaves everything.
pub(super) fn ceiling(
    token: &Token,
    descriptor: &SecurityDescriptor,
    mapping: &GenericMapping,
) -> Option<(IntegrityLevel, AccessMask)> {
    if !token.mandatory_policy().contains(MandatoryPolicy::NO_WRITE_UP) {
        return None;
    }
    // An object without a label counts as Medium, not to be written from below.
    let (level, policy) = descriptor
        .mandatory_label()
        .and_then(|ace| {
            let level = IntegrityLevel::from_sid(&ace.sid)?;
            Some((level, SystemMandatoryPolicy::from_bits_retain(ace.mask.0)))
        })
        .unwrap_or((IntegrityLevel::MEDIUM, SystemMandatoryPolicy::NO_WRITE_UP));
    let dominates = token.integrity() >= level;
    // An AppContainer runs at Low, yet objects up to Medium are left to its own pass.
    let is_left_to_lowbox = token.lowbox().is_some() && level <= IntegrityLevel::MEDIUM;
    if dominates || is_left_to_lowbox {
        return None;
    }
    let mut allowed = allowed_by(policy, mapping);
    if token.has_privilege(Privilege::Relabel) {
        allowed |= AccessMask::WRITE_OWNER;
    }
    Some((level, allowed))
}

/// With no-write-up, what remains is what reading and executing map to; without it, all but what is forbidden and serves no
/// permitted purpose.
fn allowed_by(policy: SystemMandatoryPolicy, mapping: &GenericMapping) -> AccessMask {
    let unless = |forbidden: SystemMandatoryPolicy, mask: AccessMask| {
        if policy.contains(forbidden) { AccessMask::NONE } else { mask }
    };
    let read = unless(SystemMandatoryPolicy::NO_READ_UP, mapping.read);
    let execute = unless(SystemMandatoryPolicy::NO_EXECUTE_UP, mapping.execute);
    if policy.contains(SystemMandatoryPolicy::NO_WRITE_UP) {
        return read | execute;
    }
    let forbidden = (mapping.read | mapping.execute) - read - execute - mapping.write;
    !forbidden
}
