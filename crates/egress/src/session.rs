//! What the connections of one run share: rules, limits, and the way from a host to a checked connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringfence_policy::{Host, Origin};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::AddressClass;
use crate::ask::{Answer, Question, Questions};
use crate::code::Code;
use crate::decision::{Denial, LOCALHOST_ADDRESSES, Rules, is_localhost};
use crate::dns::AddressMap;
use crate::event::{Closed, Decision, Event, Events, Protocol, Verdict};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::resolve::{OwnAddresses, Resolver};
use crate::splice::Pipes;
use crate::summary::{Summary, flag};
use crate::tunnel::{Early, Tunnel};
use crate::upstream::UpstreamProxy;

/// One run's egress.
pub(crate) struct Session {
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) own: Arc<dyn OwnAddresses>,
    pub(crate) upstream: Option<UpstreamProxy>,
    pub(crate) questions: Questions,
    pub(crate) events: Option<Arc<dyn Events>>,
    pub(crate) summary: Mutex<Summary>,
    pub(crate) names: AddressMap,
    pub(crate) pipes: Pipes,
    pub(crate) connections: AtomicU64,
    pub(crate) open: AtomicUsize,
}

/// Where a client wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// An answer that is no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// The host in normal form, or as it was written.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where the rule that decided was written.
    pub(crate) rule: Option<Origin>,
}

/// A connection to a server.
pub(crate) struct Opened {
    pub(crate) stream: TcpStream,
    /// What the server said before the tunnel began (through an upstream proxy).
    pub(crate) early: Vec<u8>,
}

/// One client's connection: its number, its place among the run's connections, and its bytes. Reports its end when dropped, so
/// that no way out of a task can forget it.
pub(crate) struct Connection {
    pub(crate) session: Arc<Session>,
    pub(crate) number: u64,
    pub(crate) meter: Arc<Meter>,
    ended: Mutex<Result<(), Code>>,
}

impl Session {
    /// Takes a place for a connection, unless the run has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Connection> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if open >= self.limits.connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Connection {
            session: Arc::clone(self),
            number: self.connections.fetch_add(1, Ordering::Relaxed) + 1,
            meter: Arc::default(),
            ended: Mutex::new(Err(Code::Shutdown)),
        })
    }

    /// Passes an event on and adds it up.
    pub(crate) fn report(&self, event: &Event) {
        self.summary().add(event);
        if let Some(events) = &self.events {
            events.event(event);
        }
    }

    pub(crate) fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first half of the decision: rules and, where no rule names the host, a person.
    async fn judge(
        &self,
        protocol: Protocol,
        target: &Target,
    ) -> Result<(Verdict, Option<Origin>), Judged> {
        let own = self.own_addresses(
            target
                .host
                .ip()
                .as_ref()
                .map(std::slice::from_ref)
                .unwrap_or_default(),
        );
        let denial = match self.rules.judge_host(&target.host, target.port, &own) {
            Ok(permit) => return Ok((Verdict::Allowed, Some(permit.rule.origin.clone()))),
            Err(denial) => denial,
        };
        if matches!(denial.code, Code::HostNotAllowed | Code::PortNotAllowed) {
            let question = Question {
                host: target.host.clone(),
                port: target.port,
                protocol,
            };
            match self.questions.answer(&question).await {
                Some(Answer::Once | Answer::Run) => return Ok((Verdict::AllowedByAnswer, None)),
                Some(Answer::No) => {
                    return Err(Judged {
                        code: Code::AskRefused,
                        ..Judged::from(denial)
                    });
                }
                None => {}
            }
        }
        Err(denial.into())
    }

    /// The second half: from the allowed host to the one address that is connected to.
    async fn reach(&self, target: &Target) -> Result<(TcpStream, SocketAddr), Judged> {
        let addresses = match target.host.ip() {
            Some(address) => vec![address],
            None => self.resolve(&target.host).await?,
        };
        let own = self.own_addresses(&addresses);
        self.rules.judge_addresses(target.port, &addresses, &own)?;
        self.connect(&addresses, target.port)
            .await
            .map_err(Judged::from)
    }

    pub(crate) async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, Code> {
        let Host::Name(name) = host else {
            return Ok(host.ip().into_iter().collect());
        };
        if is_localhost(host) {
            return Ok(LOCALHOST_ADDRESSES.to_vec());
        }
        match timeout(self.limits.resolve_time, self.resolver.resolve(name)).await {
            Err(_) => Err(Code::NameResolutionTimeout),
            Ok(Ok(addresses)) if addresses.is_empty() => Err(Code::NameNotFound),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(code_of_resolving(&error)),
        }
    }

    /// Tries the addresses in turn; each gets its share of the time that is left.
    pub(crate) async fn connect(
        &self,
        addresses: &[IpAddr],
        port: u16,
    ) -> Result<(TcpStream, SocketAddr), Code> {
        let end = Instant::now() + self.limits.connect_time;
        let mut failure = Code::ConnectFailed;
        for (index, &address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(address, port);
            let now = Instant::now();
            let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = now + end.saturating_duration_since(now) / left;
            match timeout_at(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Both sides of a tunnel have decided themselves when to send; nothing is gained by waiting.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address));
                }
                Ok(Err(error)) => failure = code_of_connecting(&error),
                Err(_) => failure = Code::ConnectTimeout,
            }
            if failure == Code::DescriptorsExhausted {
                break;
            }
        }
        Err(failure)
    }

    /// Interfaces are listed only where an address could be this host's own: one that no other check refuses anyway.
    fn own_addresses(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        if addresses
            .iter()
            .any(|&address| AddressClass::of(address, &[]).is_none())
        {
            self.own.own_addresses()
        } else {
            Vec::new()
        }
    }
}

