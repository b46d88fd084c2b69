//! Absolute Windows paths as text, on any system.

use std::fmt;
use std::path::{Path, PathBuf};

use ringfence_policy::{PathError, System};
use serde::{Deserialize, Serialize};

/// An absolute, lexically normal Windows path: `C:\a\b` or `\\server\share\a`, without a verbatim prefix and without a
/// name that Win32 would read as another one.
///
/// `std::path` follows the rules of the system that it runs on, so plans that are made elsewhere need a type of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WindowsPath(String);

impl WindowsPath {
    /// Reads a path as a user or a handle (`GetFinalPathNameByHandleW`) gives it; a verbatim prefix is dropped.
    ///
    /// # Errors
    ///
    /// What makes it no path of a drive or a share, or a name that means another file than it says: relative to a drive,
    /// a device, an alternate stream, a reserved name, a dot or a space at the end.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = ringfence_policy::absolute_path(text, System::Windows)?;
        path.into_os_string().into_string().map(Self).map_err(|_| PathError::NotUtf8)
    }

    /// As [`WindowsPath::parse`], of a path that a policy holds.
    ///
    /// # Errors
    ///
    /// As [`WindowsPath::parse`], and where the path is not valid Unicode.
    pub fn from_path(path: &Path) -> Result<Self, PathError> {
        Self::parse(path.to_str().ok_or(PathError::NotUtf8)?)
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path for the types that are shared with other systems.
    pub fn to_path_buf(&self) -> PathBuf {
        PathBuf::from(&self.0)
    }

    /// The verbatim form (`\\?\C:\a`), which Win32 passes on without reading names into it and without the limit of 260
    /// characters
    /// (<https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation>).
    pub fn verbatim(&self) -> String {
        match self.0.strip_prefix(r"\\") {
            Some(share) => format!(r"\\?\UNC\{share}"),
            None => format!(r"\\?\{}", self.0),
        }
    }

    /// This path with names below it, separated by `\`.
    ///
    /// # Errors
    ///
    /// As [`WindowsPath::parse`].
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        Self::parse(&format!(r"{}\{below}", self.0.trim_end_matches('\\')))
    }

    /// The NT path of the root that it lies below, with a backslash at the end, and the names from there.
    pub fn nt_components(&self) -> (String, impl DoubleEndedIterator<Item = &str>) {
        let (root, below) = self.0.split_at(self.root_length());
        let volume = match root.strip_prefix(r"\\") {
            Some(share) => format!(r"\??\UNC\{share}"),
            None => format!(r"\??\{root}"),
        };
        (volume, below.split('\\').filter(|name| !name.is_empty()))
    }

    /// The directory that holds this, if this is no root.
    pub fn parent(&self) -> Option<Self> {
        let root = self.root_length();
        let (parent, _) = self.0.get(root..)?.rsplit_once('\\').map_or(("", ""), |parts| parts);
        (self.0.len() > root).then(|| Self(format!("{}{parent}", &self.0[..root])))
    }

    /// The last name, if this is no root.
    pub fn file_name(&self) -> Option<&str> {
        self.0[self.root_length()..].rsplit('\\').next().filter(|name| !name.is_empty())
    }

    /// Whether this lies in the tree of `directory`, or is it. Case does not count, as on NTFS.
    pub fn is_in(&self, directory: &Self) -> bool {
        ringfence_policy::is_in_tree(Path::new(&self.0), Path::new(&directory.0), System::Windows)
    }

    /// Whether it is the root of a drive or of a share.
    pub fn is_root(&self) -> bool {
        self.0.len() <= self.root_length()
    }

    /// Whether it is written as `\\server\share`.
    pub fn is_unc(&self) -> bool {
        self.0.starts_with(r"\\")
    }

    /// Length of `C:\` or `\\server\share\`.
    fn root_length(&self) -> usize {
        if !self.is_unc() {
            return self.0.len().min(3);
        }
        let separators = self.0.match_indices('\\').map(|(at, _)| at + 1);
        separators.into_iter().nth(3).unwrap_or(self.0.len())
    }
}

