//! Directives: what an author tells Whimbrel in a comment, `-- whimbrel: [verb] key=value`.
//!
//! One grammar and one table of keys, from which docs/reference/directives.md is made. An unknown
//! key is an error, never a comment that is passed over: a misspelt `keep=off` must not keep, nor a
//! misspelt `transaction=never` run in a transaction.

mod batch;
mod options;
mod reference;
#[cfg(test)]
mod tests;
mod verb;

pub use batch::{BatchSettings, BatchSize, OnError, UndoMode};
pub use options::{Keep, Options, Requirement, Transaction};
pub use reference::reference;
pub use verb::{VERBS, Verb};

use crate::config::nearest;

/// The word that makes a comment a directive.
const MARK: &str = "whimbrel";

/// Where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At the head of a file, before its first statement.
    File,
    /// Before a statement, for that statement.
    Statement,
}

/// A key that a directive may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Whether the file runs in a transaction.
    Transaction,
    /// Whether destructive statements keep what they remove.
    Keep,
    /// How long a statement waits for a lock.
    LockTimeout,
    /// How long a statement may run.
    StatementTimeout,
    /// What the migration is for.
    Purpose,
    /// What must be done before.
    Requires,
    /// Whether the result is verified.
    Verify,
    /// Which key a data migration's statement is batched by.
    By,
    /// How many driving rows a batch has.
    Size,
    /// How long a batch should take.
    TargetMs,
    /// What happens to rows that the database refuses.
    OnError,
    /// How many of them are too many.
    ErrorsMax,
    /// Whether what changes is kept for `undo`.
    Undo,
    /// How long to wait between two batches.
    PauseMs,
    /// That reading the statement's own table gives the same in every batch.
    SelfRead,
    /// What is allowed although it makes batches differ from one run.
    Allow,
    /// Which driving rows produce nothing on purpose.
    Skips,
    /// How long the statement is run again.
    Until,
    /// `materialize`
    Materialize,
    /// In which other database a statement's query runs.
    Source,
    /// How many parts of the key range run at once.
    Parallel,
}

/// A row of the table of keys.
#[derive(Debug)]
pub struct KeyRow {
    /// The key.
    pub key: Key,
    /// As written.
    pub name: &'static str,
    /// The values it takes.
    pub values: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// Where it may stand.
    pub scopes: &'static [Scope],
    /// What it does, for the reference.
    pub docs: &'static str,
}

const FILE: &[Scope] = &[Scope::File];
const BOTH: &[Scope] = &[Scope::File, Scope::Statement];

