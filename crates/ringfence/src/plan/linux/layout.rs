//! The file system that the command sees, as an ordered list of mounts.
//!
//! First a layout is made: which object lies at which path, where a deeper path wins over a shallower one. Then it is
//! written down as steps. Everything that stays is captured before the host is locked, and placed after it, so that no
//! step depends on a lock being lifted again.

use std::collections::BTreeMap;
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
    /// Takes hold of a directory of the run's own, to be placed later.
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
    /// Shows a file of the run's own in place of the host's.
    Show {
        /// What is shown.
        file: PathBuf,
        /// In place of what.
        path: PathBuf,
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
        /// Whether it is a directory.
        directory: bool,
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
    /// Device nodes work; only for the handful that every program may use.
    pub devices: bool,
}

/// Device nodes that every run has.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// Where the tmpfs lies that the fresh directories are parts of.
const SCRATCH: &str = "/tmp";

/// The read-only directory in which the empty directory and the empty file lie that cover hidden paths.
const RUN: &str = "/run";
/// The empty directory.
pub(crate) const EMPTY_DIRECTORY: &str = "/run/.ringfence/directory";
/// The empty file.
pub(crate) const EMPTY_FILE: &str = "/run/.ringfence/file";

/// Where texts of the run's own lie that are shown in place of files of the host.
const TEXTS: &str = "/run/.ringfence";

/// Parts of the process file system that show the host's memory and keys to the superuser.
const PROC_SECRET: &[&str] = &["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kpagecount", "/proc/kpageflags"];

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layer {
    Tmpfs { mode: u32 },
    Proc,
    Dev,
    Host { identity: Option<Identity>, directory: bool, attributes: Attributes },
    Symlink { target: PathBuf },
    Text { content: String },
    Hidden { directory: bool, optional: bool },
}

type Layout = BTreeMap<PathBuf, Layer>;

const READ_ONLY: Attributes = Attributes { read_only: true, devices: false };
const WRITABLE: Attributes = Attributes { read_only: false, devices: false };

/// The steps that build what the command sees.
pub(super) fn steps(policy: &Policy, survey: &Survey, uid: u32) -> Vec<MountStep> {
    let layout = layout(policy, survey);
    Steps {
        layout: &layout,
        empty_root: survey.read.is_some(),
        superuser: uid == 0,
        slots: 0,
        fresh: BTreeMap::new(),
        captures: vec![],
        places: vec![],
    }
    .write_down()
}

fn layout(policy: &Policy, survey: &Survey) -> Layout {
    let mut layout = Layout::new();
    layout.insert("/tmp".into(), Layer::Tmpfs { mode: 0o1777 });
    // Behind an empty root it is made; on the host it may be missing, or a link into the other one.
    if survey.read.is_some() || survey.fresh.iter().any(|path| path == Path::new(VAR_TMP)) {
        layout.insert(VAR_TMP.into(), Layer::Tmpfs { mode: 0o1777 });
    }
    layout.insert(RUN.into(), Layer::Tmpfs { mode: 0o755 });
    layout.insert("/dev".into(), Layer::Dev);
    layout.insert("/proc".into(), Layer::Proc);
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
        for entry in &survey.runtime {
            match entry {
                RuntimePath::Directory(place) => layout.insert(place.path.clone(), Layer::host(place, READ_ONLY)),
                RuntimePath::Symlink(path, target) => {
                    layout.insert(path.clone(), Layer::Symlink { target: target.clone() })
                }
            };
        }
        for place in roots {
            layout.insert(place.path.clone(), Layer::host(place, READ_ONLY));
        }
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
        Some(Layer::Hidden { .. } | Layer::Tmpfs { .. } | Layer::Dev | Layer::Proc | Layer::Symlink { .. }) => false,
        None => survey.read.is_none(),
    };
    layout.retain(|inner, _| !inner.starts_with(path));
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

/// Writes a layout down.
struct Steps<'a> {
    layout: &'a Layout,
    empty_root: bool,
    superuser: bool,
    slots: u32,
    /// The slot of each directory that the run gets fresh.
    fresh: BTreeMap<&'a Path, u32>,
    captures: Vec<MountStep>,
    places: Vec<MountStep>,
}

impl<'a> Steps<'a> {
    fn write_down(mut self) -> Vec<MountStep> {
        self.share_fresh_directories();
        let (first, rest): (Vec<_>, Vec<_>) = self.layout.iter().partition(|(path, _)| path.starts_with(RUN));
        // The covers come first: everything hidden is bound from them. They are read-only before they are used, since
        // a bind mount takes the flag over.
        first.into_iter().for_each(|(path, layer)| self.add(path, layer));
        let covers = Path::new(EMPTY_DIRECTORY);
        for directory in [covers.parent().unwrap_or(covers), covers] {
            self.places.push(MountStep::Directory { path: directory.to_owned(), mode: 0o555 });
        }
        self.places.push(MountStep::File { path: EMPTY_FILE.into() });
        for (path, layer) in self.layout {
            if let (Layer::Text { content }, None) = (layer, self.made_in(path)) {
                self.places.push(MountStep::Text { path: text_for(path), content: content.clone() });
            }
        }
        self.places.push(MountStep::ReadOnly { path: RUN.into() });
        rest.into_iter().for_each(|(path, layer)| self.add(path, layer));
        let mut steps = self.captures;
        steps.push(if self.empty_root { MountStep::EmptyRoot } else { MountStep::LockHost });
        steps.append(&mut self.places);
        if self.empty_root {
            steps.extend([MountStep::DetachHost, MountStep::ReadOnly { path: "/".into() }]);
        }
        steps
    }

