//! What one run may take of the supervisor.

use std::time::Duration;

/// Bounds on one run's use of the proxy. Every bound ends in a refusal with a code, never in an unbounded queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at once, tunnels included. A tunnel takes two descriptors (four more while it splices).
    pub connections: usize,
    /// Bytes of one request head. Values under 8192 count as 8192.
    pub head_bytes: usize,
    /// Header fields of one request.
    pub head_fields: usize,
    /// Time for one whole request head or SOCKS exchange; a client that sends it byte by byte ends here. Also how long an HTTP
    /// connection may stay open between two requests.
    pub head_time: Duration,
    /// Bytes of one ClientHello, record headers included.
    pub hello_bytes: usize,
    /// Time for the whole ClientHello.
    pub hello_time: Duration,
    /// Time for the resolver.
    pub resolve_time: Duration,
    /// Time until a server (all of its addresses together) has accepted.
    pub connect_time: Duration,
    /// How long nothing may move in either direction.
    pub idle_time: Duration,
    /// How long one connection may live, whatever it does.
    pub total_time: Option<Duration>,
    /// How long a person may think about a question ([`crate::Ask`]).
    pub ask_time: Duration,
    /// Questions per run; the ones after it are answered no.
    pub questions: usize,
    /// Different names the stub resolver answers.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            head_bytes: 32 * 1024,
            head_fields: 100,
            head_time: Duration::from_secs(30),
            hello_bytes: 64 * 1024,
            hello_time: Duration::from_secs(15),
            resolve_time: Duration::from_secs(10),
            connect_time: Duration::from_secs(20),
            idle_time: Duration::from_secs(15 * 60),
            total_time: None,
            ask_time: Duration::from_secs(120),
            questions: 64,
            names: 16 * 1024,
        }
    }
}
