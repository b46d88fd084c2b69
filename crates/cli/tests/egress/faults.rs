//! What goes wrong around a run's proxy: servers, resolver, descriptors, the supervisor itself. Each ends with an honest word,
//! in time, and lets nothing through.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::receipt::printed;
use crate::support::{Ground, Place, expect_status, show, skip, stderr, stdout};
use crate::world::World;
use crate::{Attempts, DONE, NO_PYTHON, Outcome, PROMPT};

/// A server on the address of allowed.test, on a port of its own.
struct Server {
    listener: TcpListener,
    allow: String,
}

impl Server {
    fn bind() -> std::io::Result<Self> {
        let listener = TcpListener::bind("93.184.216.10:0")?;
        let allow = format!("allowed.test:{}", listener.local_addr()?.port());
        Ok(Self { listener, allow })
    }

    /// The next connection, after its first line came back to the client.
    fn accept(&self) -> std::io::Result<TcpStream> {
        let (mut stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PROMPT))?;
        let mut buffer = [0; 256];
        let length = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..length])?;
        Ok(stream)
    }
}

pub(crate) fn a_server_that_dies_ends_the_tunnel(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let server = Server::bind()?;
    let token = world.token();
    let direct = server.allow.replace(':', " ");
    let script = attempts.line(&token, &format!("until-end {}", server.allow))
        + &attempts.line(&token, &format!("until-end-direct {direct}"));
    let mut run = place.ringfence(["run", "--json", "--allow", &server.allow]);
    let child = run.args(["--", "sh", "-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    for _ in 0..2 {
        let stream = server.accept()?;
        // What is not read when a socket is closed makes the kernel answer with a reset.
        stream.peek(&mut [0])?;
        drop(stream);
    }
    let output = child.wait_with_output()?;
    expect_status(&output, 0);
    let lines: Vec<_> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{}", show(&output));
    assert!(lines[0] == "reached" && lines[2] == "reached", "{lines:?}");
    for end in [&lines[1], &lines[3]] {
        assert!(["closed", "reset"].contains(&end.as_str()), "{lines:?}");
    }
    assert_eq!(printed(&output)["network"]["reached"][0]["count"], 2);
    DONE
}

pub(crate) fn a_resolver_that_says_nothing_holds_up_nobody_else(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let silent = attempts.line(&token, "get http://silent.wild.test/TOKEN");
    let script = format!("{} &\n{}wait", silent.trim_end(), attempts.line(&token, "get http://allowed.test/TOKEN"));
    let start = Instant::now();
    let mut run = place.ringfence(["run", "--json", "--allow", "allowed.test", "--allow", "*.wild.test"]);
    let output = run.args(["--", "sh", "-c", &script]).output()?;
    assert_eq!(stdout(&output), "reached\n504 name-resolution-timeout\n", "{}", show(&output));
    // The machine's resolver would wait for a minute.
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
    DONE
}

pub(crate) fn a_run_does_not_wait_for_a_resolver(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let silent = attempts.line(&token, "get http://silent-TOKEN.wild.test/");
    let script = format!("{} &\nread line", silent.trim_end());
    let mut run = place.ringfence(["run", "--quiet", "--allow", "*.wild.test"]);
    let mut child = run.args(["--", "sh", "-c", &script]).stdin(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while !world.saw(&format!("silent-{token}")) {
        assert!(start.elapsed() < PROMPT, "the resolver was not asked");
        std::thread::yield_now();
    }
    let start = Instant::now();
    child.stdin.take().unwrap().write_all(b"end\n")?;
    assert!(child.wait()?.success());
    assert!(start.elapsed() < PROMPT / 4, "{:?}", start.elapsed());
    DONE
}

/// `ringfence run` under a limit of open files, with an allowlist.
fn limited(place: &Place, limit: &str, script: &str) -> std::process::Command {
    let mut command = place.command("sh");
    let line = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    command.args(["-c", &line]).arg(place.program());
    command.args(["run", "--json", "--allow", "allowed.test", "--", "sh", "-c", script]);
    command
}

pub(crate) fn few_descriptors_are_few_connections_or_an_error(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let one = attempts.line(&token, "get http://allowed.test/TOKEN");
    let many = format!("{} &\n", one.trim_end()).repeat(12) + "wait\n" + &one;
    let mut worked = 0;
    let mut refused = 0;
    for limit in [1024, 40, 24, 16, 8] {
        let start = Instant::now();
        let output = limited(place, &format!("-n {limit}"), &many).output()?;
        assert!(start.elapsed() < 3 * PROMPT, "{limit}: {:?}", start.elapsed());
        let text = stdout(&output);
        if output.status.success() {
            // Whoever got no connection was told at once, and the last one, alone, got one or was told why not.
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 13, "{limit}: {}", show(&output));
            let starved = limit < 40 && lines[12].ends_with(" descriptors-exhausted");
            assert!(lines[12] == "reached" || starved, "{limit}: {}", show(&output));
            assert!(limit < 1024 || lines.iter().all(|line| *line == "reached"), "{limit}: {}", show(&output));
            worked += 1;
        } else {
            assert_eq!(output.status.code(), Some(125), "{limit}: {}", show(&output));
            assert!(text.is_empty() && stderr(&output).contains("\"error\""), "{limit}: {}", show(&output));
            refused += 1;
        }
    }
    assert!(worked >= 2 && refused >= 1, "{worked} limits worked, {refused} did not");
    DONE
}

pub(crate) fn the_command_keeps_the_callers_limit_of_descriptors(_: &World, place: &Place, _: &Ground) -> Outcome {
    let mut run = limited(place, "-Sn 200", "ulimit -Sn; read line");
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
    // There is something that the command could have got; it may have started before the supervisor took it.
    let start = Instant::now();
    while soft_limit(child.id())? <= 200 {
        assert!(start.elapsed() < PROMPT, "the supervisor has not raised its limit");
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    child.wait()?;
    assert_eq!(line, "200\n");
    DONE
}

/// How many files a process may open (proc_pid_limits(5)).
fn soft_limit(process: u32) -> std::io::Result<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits"))?;
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    Ok(files.split_whitespace().next().unwrap().parse().unwrap())
}

pub(crate) fn killing_the_supervisor_ends_the_connections(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let server = Server::bind()?;
    let mut run = place.ringfence(["run", "--quiet", "--allow", &server.allow, "--"]);
    let attempt = format!("until-end {}", server.allow);
    let mut child: Child = run.args(attempts.words(&world.token(), &attempt)).stdout(Stdio::null()).spawn()?;
    let mut stream = server.accept()?;
    // The client has sent all that it will.
    let mut more = [0; 4];
    stream.read_exact(&mut more)?;
    child.kill()?;
    child.wait()?;
    // An error is a reset, and a timeout an error of its own kind.
    match stream.read(&mut more) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    DONE
}
