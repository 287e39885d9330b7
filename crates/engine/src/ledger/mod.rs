//! Reading and writing the ledger through whatever connection is at hand.
//!
//! Writing functions return SQL text, so that the caller can send a step's rows together with the
//! end of the step's transaction, in one message.

pub(crate) mod path;
mod schema;
mod write;

use whimbrel_core::ledger::{
    AttemptEvent, AttemptRow, Direction, LedgerState, MigrationEvent, MigrationRow,
};
use whimbrel_core::sql::dialect::Dialect;

pub use self::schema::{LEDGER_FORMAT, table};
pub(crate) use self::schema::{columns_of, now_ms};
pub(crate) use self::write::{
    Attempt, BackupEntry, MigrationEntry, RunEntry, UndoEntry, merged, names_of,
};
use crate::backend::{DbError, DbErrorKind, Row, Session};
use crate::error::EngineError;
use crate::failpoint;

/// How often the making of the ledger is tried while other processes make it too.
const CREATE_TRIES_MAX: u32 = 20;

/// Which database this is, as its ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// UUID of the database.
    pub database_id: String,
    /// Environment that made the ledger; empty without one.
    pub environment: String,
    /// Format of the ledger.
    pub ledger_format: i64,
    /// Version of Whimbrel that wrote it last.
    pub tool_version: String,
}

impl Identity {
    /// Whether the ledger knows of batches: since format 2.
    pub(crate) fn has_batches(&self) -> bool {
        self.ledger_format >= 2
    }

    /// Whether the ledger knows of backups: since format 3.
    pub(crate) fn has_backups(&self) -> bool {
        self.ledger_format >= 3
    }
}

/// The ledger of one kind of database.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// The database's SQL.
    pub dialect: Dialect,
}

