//! The few calls of the real system that the model is compared with.

use std::ffi::c_void;
use std::io;
use std::ptr;

use ringfence_ntsec::{
    AccessMask, Group, GroupAttributes, IntegrityLevel, MandatoryPolicy, ObjectType, Privilege, PrivilegeAttributes,
    SecurityDescriptor, Sid, Token,
};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
use windows_sys::Win32::Security::{
    AccessCheck, CreateRestrictedToken, DuplicateTokenEx, GENERIC_MAPPING, GetLengthSid, GetTokenInformation,
    IsTokenRestricted, LUID_AND_ATTRIBUTES, PRIVILEGE_SET, PSID, SID_AND_ATTRIBUTES, SecurityImpersonation,
    TOKEN_ALL_ACCESS, TOKEN_GROUPS, TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_MANDATORY_POLICY,
    TOKEN_OWNER, TOKEN_PRIMARY_GROUP, TOKEN_PRIVILEGES, TOKEN_USER, TokenGroups, TokenImpersonation,
    TokenIntegrityLevel, TokenMandatoryPolicy, TokenOwner, TokenPrimary, TokenPrimaryGroup, TokenPrivileges, TokenUser,
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
            DuplicateTokenEx(self.0, TOKEN_ALL_ACCESS, ptr::null(), SecurityImpersonation, kind, &mut handle)
        })?;
        Ok(RealToken(handle))
    }

    /// `CreateRestrictedToken`.
    pub(crate) fn restrict(&self, flags: u32, deny_only: &[Sid], restricting: &[Sid]) -> io::Result<RealToken> {
        let bytes = |sids: &[Sid]| sids.iter().map(Sid::to_bytes).collect::<Vec<_>>();
        let entries = |sids: &[Vec<u8>]| {
            let entry = |sid: &Vec<u8>| SID_AND_ATTRIBUTES { Sid: sid.as_ptr() as PSID, Attributes: 0 };
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
        let (user, attributes) = self.read(TokenUser, |user: *const TOKEN_USER| {
            // SAFETY: `read` passes a structure that the system filled; its SID lies in the same buffer.
            unsafe { (sid_at((*user).User.Sid), (*user).User.Attributes) }
        })?;
        let mut builder = Token::builder(user);
        if GroupAttributes::from_bits_retain(attributes).contains(GroupAttributes::USE_FOR_DENY_ONLY) {
            builder = builder.user_deny_only();
        }
        let groups = self.read(TokenGroups, |groups: *const TOKEN_GROUPS| {
            // SAFETY: as above; the array has as many entries as the count says.
            let entries = unsafe {
                let first = (&raw const (*groups).Groups).cast::<SID_AND_ATTRIBUTES>();
                std::slice::from_raw_parts(first, (*groups).GroupCount as usize)
            };
            let group = |entry: &SID_AND_ATTRIBUTES| {
                // SAFETY: as above.
                let sid = unsafe { sid_at(entry.Sid) };
                Group { sid, attributes: GroupAttributes::from_bits_retain(entry.Attributes) }
            };
            entries.iter().map(group).collect::<Vec<_>>()
        })?;
        // The integrity level is listed among the groups and is none.
        for group in groups.iter().filter(|group| !group.attributes.contains(GroupAttributes::INTEGRITY)) {
            builder = builder.group_with(group.sid, group.attributes);
        }
        let privileges = self.read(TokenPrivileges, |privileges: *const TOKEN_PRIVILEGES| {
            // SAFETY: as above; the array has as many entries as the count says.
            let entries = unsafe {
                let first = (&raw const (*privileges).Privileges).cast::<LUID_AND_ATTRIBUTES>();
                std::slice::from_raw_parts(first, (*privileges).PrivilegeCount as usize)
            };
            entries.iter().map(|entry| (entry.Luid.LowPart, entry.Attributes)).collect::<Vec<_>>()
        })?;
        for (luid, attributes) in privileges {
            if let Some(privilege) = Privilege::from_luid(luid) {
                builder = builder.privilege_with(privilege, PrivilegeAttributes::from_bits_truncate(attributes));
            }
        }
        builder = builder.owner(self.read(TokenOwner, |owner: *const TOKEN_OWNER| {
            // SAFETY: as above.
            unsafe { sid_at((*owner).Owner) }
        })?);
        builder = builder.primary_group(self.read(TokenPrimaryGroup, |group: *const TOKEN_PRIMARY_GROUP| {
            // SAFETY: as above.
            unsafe { sid_at((*group).PrimaryGroup) }
        })?);
        let label = self.read(TokenIntegrityLevel, |label: *const TOKEN_MANDATORY_LABEL| {
            // SAFETY: as above.
            unsafe { sid_at((*label).Label.Sid) }
        })?;
        builder = builder.integrity(IntegrityLevel::from_sid(&label).unwrap_or(IntegrityLevel::MEDIUM));
        let policy = self.read(TokenMandatoryPolicy, |policy: *const TOKEN_MANDATORY_POLICY| {
            // SAFETY: as above.
            unsafe { (*policy).Policy }
        });
        if let Ok(policy) = policy {
            builder = builder.mandatory_policy(MandatoryPolicy::from_bits_retain(policy));
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
        Ok(if status == 0 { AccessMask::NONE } else { AccessMask(granted) })
    }

    /// Hands the structure that the system fills for `class`, aligned and alive for the call, to `take`.
    fn read<T, R>(&self, class: TOKEN_INFORMATION_CLASS, take: impl FnOnce(*const T) -> R) -> io::Result<R> {
        let mut needed = 0;
        // SAFETY: a null buffer of length zero asks for the size.
        unsafe { GetTokenInformation(self.0, class, ptr::null_mut(), 0, &mut needed) };
        let mut buffer = vec![0_u64; (needed as usize).max(size_of::<T>()).div_ceil(8)];
        let length = (buffer.len() * 8) as u32;
        // SAFETY: the buffer has the length given.
        check(unsafe { GetTokenInformation(self.0, class, buffer.as_mut_ptr().cast(), length, &mut needed) })?;
        Ok(take(buffer.as_ptr().cast()))
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
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
