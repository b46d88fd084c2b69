//! A network namespace with an internet of its own: public addresses that are local, names that resolve, and servers that
//! remember what reached them.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::servers::{self, Seen};

/// Where this test program stands.
pub(crate) enum Standing {
    /// In the namespace.
    Inside(&'static World),
    /// It ran again in the namespace, and ended so.
    Done(ExitCode),
    /// This machine allows no such namespace.
    Impossible(String),
}

/// What is in the namespace besides the test.
pub(crate) struct World {
    seen: Seen,
    count: AtomicUsize,
}

/// The name server of the machine, as its resolv.conf has it.
pub(crate) const NAME_SERVER: &str = "93.184.217.53";

/// The address that an interface of this machine has, in public space.
const OWN_ADDRESS: &str = "93.184.217.1";

/// Said by the setup when everything is in place; what fails before is this machine's refusal.
const READY: &str = "RINGFENCE_TEST_WORLD";

/// Makes addresses local, files of name resolution private, and what a user may do like an ordinary machine. Some of it an
/// unprivileged namespace or a kernel without IPv6 does not have; what needs it finds its control missing.
fn setup() -> String {
    format!(
        "set -e
        ip link set lo up
        ip addr add {OWN_ADDRESS}/32 dev lo
        for net in 93.184.216.0/24 {NAME_SERVER}/32 8.8.8.8/32 10.20.0.0/24 100.64.0.0/24 169.254.169.254/32 198.18.0.0/15
        do ip route add local $net dev lo; done
        ip route add 224.0.0.0/4 dev lo
        for net in 2606:4700::/64 64:ff9b::/96 2002::/16 fd00:20::/64
        do ip -6 route add local $net dev lo 2>/dev/null || true; done
        echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
        {{ echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind; }} 2>/dev/null || true
        {{ echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range; }} 2>/dev/null ||
            echo '0 0' > /proc/sys/net/ipv4/ping_group_range
        mount -t tmpfs -o mode=0755 tmpfs /run
        mkdir /run/names
        replace() {{
            file=$(readlink -m $1); mkdir -p $(dirname $file); [ -e $file ] || touch $file
            cat > /run/names/${{1##*/}}; mount --bind /run/names/${{1##*/}} $file
        }}
        printf 'nameserver {NAME_SERVER}\\noptions timeout:60\\n' | replace /etc/resolv.conf
        printf 'hosts: files dns\\n' | replace /etc/nsswitch.conf
        printf '127.0.0.1 localhost\\n::1 localhost\\n93.184.216.41 hosted.test\\n93.184.216.12 inhosts.test\\n' |
            replace /etc/hosts
        # A login and its client want to know the user's name.
        [ $(id -u) != 0 ] || {{ cat /etc/passwd; echo 'ringfence-test:x:64999:64999::/nonexistent:/bin/sh'; }} > /run/names/passwd
        [ $(id -u) != 0 ] || mount --bind /run/names/passwd /etc/passwd
        export {READY}=1
        exec \"$@\""
    )
}

/// Enters the namespace by running this program again.
pub(crate) fn enter() -> Standing {
    if std::env::var_os(READY).is_some() {
        let seen = Seen::default();
        if let Err(error) = servers::start(&seen) {
            return Standing::Impossible(format!("a server cannot be started: {error}"));
        }
        return Standing::Inside(Box::leak(Box::new(World { seen, count: AtomicUsize::new(0) })));
    }
    let Ok(program) = std::env::current_exe() else {
        return Standing::Impossible("this program cannot be found".to_owned());
    };
    let tried = unshared(Path::new("true"), &[]).output();
    match tried {
        Err(error) => Standing::Impossible(format!("unshare (util-linux) cannot be started: {error}")),
        Ok(output) if !output.status.success() => {
            Standing::Impossible(format!("no namespace: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
        }
        Ok(_) => match unshared(&program, &std::env::args().skip(1).collect::<Vec<_>>()).status() {
            Ok(status) => {
                let code = status.code().or(status.signal().map(|signal| 128 + signal));
                Standing::Done(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into())
            }
            Err(error) => Standing::Impossible(format!("unshare cannot be started: {error}")),
        },
    }
}

/// The program in the namespace. Root stays root, for whom the tests then become ordinary users; an ordinary user is one in
/// there, too.
fn unshared(program: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new("unshare");
    let owner = Path::new("/proc/self").metadata().map_or((0, 0), |metadata| (metadata.uid(), metadata.gid()));
    if owner.0 == 0 {
        command.args(["--net", "--mount", "--propagation", "private", "--"]);
    } else {
        command.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
    }
    command.args(["sh", "-c", &setup(), "sh"]);
    if owner.0 != 0 {
        let (user, group) = (format!("--map-user={}", owner.0), format!("--map-group={}", owner.1));
        command.args(["unshare", "--user", &user, &group, "--"]);
    }
    command.arg(program).args(arguments);
    command
}

impl World {
    /// A word that nothing else has sent.
    pub(crate) fn token(&self) -> String {
        format!("token{}x{:06}", std::process::id(), self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether any server got the word, over whatever protocol.
    pub(crate) fn saw(&self, token: &str) -> bool {
        self.seen.contains(token)
    }
}

/// The addresses of a name; `None` if there is no such name. Names have no IPv6 addresses but those that begin with `six`.
pub(crate) fn addresses(name: &str) -> Option<Vec<IpAddr>> {
    let public = |last| IpAddr::V4(Ipv4Addr::new(93, 184, 216, last));
    let private = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 5));
    Some(match name {
        "allowed.test" => vec![public(10)],
        "ssh.test" => vec![public(11)],
        "loop.wild.test" => vec![Ipv4Addr::LOCALHOST.into()],
        "private.wild.test" => vec![private],
        "mixed.wild.test" => vec![public(13), private],
        "meta.wild.test" => vec![Ipv4Addr::new(169, 254, 169, 254).into()],
        "shared.wild.test" => vec![Ipv4Addr::new(100, 64, 0, 5).into()],
        "own.wild.test" => vec![Ipv4Addr::new(93, 184, 217, 1).into()],
        "synthetic.wild.test" => vec![Ipv4Addr::new(198, 18, 7, 7).into()],
        "six.wild.test" => vec!["2606:4700::13".parse().ok()?],
        "sixlocal.wild.test" => vec!["fd00:20::5".parse().ok()?],
        _ if name.ends_with(".wild.test") && !name.starts_with("missing") => vec![public(13)],
        _ if name.starts_with("six.") && name.ends_with(".evil.test") => vec!["2606:4700::40".parse().ok()?],
        "other.test" | "evil.test" => vec![public(40)],
        _ if name.ends_with(".evil.test") || name.ends_with(".allowed.test") => vec![public(40)],
        _ => return None,
    })
}
