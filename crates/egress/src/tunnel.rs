//! A tunnel: the server name is checked, then bytes go both ways untouched.

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ringfence_policy::Host;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client_hello::{Progress, read_client_hello};
use crate::code::Code;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::splice::{Pipes, SPLICE_AFTER, Spliced, splice_all};

/// What a tunnel needs besides its two connections.
pub(crate) struct Tunnel<'a> {
    pub(crate) host: &'a Host,
    pub(crate) port: u16,
    pub(crate) limits: &'a Limits,
    pub(crate) pipes: &'a Pipes,
    pub(crate) meter: &'a Meter,
}

/// Bytes that were read from either side before the tunnel began.
#[derive(Debug, Default)]
pub(crate) struct Early {
    pub(crate) from_client: Vec<u8>,
    pub(crate) from_server: Vec<u8>,
}

impl Tunnel<'_> {
    /// Relays until both sides have ended.
    ///
    /// # Errors
    /// Why it ended otherwise. Both connections are then closed in a way that neither side can take for a regular end.
    pub(crate) async fn relay(&self, client: TcpStream, server: TcpStream, early: Early) -> Result<(), Code> {
        let half_closed = AtomicBool::new(false);
        let up = Direction {
            from: &client,
            to: &server,
            moved: &self.meter.up,
            half_closed: &half_closed,
            from_failed: Code::ClientReset,
            to_failed: Code::ServerReset,
        };
        let down = Direction {
            from: &server,
            to: &client,
            moved: &self.meter.down,
            half_closed: &half_closed,
            from_failed: Code::ServerReset,
            to_failed: Code::ClientReset,
        };
        let upwards = async {
            let first = self.check_server_name(&client, early.from_client).await?;
            up.write_all(&first).await?;
            // What was read first must not stay in memory for as long as the tunnel is open.
            drop(first);
            up.copy(self.pipes).await
        };
        let downwards = async {
            down.write_all(&early.from_server).await?;
            drop(early.from_server);
            down.copy(self.pipes).await
        };
        let ended = tokio::select! {
            ended = async { tokio::try_join!(upwards, downwards) } => ended.map(|((), ())| ()),
            code = self.meter.watch(self.limits, Instant::now()) => Err(code),
        };
        if let Err(code) = ended {
            end_with(&client, code);
            reset(&server);
        }
        ended
    }

    /// Reads what the client sends first. Where that is TLS, its server name must be the host; on a TLS port it must be TLS.
    /// Gives back what was read, to be sent on.
    async fn check_server_name(&self, client: &TcpStream, mut received: Vec<u8>) -> Result<Vec<u8>, Code> {
        let required = is_tls_port(self.port);
        let limit = self.limits.hello_bytes;
        if !required {
            // Whoever speaks first on another port may take any time for it; only a hello that has begun must go on.
            read_some(client, &mut received, limit).await.map_err(|_| Code::ClientReset)?;
            if received.is_empty() {
                return Ok(received);
            }
        }
        let reading = async {
            loop {
                match read_client_hello(&received, limit) {
                    Progress::Complete(hello) => {
                        let name = hello.server_name.as_deref();
                        return judge_server_name(self.host, name, hello.encrypted).map(|()| received);
                    }
                    Progress::NotTls if required => return Err(Code::TlsExpected),
                    Progress::NotTls => return Ok(received),
                    Progress::Malformed => return Err(Code::TlsMalformed),
                    Progress::Incomplete => {}
                }
                let before = received.len();
                read_some(client, &mut received, limit).await.map_err(|_| Code::ClientReset)?;
                match received.len() {
                    0 => return Ok(received), // it left without a word
                    now if now == before => return Err(Code::TlsMalformed),
                    _ => {}
                }
            }
        };
        timeout(self.limits.hello_time, reading).await.unwrap_or(Err(Code::TlsHelloTimeout))
    }
}

/// Whether the server name of a hello is that of the host. An address has no name that could be sent (RFC 6066 §3), so that a
/// hello for one must carry none, or the address itself as some clients do.
pub(crate) fn judge_server_name(host: &Host, name: Option<&str>, encrypted: bool) -> Result<(), Code> {
    match (name, host) {
        (None, Host::V4(_) | Host::V6(_)) => Ok(()),
        (None, Host::Name(_)) => Err(Code::TlsNameMissing),
        (Some(name), host) if Host::parse(name).as_ref() == Ok(host) => Ok(()),
        (Some(_), _) if encrypted => Err(Code::TlsEchNameMismatch),
        (Some(_), _) => Err(Code::TlsNameMismatch),
    }
}

/// Closes a connection so that the other side sees a reset, not the end of the stream.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// The ports where the client speaks TLS from the first byte (IANA's service names `https`, `smtps`, `nntps`, `ldaps`,
/// `domain-s`, `ftps`, `telnets`, `imaps`, `pop3s`, `sips`, and the usual second HTTPS port).
fn is_tls_port(port: u16) -> bool {
    matches!(port, 443 | 465 | 563 | 636 | 853 | 989 | 990 | 992 | 993 | 995 | 5061 | 8443)
}

/// A client whose hello was refused gets a TLS alert, which it will show to its user; everyone else a reset.
fn end_with(client: &TcpStream, code: Code) {
    match code {
        Code::TlsNameMissing | Code::TlsNameMismatch | Code::TlsEchNameMismatch => {
            let _ = client.try_write(&UNRECOGNIZED_NAME);
        }
        _ => reset(client),
    }
}

