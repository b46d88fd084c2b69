//! Input that is wrong, hostile or unlucky: each gets one clear error with a stable code, and nothing is half done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

mod support;

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed};
use support::{Case, Ground, Place, expect_status, run_cases, show, skip, stderr, stdout};

type Outcome = Result<Completion, Failed>;

const DONE: Outcome = Ok(Completion::Completed);

fn main() -> ExitCode {
    let cases: &[(&'static str, Case)] = &[
        ("policies_that_are_wrong", policies_that_are_wrong),
        ("policies_that_are_huge", policies_that_are_huge),
        ("flags_that_are_wrong", flags_that_are_wrong),
        ("write_roots_that_are_refused", write_roots_that_are_refused),
        ("write_roots_that_are_symlinks", write_roots_that_are_symlinks),
        ("write_roots_that_are_missing", write_roots_that_are_missing),
        ("names_that_are_strange", names_that_are_strange),
        ("commands_that_cannot_be_run", commands_that_cannot_be_run),
        ("a_state_directory_that_cannot_be_used", a_state_directory_that_cannot_be_used),
        ("a_full_disk_under_the_state_directory", a_full_disk_under_the_state_directory),
        ("a_torn_line_in_the_log", a_torn_line_in_the_log),
    ];
    run_cases(cases)
}

/// What is run where nothing may be run: it would leave a trace.
const TRACE: [&str; 4] = ["--", "touch", "ran", "ran-too"];

/// Runs with these flags and expects a refusal before anything has happened: one of those statuses, one line with a
/// code for people, and one object with the same code for programs. Gives the code.
#[track_caller]
fn refused(place: &Place, statuses: &[i32], flags: &[OsString]) -> String {
    let run = |extra: &[&str]| {
        let mut command = place.ringfence(["run"]);
        command.args(extra).args(flags).args(TRACE);
        command.output().unwrap()
    };
    let before = tree(place);
    let output = run(&[]);
    assert!(output.status.code().is_some_and(|code| statuses.contains(&code)), "{flags:?}: {}", show(&output));
    let code = code_of(&output);
    let machine = run(&["--json"]);
    assert_eq!(machine.status, output.status, "{}", show(&machine));
    let object: serde_json::Value = serde_json::from_slice(&machine.stderr)
        .unwrap_or_else(|error| panic!("{error}: not one JSON object: {}", show(&machine)));
    assert_eq!(object["error"]["code"], code.as_str(), "{}", show(&machine));
    assert!(object["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{object}");
    assert!(!place.workspace().join("ran").exists(), "{flags:?}: the command was run");
    assert_eq!(tree(place), before, "{flags:?}: something of the user's has changed");
    code
}

/// The code of an error that is one line for people.
#[track_caller]
fn code_of(output: &Output) -> String {
    let text = stderr(output);
    let code = text.strip_prefix("ringfence: error[").and_then(|rest| rest.split_once(']')).map(|(code, _)| code);
    let code = code.unwrap_or_else(|| panic!("no code: {}", show(output)));
    let kebab = code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    assert!(kebab && !code.is_empty(), "{code:?} is no stable code");
    assert!(!text.contains("panicked"), "{text}");
    code.to_owned()
}

/// The names of everything in the place, but for ringfence's own state.
fn tree(place: &Place) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![place.path().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name() != ".local" {
                found.push(entry.path());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(entry.path());
                }
            }
        }
    }
    found.sort();
    found
}

fn flags(flags: &[&str]) -> Vec<OsString> {
    flags.iter().map(OsString::from).collect()
}

