//! Which addresses are public, and what the others are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address that is not an ordinary public unicast address is.
///
/// The ranges are those of the IANA special-purpose registries (RFC 6890 and its updates), the cloud metadata addresses that
/// the providers document, and the IPv6 forms that carry an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// RFC 1918.
    Private,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// The metadata or wire service of a cloud provider.
    Metadata,
    /// 100.64.0.0/10, carrier-grade NAT (RFC 6598).
    Shared,
    /// 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// 198.18.0.0/15, `2001:2::/48` (RFC 2544): the range the stub resolver takes its synthetic addresses from.
    Benchmark,
    /// 0.0.0.0/8, `::`: on Linux a way to reach this host.
    Unspecified,
    /// Not assigned to hosts on the public network.
    Reserved,
    /// `::ffff:0:0/96`.
    V4Mapped,
    /// `::/96` (RFC 4291 §2.5.5.1).
    V4Compatible,
    /// `2002::/16` (RFC 3056).
    SixToFour,
    /// `64:ff9b::/96` (RFC 6052) and `64:ff9b:1::/48` (RFC 8215).
    Nat64,
    /// `2001::/32` (RFC 4380).
    Teredo,
    /// An interface identifier of ISATAP (RFC 5214 §6.1).
    Isatap,
    /// `fc00::/7` (RFC 4193).
    UniqueLocal,
    /// `fec0::/10` (RFC 3879).
    SiteLocal,
    /// An address of one of this host's own interfaces.
    Own,
}

impl AddressClass {
    /// The class of `address`, or `None` for an ordinary public address that is not among this host's `own`.
    pub fn of(address: IpAddr, own: &[IpAddr]) -> Option<Self> {
        let class = match address {
            IpAddr::V4(v4) => class_of_v4(v4),
            IpAddr::V6(v6) => class_of_v6(v6),
        };
        class.or_else(|| own.contains(&address).then_some(Self::Own))
    }

    /// Whether a literal rule (`10.0.0.5:443`, `localhost:5432`) can open an address of the class. The others are never a
    /// service's address; they are spellings of one, or no unicast address at all.
    pub const fn may_be_ruled(self) -> bool {
        !matches!(
            self,
            Self::Multicast
                | Self::Broadcast
                | Self::Unspecified
                | Self::V4Mapped
                | Self::V4Compatible
                | Self::SixToFour
                | Self::Nat64
                | Self::Teredo
                | Self::Isatap
                | Self::SiteLocal
        )
    }

    pub(crate) const ALL: &'static [Self] = &[
        Self::Loopback,
        Self::Private,
        Self::LinkLocal,
        Self::Metadata,
        Self::Shared,
        Self::Multicast,
        Self::Broadcast,
        Self::Documentation,
        Self::Benchmark,
        Self::Unspecified,
        Self::Reserved,
        Self::V4Mapped,
        Self::V4Compatible,
        Self::SixToFour,
        Self::Nat64,
        Self::Teredo,
        Self::Isatap,
        Self::UniqueLocal,
        Self::SiteLocal,
        Self::Own,
    ];

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Loopback => "address-loopback",
            Self::Private => "address-private",
            Self::LinkLocal => "address-link-local",
            Self::Metadata => "address-metadata",
            Self::Shared => "address-shared",
            Self::Multicast => "address-multicast",
            Self::Broadcast => "address-broadcast",
            Self::Documentation => "address-documentation",
            Self::Benchmark => "address-benchmark",
            Self::Unspecified => "address-unspecified",
            Self::Reserved => "address-reserved",
            Self::V4Mapped => "address-v4-mapped",
            Self::V4Compatible => "address-v4-compatible",
            Self::SixToFour => "address-6to4",
            Self::Nat64 => "address-nat64",
            Self::Teredo => "address-teredo",
            Self::Isatap => "address-isatap",
            Self::UniqueLocal => "address-unique-local",
            Self::SiteLocal => "address-site-local",
            Self::Own => "address-own",
        }
    }

    pub(crate) const fn explanation(self) -> &'static str {
        match self {
            Self::Loopback => "the host is, or resolved to, a loopback address, which needs a literal rule",
            Self::Private => "the host is, or resolved to, a private address, which needs a literal rule",
            Self::LinkLocal => "the host is, or resolved to, a link-local address, which needs a literal rule",
            Self::Metadata => {
                "the host is, or resolved to, a cloud metadata address, which hands out credentials and needs a literal rule"
            }
            Self::Shared => "the host is, or resolved to, a carrier-grade NAT address, which needs a literal rule",
            Self::Documentation => "the host is, or resolved to, a documentation address, which needs a literal rule",
            Self::Benchmark => "the host is, or resolved to, a benchmarking address, which needs a literal rule",
            Self::Reserved => "the host is, or resolved to, a reserved address, which needs a literal rule",
            Self::UniqueLocal => "the host is, or resolved to, a unique local address, which needs a literal rule",
            Self::Own => "the host is, or resolved to, an address of this machine, which needs a literal rule",
            Self::Multicast => "the host is, or resolved to, a multicast address, which is never reachable",
            Self::Broadcast => "the host is, or resolved to, the broadcast address, which is never reachable",
            Self::Unspecified => "the host is, or resolved to, the unspecified address, which means this machine",
            Self::V4Mapped => "the host is, or resolved to, an IPv4-mapped IPv6 address; write the IPv4 address",
            Self::V4Compatible => {
                "the host is, or resolved to, an IPv4-compatible IPv6 address; write the IPv4 address"
            }
            Self::SixToFour => "the host is, or resolved to, a 6to4 address, which hides an IPv4 address",
            Self::Nat64 => "the host is, or resolved to, a NAT64 address, which hides an IPv4 address",
            Self::Teredo => "the host is, or resolved to, a Teredo address, which hides an IPv4 address",
            Self::Isatap => "the host is, or resolved to, an ISATAP address, which hides an IPv4 address",
            Self::SiteLocal => "the host is, or resolved to, a site-local address, a form that was withdrawn",
        }
    }
}

