//! The access check: may this token do that to this object?
//!
//! The order follows the kernel's, as MS-DTYP §2.5.3.2 gives it and as J. Forshaw, *Windows Security Internals* (2024),
//! chapter 7 describes it in full:
//!
//! 1. the mandatory label, which only ever takes rights away;
//! 2. rights of privileges: ACCESS_SYSTEM_SECURITY, WRITE_OWNER;
//! 3. a NULL DACL, which grants everything (except to an AppContainer);
//! 4. the owner's implied READ_CONTROL and WRITE_DAC;
//! 5. the DACL for the token's own SIDs, and, where the token calls for it, again for its restricting SIDs and again for its
//!    package and capabilities. What is granted is what every pass grants.

mod explain;
mod mandatory;
mod reading;
mod walk;

pub use explain::{Event, Explanation, NoObserver, Observer};
pub use reading::{Conditions, WriteReading};

use crate::token::SidIndex;
use crate::{
    AccessMask, AclState, GenericMapping, IntegrityLevel, ObjectType, Privilege, SecurityDescriptor, Token, well_known,
};

/// One round through the DACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// With the user and the groups.
    Normal,
    /// With the restricting SIDs.
    Restricted,
    /// With the package and the capabilities of an AppContainer.
    Lowbox,
}

impl Pass {
    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Pass::Normal => "user and groups",
            Pass::Restricted => "restricting SIDs",
            Pass::Lowbox => "package and capabilities",
        }
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No right was asked for, or the most that may be had is nothing.
    Nothing,
    /// The object's mandatory label forbids `missing` to a subject of a lower level.
    MandatoryLabel {
        /// Level of the object.
        object: IntegrityLevel,
        /// The rights that it forbids.
        missing: AccessMask,
    },
    /// ACCESS_SYSTEM_SECURITY without SeSecurityPrivilege.
    PrivilegeNotHeld,
    /// ACE `index` of the DACL denies `denied`.
    Denied {
        /// The pass in which it matched.
        pass: Pass,
        /// Its position in the DACL.
        index: usize,
        /// The rights that it denies.
        denied: AccessMask,
    },
    /// No ACE grants `missing`.
    NotGranted {
        /// The pass in which nothing matched.
        pass: Pass,
        /// The rights that nobody granted.
        missing: AccessMask,
    },
    /// A NULL DACL grants nothing to an AppContainer.
    NullDaclForLowbox,
}

/// The answer of an access check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Decision {
    /// The rights granted; empty if refused.
    pub granted: AccessMask,
    /// Why it was refused, if it was.
    pub refusal: Option<Refusal>,
}

impl Decision {
    /// Whether the request was granted.
    pub fn is_granted(&self) -> bool {
        self.refusal.is_none()
    }

    fn refused(refusal: Refusal) -> Self {
        Decision { granted: AccessMask::NONE, refusal: Some(refusal) }
    }
}

/// A token, a descriptor and the parameters of the check between them.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct AccessCheck<'a> {
    token: &'a Token,
    descriptor: &'a SecurityDescriptor,
    object_type: ObjectType,
    mapping: GenericMapping,
    write_reading: WriteReading,
    conditions: Conditions,
}

impl<'a> AccessCheck<'a> {
    /// A check with the defaults that claim least for a sandbox: [`WriteReading::Narrow`], [`Conditions::Unmet`].
    pub fn new(token: &'a Token, descriptor: &'a SecurityDescriptor, object_type: ObjectType) -> Self {
        AccessCheck {
            token,
            descriptor,
            object_type,
            mapping: object_type.mapping(),
            write_reading: WriteReading::default(),
            conditions: Conditions::default(),
        }
    }

