//! The file system that the command sees, as an ordered list of mounts.
//!
//! First a layout is made: which object lies at which path, where a deeper path wins over a shallower one. Then it is
//! written down as steps. Everything that stays is captured before the host is locked, and placed after it, so that no
//! step depends on a lock being lifted again.
//!
//! What every run gets fresh does not depend on the policy, so those steps come first: a process can carry them out
//! before its policy was read ([`opening`]).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use ringfence_policy::{NetworkMode, Policy};
use serde::{Deserialize, Serialize};

use crate::survey::{Identity, NameFile, Place, RuntimePath, Survey, VAR_TMP};

/// One operation on the mount table of the command's own mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum MountStep {
    /// Takes hold of an object of the host (`open_tree(2)`), to be placed later.
    Capture {
        /// Number under which it is placed.
        slot: u32,
        /// Where it is.
        path: PathBuf,
        /// Which object it must be; a swapped one fails the start.
        identity: Option<Identity>,
        /// Whether mounts below it come along.
        recursive: bool,
        /// What is set on it.
        attributes: Attributes,
    },
    /// Makes everything read-only, without devices and without set-user-ID, and cuts propagation (`mount_setattr(2)`).
    LockHost,
    /// Makes an empty root of its own, in which only what is placed can be seen (`pivot_root(2)`).
    EmptyRoot,
    /// Lets go of the host's root; the last step after [`MountStep::EmptyRoot`], since the kernel gives a process file
    /// system only to who can still see one.
    DetachHost,
    /// Mounts an empty tmpfs; the directories that the run gets fresh are parts of it, since one file system is quicker
    /// to make and to end than four.
    Tmpfs {
        /// Where.
        path: PathBuf,
        /// Mode of its top directory.
        mode: u32,
    },
    /// Takes hold of a part of the run's own tmpfs with everything mounted below it, to be placed later.
    Share {
        /// Number under which it is placed.
        slot: u32,
        /// Where it is.
        path: PathBuf,
    },
    /// Mounts the process file system of the PID namespace.
    Proc {
        /// Where.
        path: PathBuf,
    },
    /// Mounts a terminal file system of its own.
    Devpts {
        /// Where.
        path: PathBuf,
    },
    /// Shows a device node of the host at a file of the run's own (a bind mount).
    Device {
        /// The node.
        node: PathBuf,
        /// Where it shows.
        path: PathBuf,
    },
    /// Makes a directory in a tmpfs of the run; one that exists is fine.
    Directory {
        /// Where.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Makes an empty file in a tmpfs of the run.
    File {
        /// Where.
        path: PathBuf,
    },
    /// Makes a file with this text in a tmpfs of the run.
    Text {
        /// Where.
        path: PathBuf,
        /// What it says.
        content: String,
    },
    /// Makes a symbolic link in a tmpfs of the run.
    Symlink {
        /// Where.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// Places what was captured (`move_mount(2)`).
    Place {
        /// Number under which it was captured.
        slot: u32,
        /// Where it goes.
        path: PathBuf,
    },
    /// Covers a path with an empty directory or file.
    Cover {
        /// What is covered.
        path: PathBuf,
        /// The empty directory or file.
        with: PathBuf,
        /// Whether it may be missing.
        optional: bool,
    },
    /// Makes one mount read-only.
    ReadOnly {
        /// Which mount.
        path: PathBuf,
    },
}

/// Attributes of a mount (`mount_setattr(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Nothing can be written.
    pub read_only: bool,
}

/// Device nodes that every run has.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// Where the run's own tmpfs lies while it is filled; the process file system covers it in the end.
const SCRATCH: &str = "/proc";

/// What every run gets fresh: where it goes, which part of the tmpfs it is, and the mode of its top directory.
const FRESH_PARTS: [(&str, &str, u32); 5] = [
    ("/dev", "/proc/dev", 0o755),
    (RUN, "/proc/run", 0o755),
    ("/tmp", "/proc/tmp", 0o1777),
    (VAR_TMP, "/proc/var-tmp", 0o1777),
    ("/proc", "/proc/proc", 0o555),
];

/// Made read-only once what lies in it is made: nothing can be planted among the sockets of services.
const RUN: &str = "/run";

/// The directory, read-only from the start, with the empty directory and the empty file that cover hidden paths; a bind
/// mount takes the flag over.
const COVERS: &str = "/run/.ringfence";
/// The same as long as the tmpfs is being filled.
const COVERS_IN_SCRATCH: &str = "/proc/run/.ringfence";

/// The part of the tmpfs with texts of the run's own that are shown in place of files of the host.
const TEXTS: &str = "/proc/texts";

