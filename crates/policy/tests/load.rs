//! From files to one policy, and what it decides.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::Instant;

use ringfence_policy::{
    Everyone, MAX_FILE_SIZE, NetworkMode, Overrides, PROFILES, Policy, PolicySource, ReadScope, Request, Require,
    System, builtin, lint, load, meet,
};
#[cfg(unix)]
use ringfence_policy::{Host, decide_connect, decide_write};
use support::{Memory, connects, linux, load_on, load_profile, load_text, paths, reads, windows, writes};

#[test]
fn every_profile_loads_on_both_systems() {
    for anchors in [linux(), windows()] {
        for profile in PROFILES {
            let policy = load_profile(profile, &anchors).unwrap();
            assert_eq!(policy.profile, *profile);
            assert_eq!(policy.anchors, anchors);
        }
    }
    assert!(builtin("workspace").is_some_and(|text| text.contains("version = 1")));
    assert_eq!(builtin("unrestricted"), None);
    assert_eq!(load_profile("unrestricted", &linux()).unwrap_err().code(), "unknown-profile");
    let error = load_profile("workspaces", &linux()).unwrap_err();
    assert!(error.to_string().contains("did you mean `workspace`?"), "{error}");
}

#[test]
fn the_default_profile_is_what_the_design_says() {
    let policy = load_profile("workspace", &linux()).unwrap();
    assert!(writes(&policy, "/home/me/project/src/main.rs"));
    assert!(!writes(&policy, "/home/me/project2/x"));
    assert!(!writes(&policy, "/home/me/.bashrc"));
    for protected in [
        ".git/hooks/pre-commit",
        ".git/config",
        "sub/.git/config",
        ".git/modules/a/hooks/x",
        ".vscode/tasks.json",
        ".mcp.json",
        "ringfence.toml",
    ] {
        assert!(!writes(&policy, &format!("/home/me/project/{protected}")), "{protected}");
    }
    for open in [".git/index", ".git/objects/ab/cd", ".git/refs/heads/main", ".github/x", ".git/modules/a/objects/x"] {
        assert!(writes(&policy, &format!("/home/me/project/{open}")), "{open}");
    }
    assert!(reads(&policy, "/etc/hosts"));
    assert!(!reads(&policy, "/home/me/.ssh/id_ed25519"));
    assert!(!reads(&policy, "/home/me/.mozilla/firefox/x"));
    assert!(!connects(&policy, "example.com", 443));
    assert_eq!(policy.enforcement.require.value, Require::Kernel);
    assert_eq!(policy.windows.everyone.value, Everyone::Auto);
    let passes =
        |name: &str| policy.environment.pass.iter().any(|rule| rule.value.matches_on(name.as_bytes(), System::Linux));
    assert!(["PATH", "LC_ALL", "CARGO_HOME", "SystemRoot"].into_iter().all(passes));
    assert!(!["GITHUB_TOKEN", "SSH_AUTH_SOCK", "CARGO_REGISTRY_TOKEN", "HTTPS_PROXY", "PATHS"].into_iter().any(passes));
}

#[test]
fn the_usual_variables_can_be_named_as_a_set() {
    let with = |pass: &str| load_text(&format!("version = 1\n[environment]\npass = [{pass}]\n"));
    let usual = load_profile("workspace", &linux()).unwrap().environment.pass;
    let more = with("\"@usual\", \"MY_TOOL\"").unwrap().environment.pass;
    let values = |rules: &[ringfence_policy::Rule<ringfence_policy::VariablePattern>]| -> Vec<_> {
        rules.iter().map(|rule| rule.value.to_string()).collect()
    };
    let mut expected = values(&usual);
    expected.push("MY_TOOL".to_owned());
    assert_eq!(values(&more), expected);
    assert!(expected.len() > 150 && expected.contains(&"LC_*".to_owned()));
    // Each of them is one that a policy could name by itself, and the place of the set is the place of all of it.
    assert!(expected.iter().all(|name| name.parse::<ringfence_policy::VariablePattern>().is_ok()));
    assert!(more[..usual.len()].iter().all(|rule| rule.origin == more[0].origin));
    let error = with("\"PATH\", \"@secrets\"").unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(3), Some(17)), "{error}");
}

