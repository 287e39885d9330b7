//! `source=`: the query of an INSERT runs in another database, batch by batch; its rows are staged
//! here, and from there everything is as ever.

use std::collections::HashSet;

use whimbrel_core::data::{self, Batchable, Catalog, RefusalCode};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::rows::Chunk;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;
use whimbrel_core::transfer::Class;

use super::copy::key_text;
use super::cursor::{Details, Tally};
use super::insert::STAGE;
use super::job::{
    Job, Prepared, Settled, batch_options, functions, not_exact_problem, null_in_key, problem,
    said, wants_undo, whole_or_refused,
};
use super::key::{ALIAS, Key, Keys, Rows};
use super::moment::Moment;
use super::parallel;
use super::sources::{self, Source};
use crate::apply::Applier;
use crate::apply::keep::sql_name;
use crate::backend::{DbError, DbErrorKind, Session};
use crate::error::EngineError;
use crate::ledger::{Ledger, text};

/// Most keys in one INSERT of ours.
const KEYS_AT_ONCE_MAX: usize = 500;

/// The half of a statement that runs at the source.
pub(crate) struct JobSource {
    /// The environment's name.
    pub(super) name: String,
    /// The query.
    pub(crate) read: Batchable,
    /// Which of its values are MySQL's `float`.
    pub(super) floats: Vec<usize>,
}

/// How many values a query gives, and which of them are MySQL's `float`: the server prints these
/// with six digits.
async fn values(
    dialect: Dialect,
    session: &mut dyn Session,
    read: &Batchable,
) -> Result<(usize, Vec<usize>), DbError> {
    let mut stream = session.stream(&read.source_select("", "1 = 0")).await?;
    let single = Class::Real { single: true };
    let is_single = |at: &usize| {
        dialect == Dialect::Mysql
            && stream
                .columns()
                .get(*at)
                .is_some_and(|one| Class::of(&one.type_name, dialect) == single)
    };
    let count = stream.columns().len();
    let found: Vec<usize> = (0..count).filter(is_single).collect();
    let mut nothing = Chunk::default();
    while stream.next(&mut nothing).await? {}
    Ok((count, found))
}

