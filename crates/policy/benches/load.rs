//! What loading a policy costs: `cargo bench -p ringfence-policy`.
//!
//! Medians, since other work on the machine only ever adds time.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::Instant;

use ringfence_policy::{
    Anchors, Files, Host, Overrides, Policy, PolicySource, Request, System, decide_connect, decide_write, lint, load,
    meet,
};

const FILE: &str = include_str!("../tests/fixtures/valid/every-key.toml");

struct OneFile;

impl Files for OneFile {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(FILE.into())
    }
}

fn main() {
    let anchors =
        Anchors { workspace: "/home/me/project".into(), home: Some("/home/me".into()), system: System::Linux };
    let request = |source| Request { source, managed: None, overrides: Overrides::default(), anchors: &anchors };
    let profile = request(PolicySource::Profile("workspace".to_owned()));
    let file = request(PolicySource::File("every-key.toml".into()));
    let Ok(policy) = load(&file, &OneFile) else {
        eprintln!("the fixture does not load");
        std::process::exit(1);
    };
    let Ok(host) = Host::parse("db.example.com") else { std::process::exit(1) };
    report("load the profile workspace", || drop(black_box(load(&profile, &OneFile))));
    report("load a file with every key", || drop(black_box(load(&file, &OneFile))));
    report("meet it with itself", || drop::<Policy>(black_box(meet(&policy, &policy))));
    report("lint it", || drop(black_box(lint(&policy, &anchors))));
    report("decide a write", || drop(black_box(decide_write(&policy, Path::new("/home/me/project/src/main.rs")))));
    report("decide a connection", || drop(black_box(decide_connect(&policy, &host, 443))));
    report("parse a host", || drop(black_box(Host::parse(black_box("WWW.Example.COM.")))));
}

fn report(name: &str, mut action: impl FnMut()) {
    let mut microseconds: Vec<f64> = (0..2001)
        .map(|_| {
            let start = Instant::now();
            action();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    microseconds.sort_by(f64::total_cmp);
    println!("{name:30} {:9.1} µs (first decile {:.1})", microseconds[1000], microseconds[200]);
}
