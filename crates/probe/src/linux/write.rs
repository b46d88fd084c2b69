//! Changing something outside the write roots.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::Evidence::OutsideChanged;
use crate::catalogue::{Class, Control, Probe, Wiring};
use crate::sys::{files, mounts};

/// Landlock has rights for creating, deleting and writing, and none for a file's metadata (landlock(7)).
const METADATA: &str = "Landlock has no right for metadata: modes, owners, times, attributes";

/// The directory that [`Wiring::Inherited`] leaves open.
const INHERITED_DIRECTORY: i32 = 7;

pub(crate) const PROBES: &[Probe] = &[
    write("write-home", "Creates a file in the home directory.", |t| create(t.join("home", "created-in-home")?)),
    write("write-sibling", "Creates a file in a directory beside the workspace.", |t| {
        create(t.join("outside", "new")?)
    }),
    write("write-over", "Writes into an existing file outside, in place.", |t| {
        Ok(done(OpenOptions::new().write(true).open(t.join("outside", "letter")?)?.write_all(b"overwritten")?))
    }),
    write("write-temporary", "Creates a file in the host's /tmp.", |t| create(PathBuf::from(t.path("temporary")?))),
    write("write-var-temporary", "Creates a file in the host's /var/tmp.", |t| {
        create(PathBuf::from(t.path("var-temporary")?))
    }),
    write("write-shared-memory", "Creates a file in the host's /dev/shm.", |t| {
        create(PathBuf::from(t.path("shared-memory")?))
    }),
    system("write-etc", "Opens an unnamed new file in /etc.", |_| unnamed(Path::new("/etc"))),
    system("write-usr", "Opens an unnamed new file in /usr.", |_| unnamed(Path::new("/usr"))),
    system("write-root", "Opens an unnamed new file in /.", |_| unnamed(Path::new("/"))),
    system("write-passwd", "Opens /etc/passwd for writing.", |_| open_to_write(Path::new("/etc/passwd"))),
    write("write-through-symlink", "Writes through a symbolic link that lies in the workspace.", |t| {
        create(t.join("workspace", "link-out/through-link")?)
    }),
    write("write-through-new-symlink", "Makes a symbolic link in the workspace and writes through it.", |t| {
        let link = t.join("workspace", "fresh-link")?;
        symlink(t.path("outside")?, &link).map_err(Failure::preparing("symlink"))?;
        create(link.join("through-fresh-link"))
    }),
    write("write-through-dotdot", "Leaves the workspace by its parent.", |t| {
        create(t.join("workspace", "../../other/through-dotdot")?)
    }),
    write("write-through-own-root", "Goes through /proc/self/root.", |t| {
        create(below(Path::new("/proc/self/root"), &t.join("outside", "through-own-root")?))
    }),
    write("write-through-root-of-init", "Goes through /proc/1/root.", |t| {
        create(below(Path::new("/proc/1/root"), &t.join("outside", "through-init")?))
    })
    .privileged(),
    write("write-through-neighbour-root", "Goes through the root of another process.", |t| {
        let root = format!("/proc/{}/root", t.text("neighbour")?);
        create(below(Path::new(&root), &t.join("outside", "through-root")?))
    }),
    write("write-through-neighbour-directory", "Goes through the working directory of another process.", |t| {
        create(PathBuf::from(format!("/proc/{}/cwd/through-directory", t.text("neighbour")?)))
    }),
    write("write-through-descriptor", "Creates a file below a directory that was left open.", |_| {
        Ok(done(files::create_at(INHERITED_DIRECTORY, Path::new("through-descriptor"))?))
    })
    .wiring(Wiring::Inherited),
    write("write-through-descriptor-link", "Goes through /proc/self/fd to a directory that was left open.", |_| {
        create(PathBuf::from(format!("/proc/self/fd/{INHERITED_DIRECTORY}/through-descriptor-link")))
    })
    .wiring(Wiring::Inherited),
    write("write-through-input-directory", "Creates a file below the directory that is its standard input.", |_| {
        Ok(done(files::create_at(0, Path::new("through-input"))?))
    })
    .wiring(Wiring::InputDirectory),
    write("write-above-input-directory", "Climbs from the directory that is its standard input.", |_| {
        Ok(done(files::create_at(0, Path::new("../above-input"))?))
    })
    .wiring(Wiring::InputDirectory),
    write("write-reopened-input", "Opens its standard input, a file for reading, again for writing.", |_| {
        Ok(done(OpenOptions::new().write(true).open("/proc/self/fd/0")?.write_all(b"overwritten")?))
    })
    .wiring(Wiring::InputFile),
    write("change-mode-of-input", "Changes the mode of its standard input, a file for reading.", |_| {
        Ok(done(files::change_mode_of(0, 0o777)?))
    })
    .wiring(Wiring::InputFile)
    .unpromised("a descriptor that the caller hands over keeps the mount it was opened through"),
    write("write-above-input-link", "Climbs from its standard input, a directory, by its name in /proc.", |_| {
        create(Path::new("/proc/self/fd/0").join("../beside-input"))
    })
    .wiring(Wiring::InputDirectory),
    write("hard-link-inward", "Links a file outside into the workspace and writes to the link.", |t| {
        let alias = t.join("workspace", "alias")?;
        fs::hard_link(t.join("outside", "letter")?, &alias)?;
        Ok(done(OpenOptions::new().append(true).open(alias)?.write_all(b"through link")?))
    }),
    write("hard-link-outward", "Links a file of the workspace into a directory outside.", |t| {
        Ok(done(fs::hard_link(t.join("workspace", "main.c")?, t.join("outside", "linked")?)?))
    }),
    write("rename-over", "Renames a file of the workspace over one outside.", |t| {
        let from = t.join("workspace", "replacement")?;
        fs::write(&from, "replacement").map_err(Failure::preparing("replacement"))?;
        Ok(done(fs::rename(from, t.join("outside", "letter")?)?))
    }),
    write("rename-inward", "Renames a directory outside into the workspace.", |t| {
        Ok(done(fs::rename(t.join("outside", "papers")?, t.join("workspace", "papers")?)?))
    }),
    write("rename-exchange", "Exchanges a file outside with one of the workspace.", |t| {
        Ok(done(files::exchange(&t.join("outside", "letter")?, &t.join("workspace", "main.c")?)?))
    }),
    write("delete-outside", "Deletes a file outside.", |t| Ok(done(fs::remove_file(t.join("outside", "letter")?)?))),
    write("delete-directory", "Deletes a directory outside.", |t| {
        Ok(done(fs::remove_dir_all(t.join("outside", "papers")?)?))
    }),
    write("truncate-outside", "Truncates a file outside.", |t| {
        Ok(done(files::truncate(&t.join("outside", "letter")?, 0)?))
    }),
    write("truncate-on-open", "Opens a file outside for reading and truncation at once.", |t| {
        let flags = libc::O_TRUNC;
        Ok(done(OpenOptions::new().read(true).custom_flags(flags).open(t.join("outside", "letter")?)?))
    }),
    write("make-directory", "Makes a directory outside.", |t| Ok(done(fs::create_dir(t.join("outside", "made")?)?))),
    write("make-symlink", "Makes a symbolic link outside.", |t| {
        Ok(done(symlink("/", t.join("outside", "made-link")?)?))
    }),
    write("make-fifo", "Makes a FIFO outside.", |t| {
        Ok(done(files::mknod(&t.join("outside", "made-fifo")?, libc::S_IFIFO | 0o644, 0)?))
    }),
    write("make-socket", "Makes a socket file outside.", |t| {
        Ok(done(std::os::unix::net::UnixListener::bind(t.join("outside", "made-socket")?)?))
    }),
    write("link-unnamed-file", "Gives an unnamed file a name outside.", |t| {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .open(t.path("workspace")?)
            .map_err(Failure::preparing("an unnamed file"))?;
        Ok(done(files::link_unnamed(&file, &t.join("outside", "named")?)?))
    }),
    write("change-mode", "Changes the mode of a file outside.", |t| {
        Ok(done(fs::set_permissions(t.join("outside", "letter")?, Permissions::from_mode(0o777))?))
    })
    .beyond_landlock(METADATA),
    write("change-mode-by-descriptor", "Changes the mode of a file outside, opened for reading.", |t| {
        Ok(done(File::open(t.join("outside", "letter")?)?.set_permissions(Permissions::from_mode(0o777))?))
    })
    .beyond_landlock(METADATA),
    write("change-owner", "Sets the owner of a file outside.", |t| {
        let (user, group) = mounts::effective_ids();
        Ok(done(chown(t.join("outside", "letter")?, Some(user), Some(group))?))
    })
    .beyond_landlock(METADATA),
    write("change-times", "Sets the times of a file outside.", |t| {
        Ok(done(files::set_times_to_epoch(&t.join("outside", "letter")?)?))
    })
    .beyond_landlock(METADATA),
    write("change-times-by-descriptor", "Sets the times of a file outside, opened for reading.", |t| {
        let epoch = FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        Ok(done(File::open(t.join("outside", "letter")?)?.set_times(epoch)?))
    })
    .beyond_landlock(METADATA),
    write("set-attribute", "Sets an extended attribute of a file outside.", |t| {
        Ok(done(files::set_attribute(&t.join("outside", "letter")?, c"user.ringfence-probe", b"1")?))
    })
    .beyond_landlock(METADATA),
    write("set-inode-flags", "Sets an inode flag of a file outside.", |t| {
        Ok(done(files::set_no_dump(&File::open(t.join("outside", "letter")?)?)?))
    })
    .beyond_landlock(METADATA),
    system("open-by-handle", "Opens a file outside for writing by its file handle.", |t| {
        let mount = File::open(t.path("workspace")?).map_err(Failure::preparing("the workspace"))?;
        Ok(done(files::open_by_handle(&t.join("outside", "letter")?, &mount)?))
    }),
    system("write-core-pattern", "Opens the kernel's core pattern for writing.", |_| {
        open_to_write(Path::new("/proc/sys/kernel/core_pattern"))
    }),
    system("write-sysrq-trigger", "Opens the system request trigger for writing.", |_| {
        open_to_write(Path::new("/proc/sysrq-trigger"))
    }),
    system("write-sysfs", "Opens a setting of the kernel in /sys for writing.", |_| {
        open_to_write(Path::new("/sys/kernel/rcu_expedited"))
    }),
    system("write-cgroup", "Opens the member list of the root control group for writing.", |_| {
        let members = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"];
        let there = members.iter().find(|path| Path::new(path).exists());
        let path = there.ok_or_else(|| Failure::denied("there is no control group file system"))?;
        open_to_write(Path::new(path))
    }),
    system("write-kernel-messages", "Opens /dev/kmsg for writing.", |_| open_to_write(Path::new("/dev/kmsg"))),
    Probe::new("state-append", Class::State, "Opens a file of the state directory for appending.", |t| {
        Ok(done(OpenOptions::new().append(true).open(t.join("state", "probe.jsonl")?)?.write_all(b"forged\n")?))
    }),
    Probe::new("state-replace", Class::State, "Renames a file over one of the state directory.", |t| {
        let forged = t.join("workspace", "forged")?;
        fs::write(&forged, "forged\n").map_err(Failure::preparing("forged"))?;
        Ok(done(fs::rename(forged, t.join("state", "probe.jsonl")?)?))
    }),
    Probe::new("state-create", Class::State, "Creates a file in the state directory.", |t| {
        create(t.join("state", "forged")?)
    }),
    Probe::new("state-move", Class::State, "Renames the state directory away.", |t| {
        let state = t.path("state")?;
        Ok(done(fs::rename(state, state.with_extension("gone"))?))
    }),
    Probe::new("state-read", Class::State, "Reads the receipts of other runs.", |t| {
        Ok(done(fs::read(t.join("state", "probe.jsonl")?)?))
    }),
];

/// An attempt on the fixture outside, judged by what the host then sees there.
const fn write(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Write, tries, run).evidence(OutsideChanged)
}

/// An attempt on the system itself, which leaves no trace where it succeeds and which only root can make.
const fn system(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Write, tries, run)
        .control(Control::Harmless("the file is opened and nothing is written"))
        .privileged()
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

fn create(path: PathBuf) -> Attempt {
    Ok(done(File::create_new(path)?))
}

fn unnamed(directory: &Path) -> Attempt {
    Ok(done(OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(directory)?))
}

fn open_to_write(path: &Path) -> Attempt {
    Ok(done(OpenOptions::new().write(true).open(path)?))
}

/// An absolute path, seen from another root.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
