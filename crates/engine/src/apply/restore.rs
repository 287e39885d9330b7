//! Bringing back what was kept, when the migration that removed it is taken back.

use whimbrel_core::ddl::{Change, ObjectKind, ObjectName};
use whimbrel_core::ledger::Direction;
use whimbrel_core::snapshot::Table;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{TokenKind, lex};
use whimbrel_core::sql::quote::quote_ident;
use whimbrel_core::sqltype::is_built_in;

use super::Applier;
use super::keep::sql_name;
use super::migration::StepWork;
use crate::backend::Row;
use crate::error::EngineError;
use crate::event::Event;
use crate::ledger::{UndoEntry, number, text};

/// One copy that was made, as the ledger knows it.
struct Kept {
    statement_index: usize,
    kind: String,
    object: String,
    kept_as: String,
    keys: Vec<String>,
    columns: Vec<String>,
}

impl Applier<'_> {
    /// Restores what `migration` removed, after its way back has made the structure again.
    pub(super) async fn restore(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        if work.direction == Direction::Up {
            return Ok(());
        }
        // What was removed first comes back last: children were dropped before their parents.
        for kept in self.kept(&work.migration.name).await?.iter().rev() {
            let Some(rows) = self.restore_one(kept).await? else { continue };
            self.constrain(work, kept).await?;
            let row = self.ledger.undo_sql(&UndoEntry {
                run_id: &self.lease.run_id,
                migration: &work.migration.name,
                statement_index: kept.statement_index,
                event: "restored",
                kind: &kept.kind,
                object: &kept.object,
                kept_as: &kept.kept_as,
                key_columns: &kept.keys,
                columns: &kept.columns,
                rows_kept: rows,
                token: self.lease.token,
            });
            self.session.batch(&row).await?;
            self.events.send(Event::Restored {
                migration: work.migration.name.clone(),
                what: format!("{} {}", kept.kind, kept.object),
                rows,
            });
        }
        Ok(())
    }

    /// The copies of that migration that were not restored or purged yet, oldest first; of several
    /// tries of one statement the newest.
    async fn kept(&mut self, migration: &str) -> Result<Vec<Kept>, EngineError> {
        let sql = format!(
            "SELECT statement_index, kind, object, kept_as, key_columns, columns FROM {0} u \
             WHERE migration = {1} AND event = 'kept' AND kind NOT IN \
             ('update', 'delete', 'insert', 'work', 'read') \
             AND seq = (SELECT max(seq) FROM {0} n \
             WHERE n.migration = u.migration AND n.statement_index = u.statement_index \
             AND n.object = u.object) ORDER BY seq",
            self.ledger.table("undo"),
            self.ledger.quote(migration)
        );
        Ok(self.session.query(&sql).await?.iter().map(kept_of).collect())
    }

    async fn restore_one(&mut self, kept: &Kept) -> Result<Option<i64>, EngineError> {
        let name = object_name(&kept.object, &kept.kind, self.ledger.dialect);
        let scope = [(ObjectKind::Table, name.clone())];
        let snapshot = self.session.inspect(Some(&scope)).await?;
        let Some(table) = snapshot.table(&name, self.ledger.dialect) else { return Ok(None) };
        let sql = match kept.kind.as_str() {
            "table" | "rows" => self.insert_sql(kept, table),
            _ => self.update_sql(kept, table),
        };
        let Some(sql) = sql else { return Ok(None) };
        let outcome = self.session.run(&sql, None).await?;
        if self.ledger.dialect == Dialect::Postgres && kept.kind == "table" {
            self.move_sequences(table).await?;
        }
        Ok(Some(outcome.rows_affected.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(0)))
    }

    fn insert_sql(&self, kept: &Kept, table: &Table) -> Option<String> {
        let dialect = self.ledger.dialect;
        let stored = |name: &&String| {
            table.columns.iter().any(|column| column.name == **name && column.generated.is_none())
        };
        let back: Vec<&String> = kept.columns.iter().filter(stored).collect();
        let columns: Vec<String> = back.iter().map(|name| quote_ident(name, dialect)).collect();
        if columns.is_empty() {
            return None;
        }
        let (undo, target) = (self.undo_table(&kept.kept_as), sql_name(&table.name, dialect));
        let identity = table.columns.iter().any(|column| column.identity);
        let over =
            if identity && dialect == Dialect::Postgres { "OVERRIDING SYSTEM VALUE " } else { "" };
        // Rows that are there again (a truncated table is written to) are not doubled.
        let guard = match (kept.kind.as_str(), kept.keys.is_empty()) {
            ("rows", false) => {
                let same = self.same_key(&kept.keys, "t", table);
                format!(" WHERE NOT EXISTS (SELECT 1 FROM {target} t WHERE {same})")
            }
            _ => String::new(),
        };
        let values: Vec<String> =
            back.iter().map(|name| kept_value(name, table, dialect)).collect();
        Some(format!(
            "INSERT INTO {target} ({}) {over}SELECT {} FROM {undo} u{guard}",
            columns.join(", "),
            values.join(", ")
        ))
    }

    fn update_sql(&self, kept: &Kept, table: &Table) -> Option<String> {
        let dialect = self.ledger.dialect;
        if kept.keys.is_empty() {
            return None;
        }
        let (undo, target) = (self.undo_table(&kept.kept_as), sql_name(&table.name, dialect));
        let same = self.same_key(&kept.keys, &target, table);
        let lost = kept.columns.iter().filter(|name| {
            !kept.keys.contains(name) && table.columns.iter().any(|column| column.name == **name)
        });
        let sets: Vec<String> = lost
            .map(|name| (quote_ident(name, dialect), kept_value(name, table, dialect)))
            .map(|(name, value)| format!("{name} = (SELECT {value} FROM {undo} u WHERE {same})"))
            .collect();
        if sets.is_empty() {
            return None;
        }
        let exists = format!("EXISTS (SELECT 1 FROM {undo} u WHERE {same})");
        Some(format!("UPDATE {target} SET {} WHERE {exists}", sets.join(", ")))
    }

    fn same_key(&self, keys: &[String], left: &str, table: &Table) -> String {
        let dialect = self.ledger.dialect;
        let pairs: Vec<String> = keys
            .iter()
            .map(|name| (quote_ident(name, dialect), kept_value(name, table, dialect)))
            .map(|(name, value)| format!("{left}.{name} = {value}"))
            .collect();
        pairs.join(" AND ")
    }

    /// Sequences of a restored table go on after its highest value.
    async fn move_sequences(&mut self, table: &Table) -> Result<(), EngineError> {
        let name = sql_name(&table.name, Dialect::Postgres);
        for column in &table.columns {
            let counted = column.identity
                || column.default.as_deref().is_some_and(|text| text.contains("nextval("));
            if !counted {
                continue;
            }
            let quoted = quote_ident(&column.name, Dialect::Postgres);
            let sequence = format!(
                "pg_get_serial_sequence({}, {})",
                self.ledger.quote(&name),
                self.ledger.quote(&column.name)
            );
            let sql = format!(
                "SELECT setval({sequence}, (SELECT max({quoted}) FROM {name})) \
                 WHERE {sequence} IS NOT NULL AND EXISTS (SELECT 1 FROM {name})"
            );
            self.session.query(&sql).await?;
        }
        Ok(())
    }

    /// The statement of a way back as it is sent: a column that must not be NULL comes back
    /// nullable where the database would refuse it, is filled, and constrained afterwards.
    pub(super) async fn text_back(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<Option<String>, EngineError> {
        if work.direction == Direction::Up || self.ledger.dialect != Dialect::Postgres {
            return Ok(None);
        }
        let Some((table, column)) = strict_column(work, index) else { return Ok(None) };
        let kept = self.kept(&work.migration.name).await?;
        let object = format!("{}.{column}", table.name);
        let is_kept = kept.iter().any(|one| {
            one.kind == "column"
                && (one.object == object || one.object.ends_with(&format!(".{object}")))
        });
        Ok(is_kept.then(|| without_not_null(work.migration.script.statement(index))))
    }

    async fn constrain(&mut self, work: &StepWork<'_>, kept: &Kept) -> Result<(), EngineError> {
        if self.ledger.dialect != Dialect::Postgres || kept.kind != "column" {
            return Ok(());
        }
        for index in 0..work.migration.script.statements.len() {
            let Some((table, column)) = strict_column(work, index) else { continue };
            if kept.columns.contains(&column) {
                let name = sql_name(&table, self.ledger.dialect);
                let column = quote_ident(&column, self.ledger.dialect);
                let sql = format!("ALTER TABLE {name} ALTER COLUMN {column} SET NOT NULL");
                self.session.batch(&sql).await?;
            }
        }
        Ok(())
    }
}

