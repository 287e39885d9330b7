//! Rows that could not be moved: setting them aside, and trying them again.

use whimbrel_core::data::DataKind;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;

use super::aside::Follower;
use super::cursor::Cursor;
use super::job::{Job, Prepared};
use super::key::{ALIAS, Key, Keys, Rows};
use super::sources;
use super::start::cursor_id;
use crate::apply::{Applier, StepWork};
use crate::backend::DbError;
use crate::error::EngineError;
use crate::event::Event;

/// One row of `quarantine` that is open.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) id: i64,
    pub(crate) statement: usize,
    pub(crate) key: String,
    pub(crate) edit: Option<String>,
}

/// What came of a retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Rows that are done now.
    pub done: u64,
    /// Rows that were refused again.
    pub failed: u64,
}

impl Applier<'_> {
    /// Runs the statement of a migration again for rows that were set aside, each by itself.
    pub(crate) async fn retry_rows(
        &mut self,
        migration: &PlannedMigration,
        rows: &[Set],
    ) -> Result<Retried, EngineError> {
        let mut out = Retried::default();
        let mut jobs: Vec<(usize, Box<Job>)> = Vec::new();
        for row in rows {
            let Some(work) = StepWork::of_statement(migration, row.statement) else {
                let message =
                    format!("`{}` has no statement {}", migration.name, row.statement + 1);
                return Err(EngineError::Refused(message));
            };
            if !jobs.iter().any(|(statement, _)| *statement == row.statement) {
                match self.prepare(&work).await? {
                    Prepared::Batches(job) => jobs.push((row.statement, job)),
                    Prepared::Whole(reason, _) => return Err(EngineError::Refused(reason)),
                    Prepared::Until(_) => {}
                    Prepared::Refused(problem) => return Err(EngineError::Files(vec![problem])),
                }
            }
            let Some((_, job)) = jobs.iter().find(|(statement, _)| *statement == row.statement)
            else {
                continue;
            };
            if self.retry_one(&work, job, row).await? {
                out.done += 1;
            } else {
                out.failed += 1;
            }
        }
        Ok(out)
    }

    async fn retry_one(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        row: &Set,
    ) -> Result<bool, EngineError> {
        let Some(key) = Key::of_json(&row.key) else {
            return Err(EngineError::LedgerDamaged(format!("the key of row {}", row.id)));
        };
        let ledger = self.ledger;
        let id = cursor_id(work);
        let cursor = Cursor::read(&ledger, self.session.as_mut(), id).await?;
        let Some(cursor) = cursor else {
            return Err(EngineError::Refused("The statement was taken back".to_owned()));
        };
        let followers = self.followers(work.migration, job).await?;
        self.session.batch(ledger.begin()).await?;
        let tried = self.retry_in_transaction(work, job, (&cursor, &key), (row, &followers)).await;
        let error = match tried {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        crate::ledger::rollback(self.session.as_mut()).await;
        let EngineError::Statement(failure) = &error else { return Err(error) };
        if !super::insert::is_about_rows(&failure.error, ledger.dialect) {
            return Err(error);
        }
        let now = crate::ledger::now_ms(ledger.dialect);
        let sql = format!(
            "UPDATE {} SET error = {}, code = {}, tries = tries + 1, actor = {}, updated_ms = {now} \
             WHERE seq = {}",
            ledger.table("quarantine"),
            ledger.quote(&failure.error.message),
            ledger.quote(failure.error.code.as_deref().unwrap_or("")),
            ledger.quote(self.actor),
            row.id
        );
        self.write_rows(&[sql]).await?;
        self.events.send(Event::Quarantined {
            migration: work.migration.name.clone(),
            table: job.keys.shown_table(),
            key: job.keys.shown(&key),
            reason: failure.error.to_string(),
        });
        Ok(false)
    }

    async fn retry_in_transaction(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        (cursor, key): (&Cursor, &Key),
        (row, followers): (&Set, &[Follower<'_>]),
    ) -> Result<(), EngineError> {
        self.lease.fence(self.session.as_mut()).await?;
        self.open_temporary(job).await?;
        let tally = match &row.edit {
            Some(edit) => self.edited(work, job, key, edit).await?,
            None => self.range(work, job, cursor, Rows::One(key)).await?,
        };
        let ledger = self.ledger;
        let mut next = cursor.clone();
        next.total.add(tally);
        next.total.quarantined = next.total.quarantined.saturating_sub(1);
        self.session.batch(&next.advance_sql(&ledger, self.lease.token)).await?;
        for follower in followers {
            self.follow(follower, key).await?;
        }
        let now = crate::ledger::now_ms(ledger.dialect);
        let done = format!(
            "UPDATE {} SET state = 'done', tries = tries + 1, actor = {}, updated_ms = {now} \
             WHERE seq = {} AND state = 'open'",
            ledger.table("quarantine"),
            ledger.quote(self.actor),
            row.id
        );
        self.session.batch(&done).await?;
        let detail = serde_json::json!({
            "migration": work.migration.name, "row": row.id, "key": job.keys.shown(key),
        });
        let audit = ledger.audit_sql(
            &self.lease.run_id,
            self.actor,
            "quarantine-retry",
            &detail.to_string(),
            self.lease.token,
        );
        self.session.batch(&audit).await?;
        Ok(self.session.batch("COMMIT").await?)
    }

    /// A row whose output somebody has written by hand: only for what an INSERT produces.
    async fn edited(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        key: &Key,
        edit: &str,
    ) -> Result<super::cursor::Tally, EngineError> {
        if job.batchable.kind != DataKind::Insert || !job.is_staged() {
            return Err(EngineError::Refused(
                "Only rows that an INSERT ... SELECT produces can be edited; correct the source row \
                 and retry"
                    .to_owned(),
            ));
        }
        let values: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(edit).unwrap_or_default();
        let sets: Vec<(String, String)> = values
            .iter()
            .filter_map(|(name, value)| {
                let at = job.batchable.written.iter().position(|one| one == name)?;
                let literal = match value {
                    serde_json::Value::Null => "NULL".to_owned(),
                    serde_json::Value::String(text) => self.ledger.quote(text),
                    other => self.ledger.quote(&other.to_string()),
                };
                Some((super::insert::column_name(at), literal))
            })
            .collect();
        self.insert_edited(work, job, key, &sets).await
    }

    /// Sets a driving row aside.
    pub(super) async fn quarantine(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        key: &Key,
        error: &DbError,
    ) -> Result<(), EngineError> {
        let condition = job.keys.equals(&job.keys.of(ALIAS), key)?;
        let sql = format!(
            "SELECT {} FROM {} {ALIAS} WHERE {condition}",
            self.row_json(job).await?,
            job.keys.table
        );
        let driving = sources::driving(self.session, &mut self.opened, job);
        let rows = driving.query(&sql).await?;
        let row = rows.first().map_or_else(String::new, |row| crate::ledger::text(row, 0));
        let ledger = self.ledger;
        let now = crate::ledger::now_ms(ledger.dialect);
        let sql = format!(
            "INSERT INTO {} (run_id, migration, statement_index, driving, row_key, row_json, error, \
             code, state, edit_json, tries, actor, at_ms, updated_ms, token) VALUES \
             ({}, {}, {}, {}, {}, {}, {}, {}, 'open', NULL, 1, {}, {now}, {now}, {})",
            ledger.table("quarantine"),
            ledger.quote(&self.lease.run_id),
            ledger.quote(&work.migration.name),
            job.statement,
            ledger.quote(&job.keys.table),
            ledger.quote(&key.json()),
            ledger.quote(&row),
            ledger.quote(&error.message),
            ledger.quote(error.code.as_deref().unwrap_or("")),
            ledger.quote(self.actor),
            self.lease.token
        );
        self.session.batch(&sql).await?;
        self.not_missing(work, job, key).await?;
        self.events.send(Event::Quarantined {
            migration: work.migration.name.clone(),
            table: job.keys.shown_table(),
            key: job.keys.shown(key),
            reason: error.to_string(),
        });
        Ok(())
    }

    /// A row that is set aside is accounted for, though no earlier statement of the file made
    /// anything of it.
    async fn not_missing(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        key: &Key,
    ) -> Result<(), EngineError> {
        let ledger = self.ledger;
        let id = cursor_id(work);
        let cursor = Cursor::read(&ledger, self.session.as_mut(), id).await?;
        // The first statement on a table notes nothing of a row that it sets aside.
        let details = cursor.map(|cursor| cursor.details);
        let details = details.filter(|details| !self.is_first_on(job, details));
        let Some(missing) = details.and_then(|details| details.missing_table) else {
            return Ok(());
        };
        let missing = self.undo_table(&missing);
        let condition = Keys::same(&job.keys.names(), &job.stage_literals(key)?);
        Ok(self.session.batch(&format!("DELETE FROM {missing} WHERE {condition}")).await?)
    }

    /// An expression that gives a driving row as JSON.
    async fn row_json(&mut self, job: &Job) -> Result<String, EngineError> {
        let dialect = job.keys.dialect;
        if dialect == Dialect::Postgres {
            return Ok(format!("row_to_json({ALIAS})::text"));
        }
        let columns: Vec<String> = if job.work.is_some() && job.batchable.kind == DataKind::Insert {
            job.batchable.written.clone()
        } else {
            let scope = [(whimbrel_core::ddl::ObjectKind::Table, job.batchable.driving.clone())];
            let driving = sources::driving(self.session, &mut self.opened, job);
            let snapshot = driving.inspect(Some(&scope)).await?;
            let table = snapshot.table(&job.batchable.driving, dialect);
            let columns = table.map_or(&[][..], |table| table.columns.as_slice());
            columns.iter().map(|column| column.name.clone()).collect()
        };
        let pairs: Vec<String> = columns
            .iter()
            .map(|column| {
                let name = whimbrel_core::sql::quote::quote_ident(column, dialect);
                let value = json_value(&format!("{ALIAS}.{name}"), dialect);
                let key = whimbrel_core::sql::quote::quote_text(column, dialect);
                format!("{key}, {value}")
            })
            .collect();
        Ok(format!("json_object({})", pairs.join(", ")))
    }
}

/// A value as SQLite's and MariaDB's `json_object` takes it: bytes as hexadecimal.
fn json_value(sql: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => {
            format!("CASE typeof({sql}) WHEN 'blob' THEN hex({sql}) ELSE {sql} END")
        }
        Dialect::Postgres | Dialect::Mysql => sql.to_owned(),
    }
}
