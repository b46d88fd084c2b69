//! Reaching other processes, outliving the run, and using more than a limit allows.

use std::fs::{self, File};
use std::path::Path;

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Evidence, Probe, Wiring};
use crate::sys::processes::{self, Detach};

/// Without a process namespace other processes of the same user keep their numbers and can be named.
const NO_PROCESS_NAMESPACE: &str = "without a process namespace the host's processes can be named";

const MEBIBYTE: usize = 1 << 20;
const PAGE: usize = 4096;

/// How many children the fork bomb makes; the limit of its run is far below.
const BOMB_CHILDREN: usize = 200;

/// How much the memory bomb takes; the limit of its run is far below.
const BOMB_BYTES: usize = 512 * MEBIBYTE;

/// How many processes share the divided memory bomb, none of them above the limit alone.
const BOMB_SHARES: usize = 6;

/// How long a bomb keeps what it took, in milliseconds: a monitor that samples needs its turn.
const BOMB_HOLD: i32 = 1500;

/// The limits hold also where no control group is delegated and the plan can only call them advisory.
const MEMORY_LIMIT: &[&str] = &["--memory", "128MiB", "--accept-degraded", "process.memory"];
const PROCESS_LIMIT: &[&str] = &["--processes", "64", "--accept-degraded", "process.processes"];

pub(crate) const PROBES: &[Probe] = &[
    process("signal-neighbour", "Sends a signal to another process.", |t| {
        Ok(done(processes::kill(t.number("neighbour")?, libc::SIGCONT)?))
    }),
    process("signal-starter", "Sends a signal to whoever started the run.", |t| {
        Ok(done(processes::kill(t.number("starter")?, libc::SIGCONT)?))
    })
    .wiring(Wiring::Starter),
    process("signal-group", "Sends a signal to its process group, in which whoever started the run may be.", |_| {
        Ok(done(processes::kill(0, libc::SIGURG)?))
    })
    .wiring(Wiring::Shell)
    .evidence(Evidence::OutsideChanged),
    process("signal-by-descriptor", "Sends a signal to another process through a process descriptor.", |t| {
        let neighbour = processes::open(t.number("neighbour")?)?;
        Ok(done(processes::signal(&neighbour, libc::SIGCONT)?))
    }),
    process("open-process", "Opens a process descriptor of another process.", |t| {
        Ok(done(processes::open(t.number("neighbour")?)?))
    })
    .beyond_landlock(NO_PROCESS_NAMESPACE),
    process("take-descriptor", "Copies an open descriptor out of another process.", |t| {
        let neighbour = processes::open(t.number("neighbour")?)?;
        Ok(done(processes::take_descriptor(&neighbour, 3)?))
    }),
    process("trace-neighbour", "Traces another process.", |t| Ok(done(processes::seize(t.number("neighbour")?)?))),
    process("trace-parent", "Traces its own parent.", |_| Ok(done(processes::seize(parent()?)?))).wiring(Wiring::Shell),
    // Process 1 of a run may work in the memory of the supervisor.
    process("write-parent-memory", "Asks to write into the memory of its own parent.", |_| write_into(parent()?))
        .wiring(Wiring::Shell),
    process("open-parent-memory", "Opens the memory of its own parent for writing.", |_| {
        Ok(done(File::options().write(true).open(format!("/proc/{}/mem", parent()?))?))
    })
    .wiring(Wiring::Shell),
    process("read-parent-environment", "Reads the environment of its own parent.", |_| {
        Ok(done(fs::read(format!("/proc/{}/environ", parent()?))?))
    })
    .wiring(Wiring::Shell),
    process("read-neighbour-memory-directly", "Reads the memory of another process.", |t| {
        let address = a_mapping(t)?;
        Ok(done(processes::read_memory(t.number("neighbour")?, address, &mut [0; 16])?))
    }),
    process("write-neighbour-memory", "Asks to write into the memory of another process.", |t| {
        write_into(t.number("neighbour")?)
    }),
    process("open-neighbour-memory", "Opens the memory of another process for writing.", |t| {
        let memory = format!("/proc/{}/mem", t.text("neighbour")?);
        Ok(done(File::options().write(true).open(memory)?))
    }),
    process("see-neighbour", "Sees another process and its command line.", |t| {
        let line = fs::read(format!("/proc/{}/cmdline", t.text("neighbour")?))?;
        if line.is_empty() { Err(Failure::denied("it is empty")) } else { Ok("seen".to_owned()) }
    })
    .beyond_landlock(NO_PROCESS_NAMESPACE),
    process("limit-neighbour", "Sets a resource limit of another process.", |t| {
        Ok(done(processes::set_core_limit(t.number("neighbour")?)?))
    })
    .beyond_landlock(NO_PROCESS_NAMESPACE),
    process("slow-neighbour", "Lowers the priority of another process.", |t| {
        Ok(done(processes::make_nicer(t.number("neighbour")?)?))
    })
    .beyond_landlock(NO_PROCESS_NAMESPACE),
    process("move-neighbour", "Sets the processors of another process.", |t| {
        Ok(done(processes::set_affinity(t.number("neighbour")?)?))
    })
    .beyond_landlock(NO_PROCESS_NAMESPACE),
    process("score-neighbour", "Makes another process the first to be killed when memory is short.", |t| {
        Ok(done(fs::write(format!("/proc/{}/oom_score_adj", t.text("neighbour")?), "900")?))
    }),
    survivor("survive-as-daemon", "Leaves a daemon behind.", |t| survive(t, Detach::Session)),
    survivor("survive-holding-output", "Leaves a process behind that holds the output open.", |t| {
        survive(t, Detach::KeepStreams)
    }),
    survivor("survive-as-subreaper", "Becomes the keeper of its orphans, and leaves one behind.", |t| {
        processes::become_subreaper().map_err(Failure::preparing("subreaper"))?;
        survive(t, Detach::Session)
    }),
    Probe::new("exhaust-processes", Class::Limit, "Makes more processes than allowed.", |_| {
        whole(processes::fork_together(BOMB_CHILDREN, stay)?, BOMB_CHILDREN)
    })
    .flags(PROCESS_LIMIT),
    Probe::new("exhaust-memory", Class::Limit, "Takes more memory than allowed.", |_| {
        if touch(BOMB_BYTES) { Ok("took it all".to_owned()) } else { Err(Failure::denied("no more was given")) }
    })
    .flags(MEMORY_LIMIT),
    Probe::new(
        "exhaust-memory-together",
        Class::Limit,
        "Takes more memory than allowed, in several processes.",
        |_| {
            let take = || {
                let mut share = Vec::new();
                fill(&mut share, BOMB_BYTES / BOMB_SHARES) && stay()
            };
            whole(processes::fork_together(BOMB_SHARES, take)?, BOMB_SHARES)
        },
    )
    .flags(MEMORY_LIMIT),
];