    fn add(&mut self, path: &Path, layer: &Layer) {
        let top = self.made_in(path);
        if let Some(top) = top {
            make_target(top, path, layer, &mut self.places);
        }
        match layer {
            Layer::Tmpfs { .. } => self.place_fresh(path),
            Layer::Proc => self.proc(path),
            Layer::Dev => {
                self.place_fresh(path);
                self.device(path);
            }
            Layer::Symlink { target } => {
                self.places.push(MountStep::Symlink { path: path.to_owned(), target: target.clone() });
            }
            Layer::Text { content } => self.places.push(match top {
                Some(_) => MountStep::Text { path: path.to_owned(), content: content.clone() },
                None => MountStep::Show { file: text_for(path), path: path.to_owned() },
            }),
            Layer::Hidden { directory, optional } => {
                let (directory, optional) = (*directory, *optional);
                self.places.push(MountStep::Cover { path: path.to_owned(), directory, optional });
            }
            Layer::Host { identity, attributes, .. } => self.keep(path, *identity, true, *attributes),
        }
    }

    /// The directory of the run's own in which the target at a path must be made. One on the host is there, since it is
    /// the object itself.
    fn made_in(&self, path: &Path) -> Option<&'a Path> {
        match path.ancestors().skip(1).find_map(|above| self.layout.get_key_value(above)) {
            Some((top, Layer::Tmpfs { .. } | Layer::Dev)) => Some(top.as_path()),
            None if self.empty_root => Some(Path::new("/")),
            _ => None,
        }
    }

    /// Makes the one tmpfs, with a directory in it for each that the run gets fresh. It lies where one of them will
    /// cover it.
    fn share_fresh_directories(&mut self) {
        if self.empty_root {
            self.places.push(MountStep::Directory { path: SCRATCH.into(), mode: 0o755 });
        }
        self.places.push(MountStep::Tmpfs { path: SCRATCH.into(), mode: 0o755 });
        for (path, layer) in self.layout {
            let mode = match layer {
                Layer::Tmpfs { mode } => *mode,
                Layer::Dev => 0o755,
                _ => continue,
            };
            let slot = self.next_slot();
            let part = Path::new(SCRATCH).join(slot.to_string());
            self.places.push(MountStep::Directory { path: part.clone(), mode });
            self.places.push(MountStep::Share { slot, path: part });
            self.fresh.insert(path, slot);
        }
    }

    fn place_fresh(&mut self, path: &Path) {
        if let Some(slot) = self.fresh.get(path) {
            self.places.push(MountStep::Place { slot: *slot, path: path.to_owned() });
        }
    }

    fn next_slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    /// Captures an object of the host and places it where it was.
    fn keep(&mut self, path: &Path, identity: Option<Identity>, recursive: bool, attributes: Attributes) {
        let slot = self.next_slot();
        self.captures.push(MountStep::Capture { slot, path: path.to_owned(), identity, recursive, attributes });
        self.places.push(MountStep::Place { slot, path: path.to_owned() });
    }

    fn proc(&mut self, path: &Path) {
        self.places.push(MountStep::Proc { path: path.to_owned() });
        // Files of the kernel's settings check for the superuser by id, not by capability, and the id is the real one.
        if self.superuser {
            self.places.push(MountStep::ReadOnly { path: path.to_owned() });
            let cover = |path: &&str| MountStep::Cover { path: path.into(), directory: false, optional: true };
            self.places.extend(PROC_SECRET.iter().map(cover));
        }
    }

    fn device(&mut self, path: &Path) {
        for name in DEVICES {
            let node = path.join(name);
            self.places.push(MountStep::File { path: node.clone() });
            self.keep(&node, None, false, Attributes { read_only: false, devices: true });
        }
        let links =
            [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx")];
        for (name, target) in links {
            self.places.push(MountStep::Symlink { path: path.join(name), target: target.into() });
        }
        self.places.push(MountStep::Directory { path: path.join("shm"), mode: 0o1777 });
        self.places.push(MountStep::Directory { path: path.join("pts"), mode: 0o755 });
        self.places.push(MountStep::Devpts { path: path.join("pts") });
    }
}

/// Where the text lies that is shown at a path.
fn text_for(path: &Path) -> PathBuf {
    Path::new(TEXTS).join(path.file_name().unwrap_or_default())
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
