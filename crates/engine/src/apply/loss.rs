//! What a way back removes for good: counted before somebody is asked, and once more, with writers
//! locked out, right before it goes.

use whimbrel_core::ddl::{Change, ObjectKind, ObjectName};
use whimbrel_core::destructive::Removed;
use whimbrel_core::ledger::Direction;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::snapshot::{Column, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use super::Applier;
use super::keep::{removals_of, sql_name};
use super::migration::StepWork;
use crate::error::EngineError;
use crate::ledger::number;

/// First words of statements that are not modelled and remove no rows.
const HARMLESS: [&str; 12] = [
    "ANALYZE", "CLUSTER", "GRANT", "LOCK", "PRAGMA", "REFRESH", "REINDEX", "RESET", "REVOKE",
    "SET", "UNLOCK", "VACUUM",
];

/// What one statement of a way back removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatementLoss {
    /// The statement, from 0.
    pub(crate) statement: usize,
    /// `table chats`, `column users.nickname`, ...
    pub(crate) what: String,
    /// How many rows hold something there; nothing where that cannot be told.
    pub(crate) rows: Option<u64>,
}

/// How many rows somebody has agreed to lose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// By the statements of a way back: index and rows.
    pub(crate) statements: Vec<(usize, u64)>,
    /// By undoing values that were changed since.
    pub(crate) rows: u64,
}

/// What is counted.
struct Counted {
    /// The table as it is called now.
    table: ObjectName,
    /// Of which columns; empty for whole rows.
    columns: Vec<Column>,
}

impl Applier<'_> {
    /// What taking a migration back by its own text removes.
    pub(crate) async fn losses_of(
        &mut self,
        migration: &PlannedMigration,
    ) -> Result<Vec<StatementLoss>, EngineError> {
        let mut out = Vec::new();
        for statement in 0..migration.changes.len() {
            for what in self.removed_by(migration, statement) {
                let rows = match &what {
                    Some(what) => match self.lost_part(migration, statement, what).await? {
                        Found::Gone => continue,
                        Found::Uncounted => None,
                        Found::Counted(counted) => Some(self.count_lost(&counted).await?),
                    },
                    None => None,
                };
                let what = what
                    .as_ref()
                    .map_or_else(|| format!("whatever statement {} removes", statement + 1), words);
                out.push(StatementLoss { statement, what, rows });
            }
        }
        Ok(out)
    }

    /// What a statement removes; `None` stands for what its text does not say.
    fn removed_by(&self, migration: &PlannedMigration, index: usize) -> Vec<Option<Removed>> {
        let removals = removals_of(migration, index, self.ledger.dialect);
        let mut out: Vec<_> = removals.into_iter().map(|removal| Some(removal.what)).collect();
        let changes = migration.changes.get(index).map_or(&[][..], Vec::as_slice);
        if changes.iter().any(is_unclear) {
            out.push(None);
        }
        out
    }

    /// Which rows are lost by it, as the database is now.
    async fn lost_part(
        &mut self,
        migration: &PlannedMigration,
        statement: usize,
        what: &Removed,
    ) -> Result<Found, EngineError> {
        let dialect = self.ledger.dialect;
        let name = match what {
            Removed::Table { name, .. } => name,
            Removed::Column { table, .. } | Removed::AllRows { table, cascade: false } => table,
            // In between the table has the other name.
            Removed::Rebuild { table, via, .. } => {
                let changes = migration.changes.get(statement).into_iter().flatten();
                let dropped = changes.filter_map(|change| match change {
                    Change::DropTable { name, .. } => Some(name),
                    _ => None,
                });
                let is_there = self.table(via).await?.is_some();
                if is_there && dropped.clone().any(|name| name == via) { via } else { table }
            }
            _ => return Ok(Found::Uncounted),
        };
        let Some(found) = self.table(name).await? else { return Ok(Found::Gone) };
        let stored = |table: &Table| -> Vec<String> {
            let plain = table.columns.iter().filter(|column| column.generated.is_none());
            plain.map(|column| column.name.clone()).collect()
        };
        let lost = match what {
            Removed::Column { column, .. } => vec![column.clone()],
            Removed::Rebuild { .. } => what.lost_columns(&stored(&found), dialect),
            _ => {
                return Ok(Found::Counted(Counted { table: found.name, columns: Vec::new() }));
            }
        };
        let same = |one: &str, other: &str| {
            whimbrel_core::ddl::name::same_column_name(one, other, dialect)
        };
        let is_lost = |column: &Column| {
            column.generated.is_none() && lost.iter().any(|name| same(name, &column.name))
        };
        let columns: Vec<Column> = found.columns.into_iter().filter(is_lost).collect();
        Ok(match columns.is_empty() {
            true => Found::Gone,
            false => Found::Counted(Counted { table: found.name, columns }),
        })
    }

    async fn table(&mut self, name: &ObjectName) -> Result<Option<Table>, EngineError> {
        let scope = [(ObjectKind::Table, name.clone())];
        let snapshot = self.session.inspect(Some(&scope)).await?;
        Ok(snapshot.table(name, self.ledger.dialect).cloned())
    }

    async fn count_lost(&mut self, counted: &Counted) -> Result<u64, EngineError> {
        let dialect = self.ledger.dialect;
        let mut sql = format!("SELECT count(*) FROM {}", sql_name(&counted.table, dialect));
        let held: Vec<String> =
            counted.columns.iter().map(|column| holds_something(column, dialect)).collect();
        if !held.is_empty() {
            sql.push_str(&format!(" WHERE {}", held.join(" OR ")));
        }
        let rows = self.session.query(&sql).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
    }

    /// Before a statement of a way back: nobody else can write what it removes any more, and it is
    /// not more than was agreed to. Says whether tables are locked that must be unlocked.
    pub(super) async fn check_losses(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<bool, EngineError> {
        let Some(agreed) = self.options.agreed.as_ref() else { return Ok(false) };
        if work.direction == Direction::Up {
            return Ok(false);
        }
        let allowed: u64 = agreed
            .statements
            .iter()
            .filter(|(statement, _)| *statement == index)
            .map(|(_, rows)| rows)
            .sum();
        let mut all = Vec::new();
        for what in self.removed_by(work.migration, index).iter().flatten() {
            if let Found::Counted(counted) = self.lost_part(work.migration, index, what).await? {
                all.push(counted);
            }
        }
        let locked = self.lock_out(&all).await?;
        let mut found = 0;
        for counted in &all {
            found += self.count_lost(counted).await?;
        }
        if found <= allowed {
            return Ok(locked);
        }
        if locked {
            self.session.batch("UNLOCK TABLES").await?;
        }
        let migration = work.migration.name.clone();
        Err(EngineError::MoreLost { migration, agreed: allowed, found })
    }

    /// Locks writers out until the statement is done. On SQLite the transaction does that.
    async fn lock_out(&mut self, all: &[Counted]) -> Result<bool, EngineError> {
        let dialect = self.ledger.dialect;
        let mut names: Vec<String> =
            all.iter().map(|counted| sql_name(&counted.table, dialect)).collect();
        names.sort();
        names.dedup();
        if names.is_empty() || dialect == Dialect::Sqlite {
            return Ok(false);
        }
        if dialect == Dialect::Postgres {
            let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
            self.session.batch(&lock).await?;
            return Ok(false);
        }
        let locks: Vec<String> = names.iter().map(|name| format!("{name} WRITE")).collect();
        self.session.batch(&format!("LOCK TABLES {}", locks.join(", "))).await?;
        Ok(true)
    }
}

