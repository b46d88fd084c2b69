//! The story of a run's network use in a few lines.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ringfence_policy::Host;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::decision::is_localhost;
use crate::event::{Decision, Event, Verdict};

/// What a run did and was refused, added up. Bounded whatever the run does: see [`Summary::unlisted`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Hosts that were reached, or allowed and not reachable, by host and port.
    pub reached: Vec<Reached>,
    /// Hosts that were refused, by host, port and reason.
    pub blocked: Vec<Blocked>,
    /// Decisions about hosts that no longer fit into the lists.
    pub unlisted: u64,
    /// Bytes from the run to servers.
    pub bytes_up: u64,
    /// Bytes to the run.
    pub bytes_down: u64,
    /// Faults of the proxy itself, by code.
    pub faults: BTreeMap<String, u64>,
    /// Which row the bytes of an open connection belong to. Bounded by the limit on open connections.
    #[serde(skip)]
    open: HashMap<u64, usize>,
}

/// A host that the run was allowed to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// In normal form.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Connections or requests that were let through.
    pub count: u64,
    /// Those that failed on the way.
    pub failed: u64,
    /// Bytes from the run, counted when a connection ends. A kept HTTP connection counts for the host that was asked last.
    #[serde(default)]
    pub bytes_up: u64,
    /// Bytes to the run, counted alike.
    #[serde(default)]
    pub bytes_down: u64,
}

/// A host that the run was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// As in [`Decision::host`].
    pub host: String,
    /// TCP port; zero for a name that was only asked over DNS.
    pub port: u16,
    /// Why.
    pub code: Code,
    /// How often.
    pub count: u64,
    /// The flag that would allow it, where a rule is all that is missing.
    pub flag: Option<String>,
}

impl Summary {
    /// Adds one event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Decision(decision) => self.add_decision(decision),
            Event::Closed(closed) => {
                self.bytes_up = self.bytes_up.saturating_add(closed.bytes_up);
                self.bytes_down = self.bytes_down.saturating_add(closed.bytes_down);
                let row = self.open.remove(&closed.connection).and_then(|index| self.reached.get_mut(index));
                if let Some(row) = row {
                    row.bytes_up = row.bytes_up.saturating_add(closed.bytes_up);
                    row.bytes_down = row.bytes_down.saturating_add(closed.bytes_down);
                }
            }
            Event::Fault { code } => *self.faults.entry(code.as_str().to_owned()).or_default() += 1,
        }
    }

    fn add_decision(&mut self, decision: &Decision) {
        match (decision.verdict, decision.code) {
            (Verdict::Refused, Some(code)) => self.add_blocked(decision, code),
            (verdict, _) => self.add_reached(decision, verdict == Verdict::Failed),
        }
    }

    fn add_blocked(&mut self, decision: &Decision, code: Code) {
        let same = |row: &&mut Blocked| row.port == decision.port && row.code == code && row.host == decision.host;
        if let Some(row) = self.blocked.iter_mut().find(same) {
            row.count += 1;
        } else if self.blocked.len() < ROWS {
            self.blocked.push(Blocked {
                host: decision.host.clone(),
                port: decision.port,
                code,
                count: 1,
                flag: flag(&decision.host, decision.port, code, decision.address),
            });
        } else {
            self.unlisted += 1;
        }
    }

    fn add_reached(&mut self, decision: &Decision, failed: bool) {
        let (count, failed) = if failed { (0, 1) } else { (1, 0) };
        let same = |row: &Reached| row.port == decision.port && row.host == decision.host;
        let index = match self.reached.iter().position(same) {
            Some(index) => index,
            None if self.reached.len() < ROWS => {
                let (host, port) = (decision.host.clone(), decision.port);
                self.reached.push(Reached { host, port, count: 0, failed: 0, bytes_up: 0, bytes_down: 0 });
                self.reached.len() - 1
            }
            None => {
                self.unlisted += 1;
                return;
            }
        };
        if let Some(row) = self.reached.get_mut(index) {
            row.count += count;
            row.failed += failed;
        }
        if count > 0 {
            self.open.insert(decision.connection, index);
        }
    }
}

/// The flag that would allow the host, where a rule is all that is missing. A name that leads to an address which is not public
/// is allowed already: what is missing then is a rule for that address.
pub(crate) fn flag(host: &str, port: u16, code: Code, address: Option<IpAddr>) -> Option<String> {
    // What is not in normal form cannot be a rule, and must not reach a shell either.
    let host = code.is_rule_missing().then(|| Host::parse(host).ok()).flatten()?;
    let host = match code {
        Code::Address(_) if host.ip().is_none() && !is_localhost(&host) => Host::from(address?),
        _ => host,
    };
    Some(match port {
        0 | 80 | 443 => format!("--allow {}", shell_word(&host)),
        _ => format!("--allow {}", shell_word(&format_args!("{host}:{port}"))),
    })
}

