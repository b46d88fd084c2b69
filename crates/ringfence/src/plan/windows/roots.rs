//! Which directories can be write roots on Windows.

use std::path::Path;

use ringfence_ntsec::{AccessMask, AclState};
use ringfence_policy::{Anchors, Policy, RefusedRoot, refused_write_root};

use crate::Error;
use crate::facts::windows::{Directories, DriveKind, Reached, ReparseKind, WindowsFacts, WindowsPlace};

/// Why a place cannot be a write root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootProblem {
    /// A junction or a symbolic link: it could be pointed elsewhere between two runs.
    #[error("it is a link; name the directory that it leads to")]
    Link,
    /// Another reparse point, of which nobody knows where its writes go.
    #[error("it is a reparse point (tag {tag:#010x}); choose an ordinary directory")]
    ReparsePoint {
        /// Its tag.
        tag: u32,
    },
    /// A cloud provider's placeholder: grants would be copied to other machines, and files may be elsewhere.
    #[error("it is kept by a cloud provider; move the project to a directory that is not synchronised")]
    Cloud,
    /// A volume without descriptors: everybody may write everything on it, and nothing can be granted.
    #[error(
        "its volume keeps no access control lists (as FAT and exFAT do); move the project to an NTFS or ReFS volume"
    )]
    NoAcls,
    /// Nothing on the volume can be written.
    #[error("its volume is read-only; choose another one")]
    ReadOnly,
    /// On another machine, which decides by itself who may write.
    #[error("it is on another machine; copy the project to a local drive")]
    Remote,
    /// A drive letter that is mapped to a share.
    #[error("its drive letter is mapped to a share; copy the project to a local drive")]
    Mapped,
    /// A drive letter that SUBST made: the command could point it elsewhere.
    #[error("its drive letter was made by SUBST; name the directory that the letter stands for")]
    Subst,
    /// A descriptor without DACL: everybody may write. To add an entry would lock everybody else out.
    #[error(
        "it has no access control list, so that everybody may write it; give it one first, with `icacls PATH /reset`"
    )]
    NullDacl,
    /// The caller may not change its permissions.
    #[error("you may not change its permissions; become its owner, or ask for WRITE_DAC with `icacls`")]
    NotGrantable,
    /// A file with several names: a grant would open it under all of them.
    #[error("it is a file with {links} names, and all of them would become writable; copy it")]
    HardLinks {
        /// How many.
        links: u32,
    },
    /// ringfence's own state lies in it, or it lies in there.
    #[error("ringfence keeps its ledger and its receipts there; choose another directory")]
    HoldsState,
}

impl RootProblem {
    /// The stable name of the problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Link => "root-link",
            Self::ReparsePoint { .. } => "root-reparse-point",
            Self::Cloud => "root-cloud",
            Self::NoAcls => "root-no-acls",
            Self::ReadOnly => "root-read-only",
            Self::Remote => "root-remote",
            Self::Mapped => "root-mapped",
            Self::Subst => "root-subst",
            Self::NullDacl => "root-null-dacl",
            Self::NotGrantable => "root-not-grantable",
            Self::HardLinks { .. } => "root-hard-links",
            Self::HoldsState => "root-holds-state",
        }
    }
}

/// The write roots, outermost only: what lies in another root inherits from it.
///
/// # Errors
///
/// The first root that cannot be one, and a root of the policy that the facts say nothing about.
pub(super) fn accepted<'a>(policy: &Policy, facts: &'a WindowsFacts) -> Result<Vec<&'a WindowsPlace>, Error> {
    let anchors = &policy.anchors;
    let surveyed = |root: &Path| facts.survey.write.iter().any(|place| place.asked == root);
    if let Some(missing) = policy.filesystem.write.iter().find(|rule| !surveyed(&rule.value)) {
        let source = std::io::Error::other("the facts were taken for other write roots");
        return Err(Error::Survey { path: missing.value.clone(), source });
    }
    let mut roots: Vec<&WindowsPlace> = Vec::new();
    for root in &facts.survey.write {
        check(root, &facts.caller.directories, anchors)?;
        let inside = |other: &&WindowsPlace| other.object != root.object && root.path.is_in(&other.path);
        let seen = roots.iter().any(|other| other.object == root.object);
        if !seen && !facts.survey.write.iter().any(|other| inside(&other)) {
            roots.push(root);
        }
    }
    Ok(roots)
}

