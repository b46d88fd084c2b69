//! A request head in one piece.

use http::Request;
use http::request::Parts;

/// The head at the beginning of the bytes, and how many they are. `None` where it is not whole, not valid, or has more fields
/// than an ordinary request.
pub(crate) fn parse_head(received: &[u8]) -> Option<(Parts, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; ORDINARY_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = parsed.parse(received).ok()? else {
        return None;
    };
    let version = if parsed.version? == 1 { http::Version::HTTP_11 } else { http::Version::HTTP_10 };
    let mut request = Request::builder().method(parsed.method?).uri(parsed.path?).version(version);
    for field in parsed.headers.iter() {
        request = request.header(field.name, field.value);
    }
    Some((request.body(()).ok()?.into_parts().0, length))
}

const ORDINARY_FIELDS: usize = 32;
