//! Reading the rows of a table, converted for the other end.

use std::collections::BTreeMap;

use whimbrel_core::data::KeyColumn;
use whimbrel_core::rows::{Cell, Chunk, Row};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;
use whimbrel_core::transfer::{Class, Grade, Loss, Scratch, Way};

use super::super::job::quote_column;
use super::super::key::{Key, Keys, is_binary};
use super::report::FoundLoss;
use super::{Copier, CopyPhase, Job, LOSSES_SHOWN_MAX, renew};
use crate::backend::{RowStream, Session};
use crate::error::EngineError;

/// A column of a table that is read, as SQL. MySQL prints `float` with six digits only; as a
/// number of eight bytes it prints all that there are.
pub(in crate::data) fn column_sql(name: &str, class: &Class, dialect: Dialect) -> String {
    let quoted = quote_column(name, dialect);
    match class {
        Class::Real { single: true } if dialect == Dialect::Mysql => {
            format!("({quoted} + 0e0) AS {quoted}")
        }
        _ => quoted,
    }
}

impl Job {
    /// The rows behind a key, in the order of the key; all in any order where there is no key.
    pub(super) fn select(&self, after: Option<&Key>) -> Result<String, EngineError> {
        let dialect = self.source_dialect;
        let mut items: Vec<String> = self
            .pair
            .columns
            .iter()
            .map(|column| column_sql(&column.source, &column.from, dialect))
            .collect();
        let key = self.keys.as_written();
        for (column, sql) in self.keys.columns.iter().zip(&key) {
            if self.position(column).is_none() {
                items.push(sql.clone());
            }
        }
        let mut sql = format!("SELECT {} FROM {}", items.join(", "), self.keys.table);
        if let Some(after) = after {
            sql.push_str(&format!(" WHERE {}", self.keys.behind(&key, after)?));
        }
        if !key.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", key.join(", ")));
        }
        Ok(sql)
    }

    /// Where a column of the key is among those that are copied.
    fn position(&self, key: &KeyColumn) -> Option<usize> {
        self.pair.columns.iter().position(|column| !key.rowid && column.source == key.name)
    }

    /// Where the key's columns are in a row that is read.
    fn key_positions(&self) -> Vec<usize> {
        let mut next = self.pair.columns.len();
        let mut place = |column: &KeyColumn| {
            self.position(column).unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        };
        self.keys.columns.iter().map(&mut place).collect()
    }
}

/// A row that cannot be converted.
pub(super) struct Bad {
    pub(super) column: usize,
    pub(super) loss: Loss,
}

/// Rows of a table, converted.
pub(super) struct Reader<'a> {
    job: &'a Job,
    stream: Box<dyn RowStream + 'a>,
    key_at: Vec<usize>,
    chunk: Chunk,
    /// The next row of the chunk.
    at: usize,
    scratch: Scratch,
    /// The key of the last row that was given out.
    pub(super) last: Option<Key>,
}

impl<'a> Reader<'a> {
    pub(super) async fn start(
        session: &'a mut dyn Session,
        job: &'a Job,
        after: Option<&Key>,
    ) -> Result<Reader<'a>, EngineError> {
        let stream = session.stream(&job.select(after)?).await?;
        let (key_at, chunk) = (job.key_positions(), Chunk::default());
        let scratch = Scratch::default();
        Ok(Reader { job, stream, key_at, chunk, at: 0, scratch, last: None })
    }

    /// Puts converted rows into `out` until it is full or has `most` rows; how many there are, and
    /// whether they were the last ones.
    pub(super) async fn fill(
        &mut self,
        out: &mut Chunk,
        most: u64,
    ) -> Result<(u64, bool), EngineError> {
        out.clear(self.job.ways.len());
        let mut rows = 0;
        while rows < most && !out.is_full() {
            if self.at >= self.chunk.len() {
                self.at = 0;
                if !self.stream.next(&mut self.chunk).await? {
                    self.chunk.clear(1);
                    return Ok((rows, true));
                }
            }
            while let Some(row) = self.chunk.row(self.at) {
                if rows >= most || out.is_full() {
                    break;
                }
                if let Err(bad) = convert(&self.job.ways, row, &mut self.scratch, out) {
                    let found = self.job.found(bad, shown_key(self.job, row, &self.key_at));
                    return Err(EngineError::CopyValues(vec![found]));
                }
                self.at += 1;
                rows += 1;
            }
            if let Some(row) = self.at.checked_sub(1).and_then(|last| self.chunk.row(last)) {
                self.last = Some(key_of(self.job, row, &self.key_at));
            }
        }
        Ok((rows, false))
    }
}

