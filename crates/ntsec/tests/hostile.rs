//! Bounded fuzzing that every test run can afford: honest inputs, mutated by a fixed sequence of chances. Whatever comes, the
//! parsers answer with a value or a typed error, in linear time, and never panic. `RINGFENCE_FUZZ_ROUNDS` asks for more.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use ringfence_ntsec::{AccessCheck, AccessMask, Acl, Error, Layout, ObjectType, SecurityDescriptor, Sid, Token};

#[allow(dead_code, reason = "shared by several tests, none of which uses all of it")]
mod common;

use common::{Rng, Shape};

const SDDL_SEEDS: [&str; 9] = [
    "O:BAG:SYD:PAI(A;OICIIO;GA;;;CO)(A;;0x1301bf;;;SY)(D;;FW;;;S-1-5-21-1-2-3-1001)",
    "D:NO_ACCESS_CONTROL",
    "S:(ML;;NWNR;;;HI)(AU;SAFA;FA;;;WD)",
    "D:(OA;;CR;00299570-246d-11d0-a768-00aa006e0529;bf967aba-0de6-11d0-a285-00aa003049e2;PS)",
    "D:(XA;;FX;;;WD;(@User.Title==\"PM\" && (@User.Division==\"Finance\" || @User.Division ==\" Sales\")))",
    "D:(XD;;FX;;;WD;(Member_of {SID(BA), SID(WD)} && !(Exists WIN://SYSAPPID)))",
    "D:(XA;;FX;;;WD;(a Any_of {1, -0x2f, 017, #0aff, \"x\", {2}}))",
    "S:(RA;;;;;WD;(\"Project\",TS,0x0,\"Windows\",\"SQL\"))(RA;;;;;WD;(\"n\",TD,0x0,SID(BA)))",
    "O:S-1-0x123456789abc-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
];

/// Bytes that mean something to one of the grammars.
const TELLING: &[u8] = b"();:-\"{}!&|=<>#@SD0x,\0\x01\x04\x0f\x10\x7f\x80\xff";

fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *rng.choose(TELLING)),
            2 if at < bytes.len() => bytes[at] = *rng.choose(TELLING),
            3 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            5 => {
                let end = (at + rng.below(24)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let from = rng.below(other.len() + 1);
                let to = (from + rng.below(32)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
}

fn rounds() -> usize {
    common::amount("RINGFENCE_FUZZ_ROUNDS", 30_000)
}

/// What holds for every descriptor that any parser lets through.
fn is_sound(descriptor: &SecurityDescriptor) {
    let _ = descriptor.to_sddl();
    let token: Token = "user WD\ngroup BA".parse().unwrap();
    let check = AccessCheck::new(&token, descriptor, ObjectType::File);
    let _ = check.explain(AccessMask::MAXIMUM_ALLOWED).to_string();
    if let Ok(bytes) = descriptor.to_bytes() {
        let again = SecurityDescriptor::from_bytes(&bytes).unwrap();
        assert_eq!(again.to_bytes().unwrap(), bytes);
        assert_eq!(check.maximum(), AccessCheck::new(&token, &again, ObjectType::File).maximum());
    }
}

#[test]
fn sddl() {
    let mut rng = Rng(11);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..rounds() {
        let mut bytes = rng.choose(&SDDL_SEEDS).as_bytes().to_vec();
        let other = rng.choose(&SDDL_SEEDS).as_bytes();
        mutate(&mut rng, &mut bytes, other);
        let text = String::from_utf8_lossy(&bytes);
        match text.parse::<SecurityDescriptor>() {
            Ok(descriptor) => {
                accepted += 1;
                is_sound(&descriptor);
                if let Ok(sddl) = descriptor.to_sddl() {
                    let again: SecurityDescriptor = sddl.parse().unwrap_or_else(|error| panic!("{sddl}: {error}"));
                    assert_eq!(again.to_sddl().unwrap(), sddl, "{text}");
                }
            }
            Err(Error::Sddl { offset, .. }) => {
                refused += 1;
                assert!(offset <= text.len(), "{text}");
            }
            Err(other) => panic!("{text}: {other:?}"),
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn binary_descriptors() {
    let mut rng = Rng(12);
    let pool = common::sid_pool();
    let mut seeds: Vec<Vec<u8>> =
        SDDL_SEEDS.iter().filter_map(|text| text.parse::<SecurityDescriptor>().ok()?.to_bytes().ok()).collect();
    for _ in 0..8 {
        let shape = Shape { owner_rights: true, object_aces: true, deny_in_front: false };
        let descriptor = common::descriptor(&mut rng, &pool, shape);
        seeds.push(descriptor.to_bytes_in(Layout::ACLS_FIRST).unwrap());
    }
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..rounds() {
        let mut bytes = rng.choose(&seeds).clone();
        let other = rng.choose(&seeds).clone();
        mutate(&mut rng, &mut bytes, &other);
        match SecurityDescriptor::from_bytes(&bytes) {
            Ok(descriptor) => {
                accepted += 1;
                is_sound(&descriptor);
                if let Some(layout) = Layout::of(&bytes).unwrap() {
                    assert_eq!(descriptor.to_bytes_in(layout).unwrap(), bytes);
                }
            }
            Err(_) => refused += 1,
        }
        if let Ok(acl) = Acl::read_prefix(&bytes) {
            let _ = acl.to_bytes();
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn sids() {
    let mut rng = Rng(13);
    for _ in 0..rounds() {
        let seed = *rng.choose(&common::sid_pool());
        let other = rng.choose(&common::sid_pool()).to_string();
        let mut text = seed.to_string().into_bytes();
        mutate(&mut rng, &mut text, other.as_bytes());
        let text = String::from_utf8_lossy(&text);
        if let Ok(sid) = text.parse::<Sid>() {
            assert_eq!(sid.to_string().parse::<Sid>().unwrap(), sid);
        }
        let mut bytes = seed.to_bytes();
        mutate(&mut rng, &mut bytes, text.as_bytes());
        if let Ok(sid) = Sid::from_bytes(&bytes) {
            assert_eq!(sid.to_bytes(), bytes);
        }
    }
}

#[test]
fn token_descriptions() {
    let mut rng = Rng(14);
    let seed = "user BA\ngroup WD deny-only\nprivilege SeDebugPrivilege disabled\nintegrity low\nrestricting BU\n\
                write-restricted\n\"a\\b\",\"c\",\"S-1-1-0\",\"Mandatory group, Enabled group\"\n";
    for _ in 0..rounds() / 4 {
        let mut bytes = seed.as_bytes().to_vec();
        mutate(&mut rng, &mut bytes, seed.as_bytes());
        if let Ok(token) = String::from_utf8_lossy(&bytes).parse::<Token>() {
            assert_eq!(token.to_string().parse::<Token>().unwrap().to_string(), token.to_string());
        }
    }
}

/// Twice the input may take about twice the time. The bound is generous, for a busy machine: quadratic time on these sizes
/// would exceed it a hundredfold.
#[test]
fn megabytes_take_linear_time() {
    let megabyte = 1 << 20;
    let inputs = [
        format!("D:(XA;;FX;;;WD;{}", "(".repeat(megabyte)),
        format!("D:(XA;;FX;;;WD;(a{}))", " && a".repeat(megabyte / 5)),
        format!("D:(XA;;FX;;;WD;(a == \"{}\"))", "x".repeat(megabyte)),
        format!("D:(XA;;FX;;;WD;(a == {{{}1}}))", "1,".repeat(megabyte / 2)),
        format!("D:{}", "P".repeat(megabyte)),
        format!("D:(A;{};FA;;;WD)", "OI".repeat(megabyte / 2)),
        format!("D:(A;;{};;;WD)", "GR".repeat(megabyte / 2)),
        format!("D:(A;;FA;;;S-1-5{})", "-1".repeat(megabyte / 2)),
        format!("O:S-1-{}", "9".repeat(megabyte)),
        format!("S:(RA;;;;;WD;(\"a\",TU,0{}))", ",1".repeat(megabyte / 2)),
        " ".repeat(megabyte),
    ];
    for input in inputs {
        let start = Instant::now();
        let result = input.parse::<SecurityDescriptor>();
        let elapsed = start.elapsed();
        let head: String = input.chars().take(40).collect();
        println!("{head}… {elapsed:?}");
        assert!(elapsed.as_secs() < 5, "{head}… took {elapsed:?}");
        if let Ok(descriptor) = result {
            assert!(descriptor.to_bytes().is_ok(), "{head}… was accepted and has no bytes");
        }
    }
    let damaged = vec![0xff; SecurityDescriptor::MAX_BYTES];
    assert!(SecurityDescriptor::from_bytes(&damaged).is_err());
}
