//! Gaining privilege.

use std::fs;
use std::process::Command;

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Control, Probe};
use crate::sys::kernel;

/// A user and group that is nobody's: outside every range that systems give out.
const SOMEBODY_ELSE: u32 = 2_100_000_001;

pub(crate) const PROBES: &[Probe] = &[
    privilege("no-new-privileges-off", "Looks whether a program could gain privilege.", |_| {
        status("NoNewPrivs", |value| value == "0")
    }),
    privilege("no-filter", "Looks whether system calls are filtered at all.", |_| {
        status("Seccomp", |value| value == "0")
    }),
    privilege("capabilities", "Looks for capabilities that it has.", |_| {
        any_capability(&["CapEff", "CapPrm", "CapInh", "CapAmb"])
    })
    .control(Control::Apart),
    privilege("capability-bounds", "Looks for capabilities that it could get.", |_| any_capability(&["CapBnd"]))
        .beyond_landlock("an ordinary user cannot shrink the bounds; no_new_privs makes them worthless"),
    privilege("raise-capability", "Makes a capability effective.", |_| Ok(done(kernel::raise_capability()?)))
        .control(Control::Apart),
    privilege("raise-ambient-capability", "Makes a capability survive the start of a program.", |_| {
        Ok(done(kernel::raise_ambient_capability()?))
    })
    .control(Control::Apart),
    privilege("clear-secure-bits", "Makes root special again.", |_| Ok(done(kernel::clear_secure_bits()?)))
        .control(Control::Apart),
    privilege("become-user", "Becomes another user.", |_| Ok(done(kernel::become_user(SOMEBODY_ELSE)?))).privileged(),
    privilege("join-group", "Joins another group.", |_| Ok(done(kernel::join_group(SOMEBODY_ELSE)?))).privileged(),
    privilege("set-user-id-program", "Starts a program that runs as root whoever starts it.", |t| {
        let output = Command::new(t.path("set-user-id-program")?).arg("-u").output()?;
        let user = String::from_utf8_lossy(&output.stdout);
        if user.trim() == "0" {
            Ok("it ran as root".to_owned())
        } else {
            Err(Failure::denied(format!("it ran as {user}")))
        }
    }),
];

const fn privilege(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Privilege, tries, run)
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

/// A line of /proc/self/status (proc_pid_status(5)).
fn status_line(name: &str) -> Result<String, Failure> {
    let status = fs::read_to_string("/proc/self/status").map_err(Failure::preparing("/proc/self/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned()).ok_or_else(|| Failure::unavailable(format!("no line {name}")))
}

fn status(name: &str, open: impl Fn(&str) -> bool) -> Attempt {
    let value = status_line(name)?;
    let shown = format!("{name} is {value}");
    if open(&value) { Ok(shown) } else { Err(Failure::denied(shown)) }
}

fn any_capability(sets: &[&str]) -> Attempt {
    for set in sets {
        let value = status_line(set)?;
        if value.chars().any(|digit| digit != '0') {
            return Ok(format!("{set} is {value}"));
        }
    }
    Err(Failure::denied("all are empty"))
}