/// Appends the converted values of a row.
pub(super) fn convert(
    ways: &[Way],
    row: Row<'_>,
    scratch: &mut Scratch,
    out: &mut Chunk,
) -> Result<(), Bad> {
    for (column, way) in ways.iter().enumerate() {
        match way.convert(row.cell(column), scratch) {
            Ok(cell) => out.push(cell),
            Err(loss) => return Err(Bad { column, loss }),
        }
    }
    Ok(())
}

impl Job {
    fn found(&self, bad: Bad, key: String) -> FoundLoss {
        let column = self.pair.columns.get(bad.column);
        FoundLoss {
            table: self.name.clone(),
            column: column.map(|column| column.source.clone()).unwrap_or_default(),
            loss: bad.loss,
            count: 1,
            keys: if key.is_empty() { Vec::new() } else { vec![key] },
        }
    }
}

fn key_of(job: &Job, row: Row<'_>, key_at: &[usize]) -> Key {
    let texts = job.keys.columns.iter().zip(key_at);
    Key::of_texts(texts.map(|(column, at)| key_text(row.cell(*at), column, &job.keys)).collect())
}

fn shown_key(job: &Job, row: Row<'_>, key_at: &[usize]) -> String {
    job.keys.shown(&key_of(job, row, key_at))
}

/// A value of the key as the text that [`whimbrel_core::data::key_literal`] turns back into it.
pub(in crate::data) fn key_text(cell: Cell<'_>, column: &KeyColumn, keys: &Keys) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let sqlite = keys.dialect == Dialect::Sqlite;
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Real(value) => format!("{value:e}"),
        Cell::Decimal(text) => text.to_owned(),
        Cell::Text(text) if sqlite => quote_text(text, Dialect::Sqlite),
        Cell::Text(text) => text.to_owned(),
        Cell::Bytes(bytes) if sqlite => format!("X'{}'", hex(bytes)),
        Cell::Bytes(bytes) if is_binary(&column.type_name) => hex(bytes),
        Cell::Bytes(bytes) => format!("\\x{}", hex(bytes)),
    }
}

impl Copier<'_> {
    /// Looks through those columns of a table whose values may not all fit.
    pub(super) async fn scan_table(&mut self, job: &Job) -> Result<Vec<FoundLoss>, EngineError> {
        let columns = &job.pair.columns;
        let checked: Vec<usize> = (0..columns.len())
            .filter(|at| columns.get(*at).is_some_and(|one| one.grade == Grade::Checked))
            .collect();
        if checked.is_empty() {
            return Ok(Vec::new());
        }
        let mut items: Vec<String> = checked
            .iter()
            .filter_map(|at| columns.get(*at))
            .map(|one| column_sql(&one.source, &one.from, job.source_dialect))
            .collect();
        items.extend(job.keys.as_written());
        let sql = format!("SELECT {} FROM {}", items.join(", "), job.keys.table);
        let key_at: Vec<usize> = (checked.len()..items.len()).collect();
        let mut found: BTreeMap<(usize, Loss), FoundLoss> = BTreeMap::new();
        let (mut scratch, mut chunk, mut rows) = (Scratch::default(), Chunk::default(), 0);
        let mut stream = self.source.stream(&sql).await?;
        while stream.next(&mut chunk).await? {
            for row in chunk.rows() {
                for (at, column) in checked.iter().enumerate() {
                    let Some(way) = job.ways.get(*column) else { continue };
                    let Err(loss) = way.convert(row.cell(at), &mut scratch) else { continue };
                    let key = || shown_key(job, row, &key_at);
                    match found.get_mut(&(*column, loss)) {
                        Some(one) => {
                            one.count += 1;
                            if one.keys.len() < LOSSES_SHOWN_MAX && !key_at.is_empty() {
                                one.keys.push(key());
                            }
                        }
                        None => {
                            let bad = Bad { column: *column, loss };
                            found.insert((*column, loss), job.found(bad, key()));
                        }
                    }
                }
            }
            rows += chunk.len() as u64;
            renew(self.lease, self.target, &mut self.renewed).await?;
            if self.options.stop.is_set() {
                break;
            }
        }
        drop(stream);
        self.tell(CopyPhase::Scan, job, rows, 0, true);
        Ok(found.into_values().collect())
    }
}
