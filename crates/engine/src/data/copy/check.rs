//! Comparing both ends: digests of all rows, then the keys of those that differ.

use std::collections::{HashMap, HashSet};

use whimbrel_core::rows::{Cell, Chunk, Row};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::transfer::{Digester, RowDigest, Scratch, Summary, Way, bucket};

use super::read::{column_sql, convert};
use super::report::Differing;
use super::{Copier, CopyPhase, Job, renew};
use crate::backend::Session;
use crate::error::EngineError;

/// Keys of one kind of difference that are shown.
const SHOWN_MAX: usize = 20;
/// Rows of parts that differ that are held in memory to find those that do.
const SUSPECTS_MAX: usize = 200_000;

/// One end of a table.
struct End {
    sql: String,
    ways: Vec<Way>,
    digester: Digester,
    key_at: Vec<usize>,
    key_names: Vec<String>,
}

impl End {
    fn source(job: &Job) -> End {
        let columns = job.pair.columns.iter();
        let items: Vec<String> =
            columns.map(|one| column_sql(&one.source, &one.from, job.source_dialect)).collect();
        End::new(job, format!("SELECT {} FROM {}", items.join(", "), job.keys.table), None)
    }

    fn target(job: &Job, dialect: Dialect) -> End {
        let columns = job.pair.columns.iter();
        let items: Vec<String> =
            columns.map(|one| column_sql(&one.target, &one.to, dialect)).collect();
        let sql = format!("SELECT {} FROM {}", items.join(", "), job.into.table);
        End::new(job, sql, Some(dialect))
    }

    /// At the target a value is what it is.
    fn new(job: &Job, sql: String, identity: Option<Dialect>) -> End {
        let ways = match identity {
            None => job.ways.clone(),
            Some(dialect) => {
                let classes = job.pair.columns.iter().map(|one| (one.to.clone(), dialect));
                classes.map(|side| Way::new(side.clone(), side, false)).collect()
            }
        };
        let places: Option<Vec<usize>> = job
            .keys
            .columns
            .iter()
            .map(|key| {
                let mut columns = job.pair.columns.iter();
                columns.position(|one| !key.rowid && one.source == key.name)
            })
            .collect();
        let key_at = places.unwrap_or_default();
        let columns = &job.pair.columns;
        let named = key_at.iter().filter_map(|at| columns.get(*at));
        let key_names = named.map(|one| one.source.clone()).collect();
        let classes = columns.iter().map(|one| one.to.clone()).collect();
        let digester = Digester::new(classes, key_at.clone());
        End { sql, ways, digester, key_at, key_names }
    }

    /// A row's key in words, or the digest of the row where it has none.
    fn shown(&self, row: Row<'_>, digest: RowDigest) -> String {
        if self.key_at.is_empty() {
            return format!("the row with digest {digest:032x}");
        }
        let pairs = self.key_names.iter().zip(&self.key_at);
        let parts: Vec<String> = pairs
            .map(|(name, at)| {
                let value = match row.cell(*at) {
                    Cell::Text(text) | Cell::Decimal(text) => text.to_owned(),
                    Cell::Int(value) => value.to_string(),
                    Cell::UInt(value) => value.to_string(),
                    Cell::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
                    other => format!("{other:?}"),
                };
                format!("{name} = {value}")
            })
            .collect();
        parts.join(", ")
    }
}

/// What a row of a part that differs is, by its key.
struct Suspect {
    row: RowDigest,
    shown: String,
}

