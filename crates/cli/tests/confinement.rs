//! What a run is like from both sides: streams, statuses, signals, terminals, files, environment, limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

mod support;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::{Child, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed};
use rustix::process::{Pid, Signal};
use support::terminal::Terminal;
use support::{Case, Ground, Place, expect_status, run_cases, show, skip, stderr, stdout};

type Outcome = Result<Completion, Failed>;

/// Far longer than anything here takes, far shorter than what the commands below would take if nobody ended them.
const PROMPT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let cases: &[(&'static str, Case)] = &[
        ("standard_streams_are_the_callers", standard_streams_are_the_callers),
        ("much_output_arrives_whole", much_output_arrives_whole),
        ("the_exit_status_is_the_commands_own", the_exit_status_is_the_commands_own),
        ("a_signal_becomes_128_and_its_number", a_signal_becomes_128_and_its_number),
        ("a_missing_command_is_127", a_missing_command_is_127),
        ("the_working_directory_is_kept", the_working_directory_is_kept),
        ("a_workspace_reached_through_a_symlink_works", a_workspace_reached_through_a_symlink_works),
        ("a_timeout_ends_the_whole_tree", a_timeout_ends_the_whole_tree),
        ("killing_the_supervisor_ends_the_whole_tree", killing_the_supervisor_ends_the_whole_tree),
        ("the_next_run_tells_what_a_killed_one_left", the_next_run_tells_what_a_killed_one_left),
        ("terminating_the_supervisor_ends_the_whole_tree", terminating_the_supervisor_ends_the_whole_tree),
        (
            "a_grandchild_holding_the_output_does_not_hang_the_run",
            a_grandchild_holding_the_output_does_not_hang_the_run,
        ),
        ("ctrl_c_reaches_the_command_and_its_status_comes_back", ctrl_c_reaches_the_command_and_its_status_comes_back),
        ("a_terminal_of_its_own_has_the_size_and_follows_it", a_terminal_of_its_own_has_the_size_and_follows_it),
        ("a_terminal_of_its_own_has_job_control", a_terminal_of_its_own_has_job_control),
        ("files_made_inside_belong_to_the_caller", files_made_inside_belong_to_the_caller),
        ("a_workspace_below_tmp_works_and_the_rest_of_tmp_is_private", a_workspace_below_tmp_works),
        ("the_private_tmp_is_empty_writable_and_gone_afterwards", the_private_tmp_is_empty_and_gone_afterwards),
        ("devices_that_programs_need_are_there", devices_that_programs_need_are_there),
        ("a_write_flag_opens_what_was_closed", a_write_flag_opens_what_was_closed),
        ("a_protect_flag_closes_what_was_open", a_protect_flag_closes_what_was_open),
        ("a_hide_flag_hides_what_was_readable", a_hide_flag_hides_what_was_readable),
        ("a_read_list_leaves_the_rest_unreadable", a_read_list_leaves_the_rest_unreadable),
        ("read_only_writes_nowhere", read_only_writes_nowhere),
        ("the_environment_is_filtered_passed_and_set", the_environment_is_filtered_passed_and_set),
        ("descriptors_do_not_travel_unless_named", descriptors_do_not_travel_unless_named),
        ("an_open_network_reaches_the_host", an_open_network_reaches_the_host),
        ("an_allowed_socket_is_reachable", an_allowed_socket_is_reachable),
        ("loopback_works_inside", loopback_works_inside),
        ("protected_names_that_appear_are_quarantined", protected_names_that_appear_are_quarantined),
        ("limits_hold_or_the_run_is_refused", limits_hold_or_the_run_is_refused),
        ("a_nested_run_works_or_says_why_not", a_nested_run_works_or_says_why_not),
        ("every_run_leaves_a_receipt_that_verifies", every_run_leaves_a_receipt_that_verifies),
        ("a_changed_receipt_is_noticed", a_changed_receipt_is_noticed),
        ("the_receipt_is_printed_on_demand", the_receipt_is_printed_on_demand),
    ];
    run_cases(cases)
}

const DONE: Outcome = Ok(Completion::Completed);