/// Every key.
pub const KEYS: &[KeyRow] = &[
    KeyRow {
        key: Key::Transaction,
        name: "transaction",
        values: "auto | never",
        default: "auto",
        scopes: FILE,
        docs: "`auto` runs the file in one transaction where the database and its statements can. \
               `never` commits each statement by itself, as its own step.",
    },
    KeyRow {
        key: Key::Keep,
        name: "keep",
        values: "on | off | force",
        default: "on",
        scopes: BOTH,
        docs: "Whether DROP TABLE and DROP COLUMN save what they remove, so that `down` brings it \
               back. `force` does so above `keep-max` too.",
    },
    KeyRow {
        key: Key::LockTimeout,
        name: "lock-timeout",
        values: "a duration: 500ms, 5s, 2m; 0 waits without end",
        default: "the setting `lock-timeout`",
        scopes: BOTH,
        docs: "How long one try waits for a lock before it gives up and is made again. A limit \
               that the file sets itself (`SET lock_timeout`) counts in place of it. On SQLite \
               a try waits at most 2 s, and a statement inside a transaction has its lock already.",
    },
    KeyRow {
        key: Key::StatementTimeout,
        name: "statement-timeout",
        values: "a duration: 500ms, 5s, 2m; 0 is no limit",
        default: "the setting `statement-timeout`",
        scopes: BOTH,
        docs: "How long one statement may run; what Whimbrel sends itself (copies, checks, its own \
               rows) is not bounded by it. PostgreSQL, MariaDB and SQLite end every statement; \
               MySQL can end only SELECT (`max_execution_time`). Without a limit here, one that \
               a role, a database or a server has is switched off while migrations run. A limit \
               that the file sets itself (`SET statement_timeout`) counts in place of it.",
    },
    KeyRow {
        key: Key::Purpose,
        name: "purpose",
        values: "text in double quotes",
        default: "none",
        scopes: FILE,
        docs: "What the migration is for, shown by `history`.",
    },
    KeyRow {
        key: Key::Requires,
        name: "requires",
        values: "account:VERSION, several separated by commas",
        default: "none",
        scopes: FILE,
        docs: "What must hold before the file runs: the account of a data migration shows that no \
               row was lost.",
    },
    KeyRow {
        key: Key::Verify,
        name: "verify",
        values: "on | off",
        default: "on",
        scopes: FILE,
        docs: "Whether what the statements promise is looked up in the catalog afterwards.",
    },
    KeyRow {
        key: Key::By,
        name: "by",
        values: "a column, `alias.column`, or several separated by commas",
        default: "the primary key of the driving table",
        scopes: BOTH,
        docs: "Data migrations: the unique key in whose order the rows are taken, batch by batch.",
    },
    KeyRow {
        key: Key::Size,
        name: "size",
        values: "auto | a number of rows",
        default: "auto",
        scopes: BOTH,
        docs: "Data migrations: how many driving rows one batch has. `auto` begins with 1000 and \
               follows `target-ms`.",
    },
    KeyRow {
        key: Key::TargetMs,
        name: "target-ms",
        values: "a number of milliseconds",
        default: "500; SQLite 250",
        scopes: BOTH,
        docs: "Data migrations: how long one batch should take, with `size=auto`.",
    },
    KeyRow {
        key: Key::OnError,
        name: "on-error",
        values: "stop | quarantine",
        default: "stop",
        scopes: BOTH,
        docs: "Data migrations: what happens when the database or a rule refuses a row. `stop` \
               names the row and stops; `quarantine` sets the row aside with its reason, and the \
               others go on.",
    },
    KeyRow {
        key: Key::ErrorsMax,
        name: "errors-max",
        values: "a number of rows",
        default: "1000",
        scopes: BOTH,
        docs: "Data migrations: how many rows may go into quarantine before the run stops.",
    },
    KeyRow {
        key: Key::Undo,
        name: "undo",
        values: "on | off | best-effort",
        default: "on",
        scopes: BOTH,
        docs: "Data migrations: whether the values before and after each change are kept, so that \
               `undo` can take it back. `best-effort` keeps them where triggers or cascades may \
               write more than is kept.",
    },
    KeyRow {
        key: Key::PauseMs,
        name: "pause-ms",
        values: "a number of milliseconds",
        default: "0; SQLite 20",
        scopes: BOTH,
        docs: "Data migrations: how long to wait between two batches, so that others can write. On \
               SQLite, unless it is 0, the wait is longer from time to time: whoever waits for the \
               lock there only looks now and then whether it is free.",
    },
    KeyRow {
        key: Key::SelfRead,
        name: "self-read",
        values: "stable",
        default: "none",
        scopes: BOTH,
        docs: "Data migrations: the author's word that what the statement reads of its own table \
               is the same in every batch.",
    },
    KeyRow {
        key: Key::Allow,
        name: "allow",
        values: "codes of refusals, separated by commas",
        default: "none",
        scopes: BOTH,
        docs: "Data migrations: refusals that are lifted by the author's word, such as \
               `volatile-in-where`.",
    },
    KeyRow {
        key: Key::Skips,
        name: "skips",
        values: "a condition in double quotes",
        default: "none",
        scopes: BOTH,
        docs: "Data migrations: which driving rows of an `INSERT ... SELECT` produce nothing on \
               purpose. The account reports every other row that produced nothing.",
    },
    KeyRow {
        key: Key::Until,
        name: "until",
        values: "no-rows",
        default: "none",
        scopes: BOTH,
        docs: "Data migrations: a statement with a LIMIT of its own is run again and again, each \
               time in its own transaction, until it changes no row. Nothing of it is kept: \
               `undo=off` must stand with it.",
    },
    KeyRow {
        key: Key::Materialize,
        name: "materialize",
        values: "true",
        default: "none",
        scopes: BOTH,
        docs: "Data migrations: what the statement would write is computed once, before the first \
               batch, into a table of Whimbrel's own, and applied from there batch by batch. That \
               lifts most refusals. A row that somebody changed or deleted meanwhile is left as it \
               is, and the account reports it.",
    },
    KeyRow {
        key: Key::Source,
        name: "source",
        values: "an environment of whimbrel.toml",
        default: "this database",
        scopes: BOTH,
        docs: "Data migrations: the query of `INSERT INTO t (columns) SELECT ...` runs in that \
               database, in its SQL. A value that its column cannot hold is a refused row.",
    },
    KeyRow {
        key: Key::Parallel,
        name: "parallel",
        values: "a number of connections, 1 to 16",
        default: "1",
        scopes: BOTH,
        docs: "Data migrations on PostgreSQL and MariaDB: into so many parts of about as many rows \
               the key range is cut, and each is gone through by a connection of its own. With \
               another number a later run has as many connections for the same parts. Where the \
               order of batches may matter, and on SQLite, it is 1, and `plan` says why.",
    },
];

