//! Proving in the catalog that what a migration promises is there.

mod cascade;

use whimbrel_core::ddl::Change;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::step::Script;
use whimbrel_core::verify::{Expected, Verdict};

use crate::backend::{Notice, Session};
use crate::error::EngineError;
use crate::report::FactLine;

/// Verifies one migration right after its statements, on the same connection and inside the same
/// transaction where there is one.
pub(crate) async fn after(
    session: &mut dyn Session,
    dialect: Dialect,
    migration: &PlannedMigration,
) -> Result<Vec<FactLine>, EngineError> {
    let mut facts = facts(session, dialect, &expected(migration, dialect)).await?;
    if let Some((path, script)) = &migration.verify_script {
        facts.extend(run_script(session, path, script).await?);
    }
    Ok(facts)
}

/// What a migration must leave in the catalog.
pub(crate) fn expected(migration: &PlannedMigration, dialect: Dialect) -> Expected {
    let changes: Vec<Change> = migration.changes.iter().flatten().cloned().collect();
    Expected::fold(&changes, dialect)
}

/// Judges what must have been left in the catalog.
pub(crate) async fn facts(
    session: &mut dyn Session,
    dialect: Dialect,
    expected: &Expected,
) -> Result<Vec<FactLine>, EngineError> {
    let scope = expected.touched();
    if scope.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = session.inspect(Some(&scope)).await?;
    let mut lines = lines(expected, &snapshot);
    let cascades = cascade::facts(session, dialect, &snapshot, &lines).await;
    lines.extend(cascades);
    Ok(lines)
}

/// Judges several migrations by one look at the catalog. None of them declares a cascade.
pub(crate) async fn several(
    session: &mut dyn Session,
    expected: &[&Expected],
) -> Result<Vec<Vec<FactLine>>, EngineError> {
    let mut scope: Vec<_> = expected.iter().flat_map(|one| one.touched()).collect();
    scope.sort();
    scope.dedup();
    if scope.is_empty() {
        return Ok(vec![Vec::new(); expected.len()]);
    }
    let snapshot = session.inspect(Some(&scope)).await?;
    Ok(expected.iter().map(|one| lines(one, &snapshot)).collect())
}

fn lines(expected: &Expected, snapshot: &Snapshot) -> Vec<FactLine> {
    expected
        .check(snapshot)
        .into_iter()
        .map(|fact| FactLine {
            kind: fact.kind.words(),
            subject: fact.subject,
            detail: fact.detail,
            verdict: fact.verdict,
        })
        .collect()
}

/// Runs queries that must return no row.
pub(crate) async fn run_script(
    session: &mut dyn Session,
    path: &str,
    script: &Script,
) -> Result<Vec<FactLine>, EngineError> {
    let mut out = Vec::new();
    for (index, statement) in script.statements.iter().enumerate() {
        let rows = session.query(script.statement(index)).await?;
        let verdict = match rows.first() {
            None => Verdict::Holds,
            Some(row) => {
                let values: Vec<&str> =
                    row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
                let found = format!("{} rows, the first: {}", rows.len(), values.join(", "));
                Verdict::Fails { found }
            }
        };
        out.push(FactLine {
            subject: format!("{path}:{}", statement.line),
            kind: "check",
            detail: "returns no row".to_owned(),
            verdict,
        });
    }
    Ok(out)
}

/// Whether a warning says that a value was cut or changed on its way into a column. MariaDB and
/// MySQL only warn of it when the session's `sql_mode` is not strict (error numbers
/// WARN_DATA_TRUNCATED, ER_WARN_DATA_OUT_OF_RANGE, ER_DATA_TOO_LONG,
/// ER_TRUNCATED_WRONG_VALUE_FOR_FIELD). A note is no such warning: strict sessions get it, too, for
/// what SQL asks for, as when NOW() is put into a DATE or 1.005 into a DECIMAL(5,2).
pub(crate) fn is_truncation(dialect: Dialect, notice: &Notice) -> bool {
    dialect == Dialect::Mysql
        && !notice.severity.eq_ignore_ascii_case("note")
        && matches!(notice.code.as_deref(), Some("1265" | "1264" | "1406" | "1366"))
}
