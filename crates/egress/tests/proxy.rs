//! What the proxy lets through, and how it tells what it did. Everything on the loopback of the host.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::server::Server;
use common::{Kit, TestResolver, connect_through, echo, read_response, rules};
use ringfence_egress::{Answer, Ask, Code, Event, Limits, Question, Rules, UpstreamProxy, Verdict};

/// `ok.example` is a server on 127.0.0.1, which needs its literal rule, too.
fn rules_for(server: &Server) -> Rules {
    let port = server.address.port();
    rules(&[&format!("ok.example:{port}"), &format!("127.0.0.1:{port}")], &["denied.example"])
}

fn resolver() -> TestResolver {
    TestResolver::default().with("ok.example", &["127.0.0.1"])
}

fn start(server: &Server) -> Kit {
    Kit::start(rules_for(server), resolver(), |builder| builder)
}

fn target(server: &Server) -> String {
    format!("ok.example:{}", server.address.port())
}

fn get(stream: &mut TcpStream, target: &str, path: &str) -> common::Response {
    write!(stream, "GET http://{target}{path} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
    read_response(stream).expect("no answer")
}

#[test]
fn a_tunnel_carries_bytes_both_ways_and_its_account_is_right() {
    let server = Server::echo("127.0.0.1:0");
    let mut kit = start(&server);
    let (mut stream, response) = connect_through(kit.address, &target(&server));
    assert_eq!(response.status, 200);
    let payload = vec![b'x'; 3 << 20]; // enough to splice
    let mut reader = stream.try_clone().unwrap();
    let sent = payload.clone();
    let writer = std::thread::spawn(move || {
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    reader.read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(back == payload, "{} bytes came back of {}", back.len(), payload.len());

    let events = kit.finish();
    let [decision] = Kit::decisions(&events)[..] else { panic!("{events:?}") };
    assert_eq!((decision.verdict, decision.host.as_str(), decision.code), (Verdict::Allowed, "ok.example", None));
    assert_eq!(decision.rule.as_ref().unwrap().to_string(), "--allow");
    let Some(Event::Closed(closed)) = events.last() else { panic!("{events:?}") };
    assert_eq!(closed.code, None);
    let heads = 200; // the CONNECT and its answer are counted, too
    assert!((payload.len() as u64..payload.len() as u64 + heads).contains(&closed.bytes_up), "{closed:?}");
    assert!((payload.len() as u64..payload.len() as u64 + heads).contains(&closed.bytes_down), "{closed:?}");
}

#[test]
fn each_request_on_a_kept_connection_is_decided_about() {
    let server = Server::http("127.0.0.1:0");
    let mut kit = start(&server);
    let mut stream = kit.connect();
    let target = target(&server);
    assert_eq!(get(&mut stream, &target, "/one").text(), "ok");
    assert_eq!(get(&mut stream, &target, "/two").text(), "ok");
    assert_eq!(get(&mut stream, "evil.example", "/").reason(), Some("host-not-allowed"));
    assert_eq!(get(&mut stream, "denied.example", "/").reason(), Some("host-denied"));
    assert_eq!(get(&mut stream, &target, "/chunked").text(), "hello");
    drop(stream);
    let events = kit.finish();
    let verdicts: Vec<_> = Kit::decisions(&events).iter().map(|decision| decision.verdict).collect();
    use Verdict::{Allowed, Refused};
    assert_eq!(verdicts, [Allowed, Allowed, Refused, Refused, Allowed]);
    assert_eq!(kit.resolver.asked(), ["ok.example", "ok.example"], "a kept connection is not resolved again");
}

#[test]
fn a_redirect_leads_nowhere_new() {
    let server = Server::http("127.0.0.1:0");
    let kit = start(&server);
    let mut stream = kit.connect();
    let response = get(&mut stream, &target(&server), "/redirect");
    assert_eq!((response.status, response.headers["location"].as_str()), (302, "http://evil.example/"));
    assert_eq!(get(&mut stream, "evil.example", "/").reason(), Some("host-not-allowed"));
}

#[test]
fn pipelined_requests_are_told_apart() {
    let server = Server::http("127.0.0.1:0");
    let kit = start(&server);
    let target = target(&server);
    let mut stream = kit.connect();
    write!(
        stream,
        "GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\nGET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_response(&mut stream).unwrap().status, 200);
    assert_eq!(read_response(&mut stream).unwrap().reason(), Some("host-not-allowed"));
}

#[test]
fn framing_is_written_anew_so_that_nothing_is_smuggled() {
    let server = Server::with("127.0.0.1:0", |mut stream, heads| {
        let mut received = Vec::new();
        while !received.ends_with(b"0\r\n\r\n") {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            assert_ne!(count, 0);
            received.extend_from_slice(&buffer[..count]);
        }
        heads.lock().unwrap().push(String::from_utf8(received).unwrap());
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let kit = start(&server);
    let target = target(&server);
    let mut stream = kit.connect();
    // A server that believed the length would take the second request for a part of the first one's body, or the other way round.
    write!(
        stream,
        "POST http://{target}/ HTTP/1.1\r\nHost: {target}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_response(&mut stream).unwrap().status, 200);
    // RFC 9112 §6.3: after such a message the connection must not be used again.
    assert!(read_response(&mut stream).is_none());
    let head = server.heads().remove(0).to_ascii_lowercase();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    assert!(!head.contains("evil"), "{head}");
}

#[test]
fn what_was_meant_for_the_proxy_stays_here() {
    let server = Server::http("127.0.0.1:0");
    let kit = start(&server);
    let target = target(&server);
    let mut stream = kit.connect();
    write!(
        stream,
        "GET http://{target}/p?q HTTP/1.1\r\nHost: {target}\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\n\
         Connection: keep-alive, X-Hop, Host\r\nX-Hop: 1\r\nX-End: 2\r\nTE: trailers\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_response(&mut stream).unwrap().status, 200);
    let head = server.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /p?q http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {target}\r\n")) && head.contains("x-end: 2"), "{head}");
    for gone in ["proxy-", "x-hop", "te:", "upgrade", "keep-alive"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    let spoofed = get(&mut stream, &target, "/spoof");
    assert_eq!((spoofed.status, spoofed.reason()), (403, None), "a server cannot speak for the proxy");
}

#[test]
fn a_websocket_becomes_a_tunnel() {
    let server = Server::http("127.0.0.1:0");
    let kit = start(&server);
    let target = target(&server);
    let mut stream = kit.connect();
    write!(
        stream,
        "GET http://{target}/websocket HTTP/1.1\r\nHost: {target}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_response(&mut stream).unwrap().status, 101);
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"hi");
    assert!(echo(&mut stream, b"\x81\x05hello"));
}

#[test]
fn a_broken_server_is_told_from_a_refusal() {
    let server = Server::http("127.0.0.1:0");
    let kit = start(&server);
    let response = get(&mut kit.connect(), &target(&server), "/garbage");
    assert_eq!((response.status, response.reason()), (502, Some("server-malformed")));
    let mut stream = kit.connect();
    write!(stream, "GET http://{0}/short HTTP/1.1\r\nHost: {0}\r\n\r\n", target(&server)).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with("short"), "the connection ends where the server ended: {answer}");
}

#[test]
fn an_answer_that_changes_is_checked_again() {
    let server = Server::echo("127.0.0.1:0");
    let port = server.address.port();
    let rebinding = TestResolver::default().with("ok.example", &["127.0.0.1"]).with("ok.example", &["127.0.0.2"]);
    let kit = Kit::start(rules_for(&server), rebinding, |builder| builder);
    let (mut stream, first) = connect_through(kit.address, &format!("ok.example:{port}"));
    assert_eq!(first.status, 200);
    assert!(echo(&mut stream, b"hello"));
    let (_, second) = connect_through(kit.address, &format!("ok.example:{port}"));
    assert_eq!(second.reason(), Some("address-loopback"));
    assert_eq!(kit.resolver.asked().len(), 2, "once per connection");
}

#[test]
fn another_runs_proxy_is_out_of_reach() {
    let server = Server::echo("127.0.0.1:0");
    let (kit, other) = (start(&server), start(&server));
    let (_, response) = connect_through(kit.address, &other.address.to_string());
    assert_eq!(response.reason(), Some("address-loopback"));
}

#[test]
fn a_refusal_says_what_to_do() {
    let server = Server::echo("127.0.0.1:0");
    let mut kit = start(&server);
    let (_, missing) = connect_through(kit.address, "registry.example:8443");
    assert_eq!(missing.status, 403);
    assert!(missing.text().contains("registry.example:8443 [host-not-allowed]"), "{}", missing.text());
    assert!(missing.text().contains("--allow registry.example:8443"), "{}", missing.text());
    let (_, denied) = connect_through(kit.address, "denied.example:443");
    assert!(denied.text().contains("The deciding rule: --allow"), "{}", denied.text());
    assert!(!denied.text().contains("ringfence run"), "no flag helps against a deny rule: {}", denied.text());
    kit.finish();
    for event in kit.events() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
    }
}

/// Answers by host name, and counts.
struct Person(AtomicUsize);

impl Ask for Person {
    fn ask(&self, question: &Question) -> Answer {
        self.0.fetch_add(1, Ordering::SeqCst);
        match question.host.to_string().as_str() {
            "once.example" => Answer::Once,
            "run.example" => Answer::Run,
            "slow.example" => {
                std::thread::sleep(Duration::from_secs(2));
                Answer::Run
            }
            _ => Answer::No,
        }
    }
}

#[test]
fn a_person_is_asked_once_and_no_answer_is_no() {
    let server = Server::echo("127.0.0.1:0");
    let port = server.address.port();
    let resolver = ["once.example", "run.example", "no.example", "slow.example"]
        .into_iter()
        .fold(TestResolver::default(), |resolver, name| resolver.with(name, &["127.0.0.1"]));
    let person = Arc::new(Person(AtomicUsize::new(0)));
    let asked = Arc::clone(&person);
    let mut kit = Kit::start(rules(&[&format!("127.0.0.1:{port}")], &["denied.example"]), resolver, |builder| {
        let mut limits = Limits::default();
        limits.ask_time = Duration::from_millis(200);
        limits.questions = 6;
        builder.ask(asked).limits(limits)
    });
    let reason = |host: &str| {
        let (_, response) = connect_through(kit.address, &format!("{host}:{port}"));
        (response.reason().map(str::to_owned), person.0.load(Ordering::SeqCst))
    };
    let refused = |questions| (Some("ask-refused".to_owned()), questions);
    assert_eq!(reason("once.example"), (None, 1));
    assert_eq!(reason("once.example"), (None, 2), "once is once");
    assert_eq!(reason("run.example"), (None, 3));
    assert_eq!(reason("run.example"), (None, 3), "for the run");
    assert_eq!(reason("no.example"), refused(4));
    assert_eq!(reason("no.example"), refused(4), "a no is not worn down");
    assert_eq!(reason("slow.example"), refused(5), "no answer is no");
    assert_eq!(reason("denied.example").0.as_deref(), Some("host-denied"), "nobody is asked about a deny rule");
    assert_eq!(reason("127.0.0.2").0.as_deref(), Some("address-loopback"), "nor about local addresses");
    assert_eq!(reason("once.example"), (None, 6));
    assert_eq!(reason("once.example"), refused(6), "the last question has been asked");
    let events = kit.finish();
    assert!(Kit::decisions(&events).iter().any(|decision| decision.verdict == Verdict::AllowedByAnswer));
}

#[test]
fn an_upstream_proxy_gets_everything_that_is_allowed_and_nothing_else() {
    let server = Server::http("127.0.0.1:0");
    let far = start(&server);
    let upstream = UpstreamProxy::new(format!("http://{}", far.address).parse().unwrap());
    let allowed = rules(&[&target(&server), "gone.example:443"], &[]);
    // The near side resolves nothing: the upstream does.
    let mut near = Kit::start(allowed, TestResolver::default(), |builder| builder.upstream(upstream));
    let mut stream = near.connect();
    assert_eq!(get(&mut stream, &target(&server), "/").text(), "ok");
    let (mut tunnel, opened) = connect_through(near.address, &target(&server));
    assert_eq!(opened.status, 200);
    write!(tunnel, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut tunnel).unwrap().text(), "ok");
    let (_, refused) = connect_through(near.address, "evil.example:443");
    assert_eq!(refused.reason(), Some("host-not-allowed"));
    let (_, refused_there) = connect_through(near.address, "gone.example:443");
    assert_eq!((refused_there.status, refused_there.reason()), (502, Some("upstream-refused")));
    near.finish();
    assert!(near.resolver.asked().is_empty());
    assert!(!far.events().iter().any(|event| format!("{event:?}").contains("evil")), "evil.example went upstream");
}

#[test]
fn credentials_go_to_the_upstream_and_are_never_printed() {
    let upstream_server = Server::http("127.0.0.1:0");
    let upstream = UpstreamProxy::new(format!("http://{}", upstream_server.address).parse().unwrap());
    let upstream = upstream.with_credentials("user:secret");
    assert!(!format!("{upstream:?}").contains("c2VjcmV0") && !format!("{upstream:?}").contains("secret"));
    let kit = Kit::start(rules(&["ok.example"], &[]), TestResolver::default(), |builder| builder.upstream(upstream));
    assert_eq!(get(&mut kit.connect(), "ok.example", "/").text(), "ok");
    let head = upstream_server.heads().remove(0);
    assert!(head.starts_with("GET http://ok.example/ HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpzzwnyzxq=\r\n"), "{head}");
}

#[test]
fn an_upstream_that_is_gone_is_no_reason_to_go_around_it() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::echo("127.0.0.1:0");
    let mut kit = Kit::start(rules_for(&server), resolver(), |builder| {
        builder.upstream(UpstreamProxy::new(format!("http://{dead}").parse().unwrap()))
    });
    let (_, response) = connect_through(kit.address, &target(&server));
    assert_eq!((response.status, response.reason()), (502, Some("upstream-failed")));
    let mut stream = kit.connect();
    write!(stream, "GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\n\r\n", target(&server)).unwrap();
    let response = read_response(&mut stream).unwrap();
    assert_eq!((response.status, response.reason()), (502, Some("upstream-failed")));
    assert_eq!(server.accepted(), 0);
    let events = kit.finish();
    let verdicts: Vec<_> = Kit::decisions(&events).iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Failed, Verdict::Failed]);
}

#[test]
fn the_end_of_the_run_closes_and_reports_every_connection() {
    let server = Server::echo("127.0.0.1:0");
    let mut kit = start(&server);
    let (mut stream, _) = connect_through(kit.address, &target(&server));
    assert!(echo(&mut stream, b"hello"));
    let events = kit.finish();
    let Some(Event::Closed(closed)) = events.last() else { panic!("{events:?}") };
    assert_eq!(closed.code, Some(Code::Shutdown));
    assert!(!echo(&mut stream, b"hello"), "the tunnel survived the run");
}

#[test]
fn the_summary_tells_the_story() {
    let server = Server::http("127.0.0.1:0");
    let mut kit = start(&server);
    for _ in 0..3 {
        connect_through(kit.address, "evil.example:443");
    }
    get(&mut kit.connect(), &target(&server), "/");
    let summary = kit.proxy.take().unwrap().finish();
    assert_eq!(summary.blocked.len(), 1);
    assert_eq!((summary.blocked[0].count, summary.blocked[0].flag.as_deref()), (3, Some("--allow evil.example")));
    assert_eq!((summary.reached[0].host.as_str(), summary.reached[0].count), ("ok.example", 1));
    assert!(summary.bytes_up > 0 && summary.bytes_down > 0);
}
