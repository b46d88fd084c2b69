//! How this process ends.

/// The status that this process ends with. Unlike [`std::process::ExitCode`] it can be looked at, and it holds what a
/// status of Windows may be, such as 0xC0000005 of a command that crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(u32);

impl Status {
    /// All is well.
    pub const SUCCESS: Self = Self(0);

    /// Ends the process, after what was printed is written out.
    pub fn exit(self) -> ! {
        std::process::exit(self.0.cast_signed())
    }
}

impl From<u8> for Status {
    fn from(status: u8) -> Self {
        Self(status.into())
    }
}

impl From<u32> for Status {
    fn from(status: u32) -> Self {
        Self(status)
    }
}
