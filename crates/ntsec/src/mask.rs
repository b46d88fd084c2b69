//! Access masks: which rights.

use core::fmt;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not, Sub, SubAssign};

/// A set of access rights (MS-DTYP §2.4.3). Bits 0–15 mean what the object's type says; the rest mean the same everywhere.
///
/// The meet of two masks is `a & b`, the rights of `a` without those of `b` are `a - b`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AccessMask(pub u32);

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl AccessMask {
            $($(#[$doc])* pub const $name: AccessMask = AccessMask($value);)*
        }
    };
}

rights! {
    /// No right at all.
    NONE = 0;
    /// All 32 bits.
    ALL_BITS = u32::MAX;
    /// All that the object type maps to "read".
    GENERIC_READ = 0x8000_0000;
    /// All that the object type maps to "write".
    GENERIC_WRITE = 0x4000_0000;
    /// All that the object type maps to "execute".
    GENERIC_EXECUTE = 0x2000_0000;
    /// Every right of the object type.
    GENERIC_ALL = 0x1000_0000;
    /// The four generic rights together.
    GENERIC = 0xF000_0000;
    /// "As much as I may have": asks instead of naming.
    MAXIMUM_ALLOWED = 0x0200_0000;
    /// Read or write the SACL; granted by SeSecurityPrivilege alone.
    ACCESS_SYSTEM_SECURITY = 0x0100_0000;
    /// Delete the object.
    DELETE = 0x0001_0000;
    /// Read the descriptor except its SACL.
    READ_CONTROL = 0x0002_0000;
    /// Write the DACL.
    WRITE_DAC = 0x0004_0000;
    /// Write the owner.
    WRITE_OWNER = 0x0008_0000;
    /// Wait on the object.
    SYNCHRONIZE = 0x0010_0000;
    /// `STANDARD_RIGHTS_REQUIRED`: DELETE, READ_CONTROL, WRITE_DAC, WRITE_OWNER.
    STANDARD_REQUIRED = 0x000F_0000;
    /// `STANDARD_RIGHTS_ALL`: the five standard rights.
    STANDARD_ALL = 0x001F_0000;
    /// `SPECIFIC_RIGHTS_ALL`: the sixteen bits of the object type.
    SPECIFIC_ALL = 0x0000_FFFF;

    /// File: read the data. Directory: list it (`FILE_LIST_DIRECTORY`).
    FILE_READ_DATA = 0x0001;
    /// File: write the data. Directory: create a file in it (`FILE_ADD_FILE`).
    FILE_WRITE_DATA = 0x0002;
    /// File: append. Directory: create a directory in it (`FILE_ADD_SUBDIRECTORY`). Pipe: create an instance.
    FILE_APPEND_DATA = 0x0004;
    /// Read extended attributes.
    FILE_READ_EA = 0x0008;
    /// Write extended attributes.
    FILE_WRITE_EA = 0x0010;
    /// File: execute. Directory: traverse.
    FILE_EXECUTE = 0x0020;
    /// Directory: delete any child, whatever the child's own descriptor says.
    FILE_DELETE_CHILD = 0x0040;
    /// Read basic attributes.
    FILE_READ_ATTRIBUTES = 0x0080;
    /// Write basic attributes.
    FILE_WRITE_ATTRIBUTES = 0x0100;
    /// Every right of a file.
    FILE_ALL_ACCESS = 0x001F_01FF;
    /// What GENERIC_READ means for a file.
    FILE_GENERIC_READ = 0x0012_0089;
    /// What GENERIC_WRITE means for a file.
    FILE_GENERIC_WRITE = 0x0012_0116;
    /// What GENERIC_EXECUTE means for a file.
    FILE_GENERIC_EXECUTE = 0x0012_00A0;
    /// "Modify" of the Windows shell: read, write, execute, DELETE; neither FILE_DELETE_CHILD, WRITE_DAC nor WRITE_OWNER.
    FILE_MODIFY = 0x0013_01BF;
    /// Metadata only: SYNCHRONIZE, READ_CONTROL, read attributes and extended attributes.
    FILE_METADATA = 0x0012_0088;

    /// Every right of a registry key.
    KEY_ALL_ACCESS = 0x000F_003F;
    /// `KEY_READ`, also `KEY_EXECUTE`.
    KEY_READ = 0x0002_0019;
    /// `KEY_WRITE`.
    KEY_WRITE = 0x0002_0006;

    /// Mandatory label ACE: no write up.
    LABEL_NO_WRITE_UP = 0x1;
    /// Mandatory label ACE: no read up.
    LABEL_NO_READ_UP = 0x2;
    /// Mandatory label ACE: no execute up.
    LABEL_NO_EXECUTE_UP = 0x4;
}

impl AccessMask {
    /// Whether no bit is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: AccessMask) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some bit of `other` is set.
    pub const fn intersects(self, other: AccessMask) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for AccessMask {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        AccessMask(self.0 | other.0)
    }
}

impl BitOrAssign for AccessMask {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for AccessMask {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        AccessMask(self.0 & other.0)
    }
}

impl BitAndAssign for AccessMask {
    fn bitand_assign(&mut self, other: Self) {
        self.0 &= other.0;
    }
}

impl Sub for AccessMask {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        AccessMask(self.0 & !other.0)
    }
}

impl SubAssign for AccessMask {
    fn sub_assign(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl Not for AccessMask {
    type Output = Self;
    fn not(self) -> Self {
        AccessMask(!self.0)
    }
}

impl fmt::Display for AccessMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for AccessMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessMask({:#x})", self.0)
    }
}
