//! The policies that come with the program, written as every other policy is.

/// The names of the built-in profiles.
pub const PROFILES: &[&str] = &["workspace", "read-only", "guard"];

/// The TOML text of a built-in profile.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static str> {
    match name {
        "workspace" => Some(include_str!("profiles/workspace.toml")),
        "read-only" => Some(include_str!("profiles/read-only.toml")),
        "guard" => Some(include_str!("profiles/guard.toml")),
        _ => None,
    }
}

/// What a policy file without `extends` starts from.
pub(crate) const DEFAULT: &str = "workspace";

/// What a managed policy without `extends` starts from: a ceiling does not restrict what it does not mention.
pub(crate) const UNRESTRICTED: &str = "unrestricted";

/// The name, with the lifetime of the program, and the text of a profile that a policy of this kind may extend.
pub(crate) fn find(name: &str, managed: bool) -> Option<(&'static str, &'static str)> {
    if managed && name == UNRESTRICTED {
        return Some((UNRESTRICTED, include_str!("profiles/unrestricted.toml")));
    }
    let known = PROFILES.iter().find(|known| **known == name)?;
    builtin(known).map(|text| (*known, text))
}