fn policies_that_are_wrong(place: &Place, _: &Ground) -> Outcome {
    // The text, and what the message has to name: the offender and where it stands.
    let cases: &[(&str, &[&str])] = &[
        ("version = 1\n[filesystem]\nwirte = [\".\"]\n", &["wirte", "write", "3"]),
        ("version = 1\nfilesytem = {}\n", &["filesytem", "2"]),
        ("version = 1\n[process]\ntimeout = 10\n", &["timeout", "3"]),
        ("version = 1\n[process]\ntimeout = \"soon\"\n", &["soon", "3"]),
        ("version = 1\n[process]\nmemory = \"much\"\n", &["much", "3"]),
        ("version = 1\n[process]\nprocesses = -1\n", &["3"]),
        ("version = 1\n[network]\nmode = \"sometimes\"\n", &["sometimes", "3"]),
        ("version = 1\n[network]\nmode = \"allowlist\"\nallow = [\"http://x/y\"]\n", &["http://x/y", "4"]),
        ("version = 1\n[filesystem]\nwrite = [\"../..\"]\n", &["../..", "3"]),
        ("version = 1\n[filesystem]\nwrite = \".\"\n", &["3"]),
        ("version = 2\n", &["version", "2"]),
        ("", &["version"]),
        ("version = 1\nextends = \"nonsense\"\n", &["nonsense", "2"]),
        ("version = 1\nextends = \"policy.toml\"\n", &["policy.toml"]),
        ("version = 1\n[[test]]\nconnect = \"evil.example\"\nexpect = \"allow\"\n", &["evil.example"]),
        ("version = 1\n[filesystem\n", &["2"]),
        ("version = 1\u{0}\n", &["1"]),
    ];
    for (text, named) in cases {
        let file = place.write("home/policy.toml", text);
        let file = file.to_str().unwrap();
        refused(place, &[126], &flags(&["--policy", file]));
        let checked = place.ringfence(["policy", "check", file]).output()?;
        assert!(!checked.status.success(), "{text:?}: {}", show(&checked));
        for name in *named {
            assert!(stderr(&checked).contains(name), "{text:?} does not name {name:?}: {}", show(&checked));
        }
    }
    let file = place.write("home/policy.toml", b"version = 1\n# \xff\xfe\n");
    refused(place, &[126], &flags(&["--policy", file.to_str().unwrap()]));
    let missing = place.home().join("no-such-policy.toml");
    refused(place, &[125, 126], &flags(&["--policy", missing.to_str().unwrap()]));
    refused(place, &[125, 126], &flags(&["--policy", place.home().to_str().unwrap()]));
    refused(place, &[125, 126], &flags(&["--profile", "no-such-profile"]));
    DONE
}

/// A huge policy is read or refused, but it is not waited for.
fn policies_that_are_huge(place: &Place, _: &Ground) -> Outcome {
    let start = Instant::now();
    let padding = "# padding padding padding padding padding padding padding padding\n".repeat(160_000);
    let ten_megabytes = place.write("home/policy.toml", format!("version = 1\n{padding}"));
    let output = place.ringfence(["run", "--policy"]).arg(&ten_megabytes).args(["--", "true"]).output()?;
    assert!(matches!(output.status.code(), Some(0 | 125 | 126)), "{}", show(&output));
    if !output.status.success() {
        code_of(&output);
    }
    let hosts: Vec<String> = (0..10_000).map(|number| format!("\"host-{number}.example.com\"")).collect();
    let text = format!("version = 1\n[network]\nmode = \"off\"\nallow = [{}]\n", hosts.join(", "));
    let ten_thousand = place.write("home/policy.toml", text);
    let output = place.ringfence(["policy", "check"]).arg(&ten_thousand).output()?;
    assert!(output.status.code().is_some(), "{}", show(&output));
    let paths: Vec<String> = (0..10_000).map(|number| format!("\"secret-{number}\"")).collect();
    let text = format!("version = 1\nextends = \"workspace\"\n[filesystem]\nhide = [{}]\n", paths.join(", "));
    let ten_thousand = place.write("home/policy.toml", text);
    let output = place.ringfence(["run", "--policy"]).arg(&ten_thousand).args(["--", "true"]).output()?;
    assert!(matches!(output.status.code(), Some(0 | 125 | 126)), "{}", show(&output));
    if !output.status.success() {
        code_of(&output);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "it took {:?}", start.elapsed());
    DONE
}

fn flags_that_are_wrong(place: &Place, _: &Ground) -> Outcome {
    for wrong in [
        &["--timeout", "soon"][..],
        &["--timeout", "-1s"],
        &["--memory", "much"],
        &["--processes", "0"],
        &["--cpus", "0"],
        &["--allow", "http://example.com/path"],
        &["--allow", ""],
        &["--network", "sometimes"],
        &["--mechanism", "magic"],
        &["--accept-degraded", "no.such.rule"],
        &["--set", "NOEQUALS"],
        &["--set", "=x"],
        &["--keep-fd", "x"],
        &["--keep-fd", "99"],
        &["--no-such-flag"],
        &["--profile", "workspace", "--policy", "x"],
        &["--write", ""],
        &["--workspace", "/no/such/directory"],
    ] {
        refused(place, &[125, 126], &flags(wrong));
    }
    DONE
}

