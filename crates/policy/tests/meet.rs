//! The meet is a lattice's, and never wider than either side.
//!
//! Widening is looked for where it would matter: through the decisions on random paths and hosts, and not only by
//! comparing lists.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;
use ringfence_policy::{
    Anchors, Everyone, Hide, Host, HostRule, NetworkMode, Origin, Policy, Protect, ReadScope, Require, Rule, RuleId,
    System, VariablePattern, Verdict, decide_connect, decide_read, decide_write, meet,
};
use support::{linux, load_profile, windows};

fn rule<T: std::fmt::Debug + Clone + 'static>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Rule<T>> {
    let origin = prop_oneof![
        Just(Origin::Builtin { profile: "workspace".into() }),
        Just(Origin::Flag { flag: "--x".to_owned() }),
        (1..4_u32, any::<bool>()).prop_map(|(line, managed)| Origin::File {
            path: "p.toml".into(),
            line,
            column: 1,
            managed
        }),
    ];
    (value, origin).prop_map(|(value, origin)| Rule::new(value, origin))
}

/// Few names, so that trees often contain each other; on Windows in changing case.
fn path(system: System) -> BoxedStrategy<PathBuf> {
    let names = match system {
        System::Linux => vec!["a", "b", "ab", ".git", "hooks", "config", "home", "me", ".ssh", "usr"],
        System::Windows => vec!["a", "A", "b", "Ab", ".git", "Hooks", "Users", "me", ".SSH", "Windows"],
    };
    let root = match system {
        System::Linux => select(vec!["/", "/home/me/"]),
        System::Windows => select(vec!["C:\\", "D:\\", "c:\\users\\ME\\", "\\\\s\\s\\"]),
    };
    (root, prop::collection::vec(select(names), 0..4))
        .prop_map(move |(root, names)| {
            let separator = if system == System::Linux { "/" } else { "\\" };
            PathBuf::from(root.to_owned() + &names.join(separator))
        })
        .boxed()
}

fn host_rule() -> impl Strategy<Value = HostRule> {
    let host =
        select(vec!["x", "a.x", "b.a.x", "*.x", "*.a.x", "*.b.a.x", "y", "*.y", "*", "192.0.2.1", "[2001:db8::1]"]);
    let port = select(vec!["", ":80", ":443", ":22", ":*"]);
    (host, port).prop_map(|(host, port)| format!("{host}{port}").parse().unwrap())
}

fn variable() -> impl Strategy<Value = VariablePattern> {
    select(vec!["A", "a", "AB", "A*", "AB*", "B", "*", "ABC"]).prop_map(|text| text.parse().unwrap())
}

fn list<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<Rule<T>>> {
    prop::collection::vec(rule(value), 0..5)
}

fn limit<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug + Clone + 'static>(
    values: &[&'static str],
) -> impl Strategy<Value = Option<Rule<T>>> + use<T> {
    prop::option::of(rule(select(values.to_vec()).prop_map(|text| text.parse().unwrap())))
}

/// The policies whose rules are replaced, one for each system; parsed once, since there is one strategy per case.
static BASES: LazyLock<[Policy; 2]> = LazyLock::new(|| {
    [linux(), windows()].map(|anchors| {
        let mut base = load_profile("workspace", &anchors).unwrap();
        base.environment.pass.clear();
        base
    })
});

