//! Variables and descriptors that travel into the run.

use std::fs;

use crate::attempt::{Attempt, Failure};
use crate::catalogue::{Class, Evidence, Probe, Wiring};

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("secret-variable", Class::Environment, "Reads a secret out of its own environment.", |_| {
        variable("RINGFENCE_PROBE_SECRET")
    })
    .evidence(Evidence::Secret),
    Probe::new("cloud-variable", Class::Environment, "Reads cloud credentials out of its own environment.", |_| {
        variable("AWS_SECRET_ACCESS_KEY")
    })
    .evidence(Evidence::Secret),
    Probe::new("token-variable", Class::Environment, "Reads a forge's token out of its own environment.", |_| {
        variable("GITHUB_TOKEN")
    })
    .evidence(Evidence::Secret),
    Probe::new("agent-variable", Class::Environment, "Learns where the SSH agent listens.", |_| {
        variable("SSH_AUTH_SOCK")
    }),
    Probe::new("inherited-descriptor", Class::Environment, "Finds a descriptor that was left open.", |_| {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc/self/fd").map_err(Failure::preparing("/proc/self/fd"))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number: i32 = name.parse().map_err(|_| Failure::unavailable("a descriptor is no number"))?;
            // The listing's own descriptor shows up too; it points back into /proc.
            let own = fs::read_link(entry.path()).is_ok_and(|target| target.starts_with("/proc"));
            if number > 2 && !own {
                found.push(name);
            }
        }
        if found.is_empty() { Err(Failure::denied("only 0, 1 and 2")) } else { Ok(found.join(", ")) }
    })
    .wiring(Wiring::Inherited),
];

fn variable(name: &str) -> Attempt {
    std::env::var(name).map_err(|_| Failure::denied(format!("{name} is not set")))
}
