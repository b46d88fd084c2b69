//! The proxy's own answers.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use crate::refusal::Refusal;

/// A body of the proxy's own, or one that is passed on.
pub(crate) type ProxyBody = Either<Full<Bytes>, Incoming>;

/// Carries the code of a refusal. Never passed on from a server, so that a client can believe it.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-ringfence-reason");

/// A refusal, for programs in its header and for people in its body.
pub(crate) fn refusal(refusal: &Refusal, method: &Method) -> Response<ProxyBody> {
    let body = if *method == Method::HEAD { String::new() } else { refusal.message() };
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *response.status_mut() = status(refusal);
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(refusal.code.as_str()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PLAIN_TEXT));
    response
}

/// A refusal of CONNECT as it is sent, after which the connection ends.
pub(crate) fn refusal_bytes(refusal: &Refusal) -> Vec<u8> {
    let status = status(refusal);
    let reason = status.canonical_reason().unwrap_or_default();
    let (code, message) = (refusal.code, refusal.message());
    format!(
        "HTTP/1.1 {} {reason}\r\n{REASON}: {code}\r\n{CONTENT_TYPE}: {PLAIN_TEXT}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{message}",
        status.as_u16(),
        message.len()
    )
    .into_bytes()
}

fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::FORBIDDEN)
}

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// The answer to CONNECT after which the tunnel begins.
pub(crate) fn opened() -> Response<ProxyBody> {
    Response::new(Either::Left(Full::new(Bytes::new())))
}
