//! What is changed on disk for a run, and the directories that are ringfence's own.

use ringfence_ntsec::{AccessMask, Ace, AceFlags, Acl, Sid, well_known};

use super::token::protected;
use super::{AceEdit, GrantPlan, GrantTarget, PrivateDirectory, PrivatePurpose};
use crate::Error;
use crate::facts::windows::{Reading, SelfCheck, WindowsFacts, WindowsPlace};

/// What a write root grants: to read, write, execute and delete what is in it; neither FILE_DELETE_CHILD, by which
/// protected objects could be deleted through the directory that holds them, nor WRITE_DAC nor WRITE_OWNER.
const GRANTED: AccessMask = AccessMask::FILE_MODIFY;

/// Rights that change a file or directory, what is in it, or who may: what is denied on protected objects.
pub(crate) const CHANGES: AccessMask = AccessMask(
    AccessMask::FILE_WRITE_DATA.0
        | AccessMask::FILE_APPEND_DATA.0
        | AccessMask::FILE_WRITE_EA.0
        | AccessMask::FILE_WRITE_ATTRIBUTES.0
        | AccessMask::FILE_DELETE_CHILD.0
        | AccessMask::DELETE.0
        | AccessMask::WRITE_DAC.0
        | AccessMask::WRITE_OWNER.0,
);

/// What the user has on a directory that is ringfence's own: everything but FILE_DELETE_CHILD, since that is the one right
/// with which a run could delete in it what another run, or the ledger, keeps there.
const OWN: AccessMask = AccessMask(AccessMask::FILE_ALL_ACCESS.0 & !AccessMask::FILE_DELETE_CHILD.0);

/// The edits of the write roots; none where the token was measured not to be enforced, since they would open nothing that
/// was closed.
pub(super) fn plan(facts: &WindowsFacts, roots: &[&WindowsPlace]) -> Vec<GrantPlan> {
    if matches!(facts.host.self_check, SelfCheck::Failed { .. }) {
        return Vec::new();
    }
    roots.iter().map(|root| grant(facts, root)).collect()
}

fn grant(facts: &WindowsFacts, root: &WindowsPlace) -> GrantPlan {
    let workspace = facts.identity.workspace;
    let below = |place: &&WindowsPlace| place.object != root.object && place.path.is_in(&root.path) && grantable(place);
    let protected: Vec<&WindowsPlace> = facts.survey.protect.iter().filter(below).collect();
    let between: Vec<&WindowsPlace> = facts.survey.between.iter().filter(below).collect();
    let mut hold = Vec::new();
    let stays = |place: &WindowsPlace| AceEdit {
        target: target(place),
        ace: Ace::deny(workspace, AccessMask::DELETE, AceFlags::empty()),
    };
    if root.directory {
        hold.push(stays(root));
    }
    hold.extend(between.iter().map(|place| stays(place)));
    GrantPlan {
        root: target(root),
        allow: Ace::allow(workspace, GRANTED, inherited(root)),
        protect: protected
            .iter()
            .map(|place| AceEdit { target: target(place), ace: Ace::deny(workspace, CHANGES, inherited(place)) })
            .collect(),
        hold,
    }
}

/// What has to stay where it is, though FILE_DELETE_CHILD on the directory above is asked of the user alone.
pub(super) fn held(facts: &WindowsFacts, roots: &[&WindowsPlace]) -> Vec<GrantTarget> {
    if facts.host.reading() == Some(Reading::Wide) {
        return Vec::new();
    }
    let survey = &facts.survey;
    let inside = |place: &&WindowsPlace| roots.iter().any(|root| place.path.is_in(&root.path));
    let below = survey.between.iter().chain(&survey.protect).filter(inside);
    roots.iter().copied().chain(below).map(target).collect()
}

/// Whether the caller may add an entry. Where not, the grant cannot reach it either, so it stays as it is.
pub(super) fn grantable(place: &WindowsPlace) -> bool {
    place.rights.contains(AccessMask::WRITE_DAC)
}

fn inherited(place: &WindowsPlace) -> AceFlags {
    if place.directory { AceFlags::INHERIT_ALL } else { AceFlags::empty() }
}

fn target(place: &WindowsPlace) -> GrantTarget {
    GrantTarget { path: place.path.clone(), object: place.object, directory: place.directory }
}

/// The directories of ringfence's own, outer ones first. `writes` says whether there are write roots; without any there is
/// no SID that a cache could be kept for.
pub(super) fn private(facts: &WindowsFacts, writes: bool) -> Result<Vec<PrivateDirectory>, Error> {
    let user = *facts.caller.token.user();
    let base = &facts.caller.directories.private;
    let make = |below: &str, purpose, sid: Option<Sid>| {
        let path = match below {
            "" => base.clone(),
            below => base.join(below).map_err(|problem| Error::Survey {
                path: base.to_path_buf(),
                source: std::io::Error::other(problem.to_string()),
            })?,
        };
        Ok::<_, Error>(PrivateDirectory { path, purpose, descriptor: protected(user, own_dacl(user, sid)) })
    };
    let identity = &facts.identity;
    let mut directories = vec![make("", PrivatePurpose::Holder, None)?];
    // Short, since the path of a Unix socket has 108 bytes, and the JVM puts one into TEMP.
    let name = identity.id.get(..16).unwrap_or(&identity.id);
    directories.push(make(&format!("t-{name}"), PrivatePurpose::Temporary, Some(identity.run))?);
    if writes {
        let authorities = identity.workspace.sub_authorities();
        let name: String = authorities.iter().skip(1).take(3).map(|part| format!("{part:08x}")).collect();
        directories.push(make(&format!("c-{name}"), PrivatePurpose::Cache, Some(identity.workspace))?);
    }
    Ok(directories)
}

/// The DACL of a directory that is ringfence's own: the user's and the system's, and written by who carries `sid`.
fn own_dacl(user: Sid, sid: Option<Sid>) -> Acl {
    let allow = |sid, mask| Ace::allow(sid, mask, AceFlags::INHERIT_ALL);
    let mut aces = vec![allow(user, OWN), allow(well_known::LOCAL_SYSTEM, AccessMask::FILE_ALL_ACCESS)];
    aces.extend(sid.map(|sid| allow(sid, GRANTED)));
    Acl::from_aces(aces)
}
