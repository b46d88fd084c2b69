//! What the tests of policies share.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use ringfence_policy::{
    Anchors, Files, Host, Overrides, Policy, PolicyError, PolicySource, Request, System, Verdict, decide_connect,
    decide_read, decide_write, load,
};

/// Files in memory.
#[derive(Default)]
pub struct Memory(pub HashMap<PathBuf, Vec<u8>>);

impl Memory {
    pub fn new<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self(files.into_iter().map(|(path, text)| (path.into(), text.into())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut normal = PathBuf::new();
        for component in path.components() {
            match component {
                Component::ParentDir => drop(normal.pop()),
                component => normal.push(component),
            }
        }
        self.0.get(&normal).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

pub fn linux() -> Anchors {
    Anchors { workspace: "/home/me/project".into(), home: Some("/home/me".into()), system: System::Linux }
}

pub fn windows() -> Anchors {
    Anchors { workspace: "C:\\Users\\Me\\project".into(), home: Some("C:\\Users\\Me".into()), system: System::Windows }
}

/// Loads one text as `p.toml`.
pub fn load_text(text: &str) -> Result<Policy, PolicyError> {
    load_on(text, &linux())
}

pub fn load_on(text: &str, anchors: &Anchors) -> Result<Policy, PolicyError> {
    load_with(text, anchors, Overrides::default())
}

pub fn load_with(text: &str, anchors: &Anchors, overrides: Overrides) -> Result<Policy, PolicyError> {
    let source = PolicySource::File("p.toml".into());
    let request = Request { source, managed: None, overrides, anchors };
    load(&request, &Memory::new([("p.toml", text)]))
}

/// Loads one text as `p.toml` under another as the managed policy `m.toml`.
pub fn load_managed(text: &str, managed: &str, overrides: Overrides) -> Result<Policy, PolicyError> {
    let anchors = linux();
    let source = PolicySource::File("p.toml".into());
    let request = Request { source, managed: Some("m.toml".into()), overrides, anchors: &anchors };
    load(&request, &Memory::new([("p.toml", text), ("m.toml", managed)]))
}

pub fn load_profile(name: &str, anchors: &Anchors) -> Result<Policy, PolicyError> {
    let source = PolicySource::Profile(name.to_owned());
    load(&Request { source, managed: None, overrides: Overrides::default(), anchors }, &Memory::default())
}

/// Every value of a list, as text.
pub fn paths(rules: &[ringfence_policy::Rule<PathBuf>]) -> Vec<&str> {
    rules.iter().map(|rule| rule.value.to_str().unwrap()).collect()
}

pub fn writes(policy: &Policy, path: &str) -> bool {
    decide_write(policy, Path::new(path)).verdict == Verdict::Allow
}

pub fn reads(policy: &Policy, path: &str) -> bool {
    decide_read(policy, Path::new(path)).verdict == Verdict::Allow
}

pub fn connects(policy: &Policy, host: &str, port: u16) -> bool {
    decide_connect(policy, &Host::parse(host).unwrap(), port).verdict == Verdict::Allow
}