#[test]
fn the_other_profiles_differ_as_they_say() {
    let read_only = load_profile("read-only", &linux()).unwrap();
    assert!(!writes(&read_only, "/home/me/project/x"));
    assert!(!reads(&read_only, "/home/me/.aws/credentials"));
    assert!(!connects(&read_only, "example.com", 443));
    let guard = load_profile("guard", &linux()).unwrap();
    assert!(writes(&guard, "/home/me/project/x") && !writes(&guard, "/home/me/x"));
    assert!(reads(&guard, "/home/me/.aws/credentials"));
    assert!(connects(&guard, "example.com", 22));
    assert_eq!(guard.filesystem.hide, []);
}

#[test]
fn lists_replace_and_tables_merge() {
    let files = Memory::new([
        (
            "team/base.toml",
            "version = 1\nextends = \"guard\"\n[filesystem]\nwrite = [\".\", \"/srv/a/b\"]\n[process]\ntimeout = \"1m\"\nmemory = \"1GiB\"\n[environment]\nset = { A = \"base\", B = \"base\" }\n[[test]]\nwrite = \"/srv/a/b/c\"\nexpect = \"deny\"\n",
        ),
        (
            "team/project/p.toml",
            "version = 1\nextends = \"../base.toml\"\n[filesystem]\nwrite = [\"/srv/c\"]\n[process]\ntimeout = \"2m\"\n[environment]\nset = { B = \"own\" }\n",
        ),
    ]);
    let anchors = linux();
    let request = |path: &str| Request {
        source: PolicySource::File(path.into()),
        managed: None,
        overrides: Overrides::default(),
        anchors: &anchors,
    };
    let policy = load(&request("team/project/p.toml"), &files).unwrap();
    assert_eq!(paths(&policy.filesystem.write), ["/srv/c"]);
    assert_eq!(policy.process.timeout.as_ref().unwrap().value.to_string(), "2m");
    assert_eq!(policy.process.memory.as_ref().unwrap().value.to_string(), "1GiB");
    assert_eq!(policy.network.mode.value, NetworkMode::Open);
    let set: Vec<_> = policy.environment.set.iter().map(|(name, rule)| (name.as_str(), rule.value.as_str())).collect();
    assert_eq!(set, [("A", "base"), ("B", "own")]);
    assert_eq!(policy.filesystem.write[0].origin.to_string(), "team/project/p.toml:4:10");
    assert_eq!(policy.process.memory.unwrap().origin.to_string(), "team/project/../base.toml:7:10");
    assert_eq!(policy.network.mode.origin.to_string(), "guard (built in)");
    assert_eq!(policy.environment.pass[0].origin.to_string(), "workspace (built in)");
    // A test belongs to every policy that extends it, and the base alone fails its own.
    assert_eq!(policy.tests.len(), 1);
    let error = load(&request("team/base.toml"), &files).unwrap_err();
    assert_eq!((error.code(), error.line()), ("self-test-failed", Some(11)));
}

#[test]
fn circles_and_long_chains_are_refused() {
    let anchors = linux();
    let load_all = |files: &Memory| {
        let source = PolicySource::File("0.toml".into());
        load(&Request { source, managed: None, overrides: Overrides::default(), anchors: &anchors }, files)
    };
    let chain = |length: usize, last: &str| {
        let mut files = Memory::default();
        for number in 0..length {
            let next = if number + 1 == length { last.to_owned() } else { format!("./{}.toml", number + 1) };
            files.0.insert(format!("{number}.toml").into(), format!("version = 1\nextends = \"{next}\"").into());
        }
        files
    };
    assert!(load_all(&chain(15, "workspace")).is_ok());
    let error = load_all(&chain(15, "guard")).unwrap_err();
    assert_eq!((error.code(), error.path()), ("extends-too-deep", None), "{error}");
    let error = load_all(&chain(100, "workspace")).unwrap_err();
    assert_eq!((error.code(), error.path()), ("extends-too-deep", Some(Path::new("15.toml"))), "{error}");
    let error = load_all(&chain(3, "x/../1.toml")).unwrap_err();
    assert_eq!((error.code(), error.line(), error.column()), ("extends-cycle", Some(2), Some(11)));
    assert!(error.to_string().contains("circle: 1.toml -> 2.toml -> 1.toml;"), "{error}");
}