impl fmt::Display for WindowsPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for WindowsPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl From<WindowsPath> for String {
    fn from(path: WindowsPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> WindowsPath {
        WindowsPath::parse(text).unwrap()
    }

    #[test]
    fn one_path_has_one_text() {
        for (text, expected) in [
            (r"C:\a\b", r"C:\a\b"),
            (r"c:/a/b/", r"C:\a\b"),
            (r"\\?\C:\a", r"C:\a"),
            (r"C:\", r"C:\"),
            (r"\\server\share\x", r"\\server\share\x"),
            (r"\\?\UNC\server\share\x", r"\\server\share\x"),
            (r"\\server\share", r"\\server\share\"),
        ] {
            assert_eq!(path(text).as_str(), expected, "{text}");
            assert_eq!(path(expected).as_str(), expected, "{text}");
        }
    }

    #[test]
    fn what_means_another_file_is_refused_by_its_code() {
        for (text, code) in [
            ("a", "path-not-absolute"),
            ("C:a", "path-drive-relative"),
            (r"\a", "path-foreign"),
            (r"\\.\PhysicalDrive0", "path-device"),
            (r"\\?\Volume{x}\y", "path-device"),
            (r"\\?\GLOBALROOT\Device", "path-device"),
            (r"C:\a\..\b", "path-parent-inside"),
            (r"C:\a\b.", "path-trailing-dot-or-space"),
            (r"C:\a\b ", "path-trailing-dot-or-space"),
            (r"C:\a\b::$DATA", "path-character"),
            (r"C:\a\NUL", "path-reserved"),
            (r"C:\a\com¹.txt", "path-reserved"),
            (r"C:\a\CONOUT$", "path-reserved"),
            ("C:\\a\nb", "path-control-character"),
            ("", "path-empty"),
        ] {
            assert_eq!(WindowsPath::parse(text).unwrap_err().code(), code, "{text}");
        }
        assert!(WindowsPath::parse(&format!(r"C:\{}", "long\\".repeat(100))).is_ok(), "260 is no limit");
    }

    #[test]
    fn parts() {
        assert_eq!(path(r"C:\a\b").parent(), Some(path(r"C:\a")));
        assert_eq!(path(r"C:\a").parent(), Some(path(r"C:\")));
        assert_eq!(path(r"C:\").parent(), None);
        assert_eq!(path(r"\\s\h\a").parent(), Some(path(r"\\s\h\")));
        assert_eq!(path(r"\\s\h").parent(), None);
        assert_eq!(path(r"C:\a\b").file_name(), Some("b"));
        assert_eq!(path(r"C:\").file_name(), None);
        assert!(path(r"C:\").is_root() && path(r"\\s\h").is_root() && !path(r"C:\a").is_root());
        assert_eq!(path(r"C:\").join("a").unwrap(), path(r"C:\a"));
        assert_eq!(path(r"C:\a").join(r"b\c").unwrap(), path(r"C:\a\b\c"));
        let path_on_drive = path(r"C:\a\b");
        let (volume, names) = path_on_drive.nt_components();
        assert_eq!((volume.as_str(), names.collect::<Vec<_>>()), (r"\??\C:\", vec!["a", "b"]));
        let path_on_share = path(r"\\s\h\a");
        let (volume, names) = path_on_share.nt_components();
        assert_eq!((volume.as_str(), names.collect::<Vec<_>>()), (r"\??\UNC\s\h\", vec!["a"]));
        assert_eq!(path(r"C:\a").verbatim(), r"\\?\C:\a");
        assert_eq!(path(r"\\s\h\a").verbatim(), r"\\?\UNC\s\h\a");
    }

    #[test]
    fn trees_are_those_of_components_in_any_case() {
        assert!(path(r"c:\USERS\me\x").is_in(&path(r"C:\users\Me")));
        assert!(path(r"C:\users\Me").is_in(&path(r"C:\users\Me")));
        assert!(!path(r"C:\users\Me2").is_in(&path(r"C:\users\Me")));
        assert!(!path(r"D:\users").is_in(&path(r"C:\")));
    }
}
