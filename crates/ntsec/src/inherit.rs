//! Inheritance: what a new child gets, and what becomes of an existing one when its parent changes.
//!
//! Sources: MS-DTYP §2.5.3.4 (`CreateSecurityDescriptor`, `ComputeACL`, `PostProcessACL`);
//! <https://learn.microsoft.com/windows/win32/secauthz/ace-inheritance-rules>;
//! <https://learn.microsoft.com/windows/win32/secauthz/dacl-for-a-new-object>;
//! <https://learn.microsoft.com/windows/win32/secauthz/automatic-propagation-of-inheritable-aces>.

use crate::well_known::{CREATOR_GROUP, CREATOR_OWNER};
use crate::{
    AccessMask, Ace, AceFlags, AceKind, Acl, AclState, Control, GenericMapping, IntegrityLevel, MandatoryPolicy,
    SecurityDescriptor, Sid, SystemMandatoryPolicy, Token,
};

/// Whether the child can have children itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// A directory or a registry key: CI entries apply to it, OI entries pass through it.
    Container,
    /// A file: OI entries apply to it.
    Leaf,
}

/// Whom CREATOR OWNER and CREATOR GROUP stand for, and what generic rights mean, in one child.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    kind: ChildKind,
    owner: Option<&'a Sid>,
    group: Option<&'a Sid>,
    mapping: &'a GenericMapping,
}

/// The entries that a child inherits from `parent`, in the parent's order, marked as inherited.
///
/// An entry that names CREATOR OWNER or CREATOR GROUP or holds generic rights, and that is to be inherited further, becomes
/// two: one in force, with the SID and the rights made concrete, and one to inherit, as it was.
pub fn inherited_aces(
    parent: &[Ace],
    kind: ChildKind,
    owner: Option<&Sid>,
    group: Option<&Sid>,
    mapping: &GenericMapping,
) -> Vec<Ace> {
    let place = Place { kind, owner, group, mapping };
    parent.iter().filter_map(|ace| passed_on(ace, kind)).flat_map(|ace| settle(ace, place)).collect()
}

/// The descriptor of a new object.
///
/// `creator` is what the caller of a create function passed, if anything: its DACL comes first and is followed by what the
/// parent hands down, unless it is protected. Without one, the child has what the parent hands down; without that, the token's
/// default DACL; without that, no DACL. Below Medium integrity the object is labelled with the caller's level.
pub fn new_object(
    parent: Option<&SecurityDescriptor>,
    creator: Option<&SecurityDescriptor>,
    token: &Token,
    kind: ChildKind,
    mapping: &GenericMapping,
) -> SecurityDescriptor {
    let owner = creator.and_then(|creator| creator.owner).unwrap_or(*token.owner());
    let group = creator.and_then(|creator| creator.group).unwrap_or(*token.primary_group());
    let place = Place { kind, owner: Some(&owner), group: Some(&group), mapping };
    let absent = AclState::Absent;
    let (parent_dacl, parent_sacl) = parent.map_or((&absent, &absent), |parent| (&parent.dacl, &parent.sacl));
    let (creator_dacl, creator_sacl) = creator.map_or((&absent, &absent), |creator| (&creator.dacl, &creator.sacl));
    let asked = creator.map_or(Control::empty(), |creator| creator.control);

    let (mut dacl, dacl_inherited) = combine(creator_dacl, parent_dacl, asked.contains(Control::DACL_PROTECTED), place);
    if dacl == AclState::Absent
        && let Some(default) = token.default_dacl()
    {
        let aces = default.aces().iter().cloned().flat_map(|ace| settle(ace, place)).collect();
        dacl = AclState::Present(Acl::from_aces(aces));
    }
    let (mut sacl, sacl_inherited) = combine(creator_sacl, parent_sacl, asked.contains(Control::SACL_PROTECTED), place);
    label_from_token(&mut sacl, token);

    let mut control = asked & (Control::DACL_PROTECTED | Control::SACL_PROTECTED);
    control.set(Control::DACL_AUTO_INHERITED, dacl_inherited);
    control.set(Control::SACL_AUTO_INHERITED, sacl_inherited);
    SecurityDescriptor { control, resource_manager: 0, owner: Some(owner), group: Some(group), sacl, dacl }
}

