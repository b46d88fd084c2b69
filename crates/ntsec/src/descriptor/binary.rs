//! The binary forms of a descriptor.

use super::{AclState, Control, SecurityDescriptor};
use crate::error::{Error, Structure};
use crate::reader::Reader;
use crate::{Acl, Sid};

const REVISION: u8 = 1;
const HEADER_LENGTH: usize = 20;
const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const SELF_RELATIVE: u16 = 0x8000;

/// The four parts, in the order of their offsets in the header.
const PARTS: [Structure; 4] = [Structure::Owner, Structure::Group, Structure::Sacl, Structure::Dacl];
const SACL: usize = 2;
const DACL: usize = 3;

/// In which order the parts of a self-relative descriptor follow its header. Windows itself uses several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout([usize; 4]);

impl Layout {
    /// Owner, group, SACL, DACL: NTFS and the examples of MS-DTYP.
    pub const OWNER_FIRST: Layout = Layout([0, 1, SACL, DACL]);
    /// SACL, DACL, owner, group: `MakeSelfRelativeSD` and the SDDL functions.
    pub const ACLS_FIRST: Layout = Layout([SACL, DACL, 0, 1]);

    /// The order that the parts of `bytes` stand in, if nothing lies between them: with it,
    /// [`SecurityDescriptor::to_bytes_in`] gives back the very same bytes.
    ///
    /// # Errors
    /// `bytes` is not a self-relative descriptor.
    pub fn of(bytes: &[u8]) -> Result<Option<Layout>, Error> {
        let mut order = [0, 1, SACL, DACL];
        let offsets = Header::read(bytes)?.offsets;
        order.sort_by_key(|&part| offsets[part]);
        let layout = Layout(order);
        let again = SecurityDescriptor::from_bytes(bytes)?.to_bytes_in(layout)?;
        Ok((again == bytes).then_some(layout))
    }
}

/// The parts of an absolute descriptor, each in its binary form: what `SetSecurityDescriptorOwner`, `…Group`, `…Sacl`
/// and `…Dacl` take pointers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AbsoluteParts {
    /// All control bits except self-relative.
    pub control: u16,
    /// The owner's SID.
    pub owner: Option<Vec<u8>>,
    /// The group's SID.
    pub group: Option<Vec<u8>>,
    /// The SACL; `None` with the present bit set is a NULL SACL.
    pub sacl: Option<Vec<u8>>,
    /// The DACL; `None` with the present bit set is a NULL DACL.
    pub dacl: Option<Vec<u8>>,
}

struct Header {
    resource_manager: u8,
    control: u16,
    offsets: [usize; 4],
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Error> {
        let mut reader = Reader::new(bytes, Structure::Descriptor);
        let revision = reader.u8()?;
        if revision != REVISION {
            return Err(Error::UnknownRevision { what: Structure::Descriptor, offset: 0, found: revision });
        }
        let resource_manager = reader.u8()?;
        let control = reader.u16()?;
        if control & SELF_RELATIVE == 0 {
            return Err(Error::NotSelfRelative);
        }
        let mut offsets = [0; 4];
        for offset in &mut offsets {
            *offset = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        }
        Ok(Header { resource_manager, control, offsets })
    }
}

impl SecurityDescriptor {
    /// The longest descriptor there can be: two ACLs and two SIDs of full length.
    pub const MAX_BYTES: usize = HEADER_LENGTH + 2 * Sid::MAX_BYTES + 2 * (Acl::MAX_BYTES + 1);

