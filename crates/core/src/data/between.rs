//! `source=`: a statement whose query is another database's.

use std::ops::Range;

use super::refusal::{Refusal, RefusalCode};
use super::{BatchOptions, Batchable, Catalog, analyse};
use crate::ddl::ObjectName;
use crate::snapshot::{Column, Snapshot, Table};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{Token, TokenKind, lex};

/// The name that stands for the other end in each of the two statements.
const LANDING: &str = "whimbrel_landing";

/// The two halves of `INSERT INTO t (...) SELECT ... FROM ...` whose query runs elsewhere.
#[derive(Clone, Debug)]
pub struct Between {
    /// The query, in the source's SQL: [`Batchable::source_select`] restricts it.
    pub read: Batchable,
    /// The INSERT, in the target's SQL: [`Batchable::insert_from`] gives it its rows.
    pub write: Batchable,
}

/// Whether a statement whose query runs at another database can be cut there.
///
/// # Errors
///
/// The reason why it cannot.
pub fn analyse_between(
    statement: &str,
    source: &Catalog<'_>,
    target: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Between, Refusal> {
    let Some(parts) = Parts::of(statement, source.dialect) else {
        let message = "With `source=` only `INSERT INTO t (columns) SELECT ... FROM ...` is run, \
                       with the columns named";
        return Err(Refusal::new(RefusalCode::NotParsed, 0..statement.len(), message));
    };
    let query = statement.get(parts.query.clone()).unwrap_or_default();
    let columns: Vec<String> = (1..=parts.columns).map(|at| format!("whimbrel_c{at}")).collect();
    let list = columns.join(", ");
    let landing = landing(&columns);
    let read = {
        let snapshot = with(source.snapshot, landing.clone());
        let catalog = Catalog { snapshot: &snapshot, ..*source };
        analyse(&format!("INSERT INTO {LANDING} ({list}) {query}"), &catalog, options)?
    };
    let head = statement.get(..parts.query.start).unwrap_or_default();
    let tail = statement.get(parts.query.end..).unwrap_or_default();
    // Behind a FROM clause SQLite would take ON for a join's.
    let condition = match target.dialect {
        Dialect::Sqlite if !tail.trim().is_empty() => "WHERE true ",
        _ => "",
    };
    let snapshot = with(target.snapshot, landing);
    let catalog = Catalog { snapshot: &snapshot, ..*target };
    let text = format!("{head} SELECT {list} FROM {LANDING} {condition}{tail}");
    let write = analyse(&text, &catalog, &BatchOptions::default())?;
    Ok(Between { read, write })
}

fn with(snapshot: &Snapshot, table: Table) -> Snapshot {
    let mut all = snapshot.clone();
    all.tables.push(table);
    all
}

/// A table with a key and columns of these names.
fn landing(columns: &[String]) -> Table {
    let column = |name: &str, nullable| Column {
        name: name.to_owned(),
        type_name: "bigint".to_owned(),
        nullable,
        ..Column::default()
    };
    let mut all = vec![column("whimbrel_k", false)];
    all.extend(columns.iter().map(|name| column(name, true)));
    Table {
        name: ObjectName::bare(LANDING),
        columns: all,
        primary_key: vec!["whimbrel_k".to_owned()],
        options: "STRICT".to_owned(),
        ..Table::default()
    }
}

/// Where the query stands in an INSERT, and how many columns are named before it.
struct Parts {
    query: Range<usize>,
    columns: usize,
}

impl Parts {
    fn of(sql: &str, dialect: Dialect) -> Option<Parts> {
        let tokens = lex(sql, dialect);
        let code: Vec<&Token> = tokens.iter().filter(|token| !token.is_trivia()).collect();
        let (mut depth, mut columns, mut start, mut end) = (0_usize, 0, None, sql.len());
        if code.first().is_none_or(|one| one.is_word(sql, "WITH")) {
            return None;
        }
        for (at, token) in code.iter().enumerate() {
            let next = |word: &str| code.get(at + 1).is_some_and(|one| one.is_word(sql, word));
            match token.kind {
                TokenKind::LParen => {
                    let query = next("SELECT") || next("WITH");
                    if depth == 0 && start.is_none() && query {
                        return None;
                    }
                    if depth == 0 && start.is_none() {
                        columns += 1;
                    }
                    depth += 1;
                }
                TokenKind::RParen => depth = depth.checked_sub(1)?,
                TokenKind::Comma if depth == 1 && start.is_none() => columns += 1,
                _ if depth > 0 => {}
                _ if start.is_none() => {
                    let begins = token.is_word(sql, "SELECT") || token.is_word(sql, "WITH");
                    start = begins.then_some(token.span.start);
                }
                _ => {
                    let conflict =
                        token.is_word(sql, "ON") && (next("CONFLICT") || next("DUPLICATE"));
                    let semicolon = token.kind == TokenKind::Semicolon;
                    if conflict || token.is_word(sql, "RETURNING") || semicolon {
                        end = token.span.start;
                        break;
                    }
                }
            }
        }
        let start = start.filter(|_| columns > 0)?;
        Some(Parts { query: start..end, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn parts(sql: &str) -> Option<(&str, usize)> {
        let parts = Parts::of(sql, Dialect::Postgres)?;
        Some((sql[parts.query].trim(), parts.columns))
    }

    #[test]
    fn the_query_is_found() {
        assert_eq!(
            parts(
                "INSERT INTO t (a, \"b\") SELECT x, f(y, (SELECT 1)) FROM s ON CONFLICT DO NOTHING"
            ),
            Some(("SELECT x, f(y, (SELECT 1)) FROM s", 2))
        );
        assert_eq!(
            parts("INSERT INTO t (a) WITH q AS (SELECT 1) SELECT * FROM q;"),
            Some(("WITH q AS (SELECT 1) SELECT * FROM q", 1))
        );
        for sql in [
            "INSERT INTO t SELECT 1 FROM s",
            "INSERT INTO t (a) VALUES (1)",
            "WITH a AS (SELECT 1) INSERT INTO t (a) SELECT 1",
        ] {
            assert_eq!(parts(sql), None, "{sql}");
        }
    }

    #[test]
    fn each_half_is_in_its_own_sql() {
        let table =
            |name: &str| Table { name: ObjectName::bare(name), ..landing(&["a".to_owned()]) };
        let (from, to) = (
            Snapshot { tables: vec![table("s")], ..Snapshot::default() },
            Snapshot { tables: vec![table("t")], ..Snapshot::default() },
        );
        let functions = BTreeMap::new();
        let catalog = |snapshot, dialect| Catalog { dialect, snapshot, functions: &functions };
        let sql = "INSERT INTO t (whimbrel_k, a) SELECT s.whimbrel_k, `a` FROM s WHERE a > 1 \
                   ON CONFLICT (whimbrel_k) DO NOTHING";
        let found = analyse_between(
            sql,
            &catalog(&from, Dialect::Mysql),
            &catalog(&to, Dialect::Postgres),
            &BatchOptions::default(),
        )
        .unwrap();
        let read = found.read.source_select("s.whimbrel_k AS k", "s.whimbrel_k > 5");
        assert_eq!(
            read.split_whitespace().collect::<Vec<_>>().join(" "),
            "SELECT s.whimbrel_k AS k, s.whimbrel_k, `a` FROM s WHERE (a > 1) AND \
             (s.whimbrel_k > 5)"
        );
        let write = found.write.insert_from("SELECT 1, 2", None).unwrap();
        assert!(write.ends_with("SELECT 1, 2 ON CONFLICT (whimbrel_k) DO NOTHING"), "{write}");
        assert_eq!(found.write.written, ["whimbrel_k", "a"]);
    }
}