/// What becomes of `child` when inheritance from `parent` is worked out anew: its explicit entries stay, its inherited ones
/// are replaced by what the parent hands down now. A protected list, and a NULL or absent DACL, stay as they are.
pub fn reinherit(
    child: &SecurityDescriptor,
    parent: &SecurityDescriptor,
    kind: ChildKind,
    mapping: &GenericMapping,
) -> SecurityDescriptor {
    let place = Place { kind, owner: child.owner.as_ref(), group: child.group.as_ref(), mapping };
    let mut renewed = child.clone();
    if !child.control.contains(Control::DACL_PROTECTED)
        && let AclState::Present(acl) = &child.dacl
    {
        renewed.dacl = AclState::Present(renew(acl, parent.dacl.aces(), place));
        renewed.control |= Control::DACL_AUTO_INHERITED;
    }
    if !child.control.contains(Control::SACL_PROTECTED) {
        let empty = Acl::new();
        let renewed_acl = renew(child.sacl.acl().unwrap_or(&empty), parent.sacl.aces(), place);
        if child.sacl != AclState::Absent || !renewed_acl.aces().is_empty() {
            renewed.sacl = AclState::Present(renewed_acl);
            renewed.control |= Control::SACL_AUTO_INHERITED;
        }
    }
    renewed
}

fn renew(acl: &Acl, parent: &[Ace], place: Place<'_>) -> Acl {
    let explicit = acl.aces().iter().filter(|ace| !ace.is_inherited()).cloned();
    let inherited = inherited_aces(parent, place.kind, place.owner, place.group, place.mapping);
    Acl::from_aces(explicit.chain(inherited).collect())
}

/// The creator's entries and the parent's; whether the parent's were taken into account.
fn combine(creator: &AclState, parent: &AclState, protected: bool, place: Place<'_>) -> (AclState, bool) {
    let inherited = match parent {
        AclState::Present(acl) if !protected => {
            inherited_aces(acl.aces(), place.kind, place.owner, place.group, place.mapping)
        }
        _ => Vec::new(),
    };
    match creator {
        AclState::Null => (AclState::Null, false),
        AclState::Absent if inherited.is_empty() => (AclState::Absent, false),
        AclState::Absent => (AclState::Present(Acl::from_aces(inherited)), true),
        AclState::Present(acl) => {
            // What the creator marked as inherited came from elsewhere; without a parent to inherit from it stays.
            let own = acl.aces().iter().filter(|ace| protected || !ace.is_inherited()).cloned();
            let aces: Vec<Ace> = own.flat_map(|ace| settle(ace, place)).chain(inherited).collect();
            (AclState::Present(Acl::from_aces(aces)), !protected)
        }
    }
}

/// The ACE as it arrives at the child, before creators and generic rights are made concrete; `None` if it does not.
fn passed_on(ace: &Ace, kind: ChildKind) -> Option<Ace> {
    let flags = ace.flags;
    let stops_here = flags.contains(AceFlags::NO_PROPAGATE_INHERIT);
    let kept = match kind {
        ChildKind::Leaf if flags.contains(AceFlags::OBJECT_INHERIT) => AceFlags::empty(),
        ChildKind::Container if flags.contains(AceFlags::CONTAINER_INHERIT) => {
            if stops_here {
                AceFlags::empty()
            } else {
                flags & AceFlags::INHERIT_ALL
            }
        }
        ChildKind::Container if flags.contains(AceFlags::OBJECT_INHERIT) && !stops_here => {
            AceFlags::OBJECT_INHERIT | AceFlags::INHERIT_ONLY
        }
        _ => return None,
    };
    let mut child = ace.clone();
    // An entry for one class of directory-service objects concerns no file or key: it travels on and is never in force.
    let for_other_class = ace.objects.inherited.is_some();
    if for_other_class && kept.is_empty() {
        return None;
    }
    child.flags = (flags - AceFlags::PROPAGATION) | kept | AceFlags::INHERITED;
    child.flags.set(AceFlags::INHERIT_ONLY, kept.contains(AceFlags::INHERIT_ONLY) || for_other_class);
    Some(child)
}

