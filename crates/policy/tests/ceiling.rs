//! What flags, anchors and a managed policy do to the policy of a file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};

use ringfence_policy::{
    Anchors, ByteSize, Cpus, Hide, HostRule, NetworkMode, Origin, Overrides, Policy, PolicyError, PolicySource,
    Protect, Request, Require, RuleId, System, Timeout, VariablePattern, load, meet,
};
use support::{Memory, connects, linux, load_managed, load_on, load_profile, load_with, paths, reads, windows, writes};

#[test]
fn flags_add_to_lists_and_replace_the_rest() {
    let overrides = Overrides {
        write: vec!["/srv/x".into(), "out".into()],
        read: vec!["/opt/y".into()],
        hide: vec!["~/private".into()],
        protect: vec!["Cargo.lock".into()],
        allow: vec!["example.com:8443".parse().unwrap()],
        timeout: Some("5m".parse::<Timeout>().unwrap()),
        memory: Some("2GiB".parse::<ByteSize>().unwrap()),
        processes: Some(7),
        cpus: Some("1.5".parse::<Cpus>().unwrap()),
        pass: vec!["MY_*".parse::<VariablePattern>().unwrap()],
        set: [("CI".to_owned(), "1".to_owned())].into(),
        accept_degraded: vec![RuleId::Cpus],
        unix_sockets: vec!["/run/x.sock".into()],
        ..Overrides::default()
    };
    let text = "version = 1\n[filesystem]\nread = [\".\"]\n[process]\ntimeout = \"1m\"\n";
    let policy = load_with(text, &linux(), overrides).unwrap();
    assert_eq!(paths(&policy.filesystem.write), ["/home/me/project", "/srv/x", "/home/me/project/out"]);
    assert_eq!(policy.filesystem.write[1].origin, Origin::Flag { flag: "--write".to_owned() });
    assert!(reads(&policy, "/opt/y/z") && !reads(&policy, "/opt/z"));
    assert_eq!(policy.filesystem.hide.last().unwrap().value, Hide::Path("/home/me/private".into()));
    assert_eq!(policy.filesystem.protect.last().unwrap().value, Protect::Path("/home/me/project/Cargo.lock".into()));
    assert!(connects(&policy, "example.com", 8443) && !connects(&policy, "example.com", 443));
    assert_eq!(policy.process.timeout.unwrap().value.to_string(), "5m");
    assert_eq!(policy.process.memory.unwrap().origin.to_string(), "--memory");
    assert_eq!(policy.process.processes.unwrap().value, 7);
    assert_eq!(policy.process.cpus.unwrap().value.milli(), 1500);
    assert_eq!(policy.environment.set["CI"].origin.to_string(), "--set");
    assert_eq!(policy.enforcement.accept_degraded.last().unwrap().value, RuleId::Cpus);
    assert_eq!(paths(&policy.network.unix_sockets), ["/run/x.sock"]);
}

#[test]
fn an_allow_flag_wakes_no_idle_list() {
    let allow = || vec!["flag.example".parse::<HostRule>().unwrap()];
    let text = |mode: &str| format!("version = 1\n[network]\nmode = \"{mode}\"\nallow = [\"file.example\"]");
    let with_allow = Overrides { allow: allow(), ..Overrides::default() };
    let policy = load_with(&text("off"), &linux(), with_allow.clone()).unwrap();
    assert!(connects(&policy, "flag.example", 443) && !connects(&policy, "file.example", 443));
    let policy = load_with(&text("allowlist"), &linux(), with_allow.clone()).unwrap();
    assert!(connects(&policy, "flag.example", 443) && connects(&policy, "file.example", 443));
    let error = load_with("version = 1\nextends = \"guard\"", &linux(), with_allow).unwrap_err();
    assert_eq!((error.code(), error.at().unwrap().to_string().as_str()), ("rules-while-open", "--allow"));
    let offline = Overrides { offline: true, ..Overrides::default() };
    assert!(!connects(&load_with(&text("allowlist"), &linux(), offline.clone()).unwrap(), "file.example", 443));
    let open = Overrides { network: Some(NetworkMode::Open), ..Overrides::default() };
    assert!(connects(&load_with(&text("allowlist"), &linux(), open.clone()).unwrap(), "other.example", 22));
    for conflicting in [
        Overrides { allow: allow(), ..offline.clone() },
        Overrides { network: Some(NetworkMode::Open), ..offline },
        Overrides { allow: allow(), ..open },
    ] {
        assert_eq!(load_with(&text("off"), &linux(), conflicting).unwrap_err().code(), "flag-conflict");
    }
}

