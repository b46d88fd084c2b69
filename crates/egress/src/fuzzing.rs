//! Entry points for fuzzing, which take what a client may send. No part of the interface.

use ringfence_policy::{Host, HostRule};

use crate::client_hello::{Progress, read_client_hello};
use crate::code::Code;
use crate::dns::message::{Answer, read_question, reply_to_malformed};
use crate::http::{parse_head, read_target};
use crate::session::Target;
use crate::socks5;
use crate::tunnel::judge_server_name;

/// A TLS hello, whole and in two pieces: the result must not depend on where it is cut.
pub fn client_hello(input: &[u8]) {
    let whole = read_client_hello(input, 1 << 16);
    for cut in [1, 5, 6, input.len() / 2] {
        if let Some(part) = input.get(..cut) {
            match read_client_hello(part, 1 << 16) {
                Progress::Incomplete => {}
                decided => {
                    assert!(decided == whole || matches!(whole, Progress::Malformed), "{decided:?} then {whole:?}")
                }
            }
        }
    }
}

/// A SOCKS5 exchange.
pub fn socks(input: &[u8]) {
    if let Ok(Some(taken)) = socks5::read_greeting(input) {
        assert!(taken <= input.len());
    }
    if let Ok(Some((_, taken))) = socks5::read_request(input) {
        assert!(taken <= input.len() && taken <= socks5::LONGEST_REQUEST);
    }
}

/// A DNS query.
pub fn dns(input: &[u8]) {
    match read_question(input) {
        Ok(question) => assert!(question.reply(Answer::Refused).len() <= input.len()),
        Err(_) => drop(reply_to_malformed(input)),
    }
}

/// A request head: whatever target it is read to have is in normal form, and says the same when it is read again.
pub fn request_head(input: &[u8]) {
    let Some((head, length)) = parse_head(input) else {
        return;
    };
    assert!(length <= input.len());
    if let Ok(Target { host, port }) = read_target(&head, None) {
        assert_ne!(port, 0);
        assert_eq!(host.to_string().parse(), Ok(host));
    }
}

/// The server name of a hello against the host.
///
/// # Errors
/// Why it is refused.
pub fn server_name(host: &Host, name: Option<&str>, encrypted: bool) -> Result<(), Code> {
    judge_server_name(host, name, encrypted)
}

/// A host rule: what is read is written in normal form, reads back as itself, and matches the host it names.
pub fn host_pattern(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(host) = Host::parse(text) {
        assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
        assert!(host.to_string().bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    }
    if let Ok(rule) = text.parse::<HostRule>() {
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        assert_eq!(rule.intersect(&rule), Some(rule));
    }
}