    /// Reads the self-relative form (MS-DTYP §2.4.6). Gaps between the parts are allowed, as Windows allows them.
    ///
    /// # Errors
    /// Truncated, misaligned, overlapping or oversized parts, or an absolute descriptor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::TooLarge { what: Structure::Descriptor, size: bytes.len(), limit: Self::MAX_BYTES });
        }
        let header = Header::read(bytes)?;
        let present = |bit: u16| header.control & bit != 0;
        let mut descriptor = SecurityDescriptor {
            control: stored(header.control),
            resource_manager: header.resource_manager,
            ..SecurityDescriptor::default()
        };
        let mut taken: Vec<(usize, usize)> = Vec::with_capacity(4);
        for (part, &offset) in header.offsets.iter().enumerate() {
            let what = PARTS[part];
            let absent = (part == SACL && !present(SACL_PRESENT)) || (part == DACL && !present(DACL_PRESENT));
            if offset == 0 || absent {
                match part {
                    SACL if !absent => descriptor.sacl = AclState::Null,
                    DACL if !absent => descriptor.dacl = AclState::Null,
                    _ => {}
                }
                continue;
            }
            if !offset.is_multiple_of(4) {
                return Err(Error::Misaligned { what, offset });
            }
            if offset < HEADER_LENGTH {
                return Err(Error::Overlap { what, offset });
            }
            let rest = bytes.get(offset..).ok_or(Error::Truncated { what, offset, needed: 1, available: 0 })?;
            let shift = |error: Error| error.shifted(offset);
            let length = match part {
                SACL | DACL => {
                    let acl = Acl::read_prefix(rest).map_err(shift)?;
                    let length = acl.byte_len();
                    *(if part == SACL { &mut descriptor.sacl } else { &mut descriptor.dacl }) = AclState::Present(acl);
                    length
                }
                _ => {
                    let sid = Sid::read_prefix(rest).map_err(shift)?;
                    *(if part == 0 { &mut descriptor.owner } else { &mut descriptor.group }) = Some(sid);
                    sid.byte_len()
                }
            };
            if taken.iter().any(|&(start, end)| offset < end && start < offset + length) {
                return Err(Error::Overlap { what, offset });
            }
            taken.push((offset, offset + length));
        }
        Ok(descriptor)
    }

    /// The self-relative form with the parts in the usual order, [`Layout::OWNER_FIRST`].
    ///
    /// # Errors
    /// An ACL or ACE exceeds 65,535 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.to_bytes_in(Layout::OWNER_FIRST)
    }

    /// The self-relative form with the parts in the given order.
    ///
    /// # Errors
    /// An ACL or ACE exceeds 65,535 bytes.
    pub fn to_bytes_in(&self, layout: Layout) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&[REVISION, self.resource_manager]);
        out.extend_from_slice(&(self.control_bits() | SELF_RELATIVE).to_le_bytes());
        out.resize(HEADER_LENGTH, 0);
        for part in layout.0 {
            let start = out.len();
            match part {
                0 => self.owner.iter().for_each(|sid| sid.write_to(&mut out)),
                1 => self.group.iter().for_each(|sid| sid.write_to(&mut out)),
                SACL => self.sacl.acl().map_or(Ok(()), |acl| acl.write_to(&mut out))?,
                _ => self.dacl.acl().map_or(Ok(()), |acl| acl.write_to(&mut out))?,
            }
            if out.len() > start {
                let field = 4 + 4 * part;
                // Bounded by the 64 KiB of each list: never above 32 bits.
                out[field..field + 4].copy_from_slice(&(start as u32).to_le_bytes());
                out.resize(out.len().next_multiple_of(4), 0);
            }
        }
        Ok(out)
    }

    /// The absolute form as data.
    ///
    /// # Errors
    /// An ACL or ACE exceeds 65,535 bytes.
    pub fn to_absolute(&self) -> Result<AbsoluteParts, Error> {
        let acl = |state: &AclState| state.acl().map(Acl::to_bytes).transpose();
        Ok(AbsoluteParts {
            control: self.control_bits(),
            owner: self.owner.map(|sid| sid.to_bytes()),
            group: self.group.map(|sid| sid.to_bytes()),
            sacl: acl(&self.sacl)?,
            dacl: acl(&self.dacl)?,
        })
    }

    /// Reads the absolute form.
    ///
    /// # Errors
    /// A part that is damaged; offsets are relative to that part.
    pub fn from_absolute(parts: &AbsoluteParts) -> Result<Self, Error> {
        let sid = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(Sid::from_bytes).transpose();
        let acl = |bytes: &Option<Vec<u8>>, present: u16| match bytes {
            _ if parts.control & present == 0 => Ok(AclState::Absent),
            None => Ok(AclState::Null),
            Some(bytes) => Acl::read_prefix(bytes).map(AclState::Present),
        };
        Ok(SecurityDescriptor {
            control: stored(parts.control),
            resource_manager: 0,
            owner: sid(&parts.owner)?,
            group: sid(&parts.group)?,
            sacl: acl(&parts.sacl, SACL_PRESENT)?,
            dacl: acl(&parts.dacl, DACL_PRESENT)?,
        })
    }

    /// The stored control bits and those that follow from the content, without self-relative.
    fn control_bits(&self) -> u16 {
        let mut bits = self.control.bits();
        if self.dacl != AclState::Absent {
            bits |= DACL_PRESENT;
        }
        if self.sacl != AclState::Absent {
            bits |= SACL_PRESENT;
        }
        bits
    }
}

