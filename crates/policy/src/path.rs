//! Paths as text: lexical, for either system on either system.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::names::System;

/// Whether an absolute path lies in the tree of another, or is it, by the rules of a system; text alone, no links.
pub fn is_in_tree(path: &Path, tree: &Path, system: System) -> bool {
    let key = |path| PathKey::new(path, system);
    matches!((key(path), key(tree)), (Some(path), Some(tree)) if path.is_in(&tree))
}

/// A path in a form in which `b` lies in the tree `a` exactly when `b` starts with `a`: every component is followed by
/// `/`, and on Windows letters are folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathKey(Vec<u8>);

impl PathKey {
    /// The key of an absolute path, `.` and `..` resolved lexically; `None` where the path is not absolute on `system`.
    ///
    /// On Windows a verbatim prefix is dropped, and so is what Win32 ignores: dots and spaces at the end of a component
    /// and the name of an alternate stream.
    pub(crate) fn new(path: &Path, system: System) -> Option<Self> {
        let bytes = path.as_os_str().as_encoded_bytes();
        match system {
            System::Linux => {
                let rest = bytes.strip_prefix(b"/")?;
                Some(Self::of_components(rest.split(|byte| *byte == b'/').map(<[u8]>::to_vec), Vec::new()))
            }
            System::Windows => {
                let text = String::from_utf8_lossy(bytes).replace('/', "\\");
                let (prefix, rest) = split_windows_prefix(&text)?;
                let components = rest.split('\\').map(|component| fold(strip_ignored(component)).into_bytes());
                Some(Self::of_components(components, fold(&prefix.key()).into_bytes()))
            }
        }
    }

    /// Whether the path lies in the tree, or is its root.
    pub(crate) fn is_in(&self, tree: &Self) -> bool {
        self.0.starts_with(&tree.0)
    }

    /// The path itself and every directory above it, nearest first.
    fn upwards(&self) -> impl Iterator<Item = &[u8]> {
        let separators = (0..self.0.len()).rev().filter(|index| self.0[*index] == b'/');
        separators.map(|index| &self.0[..=index]).chain(std::iter::once(&self.0[..0]))
    }

    /// The components, folded.
    pub(crate) fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }

    fn of_components(components: impl Iterator<Item = Vec<u8>>, prefix: Vec<u8>) -> Self {
        let mut key = prefix;
        let floor = key.len();
        for component in components {
            match component.as_slice() {
                b"" | b"." => {}
                b".." => {
                    let end = key[..key.len().saturating_sub(1).max(floor)].iter().rposition(|byte| *byte == b'/');
                    key.truncate(end.map_or(floor, |end| (end + 1).max(floor)));
                }
                _ => {
                    key.extend_from_slice(&component);
                    key.push(b'/');
                }
            }
        }
        Self(key)
    }
}

/// Trees by their roots; asking costs the depth of the path, not the number of trees.
#[derive(Debug, Default)]
pub(crate) struct TreeIndex {
    roots: HashMap<Vec<u8>, usize>,
}

impl TreeIndex {
    /// The trees of absolute paths, numbered in order.
    pub(crate) fn of<'t>(roots: impl IntoIterator<Item = &'t PathBuf>, system: System) -> Self {
        let mut index = Self::default();
        for (number, root) in roots.into_iter().enumerate() {
            index.insert_path(root, system, number);
        }
        index
    }

    /// Remembers the tree of an absolute path; what is not absolute covers nothing.
    pub(crate) fn insert_path(&mut self, root: &Path, system: System, number: usize) {
        if let Some(key) = PathKey::new(root, system) {
            self.insert(key, number);
        }
    }

    /// Remembers a tree under a number; the first number of a tree stays.
    pub(crate) fn insert(&mut self, root: PathKey, number: usize) {
        self.roots.entry(root.0).or_insert(number);
    }

    /// The number of the nearest tree that the path lies in.
    pub(crate) fn covering(&self, key: &PathKey) -> Option<usize> {
        if self.roots.is_empty() {
            return None;
        }
        key.upwards().find_map(|above| self.roots.get(above).copied())
    }

    /// The number of the nearest tree strictly around the path.
    pub(crate) fn strictly_covering(&self, key: &PathKey) -> Option<usize> {
        key.upwards().skip(1).find_map(|above| self.roots.get(above).copied())
    }
}

/// Where an absolute Windows path starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WindowsPrefix {
    /// `\` alone: above every drive and share; only a managed ceiling means it.
    Everything,
    /// `C:\`
    Drive(char),
    /// `\\server\share`; both are empty for the root of all shares.
    Share(String, String),
}

