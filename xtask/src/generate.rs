//! Files that are made from the definition of the command line, and the check that they are up to date.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

const MAN: &str = "docs/man";
const COMPLETIONS: &str = "completions";

/// Arguments of `cargo xtask generate`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail if a file is missing, superfluous or not up to date
    #[arg(long)]
    check: bool,
}

/// Writes every generated file, or checks them.
pub(crate) fn generate(arguments: &Arguments) -> Result<()> {
    let root = crate::root();
    let wanted = files()?;
    if arguments.check {
        return check(&root, &wanted);
    }
    for directory in [MAN, COMPLETIONS] {
        // Start anew, or the page of a subcommand that is no more would stay.
        let directory = root.join(directory);
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
        }
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    for (path, content) in &wanted {
        fs::write(root.join(path), content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Fails, with every difference at once, unless the files below `root` are the `wanted` ones.
fn check(root: &Path, wanted: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let mut differences = Vec::new();
    for (path, content) in wanted {
        match fs::read(root.join(path)) {
            Ok(found) if found == *content => {}
            Ok(_) => differences.push(format!("{} is not up to date", path.display())),
            Err(error) => differences.push(format!("{}: {error}", path.display())),
        }
    }
    for directory in [MAN, COMPLETIONS] {
        for entry in fs::read_dir(root.join(directory)).with_context(|| format!("cannot list {directory}"))? {
            let path = Path::new(directory).join(entry?.file_name());
            if !wanted.contains_key(&path) {
                differences.push(format!("{} is generated from nothing", path.display()));
            }
        }
    }
    if !differences.is_empty() {
        bail!("{}\nrun: cargo xtask generate", differences.join("\n"));
    }
    Ok(())
}

/// Returns what is generated: path from the root of the repository, and content.
fn files() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut definition = ringfence_cli::cli::definition().disable_help_flag(false);
    definition.build();
    man_pages(&definition, &mut files)?;
    for shell in Shell::value_variants() {
        let mut content = Vec::new();
        clap_complete::generate(*shell, &mut ringfence_cli::cli::definition(), "ringfence", &mut content);
        files.insert(Path::new(COMPLETIONS).join(completion_file(*shell)), content);
    }
    Ok(files)
}

/// One page for the command and one for each subcommand, however deep: `ringfence-policy-check.1`.
fn man_pages(command: &Command, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let man = clap_mangen::Man::new(command.clone()).manual("ringfence manual").date("");
    let mut content = Vec::new();
    man.render(&mut content)?;
    files.insert(Path::new(MAN).join(man.get_filename()), content);
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| man_pages(sub, files))
}

/// The name that each shell looks for.
fn completion_file(shell: Shell) -> String {
    match shell {
        Shell::Zsh => "_ringfence".to_owned(),
        Shell::PowerShell => "ringfence.ps1".to_owned(),
        shell => format!("ringfence.{shell}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_files_are_up_to_date() {
        check(&crate::root(), &files().unwrap()).unwrap();
    }

    #[test]
    fn a_stale_a_missing_and_a_superfluous_file_are_found() {
        let root = tempfile::tempdir().unwrap();
        for directory in [MAN, COMPLETIONS] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let mut wanted = BTreeMap::new();
        wanted.insert(Path::new(MAN).join("a.1"), b"new".to_vec());
        wanted.insert(Path::new(MAN).join("b.1"), b"new".to_vec());
        fs::write(root.path().join(MAN).join("a.1"), "old").unwrap();
        fs::write(root.path().join(MAN).join("c.1"), "").unwrap();
        let error = check(root.path(), &wanted).unwrap_err().to_string();
        for part in ["a.1 is not up to date", "b.1: ", "c.1 is generated from nothing"] {
            assert!(error.contains(part), "{error}");
        }
        fs::write(root.path().join(MAN).join("a.1"), "new").unwrap();
        fs::write(root.path().join(MAN).join("b.1"), "new").unwrap();
        fs::remove_file(root.path().join(MAN).join("c.1")).unwrap();
        check(root.path(), &wanted).unwrap();
    }
}
