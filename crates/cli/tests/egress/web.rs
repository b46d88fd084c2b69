//! A web server of the world with files, a Python index and an npm registry, over TLS with an authority of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::python;

/// The port that speaks TLS. One of those on which the proxy demands it.
pub(crate) const TLS: u16 = 8443;
/// The port that does not.
pub(crate) const PLAIN: u16 = 8080;

/// The server, for the whole of the test program.
pub(crate) struct Web {
    /// What is served; more may be put there.
    pub(crate) files: PathBuf,
    /// The certificate of the authority.
    pub(crate) authority: PathBuf,
}

/// Starts the server once. The reason if that cannot be done here.
pub(crate) fn web(ground: &Path) -> Result<&'static Web, String> {
    static WEB: OnceLock<Result<Web, String>> = OnceLock::new();
    WEB.get_or_init(|| start(ground)).as_ref().map_err(Clone::clone)
}

fn start(ground: &Path) -> Result<Web, String> {
    let python = python().ok_or("python3 is not installed")?;
    let directory = ground.join("web");
    std::fs::create_dir(&directory).map_err(|error| error.to_string())?;
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    openssl(
        &directory,
        &[&["req", "-x509"], &curve[..], &words("-subj /CN=authority -keyout ca.key -out ca.pem")].concat(),
    )?;
    let names = "subjectAltName=DNS:allowed.test,DNS:other.test,DNS:www.wild.test";
    let mine = words("-CA ca.pem -CAkey ca.key -subj /CN=web -keyout web.key -out web.pem -addext");
    let leaf = [&mine[..], &[names, "-addext", "basicConstraints=critical,CA:FALSE"]].concat();
    openssl(&directory, &[&["req", "-x509"], &curve[..], &leaf].concat())?;
    let script = directory.join("web.py");
    std::fs::write(&script, include_str!("web.py")).map_err(|error| error.to_string())?;
    let files = directory.join("files");
    let mut child = Command::new(python)
        .arg(&script)
        .args([&files, &directory.join("web.pem"), &directory.join("web.key")])
        .args([TLS.to_string(), PLAIN.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("no output")?;
    BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    assert_eq!(line, "ready\n", "the web server");
    // It ends when this program does, which closes its input.
    std::mem::forget(child);
    Ok(Web { files, authority: directory.join("ca.pem") })
}

fn openssl(directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output();
    let output = output.map_err(|error| format!("openssl cannot be started: {error}"))?;
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}
