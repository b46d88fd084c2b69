//! Access control lists.

use crate::ace::{Ace, AceFlags, AceKind};
use crate::error::{Error, Structure};
use crate::reader::Reader;
use crate::{AccessMask, GenericMapping, Sid};

/// A list of ACEs, walked from the first to the last (MS-DTYP §2.4.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acl {
    revision: u8,
    aces: Vec<Ace>,
    /// Bytes between the last ACE and the end that the header claims; kept so that a descriptor can be put back as it was.
    slack: Vec<u8>,
}

/// Where an ACE stands in canonical order
/// (<https://learn.microsoft.com/windows/win32/secauthz/order-of-aces-in-a-dacl>).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    ExplicitDeny,
    ExplicitAllow,
    Inherited,
}

impl Acl {
    /// `ACL_REVISION`.
    pub const REVISION: u8 = 2;
    /// `ACL_REVISION_DS`, needed by object ACEs.
    pub const REVISION_DS: u8 = 4;
    /// The size field has 16 bits.
    pub const MAX_BYTES: usize = u16::MAX as usize;
    const HEADER_LENGTH: usize = 8;

    /// A list without entries: as a DACL it grants nothing to anybody.
    pub fn new() -> Self {
        Self::from_aces(Vec::new())
    }

    /// A list of `aces` in this order.
    pub fn from_aces(aces: Vec<Ace>) -> Self {
        let revision =
            if aces.iter().any(|ace| ace.kind.has_object_types()) { Self::REVISION_DS } else { Self::REVISION };
        Acl { revision, aces, slack: Vec::new() }
    }

    /// The entries, first to last.
    pub fn aces(&self) -> &[Ace] {
        &self.aces
    }

    /// The revision byte.
    pub fn revision(&self) -> u8 {
        self.revision
    }

    /// Bytes of the binary form.
    pub fn byte_len(&self) -> usize {
        Self::HEADER_LENGTH + self.aces.iter().map(Ace::byte_len).sum::<usize>() + self.slack.len()
    }

    /// Whether explicit denials come before explicit grants and both before inherited entries. The order among the
    /// inherited, which is the order of the ancestors, cannot be seen from the list and is not judged.
    pub fn is_canonical(&self) -> bool {
        self.aces.is_sorted_by_key(rank)
    }

    /// Puts the entries into canonical order; entries of one rank keep their order.
    pub fn canonicalize(&mut self) {
        self.aces.sort_by_key(rank);
    }

    /// Adds an explicit ACE at its place in canonical order: a denial after the leading denials, anything else before the
    /// first inherited ACE. In a list that is not canonical a denial therefore still precedes every grant.
    ///
    /// Returns whether the list changed: an identical ACE that stands there already is not repeated.
    ///
    /// # Errors
    /// The list would exceed 65,535 bytes; it is then unchanged.
    pub fn insert(&mut self, ace: Ace) -> Result<bool, Error> {
        let place = if ace.kind.is_deny() {
            let leading = self.aces.iter().take_while(|ace| rank(ace) == Rank::ExplicitDeny).count();
            if self.aces[..leading].contains(&ace) {
                return Ok(false);
            }
            leading
        } else {
            if self.aces.contains(&ace) {
                return Ok(false);
            }
            self.aces.iter().position(Ace::is_inherited).unwrap_or(self.aces.len())
        };
        let size = self.byte_len() + ace.byte_len();
        if size > Self::MAX_BYTES {
            return Err(Error::TooLarge { what: Structure::Acl, size, limit: Self::MAX_BYTES });
        }
        if ace.kind.has_object_types() {
            self.revision = Self::REVISION_DS;
        }
        self.aces.insert(place, ace);
        Ok(true)
    }

    /// Adds an explicit grant: see [`Acl::insert`].
    ///
    /// # Errors
    /// As [`Acl::insert`].
    pub fn add_allow(&mut self, sid: Sid, mask: AccessMask, flags: AceFlags) -> Result<bool, Error> {
        self.insert(Ace::allow(sid, mask, flags))
    }

    /// Adds an explicit denial: see [`Acl::insert`].
    ///
    /// # Errors
    /// As [`Acl::insert`].
    pub fn add_deny(&mut self, sid: Sid, mask: AccessMask, flags: AceFlags) -> Result<bool, Error> {
        self.insert(Ace::deny(sid, mask, flags))
    }

