//! What the kernel holds, where it enforces write-restricted tokens. Each denial has its control outside.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Trial;

use super::actor::{DENIED, actor};
use super::ground::{Ground, file, finish, status, stderr, trial};

/// Rights that are neither in GENERIC_READ nor in GENERIC_EXECUTE, each of which would open a way out.
const WRITE_DAC: u32 = 0x0004_0000;
const WRITE_OWNER: u32 = 0x0008_0000;
const DELETE: u32 = 0x0001_0000;

pub(crate) fn trials(ground: &Arc<Ground>) -> Vec<Trial> {
    let enforces = ground.enforces;
    let tests = vec![
        trial(ground, "writes_stay_inside", |ground| {
            let outside = ground.outside().join("made");
            denied(ground, &["write", text(&outside)]);
            assert!(!outside.exists());
            let existing = file(&ground.outside().join("existing"), "before");
            denied(ground, &["append", text(&existing)]);
            denied(ground, &["write", text(&existing)]);
            denied(ground, &["rename", text(&existing), text(&ground.workspace().join("taken"))]);
            assert_eq!(std::fs::read_to_string(&existing)?, "before");
            allowed(ground, &["write", text(&ground.workspace().join("made"))]);
            allowed(ground, &["read", text(&existing)]);
            Ok(())
        }),
        trial(ground, "descriptors_and_owners_stay_as_they_are", |ground| {
            let existing = file(&ground.outside().join("descriptor"), "x");
            for right in [WRITE_DAC, WRITE_OWNER, DELETE] {
                denied(ground, &["open-for", text(&existing), &right.to_string()]);
            }
            // Inside, the command may delete, and never re-permit what it made.
            let inside = ground.workspace().join("descriptor");
            allowed(ground, &["write", text(&inside)]);
            denied(ground, &["open-for", text(&inside), &WRITE_DAC.to_string()]);
            allowed(ground, &["open-for", text(&inside), &DELETE.to_string()]);
            Ok(())
        }),
        // user-pains A7, row 78: what Everyone may write is no way out of the narrow token.
        trial(ground, "what_everyone_may_write_stays_closed", |ground| {
            let shared = ground.outside().join("everyone");
            std::fs::create_dir(&shared)?;
            icacls(&shared, &["/grant", "*S-1-1-0:(OI)(CI)F"]);
            denied(ground, &["write", text(&shared.join("made"))]);
            Ok(())
        }),
        // Row 81: a junction in the workspace leads nowhere.
        trial(ground, "a_junction_leads_nowhere", |ground| {
            let junction = ground.workspace().join("junction");
            let outside = ground.outside();
            let line = ["/d", "/c", "mklink", "/J", text(&junction), text(&outside)];
            assert!(Command::new("cmd").args(line).output()?.status.success());
            denied(ground, &["write", text(&junction.join("through"))]);
            assert!(!ground.outside().join("through").exists());
            std::fs::remove_dir(&junction)?;
            Ok(())
        }),
        // A hard link to a file outside is that file.
        trial(ground, "a_hard_link_is_no_way_out", |ground| {
            let victim = file(&ground.outside().join("linked"), "before");
            let link = ground.workspace().join("linked");
            let made = finish(ground.run(&[], &actor(&["link", text(&victim), text(&link)])));
            if status(&made) == 0 {
                denied(ground, &["append", text(&link)]);
            }
            assert_eq!(std::fs::read_to_string(&victim)?, "before");
            Ok(())
        }),
        trial(ground, "what_git_executes_stays_as_it_is", |ground| {
            let git = ground.workspace().join(".git");
            std::fs::create_dir_all(git.join("hooks"))?;
            file(&git.join("HEAD"), "ref: refs/heads/main\n");
            let config = file(&git.join("config"), "[core]\n");
            denied(ground, &["write", text(&git.join("hooks").join("pre-commit"))]);
            denied(ground, &["append", text(&config)]);
            denied(ground, &["remove", text(&config)]);
            denied(ground, &["rename", text(&git), text(&ground.workspace().join("moved"))]);
            allowed(ground, &["write", text(&git.join("index"))]);
            std::fs::remove_dir_all(&git)?;
            Ok(())
        }),
        // Rows 17551 and 18: the roots of another workspace, and the temporary directory of another run.
        trial(ground, "a_workspace_is_closed_to_the_runs_of_another", |ground| {
            let other = ground.outside().join("other");
            std::fs::create_dir(&other)?;
            let mut command = ground.run(&[], &actor(&["write", text(&other.join("made"))]));
            command.current_dir(&other);
            assert_eq!(status(&finish(command)), 0, "the control: its own runs write there");
            denied(ground, &["append", text(&other.join("made"))]);
            Ok(())
        }),
        // Design §5: a revoke leaves descriptors as they were, byte for byte.
        trial(ground, "a_revoked_workspace_has_the_descriptors_that_it_had", |ground| {
            let fresh = ground.outside().join("fresh");
            std::fs::create_dir_all(fresh.join(".git").join("hooks"))?;
            file(&fresh.join(".git").join("HEAD"), "ref: refs/heads/main\n");
            file(&fresh.join("source"), "x");
            let before = saved_descriptors(&fresh);
            let mut command = ground.run(&[], &actor(&["write", text(&fresh.join("source"))]));
            command.current_dir(&fresh);
            assert_eq!(status(&finish(command)), 0);
            assert_ne!(saved_descriptors(&fresh), before, "the control: a grant changes descriptors");
            let mut revoke = ground.ringfence();
            revoke.args(["grants", "revoke", text(&fresh)]);
            let output = finish(revoke);
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            assert_eq!(saved_descriptors(&fresh), before);
            Ok(())
        }),
        trial(ground, "shells_start", |ground| {
            for line in [
                &["cmd", "/d", "/c", "exit 3"] as &[&str],
                &["powershell", "-NoProfile", "-NonInteractive", "-Command", "exit 3"],
            ] {
                let line: Vec<_> = line.iter().map(Into::into).collect();
                let output = finish(ground.run(&[], &line));
                assert_eq!(status(&output), 3, "{line:?}: {}", stderr(&output));
            }
            Ok(())
        }),
    ];
    tests.into_iter().map(|test| test.with_ignored_flag(!enforces)).collect()
}

/// Runs a part inside, where it must be denied.
fn denied(ground: &Ground, part: &[&str]) {
    let output = ground.act(&[], part);
    assert_eq!(status(&output), DENIED.cast_unsigned(), "{part:?}: {}", stderr(&output));
}

/// Runs a part inside, where it must succeed.
fn allowed(ground: &Ground, part: &[&str]) {
    let output = ground.act(&[], part);
    assert_eq!(status(&output), 0, "{part:?}: {}", stderr(&output));
}

/// The descriptors of a tree, as SDDL.
fn saved_descriptors(tree: &Path) -> Vec<u8> {
    let saved = tree.with_extension("saved");
    icacls(tree, &["/save", text(&saved), "/t"]);
    std::fs::read(saved).unwrap()
}

fn icacls(path: &Path, arguments: &[&str]) {
    let output = Command::new("icacls").arg(path).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
