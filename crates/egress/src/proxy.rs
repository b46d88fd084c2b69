//! The proxy of one run: handed its sockets, on its own thread.

use std::fmt;
use std::net::{TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::ask::{Ask, Questions};
use crate::code::Code;
use crate::connection::Connection;
use crate::decision::Rules;
use crate::dns::{self, AddressMap};
use crate::error::EgressError;
use crate::event::{Event, Events, Protocol};
use crate::limits::Limits;
use crate::resolve::{OwnAddresses, Resolver, SystemInterfaces, SystemResolver};
use crate::session::{ACCEPT_PAUSE, Session, is_descriptors_exhausted};
use crate::summary::Summary;
use crate::tunnel::{read_some, reset};
use crate::upstream::UpstreamProxy;
use crate::{http, socks, socks5, transparent};

/// A running proxy. Dropping it ends it and every connection.
pub struct Proxy {
    session: Arc<Session>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a proxy is made of. Sockets are handed over open; the proxy itself opens only connections that it has decided about.
pub struct Builder {
    rules: Rules,
    limits: Limits,
    resolver: Arc<dyn Resolver>,
    own: Arc<dyn OwnAddresses>,
    upstream: Option<UpstreamProxy>,
    ask: Option<Arc<dyn Ask>>,
    events: Option<Arc<dyn Events>>,
    listeners: Vec<(StdTcpListener, Role)>,
    resolvers: Vec<StdUdpSocket>,
}

/// What arrives on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Proxy,
    Transparent,
    Dns,
}

impl Proxy {
    /// A proxy for these rules, with default limits, the system's resolver, and no sockets yet.
    pub fn builder(rules: Rules) -> Builder {
        Builder {
            rules,
            limits: Limits::default(),
            resolver: Arc::new(SystemResolver),
            own: Arc::new(SystemInterfaces::default()),
            upstream: None,
            ask: None,
            events: None,
            listeners: Vec::new(),
            resolvers: Vec::new(),
        }
    }

    /// What has happened so far.
    pub fn summary(&self) -> Summary {
        self.session.summary().clone()
    }

    /// Ends every connection and gives the final account. Each connection that was open is reported as closed first.
    pub fn finish(mut self) -> Summary {
        self.stop();
        self.summary()
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed by it; its connections are closed either way.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("rules", &self.session.rules).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Builder {
    /// Other limits than the default ones.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Another resolver than the system's.
    #[must_use]
    pub fn resolver(self, resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, ..self }
    }

    /// Another source of this host's own addresses than its interfaces.
    #[must_use]
    pub fn own_addresses(self, own: Arc<dyn OwnAddresses>) -> Self {
        Self { own, ..self }
    }

    /// A proxy that everything but local hosts goes through.
    ///
    /// The upstream resolves names, so that address rules cannot be verified for names any more: a plan has to say so.
    #[must_use]
    pub fn upstream(self, upstream: UpstreamProxy) -> Self {
        Self { upstream: Some(upstream), ..self }
    }

    /// Someone to ask about hosts that no rule names.
    #[must_use]
    pub fn ask(self, ask: Arc<dyn Ask>) -> Self {
        Self { ask: Some(ask), ..self }
    }

    /// A receiver of every event.
    #[must_use]
    pub fn events(self, events: Arc<dyn Events>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// A listener for proxy clients: HTTP and SOCKS5.
    #[must_use]
    pub fn listen(mut self, listener: StdTcpListener) -> Self {
        self.listeners.push((listener, Role::Proxy));
        self
    }

    /// A listener for direct connections; see [`Rules::transparent_ports`] and [`Rules::localhost_ports`] for its port.
    #[must_use]
    pub fn listen_transparent(mut self, listener: StdTcpListener) -> Self {
        self.listeners.push((listener, Role::Transparent));
        self
    }

    /// The sockets of the stub resolver.
    #[must_use]
    pub fn answer_names(mut self, udp: StdUdpSocket, tcp: Option<StdTcpListener>) -> Self {
        self.resolvers.push(udp);
        self.listeners.extend(tcp.map(|listener| (listener, Role::Dns)));
        self
    }

    /// Starts the thread that serves the sockets.
    ///
    /// # Errors
    /// A socket that cannot be used, or a host without descriptors or threads.
    pub fn start(self) -> Result<Proxy, EgressError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Name lookups and questions; more lookups at once would only queue up in the system's resolver.
            .max_blocking_threads(16)
            .thread_name("ringfence-lookup")
            .build()
            .map_err(EgressError::Runtime)?;
        let sockets = {
            let _entered = runtime.enter();
            let listeners = self.listeners.into_iter().map(register_listener).collect::<Result<Vec<_>, _>>()?;
            let resolvers = self.resolvers.into_iter().map(register_udp).collect::<Result<Vec<_>, _>>()?;
            Sockets { listeners, resolvers }
        };
        let session = Arc::new(Session {
            questions: Questions::new(self.ask, self.limits.ask_time, self.limits.questions),
            names: AddressMap::new(self.limits.names),
            rules: self.rules,
            limits: self.limits,
            resolver: self.resolver,
            own: self.own,
            upstream: self.upstream,
            events: self.events,
            summary: Default::default(),
            pipes: Default::default(),
            connections: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&session);
        let thread = std::thread::Builder::new()
            .name("ringfence-egress".to_owned())
            .spawn(move || serve(runtime, shared, sockets, stopped))
            .map_err(EgressError::Thread)?;
        Ok(Proxy { session, stop: Some(stop), thread: Some(thread) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("rules", &self.rules).field("limits", &self.limits).finish_non_exhaustive()
    }
}

struct Sockets {
    listeners: Vec<(TcpListener, Role)>,
    resolvers: Vec<UdpSocket>,
}

fn register_listener((listener, role): (StdTcpListener, Role)) -> Result<(TcpListener, Role), EgressError> {
    let failed = |source| EgressError::Socket { role: role.name(), source };
    listener.set_nonblocking(true).map_err(failed)?;
    // Inherited by accepted sockets on Linux (tcp(7)), which spares a call for each.
    SockRef::from(&listener).set_tcp_nodelay(true).map_err(failed)?;
    Ok((TcpListener::from_std(listener).map_err(failed)?, role))
}

fn register_udp(socket: StdUdpSocket) -> Result<UdpSocket, EgressError> {
    let failed = |source| EgressError::Socket { role: "resolver", source };
    socket.set_nonblocking(true).map_err(failed)?;
    UdpSocket::from_std(socket).map_err(failed)
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Transparent => "transparent",
            Self::Dns => "resolver",
        }
    }
}

fn serve(runtime: Runtime, session: Arc<Session>, sockets: Sockets, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async {
        for (listener, role) in sockets.listeners {
            tokio::spawn(accept(Arc::clone(&session), listener, role));
        }
        for socket in sockets.resolvers {
            tokio::spawn(dns::serve_udp(Arc::clone(&session), socket));
        }
        // Resolves when the sender is dropped.
        let _ = stopped.await;
    });
    // A lookup or a question that hangs must not hold up the end of the run. The tasks are dropped, and report themselves.
    runtime.shutdown_background();
}

async fn accept(session: Arc<Session>, listener: TcpListener, role: Role) {
    let mut spare = Spare::new();
    loop {
        match listener.accept().await {
            Ok((client, _)) => match session.enter() {
                Some(connection) => {
                    tokio::spawn(handle(Arc::new(connection), client, role));
                }
                None => {
                    session.report(&Event::Fault { code: Code::TooManyConnections });
                    reset(&client);
                }
            },
            Err(error) if is_descriptors_exhausted(&error) => {
                session.report(&Event::Fault { code: Code::DescriptorsExhausted });
                // A client that is not accepted would hang; with a descriptor kept for this it is told instead.
                if !spare.turn_away(&listener) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            // The client has left before it was accepted, or the host is short of memory.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn handle(connection: Arc<Connection>, client: TcpStream, role: Role) {
    // Linux passes the option on from the listener.
    if !cfg!(target_os = "linux") {
        let _ = client.set_nodelay(true);
    }
    match role {
        // Boxed, so that a tunnel, which most connections become, carries the room for its own way in only.
        Role::Transparent => Box::pin(transparent::serve(connection, client)).await,
        Role::Dns => Box::pin(dns::serve_tcp(connection, client)).await,
        Role::Proxy => {
            let mut early = Vec::new();
            let read = read_some(&client, &mut early, FIRST_READ);
            let read = timeout(connection.session.limits.head_time, read).await;
            match (read, early.first()) {
                (Err(_), _) => connection.end(Err(Code::RequestHeadTimeout)),
                (Ok(Err(_)), _) => connection.end(Err(Code::ClientReset)),
                (Ok(Ok(())), None) => connection.end(Ok(())),
                (Ok(Ok(())), Some(&socks5::VERSION)) => Box::pin(socks::serve(connection, client, early)).await,
                // SOCKS4, which sends addresses only.
                (Ok(Ok(())), Some(4)) => {
                    connection.refused(Protocol::Socks, "", 0, Code::SocksMalformed);
                    connection.end(Err(Code::SocksMalformed));
                    reset(&client);
                }
                (Ok(Ok(())), Some(_)) => http::serve(connection, client, early, None).await,
            }
        }
    }
}

/// More than an ordinary request head; a longer one is read on by who serves it.
const FIRST_READ: usize = 8 * 1024;

/// A descriptor that is kept so that one more client can be accepted and turned away.
struct Spare(Option<Socket>);

impl Spare {
    fn new() -> Self {
        // Any descriptor does; an unbound socket exists on every OS.
        Self(Socket::new(Domain::IPV4, Type::STREAM, None).ok())
    }

    /// Whether a client was turned away.
    fn turn_away(&mut self, listener: &TcpListener) -> bool {
        let freed = self.0.take().is_some();
        let client = freed.then(|| SockRef::from(listener).accept().ok()).flatten();
        let told = client.is_some();
        if let Some((client, _)) = client {
            let _ = client.set_linger(Some(Duration::ZERO));
        }
        *self = Self::new();
        told
    }
}
