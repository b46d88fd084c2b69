use super::*;
use crate::{AccessMask, AceFlags, Acl, AclState, Error, Sid, Token};

const USER: &str = "S-1-5-21-1-2-3-1001";
const OTHER: &str = "S-1-5-21-1-2-3-1002";
const WORKSPACE: &str = "S-1-5-21-7-7-7-3735000001";
const MODIFY: &str = "0x1301bf";

fn user() -> Token {
    format!("user {USER}\ngroup WD\nprivilege SeChangeNotifyPrivilege\nprimary-group BU").parse().unwrap()
}

fn system() -> Token {
    "user SY\ngroup WD\nprivilege SeChangeNotifyPrivilege\nprivilege SeRestorePrivilege\n\
     privilege SeCreateSymbolicLinkPrivilege\nintegrity system"
        .parse()
        .unwrap()
}

fn sandbox() -> Token {
    format!("{}restricting {WORKSPACE}\nwrite-restricted", user()).parse().unwrap()
}

fn descriptor(sddl: &str) -> SecurityDescriptor {
    sddl.parse().unwrap_or_else(|error| panic!("{sddl}: {error}"))
}

/// `\work` belongs to the user, `\work\ours` is a workspace, `\system` is not the user's.
fn volume_with(options: VolumeOptions) -> Volume {
    let mut volume = Volume::new(descriptor("O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;WD)"), options);
    volume.create_directory(&system(), "\\system", None).unwrap();
    volume.create_file(&system(), "\\system\\hosts", None).unwrap();
    let mine = descriptor(&format!("O:{USER}D:(A;OICI;FA;;;{USER})"));
    volume.create_directory(&system(), "\\work", Some(&mine)).unwrap();
    for path in ["\\work\\private", "\\work\\ours", "\\work\\ours\\.git"] {
        volume.create_directory(&user(), path, None).unwrap();
    }
    for path in ["\\work\\private\\diary.txt", "\\work\\ours\\main.rs", "\\work\\ours\\.git\\config"] {
        volume.create_file(&user(), path, None).unwrap();
    }
    let id = volume.find("\\work\\ours").unwrap();
    let mut dacl = volume.node(id).unwrap().descriptor().dacl.clone();
    dacl.acl_mut().insert(format!("(A;OICI;{MODIFY};;;{WORKSPACE})").parse().unwrap()).unwrap();
    volume.set_dacl_tree(&user(), "\\work\\ours", dacl, false).unwrap();
    volume
}

