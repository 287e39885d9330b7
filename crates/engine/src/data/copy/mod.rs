//! Whole tables from one database to another.
//!
//! Rows are read in the order of the table's key and written in transactions that hold the cursor,
//! too: so each row is written exactly once, as it was read, whatever dies. Memory holds a few
//! chunks. A value that the target would change stops the copy before it is written.

mod check;
mod fill;
mod follow;
mod many;
mod read;
mod report;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use whimbrel_core::retry::Retries;
use whimbrel_core::snapshot::Table;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::transfer::{Group, TablePair, Way};

pub(crate) use self::fill::POSTGRES_TEXTS;
pub(crate) use self::many::{Ends, copy_groups};
pub(super) use self::read::{column_sql, key_text};
pub use self::report::{
    CopiedTable, CopyPhase, CopyProgress, CopyReport, Differing, FoundLoss, PlannedColumn,
    PlannedCopy,
};
use super::job::quote_column;
use super::key::Keys;
use crate::apply::StopFlag;
use crate::apply::keep::sql_name;
use crate::backend::{LoadInto, Session};
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::lease::Lease;
use crate::ledger::Ledger;

/// Losses of one column that are shown; all are counted.
pub(super) const LOSSES_SHOWN_MAX: usize = 5;
/// What a MariaDB or MySQL session is set to, so that a value is either what was given or an
/// error, a backslash in a text means what we write it for, and times are UTC.
pub(crate) const MYSQL_SESSION: &str = "SET SESSION sql_mode = \
    'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00'";
/// How often a lease that no heartbeat renews is renewed while the source is read, in milliseconds.
const RENEW_MS: u128 = 5_000;

/// What `copy` is asked to do.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Tables by name; all when empty.
    pub tables: Vec<String>,
    /// Columns that stay behind, as `table.column`.
    pub leave_out: Vec<String>,
    /// Times without a zone are UTC.
    pub times_are_utc: bool,
    /// The source is not looked through before the copy.
    pub no_scan: bool,
    /// Both ends are read again afterwards and compared.
    pub verify: bool,
    /// Rows of one transaction at most; by bytes alone if not said.
    pub rows_max: Option<u64>,
    /// How many tables are copied at a time, where the databases allow that.
    pub jobs: usize,
    /// Asked to stop.
    pub stop: StopFlag,
}

/// How often a waiting copy looks whether it shall stop, in milliseconds.
const STOP_LOOK_MS: u64 = 100;

/// Further tries since a transaction was committed.
#[derive(Debug, Default)]
struct Tries {
    committed: u64,
    again: u32,
}

/// A table with all that is needed to copy it.
pub(crate) struct Job {
    pub(crate) pair: TablePair,
    /// Target's table as the catalog shows it.
    pub(crate) target: Table,
    pub(super) keys: Keys,
    pub(super) ways: Vec<Way>,
    pub(super) into: LoadInto,
    /// Name at the source, for people.
    pub(crate) name: String,
    /// Rows at the source when the copy began.
    pub(crate) rows: u64,
    pub(super) source_dialect: Dialect,
}

impl Job {
    /// The table at the source as it stands in SQL.
    pub(crate) fn source_sql(&self) -> &str {
        &self.keys.table
    }

    pub(crate) fn new(
        pair: TablePair,
        target: Table,
        dialects: (Dialect, Dialect),
        times_are_utc: bool,
    ) -> Job {
        let (from, to) = dialects;
        let way = |column: &whimbrel_core::transfer::ColumnPair| {
            Way::new((column.from.clone(), from), (column.to.clone(), to), times_are_utc)
        };
        let ways = pair.columns.iter().map(way).collect();
        let keys = Keys::new(from, sql_name(&pair.source, from), pair.key.clone());
        let columns = pair.columns.iter();
        let into = LoadInto {
            table: sql_name(&pair.target, to),
            columns: columns
                .clone()
                .map(|column| (quote_column(&column.target, to), column.to.clone()))
                .collect(),
            types: columns.map(|column| column.type_name.clone()).collect(),
        };
        let name = pair.source.to_string();
        Job { pair, target, keys, ways, into, name, rows: 0, source_dialect: from }
    }
}

/// What all workers of a copy know.
pub(crate) struct Shared<'a> {
    pub(crate) ledger: Ledger,
    pub(crate) lease: &'a Lease,
    pub(crate) options: &'a CopyOptions,
    pub(crate) retries: Retries,
    /// The source, as cursors name it.
    pub(crate) from: String,
    /// One of them has failed: the others end with their transaction.
    pub(crate) halt: &'a AtomicBool,
}