impl WindowsPrefix {
    fn key(&self) -> String {
        match self {
            Self::Everything => String::new(),
            Self::Drive(letter) => format!("{letter}:/"),
            Self::Share(server, share) => format!("//{server}/{share}/"),
        }
    }
}

/// Splits an absolute Windows path, separated by `\`, into where it starts and the rest.
pub(crate) fn split_windows_prefix(text: &str) -> Option<(WindowsPrefix, &str)> {
    if matches!(text, "\\" | "") {
        return (text == "\\").then_some((WindowsPrefix::Everything, ""));
    }
    let (text, share) = match text.strip_prefix("\\\\?\\") {
        Some(verbatim) => match verbatim.get(..4) {
            Some(unc) if unc.eq_ignore_ascii_case("UNC\\") => (&verbatim[4..], true),
            _ => (verbatim, false),
        },
        None => text.strip_prefix("\\\\").map_or((text, false), |rest| (rest, true)),
    };
    if share {
        let (server, rest) = text.split_once('\\')?;
        let (share, rest) = rest.split_once('\\').unwrap_or((rest, ""));
        let device = matches!(server, "." | "?");
        return (!device && !server.is_empty() && !share.is_empty())
            .then(|| (WindowsPrefix::Share(server.to_owned(), share.to_owned()), rest));
    }
    let mut characters = text.chars();
    let letter = characters.next().filter(char::is_ascii_alphabetic)?;
    let rest = characters.as_str().strip_prefix(":\\")?;
    Some((WindowsPrefix::Drive(letter.to_ascii_uppercase()), rest))
}

/// Folds case as NTFS's upcase table does for nearly all letters: one character to one character.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .map(|character| {
            let mut upper = character.to_uppercase();
            let single = upper.next().filter(|_| upper.next().is_none()).unwrap_or(character);
            let mut lower = single.to_lowercase();
            lower.next().filter(|_| lower.next().is_none()).unwrap_or(single)
        })
        .collect()
}

fn strip_ignored(component: &str) -> &str {
    if matches!(component, "." | "..") {
        return component;
    }
    let name = component.split(':').next().unwrap_or(component);
    name.trim_end_matches(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, system: System) -> Option<String> {
        PathKey::new(Path::new(text), system).map(|key| String::from_utf8(key.0).unwrap())
    }

    #[test]
    fn keys_are_normal() {
        for (system, text, expected) in [
            (System::Linux, "/", Some("")),
            (System::Linux, "/a//b/./c/", Some("a/b/c/")),
            (System::Linux, "/a/../../b", Some("b/")),
            (System::Linux, "/A", Some("A/")),
            (System::Linux, "a", None),
            (System::Linux, "", None),
            (System::Windows, "C:\\Users\\Me", Some("c:/users/me/")),
            (System::Windows, "c:/users/ME/", Some("c:/users/me/")),
            (System::Windows, "\\\\?\\C:\\Users\\Me", Some("c:/users/me/")),
            (System::Windows, "C:\\a\\..\\..\\b", Some("c:/b/")),
            (System::Windows, "C:\\a.\\b::$DATA", Some("c:/a/b/")),
            (System::Windows, "C:\\ÄÖ", Some("c:/äö/")),
            (System::Windows, "\\\\Server\\Share\\x", Some("//server/share/x/")),
            (System::Windows, "\\\\?\\UNC\\Server\\Share\\x", Some("//server/share/x/")),
            (System::Windows, "\\", Some("")),
            (System::Windows, "/", Some("")),
            (System::Windows, "C:", None),
            (System::Windows, "C:x", None),
            (System::Windows, "\\x", None),
            (System::Windows, "\\\\.\\pipe\\x", None),
            (System::Windows, "\\\\?\\Volume{x}\\y", None),
        ] {
            assert_eq!(key(text, system).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_tree_covers_what_lies_in_it() {
        let of = |text: &str| PathKey::new(Path::new(text), System::Linux).unwrap();
        let mut index = TreeIndex::default();
        index.insert(of("/a"), 0);
        index.insert(of("/a/b/c"), 1);
        assert_eq!(index.covering(&of("/a/b")), Some(0));
        assert_eq!(index.covering(&of("/a/b/c/d")), Some(1));
        assert_eq!(index.covering(&of("/ab")), None);
        assert_eq!(index.covering(&of("/")), None);
        assert_eq!(index.strictly_covering(&of("/a")), None);
        assert_eq!(index.strictly_covering(&of("/a/b/c")), Some(0));
        assert!(of("/a/b").is_in(&of("/")));
    }
}
