//! What is the same for every policy and every machine.

use std::sync::LazyLock;

use proptest::prelude::*;
use ringfence_ntsec::{AccessMask, GroupAttributes, Sid, Token, WriteReading, well_known};
use ringfence_policy::{Everyone, Overrides};

use super::world::{WORKSPACE, World, ann, path, policy};
use crate::facts::windows::{ObjectId, Reading, SelfCheck, WindowsPlace};
use crate::plan::windows::{SidRole, TokenFlag};

/// A world that is laid out once: it costs more than a plan.
fn guard() -> World {
    static WORLD: LazyLock<World> = LazyLock::new(|| World::new("guard", WriteReading::Reported));
    WORLD.clone()
}

fn self_check() -> impl Strategy<Value = SelfCheck> {
    let reading = prop_oneof![Just(Reading::Narrow), Just(Reading::Reported), Just(Reading::Wide)];
    prop_oneof![
        Just(SelfCheck::NotMade),
        Just(SelfCheck::Failed { step: "token".into(), why: "ignored".into() }),
        (reading, any::<bool>()).prop_map(|(reading, window_station)| SelfCheck::Passed { reading, window_station }),
    ]
}

/// Tokens of users who are in many groups.
fn caller() -> impl Strategy<Value = Token> {
    let group = prop_oneof![
        Just(well_known::AUTHENTICATED_USERS),
        Just(well_known::ADMINISTRATORS),
        Just(well_known::INTERACTIVE),
        Just(well_known::USERS),
        Just("S-1-5-113".parse::<Sid>().unwrap()),
        (1100..1200u32).prop_map(|rid| format!("S-1-5-21-1-2-3-{rid}").parse().unwrap()),
    ];
    proptest::collection::vec((group, any::<bool>()), 0..40).prop_map(|groups| {
        groups
            .into_iter()
            .fold(ann().to_builder(), |token, (sid, denies)| match denies {
                true => token.group_with(sid, GroupAttributes::USE_FOR_DENY_ONLY),
                false => token.group(sid),
            })
            .build()
    })
}

fn roots(template: &WindowsPlace, count: usize) -> Vec<WindowsPlace> {
    (0..count)
        .map(|number| WindowsPlace {
            path: path(&format!(r"D:\projects\{number}")),
            object: ObjectId { volume: 1, file: 1000 + number as u128 },
            ..template.clone()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // A token with one SID per root outgrew the space that the kernel gives it (error 1344), and the user's own SID, or one
    // that objects commonly name, opened all of them.
    #[test]
    fn a_token_has_a_constant_number_of_restricting_sids_and_never_a_common_one(
        count in 0usize..60,
        caller in caller(),
        check in self_check(),
        everyone in prop_oneof![Just(Everyone::Never), Just(Everyone::Auto), Just(Everyone::Always)],
    ) {
        let mut world = guard();
        world.policy.filesystem.write.clear();
        world.facts.survey.write = roots(&world.facts.survey.write[0], count);
        world.facts.caller.token = caller;
        world.facts.host.self_check = check;
        world.policy.windows.everyone.value = everyone;
        let plan = world.windows();
        let token = &plan.token;
        prop_assert!(token.restricting.len() <= 4);
        prop_assert_eq!(&token.flags[..], &[TokenFlag::DisableMaxPrivilege, TokenFlag::LuaToken, TokenFlag::WriteRestricted]);
        for restricting in &token.restricting {
            let allowed = match restricting.role {
                SidRole::Workspace => restricting.sid == world.facts.identity.workspace && count > 0,
                SidRole::Run => restricting.sid == world.facts.identity.run,
                SidRole::Logon => Some(&restricting.sid) == world.facts.caller.token.logon_sid(),
                SidRole::Everyone => restricting.sid == well_known::EVERYONE && everyone == Everyone::Always,
            };
            prop_assert!(allowed, "{restricting:?}");
            prop_assert_ne!(restricting.sid.authority(), 15);
            prop_assert_ne!(restricting.sid, *world.facts.caller.token.user());
        }
        let finished = token.finished(&world.facts.caller.token);
        prop_assert_eq!(token.differences(&finished), Vec::<String>::new());
        let size: usize = token.default_dacl.iter().map(|ace| ace.byte_len()).sum();
        prop_assert!(size < 200, "the default DACL has {} bytes", size);
        prop_assert!(token.default_dacl.iter().all(|ace| ace.sid != well_known::EVERYONE));
    }

    #[test]
    fn a_grant_never_opens_more_than_modifying(count in 1usize..20, check in self_check()) {
        let mut world = guard();
        world.facts.survey.write.extend(roots(&world.facts.survey.write[0], count));
        world.facts.host.self_check = check;
        let plan = world.windows();
        if matches!(world.facts.host.self_check, SelfCheck::Failed { .. }) {
            prop_assert!(plan.grants.is_empty());
            return Ok(());
        }
        prop_assert_eq!(plan.grants.len(), count + 1);
        for grant in &plan.grants {
            let forbidden = AccessMask::FILE_DELETE_CHILD | AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER;
            prop_assert!(!grant.allow.mask.intersects(forbidden));
            prop_assert!(grant.allow.mask.contains(AccessMask::DELETE));
            prop_assert_eq!(grant.allow.sid, world.facts.identity.workspace);
            for edit in &grant.protect {
                prop_assert!(edit.ace.kind.is_deny() && edit.target.path.is_in(&grant.root.path));
                prop_assert!(edit.ace.mask.contains(forbidden | AccessMask::DELETE | AccessMask::FILE_WRITE_DATA));
                // Reading the descriptor and waiting are part of every read.
                prop_assert!(!edit.ace.mask.intersects(AccessMask::FILE_GENERIC_READ | AccessMask::FILE_GENERIC_EXECUTE));
            }
            for edit in &grant.hold {
                prop_assert_eq!((edit.ace.sid, edit.ace.mask), (world.facts.identity.workspace, AccessMask::DELETE));
            }
        }
        prop_assert_eq!(plan.grants.iter().filter(|grant| grant.root.path == path(WORKSPACE)).count(), 1);
    }

    #[test]
    fn a_plan_that_would_run_holds_every_rule_or_was_told_not_to(check in self_check(), profile in prop_oneof![Just("guard"), Just("workspace"), Just("read-only")]) {
        let mut world = World { policy: policy(profile, Overrides::default()), ..guard() };
        if profile == "read-only" {
            world.facts.survey.write.clear();
        }
        let sound = matches!(check, SelfCheck::Passed { reading: Reading::Reported | Reading::Wide, .. });
        world.facts.host.self_check = check;
        let plan = world.plan().unwrap();
        prop_assert_eq!(plan.refusal().is_none(), sound && profile == "guard");
        prop_assert_eq!(plan.rules().iter().all(|row| row.holds.is_kernel()), plan.refusal().is_none());
    }
}
