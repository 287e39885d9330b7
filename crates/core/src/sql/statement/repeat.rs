//! Statements that may be run again after they have happened.

use super::verb::Verb;
use super::words::Words;
use super::{Dialect, StatementClass};
use crate::sql::lexer::TokenKind;

use StatementClass as Class;

pub(super) fn is_repeatable(words: &Words, verb: &Verb, class: Class) -> bool {
    match verb.first() {
        "CREATE" => created(words, verb),
        "DROP" => words.starts_with(after_concurrently(words, verb), &["IF", "EXISTS"]),
        "ALTER" => altered(words, verb),
        "ATTACH" | "DETACH" | "DEALLOCATE" | "PREPARE" => false,
        "VACUUM" => !words.contains(&["INTO"]),
        "COMMENT" | "GRANT" | "REVOKE" | "SECURITY" | "TRUNCATE" => true,
        "SET" if class == Class::Privilege => true,
        "SELECT" | "TABLE" | "VALUES" => class == Class::Query && !calls(words),
        "CLOSE" | "DECLARE" | "FETCH" | "HANDLER" | "KILL" | "MOVE" | "PURGE" => false,
        _ => matches!(class, Class::Setting | Class::Maintenance | Class::Query),
    }
}

fn after_concurrently(words: &Words, verb: &Verb) -> usize {
    if words.is(verb.end, "CONCURRENTLY") { verb.end + 1 } else { verb.end }
}

fn created(words: &Words, verb: &Verb) -> bool {
    // What it replaces holds no rows of its own.
    let replaces = verb.has("REPLACE")
        && matches!(
            verb.last(),
            "AGGREGATE"
                | "BODY"
                | "EVENT"
                | "FUNCTION"
                | "LANGUAGE"
                | "PACKAGE"
                | "PROCEDURE"
                | "RULE"
                | "TRANSFORM"
                | "TRIGGER"
                | "VIEW"
        );
    // CONCURRENTLY: an INVALID index of a failed try would be taken for the wanted one.
    replaces || words.starts_with(verb.end, &["IF", "NOT", "EXISTS"])
}

/// Actions of ALTER TABLE that set what is then set already.
const SETTING_ACTIONS: [&str; 10] = [
    "COMMENT",
    "CONVERT",
    "DISABLE",
    "ENABLE",
    "ENGINE",
    "FORCE",
    "OWNER",
    "REPLICA",
    "ROW_FORMAT",
    "VALIDATE",
];

fn altered(words: &Words, verb: &Verb) -> bool {
    match verb.last() {
        "SYSTEM" | "PRIVILEGES" => true,
        "DATABASE" => words.contains(&["SET"]),
        "TYPE" => words.contains(&["ADD", "VALUE", "IF", "NOT", "EXISTS"]),
        "TABLE" => {
            let mut at = verb.end;
            for optional in ["IF", "EXISTS", "ONLY"] {
                at += usize::from(words.is(at, optional));
            }
            let actions = words.after_name(at);
            let items = words.list_items(actions);
            actions < words.len() && items.into_iter().all(|action| is_guarded(words, action))
        }
        _ => false,
    }
}

/// `ADD COLUMN IF NOT EXISTS`, `DROP CONSTRAINT IF EXISTS`, `ENABLE ...`
fn is_guarded(words: &Words, action: usize) -> bool {
    let guard = |at: usize| {
        words.starts_with(at, &["IF", "EXISTS"]) || words.starts_with(at, &["IF", "NOT", "EXISTS"])
    };
    match words.is_any(action, &["ADD", "DROP"]) {
        true => (action + 1..action + 4).any(guard),
        false => words.is_any(action, &SETTING_ACTIONS),
    }
}

/// True if a function is called, which may do anything, or a lock or file is asked for.
fn calls(words: &Words) -> bool {
    let called = (1..words.len()).any(|at| {
        words.kind(at) == Some(TokenKind::LParen)
            && matches!(words.kind(at - 1), Some(TokenKind::Word | TokenKind::QuotedIdent))
            && !words.is_any(
                at - 1,
                &["VALUES", "IN", "AS", "FROM", "EXISTS", "AND", "OR", "NOT", "WHERE"],
            )
    });
    called || (words.dialect == Dialect::Mysql && words.contains(&["INTO"]))
}
