//! What cannot run through a pooler that gives each transaction another server session.
//!
//! What a statement leaves in the session would be somebody else's in the next moment, and would
//! not be there for the statements after it. So it is refused before anything runs.

use crate::sql::statement::{StatementClass, StatementInfo, TransactionNeed};
use crate::step::{Script, Step};

/// A statement that needs a session of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsSession {
    /// The statement, by position in the script.
    pub statement: usize,
    /// Why, as the end of a sentence that begins with the statement.
    pub reason: &'static str,
    /// What could be written in its place.
    pub instead: Option<&'static str>,
}

type Reason = (&'static str, Option<&'static str>);

/// Every statement of a PostgreSQL script that needs a session of its own.
pub fn refusals(script: &Script) -> Vec<NeedsSession> {
    let mut out = Vec::new();
    for step in &script.steps {
        for statement in step.statements.clone() {
            let Some(info) = script.infos.get(statement) else { continue };
            if let Some((reason, instead)) = reason(script, step, statement, info) {
                out.push(NeedsSession { statement, reason, instead });
            }
        }
    }
    out
}

fn reason(script: &Script, step: &Step, index: usize, info: &StatementInfo) -> Option<Reason> {
    if info.transaction == TransactionNeed::Never {
        return Some((
            "cannot run in a transaction, and outside of one neither its limits nor its end are \
             sure to be in one session",
            None,
        ));
    }
    let text = flat(script.statement(index));
    if info.settings {
        return setting(info, &text);
    }
    if info.verb.contains("TEMP") && !text.contains("on commit drop") {
        return temporary(script, step, index).then_some((
            "leaves a temporary object in a session that is somebody else's in the next moment",
            Some("ON COMMIT DROP"),
        ));
    }
    let runs =
        matches!(info.class, StatementClass::Query | StatementClass::Dml | StatementClass::Routine);
    let locks = ["pg_advisory_lock", "pg_try_advisory_lock"];
    if runs && locks.iter().any(|lock| text.contains(lock)) {
        return Some((
            "takes a lock that stays with a session that is somebody else's in the next moment",
            Some("pg_advisory_xact_lock"),
        ));
    }
    (info.verb.starts_with("DECLARE") && text.contains("with hold")).then_some((
        "leaves a cursor in a session that is somebody else's in the next moment",
        None,
    ))
}

fn setting(info: &StatementInfo, text: &str) -> Option<Reason> {
    let first = info.verb.split(' ').next().unwrap_or_default();
    match first {
        // They only take away what a session may have.
        "RESET" | "UNLISTEN" | "DEALLOCATE" | "DISCARD" => None,
        "LISTEN" => Some(("listens in a session that is somebody else's in the next moment", None)),
        "PREPARE" => Some(("prepares a statement that the next transaction does not find", None)),
        "SELECT" if text.trim_end_matches([')', ' ']).ends_with("true") => None,
        "SELECT" => Some((
            "changes a session that is somebody else's in the next moment",
            Some("set_config(..., true)"),
        )),
        "SET" => Some((
            "changes a session that is somebody else's in the next moment",
            Some("SET LOCAL"),
        )),
        _ => Some(("changes a session that is somebody else's in the next moment", None)),
    }
}

/// Whether a temporary object outlives its step: the step itself does not drop it.
fn temporary(script: &Script, step: &Step, index: usize) -> bool {
    let text = flat(script.statement(index));
    let words = words(&text);
    let creates = words.first() == Some(&"create");
    let name = words
        .iter()
        .skip_while(|word| !matches!(**word, "table" | "view" | "sequence"))
        .skip(1)
        .find(|word| !matches!(**word, "if" | "not" | "exists"));
    let dropped = |later: usize| {
        let text = flat(script.statement(later));
        let later = words_of_drop(&text);
        name.is_some_and(|name| later.contains(name))
    };
    creates && !(index + 1..step.statements.end).any(dropped)
}

fn words_of_drop(text: &str) -> Vec<&str> {
    if text.starts_with("drop ") { words(text) } else { Vec::new() }
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';'))
        .map(|word| word.rsplit('.').next().unwrap_or(word).trim_matches('"'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// In lower case, with single spaces.
fn flat(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::Capabilities;

    #[track_caller]
    fn refused(text: &str) -> Vec<usize> {
        let script = Script::read(text, &Capabilities::POSTGRES).unwrap();
        refusals(&script).into_iter().map(|one| one.statement).collect()
    }

    #[test]
    fn what_stays_in_the_session_is_refused() {
        for text in [
            "SET search_path = a",
            "SET SESSION lock_timeout = 1",
            "SET ROLE r",
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "LISTEN x",
            "PREPARE p AS SELECT 1",
            "LOAD 'x'",
            "CREATE TEMP TABLE t (a int)",
            "CREATE TEMP TABLE t (a int); COMMIT; DROP TABLE t",
            "CREATE TEMPORARY VIEW v AS SELECT 1",
            "SELECT pg_advisory_lock(1)",
            "DO $$ BEGIN PERFORM pg_try_advisory_lock(1); END $$",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "VACUUM t",
            "DISCARD ALL",
        ] {
            assert_eq!(refused(text), [0], "{text}");
        }
        assert_eq!(refused("SELECT 1; BEGIN; SET x.y = 1; COMMIT"), [2]);
    }

    #[test]
    fn what_ends_with_its_transaction_is_not() {
        for text in [
            "SET LOCAL search_path = a; CREATE TABLE t (a int)",
            "SELECT set_config('search_path', '', true)",
            "RESET ALL",
            "SET CONSTRAINTS ALL DEFERRED",
            "CREATE TEMP TABLE t (a int) ON COMMIT DROP",
            "CREATE TEMP TABLE IF NOT EXISTS \"t\" (a int); INSERT INTO t VALUES (1); DROP TABLE t",
            "SELECT pg_advisory_xact_lock(1)",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(1)'",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql SET search_path = a AS 'SELECT 1'",
            "CREATE INDEX i ON t (a)",
        ] {
            assert_eq!(refused(text), [0usize; 0], "{text}");
        }
    }
}
