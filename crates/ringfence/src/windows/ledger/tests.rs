use proptest::prelude::*;
use ringfence_ntsec::{AccessMask, Ace, AceFlags};

use super::*;
use crate::State;
use crate::facts::windows::ObjectId;
use crate::windows::path::WindowsPath;
use crate::windows::storage::Directory;

fn key() -> Key {
    let sid = Sid::ringfence_workspace(&[7; 32], 1, 2);
    Key { sid, root: ObjectId { volume: 0xABCD, file: 0x1234 } }
}

fn begin() -> Begin {
    Begin {
        root: WindowsPath::parse(r"C:\work").unwrap(),
        allow: Ace::allow(key().sid, AccessMask::FILE_MODIFY, AceFlags::INHERIT_ALL),
        denied: vec![WindowsPath::parse(r"C:\work\.git\hooks").unwrap()],
        digest: "d1".into(),
    }
}

/// A state directory with a ledger of three edits.
fn written() -> (tempfile::TempDir, Directory) {
    let base = tempfile::tempdir().unwrap();
    let storage = Directory::open(&State::at(&base.path().join("state")).unwrap()).unwrap();
    let exclusive = Ledgers::new(&storage).lock().unwrap();
    let mut writer = exclusive.writer(&key()).unwrap();
    writer.begin(begin()).unwrap();
    for file in 1..=3 {
        writer.edit(FileId(file), b"old", b"new", format!("a\\{file}")).unwrap();
    }
    writer.skipped(Skipped { path: "b".into(), why: Why::HardLink { links: 2 } }).unwrap();
    writer.complete("d1".into()).unwrap();
    writer.commit().unwrap();
    (base, storage)
}

#[test]
fn what_is_written_is_read() {
    let (_base, storage) = written();
    let ledgers = Ledgers::new(&storage);
    assert_eq!(ledgers.keys().unwrap(), [key()]);
    let ledger = ledgers.load(&key()).unwrap();
    assert_eq!(ledger.begin, Some(begin()));
    assert_eq!(ledger.progress, Progress::Complete("d1".into()));
    assert_eq!(ledger.edits.len(), 3);
    let edit = &ledger.edits[&FileId(2)];
    assert_eq!((ledger.dacl(edit.before).unwrap(), ledger.dacl(edit.after).unwrap()), (&b"old"[..], &b"new"[..]));
    assert_eq!(ledger.skipped[0].why, Why::HardLink { links: 2 });
    assert_eq!(ledger.damaged, 0);
    assert!(ledgers.is_complete(&key(), "d1").unwrap());
    assert!(!ledgers.is_complete(&key(), "d2").unwrap());
}

#[test]
fn a_torn_end_makes_it_unfinished_and_costs_no_line() {
    let (_base, storage) = written();
    let ledgers = Ledgers::new(&storage);
    let mut file = storage.appender(&key().name()).unwrap();
    storage.append(&mut file, b"0123456789abcdef {\"revo").unwrap();
    assert!(!ledgers.is_complete(&key(), "d1").unwrap());
    let torn = ledgers.load(&key()).unwrap();
    assert_eq!((torn.progress, torn.edits.len(), torn.damaged), (Progress::Unfinished, 3, 1));
    // The next writer ends the torn line.
    let exclusive = ledgers.lock().unwrap();
    let mut writer = exclusive.writer(&key()).unwrap();
    writer.edit(FileId(9), b"old", b"new", "x".into()).unwrap();
    writer.complete("d2".into()).unwrap();
    writer.commit().unwrap();
    let whole = ledgers.load(&key()).unwrap();
    assert_eq!((whole.edits.len(), whole.damaged), (4, 1));
    assert!(ledgers.is_complete(&key(), "d2").unwrap());
}

#[test]
fn foreign_files_are_no_ledgers_and_newer_ones_are_left_alone() {
    let (_base, storage) = written();
    let ledgers = Ledgers::new(&storage);
    let admins = "S-1-5-32-544_abcd_1234.grants".to_owned();
    for name in ["notes.txt", "x.grants", "S-1-5-21-1-2-3-3735000001_zz_1.grants", &admins, &key().new_name()] {
        storage.append(&mut storage.appender(name).unwrap(), b"\0\xFF").unwrap();
        assert!(Key::from_name(name).is_none(), "{name}");
    }
    assert_eq!(ledgers.keys().unwrap(), [key()]);

    let newer = Key { root: ObjectId { volume: 1, file: 1 }, ..key() };
    let mut bytes = Vec::new();
    Record::Ledger(VERSION + 1).write_to(&mut bytes).unwrap();
    storage.append(&mut storage.appender(&newer.name()).unwrap(), &bytes).unwrap();
    assert_eq!(ledgers.load(&newer).unwrap_err().code(), "ledger-version");
    let empty = Key { root: ObjectId { volume: 1, file: 2 }, ..key() };
    assert_eq!(ledgers.load(&empty).unwrap(), Ledger::default());
}

