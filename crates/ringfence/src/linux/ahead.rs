//! A process that has begun its sandbox before its plan is known.

use std::os::fd::AsFd;

use rustix::fs::OFlags;

use super::compile::{Compiler, Made};
use super::sys::{Arena, Borrowed, Launched, Memory, Signals, Waiting};
use crate::Error;
use crate::plan::Command;
use crate::plan::linux::{LinuxPlan, Opening, User};

/// A process that carries out an opening and then waits for the rest. Ended when it is dropped untold.
#[derive(Debug)]
pub(crate) struct Ahead {
    opening: Opening,
    streams: [Option<Stream>; 3],
    waiting: Waiting,
    /// What the process is told lies in here.
    arena: Arena,
}

impl Ahead {
    /// Starts the opening that most plans have, in this process's own memory. `None` if that is lent already.
    pub(crate) fn usual() -> Option<Result<Self, Error>> {
        let memory = Memory::Borrowed(Borrowed::take()?);
        let user = User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        Some(Self::start_in(memory, Opening::usual(user), None))
    }

    /// Starts an opening, in a control group if one is given.
    pub(super) fn start(opening: Opening, cgroup: Option<i32>) -> Result<Self, Error> {
        Self::start_in(Memory::Copied, opening, cgroup)
    }

    fn start_in(memory: Memory, opening: Opening, cgroup: Option<i32>) -> Result<Self, Error> {
        let failed = |source| Error::Sandbox { step: "making the process".to_owned(), source };
        let arena = memory.arena().map_err(failed)?;
        let script = Compiler::new(&arena).opening(&opening)?;
        let waiting = Waiting::start(script, &arena, memory, cgroup).map_err(failed)?;
        Ok(Self { opening, streams: standard_streams(), waiting, arena })
    }

    /// Whether the process can carry a plan out: it begins with what the process has begun, and the process has every
    /// descriptor that the command is to inherit.
    pub(super) fn begins(&self, command: &Command, plan: &LinuxPlan) -> bool {
        let has_descriptors = command.keep_descriptors.is_empty() && self.streams == standard_streams();
        self.opening.begins(plan) && has_descriptors
    }

    /// Makes the process carry out the rest of a plan that begins with its opening.
    pub(super) fn tell(
        self,
        command: &Command,
        plan: &LinuxPlan,
        made: &Made<'_>,
        signals: &Signals,
    ) -> Result<Launched, Error> {
        let mut script = Compiler::new(&self.arena).script(command, plan, &self.opening, made)?;
        // Signals that are caught already are not blocked for the command.
        script.signals = *signals.mask_before();
        self.waiting
            .tell(script, &self.arena)
            .map_err(|source| Error::Sandbox { step: "telling the process its steps".to_owned(), source })
    }
}

/// What is open as a standard stream: the object, and how it can be used.
#[derive(Debug, PartialEq, Eq)]
struct Stream {
    device: u64,
    inode: u64,
    flags: OFlags,
}

/// The standard streams of this process. They may have been replaced since another was started, which then has what was
/// there before.
fn standard_streams() -> [Option<Stream>; 3] {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].map(|stream| {
        let stat = rustix::fs::fstat(stream).ok()?;
        let flags = rustix::fs::fcntl_getfl(stream).ok()?;
        Some(Stream { device: stat.st_dev, inode: stat.st_ino, flags })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_lent_to_one_process_at_a_time_and_given_back_with_it() {
        let first = Ahead::usual().expect("nobody else borrows in this test program");
        assert!(Ahead::usual().is_none());
        // Where namespaces are forbidden there is no process, and nothing to give back.
        if let Ok(first) = first {
            let process = format!("/proc/{}", first.waiting.pid().unwrap());
            assert!(std::path::Path::new(&process).exists());
            drop(first);
            assert!(!std::path::Path::new(&process).exists(), "it was never told anything, and nobody waits for it");
        }
        let dumpable = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(dumpable, rustix::process::DumpableBehavior::Dumpable);
        assert!(Ahead::usual().is_some());
    }

    #[test]
    fn a_stream_that_was_replaced_is_noticed() {
        use std::io::Write;
        let streams = standard_streams();
        assert_eq!(streams, standard_streams());
        let mut other = tempfile::tempfile().unwrap();
        other.write_all(b"other").unwrap();
        let stat = rustix::fs::fstat(&other).unwrap();
        let flags = rustix::fs::fcntl_getfl(&other).unwrap();
        let other = Stream { device: stat.st_dev, inode: stat.st_ino, flags };
        assert!(streams.iter().flatten().all(|stream| *stream != other));
    }
}