// Streams, statuses, places.

fn standard_streams_are_the_callers(place: &Place, _: &Ground) -> Outcome {
    let mut child = place
        .shell(&[], "cat; echo complaint >&2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(b"said\n")?;
    let output = child.wait_with_output()?;
    expect_status(&output, 0);
    assert_eq!((stdout(&output), stderr(&output)), ("said\n".to_owned(), "complaint\n".to_owned()));
    DONE
}

fn much_output_arrives_whole(place: &Place, _: &Ground) -> Outcome {
    let output = place.run(&[], "head -c 20000000 /dev/zero");
    expect_status(&output, 0);
    assert_eq!(output.stdout.len(), 20_000_000);
    DONE
}

fn the_exit_status_is_the_commands_own(place: &Place, _: &Ground) -> Outcome {
    for status in [0, 1, 42, 124, 125, 126, 127, 255] {
        expect_status(&place.run(&[], &format!("exit {status}")), status);
    }
    DONE
}

fn a_signal_becomes_128_and_its_number(place: &Place, _: &Ground) -> Outcome {
    for (signal, status) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        expect_status(&place.run(&[], &format!("kill -{signal} $$")), status);
    }
    DONE
}

fn a_missing_command_is_127(place: &Place, _: &Ground) -> Outcome {
    let output = place.ringfence(["run", "--quiet", "--", "no-such-command-anywhere"]).output()?;
    expect_status(&output, 127);
    assert!(stderr(&output).starts_with("ringfence: error["), "{}", show(&output));
    assert!(stderr(&output).contains("no-such-command-anywhere"), "{}", show(&output));
    DONE
}

fn the_working_directory_is_kept(place: &Place, _: &Ground) -> Outcome {
    place.write("home/project/deep/er/file", "");
    let deep = place.workspace().join("deep/er");
    let mut command = place.ringfence(["run", "--quiet", "--workspace"]);
    let output =
        command.arg(place.workspace()).args(["--", "sh", "-c", "pwd; touch ../../made"]).current_dir(&deep).output()?;
    expect_status(&output, 0);
    assert_eq!(stdout(&output).trim_end(), deep.to_str().unwrap());
    assert!(place.workspace().join("made").exists());
    DONE
}

fn a_workspace_reached_through_a_symlink_works(place: &Place, _: &Ground) -> Outcome {
    let link = place.path().join("link");
    symlink(place.workspace(), &link)?;
    let output = place.shell(&[], "touch made && ls").current_dir(&link).output()?;
    expect_status(&output, 0);
    assert!(place.workspace().join("made").exists(), "{}", show(&output));
    DONE
}

// The end of a run.

/// A tree of processes, the last of which holds a lock for as long as it lives; says `ready` when it does.
const TREE: &str = "exec 9>lock; flock 9 || exit 9; setsid sh -c 'sleep 600 & sleep 600' & echo ready; sleep 600";

/// Waits until nothing of [`TREE`] lives. That it takes no sleeping is the kernel's doing: the lock ends with its holders.
fn expect_tree_to_end(place: &Place, since: Instant) {
    File::open(place.workspace().join("lock")).unwrap().lock().unwrap();
    assert!(since.elapsed() < PROMPT, "the tree lived on for {:?}", since.elapsed());
}

fn a_timeout_ends_the_whole_tree(place: &Place, _: &Ground) -> Outcome {
    let start = Instant::now();
    let output = place.run(&["--timeout", "1s"], TREE);
    expect_status(&output, 124);
    assert!(stdout(&output).contains("ready"), "{}", show(&output));
    expect_tree_to_end(place, start);
    DONE
}

fn start_tree(place: &Place) -> Child {
    let mut child = place.shell(&[], TREE).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal).unwrap();
}

fn killing_the_supervisor_ends_the_whole_tree(place: &Place, _: &Ground) -> Outcome {
    let mut child = start_tree(place);
    let start = Instant::now();
    signal(&child, Signal::KILL);
    child.wait()?;
    expect_tree_to_end(place, start);
    DONE
}

