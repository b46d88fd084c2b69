//! HTTP/1: CONNECT, requests in absolute form, and requests on connections whose host is already known.

mod connect;
mod forward;
mod head;
mod reply;
mod target;
mod upstream;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::code::Code;
use crate::connection::{Connection, Opened};
use crate::event::Protocol;
use crate::meter::Metered;
use crate::session::Target;

use self::forward::Link;
pub(crate) use self::head::parse_head;
use self::reply::ProxyBody;
pub(crate) use self::target::read_target;
pub(crate) use self::upstream::tunnel_through;

/// The port whose connections carry plain HTTP, and are served request by request however they were made: a tunnel to it
/// would hide whose host each request names.
pub(crate) const HTTP_PORT: u16 = 80;

/// Serves a client's connection until it ends or becomes a tunnel. With `fixed`, the connection was made for that host, and
/// every request must be, too. `early` was read from the client already.
pub(crate) async fn serve(connection: Arc<Connection>, client: TcpStream, early: Vec<u8>, fixed: Option<Target>) {
    if fixed.is_none()
        && let Some((head, length)) = parse_head(&early).filter(|(head, _)| head.method == Method::CONNECT)
    {
        return connect::connect_at_once(connection, client, &head, early[length..].to_vec()).await;
    }
    // Boxed, so that a connection that became a tunnel above does not carry the room for this.
    Box::pin(serve_requests(connection, client, early, fixed)).await;
}

async fn serve_requests(connection: Arc<Connection>, client: TcpStream, early: Vec<u8>, fixed: Option<Target>) {
    let limits = &connection.session.limits;
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        // A client that has sent its last request still waits for the answer.
        .half_close(true)
        .header_read_timeout(limits.head_time)
        .max_headers(limits.head_fields)
        .max_header_size(limits.head_bytes.max(SMALLEST_BUFFER))
        .max_buf_size(limits.head_bytes.max(SMALLEST_BUFFER) + SMALLEST_BUFFER);
    let client = TokioIo::new(Metered::new(client, early, Arc::clone(&connection.meter)));
    let desk = Arc::new(Desk { connection: Arc::clone(&connection), fixed, link: Mutex::new(None) });
    let answer = service_fn(|request| answer(Arc::clone(&desk), request));
    let ended = tokio::select! {
        ended = server.serve_connection(client, answer).with_upgrades() => ended.map_err(|error| code_of(&error)),
        code = connection.meter.watch(limits, Instant::now()) => Err(code),
    };
    if let Err(code @ (Code::RequestMalformed | Code::RequestHeadTooLarge)) = ended {
        connection.refused(Protocol::Http, "", 0, code);
    }
    connection.end(ended);
}

/// Where the requests of one client connection are answered.
struct Desk {
    connection: Arc<Connection>,
    fixed: Option<Target>,
    /// The connection to the server of the last request, for the next one.
    link: Mutex<Option<Link>>,
}

async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> Result<Response<ProxyBody>, Infallible> {
    let connection = &desk.connection;
    let method = request.method().clone();
    let protocol = if method == Method::CONNECT { Protocol::Connect } else { Protocol::Http };
    let (head, body) = request.into_parts();
    let answered = match read_target(&head, desk.fixed.as_ref()) {
        Err(bad) => Err(connection.refused(protocol, &bad.host, bad.port, bad.code)),
        Ok(target) => {
            let request = Request::from_parts(head, body);
            if method == Method::CONNECT {
                connect::connect(connection, request, target).await
            } else {
                forward::forward(&desk, request, target).await
            }
        }
    };
    Ok(answered.unwrap_or_else(|refusal| reply::refusal(&refusal, &method)))
}

/// The client's socket after the answer that opened the tunnel, and what was read from it already. `None` when it left.
async fn client_of(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgrade.await.ok()?.downcast::<TokioIo<Metered>>().ok()?;
    let (stream, unread) = parts.io.into_inner().into_stream();
    Some((stream, [&parts.read_buf[..], &unread[..]].concat()))
}

/// The server's socket after it agreed to an upgrade.
fn server_of(upgraded: Upgraded) -> Option<Opened> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(Opened { stream: parts.io.into_inner(), early: parts.read_buf.to_vec() })
}

fn code_of(error: &hyper::Error) -> Code {
    if error.is_timeout() {
        Code::RequestHeadTimeout
    } else if error.is_parse_too_large() {
        Code::RequestHeadTooLarge
    } else if error.is_parse() {
        Code::RequestMalformed
    } else {
        Code::ClientReset
    }
}

/// The smallest buffer that hyper accepts.
const SMALLEST_BUFFER: usize = 8192;
