//! Security descriptors.

mod binary;

pub use binary::{AbsoluteParts, Layout};

use crate::error::Error;
use crate::{Ace, AceKind, Acl, Sid};

bitflags::bitflags! {
    /// Control bits that are stored as they are (MS-DTYP §2.4.6). The bits that follow from the content
    /// (DACL and SACL present, self-relative) are computed and do not appear here.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Control: u16 {
        /// OD: the owner was set by default.
        const OWNER_DEFAULTED = 0x0001;
        /// GD: the group was set by default.
        const GROUP_DEFAULTED = 0x0002;
        /// DD: the DACL was set by default.
        const DACL_DEFAULTED = 0x0008;
        /// SD: the SACL was set by default.
        const SACL_DEFAULTED = 0x0020;
        /// DT: the ACL is to be handled by a server of its own.
        const DACL_TRUSTED = 0x0040;
        /// SS: server security.
        const SERVER_SECURITY = 0x0080;
        /// DC: the DACL is to be inherited automatically.
        const DACL_AUTO_INHERIT_REQUIRED = 0x0100;
        /// SC: the SACL is to be inherited automatically.
        const SACL_AUTO_INHERIT_REQUIRED = 0x0200;
        /// DI: the DACL was inherited automatically.
        const DACL_AUTO_INHERITED = 0x0400;
        /// SI: the SACL was inherited automatically.
        const SACL_AUTO_INHERITED = 0x0800;
        /// PD: the DACL takes nothing from the parent.
        const DACL_PROTECTED = 0x1000;
        /// PS: the SACL takes nothing from the parent.
        const SACL_PROTECTED = 0x2000;
        /// RM: the reserved byte is valid.
        const RESOURCE_MANAGER_VALID = 0x4000;
    }
}

/// A DACL or SACL as a descriptor holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum AclState {
    /// Not there.
    #[default]
    Absent,
    /// There, and NULL. As a DACL: no protection at all.
    Null,
    /// There. Without entries, as a DACL: nobody may do anything.
    Present(Acl),
}

impl AclState {
    /// The list, if there is one.
    pub fn acl(&self) -> Option<&Acl> {
        match self {
            AclState::Present(acl) => Some(acl),
            AclState::Absent | AclState::Null => None,
        }
    }

    /// The list, made if there is none. **As a DACL this turns "no protection" into "nothing allowed".**
    pub fn acl_mut(&mut self) -> &mut Acl {
        if !matches!(self, AclState::Present(_)) {
            *self = AclState::Present(Acl::new());
        }
        match self {
            AclState::Present(acl) => acl,
            AclState::Absent | AclState::Null => unreachable!("made above"),
        }
    }

    /// The entries; none if there is no list.
    pub fn aces(&self) -> &[Ace] {
        self.acl().map_or(&[], Acl::aces)
    }
}

/// Who owns an object and who may do what to it (MS-DTYP §2.4.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SecurityDescriptor {
    /// Flags that do not follow from the content.
    pub control: Control,
    /// The resource manager's byte (`Sbz1`).
    pub resource_manager: u8,
    /// The owner.
    pub owner: Option<Sid>,
    /// The primary group.
    pub group: Option<Sid>,
    /// What is audited, and the mandatory label.
    pub sacl: AclState,
    /// Who may do what.
    pub dacl: AclState,
}

impl SecurityDescriptor {
    /// A descriptor with an owner, a group and a DACL.
    pub fn new(owner: Sid, group: Sid, dacl: Acl) -> Self {
        SecurityDescriptor {
            owner: Some(owner),
            group: Some(group),
            dacl: AclState::Present(dacl),
            ..SecurityDescriptor::default()
        }
    }

    /// The first mandatory label that applies to the object itself (MS-DTYP §2.4.4.13).
    pub fn mandatory_label(&self) -> Option<&Ace> {
        self.sacl.aces().iter().find(|ace| ace.kind == AceKind::MandatoryLabel && !ace.is_inherit_only())
    }

    /// Every SID that the descriptor names: owner, group, and those of the ACEs.
    pub fn sids(&self) -> impl Iterator<Item = &Sid> {
        let aces = self.dacl.aces().iter().chain(self.sacl.aces());
        let named = aces.filter(|ace| !matches!(ace.kind, AceKind::Opaque(_))).map(|ace| &ace.sid);
        self.owner.iter().chain(&self.group).chain(named)
    }

    /// Whether some part names a SID of ringfence's own: what is left of ringfence on an object.
    pub fn has_ringfence_residue(&self) -> bool {
        self.sids().any(Sid::is_ringfence)
    }

    /// Whether both have the same binary form: what the ledger compares.
    ///
    /// # Errors
    /// One of them has no binary form (an ACL above 64 KiB).
    pub fn same_bytes(&self, other: &SecurityDescriptor) -> Result<bool, Error> {
        Ok(self.to_bytes()? == other.to_bytes()?)
    }
}
