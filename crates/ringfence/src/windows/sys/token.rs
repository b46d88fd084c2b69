//! Tokens: made, and read back.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use ringfence_ntsec::{
    Acl, Group, GroupAttributes, IntegrityLevel, MandatoryPolicy, Privilege, PrivilegeAttributes, RestrictFlags,
    Restricting, Sid, Token,
};
use windows_sys::Win32::Security::{
    ACL as RAW_ACL, CreateRestrictedToken, GetLengthSid, GetTokenInformation, LUID_AND_ATTRIBUTES, PSID,
    SID_AND_ATTRIBUTES, SetTokenInformation, TOKEN_ADJUST_DEFAULT, TOKEN_ASSIGN_PRIMARY, TOKEN_DEFAULT_DACL,
    TOKEN_DUPLICATE, TOKEN_GROUPS, TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_MANDATORY_POLICY, TOKEN_OWNER,
    TOKEN_PRIMARY_GROUP, TOKEN_PRIVILEGES, TOKEN_QUERY, TOKEN_USER, TokenDefaultDacl, TokenElevationType, TokenGroups,
    TokenIntegrityLevel, TokenMandatoryPolicy, TokenOwner, TokenPrimaryGroup, TokenPrivileges, TokenRestrictedSids,
    TokenSessionId, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::call::{Aligned, check, owned, size_of_u32};

/// A token of the real system.
#[derive(Debug)]
pub(crate) struct SystemToken(OwnedHandle);

impl SystemToken {
    /// The primary token of this process.
    pub(crate) fn of_process() -> io::Result<Self> {
        let mut handle = ptr::null_mut();
        let access = TOKEN_QUERY | TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_ADJUST_DEFAULT;
        // SAFETY: the pseudo handle needs no closing and the out pointer is valid for the call.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), access, &mut handle) })?;
        // SAFETY: the call returned the handle to us.
        unsafe { owned(handle) }.map(Self)
    }

    /// `CreateRestrictedToken`: a copy of this token that holds less.
    pub(crate) fn restrict(&self, flags: RestrictFlags, restricting: &[Sid]) -> io::Result<Self> {
        let bytes: Vec<Aligned> = restricting.iter().map(|sid| Aligned::copied(&sid.to_bytes())).collect();
        let entries: Vec<SID_AND_ATTRIBUTES> = bytes
            .iter()
            .map(|sid| SID_AND_ATTRIBUTES { Sid: sid.as_ptr::<u8>().cast_mut().cast(), Attributes: 0 })
            .collect();
        let count = u32::try_from(entries.len()).map_err(io::Error::other)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the array has `count` entries; it and the SIDs that it points to outlive the call, which only reads
        // them.
        check(unsafe {
            CreateRestrictedToken(
                self.0.as_raw_handle(),
                flags.bits(),
                0,
                ptr::null(),
                0,
                ptr::null(),
                count,
                entries.as_ptr(),
                &mut handle,
            )
        })?;
        // SAFETY: the call returned the handle to us.
        unsafe { owned(handle) }.map(Self)
    }

    /// Replaces the DACL of objects that this token's processes create without saying one.
    pub(crate) fn set_default_dacl(&self, dacl: &Acl) -> io::Result<()> {
        let mut bytes = Aligned::copied(&dacl.to_bytes().map_err(io::Error::other)?);
        let information = TOKEN_DEFAULT_DACL { DefaultDacl: bytes.as_mut_ptr::<RAW_ACL>() };
        // SAFETY: the structure points to a whole ACL that outlives the call, which copies it.
        check(unsafe {
            SetTokenInformation(
                self.0.as_raw_handle(),
                TokenDefaultDacl,
                (&raw const information).cast(),
                size_of_u32::<TOKEN_DEFAULT_DACL>(),
            )
        })
    }

    /// Sets the integrity level, which only ever may be lowered.
    pub(crate) fn set_integrity(&self, level: IntegrityLevel) -> io::Result<()> {
        let mut sid = Aligned::copied(&level.sid().to_bytes());
        let label = TOKEN_MANDATORY_LABEL {
            Label: SID_AND_ATTRIBUTES { Sid: sid.as_mut_ptr(), Attributes: GroupAttributes::INTEGRITY.bits() },
        };
        // SAFETY: the structure points to a whole SID that outlives the call, which copies it.
        check(unsafe {
            SetTokenInformation(
                self.0.as_raw_handle(),
                TokenIntegrityLevel,
                (&raw const label).cast(),
                size_of_u32::<TOKEN_MANDATORY_LABEL>(),
            )
        })
    }

    /// The token as plain data. A privilege that has no name here is an error: nobody could judge it.
    pub(crate) fn read(&self) -> io::Result<Token> {
        let mut builder = Token::builder(self.user()?);
        let user = self.information(TokenUser)?;
        // SAFETY: the system filled the buffer with this structure.
        let attributes = unsafe { (*user.as_ptr::<TOKEN_USER>()).User.Attributes };
        if GroupAttributes::from_bits_retain(attributes).contains(GroupAttributes::USE_FOR_DENY_ONLY) {
            builder = builder.user_deny_only();
        }
        // The integrity level is listed among the groups and is none.
        for group in self.groups(TokenGroups)? {
            if !group.attributes.contains(GroupAttributes::INTEGRITY) {
                builder = builder.group_with(group.sid, group.attributes);
            }
        }
        for (luid, attributes) in self.privileges()? {
            let privilege = Privilege::from_luid(luid);
            let unknown = || io::Error::other(format!("a privilege of an unknown number, {luid}"));
            builder = builder.privilege_with(privilege.ok_or_else(unknown)?, attributes);
        }
        builder = builder.owner(self.sid(TokenOwner, |buffer| {
            // SAFETY: the system filled the buffer with this structure.
            unsafe { (*buffer.as_ptr::<TOKEN_OWNER>()).Owner }
        })?);
        builder = builder.primary_group(self.sid(TokenPrimaryGroup, |buffer| {
            // SAFETY: the system filled the buffer with this structure.
            unsafe { (*buffer.as_ptr::<TOKEN_PRIMARY_GROUP>()).PrimaryGroup }
        })?);
        let label = self.sid(TokenIntegrityLevel, |buffer| {
            // SAFETY: the system filled the buffer with this structure.
            unsafe { (*buffer.as_ptr::<TOKEN_MANDATORY_LABEL>()).Label.Sid }
        })?;
        builder = builder
            .integrity(IntegrityLevel::from_sid(&label).ok_or_else(|| io::Error::other("not an integrity level"))?);
        if let Ok(policy) = self.information(TokenMandatoryPolicy) {
            // SAFETY: the system filled the buffer with this structure.
            let policy = unsafe { (*policy.as_ptr::<TOKEN_MANDATORY_POLICY>()).Policy };
            builder = builder.mandatory_policy(MandatoryPolicy::from_bits_retain(policy));
        }
        if let Some(dacl) = self.default_dacl()? {
            builder = builder.default_dacl(dacl);
        }
        // A system that cannot say which SIDs restrict a token has none that do: the comparison then fails.
        let restricting = self.groups(TokenRestrictedSids).unwrap_or_default();
        if !restricting.is_empty() {
            let sids = restricting.into_iter().map(|group| group.sid).collect();
            // Whether the list is asked for writes only cannot be queried. A token that is restricted for reads as
            // well holds less, so that this assumption is on the safe side.
            builder = builder.restricting(Restricting { sids, write_only: true });
        }
        Ok(builder.build())
    }

    /// The user.
    pub(crate) fn user(&self) -> io::Result<Sid> {
        self.sid(TokenUser, |buffer| {
            // SAFETY: the system filled the buffer with this structure.
            unsafe { (*buffer.as_ptr::<TOKEN_USER>()).User.Sid }
        })
    }

    /// `TOKEN_ELEVATION_TYPE`: 1 default, 2 full, 3 limited.
    pub(crate) fn elevation(&self) -> io::Result<i32> {
        let buffer = self.information(TokenElevationType)?;
        // SAFETY: the system filled the buffer with one number.
        Ok(unsafe { *buffer.as_ptr::<i32>() })
    }

    /// The terminal services session; 0 is that of services, where no window is ever seen.
    pub(crate) fn session(&self) -> io::Result<u32> {
        let buffer = self.information(TokenSessionId)?;
        // SAFETY: the system filled the buffer with one number.
        Ok(unsafe { *buffer.as_ptr::<u32>() })
    }

    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }

    fn default_dacl(&self) -> io::Result<Option<Acl>> {
        let buffer = self.information(TokenDefaultDacl)?;
        // SAFETY: the system filled the buffer with this structure; where there is an ACL it lies in the same buffer,
        // and its size stands in its header.
        let bytes = unsafe {
            let acl = (*buffer.as_ptr::<TOKEN_DEFAULT_DACL>()).DefaultDacl;
            if acl.is_null() {
                return Ok(None);
            }
            std::slice::from_raw_parts(acl.cast::<u8>(), usize::from((*acl).AclSize))
        };
        Acl::read_prefix(bytes).map(Some).map_err(io::Error::other)
    }

    fn groups(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<Group>> {
        let buffer = self.information(class)?;
        // SAFETY: the system filled the buffer with this structure; the array has as many entries as the count says.
        let entries = unsafe {
            let groups = buffer.as_ptr::<TOKEN_GROUPS>();
            let first = (&raw const (*groups).Groups).cast::<SID_AND_ATTRIBUTES>();
            std::slice::from_raw_parts(first, (*groups).GroupCount as usize)
        };
        entries
            .iter()
            .map(|entry| {
                // SAFETY: the SID lies in the same buffer, which is still alive.
                let sid = unsafe { sid_at(entry.Sid) }?;
                Ok(Group { sid, attributes: GroupAttributes::from_bits_retain(entry.Attributes) })
            })
            .collect()
    }

    fn privileges(&self) -> io::Result<Vec<(u32, PrivilegeAttributes)>> {
        let buffer = self.information(TokenPrivileges)?;
        // SAFETY: the system filled the buffer with this structure; the array has as many entries as the count says.
        let entries = unsafe {
            let privileges = buffer.as_ptr::<TOKEN_PRIVILEGES>();
            let first = (&raw const (*privileges).Privileges).cast::<LUID_AND_ATTRIBUTES>();
            std::slice::from_raw_parts(first, (*privileges).PrivilegeCount as usize)
        };
        let attributes = |bits| PrivilegeAttributes::from_bits_truncate(bits);
        Ok(entries.iter().map(|entry| (entry.Luid.LowPart, attributes(entry.Attributes))).collect())
    }

    fn sid(&self, class: TOKEN_INFORMATION_CLASS, find: impl FnOnce(&Aligned) -> PSID) -> io::Result<Sid> {
        let buffer = self.information(class)?;
        let sid = find(&buffer);
        // SAFETY: the SID lies in the buffer, which is still alive.
        unsafe { sid_at(sid) }
    }

    /// The structure of a class, as the system fills it.
    fn information(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<Aligned> {
        /// More than the fixed part of any of these structures, which a short answer need not fill.
        const LEAST: usize = 256;
        let mut needed = 0;
        // SAFETY: a null buffer of length zero asks for the size.
        unsafe { GetTokenInformation(self.0.as_raw_handle(), class, ptr::null_mut(), 0, &mut needed) };
        let mut buffer = Aligned::zeroed((needed as usize).max(LEAST));
        let length = buffer.length()?;
        // SAFETY: the buffer has the length given and is aligned for every structure.
        check(unsafe { GetTokenInformation(self.0.as_raw_handle(), class, buffer.as_mut_ptr(), length, &mut needed) })?;
        Ok(buffer)
    }
}

/// # Safety
///
/// `sid` points to a whole SID.
unsafe fn sid_at(sid: PSID) -> io::Result<Sid> {
    // SAFETY: by the caller; the length is that of the SID.
    let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
    Sid::from_bytes(bytes).map_err(io::Error::other)
}
