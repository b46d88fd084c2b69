//! The few calls of the real system that the model is compared with.

use std::ffi::c_void;
use std::io;
use std::ptr;

use ringfence_ntsec::{
    AccessMask, Group, GroupAttributes, IntegrityLevel, MandatoryPolicy, ObjectType, Privilege,
    PrivilegeAttributes, SecurityDescriptor, Sid, Token,
};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
use windows_sys::Win32::Security::{
    AccessCheck, CreateRestrictedToken, DuplicateTokenEx, GENERIC_MAPPING, GetLengthSid,
    GetTokenInformation, IsTokenRestricted, PRIVILEGE_SET, PSID, SID_AND_ATTRIBUTES,
    SecurityImpersonation, TOKEN_ALL_ACCESS, TOKEN_GROUPS, TOKEN_INFORMATION_CLASS,
    TOKEN_MANDATORY_LABEL, TOKEN_MANDATORY_POLICY, TOKEN_OWNER, TOKEN_PRIMARY_GROUP,
    TOKEN_PRIVILEGES, TOKEN_USER, TokenGroups, TokenImpersonation, TokenIntegrityLevel,
    TokenMandatoryPolicy, TokenOwner, TokenPrimary, TokenPrimaryGroup, TokenPrivileges, TokenUser,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A token of the real system.
pub(crate) struct RealToken(HANDLE);

impl Drop for RealToken {
    fn drop(&mut self) {
        // SAFETY: the handle is owned and closed once.
        unsafe { CloseHandle(self.0) };
    }
}

/// Whether this is Wine, which has no restricted tokens.
pub(crate) fn is_wine() -> bool {
    // SAFETY: both names end with a zero; ntdll is always loaded.
    unsafe {
        let ntdll = GetModuleHandleA(c"ntdll.dll".as_ptr().cast());
        !ntdll.is_null() && GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()).is_some()
    }
}

impl RealToken {
    /// The token of this process, as a primary token.
    pub(crate) fn of_process() -> io::Result<RealToken> {
        let mut handle = ptr::null_mut();
        // SAFETY: the out pointer is valid for the call.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &mut handle) })?;
        Ok(RealToken(handle))
    }

    /// A copy that `AccessCheck` takes.
    pub(crate) fn for_impersonation(&self) -> io::Result<RealToken> {
        self.duplicate(TokenImpersonation)
    }

    /// A copy that can be restricted.
    pub(crate) fn primary(&self) -> io::Result<RealToken> {
        self.duplicate(TokenPrimary)
    }

    fn duplicate(&self, kind: i32) -> io::Result<RealToken> {
        let mut handle = ptr::null_mut();
        // SAFETY: the source handle is open, the out pointer is valid, the attributes may be null.
        check(unsafe {
            DuplicateTokenEx(
                self.0,
                TOKEN_ALL_ACCESS,
                ptr::null(),
                SecurityImpersonation,
                kind,
                &mut handle,
            )
        })?;
        Ok(RealToken(handle))
    }

    /// `CreateRestrictedToken`.
    pub(crate) fn restrict(
        &self,
        flags: u32,
        deny_only: &[Sid],
        restricting: &[Sid],
    ) -> io::Result<RealToken> {
        let bytes = |sids: &[Sid]| sids.iter().map(Sid::to_bytes).collect::<Vec<_>>();
        let entries = |sids: &[Vec<u8>]| {
            let entry = |sid: &Vec<u8>| SID_AND_ATTRIBUTES {
                Sid: sid.as_ptr() as PSID,
                Attributes: 0,
            };
            sids.iter().map(entry).collect::<Vec<_>>()
        };
        let (deny_bytes, restricting_bytes) = (bytes(deny_only), bytes(restricting));
        let (deny, restrict) = (entries(&deny_bytes), entries(&restricting_bytes));
        let mut handle = ptr::null_mut();
        // SAFETY: the arrays and the SIDs that they point to outlive the call, and the counts are theirs.
        check(unsafe {
            CreateRestrictedToken(
                self.0,
                flags,
                deny.len() as u32,
                deny.as_ptr(),
                0,
                ptr::null(),
                restrict.len() as u32,
                restrict.as_ptr(),
                &mut handle,
            )
        })?;
        Ok(RealToken(handle))
    }

    /// `IsTokenRestricted`; false on systems that ignore restricting SIDs, and for write-restricted tokens on some.
    pub(crate) fn is_restricted(&self) -> bool {
        // SAFETY: the handle is open.
        unsafe { IsTokenRestricted(self.0) != 0 }
    }

