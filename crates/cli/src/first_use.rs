//! What is said while a workspace is used for the first time on Windows.

use std::io::Write;

use ringfence::grants::Audience;
use ringfence::windows::grants::Progress;
use ringfence::windows::ledger::Skipped;

use crate::page::plain;
use crate::progress::Meter;

/// Says on standard error how far it is, and what stays not writable.
pub(crate) struct FirstUse {
    meter: Meter<std::io::Stderr>,
    is_quiet: bool,
}

/// More lines than this are left to `ringfence grants list`.
const LINES: usize = 10;

impl FirstUse {
    /// With `is_quiet` nothing is said.
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { meter: Meter::on_stderr("granting the write roots"), is_quiet }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.meter.finish();
    }
}

impl Audience for FirstUse {
    fn progress(&self, progress: Progress) {
        if !self.is_quiet {
            self.meter.show(progress);
        }
    }

    fn granted(&self, skipped: &[Skipped]) {
        self.meter.finish();
        if !self.is_quiet {
            // A line that cannot be written must not keep the command from starting.
            let _ = anstream::stderr().lock().write_all(lines(skipped).as_bytes());
        }
    }
}

fn lines(skipped: &[Skipped]) -> String {
    let mut text = String::new();
    for skipped in skipped.iter().take(LINES) {
        text += &format!("ringfence: not writable inside: {}: {}\n", plain(&skipped.path), skipped.why);
    }
    if let Some(more) = skipped.len().checked_sub(LINES + 1) {
        text += &format!("ringfence: and {} more; `ringfence grants list` names all\n", more + 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use ringfence::windows::ledger::Why;

    use super::*;

    fn skipped(count: usize) -> Vec<Skipped> {
        (0..count).map(|number| Skipped { path: format!("a\\{number}"), why: Why::Denied }).collect()
    }

    #[test]
    fn each_place_has_a_line_up_to_a_number() {
        assert_eq!(lines(&[]), "");
        assert_eq!(lines(&skipped(1)), "ringfence: not writable inside: a\\0: you may not change its permissions\n");
        assert_eq!(lines(&skipped(LINES)).lines().count(), LINES);
        let many = lines(&skipped(LINES + 5));
        assert_eq!(many.lines().count(), LINES + 1);
        assert!(many.ends_with("ringfence: and 5 more; `ringfence grants list` names all\n"), "{many}");
    }
}
