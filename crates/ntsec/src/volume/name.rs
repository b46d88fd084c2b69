//! Names: which are allowed, which are the same, and their 8.3 forms.

use std::collections::BTreeMap;

use crate::Error;

/// A name without its case. NTFS compares by a table of upper-case letters that is fixed when the volume is formatted and
/// maps one character to one; this uses Unicode's, where it maps one to one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Folded(String);

impl Folded {
    pub(super) fn new(name: &str) -> Self {
        let upper = |character: char| {
            let mut upper = character.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(single), None) => single,
                _ => character,
            }
        };
        Folded(name.chars().map(upper).collect())
    }
}

/// NTFS' limit in UTF-16 units.
const MAX_LENGTH: usize = 255;

/// Whether Windows' file systems take the name (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
pub(super) fn check(name: &str) -> Result<(), Error> {
    let bad = |reason| Err(Error::BadName { name: name.to_owned(), reason });
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.encode_utf16().count() > MAX_LENGTH {
        return bad("it is longer than 255 UTF-16 units");
    }
    if name.contains(|c: char| c < ' ' || "<>\"|?*:/\\".contains(c)) {
        return bad("it holds a reserved character");
    }
    if name.ends_with(['.', ' ']) {
        return bad("it ends with a dot or a space, which the Win32 layer would strip");
    }
    Ok(())
}

/// The 8.3 name for `name` among the `taken` ones, if it needs one and one is free
/// (<https://learn.microsoft.com/openspecs/windows_protocols/ms-fscc/18e63b13-ba43-4f5f-a5b7-11e871b71f14>). Windows goes over
/// to a hash after the fourth collision; the model keeps counting.
pub(super) fn short_name<T>(
    name: &str,
    taken: &BTreeMap<Folded, T>,
    long: &BTreeMap<Folded, super::Entry>,
) -> Option<String> {
    let clean = |part: &str| -> String {
        part.chars()
            .filter(|c| !matches!(c, ' ' | '.'))
            .map(|c| if c.is_ascii() && !"+,;=[]".contains(c) { c.to_ascii_uppercase() } else { '_' })
            .collect()
    };
    let (stem, extension) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
    let (base, suffix) = (clean(stem), clean(extension));
    let fits = stem.len() <= 8 && extension.len() <= 3 && stem.eq_ignore_ascii_case(&base);
    if fits && extension.eq_ignore_ascii_case(&suffix) {
        return None;
    }
    let suffix: String = suffix.chars().take(3).collect();
    (1..=9999)
        .map(|number: u32| {
            let digits = number.to_string();
            let head: String = base.chars().take(7 - digits.len()).collect();
            let dot = if suffix.is_empty() { "" } else { "." };
            format!("{head}~{digits}{dot}{suffix}")
        })
        .find(|short| {
            let folded = Folded::new(short);
            !taken.contains_key(&folded) && !long.contains_key(&folded)
        })
}
