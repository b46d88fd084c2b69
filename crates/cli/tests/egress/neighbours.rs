//! Two runs at once: neither reaches what only the other may.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::receipt::{blocked, printed};
use crate::support::{Ground, Place, show, skip, stdout};
use crate::world::World;
use crate::{Attempts, DONE, LANDLOCK, NO_PYTHON, Outcome, landlock_limits_tcp};

const NAMESPACES: &[&str] = &["--mechanism", "namespaces"];

/// A run that may reach ssh.test, and waits.
struct Neighbour {
    run: Child,
    proxy: String,
}

impl Neighbour {
    fn start(place: &Place, mechanism: &[&str]) -> std::io::Result<Self> {
        let mut run = place.ringfence(["run", "--quiet", "--allow", "ssh.test:2222"]);
        run.args(mechanism).args(["--", "sh", "-c", "echo $HTTPS_PROXY; read line"]);
        let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut proxy = String::new();
        BufReader::new(run.stdout.take().unwrap()).read_line(&mut proxy)?;
        assert!(proxy.starts_with("http://127.0.0.1:"), "{proxy}");
        Ok(Self { run, proxy: proxy.trim_end().to_owned() })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.run.stdin.take());
        let _ = self.run.wait();
    }
}

pub(crate) fn a_run_cannot_use_the_proxy_of_another(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let inside = |mechanism: &[&str], attempt: &str| -> std::io::Result<_> {
        let token = world.token();
        let mut run = place.ringfence(["run", "--json", "--allow", "allowed.test"]);
        let output = run.args(mechanism).arg("--").args(attempts.words(&token, attempt)).output()?;
        assert!(!world.saw(&token), "{}", show(&output));
        Ok((stdout(&output).trim_end().to_owned(), blocked(&printed(&output))))
    };
    // With a namespace each has the same address for its own: this is the proxy of the one that asks.
    let neighbour = Neighbour::start(place, NAMESPACES)?;
    let (outcome, told) = inside(NAMESPACES, &format!("HTTPS_PROXY={} connect ssh.test:2222", neighbour.proxy))?;
    assert_eq!(outcome, "403 host-not-allowed");
    assert!(told.contains("host-not-allowed ssh.test:2222"), "{told:?}");
    drop(neighbour);

    if !landlock_limits_tcp(place) {
        return skip("this kernel's Landlock does not limit TCP connections");
    }
    // Without one it listens on the machine's loopback device, where processes outside can use it.
    let neighbour = Neighbour::start(place, LANDLOCK)?;
    let attempt = format!("HTTPS_PROXY={} connect ssh.test:2222", neighbour.proxy);
    let words = attempts.words(&world.token(), &attempt);
    let outside = place.command(&words[0]).args(&words[1..]).output()?;
    assert_eq!(stdout(&outside), "reached\n", "{}", show(&outside));
    assert_eq!(inside(NAMESPACES, &attempt)?.0, "ECONNREFUSED");
    assert_eq!(inside(LANDLOCK, &attempt)?.0, "EACCES");
    DONE
}
