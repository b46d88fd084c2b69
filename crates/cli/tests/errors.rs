//! Bad input: each stable code that can be reached from the command line is reached, and leaves nothing behind.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail this way, in its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One wrong call. There is a policy file `policy.toml` that holds `policy` after `version = 1`.
struct Case {
    code: &'static str,
    status: i32,
    arguments: &'static [&'static str],
    policy: &'static str,
    prepare: fn(&Path),
    environment: &'static [(&'static str, &'static str)],
}

const CASE: Case = Case { code: "", status: 126, arguments: RUN, policy: "", prepare: |_| {}, environment: &[] };
const RUN: &[&str] = &["run", "--policy", "policy.toml", "--", "true"];

const fn calling(code: &'static str, status: i32, arguments: &'static [&'static str]) -> Case {
    Case { code, status, arguments, ..CASE }
}

const fn policy(code: &'static str, policy: &'static str) -> Case {
    Case { code, policy, ..CASE }
}

const fn prepared(code: &'static str, status: i32, arguments: &'static [&'static str], prepare: fn(&Path)) -> Case {
    Case { code, status, arguments, prepare, ..CASE }
}

const fn stated(code: &'static str, environment: &'static [(&'static str, &'static str)]) -> Case {
    Case { code, status: 125, arguments: &["run", "true"], environment, ..CASE }
}

const CASES: &[Case] = &[
    calling("usage", 125, &[]),
    calling("usage", 125, &["runn", "true"]),
    calling("usage", 125, &["run"]),
    calling("usage", 125, &["run", "--"]),
    calling("usage", 125, &["run", "--wriet", ".", "true"]),
    calling("usage", 125, &["run", "--profile", "guard", "--policy", "policy.toml", "true"]),
    calling("usage", 125, &["run", "--keep-fd", "1", "true"]),
    calling("usage", 125, &["run", "--set", "A", "true"]),
    calling("usage", 125, &["run", "--accept-degraded", "netwrk", "true"]),
    calling("command-not-found", 127, &["run", "no-such-command"]),
    calling("command-not-found", 127, &["run", "./no-such-command"]),
    calling("command-empty", 125, &["run", ""]),
    calling("command-not-executable", 126, &["run", "./policy.toml"]),
    calling("command-not-executable", 126, &["run", "/"]),
    calling("directory-unusable", 125, &["run", "--workspace", "missing", "true"]),
    calling("directory-unusable", 125, &["run", "--workspace", "policy.toml", "true"]),
    calling("file-exists", 125, &["policy", "init", "policy.toml"]),
    calling("file-unwritable", 125, &["policy", "init", "missing/policy.toml"]),
    calling("facts-unusable", 125, &["plan", "--facts", "missing.json", "true"]),
    calling("facts-unusable", 125, &["doctor", "--facts", "policy.toml"]),
    calling("usage", 125, &["plan", "--target", "windows", "true"]),
    calling("unknown-probe", 125, &["verify", "no-such-way-out"]),
    Case { environment: &[("XDG_CACHE_HOME", "/dev/null")], ..calling("probe-setup-failed", 125, &["verify"]) },
    calling("policy-unreadable", 126, &["run", "--policy", "missing.toml", "true"]),
    calling("policy-unreadable", 126, &["run", "--policy", ".", "true"]),
    calling("policy-unreadable", 126, &["policy", "check", "missing.toml"]),
    calling("unknown-profile", 126, &["run", "--profile", "workspce", "true"]),
    prepared("policy-too-large", 126, RUN, |directory| {
        fs::write(directory.join("policy.toml"), "# a comment\n".repeat(1_000_000)).unwrap();
    }),
    prepared("policy-too-large", 126, &["run", "--policy", "/dev/zero", "true"], |_| {}),
    prepared("policy-not-utf8", 126, RUN, |directory| {
        fs::write(directory.join("policy.toml"), b"version = 1\n# \xff\n").unwrap();
    }),
    prepared("missing-key", 126, RUN, |directory| fs::write(directory.join("policy.toml"), "").unwrap()),
    prepared("unsupported-version", 126, RUN, |directory| {
        fs::write(directory.join("policy.toml"), "version = 2").unwrap();
    }),
    prepared("extends-too-deep", 126, &["run", "--policy", "0.toml", "true"], |directory| {
        for level in 0..100 {
            let text = format!("version = 1\nextends = \"./{}.toml\"", level + 1);
            fs::write(directory.join(format!("{level}.toml")), text).unwrap();
        }
    }),
    policy("policy-syntax", "[filesystem"),
    policy("policy-syntax", "a = 1\na = 2"),
    policy("unknown-key", "[filesystem]\nwriet = []"),
    policy("unknown-key", "[filesytem]"),
    policy("wrong-type", "[filesystem]\nwrite = \".\""),
    policy("wrong-type", "[process]\nprocesses = \"many\""),
    policy("unknown-profile", "extends = \"workspce\""),
    policy("extends-cycle", "extends = \"./policy.toml\""),
    policy("refused-write-root", "[filesystem]\nwrite = [\"/\"]"),
    policy("refused-write-root", "[filesystem]\nwrite = [\"~\"]"),
    policy("refused-write-root", "[filesystem]\nwrite = [\"/etc\"]"),
    policy("rules-while-open", "[network]\nmode = \"open\"\nallow = [\"example.com\"]"),
    policy("self-test-failed", "extends = \"workspace\"\n[[test]]\nwrite = \"/etc/passwd\"\nexpect = \"allow\""),
    calling("flag-conflict", 126, &["run", "--offline", "--allow", "example.com", "true"]),
    calling("flag-conflict", 126, &["run", "--offline", "--network", "open", "true"]),
    policy("unknown-word", "[network]\nmode = \"of\""),
    calling("invalid-duration", 125, &["run", "--timeout", "soon", "true"]),
    policy("invalid-duration", "[process]\ntimeout = \"10 bananas\""),
    calling("invalid-size", 125, &["run", "--memory", "many", "true"]),
    policy("invalid-size", "[process]\nmemory = \"99999999999999999GiB\""),
    calling("invalid-cpus", 125, &["run", "--cpus", "0", "true"]),
    policy("invalid-cpus", "[process]\ncpus = 0.0"),
    policy("invalid-count", "[process]\nprocesses = 0"),
    calling("invalid-variable", 125, &["run", "--pass", "A=B", "true"]),
    policy("invalid-variable", "[environment]\npass = [\"A*B\"]"),
    policy("invalid-variable-value", "[environment]\nset = { A = \"a\\u0000b\" }"),
    policy("invalid-upstream", "[network]\nupstream = \"ftp://proxy.example\""),
    calling("host-empty", 125, &["run", "--allow", "", "true"]),
    calling("host-percent-encoding", 125, &["run", "--allow", "ex%61mple.com", "true"]),
    calling("host-zone-id", 125, &["run", "--allow", "[fe80::1%eth0]", "true"]),
    calling("host-ipv6", 125, &["run", "--allow", "[::zz]", "true"]),
    calling("host-ipv4", 125, &["run", "--allow", "1.2.3.999", "true"]),
    calling("host-empty-label", 125, &["run", "--allow", "a..example.com", "true"]),
    calling("host-character", 125, &["run", "--allow", "exa mple.com", "true"]),
    calling("host-port", 125, &["run", "--allow", "example.com:99999", "true"]),
    calling("host-url", 125, &["run", "--allow", "https://example.com", "true"]),
    calling("host-path", 125, &["run", "--allow", "example.com/path", "true"]),
    calling("host-range", 125, &["run", "--allow", "10.0.0.0/8", "true"]),
    calling("host-user-information", 125, &["run", "--allow", "me@example.com", "true"]),
    calling("host-wildcard", 125, &["run", "--allow", "a.*.example.com", "true"]),
    calling("host-unbracketed-ipv6", 125, &["run", "--allow", "2001:db8::1", "true"]),
    calling("host-not-normal", 125, &["run", "--allow", "0x7f.1", "true"]),
    calling("host-too-long", 125, &["run", "--allow", LONG, "true"]),
    calling("host-long-label", 125, &["run", "--allow", LONG_LABEL, "true"]),
    calling("host-idna", 125, &["run", "--allow", "xn--a.example", "true"]),
    policy("host-test-wildcard", "[[test]]\nconnect = \"*.example.com\"\nexpect = \"deny\""),
    policy("test-actions", "[[test]]\nexpect = \"deny\""),
    policy("test-actions", "[[test]]\nread = \"a\"\nwrite = \"a\"\nexpect = \"deny\""),
    prepared("bad-anchor", 126, &["run", "--workspace", "a\nb", "true"], |directory| {
        fs::create_dir(directory.join("a\nb")).unwrap();
    }),
    policy("path-control-character", "[filesystem]\nhide = [\"a\\u0007\"]"),
    calling("path-control-character", 126, &["run", "--hide", "a\nb", "true"]),
    policy("path-parent-inside", "[filesystem]\nwrite = [\"a/../b\"]"),
    policy("path-pattern", "[filesystem]\nprotect = [\"*.rs\"]"),
    policy("path-variable", "[filesystem]\nwrite = [\"$HOME/x\"]"),
    policy("path-other-home", "[filesystem]\nwrite = [\"~other/x\"]"),
    policy("path-foreign", "[filesystem]\nwrite = ['C:\\x']"),
    policy("path-backslash", "[filesystem]\nwrite = ['a\\b']"),
    policy("path-unknown-set", "[filesystem]\nhide = [\"@secret\"]"),
    prepared("path-too-long", 126, RUN, |directory| {
        let text = format!("version = 1\n[filesystem]\nwrite = [\"{}\"]", "a/".repeat(4000));
        fs::write(directory.join("policy.toml"), text).unwrap();
    }),
    policy("path-empty", "[filesystem]\nwrite = [\"\"]"),
    policy("path-escape", "[filesystem]\nwrite = [\"../..\"]"),
    calling("root-unusable", 125, &["run", "--write", "missing", "true"]),
    prepared("root-refused", 126, &["run", "--write", "link", "true"], |directory| {
        symlink("/etc", directory.join("link")).unwrap();
    }),
    calling("unsupported", 126, &["run", "--keep-fd", "900", "true"]),
    calling("unsupported", 126, &["grants", "list"]),
    calling("unsupported", 126, &["grants", "revoke", "--all"]),
    calling("unsupported", 126, &["grants", "revoke", "."]),
    calling("usage", 125, &["grants", "revoke"]),
    calling("usage", 125, &["grants", "revoke", "--all", "."]),
    Case {
        status: 125,
        environment: &[("RINGFENCE_UPSTREAM_CREDENTIALS_FILE", "@/missing")],
        ..policy(
            "upstream-credentials",
            "[network]\nmode = \"allowlist\"\nallow = [\"example.com\"]\nupstream = \"http://127.0.0.1:9\"",
        )
    },
    prepared("receipt-unwritable", 125, &["run", "true"], |directory| {
        fs::create_dir_all(directory.join("../state/receipts.jsonl")).unwrap();
        fs::set_permissions(directory.join("../state"), fs::Permissions::from_mode(0o700)).unwrap();
    }),
    calling("not-enforced", 126, &["run", "--mechanism", "landlock", "true"]),
    stated("state-unusable", &[("RINGFENCE_STATE_DIR", "/dev/null/state")]),
    stated("state-untrusted", &[("RINGFENCE_STATE_DIR", "relative")]),
    Case {
        prepare: |directory| {
            let state = directory.join("open");
            fs::create_dir(&state).unwrap();
            fs::set_permissions(state, fs::Permissions::from_mode(0o777)).unwrap();
        },
        ..stated("state-untrusted", &[("RINGFENCE_STATE_DIR", "@/open")])
    },
];

const WINDOWS: &str = "paths of Windows; the policy crate tests them on every system";
const LONG_LABEL: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example";
const LONG: &str = concat!(
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"
);

/// Codes that no case reaches, with the reason.
const UNREACHED: &[(&str, &str)] = &[
    ("nul-byte", "no argument or variable can hold one on Linux; users of the library can try"),
    ("output-unwritable", "has a test of its own, because it needs another standard output"),
    ("no-terminal", "whoever runs the tests may have a terminal; the suite of the allowlist tries it without one"),
    ("egress-failed", "needs a host without threads or descriptors"),
    ("path-drive-relative", WINDOWS),
    ("path-device", WINDOWS),
    ("path-character", WINDOWS),
    ("path-trailing-dot-or-space", WINDOWS),
    ("path-reserved", WINDOWS),
    ("path-no-home", "the account that runs the tests has a home directory; the policy crate tests it"),
    ("path-not-absolute", "the command line makes every path absolute; the policy crate tests it"),
    ("path-not-utf8", "has a test of its own, because the arguments above are UTF-8"),
    ("host-not-a-name", "a rule may name an address; users of the library can ask for a name alone"),
    ("host-unexpected-port", "a rule may have a port; users of the library can ask for a host alone"),
    ("upstream-conflict", "needs a managed policy, which only an administrator can write; the policy crate tests it"),
    ("root-changed", "a race between plan and run; the engine tests it"),
    ("survey-failed", "the engine tests it"),
    ("system-call-failed", "needs a kernel that fails"),
    ("sandbox-failed", "needs a kernel that fails"),
    ("encode-failed", "plans and receipts have nothing that JSON lacks"),
    ("no-mechanism", "needs a machine without namespaces and Landlock"),
    ("too-many-entries", "the engine tests it"),
    ("quarantine-failed", "the engine tests it"),
    ("disk-failed", "Windows; the engine tests it on the simulated host"),
    ("grants-busy", "Windows; the engine tests it on the simulated host"),
    ("grants-interrupted", "Windows; the engine tests it on the simulated host"),
    ("ledger-version", "Windows; the engine tests it"),
    ("root-link", "Windows only; the engine tests it"),
    ("root-reparse-point", "Windows only; the engine tests it"),
    ("root-cloud", "Windows only; the engine tests it"),
    ("root-no-acls", "Windows only; the engine tests it"),
    ("root-read-only", "Windows only; the engine tests it"),
    ("root-remote", "Windows only; the engine tests it"),
    ("root-mapped", "Windows only; the engine tests it"),
    ("root-subst", "Windows only; the engine tests it"),
    ("root-null-dacl", "Windows only; the engine tests it"),
    ("root-not-grantable", "Windows only; the engine tests it"),
    ("root-hard-links", "Windows only; the engine tests it"),
    ("root-holds-state", "Windows only; the engine tests it"),
    ("caller-restricted", "Windows only; the engine tests it"),
    ("caller-app-container", "Windows only; the engine tests it"),
    ("caller-no-logon-session", "Windows only; the engine tests it"),
    ("command-line", "Windows only; the engine tests it"),
    ("batch-argument", "Windows only; the engine tests it"),
    ("environment-variable", "Windows only; the engine tests it"),
];

#[test]
fn bad_input_is_refused_with_a_stable_code_and_leaves_nothing_behind() {
    let faults: Vec<String> = CASES.iter().filter_map(|case| fault(case).err()).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), CASES.len(), faults.join("\n"));
}

