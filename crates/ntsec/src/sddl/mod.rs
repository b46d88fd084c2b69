//! The security descriptor definition language (MS-DTYP §2.5.1;
//! <https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>).

mod attribute;
mod condition;
mod parse;
mod tables;
mod write;

use core::str::FromStr;

pub use write::write_ace;

use crate::error::Error;
use crate::{Ace, SecurityDescriptor, Sid};

/// What the relative aliases of SDDL are relative to: `DA` (Domain Admins) names another SID in every domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Domains {
    /// The domain that the computer is a member of: `DA`, `DU`, `DC`, …
    pub domain: Option<Sid>,
    /// The forest's root domain, if it is another one: `EA`, `SA`, …
    pub root_domain: Option<Sid>,
    /// The computer's own account database: `LA`, `LG`.
    pub machine: Option<Sid>,
}

impl SecurityDescriptor {
    /// Reads SDDL with the domains that relative aliases need.
    ///
    /// # Errors
    /// The offset and the nature of the first mistake. Takes time linear in the length of the text.
    pub fn from_sddl_in(text: &str, domains: &Domains) -> Result<Self, Error> {
        parse::descriptor(text, domains)
    }

    /// Writes SDDL as Windows does: aliases where there are some, `O:G:D:S:` in this order. Reading it back gives the same
    /// descriptor, except for what SDDL cannot say: control bits other than those of inheritance, ACL revisions, slack.
    ///
    /// # Errors
    /// An ACE that has no SDDL form.
    pub fn to_sddl(&self) -> Result<String, Error> {
        write::descriptor(self)
    }
}

impl FromStr for SecurityDescriptor {
    type Err = Error;

    /// Reads SDDL; aliases that need a domain are errors.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_sddl_in(text, &Domains::default())
    }
}

impl FromStr for Ace {
    type Err = Error;

    /// Reads one ACE in parentheses: `(A;OICI;FA;;;BA)`.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse::single_ace(text, &Domains::default())
    }
}
