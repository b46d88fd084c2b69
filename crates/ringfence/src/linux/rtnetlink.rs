//! Messages of rtnetlink(7), as bytes.

use std::net::IpAddr;

use crate::plan::Prefix;

/// The loopback device: the first of every network namespace.
const LOOPBACK_INDEX: u32 = 1;

/// A request that makes every address of a range local, as `ip route add local PREFIX dev lo` does.
pub(super) fn add_local_route(prefix: Prefix) -> Vec<u8> {
    const RTM_NEWROUTE: u16 = 24;
    const NLM_F_REQUEST: u16 = 1;
    const NLM_F_ACK: u16 = 4;
    const NLM_F_CREATE: u16 = 0x400;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    let mut message = Vec::with_capacity(64);
    // struct nlmsghdr, the length of which is filled in at the end; sequence number and port are not looked at here.
    message.extend(0u32.to_ne_bytes());
    message.extend(RTM_NEWROUTE.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(route(prefix));
    match prefix.address {
        IpAddr::V4(address) => attribute(&mut message, RTA_DST, &address.octets()),
        IpAddr::V6(address) => attribute(&mut message, RTA_DST, &address.octets()),
    }
    attribute(&mut message, RTA_OIF, &LOOPBACK_INDEX.to_ne_bytes());
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message
}

/// The error number of an acknowledgement (struct nlmsgerr), 0 for success; `None` if it is something else.
pub(super) fn acknowledged(answer: &[u8]) -> Option<i32> {
    const NLMSG_ERROR: u16 = 2;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(-error)
}

/// struct rtmsg of a local route.
fn route(prefix: Prefix) -> [u8; 12] {
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const RT_TABLE_LOCAL: u8 = 255;
    const RTPROT_STATIC: u8 = 4;
    const RT_SCOPE_HOST: u8 = 254;
    const RT_SCOPE_UNIVERSE: u8 = 0;
    const RTN_LOCAL: u8 = 2;
    // IPv6 knows one scope only.
    let (family, scope) = match prefix.address {
        IpAddr::V4(_) => (AF_INET, RT_SCOPE_HOST),
        IpAddr::V6(_) => (AF_INET6, RT_SCOPE_UNIVERSE),
    };
    [family, prefix.length, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, scope, RTN_LOCAL, 0, 0, 0, 0]
}

/// struct rtattr and its value; every length that is used here is a multiple of four, as the alignment demands.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_its_length_and_where_it_leads() {
        let prefix = Prefix { address: "198.18.0.0".parse().unwrap(), length: 15 };
        let message = add_local_route(prefix);
        assert_eq!(message.len(), 16 + 12 + 8 + 8);
        assert_eq!(message[..4], 44u32.to_ne_bytes());
        assert_eq!(message[16..24], [2, 15, 0, 0, 255, 4, 254, 2]);
        assert_eq!(message[32..36], [198, 18, 0, 0]);
        let prefix = Prefix { address: "2001:db8::1".parse().unwrap(), length: 128 };
        assert_eq!(add_local_route(prefix).len(), 16 + 12 + 20 + 8);
    }

    #[test]
    fn only_an_acknowledgement_tells_of_success() {
        let answer = |kind: u16, error: i32| {
            let mut bytes = vec![0; 36];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..20].copy_from_slice(&error.to_ne_bytes());
            bytes
        };
        assert_eq!(acknowledged(&answer(2, 0)), Some(0));
        assert_eq!(acknowledged(&answer(2, -1)), Some(1));
        assert_eq!(acknowledged(&answer(24, 0)), None);
        assert_eq!(acknowledged(&answer(2, 0)[..18]), None);
    }
}