/// Parts of the process file system that show the host's memory and keys to the superuser.
const PROC_SECRET: &[&str] = &["kcore", "keys", "timer_list", "kpagecount", "kpageflags"];

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layer {
    Fresh,
    Host { identity: Option<Identity>, directory: bool, attributes: Attributes },
    Symlink { target: PathBuf },
    Text { content: String },
    Hidden { directory: bool, optional: bool },
}

type Layout = BTreeMap<PathBuf, Layer>;

const READ_ONLY: Attributes = Attributes { read_only: true };
const WRITABLE: Attributes = Attributes { read_only: false };

/// The steps that build what the command sees.
pub(super) fn steps(policy: &Policy, survey: &Survey, uid: u32) -> Vec<MountStep> {
    let layout = layout(policy, survey);
    let texts = BTreeMap::new();
    Steps { layout: &layout, slots: FIRST_FREE_SLOT, texts, captures: vec![], places: vec![] }
        .write_down(uid, survey.read.is_some())
}

/// The steps that come first whatever the policy says.
pub(super) fn opening(uid: u32) -> Vec<MountStep> {
    let mut steps = Vec::with_capacity(64);
    fill_scratch(uid == 0, &mut steps);
    steps
}

fn layout(policy: &Policy, survey: &Survey) -> Layout {
    let mut layout = Layout::new();
    for (path, ..) in FRESH_PARTS {
        // Behind an empty root it is made; on the host it may be missing, or a link into the other one.
        if path != VAR_TMP || survey.read.is_some() || survey.fresh.iter().any(|fresh| fresh == Path::new(VAR_TMP)) {
            layout.insert(path.into(), Layer::Fresh);
        }
    }
    match policy.network.mode.value {
        NetworkMode::Off => {}
        NetworkMode::Open => {
            for place in &survey.resolver {
                layout.insert(place.path.clone(), Layer::host(place, READ_ONLY));
            }
        }
        NetworkMode::Allowlist => {
            for NameFile { path, content } in &survey.names {
                layout.insert(path.clone(), Layer::Text { content: content.clone() });
            }
        }
    }
    if let Some(roots) = &survey.read {
        let links = survey.runtime.iter().filter_map(|entry| match entry {
            RuntimePath::Symlink(path, target) => Some((path.clone(), Layer::Symlink { target: target.clone() })),
            RuntimePath::Directory(_) => None,
        });
        layout.extend(links);
        let runtime = survey.runtime.iter().filter_map(|entry| match entry {
            RuntimePath::Directory(place) => Some(place),
            RuntimePath::Symlink(..) => None,
        });
        // A list says what is readable, and the run's own directories are: the host's processes and devices never are.
        let own = |place: &&Place| place.path.starts_with("/proc") || layout.get(&place.path) == Some(&Layer::Fresh);
        let shown: Vec<&Place> = runtime.chain(roots).filter(|place| !own(place)).collect();
        layout.extend(shown.into_iter().map(|place| (place.path.clone(), Layer::host(place, READ_ONLY))));
    }
    for place in &survey.write {
        layout.insert(place.path.clone(), Layer::host(place, WRITABLE));
    }
    for place in &survey.allowed_sockets {
        layout.insert(place.path.clone(), Layer::host(place, READ_ONLY));
    }
    for place in &survey.protect {
        pin_ancestors(&mut layout, survey, &place.path);
        layout.insert(place.path.clone(), Layer::host(place, READ_ONLY));
    }
    for path in &survey.sockets {
        // A socket that is gone by the time of the run has nobody behind it.
        hide(&mut layout, survey, path, Layer::Hidden { directory: false, optional: true });
    }
    for place in &survey.hide {
        hide(&mut layout, survey, &place.path, Layer::Hidden { directory: place.directory, optional: false });
    }
    layout
}

/// A hidden path needs a cover only where the host would show through.
fn hide(layout: &mut Layout, survey: &Survey, path: &Path, cover: Layer) {
    let visible = match nearest(layout, path) {
        // A text that is not shown any more would leave the host's file.
        Some(Layer::Host { .. } | Layer::Text { .. }) => true,
        Some(Layer::Hidden { .. } | Layer::Fresh | Layer::Symlink { .. }) => false,
        None => survey.read.is_none(),
    };
    // What lies below a path follows it.
    let from = (Bound::Included(path), Bound::Unbounded);
    let below = layout.range::<Path, _>(from).map(|(inner, _)| inner).take_while(|inner| inner.starts_with(path));
    for inner in below.cloned().collect::<Vec<_>>() {
        layout.remove(&inner);
    }
    if visible {
        pin_ancestors(layout, survey, path);
        layout.insert(path.to_owned(), cover);
    }
}