fn stored(control: u16) -> Control {
    Control::from_bits_retain(control & !(DACL_PRESENT | SACL_PRESENT | SELF_RELATIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::well_known::{ADMINISTRATORS, EVERYONE, LOCAL_SYSTEM};
    use crate::{AccessMask, Ace, AceFlags};

    fn sample() -> SecurityDescriptor {
        let acl = Acl::from_aces(vec![Ace::allow(EVERYONE, AccessMask::FILE_GENERIC_READ, AceFlags::empty())]);
        let mut descriptor = SecurityDescriptor::new(ADMINISTRATORS, LOCAL_SYSTEM, acl.clone());
        descriptor.sacl = AclState::Present(acl);
        descriptor.control = Control::DACL_PROTECTED | Control::SACL_AUTO_INHERITED;
        descriptor
    }

    #[test]
    fn both_layouts_and_the_absolute_form_come_back() {
        let descriptor = sample();
        for layout in [Layout::OWNER_FIRST, Layout::ACLS_FIRST] {
            let bytes = descriptor.to_bytes_in(layout).unwrap();
            assert_eq!(SecurityDescriptor::from_bytes(&bytes).unwrap(), descriptor);
            assert_eq!(Layout::of(&bytes).unwrap(), Some(layout));
        }
        let absolute = descriptor.to_absolute().unwrap();
        assert_eq!(SecurityDescriptor::from_absolute(&absolute).unwrap(), descriptor);
    }

    #[test]
    fn null_empty_and_absent_are_three_things() {
        for dacl in [AclState::Absent, AclState::Null, AclState::Present(Acl::new())] {
            let descriptor = SecurityDescriptor { dacl, ..SecurityDescriptor::default() };
            let bytes = descriptor.to_bytes().unwrap();
            assert_eq!(SecurityDescriptor::from_bytes(&bytes).unwrap(), descriptor);
            let absolute = descriptor.to_absolute().unwrap();
            assert_eq!(SecurityDescriptor::from_absolute(&absolute).unwrap(), descriptor);
        }
    }

    #[test]
    fn hostile_offsets_are_typed_errors() {
        let bytes = sample().to_bytes().unwrap();
        let with_offset = |field: usize, value: u32| {
            let mut damaged = bytes.clone();
            damaged[field..field + 4].copy_from_slice(&value.to_le_bytes());
            SecurityDescriptor::from_bytes(&damaged).unwrap_err()
        };
        assert!(matches!(with_offset(4, 8), Error::Overlap { what: Structure::Owner, offset: 8 }));
        assert!(matches!(with_offset(4, 22), Error::Misaligned { what: Structure::Owner, offset: 22 }));
        assert!(matches!(with_offset(4, u32::MAX - 3), Error::Truncated { what: Structure::Owner, .. }));
        // The group placed upon the owner.
        assert!(matches!(with_offset(8, 20), Error::Overlap { what: Structure::Group, offset: 20 }));
        // The DACL placed upon the owner: the owner's bytes are no ACL.
        assert!(with_offset(16, 20).code() == "unknown-revision");
        assert_eq!(SecurityDescriptor::from_bytes(&bytes[..19]).unwrap_err().code(), "truncated");
        let mut absolute = bytes.clone();
        absolute[3] &= 0x7f;
        assert_eq!(SecurityDescriptor::from_bytes(&absolute), Err(Error::NotSelfRelative));
        let oversized = vec![0; SecurityDescriptor::MAX_BYTES + 1];
        assert_eq!(SecurityDescriptor::from_bytes(&oversized).unwrap_err().code(), "too-large");
    }

    #[test]
    fn gaps_are_read_but_have_no_layout() {
        let compact = sample().to_bytes().unwrap();
        let mut gapped = compact[..HEADER_LENGTH].to_vec();
        gapped.extend_from_slice(&[0xee; 12]);
        gapped.extend_from_slice(&compact[HEADER_LENGTH..]);
        for field in [4, 8, 12, 16] {
            gapped[field] += 12;
        }
        assert_eq!(SecurityDescriptor::from_bytes(&gapped).unwrap(), sample());
        assert_eq!(Layout::of(&gapped).unwrap(), None);
    }
}
