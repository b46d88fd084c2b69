//! Reaching a network while the network is off.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Control, Evidence, Probe, Wiring};
use crate::sys::sockets;

/// A connection on one machine is answered at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// `AF_KCM` of `<linux/socket.h>`.
const AF_KCM: i32 = 41;

pub(crate) const PROBES: &[Probe] = &[
    network("tcp-loopback", "Connects to a listener of the host on 127.0.0.1.", |t| {
        connect((Ipv4Addr::LOCALHOST, t.number("port")?).into())
    }),
    network("tcp-loopback-6", "Connects to a listener of the host on ::1.", |t| {
        connect((Ipv6Addr::LOCALHOST, t.number("port-6")?).into())
    }),
    network("tcp-loopback-mapped", "Connects to 127.0.0.1 written as an IPv6 address.", |t| {
        connect((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), t.number("port")?).into())
    }),
    network("tcp-unspecified", "Connects to 0.0.0.0, which means this host.", |t| {
        connect((Ipv4Addr::UNSPECIFIED, t.number("port")?).into())
    }),
    network("tcp-host-address", "Connects to an address of the host that is not loopback.", |t| {
        let address: Ipv4Addr = t.number("host-address")?;
        connect((address, t.number("any-port")?).into())
    }),
    network("tcp-multipath", "Connects with Multipath TCP, which a filter for TCP may not know.", |t| {
        let socket = sockets::socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
        Ok(done(sockets::connect(&socket, listener(t)?)?))
    }),
    network("tcp-fast-open", "Connects by sending, without connect.", |t| {
        let socket = sockets::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        Ok(done(sockets::send_to(&socket, b"probe", libc::MSG_FASTOPEN, listener(t)?)?))
    }),
    network("udp-loopback", "Sends a datagram to the host on 127.0.0.1.", |t| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.send_to(b"probe", (Ipv4Addr::LOCALHOST, t.number("udp-port")?))?;
        Ok("sent".to_owned())
    })
    .evidence(Evidence::Datagram),
    network("sctp", "Opens a socket for SCTP.", |_| {
        const IPPROTO_SCTP: i32 = 132;
        Ok(done(sockets::socket(libc::AF_INET, libc::SOCK_STREAM, IPPROTO_SCTP)?))
    }),
    network("icmp", "Opens a socket for ICMP echo.", |_| {
        Ok(done(sockets::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP)?))
    })
    .privileged(),
    network("raw", "Opens a raw IPv4 socket.", |_| {
        Ok(done(sockets::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)?))
    })
    .privileged(),
    network("raw-6", "Opens a raw IPv6 socket.", |_| {
        Ok(done(sockets::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6)?))
    })
    .privileged(),
    network("packet", "Opens a packet socket.", |_| Ok(done(sockets::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)?)))
        .privileged(),
    family("vsock", "Opens a socket to the hypervisor.", |_| any_kind(libc::AF_VSOCK)),
    family("xdp", "Opens an express data path socket.", |_| any_kind(libc::AF_XDP)).privileged(),
    family("crypto", "Opens a socket to the kernel's cryptography.", |_| any_kind(libc::AF_ALG)),
    family("bluetooth", "Opens a Bluetooth socket.", |_| any_kind(libc::AF_BLUETOOTH)),
    family("can", "Opens a CAN bus socket.", |_| any_kind(libc::AF_CAN)),
    family("tipc", "Opens a TIPC socket.", |_| any_kind(libc::AF_TIPC)),
    family("rds", "Opens an RDS socket.", |_| any_kind(libc::AF_RDS)),
    family("kcm", "Opens a connection multiplexor socket.", |_| any_kind(AF_KCM)),
    family("x25", "Opens an X.25 socket.", |_| any_kind(libc::AF_X25)),
    family("nfc", "Opens a near field socket.", |_| any_kind(libc::AF_NFC)),
    family("pppox", "Opens a PPP over X socket.", |_| any_kind(libc::AF_PPPOX)),
    family("ipsec-key", "Opens an IPsec key socket.", |_| any_kind(libc::AF_KEY)).privileged(),
    apart("add-address", "Gives an interface an address.", |_| Ok(done(sockets::route_request(&add_address())?))),
    apart("add-link", "Makes a pair of virtual interfaces.", |_| Ok(done(sockets::route_request(&add_pair())?))),
    apart("bring-up", "Brings an interface up.", |_| Ok(done(sockets::bring_up("lo")?))),
    apart("tunnel", "Makes a tunnel interface.", |_| {
        let device = File::options().read(true).write(true).open("/dev/net/tun")?;
        Ok(done(sockets::make_tunnel(&device, "probe0")?))
    })
    .privileged(),
    network("listen", "Listens where the host can connect.", |t| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, t.number::<u16>("free-port")?))?;
        // It has to outlive the attempt: the host connects once it has read the report.
        std::mem::forget(listener);
        Ok("listening".to_owned())
    })
    .evidence(Evidence::Reachable)
    .wiring(Wiring::Held),
];

