//! The volume that the schedules begin with, and the plan for it.

use ringfence_ntsec::inherit::ChildKind;
use ringfence_ntsec::volume::{FileId, Volume, VolumeOptions};
use ringfence_ntsec::{
    AccessCheck, AccessMask, Ace, AceFlags, ObjectType, RestrictFlags, Restriction, SecurityDescriptor, Sid, Token,
    WriteReading,
};

use super::host::SERIAL;
use crate::facts::windows::ObjectId;
use crate::plan::windows::{AceEdit, GrantPlan, GrantTarget};
use crate::windows::path::WindowsPath;

const USER: &str = "S-1-5-21-1-2-3-1001";

/// The root, as the volume and as Windows name it.
pub(super) const ROOT: &str = r"\work\ours";

/// What a protected object is denied: every right that changes it.
pub(super) const PROTECT: AccessMask = AccessMask(0x000D_0156);

/// Why something in the root stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Writable,
    Protected,
    /// The plan's walk leaves it alone.
    Left,
}

/// What lies in the root, and what becomes of it.
pub(super) const INSIDE: [(&str, Fate); 21] = [
    (r"\work\ours", Fate::Writable),
    (r"\work\ours\.git", Fate::Writable),
    (r"\work\ours\.git\config", Fate::Protected),
    (r"\work\ours\.git\hooks", Fate::Protected),
    (r"\work\ours\.git\hooks\pre-commit", Fate::Protected),
    (r"\work\ours\.git\index", Fate::Writable),
    (r"\work\ours\src", Fate::Writable),
    (r"\work\ours\src\main.rs", Fate::Writable),
    (r"\work\ours\src\deep", Fate::Writable),
    (r"\work\ours\src\deep\a.txt", Fate::Writable),
    // Its DACL takes nothing from above.
    (r"\work\ours\closed", Fate::Writable),
    (r"\work\ours\closed\notes.txt", Fate::Writable),
    // Belongs to an administrator; the user may write it and not re-permit it.
    (r"\work\ours\admin.txt", Fate::Left),
    // The same file as `\work\private\shared.txt`.
    (r"\work\ours\shared.txt", Fate::Left),
    // Two names of one file, both in here.
    (r"\work\ours\src\twin.txt", Fate::Writable),
    (r"\work\ours\src\deep\twin.txt", Fate::Writable),
    // Leads to `\work\private`; the junction itself is granted.
    (r"\work\ours\out", Fate::Writable),
    // Nobody may do anything with it until somebody says so; everybody may do everything.
    (r"\work\ours\nothing.txt", Fate::Left),
    // Hands nothing down.
    (r"\work\ours\bare", Fate::Left),
    (r"\work\ours\bare\x.txt", Fate::Left),
    (r"\work\ours\NTUSER.DAT", Fate::Left),
];

pub(super) fn user() -> Token {
    format!("user {USER}\ngroup BU\ngroup AU\ngroup WD\nprivilege SeChangeNotifyPrivilege").parse().unwrap()
}

fn system() -> Token {
    "user SY\ngroup BA\nprivilege SeChangeNotifyPrivilege".parse().unwrap()
}

pub(super) fn workspace_sid() -> Sid {
    Sid::ringfence_workspace(&[7; 32], SERIAL, 1)
}

/// The token that the plan makes for the command.
pub(super) fn sandbox() -> Token {
    user().restrict(&Restriction {
        flags: RestrictFlags::DISABLE_MAX_PRIVILEGE | RestrictFlags::LUA_TOKEN | RestrictFlags::WRITE_RESTRICTED,
        restricting: vec![workspace_sid(), Sid::ringfence_run(&[1; 16])],
        ..Restriction::default()
    })
}

fn descriptor(sddl: &str) -> SecurityDescriptor {
    sddl.parse().unwrap()
}

