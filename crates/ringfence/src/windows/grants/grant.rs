//! Giving a root to the workspace's SID.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ringfence_ntsec::inherit::ChildKind;
use ringfence_ntsec::{AccessMask, Ace, AclState, Control as DescriptorControl, SecurityDescriptor, Sid};

use super::entries::{Below, Change, Entries};
use super::open::{EDIT, LOOK, descriptor, open_id, open_object, why};
use super::walk::{Control, Decision, Edit, OBJECTS, Outcome, Pass, Seen, each, set_unless_changed, walk};
use crate::Error;
use crate::facts::windows::ObjectId;
use crate::plan::windows::{GrantPlan, GrantTarget};
use crate::windows::disk::{Disk, DiskError, FileId, ReparseKind};
use crate::windows::ledger::{Skipped, Why, Writer};
use crate::windows::storage::Storage;

/// The entries that objects get by the plan and not by inheritance, of all roots together: where one root lies in another,
/// the walk over the outer one must know those of the inner one.
#[derive(Debug)]
pub(super) struct Own<'p> {
    entries: HashMap<ObjectId, Vec<Ace>>,
    targets: Vec<(&'p GrantTarget, ObjectId)>,
}

impl<'p> Own<'p> {
    pub(super) fn of(grants: &'p [GrantPlan]) -> Self {
        let mut own = Self { entries: HashMap::new(), targets: Vec::new() };
        for grant in grants {
            own.add(&grant.root, &grant.allow);
            for edit in grant.protect.iter().chain(&grant.hold) {
                own.add(&edit.target, &edit.ace);
            }
        }
        own
    }

    fn add(&mut self, target: &'p GrantTarget, ace: &Ace) {
        let entries = self.entries.entry(target.object).or_insert_with(|| {
            self.targets.push((target, target.object));
            Vec::new()
        });
        if !entries.contains(ace) {
            entries.push(ace.clone());
        }
    }

    fn get(&self, object: ObjectId) -> &[Ace] {
        self.entries.get(&object).map_or(&[], Vec::as_slice)
    }

    /// The first object that is not the one of the plan any more, or does not carry what the plan gives it. Costs the same
    /// whatever lies in the roots.
    ///
    /// # Errors
    /// [`Error::Disk`] if an object cannot be looked at.
    pub(super) fn astray<D: Disk>(&self, disk: &D, sid: &Sid) -> Result<Option<&'p GrantTarget>, Error> {
        for (target, object) in &self.targets {
            let opened = match open_object(disk, &target.path, *object, LOOK) {
                Ok(opened) => opened,
                Err(Error::RootChanged { .. }) => return Ok(Some(target)),
                Err(error) => return Err(error),
            };
            let own = self.get(*object);
            let holds = match descriptor(disk, &opened.handle) {
                Ok(SecurityDescriptor { dacl: AclState::Present(dacl), .. }) => {
                    let found = Entries::found(&dacl, sid);
                    let is_denied = own.iter().all(|ace| ace.kind.is_deny());
                    // What carries no grant needs no denial: the user could not edit it, and nothing is inherited there.
                    found.hold(own) || (is_denied && found.grants_nothing())
                }
                Ok(_) | Err(_) => false,
            };
            if !holds {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }
}

/// What one grant did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Granted {
    pub(super) seen: u64,
    pub(super) edited: u64,
    pub(super) skipped: Vec<Skipped>,
}

/// Walks the root of a grant. `begin` is durable in the ledger of `writer`.
///
/// # Errors
/// [`Error::RootChanged`], [`Error::RootRefused`], [`Error::Disk`] for the root itself; the ledger's; an interruption.
pub(super) fn grant<D: Disk, S: Storage>(
    disk: &D,
    writer: &mut Writer<'_, S>,
    plan: &GrantPlan,
    own: &Own<'_>,
    never: &HashSet<ObjectId>,
    control: &Control<'_>,
) -> Result<Granted, Error> {
    let list = if plan.root.directory { AccessMask::FILE_READ_DATA } else { AccessMask::NONE };
    let path = plan.root.path.to_path_buf();
    let root = open_object(disk, &plan.root.path, plan.root.object, EDIT | list)?;
    refuse(disk, plan, &root.handle, root.stat.links, never)?;
    let anchor = open_object(disk, &plan.root.path, plan.root.object, LOOK)?;
    let mut pass = Granting {
        sid: plan.allow.sid,
        own,
        never,
        writer,
        known: Mutex::new(Known::default()),
        directories: HashMap::new(),
        postponed: BTreeMap::new(),
        done: Granted::default(),
        root_failed: None,
    };
    let progress = walk(disk, &mut pass, root, &plan.root.path.to_string(), &Arc::default(), control)?;
    pass.several_names(disk, &anchor.handle)?;
    if let Some(why) = pass.root_failed {
        return Err(Error::RootRefused { path, reason: why.to_string() });
    }
    pass.done.seen = progress.done;
    Ok(pass.done)
}