/// One directive, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The section that it begins, if any.
    pub verb: Option<Verb>,
    /// The keys and their values, in order.
    pub settings: Vec<Setting>,
    /// The line of the file, from 1.
    pub line: u32,
}

/// One `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: Key,
    /// The value, without quotes.
    pub value: String,
}

/// What is wrong with a directive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DirectiveError {
    /// The line of the file, from 1.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Key {
    /// The key as written.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    fn row(self) -> Option<&'static KeyRow> {
        KEYS.iter().find(|row| row.key == self)
    }

    /// Whether the key may stand there.
    pub fn allowed_in(self, scope: Scope) -> bool {
        self.row().is_some_and(|row| row.scopes.contains(&scope))
    }
}

/// Reads one comment, given with its delimiters (`-- ...`), that begins in `line`.
///
/// `None`: an ordinary comment. A comment that all but says `-- whimbrel:` is an error.
pub fn parse_comment(comment: &str, line: u32) -> Option<Result<Directive, DirectiveError>> {
    let error = |message: &str, hint: &str| {
        let hint = Some(hint.to_owned());
        Some(Err(DirectiveError { line, message: message.to_owned(), hint }))
    };
    let (body, dashes) = strip_delimiters(comment);
    let word_end = body.find(|c: char| !c.is_alphanumeric()).unwrap_or(body.len());
    let (word, after) = body.split_at_checked(word_end)?;
    if !word.eq_ignore_ascii_case(MARK) {
        let near = nearest(word, [MARK]).is_some();
        let meant = near && after.strip_prefix(':').is_some_and(reads_as_directive);
        return if meant {
            error("A directive whose first word is misspelt", "Write `-- whimbrel: ...`")
        } else {
            None
        };
    }
    let Some(rest) = after.trim_start().strip_prefix(':') else {
        let looks_meant = reads_as_directive(after);
        return if looks_meant {
            error("A directive without its colon", "Write `-- whimbrel: ...`")
        } else {
            None
        };
    };
    if !dashes {
        return error("A directive must stand in a `--` comment", "Write `-- whimbrel: ...`");
    }
    if word != MARK || !after.starts_with(':') {
        return error("A directive is not written as it must be", "Write `-- whimbrel: ...`");
    }
    Some(parse_body(rest, line))
}

