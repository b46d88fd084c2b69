//! From paths as they are written to absolute, lexically normal ones.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::PolicyError;
use crate::names::System;
use crate::path::{WindowsPrefix, split_windows_prefix};

/// What a policy's relative paths, `~` and `@secrets` mean on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Anchors {
    /// The project's directory: absolute, what `.` means. Links in it should be resolved already.
    pub workspace: PathBuf,
    /// The user's own directory: absolute, what `~` means.
    pub home: Option<PathBuf>,
    /// Whose rules for paths apply.
    pub system: System,
}

impl Anchors {
    /// The same anchors, lexically normal.
    pub(crate) fn normal(&self) -> Result<Self, PolicyError> {
        let normal = |which, path: &Path| {
            let refuse = |problem| PolicyError::Anchor { which, path: path.to_owned(), problem };
            let text = path.to_str().ok_or_else(|| refuse(PathError::NotUtf8))?;
            check_characters(text).map_err(refuse)?;
            let absolute = match self.system {
                System::Linux => Absolute::parse_linux(text),
                System::Windows => Absolute::parse_windows(text).map_err(refuse)?,
            };
            let mut absolute = absolute.ok_or_else(|| refuse(PathError::NotAbsolute))?;
            absolute.resolve_parents();
            Ok(absolute.into_path())
        };
        Ok(Self {
            workspace: normal("workspace", &self.workspace)?,
            home: self.home.as_deref().map(|home| normal("home directory", home)).transpose()?,
            system: self.system,
        })
    }

    /// The absolute path that a policy means by `text`. The anchors must be [normal](Self::normal).
    pub(crate) fn resolve(&self, text: &str, role: PathRole) -> Result<PathBuf, PathError> {
        check_characters(text)?;
        let unprefixed = text.strip_prefix("\\\\?\\").unwrap_or(text);
        if unprefixed.contains(['*', '?']) {
            return Err(PathError::Pattern);
        }
        if text.starts_with('$') || (self.system == System::Windows && text.starts_with('%')) {
            return Err(PathError::Variable);
        }
        if let Some(rest) = text.strip_prefix('~') {
            let home = self.home.as_deref().ok_or(PathError::NoHome)?;
            return match rest.strip_prefix(['/', '\\']) {
                Some(below) => self.below(home, below, PathRole::Granted),
                None if rest.is_empty() => Ok(home.to_owned()),
                None => Err(PathError::OtherHome),
            };
        }
        let absolute = match self.system {
            System::Linux if looks_like_windows(text) => {
                return Err(PathError::Foreign(System::Windows));
            }
            System::Linux => Absolute::parse_linux(text),
            System::Windows => Absolute::parse_windows(text)?,
        };
        match absolute {
            Some(absolute) => {
                absolute.check(self.system)?;
                Ok(absolute.into_path())
            }
            None => self.below(&self.workspace, text, role),
        }
    }

    fn below(&self, base: &Path, text: &str, role: PathRole) -> Result<PathBuf, PathError> {
        let base = base.to_str().ok_or(PathError::NotUtf8)?;
        let base = match self.system {
            System::Linux => Absolute::parse_linux(base),
            System::Windows => Absolute::parse_windows(base)?,
        };
        let mut absolute = base.ok_or(PathError::NotAbsolute)?;
        let mut below = Absolute { prefix: String::new(), separator: absolute.separator, components: Vec::new() };
        match self.system {
            System::Linux => below.push_all(text),
            System::Windows => below.push_all(&text.replace('\\', "/")),
        }
        let upwards = below.components.iter().take_while(|component| *component == "..").count();
        if upwards > 0 && role == PathRole::Granted {
            return Err(PathError::Escape);
        }
        below.components.drain(..upwards);
        below.check(self.system)?;
        absolute.components.truncate(absolute.components.len().saturating_sub(upwards));
        absolute.components.append(&mut below.components);
        Ok(absolute.into_path())
    }
}

