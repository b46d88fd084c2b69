//! Reading what is hidden.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use super::write::below;
use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Control, Evidence, Probe, Wiring};
use crate::portable::read_beginning;
use crate::sys::files;

/// The file that [`Wiring::Inherited`] leaves open.
const INHERITED_SECRET: i32 = 8;

/// How much of a memory is shown: enough to recognise a secret by.
const SHOWN: usize = 96;

pub(crate) const PROBES: &[Probe] = &[
    hide("read-ssh-key", "Reads a private key of SSH.", |t| read_beginning(&t.join("home", ".ssh/id_ed25519")?)),
    hide("read-cloud-credentials", "Reads cloud credentials.", |t| {
        read_beginning(&t.join("home", ".aws/credentials")?)
    }),
    hide("read-gnupg", "Reads the GnuPG directory.", |t| {
        read_beginning(&t.join("home", ".gnupg/private-keys-v1.d/key")?)
    }),
    hide("read-netrc", "Reads ~/.netrc.", |t| read_beginning(&t.join("home", ".netrc")?)),
    hide("read-kube-config", "Reads the Kubernetes configuration.", |t| {
        read_beginning(&t.join("home", ".kube/config")?)
    }),
    hide("read-docker-config", "Reads the container engine's credentials.", |t| {
        read_beginning(&t.join("home", ".docker/config.json")?)
    }),
    hide("read-git-credentials", "Reads git's stored credentials.", |t| {
        read_beginning(&t.join("home", ".git-credentials")?)
    }),
    hide("read-through-symlink", "Reads a key through a symbolic link made in the workspace.", |t| {
        let link = t.join("workspace", "link-to-key")?;
        symlink(key(t)?, &link).map_err(Failure::preparing("symlink"))?;
        read_beginning(&link)
    }),
    hide("read-through-hard-link", "Reads a key through a hard link made in the workspace.", |t| {
        let link = t.join("workspace", "alias-of-key")?;
        fs::hard_link(key(t)?, &link)?;
        read_beginning(&link)
    }),
    hide("read-through-rename", "Renames the key directory into the workspace and reads there.", |t| {
        let taken = t.join("workspace", "taken")?;
        fs::rename(t.join("home", ".ssh")?, &taken)?;
        read_beginning(&taken.join("id_ed25519"))
    }),
    hide("read-through-own-root", "Reads a key through /proc/self/root.", |t| {
        read_beginning(&below(Path::new("/proc/self/root"), &key(t)?))
    }),
    hide("read-through-root-of-init", "Reads a key through /proc/1/root.", |t| {
        read_beginning(&below(Path::new("/proc/1/root"), &key(t)?))
    })
    .privileged(),
    hide("read-through-neighbour-root", "Reads a key through the root of another process.", |t| {
        let root = format!("/proc/{}/root", t.text("neighbour")?);
        read_beginning(&below(Path::new(&root), &key(t)?))
    }),
    hide("read-through-neighbour-descriptor", "Reads a file that another process has open.", |t| {
        read_beginning(Path::new(&format!("/proc/{}/fd/3", t.text("neighbour")?)))
    }),
    hide("read-inherited-descriptor", "Reads a secret file that was left open.", |_| {
        read_beginning(Path::new(&format!("/proc/self/fd/{INHERITED_SECRET}")))
    })
    .wiring(Wiring::Inherited),
    hide("read-by-handle", "Opens a key by its file handle.", |t| {
        let mount = File::open(t.path("workspace")?).map_err(Failure::preparing("the workspace"))?;
        files::open_by_handle(&key(t)?, &mount)?;
        read_beginning(&key(t)?)
    })
    .privileged(),
    Probe::new("list-keys", Class::Hide, "Lists the names in the key directory.", |t| {
        let mut names = fs::read_dir(t.join("home", ".ssh")?)?;
        names.next().map_or_else(|| Err(Failure::denied("it is empty")), |_| Ok("it has names in it".to_owned()))
    }),
    hide("read-neighbour-environment", "Reads the environment of another process.", |t| {
        read_environment(&PathBuf::from(format!("/proc/{}/environ", t.text("neighbour")?)))
    }),
    hide("read-starter-environment", "Reads the environment of whoever started the run.", |t| {
        read_environment(&PathBuf::from(format!("/proc/{}/environ", t.text("starter")?)))
    })
    .wiring(Wiring::Starter),
    hide("read-any-environment", "Reads the environment of every process it can see.", |_| {
        let processes = fs::read_dir("/proc")?.flatten().map(|entry| entry.path().join("environ"));
        processes
            .filter_map(|path| read_environment(&path).ok())
            .next()
            .ok_or_else(|| Failure::denied("no process shows the secret"))
    }),
    hide("read-neighbour-memory", "Reads the memory of another process through /proc.", |t| {
        read_stack(t.number("neighbour")?)
    }),
    Probe::new("read-kernel-core", Class::Hide, "Opens the kernel's memory, /proc/kcore.", |_| {
        opened(Path::new("/proc/kcore"))
    })
    .control(OPENED)
    .privileged(),
    Probe::new("read-memory-device", Class::Hide, "Opens the machine's memory, /dev/mem.", |_| {
        opened(Path::new("/dev/mem"))
    })
    .control(OPENED)
    .privileged(),
    Probe::new("read-disk", Class::Hide, "Opens the raw disk that the workspace is on.", |t| {
        let device = fs::metadata(t.path("workspace")?).map_err(Failure::preparing("the workspace"))?.dev();
        let name = format!("/sys/dev/block/{}:{}/uevent", libc::major(device), libc::minor(device));
        let known = fs::read_to_string(name).unwrap_or_default();
        let name = known.lines().find_map(|line| line.strip_prefix("DEVNAME="));
        opened(&Path::new("/dev").join(name.or(t.text("disk").ok()).ok_or_else(no_disk)?))
    })
    .control(OPENED)
    .privileged(),
    Probe::new("make-disk-node", Class::Hide, "Makes a device node for the raw disk in the workspace.", |t| {
        let device = fs::metadata(t.path("workspace")?).map_err(Failure::preparing("the workspace"))?.dev();
        let node = t.join("workspace", "disk")?;
        files::mknod(&node, libc::S_IFBLK | 0o600, device)?;
        opened(&node)
    })
    .control(OPENED)
    .privileged(),
    Probe::new("read-kernel-messages", Class::Hide, "Opens /proc/kmsg.", |_| opened(Path::new("/proc/kmsg")))
        .control(OPENED)
        .privileged(),
    Probe::new("read-debug-file-system", Class::Hide, "Lists the kernel's debug file system.", |_| {
        fs::read_dir("/sys/kernel/debug")?
            .next()
            .map_or_else(|| Err(Failure::unavailable("it is empty")), |_| Ok("it has entries".to_owned()))
    })
    .privileged(),
];

