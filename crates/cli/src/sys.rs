//! The entry point on Linux.
//!
//! Before `main`, Rust's runtime reads this process's memory map to learn where the stack ends, and prepares a message for
//! the case that it is used up. That takes a tenth of a millisecond of every start, a fifth of what the loader takes. So
//! the C library's entry is used, and what else the runtime does is done here.

use std::fs::File;

/// Called by the C library. The arguments are found by [`std::env::args_os`] all the same.
// SAFETY: the C library expects a function of this name and signature in a program, and there is no other one.
#[unsafe(no_mangle)]
extern "C" fn main(_: libc::c_int, _: *const *const libc::c_char) -> libc::c_int {
    fill_standard_descriptors();
    // Writing to a pipe that nobody reads is an error like another.
    // SAFETY: no other thread runs yet, and ignoring the signal installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    ringfence_cli::main().exit()
}

/// Descriptors 0, 1 and 2 are taken for the standard streams, so that nothing else may come to have these numbers.
fn fill_standard_descriptors() {
    for standard in 0..3 {
        // SAFETY: asking for the flags of a number that is not open only fails.
        if unsafe { libc::fcntl(standard, libc::F_GETFD) } >= 0 {
            continue;
        }
        // The lowest free number is this one: those below are open.
        let null = File::options().read(true).write(true).open("/dev/null").map(std::os::fd::IntoRawFd::into_raw_fd);
        if !null.is_ok_and(|null| null == standard) {
            std::process::abort();
        }
    }
}
