//! Object types: what the generic and the specific rights mean for each.

use crate::AccessMask;

/// What the four generic rights stand for (`GENERIC_MAPPING`,
/// <https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-generic_mapping>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenericMapping {
    /// GENERIC_READ.
    pub read: AccessMask,
    /// GENERIC_WRITE.
    pub write: AccessMask,
    /// GENERIC_EXECUTE.
    pub execute: AccessMask,
    /// GENERIC_ALL.
    pub all: AccessMask,
}

impl GenericMapping {
    const fn new(read: u32, write: u32, execute: u32, all: u32) -> Self {
        GenericMapping {
            read: AccessMask(read),
            write: AccessMask(write),
            execute: AccessMask(execute),
            all: AccessMask(all),
        }
    }

    /// Replaces generic rights by what they stand for (`MapGenericMask`).
    pub fn map(&self, mask: AccessMask) -> AccessMask {
        let mut mapped = mask - AccessMask::GENERIC;
        for (generic, specific) in [
            (AccessMask::GENERIC_READ, self.read),
            (AccessMask::GENERIC_WRITE, self.write),
            (AccessMask::GENERIC_EXECUTE, self.execute),
            (AccessMask::GENERIC_ALL, self.all),
        ] {
            if mask.contains(generic) {
                mapped |= specific;
            }
        }
        mapped
    }
}

/// The kinds of object whose descriptors ringfence reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectType {
    /// A file (<https://learn.microsoft.com/windows/win32/fileio/file-security-and-access-rights>).
    File,
    /// A directory: the file's mapping, other names.
    Directory,
    /// A named pipe: the file's mapping.
    Pipe,
    /// A registry key (<https://learn.microsoft.com/windows/win32/sysinfo/registry-key-security-and-access-rights>).
    Key,
    /// A section (file mapping) (<https://learn.microsoft.com/windows/win32/memory/file-mapping-security-and-access-rights>).
    Section,
    /// A mutex (<https://learn.microsoft.com/windows/win32/sync/synchronization-object-security-and-access-rights>).
    Mutant,
    /// An event.
    Event,
    /// A semaphore.
    Semaphore,
    /// A process (<https://learn.microsoft.com/windows/win32/procthread/process-security-and-access-rights>).
    Process,
    /// A thread (<https://learn.microsoft.com/windows/win32/procthread/thread-security-and-access-rights>).
    Thread,
    /// A token (<https://learn.microsoft.com/windows/win32/secauthz/access-rights-for-access-token-objects>).
    Token,
    /// A job (<https://learn.microsoft.com/windows/win32/procthread/job-object-security-and-access-rights>).
    Job,
    /// A desktop (<https://learn.microsoft.com/windows/win32/winstation/desktop-security-and-access-rights>).
    Desktop,
    /// A window station
    /// (<https://learn.microsoft.com/windows/win32/winstation/window-station-security-and-access-rights>).
    WindowStation,
    /// An object of the filtering platform's own store (`FWPM_GENERIC_*`, fwpmu.h;
    /// <https://learn.microsoft.com/windows/win32/fwp/access-control>).
    WfpObject,
    /// The descriptor inside a WFP filter condition: one right, `FWP_ACTRL_MATCH_FILTER`
    /// (<https://learn.microsoft.com/windows/win32/fwp/access-right-identifiers>).
    WfpCondition,
}

impl ObjectType {
    /// Every object type that is known here.
    pub const ALL: [ObjectType; 16] = [
        ObjectType::File,
        ObjectType::Directory,
        ObjectType::Pipe,
        ObjectType::Key,
        ObjectType::Section,
        ObjectType::Mutant,
        ObjectType::Event,
        ObjectType::Semaphore,
        ObjectType::Process,
        ObjectType::Thread,
        ObjectType::Token,
        ObjectType::Job,
        ObjectType::Desktop,
        ObjectType::WindowStation,
        ObjectType::WfpObject,
        ObjectType::WfpCondition,
    ];