/// A directory above a mount can still be renamed, and another one put in its place, unless it is a mount itself: then
/// the kernel answers EBUSY. So every directory between a write root and what lies fixed inside it becomes one.
fn pin_ancestors(layout: &mut Layout, survey: &Survey, path: &Path) {
    let Some(root) = survey.write.iter().find(|root| path.starts_with(&root.path)) else {
        return;
    };
    for ancestor in path.ancestors().skip(1).take_while(|ancestor| *ancestor != root.path) {
        let pin = Layer::Host { identity: None, directory: true, attributes: WRITABLE };
        layout.entry(ancestor.to_owned()).or_insert(pin);
    }
}

/// The layer that shows at a path: its own, or that of the nearest directory above it.
fn nearest<'a>(layout: &'a Layout, path: &Path) -> Option<&'a Layer> {
    path.ancestors().find_map(|ancestor| layout.get(ancestor))
}

impl Layer {
    fn host(place: &Place, attributes: Attributes) -> Self {
        Self::Host { identity: Some(place.identity), directory: place.directory, attributes }
    }
}

/// The slot of the mount that makes the covers read-only.
const COVERS_SLOT: u32 = 0;
/// The slot of the first of [`FRESH_PARTS`].
const FRESH_SLOT: u32 = COVERS_SLOT + 1;
/// The first slot that the opening does not use.
const FIRST_FREE_SLOT: u32 = FRESH_SLOT + FRESH_PARTS.len() as u32;

/// Makes the one tmpfs and everything in it that every run gets, and takes hold of its parts.
fn fill_scratch(superuser: bool, steps: &mut Vec<MountStep>) {
    steps.push(MountStep::Tmpfs { path: SCRATCH.into(), mode: 0o755 });
    let directory = |path: PathBuf, mode| MountStep::Directory { path, mode };
    steps.extend(FRESH_PARTS.map(|(_, part, mode)| directory(part.into(), mode)));
    fill_devices(Path::new("/proc/dev"), steps);
    let covers = Path::new(COVERS_IN_SCRATCH);
    steps.extend([covers.to_owned(), empty(covers, true)].map(|path| directory(path, 0o555)));
    steps.extend([
        MountStep::File { path: empty(covers, false) },
        MountStep::Share { slot: COVERS_SLOT, path: covers.to_owned() },
        MountStep::Place { slot: COVERS_SLOT, path: covers.to_owned() },
        MountStep::ReadOnly { path: covers.to_owned() },
    ]);
    let proc = Path::new("/proc/proc");
    steps.push(MountStep::Proc { path: proc.to_owned() });
    // Files of the kernel's settings check for the superuser by id, not by capability, and the id is the real one.
    if superuser {
        steps.push(MountStep::ReadOnly { path: proc.to_owned() });
        let with = empty(covers, false);
        let cover = |name: &&str| MountStep::Cover { path: proc.join(name), with: with.clone(), optional: true };
        steps.extend(PROC_SECRET.iter().map(cover));
    }
    steps.extend(
        (FRESH_SLOT..).zip(FRESH_PARTS).map(|(slot, (_, part, _))| MountStep::Share { slot, path: part.into() }),
    );
}

fn fill_devices(top: &Path, steps: &mut Vec<MountStep>) {
    for name in DEVICES {
        let (node, path) = (Path::new("/dev").join(name), top.join(name));
        steps.extend([MountStep::File { path: path.clone() }, MountStep::Device { node, path }]);
    }
    let links =
        [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx")];
    for (name, target) in links {
        steps.push(MountStep::Symlink { path: top.join(name), target: target.into() });
    }
    steps.push(MountStep::Directory { path: top.join("shm"), mode: 0o1777 });
    steps.push(MountStep::Directory { path: top.join("pts"), mode: 0o755 });
    steps.push(MountStep::Devpts { path: top.join("pts") });
}

/// The empty object that covers a directory or a file.
fn empty(covers: &Path, directory: bool) -> PathBuf {
    covers.join(if directory { "directory" } else { "file" })
}

/// Writes a layout down.
struct Steps<'a> {
    layout: &'a Layout,
    slots: u32,
    /// The slot of each text that is shown over a file of the host.
    texts: BTreeMap<&'a Path, u32>,
    captures: Vec<MountStep>,
    places: Vec<MountStep>,
}

