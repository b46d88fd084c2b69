//! What the decision promises about every host and address, not only those of a table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use ringfence_egress::{AddressClass, Code, Rules};
use ringfence_policy::{Host, HostRule, Origin, Rule};

fn rules(allow: &[String], deny: &[String]) -> Rules {
    let origin = || Origin::Flag { flag: "--allow".to_owned() };
    let allow = allow.iter().map(|text| Rule::new(text.parse().unwrap(), origin())).collect();
    let deny = deny.iter().map(|text| Rule::new(HostRule::parse_deny(text).unwrap(), origin())).collect();
    Rules::new(allow, deny)
}

/// Addresses of all kinds: anywhere, and close to the edges of the special ranges.
fn addresses() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits)));
    let special_v6 = (any::<u32>(), 0..8_usize).prop_map(|(bits, which)| {
        let v4 = u128::from(bits);
        let prefix = [
            0,
            0xffff << 32,
            0x0064_ff9b << 96,
            0x2002 << 112,
            0x2001 << 112,
            0xfc00 << 112,
            0xfe80 << 112,
            0xfec0 << 112,
        ][which];
        IpAddr::V6(Ipv6Addr::from(prefix | v4))
    });
    prop_oneof![v4, v6, special_v6]
}

fn names() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){1,3}"
}

proptest! {
    /// A rule for everything still opens no address that is not public, neither asked for nor resolved to.
    #[test]
    fn no_name_rule_opens_an_address_that_is_not_public(address in addresses(), port in 1_u16..) {
        let rules = rules(&["*:*".to_owned()], &[]);
        let class = AddressClass::of(address, &[]);
        prop_assert_eq!(rules.judge_addresses(port, &[address], &[]).is_ok(), class.is_none());
        let public_host = AddressClass::of(address.to_canonical(), &[]).is_none();
        prop_assert_eq!(rules.judge_host(&Host::from(address), port, &[]).is_ok(), public_host);
    }

    /// One bad address among good ones refuses the host, wherever it stands.
    #[test]
    fn one_bad_address_is_enough(good in prop::collection::vec(addresses(), 0..4), bad in addresses(), at in any::<prop::sample::Index>()) {
        let rules = rules(&["*:*".to_owned()], &[]);
        let mut all: Vec<IpAddr> = good.into_iter().filter(|address| AddressClass::of(*address, &[]).is_none()).collect();
        prop_assert!(rules.judge_addresses(443, &all, &[]).is_ok());
        if let Some(class) = AddressClass::of(bad, &[]) {
            all.insert(at.index(all.len() + 1), bad);
            prop_assert_eq!(rules.judge_addresses(443, &all, &[]).unwrap_err().code, Code::Address(class));
        }
    }

    /// Deny wins over every allow rule, for names and for what they resolve to.
    #[test]
    fn deny_wins(name in names(), address in addresses(), port in 1_u16..) {
        let host: Host = name.parse().unwrap();
        let denied = Host::from(address).to_string();
        let rules = rules(&[format!("{name}:*"), "*:*".to_owned(), format!("{denied}:*")], &[name, denied]);
        prop_assert_eq!(rules.judge_host(&host, port, &[]).unwrap_err().code, Code::HostDenied);
        prop_assert_eq!(rules.judge_addresses(port, &[address], &[]).unwrap_err().code, Code::HostDenied);
    }

    /// Without a rule there is no way, and this host's own addresses are never public.
    #[test]
    fn nothing_is_allowed_by_itself(name in names(), address in addresses(), port in 1_u16..) {
        let host: Host = name.parse().unwrap();
        prop_assert_eq!(Rules::default().judge_host(&host, port, &[]).unwrap_err().code, Code::HostNotAllowed);
        prop_assert!(Rules::default().judge_host(&Host::from(address), port, &[]).is_err());
        prop_assert!(rules(&["*:*".to_owned()], &[]).judge_addresses(port, &[address], &[address]).is_err());
    }
}