    /// Puts inherited ACEs, in this order, before those that stand there already: where the entries of the nearest ancestor
    /// belong. Nothing else moves, so that taking them out again gives back the list as it was.
    ///
    /// # Errors
    /// The list would exceed 65,535 bytes; it is then unchanged.
    pub fn insert_inherited(&mut self, aces: &[Ace]) -> Result<(), Error> {
        let size = self.byte_len() + aces.iter().map(Ace::byte_len).sum::<usize>();
        if size > Self::MAX_BYTES {
            return Err(Error::TooLarge { what: Structure::Acl, size, limit: Self::MAX_BYTES });
        }
        let place = self.aces.iter().position(Ace::is_inherited).unwrap_or(self.aces.len());
        self.aces.splice(place..place, aces.iter().cloned());
        Ok(())
    }

    /// Removes every ACE that names `sid`, inherited ones too: how many there were.
    pub fn remove_sid(&mut self, sid: &Sid) -> usize {
        self.retain(|ace| ace.sid != *sid || matches!(ace.kind, AceKind::Opaque(_)))
    }

    /// Keeps the ACEs that `keep` answers for: how many were removed.
    pub fn retain(&mut self, keep: impl FnMut(&Ace) -> bool) -> usize {
        let before = self.aces.len();
        self.aces.retain(keep);
        before - self.aces.len()
    }

    /// Replaces generic rights in every ACE that applies to the object itself, as the kernel does when a descriptor is
    /// assigned. The access check never does this: a generic right that is left in an ACE grants and denies nothing.
    pub fn map_generic(&mut self, mapping: &GenericMapping) {
        for ace in &mut self.aces {
            if !ace.is_inherit_only() && (ace.kind.is_allow() || ace.kind.is_deny()) {
                ace.mask = mapping.map(ace.mask);
            }
        }
    }

    /// Appends the binary form.
    ///
    /// # Errors
    /// The list exceeds 65,535 bytes or entries.
    pub fn write_to(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let size = self.byte_len();
        let too_large = |_| Error::TooLarge { what: Structure::Acl, size, limit: Self::MAX_BYTES };
        let size_field = u16::try_from(size).map_err(too_large)?;
        let count = u16::try_from(self.aces.len()).map_err(too_large)?;
        out.extend_from_slice(&[self.revision, 0]);
        out.extend_from_slice(&size_field.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        self.aces.iter().try_for_each(|ace| ace.write_to(out))?;
        out.extend_from_slice(&self.slack);
        Ok(())
    }

    /// The binary form.
    ///
    /// # Errors
    /// As [`Acl::write_to`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(self.byte_len());
        self.write_to(&mut out)?;
        Ok(out)
    }

    /// Reads the ACL at the start of `bytes`; its length is [`Acl::byte_len`].
    ///
    /// # Errors
    /// Truncated, unknown revision, or a damaged ACE.
    pub fn read_prefix(bytes: &[u8]) -> Result<Self, Error> {
        let mut header = Reader::new(bytes, Structure::Acl);
        let revision = header.u8()?;
        if !(Self::REVISION..=Self::REVISION_DS).contains(&revision) {
            return Err(Error::UnknownRevision { what: Structure::Acl, offset: 0, found: revision });
        }
        header.u8()?;
        let size = usize::from(header.u16()?);
        let count = usize::from(header.u16()?);
        header.u16()?;
        if size < Self::HEADER_LENGTH {
            return Err(Error::BadSize { what: Structure::Acl, offset: 0, size });
        }
        let mut rest = header.take(size - Self::HEADER_LENGTH)?;
        // The claimed count is not trusted with memory: four bytes are the least that an ACE takes.
        let mut aces = Vec::with_capacity(count.min(rest.len() / 4));
        for _ in 0..count {
            let (ace, length) = Ace::read_prefix(rest).map_err(|error| error.shifted(size - rest.len()))?;
            aces.push(ace);
            rest = &rest[length..];
        }
        Ok(Acl { revision, aces, slack: rest.to_vec() })
    }
}

impl Default for Acl {
    fn default() -> Self {
        Self::new()
    }
}

