//! Directories that are never write roots.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::anchor::Anchors;
use crate::names::System;
use crate::path::PathKey;

/// Why a directory is refused as a write root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusedRoot {
    /// It is not absolute, so nothing is known about it.
    NotAbsolute,
    /// `/`, a drive, a share.
    FileSystemRoot,
    /// The caller's home directory.
    Home,
    /// A directory that contains the caller's home directory.
    AboveHome,
    /// A user's profile, or the directory of all profiles.
    UserProfile,
    /// `AppData`, or what programs start from in it.
    AppData,
    /// A directory of the system.
    System,
    /// The temporary directory that all programs share.
    SharedTemporary,
}

impl fmt::Display for RefusedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "it is not absolute",
            Self::FileSystemRoot => "it is the root of a file system",
            Self::Home => "it is the home directory, with keys, settings and what starts at login",
            Self::AboveHome => "it contains the home directory",
            Self::UserProfile => "it is a user's profile or contains one",
            Self::AppData => "it holds the settings and programs of other applications",
            Self::System => "it belongs to the system",
            Self::SharedTemporary => "it is shared by all programs",
        })
    }
}

/// Whether a directory is refused as a write root, and why. To be asked again once links are resolved.
#[must_use]
pub fn refused_write_root(path: &Path, anchors: &Anchors) -> Option<RefusedRoot> {
    let system = anchors.system;
    let Some(key) = PathKey::new(path, system) else {
        return Some(RefusedRoot::NotAbsolute);
    };
    let home = anchors.home.as_deref().and_then(|home| PathKey::new(home, system));
    // A home of `/`, as containers have it, makes nothing but `/` special.
    if let Some(home) = &home {
        if key == *home && key.components().next().is_some() {
            return Some(RefusedRoot::Home);
        }
        if home.is_in(&key) && key.components().next().is_some() {
            return Some(match key.components().count() {
                1 if system == System::Windows => RefusedRoot::FileSystemRoot,
                _ => RefusedRoot::AboveHome,
            });
        }
    }
    let components: Vec<&[u8]> = key.components().collect();
    let app_data = home.as_ref().filter(|home| key.is_in(home)).and_then(|home| {
        let below: Vec<_> = components.iter().skip(home.components().count()).copied().collect();
        (system == System::Windows).then(|| refused_in_profile(&below)).flatten()
    });
    app_data.or_else(|| match (system, components.as_slice()) {
        (System::Linux, [b"mnt", [drive], below @ ..]) if drive.is_ascii_alphabetic() => {
            // Where the Windows Subsystem for Linux mounts drives.
            let below: Vec<_> = below.iter().map(|name| name.to_ascii_lowercase()).collect();
            refused_on_drive(&below.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }
        (System::Linux, components) => refused_on_linux(components),
        (System::Windows, [] | [_]) => Some(RefusedRoot::FileSystemRoot),
        (System::Windows, [drive, below @ ..]) if drive.ends_with(b":") => refused_on_drive(below),
        // `\\server\share`
        (System::Windows, [_, _]) => Some(RefusedRoot::FileSystemRoot),
        (System::Windows, _) => None,
    })
}

fn refused_on_linux(components: &[&[u8]]) -> Option<RefusedRoot> {
    match components {
        [] => Some(RefusedRoot::FileSystemRoot),
        [b"tmp"] | [b"var", b"tmp"] => Some(RefusedRoot::SharedTemporary),
        [b"root"] | [b"home"] | [b"home", _] => Some(RefusedRoot::UserProfile),
        _ => LINUX_SYSTEM
            .iter()
            .any(|(tree, reach)| {
                let tree: Vec<_> = tree.split('/').map(str::as_bytes).collect();
                match reach {
                    Reach::Itself => components == tree,
                    Reach::Tree => components.starts_with(&tree),
                }
            })
            .then_some(RefusedRoot::System),
    }
}

/// Below a drive, in lower case.
fn refused_on_drive(components: &[&[u8]]) -> Option<RefusedRoot> {
    match components {
        [] => Some(RefusedRoot::FileSystemRoot),
        [b"users" | b"documents and settings"] | [b"users" | b"documents and settings", _] => {
            Some(RefusedRoot::UserProfile)
        }
        [b"users", _, below @ ..] => refused_in_profile(below),
        [first, ..] => WINDOWS_SYSTEM.iter().any(|name| name.as_bytes() == *first).then_some(RefusedRoot::System),
    }
}

/// Below a user profile, in lower case.
fn refused_in_profile(components: &[&[u8]]) -> Option<RefusedRoot> {
    match components {
        [b"appdata"] | [b"appdata", b"local" | b"locallow" | b"roaming"] => Some(RefusedRoot::AppData),
        [b"appdata", b"local" | b"locallow" | b"roaming", b"microsoft", ..] => Some(RefusedRoot::AppData),
        [b"appdata", b"local", b"temp"] => Some(RefusedRoot::SharedTemporary),
        _ => None,
    }
}

enum Reach {
    /// The directory, but not every directory in it.
    Itself,
    /// The directory and everything in it.
    Tree,
}

/// The Filesystem Hierarchy Standard 3.0, less what it leaves to the administrator (`/usr/src/app`, `/srv/site`).
const LINUX_SYSTEM: &[(&str, Reach)] = &[
    ("bin", Reach::Tree),
    ("boot", Reach::Tree),
    ("dev", Reach::Tree),
    ("efi", Reach::Tree),
    ("etc", Reach::Tree),
    ("gnu", Reach::Tree),
    ("lib", Reach::Tree),
    ("lib32", Reach::Tree),
    ("lib64", Reach::Tree),
    ("libx32", Reach::Tree),
    ("lost+found", Reach::Tree),
    ("media", Reach::Itself),
    ("mnt", Reach::Itself),
    ("nix", Reach::Tree),
    ("opt", Reach::Itself),
    ("proc", Reach::Tree),
    ("run", Reach::Tree),
    ("sbin", Reach::Tree),
    ("snap", Reach::Tree),
    ("srv", Reach::Itself),
    ("sys", Reach::Tree),
    ("usr", Reach::Itself),
    ("usr/bin", Reach::Tree),
    ("usr/include", Reach::Tree),
    ("usr/lib", Reach::Tree),
    ("usr/lib32", Reach::Tree),
    ("usr/lib64", Reach::Tree),
    ("usr/libexec", Reach::Tree),
    ("usr/local", Reach::Itself),
    ("usr/local/bin", Reach::Tree),
    ("usr/local/etc", Reach::Tree),
    ("usr/local/include", Reach::Tree),
    ("usr/local/lib", Reach::Tree),
    ("usr/local/sbin", Reach::Tree),
    ("usr/local/share", Reach::Tree),
    ("usr/local/src", Reach::Itself),
    ("usr/sbin", Reach::Tree),
    ("usr/share", Reach::Tree),
    ("usr/src", Reach::Itself),
    ("var", Reach::Itself),
    ("var/cache", Reach::Itself),
    ("var/lib", Reach::Itself),
    ("var/lib/apt", Reach::Tree),
    ("var/lib/containerd", Reach::Tree),
    ("var/lib/docker", Reach::Tree),
    ("var/lib/dpkg", Reach::Tree),
    ("var/lib/rpm", Reach::Tree),
    ("var/lib/systemd", Reach::Tree),
    ("var/local", Reach::Itself),
    ("var/log", Reach::Tree),
    ("var/mail", Reach::Tree),
    ("var/opt", Reach::Itself),
    ("var/run", Reach::Tree),
    ("var/lock", Reach::Tree),
    ("var/spool", Reach::Tree),
];

/// At the root of a drive, with everything in it; in lower case.
const WINDOWS_SYSTEM: &[&str] = &[
    "$recycle.bin",
    "$windows.~bt",
    "$winreagent",
    "boot",
    "config.msi",
    "efi",
    "msocache",
    "perflogs",
    "program files",
    "program files (arm)",
    "program files (x86)",
    "programdata",
    "recovery",
    "system volume information",
    "windows",
    "windows.old",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux() {
        use RefusedRoot::{AboveHome, AppData, FileSystemRoot, Home, NotAbsolute, SharedTemporary, UserProfile};
        const SYSTEM: RefusedRoot = RefusedRoot::System;
        let anchors = Anchors { workspace: "/w".into(), home: Some("/data/home/me".into()), system: System::Linux };
        for (path, expected) in [
            ("/", Some(FileSystemRoot)),
            ("//.", Some(FileSystemRoot)),
            ("/w/..", Some(FileSystemRoot)),
            ("relative", Some(NotAbsolute)),
            ("/data/home/me", Some(Home)),
            ("/data/home", Some(AboveHome)),
            ("/data", Some(AboveHome)),
            ("/data/home/me/project", None),
            ("/data/other", None),
            ("/home", Some(UserProfile)),
            ("/home/other", Some(UserProfile)),
            ("/home/other/project", None),
            ("/root", Some(UserProfile)),
            ("/root/project", None),
            ("/etc", Some(SYSTEM)),
            ("/etc/cron.d", Some(SYSTEM)),
            ("/ETC", None),
            ("/etcetera", None),
            ("/usr", Some(SYSTEM)),
            ("/usr/bin", Some(SYSTEM)),
            ("/usr/local/bin", Some(SYSTEM)),
            ("/usr/src", Some(SYSTEM)),
            ("/usr/src/app", None),
            ("/var/lib/jenkins/workspace/x", None),
            ("/var/lib/dpkg/info", Some(SYSTEM)),
            ("/opt", Some(SYSTEM)),
            ("/opt/project", None),
            ("/tmp", Some(SharedTemporary)),
            ("/tmp/x", None),
            ("/dev/shm/x", Some(SYSTEM)),
            ("/run/user/1000", Some(SYSTEM)),
            ("/mnt", Some(SYSTEM)),
            ("/mnt/c", Some(FileSystemRoot)),
            ("/mnt/c/Windows/Temp", Some(SYSTEM)),
            ("/mnt/c/Users/Me", Some(UserProfile)),
            ("/mnt/c/Users/Me/AppData/Roaming", Some(AppData)),
            ("/mnt/c/Users/Me/project", None),
            ("/mnt/data", None),
        ] {
            assert_eq!(refused_write_root(Path::new(path), &anchors), expected, "{path}");
        }
    }

    #[test]
    fn windows() {
        use RefusedRoot::{AboveHome, AppData, FileSystemRoot, Home, NotAbsolute, SharedTemporary, UserProfile};
        const SYSTEM: RefusedRoot = RefusedRoot::System;
        let anchors =
            Anchors { workspace: "C:\\w".into(), home: Some("D:\\Profiles\\Me".into()), system: System::Windows };
        for (path, expected) in [
            ("C:\\", Some(FileSystemRoot)),
            ("d:/", Some(FileSystemRoot)),
            ("\\\\?\\C:\\", Some(FileSystemRoot)),
            ("C:\\w\\..", Some(FileSystemRoot)),
            ("\\", Some(FileSystemRoot)),
            ("\\\\server\\share", Some(FileSystemRoot)),
            ("\\\\server\\share\\project", None),
            ("C:", Some(NotAbsolute)),
            ("\\\\.\\C:\\", Some(NotAbsolute)),
            ("D:\\Profiles\\Me", Some(Home)),
            ("d:\\profiles\\ME\\", Some(Home)),
            ("D:\\Profiles", Some(AboveHome)),
            ("D:\\Profiles\\Me\\project", None),
            ("D:\\Profiles\\Me\\AppData", Some(AppData)),
            ("D:\\Profiles\\Me\\appdata\\roaming", Some(AppData)),
            ("D:\\Profiles\\Me\\AppData\\Local\\Temp", Some(SharedTemporary)),
            ("D:\\Profiles\\Me\\AppData\\Local\\Temp\\x", None),
            ("D:\\Profiles\\Me\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu", Some(AppData)),
            ("C:\\Users", Some(UserProfile)),
            ("C:\\USERS\\other", Some(UserProfile)),
            ("C:\\Users\\other.", Some(UserProfile)),
            ("C:\\Users\\other\\AppData", Some(AppData)),
            ("C:\\Users\\other\\project", None),
            ("C:\\Windows", Some(SYSTEM)),
            ("c:\\wINDOWS\\Temp", Some(SYSTEM)),
            ("C:\\Windows::$INDEX_ALLOCATION", Some(SYSTEM)),
            ("C:\\Program Files (x86)\\x", Some(SYSTEM)),
            ("C:\\ProgramData\\x", Some(SYSTEM)),
            ("C:\\src\\project", None),
        ] {
            assert_eq!(refused_write_root(Path::new(path), &anchors), expected, "{path}");
        }
    }

    #[test]
    fn a_home_of_slash_makes_only_slash_special() {
        let anchors = Anchors { workspace: "/w".into(), home: Some("/".into()), system: System::Linux };
        assert_eq!(refused_write_root(Path::new("/"), &anchors), Some(RefusedRoot::FileSystemRoot));
        assert_eq!(refused_write_root(Path::new("/w"), &anchors), None);
    }
}
