//! Policy files that are right, and files that are wrong together with the exact message that each must get.
//!
//! A fixture that starts with `# system: windows` is judged by the rules of Windows. After a deliberate change of the
//! messages, `UPDATE_FIXTURES=1 cargo test -p ringfence-policy --test fixtures` writes them anew, to be read in the diff.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ringfence_policy::{Files, Overrides, Policy, PolicyError, PolicySource, Request, load, schema};
use support::{linux, windows};

struct Disk(PathBuf);

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // What a system says about a missing file differs; its kind does not.
        fs::read(self.0.join(path)).map_err(|error| error.kind().into())
    }
}

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension() == Some(OsStr::new("toml"))).collect();
    files.sort();
    files
}

fn load_fixture(path: &Path) -> Result<Policy, PolicyError> {
    let for_windows = fs::read(path).unwrap().starts_with(b"# system: windows");
    let anchors = if for_windows { windows() } else { linux() };
    let source = PolicySource::File(path.file_name().unwrap().into());
    let request = Request { source, managed: None, overrides: Overrides::default(), anchors: &anchors };
    load(&request, &Disk(path.parent().unwrap().to_owned()))
}

fn as_json(path: &Path) -> Option<serde_json::Value> {
    let text = String::from_utf8(fs::read(path).unwrap()).ok()?;
    let table: toml::Table = text.trim_start_matches('\u{feff}').parse().ok()?;
    serde_json::to_value(table).ok()
}

#[test]
fn valid_fixtures_load_and_fit_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut wrong = Vec::new();
    let fixtures = fixtures("valid");
    assert!(fixtures.len() >= 6);
    for path in fixtures {
        if let Err(error) = load_fixture(&path) {
            wrong.push(format!("{}: {error}", path.display()));
        }
        for error in validator.iter_errors(&as_json(&path).unwrap()) {
            wrong.push(format!("{}: schema: {error}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn invalid_fixtures_get_their_message() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut wrong = Vec::new();
    let fixtures = fixtures("invalid");
    assert!(fixtures.len() >= 60);
    for path in fixtures {
        let expected_path = path.with_extension("txt");
        let name = path.file_name().unwrap().to_str().unwrap();
        let got = match load_fixture(&path) {
            Ok(_) => format!("{name} loads"),
            Err(error) => {
                // Whoever reads the JSON form must find what the text says.
                if let (Some(line), Some(column)) = (error.line(), error.column()) {
                    assert!(error.to_string().contains(&format!("{name}:{line}:{column}: ")), "{error}");
                }
                assert_eq!(error.path(), Some(Path::new(name)).filter(|_| error.at().is_some()), "{error}");
                format!("[{}] {error}\n", error.code())
            }
        };
        if update && got.starts_with('[') {
            fs::write(&expected_path, &got).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default().replace("\r\n", "\n");
        if got != expected {
            wrong.push(format!("{name}\n  expected: {}\n  got:      {}", expected.trim_end(), got.trim_end()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The codes of mistakes that a schema can see; what it cannot see is whether a word is a host or a path, and what
/// depends on other files, other rules or the system.
const SEEN_BY_THE_SCHEMA: &[&str] = &[
    "invalid-count",
    "invalid-cpus",
    "invalid-duration",
    "missing-key",
    "test-actions",
    "unknown-key",
    "unknown-word",
    "unsupported-version",
    "wrong-type",
];

#[test]
fn the_schema_refuses_what_it_can_see() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut judged = 0;
    let mut wrong = Vec::new();
    for path in fixtures("invalid") {
        let Some(json) = as_json(&path) else { continue };
        let Err(error) = load_fixture(&path) else {
            continue;
        };
        // No JSON number is NaN, and a pattern cannot tell zero from one.
        let expressible = !matches!(path.file_stem().and_then(OsStr::to_str), Some("cpus-nan" | "timeout-zero"));
        if SEEN_BY_THE_SCHEMA.contains(&error.code()) && expressible {
            judged += 1;
            if validator.is_valid(&json) {
                wrong.push(format!("{}: {error}", path.display()));
            }
        }
    }
    assert!(judged >= 20, "{judged}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
