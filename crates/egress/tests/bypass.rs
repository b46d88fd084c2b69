//! The table of ways around the allowlist (`bypass.tsv`), each with the answer it must get.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use common::hello::Hello;
use common::server::Server;
use common::{Answer, Kit, TestResolver, client, connect_through, read_response, rules};
use ringfence_egress::{Code, Limits, Progress, Rules, read_client_hello};
use ringfence_policy::Host;

struct Row {
    line: usize,
    kind: &'static str,
    expected: &'static str,
    input: &'static str,
}

fn rows(kinds: &[&str]) -> Vec<Row> {
    let table = include_str!("bypass.tsv");
    let rows = table.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let rows = rows.map(|(index, line)| {
        let mut columns = line.splitn(3, '\t');
        let mut column = || columns.next().unwrap_or_else(|| panic!("line {}: a column is missing", index + 1));
        Row { line: index + 1, kind: column(), expected: column(), input: column() }
    });
    rows.filter(|row| kinds.contains(&row.kind)).collect()
}

fn table_rules() -> Rules {
    rules(
        &[
            "ok.example",
            "*.wild.example",
            "port.example:8443",
            "bücher.example",
            "10.0.0.5:443",
            "localhost:5432",
            "93.184.216.35:443",
            "[2606:4700::35]:443",
        ],
        &["secret.wild.example", "*.evil.wild.example", "93.184.216.66"],
    )
}

fn table_resolver() -> TestResolver {
    TestResolver::default()
        .with("ok.example", &["93.184.216.34"])
        .with("port.example", &["93.184.216.34"])
        .with("lo.wild.example", &["127.0.0.1"])
        .with("private.wild.example", &["10.0.0.9"])
        .with("mixed.wild.example", &["93.184.216.34", "10.0.0.1"])
        .with("meta.wild.example", &["169.254.169.254"])
        .with("mapped.wild.example", &["::ffff:93.184.216.34"])
        .with("denied-ip.wild.example", &["93.184.216.66"])
        .with("dead.wild.example", &["93.184.216.99"])
        .then("hang.wild.example", Answer::Never)
        .then("broken.wild.example", Answer::Error(std::io::ErrorKind::Other))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character != '\\' {
            bytes.extend(character.to_string().bytes());
            continue;
        }
        let escape = rest.chars().next().expect("a backslash at the end");
        rest = &rest[1..];
        match escape {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(&rest[..2], 16).expect("two hexadecimal digits"));
                rest = &rest[2..];
            }
            other => panic!("unknown escape {other}"),
        }
    }
    bytes
}