#[test]
fn a_file_without_extends_starts_from_workspace() {
    let policy = load_text("version = 1").unwrap();
    let workspace = load_profile("workspace", &linux()).unwrap();
    assert_eq!(policy.filesystem, workspace.filesystem);
    assert_eq!(policy.environment, workspace.environment);
    assert_eq!(policy.profile, "p.toml");
}

#[cfg(unix)]
#[test]
fn decisions_name_the_rule() {
    let text = "version = 1\n[filesystem]\nprotect = [\"@git\", \"a/b\"]\nhide = [\"c\"]\n[network]\nmode = \"allowlist\"\nallow = [\"x.example\"]\ndeny = [\"y.example\"]\n";
    let policy = load_text(text).unwrap();
    let write = |path: &str| {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/home/me/project/{path}") };
        decide_write(&policy, Path::new(&path)).to_string()
    };
    assert_eq!(write("a/b/c"), "denied: it is protected (filesystem.protect \"/home/me/project/a/b\", p.toml:3:20)");
    assert_eq!(write("c/d"), "denied: it is hidden (filesystem.hide \"/home/me/project/c\", p.toml:4:9)");
    assert_eq!(write("/x"), "denied: no write root covers it");
    assert_eq!(
        write("d"),
        "allowed: it lies in a write root (filesystem.write \"/home/me/project\", workspace (built in))"
    );
    assert_eq!(decide_write(&policy, Path::new("x")).to_string(), "denied: the path is not absolute");
    let connect = |host, port| decide_connect(&policy, &Host::parse(host).unwrap(), port).to_string();
    assert_eq!(connect("x.example", 443), "allowed: the host is allowed (network.allow \"x.example\", p.toml:7:10)");
    assert_eq!(
        connect("x.example", 22),
        "denied: the host is allowed, but not on this port (network.allow \"x.example\", p.toml:7:10)"
    );
    assert_eq!(connect("y.example", 22), "denied: the host is denied (network.deny \"y.example:*\", p.toml:8:9)");
    assert_eq!(connect("z.example", 443), "denied: no rule allows the host (network.mode \"allowlist\", p.toml:6:8)");
    let json = serde_json::to_value(decide_write(&policy, Path::new("/x"))).unwrap();
    assert_eq!(json, serde_json::json!({"verdict": "deny", "reason": "outside-write-roots", "rule": null}));
}

#[test]
fn a_read_list_leaves_the_runtime_readable() {
    let policy = load_text("version = 1\n[filesystem]\nread = [\"~/.cargo\"]").unwrap();
    assert!(matches!(policy.filesystem.read, ReadScope::Roots(_)));
    for (path, expected) in [
        ("/home/me/.cargo/bin/cargo", true),
        ("/home/me/project/x", true),
        ("/usr/bin/env", true),
        ("/etc/ld.so.cache", true),
        ("/home/me/.cargo/credentials.toml", false),
        ("/home/me/notes", false),
        ("/etc/other", false),
        ("/usr/../home/me/notes", false),
    ] {
        assert_eq!(reads(&policy, path), expected, "{path}");
    }
}

