//! Exceptions for a mechanism that has none.
//!
//! A Landlock rule grants a whole hierarchy, and nothing can be taken out of it again. To leave a hidden path out, every
//! directory on the way to it is opened up: its other entries are granted one by one, it is not.

use std::collections::BTreeSet;
use std::path::Path;

use super::is_missing;
use crate::Error;
use crate::survey::{Carved, RuntimePath, Survey};

/// More rules than this would make every path lookup slow.
const LIMIT: usize = 4096;

pub(super) fn carve(survey: &Survey) -> Result<Carved, Error> {
    let hidden: BTreeSet<&Path> = survey.hide.iter().map(|place| place.path.as_path()).collect();
    let mut carved = Carved::default();
    match &survey.read {
        None => grant(Path::new("/"), &hidden, &mut carved)?,
        Some(roots) => {
            for path in ["/dev", "/proc"] {
                carved.grant.push(path.into());
            }
            for path in &survey.runtime {
                if let RuntimePath::Directory(place) = path {
                    grant(&place.path, &hidden, &mut carved)?;
                }
            }
            for place in roots.iter().chain(&survey.write) {
                grant(&place.path, &hidden, &mut carved)?;
            }
        }
    }
    Ok(carved)
}

fn grant(path: &Path, hidden: &BTreeSet<&Path>, carved: &mut Carved) -> Result<(), Error> {
    if hidden.contains(path) {
        return Ok(());
    }
    if !hidden.iter().any(|hidden| hidden.starts_with(path)) {
        carved.grant.push(path.to_owned());
        if carved.grant.len() > LIMIT {
            return Err(Error::TooMany { what: "hiding paths with Landlock", count: carved.grant.len(), limit: LIMIT });
        }
        return Ok(());
    }
    carved.opened.push(path.to_owned());
    let failed = |source| Error::Survey { path: path.to_owned(), source };
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        match entry.file_type() {
            // A link grants nothing by itself: its target is granted, or not, at its own place.
            Ok(kind) if kind.is_symlink() => {}
            Ok(_) => grant(&entry.path(), hidden, carved)?,
            Err(error) if is_missing(&error) => {}
            Err(source) => return Err(failed(source)),
        }
    }
    Ok(())
}