fn the_next_run_tells_what_a_killed_one_left(place: &Place, _: &Ground) -> Outcome {
    let mut command = place.shell(&[], "mkdir .vscode; echo made; sleep 600");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
    assert_eq!(line, "made\n");
    signal(&child, Signal::KILL);
    child.wait()?;
    let told = |output: &Output| stderr(output).lines().filter(|line| line.contains("left over")).count();
    let next = place.run(&[], "true");
    expect_status(&next, 0);
    assert_eq!(told(&next), 1, "{}", show(&next));
    assert!(stderr(&next).contains(".vscode"), "{}", show(&next));
    assert!(place.workspace().join(".vscode").is_dir(), "it may be the user's own by now");
    assert_eq!(told(&place.run(&[], "true")), 0);
    DONE
}

fn terminating_the_supervisor_ends_the_whole_tree(place: &Place, _: &Ground) -> Outcome {
    let mut child = start_tree(place);
    let start = Instant::now();
    signal(&child, Signal::TERM);
    let status = child.wait()?;
    assert!(!status.success(), "{status}");
    expect_tree_to_end(place, start);
    DONE
}

fn a_grandchild_holding_the_output_does_not_hang_the_run(place: &Place, _: &Ground) -> Outcome {
    let start = Instant::now();
    let output = place.run(&[], "sleep 600 & setsid sleep 600 & echo done");
    expect_status(&output, 0);
    assert_eq!(stdout(&output), "done\n");
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
    DONE
}

// Terminals.

fn ctrl_c_reaches_the_command_and_its_status_comes_back(place: &Place, _: &Ground) -> Outcome {
    for flags in [&[][..], &["--tty"]] {
        let mut terminal = Terminal::open(24, 80);
        let script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 600 & wait; done";
        let child = terminal.start(place, flags, script);
        terminal.read_until("ready");
        terminal.type_in("\x03");
        terminal.read_until("caught");
        assert_eq!(terminal.finish(child), 7, "with {flags:?}");
    }
    DONE
}

fn a_terminal_of_its_own_has_the_size_and_follows_it(place: &Place, _: &Ground) -> Outcome {
    let mut terminal = Terminal::open(33, 101);
    let script = "trap 'stty size; exit 0' WINCH; stty size; tty; echo ready; while :; do sleep 600 & wait; done";
    let child = terminal.start(place, &["--tty"], script);
    let shown = terminal.read_until("ready");
    assert!(shown.contains("33 101"), "{shown:?}");
    terminal.resize(44, 122);
    // The size changes for whoever has the terminal; the signal goes to the foreground, which is the supervisor.
    terminal.read_until("44 122");
    assert_eq!(terminal.finish(child), 0);
    DONE
}

fn a_terminal_of_its_own_has_job_control(place: &Place, _: &Ground) -> Outcome {
    let mut terminal = Terminal::open(24, 80);
    // proc_pid_stat(5): field 5 is the process group, field 8 the foreground group of the terminal.
    let script = "set -- $(cat /proc/$$/stat); [ \"$5\" = \"$8\" ] && echo foreground; \
                  set -m; sleep 600 & kill -STOP %1 && kill -KILL %1; [ -t 0 ] && echo terminal; echo ready";
    let child = terminal.start(place, &["--tty"], script);
    let shown = terminal.read_until("ready");
    assert!(shown.contains("foreground") && shown.contains("terminal"), "{shown:?}");
    assert!(!shown.contains("job control turned off"), "{shown:?}");
    assert_eq!(terminal.finish(child), 0);
    DONE
}

// Files.

fn files_made_inside_belong_to_the_caller(place: &Place, _: &Ground) -> Outcome {
    expect_status(&place.run(&[], "umask 022; mkdir made && touch made/file && chmod 751 made"), 0);
    for path in ["made", "made/file"] {
        assert_eq!(fs::metadata(place.workspace().join(path))?.uid(), place.uid(), "{path}");
    }
    assert_eq!(fs::metadata(place.workspace().join("made"))?.mode() & 0o777, 0o751);
    DONE
}

