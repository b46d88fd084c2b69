//! Moving bytes between two sockets inside the kernel (splice(2)), where the OS has it.

#[cfg(target_os = "linux")]
pub(crate) use linux::{Pipes, splice_all};

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Pipes, splice_all};

/// How many bytes a direction has to move before it gets a pipe: short exchanges would pay for the pipe and gain nothing.
pub(crate) const SPLICE_AFTER: u64 = 1 << 20;

/// How a direction ended.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing splices there"))]
pub(crate) enum Spliced {
    /// The source has ended, and everything was delivered.
    End,
    /// The kernel does not splice these; nothing was lost, go on by copying.
    Unsupported,
    /// Reading failed.
    ReadFailed,
    /// Writing failed.
    WriteFailed,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    use super::Spliced;

    /// The pipes of one run: few, because each takes two descriptors, and only tunnels that move much gain from one.
    #[derive(Debug, Default)]
    pub(crate) struct Pipes {
        used: AtomicUsize,
        /// Set once the kernel has refused to splice: a seccomp filter of the host, or a socket type that cannot.
        unsupported: AtomicBool,
    }

    /// A pipe for one direction of one tunnel.
    pub(crate) struct Pipe<'a> {
        read: OwnedFd,
        write: OwnedFd,
        pipes: &'a Pipes,
    }

    impl Pipes {
        /// A pipe, unless all are in use or there are no descriptors.
        pub(crate) fn take(&self) -> Option<Pipe<'_>> {
            if self.unsupported.load(Ordering::Relaxed) || self.used.load(Ordering::Relaxed) >= MOST_PIPES {
                return None;
            }
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // Larger is faster, but an unprivileged user's pipes share a budget: the default size does, too.
            let _ = fcntl_setpipe_size(&write, PIPE_SIZE);
            self.used.fetch_add(1, Ordering::Relaxed);
            Some(Pipe { read, write, pipes: self })
        }
    }

    impl Drop for Pipe<'_> {
        fn drop(&mut self) {
            self.pipes.used.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Moves everything from one socket to the other.
    pub(crate) async fn splice_all(pipe: Pipe<'_>, from: &TcpStream, to: &TcpStream, moved: &AtomicU64) -> Spliced {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let mut rounds = 0_u32;
        loop {
            if from.readable().await.is_err() {
                return Spliced::ReadFailed;
            }
            let fill = || splice(from, None, &pipe.write, None, PIPE_SIZE, flags).map_err(io::Error::from);
            let mut left = match from.try_io(Interest::READABLE, fill) {
                Ok(0) => return Spliced::End,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if is_unsupported(&error) => {
                    pipe.pipes.unsupported.store(true, Ordering::Relaxed);
                    return Spliced::Unsupported;
                }
                Err(_) => return Spliced::ReadFailed,
            };
            while left > 0 {
                if to.writable().await.is_err() {
                    return Spliced::WriteFailed;
                }
                let drain = || splice(&pipe.read, None, to, None, left, flags).map_err(io::Error::from);
                match to.try_io(Interest::WRITABLE, drain) {
                    Ok(count) => {
                        left -= count;
                        moved.fetch_add(count as u64, Ordering::Relaxed);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Spliced::WriteFailed,
                }
            }
            rounds += 1;
            if rounds.is_multiple_of(ROUNDS_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn is_unsupported(error: &io::Error) -> bool {
        let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        matches!(code, Some(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::PERM))
    }

    /// All of them together stay far below what a user's pipes may hold (/proc/sys/fs/pipe-user-pages-soft, 64 MiB).
    const PIPE_SIZE: usize = 512 * 1024;
    const MOST_PIPES: usize = 32;
    /// After so many, others get their turn even where this tunnel never has to wait.
    const ROUNDS_PER_TURN: u32 = 8;
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::sync::atomic::AtomicU64;

    use tokio::net::TcpStream;

    use super::Spliced;

    /// There are none.
    #[derive(Debug, Default)]
    pub(crate) struct Pipes;

    pub(crate) enum Pipe {}

    impl Pipes {
        pub(crate) fn take(&self) -> Option<Pipe> {
            None
        }
    }

    pub(crate) async fn splice_all(pipe: Pipe, _: &TcpStream, _: &TcpStream, _: &AtomicU64) -> Spliced {
        match pipe {}
    }
}
