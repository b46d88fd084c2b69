//! What a run costs beside the command alone.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::ground::{Ground, trial};

/// How often each side is started.
const ROUNDS: usize = 15;

pub(crate) fn trials(ground: &Arc<Ground>) -> Vec<Trial> {
    vec![trial(ground, "a_run_beside_the_bare_command", |ground| {
        // What the self-check measures once per boot is no part of what a run costs.
        let line = ["cmd", "/c", "exit 0"].map(Into::into);
        let quiet = |mut command: std::process::Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            let status = command.status().unwrap();
            assert!(status.success(), "{status}");
            started.elapsed()
        };
        let bare = || {
            let mut command = std::process::Command::new("cmd");
            command.args(["/c", "exit 0"]);
            quiet(command)
        };
        let held = || quiet(ground.run(&[], &line));
        (bare(), held());
        let rounds: Vec<(Duration, Duration)> = (0..ROUNDS).map(|_| (bare(), held())).collect();
        let (bare, held) = rounds.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let (bare, held) = (median(bare), median(held));
        let ratio = held.as_secs_f64() / bare.as_secs_f64();
        println!("cmd /c exit 0: bare {bare:?}, held {held:?}, ratio {ratio:.2}");
        Ok(())
    })]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