fn a_workspace_below_tmp_works(place: &Place, ground: &Ground) -> Outcome {
    let below = Place::below("/tmp".as_ref(), ground, place.account());
    let secret = tempfile::NamedTempFile::new_in("/tmp")?;
    let look = format!("touch made && test ! -e {}", secret.path().display());
    expect_status(&below.run(&[], &look), 0);
    assert!(below.workspace().join("made").exists());
    // Outside it is there: that is what makes its absence inside mean something.
    assert!(secret.path().exists());
    DONE
}

fn the_private_tmp_is_empty_and_gone_afterwards(place: &Place, _: &Ground) -> Outcome {
    let name = format!("ringfence-made-inside-{}-{}", std::process::id(), place.uid());
    let output = place.run(&[], &format!("touch /tmp/{name} && ls -A /tmp"));
    expect_status(&output, 0);
    assert_eq!(stdout(&output).trim_end(), name);
    assert!(!std::path::Path::new("/tmp").join(&name).exists());
    DONE
}

fn devices_that_programs_need_are_there(place: &Place, _: &Ground) -> Outcome {
    let script = "set -e; echo x > /dev/null; head -c 8 /dev/urandom > made; head -c 1 /dev/zero >> made; \
                  echo x > /dev/shm/made; test -c /dev/tty; test -e /proc/self/exe; test -e /dev/fd/0; \
                  ! echo x > /dev/full";
    expect_status(&place.run(&[], script), 0);
    DONE
}

fn a_write_flag_opens_what_was_closed(place: &Place, _: &Ground) -> Outcome {
    let other = place.path().join("other");
    place.write("other/file", "");
    let script = format!("touch {}/made", other.display());
    let closed = place.run(&[], &script);
    assert!(!closed.status.success() && !other.join("made").exists(), "{}", show(&closed));
    expect_status(&place.run(&["--write", other.to_str().unwrap()], &script), 0);
    assert!(other.join("made").exists());
    DONE
}

fn a_protect_flag_closes_what_was_open(place: &Place, _: &Ground) -> Outcome {
    let kept = place.write("home/project/kept/file", "as it was");
    let script = "echo changed > kept/file";
    let closed = place.run(&["--protect", "kept"], script);
    assert!(!closed.status.success(), "{}", show(&closed));
    assert_eq!(fs::read_to_string(&kept)?, "as it was");
    let moved = place.run(&["--protect", "kept"], "mv kept gone && mkdir kept && echo changed > kept/file");
    assert_eq!(fs::read_to_string(&kept)?, "as it was", "{}", show(&moved));
    expect_status(&place.run(&[], script), 0);
    assert_eq!(fs::read_to_string(&kept)?, "changed\n");
    DONE
}

fn a_hide_flag_hides_what_was_readable(place: &Place, _: &Ground) -> Outcome {
    let file = place.write("other/file", "secret");
    let directory = place.write("hidden/file", "secret");
    for (path, flag) in [(&file, file.as_path()), (&directory, directory.parent().unwrap())] {
        let script = format!("cat {}", path.display());
        let open = place.run(&[], &script);
        assert_eq!(stdout(&open), "secret", "{}", show(&open));
        let closed = place.run(&["--hide", flag.to_str().unwrap()], &script);
        assert!(!stdout(&closed).contains("secret"), "{}", show(&closed));
    }
    DONE
}

fn a_read_list_leaves_the_rest_unreadable(place: &Place, _: &Ground) -> Outcome {
    let listed = place.write("listed/file", "listed");
    let unlisted = place.write("unlisted/file", "unlisted");
    let script = format!("cat {} {}", listed.display(), unlisted.display());
    assert_eq!(stdout(&place.run(&[], &script)), "listedunlisted");
    let policy =
        format!("version = 1\nextends = \"workspace\"\n[filesystem]\nread = [\".\", {:?}]\n", listed.parent().unwrap());
    let policy = place.write("policy.toml", policy);
    let output = place.run(&["--policy", policy.to_str().unwrap()], &script);
    assert_eq!(stdout(&output), "listed", "{}", show(&output));
    assert!(!output.status.success(), "{}", show(&output));
    // What shows of other processes is what shows without a list; with a PID namespace, none of the host's.
    let visible = format!("test -d /proc/{} && echo visible; test -d /proc/self && echo own", std::process::id());
    let outside = std::process::Command::new("sh").args(["-c", &visible]).output().unwrap();
    assert_eq!(stdout(&outside), "visible\nown\n");
    let without = place.run(&[], &visible);
    let with = place.run(&["--policy", policy.to_str().unwrap()], &visible);
    assert_eq!(stdout(&with), stdout(&without), "{}", show(&with));
    assert!(stdout(&with).ends_with("own\n"), "{}", show(&with));
    DONE
}