/// Makes creators and generic rights concrete in an ACE that is in force; keeps a copy to inherit where one is needed.
fn settle(ace: Ace, place: Place<'_>) -> impl Iterator<Item = Ace> {
    let settled = if ace.is_inherit_only() { None } else { concrete(&ace, place) };
    let (in_force, to_inherit) = match settled {
        None => (ace, None),
        Some(mut in_force) => {
            let inheritable = ace.flags & AceFlags::INHERIT_ALL;
            if inheritable.is_empty() || place.kind == ChildKind::Leaf {
                (in_force, None)
            } else {
                in_force.flags -= AceFlags::PROPAGATION;
                let mut to_inherit = ace;
                to_inherit.flags |= AceFlags::INHERIT_ONLY;
                (in_force, Some(to_inherit))
            }
        }
    };
    core::iter::once(in_force).chain(to_inherit)
}

/// The ACE with its creator and its generic rights replaced; `None` if it has neither.
fn concrete(ace: &Ace, place: Place<'_>) -> Option<Ace> {
    let substitute = match ace.sid {
        sid if sid == CREATOR_OWNER => place.owner,
        sid if sid == CREATOR_GROUP => place.group,
        _ => None,
    };
    let has_rights = ace.kind.is_allow() || ace.kind.is_deny() || ace.kind == AceKind::Audit;
    let is_generic = has_rights && ace.mask.intersects(AccessMask::GENERIC);
    if substitute.is_none() && !is_generic {
        return None;
    }
    let mut concrete = ace.clone();
    concrete.sid = *substitute.unwrap_or(&ace.sid);
    if has_rights {
        concrete.mask = place.mapping.map(ace.mask);
    }
    Some(concrete)
}

