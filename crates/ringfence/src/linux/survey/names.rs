//! Name resolution for a run that reaches hosts through the egress proxy only.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::resolve::resolve;
use crate::survey::NameFile;

/// The proxy's own resolver: the address is in the run's network namespace.
const RESOLVER: &str = "nameserver 127.0.0.1\n";

/// More than any such file has; a file that is endless must not be read to its end.
const LONGEST: u64 = 1 << 20;

/// What programs find in place of the host's files. Where one is missing nothing is put: the C library then asks
/// 127.0.0.1 as well, and knows no other hosts (resolv.conf(5), hosts(5)).
pub(super) fn name_files() -> Vec<NameFile> {
    let resolver = location(Path::new("/etc/resolv.conf"));
    let resolver = resolver.map(|path| NameFile { path, content: RESOLVER.to_owned() });
    let hosts = location(Path::new("/etc/hosts"));
    let hosts = hosts.map(|path| NameFile { content: own_hosts(&read(&path), &host_name()), path });
    resolver.into_iter().chain(hosts).collect()
}

/// Where the file is, or where a link leads whose target will be in a directory that every run gets fresh.
fn location(path: &Path) -> Option<PathBuf> {
    match resolve(path) {
        Ok(found) => found.is_file().then_some(found.path),
        Err(_) => {
            let target = path.parent()?.join(std::fs::read_link(path).ok()?);
            let mut lexical = PathBuf::new();
            for part in target.components() {
                match part {
                    std::path::Component::ParentDir => drop(lexical.pop()),
                    part => lexical.push(part),
                }
            }
            lexical.starts_with("/run").then_some(lexical)
        }
    }
}

fn read(path: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    // A file that cannot be read leaves the run without names for its own loopback addresses but `localhost`, which
    // resolvers know by themselves.
    let file = std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    file.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines of loopback addresses, and this machine's own name, which programs look up to log it or to make it a part of
/// other names; many hosts files give it an address of the network.
fn own_hosts(hosts: &str, name: &str) -> String {
    let mut lines = loopback_lines(hosts);
    let known = |line: &str| line.split_whitespace().skip(1).any(|word| word == name);
    if !name.is_empty() && !lines.lines().any(known) {
        lines += &format!("127.0.0.1 {name}\n");
    }
    lines
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The lines of hosts(5) that name loopback addresses. Any other address has no route inside, and a name that is written
/// there would never be asked of the proxy, which does reach it.
fn loopback_lines(hosts: &str) -> String {
    let is_loopback = |line: &&str| {
        let address = line.split_whitespace().next().and_then(|word| word.parse::<IpAddr>().ok());
        address.is_some_and(|address| address.is_loopback())
    };
    hosts.lines().filter(is_loopback).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_knows_its_own_name() {
        let hosts = "127.0.0.1 localhost\n10.0.0.4 box\n";
        assert_eq!(own_hosts(hosts, "box"), "127.0.0.1 localhost\n127.0.0.1 box\n");
        assert_eq!(own_hosts("127.0.1.1 box.lan box\n", "box"), "127.0.1.1 box.lan box\n");
        assert_eq!(own_hosts("", ""), "");
    }

    #[test]
    fn only_names_of_the_loopback_device_are_kept() {
        let hosts = "# hosts\n127.0.0.1 localhost\n127.0.1.1\tbox box.lan\n::1 ip6-localhost\n10.0.0.5 db\n \nx y\n";
        assert_eq!(loopback_lines(hosts), "127.0.0.1 localhost\n127.0.1.1\tbox box.lan\n::1 ip6-localhost\n");
    }
}
