//! A run behind another proxy: everything goes through it, with credentials that only the supervisor knows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::receipt::{blocked, printed};
use crate::support::{Ground, Place, expect_status, show, skip, stdout};
use crate::world::World;
use crate::{Attempts, DONE, NO_PYTHON, Outcome};

const CREDENTIALS: &str = "robot:Tr0ub4dor&3";
/// The same for Basic authentication (RFC 7617).
const AUTHORIZATION: &str = "Basic cm9ib3Q6VHIwdWI0ZG9yJjM=";
const VARIABLE: &str = "RINGFENCE_UPSTREAM_CREDENTIALS";

/// A proxy that asks for credentials, remembers each request's head, and is every server itself: tunnels send back what comes,
/// requests are answered with their path.
struct Upstream {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    fn start() -> std::io::Result<Self> {
        // In a company's network, which no rule of a run opens.
        let listener = TcpListener::bind("10.20.0.9:0")?;
        let address = listener.local_addr()?;
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, &heads));
            }
        });
        Ok(Self { address, heads })
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn policy(&self, place: &Place) -> PathBuf {
        let text = format!(
            "version = 1\nextends = \"workspace\"\n[network]\nmode = \"allowlist\"\nupstream = \"http://{}\"\n\
             allow = [\"allowed.test\", \"ssh.test:2222\", \"localhost:7001\"]\n\
             [environment]\npass = [\"PATH\", \"RINGFENCE_*\"]\n",
            self.address
        );
        place.write("policy.toml", text)
    }
}

fn serve(mut stream: TcpStream, heads: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap().push(head.clone());
    let known = head.lines().any(|line| line.eq_ignore_ascii_case(&format!("proxy-authorization: {AUTHORIZATION}")));
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = if !known {
        "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\n\r\n".to_owned()
    } else if head.starts_with("CONNECT ") {
        "HTTP/1.1 200 OK\r\n\r\n".to_owned()
    } else {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{path}", path.len())
    };
    let mut buffer = [0; 4096];
    if stream.write_all(answer.as_bytes()).is_ok() && known && head.starts_with("CONNECT ") {
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    }
}

pub(crate) fn credentials_reach_the_upstream_and_never_the_command(
    world: &World,
    place: &Place,
    _: &Ground,
) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let upstream = Upstream::start()?;
    let policy = upstream.policy(place);
    // Where the command can read and write everything else.
    let file = place.workspace().join("password");
    let token = world.token();
    let line = |attempt: &str| attempts.line(&token, attempt);
    let script = line("connect ssh.test:2222")
        + &line("tcp ssh.test 2222")
        + &line("get http://allowed.test/TOKEN")
        + &line("tcp localhost 7001")
        + &line("connect other.test:443 other.test")
        + &line("get http://other.test/TOKEN")
        + &format!("env; cat {file}; cat password; cat /proc/*/environ | tr '\\0' '\\n'", file = file.display());
    for (variable, value) in [(VARIABLE, CREDENTIALS), ("RINGFENCE_UPSTREAM_CREDENTIALS_FILE", file.to_str().unwrap())]
    {
        if variable != VARIABLE {
            place.write("home/project/password", format!("{CREDENTIALS}\n"));
            assert_eq!(stdout(&place.command("cat").arg(&file).output()?), format!("{CREDENTIALS}\n"));
        }
        let before = upstream.heads().len();
        let mut run = place.ringfence(["run", "--json", "--policy"]);
        run.arg(&policy).args(["--", "sh", "-c", &script]).env(variable, value);
        let output = run.output()?;
        let text = stdout(&output);
        assert!(text.contains("RINGFENCE=1\n"), "{text}");
        assert!(text.starts_with(&("reached\n".repeat(4) + "403 host-not-allowed\n403 host-not-allowed\n")), "{text}");
        // Neither there nor in the receipt, which standard error has.
        for secret in [CREDENTIALS, AUTHORIZATION, "Tr0ub4dor"] {
            assert!(!show(&output).contains(secret), "{variable}: {}", show(&output));
        }
        assert!(!text.contains(&format!("{VARIABLE}=")), "{text}");
        let heads = upstream.heads().split_off(before);
        let starts: Vec<_> = heads.iter().map(|head| head.split(" HTTP").next().unwrap()).collect();
        let page = format!("GET http://allowed.test/{token}");
        assert_eq!(starts, ["CONNECT ssh.test:2222", "CONNECT ssh.test:2222", &page], "{variable}");
    }
    // A command that cannot read the password cannot know it; that it is needed is shown by a run without.
    let mut run = place.ringfence(["run", "--json", "--policy"]);
    let attempt = attempts.words(&world.token(), "connect ssh.test:2222");
    let output = run.arg(&policy).arg("--").args(attempt).env(VARIABLE, "robot:guess").output()?;
    assert_eq!(stdout(&output), "502 upstream-refused\n", "{}", show(&output));
    DONE
}

pub(crate) fn an_upstream_that_is_gone_is_not_gone_around(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let upstream = Upstream { address: TcpListener::bind("10.20.0.9:0")?.local_addr()?, heads: Arc::default() };
    let policy = upstream.policy(place);
    let token = world.token();
    let line = |attempt: &str| attempts.line(&token, attempt);
    let script = line("connect ssh.test:2222")
        + &line("get http://allowed.test/TOKEN")
        + &line("tcp ssh.test 2222")
        + &line("tls allowed.test 443 allowed.test");
    let run = |policy: &[&str]| {
        let mut run = place.ringfence(["run", "--json"]);
        run.args(policy).args(["--", "sh", "-c", &script]).output()
    };
    let output = run(&["--policy", policy.to_str().unwrap()])?;
    expect_status(&output, 0);
    assert_eq!(stdout(&output), "502 upstream-failed\n502 upstream-failed\nreset\nreset\n", "{}", show(&output));
    assert!(!world.saw(&token));
    let receipt = printed(&output);
    assert!(blocked(&receipt).is_empty(), "{receipt:#}");
    assert!(receipt["network"]["reached"].as_array().unwrap().iter().all(|row| row["count"] == 0), "{receipt:#}");
    // The same without an upstream.
    let output = run(&["--allow", "allowed.test", "--allow", "ssh.test:2222"])?;
    assert_eq!(stdout(&output), "reached\n".repeat(4));
    DONE
}

pub(crate) fn the_plan_tells_what_an_upstream_changes(_: &World, place: &Place, _: &Ground) -> Outcome {
    let upstream = Upstream { address: ([10, 20, 0, 9], 3128).into(), heads: Arc::default() };
    let mut plan = place.ringfence(["plan", "--policy"]);
    let output = plan.arg(upstream.policy(place)).args(["--", "true"]).env(VARIABLE, CREDENTIALS).output()?;
    expect_status(&output, 0);
    let text = stdout(&output);
    assert!(text.contains("; through http://10.20.0.9:3128"), "{text}");
    assert!(text.contains("http://10.20.0.9:3128 resolves names, so that their addresses are not checked"), "{text}");
    assert!(!text.contains("Tr0ub4dor"), "{text}");
    let without = place.ringfence(["plan", "--allow", "allowed.test", "--", "true"]).output()?;
    assert!(!stdout(&without).contains("resolves names"), "{}", stdout(&without));
    DONE
}
