//! System calls that act on the kernel, or widen what it can be attacked by.

use std::fs::File;
use std::io;
use std::path::Path;

use super::reached;
use crate::attempt::{Attempt, Failure, Targets};
use crate::catalogue::{Class, Control, Probe, Wiring};
use crate::sys::kernel::{self, Keyring};
use crate::sys::{processes, terminal};

pub(crate) const PROBES: &[Probe] = &[
    surface("bpf", "Loads into the kernel's virtual machine.", |_| Ok(done(kernel::bpf()?))).privileged(),
    surface("perf-event", "Opens a performance counter.", |_| Ok(done(kernel::perf_event()?))),
    surface("io-uring", "Sets up a ring that makes system calls past the filter.", |_| Ok(done(kernel::io_uring()?))),
    surface("userfaultfd", "Takes over the handling of page faults.", |_| Ok(done(kernel::userfaultfd()?))),
    surface("add-key", "Adds a key to a keyring.", |_| {
        Ok(done(kernel::add_key(c"ringfence-probe", b"1", Keyring::Process)?))
    }),
    surface("request-key", "Asks for a key.", |_| {
        reached(kernel::request_key(c"ringfence-probe-none").map(drop), &[libc::ENOKEY])
    })
    .control(Control::Harmless("a key that does not exist: ENOKEY")),
    surface("session-keyring", "Reaches the session keyring.", |_| Ok(done(kernel::keyring_id(Keyring::Session)?))),
    surface("user-keyring", "Reaches the user's keyring.", |_| Ok(done(kernel::keyring_id(Keyring::User)?))),
    harmless("kexec", "Loads another kernel.", "flags that do not exist: EINVAL", |_| {
        reached(kernel::kexec(), &[libc::EINVAL])
    }),
    harmless("init-module", "Loads a kernel module.", "an image of no bytes: ENOEXEC", |_| {
        reached(kernel::init_module(), &[libc::ENOEXEC, libc::EFAULT])
    }),
    harmless("finit-module", "Loads a kernel module from a file.", "no descriptor: EBADF", |_| {
        reached(kernel::finit_module(), &[libc::EBADF])
    }),
    harmless("delete-module", "Unloads a kernel module.", "a module that does not exist: ENOENT", |_| {
        reached(kernel::delete_module(), &[libc::ENOENT])
    }),
    #[cfg(target_arch = "x86_64")]
    harmless("iopl", "Gets the input and output instructions.", "they are not used", |_| reached(kernel::iopl(), &[])),
    #[cfg(target_arch = "x86_64")]
    harmless("ioperm", "Gets an input and output port.", "it is not used", |_| reached(kernel::ioperm(), &[])),
    surface("personality", "Makes data of later programs executable.", |_| Ok(done(kernel::executable_data()?))),
    harmless("reboot", "Reboots.", "magic numbers that are none: EINVAL", |_| {
        reached(kernel::reboot(), &[libc::EINVAL])
    }),
    harmless("swapon", "Starts swapping to a file.", "a path that does not exist: ENOENT", |_| {
        reached(kernel::swapon(), &[libc::ENOENT])
    }),
    harmless("swapoff", "Stops swapping to a file.", "a path that does not exist: ENOENT", |_| {
        reached(kernel::swapoff(), &[libc::ENOENT])
    }),
    harmless("set-time-zone", "Sets the kernel's time zone.", "the zone that is set", |_| {
        reached(kernel::set_time_zone(), &[])
    }),
    harmless("adjust-clock", "Adjusts the clock.", "the length of a tick that is set", |_| {
        reached(kernel::set_tick(), &[])
    }),
    harmless("set-host-name", "Sets the host's name.", "the name that is set", |_| {
        reached(kernel::set_host_name(), &[])
    }),
    harmless("quota", "Turns disk quotas on.", "a device that does not exist: ENOENT", |_| {
        reached(kernel::quota(), &[libc::ENOENT, libc::ENOTBLK, libc::ENODEV])
    }),
    harmless("accounting", "Turns process accounting on.", "a file that does not exist: ENOENT", |_| {
        reached(kernel::accounting(), &[libc::ENOENT])
    }),
    harmless("kernel-messages", "Reads the kernel's messages.", "they are read, not cleared", |_| {
        reached(kernel::kernel_messages().map(drop), &[])
    }),
    surface("type-into-terminal", "Types into the terminal from which the run was started.", |_| {
        Ok(done(terminal::type_into(&controlling_terminal()?, b'x')?))
    })
    .wiring(Wiring::Terminal)
    .privileged(),
    surface("paste-into-console", "Pastes into the console from which the run was started.", |_| {
        reached(terminal::console_request(&controlling_terminal()?), &[libc::ENOTTY, libc::EINVAL])
    })
    .control(Control::Harmless("a subcode that does not exist: ENOTTY"))
    .wiring(Wiring::Terminal),
    #[cfg(target_arch = "x86_64")]
    surface("32-bit-gate", "Makes a forbidden call by its 32-bit number.", |_| {
        contained(|| kernel::keyring_id_by_32_bit_gate(Keyring::Session).map(drop))
    }),
    #[cfg(target_arch = "x86_64")]
    surface("x32-number", "Makes a forbidden call by its x32 number.", |_| {
        contained(|| kernel::keyring_id_by_x32_number(Keyring::Session).map(drop))
    }),
    surface("second-filter", "Installs a filter that allows everything, and makes a forbidden call.", |_| {
        kernel::allow_everything().map_err(Failure::preparing("a filter of its own"))?;
        Ok(done(kernel::keyring_id(Keyring::Session)?))
    }),
    device("device-fuse", "Opens the device for file systems in user space.", |_| open("/dev/fuse")),
    device("device-kvm", "Opens the device for virtual machines.", |_| open("/dev/kvm")),
    device("device-loop", "Opens the device that turns files into disks.", |_| open("/dev/loop-control")),
    device("device-console", "Opens the machine's console.", |_| open("/dev/tty0")),
    device("device-processor", "Opens the processor's model-specific registers.", |_| open("/dev/cpu/0/msr")),
];

const fn surface(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    Probe::new(name, Class::Kernel, tries, run)
}

const fn harmless(
    name: &'static str,
    tries: &'static str,
    passed: &'static str,
    run: fn(&Targets) -> Attempt,
) -> Probe {
    Probe::new(name, Class::Kernel, tries, run).control(Control::Harmless(passed)).privileged()
}

const fn device(name: &'static str, tries: &'static str, run: fn(&Targets) -> Attempt) -> Probe {
    harmless(name, tries, "the device is opened and not used", run)
}

fn done<T>(_result: T) -> String {
    "done".to_owned()
}

fn open(path: &str) -> Attempt {
    Ok(done(File::options().read(true).write(true).open(Path::new(path))?))
}

fn controlling_terminal() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// In a child: a filter may kill whoever makes such a call.
fn contained(call: impl FnOnce() -> io::Result<()>) -> Attempt {
    Ok(done(processes::in_child(call)?))
}
