//! Pathname Unix sockets of the host.
//!
//! A read-only mount does not stop `connect(2)`: a socket file is an address, and whoever can reach it can talk to the
//! session bus, an agent or a container engine behind it. So every bound socket that the command would still see is
//! covered, unless the policy names it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{is_missing, is_socket};
use crate::Error;
use crate::survey::{FRESH, Survey};

/// The sockets that are bound now, lie where the command would see them, and are not allowed by the policy.
pub(super) fn reachable(survey: &Survey) -> Result<Vec<PathBuf>, Error> {
    let table = Path::new("/proc/net/unix");
    let text = match std::fs::read(table) {
        Ok(text) => text,
        Err(error) if is_missing(&error) => Vec::new(),
        Err(source) => {
            return Err(Error::Survey { path: table.to_owned(), source });
        }
    };
    let allowed = |path: &Path| survey.allowed_sockets.iter().any(|place| place.path == path);
    let mut found = BTreeSet::new();
    for path in bound_paths(&text) {
        // The table shows the path as it was bound; it may since have moved, vanished, or lead through links.
        let Ok(real) = std::fs::canonicalize(path) else {
            continue;
        };
        let covered = FRESH.iter().any(|fresh| real.starts_with(fresh)) && !survey.writable(&real)
            || survey.hide.iter().any(|hidden| real.starts_with(&hidden.path));
        if !covered && !allowed(&real) && is_socket(&real) {
            found.insert(real);
        }
    }
    Ok(found.into_iter().collect())
}

/// The absolute paths in the format of `/proc/net/unix` (proc(5)): seven fields, then the path, `@` for abstract names.
fn bound_paths(text: &[u8]) -> impl Iterator<Item = &Path> {
    text.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
        let start = line.iter().position(|byte| *byte == b'/')?;
        Some(Path::new(std::ffi::OsStr::from_bytes(&line[start..])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pathname_sockets_are_listed() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            ffff: 00000002 00000000 00010000 0001 01 100 /run/dbus/system_bus_socket\n\
            ffff: 00000003 00000000 00000000 0001 03 101\n\
            ffff: 00000002 00000000 00010000 0001 01 102 @/tmp/.X11-unix/X0\n\
            ffff: 00000002 00000000 00010000 0001 01 103 /home/u/a b\n";
        let paths: Vec<_> = bound_paths(table).collect();
        // The abstract name is not a path, but a harmless extra: nothing at that path is a socket of that name.
        assert_eq!(
            paths,
            [Path::new("/run/dbus/system_bus_socket"), Path::new("/tmp/.X11-unix/X0"), Path::new("/home/u/a b")]
        );
    }
}