    /// The generic mapping that the kernel registers for the type.
    pub const fn mapping(self) -> GenericMapping {
        match self {
            ObjectType::File | ObjectType::Directory | ObjectType::Pipe => {
                GenericMapping::new(0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF)
            }
            ObjectType::Key => GenericMapping::new(0x0002_0019, 0x0002_0006, 0x0002_0019, 0x000F_003F),
            ObjectType::Section => GenericMapping::new(0x0002_0005, 0x0002_0002, 0x0002_0008, 0x000F_001F),
            ObjectType::Mutant => GenericMapping::new(0x0002_0001, 0x0002_0000, 0x0012_0000, 0x001F_0001),
            ObjectType::Event | ObjectType::Semaphore => {
                GenericMapping::new(0x0002_0001, 0x0002_0002, 0x0012_0000, 0x001F_0003)
            }
            ObjectType::Process => GenericMapping::new(0x0002_0410, 0x0002_0BEA, 0x0012_1001, 0x001F_FFFF),
            ObjectType::Thread => GenericMapping::new(0x0002_0048, 0x0002_0437, 0x0012_0800, 0x001F_FFFF),
            ObjectType::Token => GenericMapping::new(0x0002_001A, 0x0002_01E0, 0x0002_0005, 0x000F_01FF),
            ObjectType::Job => GenericMapping::new(0x0002_0004, 0x0002_000B, 0x0012_0000, 0x001F_003F),
            ObjectType::Desktop => GenericMapping::new(0x0002_0041, 0x0002_00BE, 0x0002_0100, 0x000F_01FF),
            ObjectType::WindowStation => GenericMapping::new(0x0002_0303, 0x0002_001C, 0x0002_0060, 0x000F_037F),
            ObjectType::WfpObject => GenericMapping::new(0x0002_01D4, 0x0003_040B, 0x0002_0220, 0x000F_07FF),
            ObjectType::WfpCondition => GenericMapping::new(0, 0, 0, 1),
        }
    }

    /// The object type with this name, as [`ObjectType::name`] writes it.
    pub fn from_name(name: &str) -> Option<ObjectType> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A name for people and for command lines.
    pub const fn name(self) -> &'static str {
        match self {
            ObjectType::File => "file",
            ObjectType::Directory => "directory",
            ObjectType::Pipe => "pipe",
            ObjectType::Key => "key",
            ObjectType::Section => "section",
            ObjectType::Mutant => "mutant",
            ObjectType::Event => "event",
            ObjectType::Semaphore => "semaphore",
            ObjectType::Process => "process",
            ObjectType::Thread => "thread",
            ObjectType::Token => "token",
            ObjectType::Job => "job",
            ObjectType::Desktop => "desktop",
            ObjectType::WindowStation => "window-station",
            ObjectType::WfpObject => "wfp-object",
            ObjectType::WfpCondition => "wfp-condition",
        }
    }

    /// The headers' names of the rights in `mask`, lowest bit first; a bit without a name is written as a number.
    pub fn describe(self, mask: AccessMask) -> String {
        let mut names = Vec::new();
        let mut unnamed = AccessMask::NONE;
        for bit in (0..32).map(|shift| AccessMask(1 << shift)).filter(|bit| mask.contains(*bit)) {
            match self.bit_name(bit) {
                Some(name) => names.push(name.to_owned()),
                None => unnamed |= bit,
            }
        }
        if !unnamed.is_empty() || names.is_empty() {
            names.push(unnamed.to_string());
        }
        names.join(" | ")
    }

    /// The right with one of the names that [`ObjectType::describe`] writes.
    pub fn right_named(self, name: &str) -> Option<AccessMask> {
        (0..32).map(|shift| AccessMask(1 << shift)).find(|bit| self.bit_name(*bit) == Some(name))
    }

    fn bit_name(self, bit: AccessMask) -> Option<&'static str> {
        let place = usize::try_from(bit.0.trailing_zeros()).ok()?;
        if place >= 16 {
            return COMMON.iter().find(|(mask, _)| *mask == bit).map(|(_, name)| *name);
        }
        let names: &[&str] = match self {
            ObjectType::File => &FILE,
            ObjectType::Directory => &DIRECTORY,
            ObjectType::Pipe => &PIPE,
            ObjectType::Key => &KEY,
            ObjectType::Section => &SECTION,
            ObjectType::Mutant => &["MUTANT_QUERY_STATE"],
            ObjectType::Event => &["EVENT_QUERY_STATE", "EVENT_MODIFY_STATE"],
            ObjectType::Semaphore => &["SEMAPHORE_QUERY_STATE", "SEMAPHORE_MODIFY_STATE"],
            ObjectType::Process => &PROCESS,
            ObjectType::Thread => &THREAD,
            ObjectType::Token => &TOKEN,
            ObjectType::Job => &JOB,
            ObjectType::Desktop => &DESKTOP,
            ObjectType::WindowStation => &WINDOW_STATION,
            ObjectType::WfpObject => &WFP_OBJECT,
            ObjectType::WfpCondition => &["FWP_ACTRL_MATCH_FILTER"],
        };
        names.get(place).copied().filter(|name| !name.is_empty())
    }
}

