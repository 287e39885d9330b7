//! Understanding a statement of a data migration before its first batch.

use std::collections::BTreeMap;

use whimbrel_core::config::nearest;
use whimbrel_core::data::{
    self, Allow, BatchOptions, Batchable, Catalog, Conflict, DataKind, FunctionFacts, Mentions,
    Refusal, Volatility,
};
use whimbrel_core::ddl::name::same_column_name;
use whimbrel_core::directive::{BatchSettings, BatchSize, OnError, UndoMode};
use whimbrel_core::pace::BATCH_ROWS_FIRST;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::snapshot::{Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;
use whimbrel_core::sql::split::position;

use super::between::{self, JobSource};
use super::frozen::{self, Work};
use super::judge::RuleText;
use super::key::Keys;
use super::moment::Moment;
use super::parallel::Case;
use super::sources::{self, Source};
use super::until::{self, Until};
use super::whole::Whole;
use crate::apply::keep::sql_name;
use crate::apply::{Applier, StepWork};
use crate::backend::{DbError, DbErrorKind, Session};
use crate::error::{EngineError, Problem};
use crate::ledger::Ledger;

/// How long a batch should take where nothing is said, in milliseconds.
const TARGET_MS: u64 = 500;
/// The same on SQLite, where nobody else can write meanwhile.
const TARGET_SQLITE_MS: u64 = 250;
/// How long to wait between two batches on SQLite where nothing is said, in milliseconds.
pub(super) const PAUSE_SQLITE_MS: u64 = 20;
/// How many rows may go into quarantine where nothing is said.
const ERRORS_MAX: u64 = 1_000;

/// What a directive says about batches, with what holds where it says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(super) size: BatchSize,
    pub(super) target_ms: u64,
    pub(super) on_error: OnError,
    pub(super) errors_max: Option<u64>,
    pub(super) undo: UndoMode,
    pub(super) pause_ms: u64,
    pub(super) skips: Option<String>,
}

impl Settled {
    pub(super) fn of(said: &BatchSettings, dialect: Dialect) -> Settled {
        let sqlite = dialect == Dialect::Sqlite;
        Settled {
            size: said.size.unwrap_or(BatchSize::Auto),
            target_ms: said.target_ms.unwrap_or(if sqlite { TARGET_SQLITE_MS } else { TARGET_MS }),
            on_error: said.on_error.unwrap_or_default(),
            errors_max: said.errors_max,
            undo: said.undo.unwrap_or_default(),
            pause_ms: said.pause_ms.unwrap_or(if sqlite { PAUSE_SQLITE_MS } else { 0 }),
            skips: said.skips.clone(),
        }
    }

    /// How many rows may go into quarantine.
    pub(super) fn errors_max(&self) -> u64 {
        self.errors_max.unwrap_or(ERRORS_MAX)
    }
}

/// A statement that will run in batches.
pub(crate) struct Job {
    /// The SQL of the database that is written.
    pub(crate) dialect: Dialect,
    /// Where the query runs, if not there.
    pub(crate) source: Option<JobSource>,
    pub(crate) statement: usize,
    pub(crate) batchable: Batchable,
    pub(crate) keys: Keys,
    pub(crate) settled: Settled,
    /// The table that is written, as the catalog shows it.
    pub(crate) target: Table,
    /// Columns by which a row of the target is found again; empty without any.
    pub(crate) target_key: Vec<String>,
    /// Whether what changes is kept.
    pub(crate) undo: bool,
    /// The rules of the target's rows.
    pub(crate) rules: Option<RuleText>,
    /// The values of the statement's parameters.
    pub(crate) moment: Moment,
    /// The connection does not keep temporary tables from one transaction to the next.
    pub(crate) pooled: bool,
    /// Where its rows and values are computed into first.
    pub(crate) work: Option<Work>,
    /// How many connections go through its rows.
    pub(crate) workers: usize,
}

impl Job {
    /// The target as it stands in SQL.
    pub(super) fn target_sql(&self) -> String {
        sql_name(&self.target.name, self.dialect)
    }

    pub(super) fn quoted(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| quote_column(name, self.dialect)).collect()
    }

    /// The target's columns that hold values of their own.
    pub(super) fn stored_columns(&self) -> Vec<String> {
        let stored = self.target.columns.iter().filter(|column| column.generated.is_none());
        stored.map(|column| column.name.clone()).collect()
    }
}

/// A column's name in SQL; SQLite's `rowid` is no ordinary name.
pub(super) fn quote_column(name: &str, dialect: Dialect) -> String {
    if dialect == Dialect::Sqlite && name == "rowid" {
        name.to_owned()
    } else {
        quote_ident(name, dialect)
    }
}