fn write_roots_that_are_refused(place: &Place, _: &Ground) -> Outcome {
    let home = place.home();
    for root in ["/", "/etc", "/usr", "/usr/bin", "/proc", "/sys", "/dev", home.to_str().unwrap(), "../..", "/home"] {
        refused(place, &[126], &flags(&["--write", root]));
    }
    // The control: a root that may be written is taken.
    place.write("other/file", "");
    let other = place.path().join("other");
    expect_status(&place.run(&["--write", other.to_str().unwrap()], "true"), 0);
    // The workspace is a write root too.
    let mut command = place.ringfence(["run", "--quiet", "--", "true"]);
    let output = command.current_dir(&home).output()?;
    expect_status(&output, 126);
    code_of(&output);
    DONE
}

fn write_roots_that_are_symlinks(place: &Place, _: &Ground) -> Outcome {
    for (name, target) in [("to-etc", "/etc"), ("to-root", "/"), ("to-home", place.home().to_str().unwrap())] {
        symlink(target, place.workspace().join(name))?;
        refused(place, &[126], &flags(&["--write", name]));
    }
    // A link to a place that may be written: what counts is where it leads.
    place.write("other/file", "");
    symlink(place.path().join("other"), place.workspace().join("to-other"))?;
    let output = place.run(&["--write", "to-other"], "touch to-other/made");
    match output.status.code() {
        Some(0) => assert!(place.path().join("other/made").exists()),
        Some(126) => drop(code_of(&output)),
        _ => panic!("{}", show(&output)),
    }
    symlink("loop", place.workspace().join("loop"))?;
    refused(place, &[125, 126], &flags(&["--write", "loop"]));
    DONE
}

fn write_roots_that_are_missing(place: &Place, _: &Ground) -> Outcome {
    let missing = place.path().join("missing");
    refused(place, &[125, 126], &flags(&["--write", missing.to_str().unwrap()]));
    assert!(!missing.exists(), "the root was made");
    let file = place.write("file", "");
    let beneath = file.join("beneath");
    refused(place, &[125, 126], &flags(&["--write", beneath.to_str().unwrap()]));
    // A workspace that vanishes under the feet of whoever starts the run.
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" run -- touch ran";
    let output = place.command("/bin/sh").args(["-c", script]).arg(place.program()).output()?;
    assert!(matches!(output.status.code(), Some(125 | 126)), "{}", show(&output));
    code_of(&output);
    DONE
}

fn names_that_are_strange(place: &Place, _: &Ground) -> Outcome {
    let names: [&[u8]; 7] =
        [b"new\nline", b"sp ace", b"quo\"te'", b"back\\slash", b"\xff\xfe", b"-dash", "\u{202e}rtl".as_bytes()];
    for name in names {
        let workspace = place.home().join(OsStr::from_bytes(name));
        fs::create_dir(&workspace)?;
        place.give_all();
        let mut command = place.ringfence(["run", "--quiet", "--", "touch", "made"]);
        let output = command.current_dir(&workspace).output()?;
        match output.status.code() {
            Some(0) => assert!(workspace.join("made").exists(), "{name:?}: {}", show(&output)),
            Some(125 | 126) => drop(code_of(&output)),
            _ => panic!("{name:?}: {}", show(&output)),
        }
        // An argument is the command's business alone.
        let mut command = place.ringfence(["run", "--quiet", "--", "printf", "%s"]);
        let output = command.arg(OsStr::from_bytes(name)).output()?;
        if name != b"-dash" {
            expect_status(&output, 0);
            assert_eq!(output.stdout, name, "{}", show(&output));
        }
    }
    let verified = place.ringfence(["log", "--verify"]).output()?;
    expect_status(&verified, 0);
    let listed = place.ringfence(["log", "--json"]).output()?;
    assert!(
        stdout(&listed).lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{}",
        show(&listed)
    );
    DONE
}