fn read_only_writes_nowhere(place: &Place, _: &Ground) -> Outcome {
    let output = place.run(&["--profile", "read-only"], "touch made");
    assert!(!output.status.success() && !place.workspace().join("made").exists(), "{}", show(&output));
    expect_status(&place.run(&[], "touch made"), 0);
    DONE
}

// What travels.

fn the_environment_is_filtered_passed_and_set(place: &Place, _: &Ground) -> Outcome {
    let run = |flags: &[&str]| {
        let mut command = place.shell(flags, "echo \"${LANG-no}/${TOKEN-no}/${OTHER-no}/${CI-no}\"");
        stdout(&command.env("TOKEN", "t").env("OTHER", "o").output().unwrap())
    };
    assert_eq!(run(&[]), "C.UTF-8/no/no/no\n");
    assert_eq!(run(&["--pass", "TOKEN", "--set", "CI=1"]), "C.UTF-8/t/no/1\n");
    DONE
}

fn descriptors_do_not_travel_unless_named(place: &Place, _: &Ground) -> Outcome {
    place.write("other/file", "through descriptor");
    let run = |flags: &str| {
        let script = format!("exec 7<../../other/file; exec \"$0\" run --quiet {flags} -- sh -c 'cat <&7'");
        let mut command = place.command("/bin/sh");
        command.args(["-c", &script]).arg(place.program()).output().unwrap()
    };
    assert!(!stdout(&run("")).contains("through"), "{}", show(&run("")));
    let named = run("--keep-fd 7");
    assert_eq!(stdout(&named), "through descriptor", "{}", show(&named));
    DONE
}

/// Runs one probe inside, and tells whether its attempt succeeded.
fn probe(place: &Place, flags: &[&str], name: &str, target: &str) -> bool {
    let mut command = place.ringfence(["run", "--quiet"]);
    command.args(flags).arg("--").arg(place.program()).args(["__probe", name, target]);
    let output = command.output().unwrap();
    expect_status(&output, 0);
    stdout(&output).contains("\"outcome\":\"succeeded\"")
}

fn an_open_network_reaches_the_host(place: &Place, _: &Ground) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let target = format!("port={}", listener.local_addr()?.port());
    assert!(!probe(place, &[], "tcp-loopback", &target));
    assert!(probe(place, &["--network", "open"], "tcp-loopback", &target));
    DONE
}

fn an_allowed_socket_is_reachable(place: &Place, _: &Ground) -> Outcome {
    let socket = place.home().join("agent.sock");
    let _listener = UnixListener::bind(&socket)?;
    place.give_all();
    let target = format!("home={}", place.home().display());
    assert!(!probe(place, &[], "socket-home", &target));
    assert!(probe(place, &["--allow-socket", socket.to_str().unwrap()], "socket-home", &target));
    DONE
}

fn loopback_works_inside(place: &Place, _: &Ground) -> Outcome {
    let Some(python) = support::python() else {
        return skip("there is no python3 that every user can start");
    };
    let script = "import socket as s\nl = s.create_server(('127.0.0.1', 0))\n\
                  c = s.create_connection(l.getsockname())\na, _ = l.accept()\nc.sendall(b'hello')\nprint(a.recv(5))";
    let output = place.ringfence(["run", "--quiet", "--"]).arg(python).args(["-c", script]).output()?;
    expect_status(&output, 0);
    assert_eq!(stdout(&output), "b'hello'\n");
    DONE
}

