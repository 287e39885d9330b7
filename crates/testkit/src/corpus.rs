//! Reads the corpus of files and the statements that they hold.
//!
//! `crates/core/tests/corpus/split/<dialect>/*.txt` holds many cases per file:
//!
//! ```text
//! ==== name of the case
//! SELECT 1; COPY t FROM stdin;
//! 1
//! \.
//! ----
//! SELECT 1
//! ----
//! COPY t FROM stdin
//! ---- rows
//! 1
//!
//! ==== a failing case
//! \i x.sql
//! ---- error 1:1
//! `\i` is a command of the database's client, not SQL
//! ```
//!
//! Line breaks at the end of a text are not part of it; rows get one back. A name that ends in
//! ` [escaped]` has `\n`, `\r`, `\t`, `\0`, `\\` and `\u{...}` decoded in its texts, rows are then
//! taken as they are. A case without `----` holds no statement.
//! Lines before the first case are comments.

use std::fs;
use std::path::Path;

/// A text and what it must be cut into.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder: `sqlite`, `postgres` or `mysql`.
    pub dialect: String,
    /// File and case, as in `copy.txt: rows with quotes`.
    pub name: String,
    /// The file's text.
    pub sql: String,
    /// What it holds.
    pub expected: Expected,
}

/// The result that a case asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// These statements.
    Statements(Vec<Piece>),
    /// A refusal.
    Error {
        /// Its line, from 1.
        line: u32,
        /// Its column, from 1.
        column: u32,
        /// Its message.
        message: String,
    },
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text without the delimiter.
    pub text: String,
    /// The rows of a `COPY`.
    pub copy_data: Option<String>,
}

/// All cases of the corpus, in the order of dialects and files.
pub fn split_cases() -> Result<Vec<Case>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/corpus/split");
    let mut cases = Vec::new();
    for dialect in ["sqlite", "postgres", "mysql"] {
        let folder = root.join(dialect);
        let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            cases.extend(parse(dialect, &file, &text)?);
        }
    }
    Ok(cases)
}

/// The cases of one file.
pub fn parse(dialect: &str, file: &str, text: &str) -> Result<Vec<Case>, String> {
    let start = text.find("==== ").ok_or_else(|| format!("{file} holds no case"))?;
    let body = text.get(start..).unwrap_or("").strip_prefix("==== ").unwrap_or("");
    body.split("\n==== ").map(|case| parse_case(dialect, file, case)).collect()
}

fn parse_case(dialect: &str, file: &str, case: &str) -> Result<Case, String> {
    let (name, body) = case.split_once('\n').unwrap_or((case, ""));
    let body = format!("\n{body}");
    let (name, escaped) = match name.strip_suffix(" [escaped]") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let decode = |text: &str| {
        let text = text.trim_end_matches('\n');
        if escaped { unescape(text) } else { text.to_owned() }
    };
    let mut parts = body.split("\n----");
    let sql = parts.next().unwrap_or("");
    let mut case = Case {
        dialect: dialect.to_owned(),
        name: format!("{dialect}/{file}: {name}"),
        sql: decode(sql.strip_prefix('\n').unwrap_or(sql)),
        expected: Expected::Statements(Vec::new()),
    };
    for part in parts {
        let (head, text) = part.split_once('\n').unwrap_or((part, ""));
        let mut text = decode(text);
        if head.trim() == "rows" && !escaped && !text.is_empty() {
            text.push('\n');
        }
        let added = add_part(&mut case.expected, head.trim(), text);
        added.map_err(|wrong| format!("{}: {wrong}", case.name))?;
    }
    Ok(case)
}

fn add_part(expected: &mut Expected, head: &str, text: String) -> Result<(), String> {
    let Expected::Statements(pieces) = expected else {
        return Err("an error is the only part of its case".to_owned());
    };
    match head.split_once(' ') {
        None if head.is_empty() => pieces.push(Piece { text, copy_data: None }),
        None if head == "rows" => {
            let piece = pieces.last_mut().ok_or("rows without a statement")?;
            piece.copy_data = Some(text);
        }
        Some(("error", place)) => {
            let (line, column) = place
                .split_once(':')
                .and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)))
                .ok_or_else(|| format!("`{place}` is no place"))?;
            *expected = Expected::Error { line, column, message: text };
        }
        _ => return Err(format!("`---- {head}` means nothing")),
    }
    Ok(())
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('0')) => out.push('\0'),
            ('\\', Some('u')) => {
                let hex: String = chars.by_ref().take_while(|&c| c != '}').skip(1).collect();
                out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            ('\\', Some(other)) => out.push(other),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_literally() {
        let text = "Head\n==== a [escaped]\nx\\r\\u{e9};\n----\nx\n---- rows\n1\\n\n\n==== none\n\
                    ==== b\n'\n---- error 1:2\nNo\n";
        let cases = parse("postgres", "f", text).unwrap();
        assert_eq!(cases.len(), 3);
        assert_eq!(cases[0].sql, "x\ré;");
        let piece = Piece { text: "x".to_owned(), copy_data: Some("1\n".to_owned()) };
        assert_eq!(cases[0].expected, Expected::Statements(vec![piece]));
        assert_eq!(cases[1].expected, Expected::Statements(vec![]));
        let error = Expected::Error { line: 1, column: 2, message: "No".to_owned() };
        assert_eq!(cases[2].expected, error);
        assert!(parse("postgres", "f", "==== a\n---- what\n").is_err());
    }
}
