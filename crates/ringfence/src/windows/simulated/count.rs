//! What is counted: how many calls a cold and a warm start cost.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use super::endless::Endless;
use super::host::Counts;
use super::schedules::quietly;
use crate::State;
use crate::grants::{Audience, Which, apply_on, revoke_on};
use crate::windows::cases;
use crate::windows::grants::{Applied, Control, Grants, Progress};
use crate::windows::ledger::Skipped;
use crate::windows::storage::{Directory, Storage};

struct Bench {
    _base: tempfile::TempDir,
    state: State,
    storage: Directory,
    disk: Endless,
}

impl Bench {
    fn new(nodes: u64) -> Self {
        let base = tempfile::tempdir().unwrap();
        let state = State::at(&base.path().join("state")).unwrap();
        let storage = Directory::open(&state).unwrap();
        Self { _base: base, state, storage, disk: Endless::new(nodes) }
    }

    fn apply(&self) -> (Applied, Counts) {
        let _ = self.disk.counts();
        let grants = Grants::new(&self.disk, &self.storage);
        let applied = grants.apply(&[self.disk.plan()], &HashSet::new(), &quietly()).unwrap();
        (applied, self.disk.counts())
    }
}

#[test]
fn a_cold_start_sets_each_descriptor_once() {
    for nodes in [10, 10_000] {
        let bench = Bench::new(nodes);
        let (applied, counts) = bench.apply();
        assert!(!applied.was_warm && applied.skipped.is_empty());
        assert_eq!((applied.seen, applied.edited, counts.sets), (nodes, nodes, nodes));
        // One open and two looks an object: when it is met, and at the moment of the edit.
        let fixed = 30;
        assert!((nodes..nodes + fixed).contains(&counts.opens), "{counts:?}");
        assert!((2 * nodes..2 * nodes + fixed).contains(&counts.looks), "{counts:?}");
        // Nothing is known any more, but nothing has to be done either.
        for name in bench.storage.names().unwrap() {
            bench.storage.remove(&name).unwrap();
        }
        let (again, counts) = bench.apply();
        assert_eq!((again.seen, again.edited, counts.sets), (nodes, 0, 0));
    }
}

#[test]
fn a_warm_start_writes_nothing_and_costs_the_same_for_any_tree() {
    let small = Bench::new(10);
    small.apply();
    let (warm, counts) = small.apply();
    assert!(warm.was_warm);
    // The root and the protected directory, from the volume's root down.
    assert_eq!(counts, Counts { opens: 5, looks: 2, sets: 0, lists: 0, flushes: 0 });

    let medium = Bench::new(10_000);
    medium.apply();
    assert_eq!(medium.apply(), (warm.clone(), counts));

    // A million objects that were made after the grant.
    small.disk.later.store(1_000_000, Ordering::Relaxed);
    assert_eq!(small.apply(), (warm, counts));
}

#[test]
fn progress_is_told_and_an_interruption_is_gone_on_from() {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    let bench = Bench::new(30_000);
    let told: Mutex<Vec<Progress>> = Mutex::default();
    let interrupted = AtomicBool::new(false);
    let grants = Grants::new(&bench.disk, &bench.storage);
    let progress = |progress: Progress| {
        told.lock().unwrap().push(progress);
        interrupted.store(progress.done > 10_000, Ordering::Relaxed);
    };
    let control = Control { progress: &progress, interrupted: &interrupted };
    let error = grants.apply(&[bench.disk.plan()], &HashSet::new(), &control).unwrap_err();
    assert_eq!(error.code(), "grants-interrupted");
    let first = bench.disk.counts();
    assert!(first.sets > 10_000 && first.sets < 30_000, "{first:?}");
    let (applied, counts) = bench.apply();
    assert_eq!((applied.seen, first.sets + counts.sets), (30_000, 30_000), "nothing is set twice");
    let told = told.into_inner().unwrap();
    assert!(told.is_sorted_by_key(|progress| progress.done) && told.len() > 2);
    assert!(told.iter().all(|progress| progress.done <= progress.known));
}

/// What a first use of a large workspace costs, where the disk costs nothing: `RINGFENCE_TREE=1000000 cargo test --release`.
#[test]
fn a_large_tree_is_granted_and_taken_back() {
    #[derive(Default)]
    struct Told {
        progress: AtomicU64,
        granted: AtomicU64,
    }
    impl Audience for Told {
        fn progress(&self, progress: Progress) {
            self.progress.fetch_max(progress.done, Ordering::Relaxed);
        }
        fn granted(&self, skipped: &[Skipped]) {
            assert_eq!(skipped, []);
            self.granted.fetch_add(1, Ordering::Relaxed);
        }
    }
    let nodes: u64 = cases("RINGFENCE_TREE", 3_000);
    let bench = Bench::new(nodes);
    let told = Told::default();
    let started = std::time::Instant::now();
    let applied = apply_on(&bench.disk, &bench.state, &[bench.disk.plan()], &told).unwrap();
    let counts = bench.disk.counts();
    println!("{nodes} objects granted in {:?}: {counts:?}", started.elapsed());
    assert_eq!((applied.edited, counts.sets), (nodes, nodes));
    assert!(apply_on(&bench.disk, &bench.state, &[bench.disk.plan()], &told).unwrap().was_warm);
    let _ = bench.disk.counts();
    assert_eq!((told.progress.into_inner(), told.granted.into_inner()), (nodes, 1), "a warm start says nothing");
    let started = std::time::Instant::now();
    let revoke = |which| revoke_on(&bench.disk, &bench.state, &which, &quietly());
    assert_eq!(revoke(Which::At(r"C:\elsewhere".into())).unwrap(), []);
    assert_eq!(revoke(Which::At("tree".into())).unwrap_err().code(), "root-unusable");
    let revoked = revoke(Which::At(r"C:\tree".into())).unwrap();
    let counts = bench.disk.counts();
    println!("taken back in {:?}: {counts:?}", started.elapsed());
    assert_eq!((revoked[0].edited, counts.sets), (nodes, nodes));
    assert_eq!(revoked[0].remaining, []);
}
