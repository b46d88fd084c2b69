//! The fuzz targets, run for a bounded time on every test run: the same inputs each time, so that a failure can be repeated. With
//! a nightly compiler, `cargo fuzz run TARGET` in `crates/egress/fuzz` goes on without bound.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;

use common::hello::Hello;
use common::{Kit, TestResolver, connect_through, echo, rules};
use ringfence_egress::fuzzing;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

/// Changes a good input in a few places, in the ways that break parsers.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(8) {
            0 => input.truncate(at),
            1 => input.insert(at, random.next().to_le_bytes()[0]),
            2 => drop(input.drain(at..(at + random.below(8)).min(input.len()))),
            3 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let part = other[from..].iter().take(32).copied();
                input.splice(at..at, part);
            }
            4 => {
                const SHARP: [&[u8]; 10] =
                    [b"\r\n", b"\0", b"\xff\xff", b":", b"@", b"%", b"Host: x\r\n", b"..", b"[", b"\x00\x00"];
                let sharp = SHARP[random.below(SHARP.len())].iter().copied();
                input.splice(at..at, sharp);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    input
}

fn run(seeds: &[Vec<u8>], target: fn(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    seeds.iter().for_each(|seed| target(seed));
    for _ in 0..30_000 {
        target(&mutate(&mut random, seeds));
    }
}

fn heads() -> Vec<Vec<u8>> {
    [
        "CONNECT ok.example:443 HTTP/1.1\r\nHost: ok.example:443\r\n\r\n",
        "CONNECT [2606:4700::1]:443 HTTP/1.0\r\n\r\n",
        "GET http://ok.example:8080/p?q HTTP/1.1\r\nHost: ok.example:8080\r\nX: y\r\n\r\n",
        "POST http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 2\r\n\r\nhi",
    ]
    .map(|head| head.as_bytes().to_vec())
    .to_vec()
}

fn socks_messages() -> Vec<Vec<u8>> {
    vec![
        b"\x05\x01\x00".to_vec(),
        b"\x05\x01\x00\x03\x0aok.example\x01\xbb".to_vec(),
        b"\x05\x01\x00\x01\x5d\xb8\xd8\x22\x01\xbb".to_vec(),
        b"\x05\x01\x00\x04\x26\x06\x47\x00\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb".to_vec(),
    ]
}

#[test]
fn request_heads() {
    run(&heads(), fuzzing::request_head);
}

#[test]
fn socks_exchanges() {
    run(&socks_messages(), fuzzing::socks);
}

#[test]
fn client_hellos() {
    let seeds = [
        Hello::named("ok.example").records(16384),
        Hello::named("ok.example").records(20),
        Hello { encrypted: true, ..Hello::named("ok.example") }.records(16384),
        Hello::default().records(16384),
    ];
    run(&seeds, fuzzing::client_hello);
}

#[test]
fn dns_queries() {
    let query = |name: &[u8]| {
        let mut query = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(name);
        query.extend([0, 0, 1, 0, 1]);
        query
    };
    run(&[query(b"\x02ok\x07example"), query(b"\x03www\x04wild\x07example"), query(b"")], fuzzing::dns);
}

#[test]
fn host_patterns() {
    let seeds = ["ok.example", "*.wild.example:8443", "[2606:4700::1]:443", "0x7f.1", "b\u{fc}cher.example:*", "*"];
    run(&seeds.map(|text| text.as_bytes().to_vec()), fuzzing::host_pattern);
}

/// The same against the whole proxy: whatever a client sends, no other host than the allowed one is ever resolved, and the proxy
/// still works.
#[test]
fn a_live_proxy_survives_and_lets_nothing_through() {
    let server = common::server::Server::echo("127.0.0.1:0");
    let port = server.address.port();
    let allowed = format!("127.0.0.1:{port}");
    let kit = Kit::start(rules(&["ok.example", &allowed], &[]), TestResolver::default(), |builder| builder);
    let mut seeds = heads();
    seeds.extend(socks_messages().iter().skip(1).map(|request| [b"\x05\x01\x00", request.as_slice()].concat()));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..400 {
        let mut stream = kit.connect();
        // It may be refused before everything is sent.
        let _ = stream.write_all(&mutate(&mut random, &seeds));
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(kit.resolver.asked().iter().all(|name| name == "ok.example"), "{:?}", kit.resolver.asked());
    assert!(!kit.resolver.asked().is_empty(), "no input was good enough to be resolved");
    assert_eq!(server.accepted(), 0);
    let (mut stream, response) = connect_through(kit.address, &allowed);
    assert_eq!(response.status, 200);
    assert!(echo(&mut stream, b"hello"));
}
