//! Where a git repository keeps what it executes.
//!
//! Code that is written into a repository's hooks or configuration runs later, outside every sandbox, with the next git
//! command of the user. So those are protected, while objects, references and the index stay writable: `git add`,
//! `commit`, `fetch` and `worktree` work. Layout: gitrepository-layout(5), git-worktree(1), gitsubmodules(7).

use std::path::{Path, PathBuf};

use crate::Error;

/// What would make a repository that a run brings into being execute code, or look for it elsewhere.
pub(crate) const NAMES_OF_A_NEW_REPOSITORY: &[&str] = &["commondir", "config", "config.worktree", "hooks"];

/// A repository of a workspace, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    /// The workspace's `.git`: a directory, or a file that names one.
    entry: PathBuf,
    /// The metadata of this working tree; `entry` itself unless that is a gitfile.
    directory: PathBuf,
    /// What all working trees of the repository share; `directory` unless this is a linked worktree.
    common: PathBuf,
}

/// Bound on nested submodules, so that a tree made to be deep cannot hold up a start.
const MODULES: usize = 256;

impl Repository {
    /// The repository whose working tree is `workspace`, if it is one and its parts point at each other.
    ///
    /// A gitfile comes with the project and could name any directory. It is believed only if the directory that it
    /// names points back at this workspace, which nobody but the user can have arranged.
    pub(crate) fn find(workspace: &Path) -> Result<Option<Self>, Error> {
        let entry = workspace.join(".git");
        let metadata = match std::fs::symlink_metadata(&entry) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(Error::Survey { path: entry, source });
            }
        };
        if metadata.is_dir() {
            return Ok(Some(Self { directory: entry.clone(), common: entry.clone(), entry }));
        }
        let unlinked = Self { directory: entry.clone(), common: entry.clone(), entry: entry.clone() };
        let Some(directory) = read_pointer(&entry, "gitdir: ").and_then(|path| canonical(workspace, &path)) else {
            return Ok(Some(unlinked));
        };
        if !points_back(&directory, &entry, workspace) {
            return Ok(Some(unlinked));
        }
        let common = read_pointer(&directory.join("commondir"), "").and_then(|path| canonical(&directory, &path));
        let common = match common {
            // A worktree's metadata lies at COMMON/worktrees/NAME; anything else is not git's doing.
            Some(common) if directory.parent() == Some(&common.join("worktrees")) => common,
            Some(_) => return Ok(Some(unlinked)),
            None => directory.clone(),
        };
        Ok(Some(Self { entry, directory, common }))
    }

    /// Directories that git must write; for an ordinary repository they lie in the workspace anyway.
    pub(crate) fn writable(&self) -> Vec<PathBuf> {
        if self.common == self.entry || self.directory == self.entry {
            return Vec::new();
        }
        vec![self.common.clone()]
    }

    /// Everything that git executes or that redirects it to something it executes.
    pub(crate) fn protected(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        if self.directory != self.entry || self.entry.is_file() {
            paths.push(self.entry.clone());
        }
        if self.directory.is_dir() {
            protect_directory(&self.directory, &mut paths);
            if self.common != self.directory {
                protect_directory(&self.common, &mut paths);
            }
            let mut budget = MODULES;
            self.protect_modules(&self.common.join("modules"), &mut paths, &mut budget);
            for worktree in children(&self.common.join("worktrees")) {
                paths.extend(["gitdir", "commondir", "config.worktree"].map(|name| worktree.join(name)));
            }
            let text = std::fs::read_to_string(self.common.join("config")).unwrap_or_default();
            let hooks = value_of(&text, "core", "hookspath");
            paths.extend(hooks.and_then(|hooks| canonical(self.workspace(), Path::new(&hooks))));
            // A file that the configuration includes is configuration too, wherever it lies.
            let included =
                values_of(&text, "path", |section| section == "include" || section.starts_with("includeif "));
            paths.extend(included.filter_map(|path| canonical(&self.common, Path::new(path))));
        }
        paths
    }

    fn workspace(&self) -> &Path {
        self.entry.parent().unwrap_or(&self.entry)
    }

    /// A submodule's metadata lies below `modules`, under its name, which may contain slashes; its working tree holds
    /// a gitfile that names it.
    fn protect_modules(&self, modules: &Path, paths: &mut Vec<PathBuf>, budget: &mut usize) {
        for module in children(modules) {
            if *budget == 0 {
                return;
            }
            *budget -= 1;
            if module.join("HEAD").is_file() {
                protect_directory(&module, paths);
                if let Some(tree) = worktree_of(&module) {
                    paths.push(tree.join(".git"));
                }
                self.protect_modules(&module.join("modules"), paths, budget);
            } else {
                self.protect_modules(&module, paths, budget);
            }
        }
    }
}

fn protect_directory(directory: &Path, paths: &mut Vec<PathBuf>) {
    // The list of steps of a rebase may contain commands to execute at `git rebase --continue`.
    const NAMES: [&str; 6] =
        ["hooks", "config", "config.worktree", "commondir", "gitdir", "rebase-merge/git-rebase-todo"];
    paths.extend(NAMES.map(|name| directory.join(name)));
}

/// A worktree's metadata names its gitfile; a submodule's names its working tree.
fn points_back(directory: &Path, entry: &Path, workspace: &Path) -> bool {
    if let Some(back) = read_pointer(&directory.join("gitdir"), "") {
        return canonical(directory, &back).is_some_and(|back| back == entry);
    }
    worktree_of(directory).is_some_and(|tree| tree == workspace)
}

