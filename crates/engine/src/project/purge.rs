//! `purge`: let go of what was kept for the way back.

use std::time::Duration;

use serde_json::json;
use whimbrel_core::compare::State;
use whimbrel_core::sql::dialect::Dialect;

use super::load::Picture;
use super::up::Run;
use super::{KeptDatabase, Project, RunOptions};
use crate::backend::Session;
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::failpoint;
use crate::ledger::{UndoEntry, names_of, now_ms, number, text};

/// A table that holds what was kept for the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeItem {
    /// Its name in the ledger.
    pub kept_as: String,
    /// File name of the migration.
    pub migration: String,
    /// The run that made it.
    pub run_id: String,
    /// The statement, from 1.
    pub statement: usize,
    /// `table`, `column`, `rows`, `values`; of a data migration `update`, `delete`, `insert`.
    pub kind: String,
    /// What it was taken from.
    pub object: String,
    /// How many rows it holds.
    pub rows: Option<u64>,
    /// How many bytes it occupies, where the database can say.
    pub bytes: Option<u64>,
    /// When it was last needed, in milliseconds since 1970 by the server's clock.
    pub at_ms: i64,
    /// Whether a migration that is applied needs it for its way back.
    pub needed: bool,
    /// Its end is in the ledger already, and the table is still there.
    leftover: bool,
    keys: Vec<String>,
    columns: Vec<String>,
}

/// What a purge would let go of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgePlan {
    /// The tables, oldest first.
    pub items: Vec<PurgeItem>,
    /// Databases that restores in place have replaced, oldest first.
    pub databases: Vec<KeptDatabase>,
    /// Migrations in the middle of something, or with rows in quarantine; what they keep stays.
    pub in_use: Vec<String>,
    /// Applied migrations that cannot be taken back whole any more, each with its run.
    pub migrations: Vec<(String, String)>,
    /// What must be typed, in a protected environment.
    pub phrase: Option<String>,
    older_than: Duration,
    /// What was last needed until then goes: milliseconds since 1970 by the server's clock.
    before_ms: i64,
}

/// What the undo tables occupy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptSpace {
    /// How many there are.
    pub tables: u64,
    /// About how many rows are in them, where the database can say so at once.
    pub rows: Option<u64>,
    /// Their bytes, where the database can say so at once.
    pub bytes: Option<u64>,
}

/// A table as the catalog has it.
struct Found {
    name: String,
    rows: Option<u64>,
    bytes: Option<u64>,
}

impl PurgePlan {
    /// Whether there is nothing to let go of.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.databases.is_empty()
    }
}

