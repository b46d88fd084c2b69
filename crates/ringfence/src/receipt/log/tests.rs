use super::*;
use crate::receipt::{Exit, Usage};

fn receipt(id: &str) -> Receipt {
    Receipt {
        version: Receipt::VERSION,
        id: id.into(),
        started_ms: 1,
        argv: vec!["true".into()],
        program: "/bin/true".into(),
        directory: "/".into(),
        policy_hash: String::new(),
        plan_hash: String::new(),
        rules: vec![],
        exit: Exit::Code { code: 0 },
        duration_ms: 1,
        usage: Usage::default(),
        network: None,
        quarantined: vec![],
        previous: String::new(),
    }
}

fn log() -> (tempfile::TempDir, Log) {
    let base = tempfile::tempdir().unwrap();
    let log = Log::open(&State::at(&base.path().join("state")).unwrap()).unwrap();
    (base, log)
}

#[test]
fn a_log_that_nobody_touched_is_whole() {
    let (_base, log) = log();
    for id in ["a", "b", "c"] {
        log.append(&mut receipt(id)).unwrap();
    }
    let verification = log.verify().unwrap();
    assert_eq!(verification, Verification { receipts: 3, torn: vec![], broken: vec![] });
}

#[test]
fn a_changed_line_breaks_the_chain_at_the_next() {
    let (_base, log) = log();
    for id in ["aaaa", "bbbb", "cccc"] {
        log.append(&mut receipt(id)).unwrap();
    }
    let text = std::fs::read_to_string(log.path()).unwrap();
    std::fs::write(log.path(), text.replace("bbbb", "xxxx")).unwrap();
    assert_eq!(log.verify().unwrap().broken, [3]);
}

#[test]
fn a_line_that_was_taken_out_is_missed() {
    let (_base, log) = log();
    for id in ["a", "b", "c"] {
        log.append(&mut receipt(id)).unwrap();
    }
    let text = std::fs::read_to_string(log.path()).unwrap();
    let kept: Vec<&str> = text.lines().enumerate().filter(|(index, _)| *index != 1).map(|(_, line)| line).collect();
    std::fs::write(log.path(), kept.join("\n") + "\n").unwrap();
    assert_eq!(log.verify().unwrap().broken, [2]);
}

#[test]
fn a_crash_in_the_middle_of_a_line_costs_only_that_line() {
    let (_base, log) = log();
    log.append(&mut receipt("first")).unwrap();
    let mut bytes = std::fs::read(log.path()).unwrap();
    let torn = bytes[..bytes.len() / 2].to_vec();
    bytes.extend(torn);
    std::fs::write(log.path(), bytes).unwrap();
    log.append(&mut receipt("second")).unwrap();
    let verification = log.verify().unwrap();
    assert_eq!(verification, Verification { receipts: 2, torn: vec![2], broken: vec![] });
}

#[test]
fn a_line_that_is_longer_than_the_window_is_still_found() {
    let (_base, log) = log();
    let mut long = receipt("long");
    long.argv = vec!["x".repeat(5 * usize::try_from(TAIL).unwrap()).into()];
    log.append(&mut long).unwrap();
    log.append(&mut receipt("after")).unwrap();
    assert!(log.verify().unwrap().is_whole());
    assert_eq!(log.verify().unwrap().receipts, 2);
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let (_base, log) = log();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let log = log.clone();
            scope.spawn(move || {
                for run in 0..25 {
                    log.append(&mut receipt(&format!("{writer}-{run}"))).unwrap();
                }
            });
        }
    });
    assert_eq!(log.verify().unwrap(), Verification { receipts: 200, torn: vec![], broken: vec![] });
}
