//! What can go wrong while the proxy is set up.

use std::io;

/// The proxy could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// A socket that was handed over cannot be used.
    #[error("cannot use the {role} socket: {source}; hand over an open socket of the right kind")]
    Socket {
        /// What the socket was to be used for.
        role: &'static str,
        /// The OS error.
        source: io::Error,
    },
    /// The event loop cannot be created.
    #[error("cannot create the event loop of the proxy: {0}; raise the limit of open files (ulimit -n)")]
    Runtime(io::Error),
    /// The thread cannot be started.
    #[error("cannot start the thread of the proxy: {0}; raise the limit of processes (ulimit -u)")]
    Thread(io::Error),
}

impl EgressError {
    /// The stable name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Socket { .. } => "egress-socket",
            Self::Runtime(_) => "egress-runtime",
            Self::Thread(_) => "egress-thread",
        }
    }
}
