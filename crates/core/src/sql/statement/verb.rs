//! The leading words of a statement.

use super::Dialect;
use super::words::Words;
use crate::sql::lexer::TokenKind;

/// The leading words.
pub(super) struct Verb {
    /// In upper case, with single spaces.
    pub(super) text: String,
    /// The token after them.
    pub(super) end: usize,
}

impl Verb {
    /// The first of them.
    pub(super) fn first(&self) -> &str {
        self.text.split(' ').next().unwrap_or("")
    }

    /// The last of them: for CREATE, ALTER and DROP the kind of object.
    pub(super) fn last(&self) -> &str {
        self.text.rsplit(' ').next().unwrap_or("")
    }

    /// True if the word is one of them.
    pub(super) fn has(&self, word: &str) -> bool {
        self.text.split(' ').any(|w| w == word)
    }
}

/// Verbs of more than one word.
const PHRASES: [&[&str]; 34] = [
    &["ANALYZE", "TABLE"],
    &["BEGIN", "NOT", "ATOMIC"],
    &["CACHE", "INDEX"],
    &["CHECK", "TABLE"],
    &["COMMENT", "ON"],
    &["COMMIT", "PREPARED"],
    &["DISCARD", "ALL"],
    &["IMPORT", "FOREIGN", "SCHEMA"],
    &["INSERT", "OR", "REPLACE"],
    &["INSERT", "OR", "ROLLBACK"],
    &["LOAD", "DATA"],
    &["LOAD", "INDEX"],
    &["LOAD", "XML"],
    &["LOCK", "TABLE"],
    &["LOCK", "TABLES"],
    &["OPTIMIZE", "TABLE"],
    &["PREPARE", "TRANSACTION"],
    &["REASSIGN", "OWNED"],
    &["REFRESH", "MATERIALIZED", "VIEW"],
    &["RENAME", "TABLE"],
    &["RENAME", "TABLES"],
    &["RENAME", "USER"],
    &["REPAIR", "TABLE"],
    &["ROLLBACK", "PREPARED"],
    &["ROLLBACK", "TO"],
    &["SECURITY", "LABEL"],
    &["SET", "CONSTRAINTS"],
    &["SET", "PASSWORD"],
    &["SET", "ROLE"],
    &["SET", "TRANSACTION"],
    &["START", "TRANSACTION"],
    &["UNLOCK", "TABLE"],
    &["UNLOCK", "TABLES"],
    &["VACUUM", "INTO"],
];

/// Words between CREATE, ALTER or DROP and the kind of object.
const MODIFIERS: &[&str] = &[
    "ACCESS",
    "CONSTRAINT",
    "DATA",
    "DEFAULT",
    "FOREIGN",
    "FULLTEXT",
    "GLOBAL",
    "IGNORE",
    "LARGE",
    "LOCAL",
    "MATERIALIZED",
    "ONLINE",
    "OR",
    "PROCEDURAL",
    "RECURSIVE",
    "REPLACE",
    "SEARCH",
    "SPATIAL",
    "TEMP",
    "TEMPORARY",
    "TEXT",
    "TRUSTED",
    "UNIQUE",
    "UNLOGGED",
    "VECTOR",
    "VIRTUAL",
];

/// Kinds of objects.
const KINDS: &[&str] = &[
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONFIGURATION",
    "CONVERSION",
    "DATABASE",
    "DICTIONARY",
    "DOMAIN",
    "EVENT",
    "EXTENSION",
    "FUNCTION",
    "GROUP",
    "INDEX",
    "INSTANCE",
    "LANGUAGE",
    "LOGFILE",
    "METHOD",
    "OBJECT",
    "OPERATOR",
    "OWNED",
    "PACKAGE",
    "PARSER",
    "POLICY",
    "PREPARE",
    "PRIVILEGES",
    "PROCEDURE",
    "PUBLICATION",
    "ROLE",
    "ROUTINE",
    "RULE",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "SYSTEM",
    "TABLE",
    "TABLESPACE",
    "TEMPLATE",
    "TRANSFORM",
    "TRIGGER",
    "TYPE",
    "USER",
    "VIEW",
    "WRAPPER",
];

/// Kinds of two words.
const KIND_PAIRS: [(&str, &str); 6] = [
    ("AGGREGATE", "FUNCTION"),
    ("EVENT", "TRIGGER"),
    ("OPERATOR", "CLASS"),
    ("OPERATOR", "FAMILY"),
    ("PACKAGE", "BODY"),
    ("USER", "MAPPING"),
];

/// What a statement after WITH begins with.
const AFTER_WITH: &[&str] =
    &["DELETE", "INSERT", "MERGE", "REPLACE", "SELECT", "TABLE", "UPDATE", "VALUES"];

/// Where to look for the kind of object at most.
const HEAD_TOKENS_MAX: usize = 40;

pub(super) fn read(words: &Words) -> Verb {
    let start = match words.is(0, "WITH") {
        true => words.outside(1, AFTER_WITH).unwrap_or(0),
        false => 0,
    };
    if words.is_any(start, &["CREATE", "ALTER", "DROP"]) {
        return object(words, start);
    }
    let phrase = PHRASES.iter().find(|phrase| words.starts_with(start, phrase));
    match phrase {
        Some(phrase) => Verb { text: phrase.join(" "), end: start + phrase.len() },
        None => Verb { text: words.upper(start), end: start + 1 },
    }
}

/// CREATE, ALTER or DROP with what it is about.
fn object(words: &Words, start: usize) -> Verb {
    let mut text = words.upper(start);
    let mut at = start + 1;
    let mut push = |word: &str| {
        text.push(' ');
        text.push_str(word);
    };
    while at < words.len().min(start + HEAD_TOKENS_MAX) {
        let word = words.upper(at);
        if KINDS.contains(&&*word) {
            push(&word);
            at += 1;
            let next = words.upper(at);
            if KIND_PAIRS.contains(&(&word, &next)) {
                push(&next);
                at += 1;
            }
            break;
        }
        if MODIFIERS.contains(&&*word) {
            push(&word);
        } else if words.dialect != Dialect::Mysql {
            break;
        } else if words.kind(at) == Some(TokenKind::Op) {
            // `DEFINER = name`, `ALGORITHM = MERGE`
            at += 1;
        }
        at += 1;
    }
    Verb { text, end: at }
}
