//! Reading and writing descriptors.

use super::access::OpenOptions;
use super::{FileId, Volume};
use crate::inherit::reinherit;
use crate::{
    AccessMask, AclState, Control, Error, GroupAttributes, ObjectType, Privilege, SecurityDescriptor, Sid, Token,
};

/// What a set that reaches down a tree did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Propagation {
    /// Files whose descriptor changed, in the order of the walk.
    pub changed: Vec<FileId>,
    /// Files that were visited and already had what they would get.
    pub unchanged: Vec<FileId>,
    /// Files that refused WRITE_DAC; nothing below them was visited.
    pub refused: Vec<FileId>,
}

impl Volume {
    /// Reads the owner, group and DACL: needs READ_CONTROL. The SACL is left out, as it needs ACCESS_SYSTEM_SECURITY.
    ///
    /// # Errors
    /// No such file; not allowed.
    pub fn security(&self, token: &Token, path: &str) -> Result<SecurityDescriptor, Error> {
        let handle = self.open(token, path, AccessMask::READ_CONTROL, OpenOptions::default())?;
        let (_, node) = self.existing(Some(handle.id), path)?;
        Ok(SecurityDescriptor { sacl: AclState::Absent, ..node.descriptor().clone() })
    }

    /// Replaces the DACL of one object and of nothing below it, as `NtSetSecurityObject` does: needs WRITE_DAC.
    ///
    /// # Errors
    /// No such file; not allowed.
    pub fn set_dacl(&mut self, token: &Token, path: &str, dacl: AclState, protected: bool) -> Result<FileId, Error> {
        let handle = self.open(token, path, AccessMask::WRITE_DAC, OpenOptions::default())?;
        if let Some(node) = self.nodes.get_mut(&handle.id) {
            node.descriptor.dacl = dacl;
            node.descriptor.control.set(Control::DACL_PROTECTED, protected);
        }
        Ok(handle.id)
    }

    /// Replaces the DACL and works out inheritance below, as `SetNamedSecurityInfo` does
    /// (<https://learn.microsoft.com/windows/win32/secauthz/automatic-propagation-of-inheritable-aces>): the object itself
    /// takes its parent's entries too unless it is protected; every object below is rewritten from the top down; protected
    /// ones stop the walk; links are rewritten but not followed. A file with several names is rewritten through each.
    ///
    /// # Errors
    /// The object itself cannot be opened for WRITE_DAC.
    pub fn set_dacl_tree(
        &mut self,
        token: &Token,
        path: &str,
        dacl: AclState,
        protected: bool,
    ) -> Result<Propagation, Error> {
        let id = self.set_dacl(token, path, dacl, protected)?;
        let parent = self.node(id).and_then(|node| node.links().first()).map(|(parent, _)| *parent);
        if let Some(parent) = parent {
            self.renew(id, parent);
        }
        let mut report = Propagation { changed: vec![id], ..Propagation::default() };
        self.propagate(token, id, &mut report);
        Ok(report)
    }

    /// Works out inheritance below `directory` anew, as `token`.
    pub fn propagate(&mut self, token: &Token, directory: FileId, report: &mut Propagation) {
        // Depth-first without recursion: a hostile tree may be deep.
        let mut pending = vec![directory];
        while let Some(parent) = pending.pop() {
            let children: Vec<FileId> = self
                .node(parent)
                .filter(|node| node.reparse().is_none())
                .map(|node| node.children().map(|(_, id)| id).collect())
                .unwrap_or_default();
            for child in children.into_iter().rev() {
                let Some(node) = self.node(child) else {
                    continue;
                };
                if node.descriptor().control.contains(Control::DACL_PROTECTED) {
                    continue;
                }
                if self.require(token, child, Some(parent), AccessMask::WRITE_DAC, "propagating", "").is_err() {
                    report.refused.push(child);
                    continue;
                }
                if self.renew(child, parent) {
                    report.changed.push(child);
                } else {
                    report.unchanged.push(child);
                }
                pending.push(child);
            }
        }
    }

    /// Changes the owner: needs WRITE_OWNER; the new owner must be the caller, a group the caller may make owner, or the
    /// caller must hold SeRestorePrivilege (<https://learn.microsoft.com/windows/win32/secauthz/taking-object-ownership-in-c-->).
    ///
    /// # Errors
    /// No such file; not allowed; not a SID that the caller may make owner.
    pub fn set_owner(&mut self, token: &Token, path: &str, owner: Sid) -> Result<FileId, Error> {
        let handle = self.open(token, path, AccessMask::WRITE_OWNER, OpenOptions::default())?;
        let assignable = (owner == *token.user() && !token.is_user_deny_only())
            || token.groups().iter().any(|group| {
                group.sid == owner && group.attributes.contains(GroupAttributes::OWNER | GroupAttributes::ENABLED)
            });
        if !assignable && !token.has_privilege(Privilege::Restore) {
            return Err(Error::Unsupported {
                operation: "setting the owner",
                path: path.to_owned(),
                reason: "the SID may not be assigned as the owner by this caller (ERROR_INVALID_OWNER)",
            });
        }
        if let Some(node) = self.nodes.get_mut(&handle.id) {
            node.descriptor.owner = Some(owner);
        }
        Ok(handle.id)
    }

    /// Whether the descriptor of `child` changed.
    fn renew(&mut self, child: FileId, parent: FileId) -> bool {
        let (Some(child_node), Some(parent_node)) = (self.node(child), self.node(parent)) else {
            return false;
        };
        let renewed = reinherit(
            child_node.descriptor(),
            parent_node.descriptor(),
            child_node.child_kind(),
            &ObjectType::File.mapping(),
        );
        let changed = renewed != *child_node.descriptor();
        self.put_descriptor(child, renewed);
        changed
    }
}
