//! `source=`: both ends are read once more and held against what was read, batch by batch.
//!
//! A batch leaves the digest of its rows with its row in the ledger, and the key and the digest of
//! each row in a table beside it. At the source the query runs again over the same range of keys;
//! where the digest is another one, the rows are looked at one by one. At the target each row is
//! found by its key.

use std::collections::{HashMap, HashSet};

use whimbrel_core::rows::{Cell, Chunk, Row};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::transfer::{Digester, RowDigest, RowsDigest, Scratch, Way};

use super::compared::EndsCompared;
use super::copy::{column_sql, key_text};
use super::cursor::CursorId;
use super::insert::{STAGE, is_about_rows};
use super::job::Job;
use super::key::{ALIAS, Key};
use super::staging::{DIGEST, KEY_CLASS, Staging, empty_text};
use crate::backend::Session;
use crate::error::EngineError;
use crate::ledger::{Ledger, number, text};

/// The column with the number of the batch that read a row.
const BATCH: &str = "whimbrel_batch";
/// Driving rows of a batch that differs that are held in memory at a time.
const ROWS_AT_ONCE_MAX: u64 = 100_000;
/// Most keys in one condition.
const KEYS_AT_ONCE_MAX: usize = 500;

/// A batch with what it read.
pub(super) struct ReadBatch {
    pub(super) seq: i64,
    pub(super) number: u64,
    after: Option<Key>,
    last: Key,
    digest: RowsDigest,
}

impl ReadBatch {
    /// The batch of a statement that comes after row `seq` of `batches`.
    pub(super) async fn after(
        ledger: &Ledger,
        session: &mut dyn Session,
        id: CursorId<'_>,
        seq: i64,
    ) -> Result<Option<ReadBatch>, EngineError> {
        let sql = format!(
            "SELECT seq, number, first_after, last_key, digest FROM {} WHERE seq > {seq} \
             AND migration = {} AND direction = '{}' AND statement_index = {} ORDER BY seq LIMIT 1",
            ledger.table("batches"),
            ledger.quote(id.migration),
            id.direction,
            id.statement
        );
        let rows = session.query(&sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let damaged = || EngineError::LedgerDamaged("a batch without its digest".to_owned());
        Ok(Some(ReadBatch {
            seq: number(row, 0),
            number: u64::try_from(number(row, 1)).unwrap_or(0),
            after: row.get(2).and_then(Option::as_deref).and_then(Key::of_json),
            last: Key::of_json(&text(row, 3)).ok_or_else(damaged)?,
            digest: RowsDigest::parse(&text(row, 4)).ok_or_else(damaged)?,
        }))
    }
}

impl Job {
    /// Whether each row that the statement writes is new and has its key from the query.
    pub(super) fn finds_written_rows(&self) -> bool {
        !self.target_key.is_empty() && self.knows_new_keys()
    }

    /// The target's key in the table of rows as they were read.
    fn target_keys(&self) -> impl Iterator<Item = (&String, String)> {
        let some = if self.finds_written_rows() { self.target_key.as_slice() } else { &[] };
        some.iter().enumerate().map(|(at, name)| (name, format!("whimbrel_t{}", at + 1)))
    }

    /// Statements that make the empty table of rows as they were read.
    pub(super) fn read_table_sql(&self, table: &str) -> Vec<String> {
        let (number, end) = match self.dialect {
            Dialect::Sqlite => ("CAST(0 AS INTEGER)", " LIMIT 0"),
            Dialect::Postgres => ("CAST(0 AS bigint)", " WITH NO DATA"),
            Dialect::Mysql => ("CAST(0 AS SIGNED)", " LIMIT 0"),
        };
        let text = empty_text(self.dialect);
        let keys: Vec<String> = self
            .target_keys()
            .map(|(name, as_name)| format!(", {} AS {as_name}", self.of_target(name)))
            .collect();
        let make = format!(
            "CREATE TABLE {table} AS SELECT {number} AS {BATCH}, {}, {text} AS {DIGEST}{} \
             FROM (SELECT 1 AS whimbrel_1) {ALIAS} LEFT JOIN {} whimbrel_t ON 1 = 0{end}",
            self.text_keys(),
            keys.concat(),
            self.target_sql()
        );
        let index = match self.dialect {
            Dialect::Sqlite => format!("CREATE INDEX {table}_batch ON {table} ({BATCH})"),
            Dialect::Postgres => format!("CREATE INDEX ON {table} ({BATCH})"),
            Dialect::Mysql => format!("ALTER TABLE {table} ADD INDEX ({BATCH})"),
        };
        vec![make, index]
    }

