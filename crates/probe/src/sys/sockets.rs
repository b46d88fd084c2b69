//! Sockets of families and kinds that the standard library does not know.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::{check, check_int, own};

/// socket(2).
pub(crate) fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    own(unsafe { libc::syscall(libc::SYS_socket, family, kind | libc::SOCK_CLOEXEC, protocol) })
}

fn internet_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

/// connect(2) to an IPv4 address.
pub(crate) fn connect(socket: &OwnedFd, address: SocketAddrV4) -> io::Result<()> {
    let address = internet_address(address);
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a sockaddr_in of the length that is passed, alive for the call.
    check_int(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) }).map(drop)
}

/// sendto(2) with flags, to an IPv4 address.
pub(crate) fn send_to(socket: &OwnedFd, bytes: &[u8], flags: libc::c_int, address: SocketAddrV4) -> io::Result<()> {
    let address = internet_address(address);
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `bytes` is readable for its length, `address` is a sockaddr_in of the length passed; both outlive the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags | libc::MSG_NOSIGNAL,
            (&raw const address).cast(),
            length,
        )
    };
    check(sent as libc::c_long).map(drop)
}

/// Sends one request over NETLINK_ROUTE and gives the kernel's answer (`NLMSG_ERROR`, rtnetlink(7)).
pub(crate) fn route_request(message: &[u8]) -> io::Result<()> {
    /// Where the error number stands in an `NLMSG_ERROR` message: right after the 16 bytes of `struct nlmsghdr`.
    const ERROR: std::ops::Range<usize> = 16..20;
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    // SAFETY: `message` is readable for its length.
    let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
    check(sent as libc::c_long)?;
    let mut answer = [0_u8; 1024];
    // SAFETY: `answer` is writable for its length.
    let received = unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
    check(received as libc::c_long)?;
    let mut number = [0; 4];
    number.copy_from_slice(&answer[ERROR]);
    match i32::from_ne_bytes(number) {
        0 => Ok(()),
        negative => Err(io::Error::from_raw_os_error(-negative)),
    }
}

/// `ioctl(SIOCSIFFLAGS)`: brings the interface up.
pub(crate) fn bring_up(interface: &str) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut request = interface_request(interface);
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the request reads a `struct ifreq`, which `request` is.
    check_int(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }).map(drop)
}

/// `ioctl(TUNSETIFF)`: makes a tunnel interface on an open `/dev/net/tun`.
pub(crate) fn make_tunnel(device: &std::fs::File, interface: &str) -> io::Result<()> {
    let mut request = interface_request(interface);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request reads and writes a `struct ifreq`, which `request` is.
    check_int(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) }).map(drop)
}

fn interface_request(interface: &str) -> libc::ifreq {
    // SAFETY: `ifreq` is plain C data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    request
}
