//! Laws that hold for every token, descriptor and mask.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::collection::vec;
use proptest::prelude::*;
use ringfence_ntsec::inherit::{ChildKind, inherited_aces, new_object, reinherit};
use ringfence_ntsec::{
    AccessCheck, AccessMask, Ace, AceFlags, AceKind, Acl, AclState, Conditions, Control, Group, GroupAttributes, Guid,
    IntegrityLevel, Layout, Lowbox, ObjectType, ObjectTypes, Privilege, RestrictFlags, Restricting, Restriction,
    SecurityDescriptor, Sid, SystemMandatoryPolicy, Token, WriteReading, well_known,
};

#[allow(dead_code, reason = "shared by several tests, none of which uses all of it")]
mod common;

fn sid() -> impl Strategy<Value = Sid> {
    prop_oneof![6 => prop::sample::select(common::sid_pool()), 1 => Just(well_known::OWNER_RIGHTS)]
}

fn any_sid() -> impl Strategy<Value = Sid> {
    (0_u64..1 << 48, vec(any::<u32>(), 0..=15)).prop_map(|(authority, subs)| Sid::new(authority, &subs).unwrap())
}

fn mask() -> impl Strategy<Value = AccessMask> {
    prop_oneof![
        (0_u32..21).prop_map(|bit| AccessMask(1 << bit)),
        prop::sample::select(vec![
            AccessMask::FILE_ALL_ACCESS,
            AccessMask::FILE_GENERIC_READ,
            AccessMask::FILE_GENERIC_WRITE,
            AccessMask::FILE_MODIFY,
            AccessMask::GENERIC_ALL,
            AccessMask::GENERIC_READ,
        ]),
        any::<u32>().prop_map(|bits| AccessMask(bits & 0x001F_FFFF)),
    ]
}

fn flags() -> impl Strategy<Value = AceFlags> {
    (0_u8..32).prop_map(|bits| if bits < 16 { AceFlags::empty() } else { AceFlags::from_bits_truncate(bits & 0x1F) })
}

fn ace() -> impl Strategy<Value = Ace> {
    (any::<bool>(), sid(), mask(), flags(), 0_u8..10).prop_map(|(deny, sid, mask, flags, odd)| {
        let mut ace = if deny { Ace::deny(sid, mask, flags) } else { Ace::allow(sid, mask, flags) };
        match odd {
            0 => {
                ace.kind = if deny { AceKind::DeniedObject } else { AceKind::AllowedObject };
                ace.objects = ObjectTypes { object: Some(Guid([7; 16])), inherited: None };
            }
            1 => {
                ace = format!("(X{};;0x1f01ff;;;WD;(Exists a))", if deny { "D" } else { "A" }).parse().unwrap();
                ace.sid = sid;
                ace.mask = mask;
                ace.flags = flags;
            }
            _ => {}
        }
        ace
    })
}

fn descriptor() -> impl Strategy<Value = SecurityDescriptor> {
    let label = (prop::sample::select(vec![0_u32, 0x1000, 0x2000, 0x3000]), 0_u32..8);
    let dacl = prop_oneof![12 => vec(ace(), 0..10).prop_map(|aces| AclState::Present(Acl::from_aces(aces))),
        1 => Just(AclState::Null), 1 => Just(AclState::Absent)];
    (sid(), sid(), dacl, prop::option::of(label), any::<u16>()).prop_map(|(owner, group, dacl, label, control)| {
        let sacl = label.map_or(AclState::Absent, |(level, policy)| {
            let policy = SystemMandatoryPolicy::from_bits_retain(policy);
            AclState::Present(Acl::from_aces(vec![Ace::mandatory_label(
                IntegrityLevel(level),
                policy,
                AceFlags::empty(),
            )]))
        });
        let inheritance = Control::from_bits_truncate(control & 0x3F00);
        SecurityDescriptor {
            control: inheritance,
            resource_manager: 0,
            owner: Some(owner),
            group: Some(group),
            sacl,
            dacl,
        }
    })
}

fn restricting() -> impl Strategy<Value = Restricting> {
    (vec(sid(), 0..4), any::<bool>()).prop_map(|(sids, write_only)| Restricting { sids, write_only })
}

