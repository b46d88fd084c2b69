//! Access tokens: who asks.

mod describe;
mod index;
mod privilege;
mod restrict;

pub use privilege::{Privilege, PrivilegeAttributes};
pub use restrict::{RestrictFlags, Restriction};

pub(crate) use index::SidIndex;

use crate::{Acl, Sid};

bitflags::bitflags! {
    /// The state of a group in a token
    /// (<https://learn.microsoft.com/windows/win32/secauthz/sid-attributes-in-an-access-token>).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct GroupAttributes: u32 {
        /// Cannot be disabled with `AdjustTokenGroups`.
        const MANDATORY = 0x0000_0001;
        /// Enabled when the token was made.
        const ENABLED_BY_DEFAULT = 0x0000_0002;
        /// Counts in access checks.
        const ENABLED = 0x0000_0004;
        /// May be set as the owner of new objects.
        const OWNER = 0x0000_0008;
        /// Counts for denials only.
        const USE_FOR_DENY_ONLY = 0x0000_0010;
        /// The integrity level.
        const INTEGRITY = 0x0000_0020;
        /// The integrity level is in force.
        const INTEGRITY_ENABLED = 0x0000_0040;
        /// A domain-local group.
        const RESOURCE = 0x2000_0000;
        /// The logon session's SID.
        const LOGON_ID = 0xC000_0000;
        /// What an ordinary group carries.
        const ORDINARY = 0x0000_0007;
    }
}

bitflags::bitflags! {
    /// What the token submits to (`TOKEN_MANDATORY_POLICY`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct MandatoryPolicy: u32 {
        /// Mandatory labels are enforced against it.
        const NO_WRITE_UP = 0x1;
        /// A new process takes the lower level of this token and the executable.
        const NEW_PROCESS_MIN = 0x2;
    }
}

/// A group SID with its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    /// Which group.
    pub sid: Sid,
    /// Its state.
    pub attributes: GroupAttributes,
}

/// How trustworthy a subject or an object is: the RID of a mandatory label (MS-DTYP §2.4.2.4, `S-1-16-…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegrityLevel(pub u32);

impl IntegrityLevel {
    /// Untrusted.
    pub const UNTRUSTED: IntegrityLevel = IntegrityLevel(0);
    /// Low.
    pub const LOW: IntegrityLevel = IntegrityLevel(0x1000);
    /// Medium: ordinary processes, and objects without a label.
    pub const MEDIUM: IntegrityLevel = IntegrityLevel(0x2000);
    /// High: elevated processes.
    pub const HIGH: IntegrityLevel = IntegrityLevel(0x3000);
    /// System.
    pub const SYSTEM: IntegrityLevel = IntegrityLevel(0x4000);

    /// The label's SID.
    pub fn sid(self) -> Sid {
        Sid::known(16, &[self.0])
    }

    /// The level that a label's SID names: the last sub-authority, as the kernel compares it.
    pub fn from_sid(sid: &Sid) -> Option<IntegrityLevel> {
        (sid.authority() == 16).then(|| sid.rid().map(IntegrityLevel)).flatten()
    }
}

/// The restricting SIDs of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restricting {
    /// The list. Empty, it matches nobody: everything that it is asked for is refused.
    pub sids: Vec<Sid>,
    /// Whether the list is asked for writes only (`WRITE_RESTRICTED`).
    pub write_only: bool,
}

/// The identity of an AppContainer process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowbox {
    /// The package, `S-1-15-2-…`.
    pub package: Sid,
    /// Capabilities, `S-1-15-3-…`; those that are enabled count.
    pub capabilities: Vec<Group>,
    /// Less privileged: ALL APPLICATION PACKAGES does not name it.
    pub less_privileged: bool,
}

/// Everything about a caller that an access check looks at
/// (<https://learn.microsoft.com/windows/win32/secauthz/access-tokens>).
///
/// Immutable, so that the sorted-out SID lists which make checks fast always agree with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    parts: TokenBuilder,
    pub(crate) index: index::TokenIndex,
}

/// The parts of a [`Token`] before it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenBuilder {
    user: Sid,
    user_deny_only: bool,
    groups: Vec<Group>,
    privileges: Vec<(Privilege, PrivilegeAttributes)>,
    owner: Option<Sid>,
    primary_group: Option<Sid>,
    default_dacl: Option<Acl>,
    integrity: IntegrityLevel,
    mandatory_policy: MandatoryPolicy,
    restricting: Option<Restricting>,
    lowbox: Option<Lowbox>,
}

impl Token {
    /// Starts a token for `user`: no groups, no privileges, Medium integrity.
    pub fn builder(user: Sid) -> TokenBuilder {
        TokenBuilder {
            user,
            user_deny_only: false,
            groups: Vec::new(),
            privileges: Vec::new(),
            owner: None,
            primary_group: None,
            default_dacl: None,
            integrity: IntegrityLevel::MEDIUM,
            mandatory_policy: MandatoryPolicy::all(),
            restricting: None,
            lowbox: None,
        }
    }