impl Ledger {
    /// Reads which database this is; `None` when there is no ledger.
    pub async fn identity(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<Identity>, EngineError> {
        let exists = match self.dialect {
            Dialect::Sqlite => {
                "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'whimbrel_identity'"
            }
            Dialect::Postgres => "SELECT 1 WHERE to_regclass('whimbrel.identity') IS NOT NULL",
            Dialect::Mysql => {
                "SELECT 1 FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = 'whimbrel_identity'"
            }
        };
        if session.query(exists).await?.is_empty() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT database_id, environment, ledger_format, tool_version FROM {} \
             ORDER BY seq DESC LIMIT 1",
            self.table("identity")
        );
        let rows = session.query(&sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let identity = Identity {
            database_id: text(row, 0),
            environment: text(row, 1),
            ledger_format: number(row, 2),
            tool_version: text(row, 3),
        };
        if identity.ledger_format > LEDGER_FORMAT {
            return Err(EngineError::LedgerTooNew {
                found: identity.ledger_format,
                known: LEDGER_FORMAT,
                tool_version: identity.tool_version,
            });
        }
        Ok(Some(identity))
    }

    /// Makes the ledger, or upgrades an older one. Several processes may do this at once.
    pub(crate) async fn ensure(
        &self,
        session: &mut dyn Session,
        environment: &str,
    ) -> Result<Identity, EngineError> {
        let mut tries = 0;
        loop {
            let found = self.identity(session).await?;
            if let Some(identity) = &found
                && identity.ledger_format == LEDGER_FORMAT
            {
                return Ok(identity.clone());
            }
            failpoint::pass("history.before_create");
            match self.create(session, found.as_ref(), environment).await {
                Ok(()) => failpoint::pass("history.after_create"),
                Err(error) => {
                    tries += 1;
                    let lost_race =
                        matches!(error.kind, DbErrorKind::Statement | DbErrorKind::Locked);
                    if !lost_race || tries >= CREATE_TRIES_MAX {
                        return Err(error.into());
                    }
                    tokio::time::sleep(crate::jitter::between_ms(20, 200)).await;
                }
            }
        }
    }

    /// Makes or upgrades the ledger in one transaction. Where schema changes are not part of a
    /// transaction, the identity row, written last, says that all of it is there; every statement
    /// before it may be repeated.
    async fn create(
        &self,
        session: &mut dyn Session,
        found: Option<&Identity>,
        environment: &str,
    ) -> Result<(), DbError> {
        session.batch(self.begin()).await?;
        let made = self.create_in_transaction(session, found, environment).await;
        match made {
            Ok(()) => session.batch("COMMIT").await,
            Err(error) => {
                rollback(session).await;
                Err(error)
            }
        }
    }

    async fn create_in_transaction(
        &self,
        session: &mut dyn Session,
        found: Option<&Identity>,
        environment: &str,
    ) -> Result<(), DbError> {
        for statement in schema::upgrade(self.dialect, found.map_or(0, |one| one.ledger_format)) {
            session.batch(&statement).await?;
        }
        // The fence's row serialises the processes that are here at the same time.
        let fence = format!("UPDATE {0} SET token = token WHERE id = 1", self.table("fence"));
        if self.dialect == Dialect::Mysql {
            session.batch(self.begin()).await?;
        }
        session.batch(&fence).await?;
        let count = format!(
            "SELECT count(*) FROM {} WHERE ledger_format = {LEDGER_FORMAT}",
            self.table("identity")
        );
        let rows = session.query(&count).await?;
        if rows.first().map_or(0, |row| number(row, 0)) > 0 {
            return Ok(());
        }
        let (id, environment) = match found {
            Some(identity) => (identity.database_id.clone(), identity.environment.clone()),
            None => (uuid::Uuid::new_v4().to_string(), environment.to_owned()),
        };
        session.batch(&self.identity_sql(&id, &environment)).await
    }

    /// Reads all rows and derives the state from them.
    pub async fn read(&self, session: &mut dyn Session) -> Result<LedgerState, EngineError> {
        let migrations = format!(
            "SELECT seq, name, version, kind, event, text_checksum, token_checksum, run_id, actor, \
             duration_ms, at_ms FROM {} ORDER BY seq",
            self.table("migrations")
        );
        let attempts = format!(
            "SELECT a.seq, a.run_id, a.migration, a.direction, a.statement_index, \
             a.statement_hash, a.event, a.error, a.fingerprint, a.at_ms FROM {} a \
             LEFT JOIN (SELECT name, max(after_attempt) AS settled FROM {} GROUP BY name) m \
             ON m.name = a.migration WHERE a.seq > coalesce(m.settled, 0) ORDER BY a.seq",
            self.table("attempts"),
            self.table("migrations")
        );
        let mut rows = Vec::new();
        for row in session.query(&migrations).await? {
            rows.push(migration_row(row)?);
        }
        let mut tries = Vec::new();
        for row in session.query(&attempts).await? {
            tries.push(attempt_row(row)?);
        }
        Ok(LedgerState::derive(rows, tries))
    }

    /// The texts in force for `name`, up and down: those that ran last, or that were accepted in
    /// their place. An accepted text without a way back leaves the older way back in force.
    pub async fn texts(
        &self,
        session: &mut dyn Session,
        name: &str,
    ) -> Result<(Option<String>, Option<String>), EngineError> {
        let sql = format!(
            "SELECT event, up_text, down_text FROM {} WHERE name = {} \
             AND event IN ('up', 'baseline', 'adopt', 'accept') ORDER BY seq DESC",
            self.table("migrations"),
            self.quote(name)
        );
        let (mut up, mut down) = (None, None);
        for row in session.query(&sql).await? {
            let ran = row.first().and_then(Option::as_deref) != Some(MigrationEvent::Accept.name());
            let mut values = row.into_iter().skip(1);
            up = up.or(values.next().flatten());
            down = down.or(values.next().flatten());
            if ran {
                break;
            }
        }
        Ok((up, down))
    }

    /// The up texts in force of all applied migrations, by name, in the order of applying.
    pub async fn applied_texts(
        &self,
        session: &mut dyn Session,
    ) -> Result<Vec<(String, Option<String>)>, EngineError> {
        let sql = format!(
            "SELECT m.name, coalesce(a.up_text, m.up_text) FROM {0} m \
             JOIN (SELECT name, max(seq) AS seq FROM {0} WHERE event <> 'accept' GROUP BY name) n \
             ON n.seq = m.seq \
             LEFT JOIN (SELECT name, max(seq) AS seq FROM {0} WHERE event = 'accept' \
             GROUP BY name) s ON s.name = m.name AND s.seq > m.seq \
             LEFT JOIN {0} a ON a.seq = s.seq \
             WHERE m.event IN ('up', 'baseline', 'adopt') ORDER BY m.seq",
            self.table("migrations")
        );
        let rows = session.query(&sql).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut values = row.into_iter();
                (values.next().flatten().unwrap_or_default(), values.next().flatten())
            })
            .collect())
    }

    /// The name of one of the ledger's tables in SQL.
    pub fn table(&self, name: &str) -> String {
        table(self.dialect, name)
    }

    /// The statement that opens a transaction which will write.
    pub(crate) fn begin(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => path::BEGIN,
            Dialect::Mysql => "START TRANSACTION",
        }
    }

    /// The same for a batch. Whatever a role or a database has for its transactions, each statement
    /// of it sees what others have committed: batches of several connections write one row of the
    /// ledger, one after the other.
    pub(crate) fn begin_batch(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => self.begin(),
            Dialect::Postgres => path::BEGIN_BATCH,
            Dialect::Mysql => "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION",
        }
    }
}

