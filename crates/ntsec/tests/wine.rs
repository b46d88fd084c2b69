//! Runs `real_access_check`, built for Windows, under Wine: an independent access check for unrestricted tokens.
//!
//! The program and the prefix are prepared by whoever runs the Windows suite (docs/ntsec.md says how) and are named by
//! `RINGFENCE_WINE_TEST_EXE` and `WINEPREFIX`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::process::Command;

#[test]
fn wine_agrees_with_the_access_check() {
    let Ok(program) = std::env::var("RINGFENCE_WINE_TEST_EXE") else {
        eprintln!("skipped: RINGFENCE_WINE_TEST_EXE names no Windows build of real_access_check (see docs/ntsec.md)");
        return;
    };
    let run = Command::new("wine")
        .args([program.as_str(), "--nocapture", "--test-threads=1"])
        .env("WINEDEBUG", "-all")
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: wine cannot be started: {error}");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // A run that skipped everything proves nothing.
    assert!(text.contains("triples agree with AccessCheck"), "{text}");
}
