//! How far a long piece of work is: a bar on a terminal, a plain line now and then elsewhere.
//!
//! Our own, because it is a line of text, and a library for it would be loaded at each start.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ringfence::windows::grants::Progress;

/// Draws progress on a stream.
pub(crate) struct Meter<W: Write> {
    what: String,
    is_terminal: bool,
    started: Instant,
    drawn: Mutex<Drawn<W>>,
}

struct Drawn<W> {
    stream: W,
    last: Option<Duration>,
}

/// Nothing is shown of work that is done sooner.
const PATIENCE: Duration = Duration::from_millis(300);
/// A terminal is drawn on ten times a second.
const TERMINAL_PERIOD: Duration = Duration::from_millis(100);
/// A log gets a line this often.
const LOG_PERIOD: Duration = Duration::from_secs(10);
/// Cells of the bar.
const WIDTH: u64 = 30;

impl Meter<std::io::Stderr> {
    /// A meter on standard error for work that begins now. `what` is said before the numbers.
    pub(crate) fn on_stderr(what: impl Into<String>) -> Self {
        let stream = std::io::stderr();
        let is_terminal = stream.is_terminal();
        Self::new(what.into(), stream, is_terminal)
    }
}

impl<W: Write> Meter<W> {
    fn new(what: String, stream: W, is_terminal: bool) -> Self {
        Self { what, is_terminal, started: Instant::now(), drawn: Mutex::new(Drawn { stream, last: None }) }
    }

    /// Shows how far the work is, if it is time to.
    pub(crate) fn show(&self, progress: Progress) {
        self.show_at(self.started.elapsed(), progress);
    }

    /// Takes the bar away again.
    pub(crate) fn finish(&self) {
        let Ok(mut drawn) = self.drawn.lock() else { return };
        if self.is_terminal && drawn.last.is_some() {
            // A meter that cannot be drawn must not stop the work.
            let _ = drawn.stream.write_all(b"\r\x1b[K");
            let _ = drawn.stream.flush();
        }
    }

    fn show_at(&self, elapsed: Duration, progress: Progress) {
        let Ok(mut drawn) = self.drawn.lock() else { return };
        let period = if self.is_terminal { TERMINAL_PERIOD } else { LOG_PERIOD };
        let due = drawn.last.map_or(PATIENCE, |last| last + period);
        if elapsed < due {
            return;
        }
        drawn.last = Some(elapsed);
        let line = if self.is_terminal { self.bar(progress) } else { self.line(progress) };
        let _ = drawn.stream.write_all(line.as_bytes());
        let _ = drawn.stream.flush();
    }

    fn bar(&self, progress: Progress) -> String {
        let filled = (progress.done * WIDTH).checked_div(progress.known).unwrap_or(0).min(WIDTH);
        let bar: String = (0..WIDTH).map(|cell| if cell < filled { '#' } else { '.' }).collect();
        format!("\r\x1b[K{} [{bar}] {} of {}", self.what, grouped(progress.done), grouped(progress.known))
    }

    fn line(&self, progress: Progress) -> String {
        format!("ringfence: {}: {} of {} objects\n", self.what, progress.done, progress.known)
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool, steps: &[(u64, u64, u64)]) -> String {
        let meter = Meter::new("granting".into(), Vec::new(), is_terminal);
        for (millis, done, known) in steps {
            meter.show_at(Duration::from_millis(*millis), Progress { done: *done, known: *known });
        }
        meter.finish();
        String::from_utf8(meter.drawn.into_inner().unwrap().stream).unwrap()
    }

    #[test]
    fn a_terminal_gets_a_bar_that_goes_away() {
        let text = shown(true, &[(100, 1, 2), (300, 500, 1000), (350, 600, 1000), (401, 1_234_567, 1_234_567)]);
        assert_eq!(
            text,
            "\r\x1b[Kgranting [###############...............] 500 of 1,000\
             \r\x1b[Kgranting [##############################] 1,234,567 of 1,234,567\
             \r\x1b[K"
        );
    }

    #[test]
    fn a_log_gets_a_line_now_and_then() {
        let text = shown(false, &[(0, 0, 0), (400, 1, 2), (5_000, 3, 4), (10_400, 5, 6)]);
        assert_eq!(text, "ringfence: granting: 1 of 2 objects\nringfence: granting: 5 of 6 objects\n");
    }

    #[test]
    fn work_that_is_done_at_once_shows_nothing() {
        assert_eq!(shown(true, &[(0, 0, 0), (299, 7, 7)]), "");
        assert_eq!(shown(false, &[(299, 7, 7)]), "");
    }
}