fn check(root: &WindowsPlace, directories: &Directories, anchors: &Anchors) -> Result<(), Error> {
    if let Some(refused) = refused(root, directories, anchors) {
        return Err(Error::RootRefused { path: root.asked.clone(), reason: refused.to_string() });
    }
    match problem(root, directories) {
        None => Ok(()),
        Some(problem) => Err(Error::RootUnfit { path: root.asked.clone(), problem }),
    }
}

/// The directories that no policy opens, by the names that they commonly have and by where this machine has them.
fn refused(root: &WindowsPlace, directories: &Directories, anchors: &Anchors) -> Option<RefusedRoot> {
    let path = &root.path;
    let known = refused_write_root(&path.to_path_buf(), anchors);
    let system = [&directories.system_root, &directories.program_data].into_iter().chain(&directories.program_files);
    known
        .or_else(|| path.is_root().then_some(RefusedRoot::FileSystemRoot))
        .or_else(|| directories.profile.is_in(path).then_some(RefusedRoot::UserProfile))
        .or_else(|| {
            let folders = [&directories.local_app_data, &directories.roaming_app_data];
            folders.into_iter().any(|folder| folder.is_in(path)).then_some(RefusedRoot::AppData)
        })
        .or_else(|| directories.temporary.is_in(path).then_some(RefusedRoot::SharedTemporary))
        .or_else(|| {
            let mut system = system;
            system.any(|folder| path.is_in(folder) || folder.is_in(path)).then_some(RefusedRoot::System)
        })
}

fn problem(root: &WindowsPlace, directories: &Directories) -> Option<RootProblem> {
    let volume = &root.volume;
    match root.reparse {
        ReparseKind::None => {}
        ReparseKind::Junction | ReparseKind::Symlink => return Some(RootProblem::Link),
        ReparseKind::Cloud => return Some(RootProblem::Cloud),
        ReparseKind::StoreAlias => return Some(RootProblem::ReparsePoint { tag: 0x8000_001B }),
        ReparseKind::Other { tag } => return Some(RootProblem::ReparsePoint { tag }),
    }
    // The way to the volume first: "on another machine" says less than "mapped", which can be undone.
    match volume.reached {
        Reached::Direct => {}
        Reached::Subst => return Some(RootProblem::Subst),
        Reached::Mapped => return Some(RootProblem::Mapped),
        Reached::Unc => return Some(RootProblem::Remote),
    }
    if volume.drive == DriveKind::Remote || root.path.is_unc() {
        return Some(RootProblem::Remote);
    }
    if volume.read_only || volume.drive == DriveKind::Optical {
        return Some(RootProblem::ReadOnly);
    }
    if !volume.persistent_acls {
        return Some(RootProblem::NoAcls);
    }
    if [&directories.state, &directories.private].iter().any(|own| own.is_in(&root.path) || root.path.is_in(own)) {
        return Some(RootProblem::HoldsState);
    }
    match root.descriptor.as_ref().map(|descriptor| &descriptor.dacl) {
        Some(AclState::Present(_)) => {}
        Some(AclState::Null | AclState::Absent) => return Some(RootProblem::NullDacl),
        None => return Some(RootProblem::NotGrantable),
    }
    if !root.rights.contains(AccessMask::WRITE_DAC | AccessMask::READ_CONTROL) {
        return Some(RootProblem::NotGrantable);
    }
    (!root.directory && root.links > 1).then_some(RootProblem::HardLinks { links: root.links })
}
