//! Real programs inside a run: each reaches the allowed host, with proxy settings and without, and no other.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::receipt::{blocked, printed};
use crate::support::{Ground, Place, accounts, expect_status, show, skip, stdout};
use crate::web::{PLAIN, TLS, Web, web};
use crate::world::World;
use crate::{DONE, LANDLOCK, Outcome, installed, landlock_limits_tcp};

/// A program and how it fetches a page, as a line of shell. {host}, {port}, {ca} and {java} stand for what differs.
struct Client {
    program: &'static str,
    line: &'static str,
    tls: bool,
    /// Whether it takes the proxy from its environment; else it knows of none, and there is nothing to be unset.
    heeds_proxy: bool,
}

const fn client(program: &'static str, tls: bool, heeds_proxy: bool, line: &'static str) -> Client {
    Client { program, line, tls, heeds_proxy }
}

const CURL: &[Client] = &[
    client("curl", true, true, "curl -sS --cacert {ca} https://{host}:{port}/hello"),
    client("curl", false, true, "curl -sSf http://{host}:{port}/hello"),
    client("curl", true, false, "curl -sS --noproxy '*' --cacert {ca} https://{host}:{port}/hello"),
    client(
        "curl",
        true,
        true,
        "curl -sS --http1.1 -x socks5h://${HTTP_PROXY#http://} --cacert {ca} https://{host}:{port}/hello",
    ),
];

const PYTHON: &[Client] = &[
    client(
        "python3",
        true,
        true,
        "/usr/bin/python3 -c 'import ssl, urllib.request; \
         print(urllib.request.urlopen(\"https://{host}:{port}/hello\", context=ssl.create_default_context(cafile=\"{ca}\"))\
         .read().decode())'",
    ),
    client(
        "python3",
        false,
        false,
        "/usr/bin/python3 -c 'import socket; s = socket.create_connection((\"{host}\", {port})); \
         s.sendall(b\"GET /hello HTTP/1.0\\r\\n\\r\\n\"); print(s.makefile().read())'",
    ),
];

const NODE: &[Client] = &[
    client(
        "node",
        true,
        false,
        "NODE_EXTRA_CA_CERTS={ca} node -e 'require(\"https\").get(\"https://{host}:{port}/hello\", (a) => a.pipe(process.stdout))'",
    ),
    client(
        "node",
        false,
        false,
        "node -e 'require(\"http\").get(\"http://{host}:{port}/hello\", (a) => a.pipe(process.stdout))'",
    ),
    client(
        "node",
        true,
        true,
        "NODE_EXTRA_CA_CERTS={ca} node -e 'fetch(\"https://{host}:{port}/hello\").then((a) => a.text()).then(console.log)'",
    ),
];

const OPENSSL: &[Client] = &[
    client(
        "openssl",
        true,
        true,
        "printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -proxy ${HTTP_PROXY#http://} -CAfile {ca} \
         -verify_return_error -connect {host}:{port} -servername {host} 2>&1",
    ),
    client(
        "openssl",
        true,
        false,
        "printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -CAfile {ca} -verify_return_error \
         -connect {host}:{port} -servername {host} 2>&1",
    ),
];

const GIT: &[Client] = &[
    client(
        "git",
        true,
        true,
        "git -c http.sslCAInfo={ca} clone -q https://{host}:{port}/repository.git there && cat there/hello",
    ),
    client("git", false, true, "git clone -q http://{host}:{port}/repository.git there && cat there/hello"),
];

const JAVA: &[Client] = &[
    client("java", true, true, "java {java} Reach connection https://{host}:{port}/hello"),
    client("java", true, true, "java {java} Reach client https://{host}:{port}/hello"),
    client("java", false, true, "java {java} Reach connection http://{host}:{port}/hello"),
    client("java", false, false, "java {java} Reach socket http://{host}:{port}/hello"),
];

/// The variables that tell programs of the proxy.
const WITHOUT_PROXY: &str = "unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy NO_PROXY no_proxy \
                             GIT_CONFIG_COUNT JAVA_TOOL_OPTIONS NODE_USE_ENV_PROXY; ";

pub(crate) fn curl_reaches_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    reach(place, ground, CURL, "hello from the web")
}

