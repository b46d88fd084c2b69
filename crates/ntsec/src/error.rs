//! The one error type of the crate.

use core::fmt;

/// Why bytes, text, a token request or an operation on a [`Volume`](crate::volume::Volume) was refused.
///
/// Every variant of hostile or damaged input carries the byte offset at which it was noticed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end inside a structure.
    #[error(
        "{what} at offset {offset} needs {needed} bytes but {available} remain: read the whole descriptor before parsing"
    )]
    Truncated {
        /// The structure being read.
        what: Structure,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// Bytes follow the end of the structure.
    #[error("{extra} bytes follow the {what} that ends at offset {offset}: pass exactly one structure")]
    TrailingBytes {
        /// The structure that was read.
        what: Structure,
        /// Where it ended.
        offset: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// A size or offset is not a multiple of four (MS-DTYP §2.4.4.1 and §2.4.6 require it).
    #[error("{what} at offset {offset} is not aligned to four bytes: the descriptor is damaged")]
    Misaligned {
        /// The structure concerned.
        what: Structure,
        /// The offending offset.
        offset: usize,
    },
    /// Two parts of a self-relative descriptor share bytes.
    #[error("{what} at offset {offset} overlaps another part: the descriptor is damaged")]
    Overlap {
        /// The later of the two parts.
        what: Structure,
        /// Where it starts.
        offset: usize,
    },
    /// A size field is impossible for its structure.
    #[error("{what} at offset {offset} claims the impossible size {size}: the descriptor is damaged")]
    BadSize {
        /// The structure concerned.
        what: Structure,
        /// Where it starts.
        offset: usize,
        /// The claimed size.
        size: usize,
    },
    /// An unknown revision number.
    #[error("{what} at offset {offset} has revision {found}, which this library does not know")]
    UnknownRevision {
        /// The structure concerned.
        what: Structure,
        /// Where it starts.
        offset: usize,
        /// The revision found.
        found: u8,
    },
    /// More than 15 sub-authorities (`SID_MAX_SUB_AUTHORITIES`, MS-DTYP §2.4.2.2).
    #[error("the SID at offset {offset} has {found} sub-authorities; the limit is 15")]
    TooManySubAuthorities {
        /// Where the SID starts.
        offset: usize,
        /// How many it claims.
        found: usize,
    },
    /// The result does not fit the format (an ACL and an ACE hold at most 65,535 bytes, MS-DTYP §2.4.5).
    #[error("the {what} would take {size} bytes; the format holds at most {limit}: remove entries first")]
    TooLarge {
        /// The structure concerned.
        what: Structure,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A self-relative descriptor was required and an absolute one was given.
    #[error("the descriptor is not self-relative: convert it with MakeSelfRelativeSD first")]
    NotSelfRelative,
    /// Text that is not a SID or not SDDL.
    #[error("at byte {offset}: {problem}")]
    Sddl {
        /// Byte offset in the text.
        offset: usize,
        /// What is wrong.
        problem: SddlProblem,
    },
    /// An ACE whose type or payload has no SDDL form.
    #[error("ACE {index} (type {kind:#04x}) has no SDDL form: use the binary form")]
    NoSddlForm {
        /// Position in its ACL.
        index: usize,
        /// The ACE type byte.
        kind: u8,
    },
    /// A token was described in a way that Windows could not produce.
    #[error("line {line} of the token description: {reason}")]
    TokenDescription {
        /// 1-based line number.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The volume refused: the access check failed.
    #[error("access denied: {operation} needs {missing} on `{path}`")]
    AccessDenied {
        /// The operation that was tried.
        operation: &'static str,
        /// The object that refused.
        path: String,
        /// The rights that were not granted.
        missing: crate::AccessMask,
    },
    /// No object of that name.
    #[error("`{path}` does not exist")]
    NotFound {
        /// The path looked up.
        path: String,
    },
    /// The name is taken.
    #[error("`{path}` exists already")]
    AlreadyExists {
        /// The path.
        path: String,
    },
    /// The operation does not fit the kind of object.
    #[error("{operation} cannot be done to `{path}`: {reason}")]
    Unsupported {
        /// The operation that was tried.
        operation: &'static str,
        /// The object.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// A name that Windows' file systems refuse.
    #[error("`{name}` is not a valid file name: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// More reparse points in one path than the object manager follows.
    #[error("`{path}` passes through more than {limit} links: a loop")]
    TooManyLinks {
        /// The path.
        path: String,
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// A stable kebab-case name for logs and for `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Truncated { .. } => "truncated",
            Error::TrailingBytes { .. } => "trailing-bytes",
            Error::Misaligned { .. } => "misaligned",
            Error::Overlap { .. } => "overlap",
            Error::BadSize { .. } => "bad-size",
            Error::UnknownRevision { .. } => "unknown-revision",
            Error::TooManySubAuthorities { .. } => "too-many-sub-authorities",
            Error::TooLarge { .. } => "too-large",
            Error::NotSelfRelative => "not-self-relative",
            Error::Sddl { .. } => "bad-sddl",
            Error::NoSddlForm { .. } => "no-sddl-form",
            Error::TokenDescription { .. } => "bad-token-description",
            Error::AccessDenied { .. } => "access-denied",
            Error::NotFound { .. } => "not-found",
            Error::AlreadyExists { .. } => "already-exists",
            Error::Unsupported { .. } => "unsupported",
            Error::BadName { .. } => "bad-name",
            Error::TooManyLinks { .. } => "too-many-links",
        }
    }

    /// Moves the offset of an error found in a part to its place in the whole.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Error::Truncated { offset, .. }
            | Error::TrailingBytes { offset, .. }
            | Error::Misaligned { offset, .. }
            | Error::Overlap { offset, .. }
            | Error::BadSize { offset, .. }
            | Error::UnknownRevision { offset, .. }
            | Error::TooManySubAuthorities { offset, .. }
            | Error::Sddl { offset, .. } => *offset = offset.saturating_add(by),
            _ => {}
        }
        self
    }

    pub(crate) fn sddl(offset: usize, problem: SddlProblem) -> Self {
        Error::Sddl { offset, problem }
    }
}

/// The binary structures of MS-DTYP §2.4 that errors speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each name is the structure's own")]
pub enum Structure {
    Sid,
    Ace,
    Acl,
    Descriptor,
    Owner,
    Group,
    Dacl,
    Sacl,
    Condition,
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Structure::Sid => "SID",
            Structure::Ace => "ACE",
            Structure::Acl => "ACL",
            Structure::Descriptor => "security descriptor",
            Structure::Owner => "owner",
            Structure::Group => "group",
            Structure::Dacl => "DACL",
            Structure::Sacl => "SACL",
            Structure::Condition => "conditional expression",
        })
    }
}

