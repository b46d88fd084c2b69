//! The program on Windows, from outside: run natively on Windows, and by `cargo xtask windows wine` under Wine.
//!
//! Wine has processes, jobs, pipes and consoles, and ignores restricting SIDs: there the suite checks that a run is
//! refused, and everything else with that refusal accepted. Where the system enforces, the suite checks that as well.
//! `RINGFENCE_EXPECT=enforcement` makes a system that does not enforce a failure, so that a runner cannot pass by skipping.
#![allow(missing_docs, reason = "a test program has no users")]

#[cfg(windows)]
mod windows {
    pub(crate) mod actor;
    pub(crate) mod cost;
    pub(crate) mod enforcement;
    pub(crate) mod ground;
    pub(crate) mod process;
    pub(crate) mod refusal;
}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    use libtest_mimic::Arguments;

    let arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if let Some(status) = windows::actor::act(&arguments) {
        std::process::exit(status);
    }
    let ground = std::sync::Arc::new(windows::ground::Ground::prepare());
    let mut arguments = Arguments::from_args();
    // Tests count processes, fill a job, and measure.
    arguments.test_threads.get_or_insert(1);
    let trials = [
        windows::refusal::trials(&ground),
        windows::process::trials(&ground),
        windows::enforcement::trials(&ground),
        windows::cost::trials(&ground),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

#[cfg(not(windows))]
fn main() {
    println!("skipped: needs Windows, or `cargo xtask windows wine`");
}