/// Without a namespace only what uses the proxy gets anywhere.
pub(crate) fn curl_under_landlock_needs_the_proxy(_: &World, place: &Place, ground: &Ground) -> Outcome {
    let web = match web(ground.path()) {
        Ok(web) => web,
        Err(reason) => return skip(reason),
    };
    if !installed("curl") || !landlock_limits_tcp(place) {
        return skip("curl is not installed, or this kernel's Landlock does not limit TCP connections");
    }
    let run = |script: &str| {
        let mut run = place.ringfence(["run", "--json", "--allow", &format!("allowed.test:{TLS}")]);
        run.args(LANDLOCK).args(["--", "sh", "-c", script]).output()
    };
    let script = |host: &str| line(&CURL[0], web, host, TLS);
    let allowed = run(&script("allowed.test"))?;
    assert!(stdout(&allowed).contains("hello from the web"), "{}", show(&allowed));
    let refused = run(&script("other.test"))?;
    assert_eq!(stdout(&refused), "", "{}", show(&refused));
    assert!(blocked(&printed(&refused)).contains(&format!("host-not-allowed other.test:{TLS}")), "{}", show(&refused));
    for host in ["allowed.test", "other.test"] {
        let direct = format!("{WITHOUT_PROXY}{} --resolve {host}:{TLS}:93.184.216.10", script(host));
        assert_eq!(stdout(&run(&direct)?), "", "{direct}");
        let outside = place.command("sh").args(["-c", &direct]).output()?;
        assert!(stdout(&outside).contains("hello from the web"), "{}", show(&outside));
    }
    DONE
}

pub(crate) fn python_reaches_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    reach(place, ground, PYTHON, "hello from the web")
}

pub(crate) fn node_reaches_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    reach(place, ground, NODE, "hello from the web")
}

pub(crate) fn openssl_reaches_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    reach(place, ground, OPENSSL, "hello from the web")
}

pub(crate) fn git_over_https_reaches_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    if !installed("git") {
        return skip("git is not installed");
    }
    match web(ground.path()) {
        Ok(web) => drop(publish_repository(place, &web.files)?),
        Err(reason) => return skip(reason),
    }
    reach(place, ground, GIT, "hello from git")
}

pub(crate) fn java_reaches_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    if !installed("javac") || !installed("keytool") {
        return skip("javac (a JDK) is not installed");
    }
    let web = match web(ground.path()) {
        Ok(web) => web,
        Err(reason) => return skip(reason),
    };
    let source = place.write("home/project/Reach.java", include_str!("Reach.java"));
    expect_status(&place.command("javac").arg(source).output()?, 0);
    let trust = ["-importcert", "-noprompt", "-storepass", "changeit", "-keystore", "trust", "-file"];
    expect_status(&place.command("keytool").args(trust).arg(&web.authority).output()?, 0);
    reach(place, ground, JAVA, "hello from the web")
}

pub(crate) fn ssh_and_git_over_ssh_reach_the_allowlist_only(_: &World, place: &Place, ground: &Ground) -> Outcome {
    let Some(server) = SshServer::start(place, ground)? else { return skip("ssh, sshd or git is not installed") };
    let repository = publish_repository(&server.place, server.place.path())?;
    let ssh = server.client(place)?;
    let (user, port) = (&server.user, server.port);
    let url = format!("ssh://{user}@{{host}}:{port}{}", repository.display());
    let attempts = [
        format!("{ssh} -p {port} {user}@{{host}} echo hello from ssh"),
        format!("rm -rf there; GIT_SSH_COMMAND='{ssh}' git clone -q {url} there && cat there/hello"),
    ];
    for attempt in attempts {
        let attempt = |host| attempt.replace("{host}", host);
        let run = |host| inside(place, &attempt(host));
        let allowed = run("ssh.test")?;
        assert!(stdout(&allowed).contains("hello from "), "{}", show(&allowed));
        assert!(blocked(&printed(&allowed)).is_empty(), "{}", show(&allowed));
        let refused = run("other.test")?;
        assert!(!stdout(&refused).contains("hello"), "{}", show(&refused));
        assert!(blocked(&printed(&refused)).contains("host-not-allowed other.test:0"), "{}", show(&refused));
        // The server itself, by an address.
        let refused = run("93.184.216.11")?;
        assert!(!stdout(&refused).contains("hello"), "{}", show(&refused));
        for host in ["other.test", "93.184.216.11"] {
            let outside = place.command("sh").args(["-c", &attempt(host)]).output()?;
            assert!(stdout(&outside).contains("hello from "), "{}", show(&outside));
        }
        std::fs::remove_dir_all(place.workspace().join("there")).unwrap_or_default();
    }
    DONE
}

/// The ports of the two servers that may run at once.
const SSH_ROOT: u16 = 2022;
const SSH_USER: u16 = 2023;

/// sshd(8) as an ordinary user, who is the only one that can log in.
struct SshServer {
    process: Child,
    place: Place,
    user: String,
    port: u16,
}

