//! Processes: exit codes, arguments, environment, handles, limits, and how everything ends.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::process::CommandExt;
use std::process::Stdio;
use std::sync::Arc;

use libtest_mimic::Trial;

use super::actor::{DENIED, actor};
use super::ground::{Ground, file, finish, is_held, status, stderr, stdout, trial, wait_ready, within};

/// What processes that Ctrl-C ended exit with.
const CONTROL_C_EXIT: u32 = 0xC000_013A;

pub(crate) fn trials(ground: &Arc<Ground>) -> Vec<Trial> {
    vec![
        trial(ground, "exit_codes_are_the_commands_own", |ground| {
            for code in [0, 1, 42, 255, 256, 0xC000_0005, u32::MAX] {
                let output = ground.act(&[], &["exit", &code.to_string()]);
                assert_eq!(status(&output), code, "{}", stderr(&output));
                let receipts = ground.receipts();
                assert_eq!(receipts.last().unwrap()["exit"]["code"], code);
            }
            Ok(())
        }),
        trial(ground, "a_crash_ends_with_its_status", |ground| {
            let status = status(&ground.act(&[], &["abort"]));
            assert!(status >= 0xC000_0000, "{status:#x}");
            Ok(())
        }),
        trial(ground, "arguments_arrive_as_they_were_given", |ground| {
            let hostile = hostile_arguments();
            assert!(hostile.len() >= 500);
            for some in hostile.chunks(50) {
                let mut line = actor(&["arguments"]);
                line.extend(some.iter().cloned());
                let output = finish(ground.run(&[], &line));
                assert_eq!(status(&output), 0, "{}", stderr(&output));
                let expected: Vec<String> = some
                    .iter()
                    .map(|text| text.encode_wide().map(|unit| format!("{unit:04x}")).collect::<Vec<_>>().join(" "))
                    .collect();
                let printed = stdout(&output);
                let printed: Vec<&str> = printed.lines().collect();
                assert_eq!(printed, expected);
            }
            Ok(())
        }),
        trial(ground, "batch_files_get_arguments_or_are_refused", |ground| {
            let script = file(&ground.workspace().join("say.cmd"), "@echo [%1]\r\n");
            let with = |argument: &str| finish(ground.run(&[], &[script.clone().into_os_string(), argument.into()]));
            let output = with("a & b");
            assert_eq!((status(&output), stdout(&output).trim()), (0, "[\"a & b\"]"), "{}", stderr(&output));
            let witness = ground.workspace().join("injected");
            let output = with(&format!("\" & echo x> {}", witness.display()));
            assert!(matches!(status(&output), 125 | 126), "{}", stderr(&output));
            assert!(!witness.exists());
            Ok(())
        }),
        trial(ground, "the_environment_is_what_the_policy_passes_and_sets", |ground| {
            let mut command = ground.run(&["--set", "GIVEN=a b", "--pass", "PASSED"], &actor(&["environment"]));
            command.env("PASSED", "yes").env("SECRET_TOKEN", "no");
            let printed = stdout(&finish(command));
            assert!(printed.lines().any(|line| line == "GIVEN=a b"), "{printed}");
            assert!(printed.lines().any(|line| line == "PASSED=yes"), "{printed}");
            assert!(!printed.contains("SECRET_TOKEN"), "{printed}");
            Ok(())
        }),
        trial(ground, "the_command_starts_where_the_caller_is", |ground| {
            let printed = stdout(&ground.act(&[], &["directory"]));
            assert_eq!(printed.trim().to_lowercase(), ground.workspace().display().to_string().to_lowercase());
            Ok(())
        }),
        trial(ground, "the_temporary_directory_is_writable_and_goes", |ground| {
            let output = ground.act(&[], &["temporary"]);
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            let printed = stdout(&ground.act(&[], &["environment"]));
            let temporary = printed.lines().find_map(|line| line.strip_prefix("TEMP=")).ok_or("no TEMP")?;
            assert!(!std::path::Path::new(temporary).exists(), "{temporary} is still there");
            Ok(())
        }),
        trial(ground, "input_and_both_outputs_arrive", |ground| {
            let mut command = ground.run(&[], &actor(&["echo"]));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn()?;
            let mut input = child.stdin.take().ok_or("no input")?;
            let sent: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
            let expected = sent.clone();
            let writer = std::thread::spawn(move || input.write_all(&sent));
            let output = within(move || child.wait_with_output().unwrap());
            writer.join().unwrap()?;
            assert!(output.stdout == expected, "{} bytes arrived", output.stdout.len());
            assert!(stderr(&output).contains("to the other side"), "{}", stderr(&output));
            Ok(())
        }),
        trial(ground, "a_grandchild_that_holds_the_pipes_cannot_hold_up_the_end", |ground| {
            let held = ground.workspace().join("held-1");
            let output = ground.act(&[], &["leave", held.to_str().unwrap()]);
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            assert!(held.exists() && !is_held(&held), "what the command left is still there");
            Ok(())
        }),
        trial(ground, "a_timeout_ends_the_whole_tree", |ground| {
            let held = ground.workspace().join("held-2");
            let output = ground.act(&["--timeout", "3s"], &["leave-and-wait", held.to_str().unwrap()]);
            assert_eq!(status(&output), 124, "{}", stderr(&output));
            assert!(held.exists() && !is_held(&held), "the tree outlived its time");
            Ok(())
        }),
        trial(ground, "the_end_of_the_supervisor_is_the_end_of_the_tree", |ground| {
            let held = ground.workspace().join("held-3");
            let mut command = ground.run(&[], &actor(&["leave-and-wait", held.to_str().unwrap()]));
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut supervisor = command.spawn()?;
            let mut output = wait_ready(supervisor.stdout.take().ok_or("no output")?);
            assert!(is_held(&held), "the control: the tree lives");
            supervisor.kill()?;
            supervisor.wait()?;
            // The pipe ends when the last process that holds it does.
            within(move || output.read_to_end(&mut Vec::new()).unwrap());
            assert!(!is_held(&held), "the tree outlived its supervisor");
            Ok(())
        }),
        trial(ground, "ctrl_c_reaches_the_command_and_the_receipt_is_written", |ground| {
            const CREATE_NEW_CONSOLE: u32 = 0x10;
            let receipts = ground.receipts().len();
            let mut command = ground.run(&[], &actor(&["wait"]));
            // A console of its own, so that Ctrl-C does not reach the tests.
            command.stdout(Stdio::piped()).stderr(Stdio::null()).creation_flags(CREATE_NEW_CONSOLE);
            let mut supervisor = command.spawn()?;
            let output = wait_ready(supervisor.stdout.take().ok_or("no output")?);
            let mut sender = ground.ringfence();
            sender.arg("__interrupt").arg(supervisor.id().to_string());
            assert_eq!(status(&finish(sender)), 0, "the console could not be reached");
            let status = within(move || supervisor.wait().unwrap());
            drop(output);
            // Wine 8 lets processes that Ctrl-C ends exit with 0.
            let expected = if ground.enforces { CONTROL_C_EXIT } else { 0 };
            assert_eq!(status.code().unwrap_or(1).cast_unsigned(), expected);
            assert_eq!(ground.receipts().len(), receipts + 1);
            Ok(())
        }),
        trial(ground, "the_number_of_processes_is_limited", |ground| {
            let started = |flags: &[&str]| -> u32 {
                let output = ground.act(flags, &["many", "8"]);
                stdout(&output).trim().parse().unwrap_or_else(|_| panic!("{}", stderr(&output)))
            };
            assert_eq!(started(&[]), 8, "the control");
            let limited = started(&["--processes", "4"]);
            // Wine 8 accepts the limit and does not enforce it.
            assert!(limited < 4 || !ground.enforces, "{limited} children were started");
            Ok(())
        }),
        trial(ground, "memory_is_limited", |ground| {
            assert_eq!(status(&ground.act(&[], &["allocate", "256"])), 0, "the control");
            let limited = ground.act(&["--memory", "64MiB"], &["allocate", "256"]);
            // Wine 8 accepts the limit and does not enforce it.
            if ground.enforces {
                assert_eq!(status(&limited), DENIED.cast_unsigned(), "{}", stderr(&limited));
            }
            Ok(())
        }),
        trial(ground, "nothing_leaves_the_job", |ground| {
            let output = ground.act(&[], &["breakaway"]);
            assert_eq!(status(&output), DENIED.cast_unsigned(), "{}", stderr(&output));
            Ok(())
        }),
        trial(ground, "many_runs_at_once", |ground| {
            const RUNS: u32 = 20;
            let before = ground.receipts().len();
            let children: Vec<_> = (0..RUNS)
                .map(|number| {
                    let mut command = ground.run(&[], &actor(&["exit", &number.to_string()]));
                    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
                })
                .collect();
            for (number, child) in (0..RUNS).zip(children) {
                let output = within(move || child.wait_with_output().unwrap());
                assert_eq!(status(&output), number, "{}", stderr(&output));
            }
            assert_eq!(ground.receipts().len(), before + RUNS as usize);
            Ok(())
        }),
        trial(ground, "the_chain_of_receipts_is_whole", |ground| {
            ground.act(&[], &["exit", "0"]);
            let verify = || {
                let mut command = ground.ringfence();
                command.args(["log", "--verify"]);
                finish(command)
            };
            let output = verify();
            assert_eq!(status(&output), 0, "{}{}", stdout(&output), stderr(&output));
            Ok(())
        }),
        // user-pains A7, row 85: a protected name that does not exist can carry no entry.
        trial(ground, "protected_names_that_appear_are_moved_away", |ground| {
            let hooks = ground.workspace().join(".git").join("hooks");
            let line = ["cmd", "/d", "/c", r"mkdir .git\hooks"].map(Into::into);
            let output = finish(ground.run(&[], &line));
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            assert!(!hooks.exists(), "the hooks are still there");
            let receipts = ground.receipts();
            let moved = receipts.last().unwrap()["quarantined"].as_array().ok_or("no list")?.clone();
            assert_eq!(moved.len(), 1, "{moved:?}");
            assert!(std::path::Path::new(moved[0]["moved_to"].as_str().unwrap_or_default()).is_dir(), "{moved:?}");
            // The repository that the run made stays.
            assert!(ground.workspace().join(".git").is_dir());
            std::fs::remove_dir(ground.workspace().join(".git"))?;
            Ok(())
        }),
        trial(ground, "a_terminal_works_or_is_refused", |ground| {
            let output = ground.act(&["--tty"], &["exit", "5"]);
            // Wine 8 makes no pseudo-consoles of plain pipes.
            match ground.enforces {
                true => assert_eq!(status(&output), 5, "{}", stderr(&output)),
                false => assert!(
                    status(&output) == 5 || stderr(&output).contains("error[sandbox-failed]"),
                    "{} {}",
                    status(&output),
                    stderr(&output)
                ),
            }
            Ok(())
        }),
        trial(ground, "a_run_without_a_limit_is_not_ended", |ground| {
            let mut command = ground.run(&[], &actor(&["wait"]));
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut supervisor = command.spawn()?;
            let output = wait_ready(supervisor.stdout.take().ok_or("no output")?);
            assert!(supervisor.try_wait()?.is_none());
            supervisor.kill()?;
            supervisor.wait()?;
            drop(output);
            Ok(())
        }),
    ]
}

/// Strings that quoting gets wrong: quotation marks, backslashes before them, what `cmd.exe` reads, blanks, nothing,
/// halves of surrogate pairs, and mixtures of them.
fn hostile_arguments() -> Vec<OsString> {
    const PIECES: [&str; 24] = [
        "", " ", "\t", "\"", "\\", "\\\\", "\\\"", "\\\\\"", "'", "%PATH%", "!x!", "^", "&", "|", "<", ">", "(", ")",
        "a b", "\n", "\r\n", "é", "😀", "*?",
    ];
    let mut all: Vec<OsString> = Vec::new();
    for first in PIECES {
        for second in PIECES {
            all.push(format!("{first}{second}").into());
        }
    }
    all.extend(["-", "--", "/c", "--help", "@file", "a\"b\"c", "\"a b\"", "C:\\a b\\"].map(OsString::from));
    // Unpaired surrogates are no Unicode, and arguments all the same.
    all.push(OsString::from_wide(&[0xD800]));
    all.push(OsString::from_wide(&[u16::from(b'a'), 0xDC00, u16::from(b' ')]));
    all
}
