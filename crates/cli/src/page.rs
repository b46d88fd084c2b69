//! Text for people: aligned tables, colours where the terminal wants them, and nothing that a terminal would obey.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// Section titles and column heads.
pub const HEADING: Style = Style::new().bold();
/// What holds, and what is available.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What holds only by good will.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What does not hold, and errors.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is there for completeness.
pub const QUIET: Style = Style::new().dimmed();

/// Returns `text` with every character that a terminal would act on written as an escape.
///
/// Paths, arguments and host names come from files and commands that nobody has reviewed: one printed as it is could
/// recolour, overwrite or fake the lines around it. Bidirectional overrides are escaped for the same reason.
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || reorders || matches!(character, '\u{2028}' | '\u{2029}') {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Rows of cells, aligned when printed.
#[derive(Debug, Default)]
pub struct Table {
    indent: usize,
    rows: Vec<Vec<Cell>>,
}

/// One cell: text, how it is coloured, and to which side it leans.
#[derive(Debug)]
pub struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// Returns a cell that holds `text`, made safe for a terminal.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: plain(text.as_ref()),
            style: Style::new(),
            right: false,
        }
    }

    /// Colours the cell.
    #[must_use]
    pub fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// Leans the cell to the right, as numbers do.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl Table {
    /// Returns an empty table whose rows begin after `indent` spaces.
    pub fn indented(indent: usize) -> Self {
        Self {
            indent,
            rows: Vec::new(),
        }
    }

    /// Adds a row of column heads.
    pub fn heads<const N: usize>(&mut self, heads: [&str; N]) {
        self.rows.push(
            heads
                .into_iter()
                .map(|head| Cell::new(head).style(HEADING))
                .collect(),
        );
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the table as styled text; `anstream` removes the styles where they are not wanted.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(Cell::width)
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            // Spaces are owed, not printed, until another cell follows: no line ends in spaces.
            let mut owed = 0;
            for (cell, width) in row.iter().zip(&widths) {
                let padding = width - cell.width();
                let (before, after) = if cell.right {
                    (owed + padding, 0)
                } else {
                    (owed, padding)
                };
                if !cell.text.is_empty() {
                    let _ = write!(
                        line,
                        "{:before$}{}{}{:#}",
                        "", cell.style, cell.text, cell.style
                    );
                    owed = after + GAP;
                } else {
                    owed = before + after + GAP;
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_in_no_spaces() {
        let mut table = Table::indented(2);
        table.row(["a".into(), "long cell".into(), Cell::new("1").right()]);
        table.row(["abc".into(), Cell::new(""), Cell::new("22").right()]);
        table.row(["x".into(), "".into()]);
        assert_eq!(
            table.render(),
            "  a    long cell   1\n  abc             22\n  x\n"
        );
    }

    #[test]
    fn a_terminal_obeys_nothing_that_is_printed() {
        assert_eq!(
            plain("a\x1b[2Jb\nc\u{202e}d\u{9b}"),
            "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}"
        );
        assert_eq!(plain("naïve 日本 → ok"), "naïve 日本 → ok");
    }
}
