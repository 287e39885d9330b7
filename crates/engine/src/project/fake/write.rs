//! Writing the rows: many at a time, and one by one where the database refuses some.

use std::collections::BTreeMap;

use whimbrel_core::fake::ParentKeys;
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use super::parents::{KEYS_MAX, keys};
use super::{FakeOptions, FakeReport, Faked, Fill, shown};
use crate::apply::keep::sql_name;
use crate::backend::{DbError, DbErrorKind, Session};
use crate::error::EngineError;
use crate::event::{Event, Events};

/// Rows of one statement.
const ROWS_MAX: usize = 500;
/// Bytes of one statement, as far as one row allows it.
const BYTES_MAX: usize = 512 * 1024;
/// How often a row that the database refuses is made anew with other values.
const ATTEMPTS_MAX: u32 = 8;
/// After so many refused rows without one that was taken, the table is given up.
const REFUSED_MAX: u64 = 100;
/// Different reasons of refusals that are told apart.
const REASONS_MAX: usize = 20;

/// Writes rows into one database.
pub(super) struct Writer<'a> {
    pub(super) session: &'a mut dyn Session,
    pub(super) dialect: Dialect,
    pub(super) snapshot: &'a Snapshot,
    pub(super) options: &'a FakeOptions,
    pub(super) events: &'a mut dyn Events,
}

/// How far one table is.
#[derive(Default)]
struct Progress {
    made: u64,
    refused: u64,
    reasons: BTreeMap<String, u64>,
}

impl Progress {
    fn refuse(&mut self, error: &DbError) {
        self.refused += 1;
        let mut reason = without_values(&error.to_string());
        if self.reasons.len() >= REASONS_MAX && !self.reasons.contains_key(&reason) {
            "other reasons".clone_into(&mut reason);
        }
        *self.reasons.entry(reason).or_default() += 1;
    }
}

