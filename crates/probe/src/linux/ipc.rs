//! Reaching what processes share by name: Unix sockets, System V and POSIX objects.

use std::ffi::CString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;

use super::write::below;
use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Evidence, Probe};
use crate::sys::ipc::{self, Kind};

pub(crate) const PROBES: &[Probe] = &[
    socket("socket-home", "Connects to a socket in the home directory.", |t| connect(&t.join("home", "agent.sock")?)),
    socket("socket-ssh-agent", "Connects to the SSH agent.", |t| connect(&t.join("home", ".ssh/agent.sock")?)),
    socket("socket-beside-workspace", "Connects to a socket in the workspace's parent.", |t| {
        connect(&t.join("workspace", "../engine.sock")?)
    }),
    socket("socket-in-workspace", "Connects to a socket of the host that lies in the workspace.", |t| {
        connect(&t.join("workspace", "host.sock")?)
    }),
    socket("socket-temporary", "Connects to a socket in the host's /tmp, where X11 and agents have theirs.", |t| {
        connect(t.path("temporary-socket")?)
    }),
    socket("socket-run", "Connects to a socket in /run, where the buses and container engines have theirs.", |t| {
        connect(t.path("run-socket")?)
    }),
    socket("socket-through-symlink", "Connects through a symbolic link made in the workspace.", |t| {
        let link = t.join("workspace", "link.sock")?;
        symlink(t.join("home", "agent.sock")?, &link).map_err(Failure::preparing("symlink"))?;
        connect(&link)
    }),
    socket("socket-through-hard-link", "Connects through a hard link made in the workspace.", |t| {
        let link = t.join("workspace", "alias.sock")?;
        std::fs::hard_link(t.join("home", "agent.sock")?, &link)?;
        connect(&link)
    }),
    socket("socket-through-rename", "Renames a socket into the workspace and connects there.", |t| {
        let taken = t.join("workspace", "taken.sock")?;
        std::fs::rename(t.join("home", "agent.sock")?, &taken)?;
        connect(&taken)
    }),
    socket("socket-through-own-root", "Connects through /proc/self/root.", |t| {
        connect(&below(Path::new("/proc/self/root"), &t.join("home", "agent.sock")?))
    }),
    socket("socket-through-neighbour-root", "Connects through the root of another process.", |t| {
        let root = format!("/proc/{}/root", t.text("neighbour")?);
        connect(&below(Path::new(&root), &t.join("home", "agent.sock")?))
    }),
    socket("socket-datagram", "Sends a datagram to a socket in the home directory.", |t| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to(b"probe", t.join("home", "log.sock")?)?;
        Ok("sent".to_owned())
    })
    .evidence(Evidence::Datagram),
    Probe::new("socket-abstract", Class::Socket, "Connects to an abstract socket.", |t| {
        let address =
            SocketAddr::from_abstract_name(t.text("abstract")?.as_bytes()).map_err(Failure::preparing("address"))?;
        Ok(connected(UnixStream::connect_addr(&address)?))
    }),
    object("shared-memory-segment", "Opens a System V shared memory segment of the host.", |t| {
        found(ipc::get(Kind::SharedMemory, t.number("key")?, false))
    }),
    object("semaphore", "Opens a System V semaphore of the host.", |t| {
        found(ipc::get(Kind::Semaphore, t.number("key")?, false))
    }),
    object("message-queue", "Opens a System V message queue of the host.", |t| {
        found(ipc::get(Kind::MessageQueue, t.number("key")?, false))
    }),
    object("posix-message-queue", "Opens a POSIX message queue of the host.", |t| {
        let name = CString::new(t.text("queue")?).map_err(|_| Failure::unavailable("the target queue has a NUL"))?;
        ipc::open_queue(&name, false)?;
        Ok("opened".to_owned())
    }),
];

const fn socket(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Socket, tries, run)
}

const fn object(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Ipc, tries, run)
}

fn connect(path: &Path) -> Attempt {
    Ok(connected(UnixStream::connect(path)?))
}

fn connected(_stream: UnixStream) -> String {
    "connected".to_owned()
}

fn found(identifier: std::io::Result<i32>) -> Attempt {
    Ok(format!("found as {}", identifier?))
}
