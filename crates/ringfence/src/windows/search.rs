//! Which file a command means.

use std::cell::RefCell;

use ringfence_policy::PathError;

use crate::Error;
use crate::facts::windows::{ProgramKind, ReparseKind};
use crate::windows::path::WindowsPath;

/// A view of the disk: what lies at a path.
pub trait Lister {
    /// The file at this path, if there is one; directories are none.
    fn file(&self, path: &WindowsPath) -> Option<ReparseKind>;
}

/// Where a command is searched.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// The PATH that the policy passes.
    pub path: &'a str,
    /// The directory in which the command starts; a command with a `\` in it is relative to it.
    pub directory: &'a WindowsPath,
    /// What the command could have written: nothing is searched in there.
    pub writable: &'a [WindowsPath],
}

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: WindowsPath,
    /// How it is started.
    pub kind: ProgramKind,
}

/// What the system (first two) and `cmd.exe` start, in the order of the default PATHEXT. Other extensions of PATHEXT name
/// scripts whose interpreter a registry key chooses.
const EXTENSIONS: &[(&str, ProgramKind)] = &[
    (".com", ProgramKind::Executable),
    (".exe", ProgramKind::Executable),
    (".bat", ProgramKind::Batch),
    (".cmd", ProgramKind::Batch),
];

