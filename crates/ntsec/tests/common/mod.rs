//! Deterministic random descriptors, tokens and masks for the differential and fuzz tests.

use ringfence_ntsec::{
    AccessMask, Ace, AceFlags, AceKind, Acl, AclState, GroupAttributes, Guid, ObjectTypes, Privilege,
    SecurityDescriptor, Sid, Token, TokenBuilder, well_known,
};

/// SplitMix64: good enough to choose cases, and the same on every machine.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// SIDs that tests draw from: few, so that tokens and descriptors often meet.
pub(crate) fn sid_pool() -> Vec<Sid> {
    let mut pool = vec![
        well_known::EVERYONE,
        well_known::AUTHENTICATED_USERS,
        well_known::ADMINISTRATORS,
        well_known::USERS,
        well_known::LOCAL_SYSTEM,
        well_known::INTERACTIVE,
    ];
    pool.extend((1001..1005).map(|rid| Sid::new(5, &[21, 1, 2, 3, rid]).unwrap()));
    pool.push(Sid::ringfence_run(&[1; 16]));
    pool
}

/// Rights of a file and some more, never generic ones and never ACCESS_SYSTEM_SECURITY.
pub(crate) fn mask(rng: &mut Rng) -> AccessMask {
    const WHOLE: [AccessMask; 6] = [
        AccessMask::FILE_ALL_ACCESS,
        AccessMask::FILE_GENERIC_READ,
        AccessMask::FILE_GENERIC_WRITE,
        AccessMask::FILE_GENERIC_EXECUTE,
        AccessMask::FILE_MODIFY,
        AccessMask::STANDARD_REQUIRED,
    ];
    match rng.below(4) {
        0 => *rng.choose(&WHOLE),
        1 => AccessMask(1 << rng.below(21)),
        2 => AccessMask(1 << rng.below(21) | 1 << rng.below(21)),
        _ => AccessMask((rng.next() as u32) & 0x001F_FFFF),
    }
}

/// Which ACEs a generated DACL may hold.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shape {
    pub(crate) owner_rights: bool,
    pub(crate) object_aces: bool,
    pub(crate) deny_in_front: bool,
}

pub(crate) fn ace(rng: &mut Rng, pool: &[Sid], shape: Shape) -> Ace {
    let owner_rights = shape.owner_rights && rng.one_in(6);
    let sid = if owner_rights { well_known::OWNER_RIGHTS } else { *rng.choose(pool) };
    let denies = rng.one_in(3);
    let mut flags = AceFlags::empty();
    if rng.one_in(6) {
        flags |= AceFlags::INHERIT_ALL;
    }
    if rng.one_in(10) {
        flags |= AceFlags::INHERIT_ONLY;
    }
    let mut ace = if denies { Ace::deny(sid, mask(rng), flags) } else { Ace::allow(sid, mask(rng), flags) };
    if shape.object_aces && rng.one_in(8) {
        ace.kind = if denies { AceKind::DeniedObject } else { AceKind::AllowedObject };
        ace.objects = ObjectTypes { object: Some(Guid([rng.below(3) as u8; 16])), inherited: None };
    }
    ace
}

pub(crate) fn descriptor(rng: &mut Rng, pool: &[Sid], shape: Shape) -> SecurityDescriptor {
    let mut aces: Vec<Ace> = (0..rng.below(9)).map(|_| ace(rng, pool, shape)).collect();
    if shape.deny_in_front {
        aces.sort_by_key(|ace| !ace.kind.is_deny());
    }
    let mut descriptor = SecurityDescriptor::new(*rng.choose(pool), *rng.choose(pool), Acl::from_aces(aces));
    if rng.one_in(40) {
        descriptor.dacl = AclState::Null;
    }
    descriptor
}

pub(crate) fn token_parts(rng: &mut Rng, pool: &[Sid]) -> TokenBuilder {
    let mut builder = Token::builder(*rng.choose(pool));
    for _ in 0..rng.below(5) {
        builder = builder.group(*rng.choose(pool));
    }
    for privilege in [Privilege::Security, Privilege::TakeOwnership] {
        if rng.one_in(6) {
            builder = builder.privilege(privilege);
        }
    }
    builder
}

/// As [`token_parts`], with groups that are disabled or count for denials only.
pub(crate) fn token_with_odd_groups(rng: &mut Rng, pool: &[Sid]) -> TokenBuilder {
    let mut builder = token_parts(rng, pool);
    for attributes in [GroupAttributes::USE_FOR_DENY_ONLY, GroupAttributes::MANDATORY] {
        if rng.one_in(2) {
            builder = builder.group_with(*rng.choose(pool), attributes);
        }
    }
    builder
}

/// The number in the environment variable, or the default: long runs are asked for, not the rule.
pub(crate) fn amount(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
