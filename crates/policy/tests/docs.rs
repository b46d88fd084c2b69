//! `docs/policy.md` says what the crate does: its examples load, and every key and every code is in it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;

use ringfence_policy::{Overrides, PROFILES, PolicySource, Request, RuleId, load, schema};
use serde_json::Value;
use support::{Memory, linux, windows};

const DOCUMENT: &str = include_str!("../../../docs/policy.md");

/// The kind (what follows `toml`), the first line and the text of each example.
fn examples() -> Vec<(&'static str, usize, String)> {
    let mut examples = Vec::new();
    let mut lines = DOCUMENT.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(kind) = line.strip_prefix("```toml") {
            let text: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```")).collect();
            examples.push((kind.trim(), number + 1, text.join("\n")));
        }
    }
    examples
}

#[test]
fn every_example_loads() {
    let mut wrong = Vec::new();
    let examples = examples();
    assert!(examples.len() >= 18, "{}", examples.len());
    for (kind, line, text) in &examples {
        let anchors = if *kind == "windows" { windows() } else { linux() };
        let files = Memory::new([("p.toml", text), ("base.toml", "version = 1\nextends = \"read-only\"")]);
        let (source, managed) = match *kind {
            "managed" => (PolicySource::Profile("workspace".to_owned()), Some("p.toml".into())),
            _ => (PolicySource::File("p.toml".into()), None),
        };
        let result = load(&Request { source, managed, overrides: Overrides::default(), anchors: &anchors }, &files);
        match (result, text.contains("# error")) {
            (Ok(_), false) | (Err(_), true) => {}
            (Ok(_), true) => wrong.push(format!("line {line}: loads, though it should not")),
            (Err(error), false) => wrong.push(format!("line {line}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema = schema();
    let mut missing = Vec::new();
    let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for key in tables.filter_map(|table| table["properties"].as_object()).flatten().map(|(key, _)| key) {
        let described = [format!("`{key}`"), format!(".{key}`"), format!("`{key} ="), format!("[{key}]")];
        if !described.iter().any(|form| DOCUMENT.contains(form.as_str())) {
            missing.push(key);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(RuleId::WORDS.iter().all(|rule| DOCUMENT.contains(&format!("`{rule}`"))));
    assert!(PROFILES.iter().all(|profile| DOCUMENT.contains(&format!("| `{profile}` |"))));
}

#[test]
fn the_schema_and_the_messages_know_the_same_keys() {
    let schema = schema();
    let mut of_schema = BTreeSet::new();
    for (key, property) in schema["properties"].as_object().unwrap() {
        of_schema.insert(key.clone());
        let target = property["$ref"].as_str().or_else(|| property["items"]["$ref"].as_str());
        let Some(table) = target.and_then(|target| target.strip_prefix("#/$defs/")) else {
            continue;
        };
        for below in schema["$defs"][table]["properties"].as_object().into_iter().flat_map(serde_json::Map::keys) {
            of_schema.insert(format!("{key}.{below}"));
        }
    }
    // The table behind the messages is private, so it is asked through them: an unknown key lists all that are known.
    let mut of_messages = BTreeSet::new();
    let tables = ["", "filesystem", "network", "process", "environment", "enforcement", "windows", "test"];
    for table in tables {
        let header = match table {
            "" => String::new(),
            "test" => "[[test]]\n".to_owned(),
            _ => format!("[{table}]\n"),
        };
        match support::load_text(&format!("version = 1\n{header}zzz = 1")).unwrap_err() {
            ringfence_policy::PolicyError::UnknownKey { known, .. } => {
                let dotted = |key| {
                    if table.is_empty() { String::from(key) } else { format!("{table}.{key}") }
                };
                of_messages.extend(known.into_iter().map(dotted));
            }
            error => panic!("{error}"),
        }
    }
    assert_eq!(of_schema, of_messages);
}

#[test]
fn every_code_is_described() {
    let errors = [
        include_str!("../src/error.rs"),
        include_str!("../src/host.rs"),
        include_str!("../src/anchor.rs"),
        include_str!("../src/value_error.rs"),
    ];
    let codes_of_errors = errors.into_iter().flat_map(|text| text.split("=> \"").skip(1));
    let lints = [include_str!("../src/lint/mod.rs"), include_str!("../src/lint/network.rs")]
        .concat()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("( ", "(");
    let codes_of_lints = lints.split("add(\"").skip(1);
    let words = codes_of_errors.chain(codes_of_lints).filter_map(|rest| rest.split('"').next());
    let is_code =
        |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let codes: BTreeSet<&str> = words.filter(is_code).collect();
    assert!(codes.len() > 80, "{}", codes.len());
    let missing: Vec<_> = codes.iter().filter(|code| !DOCUMENT.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_schema_is_one() {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap();
    assert_eq!(schema["title"], "ringfence policy");
    assert_eq!(schema["required"], Value::from(vec!["version"]));
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
}