pub(super) fn volume(write_reading: WriteReading) -> Volume {
    let options = VolumeOptions { write_reading, short_names: false, ..VolumeOptions::default() };
    let mut volume = Volume::new(descriptor("O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)"), options);
    volume.create_directory(&system(), r"\system", None).unwrap();
    volume.create_file(&system(), r"\system\hosts", None).unwrap();
    let mine = descriptor(&format!("O:{USER}G:BUD:(A;OICI;FA;;;{USER})(A;OICI;FA;;;SY)"));
    volume.create_directory(&system(), r"\work", Some(&mine)).unwrap();
    for directory in ["private", "private\\deep", "ours", "ours\\.git", "ours\\.git\\hooks", "ours\\src"] {
        volume.create_directory(&user(), &format!("\\work\\{directory}"), None).unwrap();
    }
    volume.create_directory(&user(), r"\work\ours\src\deep", None).unwrap();
    let closed = descriptor(&format!("O:{USER}G:BUD:P(A;OICI;FA;;;{USER})"));
    volume.create_directory(&user(), r"\work\ours\closed", Some(&closed)).unwrap();
    let bare = descriptor(&format!("O:{USER}G:BUD:P(A;;FA;;;{USER})"));
    volume.create_directory(&user(), r"\work\ours\bare", Some(&bare)).unwrap();
    volume.create_file(&user(), r"\work\ours\bare\x.txt", Some(&bare)).unwrap();
    for file in [
        "private\\diary.txt",
        "private\\shared.txt",
        "private\\deep\\x.txt",
        "ours\\.git\\config",
        "ours\\.git\\index",
        "ours\\.git\\hooks\\pre-commit",
        "ours\\src\\main.rs",
        "ours\\src\\deep\\a.txt",
        "ours\\closed\\notes.txt",
        "ours\\src\\twin.txt",
        "ours\\NTUSER.DAT",
    ] {
        volume.create_file(&user(), &format!("\\work\\{file}"), None).unwrap();
    }
    let admins = descriptor(&format!("O:BAG:BAD:P(A;;FA;;;BA)(A;;0x1301bf;;;{USER})"));
    volume.create_file(&user(), r"\work\ours\admin.txt", Some(&admins)).unwrap();
    let nothing = volume.create_file(&user(), r"\work\ours\nothing.txt", None).unwrap();
    volume.put_descriptor(nothing, descriptor(&format!("O:{USER}G:BUD:NO_ACCESS_CONTROL")));
    volume.link(&user(), r"\work\private\shared.txt", r"\work\ours\shared.txt").unwrap();
    volume.link(&user(), r"\work\ours\src\twin.txt", r"\work\ours\src\deep\twin.txt").unwrap();
    volume.create_junction(&user(), r"\work\ours\out", r"\work\private").unwrap();
    volume
}

/// The plan for the root.
pub(super) fn plan(volume: &Volume) -> GrantPlan {
    let sid = workspace_sid();
    let edit = |path: &str, mask, flags| AceEdit { target: target(volume, path), ace: Ace::deny(sid, mask, flags) };
    GrantPlan {
        root: target(volume, ROOT),
        allow: Ace::allow(sid, AccessMask::FILE_MODIFY, AceFlags::INHERIT_ALL),
        protect: vec![
            edit(r"\work\ours\.git\config", PROTECT, AceFlags::empty()),
            edit(r"\work\ours\.git\hooks", PROTECT, AceFlags::INHERIT_ALL),
        ],
        hold: vec![
            edit(r"\work\ours", AccessMask::DELETE, AceFlags::empty()),
            edit(r"\work\ours\.git", AccessMask::DELETE, AceFlags::empty()),
        ],
    }
}

pub(super) fn target(volume: &Volume, path: &str) -> GrantTarget {
    let id = volume.find_link(path).unwrap();
    GrantTarget {
        path: WindowsPath::parse(&format!("C:{path}")).unwrap(),
        object: ObjectId { volume: SERIAL, file: id.0.into() },
        directory: volume.node(id).unwrap().child_kind() == ChildKind::Container,
    }
}

/// The rights that change something and that the command has on an object by the object's own descriptor, of those that the
/// reading covers.
pub(super) fn writes(volume: &Volume, id: FileId, sandbox: &Token, reading: WriteReading) -> AccessMask {
    let node = volume.node(id).unwrap();
    let kind = if node.is_directory() { ObjectType::Directory } else { ObjectType::File };
    let covered = reading.covered(&kind.mapping()) & AccessMask::FILE_ALL_ACCESS;
    AccessCheck::new(sandbox, node.descriptor(), kind).with_write_reading(reading).maximum() & covered
}
