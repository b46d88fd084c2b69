//! CONNECT: from the request to the tunnel.

use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::code::Code;
use crate::connection::{Connection, Opened};
use crate::event::Protocol;
use crate::refusal::Refusal;
use crate::session::Target;

use super::reply::{self, ProxyBody};
use super::{HTTP_PORT, client_of, read_target};

/// CONNECT as the first and only request of a connection, whole in its first segment: nearly every tunnel begins like this, and
/// needs no more machinery than this.
pub(super) async fn connect_at_once(connection: Arc<Connection>, mut client: TcpStream, head: &Parts, early: Vec<u8>) {
    let opened = match read_target(head, None) {
        Ok(target) => open(&connection, &target).await.map(|server| (target, server)),
        Err(bad) => Err(connection.refused(Protocol::Connect, &bad.host, bad.port, bad.code)),
    };
    let answer = match &opened {
        Ok(_) => OPENED.to_vec(),
        Err(refusal) => reply::refusal_bytes(refusal),
    };
    if client.write_all(&answer).await.is_err() {
        return connection.end(Err(Code::ClientReset));
    }
    match opened {
        Ok((target, server)) => begin(connection, client, early, target, server).await,
        Err(refusal) => connection.end(Err(refusal.code)),
    }
}

/// CONNECT on a connection that is kept, or in several segments.
pub(super) async fn connect(
    connection: &Arc<Connection>,
    mut request: Request<Incoming>,
    target: Target,
) -> Result<Response<ProxyBody>, Refusal> {
    let server = open(connection, &target).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    let connection = Arc::clone(connection);
    tokio::spawn(async move {
        if let Some((client, early)) = client_of(upgrade).await {
            begin(connection, client, early, target, server).await;
        }
    });
    Ok(reply::opened())
}

/// The server's side of a tunnel; none for one that carries plain HTTP, whose requests find their own way.
async fn open(connection: &Connection, target: &Target) -> Result<Option<Opened>, Refusal> {
    if target.port == HTTP_PORT {
        return connection.admit(Protocol::Connect, target).await.map(|()| None);
    }
    connection.open(Protocol::Connect, target).await.map(Some)
}

/// Boxed, because serving HTTP in a tunnel that HTTP opened would be a type that contains itself.
fn begin(
    connection: Arc<Connection>,
    client: TcpStream,
    early: Vec<u8>,
    target: Target,
    server: Option<Opened>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match server {
            Some(server) => connection.tunnel(Protocol::Connect, &target, client, early, server).await,
            None => super::serve(connection, client, early, Some(target)).await,
        }
    })
}

const OPENED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
