//! What the tests run inside: this very program, by its first argument.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The first argument that makes the program an actor.
pub(crate) const ACTOR: &str = "actor";

/// What an actor prints when it is where the test wants it.
pub(crate) const READY: &str = "ready";

/// Status of an actor that was denied what it tried.
pub(crate) const DENIED: i32 = 13;

/// Plays the part that the arguments name, if they name one, and returns the exit status.
pub(crate) fn act(arguments: &[OsString]) -> Option<i32> {
    let (first, rest) = arguments.split_first()?;
    if first != ACTOR {
        return None;
    }
    let part = rest.first().and_then(|part| part.to_str()).unwrap_or_default();
    let rest = rest.get(1..).unwrap_or_default();
    let text = |at: usize| rest.get(at).and_then(|text| text.to_str()).unwrap_or_default();
    let number = |at: usize| text(at).parse::<u32>().unwrap_or_default();
    Some(match part {
        "arguments" => status(print_units(rest)),
        "exit" => number(0).cast_signed(),
        "abort" => std::process::abort(),
        "environment" => {
            std::env::vars_os().for_each(|(name, value)| println!("{}={}", name.display(), value.display()));
            0
        }
        "directory" => {
            println!("{}", std::env::current_dir().unwrap_or_default().display());
            0
        }
        "echo" => status(echo()),
        "hold" => hold(Path::new(text(0))),
        "leave" => status(start(&["hold", text(0)], Stdio::inherit()).and_then(|child| ready_of(child).map(drop))),
        "leave-and-wait" => {
            let child = start(&["hold", text(0)], Stdio::inherit()).and_then(ready_of);
            println!("{READY}");
            child.and_then(|mut child| child.wait()).map_or(1, |_| 0)
        }
        "many" => many(number(0)),
        "allocate" => allocate(number(0)),
        "breakaway" => breakaway(),
        "wait" => {
            println!("{READY}");
            forever()
        }
        "write" => attempt(std::fs::write(text(0), "written")),
        "append" => attempt(append(text(0))),
        "read" => attempt(std::fs::read(text(0)).map(drop)),
        "remove" => attempt(std::fs::remove_file(text(0))),
        "rename" => attempt(std::fs::rename(text(0), text(1))),
        "link" => attempt(std::fs::hard_link(text(0), text(1))),
        "open-for" => attempt(open_for(text(0), number(1))),
        "temporary" => attempt(std::fs::write(std::env::temp_dir().join("probe"), "written")),
        _ => 99,
    })
}

/// A command line for an actor.
pub(crate) fn actor(arguments: &[&str]) -> Vec<OsString> {
    let program = std::env::current_exe().unwrap();
    let mut line = vec![program.into_os_string(), ACTOR.into()];
    line.extend(arguments.iter().map(OsString::from));
    line
}

fn status(result: io::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

fn attempt(result: io::Result<()>) -> i32 {
    match result {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => DENIED,
        result => status(result),
    }
}

/// Each argument as hexadecimal units of UTF-16, one per line.
fn print_units(arguments: &[OsString]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for argument in arguments {
        let units: Vec<String> = argument.encode_wide().map(|unit| format!("{unit:04x}")).collect();
        writeln!(out, "{}", units.join(" "))?;
    }
    Ok(())
}

fn echo() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    io::stdout().write_all(&input)?;
    io::stderr().write_all(b"to the other side")
}

/// Holds a file that nobody else can open meanwhile: the proof that this process lives.
fn hold(path: &Path) -> i32 {
    let held = File::options().create(true).truncate(true).write(true).share_mode(0).open(path);
    let Ok(_held) = held else {
        return 1;
    };
    println!("{READY}");
    forever()
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

fn start(arguments: &[&str], error: Stdio) -> io::Result<Child> {
    let line = actor(arguments);
    Command::new(&line[0]).args(&line[1..]).stdout(Stdio::piped()).stderr(error).spawn()
}

/// Waits until a child says that it is ready. It keeps our standard error.
fn ready_of(mut child: Child) -> io::Result<Child> {
    let mut line = [0; READY.len()];
    child.stdout.as_mut().ok_or(io::ErrorKind::NotFound)?.read_exact(&mut line)?;
    Ok(child)
}

/// Starts so many children at once, as far as it is let, and prints how many.
fn many(count: u32) -> i32 {
    let mut children = Vec::new();
    for _ in 0..count {
        match start(&["wait"], Stdio::null()).and_then(ready_of) {
            Ok(child) => children.push(child),
            Err(_) => break,
        }
    }
    println!("{}", children.len());
    for child in &mut children {
        child.kill().unwrap_or_default();
    }
    0
}

/// Takes so many MiB and touches them.
fn allocate(mebibytes: u32) -> i32 {
    let mut bytes: Vec<u8> = Vec::new();
    let wanted = mebibytes as usize * 1024 * 1024;
    if bytes.try_reserve_exact(wanted).is_err() {
        return DENIED;
    }
    bytes.resize(wanted, 1);
    i32::from(bytes.iter().step_by(4096).any(|byte| *byte != 1))
}

/// Asks for a child outside of the job.
fn breakaway() -> i32 {
    const CREATE_BREAKAWAY_FROM_JOB: u32 = 0x0100_0000;
    let line = actor(&["exit", "0"]);
    let child = Command::new(&line[0]).args(&line[1..]).creation_flags(CREATE_BREAKAWAY_FROM_JOB).status();
    attempt(child.map(drop))
}

fn append(path: &str) -> io::Result<()> {
    File::options().append(true).open(path)?.write_all(b"appended")
}

fn open_for(path: &str, rights: u32) -> io::Result<()> {
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    File::options().access_mode(rights).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path).map(drop)
}
