//! What the probes aim at: everything that a developer's machine has and a run must not reach, made for one attempt.
//!
//! A [`Stage`] lives in a directory of its own and outside of it leaves nothing behind: sockets, objects and the
//! neighbour process end with it.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::{ipc, mounts};

/// A user to run as, when the caller is root and wants to see what an ordinary user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub user: u32,
    /// Group id; the account has no supplementary groups.
    pub group: u32,
}

/// Targets for one attempt, and what is needed to see whether they were hit.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    account: Option<Account>,
    canary: String,
    neighbour: Child,
    targets: BTreeMap<&'static str, OsString>,
    datagrams: Vec<Datagrams>,
    _listeners: Vec<Listener>,
    leftovers: Vec<PathBuf>,
    objects: Vec<(ipc::Kind, i32)>,
    queue: Option<CString>,
    free_port: u16,
}

impl Stage {
    /// Builds a stage in a new directory below `base`, which must not be `/tmp`: a run has a `/tmp` of its own, and
    /// what is not there cannot be denied. With `account`, everything belongs to that user.
    ///
    /// # Errors
    ///
    /// Whatever the system says when a file, a socket or the neighbour process cannot be made.
    pub fn build(base: &Path, account: Option<Account>) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let number = format!("{}-{count}", std::process::id());
        let root = base.join(format!("stage-{number}"));
        fs::create_dir(&root)?;
        let canary = format!("canary-{number}-{:08x}", nanoseconds());
        let home = root.join("home");
        let workspace = home.join("work/project");
        write_home(&home, &canary)?;
        write_workspace(&workspace)?;