#[test]
fn every_documented_code_has_a_case_or_a_reason() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md")).unwrap();
    let table = page.split("## Error codes").nth(1).unwrap();
    let documented = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let reached = CASES.iter().map(|case| case.code);
    let known: BTreeSet<&str> = reached.chain(UNREACHED.iter().map(|(code, _)| *code)).collect();
    let missing: Vec<&str> = documented.filter(|code| !known.contains(code)).collect();
    assert!(missing.is_empty(), "neither reached nor explained: {missing:?}");
}

#[test]
fn a_full_disk_under_standard_output_is_an_error_and_a_reader_that_has_gone_is_none() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let schema = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(["policy", "schema"]);
        command
    };
    let output = schema().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ringfence: error[output-unwritable]: "));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = schema().stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_path_that_is_not_utf8_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(["run", "--json", "--hide"]).arg(std::ffi::OsStr::from_bytes(b"a\xffb")).arg("true");
    let output = command.current_dir(&directory).env("RINGFENCE_STATE_DIR", directory.path()).output().unwrap();
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), &error["error"]["code"]), (Some(126), &"path-not-utf8".into()), "{error}");
}

/// Runs a case as text and as JSON and says what is wrong with the outcome.
fn fault(case: &Case) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("policy.toml"), format!("version = 1\n{}", case.policy)).unwrap();
    (case.prepare)(&work);
    let before = listing(&work);
    let call = format!("{} {:?} {:?}", case.code, case.arguments, case.policy);

    let text = ringfence(case, directory.path(), &work, &[]);
    let line = String::from_utf8_lossy(&text.stderr);
    if text.status.code() != Some(case.status) {
        return Err(format!("{call}: {}, expected {}: {line}", text.status, case.status));
    }
    if !line.starts_with(&format!("ringfence: error[{}]: ", case.code)) || line.lines().count() != 1 {
        return Err(format!("{call}: {line}"));
    }

    let json = ringfence(case, directory.path(), &work, &["--json"]);
    let object: serde_json::Value =
        serde_json::from_slice(&json.stderr).map_err(|error| format!("{call}: not JSON: {error}"))?;
    if object["error"]["code"] != case.code || object["error"]["message"].as_str().is_none_or(str::is_empty) {
        return Err(format!("{call}: {object}"));
    }
    if !text.stdout.is_empty() || !json.stdout.is_empty() {
        return Err(format!("{call}: something was printed on standard output"));
    }
    if listing(&work) != before {
        return Err(format!("{call}: the workspace was changed"));
    }
    Ok(())
}

fn ringfence(case: &Case, directory: &Path, work: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    // Flags stand after the subcommand, where there is one, and before the command.
    let depth = if case.arguments.first() == Some(&"policy") { 2 } else { 1 };
    let (subcommand, rest) = case.arguments.split_at(case.arguments.len().min(depth));
    command.args(subcommand).args(flags).args(rest).current_dir(work).stdin(Stdio::null());
    command.env("RINGFENCE_STATE_DIR", directory.join("state"));
    for (name, value) in case.environment {
        command.env(name, value.replace('@', &work.to_string_lossy()));
    }
    command.output().unwrap()
}

/// Every file below a directory with its content; nothing is said about the state directory, which lies elsewhere.
fn listing(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files.extend(listing(&path));
            files.push((path, Vec::new()));
        } else {
            let content = fs::read(&path).unwrap_or_default();
            files.push((path, content));
        }
    }
    files.sort();
    files
}