/// The last look at a root before it is granted, whatever the plan says.
fn refuse<D: Disk>(
    disk: &D,
    plan: &GrantPlan,
    root: &D::Handle,
    links: u32,
    never: &HashSet<ObjectId>,
) -> Result<(), Error> {
    let refused = |reason: &str| Err(Error::RootRefused { path: plan.root.path.to_path_buf(), reason: reason.into() });
    if plan.root.path.is_root() {
        return refused("it is the root of a volume");
    }
    if never.contains(&plan.root.object) {
        return refused("it is a place that is never granted");
    }
    if links > 1 && !plan.root.directory {
        return refused("the file has more than one name, and permissions belong to all of them");
    }
    match descriptor(disk, root) {
        Ok(SecurityDescriptor { dacl: AclState::Present(_), .. }) => Ok(()),
        Ok(_) => refused("it has no permissions (no DACL): adding some would take away everybody's access"),
        Err(why) => refused(&why.to_string()),
    }
}

struct Granting<'g, 's, 'p, S: Storage> {
    sid: Sid,
    own: &'g Own<'p>,
    never: &'g HashSet<ObjectId>,
    writer: &'g mut Writer<'s, S>,
    known: Mutex<Known>,
    directories: HashMap<FileId, Arc<Below>>,
    postponed: BTreeMap<FileId, String>,
    done: Granted,
    root_failed: Option<Why>,
}

/// What was worked out before. A tree has few different descriptors.
#[derive(Default)]
struct Known {
    handed_down: Vec<Arc<Below>>,
    decisions: HashMap<Question, (Option<Change>, Arc<Below>)>,
}

/// The address of what is handed down (one for each content), the kind, the descriptor.
type Question = (usize, bool, Box<[u8]>);

/// More different descriptors than this are not remembered.
const MOST_DECISIONS: usize = 10_000;

impl Known {
    fn handed_down(&mut self, entries: &Entries) -> Arc<Below> {
        let below = Below::of(entries);
        if let Some(known) = self.handed_down.iter().find(|known| ***known == below) {
            return Arc::clone(known);
        }
        let below = Arc::new(below);
        self.handed_down.push(Arc::clone(&below));
        below
    }
}

impl<S: Storage> Pass for Granting<'_, '_, '_, S> {
    type Below = Arc<Below>;
    const LOOKS_AT_ALL: bool = false;

    fn decide(&self, object: &Seen<'_>, from: &Arc<Below>) -> Decision<Arc<Below>> {
        let leave = |why| Decision { outcome: Outcome::Skip(why), below: None };
        if self.never.contains(&object.stat.object) || is_registry_hive(object) {
            return leave(Why::NeverGranted);
        }
        if object.stat.reparse.is_some_and(|tag| tag.kind() == ReparseKind::Placeholder) {
            return leave(Why::Placeholder);
        }
        let own = self.own.get(object.stat.object);
        let has_several_names = !object.stat.is_directory && object.stat.links > 1;
        let question = (Arc::as_ptr(from).addr(), object.stat.is_directory, object.security.into());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ordinary = own.is_empty() && !has_several_names;
        if is_ordinary && let Some((change, below)) = known.decisions.get(&question) {
            return decided(change.clone(), Arc::clone(below));
        }
        let Ok(descriptor) = SecurityDescriptor::from_bytes(object.security) else {
            return leave(Why::Malformed);
        };
        let kind = if object.stat.is_directory { ChildKind::Container } else { ChildKind::Leaf };
        let is_protected = descriptor.control.contains(DescriptorControl::DACL_PROTECTED);
        let mut wanted = Entries::wanted(own, from, kind, is_protected);
        if has_several_names && !own.is_empty() {
            // A denial for our SID alone harms no name; a grant might.
            wanted =
                descriptor.dacl.acl().map(|dacl| Entries::found(dacl, &self.sid)).unwrap_or_default().with_own(own);
        }
        match Change::to(&descriptor, &self.sid, &wanted) {
            Err(why) => leave(why),
            Ok(Some(_)) if has_several_names && own.is_empty() => Decision { outcome: Outcome::Postpone, below: None },
            Ok(change) => {
                let below = known.handed_down(&wanted);
                if is_ordinary && known.decisions.len() < MOST_DECISIONS {
                    known.decisions.insert(question, (change.clone(), Arc::clone(&below)));
                }
                decided(change, below)
            }
        }
    }

    fn journal(&mut self, edits: &[Edit<'_>]) -> Result<(), Error> {
        for edit in edits {
            self.writer.edit(edit.file, &edit.change.before, &edit.change.after, edit.path.to_owned())?;
        }
        self.writer.commit()
    }

    fn skip(&mut self, _: Option<FileId>, skipped: Skipped) -> Result<(), Error> {
        self.failed(skipped)
    }

    fn failed(&mut self, skipped: Skipped) -> Result<(), Error> {
        if skipped.path.is_empty() {
            self.root_failed = Some(skipped.why);
        }
        self.writer.skipped(skipped.clone())?;
        self.done.skipped.push(skipped);
        Ok(())
    }

    fn entered(&mut self, directory: FileId, below: &Arc<Below>) {
        self.directories.insert(directory, Arc::clone(below));
    }

    fn postpone(&mut self, file: FileId, path: String) {
        self.postponed.insert(file, path);
    }

    fn edited(&mut self) {
        self.done.edited += 1;
    }
}

