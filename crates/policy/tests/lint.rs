//! Every lint, each with a policy that has it and one that has not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ringfence_policy::{Anchors, lint};
use support::{linux, load_on, load_profile, windows};

const OPEN: &str = "mode = \"allowlist\"\nallow = ";

/// The codes that a text gets, sorted, each once.
fn codes_on(text: &str, anchors: &Anchors) -> Vec<&'static str> {
    let text = format!("version = 1\n{text}");
    let policy = load_on(&text, anchors).unwrap_or_else(|error| panic!("{error}"));
    let mut codes: Vec<_> = lint(&policy, anchors).iter().map(|lint| lint.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[test]
fn profiles_have_only_the_lints_that_they_admit() {
    for anchors in [linux(), windows()] {
        for (profile, expected) in
            [("workspace", &[][..]), ("read-only", &[]), ("guard", &["network-open", "secrets-readable"])]
        {
            let policy = load_profile(profile, &anchors).unwrap();
            let codes: Vec<_> = lint(&policy, &anchors).iter().map(|lint| lint.code).collect();
            assert_eq!(codes, expected, "{profile}");
        }
    }
}

#[test]
fn allowed_hosts() {
    for (allow, expected) in [
        ("example.com", &[][..]),
        ("*.example.com", &[]),
        ("localhost:5432", &[]),
        ("192.0.2.1", &[]),
        ("*.internal", &[]),
        ("*", &["allow-everything"]),
        ("*:*", &["allow-every-port", "allow-everything"]),
        ("example.com:*", &["allow-every-port"]),
        ("*.com", &["allow-accepts-pushes", "allow-file-drop", "allow-public-suffix"]),
        ("*.co.uk", &["allow-public-suffix"]),
        ("*.github.io", &["allow-public-suffix"]),
        ("*.xn--p1ai", &["allow-public-suffix"]),
        ("pastebin.com", &["allow-file-drop"]),
        ("www.pastebin.com", &["allow-file-drop"]),
        ("notpastebin.com", &[]),
        ("*.ngrok.io", &["allow-file-drop", "allow-public-suffix"]),
        ("github.com", &["allow-accepts-pushes"]),
        ("*.github.com", &["allow-accepts-pushes", "allow-file-drop"]),
        ("docs.github.com", &[]),
        ("169.254.169.254", &["allow-metadata-service"]),
        ("[fd00:ec2::254]", &["allow-metadata-service"]),
    ] {
        assert_eq!(codes_on(&format!("[network]\n{OPEN}[\"{allow}\"]"), &linux()), expected, "{allow}");
    }
    let denied = |deny: &str| codes_on(&format!("[network]\n{OPEN}[\"a.example.com\"]\ndeny = [\"{deny}\"]"), &linux());
    assert_eq!(denied("*.example.com"), ["allow-denied"]);
    assert_eq!(denied("*.example.com:80"), [""; 0]);
}

#[test]
fn everything_else() {
    for (text, expected) in [
        // network
        ("[network]\nmode = \"off\"\nallow = [\"example.com\"]", &["network-rule-idle"][..]),
        ("[network]\nupstream = \"http://p.example:1\"", &["network-rule-idle"]),
        ("[network]\nmode = \"open\"", &["network-open"]),
        ("[network]\nunix_sockets = [\"/run/docker.sock\"]", &["unix-socket-powerful"]),
        ("[network]\nunix_sockets = [\"/run/user/1000/bus\"]", &["unix-socket-powerful"]),
        ("[network]\nunix_sockets = [\"/run\"]", &["unix-socket-powerful"]),
        ("[network]\nunix_sockets = [\"/run/postgresql/.s.PGSQL.5432\"]", &[]),
        // secrets
        ("[network]\nmode = \"allowlist\"\nallow = [\"example.com\"]\n[filesystem]\nhide = []", &["secrets-readable"]),
        ("[network]\nmode = \"off\"\n[filesystem]\nhide = []", &[]),
        (
            "[network]\nmode = \"allowlist\"\nallow = [\"example.com\"]\n[filesystem]\nhide = []\nread = [\".\", \"~/.cargo\"]",
            &["secrets-readable"],
        ),
        ("[network]\nmode = \"allowlist\"\nallow = [\"example.com\"]\n[filesystem]\nhide = [\"@secrets\"]", &[]),
        // write roots
        ("[filesystem]\nwrite = [\".\", \"~/.local\"]", &["write-root-startup"]),
        ("[filesystem]\nwrite = [\".\", \"~/.config/autostart\"]", &["write-root-startup"]),
        ("[filesystem]\nwrite = [\".\", \"~/.ssh/x\"]", &["write-root-hidden"]),
        ("[filesystem]\nwrite = [\".\", \"~/.cache/x\"]", &[]),
        // protect
        ("[filesystem]\nprotect = [\".vscode\"]", &["protect-git-missing"]),
        ("[filesystem]\nprotect = [\"@git\", \"/opt/x\"]", &["protect-idle"]),
        ("[filesystem]\nprotect = [\"@git\", \".\"]", &["protect-write-root"]),
        ("[filesystem]\nprotect = [\"@git\", \"a/b\"]", &["protect-parent-writable"]),
        ("[filesystem]\nprotect = [\"@git\", \"a/b\", \"a\"]", &[]),
        ("[filesystem]\nprotect = [\"@git\", \"a\"]", &[]),
        ("[filesystem]\nwrite = []\nprotect = []", &[]),
        // hide and read
        ("[filesystem]\nhide = [\"@secrets\", \".env\"]", &["hide-in-write-root"]),
        ("[filesystem]\nhide = [\"@secrets\", \"~/private\"]", &[]),
        ("[filesystem]\nhide = [\"@secrets\", \".\"]", &["hide-workspace", "write-root-hidden"]),
        ("[filesystem]\nwrite = []\nprotect = []\nread = [\"/opt\"]", &["workspace-unreadable"]),
        ("[filesystem]\nread = [\"/opt\"]", &[]),
        // environment
        ("[environment]\npass = [\"*\"]", &["pass-everything"]),
        ("[environment]\npass = [\"GITHUB_TOKEN\"]", &["pass-secret"]),
        ("[environment]\npass = [\"MY_SECRET_THING\"]", &["pass-secret"]),
        ("[environment]\npass = [\"CARGO_*\"]", &["pass-secret"]),
        ("[environment]\npass = [\"SSH_AUTH_SOCK\"]", &["pass-secret"]),
        ("[environment]\npass = [\"LC_*\", \"PATH\"]", &[]),
        ("[environment]\nset = { API_TOKEN = \"x\" }", &["set-secret"]),
        ("[environment]\nset = { API_TOKEN = \"\", CI = \"1\" }", &[]),
        // enforcement
        ("[enforcement]\nrequire = \"advisory\"", &["require-advisory"]),
        ("[enforcement]\naccept_degraded = [\"network\"]", &["accept-degraded-core"]),
        ("[enforcement]\naccept_degraded = [\"process.cpus\"]", &[]),
        ("[windows]\neveryone = \"always\"", &[]),
    ] {
        assert_eq!(codes_on(text, &linux()), expected, "{text}");
    }
    assert_eq!(codes_on("[windows]\neveryone = \"always\"", &windows()), ["everyone-always"]);
    assert_eq!(
        codes_on("[filesystem]\nwrite = [\"~/Documents/powershell\"]", &windows()),
        ["protect-idle", "write-root-startup"]
    );
    assert_eq!(codes_on("[environment]\npass = [\"github_token\"]", &windows()), ["pass-secret"]);
}

#[test]
fn a_ceiling_that_is_too_wide_is_seen_before_it_is_installed() {
    // Only a managed policy loads with such roots; `policy check` lints it as the policy that it is.
    let anchors = linux();
    let mut policy = load_profile("workspace", &anchors).unwrap();
    policy.filesystem.write[0].value = "/".into();
    let codes: Vec<_> = lint(&policy, &anchors).iter().map(|lint| lint.code).collect();
    assert!(codes.contains(&"write-root-too-wide"), "{codes:?}");
}

#[test]
fn a_lint_names_the_rule() {
    let policy =
        load_on("version = 1\n[network]\nmode = \"allowlist\"\nallow = [\"example.com\", \"*\"]", &linux()).unwrap();
    let lints = lint(&policy, &linux());
    assert_eq!(lints.len(), 1);
    assert_eq!(lints[0].origin.as_ref().unwrap().to_string(), "p.toml:4:25");
    assert!(!lints[0].message.is_empty() && !lints[0].advice.is_empty());
}