#[test]
fn windows_ignores_case_and_spelling() {
    let text = "version = 1\n[filesystem]\nwrite = [\".\", \"d:/Work\"]\nprotect = [\"@git\", \".VSCode\"]\n";
    let policy = load_on(text, &windows()).unwrap();
    for (path, expected) in [
        ("C:\\USERS\\me\\PROJECT\\x", true),
        ("\\\\?\\C:\\Users\\Me\\project\\x", true),
        ("D:\\WORK\\x", true),
        ("C:\\Users\\Me\\project\\.vscode\\x", false),
        ("C:\\Users\\Me\\project\\.vscode.\\x", false),
        ("C:\\Users\\Me\\project\\.vscode::$INDEX_ALLOCATION\\x", false),
        ("C:\\Users\\Me\\project\\.GIT\\Hooks\\pre-commit", false),
        ("C:\\Users\\Me\\project\\..\\x", false),
        ("D:\\Workshop\\x", false),
        ("\\\\.\\D:\\Work\\x", false),
    ] {
        assert_eq!(writes(&policy, path), expected, "{path}");
    }
    assert!(!reads(&policy, "c:\\users\\ME\\appdata\\local\\google\\chrome\\user data\\Default\\Cookies"));
}

#[test]
fn a_policy_survives_serialising() {
    let every_key = include_str!("fixtures/valid/every-key.toml");
    for policy in [load_text(every_key).unwrap(), load_profile("workspace", &windows()).unwrap()] {
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }
}

#[test]
fn a_file_beyond_the_bound_is_refused() {
    let mut text = "version = 1\n".to_owned();
    text.push_str(&"#".repeat(MAX_FILE_SIZE - text.len()));
    assert!(load_text(&text).is_ok());
    text.push('#');
    let error = load_text(&text).unwrap_err();
    assert_eq!(error.code(), "policy-too-large");
    assert!(error.to_string().starts_with("p.toml: 1048577 bytes, more than the 1048576"), "{error}");
    assert_eq!(load_text(&"x".repeat(10 << 20)).unwrap_err().code(), "policy-too-large");
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["x = ".to_owned() + &"[".repeat(100_000), "a.".repeat(100_000) + "b = 1"] {
        assert!(load_text(&text).is_err());
    }
}

/// 10,000 entries of each kind that `lint` and `meet` compare with each other: what is quadratic takes minutes here.
#[test]
fn ten_thousand_entries_are_fast() {
    let list = |entry: &dyn Fn(usize) -> String| {
        (0..2_000).map(|number| format!("\"{}\",", entry(number))).collect::<String>()
    };
    let text = format!(
        "version = 1\n[filesystem]\nwrite = [{}]\nprotect = [{}]\nhide = [{}]\n[network]\nmode = \"allowlist\"\nallow = [{}]\n[environment]\npass = [{}]\n{}",
        list(&|number| format!("/srv/w{number}")),
        list(&|number| format!("/srv/w{number}/p/q")),
        list(&|number| format!("/srv/w{number}/h")),
        list(&|number| format!("*.a.b.c.d.e.h{number}.example:{}", number + 1)),
        list(&|number| format!("V{number}_*")),
        (0..2_000)
            .map(|number| format!("[[test]]\nwrite = \"/srv/w{number}/p/q\"\nexpect = \"deny\"\n"))
            .collect::<String>(),
    );
    let same_host = format!(
        "version = 1\n[network]\nmode = \"allowlist\"\nallow = [{}]",
        (1..=10_000).map(|port| format!("\"x.example:{port}\",")).collect::<String>()
    );
    let one_line_unicode = format!("version = 1\n[filesystem]\nhide = [{}]", "\"ü\",".repeat(10_000));
    let start = Instant::now();
    for text in [&text, &same_host, &one_line_unicode] {
        let policy = load_text(text).unwrap();
        let _ = lint(&policy, &linux());
        let met = meet(&policy, &policy);
        assert_eq!(meet(&met, &policy), met);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("3 policies of 10,000 entries loaded, linted and met twice: {seconds:.2} s");
    assert!(seconds < 10.0, "{seconds}");
}
