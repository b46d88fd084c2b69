//! The stub resolver of a run: names that may be reached get a synthetic address, and nothing is asked of anyone.

mod map;
pub(crate) mod message;

use std::net::Ipv4Addr;
use std::sync::Arc;

use ringfence_policy::{DomainName, Origin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

pub(crate) use self::map::AddressMap;
use self::message::{Answer, CLASS_IN, Question, TYPE_A, read_question, reply_to_malformed};
use crate::code::Code;
use crate::connection::Connection;
use crate::event::{Decision, Event, Protocol, Verdict};
use crate::session::Session;

/// Answers queries over UDP until the socket fails for good.
pub(crate) async fn serve_udp(session: Arc<Session>, socket: UdpSocket) {
    let mut buffer = [0; LARGEST_QUERY];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if let Some(reply) = reply_to(&session, &buffer[..length]) {
                    // A reply that is lost is asked for again.
                    let _ = socket.try_send_to(&reply, from);
                }
            }
            // An earlier reply bounced (ICMP), or the like.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Answers queries over TCP (RFC 7766), one after the other.
pub(crate) async fn serve_tcp(connection: Arc<Connection>, mut stream: TcpStream) {
    let session = &connection.session;
    let mut buffer = [0; LARGEST_QUERY];
    let exchanges = async {
        while let Ok(length) = stream.read_u16().await {
            let Some(query) = buffer.get_mut(..length.into()) else {
                break;
            };
            if stream.read_exact(query).await.is_err() {
                break;
            }
            let Some(reply) = reply_to(session, query) else {
                break;
            };
            let Ok(length) = u16::try_from(reply.len()) else {
                break;
            };
            if stream.write_all(&[&length.to_be_bytes()[..], &reply].concat()).await.is_err() {
                break;
            }
        }
    };
    let ended = timeout(session.limits.head_time, exchanges).await.map_err(|_| Code::IdleTimeout);
    connection.end(ended);
}

fn reply_to(session: &Session, query: &[u8]) -> Option<Vec<u8>> {
    match read_question(query) {
        Ok(question) => Some(question.reply(answer(session, &question))),
        Err(code) => {
            report(session, String::new(), code, None);
            reply_to_malformed(query)
        }
    }
}

fn answer(session: &Session, question: &Question<'_>) -> Answer {
    let Some(name) = question.domain().filter(|_| question.class == CLASS_IN) else {
        report(session, question.name.clone(), Code::HostMalformed, None);
        return Answer::Refused;
    };
    // Where a person is asked, every name gets an address: the question comes with the connection, which has a port. The
    // answer is made up here, so that nothing leaves either way.
    if let Err(denial) = session.rules.judge_name(&name)
        && !is_localhost(&name)
        && !session.questions.enabled()
    {
        report(session, name.to_string(), denial.code, denial.origin());
        return Answer::Refused;
    }
    // No AAAA, so that clients use IPv4; no HTTPS record, so that they have no keys for an encrypted ClientHello.
    if question.kind != TYPE_A {
        return Answer::Empty;
    }
    if is_localhost(&name) {
        return Answer::Address(Ipv4Addr::LOCALHOST);
    }
    match session.names.address(&name) {
        Some(address) => Answer::Address(address),
        None => {
            report(session, name.to_string(), Code::DnsExhausted, None);
            Answer::ServerFailure
        }
    }
}

/// RFC 6761 §6.3: `localhost` and what is below it, which is inside.
fn is_localhost(name: &DomainName) -> bool {
    name.as_str() == "localhost" || name.as_str().ends_with(".localhost")
}

fn report(session: &Session, host: String, code: Code, rule: Option<&Origin>) {
    session.report(&Event::Decision(Decision {
        connection: 0,
        protocol: Protocol::Dns,
        host,
        port: 0,
        address: None,
        verdict: Verdict::Refused,
        code: Some(code),
        rule: rule.cloned(),
    }));
}

/// A name of 253 characters with everything that EDNS puts around it.
const LARGEST_QUERY: usize = 1024;
