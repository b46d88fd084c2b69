//! Direct connections inside a network namespace: a program that knows nothing of proxies reaches exactly the allowlist.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use common::hello::Hello;
use common::server::Server;
use common::{Kit, TestResolver, client, echo, read_response, rules};
use ringfence_egress::{Code, Protocol, Verdict};

/// Asks the stub resolver for an A record.
fn resolve(name: &str) -> Result<[u8; 4], u8> {
    let mut query = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(common::PATIENCE)).unwrap();
    socket.send_to(&query, "127.0.0.1:53").unwrap();
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).unwrap();
    if reply[3] & 0xf != 0 {
        return Err(reply[3] & 0xf);
    }
    Ok(reply[length - 4..length].try_into().unwrap())
}

fn connect(name: &str, port: u16) -> TcpStream {
    let address = (std::net::IpAddr::from(resolve(name).unwrap()), port).to_socket_addrs().unwrap().next().unwrap();
    client(address)
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    stream.read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[test]
fn programs_that_know_no_proxy_reach_exactly_the_allowlist() {
    if !common::namespace::inside("programs_that_know_no_proxy_reach_exactly_the_allowlist") {
        return;
    }
    // Host and run share one namespace here, so that the servers listen on addresses of their own, and the run's listeners on
    // some of those that a wildcard would cover.
    let ssh = Server::echo("93.184.216.34:22");
    let tls = Server::echo("93.184.216.34:443");
    let web = Server::http("93.184.216.34:80");
    let database = Server::echo("127.0.0.1:5432");
    let literal = Server::echo("93.184.216.40:9000");

    let listen = |address: &str| TcpListener::bind(address).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:53").unwrap();
    let mut kit = Kit::start(
        rules(&["ok.example", "ok.example:22", "localhost:5432", "93.184.216.41:9000"], &[]),
        TestResolver::default().with("ok.example", &["93.184.216.34"]),
        |builder| {
            builder
                .answer_names(udp, Some(listen("127.0.0.1:53")))
                .listen_transparent(listen("198.18.0.1:22"))
                .listen_transparent(listen("198.18.0.1:80"))
                .listen_transparent(listen("198.18.0.1:443"))
                .listen_transparent(listen("198.18.0.9:443"))
                .listen_transparent(listen("127.0.0.9:5432"))
                .listen_transparent(listen("127.0.0.9:5433"))
                .listen_transparent(listen("93.184.216.41:9001"))
        },
    );

    // ssh: any protocol on an allowed port.
    assert!(echo(&mut connect("ok.example", 22), b"SSH-2.0-test\r\n"));
    assert_eq!(ssh.accepted(), 1);

    // TLS with the right name, and with another one.
    assert!(echo(&mut connect("ok.example", 443), &Hello::named("ok.example").records(16384)));
    let mut fronted = connect("ok.example", 443);
    fronted.write_all(&Hello::named("evil.example").records(16384)).unwrap();
    let mut alert = Vec::new();
    let _ = fronted.read_to_end(&mut alert);
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 112], "the client is told with a TLS alert");
    assert_eq!(tls.accepted(), 2);

    // Plain HTTP is answered request by request.
    let mut stream = connect("ok.example", 80);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ok.example\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).unwrap().text(), "ok");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).unwrap().reason(), Some("host-mismatch"));
    assert_eq!(web.heads().len(), 1);

    // A service of the host by a localhost rule, and a port without one.
    assert!(echo(&mut client("127.0.0.9:5432".parse().unwrap()), b"select 1"));
    assert_eq!(database.accepted(), 1);
    assert!(is_reset(&mut client("127.0.0.9:5433".parse().unwrap())));

    // Names that are not allowed do not exist; addresses that were not handed out lead nowhere.
    assert_eq!(resolve("evil.example"), Err(5));
    assert!(is_reset(&mut client("198.18.0.9:443".parse().unwrap())));
    assert!(is_reset(&mut client("93.184.216.41:9001".parse().unwrap())));
    assert_eq!(literal.accepted(), 0);

    let events = kit.finish();
    let refused: Vec<_> = Kit::decisions(&events)
        .into_iter()
        .filter(|decision| decision.verdict == Verdict::Refused)
        .map(|decision| (decision.protocol, decision.host.as_str(), decision.port, decision.code.unwrap().as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            (Protocol::Transparent, "ok.example", 443, "tls-name-mismatch"),
            (Protocol::Http, "evil.example", 80, Code::HostMismatch.as_str()),
            (Protocol::Transparent, "localhost", 5433, Code::PortNotAllowed.as_str()),
            (Protocol::Dns, "evil.example", 0, "host-not-allowed"),
            (Protocol::Transparent, "198.18.0.9", 443, "address-unknown"),
            (Protocol::Transparent, "93.184.216.41", 9001, "port-not-allowed"),
        ]
    );
}