        let mut listeners = Vec::new();
        let mut targets = BTreeMap::new();
        let mut leftovers = Vec::new();
        let marker = format!("ringfence-probe-{number}");
        for (target, directory) in [("temporary", "/tmp"), ("var-temporary", "/var/tmp"), ("shared-memory", "/dev/shm")]
        {
            let path = Path::new(directory).join(&marker);
            leftovers.push(path.clone());
            targets.insert(target, path.into_os_string());
        }
        for socket in [
            home.join("agent.sock"),
            home.join(".ssh/agent.sock"),
            home.join("work/engine.sock"),
            workspace.join("host.sock"),
        ] {
            listeners.push(Listener::unix(&socket)?);
        }
        for (target, directory) in [("temporary-socket", "/tmp"), ("run-socket", "/run")] {
            let path = Path::new(directory).join(format!("{marker}.sock"));
            if let Ok(listener) = Listener::unix(&path) {
                listeners.push(listener);
                targets.insert(target, path.clone().into_os_string());
                leftovers.push(path);
            }
        }
        listeners.push(Listener::Unix(UnixListener::bind_addr(&SocketAddr::from_abstract_name(&marker)?)?));
        targets.insert("abstract", marker.clone().into());

        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        targets.insert("port", tcp.local_addr()?.port().to_string().into());
        targets.insert("address", tcp.local_addr()?.to_string().into());
        listeners.push(Listener::Tcp(tcp));
        if let Ok(tcp) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
            targets.insert("port-6", tcp.local_addr()?.port().to_string().into());
            listeners.push(Listener::Tcp(tcp));
        }
        if let Some(address) = host_address() {
            let tcp = TcpListener::bind((address, 0))?;
            targets.insert("host-address", address.to_string().into());
            targets.insert("any-port", tcp.local_addr()?.port().to_string().into());
            listeners.push(Listener::Tcp(tcp));
        }
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_nonblocking(true)?;
        targets.insert("udp-port", udp.local_addr()?.port().to_string().into());
        let log = home.join("log.sock");
        let unix = UnixDatagram::bind(&log)?;
        unix.set_nonblocking(true)?;
        fs::set_permissions(&log, Permissions::from_mode(0o777))?;
        let free_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();

        let key = object_key(count);
        let mut objects = Vec::new();
        for kind in [ipc::Kind::SharedMemory, ipc::Kind::Semaphore, ipc::Kind::MessageQueue] {
            objects.push((kind, ipc::get(kind, key, true)?));
        }
        let queue = CString::new(format!("/{marker}"))?;
        let queue = ipc::open_queue(&queue, true).is_ok().then_some(queue);

        if account.is_some() {
            give(&root, account)?;
        }
        if let Some(program) = make_set_user_id_program(&root, account) {
            targets.insert("set-user-id-program", program.into_os_string());
        }
        let neighbour = start_neighbour(&home, &canary, account)?;
        targets.extend([
            ("home", home.clone().into_os_string()),
            ("outside", home.join("other").into_os_string()),
            ("workspace", workspace.into_os_string()),
            ("state", home.join(".local/state/ringfence").into_os_string()),
            ("secret", home.join(".ssh/id_ed25519").into_os_string()),
            ("file", home.join("other/letter").into_os_string()),
            ("create", home.join("other/created").into_os_string()),
            ("variable", "RINGFENCE_PROBE_SECRET".into()),
            ("neighbour", neighbour.id().to_string().into()),
            ("key", key.to_string().into()),
            ("queue", format!("/{marker}").into()),
            ("free-port", free_port.to_string().into()),
        ]);
        Ok(Self {
            root,
            account,
            canary,
            neighbour,
            targets,
            datagrams: vec![Datagrams::Udp(udp), Datagrams::Unix(unix)],
            _listeners: listeners,
            leftovers,
            objects,
            queue,
            free_port,
        })
    }

    /// The home directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The workspace, two levels below the home directory.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.home().join("work/project")
    }

    /// A directory outside the workspace.
    #[must_use]
    pub fn outside(&self) -> PathBuf {
        self.home().join("other")
    }

    /// A directory that is neither home nor workspace, for what a test itself needs.
    #[must_use]
    pub fn backstage(&self) -> &Path {
        &self.root
    }

    /// Gives what a test has made itself, and everything below, to the stage's user.
    ///
    /// # Errors
    ///
    /// Whatever the system says when the owner cannot be changed.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        if self.account.is_some() { give(path, self.account) } else { Ok(()) }
    }

    /// The text that every secret of the stage contains. No probe is ever told.
    #[must_use]
    pub fn canary(&self) -> &str {
        &self.canary
    }

    /// A port on which nobody listens.
    #[must_use]
    pub fn free_port(&self) -> u16 {
        self.free_port
    }

    /// The `key=value` arguments that tell a probe what to aim at.
    #[must_use]
    pub fn targets(&self) -> Vec<OsString> {
        self.targets
            .iter()
            .map(|(key, value)| {
                let mut argument = OsString::from(format!("{key}="));
                argument.push(value);
                argument
            })
            .collect()
    }

    /// A command that runs as the stage's user, in the workspace, with the stage's home and an environment in which
    /// there are secrets.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.workspace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .env("SSH_AUTH_SOCK", self.home().join(".ssh/agent.sock"));
        for secret in ["RINGFENCE_PROBE_SECRET", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"] {
            command.env(secret, &self.canary);
        }
        run_as(&mut command, self.account);
        command
    }

    /// What everything outside the workspace looks like now: a run must leave it as it was.
    #[must_use]
    pub fn outside_state(&self) -> BTreeMap<PathBuf, String> {
        let mut state = BTreeMap::new();
        let skipped = [self.workspace(), self.home().join(".local")];
        record(&self.home(), &skipped, &describe_outside, &mut state);
        for path in &self.leftovers {
            state.insert(path.clone(), describe_outside(path));
        }
        state
    }

    /// What the protected paths of the workspace look like now.
    #[must_use]
    pub fn protected_state(&self) -> BTreeMap<PathBuf, String> {
        const PROTECTED: [&str; 6] =
            [".git/hooks", ".git/config", ".git/modules/sub/hooks", ".git/modules/sub/config", "sub/.git", ".vscode"];
        let mut state = BTreeMap::new();
        for path in PROTECTED {
            record(&self.workspace().join(path), &[], &describe_content, &mut state);
        }
        state
    }

    /// Whether a datagram has arrived at any of the stage's sockets.
    #[must_use]
    pub fn datagram_arrived(&self) -> bool {
        self.datagrams.iter().any(Datagrams::arrived)
    }

    /// Whether something holds the lock in which a survivor shows itself.
    #[must_use]
    pub fn survivor_alive(&self) -> bool {
        let lock = File::open(self.workspace().join("survivor.lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next stage does not depend on it.
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
        for (kind, identifier) in &self.objects {
            let _ = ipc::remove(*kind, *identifier);
        }
        if let Some(queue) = &self.queue {
            let _ = ipc::remove_queue(queue);
        }
        for path in &self.leftovers {
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Kept open only so that there is somebody to connect to.
#[derive(Debug)]
#[expect(dead_code, reason = "the sockets only have to stay open")]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn unix(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        // Connecting takes the right to write to the socket file (unix(7)).
        fs::set_permissions(path, Permissions::from_mode(0o777))?;
        Ok(Self::Unix(listener))
    }
}

#[derive(Debug)]
enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    fn arrived(&self) -> bool {
        let mut buffer = [0; 64];
        match self {
            Self::Udp(socket) => socket.recv(&mut buffer).is_ok(),
            Self::Unix(socket) => socket.recv(&mut buffer).is_ok(),
        }
    }
}

/// Makes the command run as that user, if it is another.
pub(crate) fn run_as(command: &mut Command, account: Option<Account>) {
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
}

fn write_home(home: &Path, canary: &str) -> io::Result<()> {
    const SECRETS: [&str; 7] = [
        ".ssh/id_ed25519",
        ".aws/credentials",
        ".gnupg/private-keys-v1.d/key",
        ".netrc",
        ".kube/config",
        ".docker/config.json",
        ".git-credentials",
    ];
    for secret in SECRETS {
        write(&home.join(secret), &format!("secret = {canary}\n"))?;
    }
    write(&home.join("other/letter"), "Dear reader,\n")?;
    write(&home.join("other/papers/one"), "1\n")?;
    write(&home.join(".local/state/ringfence/probe.jsonl"), "{}\n")?;
    fs::set_permissions(home.join(".local/state/ringfence"), Permissions::from_mode(0o700))
}

/// A repository as git lays it out, with a submodule, and an editor's directory.
fn write_workspace(workspace: &Path) -> io::Result<()> {
    const FILES: [(&str, &str); 13] = [
        ("main.c", "int main(void) { return 0; }\n"),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/config", "[core]\n\trepositoryformatversion = 0\n"),
        (".git/hooks/pre-commit", "#!/bin/sh\n"),
        (".git/objects/info/packs", ""),
        (".git/refs/heads/.keep", ""),
        (".git/modules/sub/HEAD", "ref: refs/heads/main\n"),
        (".git/modules/sub/config", "[core]\n\tworktree = ../../../sub\n"),
        (".git/modules/sub/hooks/pre-commit", "#!/bin/sh\n"),
        (".git/modules/sub/objects/info/packs", ""),
        (".git/modules/sub/refs/heads/.keep", ""),
        ("sub/.git", "gitdir: ../.git/modules/sub\n"),
        (".vscode/settings.json", "{}\n"),
    ];
    for (path, content) in FILES {
        write(&workspace.join(path), content)?;
    }
    symlink("../../other", workspace.join("link-out"))
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content)
}

