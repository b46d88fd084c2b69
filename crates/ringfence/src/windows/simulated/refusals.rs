//! What is refused or given up, and changes nothing.

use std::collections::HashSet;

use ringfence_ntsec::WriteReading;
use ringfence_ntsec::volume::Volume;

use super::host::Host;
use super::scene::{self, ROOT, user};
use super::schedules::{apply, quietly, revoke_all};
use crate::plan::windows::GrantPlan;
use crate::windows::grants::{Grants, list};
use crate::windows::ledger::{Progress, Why};
use crate::windows::path::WindowsPath;
use crate::windows::storage::Storage;

fn scene() -> (Host, GrantPlan) {
    let volume = scene::volume(WriteReading::Reported);
    let plan = scene::plan(&volume);
    (Host::new(volume, user(), 1), plan)
}

/// Applies, and expects a refusal that leaves the volume alone.
fn refused(host: &Host, plan: &GrantPlan) -> &'static str {
    let before = host.world().volume.clone();
    let code = apply(host, std::slice::from_ref(plan)).unwrap_err().code();
    assert_eq!(host.world().volume, before, "{code}");
    code
}

#[test]
fn a_writer_waits_for_another_and_then_gives_up() {
    let (host, plan) = scene();
    let storage = &host;
    let lock = storage.try_lock().unwrap().unwrap();
    assert_eq!(refused(&host, &plan), "grants-busy");
    assert_eq!(revoke_all(&host).unwrap_err().code(), "grants-busy");
    drop(lock);
    apply(&host, &[plan]).unwrap();
}

#[test]
fn a_root_must_be_the_object_of_the_plan_and_lie_where_the_plan_has_it() {
    let replace: [fn(&mut Volume); 3] = [
        |volume| volume.rename(&user(), ROOT, r"\work\away", false).unwrap(),
        |volume| {
            volume.rename(&user(), ROOT, r"\work\away", false).unwrap();
            volume.create_directory(&user(), ROOT, None).unwrap();
        },
        |volume| {
            volume.rename(&user(), ROOT, r"\work\away", false).unwrap();
            volume.create_junction(&user(), ROOT, r"\work\away").unwrap();
        },
    ];
    for replace in replace {
        let (host, plan) = scene();
        replace(&mut host.world().volume);
        assert_eq!(refused(&host, &plan), "root-changed");
    }
}