fn rank(ace: &Ace) -> Rank {
    match ace {
        ace if ace.is_inherited() => Rank::Inherited,
        ace if ace.kind.is_deny() => Rank::ExplicitDeny,
        _ => Rank::ExplicitAllow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::well_known::{ADMINISTRATORS, EVERYONE, USERS};

    const READ: AccessMask = AccessMask::FILE_GENERIC_READ;

    fn sample() -> Acl {
        Acl::from_aces(vec![
            Ace::deny(USERS, AccessMask::DELETE, AceFlags::empty()),
            Ace::allow(ADMINISTRATORS, READ, AceFlags::INHERIT_ALL),
            Ace::deny(EVERYONE, AccessMask::DELETE, AceFlags::INHERITED),
            Ace::allow(EVERYONE, READ, AceFlags::INHERITED),
        ])
    }

    #[test]
    fn inherited_entries_go_before_the_inherited_ones_and_come_out_again() {
        let acl = |text: &str| {
            let descriptor: crate::SecurityDescriptor = text.parse().unwrap();
            descriptor.dacl.acl().unwrap().clone()
        };
        let ours: [Ace; 2] = ["(D;ID;FW;;;WD)".parse().unwrap(), "(A;ID;FA;;;WD)".parse().unwrap()];
        for (before, after) in [
            ("D:(A;;FA;;;SY)(A;ID;FA;;;BA)", "D:(A;;FA;;;SY)(D;ID;FW;;;WD)(A;ID;FA;;;WD)(A;ID;FA;;;BA)"),
            ("D:(A;;FA;;;SY)", "D:(A;;FA;;;SY)(D;ID;FW;;;WD)(A;ID;FA;;;WD)"),
            ("D:", "D:(D;ID;FW;;;WD)(A;ID;FA;;;WD)"),
        ] {
            let mut edited = acl(before);
            edited.insert_inherited(&ours).unwrap();
            assert_eq!(edited, acl(after));
            edited.remove_sid(&crate::well_known::EVERYONE);
            assert_eq!(edited, acl(before));
        }
        let mut full = acl("D:(A;;FA;;;SY)");
        assert!(full.insert_inherited(&vec![ours[0].clone(); 4000]).is_err());
        assert_eq!(full, acl("D:(A;;FA;;;SY)"));
    }

    #[test]
    fn insertion_keeps_canonical_order_and_repeats_nothing() {
        let mut acl = sample();
        assert!(acl.is_canonical());
        assert!(acl.add_allow(USERS, READ, AceFlags::empty()).unwrap());
        assert!(acl.add_deny(EVERYONE, READ, AceFlags::empty()).unwrap());
        assert!(acl.is_canonical());
        assert_eq!(acl.aces()[1], Ace::deny(EVERYONE, READ, AceFlags::empty()));
        assert_eq!(acl.aces()[3], Ace::allow(USERS, READ, AceFlags::empty()));
        assert!(!acl.add_allow(USERS, READ, AceFlags::empty()).unwrap());
        assert!(!acl.add_deny(EVERYONE, READ, AceFlags::empty()).unwrap());
        assert_eq!(acl.aces().len(), 6);
        assert_eq!(acl.remove_sid(&EVERYONE), 3);
        assert_eq!(acl.remove_sid(&EVERYONE), 0);
    }

    #[test]
    fn a_denial_precedes_every_grant_even_in_a_disordered_list() {
        let mut acl = Acl::from_aces(vec![
            Ace::allow(EVERYONE, READ, AceFlags::empty()),
            Ace::deny(USERS, READ, AceFlags::empty()),
        ]);
        assert!(!acl.is_canonical());
        // The same denial stands behind a grant, where it may do nothing: it is needed in front.
        assert!(acl.add_deny(USERS, READ, AceFlags::empty()).unwrap());
        assert!(acl.aces()[0].kind.is_deny());
        acl.canonicalize();
        assert!(acl.is_canonical());
    }

    #[test]
    fn slack_survives_and_size_is_bounded() {
        let mut bytes = sample().to_bytes().unwrap();
        let size = u16::try_from(bytes.len() + 8).unwrap();
        bytes[2..4].copy_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&[7; 8]);
        let acl = Acl::read_prefix(&bytes).unwrap();
        assert_eq!(acl.to_bytes().unwrap(), bytes);

        let mut full = Acl::new();
        let mut sid = "S-1-5-21-1-2-3-0".parse::<Sid>().unwrap();
        let refusal = (0..3000_u32).find_map(|rid| {
            sid = Sid::new(5, &[21, 1, 2, 3, rid]).unwrap();
            full.add_allow(sid, READ, AceFlags::empty()).err()
        });
        assert!(matches!(refusal, Some(Error::TooLarge { .. })));
        assert!(full.to_bytes().unwrap().len() <= Acl::MAX_BYTES);
    }

    #[test]
    fn a_count_beyond_the_bytes_is_an_error() {
        let mut bytes = sample().to_bytes().unwrap();
        bytes[4..6].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(matches!(Acl::read_prefix(&bytes), Err(Error::Truncated { .. })));
        assert!(matches!(Acl::read_prefix(&[2, 0, 7, 0, 0, 0, 0, 0]), Err(Error::BadSize { .. })));
        assert!(matches!(Acl::read_prefix(&[9, 0, 8, 0, 0, 0, 0, 0]), Err(Error::UnknownRevision { .. })));
    }
}
