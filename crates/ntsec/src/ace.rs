//! Access control entries.

use crate::error::{Error, Structure};
use crate::reader::Reader;
use crate::{AccessMask, Guid, Sid};

bitflags::bitflags! {
    /// How an ACE is inherited and audited (MS-DTYP §2.4.4.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AceFlags: u8 {
        /// OI: files below inherit it.
        const OBJECT_INHERIT = 0x01;
        /// CI: directories below inherit it.
        const CONTAINER_INHERIT = 0x02;
        /// NP: only the next level inherits it.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// IO: does not apply to the object that carries it.
        const INHERIT_ONLY = 0x08;
        /// ID: came from the parent.
        const INHERITED = 0x10;
        /// CR: a critical ACE.
        const CRITICAL = 0x20;
        /// SA: audit successful access. For an access filter: TP, protected by its trust level.
        const SUCCESSFUL_ACCESS = 0x40;
        /// FA: audit failed access.
        const FAILED_ACCESS = 0x80;
        /// OI and CI: everything below inherits it.
        const INHERIT_ALL = 0x03;
        /// The four flags that govern inheritance.
        const PROPAGATION = 0x0F;
    }
}

bitflags::bitflags! {
    /// What a mandatory label forbids to subjects below it (`SYSTEM_MANDATORY_LABEL_ACE`, MS-DTYP §2.4.4.13).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SystemMandatoryPolicy: u32 {
        /// No writing.
        const NO_WRITE_UP = 0x1;
        /// No reading.
        const NO_READ_UP = 0x2;
        /// No executing.
        const NO_EXECUTE_UP = 0x4;
    }
}

/// The type of an ACE (MS-DTYP §2.4.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each name is the header's own")]
pub enum AceKind {
    Allowed,
    Denied,
    Audit,
    Alarm,
    AllowedObject,
    DeniedObject,
    AuditObject,
    AlarmObject,
    AllowedCallback,
    DeniedCallback,
    AllowedCallbackObject,
    DeniedCallbackObject,
    AuditCallback,
    AlarmCallback,
    AuditCallbackObject,
    AlarmCallbackObject,
    MandatoryLabel,
    ResourceAttribute,
    ScopedPolicy,
    ProcessTrustLabel,
    AccessFilter,
    /// A type whose layout is not known here (the compound ACE among them): kept byte for byte, never matched.
    Opaque(u8),
}

/// Type bytes, in the order of the header.
const KINDS: [(u8, AceKind); 21] = [
    (0x00, AceKind::Allowed),
    (0x01, AceKind::Denied),
    (0x02, AceKind::Audit),
    (0x03, AceKind::Alarm),
    (0x05, AceKind::AllowedObject),
    (0x06, AceKind::DeniedObject),
    (0x07, AceKind::AuditObject),
    (0x08, AceKind::AlarmObject),
    (0x09, AceKind::AllowedCallback),
    (0x0A, AceKind::DeniedCallback),
    (0x0B, AceKind::AllowedCallbackObject),
    (0x0C, AceKind::DeniedCallbackObject),
    (0x0D, AceKind::AuditCallback),
    (0x0E, AceKind::AlarmCallback),
    (0x0F, AceKind::AuditCallbackObject),
    (0x10, AceKind::AlarmCallbackObject),
    (0x11, AceKind::MandatoryLabel),
    (0x12, AceKind::ResourceAttribute),
    (0x13, AceKind::ScopedPolicy),
    (0x14, AceKind::ProcessTrustLabel),
    (0x15, AceKind::AccessFilter),
];

impl AceKind {
    /// The type byte.
    pub fn byte(self) -> u8 {
        match self {
            AceKind::Opaque(byte) => byte,
            known => KINDS.iter().find(|(_, kind)| *kind == known).map_or(u8::MAX, |(byte, _)| *byte),
        }
    }

    /// The kind with this type byte.
    pub fn from_byte(byte: u8) -> AceKind {
        KINDS.iter().find(|(known, _)| *known == byte).map_or(AceKind::Opaque(byte), |(_, kind)| *kind)
    }

    /// Whether the ACE grants.
    pub fn is_allow(self) -> bool {
        use AceKind::*;
        matches!(self, Allowed | AllowedObject | AllowedCallback | AllowedCallbackObject)
    }

    /// Whether the ACE denies.
    pub fn is_deny(self) -> bool {
        use AceKind::*;
        matches!(self, Denied | DeniedObject | DeniedCallback | DeniedCallbackObject)
    }

    /// Whether the ACE has the two GUID fields.
    pub fn has_object_types(self) -> bool {
        use AceKind::*;
        matches!(
            self,
            AllowedObject
                | DeniedObject
                | AuditObject
                | AlarmObject
                | AllowedCallbackObject
                | DeniedCallbackObject
                | AuditCallbackObject
                | AlarmCallbackObject
        )
    }

