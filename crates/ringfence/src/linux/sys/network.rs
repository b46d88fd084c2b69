//! The child's network namespace: its loopback device, its routes, and the sockets that the supervisor serves.

use std::net::SocketAddr;

use super::arena::Shared;
use super::call::{self, Errno, RawFd, Result};
use crate::linux::rtnetlink;

/// What the child prepares for the egress proxy.
#[derive(Clone, Copy)]
pub(crate) struct Egress<'a> {
    /// Requests of rtnetlink(7).
    pub(crate) routes: Shared<'a, [Shared<'a, [u8]>]>,
    /// Sockets, in the order in which they are handed over.
    pub(crate) sockets: Shared<'a, [Socket]>,
}

/// A socket to be bound.
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    pub(crate) address: SocketAddr,
    pub(crate) stream: bool,
    /// Whether the run goes on without it, where the kernel has no such address.
    pub(crate) optional: bool,
}

/// Sets `IFF_UP` on `lo` (netdevice(7)), the only device of a new network namespace.
pub(super) fn bring_up_loopback() -> Result<()> {
    let socket = open_socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: an all-zero ifreq is a valid value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
    // SAFETY: the request lives through the call and is what SIOCSIFFLAGS expects.
    let result = unsafe { call::control(socket, libc::SIOCSIFFLAGS, (&raw mut request) as usize) };
    call::close(socket);
    result.map(drop)
}

/// Makes the routes, binds the sockets and hands them over, one message each; what is optional and impossible is an empty
/// message. The error carries the index of the socket, or the largest number for a route.
pub(super) fn hand_over(egress: &Egress<'_>, control: RawFd) -> std::result::Result<(), (usize, Errno)> {
    add_routes(&egress.routes).map_err(|errno| (usize::MAX, errno))?;
    for (index, socket) in egress.sockets.iter().enumerate() {
        let failed = |errno| (index, errno);
        match bind(socket) {
            Ok(bound) => {
                call::send_descriptor(control, bound).map_err(failed)?;
                call::close(bound);
            }
            Err(Errno(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)) if socket.optional => {
                call::write(control, b"-").map_err(failed)?;
            }
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(())
}

fn add_routes(requests: &[Shared<'_, [u8]>]) -> Result<()> {
    if requests.is_empty() {
        return Ok(());
    }
    let socket = open_socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let result = requests.iter().try_for_each(|request| {
        call::write(socket, request)?;
        let mut answer = [0; 512];
        let read = call::read(socket, &mut answer)?;
        match rtnetlink::acknowledged(&answer[..read]) {
            Some(0) => Ok(()),
            Some(errno) => Err(Errno(errno)),
            None => Err(Errno(libc::EPROTO)),
        }
    });
    call::close(socket);
    result
}

/// A bound socket; one for streams listens, so that connections wait in it until the supervisor serves them.
fn bind(socket: &Socket) -> Result<RawFd> {
    let family = if socket.address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = if socket.stream { libc::SOCK_STREAM } else { libc::SOCK_DGRAM };
    let fd = open_socket(family, kind, 0)?;
    let result = bind_to(fd, socket);
    if result.is_err() {
        call::close(fd);
    }
    result.map(|()| fd)
}

fn bind_to(fd: RawFd, socket: &Socket) -> Result<()> {
    const BACKLOG: usize = 4096;
    match socket.address {
        SocketAddr::V4(address) => {
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            bind_address(fd, (&raw const address) as usize, size_of_val(&address))?;
        }
        SocketAddr::V6(address) => {
            // The same port on IPv4 has a socket of its own.
            let only: i32 = 1;
            let option = [
                fd as usize,
                libc::IPPROTO_IPV6 as usize,
                libc::IPV6_V6ONLY as usize,
                (&raw const only) as usize,
                size_of_val(&only),
                0,
            ];
            // SAFETY: the option reads an int, which lives through the call.
            unsafe { call::raw(libc::SYS_setsockopt, option) }?;
            let address = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: 0,
            };
            bind_address(fd, (&raw const address) as usize, size_of_val(&address))?;
        }
    }
    if socket.stream {
        // SAFETY: two numbers.
        unsafe { call::raw(libc::SYS_listen, [fd as usize, BACKLOG, 0, 0, 0, 0]) }?;
    }
    Ok(())
}

/// bind(2); the address of a socket address structure and its size, which live through the call.
fn bind_address(fd: RawFd, address: usize, size: usize) -> Result<()> {
    // SAFETY: both callers pass a structure of theirs with its own size.
    unsafe { call::raw(libc::SYS_bind, [fd as usize, address, size, 0, 0, 0]) }.map(drop)
}

fn open_socket(family: i32, kind: i32, protocol: i32) -> Result<RawFd> {
    let arguments = [family as usize, (kind | libc::SOCK_CLOEXEC) as usize, protocol as usize, 0, 0, 0];
    // SAFETY: three numbers.
    let socket = unsafe { call::raw(libc::SYS_socket, arguments) }?;
    Ok(RawFd::try_from(socket).unwrap_or(-1))
}