fn token() -> impl Strategy<Value = Token> {
    let group = (sid(), prop::sample::select(vec![7_u32, 7, 7, 0x10, 0]));
    let privileges = prop::sample::subsequence(
        vec![Privilege::Security, Privilege::TakeOwnership, Privilege::Relabel, Privilege::ChangeNotify],
        0..3,
    );
    let level = prop::sample::select(vec![0x1000_u32, 0x2000, 0x2000, 0x3000]);
    let lowbox = prop::bool::weighted(0.15);
    (sid(), vec(group, 0..6), privileges, level, prop::option::weighted(0.4, restricting()), lowbox).prop_map(
        |(user, groups, privileges, level, restricting, lowbox)| {
            let mut builder = Token::builder(user).integrity(IntegrityLevel(level));
            for (sid, attributes) in groups {
                builder = builder.group_with(sid, GroupAttributes::from_bits_retain(attributes));
            }
            for privilege in privileges {
                builder = builder.privilege(privilege);
            }
            if let Some(restricting) = restricting {
                builder = builder.restricting(restricting);
            }
            if lowbox {
                let package = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
                builder = builder.lowbox(Lowbox {
                    package,
                    capabilities: vec![Group { sid: well_known::EVERYONE, attributes: GroupAttributes::ENABLED }],
                    less_privileged: false,
                });
            }
            builder.build()
        },
    )
}

fn restriction() -> impl Strategy<Value = Restriction> {
    (0_u32..16, vec(sid(), 0..3), vec(sid(), 0..4)).prop_map(|(flags, deny_only, restricting)| Restriction {
        flags: RestrictFlags::from_bits_truncate(flags),
        deny_only,
        delete_privileges: vec![Privilege::Relabel],
        restricting,
    })
}

fn kind() -> impl Strategy<Value = ObjectType> {
    prop::sample::select(ObjectType::ALL.to_vec())
}

fn reading() -> impl Strategy<Value = WriteReading> {
    prop::sample::select(WriteReading::ALL.to_vec())
}

/// What may be had with each privilege asked for by name too.
fn reach(token: &Token, descriptor: &SecurityDescriptor, kind: ObjectType, reading: WriteReading) -> AccessMask {
    let check = AccessCheck::new(token, descriptor, kind).with_write_reading(reading);
    let named = [AccessMask::WRITE_OWNER, AccessMask::ACCESS_SYSTEM_SECURITY];
    named.into_iter().filter(|right| check.allows(*right)).fold(check.maximum(), |all, right| all | right)
}

