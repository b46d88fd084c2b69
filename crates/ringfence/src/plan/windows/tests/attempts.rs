//! Everything that a token can try on a drive, so that a test can say "nothing but this works".

use std::collections::BTreeSet;

use ringfence_ntsec::volume::{FileId, Volume as Drive};
use ringfence_ntsec::{Acl, AclState, Token};

/// What is tried on one file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Replace a file's content.
    Write,
    /// Write an alternate stream of a file.
    WriteStream,
    /// Make a file in a directory.
    MakeFile,
    /// Make a directory in a directory.
    MakeDirectory,
    /// Delete it.
    Delete,
    /// Give it another name in the same directory.
    Rename,
    /// Move it into another directory.
    Take,
    /// Give a file another name in another directory.
    Link,
    /// Replace its DACL by one that opens it.
    Permit,
    /// Make the user its owner.
    Own,
}

const ACTIONS: [Action; 10] = [
    Action::Write,
    Action::WriteStream,
    Action::MakeFile,
    Action::MakeDirectory,
    Action::Delete,
    Action::Rename,
    Action::Take,
    Action::Link,
    Action::Permit,
    Action::Own,
];

/// What succeeded where.
pub(crate) type Successes = BTreeSet<(Action, String)>;

/// What is left of successes while somebody keeps objects open that are not shared for deleting: neither they nor what they
/// lie in can be deleted or renamed.
pub(crate) fn while_open(successes: Successes, open: &[String]) -> Successes {
    successes.into_iter().filter(|(action, path)| !is_kept(*action, path, open)).collect()
}

/// Whether open objects keep one thing from being done.
pub(crate) fn is_kept(action: Action, path: &str, open: &[String]) -> bool {
    let moves = matches!(action, Action::Delete | Action::Rename | Action::Take);
    moves && open.iter().any(|open| open == path || open.starts_with(&format!(r"{path}\")))
}

/// Tries everything on everything, each on a copy of the drive. `own` is a directory that the token may write, where there is
/// one: things are moved into it.
pub(crate) fn all(drive: &Drive, token: &Token, own: Option<&str>) -> Successes {
    let paths = paths(drive);
    let tried = paths.iter().flat_map(|path| ACTIONS.map(|action| (action, path.clone())));
    tried.filter(|(action, path)| succeeds(drive, token, own, *action, path)).collect()
}

/// Whether one thing works.
pub(crate) fn succeeds(drive: &Drive, token: &Token, own: Option<&str>, action: Action, path: &str) -> bool {
    let mut drive = drive.clone();
    let id = drive.find(path).unwrap();
    let directory = drive.node(id).unwrap().is_directory();
    let inside = |name: &str| format!(r"{path}\{name}");
    let into = |name: &str| own.map(|own| format!(r"{own}\{name}"));
    match action {
        Action::Write => !directory && drive.write(token, path, b"x").is_ok(),
        Action::WriteStream => !directory && drive.write(token, &format!("{path}:s"), b"x").is_ok(),
        Action::MakeFile => directory && drive.create_file(token, &inside("new.txt"), None).is_ok(),
        Action::MakeDirectory => directory && drive.create_directory(token, &inside("new"), None).is_ok(),
        // Only empty directories can be deleted; what empties them is tried by itself.
        Action::Delete => drive.delete(token, path).is_ok(),
        Action::Rename => drive.rename(token, path, &format!("{path}.old"), false).is_ok(),
        Action::Take => into("taken").is_some_and(|to| drive.rename(token, path, &to, false).is_ok()),
        Action::Link => into("linked").is_some_and(|to| !directory && drive.link(token, path, &to).is_ok()),
        Action::Permit => {
            let open = AclState::Present(Acl::from_aces(vec!["(A;OICI;FA;;;WD)".parse().unwrap()]));
            drive.set_dacl(token, path, open, true).is_ok()
        }
        Action::Own => drive.set_owner(token, path, *token.user()).is_ok(),
    }
}

/// Every path of a drive but its root, by the first name of each file.
pub(crate) fn paths(drive: &Drive) -> Vec<String> {
    let ids = drive.nodes().map(|(id, _)| id).filter(|id| *id != Drive::ROOT);
    ids.map(|id| path_of(drive, id)).collect()
}

fn path_of(drive: &Drive, mut id: FileId) -> String {
    let mut text = String::new();
    while let Some((parent, name)) = drive.node(id).unwrap().links().first() {
        text = format!(r"\{name}{text}");
        id = *parent;
    }
    text
}