/// Brackets are a pattern to a shell.
fn shell_word(word: &impl std::fmt::Display) -> String {
    let word = word.to_string();
    if word.contains('[') { format!("'{word}'") } else { word }
}

/// Rows per list. A linear search over so few is cheaper than the connection it belongs to.
const ROWS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressClass;
    use crate::event::{Closed, Protocol};

    fn refused(host: &str, port: u16, code: Code) -> Event {
        Event::Decision(Decision {
            connection: 1,
            protocol: Protocol::Connect,
            host: host.to_owned(),
            port,
            address: None,
            verdict: Verdict::Refused,
            code: Some(code),
            rule: None,
        })
    }

    #[test]
    fn blocked_hosts_are_counted_with_the_flag_that_would_allow_each() {
        let mut summary = Summary::default();
        for event in [
            refused("evil.example", 443, Code::HostNotAllowed),
            refused("evil.example", 443, Code::HostNotAllowed),
            refused("db.example", 5432, Code::PortNotAllowed),
            refused("[2606:4700::1]", 443, Code::HostNotAllowed),
            refused("127.0.0.1", 5432, Code::Address(AddressClass::Loopback)),
            refused("bad.example", 443, Code::HostDenied),
            refused("x\\r\\n--allow *", 443, Code::HostMalformed),
            Event::Closed(Closed { connection: 1, bytes_up: 3, bytes_down: 4, code: None }),
        ] {
            summary.add(&event);
        }
        let rows: Vec<_> = summary.blocked.iter().map(|row| (row.count, row.flag.as_deref())).collect();
        assert_eq!(
            rows,
            [
                (2, Some("--allow evil.example")),
                (1, Some("--allow db.example:5432")),
                (1, Some("--allow '[2606:4700::1]'")),
                (1, Some("--allow 127.0.0.1:5432")),
                (1, None),
                (1, None),
            ]
        );
        assert_eq!((summary.bytes_up, summary.bytes_down), (3, 4));
    }

    #[test]
    fn a_name_with_a_private_address_needs_a_rule_for_the_address() {
        let private = Some("10.0.0.5".parse().unwrap());
        let code = Code::Address(AddressClass::Private);
        assert_eq!(flag("db.example", 5432, code, private).as_deref(), Some("--allow 10.0.0.5:5432"));
        assert_eq!(flag("db.example", 443, Code::HostNotAllowed, None).as_deref(), Some("--allow db.example"));
        let loopback = Code::Address(AddressClass::Loopback);
        assert_eq!(flag("localhost", 5432, loopback, private).as_deref(), Some("--allow localhost:5432"));
    }

    #[test]
    fn bytes_belong_to_the_host_that_the_connection_was_made_to() {
        let reached = |connection, host: &str| {
            Event::Decision(Decision {
                connection,
                protocol: Protocol::Connect,
                host: host.to_owned(),
                port: 443,
                address: None,
                verdict: Verdict::Allowed,
                code: None,
                rule: None,
            })
        };
        let closed = |connection| Event::Closed(Closed { connection, bytes_up: 10, bytes_down: 100, code: None });
        let mut summary = Summary::default();
        for event in [reached(1, "a.example"), reached(2, "b.example"), closed(2), reached(3, "a.example"), closed(1)] {
            summary.add(&event);
        }
        // The third connection is open still, and a connection that reached nobody belongs to no row.
        summary.add(&closed(9));
        let rows: Vec<_> =
            summary.reached.iter().map(|row| (row.host.as_str(), row.count, row.bytes_up, row.bytes_down)).collect();
        assert_eq!(rows, [("a.example", 2, 10, 100), ("b.example", 1, 10, 100)]);
        assert_eq!((summary.bytes_up, summary.bytes_down, summary.open.len()), (30, 300, 1));
    }

    #[test]
    fn a_run_that_asks_for_a_million_hosts_does_not_fill_the_memory() {
        let mut summary = Summary::default();
        for number in 0..2000 {
            summary.add(&refused(&format!("h{number}.example"), 443, Code::HostNotAllowed));
        }
        assert_eq!(summary.blocked.len(), ROWS);
        assert_eq!(summary.unlisted, 2000 - ROWS as u64);
    }
}