    /// The parts again, to make a variant.
    pub fn to_builder(&self) -> TokenBuilder {
        self.parts.clone()
    }

    /// The user.
    pub fn user(&self) -> &Sid {
        &self.parts.user
    }

    /// Whether the user's SID counts for denials only.
    pub fn is_user_deny_only(&self) -> bool {
        self.parts.user_deny_only
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.parts.groups
    }

    /// The privileges, enabled or not.
    pub fn privileges(&self) -> &[(Privilege, PrivilegeAttributes)] {
        &self.parts.privileges
    }

    /// Whether the privilege is there and enabled.
    pub fn has_privilege(&self, privilege: Privilege) -> bool {
        self.parts
            .privileges
            .iter()
            .any(|(held, state)| *held == privilege && state.contains(PrivilegeAttributes::ENABLED))
    }

    /// The owner of objects that the caller creates: the user unless set.
    pub fn owner(&self) -> &Sid {
        self.parts.owner.as_ref().unwrap_or(&self.parts.user)
    }

    /// The primary group of objects that the caller creates: the user unless set.
    pub fn primary_group(&self) -> &Sid {
        self.parts.primary_group.as_ref().unwrap_or(&self.parts.user)
    }

    /// The DACL of objects that inherit none.
    pub fn default_dacl(&self) -> Option<&Acl> {
        self.parts.default_dacl.as_ref()
    }

    /// The integrity level.
    pub fn integrity(&self) -> IntegrityLevel {
        self.parts.integrity
    }

    /// What the token submits to.
    pub fn mandatory_policy(&self) -> MandatoryPolicy {
        self.parts.mandatory_policy
    }

    /// The restricting SIDs, if there are any.
    pub fn restricting(&self) -> Option<&Restricting> {
        self.parts.restricting.as_ref()
    }

    /// The AppContainer identity, if there is one.
    pub fn lowbox(&self) -> Option<&Lowbox> {
        self.parts.lowbox.as_ref()
    }

    /// The logon session's SID.
    pub fn logon_sid(&self) -> Option<&Sid> {
        let is_logon = |group: &&Group| group.attributes.contains(GroupAttributes::LOGON_ID);
        self.parts.groups.iter().find(is_logon).map(|group| &group.sid)
    }
}

impl TokenBuilder {
    /// Adds an ordinary, enabled group.
    pub fn group(self, sid: Sid) -> Self {
        self.group_with(sid, GroupAttributes::ORDINARY)
    }

    /// Adds a group in the given state.
    pub fn group_with(mut self, sid: Sid, attributes: GroupAttributes) -> Self {
        self.groups.push(Group { sid, attributes });
        self
    }

    /// Makes the user's own SID count for denials only.
    pub fn user_deny_only(mut self) -> Self {
        self.user_deny_only = true;
        self
    }

    /// Adds an enabled privilege.
    pub fn privilege(self, privilege: Privilege) -> Self {
        self.privilege_with(privilege, PrivilegeAttributes::all())
    }

    /// Adds a privilege in the given state; a second mention replaces the first.
    pub fn privilege_with(mut self, privilege: Privilege, attributes: PrivilegeAttributes) -> Self {
        self.privileges.retain(|(held, _)| *held != privilege);
        self.privileges.push((privilege, attributes));
        self
    }

    /// Sets the owner of new objects.
    pub fn owner(mut self, sid: Sid) -> Self {
        self.owner = Some(sid);
        self
    }

    /// Sets the primary group of new objects.
    pub fn primary_group(mut self, sid: Sid) -> Self {
        self.primary_group = Some(sid);
        self
    }

    /// Sets the DACL of objects that inherit none.
    pub fn default_dacl(mut self, acl: Acl) -> Self {
        self.default_dacl = Some(acl);
        self
    }

    /// Sets the integrity level.
    pub fn integrity(mut self, level: IntegrityLevel) -> Self {
        self.integrity = level;
        self
    }

    /// Sets what the token submits to.
    pub fn mandatory_policy(mut self, policy: MandatoryPolicy) -> Self {
        self.mandatory_policy = policy;
        self
    }

    /// Sets the restricting SIDs as they are, without the rules of [`Token::restrict`].
    pub fn restricting(mut self, restricting: Restricting) -> Self {
        self.restricting = Some(restricting);
        self
    }

    /// Makes it an AppContainer's token.
    pub fn lowbox(mut self, lowbox: Lowbox) -> Self {
        self.lowbox = Some(lowbox);
        self
    }

    /// The token.
    pub fn build(self) -> Token {
        let index = index::TokenIndex::new(&self);
        Token { parts: self, index }
    }
}