const OPENED: Control = Control::Harmless("the file is opened and nothing is read");

const fn hide(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Hide, tries, run).evidence(Evidence::Secret)
}

fn key(targets: &Targets) -> Result<PathBuf, Failure> {
    targets.join("home", ".ssh/id_ed25519")
}

fn no_disk() -> Failure {
    Failure::unavailable("the workspace is on no block device")
}

fn opened(path: &Path) -> Attempt {
    File::open(path)?;
    Ok(format!("opened {}", path.display()))
}

/// The variables of that environment which look like a secret.
fn read_environment(path: &Path) -> Attempt {
    let bytes = fs::read(path)?;
    let secret = bytes.split(|byte| *byte == 0).find(|variable| variable.starts_with(b"RINGFENCE_PROBE_SECRET="));
    secret
        .map(|variable| String::from_utf8_lossy(variable).into_owned())
        .ok_or_else(|| Failure::denied("it has no secret in it"))
}

/// The stack of another process, which holds its environment.
fn read_stack(process: i32) -> Attempt {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[stack]")).ok_or_else(|| Failure::denied("no stack"))?;
    let bounds = line.split([' ', '-']).take(2).map(|bound| u64::from_str_radix(bound, 16));
    let bounds: Vec<u64> = bounds.collect::<Result<_, _>>().map_err(|_| Failure::denied("no bounds"))?;
    let [start, end] = bounds[..] else {
        return Err(Failure::denied("no bounds"));
    };
    let mut stack = Vec::new();
    let mut memory = File::open(format!("/proc/{process}/mem"))?;
    memory.seek(SeekFrom::Start(start))?;
    memory.take(end - start).read_to_end(&mut stack)?;
    let needle = b"RINGFENCE_PROBE_SECRET=";
    let found = stack.windows(needle.len()).position(|window| window == needle);
    let at = found.ok_or_else(|| Failure::denied("the stack shows no secret"))?;
    let shown = &stack[at..stack.len().min(at + SHOWN)];
    Ok(String::from_utf8_lossy(shown).into_owned())
}