    /// The token as the model sees it, without restricting SIDs (the caller knows those).
    pub(crate) fn describe(&self) -> io::Result<Token> {
        // SAFETY (all blocks below): the buffer was filled by the system for the structure that it is read as, is aligned for
        // it, and lives until the end of the statement; the SIDs in it point into the same buffer.
        let user = self.query(TokenUser)?;
        let mut builder =
            Token::builder(unsafe { sid_at((*user.as_ptr().cast::<TOKEN_USER>()).User.Sid) });
        // SAFETY: see above.
        if unsafe { (*user.as_ptr().cast::<TOKEN_USER>()).User.Attributes } & 0x10 != 0 {
            builder = builder.user_deny_only();
        }
        let groups = self.query(TokenGroups)?;
        let groups_start = groups.as_ptr().cast::<TOKEN_GROUPS>();
        // SAFETY: see above; the array has as many entries as the count says.
        let entries = unsafe {
            std::slice::from_raw_parts(
                (&raw const (*groups_start).Groups).cast::<SID_AND_ATTRIBUTES>(),
                (*groups_start).GroupCount as usize,
            )
        };
        for entry in entries {
            let attributes = GroupAttributes::from_bits_retain(entry.Attributes);
            // SAFETY: see above.
            let group = Group {
                sid: unsafe { sid_at(entry.Sid) },
                attributes,
            };
            if !attributes.contains(GroupAttributes::INTEGRITY) {
                builder = builder.group_with(group.sid, group.attributes);
            }
        }
        let privileges = self.query(TokenPrivileges)?;
        let privileges_start = privileges.as_ptr().cast::<TOKEN_PRIVILEGES>();
        // SAFETY: see above.
        let entries = unsafe {
            std::slice::from_raw_parts(
                (&raw const (*privileges_start).Privileges)
                    .cast::<windows_sys::Win32::Security::LUID_AND_ATTRIBUTES>(),
                (*privileges_start).PrivilegeCount as usize,
            )
        };
        for entry in entries {
            if let Some(privilege) = Privilege::from_luid(entry.Luid.LowPart) {
                let state = PrivilegeAttributes::from_bits_truncate(entry.Attributes);
                builder = builder.privilege_with(privilege, state);
            }
        }
        let owner = self.query(TokenOwner)?;
        // SAFETY: see above.
        builder = builder.owner(unsafe { sid_at((*owner.as_ptr().cast::<TOKEN_OWNER>()).Owner) });
        let group = self.query(TokenPrimaryGroup)?;
        // SAFETY: see above.
        let group_sid =
            unsafe { sid_at((*group.as_ptr().cast::<TOKEN_PRIMARY_GROUP>()).PrimaryGroup) };
        builder = builder.primary_group(group_sid);
        let label = self.query(TokenIntegrityLevel)?;
        // SAFETY: see above.
        let level = unsafe { sid_at((*label.as_ptr().cast::<TOKEN_MANDATORY_LABEL>()).Label.Sid) };
        builder =
            builder.integrity(IntegrityLevel::from_sid(&level).unwrap_or(IntegrityLevel::MEDIUM));
        if let Ok(policy) = self.query(TokenMandatoryPolicy) {
            // SAFETY: see above.
            let bits = unsafe { (*policy.as_ptr().cast::<TOKEN_MANDATORY_POLICY>()).Policy };
            builder = builder.mandatory_policy(MandatoryPolicy::from_bits_retain(bits));
        }
        Ok(builder.build())
    }

    /// `AccessCheck`: the granted mask, empty if denied.
    pub(crate) fn access_check(
        &self,
        descriptor: &SecurityDescriptor,
        desired: AccessMask,
        kind: ObjectType,
    ) -> io::Result<AccessMask> {
        let bytes = descriptor.to_bytes().map_err(io::Error::other)?;
        let aligned = aligned(&bytes);
        let mapping = kind.mapping();
        let mapping = GENERIC_MAPPING {
            GenericRead: mapping.read.0,
            GenericWrite: mapping.write.0,
            GenericExecute: mapping.execute.0,
            GenericAll: mapping.all.0,
        };
        let mut privileges = [0_u64; 64];
        let mut length = size_of_val(&privileges) as u32;
        let (mut granted, mut status) = (0, 0);
        // SAFETY: every pointer is valid for the call and the length is that of the privilege buffer, which is aligned for a
        // PRIVILEGE_SET.
        check(unsafe {
            AccessCheck(
                aligned.as_ptr() as *mut c_void,
                self.0,
                desired.0,
                &mapping,
                privileges.as_mut_ptr().cast::<PRIVILEGE_SET>(),
                &mut length,
                &mut granted,
                &mut status,
            )
        })?;
        Ok(if status == 0 {
            AccessMask::NONE
        } else {
            AccessMask(granted)
        })
    }

    fn query(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
        let mut needed = 0;
        // SAFETY: a null buffer of length zero asks for the size.
        unsafe { GetTokenInformation(self.0, class, ptr::null_mut(), 0, &mut needed) };
        let mut buffer = vec![0_u64; (needed as usize).div_ceil(8).max(1)];
        let length = (buffer.len() * 8) as u32;
        // SAFETY: the buffer has the length given.
        check(unsafe {
            GetTokenInformation(
                self.0,
                class,
                buffer.as_mut_ptr().cast(),
                length,
                &mut needed,
            )
        })?;
        Ok(buffer)
    }
}

fn aligned(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        })
        .collect()
}

/// # Safety
/// `sid` points to a valid SID.
unsafe fn sid_at(sid: PSID) -> Sid {
    // SAFETY: by the caller; the length is that of the SID.
    let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
    Sid::from_bytes(bytes).unwrap()
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
