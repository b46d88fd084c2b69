//! The `ringfence` command.
#![cfg_attr(target_os = "linux", no_main)]

#[cfg(target_os = "linux")]
mod sys;

#[cfg(not(target_os = "linux"))]
fn main() {
    ringfence_cli::main().exit()
}