fn worktree_of(module: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(module.join("config")).ok()?;
    canonical(module, Path::new(&value_of(&text, "core", "worktree")?))
}

/// The last value of a key in a section without a subsection.
fn value_of(text: &str, section: &str, key: &str) -> Option<String> {
    values_of(text, key, |header| header == section).last().map(str::to_owned)
}

/// The values of a key in git's configuration format (git-config(1)), in the sections that are asked for by their
/// lower-case headers. Reads unquoted values and quoted ones without escapes: more than enough for paths, and whatever it
/// cannot read is not granted anything.
fn values_of<'a>(text: &'a str, key: &'a str, wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
    let mut inside = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            inside = wanted(&header.trim_end_matches(']').trim().to_ascii_lowercase());
            return None;
        }
        let (name, value) = line.split_once('=').filter(|_| inside)?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim().trim_matches('"'))
    })
}

fn read_pointer(file: &Path, prefix: &str) -> Option<PathBuf> {
    let metadata = std::fs::symlink_metadata(file).ok()?;
    // A pointer is one short line; anything else is not read.
    if !metadata.is_file() || metadata.len() > 8192 {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    Some(PathBuf::from(text.strip_prefix(prefix)?.trim_end_matches(['\n', '\r'])))
}

fn canonical(base: &Path, path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(base.join(path)).ok()
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(MODULES)
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn real(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().canonicalize().unwrap()
    }

    #[test]
    fn an_ordinary_repository_needs_no_further_root() {
        let base = tempfile::tempdir().unwrap();
        let workspace = real(&base);
        write(&workspace.join(".git/HEAD"), "ref: refs/heads/main\n");
        let repository = Repository::find(&workspace).unwrap().unwrap();
        assert!(repository.writable().is_empty());
        assert!(repository.protected().contains(&workspace.join(".git/hooks")));
        assert!(repository.protected().contains(&workspace.join(".git/config")));
        assert!(repository.protected().contains(&workspace.join(".git/rebase-merge/git-rebase-todo")));
    }

    #[test]
    fn a_linked_worktree_grants_the_common_directory() {
        let base = tempfile::tempdir().unwrap();
        let (main, linked) = (real(&base).join("main"), real(&base).join("linked"));
        let metadata = main.join(".git/worktrees/linked");
        write(&main.join(".git/HEAD"), "x");
        write(&metadata.join("commondir"), "../..\n");
        write(&metadata.join("gitdir"), &format!("{}\n", linked.join(".git").display()));
        write(&linked.join(".git"), &format!("gitdir: {}\n", metadata.display()));
        let repository = Repository::find(&linked).unwrap().unwrap();
        assert_eq!(repository.writable(), [main.join(".git")]);
        for path in [linked.join(".git"), main.join(".git/hooks"), main.join(".git/config"), metadata.join("gitdir")] {
            assert!(repository.protected().contains(&path), "{}", path.display());
        }
    }

    #[test]
    fn a_gitfile_that_nothing_points_back_to_grants_nothing() {
        let base = tempfile::tempdir().unwrap();
        let (victim, project) = (real(&base).join("victim"), real(&base).join("project"));
        write(&victim.join("HEAD"), "x");
        write(&victim.join("commondir"), "..\n");
        write(&victim.join("gitdir"), &format!("{}\n", base.path().join("elsewhere/.git").display()));
        write(&project.join(".git"), &format!("gitdir: {}\n", victim.display()));
        let repository = Repository::find(&project).unwrap().unwrap();
        assert!(repository.writable().is_empty());
        assert_eq!(repository.protected(), [project.join(".git")]);
    }

    #[test]
    fn submodules_are_protected_where_their_metadata_lies() {
        let base = tempfile::tempdir().unwrap();
        let workspace = real(&base);
        let module = workspace.join(".git/modules/vendor/zlib");
        write(&workspace.join(".git/HEAD"), "x");
        write(&module.join("HEAD"), "x");
        write(&module.join("config"), "[core]\n\tworktree = ../../../../vendor/zlib\n");
        write(&workspace.join("vendor/zlib/.git"), "gitdir: ../../.git/modules/vendor/zlib\n");
        let protected = Repository::find(&workspace).unwrap().unwrap().protected();
        assert!(protected.contains(&module.join("hooks")));
        assert!(protected.contains(&workspace.join("vendor/zlib/.git")));
    }

    #[test]
    fn files_that_the_configuration_includes_are_protected() {
        let base = tempfile::tempdir().unwrap();
        let workspace = real(&base);
        let config =
            "[include]\n\tpath = ../shared.gitconfig\n[includeIf \"gitdir:/x/\"]\n\tpath = ../work.gitconfig\n";
        write(&workspace.join(".git/config"), config);
        write(&workspace.join("shared.gitconfig"), "");
        write(&workspace.join("work.gitconfig"), "");
        let protected = Repository::find(&workspace).unwrap().unwrap().protected();
        assert!(protected.contains(&workspace.join("shared.gitconfig")));
        assert!(protected.contains(&workspace.join("work.gitconfig")));
    }

    #[test]
    fn hooks_that_the_configuration_moves_are_protected_there() {
        let base = tempfile::tempdir().unwrap();
        let workspace = real(&base);
        write(&workspace.join(".git/config"), "[core]\n\thooksPath = .husky\n");
        write(&workspace.join(".husky/pre-commit"), "");
        let protected = Repository::find(&workspace).unwrap().unwrap().protected();
        assert!(protected.contains(&workspace.join(".husky")));
    }
}