const fn process(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Process, tries, run)
}

const fn survivor(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Survive, tries, run).evidence(Evidence::Survivor)
}

fn parent() -> Result<i32, Failure> {
    i32::try_from(std::os::unix::process::parent_id()).map_err(|_| Failure::denied("no parent"))
}

fn write_into(process: i32) -> Attempt {
    match processes::write_no_memory(process) {
        // The address is senseless on purpose; the right to write is checked before it.
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok("let in".to_owned()),
        other => Ok(done(other?)),
    }
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

/// The address of something that the neighbour has mapped.
fn a_mapping(targets: &Targets) -> Result<usize, Failure> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", targets.text("neighbour")?))?;
    let start = maps.split('-').next().unwrap_or_default();
    usize::from_str_radix(start, 16).map_err(|_| Failure::denied("it shows no mappings"))
}

/// Leaves a process behind that holds a lock, which shows from outside whether it is alive.
fn survive(targets: &Targets, detach: Detach) -> Attempt {
    let path = targets.join("workspace", "survivor.lock")?;
    let file = File::create(Path::new(&path)).map_err(Failure::preparing("the lock"))?;
    file.try_lock().map_err(|error| Failure::unavailable(format!("the lock: {error}")))?;
    Ok(processes::leave_survivor(detach, &file)?.to_string())
}

fn whole(count: usize, wanted: usize) -> Attempt {
    if count == wanted { Ok(format!("all {count}")) } else { Err(Failure::denied(format!("only {count} of {wanted}"))) }
}

/// Keeps what was taken for a while.
fn stay() -> bool {
    processes::hold(BOMB_HOLD);
    true
}

fn touch(bytes: usize) -> bool {
    fill(&mut Vec::new(), bytes)
}

/// Makes room for `bytes` and writes to every page of it, as only that takes memory.
fn fill(memory: &mut Vec<u8>, bytes: usize) -> bool {
    if memory.try_reserve_exact(bytes).is_err() {
        return false;
    }
    for page in memory.spare_capacity_mut().chunks_mut(PAGE) {
        page[0].write(1);
    }
    std::hint::black_box(memory.as_ptr());
    true
}
