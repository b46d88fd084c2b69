//! One policy text and the places in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::PolicyError;
use crate::origin::Origin;
use crate::printable::printable;

/// A policy text that is being read, and who wrote it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) author: Author,
    pub(crate) text: String,
    line_starts: Vec<usize>,
    /// The number of characters before every [`STEP`]th byte, so that a column costs a short scan even where the whole
    /// file is one line.
    characters: Vec<usize>,
}

/// Who wrote a policy text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Author {
    Builtin(&'static str),
    File { path: PathBuf, managed: bool },
}

impl Source {
    pub(crate) fn builtin(profile: &'static str, text: &str) -> Self {
        Self::new(Author::Builtin(profile), text.to_owned())
    }

    pub(crate) fn file(path: &Path, managed: bool, bytes: Vec<u8>) -> Result<Self, PolicyError> {
        let author = Author::File { path: path.to_owned(), managed };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(author, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                Err(PolicyError::NotUtf8 { at: Self::new(author, text).origin(valid) })
            }
        }
    }

    /// How the text is called in a chain of `extends`.
    pub(crate) fn name(&self) -> String {
        match &self.author {
            Author::Builtin(profile) => (*profile).to_owned(),
            Author::File { path, .. } => path.display().to_string(),
        }
    }

    /// Where the byte stands. A built-in profile is one place.
    pub(crate) fn origin(&self, offset: usize) -> Origin {
        match &self.author {
            Author::Builtin(profile) => Origin::Builtin { profile: (*profile).into() },
            Author::File { path, managed } => {
                let offset = offset.min(self.text.len());
                let line = self.line_starts.partition_point(|start| *start <= offset);
                let start = self.line_starts.get(line.wrapping_sub(1)).copied().unwrap_or(0);
                let column = self.characters_before(offset) - self.characters_before(start) + 1;
                Origin::File {
                    path: path.clone(),
                    line: u32::try_from(line).unwrap_or(u32::MAX),
                    column: u32::try_from(column).unwrap_or(u32::MAX),
                    managed: *managed,
                }
            }
        }
    }

    /// The text of a span, cut to what fits into a message.
    pub(crate) fn excerpt(&self, span: &Range<usize>) -> String {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        match line.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", printable(&line[..end])),
            None => printable(line).into_owned(),
        }
    }

    fn new(author: Author, text: String) -> Self {
        if matches!(author, Author::Builtin(_)) {
            // Nobody is told lines of it.
            return Self { author, text, line_starts: Vec::new(), characters: Vec::new() };
        }
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        let mut count = 0;
        let mut characters = vec![0];
        for chunk in text.as_bytes().chunks(STEP) {
            count += chunk.iter().filter(|byte| starts_character(**byte)).count();
            characters.push(count);
        }
        Self { author, text, line_starts, characters }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let step = offset / STEP;
        let rest = self.text.as_bytes().get(step * STEP..offset).unwrap_or_default();
        self.characters.get(step).copied().unwrap_or(0) + rest.iter().filter(|byte| starts_character(**byte)).count()
    }
}

fn starts_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

const STEP: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let long = format!("{}x", "ü".repeat(1000));
        let source = Source::file(Path::new("p"), false, format!("a\nbüc\n\n{long}").into_bytes()).unwrap();
        for (offset, place) in
            [(0, "p:1:1"), (1, "p:1:2"), (2, "p:2:1"), (5, "p:2:3"), (7, "p:3:1"), (8, "p:4:1"), (2008, "p:4:1001")]
        {
            assert_eq!(source.origin(offset).to_string(), place, "{offset}");
        }
        assert_eq!(source.origin(usize::MAX).to_string(), "p:4:1002");
    }

    #[test]
    fn what_is_not_utf8_is_located() {
        let error = Source::file(Path::new("p"), false, b"version = 1\nx = \"\xff\"".to_vec()).unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(2), Some(6)));
    }
}
