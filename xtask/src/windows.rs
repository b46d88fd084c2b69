//! The Windows side on Linux: cross-checked with Debian's compiler, and what needs no enforcement run under Wine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

const TARGET: &str = "x86_64-pc-windows-gnu";

/// Debian's compiler (package `rustc-web`): with `rust-web-src` it can build the standard library for the target, which
/// the toolchain in use cannot where the target is not installed.
const COMPILER: &str = "/usr/bin/rustc";

/// The linter of that compiler (package `rust-web-clippy`).
const LINTER: &str = "/usr/bin/clippy-driver";

/// Arguments of `cargo xtask windows`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Lint the whole workspace for Windows, and check that its tests compile
    Check,
    /// Run what Wine can answer: the access check, and the program from outside
    Wine,
}

/// Does the chore, or says why it cannot be done here.
pub(crate) fn windows(arguments: &Arguments) -> Result<()> {
    if let Some(missing) = missing(&arguments.chore) {
        println!("skipped: {missing} is not installed");
        return Ok(());
    }
    match arguments.chore {
        Chore::Check => check(),
        Chore::Wine => wine(),
    }
}

fn missing(chore: &Chore) -> Option<&'static str> {
    let needed: &[(&str, &str)] = match chore {
        Chore::Check => &[
            (COMPILER, "rustc-web"),
            (LINTER, "rust-web-clippy"),
            ("/usr/bin/x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
        ],
        Chore::Wine => &[
            (COMPILER, "rustc-web"),
            ("/usr/bin/x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
            ("/usr/bin/wine", "wine"),
        ],
    };
    needed.iter().find(|(path, _)| !Path::new(path).exists()).map(|(_, package)| *package)
}

fn check() -> Result<()> {
    let programs = ["--workspace", "--exclude", "xtask"].as_slice();
    // What the Windows runners test.
    let tests = &["--package=ringfence-policy", "--package=ringfence-ntsec", "--package=ringfence", "--all-targets"];
    // The tests are linted with the toolchain in use; what is particular to Windows in them is little.
    for (selection, linter) in [(programs, Some(LINTER)), (tests, None)] {
        let mut cargo = cross("check");
        cargo.args(selection).env("RUSTFLAGS", "-D warnings");
        if let Some(linter) = linter {
            // As `cargo clippy` does it, which knows only the linter of its own toolchain.
            cargo.env("RUSTC_WORKSPACE_WRAPPER", linter);
        }
        let status = cargo.status()?;
        ensure!(status.success(), "this does not compile for Windows without a warning: {}", selection.join(" "));
    }
    Ok(())
}

fn wine() -> Result<()> {
    let directory = target().join("wine");
    let prefix = prefix(&directory)?;
    access_check(&prefix)?;
    program(&prefix)
}

/// The real access check, as far as Wine has it.
fn access_check(prefix: &Path) -> Result<()> {
    let program = build_test("ringfence-ntsec", "real_access_check")?;
    let status = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--package", "ringfence-ntsec", "--test", "wine", "--", "--nocapture"])
        .current_dir(crate::root())
        .env("RINGFENCE_WINE_TEST_EXE", program)
        .env("WINEPREFIX", prefix)
        .status()?;
    ensure!(status.success(), "the tests of the access check failed under Wine");
    Ok(())
}

/// The suite that drives the program from outside (crates/cli/tests/windows.rs).
fn program(prefix: &Path) -> Result<()> {
    let suite = build_test("ringfence-cli", "windows")?;
    // Cargo builds the program beside the directory of the test.
    let program = suite.ancestors().nth(2).map(|directory| directory.join("ringfence.exe"));
    let program = program.filter(|program| program.is_file()).context("the program was not built with its tests")?;
    let status = Command::new("wine")
        .arg(suite)
        .env("RINGFENCE_UNDER_TEST", windows_path(&program))
        // Below the drive that Wine reports as one that keeps permissions.
        .env("RINGFENCE_TEST_DIR", r"C:\ringfence-tests")
        .env("WINEPREFIX", prefix)
        .env("WINEDEBUG", "-all")
        .env_remove("DISPLAY")
        .status()?;
    ensure!(status.success(), "the tests of the program failed under Wine");
    Ok(())
}

/// How a path of this system is called under Wine.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.to_string_lossy().replace('/', r"\"))
}

/// Cargo for the target, in a directory of its own: the standard library that is built there fits no other compiler.
fn cross(verb: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([verb, "--locked", "-Zbuild-std=std,panic_abort", "--target", TARGET])
        .current_dir(crate::root())
        .env("RUSTC", COMPILER)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target().join("windows"));
    cargo
}

/// Builds a test for Windows and returns its program.
fn build_test(package: &str, test: &str) -> Result<PathBuf> {
    let output = cross("test")
        .args(["--package", package, "--test", test, "--no-run", "--message-format=json"])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the test does not build for Windows");
    let text = String::from_utf8_lossy(&output.stdout);
    let built = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let tests = built.filter(|message| message["target"]["name"] == test);
    let programs: Vec<PathBuf> =
        tests.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect();
    match programs.as_slice() {
        [program] => Ok(program.clone()),
        others => bail!("expected one test program, found {others:?}"),
    }
}

/// A Wine prefix that answers as Windows 10 and has the function that Wine lacks.
fn prefix(directory: &Path) -> Result<PathBuf> {
    let prefix = directory.join("prefix");
    let library = prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
    if library.exists() {
        return Ok(prefix);
    }
    std::fs::create_dir_all(&prefix)?;
    for (program, arguments) in [("wineboot", ["-i"].as_slice()), ("winecfg", &["-v", "win10"])] {
        let status = Command::new(program)
            .args(arguments)
            .env("WINEPREFIX", &prefix)
            .env("WINEDEBUG", "-all")
            .env_remove("DISPLAY")
            .status()
            .with_context(|| format!("cannot start {program}"))?;
        ensure!(status.success(), "{program} failed");
    }
    let status = Command::new("x86_64-w64-mingw32-gcc")
        .args(["-shared", "-O2", "-o"])
        .arg(&library)
        .arg(crate::root().join("xtask/fixtures/bcryptprimitives.c"))
        .arg("-ladvapi32")
        .status()?;
    ensure!(status.success(), "the stand-in for bcryptprimitives.dll does not build");
    Ok(prefix)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from)
}
