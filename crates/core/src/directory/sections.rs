//! Sections of a file: `-- whimbrel: down`, `-- whimbrel: verify`.

use super::names::Role;
use crate::directive::{Verb, parse_comment};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, lex};

/// A section after the first, which has no marker.
pub(super) struct Section<'a> {
    pub(super) role: Role,
    pub(super) text: &'a str,
    /// How many lines of the file come before its text.
    pub(super) lines_before: u32,
    /// The line of its marker, from 1.
    pub(super) line: u32,
}

/// Cuts a text at its section markers; what comes first is for `up`.
pub(super) fn split(text: &str, dialect: Option<Dialect>) -> (&str, Vec<Section<'_>>) {
    let mut markers = markers(text);
    if markers.is_empty() {
        return (text, Vec::new());
    }
    // A line of a string or of a function's body may look like a marker. Without a dialect the look
    // must do: the commonest case is that there is no doubt.
    if let Some(dialect) = dialect {
        let tokens = lex(text, dialect);
        let comments: Vec<usize> = tokens
            .iter()
            .filter(|token| token.kind == TokenKind::LineComment)
            .map(|token| token.span.start)
            .collect();
        markers.retain(|marker| comments.binary_search(&marker.comment).is_ok());
    }
    let ends = markers.iter().skip(1).map(|marker| marker.start).chain([text.len()]);
    let sections = markers
        .iter()
        .zip(ends)
        .map(|(marker, end)| Section {
            role: marker.role,
            text: text.get(marker.end..end).unwrap_or(""),
            lines_before: marker.line,
            line: marker.line,
        })
        .collect();
    let first = markers.first().map_or(text.len(), |marker| marker.start);
    (text.get(..first).unwrap_or(text), sections)
}

fn role(verb: Verb) -> Option<Role> {
    match verb {
        Verb::Down => Some(Role::Down),
        Verb::Verify => Some(Role::Verify),
        Verb::Batch => None,
    }
}

struct Marker {
    role: Role,
    /// Where its line begins.
    start: usize,
    /// Where its comment begins.
    comment: usize,
    /// Where the next line begins.
    end: usize,
    line: u32,
}

fn markers(text: &str) -> Vec<Marker> {
    let mut markers = Vec::new();
    // Nearly all files have none, and thousands of files are looked at.
    if !text.contains("whimbrel:") {
        return markers;
    }
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        let blank = line.len() - line.trim_start().len();
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if line.trim_start().starts_with("--")
            && let Some(Ok(directive)) = parse_comment(line, number)
            && let Some(role) = directive.verb.and_then(role)
        {
            markers.push(Marker { role, start, comment: start + blank, end, line: number });
        }
        start = end;
    }
    markers
}
