//! Servers, resolvers and clients for the tests. Everything stays on loopback, or in a network namespace of the test's own.

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

pub mod hello;
pub mod namespace;
pub mod server;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringfence_egress::{Builder, Code, Decision, Event, Proxy, Resolver, Resolving, Rules, Verdict};
use ringfence_policy::{DomainName, HostRule, Origin, Rule};

/// Long enough for a loaded machine; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn rules(allow: &[&str], deny: &[&str]) -> Rules {
    let origin = || Origin::Flag { flag: "--allow".to_owned() };
    let allow = allow.iter().map(|text| Rule::new(text.parse().unwrap(), origin())).collect();
    let deny = deny.iter().map(|text| Rule::new(HostRule::parse_deny(text).unwrap(), origin())).collect();
    Rules::new(allow, deny)
}

/// Answers from a table, one list of addresses per question (the last one again and again), and remembers who was asked for.
#[derive(Default)]
pub struct TestResolver {
    answers: Mutex<HashMap<String, Vec<Answer>>>,
    asked: Mutex<Vec<String>>,
}

#[derive(Clone)]
pub enum Answer {
    Addresses(Vec<IpAddr>),
    Error(std::io::ErrorKind),
    Never,
}

impl TestResolver {
    pub fn with(self, name: &str, addresses: &[&str]) -> Self {
        self.then(name, Answer::Addresses(addresses.iter().map(|text| text.parse().unwrap()).collect()))
    }

    pub fn then(self, name: &str, answer: Answer) -> Self {
        self.answers.lock().unwrap().entry(name.to_owned()).or_default().push(answer);
        self
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolver for TestResolver {
    fn resolve<'a>(&'a self, name: &'a DomainName) -> Resolving<'a> {
        self.asked.lock().unwrap().push(name.to_string());
        let answer = match self.answers.lock().unwrap().get_mut(name.as_str()) {
            None => Answer::Error(std::io::ErrorKind::NotFound),
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
        };
        Box::pin(async move {
            match answer {
                Answer::Addresses(addresses) => Ok(addresses),
                Answer::Error(kind) => Err(kind.into()),
                Answer::Never => std::future::pending().await,
            }
        })
    }
}

/// A proxy under test, with everything it said.
pub struct Kit {
    pub proxy: Option<Proxy>,
    pub address: SocketAddr,
    pub resolver: Arc<TestResolver>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Kit {
    pub fn start(rules: Rules, resolver: TestResolver, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let sink = Arc::clone(&events);
        let resolver = Arc::new(resolver);
        let builder = Proxy::builder(rules)
            .resolver(Arc::clone(&resolver) as Arc<dyn Resolver>)
            .own_addresses(Arc::new(Vec::<IpAddr>::new()))
            .events(Arc::new(move |event: &Event| sink.lock().unwrap().push(event.clone())))
            .listen(listener);
        let proxy = configure(builder).start().unwrap();
        Self { proxy: Some(proxy), address, resolver, events }
    }

    pub fn connect(&self) -> TcpStream {
        client(self.address)
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Ends the proxy, so that every event has been reported, and gives them.
    pub fn finish(&mut self) -> Vec<Event> {
        if let Some(proxy) = self.proxy.take() {
            proxy.finish();
        }
        self.events()
    }

    pub fn decisions(events: &[Event]) -> Vec<&Decision> {
        events
            .iter()
            .filter_map(|event| match event {
                Event::Decision(decision) => Some(decision),
                _ => None,
            })
            .collect()
    }

    /// The last reason that any event gives.
    pub fn last_code(events: &[Event]) -> Option<Code> {
        let decided = Self::decisions(events)
            .iter()
            .rev()
            .find(|decision| decision.verdict != Verdict::Allowed)
            .and_then(|decision| decision.code);
        let closed = || {
            events.iter().rev().find_map(|event| match event {
                Event::Closed(closed) => closed.code,
                Event::Fault { code } => Some(*code),
                _ => None,
            })
        };
        decided.or_else(closed)
    }

    /// Waits until an event of the kind has come; events come from the proxy's thread.
    pub fn wait_for(&self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.events().into_iter().find(&mut wanted) {
                return event;
            }
            assert!(std::time::Instant::now() < end, "no such event in {:?}", self.events());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn client(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A response head, taken apart, and the bytes after it.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn reason(&self) -> Option<&str> {
        self.headers.get("x-ringfence-reason").map(String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads one response. `None` when the connection ends before a whole head.
pub fn read_response(stream: &mut TcpStream) -> Option<Response> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).ok()?;
    } else if headers.contains_key("transfer-encoding") {
        body = read_chunked(stream)?;
    }
    Some(Response { status, headers, body })
}

fn read_chunked(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Sends CONNECT and reads the answer.
pub fn connect_through(proxy: SocketAddr, target: &str) -> (TcpStream, Response) {
    let mut stream = client(proxy);
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
    let response = read_response(&mut stream).expect("no answer to CONNECT");
    (stream, response)
}

/// Sends bytes and reads as many back: an echo server is at the other end.
pub fn echo(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    if stream.write_all(bytes).is_err() {
        return false;
    }
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).is_ok() && back == bytes
}