fn policy(system: System) -> BoxedStrategy<Box<Policy>> {
    let base = &BASES[usize::from(system == System::Windows)];
    let read = prop_oneof![
        rule(Just(())).prop_map(|rule| ReadScope::Host(rule.origin)),
        list(path(system)).prop_map(ReadScope::Roots),
    ];
    let files = (
        list(path(system)),
        list(prop_oneof![path(system).prop_map(Protect::Path), Just(Protect::Git)]),
        read,
        list(prop_oneof![4 => path(system).prop_map(Hide::Path), 1 => Just(Hide::Secrets)]),
    );
    let network = (
        rule(select(NetworkMode::ALL)),
        list(host_rule()),
        list(host_rule()),
        list(path(system)),
        limit(&["http://p:1", "http://q:1"]),
    );
    let rest = (
        limit(&["1s", "2s"]),
        limit(&["1GiB", "2GiB"]),
        prop::option::of(rule(1..4_u32)),
        limit(&["0.5", "1"]),
        list(variable()),
        prop::collection::btree_map(
            select(vec!["A", "B"]).prop_map(str::to_owned),
            rule(select(vec!["1", "2"]).prop_map(str::to_owned)),
            0..3,
        ),
        rule(select(Require::ALL)),
        list(select(RuleId::ALL)),
        rule(select(Everyone::ALL)),
    );
    (files.boxed(), network.boxed(), rest.boxed())
        .prop_map(move |(files, network, rest)| {
            let mut policy = base.clone();
            (policy.filesystem.write, policy.filesystem.protect, policy.filesystem.read, policy.filesystem.hide) =
                files;
            let to = &mut policy.network;
            (to.mode, to.allow, to.deny, to.unix_sockets, to.upstream) = network;
            let (timeout, memory, processes, cpus, pass, set, require, accept_degraded, everyone) = rest;
            policy.process = ringfence_policy::Process { timeout, memory, processes, cpus };
            policy.environment = ringfence_policy::Environment { pass, set };
            policy.enforcement = ringfence_policy::Enforcement { require, accept_degraded };
            policy.windows.everyone = everyone;
            Box::new(policy)
        })
        .boxed()
}

/// The policy as text without authors: what it says.
fn said(policy: &Policy) -> String {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                map.remove("origin");
                map.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    /// Windows has many spellings of one name, and which of them stays is no difference.
    fn fold(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => map.values_mut().for_each(fold),
            serde_json::Value::Array(items) => {
                items.iter_mut().for_each(fold);
                items.sort_by_key(ToString::to_string);
                items.dedup();
            }
            serde_json::Value::String(text) => *text = text.to_lowercase(),
            _ => {}
        }
    }
    let mut json = serde_json::to_value(policy).unwrap();
    if matches!(policy.filesystem.read, ReadScope::Host(_)) {
        json["filesystem"]["read"] = "host".into();
    }
    strip(&mut json);
    if policy.anchors.system == System::Windows {
        fold(&mut json);
    }
    json.to_string()
}

fn systems() -> impl Strategy<Value = System> {
    select(System::ALL)
}

fn three() -> impl Strategy<Value = (Box<Policy>, Box<Policy>, Box<Policy>)> {
    systems().prop_flat_map(|system| (policy(system), policy(system), policy(system)))
}

fn two_and_a_path() -> impl Strategy<Value = (Box<Policy>, Box<Policy>, PathBuf)> {
    systems().prop_flat_map(|system| (policy(system), policy(system), path(system)))
}