    /// Whether the bytes after the SID hold a conditional expression.
    pub fn is_conditional(self) -> bool {
        use AceKind::*;
        matches!(
            self,
            AllowedCallback
                | DeniedCallback
                | AllowedCallbackObject
                | DeniedCallbackObject
                | AuditCallback
                | AlarmCallback
                | AuditCallbackObject
                | AlarmCallbackObject
                | AccessFilter
        )
    }
}

/// The GUIDs of an object ACE (MS-DTYP §2.4.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ObjectTypes {
    /// What kind of child, property or extended right the ACE is about.
    pub object: Option<Guid>,
    /// Which kind of child inherits it.
    pub inherited: Option<Guid>,
}

/// An access control entry (MS-DTYP §2.4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ace {
    /// Its type.
    pub kind: AceKind,
    /// Its inheritance and audit flags.
    pub flags: AceFlags,
    /// The rights it is about.
    pub mask: AccessMask,
    /// Whom it is about.
    pub sid: Sid,
    /// The GUIDs of an object ACE.
    pub objects: ObjectTypes,
    /// What follows the SID: the condition of a callback ACE, the claim of a resource attribute. Of an opaque ACE, all that
    /// follows the four bytes of the header.
    pub data: Vec<u8>,
}

/// `ACE_HEADER`.
const HEADER_LENGTH: usize = 4;

impl Ace {
    /// An ACE without GUIDs and data.
    pub fn new(kind: AceKind, flags: AceFlags, mask: AccessMask, sid: Sid) -> Self {
        Ace { kind, flags, mask, sid, objects: ObjectTypes::default(), data: Vec::new() }
    }

    /// `ACCESS_ALLOWED_ACE`.
    pub fn allow(sid: Sid, mask: AccessMask, flags: AceFlags) -> Self {
        Self::new(AceKind::Allowed, flags, mask, sid)
    }

    /// `ACCESS_DENIED_ACE`.
    pub fn deny(sid: Sid, mask: AccessMask, flags: AceFlags) -> Self {
        Self::new(AceKind::Denied, flags, mask, sid)
    }

    /// `SYSTEM_MANDATORY_LABEL_ACE`: the integrity level of the object and what it forbids to lower subjects.
    pub fn mandatory_label(level: crate::IntegrityLevel, policy: SystemMandatoryPolicy, flags: AceFlags) -> Self {
        Self::new(AceKind::MandatoryLabel, flags, AccessMask(policy.bits()), level.sid())
    }

    /// Whether it came from the parent.
    pub fn is_inherited(&self) -> bool {
        self.flags.contains(AceFlags::INHERITED)
    }

    /// Whether it exists only to be inherited.
    pub fn is_inherit_only(&self) -> bool {
        self.flags.contains(AceFlags::INHERIT_ONLY)
    }

    /// Bytes of the binary form.
    pub fn byte_len(&self) -> usize {
        let body = match self.kind {
            AceKind::Opaque(_) => self.data.len(),
            kind => {
                let guids = usize::from(self.objects.object.is_some()) + usize::from(self.objects.inherited.is_some());
                let objects = if kind.has_object_types() { 4 + 16 * guids } else { 0 };
                4 + objects + self.sid.byte_len() + self.data.len()
            }
        };
        (HEADER_LENGTH + body).next_multiple_of(4)
    }

    /// Appends the binary form, padded to four bytes.
    ///
    /// # Errors
    /// The ACE exceeds 65,535 bytes.
    pub fn write_to(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let size = self.byte_len();
        let size_field =
            u16::try_from(size).map_err(|_| Error::TooLarge { what: Structure::Ace, size, limit: u16::MAX.into() })?;
        let end = out.len() + size;
        out.push(self.kind.byte());
        out.push(self.flags.bits());
        out.extend_from_slice(&size_field.to_le_bytes());
        if !matches!(self.kind, AceKind::Opaque(_)) {
            out.extend_from_slice(&self.mask.0.to_le_bytes());
            if self.kind.has_object_types() {
                let ObjectTypes { object, inherited } = self.objects;
                let present = u32::from(object.is_some()) | u32::from(inherited.is_some()) << 1;
                out.extend_from_slice(&present.to_le_bytes());
                for guid in [object, inherited].into_iter().flatten() {
                    out.extend_from_slice(&guid.0);
                }
            }
            self.sid.write_to(out);
        }
        out.extend_from_slice(&self.data);
        out.resize(end, 0);
        Ok(())
    }

