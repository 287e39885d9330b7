//! Files of rules: which table they are for, and where in them something is wrong.

use crate::ddl::ObjectName;
use crate::sql::dialect::Dialect;
use crate::sql::statement::{StatementClass, TransactionNeed};
use crate::step::Script;

/// How the names of rule files end.
pub const SCHEMA_SUFFIX: &str = ".schema.json";

/// What is wrong with a file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Line and column, from 1, where there is a place.
    pub place: Option<(u32, u32)>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl RuleError {
    pub(super) fn new(place: Option<(u32, u32)>, message: impl Into<String>) -> RuleError {
        RuleError { place, message: message.into(), hint: None }
    }
}

/// The table that `users.schema.json` or `auth.users.schema.json` is for; `None` for another file.
pub fn table_of_file(name: &str) -> Option<ObjectName> {
    let stem = name.strip_suffix(SCHEMA_SUFFIX).filter(|stem| !stem.is_empty())?;
    Some(match stem.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
            ObjectName::in_schema(schema, table)
        }
        _ => ObjectName::bare(stem),
    })
}

/// Makes sure that every statement of a check is one query that only reads.
///
/// # Errors
/// The first statement that is none, with its place.
pub fn check_statements(script: &Script, dialect: Dialect) -> Result<(), RuleError> {
    for (statement, info) in script.statements.iter().zip(&script.infos) {
        let reads = info.class == StatementClass::Query
            && info.control.is_none()
            && info.transaction == TransactionNeed::Any
            && returns_rows(&info.verb, dialect);
        if !reads {
            let mut error = RuleError::new(
                Some((statement.line, statement.column)),
                format!("A check is a query that only reads, and this is `{}`", info.verb),
            );
            error.hint = Some("Write a SELECT that returns the rows that must not be".to_owned());
            return Err(error);
        }
    }
    if script.statements.is_empty() {
        return Err(RuleError::new(None, "A check needs a query, and this file has none"));
    }
    Ok(())
}

fn returns_rows(verb: &str, dialect: Dialect) -> bool {
    let first = verb.split(' ').next().unwrap_or_default();
    match first {
        "SELECT" | "VALUES" | "WITH" => true,
        "TABLE" => dialect != Dialect::Sqlite,
        _ => false,
    }
}

/// Line and column of the first member of that name, from 1.
pub(super) fn place_of(text: &str, name: &str) -> Option<(u32, u32)> {
    let quoted = serde_json::to_string(name).ok()?;
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find(&quoted) {
        let at = from + found;
        from = at + quoted.len();
        if text.get(from..)?.trim_start().starts_with(':') {
            let before = text.get(..at)?;
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            return Some((u32::try_from(line).ok()?, u32::try_from(column).ok()?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::Capabilities;

    #[test]
    fn names_of_files() {
        assert_eq!(table_of_file("users.schema.json"), Some(ObjectName::bare("users")));
        let auth = Some(ObjectName::in_schema("auth", "users"));
        assert_eq!(table_of_file("auth.users.schema.json"), auth);
        assert_eq!(table_of_file(".schema.json"), None);
        assert_eq!(table_of_file("users.json"), None);
    }

    #[test]
    fn places_in_a_file() {
        let text = "{\n  \"a\": \"b\",\n  \"b\" : {}\n}";
        assert_eq!(place_of(text, "b"), Some((3, 3)));
        assert_eq!(place_of(text, "c"), None);
    }

    #[test]
    fn only_queries_are_checks() {
        let error = |sql: &str| {
            let script = Script::read(sql, &Capabilities::POSTGRES).unwrap();
            check_statements(&script, Dialect::Postgres).err().map(|error| error.message)
        };
        assert_eq!(error("SELECT 1; WITH a AS (SELECT 1) SELECT * FROM a"), None);
        assert_eq!(error("VALUES (1)"), None);
        assert_eq!(error("(SELECT 1) UNION (SELECT 2)"), None);
        for sql in [
            "",
            "DELETE FROM a",
            "SELECT 1; UPDATE a SET b = 1",
            "WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone",
            "SELECT * INTO b FROM a",
            "SET a = 1",
            "SHOW a",
            "EXPLAIN SELECT 1",
            "CALL x()",
        ] {
            assert!(error(sql).is_some(), "{sql}");
        }
    }
}