/// A caller below Medium leaves its level on what it makes, so that its equals can still write it.
fn label_from_token(sacl: &mut AclState, token: &Token) {
    let submits = token.mandatory_policy().contains(MandatoryPolicy::NO_WRITE_UP);
    let is_labelled = sacl.aces().iter().any(|ace| ace.kind == AceKind::MandatoryLabel && !ace.is_inherit_only());
    if token.integrity() < IntegrityLevel::MEDIUM && submits && !is_labelled {
        let label = Ace::mandatory_label(token.integrity(), SystemMandatoryPolicy::NO_WRITE_UP, AceFlags::empty());
        let mut aces = sacl.aces().to_vec();
        aces.insert(0, label);
        *sacl = AclState::Present(Acl::from_aces(aces));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectType;

    const USER: &str = "S-1-5-21-1-2-3-1001";

    fn descriptor(sddl: &str) -> SecurityDescriptor {
        sddl.parse().unwrap_or_else(|error| panic!("{sddl}: {error}"))
    }

    fn token() -> Token {
        format!("user {USER}\nprimary-group BU").parse().unwrap()
    }

    fn child_of(parent: &str, creator: Option<&str>, kind: ChildKind) -> String {
        let parent = descriptor(parent);
        let creator = creator.map(descriptor);
        new_object(Some(&parent), creator.as_ref(), &token(), kind, &ObjectType::File.mapping()).to_sddl().unwrap()
    }

    fn dacl_of(parent: &str, kind: ChildKind) -> String {
        child_of(parent, None, kind).split_once("D:").unwrap().1.to_owned()
    }

    #[test]
    fn the_table_of_ace_inheritance_rules() {
        // https://learn.microsoft.com/windows/win32/secauthz/ace-inheritance-rules, row by row.
        for (flags, directory, file) in [
            ("OI", "(A;OIIOID;FR;;;WD)", "(A;ID;FR;;;WD)"),
            ("CI", "(A;CIID;FR;;;WD)", ""),
            ("OICI", "(A;OICIID;FR;;;WD)", "(A;ID;FR;;;WD)"),
            ("OINP", "", "(A;ID;FR;;;WD)"),
            ("CINP", "(A;ID;FR;;;WD)", ""),
            ("OICINP", "(A;ID;FR;;;WD)", "(A;ID;FR;;;WD)"),
            ("OIIO", "(A;OIIOID;FR;;;WD)", "(A;ID;FR;;;WD)"),
            ("OICIIO", "(A;OICIID;FR;;;WD)", "(A;ID;FR;;;WD)"),
            ("", "", ""),
        ] {
            let parent = format!("D:(A;{flags};FR;;;WD)");
            for (kind, expected) in [(ChildKind::Container, directory), (ChildKind::Leaf, file)] {
                let dacl = child_of(&parent, None, kind);
                let expected =
                    if expected.is_empty() { format!("O:{USER}G:BU") } else { format!("O:{USER}G:BUD:AI{expected}") };
                assert_eq!(dacl, expected, "{flags} {kind:?}");
            }
        }
    }

    #[test]
    fn creators_and_generic_rights_become_concrete_and_travel_on() {
        let parent = "D:(A;OICIIO;GA;;;CO)(A;OICI;GXGR;;;CG)(A;CINP;GR;;;WD)";
        assert_eq!(
            dacl_of(parent, ChildKind::Container),
            format!("AI(A;ID;FA;;;{USER})(A;OICIIOID;GA;;;CO)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;CG)(A;ID;FR;;;WD)")
        );
        assert_eq!(dacl_of(parent, ChildKind::Leaf), format!("AI(A;ID;FA;;;{USER})(A;ID;0x1200a9;;;BU)"));
    }

    #[test]
    fn what_the_creator_says_comes_first() {
        let parent = "D:(A;OICI;FR;;;WD)";
        assert_eq!(
            child_of(parent, Some("O:BAD:(A;;GW;;;BU)(A;ID;FA;;;AU)"), ChildKind::Leaf),
            "O:BAG:BUD:AI(A;;FW;;;BU)(A;ID;FR;;;WD)"
        );
        assert_eq!(child_of(parent, Some("D:P(A;;FX;;;BU)"), ChildKind::Leaf), format!("O:{USER}G:BUD:P(A;;FX;;;BU)"));
        assert_eq!(
            child_of(parent, Some("D:NO_ACCESS_CONTROL"), ChildKind::Leaf),
            format!("O:{USER}G:BUD:NO_ACCESS_CONTROL")
        );
    }

    #[test]
    fn the_default_dacl_serves_where_nothing_is_inherited() {
        let default: SecurityDescriptor = format!("D:(A;;GA;;;{USER})(A;;RC;;;OW)").parse().unwrap();
        let caller = token().to_builder().default_dacl(default.dacl.acl().unwrap().clone()).build();
        let child = |parent: &str| {
            new_object(Some(&descriptor(parent)), None, &caller, ChildKind::Leaf, &ObjectType::File.mapping())
                .to_sddl()
                .unwrap()
        };
        assert_eq!(child("D:(A;CI;FR;;;WD)"), format!("O:{USER}G:BUD:(A;;FA;;;{USER})(A;;RC;;;OW)"));
        assert_eq!(child("D:(A;OI;FR;;;WD)"), format!("O:{USER}G:BUD:AI(A;ID;FR;;;WD)"));
    }

    #[test]
    fn labels_are_inherited_and_left_by_low_callers() {
        let parent = "D:(A;OI;FR;;;WD)S:(ML;OICI;NW;;;LW)";
        assert!(child_of(parent, None, ChildKind::Leaf).ends_with("S:AI(ML;ID;NW;;;LW)"));
        let low = token().to_builder().integrity(IntegrityLevel::LOW).build();
        let made = new_object(None, None, &low, ChildKind::Leaf, &ObjectType::File.mapping());
        assert_eq!(made.to_sddl().unwrap(), format!("O:{USER}G:BUS:(ML;;NW;;;LW)"));
    }

    #[test]
    fn reinheriting_replaces_what_was_inherited_and_nothing_else() {
        let parent = descriptor("D:(A;OICI;FR;;;WD)(A;OICIIO;GA;;;CO)");
        let mapping = ObjectType::File.mapping();
        let renewed = |child: &str| {
            let once = reinherit(&descriptor(child), &parent, ChildKind::Leaf, &mapping);
            assert_eq!(reinherit(&once, &parent, ChildKind::Leaf, &mapping), once, "idempotent");
            once.to_sddl().unwrap()
        };
        assert_eq!(renewed("O:SYD:AI(D;;FW;;;BU)(A;ID;FA;;;AU)"), "O:SYD:AI(D;;FW;;;BU)(A;ID;FR;;;WD)(A;ID;FA;;;SY)");
        assert_eq!(renewed("O:SYD:P(A;ID;FA;;;AU)"), "O:SYD:P(A;ID;FA;;;AU)");
        assert_eq!(renewed("D:NO_ACCESS_CONTROL"), "D:NO_ACCESS_CONTROL");
        // Without an owner CREATOR OWNER has nobody to stand for; its generic right is made concrete all the same.
        assert_eq!(renewed("D:"), "D:AI(A;ID;FR;;;WD)(A;ID;FA;;;CO)");
    }
}