/// Azure's wire server lies in public space (168.63.129.16); Alibaba's and Oracle's lie in ranges of other classes; AWS answers
/// on 169.254.169.253 (DNS), .254 and 169.254.170.2 (containers).
const METADATA_V4: [Ipv4Addr; 7] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// AWS (instance and container) and Google.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn class_of_v4(address: Ipv4Addr) -> Option<AddressClass> {
    if METADATA_V4.contains(&address) {
        return Some(AddressClass::Metadata);
    }
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => AddressClass::Unspecified,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => AddressClass::Private,
        (100, 64..=127, _) => AddressClass::Shared,
        (127, ..) => AddressClass::Loopback,
        (169, 254, _) => AddressClass::LinkLocal,
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => AddressClass::Documentation,
        // 192.88.99.0/24 was the anycast of 6to4 relays (RFC 7526).
        (192, 0, 0) | (192, 88, 99) => AddressClass::Reserved,
        (198, 18..=19, _) => AddressClass::Benchmark,
        (224..=239, ..) => AddressClass::Multicast,
        (240..=255, ..) if address == Ipv4Addr::BROADCAST => AddressClass::Broadcast,
        (240..=255, ..) => AddressClass::Reserved,
        _ => return None,
    })
}

fn class_of_v6(address: Ipv6Addr) -> Option<AddressClass> {
    if METADATA_V6.contains(&address) {
        return Some(AddressClass::Metadata);
    }
    let s = address.segments();
    Some(match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0, 0, 0, 0, 0, 0xffff, ..] => AddressClass::V4Mapped,
        [0, 0, 0, 0, 0, 0, ..] => AddressClass::V4Compatible,
        [0x64, 0xff9b, ..] => AddressClass::Nat64,
        [0x2001, 0, ..] => AddressClass::Teredo,
        [0x2001, 2, 0, ..] => AddressClass::Benchmark,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        // The rest of 2001::/23 is for protocols, not for hosts: ORCHID (RFC 4843, RFC 7343) and others.
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        [0x2002, ..] => AddressClass::SixToFour,
        [0xfc00..=0xfdff, ..] => AddressClass::UniqueLocal,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] => AddressClass::SiteLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => AddressClass::Isatap,
        [0x2000..=0x3fff, ..] => return None,
        _ => AddressClass::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(address: &str) -> &'static str {
        AddressClass::of(address.parse().unwrap(), &["198.41.0.4".parse().unwrap()])
            .map_or("public", AddressClass::code)
    }

    #[test]
    fn ranges_end_where_the_registries_say() {
        for (address, expected) in [
            ("1.1.1.1", "public"),
            ("9.255.255.255", "public"),
            ("10.0.0.0", "address-private"),
            ("11.0.0.0", "public"),
            ("100.63.255.255", "public"),
            ("100.64.0.0", "address-shared"),
            ("100.127.255.255", "address-shared"),
            ("100.128.0.0", "public"),
            ("172.15.255.255", "public"),
            ("172.31.255.255", "address-private"),
            ("172.32.0.0", "public"),
            ("192.0.1.0", "public"),
            ("198.17.255.255", "public"),
            ("198.19.255.255", "address-benchmark"),
            ("198.20.0.0", "public"),
            ("223.255.255.255", "public"),
            ("224.0.0.1", "address-multicast"),
            ("255.255.255.254", "address-reserved"),
            ("255.255.255.255", "address-broadcast"),
            ("168.63.129.16", "address-metadata"),
            ("168.63.129.17", "public"),
            ("198.41.0.4", "address-own"),
            ("2606:4700::1111", "public"),
            ("2001:1ff::", "address-reserved"),
            ("2001:200::1", "public"),
            ("2003::1", "public"),
            ("3ffe::1", "public"),
            ("3fff:fff::1", "address-documentation"),
            ("3fff:1000::1", "public"),
            ("4000::1", "address-reserved"),
            ("2606:4700::5efe:a00:1", "address-isatap"),
            ("2606:4700::1:5efe:a00:1", "public"),
        ] {
            assert_eq!(code(address), expected, "{address}");
        }
    }
}