    /// Uses another generic mapping than the object type's.
    pub fn with_mapping(mut self, mapping: GenericMapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Says which rights of a write-restricted token the restricting SIDs are asked for.
    pub fn with_write_reading(mut self, reading: WriteReading) -> Self {
        self.write_reading = reading;
        self
    }

    /// Says what to make of conditional ACEs.
    pub fn with_conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Whether all of `desired` is granted.
    pub fn allows(&self, desired: AccessMask) -> bool {
        self.decide(desired).is_granted()
    }

    /// All that may be had: what a request for MAXIMUM_ALLOWED grants.
    pub fn maximum(&self) -> AccessMask {
        self.decide(AccessMask::MAXIMUM_ALLOWED).granted
    }

    /// Decides, without allocating. Generic rights in `desired` are mapped, as `SeAccessCheck` does; the user-mode
    /// `AccessCheck` refuses them with `ERROR_GENERIC_NOT_MAPPED`.
    pub fn decide(&self, desired: AccessMask) -> Decision {
        self.decide_with(desired, &mut NoObserver)
    }

    /// Decides and records which rule granted or refused which right.
    pub fn explain(&self, desired: AccessMask) -> Explanation<'a> {
        let mut events = Vec::new();
        let decision = self.decide_with(desired, &mut events);
        Explanation {
            descriptor: self.descriptor,
            object_type: self.object_type,
            desired: self.mapping.map(desired),
            decision,
            events,
        }
    }

    /// As [`AccessCheck::decide`], telling `observer` about each rule that played a part.
    pub fn decide_with(&self, desired: AccessMask, observer: &mut impl Observer) -> Decision {
        let desired = self.mapping.map(desired);
        let wants_maximum = desired.contains(AccessMask::MAXIMUM_ALLOWED);
        let named = desired - AccessMask::MAXIMUM_ALLOWED;
        if desired.is_empty() {
            return Decision::refused(Refusal::Nothing);
        }
        let ceiling = match mandatory::ceiling(self.token, self.descriptor, &self.mapping) {
            None => AccessMask::ALL_BITS,
            Some((object, allowed)) => {
                observer.observe(Event::MandatoryLabel { object, subject: self.token.integrity(), allowed });
                let missing = named - allowed;
                if !missing.is_empty() {
                    return Decision::refused(Refusal::MandatoryLabel { object, missing });
                }
                allowed
            }
        };
        let Some(privileged) = self.by_privilege(named, observer) else {
            return Decision::refused(Refusal::PrivilegeNotHeld);
        };
        if let AclState::Absent | AclState::Null = self.descriptor.dacl {
            return self.null_dacl(named, wants_maximum, ceiling, observer);
        }
        let implied = self.implied_to_owner();
        let relevant = if wants_maximum { implied } else { implied & named };
        if !relevant.is_empty() {
            observer.observe(Event::OwnerImplied { granted: relevant });
        }
        let decision = if wants_maximum {
            self.at_most(named, privileged, implied, ceiling, observer)
        } else {
            self.exactly(named, privileged, implied, observer)
        };
        match decision {
            Err(refusal) => Decision::refused(refusal),
            Ok(granted) if granted.is_empty() => Decision::refused(Refusal::Nothing),
            Ok(granted) => Decision { granted, refusal: None },
        }
    }

    /// Rights that privileges grant when they are asked for by name; `None` if one is missing that alone could grant.
    fn by_privilege(&self, named: AccessMask, observer: &mut impl Observer) -> Option<AccessMask> {
        let mut granted = AccessMask::NONE;
        let mut grant = |right: AccessMask, privileges: &[Privilege]| {
            if named.contains(right)
                && let Some(&privilege) = privileges.iter().find(|&&held| self.token.has_privilege(held))
            {
                granted |= right;
                observer.observe(Event::Privilege { privilege, granted: right });
            }
        };
        grant(AccessMask::ACCESS_SYSTEM_SECURITY, &[Privilege::Security]);
        grant(AccessMask::WRITE_OWNER, &[Privilege::TakeOwnership, Privilege::Relabel]);
        let refused = (named - granted).contains(AccessMask::ACCESS_SYSTEM_SECURITY);
        (!refused).then_some(granted)
    }

    fn null_dacl(
        &self,
        named: AccessMask,
        wants_maximum: bool,
        ceiling: AccessMask,
        observer: &mut impl Observer,
    ) -> Decision {
        if self.token.lowbox().is_some() {
            return Decision::refused(Refusal::NullDaclForLowbox);
        }
        observer.observe(Event::NullDacl);
        let granted = if wants_maximum { (named | self.mapping.all) & ceiling } else { named };
        Decision { granted, refusal: granted.is_empty().then_some(Refusal::Nothing) }
    }