const fn network(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Network, tries, run)
}

/// A socket family is attack surface of the kernel as soon as a socket of it can be had.
const fn family(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Kernel, tries, run)
}

const fn apart(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Network, tries, run).control(Control::Apart)
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

fn listener(targets: &Targets) -> Result<SocketAddrV4, Failure> {
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, targets.number("port")?))
}

fn connect(address: SocketAddr) -> Attempt {
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    Ok(format!("connected to {address}"))
}

/// A socket of that family, of whichever kind it has.
fn any_kind(family: i32) -> Attempt {
    const KINDS: [i32; 4] = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET];
    let mut last = Failure::denied("no kind");
    for kind in KINDS {
        match sockets::socket(family, kind, 0) {
            Ok(_) => return Ok(format!("a socket of kind {kind}")),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// The flags of a request that makes something and wants an answer: `NLM_F_REQUEST|ACK|CREATE|EXCL`.
const MAKE: u16 = 0x1 | 0x4 | 0x400 | 0x200;

/// `RTM_NEWADDR`: 192.0.2.1/32, an address reserved for documentation, on the loopback interface.
fn add_address() -> Vec<u8> {
    const RTM_NEWADDR: u16 = 20;
    const IFA_LOCAL: u16 = 2;
    const LOOPBACK_INDEX: u32 = 1;
    // struct ifaddrmsg: family, prefix length, flags, scope, interface index.
    let mut body = vec![libc::AF_INET as u8, 32, 0, 0];
    body.extend_from_slice(&LOOPBACK_INDEX.to_ne_bytes());
    body.extend(attribute(IFA_LOCAL, &[192, 0, 2, 1]));
    message(RTM_NEWADDR, &body)
}

/// `RTM_NEWLINK`: a pair of virtual Ethernet interfaces with names of the kernel's choice.
fn add_pair() -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const INTERFACE_MESSAGE: usize = 16; // struct ifinfomsg
    let mut body = vec![0; INTERFACE_MESSAGE];
    body.extend(attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, b"veth\0")));
    message(RTM_NEWLINK, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    const HEADER: usize = 16; // struct nlmsghdr
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&MAKE.to_ne_bytes());
    message.extend_from_slice(&[0; 8]); // sequence number and port
    message.extend_from_slice(body);
    message
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    const HEADER: usize = 4; // struct rtattr
    let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
    let mut attribute = Vec::new();
    attribute.extend_from_slice(&length.to_ne_bytes());
    attribute.extend_from_slice(&kind.to_ne_bytes());
    attribute.extend_from_slice(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netlink_messages_state_their_length_and_are_aligned() {
        for message in [add_address(), add_pair()] {
            let stated = u32::from_ne_bytes(message[..4].try_into().unwrap());
            assert_eq!(stated as usize, message.len());
            assert_eq!(message.len() % 4, 0);
        }
    }
}