impl SshServer {
    /// Starts one for a client's place. Nothing if something is not installed.
    fn start(client: &Place, ground: &Ground) -> std::io::Result<Option<Self>> {
        const PROGRAM: &str = "/usr/sbin/sshd";
        if !Path::new(PROGRAM).exists() || !installed("ssh") || !installed("git") {
            return Ok(None);
        }
        let place = Place::new(ground, accounts().pop().and_then(|(_, account)| account));
        let port = if client.uid() == 0 { SSH_ROOT } else { SSH_USER };
        for key in ["host", "client"] {
            let keygen = ["-q", "-t", "ed25519", "-N", "", "-f", key];
            expect_status(&place.command("ssh-keygen").args(keygen).output()?, 0);
        }
        let workspace = place.workspace();
        let configuration = format!(
            "Port {port}\nListenAddress 0.0.0.0\nHostKey {0}/host\nAuthorizedKeysFile {0}/client.pub\nPidFile none\n\
             UsePAM no\nStrictModes no\n",
            workspace.display()
        );
        let configuration = place.write("home/project/sshd_config", configuration);
        let user = stdout(&place.command("id").arg("-un").output()?).trim_end().to_owned();
        let mut process =
            place.command(PROGRAM).args(["-D", "-e", "-f"]).arg(configuration).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let listens = log.by_ref().map_while(Result::ok).any(|line| line.contains("Server listening"));
        assert!(listens, "sshd does not listen");
        // It must not wait for somebody to read its log.
        std::thread::spawn(move || log.for_each(drop));
        Ok(Some(Self { process, place, user, port }))
    }

    /// `ssh` with the key, as the client's user.
    fn client(&self, client: &Place) -> std::io::Result<String> {
        let from = self.place.workspace();
        let key = client.write("home/project/key", std::fs::read(from.join("client"))?);
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let host = std::fs::read_to_string(from.join("host.pub"))?;
        let known = client.write("home/project/known", format!("* {host}"));
        Ok(format!(
            "ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} -o BatchMode=yes -o ConnectTimeout=20",
            key.display(),
            known.display()
        ))
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Each client inside against the allowed host and another one, and outside against that one, where it is reached.
fn reach(place: &Place, ground: &Ground, clients: &[Client], expected: &str) -> Outcome {
    let web = match web(ground.path()) {
        Ok(web) => web,
        Err(reason) => return skip(reason),
    };
    if let Some(missing) = clients.iter().find(|client| !installed(client.program)) {
        return skip(format!("{} is not installed", missing.program));
    }
    for client in clients {
        let port = if client.tls { TLS } else { PLAIN };
        let modes: &[&str] =
            if client.heeds_proxy && !client.line.contains("_PROXY") { &["", WITHOUT_PROXY] } else { &[""] };
        for mode in modes {
            let script = |host: &str| format!("{mode}{}", line(client, web, host, port));
            // A clone leaves a directory.
            let clean = || std::fs::remove_dir_all(place.workspace().join("there")).unwrap_or_default();
            let allowed = inside(place, &script("allowed.test"))?;
            assert!(stdout(&allowed).contains(expected), "{}: {}", script("allowed.test"), show(&allowed));
            assert!(blocked(&printed(&allowed)).is_empty(), "{}: {}", script("allowed.test"), show(&allowed));
            clean();
            let refused = inside(place, &script("other.test"))?;
            assert!(!stdout(&refused).contains(expected), "{}: {}", script("other.test"), show(&refused));
            let told = blocked(&printed(&refused));
            // By name through the proxy, or at the question for its address.
            let codes = [port, 0].map(|port| format!("host-not-allowed other.test:{port}"));
            assert!(told.iter().any(|line| codes.contains(line)), "{}: {told:?}", script("other.test"));
            clean();
            if !client.line.contains("_PROXY") {
                let outside = place.command("sh").args(["-c", &script("other.test")]).output()?;
                assert!(stdout(&outside).contains(expected), "{}: {}", script("other.test"), show(&outside));
                clean();
            }
        }
    }
    DONE
}

fn line(client: &Client, web: &Web, host: &str, port: u16) -> String {
    let java = "-Djavax.net.ssl.trustStore=trust -Djavax.net.ssl.trustStorePassword=changeit -XX:TieredStopAtLevel=1";
    let line = client.line.replace("{host}", host).replace("{port}", &port.to_string()).replace("{java}", java);
    line.replace("{ca}", web.authority.to_str().unwrap())
}

fn inside(place: &Place, script: &str) -> std::io::Result<Output> {
    let mut run = place.ringfence(["run", "--json"]);
    for port in [TLS, PLAIN] {
        run.args(["--allow", &format!("allowed.test:{port}")]);
    }
    run.args(["--allow", &format!("ssh.test:{SSH_ROOT}"), "--allow", &format!("ssh.test:{SSH_USER}")]);
    run.args(["--", "sh", "-c", script]).output()
}

/// A bare repository among the files, readable without a program on the server.
fn publish_repository(place: &Place, files: &Path) -> std::io::Result<PathBuf> {
    let made = place.path().join("repository.git");
    let script = "set -e
        git init -q --bare $1
        git init -q w; cd w
        echo hello from git > hello; git add hello
        git -c user.name=t -c user.email=t@test commit -qm hello
        git push -q $1 HEAD:refs/heads/main
        git -C $1 symbolic-ref HEAD refs/heads/main
        git -C $1 update-server-info
        rm -rf ../w";
    let output = place.command("sh").args(["-c", script, "sh"]).arg(&made).output()?;
    expect_status(&output, 0);
    // Whichever case comes first.
    let _ = Command::new("cp").arg("-r").arg(&made).arg(files.join("repository.git")).status()?;
    Ok(made)
}
