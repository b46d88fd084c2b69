//! Attempts that mean the same on every system: the vocabulary of the conformance table.

use std::fs;
use std::io::Read as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Evidence, Probe, System};

/// A connection on one machine is answered at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of a file is shown: enough to recognise a secret by.
const SHOWN: u64 = 256;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("file-create", Class::Write, "Creates a file at the target path.", create)
        .on(System::Any)
        .evidence(Evidence::OutsideChanged),
    Probe::new("file-append", Class::Write, "Appends to the file at the target path.", append)
        .on(System::Any)
        .evidence(Evidence::OutsideChanged),
    Probe::new("file-delete", Class::Write, "Deletes the file at the target path.", delete)
        .on(System::Any)
        .evidence(Evidence::OutsideChanged),
    Probe::new("file-read", Class::Hide, "Reads the file at the target path.", read)
        .on(System::Any)
        .evidence(Evidence::Secret),
    Probe::new("tcp-connect", Class::Network, "Connects to the target address over TCP.", connect).on(System::Any),
    Probe::new(
        "variable-read",
        Class::Environment,
        "Reads an environment variable that the policy does not pass.",
        variable,
    )
    .on(System::Any)
    .evidence(Evidence::Secret),
];

fn create(targets: &Targets) -> Attempt {
    fs::File::create_new(targets.path("create")?)?;
    Ok("created".to_owned())
}

fn append(targets: &Targets) -> Attempt {
    use std::io::Write as _;
    fs::OpenOptions::new().append(true).open(targets.path("file")?)?.write_all(b"appended\n")?;
    Ok("appended".to_owned())
}

fn delete(targets: &Targets) -> Attempt {
    fs::remove_file(targets.path("file")?)?;
    Ok("deleted".to_owned())
}

fn read(targets: &Targets) -> Attempt {
    read_beginning(targets.path("secret")?)
}

/// The first bytes of a file, as text: what a probe shows to prove that it could read it.
pub(crate) fn read_beginning(path: &std::path::Path) -> Attempt {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(SHOWN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn connect(targets: &Targets) -> Attempt {
    let address = targets
        .text("address")?
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| Failure::unavailable("the target address is none"))?;
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    Ok(format!("connected to {address}"))
}

fn variable(targets: &Targets) -> Attempt {
    let name = targets.text("variable")?;
    std::env::var(name).map_err(|_| Failure::denied(format!("{name} is not set")))
}
