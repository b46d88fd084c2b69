//! Hosts: every spelling has one normal form, or none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use proptest::prelude::*;
use ringfence_policy::{DomainName, Host, HostError, HostPattern, HostRule, Ports};

/// A spelling, and its normal form or the code of its refusal.
const SPELLINGS: &[(&str, Result<&str, &str>)] = &[
    // names
    ("example.com", Ok("example.com")),
    ("EXAMPLE.com", Ok("example.com")),
    ("example.com.", Ok("example.com")),
    ("localhost", Ok("localhost")),
    ("a", Ok("a")),
    ("a-b.example", Ok("a-b.example")),
    ("r3---sn.example", Ok("r3---sn.example")),
    ("_dmarc.example.com", Ok("_dmarc.example.com")),
    ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
    ("XN--BCHER-KVA.example", Ok("xn--bcher-kva.example")),
    ("bücher.example", Ok("xn--bcher-kva.example")),
    ("BÜCHER.EXAMPLE", Ok("xn--bcher-kva.example")),
    ("bu\u{308}cher.example", Ok("xn--bcher-kva.example")),
    ("faß.de", Ok("xn--fa-hia.de")),
    ("ｅｘａｍｐｌｅ.com", Ok("example.com")),
    ("example。com", Ok("example.com")),
    ("exam\u{ad}ple.com", Ok("example.com")),
    ("例え.テスト", Ok("xn--r8jz45g.xn--zckzah")),
    ("0x.example", Ok("0x.example")),
    ("1.example", Ok("1.example")),
    ("127.0.0.1.example", Ok("127.0.0.1.example")),
    ("0xg", Ok("0xg")),
    ("1e3", Ok("1e3")),
    // IPv4
    ("127.0.0.1", Ok("127.0.0.1")),
    ("127.0.0.1.", Ok("127.0.0.1")),
    ("127.1", Ok("127.0.0.1")),
    ("127.0.1", Ok("127.0.0.1")),
    ("2130706433", Ok("127.0.0.1")),
    ("0x7f000001", Ok("127.0.0.1")),
    ("0X7F.1", Ok("127.0.0.1")),
    ("0177.0.0.1", Ok("127.0.0.1")),
    ("017700000001", Ok("127.0.0.1")),
    ("127.0x0.00.01", Ok("127.0.0.1")),
    ("1.2.3", Ok("1.2.0.3")),
    ("0", Ok("0.0.0.0")),
    ("0x", Ok("0.0.0.0")),
    ("4294967295", Ok("255.255.255.255")),
    ("１２７.０.０.１", Ok("127.0.0.1")),
    ("①②⑦.0.0.1", Ok("127.0.0.1")),
    ("169。254。169。254", Ok("169.254.169.254")),
    ("4294967296", Err("host-ipv4")),
    ("256.0.0.1", Err("host-ipv4")),
    ("1.2.3.4.5", Err("host-ipv4")),
    ("1.2.3.08", Err("host-ipv4")),
    ("1..2", Err("host-ipv4")),
    ("a.b.1", Err("host-ipv4")),
    ("0xffffffffffffffffffff", Err("host-ipv4")),
    ("1.0x100000000", Err("host-ipv4")),
    // IPv6
    ("::1", Ok("[::1]")),
    ("[::1]", Ok("[::1]")),
    ("[0:0:0:0:0:0:0:1]", Ok("[::1]")),
    ("[2001:DB8::0:1]", Ok("[2001:db8::1]")),
    ("[::ffff:127.0.0.1]", Ok("127.0.0.1")),
    ("::ffff:7f00:1", Ok("127.0.0.1")),
    ("[64:ff9b::1.2.3.4]", Ok("[64:ff9b::102:304]")),
    ("[fe80::1%eth0]", Err("host-zone-id")),
    ("fe80::1%1", Err("host-zone-id")),
    ("[::1]:443", Err("host-unexpected-port")),
    ("[::1", Err("host-ipv6")),
    ("::1]", Err("host-ipv6")),
    ("[127.0.0.1]", Err("host-ipv6")),
    ("[]", Err("host-ipv6")),
    ("1:2", Err("host-unexpected-port")),
    (":::", Err("host-ipv6")),
    // refused
    ("", Err("host-empty")),
    (".", Err("host-empty")),
    ("example.com..", Err("host-empty-label")),
    (".example.com", Err("host-empty-label")),
    ("a..b", Err("host-empty-label")),
    ("example.com:443", Err("host-unexpected-port")),
    ("ex%61mple.com", Err("host-percent-encoding")),
    ("example.com%00", Err("host-percent-encoding")),
    ("exa mple.com", Err("host-character")),
    (" example.com", Err("host-character")),
    ("example.com\n", Err("host-character")),
    ("example.com\0.evil.example", Err("host-character")),
    ("user@example.com", Err("host-character")),
    ("example.com/path", Err("host-character")),
    ("example.com\\path", Err("host-character")),
    ("*.example.com", Err("host-character")),
    ("exa!mple.com", Err("host-character")),
    ("a／b.example", Err("host-idna")),
    ("℀.example", Err("host-idna")),
    ("xn--a", Err("host-idna")),
    ("xn--", Err("host-idna")),
    ("\u{200b}", Err("host-empty")),
    ("a\u{202e}b.example", Err("host-idna")),
];

