//! Windows' access rules as a Rust library, on any operating system.
//!
//! One question runs through everything here: *may this token do that to this object, and why?* The crate answers it with
//! plain data and pure functions: no operating system, no `unsafe`, no allocation in the check itself.
//!
//! | question | start at |
//! | --- | --- |
//! | Who is it? | [`Sid`] |
//! | What may be done? | [`AccessMask`], [`ObjectType`] |
//! | What does the object say? | [`Ace`], [`Acl`], [`SecurityDescriptor`] (binary and SDDL, both ways) |
//! | Who asks? | [`Token`], [`Token::restrict`] |
//! | May it? | [`AccessCheck`] |
//! | What does a child get? | [`inherit`] |
//! | What happens on a volume? | [`volume::Volume`] |
//!
//! ```
//! use ringfence_ntsec::{AccessCheck, AccessMask, ObjectType, SecurityDescriptor, Sid, Token, well_known};
//!
//! let user: Sid = "S-1-5-21-1-2-3-1001".parse()?;
//! let token = Token::builder(user).group(well_known::EVERYONE).build();
//! let descriptor: SecurityDescriptor = "O:SYG:SYD:(A;;FR;;;WD)".parse()?;
//! let check = AccessCheck::new(&token, &descriptor, ObjectType::File);
//! assert!(check.allows(AccessMask::FILE_READ_DATA));
//! assert!(!check.allows(AccessMask::FILE_WRITE_DATA));
//! # Ok::<(), ringfence_ntsec::Error>(())
//! ```
//!
//! Sources are Microsoft's: the Open Specification MS-DTYP (§2.4 the structures, §2.5.1 SDDL, §2.5.3 the access check and
//! inheritance) and Microsoft Learn. Where they are silent, the item says what was chosen and why.
#![forbid(unsafe_code)]

mod ace;
mod acl;
mod check;
mod descriptor;
mod error;
mod guid;
pub mod inherit;
mod mask;
mod object_type;
mod reader;
mod sddl;
mod sid;
mod token;
pub mod volume;

#[cfg(feature = "serde")]
mod serde_impl;

pub use ace::{Ace, AceFlags, AceKind, ObjectTypes, SystemMandatoryPolicy};
pub use acl::Acl;
pub use check::{
    AccessCheck, Conditions, Decision, Event, Explanation, NoObserver, Observer, Pass, Refusal, WriteReading,
};
pub use descriptor::{AbsoluteParts, AclState, Control, Layout, SecurityDescriptor};
pub use error::{Error, SddlProblem, Structure};
pub use guid::Guid;
pub use mask::AccessMask;
pub use object_type::{GenericMapping, ObjectType};
pub use sddl::{Domains, write_ace as ace_to_sddl};
pub use sid::{RingfenceSid, Sid, well_known};
pub use token::{
    Group, GroupAttributes, IntegrityLevel, Lowbox, MandatoryPolicy, Privilege, PrivilegeAttributes, RestrictFlags,
    Restricting, Restriction, Token, TokenBuilder,
};