impl Connection {
    /// Decides about a host for a connection that is open already (the next request on it), and reports it.
    pub(crate) async fn admit(&self, protocol: Protocol, target: &Target) -> Result<(), Refusal> {
        let judged = self.session.judge(protocol, target).await;
        self.conclude(protocol, target, judged.map(|permit| (permit, (), None)))
    }

    /// Decides about a host, connects to it, and reports both.
    pub(crate) async fn open(
        &self,
        protocol: Protocol,
        target: &Target,
    ) -> Result<Opened, Refusal> {
        let session = &self.session;
        let opened = async {
            let permit = session.judge(protocol, target).await?;
            let upstream = session
                .upstream
                .as_ref()
                .filter(|_| !stays_near(&target.host));
            let (opened, address) = match upstream {
                Some(proxy) => (
                    crate::http::tunnel_through(session, proxy, target).await?,
                    None,
                ),
                None => {
                    let (stream, address) = session
                        .reach(target)
                        .await
                        .map_err(|judged| judged.after(permit.1.clone()))?;
                    (
                        Opened {
                            stream,
                            early: Vec::new(),
                        },
                        Some(address.ip()),
                    )
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
        target: &Target,
        client: TcpStream,
        early: Vec<u8>,
        server: Opened,
    ) {
        let session = &self.session;
        let tunnel = Tunnel {
            host: &target.host,
            port: target.port,
            limits: &session.limits,
            pipes: &session.pipes,
            meter: &self.meter,
        };
        let early = Early {
            from_client: early,
            from_server: server.early,
        };
        let ended = tunnel.relay(client, server.stream, early).await;
        if let Err(code) = ended
            && is_late_refusal(code)
        {
            self.refused(
                Protocol::Connect,
                &target.host.to_string(),
                target.port,
                code,
                None,
            );
        }
        self.end(ended);
    }

    /// Reports a refusal that no decision about a host led to.
    pub(crate) fn refused(
        &self,
        protocol: Protocol,
        host: &str,
        port: u16,
        code: Code,
        rule: Option<Origin>,
    ) -> Refusal {
        let refusal = Refusal {
            code,
            host: printable(host),
            port,
            rule,
        };
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
        judged: Result<((Verdict, Option<Origin>), T, Option<IpAddr>), Judged>,
    ) -> Result<T, Refusal> {
        let host = target.host.to_string();
        match judged {
            Ok(((verdict, rule), value, address)) => {
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
            Err(Judged {
                code,
                rule,
                address,
            }) => {
                let refusal = Refusal {
                    code,
                    host,
                    port: target.port,
                    rule,
                };
                let verdict = if is_failure(code) {
                    Verdict::Failed
                } else {
                    Verdict::Refused
                };
                self.report(protocol, &refusal, verdict, address);
                Err(refusal)
            }
        }
    }

    fn report(
        &self,
        protocol: Protocol,
        refusal: &Refusal,
        verdict: Verdict,
        address: Option<IpAddr>,
    ) {
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
        let code = self
            .ended
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .err();
        let (up, down) = (
            self.meter.up.load(Ordering::Relaxed),
            self.meter.down.load(Ordering::Relaxed),
        );
        let closed = Closed {
            connection: self.number,
            bytes_up: up,
            bytes_down: down,
            code,
        };
        self.session.report(&Event::Closed(closed));
    }
}

impl Refusal {
    /// What a person or a model reads: what was refused, why, and what would allow it.
    pub(crate) fn message(&self) -> String {
        let Self {
            code,
            host,
            port,
            rule,
        } = self;
        let what = match (host.as_str(), port) {
            ("", _) => "this request".to_owned(),
            (host, 0) => host.to_owned(),
            (host, port) => format!("{host}:{port}"),
        };
        let outcome = if is_failure(*code) {
            "could not connect to"
        } else {
            "refused"
        };
        let mut message = format!(
            "ringfence {outcome} {what} [{code}]: {}.\n",
            code.explanation()
        );
        if let Some(origin) = rule {
            message += &format!("The deciding rule: {origin}.\n");
        }
        if let Some(flag) = flag(host, *port, *code) {
            message += &format!(
                "The command cannot change this. Who started it can: `ringfence run {flag} -- …`, or an entry in [network] allow.\n"
            );
        }
        message
    }
}

/// A code on its way to becoming a refusal.
pub(crate) struct Judged {
    code: Code,
    rule: Option<Origin>,
    address: Option<IpAddr>,
}

impl Judged {
    /// A host that a rule allowed and that failed afterwards names that rule, unless another one refused it.
    fn after(self, permitting: Option<Origin>) -> Self {
        let rule = if is_failure(self.code) {
            permitting
        } else {
            self.rule
        };
        Self { rule, ..self }
    }
}

impl From<Code> for Judged {
    fn from(code: Code) -> Self {
        Self {
            code,
            rule: None,
            address: None,
        }
    }
}

impl From<Denial<'_>> for Judged {
    fn from(denial: Denial<'_>) -> Self {
        Self {
            code: denial.code,
            rule: denial.origin().cloned(),
            address: denial.address,
        }
    }
}

/// Hosts that an upstream proxy must not be asked for: what is local to this machine or its network, by a literal rule.
pub(crate) fn stays_near(host: &Host) -> bool {
    is_localhost(host)
        || host
            .ip()
            .is_some_and(|address| AddressClass::of(address, &[]).is_some())
}

/// What text from a client may become in an event: short, on one line, ASCII.
fn printable(text: &str) -> String {
    text.chars()
        .take(255)
        .flat_map(char::escape_default)
        .collect()
}

/// The host was allowed, and something else went wrong.
fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::NameNotFound
            | Code::NameResolutionFailed
            | Code::NameResolutionTimeout
            | Code::ConnectRefused
            | Code::ConnectTimeout
            | Code::ConnectFailed
            | Code::ServerMalformed
            | Code::UpstreamFailed
            | Code::UpstreamRefused
            | Code::DescriptorsExhausted
    )
}

/// Refusals that are known only after the tunnel was opened.
fn is_late_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::TlsNameMissing
            | Code::TlsNameMismatch
            | Code::TlsEchNameMismatch
            | Code::TlsExpected
            | Code::TlsMalformed
            | Code::TlsHelloTimeout
    )
}

fn code_of_resolving(error: &io::Error) -> Code {
    match error.kind() {
        _ if is_descriptors_exhausted(error) => Code::DescriptorsExhausted,
        io::ErrorKind::NotFound => Code::NameNotFound,
        io::ErrorKind::TimedOut => Code::NameResolutionTimeout,
        _ => Code::NameResolutionFailed,
    }
}

fn code_of_connecting(error: &io::Error) -> Code {
    match error.kind() {
        _ if is_descriptors_exhausted(error) => Code::DescriptorsExhausted,
        io::ErrorKind::ConnectionRefused => Code::ConnectRefused,
        io::ErrorKind::TimedOut => Code::ConnectTimeout,
        _ => Code::ConnectFailed,
    }
}

/// EMFILE and ENFILE; WSAEMFILE on Windows. The standard library has no kind for them.
pub(crate) fn is_descriptors_exhausted(error: &io::Error) -> bool {
    let codes: &[i32] = if cfg!(windows) { &[10024] } else { &[23, 24] };
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// How long a failing accept waits before it tries again.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