    /// Reads the ACE at the start of `bytes`: the ACE and the bytes it took.
    ///
    /// # Errors
    /// Truncated, misaligned, or a body that does not hold what its type requires.
    pub fn read_prefix(bytes: &[u8]) -> Result<(Self, usize), Error> {
        let mut header = Reader::new(bytes, Structure::Ace);
        let kind = AceKind::from_byte(header.u8()?);
        let flags = AceFlags::from_bits_retain(header.u8()?);
        let size = usize::from(header.u16()?);
        if size < HEADER_LENGTH {
            return Err(Error::BadSize { what: Structure::Ace, offset: 0, size });
        }
        if !size.is_multiple_of(4) {
            return Err(Error::Misaligned { what: Structure::Ace, offset: size });
        }
        let body = header.take(size - HEADER_LENGTH)?;
        let ace = Self::parse_body(kind, flags, body).map_err(|error| error.shifted(HEADER_LENGTH))?;
        Ok((ace, size))
    }

    fn parse_body(kind: AceKind, flags: AceFlags, body: &[u8]) -> Result<Self, Error> {
        let opaque = || Ace {
            kind: AceKind::Opaque(kind.byte()),
            flags,
            mask: AccessMask::NONE,
            sid: crate::well_known::NULL,
            objects: ObjectTypes::default(),
            data: body.to_vec(),
        };
        if matches!(kind, AceKind::Opaque(_)) {
            return Ok(opaque());
        }
        let mut reader = Reader::new(body, Structure::Ace);
        let mask = AccessMask(reader.u32()?);
        let mut objects = ObjectTypes::default();
        if kind.has_object_types() {
            let present = reader.u32()?;
            if present & !3 != 0 {
                // Reserved bits could move the SID: nothing after them can be trusted, so keep the bytes and match nobody.
                return Ok(opaque());
            }
            if present & 1 != 0 {
                objects.object = Some(Guid(reader.guid()?));
            }
            if present & 2 != 0 {
                objects.inherited = Some(Guid(reader.guid()?));
            }
        }
        let sid = Sid::read_prefix(reader.rest()).map_err(|error| error.shifted(reader.position()))?;
        let data = reader.rest()[sid.byte_len()..].to_vec();
        Ok(Ace { kind, flags, mask, sid, objects, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::well_known::EVERYONE;

    fn bytes_of(ace: &Ace) -> Vec<u8> {
        let mut out = Vec::new();
        ace.write_to(&mut out).unwrap();
        out
    }

    #[test]
    fn an_allow_ace_has_the_layout_of_ms_dtyp_2_4_4_2() {
        let ace = Ace::allow(EVERYONE, AccessMask(0x1200a9), AceFlags::INHERIT_ALL);
        let bytes = [0, 3, 20, 0, 0xa9, 0, 0x12, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(bytes_of(&ace), bytes);
        assert_eq!(Ace::read_prefix(&bytes).unwrap(), (ace, 20));
    }

    #[test]
    fn object_and_unknown_aces_survive() {
        let mut ace = Ace::new(AceKind::AllowedObject, AceFlags::empty(), AccessMask(0x100), EVERYONE);
        ace.objects.inherited = Some(Guid([9; 16]));
        assert_eq!(Ace::read_prefix(&bytes_of(&ace)).unwrap(), (ace.clone(), 40));
        let compound = [4, 0, 8, 0, 1, 2, 3, 4];
        let (opaque, length) = Ace::read_prefix(&compound).unwrap();
        assert_eq!((opaque.kind, length), (AceKind::Opaque(4), 8));
        assert_eq!(bytes_of(&opaque), compound);
        // Reserved object flags: kept, but not understood.
        let mut reserved = bytes_of(&ace);
        reserved[8] = 0x82;
        let (opaque, _) = Ace::read_prefix(&reserved).unwrap();
        assert_eq!(opaque.kind, AceKind::Opaque(5));
        assert_eq!(bytes_of(&opaque), reserved);
    }

    #[test]
    fn damage_is_an_error_with_an_offset() {
        assert!(matches!(Ace::read_prefix(&[0, 0, 3, 0]), Err(Error::BadSize { size: 3, .. })));
        assert!(matches!(Ace::read_prefix(&[0, 0, 6, 0, 0, 0]), Err(Error::Misaligned { .. })));
        assert!(matches!(Ace::read_prefix(&[0, 0, 8, 0]), Err(Error::Truncated { offset: 4, .. })));
        let mut bytes = bytes_of(&Ace::allow(EVERYONE, AccessMask(1), AceFlags::empty()));
        bytes[9] = 2; // one sub-authority more than the ACE holds
        assert!(matches!(Ace::read_prefix(&bytes), Err(Error::Truncated { offset: 20, .. })));
        let mut too_big = Ace::allow(EVERYONE, AccessMask(1), AceFlags::empty());
        too_big.data = vec![0; 65_536];
        assert!(matches!(too_big.write_to(&mut Vec::new()), Err(Error::TooLarge { .. })));
    }
}