impl Project {
    /// Says what a purge would let go of: what was last needed before `older_than`. Only reads.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn plan_purge(&self, older_than: Duration) -> Result<PurgePlan, EngineError> {
        let mut plan = PurgePlan { older_than, ..PurgePlan::default() };
        let Some(mut session) = self.connect_to_read().await? else { return Ok(plan) };
        let picture = self.picture(Some(&mut session)).await?;
        if picture.identity.is_none() {
            return Ok(plan);
        }
        self.check_environment(&picture)?;
        self.fill_purge(&mut plan, &picture, session.as_mut()).await?;
        for item in &mut plan.items {
            let table = self.ledger.table(&item.kept_as);
            let rows = session.query(&format!("SELECT count(*) FROM {table}")).await?;
            item.rows = rows.first().and_then(|row| u64::try_from(number(row, 0)).ok());
            if self.ledger.dialect == Dialect::Sqlite {
                item.bytes = sqlite_bytes(session.as_mut(), &table).await;
            }
        }
        plan.databases = self.restores(session.as_mut()).await?;
        plan.databases.retain(|one| !one.interrupted && one.began_ms <= plan.before_ms);
        if self.options.protected && !plan.is_empty() {
            let phrase = match plan.databases.len() {
                0 => format!("PURGE {} TABLES", plan.items.len()),
                files => format!("PURGE {} TABLES AND {files} DATABASES", plan.items.len()),
            };
            plan.phrase = Some(self.with_environment(phrase));
        }
        Ok(plan)
    }

    /// Lets go of what `plan` says, as far as it is still there and nobody needs it by now.
    ///
    /// # Errors
    /// Without a confirmation nothing is done. What was let go of before a failure stays so, and
    /// the same call goes on.
    pub async fn purge(
        &self,
        plan: &PurgePlan,
        confirmed: bool,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<PurgeItem>, EngineError> {
        match &plan.phrase {
            Some(phrase) if !confirmed => {
                return Err(EngineError::NotConfirmed { phrase: phrase.clone() });
            }
            None if !confirmed => {
                return Err(EngineError::NotAnswered { what: "the purge".to_owned() });
            }
            _ => {}
        }
        let detail = json!({ "older_than_ms": millis(plan.older_than) }).to_string();
        let mut run = self.begin_saying("purge", &detail, options, events).await?;
        let mut purged = Vec::new();
        let result = self.purge_with_lease(&mut run, plan, &mut purged, (options, events)).await;
        let names: Vec<&str> = purged.iter().map(|item| item.kept_as.as_str()).collect();
        run.detail = json!({ "purged": names }).to_string();
        self.end(run, result.map(|()| purged)).await
    }

    async fn purge_with_lease(
        &self,
        run: &mut Run,
        plan: &PurgePlan,
        purged: &mut Vec<PurgeItem>,
        (options, events): (&RunOptions, &mut dyn Events),
    ) -> Result<(), EngineError> {
        let picture = self.picture(Some(&mut run.session)).await?;
        let mut now = PurgePlan { older_than: plan.older_than, ..PurgePlan::default() };
        self.fill_purge(&mut now, &picture, run.session.as_mut()).await?;
        let still = |item: &&PurgeItem| now.items.iter().any(|one| one.kept_as == item.kept_as);
        let items: Vec<&PurgeItem> = plan.items.iter().filter(still).collect();
        let names: Vec<&str> = items.iter().map(|item| item.kept_as.as_str()).collect();
        let databases: Vec<&str> = plan.databases.iter().map(|one| one.run_id.as_str()).collect();
        let audit = json!({
            "tables": names, "databases": databases, "confirmed": plan.phrase,
        });
        let audit = audit.to_string();
        let audit = self.audit(run, "purge", &audit);
        self.write(run, &[audit]).await?;
        for item in items {
            if options.stop.is_set() {
                return Err(EngineError::Stopped);
            }
            self.purge_one(run, item).await?;
            events.send(Event::Purged(Box::new(item.clone())));
            purged.push(item.clone());
        }
        #[cfg(feature = "sqlite")]
        for run_id in databases {
            self.remove_replaced(run_id).await?;
        }
        Ok(())
    }

    /// The row that says so and the end of the table are one transaction. Where that cannot be, the
    /// row comes first: whoever finds it does not ask for the table, and the next purge drops it.
    async fn purge_one(&self, run: &mut Run, item: &PurgeItem) -> Result<(), EngineError> {
        let drop = format!("DROP TABLE IF EXISTS {}", self.ledger.table(&item.kept_as));
        let row = self.ledger.undo_sql(&UndoEntry {
            run_id: &run.lease.run_id,
            migration: &item.migration,
            statement_index: item.statement.saturating_sub(1),
            event: "purged",
            kind: &item.kind,
            object: &item.object,
            kept_as: &item.kept_as,
            key_columns: &item.keys,
            columns: &item.columns,
            rows_kept: item.rows.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(0),
            token: run.lease.token,
        });
        failpoint::pass("purge.before");
        let together = self.ledger.dialect != Dialect::Mysql;
        let mut rows = Vec::new();
        rows.extend((!item.leftover).then_some(row));
        rows.extend(together.then(|| drop.clone()));
        self.write(run, &rows).await?;
        failpoint::pass("purge.journaled");
        if !together {
            run.session.batch(&drop).await?;
        }
        failpoint::pass("purge.after");
        Ok(())
    }

    /// What may go, without the number of rows.
    async fn fill_purge(
        &self,
        plan: &mut PurgePlan,
        picture: &Picture,
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        let found = self.kept_tables(session).await?;
        let rows = session.query(&format!("SELECT {}", now_ms(self.ledger.dialect))).await?;
        let now = rows.first().map_or(0, |row| number(row, 0));
        let before = now.saturating_sub(millis(plan.older_than));
        plan.before_ms = before;
        let busy = self.busy(picture, session).await?;
        let aside = self.set_aside(session).await?;
        for mut item in self.kept_items(session).await? {
            let table = self.ledger.table(&item.kept_as);
            let Some(there) = found.iter().find(|one| one.name == table) else { continue };
            (item.rows, item.bytes) = (there.rows, there.bytes);
            if plan.items.iter().any(|one| one.kept_as == item.kept_as) || item.at_ms > before {
                continue;
            }
            let needed = aside.contains(&item.migration) || busy.contains(&item.migration);
            if needed && !item.leftover {
                if !plan.in_use.contains(&item.migration) {
                    plan.in_use.push(item.migration);
                }
                continue;
            }
            let recorded = picture.ledger.migration(&item.migration);
            let applied = recorded.filter(|one| one.is_applied());
            item.needed = item.needed && applied.is_some();
            if let (true, Some(recorded)) = (item.needed, applied) {
                let of = (item.migration.clone(), recorded.row.run_id.clone());
                if !plan.migrations.contains(&of) {
                    plan.migrations.push(of);
                }
            }
            plan.items.push(item);
        }
        Ok(())
    }

    /// Migrations that are half-way up or back: they go on with what they have kept.
    async fn busy(
        &self,
        picture: &Picture,
        session: &mut dyn Session,
    ) -> Result<Vec<String>, EngineError> {
        let half = picture.compared.iter().filter(|one| matches!(one.state, State::Partial { .. }));
        let mut names: Vec<String> = half.map(|one| one.name.clone()).collect();
        if self.has_batches(session).await? {
            let sql = format!(
                "SELECT DISTINCT migration FROM {} WHERE state = 'running' \
                 AND direction IN ('up', 'undo')",
                self.ledger.table("cursors")
            );
            names.extend(session.query(&sql).await?.iter().map(|row| text(row, 0)));
        }
        Ok(names)
    }

    /// Migrations with open rows in quarantine: a retry reads what was computed for them, and keeps
    /// what it changes where the rest is kept.
    async fn set_aside(&self, session: &mut dyn Session) -> Result<Vec<String>, EngineError> {
        if !self.has_batches(session).await? {
            return Ok(Vec::new());
        }
        let table = self.ledger.table("quarantine");
        let sql = format!("SELECT DISTINCT migration FROM {table} WHERE state = 'open'");
        Ok(session.query(&sql).await?.iter().map(|row| text(row, 0)).collect())
    }

    /// All that was ever kept, oldest first, but what is gone and known to be.
    async fn kept_items(&self, session: &mut dyn Session) -> Result<Vec<PurgeItem>, EngineError> {
        let undo = self.ledger.table("undo");
        let of = |event: &str| {
            format!(
                "(SELECT count(*) FROM {undo} n WHERE n.kept_as = u.kept_as AND n.event = '{event}')"
            )
        };
        let sql = format!(
            "SELECT u.kept_as, u.migration, u.run_id, u.statement_index, u.kind, u.object, \
             u.key_columns, u.columns, {}, {}, (SELECT max(n.at_ms) FROM {undo} n \
             WHERE n.kept_as = u.kept_as AND n.event <> 'purged') FROM {undo} u \
             WHERE u.event = 'kept' ORDER BY u.seq",
            of("restored"),
            of("purged")
        );
        let rows = session.query(&sql).await?;
        Ok(rows
            .iter()
            .map(|row| PurgeItem {
                kept_as: text(row, 0),
                migration: text(row, 1),
                run_id: text(row, 2),
                statement: usize::try_from(number(row, 3)).unwrap_or(0) + 1,
                kind: text(row, 4),
                object: text(row, 5),
                rows: None,
                bytes: None,
                at_ms: number(row, 10),
                needed: number(row, 8) == 0 && number(row, 9) == 0 && !is_beside(&text(row, 4)),
                leftover: number(row, 9) > 0,
                keys: names_of(&text(row, 6)),
                columns: names_of(&text(row, 7)),
            })
            .collect())
    }

    /// What the undo tables occupy, as far as the database can say so at once; nothing where there
    /// are none.
    pub(super) async fn kept_space(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<KeptSpace>, EngineError> {
        let found = self.kept_tables(session).await?;
        if found.is_empty() {
            return Ok(None);
        }
        let mut space = KeptSpace { tables: found.len() as u64, rows: Some(0), bytes: Some(0) };
        for one in &found {
            let rows = match self.ledger.dialect {
                // Nothing is ever deleted from one, so the last number is the count.
                Dialect::Sqlite => {
                    let sql = format!("SELECT coalesce(max(rowid), 0) FROM {}", one.name);
                    let rows = session.query(&sql).await?;
                    rows.first().and_then(|row| u64::try_from(number(row, 0)).ok())
                }
                Dialect::Postgres | Dialect::Mysql => one.rows,
            };
            space.rows = space.rows.zip(rows).map(|(all, more)| all + more);
            space.bytes = space.bytes.zip(one.bytes).map(|(all, more)| all + more);
        }
        Ok(Some(space))
    }

    /// The undo tables that are there, as they are called in SQL.
    async fn kept_tables(&self, session: &mut dyn Session) -> Result<Vec<Found>, EngineError> {
        let sql = match self.ledger.dialect {
            Dialect::Sqlite => {
                "SELECT name, NULL, NULL FROM sqlite_schema WHERE type = 'table' \
                 AND name LIKE 'whimbrel\\_undo\\_%' ESCAPE '\\' ORDER BY name"
            }
            Dialect::Postgres => {
                "SELECT 'whimbrel.' || c.relname, CASE WHEN c.reltuples >= 0 \
                 THEN c.reltuples::bigint END, pg_total_relation_size(c.oid) FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'whimbrel' \
                 AND c.relkind = 'r' AND c.relname LIKE 'undo\\_%' ORDER BY 1"
            }
            Dialect::Mysql => {
                "SELECT table_name, table_rows, data_length + index_length \
                 FROM information_schema.tables WHERE table_schema = DATABASE() \
                 AND table_name LIKE 'whimbrel\\_undo\\_%' ORDER BY table_name"
            }
        };
        let count = |value: Option<String>| value.and_then(|value| value.parse().ok());
        let rows = session.query(sql).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut values = row.into_iter();
                Found {
                    name: values.next().flatten().unwrap_or_default(),
                    rows: count(values.next().flatten()),
                    bytes: count(values.next().flatten()),
                }
            })
            .collect())
    }
}

