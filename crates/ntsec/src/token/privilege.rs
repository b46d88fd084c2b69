//! Privileges.

/// A privilege (<https://learn.microsoft.com/windows/win32/secauthz/privilege-constants>); the number is the low part of its
/// LUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each name is the system's own: see Privilege::name")]
pub enum Privilege {
    CreateToken = 2,
    AssignPrimaryToken = 3,
    LockMemory = 4,
    IncreaseQuota = 5,
    MachineAccount = 6,
    Tcb = 7,
    Security = 8,
    TakeOwnership = 9,
    LoadDriver = 10,
    SystemProfile = 11,
    SystemTime = 12,
    ProfileSingleProcess = 13,
    IncreaseBasePriority = 14,
    CreatePagefile = 15,
    CreatePermanent = 16,
    Backup = 17,
    Restore = 18,
    Shutdown = 19,
    Debug = 20,
    Audit = 21,
    SystemEnvironment = 22,
    ChangeNotify = 23,
    RemoteShutdown = 24,
    Undock = 25,
    SyncAgent = 26,
    EnableDelegation = 27,
    ManageVolume = 28,
    Impersonate = 29,
    CreateGlobal = 30,
    TrustedCredManAccess = 31,
    Relabel = 32,
    IncreaseWorkingSet = 33,
    TimeZone = 34,
    CreateSymbolicLink = 35,
    DelegateSessionUserImpersonate = 36,
}

bitflags::bitflags! {
    /// The state of a privilege in a token (`LUID_AND_ATTRIBUTES`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct PrivilegeAttributes: u32 {
        /// Enabled when the token was made.
        const ENABLED_BY_DEFAULT = 0x1;
        /// Enabled now: only then does it count.
        const ENABLED = 0x2;
    }
}

/// Every privilege with the name that `LookupPrivilegeName` gives.
const NAMES: [(Privilege, &str); 35] = [
    (Privilege::CreateToken, "SeCreateTokenPrivilege"),
    (Privilege::AssignPrimaryToken, "SeAssignPrimaryTokenPrivilege"),
    (Privilege::LockMemory, "SeLockMemoryPrivilege"),
    (Privilege::IncreaseQuota, "SeIncreaseQuotaPrivilege"),
    (Privilege::MachineAccount, "SeMachineAccountPrivilege"),
    (Privilege::Tcb, "SeTcbPrivilege"),
    (Privilege::Security, "SeSecurityPrivilege"),
    (Privilege::TakeOwnership, "SeTakeOwnershipPrivilege"),
    (Privilege::LoadDriver, "SeLoadDriverPrivilege"),
    (Privilege::SystemProfile, "SeSystemProfilePrivilege"),
    (Privilege::SystemTime, "SeSystemtimePrivilege"),
    (Privilege::ProfileSingleProcess, "SeProfileSingleProcessPrivilege"),
    (Privilege::IncreaseBasePriority, "SeIncreaseBasePriorityPrivilege"),
    (Privilege::CreatePagefile, "SeCreatePagefilePrivilege"),
    (Privilege::CreatePermanent, "SeCreatePermanentPrivilege"),
    (Privilege::Backup, "SeBackupPrivilege"),
    (Privilege::Restore, "SeRestorePrivilege"),
    (Privilege::Shutdown, "SeShutdownPrivilege"),
    (Privilege::Debug, "SeDebugPrivilege"),
    (Privilege::Audit, "SeAuditPrivilege"),
    (Privilege::SystemEnvironment, "SeSystemEnvironmentPrivilege"),
    (Privilege::ChangeNotify, "SeChangeNotifyPrivilege"),
    (Privilege::RemoteShutdown, "SeRemoteShutdownPrivilege"),
    (Privilege::Undock, "SeUndockPrivilege"),
    (Privilege::SyncAgent, "SeSyncAgentPrivilege"),
    (Privilege::EnableDelegation, "SeEnableDelegationPrivilege"),
    (Privilege::ManageVolume, "SeManageVolumePrivilege"),
    (Privilege::Impersonate, "SeImpersonatePrivilege"),
    (Privilege::CreateGlobal, "SeCreateGlobalPrivilege"),
    (Privilege::TrustedCredManAccess, "SeTrustedCredManAccessPrivilege"),
    (Privilege::Relabel, "SeRelabelPrivilege"),
    (Privilege::IncreaseWorkingSet, "SeIncreaseWorkingSetPrivilege"),
    (Privilege::TimeZone, "SeTimeZonePrivilege"),
    (Privilege::CreateSymbolicLink, "SeCreateSymbolicLinkPrivilege"),
    (Privilege::DelegateSessionUserImpersonate, "SeDelegateSessionUserImpersonatePrivilege"),
];

impl Privilege {
    /// The low part of the LUID; the high part is zero.
    pub fn luid(self) -> u32 {
        self as u32
    }

    /// The programmatic name, e.g. `SeChangeNotifyPrivilege`.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(privilege, _)| *privilege == self).map_or("", |(_, name)| name)
    }

    /// The privilege with this programmatic name, in any case.
    pub fn from_name(name: &str) -> Option<Privilege> {
        NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(privilege, _)| *privilege)
    }

    /// The privilege with this LUID.
    pub fn from_luid(luid: u32) -> Option<Privilege> {
        NAMES.iter().find(|(privilege, _)| privilege.luid() == luid).map(|(privilege, _)| *privilege)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_luids_are_unique_and_complete() {
        for (place, (privilege, name)) in NAMES.iter().enumerate() {
            assert_eq!(privilege.luid() as usize, place + 2);
            assert_eq!(Privilege::from_name(&name.to_uppercase()), Some(*privilege));
            assert_eq!(Privilege::from_luid(privilege.luid()), Some(*privilege));
        }
        assert_eq!(Privilege::from_luid(1), None);
    }
}
