//! The grants on a real disk, as the user that runs the tests: what the simulated host assumes about Windows is asked of
//! Windows itself. Only on Windows; Wine keeps no permissions.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use ringfence_ntsec::{AccessMask, Ace, AceFlags, SecurityDescriptor, Sid};

use super::open::{LOOK, open_path};
use super::{Applied, Control, Grants};
use crate::State;
use crate::plan::windows::{AceEdit, GrantPlan, GrantTarget};
use crate::windows::disk::Disk;
use crate::windows::path::WindowsPath;
use crate::windows::storage::Directory;
use crate::windows::sys::disk::NtDisk;

static NEVER: AtomicBool = AtomicBool::new(false);

/// `root` is granted, `outside` is not.
struct Tree {
    base: tempfile::TempDir,
    storage: Directory,
    sid: Sid,
}

impl Tree {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let at = |below: &str| base.path().join(below);
        for directory in ["outside", r"root\.git", r"root\src\deep"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        for file in [r"outside\diary.txt", r"root\.git\config", r"root\src\main.rs", r"root\src\deep\a.txt"] {
            std::fs::write(at(file), "x").unwrap();
        }
        std::fs::write(at(r"outside\shared.txt"), "x").unwrap();
        std::fs::hard_link(at(r"outside\shared.txt"), at(r"root\shared.txt")).unwrap();
        std::fs::hard_link(at(r"root\src\main.rs"), at(r"root\src\twin.rs")).unwrap();
        let junction = Command::new("cmd").args(["/c", "mklink", "/J"]).args([at(r"root\out"), at("outside")]).output();
        assert!(junction.unwrap().status.success());
        let storage = Directory::open(&State::at(&at("state")).unwrap()).unwrap();
        Self { base, storage, sid: Sid::ringfence_workspace(&[9; 32], 1, u128::from(std::process::id())) }
    }

    fn path(&self, below: &str) -> WindowsPath {
        let base = std::fs::canonicalize(self.base.path()).unwrap();
        WindowsPath::from_path(&base).unwrap().join(below).unwrap()
    }

    fn target(&self, below: &str) -> GrantTarget {
        let path = self.path(below);
        let stat = open_path(&NtDisk, &path, LOOK).unwrap().stat;
        GrantTarget { path, object: stat.object, directory: stat.is_directory }
    }

    fn plan(&self) -> GrantPlan {
        GrantPlan {
            root: self.target("root"),
            allow: Ace::allow(self.sid, AccessMask::FILE_MODIFY, AceFlags::INHERIT_ALL),
            protect: vec![AceEdit {
                target: self.target(r"root\.git\config"),
                ace: Ace::deny(self.sid, AccessMask(0x000D_0156), AceFlags::empty()),
            }],
            hold: Vec::new(),
        }
    }

    fn apply(&self) -> Applied {
        let control = Control { progress: &|_| {}, interrupted: &NEVER };
        Grants::new(&NtDisk, &self.storage).apply(&[self.plan()], &HashSet::new(), &control).unwrap()
    }

    /// The descriptor of everything, links themselves and not what they lead to.
    fn descriptors(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for top in ["outside", "root"] {
            let opened = open_path(&NtDisk, &self.path(top), LOOK | AccessMask::FILE_READ_DATA).unwrap();
            self.collect(Path::new(top), &opened.handle, &mut found);
        }
        found
    }

    fn collect(&self, path: &Path, handle: &<NtDisk as Disk>::Handle, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        found.insert(path.to_owned(), NtDisk.security(handle).unwrap());
        let stat = NtDisk.stat(handle).unwrap();
        if !stat.is_directory || stat.reparse.is_some() {
            return;
        }
        let mut entries = NtDisk.list(handle, true).unwrap();
        while !entries.is_empty() {
            for entry in entries {
                let list = if entry.is_directory { AccessMask::FILE_READ_DATA } else { AccessMask::NONE };
                let child = NtDisk.open_child(handle, &entry.name, LOOK | list).unwrap();
                self.collect(&path.join(&entry.name), &child, found);
            }
            entries = NtDisk.list(handle, false).unwrap();
        }
    }
}