/// What a schema migration had removed and cannot come back, because it was purged.
pub(super) async fn purged_of(
    project: &Project,
    session: &mut dyn Session,
    migration: &str,
) -> Result<Vec<String>, EngineError> {
    let undo = project.ledger.table("undo");
    let sql = format!(
        "SELECT u.kind, u.object, u.rows_kept FROM {undo} u WHERE u.migration = {} \
         AND u.event = 'purged' AND u.kind NOT IN ('update', 'delete', 'insert', 'work', 'read') \
         AND NOT EXISTS (SELECT 1 FROM {undo} n WHERE n.migration = u.migration \
         AND n.statement_index = u.statement_index AND n.object = u.object \
         AND (n.seq > u.seq OR n.kept_as = u.kept_as AND n.event = 'restored')) ORDER BY u.seq",
        project.ledger.quote(migration)
    );
    let rows = session.query(&sql).await?;
    let words = |row| format!("{} {} ({} rows)", text(row, 0), text(row, 1), number(row, 2));
    Ok(rows.iter().map(words).collect())
}

/// The bytes of a table's pages; nothing where this SQLite cannot say.
async fn sqlite_bytes(session: &mut dyn Session, table: &str) -> Option<u64> {
    let sql = format!("SELECT sum(pgsize) FROM dbstat WHERE name = '{table}' AND aggregate = TRUE");
    let rows = session.query(&sql).await.ok()?;
    rows.first()?.first()?.as_deref()?.parse().ok()
}

/// Whether a table of this kind only stands beside a statement, and no way back needs it.
fn is_beside(kind: &str) -> bool {
    matches!(kind, "work" | "read")
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
