//! From a text to a [`Document`], every mistake located.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{Document, expectation, keys_of};
use crate::error::PolicyError;
use crate::printable::printable;
use crate::source::Source;
use crate::value_error::nearest;

/// Reads a policy text.
pub(crate) fn parse(source: &Source) -> Result<Document, PolicyError> {
    let syntax = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        // An error at the end of a line has nothing to show but the line.
        let shown = match source.excerpt(&span) {
            shown if shown.trim().is_empty() => source.excerpt(&line_around(&source.text, span.start)),
            shown => shown,
        };
        let problem = printable(&error.message().replace('\n', ", ")).into_owned();
        PolicyError::Syntax { at: source.origin(span.start), text: shown, problem }
    };
    let table = DeTable::parse(&source.text).map_err(|error| syntax(&error))?;
    Document::deserialize(toml::Deserializer::from(table)).map_err(|error| {
        // The table is consumed by then; parsing it again costs only whoever wrote a mistake.
        DeTable::parse(&source.text)
            .ok()
            .and_then(|table| explain(source, table.get_ref(), &error))
            .unwrap_or_else(|| syntax(&error))
    })
}

fn explain(source: &Source, root: &DeTable<'_>, error: &toml::de::Error) -> Option<PolicyError> {
    if error.message().starts_with("missing field `version`") {
        let at = source.origin(0);
        return Some(PolicyError::MissingKey { at, key: "version".to_owned(), expected: expectation("version") });
    }
    let span = error.span()?;
    let at = source.origin(span.start);
    let mut path = Vec::new();
    let found = find(root, &span, &mut path)?;
    let text = source.excerpt(&span);
    match found {
        Found::Key(key) if error.message().starts_with("unknown field") => {
            let table = path.join(".");
            let known = keys_of(&table);
            let suggestion = nearest(key, &known);
            Some(PolicyError::UnknownKey {
                at,
                key: key.to_owned(),
                table: table.into(),
                suggestion,
                known: known.into(),
            })
        }
        Found::Value(value) if error.message().starts_with("invalid type") => {
            let key = path.join(".");
            let expected = expectation(&key);
            Some(PolicyError::WrongType { at, key, text: text.into(), found: kind(value), expected })
        }
        _ => None,
    }
}

enum Found<'t> {
    Key(&'t str),
    Value(&'t DeValue<'t>),
}

/// Finds what was written at exactly this span, and the keys that lead to it.
fn find<'t>(table: &'t DeTable<'t>, span: &Range<usize>, path: &mut Vec<&'t str>) -> Option<Found<'t>> {
    for (key, value) in table.iter() {
        if key.span() == *span {
            return Some(Found::Key(key.get_ref()));
        }
        path.push(key.get_ref());
        if let Some(found) = find_in_value(value, span, path) {
            return Some(found);
        }
        path.pop();
    }
    None
}

fn find_in_value<'t>(
    value: &'t Spanned<DeValue<'t>>,
    span: &Range<usize>,
    path: &mut Vec<&'t str>,
) -> Option<Found<'t>> {
    if value.span() == *span {
        return Some(Found::Value(value.get_ref()));
    }
    match value.get_ref() {
        DeValue::Table(table) => find(table, span, path),
        DeValue::Array(items) => items.iter().find_map(|item| find_in_value(item, span, path)),
        _ => None,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn line_around(text: &str, offset: usize) -> Range<usize> {
    let offset = (0..=offset.min(text.len())).rev().find(|offset| text.is_char_boundary(*offset)).unwrap_or(0);
    let start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |length| offset + length);
    start..end
}
