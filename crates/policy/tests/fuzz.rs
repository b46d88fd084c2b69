//! Hostile policies and hosts: whatever comes in, an answer comes out, in one line and in time.
//!
//! Mutation of known files by a fixed seed, bounded to about two seconds; `FUZZ_SECONDS` and `FUZZ_SEED` change that.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use ringfence_policy::{Host, HostRule, Overrides, PROFILES, PolicySource, Request, builtin, lint, load, meet};
use support::{Memory, linux, windows};

/// Marsaglia's xorshift64: reproducible, and good enough to choose bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn choose<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

const TOKENS: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "\\u0000",
    "\\U0010FFFF",
    "\n",
    "\r\n",
    "\0",
    ",",
    ".",
    "..",
    "../",
    "/",
    "\\\\",
    "~",
    "@git",
    "@secrets",
    "@",
    "*",
    "*.",
    "#",
    "nan",
    "inf",
    "-1",
    "0x7f",
    "9223372036854775807",
    "1e400",
    "true",
    "1979-05-27",
    "version = 1\n",
    "extends = \"p.toml\"\n",
    "[[test]]\n",
    "[filesystem]\n",
    "write",
    "expect",
    "localhost:",
    "[::1]",
    "::ffff:",
    "%",
    "xn--",
    "ü",
    "\u{202e}",
    "\u{feff}",
    "。",
    "C:\\\\",
    "\\\\\\\\?\\\\",
    "NUL",
    "1h",
    "4GiB",
    "é",
];

fn mutate(text: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(24)).min(text.len());
        match random.below(7) {
            0 => drop(text.drain(at..end)),
            1 => {
                let token = random.choose(TOKENS).bytes();
                text.splice(at..at, token);
            }
            2 => {
                let token = random.choose(TOKENS).bytes();
                text.splice(at..end, token);
            }
            3 => {
                let copy = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, copy);
            }
            4 => {
                let other = random.choose(corpus);
                let from = random.below(other.len() + 1);
                let until = (from + random.below(120)).min(other.len());
                text.splice(at..at, other[from..until].iter().copied());
            }
            5 if at < text.len() => text[at] ^= 1 << random.below(8),
            _ => {
                let line: Vec<u8> = text[at..end].repeat(1 + random.below(40));
                text.splice(at..at, line);
            }
        }
    }
}

fn seconds() -> Duration {
    let seconds = env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    Duration::from_secs_f64(seconds)
}

fn seed() -> Random {
    Random(env::var("FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed_0001))
}

/// One line that a terminal shows as it is.
fn is_one_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

#[test]
fn policies() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut corpus: Vec<Vec<u8>> = PROFILES.iter().map(|name| builtin(name).unwrap().as_bytes().to_vec()).collect();
    // What is right weighs as much as what is wrong, so that mutants get past the parser.
    for (kind, weight) in [("valid", 10), ("invalid", 1)] {
        let mut files: Vec<_> = fs::read_dir(fixtures.join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        for path in files {
            corpus.extend(std::iter::repeat_n(fs::read(path).unwrap(), weight));
        }
    }
    let anchors = [linux(), windows()];
    let mut random = seed();
    let (mut loaded, mut refused) = (0_u64, 0_u64);
    let start = Instant::now();
    while start.elapsed() < seconds() {
        let mut text = random.choose(&corpus).clone();
        mutate(&mut text, &corpus, &mut random);
        let anchors = random.choose(&anchors);
        let files = Memory([("p.toml".into(), text)].into());
        let request = Request {
            source: PolicySource::File("p.toml".into()),
            managed: None,
            overrides: Overrides::default(),
            anchors,
        };
        match load(&request, &files) {
            Ok(policy) => {
                loaded += 1;
                assert!(lint(&policy, anchors).iter().all(|lint| is_one_line(&lint.message)));
                let normal = meet(&policy, &policy);
                assert_eq!(meet(&normal, &normal), normal);
                let json = serde_json::to_string(&policy).unwrap();
                assert_eq!(serde_json::from_str::<ringfence_policy::Policy>(&json).unwrap(), policy);
            }
            Err(error) => {
                refused += 1;
                assert!(is_one_line(&error.to_string()), "{error}");
                assert!(!error.code().is_empty());
            }
        }
    }
    println!("{loaded} policies loaded, {refused} refused");
    // Mutations that only ever break the file would test nothing but the TOML parser.
    assert!(loaded > 0 && refused > 0);
}

#[test]
fn hosts() {
    let corpus: Vec<Vec<u8>> = [
        "example.com",
        "*.example.com:443",
        "bücher.example",
        "xn--bcher-kva.example",
        "127.0.0.1",
        "0x7f.1",
        "[::1]:443",
        "[::ffff:127.0.0.1]",
        "fe80::1%eth0",
        "https://example.com/x",
        "user@example.com",
        "a.b.c.d.e.f:65535",
        "。．｡",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    let mut random = seed();
    let (mut hosts, mut refused) = (0_u64, 0_u64);
    let start = Instant::now();
    while start.elapsed() < seconds() {
        let mut text = random.choose(&corpus).clone();
        mutate(&mut text, &corpus, &mut random);
        let text = String::from_utf8_lossy(&text);
        match Host::parse(&text) {
            Ok(host) => {
                hosts += 1;
                assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
            Err(error) => {
                refused += 1;
                assert!(is_one_line(&error.to_string()), "{error}");
            }
        }
        for rule in [text.parse::<HostRule>(), HostRule::parse_deny(&text)] {
            match rule {
                Ok(rule) => assert_eq!(rule.to_string().parse(), Ok(rule)),
                Err(error) => assert!(is_one_line(&error.to_string()), "{error}"),
            }
        }
    }
    println!("{hosts} hosts, {refused} refused");
    assert!(hosts > 0 && refused > 0);
}
