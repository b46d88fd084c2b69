//! What the connections of one run share: rules, limits, and the way from a host to a checked connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringfence_policy::Host;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::AddressClass;
use crate::ask::{Answer, Question, Questions};
use crate::code::Code;
use crate::connection::Connection;
use crate::decision::{LOCALHOST_ADDRESSES, Rules, is_localhost};
use crate::dns::AddressMap;
use crate::event::{Event, Events, Protocol, Verdict};
use crate::limits::Limits;
use crate::refusal::{Judged, Permitted};
use crate::resolve::{OwnAddresses, Resolver};
use crate::splice::Pipes;
use crate::summary::Summary;
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

impl Session {
    /// Takes a place for a connection, unless the run has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Connection> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if open >= self.limits.connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Connection::new(Arc::clone(self), number))
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
    pub(crate) async fn judge(&self, protocol: Protocol, target: &Target) -> Result<Permitted, Judged> {
        let own = self.own_addresses(target.host.ip().as_slice());
        let denial = match self.rules.judge_host(&target.host, target.port, &own) {
            Ok(permit) => {
                return Ok(Permitted { verdict: Verdict::Allowed, rule: Some(permit.rule.origin.clone()) });
            }
            Err(denial) => denial,
        };
        if matches!(denial.code, Code::HostNotAllowed | Code::PortNotAllowed) {
            let question = Question { host: target.host.clone(), port: target.port, protocol };
            match self.questions.answer(&question).await {
                Some(Answer::Once | Answer::Run) => {
                    return Ok(Permitted { verdict: Verdict::AllowedByAnswer, rule: None });
                }
                Some(Answer::No) => {
                    return Err(Judged { code: Code::AskRefused, ..Judged::from(denial) });
                }
                None => {}
            }
        }
        Err(denial.into())
    }

    /// The second half: from the allowed host to the one address that is connected to.
    pub(crate) async fn reach(&self, target: &Target) -> Result<(TcpStream, SocketAddr), Judged> {
        let addresses = match target.host.ip() {
            Some(address) => vec![address],
            None => self.resolve(&target.host).await?,
        };
        let own = self.own_addresses(&addresses);
        self.rules.judge_addresses(target.port, &addresses, &own)?;
        self.connect(&addresses, target.port).await.map_err(Judged::from)
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
    pub(crate) async fn connect(&self, addresses: &[IpAddr], port: u16) -> Result<(TcpStream, SocketAddr), Code> {
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
        if addresses.iter().any(|&address| AddressClass::of(address, &[]).is_none()) {
            self.own.own_addresses()
        } else {
            Vec::new()
        }
    }
}

/// Hosts that an upstream proxy must not be asked for: what is local to this machine or its network, by a literal rule.
pub(crate) fn stays_near(host: &Host) -> bool {
    is_localhost(host) || host.ip().is_some_and(|address| AddressClass::of(address, &[]).is_some())
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
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// How long a failing accept waits before it tries again.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