    /// The statement that notes the staged rows.
    pub(super) fn note_read_sql(&self, table: &str, batch: u64) -> String {
        let (mut names, mut values) = (vec![BATCH.to_owned()], vec![batch.to_string()]);
        for name in self.keys.names().into_iter().chain([DIGEST.to_owned()]) {
            names.push(name.clone());
            values.push(name);
        }
        for (name, as_name) in self.target_keys() {
            names.push(as_name);
            values.extend(self.staged_as(name));
        }
        let (names, values) = (names.join(", "), values.join(", "));
        format!("INSERT INTO {table} ({names}) SELECT {values} FROM {}", self.temporary(STAGE))
    }

    fn of_target(&self, name: &str) -> String {
        format!("whimbrel_t.{}", self.quoted(&[name.to_owned()]).concat())
    }

    /// The rows that a batch read, each with the row of the target that has its key: the driving
    /// key, the digest, and what was written.
    fn target_rows_sql(&self, table: &str, batch: u64) -> String {
        let mut items = self.keys.names();
        items.push(DIGEST.to_owned());
        let classes = self.written_classes();
        items.extend(classes.map(|(name, _, class)| column_sql(name, &class, self.dialect)));
        let (mut same, mut there) = (Vec::new(), vec![format!("{BATCH} = {batch}")]);
        for (name, as_name) in self.target_keys() {
            same.push(format!("{} = whimbrel_r.{as_name}", self.of_target(name)));
            // The database has given it its key.
            there.push(format!("{as_name} IS NOT NULL"));
        }
        format!(
            "SELECT {} FROM {table} whimbrel_r LEFT JOIN {} whimbrel_t ON {} WHERE {}",
            items.join(", "),
            self.target_sql(),
            same.join(" AND "),
            there.join(" AND ")
        )
    }
}

/// The two databases of a statement that is compared.
pub(super) struct Ends<'a> {
    pub(super) source: &'a mut dyn Session,
    pub(super) target: &'a mut dyn Session,
    pub(super) job: &'a Job,
    /// The table of rows as they were read, as it stands in SQL.
    pub(super) table: String,
    /// The query for the keys of rows that were set aside.
    pub(super) aside: String,
    /// The condition that leaves those rows out, once the source could make nothing of one.
    pub(super) without: Option<String>,
}

/// A driving row of a batch that differs: what came of it then, and now.
struct Seen {
    was: RowsDigest,
    now: RowsDigest,
    key: Vec<String>,
}

/// Driving rows by the digests of their keys, in the order in which they came.
#[derive(Default)]
struct AllSeen {
    places: HashMap<RowDigest, usize>,
    rows: Vec<Seen>,
}

impl AllSeen {
    fn row(&mut self, digest: RowDigest, key: impl FnOnce() -> Vec<String>) -> Option<&mut Seen> {
        let next = self.rows.len();
        let at = *self.places.entry(digest).or_insert(next);
        if at == next {
            let none = RowsDigest::default();
            self.rows.push(Seen { was: none, now: none, key: key() });
        }
        self.rows.get_mut(at)
    }
}