/// Runs every row of the kinds and reports all that fail, not the first.
fn check(kinds: &[&str], mut run: impl FnMut(&Row) -> String) {
    let rows = rows(kinds);
    assert!(!rows.is_empty());
    let mut wrong = Vec::new();
    for row in &rows {
        if row.expected != "allowed" && row.expected != "empty" {
            assert!(row.expected.parse::<Code>().is_ok(), "line {}: {} is no code", row.line, row.expected);
        }
        let got = run(row);
        if got != row.expected {
            wrong.push(format!("line {}: {} expected {}, got {got}", row.line, row.input, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    println!("{} rows of {kinds:?}", rows.len());
}

fn text<E>(decided: Result<(), E>, code: impl FnOnce(E) -> Code) -> String {
    decided.map_or_else(|error| code(error).as_str().to_owned(), |()| "allowed".to_owned())
}

#[test]
fn the_table_is_as_large_as_promised() {
    assert!(rows(&["host", "address", "hello", "http", "socks", "tunnel", "dns"]).len() >= 120);
}

#[test]
fn hosts_and_addresses_are_judged_as_the_table_says() {
    let rules = table_rules();
    let own: Vec<IpAddr> = vec!["198.41.0.4".parse().unwrap()];
    check(&["host", "address"], |row| {
        if row.kind == "host" {
            let input = String::from_utf8(unescape(row.input)).unwrap();
            let (host, port) = input.rsplit_once(' ').unwrap();
            return match Host::parse(host) {
                Err(_) => "host-malformed".to_owned(),
                Ok(host) => text(rules.judge_host(&host, port.parse().unwrap(), &own).map(drop), |denial| denial.code),
            };
        }
        let mut words = row.input.split(' ');
        let port = words.next().unwrap().parse().unwrap();
        let addresses: Vec<IpAddr> = words.map(|word| word.parse().unwrap()).collect();
        text(rules.judge_addresses(port, &addresses, &own), |denial| denial.code)
    });
}

#[test]
fn server_names_are_judged_as_the_table_says_however_they_are_split() {
    check(&["hello"], |row| {
        let mut words = row.input.split(' ');
        let host: Host = words.next().unwrap().parse().unwrap();
        let mut hello = Hello::default();
        for word in words {
            match word {
                "no-name" => {}
                "no-extensions" => hello.without_extensions = true,
                "encrypted" => hello.encrypted = true,
                "trailing" => hello.trailing = vec![0],
                name => hello.names.push(unescape(name.strip_prefix("name=").unwrap())),
            }
        }
        // What follows in another record is early data, which is right (RFC 8446 §4.2.10).
        let sizes: &[usize] = if hello.trailing.is_empty() { &[1, 2, 7, 100, 16384] } else { &[16384] };
        let mut outcomes: Vec<String> = sizes
            .iter()
            .map(|&largest| match read_client_hello(&hello.records(largest), 65536) {
                Progress::Complete(read) => {
                    let name = read.server_name.as_deref();
                    text(ringfence_egress::fuzzing::server_name(&host, name, read.encrypted), |code| code)
                }
                Progress::Malformed => Code::TlsMalformed.as_str().to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        outcomes.dedup();
        outcomes.join(" or ")
    });
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.hello_time = Duration::from_millis(300);
    limits.resolve_time = Duration::from_millis(300);
    limits
}

fn start() -> Kit {
    Kit::start(table_rules(), table_resolver(), |builder| builder.limits(limits()))
}

struct Servers {
    tls: Server,
    other_tls: Server,
    literal: Server,
    http: Server,
}

impl Servers {
    fn start() -> Self {
        Self {
            tls: Server::echo("93.184.216.34:443"),
            other_tls: Server::echo("93.184.216.34:8443"),
            literal: Server::echo("93.184.216.35:443"),
            http: Server::http("93.184.216.34:80"),
        }
    }

    fn accepted(&self) -> usize {
        self.tls.accepted() + self.other_tls.accepted() + self.literal.accepted() + self.http.accepted()
    }
}

/// What a refused row must not have led to: a connection to any server, or a question to the resolver about a host that no rule
/// names.
fn assert_nothing_leaked(row: &Row, kit: &Kit, servers: &Servers, before: usize) {
    if row.expected == "allowed" {
        return;
    }
    assert_eq!(servers.accepted(), before, "line {}: a server was reached", row.line);
    for name in kit.resolver.asked() {
        let allowed = name == "ok.example" || name == "port.example" || name.ends_with(".wild.example");
        assert!(allowed, "line {}: {name} was resolved", row.line);
    }
}

#[test]
fn requests_are_answered_as_the_table_says() {
    if !common::namespace::inside("requests_are_answered_as_the_table_says") {
        return;
    }
    let servers = Servers::start();
    // In one segment a request takes a shorter way through the proxy than in two; the answer must be the same.
    let answer = |row: &Row, cut: usize| {
        let mut kit = start();
        let before = servers.accepted();
        let mut stream = kit.connect();
        let request = unescape(row.input);
        for segment in request.chunks(cut) {
            // A refusal may come before everything is sent.
            let _ = stream.write_all(segment);
            // Time for the segment to be read alone; without it the row is checked the same way twice.
            std::thread::sleep(Duration::from_millis(3));
        }
        let _ = stream.shutdown(Shutdown::Write);
        let response = read_response(&mut stream);
        drop(stream);
        let events = kit.finish();
        assert_nothing_leaked(row, &kit, &servers, before);
        let reported = Kit::last_code(&events).map(|code| code.to_string());
        // The library hangs up on the preface of HTTP/2 without a word.
        let Some(response) = response else {
            return reported.unwrap_or_default();
        };
        match (response.status, response.reason().map(str::to_owned).or(reported)) {
            (200, _) => "allowed".to_owned(),
            (status, Some(code)) if code.parse::<Code>().unwrap().http_status() == status => code,
            other => format!("{other:?}"),
        }
    };
    check(&["http"], |row| {
        let (whole, split) = (answer(row, usize::MAX), answer(row, row.input.len() / 2));
        if whole == split { whole } else { format!("{whole}, but {split} in two segments") }
    });
}

#[test]
fn socks_clients_are_answered_as_the_table_says() {
    if !common::namespace::inside("socks_clients_are_answered_as_the_table_says") {
        return;
    }
    let servers = Servers::start();
    check(&["socks"], |row| {
        let mut kit = start();
        let before = servers.accepted();
        let mut stream = kit.connect();
        stream.write_all(&unescape(row.input)).unwrap();
        // A client that was reset for what it sent is not connected any more.
        let _ = stream.shutdown(Shutdown::Write);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let events = kit.finish();
        assert_nothing_leaked(row, &kit, &servers, before);
        match reply[..] {
            [5, 0, 5, 0, ..] => "allowed".to_owned(),
            _ => {
                let code = Kit::last_code(&events).unwrap();
                // SOCKS4 has another form of reply; its clients get a reset.
                if let [5, 0, 5, number, ..] | [5, number @ 0xff] = reply[..] {
                    assert_eq!(number, code.socks_reply(), "line {}", row.line);
                }
                code.to_string()
            }
        }
    });
}

#[test]
fn tunnels_are_watched_as_the_table_says() {
    if !common::namespace::inside("tunnels_are_watched_as_the_table_says") {
        return;
    }
    let servers = Servers::start();
    check(&["tunnel"], |row| {
        let mut kit = start();
        let (target, bytes) = row.input.split_once(' ').unwrap();
        let (mut stream, opened) = connect_through(kit.address, target);
        assert_eq!(opened.status, 200, "line {}", row.line);
        let (sent, piece) = match bytes.strip_prefix("{hello ").and_then(|rest| rest.strip_suffix('}')) {
            None => (unescape(bytes), usize::MAX),
            Some(words) => {
                let (name, variant) = words.split_once(' ').unwrap();
                let hello = Hello { encrypted: variant == "encrypted", ..Hello::named(name) };
                let largest = if variant == "records" { 3 } else { 16384 };
                (hello.records(largest), if variant == "bytes" { 1 } else { usize::MAX })
            }
        };
        for piece in sent.chunks(piece) {
            // A refusal may come before everything is sent.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        let mut back = Vec::new();
        if row.expected == "allowed" {
            back.resize(sent.len(), 0);
            stream.read_exact(&mut back).unwrap();
        } else {
            // The end of the stream would be the answer to what a slow hello waits for.
            if row.expected != Code::TlsHelloTimeout.as_str() {
                let _ = stream.shutdown(Shutdown::Write);
            }
            let _ = stream.read_to_end(&mut back);
        }
        drop(stream);
        let events = kit.finish();
        if back == sent {
            return "allowed".to_owned();
        }
        assert!(servers.http.heads().is_empty(), "line {}: a request came through", row.line);
        Kit::last_code(&events).unwrap().to_string()
    });
}

#[test]
fn names_are_answered_as_the_table_says() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolver: SocketAddr = socket.local_addr().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_resolver = tcp.local_addr().unwrap();
    let kit = Kit::start(table_rules(), table_resolver(), |builder| builder.answer_names(socket, Some(tcp)));
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_read_timeout(Some(common::PATIENCE)).unwrap();
    check(&["dns"], |row| {
        let (kind, name) = row.input.split_once(' ').unwrap();
        let mut query = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in unescape(name).split(|byte| *byte == b'.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label);
        }
        query.push(0);
        query.extend(kind.parse::<u16>().unwrap().to_be_bytes());
        query.extend([0, 1]);
        let before = kit.events().len();
        asker.send_to(&query, resolver).unwrap();
        let mut reply = [0; 512];
        let (length, _) = asker.recv_from(&mut reply).unwrap();
        let reply = &reply[..length];
        // The same over TCP.
        let mut stream = client(tcp_resolver);
        stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&query).unwrap();
        let mut size = [0; 2];
        stream.read_exact(&mut size).unwrap();
        let mut over_tcp = vec![0; u16::from_be_bytes(size).into()];
        stream.read_exact(&mut over_tcp).unwrap();
        assert_eq!(over_tcp, reply, "line {}", row.line);
        match (reply[3] & 0xf, reply[7]) {
            (0, 1) => {
                assert_eq!(reply[length - 4..length - 2], [198, 18], "line {}", row.line);
                "allowed".to_owned()
            }
            (0, 0) => "empty".to_owned(),
            _ => Kit::last_code(&kit.events()[before..]).unwrap().to_string(),
        }
    });
    assert!(kit.resolver.asked().is_empty(), "the stub asked somebody");
}