impl<S: Storage> Granting<'_, '_, '_, S> {
    /// Grants the files with several names of which every one lies in a directory that the walk entered. The system is asked
    /// for the names, since counting them would be fooled by whoever renames one while the walk goes on.
    fn several_names<D: Disk>(&mut self, disk: &D, anchor: &D::Handle) -> Result<(), Error> {
        let postponed: Vec<(FileId, String)> = std::mem::take(&mut self.postponed).into_iter().collect();
        for chunk in postponed.chunks(OBJECTS) {
            let this = &*self;
            let looks = each(disk, chunk.len(), &|number| this.look_at_names(disk, anchor, &chunk[number]));
            let mut found = Vec::new();
            for (look, (_, path)) in looks.into_iter().zip(chunk) {
                match look {
                    Ok(Some(named)) => found.push(named),
                    Ok(None) => {}
                    Err(why) => self.failed(Skipped { path: path.clone(), why })?,
                }
            }
            let edits: Vec<Edit<'_>> = found.iter().map(Named::edit).collect();
            if !edits.is_empty() {
                self.journal(&edits)?;
            }
            let results = each(disk, found.len(), &|number| {
                let named = &found[number];
                set_unless_changed(disk, &named.handle, &named.security, &named.change)
            });
            for (result, named) in results.into_iter().zip(&found) {
                match result {
                    Ok(None) => self.edited(),
                    Ok(Some(_)) => self.failed(Skipped { path: named.path.to_owned(), why: Why::Changed })?,
                    Err(error) if error.status.is_gone() => {}
                    Err(error) => self.failed(Skipped { path: named.path.to_owned(), why: why(error) })?,
                }
            }
        }
        Ok(())
    }

    /// The edit of a file with several names, if it needs one and may have one.
    fn look_at_names<'f, D: Disk>(
        &self,
        disk: &D,
        anchor: &D::Handle,
        (file, path): &'f (FileId, String),
    ) -> Result<Option<Named<'f, D::Handle>>, Why> {
        let looked = || {
            let opened = open_id(disk, anchor, *file, EDIT)?;
            let parents = disk.parents(&opened.handle)?;
            let security = disk.security(&opened.handle)?;
            Ok((opened, parents, security))
        };
        let (mut opened, parents, security) = match looked() {
            Ok(looked) => looked,
            Err(error) => {
                let error: DiskError = error;
                return if error.status.is_gone() { Ok(None) } else { Err(why(error)) };
            }
        };
        let links = opened.stat.links;
        let mut handed_down = parents.iter().map(|parent| self.directories.get(parent));
        let from = match handed_down.next() {
            Some(Some(first))
                if u32::try_from(parents.len()) == Ok(links)
                    && handed_down.all(|other| other.is_some_and(|other| Arc::ptr_eq(other, first))) =>
            {
                first
            }
            _ => return Err(Why::HardLink { links }),
        };
        // From here on it is a file like any other.
        opened.stat.links = 1;
        let name = path.rsplit('\\').next().unwrap_or_default();
        let decision = self.decide(&Seen { name: name.as_ref(), stat: &opened.stat, security: &security }, from);
        match decision.outcome {
            Outcome::Edit(change) => Ok(Some(Named { file: *file, path, handle: opened.handle, security, change })),
            Outcome::Skip(why) => Err(why),
            Outcome::Keep | Outcome::Postpone => Ok(None),
        }
    }
}

/// A file with several names that is about to be edited.
struct Named<'f, H> {
    file: FileId,
    path: &'f str,
    handle: H,
    security: Vec<u8>,
    change: Change,
}

impl<H> Named<'_, H> {
    fn edit(&self) -> Edit<'_> {
        Edit { file: self.file, path: self.path, change: &self.change }
    }
}

fn decided(change: Option<Change>, below: Arc<Below>) -> Decision<Arc<Below>> {
    Decision { outcome: change.map_or(Outcome::Keep, Outcome::Edit), below: Some(below) }
}

/// The registry of a user: a foreign entry there keeps the user from signing in.
fn is_registry_hive(object: &Seen<'_>) -> bool {
    let name = object.name.to_string_lossy().to_ascii_lowercase();
    !object.stat.is_directory && (name.starts_with("ntuser.dat") || name.starts_with("usrclass.dat"))
}