#[test]
fn compaction_says_the_same_in_fewer_lines() {
    let (_base, storage) = written();
    let ledgers = Ledgers::new(&storage);
    let exclusive = ledgers.lock().unwrap();
    let mut writer = exclusive.writer(&key()).unwrap();
    for _ in 0..50 {
        writer.edit(FileId(1), b"old", b"newer", "a\\1".into()).unwrap();
    }
    writer.pending.extend_from_slice(b"garbage\n");
    // A kind of line that a later release may know.
    let unknown = br#"{"marker":1}"#;
    let sum = &crate::plan::hex(&<sha2::Sha256 as sha2::Digest>::digest(unknown))[..16];
    writer.pending.extend_from_slice(format!("{sum} {{\"marker\":1}}\n").as_bytes());
    writer.complete("d2".into()).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let before = ledgers.load(&key()).unwrap();
    let size = storage.read(&key().name()).unwrap().unwrap().len();
    // What an earlier attempt left behind does not get in.
    storage.append(&mut storage.appender(&key().new_name()).unwrap(), b"half").unwrap();
    exclusive.compact(&key()).unwrap();
    let after = ledgers.load(&key()).unwrap();
    assert!(storage.read(&key().name()).unwrap().unwrap().len() < size / 2);
    assert_eq!((before.damaged, after.damaged), (1, 0));
    assert_eq!(before.unknown.len(), 1);
    assert_eq!(after, Ledger { damaged: 0, ..before });
    assert!(ledgers.is_complete(&key(), "d2").unwrap());
    exclusive.remove(&key()).unwrap();
    assert!(ledgers.keys().unwrap().is_empty());
}

#[test]
fn names_say_what_the_content_says() {
    assert_eq!(Key::from_name(&key().name()), Some(key()));
}

/// What may happen to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 0..200_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (any::<usize>(), proptest::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn inflict(bytes: &mut Vec<u8>, damage: Damage) {
    let within = |at: usize, length: usize| at % (length + 1);
    let length = bytes.len();
    match damage {
        Damage::Flip(at, bits) if length > 0 => bytes[at % length] ^= bits,
        Damage::Flip(..) => {}
        Damage::Cut(at) => bytes.truncate(within(at, length)),
        Damage::Remove(at, count) => {
            let start = within(at, length);
            bytes.drain(start..(start + count).min(length));
        }
        Damage::Insert(at, more) => {
            let start = within(at, length);
            bytes.splice(start..start, more);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::windows::cases("RINGFENCE_LEDGER_CASES", 512)))]

    #[test]
    fn damage_costs_the_lines_that_it_touches_and_no_others(
        edits in 1..40_u128,
        damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut add = |record: Record| {
            let mut line = Vec::new();
            record.write_to(&mut line).unwrap();
            lines.push(line);
        };
        add(Record::Ledger(VERSION));
        add(Record::Begin(Box::new(begin())));
        for file in 0..edits {
            let [before, after] = [DaclHash::of(b"before"), DaclHash::of(&file.to_le_bytes())];
            add(Record::Edit(Edit { file: FileId(file), before, after, path: format!("dir\\{file}") }));
        }
        add(Record::Complete { digest: "d1".into() });
        let mut bytes = lines.concat();
        for damage in damages {
            inflict(&mut bytes, damage);
        }
        let ledger = Ledger::parse(&bytes);
        let kept: std::collections::HashSet<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        for file in 0..edits {
            let line = &lines[usize::try_from(file).unwrap() + 2];
            prop_assert_eq!(kept.contains(line.as_slice()), ledger.edits.contains_key(&FileId(file)));
        }
        prop_assert_eq!(ledger.begin.is_some(), kept.contains(lines[1].as_slice()));
        // "Complete" is believed only of a file that ends with it.
        if ledger.progress != Progress::Unfinished {
            prop_assert!(bytes.ends_with(b"\n"));
        }
    }

    #[test]
    fn any_bytes_at_all_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let ledger = Ledger::parse(&bytes);
        prop_assert!(ledger.edits.is_empty());
    }
}