impl<'a> Steps<'a> {
    fn write_down(mut self, uid: u32, empty_root: bool) -> Vec<MountStep> {
        let top = empty_root.then(|| Path::new("/"));
        self.write_texts(top);
        // What covers hidden paths is used by all the others.
        let (in_run, others): (Vec<_>, Vec<_>) = self.layout.iter().partition(|(path, _)| path.starts_with(RUN));
        in_run.into_iter().for_each(|(path, layer)| self.add(path, layer, top));
        self.places.push(MountStep::ReadOnly { path: RUN.into() });
        others.into_iter().for_each(|(path, layer)| self.add(path, layer, top));
        let mut steps = opening(uid);
        steps.append(&mut self.captures);
        if empty_root {
            steps.push(MountStep::EmptyRoot);
            steps.append(&mut self.places);
            steps.extend([MountStep::DetachHost, MountStep::ReadOnly { path: "/".into() }]);
        } else {
            steps.push(MountStep::LockHost);
            steps.append(&mut self.places);
        }
        steps
    }

    /// Writes the texts that are shown over files of the host, and takes hold of them.
    fn write_texts(&mut self, top: Option<&'a Path>) {
        for (path, layer) in self.layout {
            let Layer::Text { content } = layer else {
                continue;
            };
            if self.made_in(path, top).is_some() {
                continue;
            }
            if self.texts.is_empty() {
                self.captures.push(MountStep::Directory { path: TEXTS.into(), mode: 0o755 });
            }
            let slot = self.next_slot();
            let file = Path::new(TEXTS).join(slot.to_string());
            self.captures.push(MountStep::Text { path: file.clone(), content: content.clone() });
            self.captures.push(MountStep::Share { slot, path: file });
            self.texts.insert(path, slot);
        }
    }

    fn add(&mut self, path: &Path, layer: &Layer, top: Option<&'a Path>) {
        let top = self.made_in(path, top);
        if let Some(top) = top {
            make_target(top, path, layer, &mut self.places);
        }
        match layer {
            Layer::Fresh => {
                let parts = (FRESH_SLOT..).zip(FRESH_PARTS);
                let part = parts.filter(|(_, (fresh, ..))| path == Path::new(fresh));
                self.places.extend(part.map(|(slot, _)| MountStep::Place { slot, path: path.to_owned() }));
            }
            Layer::Symlink { target } => {
                self.places.push(MountStep::Symlink { path: path.to_owned(), target: target.clone() });
            }
            Layer::Text { content } => match self.texts.get(path) {
                Some(slot) => self.places.extend([
                    MountStep::Place { slot: *slot, path: path.to_owned() },
                    MountStep::ReadOnly { path: path.to_owned() },
                ]),
                None => self.places.push(MountStep::Text { path: path.to_owned(), content: content.clone() }),
            },
            Layer::Hidden { directory, optional } => {
                let with = empty(Path::new(COVERS), *directory);
                self.places.push(MountStep::Cover { path: path.to_owned(), with, optional: *optional });
            }
            Layer::Host { identity, attributes, .. } => self.keep(path, *identity, *attributes),
        }
    }

    /// The directory of the run's own in which the target at a path must be made. One on the host is there, since it is
    /// the object itself.
    fn made_in(&self, path: &Path, top: Option<&'a Path>) -> Option<&'a Path> {
        match path.ancestors().skip(1).find_map(|above| self.layout.get_key_value(above)) {
            Some((fresh, Layer::Fresh)) => Some(fresh.as_path()),
            None => top,
            _ => None,
        }
    }

    fn next_slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    /// Captures an object of the host, with what is mounted below it, and places it where it was.
    fn keep(&mut self, path: &Path, identity: Option<Identity>, attributes: Attributes) {
        let slot = self.next_slot();
        self.captures.push(MountStep::Capture { slot, path: path.to_owned(), identity, recursive: true, attributes });
        self.places.push(MountStep::Place { slot, path: path.to_owned() });
    }
}

fn make_target(top: &Path, path: &Path, layer: &Layer, steps: &mut Vec<MountStep>) {
    let mut between: Vec<&Path> = path.ancestors().skip(1).take_while(|ancestor| *ancestor != top).collect();
    between.reverse();
    for ancestor in between {
        steps.push(MountStep::Directory { path: ancestor.to_owned(), mode: 0o755 });
    }
    match layer {
        Layer::Symlink { .. } | Layer::Text { .. } => {}
        Layer::Host { directory: false, .. } => steps.push(MountStep::File { path: path.to_owned() }),
        Layer::Hidden { directory: false, .. } => steps.push(MountStep::File { path: path.to_owned() }),
        _ => steps.push(MountStep::Directory { path: path.to_owned(), mode: 0o755 }),
    }
}

#[cfg(test)]
mod tests;
