//! `CreateRestrictedToken` as a function of data.

use super::{GroupAttributes, IntegrityLevel, Privilege, Restricting, Token, TokenBuilder};
use crate::Sid;

bitflags::bitflags! {
    /// Flags of `CreateRestrictedToken`
    /// (<https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-createrestrictedtoken>).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct RestrictFlags: u32 {
        /// Removes every privilege but SeChangeNotify.
        const DISABLE_MAX_PRIVILEGE = 0x1;
        /// AppLocker and software restriction policies are not applied; no part in access checks.
        const SANDBOX_INERT = 0x2;
        /// Makes it the token of a limited user.
        const LUA_TOKEN = 0x4;
        /// The restricting SIDs are asked for writes only.
        const WRITE_RESTRICTED = 0x8;
    }
}

/// What to take away from a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restriction {
    /// Flags.
    pub flags: RestrictFlags,
    /// SIDs that shall count for denials only; those that the token does not carry are ignored.
    pub deny_only: Vec<Sid>,
    /// Privileges to remove.
    pub delete_privileges: Vec<Privilege>,
    /// Restricting SIDs; none leaves the token's own list as it is.
    pub restricting: Vec<Sid>,
}

/// Privileges that a limited user keeps
/// (<https://learn.microsoft.com/windows/security/application-security/application-control/user-account-control/how-it-works>).
const LUA_PRIVILEGES: [Privilege; 5] = [
    Privilege::ChangeNotify,
    Privilege::Shutdown,
    Privilege::Undock,
    Privilege::IncreaseWorkingSet,
    Privilege::TimeZone,
];

/// RIDs of BUILTIN groups that a limited user holds for denials only: Administrators, Power Users, the operators, the RAS
/// servers, Pre-Windows 2000, Network Configuration and Cryptographic Operators.
const LUA_BUILTIN: [u32; 10] = [544, 547, 548, 549, 550, 551, 553, 554, 556, 569];

/// RIDs of domain groups of the same kind: administrators, controllers, publishers, policy creators.
const LUA_DOMAIN: [u32; 7] = [498, 512, 516, 517, 518, 519, 520];

impl Token {
    /// The token that `CreateRestrictedToken` makes of this one: never more powerful.
    ///
    /// - A token that has restricting SIDs already keeps those that are in both lists; if none are, nothing that the list is
    ///   asked for is granted.
    /// - Where Microsoft does not say whether a nested restriction is asked for writes only or for everything, the model takes
    ///   the wider of the two, so that it never calls a sandbox tighter than it may be: once write-only, it stays so; a
    ///   full restriction stays full.
    /// - `LUA_TOKEN` takes Administrators and its like out of use, keeps the five privileges of a limited user, lowers the
    ///   integrity level to Medium, and makes the user the owner if the owner's group is now out of use.
    pub fn restrict(&self, restriction: &Restriction) -> Token {
        let mut parts = self.to_builder();
        let flags = restriction.flags;
        let lua = flags.contains(RestrictFlags::LUA_TOKEN);
        parts.user_deny_only |= restriction.deny_only.contains(&parts.user);
        for group in &mut parts.groups {
            if restriction.deny_only.contains(&group.sid) || (lua && is_administrative(&group.sid)) {
                let switches = GroupAttributes::ENABLED | GroupAttributes::ENABLED_BY_DEFAULT | GroupAttributes::OWNER;
                group.attributes = (group.attributes - switches) | GroupAttributes::USE_FOR_DENY_ONLY;
            }
        }
        parts.privileges.retain(|(privilege, _)| {
            !restriction.delete_privileges.contains(privilege)
                && (!lua || LUA_PRIVILEGES.contains(privilege))
                && (!flags.contains(RestrictFlags::DISABLE_MAX_PRIVILEGE) || *privilege == Privilege::ChangeNotify)
        });
        if lua {
            parts.integrity = parts.integrity.min(IntegrityLevel::MEDIUM);
        }
        let lost_owner =
            |owner: &Sid| parts.groups.iter().any(|group| group.sid == *owner && is_deny_only(group.attributes));
        if parts.owner.as_ref().is_some_and(lost_owner) {
            parts.owner = None;
        }
        restrict_list(&mut parts, restriction);
        parts.build()
    }
}

