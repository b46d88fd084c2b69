//! The closed sets of words that a policy may use.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value_error::ValueError;

/// Declares an enum together with the words it is written as, so that parser, printer, serialiser and schema cannot
/// disagree.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        pub enum $name {
            $($(#[$variant_meta])* #[schemars(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// How each value of [`Self::ALL`] is written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// How the value is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(ValueError::unknown_word(text, Self::WORDS)),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

words! {
    /// What the network is to the command; ordered from narrow to wide.
    pub enum NetworkMode {
        /// Nothing can be reached.
        Off = "off",
        /// The hosts of `network.allow` can be reached, through the egress proxy.
        Allowlist = "allowlist",
        /// Everything can be reached.
        Open = "open",
    }
}

words! {
    /// The least strength that every rule must have; ordered from strict to lenient.
    pub enum Require {
        /// The operating system's kernel holds the rule.
        Kernel = "kernel",
        /// A rule may rest on the command's good will.
        Advisory = "advisory",
    }
}

words! {
    /// Whether Everyone (S-1-1-0) may be a restricting SID; ordered from strict to lenient.
    pub enum Everyone {
        /// Never; a shell that needs it does not start.
        Never = "never",
        /// Only for a shell that a measurement showed to need it.
        Auto = "auto",
        /// Always.
        Always = "always",
    }
}

words! {
    /// What a policy says to an action.
    pub enum Verdict {
        /// It may happen.
        Allow = "allow",
        /// It may not.
        Deny = "deny",
    }
}

words! {
    /// A rule of a policy, as the plan reports its strength and as `--accept-degraded` names it.
    pub enum RuleId {
        /// Writes stay inside the write roots.
        FilesystemWrite = "filesystem.write",
        /// Modes, owners, timestamps and attributes change only inside the write roots.
        FilesystemMetadata = "filesystem.metadata",
        /// Protected paths stay as they are.
        FilesystemProtect = "filesystem.protect",
        /// Reads stay inside the read roots.
        FilesystemRead = "filesystem.read",
        /// Hidden paths stay unread.
        FilesystemHide = "filesystem.hide",
        /// Only allowed hosts are reached.
        Network = "network",
        /// Only allowed host sockets are reached.
        UnixSockets = "network.unix_sockets",
        /// No process outlives the run or leaves its container.
        ProcessTree = "process.tree",
        /// The wall-clock limit.
        Timeout = "process.timeout",
        /// The memory limit.
        Memory = "process.memory",
        /// The limit on the number of processes.
        Processes = "process.processes",
        /// The processor limit.
        Cpus = "process.cpus",
        /// Only passed variables are seen.
        Environment = "environment",
    }
}

words! {
    /// The system whose rules for paths and names apply. Always a parameter, so that a plan for one system can be made
    /// and tested on another.
    pub enum System {
        /// Linux: `/`-separated, case-sensitive.
        Linux = "linux",
        /// Windows: drives and shares, case-insensitive.
        Windows = "windows",
    }
}

impl System {
    /// The system that this program was built for.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(windows) { Self::Windows } else { Self::Linux }
    }
}
