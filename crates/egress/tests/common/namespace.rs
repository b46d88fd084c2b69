//! Runs a test again inside a network namespace of its own, where public addresses can be made local.

use std::process::Command;

/// Routes for what the tests use as public addresses: documentation ranges would be refused for what they are.
const ROUTES: &str = "ip link set lo up \
    && ip route add local 93.184.216.0/24 dev lo \
    && ip route add local 198.18.0.0/15 dev lo";

/// Whether the calling test runs inside. If not, it is run again inside, and its success is the outer test's; where this host
/// does not allow namespaces, the reason is printed and the test counts as skipped.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(MARKER).is_some() {
        return true;
    }
    if !cfg!(target_os = "linux") {
        println!("skipped {test}: network namespaces exist on Linux only");
        return false;
    }
    let available = Command::new("unshare").args(["-Urn", "--", "sh", "-c", ROUTES]).output();
    match available {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            println!("skipped {test}: no network namespace on this host: {reason}");
            return false;
        }
        Err(error) => {
            println!("skipped {test}: unshare (util-linux) is not installed: {error}");
            return false;
        }
    }
    let program = std::env::current_exe().unwrap();
    let script = format!("{ROUTES} && exec \"$0\" --exact \"$1\" --nocapture");
    let status = Command::new("unshare")
        .args(["-Urn", "--", "sh", "-c", &script])
        .arg(program)
        .arg(test)
        .env(MARKER, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed inside its network namespace");
    false
}

const MARKER: &str = "RINGFENCE_EGRESS_TEST_INSIDE";
