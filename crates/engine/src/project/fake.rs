//! `fake`: rows for testing.

mod parents;
mod write;

use whimbrel_core::ddl::ObjectName;
use whimbrel_core::fake::{FakeError, Maker, Turn, Wishes, order};
use whimbrel_core::snapshot::{Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;

use self::write::Writer;
use super::Project;
use super::validate::files;
use crate::apply::StopFlag;
use crate::backend::Session;
use crate::error::EngineError;
use crate::event::Events;
use crate::tables::count_rows;

/// What `fake` is asked for.
#[derive(Clone, Debug)]
pub struct FakeOptions {
    /// Tables with the number of rows wanted of each; all tables when empty.
    pub tables: Vec<(String, Option<u64>)>,
    /// Rows of each table that names no number.
    pub rows: u64,
    /// The same seed gives the same rows.
    pub seed: u64,
    /// How many of the values that may be NULL are, from 0.0 to 1.0.
    pub null_rate: f64,
    /// Tables may have rows already.
    pub append: bool,
    /// Asked to stop.
    pub stop: StopFlag,
}

/// What `fake` made.
#[derive(Clone, Debug, Default)]
pub struct FakeReport {
    /// The database's address without secrets.
    pub database: String,
    /// Each table, in the order in which they were filled.
    pub tables: Vec<Faked>,
    /// It was asked to stop before the end.
    pub interrupted: bool,
}

/// A table that was filled.
#[derive(Clone, Debug, Default)]
pub struct Faked {
    /// The table.
    pub table: String,
    /// Rows that were wanted.
    pub wanted: u64,
    /// Rows that were made.
    pub made: u64,
    /// What the database refused, with how many rows; values are left out.
    pub refused: Vec<(String, u64)>,
    /// Why fewer rows were made than wanted, where the database did not refuse them.
    pub short: Option<String>,
}

impl Project {
    /// Fills tables with rows that follow from the seed, parents first. Each batch is a transaction
    /// of its own. Nothing is written into the ledger.
    ///
    /// # Errors
    /// When the environment is protected, a table has rows and `append` is not said, a table is not
    /// there, or it cannot be filled.
    pub async fn fake(
        &self,
        options: &FakeOptions,
        events: &mut dyn Events,
    ) -> Result<FakeReport, EngineError> {
        if self.options.protected {
            return Err(EngineError::Refused(format!(
                "The environment `{}` is protected: no test rows are written into it",
                self.options.environment
            )));
        }
        if self.backend.is_missing() {
            let label = self.backend.label();
            return Err(EngineError::NotFound(format!("There is no database `{label}` yet")));
        }
        self.refuse_open_file().await?;
        let rules = self.read_rules(None)?;
        let mut session = self.connect().await?;
        let snapshot = session.inspect(None).await?;
        let names: Vec<String> = options.tables.iter().map(|(name, _)| name.clone()).collect();
        let mut tables = self.chosen(&snapshot, &names, &[])?;
        let counts: Vec<u64> =
            options.tables.iter().map(|(_, n)| n.unwrap_or(options.rows)).collect();
        let wanted: Vec<(String, u64)> = match names.is_empty() {
            true => Vec::new(),
            false => {
                tables.iter().zip(counts).map(|(table, n)| (table.name.to_string(), n)).collect()
            }
        };
        if names.is_empty() {
            let special = special_tables(session.as_mut(), self.ledger.dialect).await?;
            tables.retain(|table| !is_part(table) && !special.contains(&table.name.name));
        }
        let dialect = self.ledger.dialect;
        let turns = order(&tables, &snapshot, dialect).map_err(refused)?;
        let mut fills = Vec::new();
        for turn in turns {
            let name = &turn.table.name;
            let Some(rows) = count_rows(session.as_mut(), dialect, name).await else {
                let message = format!("The rows of `{name}` cannot be counted: it may not be read");
                return Err(EngineError::Refused(message));
            };
            let is_its = |file: &&files::RuleFile| {
                snapshot.table(&file.table, dialect).is_some_and(|t| t.name == turn.table.name)
            };
            let text = rules.iter().find(is_its).map(|file| file.text.as_str());
            let wishes = Wishes { seed: options.seed, null_rate: options.null_rate };
            let maker = Maker::new(&turn, &snapshot, dialect, text, &wishes).map_err(refused)?;
            let name = turn.table.name.to_string();
            let own = wanted.iter().find(|(table, _)| *table == name);
            let wanted = own.map_or(options.rows, |(_, count)| *count);
            fills.push(Fill { turn, maker, wanted, first: rows });
        }
        refuse_full(&fills, &snapshot, options.append)?;
        let writer =
            Writer { session: session.as_mut(), dialect, snapshot: &snapshot, options, events };
        writer.fill(fills, self.backend.label()).await
    }
}

/// A table's name for people: without the schema where bare names are looked up.
fn shown(name: &ObjectName, snapshot: &Snapshot) -> String {
    match name.schema == snapshot.default_schema {
        true => name.name.clone(),
        false => name.to_string(),
    }
}

/// A table to be filled.
struct Fill<'a> {
    turn: Turn<'a>,
    maker: Maker,
    wanted: u64,
    /// Rows that it has already; the number of the first new one.
    first: u64,
}

fn refused(error: FakeError) -> EngineError {
    EngineError::Refused(format!("{}. {}", error.message, error.hint))
}

fn refuse_full(fills: &[Fill<'_>], snapshot: &Snapshot, append: bool) -> Result<(), EngineError> {
    let full = fills.iter().filter(|fill| fill.first > 0 && !append);
    let words = full
        .map(|fill| format!("`{}` ({} rows)", shown(&fill.turn.table.name, snapshot), fill.first));
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return Ok(());
    }
    Err(EngineError::Refused(format!(
        "These tables have rows already: {}. With `--append` rows are added to them",
        words.join(", ")
    )))
}

/// Partitions are filled through their table, foreign tables belong to another server.
fn is_part(table: &Table) -> bool {
    let mut words = table.options.split("; ");
    words.any(|part| part.starts_with("parents ") || part.starts_with("foreign, server "))
}

/// SQLite's virtual tables, and the tables in which these keep what they hold.
async fn special_tables(
    session: &mut dyn Session,
    dialect: Dialect,
) -> Result<Vec<String>, EngineError> {
    if dialect != Dialect::Sqlite {
        return Ok(Vec::new());
    }
    let sql = "SELECT name FROM pragma_table_list WHERE type IN ('virtual', 'shadow')";
    let rows = session.query(sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
