//! Whether a directory is its user's own: what the state directory has to be.

use ringfence_ntsec::{AccessMask, AclState, SecurityDescriptor, Sid, well_known};

use crate::plan::windows::CHANGES;

/// The descriptor of a directory that is made for the user alone, and for those who can reach everything anyway.
pub(crate) fn descriptor(user: &Sid) -> Result<SecurityDescriptor, ringfence_ntsec::Error> {
    // Protected: on a drive of data, what is inherited usually lets every user write.
    format!("O:{user}D:P(A;OICI;FA;;;{user})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)").parse()
}

/// Why a directory of this descriptor is not the user's own, with what to do about it.
pub(crate) fn problem(descriptor: &SecurityDescriptor, user: &Sid) -> Option<String> {
    let trusted = |sid: &Sid| *sid == *user || TRUSTED.contains(sid);
    match &descriptor.owner {
        Some(owner) if trusted(owner) => {}
        Some(owner) => {
            return Some(format!("it belongs to {owner}; choose one of your own with RINGFENCE_STATE_DIR"));
        }
        None => return Some("it has no owner".to_owned()),
    }
    let AclState::Present(acl) = &descriptor.dacl else {
        return Some(
            "it has no DACL, so that everybody can write it; choose another with RINGFENCE_STATE_DIR".to_owned(),
        );
    };
    let others = acl.aces().iter().find(|ace| {
        let grants = !ace.kind.is_deny() && !(ace.mask & WRITES).is_empty();
        // What only children inherit counts as well: the files in there are what must not be written.
        grants && !trusted(&ace.sid)
    })?;
    Some(format!("{} can write it; give it permissions for you alone, or set RINGFENCE_STATE_DIR", others.sid))
}

/// Who can change everything on the machine, and whom these stand for is decided by who owns the object.
const TRUSTED: [Sid; 4] =
    [well_known::LOCAL_SYSTEM, well_known::ADMINISTRATORS, well_known::CREATOR_OWNER, well_known::OWNER_RIGHTS];

/// Rights that change a directory, what is in it, or who may, also as an entry that was not mapped to files says them.
const WRITES: AccessMask = AccessMask(CHANGES.0 | AccessMask::GENERIC_WRITE.0 | AccessMask::GENERIC_ALL.0);

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Sid {
        "S-1-5-21-1-2-3-1001".parse().unwrap()
    }

    fn problem_of(sddl: &str) -> Option<String> {
        problem(&sddl.parse().unwrap(), &user())
    }

    #[test]
    fn what_is_made_for_the_user_is_the_users_own() {
        assert_eq!(problem(&descriptor(&user()).unwrap(), &user()), None);
        // What AppData hands down.
        let inherited =
            "O:S-1-5-21-1-2-3-1001D:(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;S-1-5-21-1-2-3-1001)";
        assert_eq!(problem_of(inherited), None);
        // Others may read, and a denial harms nobody.
        assert_eq!(problem_of("O:BAD:(D;;FA;;;WD)(A;;FR;;;BU)(A;;FA;;;S-1-5-21-1-2-3-1001)"), None);
    }

    #[test]
    fn whoever_else_can_write_is_named() {
        let own = "(A;;FA;;;S-1-5-21-1-2-3-1001)";
        for (other, sid) in [
            ("(A;OICI;0x1301bf;;;AU)", "S-1-5-11"),
            ("(A;OICIIO;GA;;;WD)", "S-1-1-0"),
            ("(A;;WD;;;BU)", "S-1-5-32-545"),
            ("(A;;0x40;;;S-1-5-21-1-2-3-1002)", "S-1-5-21-1-2-3-1002"),
            // A workspace's SID: a command could write its own receipts.
            ("(A;;FW;;;S-1-5-21-9-9-9-3735000001)", "S-1-5-21-9-9-9-3735000001"),
        ] {
            let problem = problem_of(&format!("O:S-1-5-21-1-2-3-1001D:{own}{other}")).expect(other);
            assert!(problem.starts_with(&format!("{sid} can write it")), "{problem}");
        }
        assert!(problem_of(&format!("O:S-1-5-21-1-2-3-1002D:{own}")).is_some());
        assert!(problem_of("O:S-1-5-21-1-2-3-1001D:NO_ACCESS_CONTROL").is_some());
    }
}
