//! Somebody who renames, links, replaces and re-permits while the engine works: the user, or the command inside.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_ntsec::inherit::ChildKind;
use ringfence_ntsec::volume::{FileId, Volume};
use ringfence_ntsec::{AccessMask, Ace, AceFlags, AclState, SecurityDescriptor, Sid, Token, well_known};

use super::host::{only_in, tree_of};
use super::random::Random;

pub(super) struct Adversary {
    /// Whose rights it has.
    pub(super) token: Token,
    /// Whether it edits descriptors too. Only the user does: what the command may re-permit depends on the reading.
    pub(super) edits_descriptors: bool,
    /// The root that is granted, and the SID.
    pub(super) root: FileId,
    pub(super) sid: Sid,
    pub(super) traces: Traces,
}

/// What has to be known of its deeds to judge the outcome.
#[derive(Debug, Clone, Default)]
pub(super) struct Traces {
    /// Everything that lay in the root at some moment and nowhere else.
    pub(super) inside: BTreeSet<FileId>,
    /// What it made, moved or linked.
    pub(super) touched: BTreeSet<FileId>,
    /// What it made: with the descriptor that it then had, without entries of ours.
    pub(super) made: BTreeSet<FileId>,
    /// What it re-permitted: the descriptor since, without entries of ours.
    pub(super) permitted: BTreeMap<FileId, SecurityDescriptor>,
    pub(super) deeds: usize,
}

/// The names that it uses: few, so that deeds meet.
const NAMES: [&str; 5] = ["a", "b", "config", "hooks", "main.rs"];

impl Adversary {
    pub(super) fn act(&mut self, volume: &mut Volume, random: &mut Random) {
        let paths = paths(volume);
        if !paths.iter().any(|(_, id)| volume.node(*id).is_some_and(|node| node.is_directory())) {
            return;
        }
        let (path, id) = random.pick(&paths).clone();
        let directories: Vec<&(String, FileId)> =
            paths.iter().filter(|(_, id)| volume.node(*id).is_some_and(|node| node.is_directory())).collect();
        let target = format!("{}\\{}", random.pick(&directories).0, random.pick(&NAMES));
        let token = &self.token;
        let mut touched = vec![id];
        let done = match random.below(8) {
            0 | 1 => volume.rename(token, &path, &target, random.happens(500)).is_ok(),
            2 => volume.delete(token, &path).is_ok(),
            3 => volume.link(token, &path, &target).is_ok(),
            4 => {
                let outside = random.pick(&paths).0.clone();
                volume.create_junction(token, &target, &outside).map(|id| touched.push(id)).is_ok()
            }
            5 => volume.create_file(token, &target, None).map(|id| touched.push(id)).is_ok(),
            6 => volume.create_directory(token, &target, None).map(|id| touched.push(id)).is_ok(),
            _ => self.edits_descriptors && self.permit(volume, id, random),
        };
        if !done {
            return;
        }
        self.traces.deeds += 1;
        for id in touched.iter().flat_map(|id| tree_of(volume, *id)) {
            self.traces.touched.insert(id);
        }
        for id in &touched[1..] {
            self.traces.made.insert(*id);
            if let Some(node) = volume.node(*id) {
                // What is made in a directory that the user moved out of the root inherits from it like anything in the root.
                if node.links().iter().any(|(parent, _)| self.traces.inside.contains(parent)) {
                    self.traces.inside.insert(*id);
                }
                self.traces.permitted.insert(*id, without(node.descriptor(), &self.sid));
            }
        }
        self.traces.inside.append(&mut only_in(volume, self.root));
    }

    /// Adds an entry of somebody else's, as an editor of permissions does.
    fn permit(&mut self, volume: &mut Volume, id: FileId, random: &mut Random) -> bool {
        let right = AccessMask::WRITE_DAC | AccessMask::READ_CONTROL;
        if volume.open_by_id(&self.token, id, right).is_err() {
            return false;
        }
        let Some(node) = volume.node(id) else { return false };
        let mut descriptor = node.descriptor().clone();
        let AclState::Present(dacl) = &mut descriptor.dacl else { return false };
        let flags = match node.child_kind() {
            ChildKind::Container if random.happens(500) => AceFlags::INHERIT_ALL,
            _ => AceFlags::empty(),
        };
        let mask = *random.pick(&[AccessMask::FILE_GENERIC_READ, AccessMask::FILE_GENERIC_EXECUTE]);
        let changed = dacl.insert(Ace::allow(well_known::LOCAL_SERVICE, mask, flags)).unwrap();
        self.traces.permitted.insert(id, without(&descriptor, &self.sid));
        volume.put_descriptor(id, descriptor);
        changed
    }
}

/// A descriptor without the entries of a SID.
pub(super) fn without(descriptor: &SecurityDescriptor, sid: &Sid) -> SecurityDescriptor {
    let mut descriptor = descriptor.clone();
    if let AclState::Present(dacl) = &mut descriptor.dacl {
        dacl.remove_sid(sid);
    }
    descriptor
}

/// One path of everything that lies in `\\work`; links are not followed.
fn paths(volume: &Volume) -> Vec<(String, FileId)> {
    let mut found = Vec::new();
    let mut pending = vec![("\\work".to_owned(), volume.find("\\work").unwrap())];
    while let Some((path, id)) = pending.pop() {
        let Some(node) = volume.node(id).filter(|node| node.reparse().is_none()) else { continue };
        for (name, id) in node.children() {
            let path = format!("{path}\\{name}");
            pending.push((path.clone(), id));
            found.push((path, id));
        }
    }
    found
}
