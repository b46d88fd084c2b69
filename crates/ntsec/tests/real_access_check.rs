//! The model against the real `AccessCheck` of Windows: unrestricted tokens (also under Wine), really restricted tokens, and
//! really write-restricted ones, which settles the readings of WRITE_RESTRICTED on the machine at hand.
//!
//! On Windows: `cargo test -p ringfence-ntsec --test real_access_check -- --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(windows)]

#[allow(dead_code, reason = "shared by several tests, none of which uses all of it")]
mod common;
mod win32;

use common::{Rng, Shape};
use ringfence_ntsec::{
    AccessCheck, AccessMask, Ace, AceFlags, Acl, GroupAttributes, ObjectType, RestrictFlags, Restriction,
    SecurityDescriptor, Sid, Token, WriteReading,
};
use win32::RealToken;

const KINDS: [ObjectType; 4] = [ObjectType::File, ObjectType::Key, ObjectType::Process, ObjectType::Mutant];

/// SIDs that the token has and some that it has not.
fn pool(token: &Token) -> Vec<Sid> {
    let mut pool = common::sid_pool();
    pool.push(*token.user());
    pool.push(*token.user());
    pool.extend(token.groups().iter().map(|group| group.sid));
    pool
}

/// Wine knows neither OWNER RIGHTS nor object ACEs, and stops at the first denial of a right even where an earlier ACE has
/// granted it: there, canonical order alone is comparable.
fn shape(rng: &mut Rng) -> Shape {
    let windows = !win32::is_wine();
    Shape { owner_rights: windows && rng.one_in(3), object_aces: windows, deny_in_front: !windows || rng.one_in(2) }
}

fn desired(rng: &mut Rng) -> AccessMask {
    if rng.one_in(3) { AccessMask::MAXIMUM_ALLOWED } else { common::mask(rng) }
}

/// From `least` to `most` SIDs, each once: the system may refuse a list that repeats itself.
fn distinct(rng: &mut Rng, least: usize, most: usize, pool: &[Sid]) -> Vec<Sid> {
    let count = least + rng.below(most - least + 1);
    let mut sids: Vec<Sid> = (0..count).map(|_| *rng.choose(pool)).collect();
    sids.sort();
    sids.dedup();
    sids
}

struct Case {
    descriptor: SecurityDescriptor,
    desired: AccessMask,
    kind: ObjectType,
}

fn case(rng: &mut Rng, pool: &[Sid]) -> Case {
    let shape = shape(rng);
    let mut descriptor = common::descriptor(rng, pool, shape);
    if win32::is_wine() {
        // Wine gives the owner every standard right.
        descriptor.owner = Some("S-1-5-21-9-9-9-1234".parse().unwrap());
    }
    let mut desired = desired(rng);
    if desired.is_empty() {
        desired = AccessMask::READ_CONTROL;
    }
    Case { descriptor, desired, kind: *rng.choose(&KINDS) }
}

fn compare(name: &str, real: &RealToken, model: &Token, rng: &mut Rng) {
    let caller = real.for_impersonation().unwrap();
    let pool = pool(model);
    let cases = common::amount("RINGFENCE_REAL_CASES", 4000);
    let mut granted = 0;
    for number in 0..cases {
        let case = case(rng, &pool);
        let theirs = caller.access_check(&case.descriptor, case.desired, case.kind).unwrap();
        let check = AccessCheck::new(model, &case.descriptor, case.kind);
        let ours = check.decide(case.desired).granted;
        assert_eq!(
            ours,
            theirs,
            "{name} {number}: {} wanted {} of a {}\n{model}{}",
            case.descriptor.to_sddl().unwrap(),
            case.desired,
            case.kind.name(),
            check.explain(case.desired)
        );
        granted += usize::from(!ours.is_empty());
    }
    println!("{name}: {cases} triples agree with AccessCheck, {granted} granted");
}

#[test]
fn unrestricted_tokens_agree() {
    let real = RealToken::of_process().unwrap();
    let model = real.describe().unwrap();
    compare("unrestricted", &real, &model, &mut Rng(1));
}

/// Why restricted tokens cannot be tested here, if they cannot.
fn no_restricted_tokens(real: &RealToken) -> Option<&'static str> {
    let restricted = real.restrict(0, &[], &[ringfence_ntsec::well_known::EVERYONE]).unwrap();
    if restricted.is_restricted() { None } else { Some("this system ignores restricting SIDs (Wine does)") }
}