fn restrict_list(parts: &mut TokenBuilder, restriction: &Restriction) {
    if restriction.restricting.is_empty() {
        return;
    }
    parts.restricting = Some(match parts.restricting.take() {
        None => Restricting {
            sids: restriction.restricting.clone(),
            write_only: restriction.flags.contains(RestrictFlags::WRITE_RESTRICTED),
        },
        Some(mut before) => {
            before.sids.retain(|sid| restriction.restricting.contains(sid));
            before
        }
    });
}

fn is_deny_only(attributes: GroupAttributes) -> bool {
    attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY)
}

fn is_administrative(sid: &Sid) -> bool {
    match (sid.authority(), sid.sub_authorities()) {
        (5, [32, rid]) => LUA_BUILTIN.contains(rid),
        (5, [21, _, _, _, rid]) => LUA_DOMAIN.contains(rid),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::well_known::{ADMINISTRATORS, EVERYONE, USERS};

    fn administrator() -> Token {
        Token::builder("S-1-5-21-1-2-3-500".parse().unwrap())
            .group_with(ADMINISTRATORS, GroupAttributes::ORDINARY | GroupAttributes::OWNER)
            .group(USERS)
            .owner(ADMINISTRATORS)
            .privilege(Privilege::ChangeNotify)
            .privilege(Privilege::Debug)
            .privilege(Privilege::Shutdown)
            .integrity(IntegrityLevel::HIGH)
            .build()
    }

    fn restriction(flags: RestrictFlags, restricting: &[Sid]) -> Restriction {
        Restriction { flags, restricting: restricting.to_vec(), ..Restriction::default() }
    }

    #[test]
    fn a_limited_user() {
        let token = administrator().restrict(&restriction(RestrictFlags::LUA_TOKEN, &[]));
        assert!(is_deny_only(token.groups()[0].attributes));
        assert!(!is_deny_only(token.groups()[1].attributes));
        assert_eq!(token.owner(), token.user());
        assert_eq!(token.integrity(), IntegrityLevel::MEDIUM);
        assert!(token.has_privilege(Privilege::Shutdown) && !token.has_privilege(Privilege::Debug));
    }

    #[test]
    fn privileges_and_deny_only() {
        let token = administrator().restrict(&Restriction {
            flags: RestrictFlags::DISABLE_MAX_PRIVILEGE,
            deny_only: vec![*administrator().user(), EVERYONE],
            delete_privileges: vec![Privilege::ChangeNotify],
            restricting: vec![],
        });
        assert!(token.privileges().is_empty());
        assert!(token.is_user_deny_only());
        assert_eq!(token.groups().len(), 2);
        assert_eq!(token.owner(), &ADMINISTRATORS);
    }

    #[test]
    fn nested_lists_are_intersected_and_never_relaxed() {
        let first = administrator().restrict(&restriction(RestrictFlags::empty(), &[USERS, EVERYONE]));
        let second = first.restrict(&restriction(RestrictFlags::WRITE_RESTRICTED, &[EVERYONE, ADMINISTRATORS]));
        assert_eq!(second.restricting(), Some(&Restricting { sids: vec![EVERYONE], write_only: false }));
        let third = second.restrict(&restriction(RestrictFlags::empty(), &[USERS]));
        assert_eq!(third.restricting(), Some(&Restricting { sids: vec![], write_only: false }));
        let unchanged = second.restrict(&restriction(RestrictFlags::empty(), &[]));
        assert_eq!(unchanged.restricting(), second.restricting());
    }
}