const COMMON: [(AccessMask, &str); 11] = [
    (AccessMask::DELETE, "DELETE"),
    (AccessMask::READ_CONTROL, "READ_CONTROL"),
    (AccessMask::WRITE_DAC, "WRITE_DAC"),
    (AccessMask::WRITE_OWNER, "WRITE_OWNER"),
    (AccessMask::SYNCHRONIZE, "SYNCHRONIZE"),
    (AccessMask::ACCESS_SYSTEM_SECURITY, "ACCESS_SYSTEM_SECURITY"),
    (AccessMask::MAXIMUM_ALLOWED, "MAXIMUM_ALLOWED"),
    (AccessMask::GENERIC_ALL, "GENERIC_ALL"),
    (AccessMask::GENERIC_EXECUTE, "GENERIC_EXECUTE"),
    (AccessMask::GENERIC_WRITE, "GENERIC_WRITE"),
    (AccessMask::GENERIC_READ, "GENERIC_READ"),
];

const FILE: [&str; 9] = [
    "FILE_READ_DATA",
    "FILE_WRITE_DATA",
    "FILE_APPEND_DATA",
    "FILE_READ_EA",
    "FILE_WRITE_EA",
    "FILE_EXECUTE",
    "FILE_DELETE_CHILD",
    "FILE_READ_ATTRIBUTES",
    "FILE_WRITE_ATTRIBUTES",
];
const DIRECTORY: [&str; 9] = [
    "FILE_LIST_DIRECTORY",
    "FILE_ADD_FILE",
    "FILE_ADD_SUBDIRECTORY",
    "FILE_READ_EA",
    "FILE_WRITE_EA",
    "FILE_TRAVERSE",
    "FILE_DELETE_CHILD",
    "FILE_READ_ATTRIBUTES",
    "FILE_WRITE_ATTRIBUTES",
];
const PIPE: [&str; 9] = [
    "FILE_READ_DATA",
    "FILE_WRITE_DATA",
    "FILE_CREATE_PIPE_INSTANCE",
    "FILE_READ_EA",
    "FILE_WRITE_EA",
    "FILE_EXECUTE",
    "FILE_DELETE_CHILD",
    "FILE_READ_ATTRIBUTES",
    "FILE_WRITE_ATTRIBUTES",
];
const KEY: [&str; 6] = [
    "KEY_QUERY_VALUE",
    "KEY_SET_VALUE",
    "KEY_CREATE_SUB_KEY",
    "KEY_ENUMERATE_SUB_KEYS",
    "KEY_NOTIFY",
    "KEY_CREATE_LINK",
];
const SECTION: [&str; 5] =
    ["SECTION_QUERY", "SECTION_MAP_WRITE", "SECTION_MAP_READ", "SECTION_MAP_EXECUTE", "SECTION_EXTEND_SIZE"];
