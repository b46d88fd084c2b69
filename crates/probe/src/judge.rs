//! Runs a probe outside and inside, and compares.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::attempt::{Outcome, Report};
use crate::catalogue::{Control, Evidence, Probe, Wiring};
use crate::stage::{Account, Stage, run_as};
use crate::sys::{processes, terminal};

/// Exit statuses from here on say that the command was ended by a signal.
const KILLED: i32 = 128;

/// The sandbox that is judged.
#[derive(Debug, Clone)]
pub struct Fence {
    /// The `ringfence` program. Whoever the probes run as must be able to read it, and `/tmp` does not count.
    pub program: PathBuf,
    /// Flags for `ringfence run`, such as `--mechanism` and `--accept-degraded`.
    pub flags: Vec<String>,
}

/// What was seen of one attempt.
#[derive(Debug, Clone)]
pub struct Observation {
    /// What the probe reported; nothing if it was killed before it could.
    pub outcome: Option<Outcome>,
    /// Whether it went through, by the probe's [`Evidence`].
    pub through: bool,
    /// How the process ended, in words.
    pub ended: String,
    /// What it wrote to standard error.
    pub errors: String,
    never_ran: bool,
}

/// What a probe's two attempts amount to.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The attempt outside.
    pub control: Observation,
    /// The attempt inside.
    pub inside: Observation,
    /// The conclusion.
    pub verdict: Verdict,
}

/// The conclusion from a probe's two attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It works outside and not inside.
    Held,
    /// It works inside.
    Escaped,
    /// It shows nothing, for this reason: this machine or this user cannot do it outside either, or it works inside and
    /// nothing promises to hold it.
    NoControl(String),
    /// It should work outside and does not: the probe proves nothing.
    ControlFailed(String),
    /// The sandbox did not run the probe at all.
    Broken(String),
}

/// Judges one probe, with a fresh [`Stage`] below `base` for each of the two attempts.
///
/// # Errors
///
/// When a stage cannot be built or a process cannot be started.
pub fn judge(probe: &Probe, fence: &Fence, base: &Path, account: Option<Account>) -> io::Result<Judgement> {
    let control = outside(probe, &fence.program, base, account)?;
    let inside = inside(probe, fence, base, account)?;
    let verdict = compare(probe, &control, &inside);
    Ok(Judgement { control, inside, verdict })
}

/// Makes the attempt outside: the positive control.
///
/// # Errors
///
/// As [`judge`].
pub fn outside(probe: &Probe, program: &Path, base: &Path, account: Option<Account>) -> io::Result<Observation> {
    let stage = Stage::build(base, account)?;
    let mut arguments: Vec<_> = vec![program.into(), "__probe".into(), probe.name.into()];
    arguments.extend(stage.targets());
    if probe.control == Control::Apart {
        arguments.push("apart=1".into());
    }
    let observation = observe(probe, &stage, &arguments, account)?;
    if let (Evidence::Survivor, Some(Outcome::Succeeded { detail })) = (probe.evidence, &observation.outcome)
        && let Ok(survivor) = detail.parse()
    {
        // Outside, the number is the host's, and the process is the probe's own.
        let _ = processes::kill(survivor, libc::SIGKILL);
    }
    Ok(observation)
}

/// Makes the attempt inside.
///
/// # Errors
///
/// As [`judge`].
pub fn inside(probe: &Probe, fence: &Fence, base: &Path, account: Option<Account>) -> io::Result<Observation> {
    let stage = Stage::build(base, account)?;
    let mut arguments: Vec<_> = vec![fence.program.clone().into(), "run".into(), "--quiet".into()];
    arguments.extend(fence.flags.iter().map(Into::into));
    arguments.extend(probe.flags.iter().map(Into::into));
    arguments.extend(["--".into(), fence.program.clone().into(), "__probe".into(), probe.name.into()]);
    arguments.extend(stage.targets());
    observe(probe, &stage, &arguments, account)
}