fn volume() -> Volume {
    volume_with(VolumeOptions::default())
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

#[test]
fn a_workspace_is_writable_and_the_rest_is_not() {
    let mut volume = volume();
    let sandbox = sandbox();
    assert_eq!(code(volume.write(&sandbox, "\\work\\ours\\main.rs", b"fn")), "ok");
    assert_eq!(volume.read(&sandbox, "\\work\\ours\\main.rs").unwrap(), b"fn");
    assert_eq!(code(volume.write(&sandbox, "\\work\\private\\diary.txt", b"x")), "access-denied");
    assert_eq!(code(volume.write(&user(), "\\work\\private\\diary.txt", b"x")), "ok");
    // Reading is not restricted.
    assert_eq!(volume.read(&sandbox, "\\work\\private\\diary.txt").unwrap(), b"x");
    assert_eq!(code(volume.create_file(&sandbox, "\\work\\ours\\new.rs", None)), "ok");
    assert_eq!(code(volume.write(&sandbox, "\\work\\ours\\new.rs", b"fn")), "ok");
    assert_eq!(code(volume.create_file(&sandbox, "\\work\\private\\new.rs", None)), "access-denied");
    assert_eq!(code(volume.write(&sandbox, "\\system\\hosts", b"x")), "access-denied");
    assert_eq!(code(volume.write(&user(), "\\system\\hosts", b"x")), "access-denied");
    assert_eq!(code(volume.write(&sandbox, "\\work\\ours\\main.rs:evil", b"x")), "ok");
    assert_eq!(code(volume.write(&sandbox, "\\work\\private\\diary.txt:evil", b"x")), "access-denied");
    assert_eq!(volume.node(volume.find("\\work\\ours\\main.rs").unwrap()).unwrap().stream("EVIL"), Some(&b"x"[..]));
}

#[test]
fn deleting_outside_depends_on_the_reading() {
    for (reading, expected) in [
        (WriteReading::Narrow, "ok"),
        // The file's own DELETE is covered, the directory's FILE_DELETE_CHILD is not.
        (WriteReading::Reported, "ok"),
        (WriteReading::Wide, "access-denied"),
    ] {
        let mut volume = volume_with(VolumeOptions { write_reading: reading, ..VolumeOptions::default() });
        assert_eq!(code(volume.delete(&sandbox(), "\\work\\private\\diary.txt")), expected, "{reading:?}");
    }
    // Without FILE_DELETE_CHILD on the directory the two upper readings agree.
    for (reading, expected) in
        [(WriteReading::Narrow, "ok"), (WriteReading::Reported, "access-denied"), (WriteReading::Wide, "access-denied")]
    {
        let mut volume = volume_with(VolumeOptions { write_reading: reading, ..VolumeOptions::default() });
        let id = volume.find("\\work\\private").unwrap();
        volume.put_descriptor(id, descriptor(&format!("O:{USER}D:(A;;{MODIFY};;;{USER})")));
        assert_eq!(code(volume.delete(&sandbox(), "\\work\\private\\diary.txt")), expected, "{reading:?}");
    }
}

#[test]
fn delete_child_on_the_directory_beats_a_denial_on_the_file() {
    let mut volume = volume();
    let config = volume.find("\\work\\ours\\.git\\config").unwrap();
    let deny = format!("O:{USER}D:P(D;;FA;;;{USER})(A;;FA;;;{USER})");
    volume.put_descriptor(config, descriptor(&deny));
    let directory = volume.find("\\work\\ours\\.git").unwrap();
    volume.put_descriptor(directory, descriptor(&format!("O:{USER}D:P(A;;{MODIFY};;;{USER})")));
    assert_eq!(code(volume.delete(&user(), "\\work\\ours\\.git\\config")), "access-denied");
    volume.put_descriptor(directory, descriptor(&format!("O:{USER}D:P(A;;FA;;;{USER})")));
    assert_eq!(code(volume.delete(&user(), "\\work\\ours\\.git\\config")), "ok");
    assert!(volume.node(config).is_none());
}

#[test]
fn renaming_needs_delete_at_the_source_and_adding_at_the_target() {
    let mut volume = volume();
    let sandbox = sandbox();
    assert_eq!(code(volume.rename(&sandbox, "\\work\\ours\\main.rs", "\\work\\ours\\lib.rs", false)), "ok");
    assert_eq!(
        code(volume.rename(&sandbox, "\\work\\ours\\lib.rs", "\\work\\private\\lib.rs", false)),
        "access-denied"
    );
    assert_eq!(code(volume.rename(&user(), "\\work\\ours\\lib.rs", "\\work\\ours\\LIB.rs", false)), "ok");
    let id = volume.find("\\work\\ours\\lib.rs").unwrap();
    let before = volume.node(id).unwrap().descriptor().clone();
    assert_eq!(code(volume.rename(&user(), "\\work\\ours\\lib.rs", "\\work\\private\\lib.rs", false)), "ok");
    // The grant moved along: nothing is inherited at a rename.
    assert_eq!(volume.node(id).unwrap().descriptor(), &before);
    assert!(before.has_ringfence_residue());
    assert_eq!(
        code(volume.rename(&user(), "\\work\\private\\lib.rs", "\\work\\private\\diary.txt", false)),
        "already-exists"
    );
    assert_eq!(code(volume.rename(&user(), "\\work\\private\\lib.rs", "\\work\\private\\diary.txt", true)), "ok");
    assert_eq!(volume.find("\\work\\private\\diary.txt").unwrap(), id);
    assert_eq!(code(volume.rename(&user(), "\\work\\ours", "\\work\\ours\\.git\\x", false)), "unsupported");
    assert_eq!(code(volume.rename(&user(), "\\work\\gone", "\\work\\x", false)), "not-found");
}

#[test]
fn hard_links_share_the_descriptor() {
    let mut volume = volume();
    let sandbox = sandbox();
    assert_eq!(code(volume.link(&sandbox, "\\work\\private\\diary.txt", "\\work\\ours\\diary.txt")), "access-denied");
    assert_eq!(code(volume.link(&user(), "\\work\\private\\diary.txt", "\\work\\ours\\diary.txt")), "ok");
    let id = volume.find("\\work\\ours\\diary.txt").unwrap();
    assert_eq!(volume.node(id).unwrap().link_count(), 2);
    // The name in the workspace opens nothing …
    assert_eq!(code(volume.write(&sandbox, "\\work\\ours\\diary.txt", b"x")), "access-denied");
    // … until a recursive set reaches the file through it. This is why links must be looked for before granting.
    let ours = volume.find("\\work\\ours").unwrap();
    let dacl = volume.node(ours).unwrap().descriptor().dacl.clone();
    volume.set_dacl_tree(&user(), "\\work\\ours", dacl, false).unwrap();
    assert_eq!(code(volume.write(&sandbox, "\\work\\private\\diary.txt", b"x")), "ok");
    assert_eq!(code(volume.delete(&user(), "\\work\\private\\diary.txt")), "ok");
    assert_eq!(volume.node(id).unwrap().link_count(), 1);
}

#[test]
fn junctions_and_symlinks_are_followed_by_name_and_not_by_propagation() {
    let mut volume = volume();
    let sandbox = sandbox();
    assert_eq!(code(volume.create_junction(&sandbox, "\\work\\ours\\out", "\\work\\private")), "ok");
    assert_eq!(
        volume.find("\\work\\ours\\out\\diary.txt").unwrap(),
        volume.find("\\work\\private\\diary.txt").unwrap()
    );
    assert_eq!(code(volume.write(&sandbox, "\\work\\ours\\out\\diary.txt", b"x")), "access-denied");
    assert_eq!(code(volume.create_symlink(&sandbox, "\\work\\ours\\s", "main.rs", ChildKind::Leaf)), "unsupported");
    assert_eq!(code(volume.create_symlink(&system(), "\\system\\s", "..\\work\\ours\\main.rs", ChildKind::Leaf)), "ok");
    assert_eq!(volume.find("\\system\\s").unwrap(), volume.find("\\work\\ours\\main.rs").unwrap());
    assert_ne!(volume.find_link("\\system\\s").unwrap(), volume.find("\\work\\ours\\main.rs").unwrap());

    let private = volume.find("\\work\\private").unwrap();
    let before = volume.node(private).unwrap().descriptor().clone();
    let dacl = volume.node(volume.find("\\work\\ours").unwrap()).unwrap().descriptor().dacl.clone();
    volume.set_dacl_tree(&user(), "\\work\\ours", dacl, false).unwrap();
    assert_eq!(volume.node(private).unwrap().descriptor(), &before);
    // Deleting a link deletes the link.
    assert_eq!(code(volume.delete(&sandbox, "\\work\\ours\\out")), "ok");
    assert!(volume.node(private).is_some());

    volume.create_junction(&user(), "\\work\\a", "\\work\\b").unwrap();
    volume.create_junction(&user(), "\\work\\b", "\\work\\a").unwrap();
    assert_eq!(code(volume.find("\\work\\a\\x")), "too-many-links");
}

#[test]
fn names_ignore_case_and_have_short_forms() {
    let mut volume = volume();
    let id = volume.find("\\work\\ours\\main.rs").unwrap();
    assert_eq!(volume.find("/WORK/Ours/./x/../MAIN.RS").unwrap_err().code(), "not-found");
    assert_eq!(volume.find("/WORK/Ours/./.git/../MAIN.RS").unwrap(), id);
    assert_eq!(code(volume.create_file(&user(), "\\work\\OURS\\Main.rs", None)), "already-exists");
    let long = volume.create_directory(&user(), "\\work\\Program Files", None).unwrap();
    assert_eq!(volume.find("\\work\\progra~1").unwrap(), long);
    let second = volume.create_directory(&user(), "\\work\\Program Data", None).unwrap();
    assert_eq!(volume.find("\\work\\PROGRA~2").unwrap(), second);
    // .git is reachable as GIT~1 as well: a check by name would miss it.
    assert_eq!(volume.find("\\work\\ours\\GIT~1").unwrap(), volume.find("\\work\\ours\\.git").unwrap());
    assert_eq!(code(volume.delete(&user(), "\\work\\progra~1")), "ok");
    assert!(volume.find("\\work\\Program Files").is_err());
    for bad in ["\\work\\a.", "\\work\\a ", "\\work\\a*b", "\\work\\a\u{1}b"] {
        assert_eq!(code(volume.create_file(&user(), bad, None)), "bad-name", "{bad:?}");
    }
}

#[test]
fn traversal_is_checked_only_without_the_privilege() {
    let mut volume = volume();
    let id = volume.find("\\work\\private").unwrap();
    volume.put_descriptor(id, descriptor(&format!("O:SYD:(D;;WP;;;WD)(A;;FA;;;{USER})")));
    assert_eq!(code(volume.read(&user(), "\\work\\private\\diary.txt")), "ok");
    let without: Token = format!("user {USER}\ngroup WD").parse().unwrap();
    assert_eq!(code(volume.read(&without, "\\work\\private\\diary.txt")), "access-denied");
    assert_eq!(code(volume.read(&without, "\\work\\ours\\main.rs")), "ok");
}

#[test]
fn opening_counts_the_parent_and_the_backup_privileges() {
    let volume = volume();
    let stranger: Token = format!("user {OTHER}\nprivilege SeChangeNotifyPrivilege").parse().unwrap();
    let backup: Token =
        format!("user {OTHER}\nprivilege SeChangeNotifyPrivilege\nprivilege SeBackupPrivilege").parse().unwrap();
    let diary = "\\work\\private\\diary.txt";
    let options = OpenOptions { backup_intent: true, ..OpenOptions::default() };
    assert_eq!(code(volume.open(&stranger, diary, AccessMask::GENERIC_READ, options)), "access-denied");
    assert_eq!(code(volume.open(&backup, diary, AccessMask::GENERIC_READ, OpenOptions::default())), "access-denied");
    assert_eq!(code(volume.open(&backup, diary, AccessMask::GENERIC_READ, options)), "ok");
    assert_eq!(code(volume.open(&backup, diary, AccessMask::GENERIC_WRITE, options)), "access-denied");
    let handle = volume.open(&sandbox(), diary, AccessMask::MAXIMUM_ALLOWED, OpenOptions::default()).unwrap();
    assert!(handle.granted.contains(AccessMask::FILE_GENERIC_READ));
    assert!(!handle.granted.intersects(AccessMask::FILE_WRITE_DATA));
}

#[test]
fn a_handle_leads_to_names_in_its_directory_and_an_id_to_the_file_anywhere() {
    let mut volume = volume();
    volume.create_junction(&user(), "\\work\\ours\\out", "\\work\\private").unwrap();
    let ours = volume.find("\\work\\ours").unwrap();
    let read = AccessMask::FILE_READ_DATA;
    let junction = volume.open_child(&sandbox(), ours, "OUT", read).unwrap();
    assert_eq!(junction.id, volume.find_link("\\work\\ours\\out").unwrap());
    assert_eq!(code(volume.open_child(&sandbox(), junction.id, "diary.txt", read)), "not-found");
    let diary = volume.find("\\work\\private\\diary.txt").unwrap();
    volume.rename(&user(), "\\work\\private\\diary.txt", "\\work\\ours\\moved", false).unwrap();
    assert_eq!(code(volume.open_by_id(&sandbox(), diary, read)), "ok");
    assert_eq!(code(volume.open_by_id(&sandbox(), diary, AccessMask::FILE_WRITE_DATA)), "access-denied");
    assert_eq!(code(volume.open_by_id(&user(), diary, AccessMask::FILE_WRITE_DATA)), "ok");
    volume.delete(&user(), "\\work\\ours\\moved").unwrap();
    assert_eq!(code(volume.open_by_id(&user(), diary, read)), "not-found");
}

#[test]
fn security_is_changed_by_those_who_may() {
    let mut volume = volume();
    let everybody = AclState::Present(Acl::from_aces(vec!["(A;;FA;;;WD)".parse().unwrap()]));
    let stranger: Token = format!("user {OTHER}\nprivilege SeChangeNotifyPrivilege").parse().unwrap();
    assert_eq!(code(volume.set_dacl(&stranger, "\\work\\ours\\main.rs", everybody.clone(), false)), "access-denied");
    assert_eq!(code(volume.security(&stranger, "\\work\\ours\\main.rs")), "access-denied");
    assert_eq!(code(volume.security(&user(), "\\work\\ours\\main.rs")), "ok");
    assert_eq!(code(volume.set_dacl(&user(), "\\work\\ours\\main.rs", everybody, true)), "ok");
    let me: Sid = USER.parse().unwrap();
    let other: Sid = OTHER.parse().unwrap();
    assert_eq!(code(volume.set_owner(&user(), "\\work\\ours\\main.rs", other)), "unsupported");
    assert_eq!(code(volume.set_owner(&user(), "\\work\\ours\\main.rs", me)), "ok");
    assert_eq!(code(volume.set_owner(&system(), "\\system\\hosts", other)), "ok");
    assert_eq!(code(volume.set_owner(&user(), "\\work", me)), "ok");
    assert_eq!(code(volume.set_owner(&user(), "\\system", me)), "access-denied");
}

#[test]
fn a_recursive_set_is_idempotent_and_its_undo_is_complete() {
    let mut volume = volume();
    assert!(volume.ringfence_residue().count() >= 4);
    let ours = volume.find("\\work\\ours").unwrap();
    let mut dacl = volume.node(ours).unwrap().descriptor().dacl.clone();
    let again = volume.set_dacl_tree(&user(), "\\work\\ours", dacl.clone(), false).unwrap();
    assert_eq!(again.changed, vec![ours]);
    assert_eq!((again.unchanged.len(), again.refused.len()), (3, 0));
    dacl.acl_mut().remove_sid(&WORKSPACE.parse().unwrap());
    let undone = volume.set_dacl_tree(&user(), "\\work\\ours", dacl.clone(), false).unwrap();
    assert_eq!(undone.changed.len(), 4);
    assert_eq!(volume.ringfence_residue().count(), 0);
    // A protected directory keeps what it has, and shields what is below.
    let git = volume.find("\\work\\ours\\.git").unwrap();
    volume.put_descriptor(git, descriptor(&format!("O:{USER}D:P(A;OICI;FA;;;{USER})")));
    dacl.acl_mut().add_allow(WORKSPACE.parse().unwrap(), AccessMask::FILE_MODIFY, AceFlags::INHERIT_ALL).unwrap();
    let stopped = volume.set_dacl_tree(&user(), "\\work\\ours", dacl, false).unwrap();
    assert_eq!(stopped.changed.len() + stopped.unchanged.len(), 2, "{stopped:?}");
    assert_eq!(volume.ringfence_residue().count(), 2);
}

#[test]
fn without_persistent_acls_everybody_may_do_everything() {
    let options = VolumeOptions { persistent_acls: false, ..VolumeOptions::default() };
    let mut volume = Volume::new(descriptor("O:SYD:"), options);
    assert_eq!(code(volume.create_file(&sandbox(), "\\x", None)), "ok");
    assert_eq!(code(volume.write(&sandbox(), "\\x", b"x")), "ok");
    let mut strict = Volume::new(descriptor("O:SYD:"), VolumeOptions::default());
    assert_eq!(code(strict.create_file(&sandbox(), "\\x", None)), "access-denied");
}
