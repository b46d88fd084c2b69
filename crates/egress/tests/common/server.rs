//! Servers with threads of their own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server that counts who comes.
pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Sends back whatever comes.
    pub fn echo(address: &str) -> Self {
        Self::with(address, |mut stream, _| {
            let mut buffer = [0; 65536];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
        })
    }

    /// Speaks HTTP/1.1, and remembers the head of each request. The path chooses the answer.
    pub fn http(address: &str) -> Self {
        Self::with(address, |mut stream, heads| {
            while let Some(head) = read_head(&mut stream) {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let length = head
                    .lines()
                    .find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().to_owned())
                    })
                    .map_or(0, |value| value.parse().unwrap());
                heads.lock().unwrap().push(head);
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let answer: Vec<u8> = match path.as_str() {
                    "/redirect" => {
                        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n".to_vec()
                    }
                    "/chunked" => {
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec()
                    }
                    "/spoof" => {
                        b"HTTP/1.1 403 No\r\nx-ringfence-reason: host-denied\r\nContent-Length: 0\r\n\r\n".to_vec()
                    }
                    "/garbage" => b"not http at all\r\n\r\n".to_vec(),
                    "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
                    "/websocket" => {
                        let switch =
                            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi";
                        stream.write_all(switch).unwrap();
                        let mut buffer = [0; 4096];
                        while let Ok(count @ 1..) = stream.read(&mut buffer) {
                            stream.write_all(&buffer[..count]).unwrap();
                        }
                        return;
                    }
                    _ => {
                        let mut answer =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 + length).into_bytes();
                        answer.extend(b"ok");
                        answer.extend(body);
                        answer
                    }
                };
                let ends = matches!(path.as_str(), "/garbage" | "/short");
                if stream.write_all(&answer).is_err() || ends {
                    return;
                }
            }
        })
    }

    /// Runs the closure in a thread for each connection.
    pub fn with(address: &str, serve: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener.local_addr().unwrap();
        let accepted: Arc<AtomicUsize> = Arc::default();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (counter, serve, shared) = (Arc::clone(&accepted), Arc::new(serve), Arc::clone(&heads));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                counter.fetch_add(1, Ordering::SeqCst);
                let (serve, heads) = (Arc::clone(&serve), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &heads));
            }
        });
        Self { address, accepted, heads }
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    String::from_utf8(head).ok()
}
