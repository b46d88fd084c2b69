//! Changing a protected path inside a write root.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Evidence, Probe};
use crate::sys::files;

pub(crate) const PROBES: &[Probe] = &[
    protect("hook-create", "Creates a hook.", |t| overwrite(t, ".git/hooks/post-commit")),
    protect("hook-overwrite", "Writes into an existing hook.", |t| overwrite(t, ".git/hooks/pre-commit")),
    protect("hook-delete", "Deletes an existing hook and makes it anew.", |t| {
        fs::remove_file(t.join("workspace", ".git/hooks/pre-commit")?)?;
        overwrite(t, ".git/hooks/pre-commit")
    }),
    protect("hook-hard-link", "Links a hook to another name and writes there.", |t| {
        let alias = t.join("workspace", "hook-alias")?;
        fs::hard_link(t.join("workspace", ".git/hooks/pre-commit")?, &alias)?;
        overwrite(t, "hook-alias")
    }),
    protect("hook-rename-over", "Renames a file over a hook.", |t| rename_over(t, ".git/hooks/pre-commit")),
    protect("hooks-replace", "Renames the hooks directory away and makes it anew.", |t| {
        fs::rename(t.join("workspace", ".git/hooks")?, t.join("workspace", ".git/hooks-away")?)?;
        fs::create_dir(t.join("workspace", ".git/hooks")?)?;
        overwrite(t, ".git/hooks/pre-commit")
    }),
    protect("hooks-symlink", "Replaces the hooks directory by a symbolic link.", |t| {
        fs::remove_dir_all(t.join("workspace", ".git/hooks")?)?;
        Ok(done(symlink("../evil", t.join("workspace", ".git/hooks")?)?))
    }),
    protect("repository-rename", "Renames .git away and makes one of its own.", |t| {
        fs::rename(t.join("workspace", ".git")?, t.join("workspace", ".git-away")?)?;
        fs::create_dir_all(t.join("workspace", ".git/hooks")?)?;
        overwrite(t, ".git/hooks/pre-commit")
    }),
    protect("repository-exchange", "Exchanges .git with a directory of its own.", |t| {
        let own = t.join("workspace", "own-git")?;
        fs::create_dir_all(own.join("hooks")).map_err(Failure::preparing("own-git"))?;
        Ok(done(files::exchange(&own, &t.join("workspace", ".git")?)?))
    }),
    protect("config-append", "Appends to .git/config.", |t| append(t, ".git/config")),
    protect("config-rename-over", "Renames a file over .git/config, as git itself does.", |t| {
        rename_over(t, ".git/config")
    }),
    protect("config-exchange", "Exchanges .git/config with a file of its own.", |t| {
        Ok(done(files::exchange(&t.join("workspace", "main.c")?, &t.join("workspace", ".git/config")?)?))
    }),
    protect("config-symlink", "Replaces .git/config by a symbolic link.", |t| {
        let config = t.join("workspace", ".git/config")?;
        fs::remove_file(&config)?;
        Ok(done(symlink("../evil-config", config)?))
    }),
    protect("config-through-own-root", "Appends to .git/config through /proc/self/root.", |t| {
        let path = super::write::below(Path::new("/proc/self/root"), &t.join("workspace", ".git/config")?);
        Ok(done(fs::OpenOptions::new().append(true).open(path)?.write_all(b"[core]\n")?))
    }),
    protect("config-truncate", "Truncates .git/config.", |t| {
        Ok(done(files::truncate(&t.join("workspace", ".git/config")?, 0)?))
    }),
    protect("gitfile-write", "Writes into the gitfile of a submodule.", |t| overwrite(t, "sub/.git")),
    protect("gitfile-replace", "Replaces the gitfile of a submodule by a directory.", |t| {
        fs::remove_file(t.join("workspace", "sub/.git")?)?;
        Ok(done(fs::create_dir_all(t.join("workspace", "sub/.git/hooks")?)?))
    }),
    protect("module-hook", "Creates a hook of a submodule.", |t| overwrite(t, ".git/modules/sub/hooks/post-checkout")),
    protect("module-config", "Appends to the configuration of a submodule.", |t| append(t, ".git/modules/sub/config")),
    protect("module-rename", "Renames the submodule's repository away and makes it anew.", |t| {
        let module = t.join("workspace", ".git/modules/sub")?;
        fs::rename(&module, t.join("workspace", ".git/modules/away")?)?;
        fs::create_dir_all(module.join("hooks"))?;
        overwrite(t, ".git/modules/sub/hooks/post-checkout")
    }),
    protect("editor-task", "Creates a task of the editor.", |t| overwrite(t, ".vscode/tasks.json")),
    protect("editor-settings", "Writes into the editor's settings.", |t| overwrite(t, ".vscode/settings.json")),
    protect("editor-rename", "Renames the editor's directory away and makes it anew.", |t| {
        fs::rename(t.join("workspace", ".vscode")?, t.join("workspace", ".vscode-away")?)?;
        fs::create_dir(t.join("workspace", ".vscode")?)?;
        overwrite(t, ".vscode/settings.json")
    }),
];

const fn protect(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Protect, tries, run).evidence(Evidence::ProtectedChanged)
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

fn overwrite(targets: &Targets, relative: &str) -> Attempt {
    Ok(done(fs::write(targets.join("workspace", relative)?, "#!/bin/sh\n# planted\n")?))
}

fn append(targets: &Targets, relative: &str) -> Attempt {
    let mut file = fs::OpenOptions::new().append(true).open(targets.join("workspace", relative)?)?;
    Ok(done(file.write_all(b"[core]\n\thooksPath = evil\n")?))
}

fn rename_over(targets: &Targets, relative: &str) -> Attempt {
    let planted = targets.join("workspace", "planted")?;
    fs::write(&planted, "planted").map_err(Failure::preparing("planted"))?;
    Ok(done(fs::rename(planted, targets.join("workspace", relative)?)?))
}
