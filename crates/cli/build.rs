//! Embeds the manifest of the Windows program.

use embed_manifest::manifest::{ActiveCodePage, ExecutionLevel, Setting};

/// - It asks for no more rights than its caller has. Without saying so, a program is asked about by installer detection,
///   and one that is not marked at all gets files and registry virtualised.
/// - It takes paths beyond 260 characters.
/// - Its narrow calls speak UTF-8, as the system's own tools are asked to by `chcp 65001`.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return;
    }
    let manifest = embed_manifest::new_manifest("Ringfence")
        .requested_execution_level(ExecutionLevel::AsInvoker)
        .long_path_aware(Setting::Enabled)
        .active_code_page(ActiveCodePage::Utf8);
    if let Err(error) = embed_manifest::embed_manifest(manifest) {
        println!("cargo::error=the manifest could not be embedded: {error}");
    }
}
