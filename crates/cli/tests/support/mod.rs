//! What the tests of the program share: where they stand, whom they run as, and how they are counted.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses its own part of this module"
)]

pub(crate) mod terminal;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use ringfence_probe::stage::Account;

/// An ordinary user that no system gives out, without an entry in the user database.
const ORDINARY: Account = Account { user: 64_999, group: 64_999 };

/// The program under test; `RINGFENCE_UNDER_TEST` names another, such as an installed one.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("RINGFENCE_UNDER_TEST").map_or_else(|| env!("CARGO_BIN_EXE_ringfence").into(), PathBuf::from)
}

/// A directory for the tests of one file, gone afterwards, which every user can reach and which is not in `/tmp`: a run
/// has a `/tmp` of its own, and there everything would be missing instead of denied.
pub(crate) struct Ground {
    directory: tempfile::TempDir,
    /// A copy of the program which every user can start.
    pub(crate) program: PathBuf,
}

impl Ground {
    pub(crate) fn prepare() -> Self {
        let named = ["RINGFENCE_TEST_DIR", "HOME"].map(|name| std::env::var_os(name).map(PathBuf::from));
        let [wanted, home] = named;
        let target = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
        // As root, tests need a place that an ordinary user reaches too; a checkout in /tmp or in root's home is none.
        let system = ["/srv", "/opt", "/var/lib"].map(|path| Some(PathBuf::from(path)));
        let directory = [wanted, target, home]
            .into_iter()
            .chain(system)
            .flatten()
            .filter(|path| !is_fresh_in_a_run(path) && (!is_root() || everybody_reaches(path)))
            .find_map(|base| tempfile::Builder::new().prefix("ringfence-").tempdir_in(base).ok())
            .expect("a directory outside /tmp that every user can reach; name one in RINGFENCE_TEST_DIR");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let program = ringfence_probe::judge::publish(&program(), directory.path()).unwrap();
        Self { directory, program }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn is_fresh_in_a_run(path: &Path) -> bool {
    ["/tmp", "/var/tmp", "/run", "/dev"].iter().any(|fresh| path.starts_with(fresh))
}

fn everybody_reaches(path: &Path) -> bool {
    path.ancestors().all(|path| path.metadata().is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

/// Whom the tests run as, with a word for it: the caller, and if that is root also an ordinary user.
pub(crate) fn accounts() -> Vec<(&'static str, Option<Account>)> {
    if is_root() { vec![("root", None), ("user", Some(ORDINARY))] } else { vec![("user", None)] }
}

pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user (proc(5)).
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A home and a workspace for one test, and runs in them.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    account: Option<Account>,
    program: PathBuf,
}

impl Place {
    pub(crate) fn new(ground: &Ground, account: Option<Account>) -> Self {
        Self::below(ground.path(), ground, account)
    }

    /// The same below another directory than the ground.
    pub(crate) fn below(base: &Path, ground: &Ground, account: Option<Account>) -> Self {
        let directory = tempfile::Builder::new().prefix("place-").tempdir_in(base).unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let place = Self { directory, account, program: ground.program.clone() };
        for path in [place.home(), place.workspace()] {
            fs::create_dir_all(&path).unwrap();
        }
        place.give_all();
        place
    }

    /// Gives the place a program of its own, so that its processes can be told from those of other places.
    pub(crate) fn own_program(&mut self) {
        let own = self.path().join("ringfence");
        fs::hard_link(&self.program, &own).unwrap();
        self.program = own;
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.home().join("project")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home().join(".local/state/ringfence")
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    pub(crate) fn uid(&self) -> u32 {
        self.account.map_or_else(|| fs::metadata("/proc/self").unwrap().uid(), |account| account.user)
    }

    /// Writes a file, with its directories, as the user that the place belongs to.
    pub(crate) fn write(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.give_all();
        path
    }

    /// Gives everything here to the user that the place belongs to.
    pub(crate) fn give_all(&self) {
        if let Some(account) = self.account {
            give(self.path(), account);
        }
    }

    /// Any command, as this place's user, in the workspace, with an environment of its own.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.workspace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .stdin(Stdio::null());
        if let Some(account) = self.account {
            command.uid(account.user).gid(account.group);
        }
        command
    }

    /// `ringfence` with these arguments.
    pub(crate) fn ringfence(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.command(&self.program);
        command.args(arguments);
        command
    }

    /// `ringfence run FLAGS -- /bin/sh -c SCRIPT`.
    pub(crate) fn shell(&self, flags: &[&str], script: &str) -> Command {
        let mut command = self.ringfence(["run", "--quiet"]);
        command.args(flags).args(["--", "/bin/sh", "-c", script]);
        command
    }

    /// Runs `shell` to its end.
    pub(crate) fn run(&self, flags: &[&str], script: &str) -> Output {
        self.shell(flags, script).output().unwrap()
    }
}

fn give(path: &Path, account: Account) {
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_symlink()) {
        chown(path, Some(account.user), Some(account.group)).unwrap();
        for entry in fs::read_dir(path).into_iter().flatten() {
            give(&entry.unwrap().path(), account);
        }
    }
}

/// A Python that every user can start: one in somebody's home is for its owner.
pub(crate) fn python() -> Option<&'static str> {
    ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|path| Path::new(path).exists())
}

/// Standard output and error and the status, for a message.
pub(crate) fn show(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless the run ended with that status.
#[track_caller]
pub(crate) fn expect_status(output: &Output, status: i32) {
    assert_eq!(output.status.code(), Some(status), "{}", show(output));
}

/// What a test that cannot run on this machine returns: it counts as ignored, with the reason.
pub(crate) fn skip(reason: impl ToString) -> Result<Completion, Failed> {
    Ok(Completion::ignored_with(reason))
}

pub(crate) type Case = fn(&Place, &Ground) -> Result<Completion, Failed>;

/// A case that carries what it is about.
pub(crate) type Check = Arc<dyn Fn(&Place, &Ground) -> Result<Completion, Failed> + Send + Sync>;

/// Runs each case as every account, and counts those that cannot run here as ignored, with the reason.
pub(crate) fn run_cases(cases: &[(&'static str, Case)]) -> ExitCode {
    run_checks(cases.iter().map(|(name, case)| ((*name).to_owned(), Arc::new(*case) as Check)).collect())
}

/// As [`run_cases`].
pub(crate) fn run_checks(checks: Vec<(String, Check)>) -> ExitCode {
    let arguments = Arguments::from_args();
    let ground: &'static Ground = Box::leak(Box::new(Ground::prepare()));
    let mut trials = Vec::new();
    for (who, account) in accounts() {
        for (name, check) in &checks {
            let check = Arc::clone(check);
            trials.push(Trial::ignorable_test(format!("{who}::{name}"), move || {
                check(&Place::new(ground, account), ground)
            }));
        }
    }
    if !is_root() {
        trials.push(Trial::ignorable_test("root", || skip("every case runs also as root when the caller is root")));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let _ = fs::remove_dir_all(ground.path());
    conclusion.exit_code()
}
