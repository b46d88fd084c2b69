//! The layout is judged by a small model of the mount table: what a path shows after all steps.

use std::collections::BTreeMap;

use ringfence_policy::{Anchors, Files, Overrides, PolicySource, Request, System};

use super::*;
use crate::survey::Survey;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

fn policy() -> Policy {
    policy_with(Overrides::default())
}

fn policy_with(overrides: Overrides) -> Policy {
    let anchors = Anchors { workspace: "/home/u/project".into(), home: Some("/home/u".into()), system: System::Linux };
    let request =
        Request { source: PolicySource::Profile("workspace".into()), managed: None, overrides, anchors: &anchors };
    ringfence_policy::load(&request, &NoFiles).unwrap()
}

fn place(path: &str, directory: bool) -> Place {
    Place { path: path.into(), identity: Identity { device: 1, inode: 1 }, directory, origin: None }
}

fn survey(write: &[&str]) -> Survey {
    Survey {
        program: "/bin/true".into(),
        workspace: place("/home/u/project", true),
        directory: "/home/u/project".into(),
        write: write.iter().map(|path| place(path, true)).collect(),
        read: None,
        protect: vec![],
        watch: vec![],
        hide: vec![],
        sockets: vec![],
        allowed_sockets: vec![],
        fresh: crate::survey::FRESH.iter().map(PathBuf::from).collect(),
        carved: None,
        names: vec![],
        resolver: vec![],
        runtime: vec![],
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    HostReadOnly,
    HostWritable,
    Fresh,
    Nothing,
    Absent,
    Text,
}

/// What shows at a path when the steps were carried out: that of the last mount at the deepest path above it.
fn shows(steps: &[MountStep], path: &str) -> Shows {
    // What is held: the mounts of a tree, by their paths below its top.
    let mut held: BTreeMap<u32, Vec<(PathBuf, Shows)>> = BTreeMap::new();
    let mut mounts: Vec<(PathBuf, Shows)> = vec![("/".into(), Shows::HostWritable)];
    for step in steps {
        match step {
            MountStep::Capture { slot, attributes, .. } => {
                let kind = if attributes.read_only { Shows::HostReadOnly } else { Shows::HostWritable };
                held.insert(*slot, vec![(PathBuf::new(), kind)]);
            }
            MountStep::LockHost => mounts.iter_mut().for_each(|(_, kind)| *kind = Shows::HostReadOnly),
            MountStep::EmptyRoot => mounts = vec![("/".into(), Shows::Absent)],
            MountStep::Tmpfs { path, .. } | MountStep::Proc { path } | MountStep::Devpts { path } => {
                mounts.push((path.clone(), Shows::Fresh));
            }
            MountStep::Share { slot, path } => {
                let top = mounts.iter().rev().find(|(mount, _)| path.starts_with(mount)).unwrap().1;
                let below = mounts.iter().filter_map(|(mount, kind)| Some((mount.strip_prefix(path).ok()?, *kind)));
                let tree = std::iter::once((Path::new(""), top)).chain(below);
                held.insert(*slot, tree.map(|(path, kind)| (path.to_owned(), kind)).collect());
            }
            // Of the run's own mounts only that of the processes says nothing else by being read-only.
            MountStep::ReadOnly { path } if path.ends_with("proc") => {
                mounts.push((path.clone(), Shows::HostReadOnly));
            }
            MountStep::Place { slot, path } => {
                mounts.extend(held[slot].iter().map(|(below, kind)| (path.join(below).components().collect(), *kind)));
            }
            MountStep::Cover { path, .. } => mounts.push((path.clone(), Shows::Nothing)),
            MountStep::Text { path, .. } => mounts.push((path.clone(), Shows::Text)),
            _ => {}
        }
    }
    let mut at = Path::new("/").to_owned();
    let mut result = Shows::Absent;
    let mut from = 0;
    for name in std::iter::once(None).chain(Path::new(path).components().skip(1).map(Some)) {
        if let Some(name) = name {
            at.push(name);
        }
        // A mount that came before the one above it is covered by that.
        if let Some(index) = mounts.iter().rposition(|(path, _)| *path == at).filter(|index| *index >= from) {
            (from, result) = (index, mounts[index].1);
        }
    }
    result
}

#[test]
fn only_the_write_root_is_writable() {
    let steps = steps(&policy(), &survey(&["/home/u/project"]), 1000);
    assert_eq!(shows(&steps, "/home/u/project/src/main.rs"), Shows::HostWritable);
    for path in ["/home/u", "/home/u/projects", "/etc/passwd", "/", "/usr/bin/env"] {
        assert_eq!(shows(&steps, path), Shows::HostReadOnly, "{path}");
    }
    for path in ["/tmp/x", "/run/user/1000/bus", "/dev/sda", "/var/tmp/x", "/proc/1/root"] {
        assert_eq!(shows(&steps, path), Shows::Fresh, "{path}");
    }
}

#[test]
fn protected_paths_are_read_only_and_their_parents_cannot_be_renamed() {
    let mut survey = survey(&["/home/u/project"]);
    survey.protect = vec![place("/home/u/project/a/b/.git/hooks", true)];
    let steps = steps(&policy(), &survey, 1000);
    assert_eq!(shows(&steps, "/home/u/project/a/b/.git/hooks/pre-commit"), Shows::HostReadOnly);
    assert_eq!(shows(&steps, "/home/u/project/a/b/.git/index"), Shows::HostWritable);
    for ancestor in ["/home/u/project/a", "/home/u/project/a/b", "/home/u/project/a/b/.git"] {
        let mounted =
            steps.iter().any(|step| matches!(step, MountStep::Place { path, .. } if path == Path::new(ancestor)));
        assert!(mounted, "{ancestor} must be a mount, or it could be renamed away");
    }
}

#[test]
fn hidden_paths_are_covered_wherever_the_host_shows() {
    let mut survey = survey(&["/home/u/project"]);
    survey.hide = vec![place("/home/u/.ssh", true), place("/home/u/project/.env", false), place("/tmp/secret", false)];
    survey.sockets = vec!["/home/u/agent.sock".into(), "/tmp/agent.sock".into()];
    let steps = steps(&policy(), &survey, 1000);
    for path in ["/home/u/.ssh/id_ed25519", "/home/u/project/.env", "/home/u/agent.sock"] {
        assert_eq!(shows(&steps, path), Shows::Nothing, "{path}");
    }
    for path in ["/tmp/secret", "/tmp/agent.sock"] {
        assert_eq!(shows(&steps, path), Shows::Fresh, "{path} is not there at all");
    }
}

#[test]
fn an_allowlist_shows_its_own_files_of_name_resolution_unless_they_are_hidden() {
    let allowlist = Overrides { allow: vec!["example.com".parse().unwrap()], ..Overrides::default() };
    let mut survey = survey(&["/home/u/project"]);
    survey.names = ["/etc/hosts", "/run/systemd/resolve/stub-resolv.conf"]
        .map(|path| NameFile { path: path.into(), content: "text".into() })
        .into();
    survey.resolver = vec![place("/run/systemd/resolve/stub-resolv.conf", false)];
    let with = steps(&policy_with(allowlist.clone()), &survey, 1000);
    let without = steps(&policy(), &survey, 1000);
    assert_eq!(shows(&with, "/etc/hosts"), Shows::Text);
    assert_eq!(shows(&without, "/etc/hosts"), Shows::HostReadOnly);
    assert_eq!(shows(&with, "/run/systemd/resolve/stub-resolv.conf"), Shows::Text);
    assert_eq!(shows(&without, "/run/systemd/resolve/stub-resolv.conf"), Shows::Fresh);
    survey.hide = vec![place("/etc/hosts", false)];
    let hidden = steps(&policy_with(allowlist.clone()), &survey, 1000);
    assert_eq!(shows(&hidden, "/etc/hosts"), Shows::Nothing);
    survey.hide = vec![];
    survey.read = Some(vec![place("/home/u/project", true)]);
    assert_eq!(shows(&steps(&policy_with(allowlist), &survey, 1000), "/etc/hosts"), Shows::Text);
}

#[test]
fn what_is_hidden_wins_over_what_is_protected_below_it() {
    let mut survey = survey(&["/home/u/project"]);
    survey.protect = vec![place("/home/u/project/private/hooks", true)];
    survey.hide = vec![place("/home/u/project/private", true)];
    assert_eq!(shows(&steps(&policy(), &survey, 1000), "/home/u/project/private/hooks"), Shows::Nothing);
}

#[test]
fn a_workspace_in_tmp_is_placed_in_the_private_one() {
    let steps = steps(&policy(), &survey(&["/tmp/build/project"]), 1000);
    assert_eq!(shows(&steps, "/tmp/build/project/file"), Shows::HostWritable);
    assert_eq!(shows(&steps, "/tmp/build/other"), Shows::Fresh);
    let made = steps
        .iter()
        .any(|step| matches!(step, MountStep::Directory { path, .. } if path == Path::new("/tmp/build/project")));
    assert!(made, "the place must be made in the private directory");
}

#[test]
fn a_host_without_var_tmp_is_no_obstacle() {
    let mut survey = survey(&["/home/u/project"]);
    survey.fresh.retain(|path| path != Path::new("/var/tmp"));
    let steps = steps(&policy(), &survey, 1000);
    assert!(!steps.iter().any(|step| matches!(step, MountStep::Place { path, .. } if path == Path::new("/var/tmp"))));
    assert_eq!(shows(&steps, "/tmp/x"), Shows::Fresh);
}

#[test]
fn a_list_of_read_roots_shows_nothing_else() {
    let mut survey = survey(&["/home/u/project"]);
    survey.read = Some(vec![place("/home/u/docs", true)]);
    survey.runtime =
        vec![RuntimePath::Directory(place("/usr", true)), RuntimePath::Symlink("/bin".into(), "usr/bin".into())];
    let steps = steps(&policy(), &survey, 1000);
    assert_eq!(shows(&steps, "/home/u/docs/readme"), Shows::HostReadOnly);
    assert_eq!(shows(&steps, "/usr/bin/env"), Shows::HostReadOnly);
    assert_eq!(shows(&steps, "/home/u/project/file"), Shows::HostWritable);
    for path in ["/home/u/letters", "/home/other", "/srv", "/"] {
        assert_eq!(shows(&steps, path), Shows::Absent, "{path}");
    }
    assert_eq!(steps.last(), Some(&MountStep::ReadOnly { path: "/".into() }));
}

#[test]
fn what_is_private_stays_so_inside_a_directory_that_is_listed() {
    let mut survey = survey(&["/home/u/project"]);
    survey.read = Some(vec![place("/var", true)]);
    let steps = steps(&policy(), &survey, 1000);
    assert_eq!(shows(&steps, "/var/lib/x"), Shows::HostReadOnly);
    assert_eq!(shows(&steps, "/var/tmp/x"), Shows::Fresh);
}

#[test]
fn a_list_of_read_roots_never_shows_the_processes_and_devices_of_the_host() {
    let mut survey = survey(&["/home/u/project"]);
    survey.read = Some(["/proc", "/proc/1", "/dev", "/usr"].map(|path| place(path, true)).into());
    survey.runtime = ["/dev", "/proc", "/lib"].map(|path| RuntimePath::Directory(place(path, true))).into();
    let steps = steps(&policy(), &survey, 1000);
    for own in ["/proc/1/root", "/proc/self", "/dev/sda"] {
        assert_eq!(shows(&steps, own), Shows::Fresh, "{own}");
    }
    for listed in ["/usr/bin/env", "/lib/ld.so"] {
        assert_eq!(shows(&steps, listed), Shows::HostReadOnly, "{listed}");
    }
}

#[test]
fn the_superuser_cannot_change_the_kernel_through_proc() {
    let for_root = steps(&policy(), &survey(&["/home/u/project"]), 0);
    assert_eq!(shows(&for_root, "/proc/sys/kernel/core_pattern"), Shows::HostReadOnly);
    assert_eq!(shows(&for_root, "/proc/kcore"), Shows::Nothing);
    let for_user = steps(&policy(), &survey(&["/home/u/project"]), 1000);
    assert_eq!(shows(&for_user, "/proc/sys/kernel/core_pattern"), Shows::Fresh, "the kernel checks the id itself");
}

#[test]
fn every_capture_comes_before_the_lock_and_every_placement_after_it() {
    let mut survey = survey(&["/home/u/project", "/tmp/other"]);
    survey.protect = vec![place("/home/u/project/.vscode", true)];
    let steps = steps(&policy(), &survey, 0);
    let lock = steps.iter().position(|step| *step == MountStep::LockHost).unwrap();
    for (index, step) in steps.iter().enumerate() {
        match step {
            MountStep::Capture { .. } | MountStep::Share { .. } => assert!(index < lock),
            // What is done in the run's own tmpfs is not seen by the command.
            MountStep::Place { path, .. } | MountStep::Cover { path, .. } if index < lock => {
                assert!(path.starts_with(SCRATCH), "{}", path.display());
            }
            _ => {}
        }
    }
}

#[test]
fn every_plan_begins_with_the_same_steps() {
    let allowlist = Overrides { allow: vec!["example.com".parse().unwrap()], ..Overrides::default() };
    let mut with_texts = survey(&["/home/u/project"]);
    with_texts.names = vec![NameFile { path: "/etc/hosts".into(), content: "text".into() }];
    let mut with_list = survey(&["/tmp/project"]);
    with_list.read = Some(vec![place("/home/u/docs", true)]);
    let mut without_var_tmp = survey(&[]);
    without_var_tmp.fresh.retain(|path| path != Path::new(VAR_TMP));
    for uid in [0, 1000] {
        for (policy, survey) in
            [(policy(), &with_list), (policy(), &without_var_tmp), (policy_with(allowlist.clone()), &with_texts)]
        {
            assert!(steps(&policy, survey, uid).starts_with(&opening(uid)));
        }
    }
    assert_ne!(opening(0), opening(1000), "the superuser's begins otherwise");
}

#[test]
fn what_the_tmpfs_was_filled_with_is_out_of_sight_in_the_end() {
    let steps = steps(&policy(), &survey(&["/home/u/project"]), 0);
    let places: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            MountStep::Place { path, .. } if !path.starts_with(SCRATCH) || path == Path::new(SCRATCH) => Some(path),
            _ => None,
        })
        .collect();
    let covering = places.iter().position(|path| *path == Path::new(SCRATCH)).unwrap();
    // Nothing that comes after it is taken from there.
    let last_share = steps.iter().rposition(|step| matches!(step, MountStep::Share { .. })).unwrap();
    let placed =
        steps.iter().position(|step| matches!(step, MountStep::Place { path, .. } if path == places[covering]));
    assert!(last_share < placed.unwrap());
    assert_eq!(shows(&steps, "/dev/null"), Shows::Fresh);
}