enum Found {
    /// It is not there any more.
    Gone,
    /// It is there, and nobody can say how many rows it takes along.
    Uncounted,
    Counted(Counted),
}

/// The condition that a row holds in a column what the database did not put there by itself.
fn holds_something(column: &Column, dialect: Dialect) -> String {
    let name = quote_ident(&column.name, dialect);
    let default = column.default.as_deref().filter(|text| is_literal(text));
    match (default, dialect) {
        (None, _) => format!("{name} IS NOT NULL"),
        (Some(default), Dialect::Postgres) => {
            format!("({name} IS NOT NULL AND {name}::text <> ({default})::text)")
        }
        (Some(default), Dialect::Sqlite) => {
            format!("({name} IS NOT NULL AND {name} IS NOT ({default}))")
        }
        (Some(default), Dialect::Mysql) => {
            format!("({name} IS NOT NULL AND NOT (BINARY {name} <=> BINARY {default}))")
        }
    }
}

/// Whether a default is one value: asking for it has no effect, and it is always the same.
fn is_literal(default: &str) -> bool {
    let text = default.trim();
    let first = text.chars().next().unwrap_or('(');
    let word = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    (word || first == '\'' || first == '-' || first.is_ascii_digit()) && !text.contains('(')
}

/// Whether nobody can say from the text what a change removes.
fn is_unclear(change: &Change) -> bool {
    match change {
        Change::Dynamic { .. } => true,
        Change::Unknown { verb } => {
            let first = verb.split_whitespace().next().unwrap_or_default();
            !HARMLESS.contains(&first) && !verb.contains("POLICY")
        }
        _ => false,
    }
}

fn words(what: &Removed) -> String {
    match what {
        Removed::Table { name, .. } => format!("table {name}"),
        Removed::Column { table, column } => format!("column {table}.{column}"),
        Removed::AllRows { table, .. } => format!("all rows of {table}"),
        Removed::DeletedRows { table } => format!("rows of {table}"),
        Removed::OverwrittenRows { table } => format!("values of {table}"),
        Removed::Partition { table, .. } => format!("a partition of {table}"),
        Removed::Schema { name } => format!("schema {name}"),
        Removed::Dependents { name } => format!("what depends on {name}"),
        Removed::Rebuild { table, .. } => format!("columns of {table}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_from_expressions() {
        for text in ["0", "-1", "'a'::text", "true", "'x'"] {
            assert!(is_literal(text), "{text}");
        }
        for text in ["now()", "nextval('s'::regclass)", "CURRENT_TIMESTAMP", "(1 + 1)", "", "x"] {
            assert!(!is_literal(text), "{text}");
        }
    }
}
