//! Serving SOCKS5 clients.

use std::sync::Arc;

use ringfence_policy::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::code::Code;
use crate::connection::Connection;
use crate::event::Protocol;
use crate::http::{self, HTTP_PORT};
use crate::session::Target;
use crate::socks5::{self, Destination};

/// Serves a client until its tunnel ends. `received` is what it has sent already.
pub(crate) async fn serve(connection: Arc<Connection>, mut client: TcpStream, mut received: Vec<u8>) {
    let exchange = negotiate(&mut client, &mut received);
    let negotiated = timeout(connection.session.limits.head_time, exchange).await.unwrap_or(Err(Code::SocksTimeout));
    let (host, port) = match negotiated {
        Ok(Some(destination)) => destination,
        Ok(None) => return connection.end(Err(Code::ClientReset)),
        Err(code) => {
            connection.refused(Protocol::Socks, "", 0, code);
            return refuse(&connection, client, code).await;
        }
    };
    let target = match host {
        Ok(host) if port != 0 => Target { host, port },
        host => {
            let text = host.as_ref().map_or_else(Clone::clone, Host::to_string);
            let code = if host.is_ok() { Code::SocksMalformed } else { Code::HostMalformed };
            connection.refused(Protocol::Socks, &text, port, code);
            return refuse(&connection, client, code).await;
        }
    };
    let server = if target.port == HTTP_PORT {
        connection.admit(Protocol::Socks, &target).await.map(|()| None)
    } else {
        connection.open(Protocol::Socks, &target).await.map(Some)
    };
    match server {
        Err(refusal) => refuse(&connection, client, refusal.code).await,
        Ok(server) => {
            let bound = server.as_ref().and_then(|server| server.stream.local_addr().ok());
            if client.write_all(&socks5::reply(None, bound)).await.is_err() {
                return connection.end(Err(Code::ClientReset));
            }
            match server {
                Some(server) => connection.tunnel(Protocol::Socks, &target, client, received, server).await,
                None => http::serve(connection, client, received, Some(target)).await,
            }
        }
    }
}

/// Both exchanges up to the request; what follows it stays in `received`. `None` when the client left.
async fn negotiate(client: &mut TcpStream, received: &mut Vec<u8>) -> Result<Option<Destination>, Code> {
    let taken = loop {
        if let Some(taken) = socks5::read_greeting(received)? {
            break taken;
        }
        if !read_more(client, received).await {
            return Ok(None);
        }
    };
    received.drain(..taken);
    if client.write_all(&socks5::method_reply(true)).await.is_err() {
        return Ok(None);
    }
    loop {
        if let Some((destination, taken)) = socks5::read_request(received)? {
            received.drain(..taken);
            return Ok(Some(destination));
        }
        if !read_more(client, received).await {
            return Ok(None);
        }
    }
}

/// Bounded by the messages themselves: both readers decide at the latest when they have as many bytes as a message can have.
async fn read_more(client: &mut TcpStream, received: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 512];
    match client.read(&mut buffer).await {
        Ok(count @ 1..) => {
            received.extend_from_slice(&buffer[..count]);
            true
        }
        _ => false,
    }
}

async fn refuse(connection: &Connection, mut client: TcpStream, code: Code) {
    let reply = match code {
        Code::SocksMethodUnsupported => socks5::method_reply(false).to_vec(),
        code => socks5::reply(Some(code), None),
    };
    // The client may be gone; the refusal is recorded already.
    let _ = client.write_all(&reply).await;
    let _ = client.shutdown().await;
    connection.end(Err(code));
}
