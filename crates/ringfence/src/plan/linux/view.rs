//! What a command sees: the mount steps of a plan, read as a table of places.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Attributes, LinuxPlan, MountStep};

/// What shows at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The host's object.
    Host(Attributes),
    /// A device node of the host.
    Device,
    /// Nothing but what is listed below it.
    OnlyListed,
    /// A directory of the run's own, empty at first.
    Empty,
    /// A file of the run's own in place of the host's.
    Own,
    /// The processes of the run.
    Processes,
    /// The terminals of the run.
    Terminals,
    /// An empty object in place of what the policy hides.
    Hidden,
}

/// Places, and what shows at each when every step was carried out.
type View = BTreeMap<PathBuf, Shown>;

impl LinuxPlan {
    /// The places where the command sees something else than above them. Empty for a plan without a view of its own.
    pub fn view(&self) -> BTreeMap<PathBuf, Shown> {
        let mut view = View::new();
        let mut held: BTreeMap<u32, View> = BTreeMap::new();
        for step in &self.mounts {
            match step {
                MountStep::Capture { slot, attributes, .. } => {
                    held.insert(*slot, View::from([(PathBuf::new(), Shown::Host(*attributes))]));
                }
                MountStep::Share { slot, path } => {
                    held.insert(*slot, part(&view, path));
                }
                MountStep::Place { slot, path } => {
                    view.retain(|inner, _| !inner.starts_with(path));
                    let places = held.get(slot).into_iter().flatten();
                    view.extend(places.map(|(inner, shown)| (below(path, inner), *shown)));
                }
                MountStep::LockHost => {
                    view.insert("/".into(), Shown::Host(Attributes { read_only: true }));
                }
                MountStep::EmptyRoot => view = View::from([("/".into(), Shown::OnlyListed)]),
                MountStep::Cover { path, .. } => {
                    view.insert(path.clone(), Shown::Hidden);
                }
                MountStep::Text { path, .. } => {
                    view.insert(path.clone(), Shown::Own);
                }
                MountStep::Device { path, .. } => {
                    view.insert(path.clone(), Shown::Device);
                }
                MountStep::Proc { path } => {
                    view.insert(path.clone(), Shown::Processes);
                }
                MountStep::Devpts { path } => {
                    view.insert(path.clone(), Shown::Terminals);
                }
                // Made inside what is listed already; everything that is shown of the tmpfs is placed by itself.
                MountStep::Tmpfs { .. }
                | MountStep::Directory { .. }
                | MountStep::File { .. }
                | MountStep::Symlink { .. }
                | MountStep::ReadOnly { .. }
                | MountStep::DetachHost => {}
            }
        }
        // A directory of the run's own inside one is nothing else than above it.
        let empty = |path: &Path| path.ancestors().skip(1).find_map(|above| view.get(above)) == Some(&Shown::Empty);
        let redundant =
            |(path, shown): (&PathBuf, &Shown)| (*shown == Shown::Empty && empty(path)).then(|| path.clone());
        for path in view.iter().filter_map(redundant).collect::<Vec<_>>() {
            view.remove(&path);
        }
        view
    }
}

/// As [`Path::join`], without a separator behind the path if nothing follows.
fn below(path: &Path, inner: &Path) -> PathBuf {
    if inner.as_os_str().is_empty() { path.to_owned() } else { path.join(inner) }
}

/// A part of the run's own tmpfs, with what is mounted in it.
fn part(view: &View, top: &Path) -> View {
    let inner = view.iter().filter_map(|(path, shown)| Some((path.strip_prefix(top).ok()?.to_owned(), *shown)));
    View::from_iter(std::iter::once((PathBuf::new(), Shown::Empty)).chain(inner))
}