/// How a statement will run.
pub(crate) enum Prepared {
    /// In one transaction, with the reason, and what can be kept of it.
    Whole(String, Option<Box<Whole>>),
    /// In batches.
    Batches(Box<Job>),
    /// Again and again, until it changes no row.
    Until(Box<Until>),
    /// Not at all: what is wrong with it, and what lifts that.
    Refused(Problem),
}

impl Applier<'_> {
    /// Understands the statement of a step.
    pub(crate) async fn prepare(&mut self, work: &StepWork<'_>) -> Result<Prepared, EngineError> {
        self.prepare_for(work, false).await
    }

    /// The same, where it may be that all is rolled back (`rehearses`).
    pub(super) async fn prepare_for(
        &mut self,
        work: &StepWork<'_>,
        rehearses: bool,
    ) -> Result<Prepared, EngineError> {
        let mut moment = self.moment(&work.migration.name).await?;
        let index = work.step.statements.start;
        let said = said(work.migration, index);
        if said.materialize == Some(true) {
            moment.work = self.work_name(work, rehearses).await?;
        }
        let source = match &said.source {
            Some(name) => Some(sources::open(self.sources, &mut self.opened, name).await?),
            None => None,
        };
        let session = self.session.as_mut();
        match prepare(self.ledger, session, work.migration, index, moment, source).await? {
            Prepared::Refused(problem) => Err(EngineError::Files(vec![problem])),
            Prepared::Batches(mut job) => {
                if let Some(problem) = unknown_column(work.migration, &job) {
                    return Err(EngineError::Files(vec![problem]));
                }
                job.rules = self.rules_of(&job);
                Ok(Prepared::Batches(job))
            }
            other @ (Prepared::Whole(..) | Prepared::Until(_)) => Ok(other),
        }
    }
}

/// Understands statement `index` of a data migration against the live catalog, which is only read.
pub(crate) async fn prepare(
    ledger: Ledger,
    session: &mut dyn Session,
    migration: &PlannedMigration,
    index: usize,
    moment: Moment,
    source: Option<Source<'_>>,
) -> Result<Prepared, EngineError> {
    let dialect = ledger.dialect;
    let script = &migration.script;
    let said = said(migration, index);
    if let Some((message, hint)) = frozen::conflict(&said) {
        return Ok(Prepared::Refused(problem(migration, index, message.to_owned(), hint)));
    }
    if let Some(source) = source {
        return between::prepare(ledger, session, migration, index, (moment, source)).await;
    }
    let text = moment.fill(script.statement(index), dialect);
    let settled = Settled::of(&said, dialect);
    let mentions = data::mentions(&text, dialect);
    if said.until_no_rows == Some(true) {
        let relations = mentions.map(|found| found.relations).unwrap_or_default();
        return Ok(match until::conflict(&settled) {
            Some((message, hint)) => Prepared::Refused(problem(migration, index, message, hint)),
            None => Prepared::Until(Box::new(Until { text, settled, relations, moment })),
        });
    }
    let mentions = match mentions {
        Ok(mentions) => mentions,
        // What cannot be parsed is run as it is, like in a schema migration.
        Err(refusal) => return Ok(Prepared::Whole(reason(&refusal), None)),
    };
    let snapshot = session.inspect(None).await?;
    let functions = functions(ledger, session, &mentions).await?;
    let catalog = Catalog { dialect, snapshot: &snapshot, functions: &functions };
    let found = match said.materialize {
        Some(true) => frozen::analyse(&text, &catalog, &batch_options(&said), &moment),
        _ => data::analyse(&text, &catalog, &batch_options(&said)).map(|found| (found, None)),
    };
    let (mut batchable, work) = match found {
        Ok(found) => found,
        Err(refusal) => {
            let small = are_small(ledger, session, &mentions).await?;
            let whole = Whole::of(&text, &settled, &catalog);
            return Ok(whole_or_refused(migration, index, &refusal, small, whole));
        }
    };
    if let Some(refusal) = null_in_key(ledger, session, &batchable).await? {
        let small = are_small(ledger, session, &mentions).await?;
        let whole = Whole::of(&text, &settled, &catalog);
        return Ok(whole_or_refused(migration, index, &refusal, small, whole));
    }
    let Some(target) = snapshot.table(&batchable.target, dialect).cloned() else {
        return Ok(Prepared::Whole(format!("`{}` is no table", batchable.target), None));
    };
    let undo = match wants_undo(&settled, &batchable, &snapshot, dialect) {
        Ok(undo) => undo,
        Err(reason) => return Ok(Prepared::Refused(not_exact_problem(migration, index, &reason))),
    };
    let case =
        Case { migration, statement: index, dialect, snapshot: &snapshot, functions: &functions };
    let workers = case.workers(&said, &mut batchable);
    let driving = sql_name(&batchable.driving, dialect);
    let mut keys = Keys::new(dialect, driving, batchable.key.clone());
    keys.walked = work.as_ref().map(|work| work.sql.clone());
    let target_key = data::row_key(&target, dialect);
    let pooled = session.facts().await?.pooled.is_some();
    Ok(Prepared::Batches(Box::new(Job {
        dialect,
        source: None,
        statement: index,
        batchable,
        keys,
        settled,
        target,
        target_key,
        undo,
        rules: None,
        moment,
        pooled,
        work,
        workers,
    })))
}

