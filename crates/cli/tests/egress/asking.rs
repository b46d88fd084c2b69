//! `--ask`: a person at the terminal decides about hosts that no rule names, and nobody else does.

use std::process::Child;

use crate::receipt::{blocked, logged};
use crate::support::terminal::Terminal;
use crate::support::{Ground, Place, expect_status, skip, stderr};
use crate::world::World;
use crate::{Attempts, DONE, NO_PYTHON, Outcome};

const FLAGS: &[&str] = &["--allow", "allowed.test", "--ask", "--timeout", "60s"];

const QUESTION: &str = "may the command reach other.test on port 80? (o)nce, for this (r)un, or (n)o: ";

/// A run on a terminal whose results go to a file, where nothing that the terminal shows gets between them.
struct Asked {
    terminal: Terminal,
    child: Child,
}

impl Asked {
    fn start(place: &Place, script: &str) -> std::io::Result<Self> {
        let mut terminal = Terminal::open(24, 200);
        let child = terminal.start(place, FLAGS, &format!("{{ {script} }} > results"));
        Ok(Self { terminal, child })
    }

    fn answer(&mut self, question: &str, answer: &str) {
        self.terminal.read_until(question);
        self.terminal.type_in(&format!("{answer}\n"));
    }

    /// Waits for the end, and gives what the command found.
    fn results(self, place: &Place) -> String {
        assert_eq!(self.terminal.finish(self.child), 0);
        std::fs::read_to_string(place.workspace().join("results")).unwrap()
    }
}

pub(crate) fn once_is_for_one_connection_and_no_is_for_the_run(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let mut asked = Asked::start(place, &attempts.line(&token, "get http://other.test/TOKEN").repeat(4))?;
    asked.answer(QUESTION, "once");
    asked.answer(QUESTION, "o");
    asked.answer(QUESTION, "n");
    // The fourth is not asked about: a command cannot wear a person down.
    assert_eq!(asked.results(place), "reached\nreached\n403 ask-refused\n403 ask-refused\n");
    let receipt = logged(place)?;
    assert_eq!(receipt["network"]["reached"][0]["count"], 2, "{receipt:#}");
    assert_eq!(receipt["network"]["blocked"][0]["count"], 2, "{receipt:#}");
    assert!(blocked(&receipt).contains("ask-refused other.test:80"));
    DONE
}

pub(crate) fn run_is_for_the_host_and_the_port_until_the_end(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let script = attempts.line(&token, "get http://other.test/TOKEN").repeat(3)
        // Programs that know of no proxy are asked about, too; another port is another question.
        + &attempts.line(&token, "http other.test 80")
        + &attempts.line(&token, "tls other.test 443 other.test")
        + &attempts.line(&token, "connect other.test:9000");
    let mut asked = Asked::start(place, &script)?;
    asked.answer(QUESTION, "run");
    asked.answer(&QUESTION.replace("80", "443"), "r");
    asked.answer(&QUESTION.replace("80", "9000"), "yes");
    // Only the two words are a yes.
    assert_eq!(asked.results(place), "reached\n".repeat(5) + "403 ask-refused\n");
    DONE
}

pub(crate) fn what_a_rule_decides_is_not_asked_about(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    let script = attempts.line(&token, "get http://allowed.test/TOKEN")
        + &attempts.line(&token, "connect 127.0.0.1:9000")
        + &attempts.line(&token, "get http://169.254.169.254/TOKEN")
        + &attempts.line(&token, "tls allowed.test 443 other.test");
    let asked = Asked::start(place, &script)?;
    let results = asked.results(place);
    assert_eq!(results, "reached\n403 address-loopback\n403 address-metadata\nalert 112\n");
    DONE
}

/// What was typed before the question is no answer to it.
pub(crate) fn typed_ahead_is_no_answer(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let wait = "echo ready >&2; while [ ! -e typed ]; do sleep 0.01; done\n";
    let script = wait.to_owned() + &attempts.line(&world.token(), "get http://other.test/TOKEN");
    let mut asked = Asked::start(place, &script)?;
    asked.terminal.read_until("ready");
    asked.terminal.type_in("run\n");
    // The terminal shows what it has taken in.
    asked.terminal.read_until("run");
    place.write("home/project/typed", "");
    asked.answer(QUESTION, "n");
    assert_eq!(asked.results(place), "403 ask-refused\n");
    DONE
}

/// The command shares the terminal for its output, and tries to say yes by all that it has there.
pub(crate) fn the_command_cannot_answer_for_the_person(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let python = crate::support::python().unwrap();
    let inject = "import fcntl, os, time\nfor fd in (0, 2):\n    for byte in b\"run\\n\":\n        try:\n            \
                  fcntl.ioctl(fd, 0x5412, bytes([byte]))\n        except OSError:\n            pass\n";
    let inject = place.write("home/project/inject.py", inject);
    let attempt = attempts.line(&world.token(), "get http://other.test/TOKEN");
    let script = format!(
        "wc -c; cat <&2 > swallowed 2> /dev/null & {attempt_alone} & i=0; while kill -0 $! 2> /dev/null; do i=$((i + 1)); {python} {inject}; \
         printf 'run\\n' >&2; (printf 'run\\n' > /dev/tty) 2> /dev/null; [ $i -lt 5 ] || echo tried >&2; done; wait;",
        attempt_alone = attempt.trim_end(),
        inject = inject.display()
    );
    let mut asked = Asked::start(place, &script)?;
    asked.terminal.read_until(QUESTION);
    asked.terminal.read_until("tried");
    asked.terminal.type_in("n\n");
    assert_eq!(asked.results(place), "0\n403 ask-refused\n");
    DONE
}

pub(crate) fn a_terminal_that_hangs_up_says_no(world: &World, place: &Place, _: &Ground) -> Outcome {
    let Some(attempts) = Attempts::prepare(place) else { return skip(NO_PYTHON) };
    let token = world.token();
    // The command outlives the signal, so that the answer is what ends the attempt.
    let script = "trap '' HUP; ".to_owned() + &attempts.line(&token, "get http://other.test/TOKEN");
    let Asked { mut terminal, mut child } = Asked::start(place, &script)?;
    terminal.read_until(QUESTION);
    drop(terminal);
    child.wait()?;
    let receipt = logged(place)?;
    assert!(blocked(&receipt).contains("ask-refused other.test:80"), "{receipt:#}");
    assert_eq!(std::fs::read_to_string(place.workspace().join("results"))?, "403 ask-refused\n");
    assert!(!world.saw(&token));
    DONE
}

pub(crate) fn without_a_terminal_nothing_starts(_: &World, place: &Place, _: &Ground) -> Outcome {
    let run = |session: &str| {
        let mut command = place.command("setsid");
        command.args(["--wait", session]).arg(place.program()).arg("run").args(FLAGS);
        command.args(["--", "sh", "-c", "touch started"]).output()
    };
    // A session of its own has no terminal.
    let output = run("--fork")?;
    expect_status(&output, 125);
    assert!(stderr(&output).starts_with("ringfence: error[no-terminal]: "), "{}", stderr(&output));
    assert!(!place.workspace().join("started").exists());
    DONE
}