/// Ends whatever transaction may be open. The database may have ended it by itself already, so an
/// error of the ROLLBACK itself says nothing.
pub(crate) async fn rollback(session: &mut dyn Session) {
    if session.in_transaction() != Some(false) {
        let _ = session.batch("ROLLBACK").await;
    }
}

pub(crate) fn text(row: &Row, index: usize) -> String {
    row.get(index).cloned().flatten().unwrap_or_default()
}

pub(crate) fn number(row: &Row, index: usize) -> i64 {
    row.get(index).and_then(Option::as_deref).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// A text, moved out of its row.
fn taken(row: &mut Row, index: usize) -> String {
    row.get_mut(index).and_then(Option::take).unwrap_or_default()
}

fn migration_row(mut row: Row) -> Result<MigrationRow, EngineError> {
    let event = taken(&mut row, 4);
    Ok(MigrationRow {
        seq: number(&row, 0),
        name: taken(&mut row, 1),
        version: taken(&mut row, 2),
        kind: taken(&mut row, 3),
        event: MigrationEvent::from_name(&event)
            .ok_or_else(|| EngineError::LedgerDamaged(format!("unknown event `{event}`")))?,
        text_checksum: taken(&mut row, 5),
        token_checksum: taken(&mut row, 6),
        run_id: taken(&mut row, 7),
        actor: taken(&mut row, 8),
        duration_ms: number(&row, 9),
        at_ms: number(&row, 10),
    })
}

fn attempt_row(mut row: Row) -> Result<AttemptRow, EngineError> {
    let (direction, event) = (taken(&mut row, 3), taken(&mut row, 6));
    Ok(AttemptRow {
        seq: number(&row, 0),
        run_id: taken(&mut row, 1),
        migration: taken(&mut row, 2),
        direction: if direction == "down" { Direction::Down } else { Direction::Up },
        statement_index: usize::try_from(number(&row, 4)).unwrap_or(0),
        statement_hash: taken(&mut row, 5),
        event: AttemptEvent::from_name(&event)
            .ok_or_else(|| EngineError::LedgerDamaged(format!("unknown event `{event}`")))?,
        error: row.get_mut(7).and_then(Option::take),
        fingerprint: row.get_mut(8).and_then(Option::take),
        at_ms: number(&row, 9),
    })
}
