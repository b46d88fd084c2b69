//! What a run tells about its network: the receipt, and the lines after the command.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::Value;

use crate::support::{Ground, Place, expect_status, show, skip, stderr, stdout};
use crate::world::World;
use crate::{Attempts, DONE, NO_PYTHON, Outcome};

/// The receipt that `run --json` prints.
pub(crate) fn printed(output: &Output) -> Value {
    let text = stderr(output);
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no receipt: {}", show(output)))).unwrap()
}

/// The last receipt in the log.
pub(crate) fn logged(place: &Place) -> std::io::Result<Value> {
    let log = place.ringfence(["log", "--json"]).output()?;
    expect_status(&log, 0);
    Ok(serde_json::from_str(stdout(&log).lines().last().unwrap())?)
}

/// `CODE HOST:PORT` of everything that the receipt has as refused.
pub(crate) fn blocked(receipt: &Value) -> BTreeSet<String> {
    let rows = receipt["network"]["blocked"].as_array().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter().map(|row| format!("{} {}:{}", text(row, "code"), text(row, "host"), row["port"])).collect()
}

fn row<'a>(receipt: &'a Value, list: &str, host: &str, port: u16) -> &'a Value {
    let rows = receipt["network"][list].as_array().unwrap();
    let found: Vec<_> = rows.iter().filter(|row| row["host"] == host && row["port"] == port).collect();
    assert_eq!(found.len(), 1, "{list} {host}:{port} in {receipt:#}");
    found[0]
}

pub(crate) fn the_receipt_tells_the_whole_story(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let line = |attempt: &str| attempts.line(&token, attempt);
    let mut script = line("get http://allowed.test/TOKEN").repeat(3);
    script += &line("connect ssh.test:2222").repeat(2);
    script += &line("tcp ssh.test 2222");
    script += &line("connect dead.test:443 dead.test");
    script += &line("get http://other.test/TOKEN").repeat(2);
    script += &line("connect allowed.test:9000");
    script += &line("connect 127.0.0.1:9000");
    script += &line("lookup secret.other.test");
    let allow = ["allowed.test", "ssh.test:2222", "dead.test"].map(|host| ["--allow", host]).concat();
    let mut run = place.ringfence(["run", "--json"]);
    let output = run.args(allow).args(["--", "sh", "-c", &script]).output()?;
    expect_status(&output, 0);
    let refusals = "502 name-not-found\n403 host-not-allowed\n403 host-not-allowed\n403 port-not-allowed\n\
                    403 address-loopback\nno-name\n";
    assert_eq!(stdout(&output), "reached\n".repeat(6) + refusals);

    let receipt = printed(&output);
    let reached = |host, port| {
        let row = row(&receipt, "reached", host, port);
        (row["count"].as_u64().unwrap(), row["failed"].as_u64().unwrap())
    };
    assert_eq!(reached("allowed.test", 80), (3, 0));
    assert_eq!(reached("ssh.test", 2222), (3, 0));
    assert_eq!(reached("dead.test", 443), (0, 1));
    let blocked = |host, port| {
        let row = row(&receipt, "blocked", host, port);
        (row["code"].as_str().unwrap(), row["flag"].as_str(), row["count"].as_u64().unwrap())
    };
    assert_eq!(blocked("other.test", 80), ("host-not-allowed", Some("--allow other.test"), 2));
    assert_eq!(blocked("allowed.test", 9000), ("port-not-allowed", Some("--allow allowed.test:9000"), 1));
    assert_eq!(blocked("127.0.0.1", 9000), ("address-loopback", Some("--allow 127.0.0.1:9000"), 1));
    // A C library asks again, and for another kind of address.
    let (code, flag, count) = blocked("secret.other.test", 0);
    assert_eq!((code, flag), ("host-not-allowed", Some("--allow secret.other.test")));
    assert!((1..=4).contains(&count), "{count}");
    assert_eq!(receipt["network"]["reached"].as_array().unwrap().len(), 3);
    assert_eq!(receipt["network"]["blocked"].as_array().unwrap().len(), 4);
    assert_eq!(receipt["network"]["unlisted"], 0);
    // Each tunnel carries the token and a newline, there and back; requests and answers come on top.
    let tunnels = 3 * (token.len() as u64 + 1);
    for direction in ["bytes_up", "bytes_down"] {
        let bytes = receipt["network"][direction].as_u64().unwrap();
        assert!((tunnels + 300..tunnels + 6000).contains(&bytes), "{direction}: {bytes}");
    }

    // The log has the same line, and its chain is whole.
    assert_eq!(logged(place)?, receipt);
    DONE
}

pub(crate) fn blocked_hosts_are_listed_with_their_flag(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let script = attempts.line(&token, "get http://other.test/TOKEN").repeat(2)
        + &attempts.line(&token, "connect ssh.test:2222")
        + &attempts.line(&token, "get http://allowed.test/TOKEN")
        + "exit 7";
    let run = |flags: &[&str]| {
        let mut run = place.ringfence(["run", "--allow", "allowed.test"]);
        run.args(flags).args(["--", "sh", "-c", &script]).output()
    };
    let output = run(&[])?;
    expect_status(&output, 7);
    assert_eq!(
        stderr(&output),
        "ringfence: blocked: other.test:80 (host-not-allowed, 2 times); --allow other.test would allow it\n\
         ringfence: blocked: ssh.test:2222 (host-not-allowed); --allow ssh.test:2222 would allow it\n"
    );
    assert_eq!(stderr(&run(&["--quiet"])?), "");
    // The flags that are shown do what they say.
    let output = run(&["--allow", "other.test", "--allow", "ssh.test:2222"])?;
    assert_eq!((stdout(&output), stderr(&output)), ("reached\n".repeat(4), String::new()));
    DONE
}

pub(crate) fn many_blocked_hosts_are_counted(_: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let script: String = (0..20).map(|number| attempts.line("-", &format!("lookup h{number}.other.test"))).collect();
    let mut run = place.ringfence(["run", "--allow", "allowed.test"]);
    let output = run.args(["--", "sh", "-c", &script]).output()?;
    let text = stderr(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 13, "{text}");
    assert_eq!(lines[12], "ringfence: and 8 more; `ringfence log --json` has them");
    assert_eq!(blocked(&logged(place)?).len(), 20);
    DONE
}

pub(crate) fn a_host_name_cannot_write_on_the_terminal(_: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    // SOCKS takes any bytes for a name.
    let script = attempts.line("-", "socks \"$(printf 'a\\033[2J\\007\\nb.test')\" 443");
    let mut run = place.ringfence(["run", "--allow", "allowed.test"]);
    let output = run.args(["--", "sh", "-c", &script]).output()?;
    assert_eq!(stdout(&output), "socks 2\n", "{}", show(&output));
    let text = stderr(&output);
    assert!(text.starts_with("ringfence: blocked: ") && text.contains("host-malformed"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    DONE
}

pub(crate) fn a_run_that_is_ended_has_its_decisions(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let script = attempts.line(&token, "get http://allowed.test/TOKEN")
        + &attempts.line(&token, "get http://other.test/TOKEN")
        + "exec sleep 600";
    let mut run = place.ringfence(["run", "--json", "--allow", "allowed.test", "--timeout", "4s"]);
    let output = run.args(["--", "sh", "-c", &script]).output()?;
    expect_status(&output, 124);
    let receipt = printed(&output);
    assert_eq!(row(&receipt, "reached", "allowed.test", 80)["count"], 1);
    assert_eq!(row(&receipt, "blocked", "other.test", 80)["count"], 1);
    DONE
}