fn allowed(verdict: Verdict) -> bool {
    verdict == Verdict::Allow
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commutative_to_the_author((a, b, _) in three()) {
        prop_assert_eq!(meet(&a, &b), meet(&b, &a));
    }

    #[test]
    fn associative((a, b, c) in three()) {
        prop_assert_eq!(said(&meet(&meet(&a, &b), &c)), said(&meet(&a, &meet(&b, &c))));
    }

    #[test]
    fn idempotent((a, b, _) in three()) {
        let normal = meet(&a, &a);
        prop_assert_eq!(&meet(&normal, &normal), &normal);
        prop_assert_eq!(said(&meet(&normal, &a)), said(&normal));
        let both = meet(&a, &b);
        prop_assert_eq!(said(&meet(&both, &a)), said(&both));
    }

    #[test]
    fn a_write_or_a_read_is_allowed_exactly_where_both_sides_allow_it((a, b, path) in two_and_a_path()) {
        let both = meet(&a, &b);
        for decide in [|policy: &Policy, path: &Path| decide_write(policy, path).verdict,
                       |policy: &Policy, path: &Path| decide_read(policy, path).verdict] {
            let expected = allowed(decide(&a, &path)) && allowed(decide(&b, &path));
            prop_assert_eq!(allowed(decide(&both, &path)), expected, "{:?}", path);
            // Normalising alone changes nothing.
            prop_assert_eq!(decide(&meet(&a, &a), &path), decide(&a, &path), "{:?}", path);
        }
    }

    #[test]
    fn a_connection_is_allowed_exactly_where_both_sides_allow_it(
        (a, b, _) in three(),
        host in select(vec!["x", "a.x", "b.a.x", "c.b.a.x", "y", "z.y", "w", "192.0.2.1", "192.0.2.2", "::1", "2001:db8::1"]),
        port in select(vec![22_u16, 80, 443, 8080]),
    ) {
        let host = Host::parse(host).unwrap();
        let connects = |policy: &Policy| allowed(decide_connect(policy, &host, port).verdict);
        let same_upstream = match (&a.network.upstream, &b.network.upstream) {
            (Some(a), Some(b)) => a.value == b.value,
            _ => true,
        };
        let both = meet(&a, &b);
        prop_assert_eq!(connects(&both), connects(&a) && connects(&b) && same_upstream);
        prop_assert_eq!(connects(&meet(&a, &a)), connects(&a));
    }

    #[test]
    fn a_variable_passes_exactly_where_both_sides_pass_it(
        (a, b, _) in three(), name in select(vec!["A", "a", "AB", "ab", "ABC", "ABCD", "B", "C"]),
    ) {
        let passes = |policy: &Policy| {
            let system = policy.anchors.system;
            policy.environment.pass.iter().any(|rule| rule.value.matches_on(name.as_bytes(), system))
        };
        prop_assert_eq!(passes(&meet(&a, &b)), passes(&a) && passes(&b));
    }

    #[test]
    fn limits_and_requirements_are_the_stricter_ones((a, b, _) in three()) {
        fn within<T: Ord>(both: &Option<Rule<T>>, side: &Option<Rule<T>>) -> bool {
            match (both, side) {
                (Some(both), Some(side)) => both.value <= side.value,
                (None, Some(_)) => false,
                (_, None) => true,
            }
        }
        let both = meet(&a, &b);
        for side in [&a, &b] {
            prop_assert!(within(&both.process.timeout, &side.process.timeout));
            prop_assert!(within(&both.process.memory, &side.process.memory));
            prop_assert!(within(&both.process.processes, &side.process.processes));
            prop_assert!(within(&both.process.cpus, &side.process.cpus));
            prop_assert!(both.windows.everyone.value <= side.windows.everyone.value);
            prop_assert!(both.enforcement.require.value <= side.enforcement.require.value);
            for accepted in &both.enforcement.accept_degraded {
                let accepts = side.enforcement.accept_degraded.iter().any(|rule| rule.value == accepted.value);
                prop_assert!(accepts || side.enforcement.require.value == Require::Advisory);
            }
            for socket in &both.network.unix_sockets {
                let covers = |root: &PathBuf| {
                    let mut judge = side.clone();
                    judge.filesystem.hide.clear();
                    judge.filesystem.protect.clear();
                    judge.filesystem.write = vec![Rule::new(root.clone(), socket.origin.clone())];
                    allowed(decide_write(&judge, &socket.value).verdict)
                };
                prop_assert!(side.network.unix_sockets.iter().any(|rule| covers(&rule.value)));
            }
        }
    }
}

#[test]
fn the_ceiling_of_every_drive_is_no_ceiling() {
    let anchors: Anchors = windows();
    let files = support::Memory::new([
        ("m.toml", "version = 1"),
        ("p.toml", "version = 1\n[filesystem]\nwrite = [\"\\\\\\\\server\\\\share\\\\x\", \"E:\\\\y\"]"),
    ]);
    let request = ringfence_policy::Request {
        source: ringfence_policy::PolicySource::File("p.toml".into()),
        managed: Some("m.toml".into()),
        overrides: ringfence_policy::Overrides::default(),
        anchors: &anchors,
    };
    let policy = ringfence_policy::load(&request, &files).unwrap();
    let mut roots = support::paths(&policy.filesystem.write);
    roots.sort_unstable();
    assert_eq!(roots, ["E:\\y", "\\\\server\\share\\x"]);
}