fn ours(bytes: &[u8], sid: &Sid) -> Vec<Ace> {
    let descriptor = SecurityDescriptor::from_bytes(bytes).unwrap();
    descriptor.dacl.aces().iter().filter(|ace| ace.sid == *sid).cloned().collect()
}

#[test]
fn what_is_granted_is_what_windows_hands_down_and_is_taken_back_byte_for_byte() {
    let tree = Tree::new();
    let before = tree.descriptors();
    let applied = tree.apply();
    let skipped: Vec<&str> = applied.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    assert_eq!(skipped, ["shared.txt"]);
    let after = tree.descriptors();
    for (path, bytes) in &after {
        let is_granted = path.starts_with("root") && !path.ends_with("shared.txt");
        assert_eq!(!ours(bytes, &tree.sid).is_empty(), is_granted, "{}", path.display());
        if !is_granted {
            assert_eq!(bytes, &before[path], "{}", path.display());
        }
        let control = |bytes: &[u8]| SecurityDescriptor::from_bytes(bytes).unwrap().control;
        assert_eq!(control(bytes), control(&before[path]), "the bits that go with the list stay: {}", path.display());
    }
    let config = ours(&after[Path::new(r"root\.git\config")], &tree.sid);
    assert!(config[0].kind.is_deny() && config[1].kind.is_allow());

    // A file that Windows itself makes carries the same.
    std::fs::write(tree.base.path().join(r"root\src\new.rs"), "x").unwrap();
    let made = tree.descriptors();
    let carried = |path: &str| ours(&made[Path::new(path)], &tree.sid);
    assert_eq!(carried(r"root\src\new.rs"), carried(r"root\src\main.rs"));
    assert!(tree.apply().was_warm);

    let control = Control { progress: &|_| {}, interrupted: &NEVER };
    let revoked = Grants::new(&NtDisk, &tree.storage).revoke(None, &control).unwrap();
    assert_eq!((revoked.len(), &revoked[0].remaining), (1, &Vec::new()));
    let mut last = tree.descriptors();
    let made = last.remove(Path::new(r"root\src\new.rs")).unwrap();
    assert!(ours(&made, &tree.sid).is_empty());
    assert_eq!(last, before);
}

#[test]
fn a_directory_can_be_flushed_by_who_may_write_it() {
    let tree = Tree::new();
    let root = open_path(&NtDisk, &tree.path("root"), AccessMask::FILE_WRITE_DATA).unwrap();
    assert_eq!(NtDisk.flush(&root.handle), Ok(()));
}

#[test]
fn a_name_with_more_than_one_component_opens_nothing() {
    let tree = Tree::new();
    let root = open_path(&NtDisk, &tree.path("root"), LOOK).unwrap();
    for name in ["", ".", "..", r"src\main.rs", "src/main.rs", "src:stream"] {
        assert!(NtDisk.open_child(&root.handle, OsStr::new(name), LOOK).is_err(), "{name}");
    }
    assert!(NtDisk.open_child(&root.handle, OsStr::new("SRC"), LOOK).is_ok(), "the control, in another case");
    let twin = NtDisk.open_child(&root.handle, OsStr::new("src"), LOOK).unwrap();
    let twin = NtDisk.open_child(&twin, OsStr::new("twin.rs"), LOOK).unwrap();
    assert_eq!(NtDisk.parents(&twin).unwrap().len(), 2);
    let id = crate::windows::disk::FileId(NtDisk.stat(&twin).unwrap().object.file);
    let again = NtDisk.open_by_id(&root.handle, id, LOOK).unwrap();
    assert_eq!(NtDisk.stat(&again), NtDisk.stat(&twin));
}
