//! Limits and faults: an honest end, nothing that hangs, nothing that is let through.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use common::server::Server;
use common::{Kit, PATIENCE, TestResolver, connect_through, echo, read_response, rules};
use ringfence_egress::{Code, Event, Limits, Verdict};

fn start(server: &Server, configure: impl FnOnce(&mut Limits)) -> Kit {
    let port = server.address.port();
    let mut limits = Limits::default();
    configure(&mut limits);
    Kit::start(
        rules(&[&format!("ok.example:{port}"), &format!("127.0.0.1:{port}")], &[]),
        TestResolver::default().with("ok.example", &["127.0.0.1"]),
        |builder| builder.limits(limits),
    )
}

fn open(kit: &Kit, server: &Server) -> TcpStream {
    let (stream, response) = connect_through(kit.address, &format!("ok.example:{}", server.address.port()));
    assert_eq!(response.status, 200);
    stream
}

fn closed_code(events: &[Event]) -> Option<Code> {
    events.iter().find_map(|event| match event {
        Event::Closed(closed) => closed.code,
        _ => None,
    })
}

/// Reads to the end and says how it came: in order, or by a reset.
fn end_of(stream: &mut TcpStream) -> Result<(), ErrorKind> {
    stream.read_to_end(&mut Vec::new()).map(drop).map_err(|error| error.kind())
}

#[test]
fn a_server_that_dies_mid_tunnel_is_no_regular_end() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    });
    let mut kit = start(&server, |_| {});
    let mut stream = open(&kit, &server);
    stream.write_all(b"x").unwrap();
    assert_eq!(end_of(&mut stream), Err(ErrorKind::ConnectionReset));
    assert_eq!(closed_code(&kit.finish()), Some(Code::ServerReset));
}

#[test]
fn a_server_that_ends_is_a_regular_end_and_the_other_half_goes_on() {
    let server = Server::with("127.0.0.1:0", |mut stream, heads| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        heads.lock().unwrap().push(rest);
    });
    let mut kit = start(&server, |_| {});
    let mut stream = open(&kit, &server);
    let mut bye = Vec::new();
    stream.read_to_end(&mut bye).unwrap();
    assert_eq!(bye, b"bye");
    stream.write_all(b"late").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    kit.wait_for(|event| matches!(event, Event::Closed(closed) if closed.code.is_none()));
    kit.finish();
    assert_eq!(server.heads(), ["late"]);
}

#[test]
fn an_idle_tunnel_ends_and_a_busy_one_does_not() {
    let server = Server::echo("127.0.0.1:0");
    let mut kit = start(&server, |limits| limits.idle_time = Duration::from_millis(800));
    let (mut idle, mut busy) = (open(&kit, &server), open(&kit, &server));
    let end = Instant::now() + Duration::from_millis(2400);
    while Instant::now() < end {
        assert!(echo(&mut busy, b"still here"));
        std::thread::sleep(Duration::from_millis(20)); // the pace of the traffic under test
    }
    assert_eq!(end_of(&mut idle), Err(ErrorKind::ConnectionReset));
    assert!(echo(&mut busy, b"still here"));
    drop(busy);
    assert_eq!(closed_code(&kit.finish()), Some(Code::IdleTimeout));
}