/// What is wrong with a piece of SDDL or with a SID string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SddlProblem {
    /// Not `S-1-…`.
    #[error("a SID starts with `S-1-`")]
    NotASid,
    /// The identifier authority is missing or above 48 bits.
    #[error("the identifier authority must be a number below 2^48")]
    BadAuthority,
    /// A sub-authority is missing or above 32 bits.
    #[error("a sub-authority must be a number below 2^32")]
    BadSubAuthority,
    /// More than 15 sub-authorities.
    #[error("a SID has at most 15 sub-authorities")]
    TooManySubAuthorities,
    /// Two letters that name no SID.
    #[error("unknown SID alias: write the SID as `S-1-…` or one of the two-letter aliases of SDDL")]
    UnknownSidAlias,
    /// An alias such as `DA` that exists per domain, without a domain.
    #[error("this alias is relative to a domain: give the domain's SID or write the full SID")]
    NeedsDomain,
    /// Neither `O:`, `G:`, `D:` nor `S:`.
    #[error("expected one of `O:`, `G:`, `D:`, `S:`")]
    UnknownSection,
    /// The same section twice.
    #[error("this section appears twice")]
    DuplicateSection,
    /// A letter between `D:` and the first ACE that is no ACL flag.
    #[error("unknown ACL flag: expected `P`, `AR`, `AI` or `NO_ACCESS_CONTROL`")]
    UnknownAclFlag,
    /// `NO_ACCESS_CONTROL` together with ACEs, or in a SACL.
    #[error("`NO_ACCESS_CONTROL` means a NULL DACL: it goes with `D:` alone and takes no ACE")]
    NullAclWithAces,
    /// Not an ACE type.
    #[error("unknown ACE type")]
    UnknownAceType,
    /// Not an ACE flag.
    #[error("unknown ACE flag: expected CI, OI, NP, IO, ID, SA, FA, TP or CR")]
    UnknownAceFlag,
    /// Neither a known right nor a number.
    #[error("unknown right: expected two-letter rights or a number such as 0x1301bf")]
    UnknownRight,
    /// Not `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    #[error("not a GUID")]
    BadGuid,
    /// A GUID in an ACE type that has none.
    #[error("only object ACEs (OA, OD, OU, OL) take GUIDs")]
    UnexpectedGuid,
    /// A field is missing.
    #[error("expected `{0}`")]
    Expected(char),
    /// Something stands where the text should have ended.
    #[error("unexpected text")]
    Unexpected,
    /// A conditional ACE without its condition or an unconditional one with it.
    #[error("this ACE type and a condition do not go together")]
    ConditionMismatch,
    /// A syntax error in a conditional expression (MS-DTYP §2.5.1.1).
    #[error("syntax error in the condition")]
    BadCondition,
    /// Parentheses, braces or negations deeper than 64 levels.
    #[error("the condition is nested deeper than 64 levels")]
    TooDeep,
    /// A resource attribute (`RA`) that does not parse (MS-DTYP §2.5.1.1).
    #[error("syntax error in the resource attribute")]
    BadAttribute,
    /// The ACL or descriptor exceeds 64 KiB.
    #[error("the ACL would exceed 65,535 bytes")]
    TooLarge,
    /// ACE kinds that exist in a SACL only stand in a DACL or the other way round.
    #[error("this ACE type does not belong in this ACL")]
    WrongAcl,
}