#[test]
fn bad_flags_are_refused_like_bad_files() {
    let write = |path: &str| Overrides { write: vec![path.into()], ..Overrides::default() };
    for (overrides, code) in [
        (write("/"), "refused-write-root"),
        (write("~"), "refused-write-root"),
        (write("../.."), "path-escape"),
        (write("a\nb"), "path-control-character"),
        (write("@git"), "path-unknown-set"),
        (write(""), "path-empty"),
        (Overrides { processes: Some(0), ..Overrides::default() }, "invalid-count"),
        (Overrides { set: [("A=".to_owned(), String::new())].into(), ..Overrides::default() }, "invalid-variable"),
        (
            Overrides { set: [("A".to_owned(), "\0".to_owned())].into(), ..Overrides::default() },
            "invalid-variable-value",
        ),
    ] {
        let error = load_with("version = 1", &linux(), overrides.clone()).unwrap_err();
        assert_eq!(error.code(), code, "{overrides:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert_eq!(error.path(), None);
    }
}

/// A path that is no text: a stray byte on Unix, half of a surrogate pair on Windows.
fn no_text() -> PathBuf {
    #[cfg(unix)]
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/srv/caf\xe9").to_owned();
    #[cfg(windows)]
    let name = {
        let units: Vec<u16> = "/srv/caf".encode_utf16().chain([0xd800]).collect();
        <std::ffi::OsString as std::os::windows::ffi::OsStringExt>::from_wide(&units)
    };
    PathBuf::from(name)
}

#[test]
fn what_is_not_utf8_is_refused() {
    let path = no_text();
    let overrides = Overrides { write: vec![path.clone()], ..Overrides::default() };
    assert_eq!(load_with("version = 1", &linux(), overrides).unwrap_err().code(), "path-not-utf8");
    let anchors = Anchors { workspace: path, ..linux() };
    assert_eq!(load_on("version = 1", &anchors).unwrap_err().code(), "bad-anchor");
}

#[test]
fn bad_anchors_are_refused() {
    for workspace in ["", "relative", "/a\nb", "C:\\x"] {
        let error = load_on("version = 1", &Anchors { workspace: workspace.into(), ..linux() }).unwrap_err();
        assert_eq!(error.code(), "bad-anchor", "{workspace:?}");
    }
    // The default profile writes in the workspace, so a workspace that is refused as a write root refuses the run.
    for workspace in ["/", "/home/me", "/home", "/etc", "/tmp"] {
        let anchors = Anchors { workspace: workspace.into(), ..linux() };
        assert_eq!(load_profile("workspace", &anchors).unwrap_err().code(), "refused-write-root", "{workspace}");
        assert!(load_profile("read-only", &anchors).is_ok(), "{workspace}");
    }
}

#[test]
fn flags_cannot_undo_a_denial_that_the_file_asserts() {
    let text = "version = 1\n[[test]]\nconnect = \"evil.example\"\nexpect = \"deny\"\n[[test]]\nwrite = \"x\"\nexpect = \"allow\"";
    let allow = |host: &str| Overrides { allow: vec![host.parse().unwrap()], ..Overrides::default() };
    assert!(load_with(text, &linux(), allow("good.example")).is_ok());
    let error = load_with(text, &linux(), allow("evil.example")).unwrap_err();
    assert_eq!((error.code(), error.line()), ("self-test-failed", Some(3)));
    // Taking something away is no failure, though the file expects an allowance.
    let protect = Overrides { protect: vec![".".into()], ..Overrides::default() };
    assert!(!writes(&load_with(text, &linux(), protect).unwrap(), "/home/me/project/x"));
}

#[test]
fn a_managed_policy_is_a_ceiling_over_files_and_flags() {
    let user = "version = 1\n[filesystem]\nwrite = [\".\", \"/srv/x\"]\n[network]\nmode = \"allowlist\"\nallow = [\"a.corp.example\", \"b.example\"]\n[process]\ntimeout = \"1h\"\n";
    let managed = "version = 1\n[network]\nmode = \"allowlist\"\nallow = [\"*.corp.example\"]\ndeny = [\"x.corp.example\"]\n[process]\ntimeout = \"10m\"\n[filesystem]\nhide = [\"/srv/x/secret\"]\n";
    let flags = Overrides {
        allow: vec!["c.example".parse().unwrap(), "x.corp.example".parse().unwrap()],
        timeout: Some("2h".parse().unwrap()),
        write: vec!["/srv/y".into()],
        ..Overrides::default()
    };
    let policy = load_managed(user, managed, flags).unwrap();
    assert_eq!(policy.profile, "p.toml");
    assert!(connects(&policy, "a.corp.example", 443));
    assert!(!connects(&policy, "b.example", 443) && !connects(&policy, "c.example", 443));
    assert!(!connects(&policy, "x.corp.example", 443));
    assert_eq!(policy.process.timeout.as_ref().unwrap().value.to_string(), "10m");
    assert_eq!(
        policy.process.timeout.as_ref().unwrap().origin,
        Origin::File { path: "m.toml".into(), line: 7, column: 11, managed: true }
    );
    // What the managed policy does not mention, it does not restrict.
    assert!(writes(&policy, "/srv/y/z") && writes(&policy, "/home/me/project/z"));
    assert!(!reads(&policy, "/srv/x/secret/z") && !writes(&policy, "/srv/x/secret/z"));
    assert_eq!(policy.enforcement.require.value, Require::Kernel);
    assert!(policy.environment.pass.iter().any(|rule| rule.value.to_string() == "LC_*"));
}

#[test]
fn an_empty_managed_policy_changes_nothing() {
    let user = "version = 1\nextends = \"guard\"\n[filesystem]\nread = [\".\", \"/opt\"]\n[network]\nunix_sockets = [\"/run/x\"]\n[enforcement]\naccept_degraded = [\"process.cpus\"]";
    for anchors in [linux(), windows()] {
        let user = if anchors.system == System::Windows {
            user.replace("/opt", "D:/opt").replace("/run/x", "D:/x")
        } else {
            user.to_owned()
        };
        let files = Memory::new([("p.toml", user.as_str()), ("m.toml", "version = 1")]);
        let request = |managed: Option<PathBuf>| Request {
            source: PolicySource::File("p.toml".into()),
            managed,
            overrides: Overrides {
                write: vec![if anchors.system == System::Windows { "E:\\x".into() } else { "/srv/x".into() }],
                ..Overrides::default()
            },
            anchors: &anchors,
        };
        let alone = load(&request(None), &files).unwrap();
        let held = load(&request(Some("m.toml".into())), &files).unwrap();
        assert_eq!(Policy { profile: alone.profile.clone(), ..meet(&alone, &alone) }, held);
    }
}

#[test]
fn a_managed_policy_fails_closed() {
    let refused = |managed: &str| load_managed("version = 1", managed, Overrides::default()).unwrap_err();
    let error = refused("version = 1\n[network]\nalow = []");
    assert_eq!((error.code(), error.path(), error.line()), ("unknown-key", Some(Path::new("m.toml")), Some(3)));
    assert_eq!(refused("version = 1\n[network]\ndeny = [\"x.example\"]").code(), "rules-while-open");
    let anchors = linux();
    let request = Request {
        source: PolicySource::Profile("workspace".to_owned()),
        managed: Some("missing.toml".into()),
        overrides: Overrides::default(),
        anchors: &anchors,
    };
    let error = load(&request, &Memory::default()).unwrap_err();
    assert!(matches!(error, PolicyError::Read { .. }), "{error}");
    // A denial that the managed policy asserts is checked against the result.
    let asserting = "version = 1\n[network]\nmode = \"allowlist\"\nallow = [\"*\"]\n[[test]]\nconnect = \"x.example\"\nexpect = \"deny\"";
    assert_eq!(refused(asserting).code(), "self-test-failed");
    let upstream = |host: &str| {
        format!("version = 1\n[network]\nmode = \"allowlist\"\nallow = [\"*\"]\nupstream = \"http://{host}:1\"")
    };
    let error = load_managed(&upstream("a.example"), &upstream("b.example"), Overrides::default()).unwrap_err();
    assert_eq!((error.code(), error.line()), ("upstream-conflict", Some(5)));
    let held = load_managed("version = 1", &upstream("b.example"), Overrides::default()).unwrap();
    assert_eq!(held.network.upstream.unwrap().value.to_string(), "http://b.example:1");
}
