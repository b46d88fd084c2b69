//! The only way out of a run: an allowlisting proxy that is handed its listening sockets and its rules.
//!
//! Three ways in, one decision. Proxy clients speak HTTP/1.1 (CONNECT, absolute form, WebSocket) or SOCKS5 on one port, told
//! apart by the first byte. Programs that know nothing of proxies resolve names with the stub resolver, which answers allowed names
//! with synthetic addresses, and connect to those; a listener accepts, and the address that was connected to tells the host.
//!
//! Every way ends in [`Rules`]: deny wins, then the address must be public or have a literal rule, then an allow rule must name
//! host and port. The name is resolved once, every address is checked, and the connection goes to a checked address. Where the
//! client speaks TLS, the server name of its ClientHello must be the host. Nothing is decrypted.
//!
//! Each refusal has a stable [`Code`], which clients see in the header `x-ringfence-reason`, in the SOCKS reply or as a reset, and the
//! engine sees in an [`Event`]; [`Summary`] adds the events up.
//!
//! ```no_run
//! use ringfence_egress::{Proxy, Rules};
//! use ringfence_policy::{Origin, Rule};
//!
//! let allow = Rule::new("example.com".parse()?, Origin::Flag { flag: "--allow".to_owned() });
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let proxy = Proxy::builder(Rules::new(vec![allow], vec![])).listen(listener).start()?;
//! // … the command runs …
//! for blocked in proxy.finish().blocked {
//!     eprintln!("{}:{} was refused: {}", blocked.host, blocked.port, blocked.code);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod address;
mod ask;
mod client_hello;
mod code;
mod connection;
mod decision;
mod dns;
mod environment;
mod error;
mod event;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod limits;
mod meter;
mod proxy;
mod refusal;
mod resolve;
mod session;
mod socks;
mod socks5;
mod splice;
mod summary;
mod transparent;
mod tunnel;
mod upstream;

pub use address::AddressClass;
pub use ask::{Answer, Ask, Question};
pub use client_hello::{ClientHello, Progress, read_client_hello};
pub use code::{Code, UnknownCode};
pub use decision::{Denial, Permit, Rules};
pub use environment::{Endpoint, proxy_environment};
pub use error::EgressError;
pub use event::{Closed, Decision, Event, Events, Protocol, Verdict};
pub use limits::Limits;
pub use proxy::{Builder, Proxy};
pub use resolve::{OwnAddresses, Resolver, Resolving, SystemInterfaces, SystemResolver};
pub use summary::{Blocked, Reached, Summary};
pub use upstream::UpstreamProxy;
