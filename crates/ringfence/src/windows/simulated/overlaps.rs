//! Roots that lie in each other, and workspaces that share one.

use ringfence_ntsec::volume::Volume;
use ringfence_ntsec::{AccessMask, Ace, Sid, WriteReading};

use super::host::Host;
use super::scene::{self, ROOT, sandbox, user, workspace_sid, writes};
use super::schedules::{apply, quietly, revoke_all};
use crate::plan::windows::GrantPlan;
use crate::windows::grants::Grants;
use crate::windows::path::WindowsPath;

fn host() -> (Host, Volume) {
    let volume = scene::volume(WriteReading::Reported);
    (Host::new(volume.clone(), user(), 1), volume)
}

fn root(volume: &Volume, path: &str) -> GrantPlan {
    let target = scene::target(volume, path);
    let mut allow = scene::plan(volume).allow;
    if !target.directory {
        allow.flags = ringfence_ntsec::AceFlags::empty();
    }
    GrantPlan { root: target, allow, protect: Vec::new(), hold: Vec::new() }
}

fn is_writable(host: &Host, path: &str) -> bool {
    let world = host.world();
    let id = world.volume.find_link(path).unwrap();
    writes(&world.volume, id, &sandbox(), WriteReading::Wide).contains(AccessMask::FILE_WRITE_DATA)
}

#[test]
fn a_root_may_be_a_file_and_may_lie_in_another_root() {
    let (host, volume) = host();
    let plans = [scene::plan(&volume), root(&volume, r"\work\ours\src"), root(&volume, r"\work\private\diary.txt")];
    for plans in [plans.clone(), [plans[1].clone(), plans[2].clone(), plans[0].clone()]] {
        apply(&host, &plans).unwrap();
        assert!(apply(&host, &plans).unwrap().was_warm);
        for (path, expected) in [
            (ROOT, true),
            (r"\work\ours\src\deep\a.txt", true),
            (r"\work\ours\.git\config", false),
            (r"\work\private\diary.txt", true),
            (r"\work\private", false),
            (r"\work\private\deep\x.txt", false),
        ] {
            assert_eq!(is_writable(&host, path), expected, "{path}");
        }
        assert_eq!(revoke_all(&host).unwrap().len(), 3);
        assert_eq!(host.world().volume, volume);
    }
}

#[test]
fn workspaces_that_share_a_root_are_taken_back_one_by_one_in_any_order() {
    let other = Sid::ringfence_workspace(&[7; 32], 1, 99);
    let for_other = |plan: GrantPlan| {
        let to_other = |ace: Ace| Ace { sid: other, ..ace };
        GrantPlan { root: plan.root, allow: to_other(plan.allow), protect: Vec::new(), hold: Vec::new() }
    };
    for first_is_first in [true, false] {
        let (host, volume) = host();
        let shared = scene::plan(&volume);
        let inner = for_other(root(&volume, r"\work\ours\src"));
        apply(&host, std::slice::from_ref(&shared)).unwrap();
        let alone = host.world().volume.clone();
        apply(&host, std::slice::from_ref(&inner)).unwrap();
        let names = |sid: &Sid| {
            let world = host.world();
            world.volume.nodes().filter(|(_, node)| node.descriptor().sids().any(|found| found == sid)).count()
        };
        assert!(names(&workspace_sid()) > 0 && names(&other) > 0);
        let revoke = |path: &str| {
            let path = WindowsPath::parse(path).unwrap();
            let revoked = Grants::new(&host, &&host).revoke(Some(&path), &quietly()).unwrap();
            assert_eq!((revoked.len(), revoked[0].remaining.len()), (1, 0));
        };
        if first_is_first {
            revoke(r"C:\work\ours");
            assert_eq!(names(&workspace_sid()), 0);
            assert!(names(&other) > 0, "the other workspace goes on");
            revoke(r"C:\work\ours\src");
        } else {
            revoke(r"C:\work\ours\src");
            assert_eq!(host.world().volume, alone, "as before the second one");
            revoke(r"C:\work\ours");
        }
        assert_eq!(host.world().volume, volume);
    }
}