/// What the directives say about the batches of a statement.
pub(crate) fn said(migration: &PlannedMigration, index: usize) -> BatchSettings {
    let options = migration.script.statement_options.get(index);
    options.map(|one| one.batch.clone()).unwrap_or_default()
}

fn reason(refusal: &Refusal) -> String {
    format!("{} ({})", refusal.message, refusal.code.code())
}

/// A statement that cannot be cut runs whole if little is behind it; else it is refused with the
/// reason and what lifts it.
pub(super) fn whole_or_refused(
    migration: &PlannedMigration,
    index: usize,
    refusal: &Refusal,
    small: bool,
    whole: Option<Whole>,
) -> Prepared {
    let reason = reason(refusal);
    if small || refusal.code == data::RefusalCode::NoFrom {
        return Prepared::Whole(reason, whole.map(Box::new));
    }
    let script = &migration.script;
    let start = script.statements.get(index).map_or(0, |one| one.span.start);
    let (line, column) = position(&script.text, start + refusal.span.start);
    Prepared::Refused(Problem {
        path: migration.path.clone(),
        place: Some((line + migration.lines_before, column)),
        message: format!("This statement cannot run in batches: {reason}"),
        hint: refusal.lift.clone(),
    })
}

/// Whether each table that the statement speaks of has no more rows than one batch.
async fn are_small(
    ledger: Ledger,
    session: &mut dyn Session,
    mentions: &Mentions,
) -> Result<bool, EngineError> {
    for name in &mentions.relations {
        let table = sql_name(name, ledger.dialect);
        let sql = format!("SELECT 1 FROM {table} LIMIT 1 OFFSET {BATCH_ROWS_FIRST}");
        match session.query(&sql).await {
            Ok(rows) if rows.is_empty() => {}
            Ok(_) => return Ok(false),
            // A name of the statement's own (a CTE): what is behind it is mentioned as well.
            Err(error) if error.kind == DbErrorKind::Statement => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// A key column that the catalog lets be NULL must not hold one: a range would never reach it.
pub(super) async fn null_in_key(
    ledger: Ledger,
    session: &mut dyn Session,
    batchable: &Batchable,
) -> Result<Option<Refusal>, EngineError> {
    for column in &batchable.assumes_not_null {
        let sql = format!(
            "SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1",
            sql_name(&batchable.driving, ledger.dialect),
            quote_ident(column, ledger.dialect)
        );
        if !session.query(&sql).await?.is_empty() {
            return Ok(Some(Refusal {
                code: data::RefusalCode::NullableKey,
                span: 0..0,
                message: format!("`{column}` of `{}` is NULL in some row", batchable.driving),
                lift: Some("Name another key with `by=`".to_owned()),
            }));
        }
    }
    Ok(None)
}

/// What the catalog knows of the functions that a statement calls.
pub(super) async fn functions(
    ledger: Ledger,
    session: &mut dyn Session,
    mentions: &Mentions,
) -> Result<BTreeMap<String, FunctionFacts>, DbError> {
    let mut out = BTreeMap::new();
    if ledger.dialect != Dialect::Postgres || mentions.functions.is_empty() {
        return Ok(out);
    }
    let names: Vec<String> =
        mentions.functions.iter().map(|name| ledger.quote(&name.to_lowercase())).collect();
    let sql = format!(
        "SELECT lower(p.proname), max(CASE p.provolatile WHEN 'v' THEN 2 WHEN 's' THEN 1 \
         ELSE 0 END), bool_or(l.lanname NOT IN ('internal', 'c')), bool_or(p.prokind = 'a') \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE lower(p.proname) IN ({}) \
         GROUP BY 1",
        names.join(", ")
    );
    for row in session.query(&sql).await? {
        let volatility = match crate::ledger::number(&row, 1) {
            0 => Volatility::Immutable,
            1 => Volatility::Stable,
            _ => Volatility::Volatile,
        };
        let is = |at: usize| crate::ledger::text(&row, at) == "t";
        let facts = FunctionFacts { volatility, reads_tables: is(2), aggregate: is(3) };
        out.insert(crate::ledger::text(&row, 0), facts);
    }
    Ok(out)
}

/// Whether the values before and after are kept. Refused where they would not be all that changes,
/// unless somebody says that this is known.
pub(super) fn wants_undo(
    settled: &Settled,
    batchable: &Batchable,
    snapshot: &Snapshot,
    dialect: Dialect,
) -> Result<bool, String> {
    if settled.undo == UndoMode::Off {
        return Ok(false);
    }
    let Some(reason) = not_exact(batchable, snapshot, dialect) else { return Ok(true) };
    if settled.undo == UndoMode::BestEffort {
        return Ok(!reason.nothing);
    }
    Err(reason.text)
}

pub(super) fn not_exact_problem(
    migration: &PlannedMigration,
    index: usize,
    reason: &str,
) -> Problem {
    let message = format!("An undo of this statement would not be exact: {reason}");
    let hint = "Write `-- whimbrel: batch undo=best-effort` before it to keep what can be kept, or \
                `undo=off`";
    problem(migration, index, message, hint)
}

/// What is wrong with a statement as a whole.
pub(super) fn problem(
    migration: &PlannedMigration,
    index: usize,
    message: String,
    hint: &str,
) -> Problem {
    let line = migration.script.statements.get(index).map_or(1, |one| one.line);
    Problem {
        path: migration.path.clone(),
        place: Some((line + migration.lines_before, 1)),
        message,
        hint: Some(hint.to_owned()),
    }
}

/// A column that the statement writes and the table does not have, which is mostly a slip.
fn unknown_column(migration: &PlannedMigration, job: &Job) -> Option<Problem> {
    let dialect = job.keys.dialect;
    let names = || job.target.columns.iter().map(|column| column.name.as_str());
    let is_known = |name: &String| names().any(|one| same_column_name(one, name, dialect));
    let is_rowid = |name: &String| dialect == Dialect::Sqlite && is_rowid_name(name);
    let wrong = job.batchable.written.iter().find(|name| !is_known(name) && !is_rowid(name))?;
    let message = format!("`{}` has no column `{wrong}`", job.target.name.name);
    let hint = match nearest(wrong, names()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("It has {}", names().collect::<Vec<_>>().join(", ")),
    };
    Some(problem(migration, job.statement, message, &hint))
}

/// SQLite's names for the number that each row has.
fn is_rowid_name(name: &str) -> bool {
    ["rowid", "_rowid_", "oid"].iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// Why an undo would leave something behind.
struct NotExact {
    text: String,
    /// Whether nothing at all can be kept.
    nothing: bool,
}

fn not_exact(batchable: &Batchable, snapshot: &Snapshot, dialect: Dialect) -> Option<NotExact> {
    let target = &batchable.target;
    let some = |text: String| Some(NotExact { text, nothing: false });
    let mut triggers =
        snapshot.triggers.iter().filter(|trigger| trigger.table.matches(target, dialect));
    if let Some(trigger) = triggers.next() {
        return some(format!("the trigger `{}` of `{target}` may write more", trigger.name));
    }
    if batchable.kind == DataKind::Delete {
        let mut children = snapshot.tables.iter().filter(|table| {
            table.foreign_keys.iter().any(|key| {
                key.to_table.matches(target, dialect) && key.on_delete.changes_children()
            })
        });
        if let Some(child) = children.next() {
            return some(format!("deleted rows take rows of `{}` with them", child.name));
        }
    }
    if batchable.kind == DataKind::Insert {
        if matches!(batchable.conflict(), Conflict::Update | Conflict::Replace) {
            return Some(NotExact {
                text: "it may change rows that exist".to_owned(),
                nothing: true,
            });
        }
        let table = snapshot.table(target, dialect)?;
        if data::row_key(table, dialect).is_empty() {
            return Some(NotExact {
                text: format!("`{target}` has no key by which its new rows are found again"),
                nothing: true,
            });
        }
    }
    None
}

pub(super) fn batch_options(said: &BatchSettings) -> BatchOptions {
    BatchOptions {
        by: said.by.clone(),
        self_read_stable: said.self_read_stable.unwrap_or(false),
        allow: said.allow.iter().flatten().filter_map(|word| Allow::parse(word)).collect(),
        materialize: false,
    }
}
