//! `source=`: the rows of the source's query on their way into the stage. They are never all in
//! memory: a few chunks of [`CHUNK_BYTES_MAX`](whimbrel_core::rows::CHUNK_BYTES_MAX), or one row
//! that is longer.

use whimbrel_core::rows::{Cell, Chunk, ColumnHead, Row};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::transfer::{Class, Digester, Loss, RowDigest, RowsDigest, Scratch, Way};

use super::between::differ;
use super::copy::key_text;
use super::insert::{STAGE, column_name, is_about_rows};
use super::job::Job;
use super::judge::RULE_CODE;
use crate::apply::{Applier, StepWork};
use crate::backend::{DbError, DbErrorKind, LoadInto, Session};
use crate::error::EngineError;

/// How the code of an error begins that the source has made and not the database that is written.
pub(super) const SOURCE_CODE: &str = "source ";
/// The column with a row's digest.
pub(super) const DIGEST: &str = "whimbrel_digest";

/// What keys of another database are here.
pub(super) const KEY_CLASS: Class = Class::Text { max: None, in_bytes: false, padded: false };

/// An empty text whose column takes any key.
pub(super) fn empty_text(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => "CAST('' AS text)",
        Dialect::Mysql => "CAST('' AS CHAR(500)) COLLATE utf8mb4_bin",
    }
}

impl Job {
    /// The key's columns as texts: `CAST('' AS text) AS whimbrel_k1`.
    pub(super) fn text_keys(&self) -> String {
        let text = empty_text(self.dialect);
        let columns: Vec<String> =
            self.keys.names().iter().map(|name| format!("{text} AS {name}")).collect();
        columns.join(", ")
    }

    /// The source's query for some driving rows: the key, then what is to be written. Empty where
    /// the query is not another database's.
    pub(super) fn source_sql(&self, range: &str) -> String {
        self.source_sql_without(range, &[])
    }

    /// The same without the values of these columns. MySQL's `float` values are made numbers of
    /// eight bytes, which are printed with all digits that they have. The names of the author's
    /// columns need not differ, so they get others.
    fn source_sql_without(&self, range: &str, without: &[String]) -> String {
        let Some(source) = &self.source else { return String::new() };
        let key = source.read.key_sql();
        let sql = source.read.source_select(&self.keys.aliased(&key), range);
        let floats = &source.floats;
        if floats.is_empty() && without.is_empty() {
            return sql;
        }
        let mut names = self.keys.names();
        let mut items = names.clone();
        for at in 0..self.batchable.written.len() {
            let name = column_name(at);
            items.push(match floats.contains(&at) {
                _ if without.contains(&name) => "NULL".to_owned(),
                true => format!("({name} + 0e0)"),
                false => name.clone(),
            });
            names.push(name);
        }
        let (names, items) = (names.join(", "), items.join(", "));
        format!("WITH whimbrel_q ({names}) AS ({sql}) SELECT {items} FROM whimbrel_q")
    }

    /// Each column that is written, with what it can hold.
    pub(super) fn written_classes(&self) -> impl Iterator<Item = (&String, String, Class)> {
        self.batchable.written.iter().map(|name| {
            let mut columns = self.target.columns.iter();
            let found = columns.find(|column| column.name.eq_ignore_ascii_case(name));
            let type_name = found.map(|column| column.type_name.clone()).unwrap_or_default();
            let class = Class::of(&type_name, self.dialect);
            (name, type_name, class)
        })
    }

    /// How many columns the stage has: the key's, those that are written, and the digest.
    pub(super) fn staged_columns(&self) -> usize {
        self.keys.columns.len() + self.batchable.written.len() + 1
    }

    fn stage_into(&self) -> LoadInto {
        let mut columns: Vec<(String, Class)> =
            self.keys.names().into_iter().map(|name| (name, KEY_CLASS)).collect();
        let mut types = vec!["text".to_owned(); columns.len()];
        for (at, (_, type_name, class)) in self.written_classes().enumerate() {
            columns.push((column_name(at), class));
            types.push(type_name);
        }
        columns.push((DIGEST.to_owned(), KEY_CLASS));
        types.push("text".to_owned());
        LoadInto { table: self.temporary(STAGE), columns, types }
    }

    /// Makes the digests of staged rows: of the key's texts, and of them and the values.
    pub(super) fn digester(&self) -> Digester {
        let keys = self.keys.columns.len();
        let mut classes = vec![KEY_CLASS; keys];
        classes.extend(self.written_classes().map(|(.., class)| class));
        Digester::new(classes, (0..keys).collect())
    }
}

/// Turns rows of the source's query into staged ones.
pub(super) struct Staging<'a> {
    job: &'a Job,
    ways: Vec<Way>,
    digester: Digester,
    scratch: Scratch,
}

