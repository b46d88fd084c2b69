//! What the linker needs beside the code.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

use embed_manifest::manifest::{ActiveCodePage, ExecutionLevel, Setting};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    match variable("CARGO_CFG_TARGET_OS").as_str() {
        "windows" => embed_manifest(),
        "linux" => link_unwinder(),
        _ => {}
    }
}

/// Embeds the manifest of the Windows program.
///
/// - It asks for no more rights than its caller has. Without saying so, a program is asked about by installer detection,
///   and one that is not marked at all gets files and registry virtualised.
/// - It takes paths beyond 260 characters.
/// - Its narrow calls speak UTF-8, as the system's own tools are asked to by `chcp 65001`.
fn embed_manifest() {
    let manifest = embed_manifest::new_manifest("Ringfence")
        .requested_execution_level(ExecutionLevel::AsInvoker)
        .long_path_aware(Setting::Enabled)
        .active_code_page(ActiveCodePage::Utf8);
    if let Err(error) = embed_manifest::embed_manifest(manifest) {
        println!("cargo::error=the manifest could not be embedded: {error}");
    }
}

/// Links the unwinder into the program on Linux.
///
/// The standard library asks for the shared one (`libgcc_s.so.1`), and to load that takes a tenth of a millisecond of
/// every start. The compiler that links comes with the same code as an archive, which the linker takes if it finds it
/// first under the name that it is asked for.
fn link_unwinder() {
    // Another target's compiler is not known here; the shared library works as well.
    if variable("CARGO_CFG_TARGET_ENV") != "gnu" || variable("HOST") != variable("TARGET") {
        return;
    }
    let directory = variable("OUT_DIR");
    if let Some(archive) = unwinder()
        && std::fs::copy(archive, Path::new(&directory).join("libgcc_s.a")).is_ok()
    {
        println!("cargo::rustc-link-search=native={directory}");
    }
}

/// Where the compiler has the unwinder as an archive.
fn unwinder() -> Option<PathBuf> {
    let output = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output().ok()?;
    // A compiler that does not have it prints the bare name.
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())).filter(|path| path.is_absolute())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