fn commands_that_cannot_be_run(place: &Place, _: &Ground) -> Outcome {
    place.write("home/project/not-executable", "#!/bin/sh\n");
    place.write("home/project/bad-interpreter", "#!/no/such/interpreter\n");
    place.write("home/project/directory/file", "");
    let script = place.workspace().join("bad-interpreter");
    fs::set_permissions(script, Permissions::from_mode(0o755))?;
    let run = |argv: &[&str]| {
        let mut command = place.ringfence(["run", "--"]);
        command.args(argv).output().unwrap()
    };
    for (argv, statuses) in [
        (&["no-such-command"][..], &[127][..]),
        (&["./no-such-command"], &[127]),
        (&["/no/such/command"], &[127]),
        (&["./not-executable"], &[126, 127]),
        (&["./directory"], &[126, 127]),
        (&["./bad-interpreter"], &[126, 127]),
        (&[""], &[125, 126, 127]),
        (&[], &[125, 126]),
    ] {
        let output = run(argv);
        assert!(output.status.code().is_some_and(|code| statuses.contains(&code)), "{argv:?}: {}", show(&output));
        code_of(&output);
    }
    let long = "x".repeat(3_000_000);
    let mut command = place.ringfence(["run", "--", "true"]);
    // The kernel itself refuses one argument above 128 KiB, before ringfence is started.
    assert!(command.arg(&long).output().is_err());
    DONE
}

fn a_state_directory_that_cannot_be_used(place: &Place, _: &Ground) -> Outcome {
    let file = place.write("file", "");
    for state in [file.join("state"), file.clone()] {
        let mut command = place.ringfence(["run", "--"]);
        let output = command.args(["touch", "ran"]).env("RINGFENCE_STATE_DIR", &state).output()?;
        assert!(matches!(output.status.code(), Some(125 | 126)), "{}: {}", state.display(), show(&output));
        code_of(&output);
        assert!(!place.workspace().join("ran").exists(), "{}", state.display());
    }
    // In the workspace it would be the command's to write, if nothing else held it.
    let inside = place.workspace().join("state");
    let mut command = place.ringfence(["run", "--", "sh", "-c", "touch state/forged; mv state away; exit 0"]);
    let output = command.env("RINGFENCE_STATE_DIR", &inside).output()?;
    assert!(matches!(output.status.code(), Some(0 | 125 | 126)), "{}", show(&output));
    assert!(!inside.join("forged").exists() && !place.workspace().join("away").exists(), "{}", show(&output));
    DONE
}

fn a_full_disk_under_the_state_directory(place: &Place, _: &Ground) -> Outcome {
    let namespaces = Command::new("unshare").args(["-Urm", "true"]).output()?;
    if !namespaces.status.success() {
        return skip("a small file system takes a user namespace, and this host gives none");
    }
    let state = place.home().join("state");
    fs::create_dir(&state)?;
    place.give_all();
    let script = "mount -t tmpfs -o size=64k,mode=0700 tmpfs \"$1\" && \
                  { head -c 1000000 /dev/zero > \"$1/filler\"; true; } 2>/dev/null && \
                  RINGFENCE_STATE_DIR=\"$1\" \"$0\" run -- touch ran; status=$?; \
                  rm -f \"$1/filler\"; cat \"$1\"/* 2>/dev/null; exit $status";
    let mut command = place.command("unshare");
    let output = command.args(["-Urm", "/bin/sh", "-c", script]).arg(place.program()).arg(&state).output()?;
    expect_status(&output, 125);
    code_of(&output);
    assert!(!place.workspace().join("ran").exists(), "it was run without a receipt: {}", show(&output));
    // No half of a line is left for the next run to stumble over.
    assert!(
        stdout(&output).lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{}",
        show(&output)
    );
    DONE
}

fn a_torn_line_in_the_log(place: &Place, _: &Ground) -> Outcome {
    expect_status(&place.run(&[], "exit 3"), 3);
    let mut files = fs::read_dir(place.state())?.flatten().map(|entry| entry.path());
    let log = files.find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("exit 3")));
    let log = log.ok_or("no file of the state directory has the receipt")?;
    let mut text = fs::read_to_string(&log)?;
    text.push_str("{\"version\":1,\"id\":\"torn");
    fs::write(&log, text)?;
    expect_status(&place.run(&[], "exit 4"), 4);
    let listed = place.ringfence(["log", "--json"]).output()?;
    assert!(stdout(&listed).contains("exit 3") && stdout(&listed).contains("exit 4"), "{}", show(&listed));
    let verified = place.ringfence(["log", "--verify"]).output()?;
    assert!(verified.status.code().is_some_and(|code| code != 101), "{}", show(&verified));
    DONE
}
