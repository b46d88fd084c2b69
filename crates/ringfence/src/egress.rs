//! The proxy of a run, on the supervisor's side; the same on every system.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use ringfence_egress::{Ask, Builder, Limits, Proxy, Summary, UpstreamProxy};
use zeroize::Zeroizing;

use crate::Error;
use crate::environment::{UPSTREAM_CREDENTIALS, UPSTREAM_CREDENTIALS_FILE};
use crate::plan::{EgressPlan, EgressSocket, Serves};

/// Sockets that the proxy will serve.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<(EgressSocket, Bound)>);

/// A socket that is bound.
#[derive(Debug)]
pub(crate) enum Bound {
    /// For streams, and listening.
    Stream(TcpListener),
    /// For datagrams.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only a network namespace has a resolver"))]
    Datagram(UdpSocket),
}

/// The running proxy.
#[derive(Debug)]
pub(crate) struct Egress {
    proxy: Proxy,
}

impl Sockets {
    /// Binds the sockets of a plan without a network namespace, on the host's loopback device. The first address is that of
    /// the proxy.
    pub(crate) fn bind(plan: &EgressPlan) -> Result<(Self, SocketAddr), Error> {
        let failed = |source| Error::Sandbox { step: "binding the proxy's socket".to_owned(), source };
        let mut address = None;
        let mut sockets = Vec::with_capacity(plan.sockets.len());
        for socket in &plan.sockets {
            let listener = TcpListener::bind(socket.address).map_err(failed)?;
            address = address.or(Some(listener.local_addr().map_err(failed)?));
            sockets.push((*socket, Bound::Stream(listener)));
        }
        let address = address.ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
        Ok((Self(sockets), address))
    }

    /// Adds a socket that was bound elsewhere.
    #[cfg(target_os = "linux")]
    pub(crate) fn add(&mut self, socket: EgressSocket, bound: Bound) {
        self.0.push((socket, bound));
    }
}

impl Egress {
    /// A proxy that has everything but its sockets, so that what can be refused is refused before the command starts.
    pub(crate) fn prepare(plan: &EgressPlan, ask: Option<Arc<dyn Ask>>) -> Result<Builder, Error> {
        let mut builder = Proxy::builder(plan.rules());
        if let Some(upstream) = &plan.upstream {
            let proxy = UpstreamProxy::new(upstream.clone());
            builder = builder.upstream(match credentials()? {
                Some(credentials) => proxy.with_credentials(&credentials),
                None => proxy,
            });
        }
        if let Some(ask) = ask.filter(|_| plan.ask) {
            builder = builder.ask(ask);
        }
        Ok(builder)
    }

    /// Starts serving. Connections that came before wait in the sockets.
    pub(crate) fn start(builder: Builder, sockets: Sockets) -> Result<Self, Error> {
        let mut limits = Limits::default();
        limits.connections = limits.connections.min(raise_descriptor_limit(limits.connections));
        let proxy = hand_over(builder.limits(limits), sockets).start().map_err(|source| Error::Egress { source })?;
        Ok(Self { proxy })
    }

    /// Ends every connection and gives the account.
    pub(crate) fn finish(self) -> Summary {
        self.proxy.finish()
    }
}

fn hand_over(mut builder: Builder, sockets: Sockets) -> Builder {
    let mut names_udp = None;
    let mut names_tcp = None;
    for (socket, bound) in sockets.0 {
        match (bound, socket.serves) {
            (Bound::Stream(listener), Serves::Proxy) => builder = builder.listen(listener),
            (Bound::Stream(listener), Serves::Direct) => builder = builder.listen_transparent(listener),
            (Bound::Stream(listener), Serves::Names) => names_tcp = Some(listener),
            (Bound::Datagram(socket), _) => names_udp = Some(socket),
        }
    }
    match names_udp {
        Some(udp) => builder.answer_names(udp, names_tcp),
        None => builder,
    }
}

/// Windows bounds handles by memory alone.
#[cfg(not(unix))]
fn raise_descriptor_limit(connections: usize) -> usize {
    connections
}

/// Makes room for two descriptors per connection, as far as this process may, and returns how many connections fit. The
/// command was started before and keeps the limit that the caller had.
#[cfg(unix)]
fn raise_descriptor_limit(connections: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    /// Descriptors for everything else: sockets of the run, lookups, pipes for splicing.
    const OTHERS: u64 = 256;
    let wanted = 2 * connections as u64 + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted.min(most));
        // With fewer descriptors there are fewer connections.
        setrlimit(Resource::Nofile, limit).unwrap_or_default();
    }
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(have.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX).max(1)
}

/// `user:password` for the upstream proxy, from the environment or from a file that every plan hides.
fn credentials() -> Result<Option<Zeroizing<String>>, Error> {
    if let Ok(credentials) = std::env::var(UPSTREAM_CREDENTIALS) {
        return Ok(Some(Zeroizing::new(credentials)));
    }
    let Some(path) = std::env::var_os(UPSTREAM_CREDENTIALS_FILE).map(PathBuf::from) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).map(Zeroizing::new);
    let text = text.map_err(|source| Error::UpstreamCredentials { path, source })?;
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}
