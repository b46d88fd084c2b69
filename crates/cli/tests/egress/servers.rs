//! The servers of the world. Each remembers everything that it gets.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::world;

/// What reached any server.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<u8>>>);

impl Seen {
    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    /// Whether the word came in one piece.
    pub(crate) fn contains(&self, word: &str) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.windows(word.len()).any(|window| window == word.as_bytes())
    }
}

/// Ports that send back what comes, on every address of the machine.
const ECHO: &[u16] = &[22, 443, 853, 2222, 7001, 7002, 9000];

/// Unix sockets that name resolution has on ordinary machines, and others of the host; `@` is an abstract one.
const UNIX: &[&str] = &[
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/systemd/resolve/io.systemd.Resolve.Monitor",
    "/run/dbus/system_bus_socket",
    "/run/avahi-daemon/socket",
    "@resolver",
];

/// Starts all of them; they end with the process.
pub(crate) fn start(seen: &Seen) -> io::Result<()> {
    for &port in ECHO {
        serve_streams(everywhere(port)?, seen, echo);
    }
    serve_streams(everywhere(80)?, seen, http);
    serve_streams(everywhere(3129)?, seen, proxy);
    serve_streams(everywhere(53)?, seen, names_over_tcp);
    for address in ["93.184.216.40:9000", "93.184.216.40:443", "93.184.216.10:443", "10.20.0.5:9000", "127.0.0.1:9000"]
        .into_iter()
        .chain(["198.18.7.7:443", "169.254.169.254:9000", "[2606:4700::40]:9000", "93.184.216.40:123"])
    {
        match UdpSocket::bind(address) {
            Ok(socket) => serve_datagrams(socket, seen, |asked| Some(asked.to_vec())),
            // Without IPv6 the rows that need it find their control missing.
            Err(_) if address.starts_with('[') => {}
            Err(error) => return Err(error),
        }
    }
    let multicast = UdpSocket::bind("0.0.0.0:5353")?;
    multicast.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::LOCALHOST)?;
    serve_datagrams(multicast, seen, |asked| Some(asked.to_vec()));
    for server in [world::NAME_SERVER, "8.8.8.8", "127.0.0.53"] {
        serve_datagrams(UdpSocket::bind((server, 53))?, seen, answer);
    }
    for name in UNIX {
        serve_unix(name, seen)?;
    }
    Ok(())
}

fn everywhere(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn serve_streams(listener: TcpListener, seen: &Seen, serve: fn(&mut dyn Stream, &Seen)) {
    let seen = seen.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || serve(&mut stream, &seen));
        }
    });
}

fn serve_unix(name: &str, seen: &Seen) -> io::Result<()> {
    let listener = match name.strip_prefix('@') {
        Some(name) => UnixListener::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name.as_bytes())?)?,
        None => {
            std::fs::create_dir_all(Path::new(name).parent().unwrap_or(Path::new("/")))?;
            let listener = UnixListener::bind(name)?;
            std::fs::set_permissions(name, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
            listener
        }
    };
    let seen = seen.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 256];
            let Ok(length) = stream.read(&mut buffer) else { continue };
            // The C library comes here, too, and asks another resolver if this one goes away.
            if buffer.starts_with(b"token") {
                seen.add(&buffer[..length]);
                let _ = stream.write_all(&buffer[..length]);
            }
        }
    });
    Ok(())
}

fn serve_datagrams(socket: UdpSocket, seen: &Seen, answer: fn(&[u8]) -> Option<Vec<u8>>) {
    let seen = seen.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            seen.add(&buffer[..length]);
            if let Some(answer) = answer(&buffer[..length]) {
                // Whoever asked may be gone.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// Sends back whatever comes.
fn echo(stream: &mut dyn Stream, seen: &Seen) {
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        seen.add(&buffer[..length]);
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Answers with the request's path; `/to/URL` is sent on to that URL.
fn http(stream: &mut dyn Stream, seen: &Seen) {
    while let Some(head) = read_head(stream) {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answer = match path.strip_prefix("/to/") {
            // What matters is what reaches the other place.
            Some(url) => format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"),
            None => {
                seen.add(head.as_bytes());
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len())
            }
        };
        let ends = head.to_ascii_lowercase().contains("connection: close");
        if stream.write_all(answer.as_bytes()).is_err() || ends {
            return;
        }
    }
}

/// A proxy that takes every tunnel for itself.
fn proxy(stream: &mut dyn Stream, seen: &Seen) {
    if read_head(stream).is_some() && stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok() {
        echo(stream, seen);
    }
}

fn read_head(stream: &mut dyn Stream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn names_over_tcp(stream: &mut dyn Stream, seen: &Seen) {
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut asked = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut asked).is_err() {
            return;
        }
        seen.add(&asked);
        let Some(answer) = answer(&asked) else { return };
        let length = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).is_err() {
            return;
        }
    }
}

/// Answers a question about a name (RFC 1035); says nothing about names that begin with `silent`.
fn answer(asked: &[u8]) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while let Some(&length @ 1..) = asked.get(at) {
        let label = asked.get(at + 1..at + 1 + usize::from(length))?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + usize::from(length);
    }
    let end = at + 5;
    let kind = u16::from_be_bytes(asked.get(at + 1..at + 3)?.try_into().ok()?);
    let name = labels.join(".");
    if name.starts_with("silent") {
        return None;
    }
    let found = world::addresses(&name);
    let records: Vec<Vec<u8>> = match (kind, &found) {
        (_, None) => Vec::new(),
        (1 | 28, Some(found)) => found
            .iter()
            .filter(|address| address.is_ipv4() == (kind == 1))
            .map(|address| match address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            })
            .collect(),
        // Whatever else is asked: a byte string, which is what TXT has.
        _ => vec![b"\x04data".to_vec()],
    };
    let mut answer = asked.get(..end)?.to_vec();
    answer[2] |= 0x80;
    answer[3] = if found.is_some() { 0x80 } else { 0x83 };
    answer[6..12].copy_from_slice(&[0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    for record in records {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(record.len()).ok()?]);
        answer.extend(record);
    }
    Some(answer)
}