/// A value of an undo table `u` for this column of `table`. One whose type may have been dropped in
/// between was kept as text.
fn kept_value(name: &str, table: &Table, dialect: Dialect) -> String {
    let quoted = quote_ident(name, dialect);
    let column = table.columns.iter().find(|column| column.name == *name);
    match column.filter(|column| !is_built_in(&column.type_name)) {
        Some(column) if dialect == Dialect::Postgres => format!("u.{quoted}::{}", column.type_name),
        _ => format!("u.{quoted}"),
    }
}

/// The column that the statement adds, if it is all that it does and must not be NULL without a
/// default.
fn strict_column(work: &StepWork<'_>, index: usize) -> Option<(ObjectName, String)> {
    match work.migration.changes.get(index)?.as_slice() {
        [Change::AddColumn { table, column, .. }]
            if column.not_null && column.default.is_none() =>
        {
            Some((table.clone(), column.name.clone()))
        }
        _ => None,
    }
}

/// The text with its first NOT NULL blanked out.
fn without_not_null(sql: &str) -> String {
    let tokens = lex(sql, Dialect::Postgres);
    let code: Vec<_> = tokens.iter().filter(|token| !token.is_trivia()).collect();
    for pair in code.windows(2) {
        let [not, null] = pair else { continue };
        let words = not.kind == TokenKind::Word && not.is_word(sql, "NOT");
        if words && null.is_word(sql, "NULL") {
            let before = sql.get(..not.span.start).unwrap_or_default();
            let after = sql.get(null.span.end..).unwrap_or_default();
            return format!("{before}{after}");
        }
    }
    sql.to_owned()
}

fn kept_of(row: &Row) -> Kept {
    Kept {
        statement_index: usize::try_from(number(row, 0)).unwrap_or(0),
        kind: text(row, 1),
        object: text(row, 2),
        kept_as: text(row, 3),
        keys: crate::ledger::names_of(&text(row, 4)),
        columns: crate::ledger::names_of(&text(row, 5)),
    }
}

/// The table of `schema.table`, or of `table.column` for a column.
fn object_name(object: &str, kind: &str, dialect: Dialect) -> ObjectName {
    let parts: Vec<&str> = object.split('.').collect();
    let has_schema = dialect == Dialect::Postgres;
    match (parts.as_slice(), kind, has_schema) {
        ([schema, table, _], "column", true) | ([schema, table], _, true) => {
            ObjectName::in_schema(*schema, *table)
        }
        ([table, ..], _, _) => ObjectName::bare(*table),
        ([], _, _) => ObjectName::bare(object),
    }
}
