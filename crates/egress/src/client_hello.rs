//! Reads the server name out of a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3) without any cryptography.
//!
//! Strict on purpose: whatever a lenient server might read in another way than this reader is refused, because the name read
//! here decides.

/// What a ClientHello says about where it wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name as sent, where there is one.
    pub server_name: Option<String>,
    /// Whether it carries the encrypted_client_hello extension (RFC 9849): an inner hello that cannot be read, or the
    /// meaningless filling that browsers send so that nobody can tell.
    pub encrypted: bool,
}

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The whole hello is there.
    Complete(ClientHello),
    /// The first byte is not that of a TLS handshake record.
    NotTls,
    /// It starts like TLS, and is broken or larger than the limit.
    Malformed,
}

/// Reads the hello from the first bytes of a connection, whatever segments and records it is split into. `limit` bounds the
/// bytes that are looked at.
pub fn read_client_hello(received: &[u8], limit: usize) -> Progress {
    match received.first() {
        None => return Progress::Incomplete,
        Some(&HANDSHAKE_RECORD) => {}
        Some(_) => return Progress::NotTls,
    }
    match hello_of_records(received) {
        Ok(Some(hello)) => Progress::Complete(hello),
        Ok(None) if received.len() < limit => Progress::Incomplete,
        Ok(None) | Err(Malformed) => Progress::Malformed,
    }
}

struct Malformed;

const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const HOST_NAME: u8 = 0;
/// RFC 8446 §5.1: a plaintext record carries at most 2^14 bytes.
const LARGEST_RECORD: usize = 1 << 14;

/// Joins the records until the handshake message is whole. `None` means that bytes are missing.
fn hello_of_records(received: &[u8]) -> Result<Option<ClientHello>, Malformed> {
    let mut message: Vec<u8> = Vec::new();
    let mut rest = received;
    loop {
        let Some((header, after)) = rest.split_at_checked(5) else {
            // What is there of the header can be wrong already.
            return match rest {
                [] | [HANDSHAKE_RECORD] | [HANDSHAKE_RECORD, 3, ..] => Ok(None),
                _ => Err(Malformed),
            };
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        // An empty record would be a way to keep the reader busy; RFC 8446 §5.1 forbids it for handshakes.
        if header[0] != HANDSHAKE_RECORD || header[1] != 3 || length == 0 || length > LARGEST_RECORD {
            return Err(Malformed);
        }
        let (fragment, after) = after.split_at(length.min(after.len()));
        message.extend_from_slice(fragment);
        if let [kind, ..] = message[..]
            && kind != CLIENT_HELLO
        {
            return Err(Malformed);
        }
        if let [_, a, b, c, ref body @ ..] = message[..] {
            let wanted = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if body.len() == wanted {
                return parse_body(body).map(Some);
            }
            // Nothing may follow the hello: the client has to wait for the server.
            if body.len() > wanted {
                return Err(Malformed);
            }
        }
        if fragment.len() < length {
            return Ok(None);
        }
        rest = after;
    }
}

fn parse_body(body: &[u8]) -> Result<ClientHello, Malformed> {
    let mut body = Reader(body);
    body.take(2 + 32)?; // legacy_version, random
    if body.take_u8_length()?.0.len() > 32 {
        return Err(Malformed);
    }
    let suites = body.take_u16_length()?.0;
    if suites.is_empty() || suites.len() % 2 != 0 || body.take_u8_length()?.0.is_empty() {
        return Err(Malformed);
    }
    let mut hello = ClientHello { server_name: None, encrypted: false };
    // TLS 1.2 and older allow a hello without extensions.
    if body.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = body.take_u16_length()?;
    body.end()?;
    let mut seen = Vec::new();
    while !extensions.0.is_empty() {
        let kind = extensions.take_u16()?;
        let data = extensions.take_u16_length()?;
        // RFC 8446 §4.2: one of each type. Two server names would be read differently by different servers.
        if seen.contains(&kind) || seen.len() == MOST_EXTENSIONS {
            return Err(Malformed);
        }
        seen.push(kind);
        match kind {
            SERVER_NAME => hello.server_name = Some(parse_server_name(data)?),
            ENCRYPTED_CLIENT_HELLO => hello.encrypted = true,
            _ => {}
        }
    }
    Ok(hello)
}

/// Exactly one entry, of type host_name, not empty, plain ASCII.
fn parse_server_name(mut data: Reader<'_>) -> Result<String, Malformed> {
    let mut list = data.take_u16_length()?;
    data.end()?;
    if list.take_u8()? != HOST_NAME {
        return Err(Malformed);
    }
    let name = list.take_u16_length()?.0;
    list.end()?;
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(Malformed);
    }
    String::from_utf8(name.to_vec()).map_err(|_| Malformed)
}

/// No client sends near as many; the bound keeps the search for duplicates short.
const MOST_EXTENSIONS: usize = 128;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take_u8(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take_u16(&mut self) -> Result<u16, Malformed> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn take_u8_length(&mut self) -> Result<Reader<'a>, Malformed> {
        let length = self.take_u8()?;
        self.take(length.into()).map(Reader)
    }

    fn take_u16_length(&mut self) -> Result<Reader<'a>, Malformed> {
        let length = self.take_u16()?;
        self.take(length.into()).map(Reader)
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
