//! A drive `C:` of a user named ann as Windows lays it out, the facts that a probe would find on it, and what a run does to it.

use std::path::{Path, PathBuf};

use ringfence_ntsec::volume::{FileId, Volume as Drive, VolumeOptions};
use ringfence_ntsec::{
    AccessCheck, Ace, AclState, ObjectType, SecurityDescriptor, Sid, Token, WriteReading, well_known,
};
use ringfence_policy::{Anchors, Files, Overrides, Policy, PolicySource, Request, System};

use crate::facts::windows::*;
use crate::plan::windows::{AceEdit, WindowsPlan};
use crate::plan::{Plan, SystemPlan};
use crate::windows::path::WindowsPath;
use crate::{Error, Invocation, MechanismChoice};

pub(crate) const ANN: &str = "S-1-5-21-1-2-3-1001";
pub(crate) const BOB: &str = "S-1-5-21-1-2-3-1002";
pub(crate) const LOGON: &str = "S-1-5-5-0-77";
const VOLUME: u64 = 0xC0FF_EE00_1234_5678;

/// Directories (with a `\` at the end) and files, with their own descriptor where they do not inherit all of it. As Windows
/// 11 installs them; what a placeholder stands for is ann.
const TREE: &[(&str, &str)] = &[
    (r"\Windows\", "O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)"),
    (r"\Windows\System32\", ""),
    (r"\Windows\System32\cmd.exe", ""),
    (r"\Windows\Temp\", "O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;CI;0x100026;;;BU)(A;OICIIO;GA;;;CO)"),
    (r"\Program Files\", "O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)"),
    (r"\Program Files\Git\", ""),
    (r"\Program Files\Git\git.exe", ""),
    (
        r"\ProgramData\",
        "O:SYG:SYD:P(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;0x116;;;BU)",
    ),
    (r"\ProgramData\vendor\", ""),
    (r"\ProgramData\vendor\settings.ini", ""),
    (r"\ProgramData\open\", "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;WD)"),
    (r"\ProgramData\open\drop.txt", ""),
    // A directory that ann made at the root of the drive inherits Modify for Authenticated Users.
    (r"\build\", "O:{ann}"),
    (r"\build\out.bin", ""),
    (r"\Users\", "O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICI;0x1200a9;;;WD)"),
    (r"\Users\Public\", "O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;IU)(A;OICI;0x1301bf;;;SU)"),
    (r"\Users\Public\shared.txt", ""),
    (r"\Users\bob\", "O:{bob}G:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{bob})"),
    (r"\Users\bob\diary.txt", ""),
    (r"\Users\ann\", "O:{ann}G:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{ann})"),
    (r"\Users\ann\NTUSER.DAT", ""),
    (r"\Users\ann\.ssh\", ""),
    (r"\Users\ann\.ssh\id_ed25519", ""),
    (r"\Users\ann\.cargo\", ""),
    (r"\Users\ann\.cargo\config.toml", ""),
    (r"\Users\ann\Documents\", ""),
    (r"\Users\ann\Documents\PowerShell\", ""),
    (r"\Users\ann\Documents\PowerShell\profile.ps1", ""),
    (r"\Users\ann\AppData\", ""),
    (r"\Users\ann\AppData\Roaming\", ""),
    (r"\Users\ann\AppData\Local\", ""),
    (r"\Users\ann\AppData\Local\Temp\", ""),
    (r"\Users\ann\AppData\Local\Temp\x.tmp", ""),
    (r"\Users\ann\AppData\Local\ringfence\", "O:{ann}G:{ann}D:P(A;OICI;0x1f01bf;;;{ann})(A;OICI;FA;;;SY)"),
    (r"\Users\ann\AppData\Local\ringfence\ledger", ""),
    (r"\Users\ann\src\", ""),
    (r"\Users\ann\src\other\", ""),
    (r"\Users\ann\src\other\main.rs", ""),
    (r"\Users\ann\src\app\", ""),
    (r"\Users\ann\src\app\main.rs", ""),
    (r"\Users\ann\src\app\target\", ""),
    (r"\Users\ann\src\app\target\app.exe", ""),
    (r"\Users\ann\src\app\.vscode\", ""),
    (r"\Users\ann\src\app\.vscode\tasks.json", ""),
    (r"\Users\ann\src\app\.git\", ""),
    (r"\Users\ann\src\app\.git\HEAD", ""),
    (r"\Users\ann\src\app\.git\config", ""),
    (r"\Users\ann\src\app\.git\objects\", ""),
    (r"\Users\ann\src\app\.git\hooks\", ""),
    (r"\Users\ann\src\app\.git\hooks\pre-commit", ""),
];

pub(crate) const WORKSPACE: &str = r"C:\Users\ann\src\app";

/// A drive, and ann's facts about it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) drive: Drive,
    pub(crate) facts: WindowsFacts,
    pub(crate) policy: Policy,
}

impl World {
    /// A world in which WRITE_RESTRICTED covers what `reading` says, and was measured to.
    pub(crate) fn new(profile: &str, reading: WriteReading) -> Self {
        let drive = drive(reading);
        let policy = policy(profile, Overrides::default());
        let facts = facts(&drive, reading, &policy);
        Self { drive, facts, policy }
    }

    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        Plan::resolve(&self.policy, &crate::Facts::Windows(Box::new(self.facts.clone())), &invocation())
    }

    pub(crate) fn windows(&self) -> WindowsPlan {
        match self.plan().unwrap().system {
            SystemPlan::Windows(plan) => *plan,
            SystemPlan::Linux(_) => unreachable!("the facts are of Windows"),
        }
    }

    /// Does what the plan says to the drive, as ann, and gives the command's token.
    pub(crate) fn start(&mut self, plan: &WindowsPlan) -> Token {
        let ann = self.facts.caller.token.clone();
        for directory in &plan.private {
            if self.drive.find(below(&directory.path)).is_err() {
                self.drive.create_directory(&ann, below(&directory.path), Some(&directory.descriptor)).unwrap();
            }
        }
        for grant in &plan.grants {
            let root = AceEdit { target: grant.root.clone(), ace: grant.allow.clone() };
            for edit in std::iter::once(&root).chain(&grant.protect).chain(&grant.hold) {
                apply(&mut self.drive, &ann, edit);
            }
        }
        plan.token.finished(&ann)
    }

    /// Another execution in the same workspace, by the same user.
    pub(crate) fn another_run(&self) -> Self {
        let mut facts = self.facts.clone();
        facts.identity.run = Sid::ringfence_run(&[9; 16]);
        facts.identity.id = "99999999999999999999999999999999".into();
        Self { drive: self.drive.clone(), facts, policy: self.policy.clone() }
    }
}

/// The path of a file on its drive.
pub(crate) fn below(path: &WindowsPath) -> &str {
    path.as_str().strip_prefix("C:").unwrap()
}

pub(crate) fn path(text: &str) -> WindowsPath {
    WindowsPath::parse(text).unwrap()
}

pub(crate) fn invocation() -> Invocation {
    let variable = |name: &str, value: &str| (name.into(), value.into());
    Invocation {
        argv: vec!["cargo".into(), "test".into()],
        workspace: PathBuf::from(WORKSPACE),
        directory: PathBuf::from(WORKSPACE),
        environment: vec![
            variable(
                "Path",
                r"C:\Program Files\Git;C:\Users\ann\AppData\Local\Microsoft\WindowsApps;C:\Windows\System32",
            ),
            variable("Temp", r"C:\Users\ann\AppData\Local\Temp"),
            variable("USERNAME", "ann"),
            variable("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
        tty: false,
        keep_descriptors: Vec::new(),
        ask: false,
        mechanism: MechanismChoice::Auto,
    }
}

pub(crate) fn policy(profile: &str, overrides: Overrides) -> Policy {
    struct NoFiles;
    impl Files for NoFiles {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
    let anchors = Anchors {
        workspace: PathBuf::from(WORKSPACE),
        home: Some(PathBuf::from(r"C:\Users\ann")),
        system: System::Windows,
    };
    let source = PolicySource::Profile(profile.to_owned());
    ringfence_policy::load(&Request { source, managed: None, overrides, anchors: &anchors }, &NoFiles).unwrap()
}

/// ann's token as an ordinary member of Users who logged on at the console.
pub(crate) fn ann() -> Token {
    format!(
        "user {ANN}\ngroup WD\ngroup BU\ngroup IU\ngroup AU\ngroup {LOGON} logon\ngroup BA deny-only\n\
         privilege SeChangeNotifyPrivilege\nprivilege SeShutdownPrivilege disabled\nintegrity medium\nowner {ANN}"
    )
    .parse()
    .unwrap()
}

fn drive(reading: WriteReading) -> Drive {
    let system: Token =
        "user SY\ngroup WD\nprivilege SeChangeNotifyPrivilege\nprivilege SeRestorePrivilege\nintegrity system"
            .parse()
            .unwrap();
    let root = "O:SYG:SYD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)(A;OICIIO;0x1301bf;;;AU)(A;;0x4;;;AU)";
    let options = VolumeOptions { write_reading: reading, ..VolumeOptions::default() };
    let mut drive = Drive::new(root.parse().unwrap(), options);
    for (path, sddl) in TREE {
        let sddl = sddl.replace("{ann}", ANN).replace("{bob}", BOB);
        let descriptor: Option<SecurityDescriptor> = (!sddl.is_empty()).then(|| sddl.parse().unwrap());
        // What lies in a profile was made by its user.
        let maker = match path.starts_with(r"\Users\ann\") && path.len() > r"\Users\ann\".len() {
            true => ann(),
            false => system.clone(),
        };
        match path.strip_suffix('\\') {
            Some(directory) => drive.create_directory(&maker, directory, descriptor.as_ref()),
            None => drive.create_file(&maker, path, descriptor.as_ref()),
        }
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    drive
}

/// What a probe would find.
fn facts(drive: &Drive, reading: WriteReading, policy: &Policy) -> WindowsFacts {
    let protect = [r".vscode", r".git\config", r".git\hooks"].map(|name| place(drive, &format!(r"{WORKSPACE}\{name}")));
    let write = match policy.filesystem.write.is_empty() {
        true => Vec::new(),
        false => vec![place(drive, WORKSPACE)],
    };
    WindowsFacts {
        host: WindowsHost {
            version: WindowsHost::VERSION,
            boot: "2026-11-23T08:00:00".into(),
            build: WindowsBuild { major: 10, minor: 0, build: 26100, revision: 1, server: false },
            processors: 8,
            self_check: SelfCheck::Passed { reading: reading.into(), window_station: true },
            shells: Vec::new(),
            posix_runtimes: Vec::new(),
            everyone_writable: Audit {
                places: vec![EveryonePlace {
                    path: path(r"C:\ProgramData\open"),
                    rights: ringfence_ntsec::AccessMask::FILE_ALL_ACCESS,
                }],
                looked_at: 1000,
                complete: true,
            },
        },
        caller: Caller { token: ann(), elevation: Elevation::Limited, session: 1, directories: directories() },
        survey: WindowsSurvey {
            program: Program {
                path: path(r"C:\Users\ann\.cargo\bin\cargo.exe"),
                kind: ProgramKind::Executable,
                shell: None,
                posix_runtime: false,
            },
            workspace: place(drive, WORKSPACE),
            directory: path(WORKSPACE),
            write,
            protect: protect.to_vec(),
            between: vec![place(drive, &format!(r"{WORKSPACE}\.git"))],
            watch: Vec::new(),
        },
        identity: RunIdentity {
            workspace: Sid::ringfence_workspace(&[7; 32], VOLUME, u128::from(id(drive, WORKSPACE).0)),
            run: Sid::ringfence_run(&[1; 16]),
            id: "0123456789abcdef0123456789abcdef".into(),
        },
    }
}

fn directories() -> Directories {
    let local = r"C:\Users\ann\AppData\Local";
    Directories {
        system_root: path(r"C:\Windows"),
        program_data: path(r"C:\ProgramData"),
        program_files: vec![path(r"C:\Program Files"), path(r"C:\Program Files (x86)")],
        profile: path(r"C:\Users\ann"),
        local_app_data: path(local),
        roaming_app_data: path(r"C:\Users\ann\AppData\Roaming"),
        temporary: path(&format!(r"{local}\Temp")),
        state: path(&format!(r"{local}\ringfence")),
        private: path(&format!(r"{local}\ringfence\private")),
        developer_caches: vec![DeveloperCache { tool: CacheTool::Cargo, path: path(r"C:\Users\ann\.cargo") }],
    }
}

fn id(drive: &Drive, text: &str) -> FileId {
    drive.find(text.strip_prefix("C:").unwrap()).unwrap()
}

/// A file or directory of the drive as a probe by ann describes it.
pub(crate) fn place(drive: &Drive, text: &str) -> WindowsPlace {
    let id = id(drive, text);
    let node = drive.node(id).unwrap();
    let kind = if node.is_directory() { ObjectType::Directory } else { ObjectType::File };
    WindowsPlace {
        asked: PathBuf::from(text),
        path: path(text),
        object: ObjectId { volume: VOLUME, file: u128::from(id.0) },
        directory: node.is_directory(),
        links: 1,
        reparse: ReparseKind::None,
        volume: Volume {
            file_system: "NTFS".into(),
            persistent_acls: true,
            read_only: false,
            drive: DriveKind::Fixed,
            reached: Reached::Direct,
            dev_drive: false,
        },
        descriptor: Some(node.descriptor().clone()),
        rights: AccessCheck::new(&ann(), node.descriptor(), kind).maximum(),
        origin: None,
    }
}

fn apply(drive: &mut Drive, ann: &Token, edit: &AceEdit) {
    let path = below(&edit.target.path);
    let id = drive.find(path).unwrap();
    assert_eq!(u128::from(id.0), edit.target.object.file);
    let mut dacl = drive.node(id).unwrap().descriptor().dacl.clone();
    let AclState::Present(acl) = &mut dacl else { panic!("{path} has no DACL") };
    acl.insert(edit.ace.clone()).unwrap();
    drive.set_dacl_tree(ann, path, dacl, false).unwrap();
}

/// Adds what no plan adds unmeasured.
pub(crate) fn everyone_in(plan: &mut WindowsPlan) {
    plan.token.restricting.push(crate::plan::windows::RestrictingSid {
        sid: well_known::EVERYONE,
        role: crate::plan::windows::SidRole::Everyone,
    });
}

/// The entries of the default DACL that name a SID.
pub(crate) fn naming<'a>(aces: &'a [Ace], sid: &Sid) -> Vec<&'a Ace> {
    aces.iter().filter(|ace| ace.sid == *sid).collect()
}