/// Understands a statement whose query runs in another database.
pub(super) async fn prepare(
    ledger: Ledger,
    session: &mut dyn Session,
    migration: &PlannedMigration,
    index: usize,
    (moment, source): (Moment, Source<'_>),
) -> Result<Prepared, EngineError> {
    let said = said(migration, index);
    let settled = Settled::of(&said, ledger.dialect);
    let text = moment.fill(migration.script.statement(index), source.dialect);
    let from = Ledger { dialect: source.dialect };
    let there = source.session.inspect(None).await?;
    let known = match data::mentions(&text, source.dialect) {
        Ok(mentions) => functions(from, source.session, &mentions).await?,
        Err(_) => std::collections::BTreeMap::new(),
    };
    let snapshot = session.inspect(None).await?;
    let nothing = std::collections::BTreeMap::new();
    let catalog = Catalog { dialect: source.dialect, snapshot: &there, functions: &known };
    let target = Catalog { dialect: ledger.dialect, snapshot: &snapshot, functions: &nothing };
    let found = match data::analyse_between(&text, &catalog, &target, &batch_options(&said)) {
        Ok(found) => found,
        Err(refusal) => return Ok(refused(migration, index, &refusal)),
    };
    let (read, mut write) = (found.read, found.write);
    if let Some(refusal) = null_in_key(from, source.session, &read).await? {
        return Ok(refused(migration, index, &refusal));
    }
    if write.insert_from("", None).is_none() {
        let message = "What stands behind the query must not speak of its tables (`excluded` and \
                       `VALUES()` are allowed)";
        let refusal = data::Refusal {
            code: RefusalCode::NotParsed,
            span: 0..0,
            message: message.to_owned(),
            lift: None,
        };
        return Ok(refused(migration, index, &refusal));
    }
    let Some(table) = snapshot.table(&write.target, ledger.dialect).cloned() else {
        return Err(EngineError::NotFound(format!("`{}` is no table", write.target)));
    };
    let undo = match wants_undo(&settled, &write, &snapshot, ledger.dialect) {
        Ok(undo) => undo,
        Err(reason) => return Ok(Prepared::Refused(not_exact_problem(migration, index, &reason))),
    };
    let (count, floats) = match values(source.dialect, source.session, &read).await {
        Err(error) if error.kind == DbErrorKind::Statement => {
            let message = format!("`{}` refuses the query: {error}", source.name);
            let hint = error.hint.unwrap_or_else(|| "It is in that database's SQL".to_owned());
            return Ok(Prepared::Refused(problem(migration, index, message, &hint)));
        }
        found => found?,
    };
    if let Some(message) = differ(count, write.written.len()) {
        let hint = "Name as many columns as the query gives values";
        return Ok(Prepared::Refused(problem(migration, index, message, hint)));
    }
    let driving = sql_name(&read.driving, source.dialect);
    let keys = Keys::new(source.dialect, driving, read.key.clone());
    write.driving = read.driving.clone();
    write.driving_qualifier = read.driving_qualifier.clone();
    write.key = read.key.clone();
    write.notes = read.notes.clone();
    let target_key = data::row_key(&table, ledger.dialect);
    let workers = parallel::workers(&said, &mut write, Some(parallel::BETWEEN.to_owned()));
    let pooled = session.facts().await?.pooled.is_some();
    Ok(Prepared::Batches(Box::new(Job {
        dialect: ledger.dialect,
        source: Some(JobSource { name: source.name, read, floats }),
        statement: index,
        batchable: write,
        keys,
        settled,
        target: table,
        target_key,
        undo,
        rules: None,
        moment,
        pooled,
        work: None,
        workers,
    })))
}

/// What is wrong where a query does not give as many values as there are columns to be written.
pub(super) fn differ(values: usize, columns: usize) -> Option<String> {
    let message = || format!("The query gives {values} values for {columns} columns");
    (values != columns).then(message)
}

/// Nothing of another database can run whole.
fn refused(migration: &PlannedMigration, index: usize, refusal: &data::Refusal) -> Prepared {
    let refusal = data::Refusal { code: RefusalCode::NotParsed, ..refusal.clone() };
    whole_or_refused(migration, index, &refusal, false, None)
}

impl Job {
    /// A key as it stands in the stage.
    pub(super) fn stage_literals(&self, key: &Key) -> Result<Vec<String>, EngineError> {
        match self.source {
            None => self.keys.literals(key),
            Some(_) => Ok(key.texts().iter().map(|one| quote_text(one, self.dialect)).collect()),
        }
    }
}

impl Applier<'_> {
    /// As for a local driving table: rows that produced nothing are noted until another statement
    /// of the file produces something from them.
    pub(super) async fn account_between(
        &mut self,
        job: &Job,
        details: &Details,
        rows: Rows<'_>,
    ) -> Result<Tally, EngineError> {
        let mut tally = Tally::default();
        let Some(missing) = details.missing_table.as_deref() else { return Ok(tally) };
        let missing = self.undo_table(missing);
        let range = job.keys.among(&job.keys.of(ALIAS), rows)?;
        let names = job.keys.names().join(", ");
        let stage = job.temporary(STAGE);
        let produced = self.session.query(&format!("SELECT DISTINCT {names} FROM {stage}")).await?;
        let produced: HashSet<Vec<String>> =
            produced.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect();
        let skipped: HashSet<Vec<String>> = match &job.settled.skips {
            Some(skips) => self.source_keys(job, &format!("({range}) AND ({skips})")).await?,
            None => HashSet::new(),
        };
        if self.is_first_on(job, details) {
            let all = self.source_keys(job, &range).await?;
            let none = all.into_iter().filter(|key| !produced.contains(key));
            let (declared, lost): (Vec<_>, Vec<_>) = none.partition(|key| skipped.contains(key));
            tally.skipped = declared.len() as u64;
            tally.missing = lost.len() as u64;
            for keys in lost.chunks(KEYS_AT_ONCE_MAX) {
                let values: Vec<String> = keys.iter().map(|key| self.tuple(key)).collect();
                let sql = format!("INSERT INTO {missing} VALUES {}", values.join(", "));
                self.session.batch(&sql).await?;
            }
            return Ok(tally);
        }
        let columns = job.keys.names();
        for (keys, counts) in [(produced, false), (skipped, true)] {
            for key in keys {
                let pairs = columns.iter().zip(&key);
                let same: Vec<String> = pairs
                    .map(|(name, one)| format!("{name} = {}", self.ledger.quote(one)))
                    .collect();
                let sql = format!("DELETE FROM {missing} WHERE {}", same.join(" AND "));
                let gone = self.session.run(&sql, None).await?.rows_affected.unwrap_or(0);
                tally.skipped += if counts { gone } else { 0 };
            }
        }
        Ok(tally)
    }

    fn tuple(&self, key: &[String]) -> String {
        let parts: Vec<String> = key.iter().map(|one| self.ledger.quote(one)).collect();
        format!("({})", parts.join(", "))
    }

    /// The keys of driving rows at the source, as the stage has them.
    async fn source_keys(
        &mut self,
        job: &Job,
        condition: &str,
    ) -> Result<HashSet<Vec<String>>, EngineError> {
        let columns = job.keys.aliased(&job.keys.of(ALIAS));
        let sql = format!("SELECT {columns} FROM {} {ALIAS} WHERE {condition}", job.keys.table);
        let driving = sources::driving(self.session, &mut self.opened, job);
        let mut stream = driving.stream(&sql).await?;
        let (mut out, mut chunk) = (HashSet::new(), Chunk::default());
        while stream.next(&mut chunk).await? {
            for row in chunk.rows() {
                let places = job.keys.columns.iter().enumerate();
                let texts = places.map(|(at, one)| key_text(row.cell(at), one, &job.keys));
                out.insert(texts.collect());
            }
        }
        Ok(out)
    }
}