#[test]
fn every_spelling_has_one_normal_form_or_none() {
    let mut wrong = Vec::new();
    for (text, expected) in SPELLINGS {
        let got = Host::parse(text);
        let same = match (&got, expected) {
            (Ok(host), Ok(normal)) => host.to_string() == *normal,
            (Err(error), Err(code)) => error.code() == *code,
            _ => false,
        };
        if !same {
            wrong.push(format!("{text:?}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(SPELLINGS.len() >= 60);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lengths_are_bounded() {
    let label = "a".repeat(63);
    assert!(Host::parse(&label).is_ok());
    assert_eq!(Host::parse(&format!("{label}a")), Err(HostError::LongLabel));
    let name = [label.as_str(); 4].join(".");
    assert!(Host::parse(&name[..253]).is_ok());
    assert_eq!(Host::parse(&name[..254]), Err(HostError::TooLong));
    assert_eq!(Host::parse(&"a.".repeat(500_000)), Err(HostError::TooLong));
}

/// A rule of `allow`, and its normal form or the code of its refusal.
const RULES: &[(&str, Result<&str, &str>)] = &[
    ("GitHub.com", Ok("github.com")),
    ("github.com:8443", Ok("github.com:8443")),
    ("github.com:*", Ok("github.com:*")),
    ("*.Example.com:443", Ok("*.example.com:443")),
    ("*", Ok("*")),
    ("*:22", Ok("*:22")),
    ("localhost:5432", Ok("localhost:5432")),
    ("127.0.0.1:80", Ok("127.0.0.1:80")),
    ("[::1]", Ok("[::1]")),
    ("[::1]:443", Ok("[::1]:443")),
    ("*.bücher.example", Ok("*.xn--bcher-kva.example")),
    ("https://github.com/x", Err("host-url")),
    ("github.com/rust-lang", Err("host-path")),
    ("10.0.0.0/8", Err("host-range")),
    ("me@github.com", Err("host-user-information")),
    ("::1", Err("host-unbracketed-ipv6")),
    ("**.example.com", Err("host-wildcard")),
    ("git*.example.com", Err("host-wildcard")),
    ("example.*", Err("host-wildcard")),
    ("a.*.example", Err("host-wildcard")),
    ("*.127.0.0.1", Err("host-wildcard")),
    ("*.", Err("host-empty")),
    ("0x7f.1", Err("host-not-normal")),
    ("[::ffff:127.0.0.1]", Err("host-not-normal")),
    ("example.com:", Err("host-port")),
    ("example.com:0", Err("host-port")),
    ("example.com:65536", Err("host-port")),
    ("example.com:+80", Err("host-port")),
    ("example.com:https", Err("host-port")),
    (":443", Err("host-empty")),
    ("", Err("host-empty")),
    ("[::1]x", Err("host-ipv6")),
];

#[test]
fn rules_are_read_or_refused() {
    let mut wrong = Vec::new();
    for (text, expected) in RULES {
        let got = text.parse::<HostRule>();
        let same = match (&got, expected) {
            (Ok(rule), Ok(normal)) => rule.to_string() == *normal,
            (Err(error), Err(code)) => error.code() == *code,
            _ => false,
        };
        if !same {
            wrong.push(format!("{text:?}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_match_what_they_say_and_nothing_else() {
    for (rule, host, port, expected) in [
        ("example.com", "example.com", 443, true),
        ("example.com", "EXAMPLE.COM.", 80, true),
        ("example.com", "example.com", 22, false),
        ("example.com", "www.example.com", 443, false),
        ("example.com", "example.com.evil.example", 443, false),
        ("*.example.com", "www.example.com", 443, true),
        ("*.example.com", "a.b.example.com", 443, true),
        ("*.example.com", "example.com", 443, false),
        ("*.example.com", "notexample.com", 443, false),
        ("example.com:8443", "example.com", 8443, true),
        ("example.com:8443", "example.com", 443, false),
        ("example.com:*", "example.com", 1, true),
        ("127.0.0.1", "0x7f.1", 80, true),
        ("127.0.0.1", "::ffff:127.0.0.1", 80, true),
        ("localhost", "127.0.0.1", 80, false),
        ("*", "[2001:db8::1]", 443, true),
    ] {
        let parsed: HostRule = rule.parse().unwrap();
        assert_eq!(parsed.matches(&Host::parse(host).unwrap(), port), expected, "{rule} {host} {port}");
    }
}

#[test]
fn a_denied_host_is_denied_on_every_port() {
    let host = Host::parse("evil.example").unwrap();
    let deny = HostRule::parse_deny("evil.example").unwrap();
    assert!((1..=u16::MAX).all(|port| deny.matches(&host, port)));
    assert!(!HostRule::parse_deny("evil.example:22").unwrap().matches(&host, 443));
}

fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "com", "x-1", "xn--bcher-kva"]), 1..5)
        .prop_map(|labels| labels.join("."))
}

fn hosts() -> impl Strategy<Value = Host> {
    prop_oneof![
        names().prop_map(|name| Host::parse(&name).unwrap()),
        prop::sample::select(vec!["127.0.0.1", "10.0.0.1", "::1", "2001:db8::1"])
            .prop_map(|address| Host::from(address.parse::<IpAddr>().unwrap())),
    ]
}

fn rules() -> impl Strategy<Value = HostRule> {
    let pattern = prop_oneof![
        names().prop_map(|name| HostPattern::Exact(DomainName::parse(&name).unwrap())),
        names().prop_map(|name| HostPattern::Suffix(DomainName::parse(&name).unwrap())),
        hosts().prop_map(|host| host.ip().map_or(HostPattern::Any, HostPattern::Ip)),
        Just(HostPattern::Any),
    ];
    let ports = prop_oneof![
        Just(Ports::Web),
        Just(Ports::All),
        prop::sample::select(vec![80_u16, 443, 8443]).prop_map(Ports::One)
    ];
    (pattern, ports).prop_map(|(pattern, ports)| HostRule { pattern, ports })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics(text in ".{0,80}") {
        let _ = Host::parse(&text);
        let _ = text.parse::<HostRule>();
        let _ = HostRule::parse_deny(&text);
    }

    #[test]
    fn the_normal_form_is_a_fixed_point(text in "[a-zA-Z0-9xX.:ü\\-\\[\\]%_]{0,24}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
        if let Ok(rule) = text.parse::<HostRule>() {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn case_and_one_trailing_dot_mean_nothing(name in names()) {
        let plain = Host::parse(&name);
        prop_assert_eq!(Host::parse(&name.to_uppercase()), plain.clone());
        prop_assert_eq!(Host::parse(&format!("{name}.")), plain);
    }

    #[test]
    fn any_spelling_of_an_address_is_that_address(address: u32) {
        let host = Host::from(IpAddr::from(std::net::Ipv4Addr::from(address)));
        let [a, b, c, d] = address.to_be_bytes();
        for text in [
            format!("{a}.{b}.{c}.{d}"),
            format!("{address}"),
            format!("0x{address:x}"),
            format!("0{address:o}"),
            format!("{a}.{}", address & 0x00ff_ffff),
            format!("0{a:o}.0x{b:X}.{}", address & 0xffff),
            format!("[::ffff:{a}.{b}.{c}.{d}]"),
        ] {
            prop_assert_eq!(Host::parse(&text), Ok(host.clone()), "{}", text);
        }
    }

    #[test]
    fn an_intersection_matches_exactly_what_both_match(
        a in rules(), b in rules(), host in hosts(), port in prop::sample::select(vec![22_u16, 80, 443, 8443]),
    ) {
        let both = a.matches(&host, port) && b.matches(&host, port);
        let intersection = a.intersect(&b);
        prop_assert_eq!(intersection.as_ref().is_some_and(|rule| rule.matches(&host, port)), both);
        prop_assert_eq!(intersection, b.intersect(&a));
    }

    #[test]
    fn rules_survive_printing_and_serialising(rule in rules()) {
        prop_assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<HostRule>(&json).unwrap(), rule);
    }
}
