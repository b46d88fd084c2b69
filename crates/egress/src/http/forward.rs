//! Plain requests: each is decided about, rewritten, and sent on.

use std::sync::Arc;

use http::header::{CONNECTION, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::code::Code;
use crate::event::Protocol;
use crate::refusal::Refusal;
use crate::session::{Target, stays_near};

use super::reply::{ProxyBody, REASON};
use super::{Desk, client_of, server_of, upstream};

/// A connection to a server, or to the upstream proxy.
pub(super) struct Link {
    /// Whose it is; `None` for the upstream proxy, which takes requests for every host.
    target: Option<Target>,
    sender: SendRequest<Incoming>,
}

/// Sends the request on, if it may, and gives back the server's answer.
pub(super) async fn forward(
    desk: &Arc<Desk>,
    mut request: Request<Incoming>,
    target: Target,
) -> Result<Response<ProxyBody>, Refusal> {
    let connection = &desk.connection;
    let failed = |code| Refusal { code, host: target.host.to_string(), port: target.port, rule: None };
    let mut link = link_to(desk, &target).await?;

    let websocket = is_websocket(request.headers());
    let client_upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
    rewrite(desk, &mut request, &target, link.target.is_none(), websocket).map_err(failed)?;

    let mut response = link.sender.send_request(request).await.map_err(|error| {
        // A body that the client broke off is the client's doing.
        failed(if error.is_user() { Code::ClientReset } else { Code::ServerMalformed })
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // A server that switches without being asked leaves nobody who could read it.
        let Some(client_upgrade) = client_upgrade else {
            return Err(failed(Code::ServerMalformed));
        };
        let server_upgrade = hyper::upgrade::on(&mut response);
        let connection = Arc::clone(connection);
        tokio::spawn(async move {
            let Some((client, early)) = client_of(client_upgrade).await else {
                return;
            };
            let Some(server) = server_upgrade.await.ok().and_then(server_of) else {
                return;
            };
            connection.tunnel(Protocol::Http, &target, client, early, server).await;
        });
        keep_end_to_end(response.headers_mut(), true);
        return Ok(response.map(|_| Either::Left(http_body_util::Full::default())));
    }
    if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED && link.target.is_none() {
        return Err(failed(Code::UpstreamRefused));
    }
    *desk.link.lock().await = Some(link);
    keep_end_to_end(response.headers_mut(), false);
    response.headers_mut().remove(REASON);
    Ok(response.map(Either::Right))
}

/// The connection of the last request where it leads to the same host and is still open, else a new one. Decided about either
/// way.
async fn link_to(desk: &Desk, target: &Target) -> Result<Link, Refusal> {
    let connection = &desk.connection;
    let session = &connection.session;
    let proxy = session.upstream.as_ref().filter(|_| !stays_near(&target.host));
    let wanted = if proxy.is_some() { None } else { Some(target) };
    let kept = desk.link.lock().await.take().filter(|link| link.target.as_ref() == wanted);
    if let Some(mut link) = kept
        && link.sender.ready().await.is_ok()
    {
        connection.admit(Protocol::Http, target).await?;
        return Ok(link);
    }
    let failed = |code| Refusal { code, host: target.host.to_string(), port: target.port, rule: None };
    let stream = match proxy {
        Some(proxy) => connection.admit_through(Protocol::Http, target, upstream::connect_to(session, proxy)).await?,
        None => connection.open(Protocol::Http, target).await?.stream,
    };
    let sender = handshake(stream).await.ok_or_else(|| failed(Code::ServerMalformed))?;
    Ok(Link { target: wanted.cloned(), sender })
}

async fn handshake(stream: TcpStream) -> Option<SendRequest<Incoming>> {
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection.with_upgrades());
    Some(sender)
}

/// Makes the client's request the proxy's own: normal form of target and `Host`, nothing that was meant for the proxy.
fn rewrite(
    desk: &Desk,
    request: &mut Request<Incoming>,
    target: &Target,
    through_proxy: bool,
    websocket: bool,
) -> Result<(), Code> {
    let authority = if target.port == super::HTTP_PORT {
        target.host.to_string()
    } else {
        format!("{}:{}", target.host, target.port)
    };
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = if through_proxy {
        let authority = Authority::try_from(authority.as_str()).map_err(|_| Code::HostMalformed)?;
        Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build()
    } else {
        Uri::builder().path_and_query(path).build()
    };
    *request.uri_mut() = uri.map_err(|_| Code::RequestMalformed)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    keep_end_to_end(headers, websocket);
    headers.remove(EXPECT); // answered by this side already
    headers.insert(HOST, HeaderValue::try_from(authority).map_err(|_| Code::HostMalformed)?);
    let proxy = desk.connection.session.upstream.as_ref().filter(|_| through_proxy);
    if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization()) {
        headers.insert(PROXY_AUTHORIZATION, authorization);
    }
    Ok(())
}

/// Drops what RFC 9110 §7.6.1 calls hop by hop, and what `Connection` lists. The framing headers are left to the library, which
/// writes them anew.
fn keep_end_to_end(headers: &mut HeaderMap, websocket: bool) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // A client must not have the proxy drop what decides where the request goes and how long it is.
        .filter(|name| ![HOST, http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING].contains(name))
        .collect();
    for name in listed {
        headers.remove(name);
    }
    for name in [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, UPGRADE] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        headers.remove(name);
    }
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// The one upgrade that is passed on. `h2c` would let later requests name other hosts unseen.
fn is_websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let asked = matches!((upgrades.next(), upgrades.next()), (Some(value), None)
        if value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let connection = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    asked && connection.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}
