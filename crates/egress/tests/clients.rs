//! Real clients, set up by nothing but the environment that a run gives them, against servers inside a network namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Kit, PATIENCE, TestResolver, rules};
use ringfence_egress::{Endpoint, proxy_environment};

/// A server process, ended with this value.
struct ServerProcess(Child);

impl ServerProcess {
    fn start(command: &mut Command, address: &str) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Self(child);
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "nothing listens on {address}");
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn has(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|path| path.join(program).exists());
    if !found {
        println!("skipped {program}: not installed");
    }
    found
}

/// Runs the client with the variables of a run and a clean home.
fn client(kit: &Kit, home: &Path, program: &str, arguments: &[&str]) -> Output {
    let variables = proxy_environment(&Endpoint { address: kit.address, own_loopback: false });
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .envs(variables)
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A directory with a certificate for ok.example and a Git repository for dumb clients.
fn prepare(directory: &Path) -> PathBuf {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory.join("www")).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{program}: {}", said(&output));
    };
    let subject = ["-subj", "/CN=ok.example", "-addext", "subjectAltName=DNS:ok.example"];
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"];
    run("openssl", &[&new[..], &subject[..]].concat());
    std::fs::write(directory.join("www/hello"), "hello from the server").unwrap();
    if has("git") {
        run("git", &["init", "-q", "work"]);
        let identity = ["-c", "user.name=t", "-c", "user.email=t@ok.example"];
        run("git", &[&["-C", "work"], &identity[..], &["commit", "-q", "--allow-empty", "-m", "one"]].concat());
        run("git", &["clone", "-q", "--bare", "work", "www/repository.git"]);
        run("git", &["-C", "www/repository.git", "update-server-info"]);
    }
    directory.to_owned()
}

/// Serves `www` over HTTP and HTTPS; Python's standard library is all it takes.
const SERVER: &str = "
import http.server, ssl, sys
address, port, tls = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'tls'
class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *a): super().__init__(*a, directory='www')
server = http.server.ThreadingHTTPServer((address, port), Handler)
if tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain('cert.pem', 'key.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

#[test]
fn real_clients_reach_the_allowlist_and_nothing_else() {
    if !common::namespace::inside("real_clients_reach_the_allowlist_and_nothing_else") {
        return;
    }
    if !has("openssl") || !has("python3") {
        return;
    }
    let home = prepare(&std::env::temp_dir().join(format!("ringfence-egress-clients-{}", std::process::id())));
    let server = |port: &str, kind: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", SERVER, "93.184.216.34", port, kind]).current_dir(&home);
        ServerProcess::start(&mut command, &format!("93.184.216.34:{port}"))
    };
    let _servers = (server("80", "plain"), server("443", "tls"));
    let mut kit = Kit::start(
        rules(&["ok.example"], &[]),
        TestResolver::default().with("ok.example", &["93.184.216.34"]),
        |builder| builder,
    );
    let socks = format!("socks5h://{}", kit.address);
    let proxy = kit.address.to_string();
    let python = "import urllib.request,ssl,sys\n\
                  print(urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read().decode())";
    let git_tls = ["-c", "http.sslVerify=false", "ls-remote"];

    // Each client once to the allowed host and once to another one, in its own way of saying the host.
    let cases: &[(&str, ArgumentsFor<'_>, &str)] = &[
        ("curl", &|host| words(&["-sSk", &format!("https://{host}/hello")]), "hello from"),
        ("curl", &|host| words(&["-sSf", &format!("http://{host}/hello")]), "hello from"),
        ("curl", &|host| words(&["-sSk", "-x", &socks, &format!("https://{host}/hello")]), "hello from"),
        ("curl", &|host| words(&["-sSfp", &format!("http://{host}/hello")]), "hello from"),
        (
            "openssl",
            &|host| words(&["s_client", "-proxy", &proxy, "-connect", &format!("{host}:443"), "-servername", host]),
            "CN = ok.example",
        ),
        ("python3", &|host| words(&["-c", python, &format!("https://{host}/hello")]), "hello from"),
        ("python3", &|host| words(&["-c", python, &format!("http://{host}/hello")]), "hello from"),
        ("git", &|host| [words(&git_tls), words(&[&format!("https://{host}/repository.git")])].concat(), "HEAD"),
        ("git", &|host| words(&["ls-remote", &format!("http://{host}/repository.git")]), "HEAD"),
    ];
    for (program, arguments, expected) in cases {
        if !has(program) {
            continue;
        }
        let run = |host: &str| {
            let arguments = arguments(host);
            client(&kit, &home, program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (allowed, refused) = (run("ok.example"), run("evil.example"));
        assert!(said(&allowed).contains(expected), "{program} {:?}: {}", arguments("ok.example"), said(&allowed));
        assert!(!said(&refused).contains(expected), "{program}: {}", said(&refused));
        println!("{program} {:?}", arguments("HOST").last().unwrap());
    }
    // Another server name than the host that the tunnel was opened for.
    let fronting = ["s_client", "-proxy", &proxy, "-connect", "ok.example:443", "-servername", "evil.example"];
    let output = client(&kit, &home, "openssl", &fronting);
    assert!(said(&output).contains("unrecognized name"), "{}", said(&output));

    let summary = kit.proxy.take().unwrap().finish();
    let evil: u64 = summary.blocked.iter().filter(|row| row.host == "evil.example").map(|row| row.count).sum();
    assert!(evil as usize >= cases.iter().filter(|case| has(case.0)).count(), "{summary:?}");
    assert!(kit.resolver.asked().iter().all(|name| name == "ok.example"), "{:?}", kit.resolver.asked());
    let _ = std::fs::remove_dir_all(&home);
}

/// The arguments that make a client go to a host.
type ArgumentsFor<'a> = &'a dyn Fn(&str) -> Vec<String>;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
