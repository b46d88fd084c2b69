//! Package managers inside a run: they install from an allowed registry, and the same run reaches nothing else.

use std::process::Output;

use crate::bypass::{self, POLICY};
use crate::receipt::{blocked, printed};
use crate::support::{Ground, Place, expect_status, python, show, skip, stderr, stdout};
use crate::web::{TLS, Web, web};
use crate::world::World;
use crate::{Attempts, DONE, NO_PYTHON, Outcome, installed};

/// pip with the index of the web server, and a program that uses what it installed.
const PIP: &str = "pip() { {python} -m pip install --quiet --no-cache-dir --disable-pip-version-check --target there \
                   --index-url https://allowed.test:{tls}/simple/ --cert {ca} $1 >&2; }
                   use() { PYTHONPATH=there {python} -c \"import $1; print($1.HELLO)\"; }\n";

/// npm with the registry of the web server.
const NPM: &str = "npm() { command npm install --registry https://allowed.test:{tls}/npm/ --cafile {ca} --cache cache \
                   --no-audit --no-fund --no-update-notifier --fetch-retries 0 --foreground-scripts $1 >&2; }
                   use() { node -p \"require('$1')\"; }\n";

pub(crate) fn pip_installs_and_the_same_run_reaches_nothing_else(
    world: &World,
    place: &Place,
    ground: &Ground,
) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let python = python().unwrap();
    if !place.command(python).args(["-m", "pip", "--version"]).output()?.status.success() {
        return skip("pip is not installed");
    }
    let web = match web(ground.path()) {
        Ok(web) => web,
        Err(reason) => return skip(reason),
    };
    let functions = filled(&PIP.replace("{python}", python), web);
    // `needy` is allowed, and needs a package that lies on another host.
    let script =
        format!("{functions}pip tinywheel && use tinywheel; pip needy || echo refused; use elsewhere || echo none\n");
    let tried: Vec<_> = bypass::rows().into_iter().filter(|row| row.setting == "namespaces" && !row.root).collect();
    let tokens: Vec<_> = tried.iter().map(|_| world.token()).collect();
    let rows: String = tried.iter().zip(&tokens).map(|(row, token)| attempts.line(token, row.attempt)).collect();
    let output = inside(place, &(script.clone() + &rows))?;
    expect_status(&output, 0);
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["hello from tinywheel", "refused", "none"], "{}", show(&output));
    assert_eq!(lines.len(), 3 + tried.len(), "{}", show(&output));
    for ((row, token), outcome) in tried.iter().zip(&tokens).zip(&lines[3..]) {
        assert!(row.outcomes.contains(outcome), "{}: {outcome}", row.attempt);
        assert_eq!(world.saw(token), *outcome == "reached", "{}", row.attempt);
    }
    assert!(blocked(&printed(&output)).contains(&format!("host-not-allowed other.test:{TLS}")), "{}", show(&output));

    std::fs::remove_dir_all(place.workspace().join("there"))?;
    let outside = place.command("sh").args(["-c", &script]).output()?;
    assert_eq!(stdout(&outside), "hello from tinywheel\nhello from elsewhere\n", "{}", show(&outside));
    DONE
}

pub(crate) fn npm_installs_and_its_packages_reach_nothing_else(_: &World, place: &Place, ground: &Ground) -> Outcome {
    if !installed("npm") || !installed("node") {
        return skip("npm is not installed");
    }
    let web = match web(ground.path()) {
        Ok(web) => web,
        Err(reason) => return skip(reason),
    };
    // `nosy` has a script that runs when it is installed; the archive of `faraway` lies on another host.
    let script = filled(NPM, web) + "npm tiny && use tiny; npm nosy && cat nosy; npm faraway || echo refused\n";
    let manifest = || place.write("home/project/package.json", "{\"name\": \"project\", \"version\": \"1.0.0\"}\n");
    manifest();
    let output = inside(place, &script)?;
    expect_status(&output, 0);
    assert_eq!(stdout(&output), "hello from tiny\nrefused\nrefused\n", "{}", show(&output));
    let told = blocked(&printed(&output));
    assert!(told.contains("host-not-allowed other.test:0"), "the script: {told:?}");
    assert!(told.contains(&format!("host-not-allowed other.test:{TLS}")), "the archive: {told:?}");

    for left in ["node_modules", "cache"] {
        std::fs::remove_dir_all(place.workspace().join(left))?;
    }
    std::fs::remove_file(place.workspace().join("package-lock.json"))?;
    manifest();
    let outside = place.command("sh").args(["-c", &(script + "use faraway")]).output()?;
    let expected = "hello from tiny\nhello from the web\nhello from faraway\n";
    assert_eq!(stdout(&outside), expected, "{}", stderr(&outside));
    DONE
}

fn filled(functions: &str, web: &Web) -> String {
    functions.replace("{tls}", &TLS.to_string()).replace("{ca}", web.authority.to_str().unwrap())
}

fn inside(place: &Place, script: &str) -> std::io::Result<Output> {
    let policy = place.write("policy.toml", POLICY);
    let mut run = place.ringfence(["run", "--json", "--mechanism", "namespaces", "--policy"]);
    run.arg(policy).args(["--allow", &format!("allowed.test:{TLS}"), "--", "sh", "-c", script]);
    run.output()
}