fn protected_names_that_appear_are_quarantined(place: &Place, _: &Ground) -> Outcome {
    let script =
        "mkdir -p .git/hooks .vscode && echo planted > .git/hooks/pre-commit && echo planted > .vscode/tasks.json";
    let mut command = place.ringfence(["run", "--json", "--", "/bin/sh", "-c", script]);
    let output = command.output()?;
    let planted = [".git/hooks/pre-commit", ".vscode/tasks.json"];
    for path in planted {
        assert!(!place.workspace().join(path).exists(), "{path} lies there: {}", show(&output));
    }
    if output.status.success() {
        // The names did not exist, so nothing could hold them during the run: the receipt has to say what was done.
        let receipt = last_json(&stderr(&output));
        assert!(receipt["quarantined"].as_array().is_some_and(|list| !list.is_empty()), "{receipt}");
    }
    DONE
}

fn last_json(text: &str) -> serde_json::Value {
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

// Limits.

fn limits_hold_or_the_run_is_refused(place: &Place, _: &Ground) -> Outcome {
    let file = "head -c 300000000 /dev/zero | tail -c 300000000 > /dev/null";
    for (flags, script) in
        [(["--memory", "64MiB"], file), (["--processes", "16"], "for i in $(seq 60); do sleep 9 & done; sleep 1; true")]
    {
        let limited = place.run(&flags, script);
        assert!(!limited.status.success(), "{flags:?}: {}", show(&limited));
        if limited.status.code() == Some(126) {
            assert!(stderr(&limited).contains("--accept-degraded"), "{}", show(&limited));
        }
        expect_status(&place.run(&[], script), 0);
    }
    DONE
}

// Nested runs and receipts.

fn a_nested_run_works_or_says_why_not(place: &Place, _: &Ground) -> Outcome {
    let mut command = place.ringfence(["run", "--quiet", "--"]);
    let output = command.arg(place.program()).args(["run", "--quiet", "--", "sh", "-c", "echo inner"]).output()?;
    match output.status.code() {
        Some(0) => assert_eq!(stdout(&output), "inner\n"),
        Some(125 | 126) => assert!(stderr(&output).contains("ringfence: error["), "{}", show(&output)),
        _ => panic!("{}", show(&output)),
    }
    DONE
}

fn every_run_leaves_a_receipt_that_verifies(place: &Place, _: &Ground) -> Outcome {
    for status in [0, 3] {
        expect_status(&place.run(&[], &format!("exit {status}")), status);
    }
    let verified = place.ringfence(["log", "--verify"]).output()?;
    expect_status(&verified, 0);
    let listed = place.ringfence(["log", "--json"]).output()?;
    expect_status(&listed, 0);
    assert!(stdout(&listed).contains("exit 3"), "{}", show(&listed));
    assert_eq!(fs::metadata(place.state())?.mode() & 0o077, 0, "others can look into the state directory");
    DONE
}

fn a_changed_receipt_is_noticed(place: &Place, _: &Ground) -> Outcome {
    for _ in 0..3 {
        expect_status(&place.run(&[], "exit 3"), 3);
    }
    let log = fs::read_dir(place.state())?.flatten().map(|entry| entry.path()).find(|path| {
        fs::read_to_string(path).is_ok_and(|text| text.lines().filter(|line| line.contains("exit 3")).count() == 3)
    });
    let log = log.ok_or("no file of the state directory has the three receipts")?;
    let text = fs::read_to_string(&log)?;
    let changed = text.replacen("exit 3", "exit 4", 1);
    fs::write(&log, changed)?;
    let verified = place.ringfence(["log", "--verify"]).output()?;
    assert!(!verified.status.success(), "{}", show(&verified));
    DONE
}

fn the_receipt_is_printed_on_demand(place: &Place, _: &Ground) -> Outcome {
    let output = place.ringfence(["run", "--json", "--", "sh", "-c", "echo out; exit 5"]).output()?;
    expect_status(&output, 5);
    assert_eq!(stdout(&output), "out\n");
    let receipt = last_json(&stderr(&output));
    assert_eq!(receipt["argv"][0], "sh", "{}", show(&output));
    assert!(receipt["rules"].as_array().is_some_and(|rules| !rules.is_empty()), "{receipt}");
    DONE
}