/// A fatal alert, `unrecognized_name` (RFC 6066 §3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// One direction of a tunnel.
struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    moved: &'a AtomicU64,
    /// Whether either direction has ended.
    half_closed: &'a AtomicBool,
    from_failed: Code,
    to_failed: Code,
}

impl Direction<'_> {
    /// Copies until the source ends, and then tells the other side.
    async fn copy(&self, pipes: &Pipes) -> Result<(), Code> {
        let mut chunk = SMALLEST_CHUNK;
        let mut total = 0_u64;
        let mut rounds = 0_u32;
        let mut waiting = Vec::new();
        loop {
            if total >= SPLICE_AFTER
                && let Some(pipe) = pipes.take()
            {
                match splice_all(pipe, self.from, self.to, self.moved).await {
                    Spliced::End => break,
                    Spliced::Unsupported => {}
                    Spliced::ReadFailed => return Err(self.from_failed),
                    Spliced::WriteFailed => return Err(self.to_failed),
                }
            }
            self.from.readable().await.map_err(|_| self.from_failed)?;
            match pass_on(self.from, self.to, chunk, &mut waiting) {
                Passed::Nothing => continue,
                Passed::End => break,
                Passed::All(count) => {
                    total += count as u64;
                    self.moved.fetch_add(count as u64, Ordering::Relaxed);
                    if count == chunk {
                        chunk = (chunk * 2).min(LARGEST_CHUNK);
                    }
                }
                Passed::Part(count) => {
                    total += (count + waiting.len()) as u64;
                    self.moved.fetch_add(count as u64, Ordering::Relaxed);
                    self.write_all(&waiting).await?;
                    // What waits for a slow reader is memory of the supervisor.
                    waiting = Vec::new();
                    chunk = SMALLEST_CHUNK;
                }
                Passed::ReadFailed => return Err(self.from_failed),
                Passed::WriteFailed => return Err(self.to_failed),
            }
            rounds += 1;
            if rounds.is_multiple_of(ROUNDS_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
        // A half-closed tunnel goes on in the other direction; after the second end both are closed anyway. Where the other side
        // is gone already there is nobody to tell.
        if !self.half_closed.swap(true, Ordering::Relaxed) {
            let _ = SockRef::from(self.to).shutdown(Shutdown::Write);
        }
        Ok(())
    }

    async fn write_all(&self, mut bytes: &[u8]) -> Result<(), Code> {
        while !bytes.is_empty() {
            self.to.writable().await.map_err(|_| self.to_failed)?;
            match self.to.try_write(bytes) {
                Ok(count) => {
                    self.moved.fetch_add(count as u64, Ordering::Relaxed);
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(self.to_failed),
            }
        }
        Ok(())
    }
}

enum Passed {
    Nothing,
    End,
    All(usize),
    /// So many were written; the rest is in `waiting`.
    Part(usize),
    ReadFailed,
    WriteFailed,
}

thread_local! {
    /// One buffer for all tunnels of a thread: an idle tunnel holds no memory but its sockets.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST_CHUNK]);
}

/// Reads once and writes once, without waiting.
fn pass_on(from: &TcpStream, to: &TcpStream, chunk: usize, waiting: &mut Vec<u8>) -> Passed {
    SCRATCH.with_borrow_mut(|scratch| {
        let count = match read_ready(from, &mut scratch[..chunk]) {
            Ok(Some(0)) => return Passed::End,
            Ok(Some(count)) => count,
            Ok(None) => return Passed::Nothing,
            Err(_) => return Passed::ReadFailed,
        };
        let written = match to.try_write(&scratch[..count]) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Passed::WriteFailed,
        };
        if written == count {
            return Passed::All(count);
        }
        waiting.extend_from_slice(&scratch[written..count]);
        Passed::Part(written)
    })
}

/// Reads what is there; `None` where nothing is.
///
/// A read that does not fill the buffer has drained the socket, and the next bytes will be announced (epoll(7), edge-triggered;
/// the end of the stream stays known). Saying so here spares the read that would only find nothing.
fn read_ready(from: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut read = None;
    let outcome = from.try_io(Interest::READABLE, || {
        let count = (&*SockRef::from(from)).read(buffer)?;
        read = Some(count);
        let drained = cfg!(target_os = "linux") && count > 0 && count < buffer.len();
        if drained { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(read),
    }
}

/// Reads what is there, waiting for the first byte; nothing at the end of the stream.
pub(crate) async fn read_some(from: &TcpStream, received: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    loop {
        from.readable().await?;
        let room = limit.saturating_sub(received.len()).clamp(1, LARGEST_CHUNK);
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let count = read_ready(from, &mut scratch[..room])?;
            received.extend_from_slice(&scratch[..count.unwrap_or(0)]);
            Ok::<_, io::Error>(count)
        })?;
        if read.is_some() {
            return Ok(());
        }
    }
}

const SMALLEST_CHUNK: usize = 8 * 1024;
const LARGEST_CHUNK: usize = 64 * 1024;
/// After so many, others get their turn even where this tunnel never has to wait.
const ROUNDS_PER_TURN: u32 = 16;
