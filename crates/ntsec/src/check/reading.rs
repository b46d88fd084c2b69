//! Parameters for what Windows does not document or what a model cannot know.

use crate::{AccessMask, GenericMapping};

/// Which rights of a write-restricted token the restricting SIDs are asked for.
///
/// Microsoft documents only "write access"
/// (<https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-createrestrictedtoken>). The readings
/// differ for DELETE, WRITE_DAC, WRITE_OWNER and FILE_DELETE_CHILD; each covers what the one before it covers. A sandbox is
/// sound only if it is sound under all of them, or if the host has been measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WriteReading {
    /// The rights of GENERIC_WRITE that are neither in GENERIC_READ nor in GENERIC_EXECUTE. The least that a sandbox may rely
    /// on.
    #[default]
    Narrow,
    /// Those of [`WriteReading::Narrow`], and DELETE, WRITE_DAC, WRITE_OWNER and ACCESS_SYSTEM_SECURITY: what analyses of
    /// released kernels report. FILE_DELETE_CHILD is not covered, which agrees with reports of files deleted through it.
    Reported,
    /// Every right that is neither in GENERIC_READ nor in GENERIC_EXECUTE.
    Wide,
}

impl WriteReading {
    /// From the one that covers least to the one that covers most.
    pub const ALL: [WriteReading; 3] = [WriteReading::Narrow, WriteReading::Reported, WriteReading::Wide];

    /// The rights that the restricting SIDs must grant as well.
    pub fn covered(self, mapping: &GenericMapping) -> AccessMask {
        let harmless = mapping.read | mapping.execute;
        let standard =
            AccessMask::DELETE | AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER | AccessMask::ACCESS_SYSTEM_SECURITY;
        match self {
            WriteReading::Narrow => mapping.write - harmless,
            WriteReading::Reported => (mapping.write - harmless) | standard,
            WriteReading::Wide => !harmless,
        }
    }

    /// A name for reports and command lines.
    pub fn name(self) -> &'static str {
        match self {
            WriteReading::Narrow => "narrow",
            WriteReading::Reported => "reported",
            WriteReading::Wide => "wide",
        }
    }

    /// The reading of this name.
    pub fn from_name(name: &str) -> Option<WriteReading> {
        Self::ALL.into_iter().find(|reading| reading.name() == name)
    }
}

/// What to make of conditional ACEs: this library preserves conditions and does not evaluate them, so the answer depends on
/// what the caller assumes. Where both assumptions give the same answer, it is the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Conditions {
    /// No condition holds: conditional ACEs neither grant nor deny.
    #[default]
    Unmet,
    /// Every condition holds: they grant and deny as if they had none.
    Met,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectType;

    #[test]
    fn each_reading_covers_the_one_before_for_every_object_type() {
        for kind in ObjectType::ALL {
            let [narrow, reported, wide] = WriteReading::ALL.map(|reading| reading.covered(&kind.mapping()));
            assert!(reported.contains(narrow) && wide.contains(narrow), "{}", kind.name());
            let mapping = kind.mapping();
            let odd = reported - wide;
            // Where the types map DELETE and the like to reading, the two upper readings are not nested.
            assert!((mapping.read | mapping.execute).contains(odd), "{}", kind.name());
            assert!(odd.is_empty(), "{}", kind.name());
        }
    }

    #[test]
    fn they_differ_for_files_exactly_where_the_documentation_says() {
        let [narrow, reported, wide] = WriteReading::ALL.map(|reading| reading.covered(&ObjectType::File.mapping()));
        let all = AccessMask::FILE_ALL_ACCESS;
        assert_eq!(narrow & all, AccessMask(0x0116));
        assert_eq!(reported & all, AccessMask(0x000D_0116));
        assert_eq!(wide & all, AccessMask(0x000D_0156));
    }
}