impl Ends<'_> {
    /// Compares what one batch has read with both ends.
    pub(super) async fn compare(
        &mut self,
        batch: &ReadBatch,
        found: &mut EndsCompared,
    ) -> Result<(), EngineError> {
        found.batches += 1;
        found.rows += batch.digest.rows();
        if found.not_source.is_none() {
            let now = match self.digest_now(batch).await {
                Err(error) if self.without.is_none() && self.is_about_rows(&error) => {
                    self.without = Some(self.not_aside().await?);
                    self.digest_now(batch).await?
                }
                other => other?,
            };
            if now != batch.digest {
                self.find(batch, now.rows(), found).await?;
            }
        }
        if found.not_target.is_none() {
            self.compare_target(batch, found).await?;
        }
        Ok(())
    }

    fn is_about_rows(&self, error: &EngineError) -> bool {
        let dialect = self.job.keys.dialect;
        error.database().is_some_and(|error| is_about_rows(error, dialect))
    }

    /// The condition that leaves out the rows that were set aside.
    async fn not_aside(&mut self) -> Result<String, EngineError> {
        let rows = self.target.query(&self.aside).await?;
        let keys: Vec<Key> = rows.iter().filter_map(|row| Key::of_json(&text(row, 0))).collect();
        self.job.keys.as_written_none_of(&keys)
    }

    /// The digest of what the source's query gives for a batch's range now.
    async fn digest_now(&mut self, batch: &ReadBatch) -> Result<RowsDigest, EngineError> {
        let mut now = RowsDigest::default();
        self.read_again(batch, |_, row, _| now.add(row)).await?;
        Ok(now)
    }

    /// Runs the source's query for a batch's range again, and gives for each of its rows the
    /// digests of key and row, and the row with its key.
    async fn read_again(
        &mut self,
        batch: &ReadBatch,
        mut each: impl FnMut(RowDigest, RowDigest, Row<'_>) + Send,
    ) -> Result<(), EngineError> {
        let job = self.job;
        let mut range = job.keys.as_written_range(batch.after.as_ref(), &batch.last)?;
        if let Some(without) = &self.without {
            range = format!("{range} AND {without}");
        }
        let mut stream = self.source.stream(&job.source_sql(&range)).await?;
        let mut staging = Staging::new(job, stream.columns())?;
        let mut of_keys = key_digester(job);
        let (mut rows, mut out) = (Chunk::default(), Chunk::default());
        while stream.next(&mut rows).await? {
            for row in rows.rows() {
                out.clear(job.staged_columns());
                let (key, digest) = match staging.push(row, &mut out) {
                    Ok(digests) => digests,
                    // What the target cannot hold is not what was read.
                    Err(_) => (of_keys.row(out.begun()).1, RowDigest::MAX),
                };
                each(key, digest, out.begun());
            }
        }
        Ok(())
    }

    /// Finds the driving rows of a batch that differ.
    async fn find(
        &mut self,
        batch: &ReadBatch,
        rows_now: u64,
        found: &mut EndsCompared,
    ) -> Result<(), EngineError> {
        let job = self.job;
        let aside = self.set_aside(batch).await?;
        let parts = 1 + batch.digest.rows().max(rows_now) / ROWS_AT_ONCE_MAX;
        let keys = job.keys.columns.len();
        for part in 0..parts {
            let is_in = |key: RowDigest| key % RowDigest::from(parts) == RowDigest::from(part);
            let mut seen = AllSeen::default();
            self.as_read(batch, |key, digest, row| {
                if is_in(key)
                    && let Some(seen) = seen.row(key, || texts(row, keys))
                {
                    seen.was.add(digest);
                }
            })
            .await?;
            self.read_again(batch, |key, digest, row| {
                if is_in(key)
                    && let Some(seen) = seen.row(key, || texts(row, keys))
                {
                    seen.now.add(digest);
                }
            })
            .await?;
            for (key, at) in seen.places {
                if let Some(row) = seen.rows.get_mut(at)
                    && row.was.rows() == 0
                    && aside.contains(&key)
                {
                    row.now = row.was;
                }
            }
            for row in seen.rows.into_iter().filter(|row| row.was != row.now) {
                let kind = match (row.was.rows(), row.now.rows()) {
                    (0, _) => &mut found.added,
                    (_, 0) => &mut found.gone,
                    _ => &mut found.changed,
                };
                kind.add(job, row.key);
            }
        }
        Ok(())
    }

    /// Gives for each row that a batch has read the digests of key and row, and the row that has
    /// its key.
    async fn as_read(
        &mut self,
        batch: &ReadBatch,
        mut each: impl FnMut(RowDigest, RowDigest, Row<'_>) + Send,
    ) -> Result<(), EngineError> {
        let (names, table) = (self.job.keys.names().join(", "), &self.table);
        let sql = format!("SELECT {names}, {DIGEST} FROM {table} WHERE {BATCH} = {}", batch.number);
        let mut of_keys = key_digester(self.job);
        let mut rows = Chunk::default();
        let mut stream = self.target.stream(&sql).await?;
        while stream.next(&mut rows).await? {
            for row in rows.rows() {
                let digest = digest_of(row.cell(self.job.keys.columns.len()));
                each(of_keys.row(row).1, digest.unwrap_or(RowDigest::MAX), row);
            }
        }
        Ok(())
    }

    /// The digests of the keys of a batch's rows that were set aside: they were never read whole,
    /// or each by itself later.
    async fn set_aside(&mut self, batch: &ReadBatch) -> Result<HashSet<RowDigest>, EngineError> {
        let keys = &self.job.keys;
        let columns = keys.of(ALIAS);
        let rows = self.target.query(&self.aside).await?;
        let mut conditions = Vec::new();
        for key in rows.iter().filter_map(|row| Key::of_json(&text(row, 0))) {
            if key.texts().len() == columns.len() {
                conditions.push(format!("({})", keys.equals(&columns, &key)?));
            }
        }
        let range = keys.range(&columns, batch.after.as_ref(), &batch.last)?;
        let mut of_keys = key_digester(self.job);
        let (mut out, mut rows, mut one) = (HashSet::new(), Chunk::default(), Chunk::default());
        for some in conditions.chunks(KEYS_AT_ONCE_MAX) {
            let sql = format!(
                "SELECT {} FROM {} {ALIAS} WHERE ({range}) AND ({})",
                keys.aliased(&columns),
                keys.table,
                some.join(" OR ")
            );
            let mut stream = self.source.stream(&sql).await?;
            while stream.next(&mut rows).await? {
                for row in rows.rows() {
                    one.clear(columns.len());
                    for (at, column) in keys.columns.iter().enumerate() {
                        one.push(Cell::Text(&key_text(row.cell(at), column, keys)));
                    }
                    out.extend(one.rows().map(|key| of_keys.row(key).1));
                }
            }
        }
        Ok(out)
    }

    /// Compares the rows of the target with what a batch has read.
    async fn compare_target(
        &mut self,
        batch: &ReadBatch,
        found: &mut EndsCompared,
    ) -> Result<(), EngineError> {
        let job = self.job;
        let sql = job.target_rows_sql(&self.table, batch.number);
        let keys = job.keys.columns.len();
        // At the target a value is what it is.
        let ways: Vec<Way> = job
            .written_classes()
            .map(|(.., class)| {
                let side = (class, job.dialect);
                Way::new(side.clone(), side, false)
            })
            .collect();
        let is_key =
            |name: &String| job.target_key.iter().any(|key| key.eq_ignore_ascii_case(name));
        let key_at = job.batchable.written.iter().position(is_key).unwrap_or(0);
        let (mut digester, mut scratch) = (job.digester(), Scratch::default());
        let (mut rows, mut out) = (Chunk::default(), Chunk::default());
        let mut stream = self.target.stream(&sql).await?;
        while stream.next(&mut rows).await? {
            for row in rows.rows() {
                found.target_rows += 1;
                if row.cell(keys + 1 + key_at) == Cell::Null {
                    found.target_gone.add(job, texts(row, keys));
                    continue;
                }
                out.clear(job.staged_columns());
                for at in 0..keys {
                    out.push(row.cell(at));
                }
                for (at, way) in ways.iter().enumerate() {
                    let cell = row.cell(keys + 1 + at);
                    out.push(way.convert(cell, &mut scratch).unwrap_or(Cell::Null));
                }
                if Some(digester.row(out.begun()).1) != digest_of(row.cell(keys)) {
                    found.target_changed.add(job, texts(row, keys));
                }
            }
        }
        Ok(())
    }
}

/// Makes the digests of keys alone, the same as those that [`Job::digester`] makes of them.
fn key_digester(job: &Job) -> Digester {
    Digester::new(vec![KEY_CLASS; job.keys.columns.len()], Vec::new())
}

fn digest_of(cell: Cell<'_>) -> Option<RowDigest> {
    match cell {
        Cell::Text(text) => RowDigest::from_str_radix(text, 16).ok(),
        _ => None,
    }
}

/// The first values of a row, which are texts.
fn texts(row: Row<'_>, columns: usize) -> Vec<String> {
    let text = |at| match row.cell(at) {
        Cell::Text(text) => text.to_owned(),
        other => format!("{other:?}"),
    };
    (0..columns).map(text).collect()
}
