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

/// A word as a shell would need it to be the same word again.
pub fn quoted(word: &str) -> String {
    let safe = |character: char| character.is_alphanumeric() || "-_./=:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Rows of cells, aligned when printed.
#[derive(Debug, Default)]
pub struct Table {
    indent: usize,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<Cell>),
    /// A line of its own that no column has to make room for.
    Note(Cell),
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
        Self { text: plain(text.as_ref()), style: Style::new(), right: false }
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
        Self { indent, rows: Vec::new() }
    }

    /// Adds a row of column heads.
    pub fn heads<const N: usize>(&mut self, heads: [&str; N]) {
        self.row(heads.map(|head| Cell::new(head).style(HEADING)));
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    /// Adds a line that explains the row above it.
    pub fn note(&mut self, note: Cell) {
        self.rows.push(Row::Note(note));
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the table as styled text; `anstream` removes the styles where they are not wanted.
    pub fn render(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            match row {
                Row::Cells(cells) => push_cells(&mut line, cells, &widths),
                Row::Note(note) => {
                    let _ = write!(line, "    {}{}{:#}", note.style, note.text, note.style);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (cell, width) in cells.iter().zip(&mut widths) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }
}

fn push_cells(line: &mut String, cells: &[Cell], widths: &[usize]) {
    // Spaces are owed, not printed, until another cell follows: no line ends in spaces.
    let mut owed = 0;
    for (cell, width) in cells.iter().zip(widths) {
        let padding = width - cell.width();
        let (before, after) = if cell.right { (owed + padding, 0) } else { (owed, padding) };
        if cell.text.is_empty() {
            owed = before + after + GAP;
        } else {
            let _ = write!(line, "{:before$}{}{}{:#}", "", cell.style, cell.text, cell.style);
            owed = after + GAP;
        }
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
        assert_eq!(table.render(), "  a    long cell   1\n  abc             22\n  x\n");
    }

    #[test]
    fn a_note_widens_no_column() {
        let mut table = Table::indented(1);
        table.row(["a".into(), "b".into()]);
        table.note("a note that is long".into());
        table.row(["ab".into(), "c".into()]);
        assert_eq!(table.render(), " a   b\n     a note that is long\n ab  c\n");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_is_printed() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{202e}d\u{9b}"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}");
        assert_eq!(plain("naïve 日本 → ok"), "naïve 日本 → ok");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_not_keep_them() {
        for (word, shown) in [("make", "make"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$X", "'$X'")] {
            assert_eq!(quoted(word), shown);
        }
    }
}