    /// READ_CONTROL and WRITE_DAC, which the owner has whatever the DACL says, unless an ACE for OWNER RIGHTS says otherwise.
    /// With restricting SIDs, of either kind, the owner must be among them as well.
    fn implied_to_owner(&self) -> AccessMask {
        let Some(owner) = &self.descriptor.owner else {
            return AccessMask::NONE;
        };
        let index = &self.token.index;
        let is_owner =
            index.grants.contains(owner) && (self.token.restricting().is_none() || index.restricting.contains(owner));
        let speaks_for_itself = || {
            let aces = self.descriptor.dacl.aces();
            aces.iter().any(|ace| !ace.is_inherit_only() && ace.sid == well_known::OWNER_RIGHTS)
        };
        if is_owner && !speaks_for_itself() {
            AccessMask::READ_CONTROL | AccessMask::WRITE_DAC
        } else {
            AccessMask::NONE
        }
    }

    /// All of `named` or nothing.
    fn exactly(
        &self,
        named: AccessMask,
        privileged: AccessMask,
        implied: AccessMask,
        observer: &mut impl Observer,
    ) -> Result<AccessMask, Refusal> {
        let remaining = named - privileged - implied;
        self.walk(Pass::Normal).exactly(remaining, observer)?;
        if let Some(covered) = self.covered_by_restriction() {
            self.walk(Pass::Restricted).exactly(remaining & covered, observer)?;
        }
        if self.needs_lowbox_pass() {
            // Neither ownership nor a privilege counts for an AppContainer: its package must be granted every right.
            self.walk(Pass::Lowbox).exactly(named, observer)?;
        }
        Ok(named)
    }

    /// As much as may be had, and all of `named`.
    fn at_most(
        &self,
        named: AccessMask,
        privileged: AccessMask,
        implied: AccessMask,
        ceiling: AccessMask,
        observer: &mut impl Observer,
    ) -> Result<AccessMask, Refusal> {
        let require = |granted: AccessMask, pass: Pass| {
            let missing = named - granted;
            if missing.is_empty() { Ok(()) } else { Err(Refusal::NotGranted { pass, missing }) }
        };
        let beyond_passes = implied | privileged;
        let mut granted = self.walk(Pass::Normal).at_most(observer) | beyond_passes;
        require(granted, Pass::Normal)?;
        if let Some(covered) = self.covered_by_restriction() {
            let restricted = self.walk(Pass::Restricted).at_most(observer);
            granted &= restricted | beyond_passes | !covered;
            require(granted, Pass::Restricted)?;
        }
        if self.needs_lowbox_pass() {
            granted &= self.walk(Pass::Lowbox).at_most(observer);
            require(granted, Pass::Lowbox)?;
        }
        // What no ACE can grant: the SACL needs its privilege, and generic rights are not rights of an object.
        let grantable = AccessMask::STANDARD_ALL | AccessMask::SPECIFIC_ALL | privileged;
        Ok(granted & (grantable | named) & ceiling)
    }

    /// The rights that the restricting SIDs are asked for; `None` if the token has none.
    fn covered_by_restriction(&self) -> Option<AccessMask> {
        self.token.restricting().map(|restricting| {
            if restricting.write_only { self.write_reading.covered(&self.mapping) } else { AccessMask::ALL_BITS }
        })
    }

    /// AppContainers, and low-integrity callers of objects that name a package: such objects belong to an AppContainer, which
    /// an older kind of sandbox must not reach (*Windows Security Internals*, "Lowbox Tokens").
    fn needs_lowbox_pass(&self) -> bool {
        self.token.lowbox().is_some()
            || (self.token.integrity() < IntegrityLevel::MEDIUM
                && self.descriptor.dacl.aces().iter().any(|ace| !ace.is_inherit_only() && ace.sid.is_package()))
    }

    fn walk(&self, pass: Pass) -> walk::Walk<'a> {
        let index = &self.token.index;
        let (grants, denials): (&SidIndex, [Option<&SidIndex>; 2]) = match pass {
            Pass::Normal => (&index.grants, [Some(&index.grants), Some(&index.deny_only)]),
            Pass::Restricted => (&index.restricting, [Some(&index.restricting), None]),
            // Denials that name a package or a capability have no effect.
            Pass::Lowbox => (&index.lowbox, [None, None]),
        };
        walk::Walk {
            pass,
            aces: self.descriptor.dacl.aces(),
            owner: self.descriptor.owner.as_ref(),
            grants,
            denials,
            conditions: self.conditions,
        }
    }
}

#[cfg(test)]
mod tests;