fn strip_delimiters(comment: &str) -> (&str, bool) {
    let comment = comment.trim();
    if let Some(body) = comment.strip_prefix("--") {
        return (body.trim(), true);
    }
    let body = comment.strip_prefix("/*").map(|body| body.strip_suffix("*/").unwrap_or(body));
    (body.or(comment.strip_prefix('#')).unwrap_or(comment).trim(), false)
}

/// Whether the words after `whimbrel` are those of a directive rather than of a sentence.
fn reads_as_directive(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return false };
    let key = first.split('=').next().unwrap_or(first);
    let is_setting = first.contains('=') && KEYS.iter().any(|row| row.name == key);
    let is_verb = VERBS.iter().any(|(_, name, _)| *name == first) && words.next().is_none();
    is_setting || is_verb
}

fn parse_body(text: &str, line: u32) -> Result<Directive, DirectiveError> {
    let fail = |message: String, hint: Option<String>| DirectiveError { line, message, hint };
    let mut directive = Directive { verb: None, settings: Vec::new(), line };
    let mut rest = text.trim_start();
    if rest.is_empty() {
        return Err(fail("A directive that says nothing".to_owned(), None));
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let Some(value) = after.strip_prefix('=') else {
            let first = directive.verb.is_none() && directive.settings.is_empty();
            match VERBS.iter().find(|(_, name, _)| first && *name == word) {
                Some((verb, _, _)) => directive.verb = Some(*verb),
                None => return Err(unknown_word(word, after, line)),
            }
            rest = after.trim_start();
            continue;
        };
        let Some(row) = KEYS.iter().find(|row| row.name == word) else {
            let near = nearest(word, KEYS.iter().map(|row| row.name));
            let hint = near.map(|near| format!("Did you mean `{near}`?")).or_else(|| {
                Some(format!("The keys are {}", list(KEYS.iter().map(|row| row.name))))
            });
            return Err(fail(format!("Unknown key `{}` in a directive", shown(word)), hint));
        };
        if directive.settings.iter().any(|setting| setting.key == row.key) {
            return Err(fail(format!("The key `{word}` stands twice in a directive"), None));
        }
        let (value, after) = read_value(value).map_err(|message| {
            fail(format!("The value of `{word}` {message}"), Some(format!("It is {}", row.values)))
        })?;
        directive.settings.push(Setting { key: row.key, value });
        rest = after.trim_start();
    }
    let section = directive.verb.is_some_and(Verb::begins_section);
    if section && !directive.settings.is_empty() {
        let message = "A directive that begins a section takes no keys".to_owned();
        return Err(fail(message, Some("Write the keys into a directive of their own".to_owned())));
    }
    Ok(directive)
}

fn unknown_word(word: &str, after: &str, line: u32) -> DirectiveError {
    let message = format!("`{}` in a directive is neither a verb nor `key=value`", shown(word));
    let is_key = KEYS.iter().any(|row| row.name == word);
    let hint = if is_key && after.trim_start().starts_with('=') {
        Some(format!("Write `{word}=value`, without spaces around `=`"))
    } else {
        let words = VERBS.iter().map(|(_, name, _)| *name).chain(KEYS.iter().map(|row| row.name));
        nearest(word, words).map(|near| format!("Did you mean `{near}`?"))
    };
    DirectiveError { line, message, hint }
}

/// A value up to white space, or in double quotes, where `\"` and `\\` stand for `"` and `\`.
fn read_value(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end).unwrap_or((text, ""));
        if value.is_empty() {
            return Err("is missing");
        }
        if value.contains(['"', '\'']) {
            return Err("holds a quotation mark: put the whole value into double quotes");
        }
        return Ok((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '"' => {
                let after = quoted.get(index + 1..).unwrap_or("");
                if !after.is_empty() && !after.starts_with(char::is_whitespace) {
                    return Err("goes on after its closing quotation mark");
                }
                return Ok((value, after));
            }
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("has a `\\` before something else than `\"` or `\\`"),
            },
            c => value.push(c),
        }
    }
    Err("has no closing quotation mark")
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn shown(word: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    word.escape_debug().take(CHARACTERS_MAX).collect()
}
