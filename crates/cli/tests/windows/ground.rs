//! Where the tests stand: a workspace, something outside of it, a state directory, and the program.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use super::actor::{READY, actor};

/// What a test may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Gone with the value.
pub(crate) struct Ground {
    directory: tempfile::TempDir,
    program: PathBuf,
    /// Whether the system enforces write-restricted tokens, as `ringfence doctor` found.
    pub(crate) enforces: bool,
}

impl Ground {
    pub(crate) fn prepare() -> Self {
        let program = std::env::var_os("RINGFENCE_UNDER_TEST")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ringfence")), PathBuf::from);
        // The temporary directory lies in AppData, which is no place for a write root.
        let base = std::env::var_os("RINGFENCE_TEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
        std::fs::create_dir_all(&base).unwrap();
        let directory = tempfile::Builder::new().prefix("ringfence-").tempdir_in(base).unwrap();
        for name in ["workspace", "outside"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let mut ground = Self { directory, program, enforces: false };
        let doctor = ground.ringfence().args(["doctor", "--json"]).output().unwrap();
        let facts: serde_json::Value = serde_json::from_slice(&doctor.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&doctor.stderr)));
        ground.enforces = facts["self_check"]["state"] == "passed";
        println!("self-check: {}", facts["self_check"]);
        let expected = std::env::var("RINGFENCE_EXPECT").is_ok_and(|expected| expected == "enforcement");
        assert!(ground.enforces || !expected, "this system does not enforce: {facts:#}");
        ground
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    /// The program, in the workspace, with a state directory of the tests' own.
    pub(crate) fn ringfence(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.workspace())
            .env("RINGFENCE_STATE_DIR", self.directory.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// The flags without which nothing runs here: none where the system enforces.
    pub(crate) fn accepted(&self) -> &'static [&'static str] {
        if self.enforces {
            &["--profile", "guard"]
        } else {
            &[
                "--profile",
                "guard",
                "--accept-degraded",
                "filesystem.write",
                "--accept-degraded",
                "filesystem.metadata",
                "--accept-degraded",
                "filesystem.protect",
            ]
        }
    }

    /// `ringfence run` of a command, with what this system needs accepted.
    pub(crate) fn run(&self, flags: &[&str], line: &[OsString]) -> Command {
        let mut command = self.ringfence();
        command.arg("run").args(self.accepted()).args(flags).arg("--").args(line);
        command
    }

    /// Runs an actor inside to its end.
    pub(crate) fn act(&self, flags: &[&str], arguments: &[&str]) -> Output {
        finish(self.run(flags, &actor(arguments)))
    }

    /// The receipts that were written so far.
    pub(crate) fn receipts(&self) -> Vec<serde_json::Value> {
        let output = finish({
            let mut command = self.ringfence();
            command.args(["log", "--json"]);
            command
        });
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command to its end, or fails after [`PATIENCE`].
pub(crate) fn finish(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    within(move || child.wait_with_output().unwrap())
}

/// What `work` returns, or a failure after [`PATIENCE`].
pub(crate) fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).expect("it does not end")
}

/// Reads lines until an actor says that it is ready.
pub(crate) fn wait_ready(
    output: impl std::io::Read + Send + 'static,
) -> BufReader<impl std::io::Read + Send + 'static> {
    within(move || {
        let mut reader = BufReader::new(output);
        let mut line = String::new();
        while line.trim() != READY {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "the actor ended before it was ready");
        }
        reader
    })
}

/// Whether a process holds the file, as the actor's part `hold` does.
pub(crate) fn is_held(path: &Path) -> bool {
    use std::os::windows::fs::OpenOptionsExt;
    std::fs::File::options().write(true).share_mode(0).open(path).is_err()
}

pub(crate) fn status(output: &Output) -> u32 {
    output.status.code().unwrap_or(-1).cast_unsigned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A test with its ground.
pub(crate) fn trial(
    ground: &std::sync::Arc<Ground>,
    name: &str,
    test: impl FnOnce(&Ground) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let ground = std::sync::Arc::clone(ground);
    Trial::test(name, move || test(&ground))
}

/// A file with content.
pub(crate) fn file(path: &Path, content: &str) -> PathBuf {
    std::fs::File::create(path).and_then(|mut file| file.write_all(content.as_bytes())).unwrap();
    path.to_owned()
}
