//! Going through an upstream proxy.

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::code::Code;
use crate::connection::Opened;
use crate::session::{Session, Target};
use crate::upstream::UpstreamProxy;

use super::server_of;

/// Opens a tunnel to the target through the upstream proxy.
pub(crate) async fn tunnel_through(session: &Session, proxy: &UpstreamProxy, target: &Target) -> Result<Opened, Code> {
    let stream = connect_to(session, proxy).await?;
    let opening = open_tunnel(stream, proxy, target);
    timeout(session.limits.connect_time, opening).await.unwrap_or(Err(Code::UpstreamFailed))
}

/// Connects to the upstream proxy itself. The user named it, so that its address is not judged.
pub(crate) async fn connect_to(session: &Session, proxy: &UpstreamProxy) -> Result<TcpStream, Code> {
    let unreachable = |code| {
        if code == Code::DescriptorsExhausted { code } else { Code::UpstreamFailed }
    };
    let addresses = session.resolve(&proxy.upstream.host).await.map_err(unreachable)?;
    let (stream, _) = session.connect(&addresses, proxy.upstream.port).await.map_err(unreachable)?;
    Ok(stream)
}

async fn open_tunnel(stream: TcpStream, proxy: &UpstreamProxy, target: &Target) -> Result<Opened, Code> {
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(|_| Code::UpstreamFailed)?;
    tokio::spawn(connection.with_upgrades());
    let authority = format!("{}:{}", target.host, target.port);
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority.parse::<Uri>().map_err(|_| Code::UpstreamFailed)?;
    let host = HeaderValue::try_from(authority).map_err(|_| Code::UpstreamFailed)?;
    request.headers_mut().insert(HOST, host);
    if let Some(authorization) = proxy.authorization() {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
    }
    let response = sender.send_request(request).await.map_err(|_| Code::UpstreamFailed)?;
    if !response.status().is_success() {
        return Err(Code::UpstreamRefused);
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|_| Code::UpstreamFailed)?;
    server_of(upgraded).ok_or(Code::UpstreamFailed)
}
