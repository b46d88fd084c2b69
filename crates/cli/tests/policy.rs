//! `ringfence policy` and `ringfence why`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail this way, in its helpers too")]

mod common;

use std::fs;

use common::{Project, stderr, stdout};

#[test]
fn the_policy_that_init_writes_is_valid_and_has_no_warnings() {
    let project = Project::new();
    let output = project.call(["policy", "init"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = project.call(["policy", "check", "--strict"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    // Every commented line that is a setting is one that could be switched on.
    let path = project.workspace().join("ringfence.toml");
    let text = fs::read_to_string(&path).unwrap();
    let settings: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = ") && !setting.ends_with('.') => setting,
            _ => line,
        })
        .map(|line| if line == "mode = \"off\"" { "mode = \"allowlist\"\n".to_owned() } else { format!("{line}\n") })
        .collect();
    assert_ne!(settings, text);
    fs::write(&path, &settings).unwrap();
    let output = project.call(["policy", "check"]);
    assert!(output.status.success(), "{}\n{settings}", stderr(&output));
}

#[test]
fn init_replaces_a_file_only_when_told_to() {
    let project = Project::new();
    let path = project.workspace().join("ringfence.toml");
    fs::write(&path, "mine").unwrap();
    assert_eq!(project.call(["policy", "init"]).status.code(), Some(125));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert!(project.call(["policy", "init", "--force"]).status.success());
    assert_ne!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn check_warns_and_fails_only_when_it_is_strict() {
    let project = Project::new();
    let text = "version = 1\nextends = \"workspace\"\n[network]\nmode = \"allowlist\"\nallow = [\"*.github.io\"]\n";
    fs::write(project.workspace().join("ringfence.toml"), text).unwrap();
    let output = project.call(["policy", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("ringfence.toml:5:"), "{}", stdout(&output));
    assert!(stdout(&output).contains("warning["), "{}", stdout(&output));
    assert_eq!(project.call(["policy", "check", "--strict"]).status.code(), Some(1));
    let json = project.call(["policy", "check", "--json"]);
    let findings: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(!findings["warnings"].as_array().unwrap().is_empty(), "{findings}");
}

#[test]
fn the_schema_is_json_and_knows_the_tables() {
    let output = Project::new().call(["policy", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for table in ["filesystem", "network", "process", "environment", "enforcement"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
}

#[test]
fn why_names_the_rule_with_file_and_line() {
    let project = Project::new();
    let text = "version = 1\nextends = \"workspace\"\n[filesystem]\nprotect = [\"fixed\"]\n";
    fs::write(project.workspace().join("mine.toml"), text).unwrap();
    let cases: [(&[&str], i32, &[&str]); 6] = [
        (&["why", "write", "new"], 0, &["allow", "workspace (built in)"]),
        (&["why", "write", "/etc/passwd"], 1, &["deny"]),
        (&["why", "write", "--policy", "mine.toml", "fixed/x"], 1, &["deny", "filesystem.protect", "mine.toml:4:"]),
        (&["why", "read", "~/x"], 0, &["allow"]),
        (&["why", "connect", "example.com"], 1, &["deny", "example.com:443"]),
        (&["why", "connect", "--allow", "*.example.com", "a.example.com:80"], 0, &["allow", "--allow"]),
    ];
    for (arguments, status, parts) in cases {
        let output = project.call(arguments);
        let page = stdout(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {page}{}", stderr(&output));
        for part in parts {
            assert!(page.contains(part), "{arguments:?}: {part} is missing:\n{page}");
        }
    }
    let json = project.call(["why", "connect", "--json", "example.com"]);
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&answer["action"], &answer["verdict"]), (&"connect".into(), &"deny".into()), "{answer}");
}