#[test]
fn restricted_tokens_agree() {
    let real = RealToken::of_process().unwrap().primary().unwrap();
    if let Some(reason) = no_restricted_tokens(&real) {
        eprintln!("skipped: {reason}");
        return;
    }
    let base = real.describe().unwrap();
    let mut rng = Rng(2);
    for round in 0..8 {
        let pool = pool(&base);
        let deny_only = distinct(&mut rng, 0, 2, &pool);
        let restricting = distinct(&mut rng, 1, 5, &pool);
        let made = real.restrict(0, &deny_only, &restricting).unwrap();
        let model = base.restrict(&Restriction { deny_only, restricting, ..Restriction::default() });
        // Which groups count, and for what; the other attributes are for `AdjustTokenGroups`.
        let counts = |token: &Token| {
            let switches = GroupAttributes::ENABLED | GroupAttributes::USE_FOR_DENY_ONLY;
            token.groups().iter().map(|group| (group.sid, group.attributes & switches)).collect::<Vec<_>>()
        };
        assert_eq!(counts(&made.describe().unwrap()), counts(&model), "round {round}: the groups differ");
        compare(&format!("restricted {round}"), &made, &model, &mut rng);
    }
}

#[test]
fn limited_tokens_agree() {
    let real = RealToken::of_process().unwrap().primary().unwrap();
    if let Some(reason) = no_restricted_tokens(&real) {
        eprintln!("skipped: {reason}");
        return;
    }
    let base = real.describe().unwrap();
    let flags = RestrictFlags::LUA_TOKEN | RestrictFlags::DISABLE_MAX_PRIVILEGE;
    let made = real.restrict(flags.bits(), &[], &[]).unwrap();
    let model = base.restrict(&Restriction { flags, ..Restriction::default() });
    let described = made.describe().unwrap();
    println!("LUA_TOKEN on this machine:\n{described}the model says:\n{model}");
    // What the real token turned out to be is what the check is compared with.
    compare("limited", &made, &described, &mut Rng(3));
}

#[test]
fn which_reading_of_write_restricted_holds() {
    let real = RealToken::of_process().unwrap().primary().unwrap();
    if let Some(reason) = no_restricted_tokens(&real) {
        eprintln!("skipped: {reason}");
        return;
    }
    let base = real.describe().unwrap();
    let restricting = vec![Sid::ringfence_run(&[7; 16])];
    let flags = RestrictFlags::WRITE_RESTRICTED;
    let made = real.restrict(flags.bits(), &[], &restricting).unwrap();
    let model = base.restrict(&Restriction { flags, restricting: restricting.clone(), ..Restriction::default() });
    let caller = made.for_impersonation().unwrap();

    // The right-by-right answer: everything for the user, nothing for the restricting SID, another owner.
    let open = SecurityDescriptor::new(
        "S-1-5-21-9-9-9-1234".parse().unwrap(),
        "S-1-5-21-9-9-9-513".parse().unwrap(),
        Acl::from_aces(vec![Ace::allow(*base.user(), AccessMask::FILE_ALL_ACCESS, AceFlags::empty())]),
    );
    let left = caller.access_check(&open, AccessMask::MAXIMUM_ALLOWED, ObjectType::Directory).unwrap();
    let covered = AccessMask::FILE_ALL_ACCESS - left;
    println!("WRITE_RESTRICTED covers, for a directory: {}", ObjectType::Directory.describe(covered));

    let owned = SecurityDescriptor::new(*base.user(), *base.primary_group(), Acl::new());
    let implied = caller.access_check(&owned, AccessMask::MAXIMUM_ALLOWED, ObjectType::File).unwrap();
    println!("an owner that is no restricting SID has: {}", ObjectType::File.describe(implied));

    let mut holds = WriteReading::ALL.map(|reading| (reading, true));
    let pool: Vec<Sid> = pool(&base).into_iter().chain(restricting).collect();
    let mut rng = Rng(4);
    let mut first_miss = [None, None, None];
    for _ in 0..common::amount("RINGFENCE_REAL_CASES", 4000) {
        let case = case(&mut rng, &pool);
        let theirs = caller.access_check(&case.descriptor, case.desired, case.kind).unwrap();
        for (place, (reading, still)) in holds.iter_mut().enumerate() {
            let check = AccessCheck::new(&model, &case.descriptor, case.kind).with_write_reading(*reading);
            if check.decide(case.desired).granted != theirs {
                *still = false;
                first_miss[place].get_or_insert_with(|| {
                    format!(
                        "{} wanted {} of a {}: AccessCheck {theirs}, model {}",
                        case.descriptor.to_sddl().unwrap(),
                        case.desired,
                        case.kind.name(),
                        check.decide(case.desired).granted
                    )
                });
            }
        }
    }
    for ((reading, holds), miss) in holds.iter().zip(&first_miss) {
        let answer = if *holds { "HOLDS" } else { "does not hold" };
        println!("reading `{}` {answer} on this machine {}", reading.name(), miss.as_deref().unwrap_or_default());
    }
    assert!(holds.iter().any(|(_, holds)| *holds), "no reading of WRITE_RESTRICTED explains this machine");
}
