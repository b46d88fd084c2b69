//! What is refused, and that nothing ran then.

use std::sync::Arc;

use libtest_mimic::Trial;

use super::actor::actor;
use super::ground::{Ground, finish, status, stderr, trial};

pub(crate) fn trials(ground: &Arc<Ground>) -> Vec<Trial> {
    let enforces = ground.enforces;
    vec![
        trial(ground, "where_nothing_is_enforced_nothing_runs", |ground| {
            let receipts = ground.receipts().len();
            let witness = ground.workspace().join("it-ran");
            let line = actor(&["write", witness.to_str().unwrap()]);
            let mut command = ground.ringfence();
            command.args(["run", "--profile", "guard", "--json", "--"]).args(line);
            let output = finish(command);
            assert_eq!(status(&output), 126, "{}", stderr(&output));
            let error: serde_json::Value = serde_json::from_slice(&output.stderr)?;
            assert_eq!(error["error"]["code"], "not-enforced");
            let message = error["error"]["message"].as_str().unwrap_or_default();
            assert!(message.contains("--accept-degraded filesystem.write"), "{message}");
            assert!(!witness.exists(), "it ran");
            assert_eq!(ground.receipts().len(), receipts, "a run that was refused has a receipt");
            Ok(())
        })
        .with_ignored_flag(enforces),
        trial(ground, "the_default_profile_names_what_this_tier_cannot_hold", |ground| {
            let mut command = ground.ringfence();
            command.args(["run", "--"]).args(actor(&["exit", "0"]));
            let output = finish(command);
            assert_eq!(status(&output), 126, "{}", stderr(&output));
            assert!(stderr(&output).contains("error[not-enforced]"), "{}", stderr(&output));
            Ok(())
        }),
        trial(ground, "what_was_accepted_is_shown_as_degraded_in_the_receipt", |ground| {
            let output = ground.act(&[], &["exit", "0"]);
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            let receipts = ground.receipts();
            let rules = receipts.last().and_then(|receipt| receipt["rules"].as_array()).ok_or("no rules")?;
            let write = rules.iter().find(|rule| rule["rule"] == "filesystem.write").ok_or("no such rule")?;
            let expected = if ground.enforces { "kernel" } else { "none" };
            assert_eq!(write["holds"]["level"], expected, "{write}");
            assert_eq!(write["accepted"], !ground.enforces, "{write}");
            Ok(())
        }),
        trial(ground, "where_nothing_is_enforced_nothing_is_granted", |ground| {
            ground.act(&[], &["exit", "0"]);
            let mut command = ground.ringfence();
            command.args(["grants", "list", "--json"]);
            let output = finish(command);
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            let listed: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            assert_eq!(listed.as_array().map(Vec::is_empty), Some(!ground.enforces), "{listed}");
            Ok(())
        }),
        trial(ground, "the_program_asks_for_no_more_rights_than_its_caller_has", |ground| {
            let program = std::fs::read(ground.program())?;
            let holds = |text: &str| program.windows(text.len()).any(|bytes| bytes == text.as_bytes());
            assert!(holds("asInvoker") && holds("longPathAware"), "the manifest is missing");
            assert!(!holds("requireAdministrator") && !holds("highestAvailable"));
            Ok(())
        }),
        trial(ground, "a_state_directory_that_others_can_write_is_not_trusted", |ground| {
            let open = ground.outside().join("open-state");
            std::fs::create_dir(&open)?;
            let granted =
                std::process::Command::new("icacls").arg(&open).args(["/grant", "*S-1-1-0:(OI)(CI)F"]).output()?;
            assert!(granted.status.success());
            let mut command = ground.run(&[], &actor(&["exit", "0"]));
            command.env("RINGFENCE_STATE_DIR", &open);
            let output = finish(command);
            assert_eq!(status(&output), 125, "{}", stderr(&output));
            assert!(stderr(&output).contains("error[state-untrusted]"), "{}", stderr(&output));
            Ok(())
        })
        // Wine 8 has no icacls, and keeps nothing but mode bits.
        .with_ignored_flag(!enforces),
        trial(ground, "a_command_that_is_not_there", |ground| {
            let output = finish(ground.run(&[], &["no-such-command".into()]));
            assert_eq!(status(&output), 127, "{}", stderr(&output));
            Ok(())
        }),
        trial(ground, "a_program_planted_in_the_workspace_is_not_found", |ground| {
            let planted = ground.workspace().join("planted.exe");
            std::fs::copy(std::env::current_exe()?, &planted)?;
            let output = finish(ground.run(&[], &["planted".into()]));
            assert_eq!(status(&output), 127, "{}", stderr(&output));
            // By its path it starts, so that its name alone was what kept it from being found.
            let by_path = [planted.into_os_string(), super::actor::ACTOR.into(), "exit".into(), "7".into()];
            assert_eq!(status(&finish(ground.run(&[], &by_path))), 7);
            Ok(())
        }),
    ]
}
