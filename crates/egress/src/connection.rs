//! One client's connection: what is decided on it, and its account.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;

use crate::code::Code;
use crate::event::{Closed, Decision, Event, Protocol, Verdict};
use crate::meter::Meter;
use crate::refusal::{Judged, Permitted, Refusal, is_failure, is_late_refusal, printable};
use crate::session::{Session, Target, stays_near};
use crate::tunnel::{Early, Tunnel};

/// One client's connection: its number, its place among the run's connections, and its bytes. Reports its end when dropped, so
/// that no way out of a task can forget it.
pub(crate) struct Connection {
    pub(crate) session: Arc<Session>,
    pub(crate) number: u64,
    pub(crate) meter: Arc<Meter>,
    ended: Mutex<Result<(), Code>>,
}

/// A connection to a server.
pub(crate) struct Opened {
    pub(crate) stream: TcpStream,
    /// What the server said before the tunnel began (through an upstream proxy).
    pub(crate) early: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(session: Arc<Session>, number: u64) -> Self {
        Self { session, number, meter: Arc::default(), ended: Mutex::new(Err(Code::Shutdown)) }
    }

    /// Decides about a host for a connection that is open already (the next request on it), and reports it.
    pub(crate) async fn admit(&self, protocol: Protocol, target: &Target) -> Result<(), Refusal> {
        let judged = self.session.judge(protocol, target).await;
        self.conclude(protocol, target, judged.map(|permit| (permit, (), None)))
    }

    /// Decides about a host and opens what leads there, and reports how both went.
    pub(crate) async fn admit_through<T>(
        &self,
        protocol: Protocol,
        target: &Target,
        opening: impl Future<Output = Result<T, Code>>,
    ) -> Result<T, Refusal> {
        let opened = async {
            let permit = self.session.judge(protocol, target).await?;
            Ok((permit, opening.await?, None))
        };
        let opened = opened.await;
        self.conclude(protocol, target, opened)
    }

    /// Decides about a host, connects to it, and reports both.
    pub(crate) async fn open(&self, protocol: Protocol, target: &Target) -> Result<Opened, Refusal> {
        let session = &self.session;
        let opened = async {
            let permit = session.judge(protocol, target).await?;
            let upstream = session.upstream.as_ref().filter(|_| !stays_near(&target.host));
            let (opened, address) = match upstream {
                Some(proxy) => (crate::http::tunnel_through(session, proxy, target).await?, None),
                None => {
                    let (stream, address) =
                        session.reach(target).await.map_err(|judged| judged.after(permit.rule.clone()))?;
                    (Opened { stream, early: Vec::new() }, Some(address.ip()))
                }
            };
            Ok((permit, opened, address))
        };
        let opened = opened.await;
        self.conclude(protocol, target, opened)
    }

    /// Relays a tunnel to its end.
    pub(crate) async fn tunnel(
        &self,
        protocol: Protocol,
        target: &Target,
        client: TcpStream,
        early: Vec<u8>,
        server: Opened,
    ) {
        let session = &self.session;
        // Whatever ended before this, the connection goes on, and only the end of the run can end it from here without a word.
        self.end(Err(Code::Shutdown));
        let tunnel = Tunnel {
            host: &target.host,
            port: target.port,
            limits: &session.limits,
            pipes: &session.pipes,
            meter: &self.meter,
        };
        let early = Early { from_client: early, from_server: server.early };
        let ended = Box::pin(tunnel.relay(client, server.stream, early)).await;
        if let Err(code) = ended
            && is_late_refusal(code)
        {
            self.refused(protocol, &target.host.to_string(), target.port, code);
        }
        self.end(ended);
    }

    /// Reports a refusal that no decision about a host led to.
    pub(crate) fn refused(&self, protocol: Protocol, host: &str, port: u16, code: Code) -> Refusal {
        let refusal = Refusal { code, host: printable(host), port, rule: None };
        self.report(protocol, &refusal, Verdict::Refused, None);
        refusal
    }

    /// How the connection ends, once it is known.
    pub(crate) fn end(&self, ended: Result<(), Code>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = ended;
    }

    fn conclude<T>(
        &self,
        protocol: Protocol,
        target: &Target,
        judged: Result<(Permitted, T, Option<IpAddr>), Judged>,
    ) -> Result<T, Refusal> {
        let host = target.host.to_string();
        match judged {
            Ok((Permitted { verdict, rule }, value, address)) => {
                self.session.report(&Event::Decision(Decision {
                    connection: self.number,
                    protocol,
                    host,
                    port: target.port,
                    address,
                    verdict,
                    code: None,
                    rule,
                }));
                Ok(value)
            }
            Err(Judged { code, rule, address }) => {
                let refusal = Refusal { code, host, port: target.port, rule };
                let verdict = if is_failure(code) { Verdict::Failed } else { Verdict::Refused };
                self.report(protocol, &refusal, verdict, address);
                Err(refusal)
            }
        }
    }

    fn report(&self, protocol: Protocol, refusal: &Refusal, verdict: Verdict, address: Option<IpAddr>) {
        self.session.report(&Event::Decision(Decision {
            connection: self.number,
            protocol,
            host: refusal.host.clone(),
            port: refusal.port,
            address,
            verdict,
            code: Some(refusal.code),
            rule: refusal.rule.clone(),
        }));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.open.fetch_sub(1, Ordering::Relaxed);
        let code = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).err();
        let (up, down) = (self.meter.up.load(Ordering::Relaxed), self.meter.down.load(Ordering::Relaxed));
        let closed = Closed { connection: self.number, bytes_up: up, bytes_down: down, code };
        self.session.report(&Event::Closed(closed));
    }
}