/// Gives everything below `path` to the account.
fn give(path: &Path, account: Option<Account>) -> io::Result<()> {
    lchown(path, account.map(|account| account.user), account.map(|account| account.group))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), account)?;
        }
    }
    Ok(())
}

/// A program that gives an ordinary user root's rights; only root can make one, and only for another user.
fn make_set_user_id_program(root: &Path, account: Option<Account>) -> Option<PathBuf> {
    let root_can = mounts::effective_ids().0 == 0 && account.is_some();
    let program = root.join("set-user-id");
    if !root_can || fs::copy("/usr/bin/id", &program).is_err() {
        return None;
    }
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).ok()?;
    Some(program)
}

/// A process of the same user, with a secret in its environment, one open as descriptor 3, and a directory outside as
/// its working directory.
fn start_neighbour(home: &Path, canary: &str, account: Option<Account>) -> io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "exec 3<../.ssh/id_ed25519; exec cat"])
        .current_dir(home.join("other"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RINGFENCE_PROBE_SECRET", canary)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    run_as(&mut command, account);
    let mut neighbour = command.spawn()?;
    // It echoes, so one byte back and forth says that it has become what it will be.
    if let (Some(input), Some(output)) = (&mut neighbour.stdin, &mut neighbour.stdout) {
        input.write_all(b"?")?;
        output.read_exact(&mut [0])?;
    }
    Ok(neighbour)
}

/// An address of this host other than loopback, if it has one. Nothing is sent: connecting a datagram socket only picks
/// the address, and the destination is reserved for documentation (RFC 5737).
fn host_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) if !address.is_loopback() && !address.is_unspecified() => Some(address),
        _ => None,
    }
}

/// A System V key that no other stage of this or another process uses at the same time.
fn object_key(count: u32) -> i32 {
    let mixed = std::process::id().wrapping_mul(4096).wrapping_add(count) & 0x3fff_ffff;
    0x4000_0000_i32 | i32::try_from(mixed).unwrap_or_default()
}

fn nanoseconds() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos())
}

fn record(
    path: &Path,
    skipped: &[PathBuf],
    describe: &impl Fn(&Path) -> String,
    state: &mut BTreeMap<PathBuf, String>,
) {
    if skipped.iter().any(|skipped| skipped == path) {
        return;
    }
    state.insert(path.to_owned(), describe(path));
    let is_directory = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    for entry in fs::read_dir(path).into_iter().filter(|_| is_directory).flatten().flatten() {
        record(&entry.path(), skipped, describe, state);
    }
}

/// Everything about a file that a run could change, but not when it was read. A directory's size and times say no more
/// than its entries do, which are recorded themselves.
fn describe_outside(path: &Path) -> String {
    let Ok(metadata) = path.symlink_metadata() else {
        return "missing".to_owned();
    };
    let times = if metadata.is_dir() {
        String::new()
    } else {
        format!(
            "{} links, changed {}.{:09}, modified {}.{:09}, ",
            metadata.nlink(),
            metadata.ctime(),
            metadata.ctime_nsec(),
            metadata.mtime(),
            metadata.mtime_nsec()
        )
    };
    format!(
        "inode {}, mode {:o}, owner {}:{}, {times}{}",
        metadata.ino(),
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        describe_content(path)
    )
}

fn describe_content(path: &Path) -> String {
    let Ok(metadata) = path.symlink_metadata() else {
        return "missing".to_owned();
    };
    if metadata.is_symlink() {
        format!("link to {:?}", fs::read_link(path).unwrap_or_default())
    } else if metadata.is_dir() {
        "directory".to_owned()
    } else if metadata.is_file() {
        format!("{:?}", String::from_utf8_lossy(&fs::read(path).unwrap_or_default()))
    } else {
        "special".to_owned()
    }
}
