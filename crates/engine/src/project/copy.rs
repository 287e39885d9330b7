//! `copy`: whole tables from another database into this one.

use std::sync::atomic::AtomicBool;

use whimbrel_core::ddl::name::same_column_name;
use whimbrel_core::snapshot::{Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;
use whimbrel_core::transfer::{Group, Refusal, Side, TablePair, groups, pairs};

use super::up::Run;
use super::{Project, RunOptions};
use crate::backend::Session;
use crate::data::copy::{
    Copier, CopyOptions, CopyReport, Ends, Job, MYSQL_SESSION, POSTGRES_TEXTS, PlannedColumn,
    PlannedCopy, Shared, copy_groups,
};
use crate::error::EngineError;
use crate::event::Events;
use crate::ledger::{number, text};
use crate::threads::can_wait;

impl Project {
    /// Says what a copy from another database would do and which values do not fit. Changes
    /// nothing but takes the lease.
    ///
    /// # Errors
    /// When tables or columns do not belong together, or a database cannot be read.
    pub async fn plan_copy(
        &self,
        source: &Project,
        options: &CopyOptions,
        run_options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<CopyReport, EngineError> {
        self.with_copier(source, options, run_options, events, true).await
    }

    /// Copies whole tables from another database, parents before children. What an earlier run
    /// began goes on; what it finished is left alone.
    ///
    /// # Errors
    /// The first failure. What is committed stays, and the same command goes on.
    pub async fn copy(
        &self,
        source: &Project,
        options: &CopyOptions,
        run_options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<CopyReport, EngineError> {
        self.with_copier(source, options, run_options, events, false).await
    }

    async fn with_copier(
        &self,
        source: &Project,
        options: &CopyOptions,
        run_options: &RunOptions,
        events: &mut dyn Events,
        only_plan: bool,
    ) -> Result<CopyReport, EngineError> {
        if self.label() == source.label() {
            let message = "Source and target of a copy are the same database";
            return Err(EngineError::Refused(message.to_owned()));
        }
        let Some(mut from) = source.connect_to_read().await? else {
            let message = format!("There is no database `{}`", source.label());
            return Err(EngineError::NotFound(message));
        };
        let mut run = self.begin("copy", run_options, events).await?;
        let work = Work { target: self, source, options, only_plan };
        let result = work.run(&mut run, from.as_mut(), events).await;
        self.end(run, result).await
    }
}

/// How often connections to SQLite are asked to begin at the same moment.
const SNAPSHOT_TRIES_MAX: u32 = 20;

/// A copy between two projects' databases.
struct Work<'a> {
    target: &'a Project,
    source: &'a Project,
    options: &'a CopyOptions,
    only_plan: bool,
}

impl Work<'_> {
    async fn run(
        &self,
        run: &mut Run,
        from: &mut dyn Session,
        events: &mut dyn Events,
    ) -> Result<CopyReport, EngineError> {
        let picture = self.target.picture(Some(&mut run.session)).await?;
        self.target.check_environment(&picture)?;
        from.batch(self.source.read_only()).await?;
        if self.source.dialect() == Dialect::Postgres {
            from.batch(POSTGRES_TEXTS).await?;
        }
        if self.target.dialect() == Dialect::Mysql {
            run.session.batch(MYSQL_SESSION).await?;
        }
        let (mut jobs, groups) = self.jobs(from, run.session.as_mut()).await?;
        for job in &mut jobs {
            let sql = format!("SELECT count(*) FROM {}", job.source_sql());
            let rows = from.query(&sql).await?;
            job.rows = rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0));
        }
        let mut report = CopyReport {
            source: self.source.label(),
            target: self.target.label(),
            planned: groups.iter().flat_map(|one| planned(&jobs, one)).collect(),
            ..CopyReport::default()
        };
        let halt = AtomicBool::new(false);
        let shared = Shared {
            ledger: self.target.ledger,
            lease: &run.lease,
            options: self.options,
            retries: self.target.options.retries,
            from: self.source.label(),
            halt: &halt,
        };
        let ends = Ends { source: from, target: run.session.as_mut() };
        match self.carry_out(ends, &shared, (&jobs, &groups, &mut report), events).await {
            Err(EngineError::Stopped) => report.interrupted = true,
            other => other?,
        }
        Ok(report)
    }

    async fn carry_out(
        &self,
        ends: Ends<'_>,
        shared: &Shared<'_>,
        (jobs, groups, report): (&[Job], &[Group], &mut CopyReport),
        events: &mut dyn Events,
    ) -> Result<(), EngineError> {
        let Ends { source, target } = ends;
        if !self.options.no_scan {
            let ends = Ends { source: &mut *source, target: &mut *target };
            report.losses = Copier::new(ends, shared, &mut *events).scan(jobs).await?;
        }
        if self.only_plan {
            return Ok(());
        }
        if !report.losses.is_empty() {
            return Err(EngineError::CopyValues(std::mem::take(&mut report.losses)));
        }
        let mut more = self.more_ends(&mut *source, groups).await?;
        let own = Ends { source: &mut *source, target: &mut *target };
        if more.is_empty() {
            let mut copier = Copier::new(own, shared, &mut *events);
            for group in groups {
                report.tables.extend(copier.group(jobs, group).await?);
            }
        } else {
            let more = more.iter_mut();
            let more = more.map(|(from, to)| Ends { source: from.as_mut(), target: to.as_mut() });
            let all = std::iter::once(own).chain(more).collect();
            report.tables = copy_groups(all, shared, (jobs, groups), &mut *events)?;
        }
        if self.options.verify {
            let mut other = self.target.connect().await?;
            other.batch(self.target.read_only()).await?;
            if self.target.dialect() == Dialect::Postgres {
                other.batch(POSTGRES_TEXTS).await?;
            }
            let mut copier = Copier::new(Ends { source, target }, shared, events);
            report.compared = copier.verify(jobs, other.as_mut()).await?;
        }
        Ok(())
    }

    /// Further pairs of connections, those to the source in the snapshot of `from`; none where only
    /// one table is to be copied at a time: SQLite has one writer, and MariaDB and MySQL give no
    /// two connections the same snapshot.
    async fn more_ends(
        &self,
        from: &mut dyn Session,
        groups: &[Group],
    ) -> Result<Vec<(Box<dyn Session>, Box<dyn Session>)>, EngineError> {
        let wanted = self.options.jobs.min(groups.len()).saturating_sub(1);
        let one_writer = self.target.dialect() == Dialect::Sqlite;
        if wanted == 0 || one_writer || !can_wait() {
            return Ok(Vec::new());
        }
        let sources = match self.source.dialect() {
            Dialect::Postgres => self.postgres_readers(from, wanted).await?,
            Dialect::Sqlite => self.sqlite_readers(from, wanted).await?,
            Dialect::Mysql => Vec::new(),
        };
        let mut out = Vec::new();
        for source in sources {
            let mut target = self.target.connect().await?;
            if self.target.dialect() == Dialect::Mysql {
                target.batch(MYSQL_SESSION).await?;
            }
            out.push((source, target));
        }
        Ok(out)
    }

    async fn postgres_readers(
        &self,
        from: &mut dyn Session,
        count: usize,
    ) -> Result<Vec<Box<dyn Session>>, EngineError> {
        let rows = from.query("SELECT pg_catalog.pg_export_snapshot()").await?;
        let snapshot = rows.first().map(|row| text(row, 0)).unwrap_or_default();
        let snapshot = quote_text(&snapshot, Dialect::Postgres);
        let mut out = Vec::new();
        for _ in 0..count {
            let mut session = self.source.connect().await?;
            let begin = self.source.read_only();
            session.batch(&format!("{begin}; SET TRANSACTION SNAPSHOT {snapshot}")).await?;
            session.batch(POSTGRES_TEXTS).await?;
            out.push(session);
        }
        Ok(out)
    }

    /// All of them begin anew while nobody commits; none where somebody always does.
    async fn sqlite_readers(
        &self,
        from: &mut dyn Session,
        count: usize,
    ) -> Result<Vec<Box<dyn Session>>, EngineError> {
        let mut watch = self.source.connect().await?;
        let mut out = Vec::new();
        for _ in 0..count {
            let mut session = self.source.connect().await?;
            session.batch(self.source.read_only()).await?;
            out.push(session);
        }
        // It differs when somebody else has committed since the same connection asked last.
        let version = "PRAGMA data_version";
        let looks = "ROLLBACK; BEGIN; SELECT count(*) FROM sqlite_schema";
        let mut before = watch.query(version).await?;
        for _ in 0..SNAPSHOT_TRIES_MAX {
            from.batch(looks).await?;
            for session in &mut out {
                session.batch(looks).await?;
            }
            let after = watch.query(version).await?;
            if before == after {
                return Ok(out);
            }
            before = after;
        }
        Ok(Vec::new())
    }

    /// The tables that belong together, and the order in which they are filled.
    async fn jobs(
        &self,
        from: &mut dyn Session,
        to: &mut dyn Session,
    ) -> Result<(Vec<Job>, Vec<Group>), EngineError> {
        let mut snapshot = from.inspect(None).await?;
        self.leave_out(&mut snapshot)?;
        let there = to.inspect(None).await?;
        let (source, target) = (self.source.dialect(), self.target.dialect());
        let tables = self.source.chosen(&snapshot, &self.options.tables, &[])?;
        let side = Side { snapshot: &there, dialect: target };
        let matched = pairs(&tables, Side { snapshot: &snapshot, dialect: source }, side);
        if !matched.refusals.is_empty() {
            return Err(EngineError::CopyRefused(matched.refusals));
        }
        let groups = groups(&matched.pairs, side);
        if target == Dialect::Postgres {
            self.check_circles(&matched.pairs, &groups, to).await?;
        }
        let job = |pair: TablePair| {
            let table = there.tables.iter().find(|table| table.name == pair.target);
            let table = table.cloned().unwrap_or_default();
            Job::new(pair, table, (source, target), self.options.times_are_utc)
        };
        Ok((matched.pairs.into_iter().map(job).collect(), groups))
    }

    /// Takes away the columns that stay behind.
    fn leave_out(&self, snapshot: &mut Snapshot) -> Result<(), EngineError> {
        let dialect = self.source.dialect();
        for name in &self.options.leave_out {
            let found = name.rsplit_once('.').and_then(|(table, column)| {
                let bare = table.rsplit('.').next().unwrap_or(table);
                let named = |one: &&mut Table| one.name.name.eq_ignore_ascii_case(bare);
                let table = snapshot.tables.iter_mut().find(named)?;
                let columns = &mut table.columns;
                let at =
                    columns.iter().position(|one| same_column_name(&one.name, column, dialect));
                at.map(|at| columns.remove(at))
            });
            if found.is_none() {
                let message = format!("There is no column `{name}` at the source (`TABLE.COLUMN`)");
                return Err(EngineError::NotFound(message));
            }
        }
        Ok(())
    }

    /// PostgreSQL looks at a foreign key at the end of the statement, unless it is deferred: a
    /// circle of several tables can only be filled if its keys are.
    async fn check_circles(
        &self,
        pairs: &[TablePair],
        groups: &[Group],
        to: &mut dyn Session,
    ) -> Result<(), EngineError> {
        let mut refusals = Vec::new();
        for group in groups.iter().filter(|group| group.circular && group.tables.len() > 1) {
            let members = group.tables.iter().filter_map(|at| pairs.get(*at));
            let names: Vec<String> = members
                .map(|pair| {
                    let name = crate::apply::keep::sql_name(&pair.target, Dialect::Postgres);
                    format!("{}::regclass", self.target.ledger.quote(&name))
                })
                .collect();
            let list = names.join(", ");
            let sql = format!(
                "SELECT conrelid::regclass::text, conname FROM pg_catalog.pg_constraint \
                 WHERE contype = 'f' AND NOT condeferrable AND conrelid <> confrelid \
                 AND conrelid IN ({list}) AND confrelid IN ({list}) ORDER BY 1, 2"
            );
            for row in to.query(&sql).await? {
                let (table, name) = (text(&row, 0), text(&row, 1));
                refusals.push(Refusal {
                    message: format!(
                        "its foreign key `{name}` is part of a circle, and is looked at with each \
                         statement"
                    ),
                    hint: format!(
                        "`ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE` in a migration"
                    ),
                    table,
                });
            }
        }
        if refusals.is_empty() { Ok(()) } else { Err(EngineError::CopyRefused(refusals)) }
    }
}

fn planned(jobs: &[Job], group: &Group) -> Vec<PlannedCopy> {
    let members = group.tables.iter().filter_map(|at| jobs.get(*at));
    let plan = |job: &Job| {
        let columns = job.pair.columns.iter().map(|one| PlannedColumn {
            source: one.source.clone(),
            target: one.target.clone(),
            grade: one.grade,
            how: one.how,
        });
        let mut notes = job.pair.notes.clone();
        if group.circular {
            notes.push("its foreign keys go round in a circle".to_owned());
        }
        PlannedCopy {
            source: job.name.clone(),
            target: job.pair.target.to_string(),
            rows: job.rows,
            columns: columns.collect(),
            notes,
        }
    };
    members.map(plan).collect()
}