fn config() -> ProptestConfig {
    let cases = common::amount("RINGFENCE_PROPERTY_CASES", 600) as u32;
    ProptestConfig { cases, max_global_rejects: cases * 4, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn restricting_a_token_never_adds_a_right(
        token in token(), restriction in restriction(), descriptor in descriptor(), kind in kind(), reading in reading()
    ) {
        let restricted = token.restrict(&restriction);
        // A list of restricting SIDs that is cut shorter loses what is denied to those that go.
        let kept = |sid: &Sid| restricted.restricting().is_some_and(|list| list.sids.contains(sid));
        let lost = |sid: &Sid| token.restricting().is_some_and(|list| list.sids.contains(sid)) && !kept(sid);
        let denies = |ace: &Ace| {
            matches!(
                ace.kind,
                AceKind::Denied | AceKind::DeniedObject | AceKind::DeniedCallback | AceKind::DeniedCallbackObject
            )
        };
        let denied_to_lost = match &descriptor.dacl {
            AclState::Present(acl) => acl.aces().iter().any(|ace| denies(ace) && lost(&ace.sid)),
            _ => false,
        };
        prop_assume!(!denied_to_lost);
        let before = reach(&token, &descriptor, kind, reading);
        let after = reach(&restricted, &descriptor, kind, reading);
        prop_assert!(before.contains(after), "{before} {after}");
    }

    #[test]
    fn adding_an_allow_never_removes_and_adding_a_deny_never_adds(
        token in token(), descriptor in descriptor(), kind in kind(), reading in reading(), mask in mask(), sid in sid(), place in any::<prop::sample::Index>()
    ) {
        prop_assume!(sid != well_known::OWNER_RIGHTS);
        let AclState::Present(acl) = &descriptor.dacl else { return Ok(()) };
        let before = reach(&token, &descriptor, kind, reading);
        let with = |ace: Ace, place: usize| {
            let mut aces = acl.aces().to_vec();
            aces.insert(place, ace);
            let dacl = AclState::Present(Acl::from_aces(aces));
            reach(&token, &SecurityDescriptor { dacl, ..descriptor.clone() }, kind, reading)
        };
        let place = place.index(acl.aces().len() + 1);
        let allowed = with(Ace::allow(sid, mask, AceFlags::empty()), place);
        prop_assert!(allowed.contains(before), "{before} {allowed}");
        let denied = with(Ace::deny(sid, mask, AceFlags::empty()), place);
        prop_assert!(before.contains(denied), "{before} {denied}");
    }

    #[test]
    fn a_restricted_result_lies_within_both_passes(
        token in token(), list in restricting(), descriptor in descriptor(), kind in kind()
    ) {
        prop_assume!(matches!(descriptor.dacl, AclState::Present(_)) && token.lowbox().is_none());
        // The first pass alone is what the token without a list gets. (A mapping that leaves nothing to restrict would not
        // do: the mandatory check reads the same mapping.)
        prop_assume!(token.restricting().is_none());
        let restricted = token.to_builder().restricting(Restricting { write_only: false, ..list.clone() }).build();
        let both = AccessCheck::new(&restricted, &descriptor, kind).maximum();
        let first_alone = AccessCheck::new(&token, &descriptor, kind).maximum();
        let second_alone = list.sids.iter().fold(
            Token::builder(well_known::NULL).integrity(IntegrityLevel::SYSTEM),
            |builder, sid| builder.group(*sid),
        ).build();
        let second_alone = AccessCheck::new(&second_alone, &descriptor, kind).maximum();
        let implied = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
        prop_assert!((first_alone | implied).contains(both));
        prop_assert!((second_alone | implied).contains(both), "{second_alone} {both}");
    }

    #[test]
    fn a_wider_reading_never_grants_more(token in token(), descriptor in descriptor(), kind in kind(), desired in mask()) {
        let [narrow, reported, wide] = WriteReading::ALL.map(|reading| reach(&token, &descriptor, kind, reading));
        prop_assert!(narrow.contains(reported) && narrow.contains(wide));
        prop_assert!(reported.contains(wide), "{reported} {wide}");
        let granted = WriteReading::ALL
            .map(|reading| AccessCheck::new(&token, &descriptor, kind).with_write_reading(reading).allows(desired));
        prop_assert!(granted.is_sorted_by(|wider, narrower| wider >= narrower), "{granted:?}");
    }

    #[test]
    fn asking_for_the_most_and_asking_by_name_agree(
        token in token(), descriptor in descriptor(), kind in kind(), reading in reading()
    ) {
        let check = AccessCheck::new(&token, &descriptor, kind).with_write_reading(reading);
        let most = check.maximum();
        prop_assert!(most.is_empty() || check.allows(most), "{most}");
        for bit in (0..21).map(|shift| AccessMask(1 << shift)) {
            let by_name = check.decide(bit);
            let privileged = bit == AccessMask::WRITE_OWNER && by_name.is_granted();
            // A NULL DACL grants whatever is named; the most that it grants are the rights of the type.
            let unprotected = !matches!(descriptor.dacl, AclState::Present(_));
            prop_assert!(by_name.is_granted() == most.contains(bit) || privileged || unprotected, "{bit} {most}");
            prop_assert!(!most.contains(bit) || by_name.is_granted());
        }
    }

    #[test]
    fn explaining_changes_nothing(token in token(), descriptor in descriptor(), kind in kind(), desired in mask()) {
        let check = AccessCheck::new(&token, &descriptor, kind).with_conditions(Conditions::Met);
        let explanation = check.explain(desired);
        prop_assert_eq!(explanation.decision, check.decide(desired));
        prop_assert!(!explanation.to_string().is_empty());
        // Every right that was granted has a rule that says so.
        for bit in (0..32).map(|shift| AccessMask(1 << shift)).filter(|bit| explanation.decision.granted.contains(*bit)) {
            prop_assert!(explanation.about(bit).next().is_some(), "{} has no reason", bit);
        }
    }

    #[test]
    fn sids_come_back(sid in any_sid()) {
        prop_assert_eq!(sid.to_string().parse::<Sid>().unwrap(), sid);
        prop_assert_eq!(Sid::from_bytes(&sid.to_bytes()).unwrap(), sid);
        prop_assert_eq!(Sid::from_sddl(&sid.to_string()).unwrap(), sid);
    }

    #[test]
    fn descriptors_come_back(descriptor in descriptor()) {
        for layout in [Layout::OWNER_FIRST, Layout::ACLS_FIRST] {
            let bytes = descriptor.to_bytes_in(layout).unwrap();
            prop_assert_eq!(&SecurityDescriptor::from_bytes(&bytes).unwrap(), &descriptor);
            let found = Layout::of(&bytes).unwrap().unwrap();
            prop_assert_eq!(descriptor.to_bytes_in(found).unwrap(), bytes);
        }
        prop_assert_eq!(SecurityDescriptor::from_absolute(&descriptor.to_absolute().unwrap()).unwrap(), descriptor.clone());
        let mut sayable = descriptor.clone();
        // SDDL has words for the flags of inheritance only where there is an ACL to write them before.
        if descriptor.dacl == AclState::Absent {
            sayable.control -= Control::DACL_PROTECTED | Control::DACL_AUTO_INHERITED | Control::DACL_AUTO_INHERIT_REQUIRED;
        }
        if descriptor.sacl == AclState::Absent {
            sayable.control -= Control::SACL_PROTECTED | Control::SACL_AUTO_INHERITED | Control::SACL_AUTO_INHERIT_REQUIRED;
        }
        prop_assert_eq!(sayable.to_sddl().unwrap().parse::<SecurityDescriptor>().unwrap(), sayable);
    }

    #[test]
    fn tokens_come_back(token in token()) {
        let text = token.to_string();
        prop_assert_eq!(text.parse::<Token>().unwrap().to_string(), text);
    }

    #[test]
    fn inheriting_again_changes_nothing(parent in descriptor(), child in descriptor(), leaf in any::<bool>()) {
        let kind = if leaf { ChildKind::Leaf } else { ChildKind::Container };
        let mapping = ObjectType::File.mapping();
        let once = reinherit(&child, &parent, kind, &mapping);
        prop_assert_eq!(&reinherit(&once, &parent, kind, &mapping), &once);
        // Explicit entries are never touched.
        let explicit = |descriptor: &SecurityDescriptor| {
            descriptor.dacl.aces().iter().filter(|ace| !ace.is_inherited()).cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(explicit(&once), explicit(&child));
    }

    #[test]
    fn a_new_child_agrees_with_reinheritance(parent in descriptor(), token in token(), leaf in any::<bool>()) {
        let kind = if leaf { ChildKind::Leaf } else { ChildKind::Container };
        let mapping = ObjectType::File.mapping();
        let child = new_object(Some(&parent), None, &token, kind, &mapping);
        if let AclState::Present(_) = child.dacl {
            prop_assert_eq!(reinherit(&child, &parent, kind, &mapping).dacl, child.dacl.clone());
        }
        for ace in inherited_aces(parent.dacl.aces(), kind, None, None, &mapping) {
            prop_assert!(ace.is_inherited());
            prop_assert!(!leaf || !ace.flags.intersects(AceFlags::PROPAGATION), "a file hands nothing down");
        }
    }

    #[test]
    fn edits_are_undone_completely(descriptor in descriptor(), mask in mask()) {
        let ours = Sid::ringfence_run(&[3; 16]);
        let mut dacl = Acl::from_aces(
            descriptor.dacl.aces().iter().filter(|ace| ace.sid != ours).cloned().collect(),
        );
        let before = dacl.clone();
        let canonical = before.is_canonical();
        prop_assert!(dacl.add_allow(ours, mask, AceFlags::INHERIT_ALL).unwrap());
        prop_assert!(dacl.add_deny(ours, mask, AceFlags::INHERIT_ALL).unwrap());
        prop_assert_eq!(dacl.is_canonical(), canonical);
        prop_assert_eq!(dacl.remove_sid(&ours), 2);
        prop_assert_eq!(dacl.aces(), before.aces());
        prop_assert_eq!(dacl.to_bytes().unwrap(), before.to_bytes().unwrap());
    }

    #[test]
    fn masks_form_a_lattice(a in any::<u32>(), b in any::<u32>(), c in any::<u32>()) {
        let [a, b, c] = [a, b, c].map(AccessMask);
        prop_assert_eq!(a & b, b & a);
        prop_assert_eq!((a & b) & c, a & (b & c));
        prop_assert_eq!(a & a, a);
        prop_assert_eq!(a & (a | b), a);
        prop_assert!(a.contains(a & b) && (a | b).contains(a));
        prop_assert_eq!((a - b) & b, AccessMask::NONE);
        prop_assert_eq!((a - b) | (a & b), a);
    }
}
