//! The policies that come with the program.

/// The TOML text of a built-in profile.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static str> {
    let _ = name;
    None
}

/// The names of the built-in profiles.
pub const PROFILES: &[&str] = &["workspace", "read-only", "guard"];