/// Reads an absolute path by the rules of a system, whichever system this is: lexically normal, and without a name that
/// means another file there than it says.
///
/// # Errors
///
/// As [`load`](crate::load) refuses a path of a policy; relative paths, patterns and variables too.
pub fn absolute_path(text: &str, system: System) -> Result<PathBuf, PathError> {
    check_characters(text)?;
    if text.strip_prefix("\\\\?\\").unwrap_or(text).contains(['*', '?']) {
        return Err(PathError::Pattern);
    }
    let absolute = match system {
        System::Linux => Absolute::parse_linux(text),
        System::Windows => Absolute::parse_windows(text)?,
    };
    let absolute = absolute.ok_or(PathError::NotAbsolute)?;
    absolute.check(system)?;
    Ok(absolute.into_path())
}

/// What a path is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathRole {
    /// It is granted for writing: `..` must not lead out of the workspace unnoticed.
    Granted,
    /// Anything else.
    Named,
}

/// Why a path is refused. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing is there.
    #[error("a path is missing: write \".\" for the workspace")]
    Empty,
    /// Longer than any system takes.
    #[error("longer than the 4096 bytes that a path may have")]
    TooLong,
    /// A newline or another control character, which could forge a line of a plan or a log.
    #[error("control characters are refused in paths: rename the file or name its directory")]
    ControlCharacter,
    /// Not UTF-8.
    #[error("not valid UTF-8, which a policy cannot express: rename it")]
    NotUtf8,
    /// Relative where it must be absolute.
    #[error("not an absolute path: write it from the root")]
    NotAbsolute,
    /// `../..` as a write root.
    #[error("`..` leads out of the workspace: write the absolute path if that is meant")]
    Escape,
    /// `a/../b`, which means something else once `a` is a link.
    #[error("`..` after a name is refused, since the name may be a link: write the path without it")]
    ParentInside,
    /// A glob.
    #[error("patterns are not supported, the kernel knows none: name the file or the directory")]
    Pattern,
    /// `$HOME` or `%TEMP%`.
    #[error(
        "variables are not expanded: write \"~\" for the home directory, or \"./\" before a name with this character"
    )]
    Variable,
    /// `~` without a home directory.
    #[error("`~` is unknown, since the caller has no home directory: write an absolute path")]
    NoHome,
    /// `~other`.
    #[error("other users' home directories are not looked up: write the absolute path, or \"./~\" for such a name")]
    OtherHome,
    /// A path of the other system.
    #[error("a path of the other system ({0}): keep such rules in a file of their own and extend it there")]
    Foreign(System),
    /// A backslash on Linux.
    #[error("a `\\` separates nothing on Linux: write \"/\", which works on every system")]
    Backslash,
    /// `C:` or `C:x`.
    #[error("relative to a drive's current directory: write \"C:\\\\\" and the rest")]
    DriveRelative,
    /// `\\.\`, `\\?\Volume{…}` and their like.
    #[error("a device path: write a drive letter or a share")]
    Device,
    /// A character that Windows has no names with, or that names an alternate stream.
    #[error("the character `{0}` cannot be in a Windows file name: remove it")]
    Character(char),
    /// A name that ends in what Windows drops.
    #[error("a name that ends in a dot or a space is another name to Windows: remove it")]
    TrailingDotOrSpace,
    /// `NUL`, `COM1` and their like.
    #[error("`{0}` is a device on Windows, whatever the directory: choose another name")]
    Reserved(String),
    /// `@something`.
    #[error("{}; put \"./\" before the name of a file that begins with `@`", no_such_set(.known))]
    UnknownSet {
        /// The set that is possible here; empty where none is.
        known: &'static str,
    },
}