#[test]
fn places_that_nobody_may_grant_are_refused() {
    let (host, plan) = scene();
    let volume = host.world().volume.clone();
    let at = |path: &str| GrantPlan {
        root: scene::target(&volume, path),
        allow: plan.allow.clone(),
        protect: Vec::new(),
        hold: Vec::new(),
    };
    let mut drive = at(r"\work");
    drive.root.path = WindowsPath::parse(r"C:\").unwrap();
    drive.root.object.file = Volume::ROOT.0.into();
    for (plan, code) in [
        // The user may not re-permit it.
        (at(r"\work\ours\admin.txt"), "disk-failed"),
        (at(r"\system\hosts"), "disk-failed"),
        (drive, "disk-failed"),
        (at(r"\work\ours\nothing.txt"), "root-refused"),
        (at(r"\work\ours\shared.txt"), "root-refused"),
        (at(r"\work\ours\bare"), "root-refused"),
        (at(r"\work\ours\out"), "root-changed"),
        (GrantPlan { allow: "(A;OICI;FA;;;WD)".parse().unwrap(), ..plan.clone() }, "root-refused"),
    ] {
        assert_eq!(refused(&host, &plan), code, "{}", plan.root.path);
    }
    let never = HashSet::from([plan.root.object]);
    let error = Grants::new(&host, &&host).apply(std::slice::from_ref(&plan), &never, &quietly()).unwrap_err();
    assert_eq!(error.code(), "root-refused");
    // The control: the same machine, the same plan.
    apply(&host, &[plan]).unwrap();
}

#[test]
fn what_the_policy_does_not_have_any_more_is_taken_back_before_the_next_run() {
    let (host, plan) = scene();
    let volume = host.world().volume.clone();
    let other = GrantPlan {
        root: scene::target(&volume, r"\work\private\deep"),
        allow: plan.allow.clone(),
        protect: Vec::new(),
        hold: Vec::new(),
    };
    apply(&host, &[plan.clone(), other.clone()]).unwrap();
    let id = volume.find(r"\work\private\deep\x.txt").unwrap();
    let granted = |host: &Host| host.world().volume.node(id).unwrap().descriptor().has_ringfence_residue();
    assert!(granted(&host));
    assert_eq!(list(&&host).unwrap().len(), 2);
    let applied = apply(&host, std::slice::from_ref(&plan)).unwrap();
    assert!(!applied.was_warm && applied.edited == 0, "what stays is not written again");
    assert!(!granted(&host));
    // A protection that is taken out and put in again.
    let open = GrantPlan { protect: Vec::new(), ..plan.clone() };
    assert_eq!(apply(&host, &[open]).unwrap().edited, 3, "config, hooks and what lies in it");
    assert_eq!(apply(&host, std::slice::from_ref(&plan)).unwrap().edited, 3);
    assert!(apply(&host, &[plan]).unwrap().was_warm);
    revoke_all(&host).unwrap();
    assert_eq!(host.world().volume, volume);
}

#[test]
fn a_protected_object_that_was_exchanged_is_protected_again() {
    let (host, plan) = scene();
    apply(&host, std::slice::from_ref(&plan)).unwrap();
    {
        let mut world = host.world();
        world.volume.delete(&user(), r"\work\ours\.git\config").unwrap();
        world.volume.create_file(&user(), r"\work\ours\.git\config", None).unwrap();
    }
    // The old plan names an object that is gone.
    assert_eq!(refused(&host, &plan), "root-changed");
    let plan = scene::plan(&host.world().volume);
    assert_eq!(apply(&host, std::slice::from_ref(&plan)).unwrap().edited, 1);
    let world = host.world();
    let id = world.volume.find(r"\work\ours\.git\config").unwrap();
    assert!(scene::writes(&world.volume, id, &scene::sandbox(), WriteReading::Wide).is_empty());
}

#[test]
fn a_ledger_that_lost_everything_but_its_name_still_leads_to_the_grant() {
    let (host, plan) = scene();
    let volume = host.world().volume.clone();
    apply(&host, &[plan]).unwrap();
    for file in host.world().files.values_mut() {
        file.durable = b"\0\0\0 garbage".to_vec();
    }
    let listed = list(&&host).unwrap();
    assert_eq!((listed.len(), &listed[0].root, &listed[0].progress), (1, &None, &Progress::Unfinished));
    let revoked = revoke_all(&host).unwrap();
    assert_eq!(revoked[0].remaining, []);
    assert_eq!(host.world().volume, volume);
}

#[test]
fn a_grant_is_taken_back_by_the_path_of_its_root() {
    let (host, plan) = scene();
    let volume = host.world().volume.clone();
    apply(&host, &[plan]).unwrap();
    let revoke = |path: &str| {
        let path = WindowsPath::parse(path).unwrap();
        Grants::new(&host, &&host).revoke(Some(&path), &quietly()).unwrap().len()
    };
    assert_eq!(revoke(r"C:\work"), 0);
    assert_eq!(revoke(r"C:\work\ours\src"), 0);
    assert_eq!(revoke(r"c:\WORK\Ours"), 1);
    assert_eq!(host.world().volume, volume);
}

#[test]
fn what_cannot_be_taken_back_is_said_and_not_forgotten() {
    let (host, plan) = scene();
    apply(&host, &[plan]).unwrap();
    let id = host.world().volume.find(r"\work\ours\src\main.rs").unwrap();
    let granted = host.world().volume.node(id).unwrap().descriptor().clone();
    // An administrator takes the file over and leaves our entry on it.
    let mut taken = granted.clone();
    taken.owner = Some(ringfence_ntsec::well_known::ADMINISTRATORS);
    taken.dacl.acl_mut().retain(|ace| ace.sid.is_ringfence());
    taken.dacl.acl_mut().insert("(A;;FR;;;BU)".parse().unwrap()).unwrap();
    host.world().volume.put_descriptor(id, taken);
    let revoked = revoke_all(&host).unwrap();
    assert_eq!(revoked[0].remaining.len(), 1);
    assert_eq!((revoked[0].remaining[0].path.as_str(), revoked[0].remaining[0].why), (r"src\main.rs", Why::Denied));
    assert_eq!(list(&&host).unwrap()[0].progress, Progress::Revoking);
    assert_eq!(host.world().volume.ringfence_residue().collect::<Vec<_>>(), [id]);
    // Once the user may, the next attempt ends it.
    host.world().volume.put_descriptor(id, granted);
    assert_eq!(revoke_all(&host).unwrap()[0].remaining, []);
    assert_eq!(host.world().volume.ringfence_residue().count(), 0);
}
