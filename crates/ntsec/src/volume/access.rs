//! Which rights a caller gets when it opens a file (MS-FSA §2.1.5.1.2.1).

use super::lookup::LastLink;
use super::{FileId, Volume};
use crate::{AccessCheck, AccessMask, Error, ObjectType, Privilege, Token};

/// How to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Opens a link itself (`FILE_FLAG_OPEN_REPARSE_POINT`).
    pub open_link: bool,
    /// Lets SeBackupPrivilege and SeRestorePrivilege count (`FILE_FLAG_BACKUP_SEMANTICS`).
    pub backup_intent: bool,
}

/// An open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Which file.
    pub id: FileId,
    /// Which stream; empty for the file itself.
    pub stream: String,
    /// The rights that were granted.
    pub granted: AccessMask,
}

/// What SeBackupPrivilege grants to an opener that asks for it
/// (<https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-createfilew>, "backup or restore").
const BACKUP_RIGHTS: AccessMask = AccessMask(
    AccessMask::READ_CONTROL.0
        | AccessMask::ACCESS_SYSTEM_SECURITY.0
        | AccessMask::FILE_GENERIC_READ.0
        | AccessMask::FILE_EXECUTE.0,
);

/// What SeRestorePrivilege grants.
const RESTORE_RIGHTS: AccessMask = AccessMask(
    AccessMask::WRITE_DAC.0
        | AccessMask::WRITE_OWNER.0
        | AccessMask::ACCESS_SYSTEM_SECURITY.0
        | AccessMask::FILE_GENERIC_WRITE.0
        | AccessMask::DELETE.0,
);

impl Volume {
    /// Opens an existing file.
    ///
    /// # Errors
    /// No such file, or a right that is not granted.
    pub fn open(&self, token: &Token, path: &str, desired: AccessMask, options: OpenOptions) -> Result<Handle, Error> {
        let last_link = if options.open_link { LastLink::Stay } else { LastLink::Follow };
        let located = self.locate(Some(token), path, last_link)?;
        let (id, node) = self.existing(located.id, path)?;
        if !located.stream.is_empty() && node.stream(&located.stream).is_none() {
            return Err(super::lookup::not_found(path));
        }
        let granted = self
            .granted(token, id, Some(located.parent), desired, options.backup_intent)
            .map_err(|missing| Error::AccessDenied { operation: "opening", path: path.to_owned(), missing })?;
        Ok(Handle { id, stream: located.stream, granted })
    }

    /// Opens what one name stands for in an open directory; a link itself, not its target (`NtOpenFile` relative to a handle,
    /// with `FILE_OPEN_REPARSE_POINT`). No directory is traversed, so none is asked.
    ///
    /// # Errors
    /// No such file, or a right that is not granted.
    pub fn open_child(
        &self,
        token: &Token,
        directory: FileId,
        name: &str,
        desired: AccessMask,
    ) -> Result<Handle, Error> {
        let id = self.entry(directory, name).map(|entry| entry.id);
        let (id, _) = self.existing(id, name)?;
        self.handle(token, id, Some(directory), name, desired)
    }

    /// Opens a file by its id (`FILE_OPEN_BY_FILE_ID`); a link itself.
    ///
    /// # Errors
    /// No such file, or a right that is not granted.
    pub fn open_by_id(&self, token: &Token, id: FileId, desired: AccessMask) -> Result<Handle, Error> {
        let (id, _) = self.existing(Some(id), "")?;
        self.handle(token, id, None, "", desired)
    }

    fn handle(
        &self,
        token: &Token,
        id: FileId,
        parent: Option<FileId>,
        path: &str,
        desired: AccessMask,
    ) -> Result<Handle, Error> {
        let granted = self.granted(token, id, parent, desired, false).map_err(|missing| Error::AccessDenied {
            operation: "opening",
            path: path.to_owned(),
            missing,
        })?;
        Ok(Handle { id, stream: String::new(), granted })
    }

    /// The rights granted on `id`, reached through `parent`, or those that are missing.
    fn granted(
        &self,
        token: &Token,
        id: FileId,
        parent: Option<FileId>,
        desired: AccessMask,
        backup_intent: bool,
    ) -> Result<AccessMask, AccessMask> {
        let mapping = ObjectType::File.mapping();
        let desired = mapping.map(desired);
        let wants_maximum = desired.contains(AccessMask::MAXIMUM_ALLOWED);
        let named = desired - AccessMask::MAXIMUM_ALLOWED;
        if !self.options.persistent_acls {
            return Ok(if wants_maximum { mapping.all } else { named });
        }
        let Some(check) = self.check(token, id) else {
            return Err(named);
        };
        let mut beside = AccessMask::NONE;
        if let Some(parent) = parent.filter(|parent| *parent != id).and_then(|parent| self.check(token, parent)) {
            // Whoever may list a directory may see the attributes of what is in it.
            if parent.allows(AccessMask::FILE_READ_DATA) {
                beside |= AccessMask::FILE_READ_ATTRIBUTES;
            }
            if parent.allows(AccessMask::FILE_DELETE_CHILD) {
                beside |= AccessMask::DELETE;
            }
        }
        if backup_intent && token.has_privilege(Privilege::Backup) {
            beside |= BACKUP_RIGHTS;
        }
        if backup_intent && token.has_privilege(Privilege::Restore) {
            beside |= RESTORE_RIGHTS;
        }
        let rest = named - beside;
        if wants_maximum {
            let most = check.maximum() | (named - rest) | (beside - AccessMask::ACCESS_SYSTEM_SECURITY);
            let missing = named - most;
            return if missing.is_empty() && !most.is_empty() { Ok(most) } else { Err(missing) };
        }
        if named.is_empty() || (!rest.is_empty() && !check.allows(rest)) {
            return Err(rest - check.maximum());
        }
        Ok(named)
    }

    /// Requires rights on an object, counting what its parent gives.
    pub(super) fn require(
        &self,
        token: &Token,
        id: FileId,
        parent: Option<FileId>,
        desired: AccessMask,
        operation: &'static str,
        path: &str,
    ) -> Result<(), Error> {
        self.granted(token, id, parent, desired, false).map(|_| ()).map_err(|missing| Error::AccessDenied {
            operation,
            path: path.to_owned(),
            missing,
        })
    }

    fn check<'a>(&'a self, token: &'a Token, id: FileId) -> Option<AccessCheck<'a>> {
        let node = self.nodes.get(&id)?;
        let kind = if node.is_directory() { ObjectType::Directory } else { ObjectType::File };
        Some(AccessCheck::new(token, node.descriptor(), kind).with_write_reading(self.options.write_reading))
    }
}
