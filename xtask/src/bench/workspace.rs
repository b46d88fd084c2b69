//! The files that measurements work on, made the same way each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::contestant::Setting;

/// How many files the recursive grep reads.
pub(crate) const FILES: usize = 3_000;
/// A word that stands in some of the lines.
pub(crate) const WORD: &str = "needle";

/// Makes a repository with [`FILES`] files, and a state directory beside it; both are new.
pub(crate) fn make(directory: &Path) -> Result<Setting> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    let setting = Setting { workspace: directory.join("workspace"), state: directory.join("state") };
    fs::create_dir_all(&setting.workspace).with_context(|| format!("cannot make {}", directory.display()))?;
    // A project is nearly always a repository, and its protected paths are a part of the cost. Without git there is none.
    let _ = Command::new("git").args(["init", "--quiet"]).current_dir(&setting.workspace).status();
    for number in 0..FILES {
        let path = file(&setting.workspace, number);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text(number)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(setting)
}

/// The path of a file, six directories deep.
pub(crate) fn file(workspace: &Path, number: usize) -> PathBuf {
    let (package, module) = (number / 100, number / 10 % 10);
    workspace.join(format!("packages/{package:02}/source/main/module{module}/parts/file{number:04}.txt"))
}

/// 20 to 400 lines, the longer ones rare, with the word in every 37th.
fn text(number: usize) -> String {
    let lines = 20 + (number * number) % 381 / (1 + number % 5);
    (0..lines)
        .map(|line| {
            let word = if (number + line).is_multiple_of(37) { WORD } else { "straw" };
            format!("line {line} of file {number} holds {word} and little else\n")
        })
        .collect()
}