const PROCESS: [&str; 14] = [
    "PROCESS_TERMINATE",
    "PROCESS_CREATE_THREAD",
    "PROCESS_SET_SESSIONID",
    "PROCESS_VM_OPERATION",
    "PROCESS_VM_READ",
    "PROCESS_VM_WRITE",
    "PROCESS_DUP_HANDLE",
    "PROCESS_CREATE_PROCESS",
    "PROCESS_SET_QUOTA",
    "PROCESS_SET_INFORMATION",
    "PROCESS_QUERY_INFORMATION",
    "PROCESS_SUSPEND_RESUME",
    "PROCESS_QUERY_LIMITED_INFORMATION",
    "PROCESS_SET_LIMITED_INFORMATION",
];
const THREAD: [&str; 13] = [
    "THREAD_TERMINATE",
    "THREAD_SUSPEND_RESUME",
    "THREAD_ALERT",
    "THREAD_GET_CONTEXT",
    "THREAD_SET_CONTEXT",
    "THREAD_SET_INFORMATION",
    "THREAD_QUERY_INFORMATION",
    "THREAD_SET_THREAD_TOKEN",
    "THREAD_IMPERSONATE",
    "THREAD_DIRECT_IMPERSONATION",
    "THREAD_SET_LIMITED_INFORMATION",
    "THREAD_QUERY_LIMITED_INFORMATION",
    "THREAD_RESUME",
];
const TOKEN: [&str; 9] = [
    "TOKEN_ASSIGN_PRIMARY",
    "TOKEN_DUPLICATE",
    "TOKEN_IMPERSONATE",
    "TOKEN_QUERY",
    "TOKEN_QUERY_SOURCE",
    "TOKEN_ADJUST_PRIVILEGES",
    "TOKEN_ADJUST_GROUPS",
    "TOKEN_ADJUST_DEFAULT",
    "TOKEN_ADJUST_SESSIONID",
];
const JOB: [&str; 6] = [
    "JOB_OBJECT_ASSIGN_PROCESS",
    "JOB_OBJECT_SET_ATTRIBUTES",
    "JOB_OBJECT_QUERY",
    "JOB_OBJECT_TERMINATE",
    "JOB_OBJECT_SET_SECURITY_ATTRIBUTES",
    "JOB_OBJECT_IMPERSONATE",
];
const DESKTOP: [&str; 9] = [
    "DESKTOP_READOBJECTS",
    "DESKTOP_CREATEWINDOW",
    "DESKTOP_CREATEMENU",
    "DESKTOP_HOOKCONTROL",
    "DESKTOP_JOURNALRECORD",
    "DESKTOP_JOURNALPLAYBACK",
    "DESKTOP_ENUMERATE",
    "DESKTOP_WRITEOBJECTS",
    "DESKTOP_SWITCHDESKTOP",
];
const WINDOW_STATION: [&str; 10] = [
    "WINSTA_ENUMDESKTOPS",
    "WINSTA_READATTRIBUTES",
    "WINSTA_ACCESSCLIPBOARD",
    "WINSTA_CREATEDESKTOP",
    "WINSTA_WRITEATTRIBUTES",
    "WINSTA_ACCESSGLOBALATOMS",
    "WINSTA_EXITWINDOWS",
    "",
    "WINSTA_ENUMERATE",
    "WINSTA_READSCREEN",
];
const WFP_OBJECT: [&str; 11] = [
    "FWPM_ACTRL_ADD",
    "FWPM_ACTRL_ADD_LINK",
    "FWPM_ACTRL_BEGIN_READ_TXN",
    "FWPM_ACTRL_BEGIN_WRITE_TXN",
    "FWPM_ACTRL_CLASSIFY",
    "FWPM_ACTRL_ENUM",
    "FWPM_ACTRL_OPEN",
    "FWPM_ACTRL_READ",
    "FWPM_ACTRL_READ_STATS",
    "FWPM_ACTRL_SUBSCRIBE",
    "FWPM_ACTRL_WRITE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generic_right_lies_within_all() {
        for kind in ObjectType::ALL {
            let mapping = kind.mapping();
            for part in [mapping.read, mapping.write, mapping.execute] {
                assert!(mapping.all.contains(part), "{}: {part}", kind.name());
            }
            assert_eq!(ObjectType::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn what_write_means_for_files_leaves_out_the_rights_that_the_readings_argue_about() {
        let write = ObjectType::File.mapping().write;
        for right in [AccessMask::DELETE, AccessMask::WRITE_DAC, AccessMask::WRITE_OWNER, AccessMask::FILE_DELETE_CHILD]
        {
            assert!(!write.intersects(right));
        }
        assert!(write.contains(AccessMask::FILE_WRITE_DATA | AccessMask::FILE_WRITE_ATTRIBUTES));
    }

    #[test]
    fn reading_memory_and_terminating_are_no_writes_of_a_process() {
        let mapping = ObjectType::Process.mapping();
        let vm_read = ObjectType::Process.right_named("PROCESS_VM_READ").unwrap();
        let terminate = ObjectType::Process.right_named("PROCESS_TERMINATE").unwrap();
        assert!(mapping.read.contains(vm_read) && mapping.execute.contains(terminate));
        assert!(!mapping.write.intersects(vm_read | terminate));
    }

    #[test]
    fn names() {
        assert_eq!(
            ObjectType::Directory.describe(AccessMask(0x0001_0042)),
            "FILE_ADD_FILE | FILE_DELETE_CHILD | DELETE"
        );
        assert_eq!(ObjectType::Key.describe(AccessMask(0x8001)), "KEY_QUERY_VALUE | 0x8000");
        assert_eq!(ObjectType::File.describe(AccessMask::NONE), "0x0");
    }
}