impl PathError {
    /// The stable name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "path-empty",
            Self::TooLong => "path-too-long",
            Self::ControlCharacter => "path-control-character",
            Self::NotUtf8 => "path-not-utf8",
            Self::NotAbsolute => "path-not-absolute",
            Self::Escape => "path-escape",
            Self::ParentInside => "path-parent-inside",
            Self::Pattern => "path-pattern",
            Self::Variable => "path-variable",
            Self::NoHome => "path-no-home",
            Self::OtherHome => "path-other-home",
            Self::Foreign(_) => "path-foreign",
            Self::Backslash => "path-backslash",
            Self::DriveRelative => "path-drive-relative",
            Self::Device => "path-device",
            Self::Character(_) => "path-character",
            Self::TrailingDotOrSpace => "path-trailing-dot-or-space",
            Self::Reserved(_) => "path-reserved",
            Self::UnknownSet { .. } => "path-unknown-set",
        }
    }
}

fn no_such_set(known: &str) -> String {
    if known.is_empty() { "no set is possible here".to_owned() } else { format!("no such set; possible here: {known}") }
}

struct Absolute {
    prefix: String,
    separator: &'static str,
    components: Vec<String>,
}

impl Absolute {
    fn parse_linux(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let mut path = Self { prefix: "/".to_owned(), separator: "/", components: Vec::new() };
        path.push_all(rest);
        Some(path)
    }

    fn parse_windows(text: &str) -> Result<Option<Self>, PathError> {
        let text = text.replace('/', "\\");
        let Some((prefix, rest)) = split_windows_prefix(&text) else {
            let bytes = text.as_bytes();
            return match bytes {
                [b'\\', b'\\', ..] => Err(PathError::Device),
                [b'\\', ..] => Err(PathError::Foreign(System::Linux)),
                [letter, b':', ..] if letter.is_ascii_alphabetic() => Err(PathError::DriveRelative),
                _ => Ok(None),
            };
        };
        let prefix = match prefix {
            WindowsPrefix::Everything => "\\".to_owned(),
            WindowsPrefix::Drive(letter) => format!("{letter}:\\"),
            WindowsPrefix::Share(server, share) => format!("\\\\{server}\\{share}\\"),
        };
        let mut path = Self { prefix, separator: "\\", components: Vec::new() };
        path.push_all(&rest.replace('\\', "/"));
        Ok(Some(path))
    }

    fn push_all(&mut self, text: &str) {
        let components = text.split('/').filter(|component| !matches!(*component, "" | "."));
        self.components.extend(components.map(str::to_owned));
    }

    fn resolve_parents(&mut self) {
        let mut resolved = Vec::new();
        for component in self.components.drain(..) {
            if component == ".." {
                resolved.pop();
            } else {
                resolved.push(component);
            }
        }
        self.components = resolved;
    }

    fn check(&self, system: System) -> Result<(), PathError> {
        for component in &self.components {
            if component == ".." {
                return Err(PathError::ParentInside);
            }
            match system {
                System::Linux if component.contains('\\') => return Err(PathError::Backslash),
                System::Linux => {}
                System::Windows => check_windows_name(component)?,
            }
        }
        Ok(())
    }

    fn into_path(self) -> PathBuf {
        PathBuf::from(self.prefix + &self.components.join(self.separator))
    }
}

fn check_characters(text: &str) -> Result<(), PathError> {
    match text {
        "" => Err(PathError::Empty),
        _ if text.len() > 4096 => Err(PathError::TooLong),
        _ if text.chars().any(char::is_control) => Err(PathError::ControlCharacter),
        _ => Ok(()),
    }
}

fn looks_like_windows(text: &str) -> bool {
    match text.as_bytes() {
        [b'\\', b'\\', ..] => true,
        [letter, b':', b'\\' | b'/', ..] => letter.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Microsoft Learn, "Naming Files, Paths, and Namespaces".
fn check_windows_name(name: &str) -> Result<(), PathError> {
    if let Some(character) = name.chars().find(|character| "<>:\"|".contains(*character)) {
        return Err(PathError::Character(character));
    }
    if name.ends_with(['.', ' ']) {
        return Err(PathError::TrailingDotOrSpace);
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = matches!(stem.get(..3), Some("COM" | "LPT"))
        && matches!(stem.get(3..), Some("1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"));
    if numbered || matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return Err(PathError::Reserved(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