impl Copier<'_> {
    /// Reads both ends of each table and says what differs now. `other` is a second connection to
    /// the target.
    pub(crate) async fn verify(
        &mut self,
        jobs: &[Job],
        other: &mut dyn Session,
    ) -> Result<Vec<Differing>, EngineError> {
        let mut out = Vec::new();
        for job in jobs {
            out.push(self.verify_table(job, other).await?);
            if self.options.stop.is_set() {
                return Err(EngineError::Stopped);
            }
        }
        Ok(out)
    }

    async fn verify_table(
        &mut self,
        job: &Job,
        other: &mut dyn Session,
    ) -> Result<Differing, EngineError> {
        let (mut source, mut target) = (End::source(job), End::target(job, self.ledger.dialect));
        let (mut one, mut two) = (Summary::default(), Summary::default());
        self.rows(job, &mut source, None, |key, row, _| one.add(key, row)).await?;
        self.rows(job, &mut target, Some(&mut *other), |key, row, _| two.add(key, row)).await?;
        let mut differing = Differing {
            table: job.name.clone(),
            source_rows: one.rows(),
            target_rows: two.rows(),
            source_digest: one.digest(),
            target_digest: two.digest(),
            ..Differing::default()
        };
        let parts: HashSet<usize> = one.differences(&two).into_iter().collect();
        if !parts.is_empty() {
            self.find(job, (source, target), other, &parts, &mut differing).await?;
        }
        self.tell(CopyPhase::Verify, job, differing.source_rows, differing.target_rows, true);
        Ok(differing)
    }

    /// Reads the parts that differ once more, for the keys.
    async fn find(
        &mut self,
        job: &Job,
        (mut source, mut target): (End, End),
        other: &mut dyn Session,
        parts: &HashSet<usize>,
        differing: &mut Differing,
    ) -> Result<(), EngineError> {
        let mut suspects: HashMap<RowDigest, Suspect> = HashMap::new();
        self.rows(job, &mut source, None, |key, row, shown| {
            if parts.contains(&bucket(key)) && suspects.len() < SUSPECTS_MAX {
                suspects.insert(key, Suspect { row, shown: shown() });
            }
        })
        .await?;
        let (mut changed, mut extra, mut extras) = (Vec::new(), Vec::new(), 0);
        self.rows(job, &mut target, Some(other), |key, row, shown| {
            if !parts.contains(&bucket(key)) {
                return;
            }
            match suspects.remove(&key) {
                Some(suspect) if suspect.row == row => {}
                Some(suspect) => changed.push(suspect.shown),
                None => {
                    extras += 1;
                    if extra.len() < SHOWN_MAX {
                        extra.push(shown());
                    }
                }
            }
        })
        .await?;
        let mut missing: Vec<String> = suspects.into_values().map(|one| one.shown).collect();
        differing.count = extras + changed.len() as u64 + missing.len() as u64;
        for list in [&mut missing, &mut changed] {
            list.sort_unstable();
            list.truncate(SHOWN_MAX);
        }
        (differing.missing, differing.changed, differing.extra) = (missing, changed, extra);
        Ok(())
    }

    /// Gives the digests of each row's key and of the row, and what shows its key.
    async fn rows(
        &mut self,
        job: &Job,
        end: &mut End,
        other: Option<&mut dyn Session>,
        mut each: impl FnMut(RowDigest, RowDigest, &dyn Fn() -> String) + Send,
    ) -> Result<(), EngineError> {
        let (mut chunk, mut out, mut scratch) =
            (Chunk::default(), Chunk::default(), Scratch::default());
        let mut stream = match other {
            Some(other) => other.stream(&end.sql).await?,
            None => self.source.stream(&end.sql).await?,
        };
        while stream.next(&mut chunk).await? {
            out.clear(end.ways.len());
            for row in chunk.rows() {
                // What the target cannot hold differs from whatever is there.
                if convert(&end.ways, row, &mut scratch, &mut out).is_err() {
                    return Err(EngineError::Refused(format!(
                        "`{}` has values now that the target cannot hold; see `whimbrel copy \
                         --dry-run`",
                        job.name
                    )));
                }
            }
            for row in out.rows() {
                let (key, digest) = end.digester.row(row);
                let shown = &*end;
                each(key, digest, &|| shown.shown(row, digest));
            }
            renew(self.lease, self.target, &mut self.renewed).await?;
        }
        Ok(())
    }
}