impl Search<'_> {
    /// Finds the program of a command.
    ///
    /// A bare name is searched in the absolute directories of PATH alone: neither in the current directory nor in anything
    /// that the command may write, where code of the project could have put a `git.exe`. App execution aliases of the Store
    /// are skipped, since no restricted token can start them. A command with a `\` or a `/` names its file.
    ///
    /// # Errors
    ///
    /// [`Error::CommandNotFound`]; [`Error::CommandNotExecutable`] with what was found and passed over.
    pub fn find(&self, command: &str, disk: &dyn Lister) -> Result<Found, Error> {
        if command.is_empty() {
            return Err(Error::CommandEmpty);
        }
        let skipped = RefCell::new(None);
        let usable = |path: WindowsPath, kind| match disk.file(&path)? {
            ReparseKind::StoreAlias => {
                let reason = "it is an alias of the Store, which no restricted token can start; install the program \
                              itself, or name it by its path";
                skipped.borrow_mut().get_or_insert((path, reason));
                None
            }
            _ => Some(Found { path, kind }),
        };
        let found = match command.contains(['\\', '/', ':']) {
            true => {
                let path = self.named(command).map_err(|_| not_found(command))?;
                let found = candidates(&path).find_map(|(path, kind)| usable(path, kind));
                if found.is_none() && kind_of(path.as_str()).is_none() && disk.file(&path).is_some() {
                    let reason = "Windows starts .exe, .com, .bat and .cmd; start its interpreter instead".into();
                    return Err(Error::CommandNotExecutable { path: path.to_path_buf(), reason });
                }
                found
            }
            false => self
                .directories()
                .filter_map(|directory| directory.join(command).ok())
                .find_map(|path| candidates(&path).find_map(|(path, kind)| usable(path, kind))),
        };
        match (found, skipped.into_inner()) {
            (Some(found), _) => Ok(found),
            (None, Some((path, reason))) => {
                Err(Error::CommandNotExecutable { path: path.to_path_buf(), reason: reason.into() })
            }
            (None, None) => Err(not_found(command)),
        }
    }

    /// The directories of PATH that are searched.
    fn directories(&self) -> impl Iterator<Item = WindowsPath> {
        let entries = self.path.split(';').map(|entry| entry.trim().trim_matches('"'));
        entries
            .filter_map(|entry| WindowsPath::parse(entry).ok())
            .filter(|entry| !entry.is_unc() && entry != self.directory)
            .filter(|entry| !self.writable.iter().any(|root| entry.is_in(root)))
    }

    fn named(&self, command: &str) -> Result<WindowsPath, PathError> {
        match WindowsPath::parse(command) {
            Err(PathError::NotAbsolute) => {
                let below = command.replace('/', r"\");
                self.directory.join(below.strip_prefix(r".\").unwrap_or(&below))
            }
            other => other,
        }
    }
}

/// The files that a name can mean: itself where it has an extension that can be started, else with each of them.
fn candidates(path: &WindowsPath) -> impl Iterator<Item = (WindowsPath, ProgramKind)> {
    let exact = kind_of(path.as_str()).map(|kind| (path.clone(), kind));
    let extended = EXTENSIONS
        .iter()
        .filter_map(move |(extension, kind)| Some((WindowsPath::parse(&format!("{path}{extension}")).ok()?, *kind)));
    exact.into_iter().chain(extended)
}

fn kind_of(path: &str) -> Option<ProgramKind> {
    let extension = |known: &str| {
        path.len().checked_sub(4).and_then(|at| path.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(known))
    };
    EXTENSIONS.iter().find(|(known, _)| extension(known)).map(|(_, kind)| *kind)
}

fn not_found(command: &str) -> Error {
    Error::CommandNotFound { command: command.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Disk(&'static [(&'static str, ReparseKind)]);

    impl Lister for Disk {
        fn file(&self, path: &WindowsPath) -> Option<ReparseKind> {
            let same = |known: &str| known.eq_ignore_ascii_case(path.as_str());
            self.0.iter().find(|(known, _)| same(known)).map(|(_, kind)| *kind)
        }
    }

    fn find(command: &str, path: &str, disk: &Disk) -> Result<String, &'static str> {
        let directory = WindowsPath::parse(r"C:\src\app").unwrap();
        let search = Search { path, directory: &directory, writable: std::slice::from_ref(&directory) };
        search.find(command, disk).map(|found| found.path.to_string()).map_err(|error| error.code())
    }

    const DISK: Disk = Disk(&[
        (r"C:\src\app\git.exe", ReparseKind::None),
        (r"C:\src\app\bin\git.exe", ReparseKind::None),
        (r"C:\src\app\build.cmd", ReparseKind::None),
        (r"C:\src\app\tool.py", ReparseKind::None),
        (r"C:\Git\cmd\git.exe", ReparseKind::None),
        (r"C:\node\npm.cmd", ReparseKind::None),
        (r"C:\node\npm", ReparseKind::None),
        (r"C:\Apps\pwsh.exe", ReparseKind::StoreAlias),
        (r"C:\Apps\python.exe", ReparseKind::StoreAlias),
        (r"C:\PowerShell\7\pwsh.exe", ReparseKind::None),
    ]);

    // A `git.exe` in the project was started in place of git, since the system searches the current directory first.
    #[test]
    fn the_workspace_and_the_current_directory_are_never_searched() {
        assert_eq!(find("git", r".;C:\src\app;C:\src\app\bin;bin;C:\Git\cmd", &DISK).unwrap(), r"C:\Git\cmd\git.exe");
        assert_eq!(find("git", r".;;C:\src\app;c:\SRC\app\bin", &DISK), Err("command-not-found"));
        assert_eq!(find("build", r"C:\src\app", &DISK), Err("command-not-found"));
        assert_eq!(find(r".\build", "", &DISK).unwrap(), r"C:\src\app\build.cmd", "what is named by its path is meant");
    }

    // Commands through the Store's alias of PowerShell failed every time with access denied.
    #[test]
    fn aliases_of_the_store_are_passed_over() {
        assert_eq!(find("pwsh", r"C:\Apps;C:\PowerShell\7", &DISK).unwrap(), r"C:\PowerShell\7\pwsh.exe");
        assert_eq!(find("python", r"C:\Apps;C:\PowerShell\7", &DISK), Err("command-not-executable"));
    }

    #[test]
    fn extensions_are_those_that_can_be_started() {
        assert_eq!(find("npm", r#""C:\node""#, &DISK).unwrap(), r"C:\node\npm.cmd", "not the shell script beside it");
        assert_eq!(find("GIT.EXE", r"C:\Git\cmd", &DISK).unwrap(), r"C:\Git\cmd\GIT.EXE");
        assert_eq!(find(r"C:/Git/cmd/git", "", &DISK).unwrap(), r"C:\Git\cmd\git.exe");
        assert_eq!(find(r".\tool.py", "", &DISK), Err("command-not-executable"));
        assert_eq!(find("nothing", r"C:\node", &DISK), Err("command-not-found"));
        assert_eq!(find("", r"C:\node", &DISK), Err("command-empty"));
        assert_eq!(find(r"C:\Git\cmd\git.exe::$DATA", "", &DISK), Err("command-not-found"));
    }
}