impl Writer<'_> {
    /// Fills the tables in their order.
    pub(super) async fn fill(
        mut self,
        fills: Vec<Fill<'_>>,
        database: String,
    ) -> Result<FakeReport, EngineError> {
        let mut report = FakeReport { database, ..FakeReport::default() };
        for fill in &fills {
            let faked = self.table(fill).await?;
            report.tables.push(faked);
            if self.options.stop.is_set() {
                report.interrupted = true;
                return Ok(report);
            }
        }
        for (fill, faked) in fills.iter().zip(&mut report.tables) {
            if !self.options.append {
                self.close(fill, faked).await?;
            }
        }
        Ok(report)
    }

    async fn keys_of(&mut self, fill: &Fill<'_>) -> Result<Vec<ParentKeys>, EngineError> {
        let mut out = Vec::new();
        for (at, parent) in fill.maker.parents().iter().enumerate() {
            let is_later = fill.turn.later.contains(&at);
            let found = match is_later {
                true => ParentKeys::new(),
                false => {
                    let (table, columns) = (&parent.table, &parent.columns);
                    keys(self.session, self.snapshot, self.dialect, table, columns).await?
                }
            };
            if found.is_empty() && parent.is_needed && !parent.is_own && fill.wanted > 0 {
                let parent = shown(&parent.table, self.snapshot);
                return Err(EngineError::Refused(format!(
                    "`{}` needs rows of `{parent}`, which has none. Name `{parent}` too",
                    shown(&fill.turn.table.name, self.snapshot)
                )));
            }
            out.push(found);
        }
        Ok(out)
    }

    async fn table(&mut self, fill: &Fill<'_>) -> Result<Faked, EngineError> {
        let mut keys = self.keys_of(fill).await?;
        let name = shown(&fill.turn.table.name, self.snapshot);
        let mut faked = Faked { table: name, wanted: fill.wanted, ..Faked::default() };
        let last = fill.first.saturating_add(fill.wanted);
        let mut end = last;
        if let Some((most, columns)) = fill.maker.most(&keys)
            && most < end
        {
            end = most;
            faked.short = Some(format!(
                "{} must be unique, and there are only {most} combinations",
                columns.join(", ")
            ));
        }
        let is_tree = fill.maker.parents().iter().any(|parent| parent.is_own);
        let mut size = if is_tree && fill.first == 0 { 1 } else { ROWS_MAX };
        let mut next = fill.first;
        let mut progress = Progress::default();
        while next < end && !self.options.stop.is_set() {
            let rows = self.rows(fill, &keys, next, end.min(next.saturating_add(size as u64)));
            if rows.is_empty() {
                faked.short = Some("no row fits the keys that there are".to_owned());
                break;
            }
            next += rows.len() as u64;
            self.write(fill, &keys, rows, &mut progress).await?;
            self.events.send(Event::Faking {
                table: faked.table.clone(),
                rows: progress.made,
                wanted: fill.wanted,
            });
            if progress.made == 0 && progress.refused >= REFUSED_MAX {
                faked.short = Some("given up, because the database took no row".to_owned());
                break;
            }
            if is_tree && size < KEYS_MAX {
                // Later rows refer to those that are there.
                keys = self.keys_of(fill).await?;
                size = size.saturating_mul(2);
            }
        }
        faked.made = progress.made;
        faked.refused = progress.reasons.into_iter().collect();
        Ok(faked)
    }

    /// The next rows with their numbers, as far as one statement takes them.
    fn rows(
        &self,
        fill: &Fill<'_>,
        keys: &[ParentKeys],
        first: u64,
        end: u64,
    ) -> Vec<(u64, Vec<String>)> {
        let mut out = Vec::new();
        let mut bytes = 0;
        for number in first..end {
            let Some(row) = fill.maker.row(number, 0, keys) else { break };
            bytes += row.iter().map(|value| value.len() + 2).sum::<usize>();
            out.push((number, row));
            if out.len() >= ROWS_MAX || bytes >= BYTES_MAX {
                break;
            }
        }
        out
    }

    async fn write(
        &mut self,
        fill: &Fill<'_>,
        keys: &[ParentKeys],
        rows: Vec<(u64, Vec<String>)>,
        progress: &mut Progress,
    ) -> Result<(), EngineError> {
        let values: Vec<&[String]> = rows.iter().map(|(_, row)| row.as_slice()).collect();
        self.begin().await?;
        let mut taken = Ok(());
        for sql in self.inserts(fill, &values) {
            taken = self.session.batch(&sql).await;
            if taken.is_err() {
                break;
            }
        }
        match taken {
            Ok(()) => {
                self.session.batch("COMMIT").await?;
                progress.made += rows.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.roll_back(error).await?;
                self.one_by_one(fill, keys, rows, progress).await
            }
        }
    }

    /// What the database refused is rolled back; any other trouble ends the run.
    async fn roll_back(&mut self, error: DbError) -> Result<(), EngineError> {
        if error.kind == DbErrorKind::Connection {
            return Err(error.into());
        }
        self.session.batch("ROLLBACK").await?;
        if error.kind == DbErrorKind::Statement { Ok(()) } else { Err(error.into()) }
    }

    async fn one_by_one(
        &mut self,
        fill: &Fill<'_>,
        keys: &[ParentKeys],
        rows: Vec<(u64, Vec<String>)>,
        progress: &mut Progress,
    ) -> Result<(), EngineError> {
        self.begin().await?;
        for (number, row) in rows {
            let mut next = Some(row);
            let mut attempt = 0;
            while let Some(row) = next.take() {
                self.session.batch("SAVEPOINT whimbrel_row").await?;
                let sql = self.inserts(fill, &[&row]).concat();
                match self.session.batch(&sql).await {
                    Ok(()) => {
                        self.session.batch("RELEASE SAVEPOINT whimbrel_row").await?;
                        progress.made += 1;
                    }
                    Err(error) if error.kind == DbErrorKind::Statement => {
                        self.session.batch("ROLLBACK TO SAVEPOINT whimbrel_row").await?;
                        attempt += 1;
                        next = fill.maker.row(number, attempt, keys);
                        if attempt >= ATTEMPTS_MAX || next.is_none() {
                            progress.refuse(&error);
                            next = None;
                        }
                    }
                    Err(error) => {
                        self.roll_back(error).await?;
                        return Ok(());
                    }
                }
            }
        }
        self.session.batch("COMMIT").await?;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), EngineError> {
        let sql = match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres | Dialect::Mysql => "BEGIN",
        };
        Ok(self.session.batch(sql).await?)
    }

    /// The statements for some rows: one, except where a row has no value at all.
    fn inserts(&self, fill: &Fill<'_>, rows: &[&[String]]) -> Vec<String> {
        let table = sql_name(&fill.turn.table.name, self.dialect);
        let columns = fill.maker.columns();
        if columns.is_empty() {
            let values = match self.dialect {
                Dialect::Sqlite | Dialect::Postgres => "DEFAULT VALUES",
                Dialect::Mysql => "() VALUES ()",
            };
            return rows.iter().map(|_| format!("INSERT INTO {table} {values}")).collect();
        }
        let columns: Vec<String> =
            columns.into_iter().map(|name| quote_ident(name, self.dialect)).collect();
        let rows: Vec<String> = rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        let (columns, rows) = (columns.join(", "), rows.join(",\n"));
        vec![format!("INSERT INTO {table} ({columns}) VALUES {rows}")]
    }

    /// Fills the keys that were left open because their parents came later.
    async fn close(&mut self, fill: &Fill<'_>, faked: &mut Faked) -> Result<(), EngineError> {
        for at in &fill.turn.later {
            let Some(parent) = fill.maker.parents().get(*at) else { continue };
            let [column] = parent.own_columns.as_slice() else { continue };
            let (own, table) = (&fill.turn.table.primary_key, &fill.turn.table.name);
            if own.is_empty() {
                continue;
            }
            let rows = keys(self.session, self.snapshot, self.dialect, table, own).await?;
            let theirs = (&parent.table, &parent.columns);
            let theirs =
                keys(self.session, self.snapshot, self.dialect, theirs.0, theirs.1).await?;
            let quoted: Vec<String> =
                own.iter().map(|name| quote_ident(name, self.dialect)).collect();
            let update = |(number, row): (usize, &Vec<String>)| {
                let to = theirs.get(fill.maker.later(*at, number as u64, theirs.len())?)?;
                let same = quoted.iter().zip(row).map(|(name, value)| format!("{name} = {value}"));
                Some(format!(
                    "UPDATE {} SET {} = {} WHERE {}",
                    sql_name(table, self.dialect),
                    quote_ident(column, self.dialect),
                    to.first()?,
                    same.collect::<Vec<_>>().join(" AND ")
                ))
            };
            let updates: Vec<String> = rows.iter().enumerate().filter_map(update).collect();
            for some in updates.chunks(ROWS_MAX) {
                self.begin().await?;
                match self.session.batch(&some.join(";\n")).await {
                    Ok(()) => self.session.batch("COMMIT").await?,
                    Err(error) => {
                        let reason = without_values(&error.to_string());
                        self.roll_back(error).await?;
                        faked.short = Some(format!("{column} stays NULL: {reason}"));
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A database's words without values, so that the same reasons count as one.
fn without_values(words: &str) -> String {
    // MariaDB: Duplicate entry 'VALUE' for key 'NAME'.
    let duplicate = words.strip_prefix("Duplicate entry '");
    if let Some((_, key)) = duplicate.and_then(|rest| rest.rsplit_once("' for key ")) {
        return format!("Duplicate entry for key {key}");
    }
    // PostgreSQL: invalid input syntax for type integer: "VALUE".
    match words.split_once(": \"") {
        Some((before, rest)) => {
            let after = rest.rsplit_once('"').map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => words.to_owned(),
    }
}