fn observe(
    probe: &Probe,
    stage: &Stage,
    arguments: &[std::ffi::OsString],
    account: Option<Account>,
) -> io::Result<Observation> {
    let outside_before = stage.outside_state();
    let protected_before = stage.protected_state();
    let error_path = stage.backstage().join("errors");
    let mut command = wire(probe, stage, arguments)?;
    command.stdout(Stdio::piped()).stderr(File::create(&error_path)?);
    let mut terminals = None;
    match probe.wiring {
        Wiring::InputFile => {
            command.stdin(File::open(stage.outside().join("letter"))?);
        }
        Wiring::InputDirectory => {
            command.stdin(File::open(stage.outside())?);
        }
        Wiring::Terminal => {
            let pair = terminal::open_pair()?;
            terminal::control(&mut command, &pair.1);
            command.stdin(pair.1.try_clone()?);
            terminals = Some(pair);
        }
        Wiring::Plain | Wiring::Inherited | Wiring::Starter | Wiring::Shell | Wiring::Held => {
            command.stdin(Stdio::piped());
        }
    }
    run_as(&mut command, account);
    let mut child = command.spawn()?;
    let input = child.stdin.take();
    // One line, and not to the end: what a probe leaves behind may hold the other end open.
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let reachable =
        probe.evidence == Evidence::Reachable && TcpStream::connect((Ipv4Addr::LOCALHOST, stage.free_port())).is_ok();
    drop(input);
    let status = child.wait()?;
    drop(terminals);
    let outcome = serde_json::from_str::<Report>(&line).ok().map(|report| report.outcome);
    let through = match probe.evidence {
        Evidence::Outcome => outcome.as_ref().is_some_and(Outcome::succeeded),
        Evidence::OutsideChanged => stage.outside_state() != outside_before,
        Evidence::ProtectedChanged => stage.protected_state() != protected_before,
        Evidence::Secret => outcome.as_ref().is_some_and(|outcome| outcome.detail().contains(stage.canary())),
        Evidence::Survivor => stage.survivor_alive(),
        Evidence::Datagram => stage.datagram_arrived(),
        Evidence::Reachable => reachable,
    };
    let mut errors = String::new();
    File::open(error_path)?.take(4096).read_to_string(&mut errors).unwrap_or_default();
    Ok(Observation {
        // A probe always reports and exits with 0. Without a report it can only have been killed, which is a denial;
        // anything else means that it was not run.
        never_ran: outcome.is_none() && status.code().is_some_and(|code| code < KILLED),
        outcome,
        through,
        ended: status.to_string(),
        errors,
    })
}

/// The command line, behind a shell where descriptors or a process number have to be arranged before it starts.
fn wire(probe: &Probe, stage: &Stage, arguments: &[std::ffi::OsString]) -> io::Result<Command> {
    let script = match probe.wiring {
        Wiring::Inherited => "exec 7<\"$0/other\" 8<\"$0/.ssh/id_ed25519\"; exec \"$@\"",
        Wiring::Starter => "exec \"$@\" \"starter=$$\"",
        // A signal that reaches the shell leaves a trace; it is one that everybody else ignores.
        Wiring::Shell => "trap 'echo urgent > \"$0/signalled\"' URG; \"$@\"; exit $?",
        _ => {
            let (program, rest) = arguments.split_first().ok_or(io::ErrorKind::InvalidInput)?;
            let mut command = stage.command(program);
            command.args(rest);
            return Ok(command);
        }
    };
    let mut command = stage.command("/bin/sh");
    command.args(["-c", script]).arg(stage.home()).args(arguments);
    Ok(command)
}

/// Concludes from the attempts outside and inside, where they were made apart from each other.
#[must_use]
pub fn compare(probe: &Probe, control: &Observation, inside: &Observation) -> Verdict {
    if inside.never_ran {
        return Verdict::Broken(format!("{}: {}", inside.ended, inside.errors.trim()));
    }
    if inside.through {
        return match probe.unpromised {
            Some(reason) => Verdict::NoControl(format!("nothing promises to hold it: {reason}")),
            None => Verdict::Escaped,
        };
    }
    if control.through {
        return match &inside.outcome {
            Some(Outcome::Unavailable { detail, .. }) => {
                Verdict::Broken(format!("inside, the attempt could not even be prepared: {detail}"))
            }
            _ => Verdict::Held,
        };
    }
    match &control.outcome {
        Some(Outcome::Unavailable { detail, .. }) => Verdict::NoControl(detail.clone()),
        Some(outcome) if outcome.errno().is_some_and(is_absent) => {
            Verdict::NoControl(format!("this kernel does not offer it: {}", outcome.detail()))
        }
        Some(outcome) if probe.privileged && outcome.errno().is_some_and(is_refusal) => {
            Verdict::NoControl(format!("this user has no right to it outside either: {}", outcome.detail()))
        }
        Some(outcome) => Verdict::ControlFailed(outcome.detail().to_owned()),
        None => Verdict::ControlFailed(format!("{}: {}", control.ended, control.errors.trim())),
    }
}

/// Error numbers that say that the caller lacks a right. Even root may, in a container or a restricted machine.
fn is_refusal(errno: i32) -> bool {
    matches!(errno, libc::EPERM | libc::EACCES)
}

/// Error numbers that say that there is no such thing, rather than that it is refused.
fn is_absent(errno: i32) -> bool {
    const ABSENT: [i32; 10] = [
        libc::ENOSYS,
        libc::ENOENT,
        libc::ENODEV,
        libc::ENXIO,
        libc::EAFNOSUPPORT,
        libc::EPROTONOSUPPORT,
        libc::ESOCKTNOSUPPORT,
        libc::ENOPROTOOPT,
        libc::EOPNOTSUPP,
        libc::EADDRNOTAVAIL,
    ];
    ABSENT.contains(&errno)
}

/// Copies the program to where every user can run it, and gives its new path.
///
/// # Errors
///
/// Whatever the system says when the copy cannot be made.
pub fn publish(program: &Path, base: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let copy = base.join("ringfence");
    fs::copy(program, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    Ok(copy)
}