#[test]
fn the_total_limit_ends_even_a_busy_tunnel() {
    let server = Server::echo("127.0.0.1:0");
    let mut kit = start(&server, |limits| limits.total_time = Some(Duration::from_millis(300)));
    let mut stream = open(&kit, &server);
    let begin = Instant::now();
    while echo(&mut stream, b"hello") {
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!(closed_code(&kit.finish()), Some(Code::TotalTimeout));
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let server = Server::http("127.0.0.1:0");
    let mut kit = start(&server, |limits| limits.head_time = Duration::from_millis(300));
    let mut silent = kit.connect();
    let mut slow = kit.connect();
    slow.write_all(b"GET http://ok.example/ HT").unwrap();
    let mut slow_socks = kit.connect();
    slow_socks.write_all(&[5]).unwrap();
    for stream in [&mut silent, &mut slow, &mut slow_socks] {
        // Whatever is said at the end, it ends.
        let _ = end_of(stream);
    }
    let events = kit.finish();
    let mut codes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Closed(closed) => closed.code,
            _ => None,
        })
        .collect();
    codes.sort_by_key(|code| code.as_str());
    assert_eq!(codes, [Code::RequestHeadTimeout, Code::RequestHeadTimeout, Code::SocksTimeout]);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::http("127.0.0.1:0");
    for head in [
        format!("GET http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
        format!("GET http://ok.example/{} HTTP/1.1\r\nHost: ok.example\r\n\r\n", "x".repeat(100_000)),
        format!("GET http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\n{}\r\n", "X: y\r\n".repeat(200)),
    ] {
        let mut kit = start(&server, |_| {});
        let mut stream = kit.connect();
        let mut reader = stream.try_clone().unwrap();
        // The refusal may come before everything is sent.
        let writer = std::thread::spawn(move || drop(stream.write_all(head.as_bytes())));
        let status = read_response(&mut reader).map(|response| response.status);
        writer.join().unwrap();
        assert!(matches!(status, None | Some(431 | 414)), "{status:?}");
        assert_eq!(Kit::last_code(&kit.finish()), Some(Code::RequestHeadTooLarge));
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn connections_beyond_the_limit_are_turned_away_and_places_are_freed() {
    let server = Server::echo("127.0.0.1:0");
    let kit = start(&server, |limits| limits.connections = 2);
    let (mut first, second) = (open(&kit, &server), open(&kit, &server));
    let mut third = kit.connect();
    let _ = third.write_all(b"CONNECT ok.example:1 HTTP/1.1\r\n\r\n");
    assert!(read_response(&mut third).is_none());
    kit.wait_for(|event| *event == Event::Fault { code: Code::TooManyConnections });
    assert!(echo(&mut first, b"hello"), "the others are not disturbed");
    drop(second);
    kit.wait_for(|event| matches!(event, Event::Closed(_)));
    assert!(echo(&mut open(&kit, &server), b"hello"));
}

#[test]
fn a_client_that_does_not_read_starves_nobody() {
    let flood = Server::with("127.0.0.1:0", |mut stream, _| {
        let block = vec![0; 1 << 20];
        while stream.write_all(&block).is_ok() {}
    });
    let echoing = Server::echo("127.0.0.1:0");
    let (flood_port, echo_port) = (flood.address.port(), echoing.address.port());
    let kit = Kit::start(
        rules(&[&format!("127.0.0.1:{flood_port}"), &format!("127.0.0.1:{echo_port}")], &[]),
        TestResolver::default(),
        |builder| builder,
    );
    // One that reads everything as fast as it can, and some that read nothing.
    let (mut greedy, _) = connect_through(kit.address, &flood.address.to_string());
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end && greedy.read(&mut buffer).is_ok() {}
    });
    let stuck: Vec<_> = (0..8).map(|_| connect_through(kit.address, &flood.address.to_string()).0).collect();
    let (mut stream, _) = connect_through(kit.address, &echoing.address.to_string());
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let begin = Instant::now();
        assert!(echo(&mut stream, b"hello"));
        slowest = slowest.max(begin.elapsed());
    }
    reader.join().unwrap();
    drop(stuck);
    // Generous for a loaded machine; a starved tunnel would have waited for the flood's whole second.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[test]
fn without_descriptors_clients_are_told_and_nothing_hangs() {
    const MARKER: &str = "RINGFENCE_EGRESS_TEST_FEW_DESCRIPTORS";
    let name = "without_descriptors_clients_are_told_and_nothing_hangs";
    if std::env::var_os(MARKER).is_none() {
        if !cfg!(unix) {
            println!("skipped {name}: the limit of open files is set with ulimit");
            return;
        }
        let status = Command::new("sh")
            .args(["-c", "ulimit -n 40 && exec \"$0\" --exact \"$1\" --nocapture"])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(MARKER, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    // Client, proxy and server share the few descriptors of this process.
    let server = Server::echo("127.0.0.1:0");
    let kit = start(&server, |_| {});
    let mut tunnels = Vec::new();
    let mut told = 0;
    for _ in 0..60 {
        let Ok(mut stream) = TcpStream::connect(kit.address) else {
            break;
        };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("CONNECT ok.example:{} HTTP/1.1\r\n\r\n", server.address.port());
        let answer = stream.write_all(head.as_bytes()).ok().and_then(|()| read_response(&mut stream));
        match answer {
            Some(response) if response.status == 200 => tunnels.push(stream),
            Some(response) => {
                assert_eq!((response.status, response.reason()), (503, Some("descriptors-exhausted")));
                told += 1;
            }
            None => told += 1,
        }
    }
    assert!(!tunnels.is_empty());
    let exhausted = |event: &Event| match event {
        Event::Fault { code } => *code == Code::DescriptorsExhausted,
        Event::Decision(decision) => {
            decision.code == Some(Code::DescriptorsExhausted) && decision.verdict == Verdict::Failed
        }
        _ => false,
    };
    assert!(told > 0 || kit.events().iter().any(exhausted), "the descriptors were never exhausted");
    // With descriptors free again, everything works as before.
    drop(tunnels);
    let end = Instant::now() + PATIENCE;
    loop {
        let (mut stream, response) = connect_through(kit.address, &format!("ok.example:{}", server.address.port()));
        if response.status == 200 && echo(&mut stream, b"hello") {
            return;
        }
        assert!(Instant::now() < end, "the proxy did not recover");
    }
}