impl<'a> Staging<'a> {
    /// For the rows of a query with these columns.
    ///
    /// # Errors
    /// When these are more or less than what is written: a `*` may have become another.
    pub(super) fn new(job: &'a Job, heads: &[ColumnHead]) -> Result<Staging<'a>, DbError> {
        let values = heads.len().saturating_sub(job.keys.columns.len());
        if let Some(message) = differ(values, job.batchable.written.len()) {
            return Err(DbError::new(DbErrorKind::Statement, message));
        }
        let ways = heads
            .iter()
            .skip(job.keys.columns.len())
            .zip(job.written_classes())
            .map(|(head, (.., class))| {
                let from = Class::of(&head.type_name, job.keys.dialect);
                Way::new((from, job.keys.dialect), (class, job.dialect), false)
            })
            .collect();
        Ok(Staging { job, ways, digester: job.digester(), scratch: Scratch::default() })
    }

    /// Appends the key's texts and the values as the target will hold them, and leaves the digest's
    /// column open; gives the digests of the key and of the row.
    ///
    /// # Errors
    /// The first column whose value the target cannot hold; the row is not whole then.
    pub(super) fn push(
        &mut self,
        row: Row<'_>,
        out: &mut Chunk,
    ) -> Result<(RowDigest, RowDigest), (usize, Loss)> {
        let keys = &self.job.keys;
        for (at, column) in keys.columns.iter().enumerate() {
            out.push(Cell::Text(&key_text(row.cell(at), column, keys)));
        }
        for (at, way) in self.ways.iter().enumerate() {
            let cell = row.cell(keys.columns.len() + at);
            out.push(way.convert(cell, &mut self.scratch).map_err(|loss| (at, loss))?);
        }
        Ok(self.digester.row(out.begun()))
    }
}

/// Why rows could not be staged.
enum Unstaged {
    /// They could not be read.
    Source(DbError),
    /// The target cannot hold a value of this column.
    Value(usize, Loss),
    /// The target has refused them.
    Target(DbError),
}

/// Brings the rows of a query from one database into the stage of the other.
async fn stage(
    source: &mut dyn Session,
    target: &mut dyn Session,
    job: &Job,
    sql: &str,
) -> Result<(u64, RowsDigest), Unstaged> {
    let into = job.stage_into();
    let mut stream = source.stream(sql).await.map_err(Unstaged::Source)?;
    let mut staging = Staging::new(job, stream.columns()).map_err(Unstaged::Source)?;
    let mut sink = target.load(&into).await.map_err(Unstaged::Target)?;
    let (mut rows, mut out) = (Chunk::default(), Chunk::default());
    let mut digest = RowsDigest::default();
    while stream.next(&mut rows).await.map_err(Unstaged::Source)? {
        out.clear(job.staged_columns());
        for row in rows.rows() {
            let pushed = staging.push(row, &mut out);
            let (_, of_row) = pushed.map_err(|(at, loss)| Unstaged::Value(at, loss))?;
            out.push(Cell::Text(&format!("{of_row:032x}")));
            digest.add(of_row);
        }
        sink.write(&out).await.map_err(Unstaged::Target)?;
    }
    let staged = sink.finish().await.map_err(Unstaged::Target)?;
    Ok((staged, digest))
}

impl Applier<'_> {
    /// Fills the stage with what the source's query gives: how many rows, and their digest. A row
    /// of which the source can make nothing is at fault like one that the target refuses.
    pub(super) async fn stage_from_source(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        sql: &str,
    ) -> Result<(u64, RowsDigest), EngineError> {
        let source = job.source.as_ref().and_then(|source| self.opened.get_mut(&source.name));
        let Some(source) = source else { return Ok((0, RowsDigest::default())) };
        let error = match stage(source.as_mut(), self.session.as_mut(), job, sql).await {
            Ok(staged) => return Ok(staged),
            Err(Unstaged::Source(mut error)) if is_about_rows(&error, job.keys.dialect) => {
                let code = error.code.take().unwrap_or_default();
                error.code = Some(format!("{SOURCE_CODE}{code}"));
                error
            }
            Err(Unstaged::Source(error)) => return Err(error.into()),
            Err(Unstaged::Target(error)) => error,
            Err(Unstaged::Value(at, loss)) => {
                let column = job.batchable.written.get(at).cloned().unwrap_or_default();
                let message = format!("`{column}` cannot hold the source's value: {loss}");
                let mut error = DbError::new(DbErrorKind::Statement, message);
                error.code = Some(format!("{RULE_CODE}{}", loss.code()));
                error
            }
        };
        Err(self.failure(work.migration, job.statement, error, work.kept))
    }

    /// The same for one range with values that a person has written in place of the query's, which
    /// are not asked for: it may be that they cannot be computed, or that no column holds them.
    pub(super) async fn stage_edited_from_source(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        range: &str,
        values: &[(String, String)],
    ) -> Result<u64, EngineError> {
        let edited: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
        let sql = job.source_sql_without(range, &edited);
        let (staged, _) = self.stage_from_source(work, job, &sql).await?;
        let sets: Vec<String> =
            values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        if !sets.is_empty() {
            let sql = format!("UPDATE {} SET {}", job.temporary(STAGE), sets.join(", "));
            self.author(work, job, &sql).await?;
        }
        Ok(staged)
    }
}