/// A copy in progress.
pub(crate) struct Copier<'a> {
    source: &'a mut dyn Session,
    target: &'a mut dyn Session,
    ledger: Ledger,
    lease: &'a Lease,
    options: &'a CopyOptions,
    shared: &'a Shared<'a>,
    events: &'a mut dyn Events,
    renewed: Instant,
    /// Transactions that are committed.
    committed: u64,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(
        ends: Ends<'a>,
        shared: &'a Shared<'a>,
        events: &'a mut dyn Events,
    ) -> Copier<'a> {
        Copier {
            source: ends.source,
            target: ends.target,
            ledger: shared.ledger,
            lease: shared.lease,
            options: shared.options,
            shared,
            events,
            renewed: Instant::now(),
            committed: 0,
        }
    }
}

impl Shared<'_> {
    /// Whether to end with the transaction that is done.
    fn is_stopped(&self) -> bool {
        self.options.stop.is_set() || self.halt.load(Ordering::SeqCst)
    }
}

impl Copier<'_> {
    /// Looks through the columns whose values may not all fit, and says which do not.
    pub(crate) async fn scan(&mut self, jobs: &[Job]) -> Result<Vec<FoundLoss>, EngineError> {
        let mut found = Vec::new();
        for job in jobs {
            found.extend(self.scan_table(job).await?);
            if self.shared.is_stopped() {
                return Err(EngineError::Stopped);
            }
        }
        Ok(found)
    }

    /// Copies the tables of one group; those that are there already are left alone.
    pub(crate) async fn group(
        &mut self,
        jobs: &[Job],
        group: &Group,
    ) -> Result<Vec<CopiedTable>, EngineError> {
        let members: Vec<&Job> = group.tables.iter().filter_map(|at| jobs.get(*at)).collect();
        let done = if !group.circular {
            self.one_by_one(&members).await?
        } else if self.ledger.dialect == Dialect::Postgres {
            let mut tries = Tries::default();
            loop {
                match self.together(&members).await {
                    Err(error) => self.again(&members, error, &mut tries).await?,
                    Ok(done) => break done,
                }
            }
        } else {
            let was = self.without_keys().await?;
            let done = self.one_by_one(&members).await;
            self.with_keys(was).await?;
            let done = done?;
            self.check_orphans(&members).await?;
            done
        };
        for job in &members {
            self.follow(job).await?;
        }
        Ok(done)
    }

    async fn one_by_one(&mut self, jobs: &[&Job]) -> Result<Vec<CopiedTable>, EngineError> {
        let mut done = Vec::new();
        for job in jobs {
            let mut tries = Tries::default();
            done.push(loop {
                match self.table(job).await {
                    Err(error) => self.again(std::slice::from_ref(job), error, &mut tries).await?,
                    Ok(done) => break done,
                }
            });
        }
        Ok(done)
    }

    /// Waits before a transaction is tried again that was rolled back because of others: a lock
    /// that was not granted, a deadlock, a serialization failure. It goes on where the cursor is.
    ///
    /// # Errors
    /// The error itself where no further try follows.
    async fn again(
        &mut self,
        jobs: &[&Job],
        error: EngineError,
        tries: &mut Tries,
    ) -> Result<(), EngineError> {
        if tries.committed != self.committed {
            *tries = Tries { committed: self.committed, again: 0 };
        }
        let said = match &error {
            EngineError::CopyRefusedRows { error, .. } => Some(error.as_ref()),
            other => other.database(),
        };
        let locked = said.filter(|said| said.is_transient());
        let wait = self.shared.retries.wait_ms(tries.again + 1);
        let (Some(reason), Some((shortest, longest))) = (locked.map(ToString::to_string), wait)
        else {
            return Err(error);
        };
        tries.again += 1;
        let delay = crate::jitter::between_ms(shortest, longest);
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        self.events.send(Event::Retrying {
            migration: format!("copy of {}", names.join(", ")),
            attempt: tries.again + 1,
            delay_ms: delay.as_millis(),
            reason,
            blockers: self.lease.progress.blockers(),
        });
        let end = Instant::now() + delay;
        while Instant::now() < end {
            if self.shared.is_stopped() {
                return Err(EngineError::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(Duration::from_millis(STOP_LOOK_MS))).await;
            renew(self.lease, self.target, &mut self.renewed).await?;
        }
        Ok(())
    }

    pub(super) fn tell(
        &mut self,
        phase: CopyPhase,
        job: &Job,
        rows: u64,
        written: u64,
        done: bool,
    ) {
        let step = format!("{} of {}", phase.name(), job.name);
        self.lease.progress.set(rows, job.rows, &step);
        self.events.send(Event::Copying(Box::new(CopyProgress {
            phase,
            table: job.name.clone(),
            rows,
            written,
            rows_total: job.rows,
            done,
        })));
    }
}

/// Renews the lease where no heartbeat does, now and then.
pub(super) async fn renew(
    lease: &Lease,
    target: &mut dyn Session,
    renewed: &mut Instant,
) -> Result<(), EngineError> {
    if renewed.elapsed().as_millis() > RENEW_MS {
        lease.renew(target).await?;
        *renewed = Instant::now();
    }
    Ok(())
}
