//! From names to addresses, and this host's own addresses.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use ringfence_policy::DomainName;

use crate::session::is_descriptors_exhausted;

/// The answer of a [`Resolver`], later.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Resolves names. Asked once per connection; the addresses it gives are checked, and a connection goes to one of them.
pub trait Resolver: Send + Sync {
    /// Every address of the name, best first.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where the name does not exist; anything else is a failure of the resolver.
    fn resolve<'a>(&'a self, name: &'a DomainName) -> Resolving<'a>;
}

/// The resolver of the operating system (`getaddrinfo`), so that the host's own configuration, VPN included, holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a DomainName) -> Resolving<'a> {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            tokio::task::spawn_blocking(move || look_up(&name)).await.map_err(io::Error::other)?
        })
    }
}

/// `getaddrinfo` with an error that tells a name that does not exist from a resolver that fails; the standard library's does
/// not.
fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    // One answer per address, not one per address and kind of socket.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found =
        getaddrinfo(Some(name), None, Some(hints)).map_err(|error| match (out_of_descriptors(), error.kind()) {
            (Some(exhausted), _) => exhausted,
            (None, LookupErrorKind::NoName | LookupErrorKind::NoData) => io::ErrorKind::NotFound.into(),
            (None, _) => io::Error::from(error),
        })?;
    let mut seen = HashSet::new();
    let addresses = found.map(|entry| entry.map(|entry| entry.sockaddr.ip()));
    addresses.filter(|address| address.as_ref().map_or(true, |address| seen.insert(*address))).collect()
}

/// The error, if the process has no descriptors left: a resolver that cannot open its files or sockets says that the name does
/// not exist (glibc 2.36).
fn out_of_descriptors() -> Option<io::Error> {
    // A file and a socket for each family, and one that it reads the interfaces from.
    let sockets = [(); 4].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    sockets.into_iter().find_map(|socket| socket.err().filter(is_descriptors_exhausted))
}

/// The addresses of this host's interfaces, which a sandboxed command must not reach by their public spelling.
pub trait OwnAddresses: Send + Sync {
    /// All of them, of all families.
    fn own_addresses(&self) -> Vec<IpAddr>;
}

/// The interfaces as the operating system lists them, read at most once in five seconds: interfaces come and go (VPN), and a
/// listing per connection would cost more than the connection.
#[derive(Debug, Default)]
pub struct SystemInterfaces {
    read: Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

impl OwnAddresses for SystemInterfaces {
    fn own_addresses(&self) -> Vec<IpAddr> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((when, addresses)) if when.elapsed() < FRESH => addresses.clone(),
            _ => {
                // Without a listing the last one holds; the ranges that are refused anyway do not depend on it.
                let addresses = match if_addrs::get_if_addrs() {
                    Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).collect(),
                    Err(_) => read.take().map(|(_, addresses)| addresses).unwrap_or_default(),
                };
                *read = Some((Instant::now(), addresses.clone()));
                addresses
            }
        }
    }
}

const FRESH: Duration = Duration::from_secs(5);

impl OwnAddresses for Vec<IpAddr> {
    fn own_addresses(&self) -> Vec<IpAddr> {
        self.clone()
    }
}
