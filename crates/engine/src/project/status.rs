//! `status`: what is applied, what is pending, who is at it.

use std::path::PathBuf;

use whimbrel_core::compare::State;
use whimbrel_core::directory::{DirectoryIssue, Severity};

use super::{KeptSpace, Project};
use crate::backend::Session;
use crate::error::EngineError;
use crate::interop::Mirror;
use crate::lease::{self, LeaseInfo};
use crate::ledger::{Identity, number, text};

/// One migration and where it stands.
#[derive(Clone, Debug)]
pub struct StatusLine {
    /// File name.
    pub name: String,
    /// Leading digits and suffix as written.
    pub version: String,
    /// `schema` or `data`.
    pub kind: String,
    /// Where it stands.
    pub state: State,
    /// When it was applied, in milliseconds since 1970, if that is known.
    pub applied_at_ms: Option<i64>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// Whether it can be taken back by a text of its own.
    pub has_down: bool,
    /// How far its batches are, where some are done and others not.
    pub progress: Option<DataProgress>,
}

/// How far a data migration is that has begun and is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataProgress {
    /// The statement, from 1.
    pub statement: usize,
    /// Batches that are committed.
    pub batches: u64,
    /// Driving rows that are done.
    pub rows_read: u64,
    /// About how many there were at the beginning; 0 where that is not known.
    pub rows_estimated: u64,
    /// Driving rows set aside.
    pub rows_quarantined: u64,
    /// What stopped it last.
    pub stopped_by: Option<String>,
}

/// A restore in place that somebody should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDatabase {
    /// The run.
    pub run_id: String,
    /// The backup.
    pub backup: String,
    /// When it began, in milliseconds since 1970.
    pub began_ms: i64,
    /// It was interrupted.
    pub interrupted: bool,
    /// The database was replaced.
    pub replaced: bool,
    /// Where the replaced database is kept.
    pub kept: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// The backups of a database in a few words.
#[derive(Clone, Debug, Default)]
pub struct BackupsLine {
    /// How many there are, damaged ones among them.
    pub count: usize,
    /// Bytes of their files and of databases that restores have replaced.
    pub bytes: u64,
    /// The newest that is not damaged.
    pub last: Option<LastBackup>,
    /// The newest run with a backup that can be restored: the run, and the backup.
    pub rollback: Option<(String, String)>,
    /// Why they cannot be looked at.
    pub problem: Option<String>,
}

/// A backup in a few words.
#[derive(Clone, Debug)]
pub struct LastBackup {
    /// Its id.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was restored and compared last, in milliseconds since 1970.
    pub verified_ms: Option<i64>,
    /// Until when it is kept, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// The whole picture.
#[derive(Clone, Debug)]
pub struct StatusReport {
    /// The database's address without secrets.
    pub database: String,
    /// `sqlite`, `postgres` or `mysql`.
    pub dialect: &'static str,
    /// The project's conventions: `whimbrel`, `wrangler`, `supabase`.
    pub format: &'static str,
    /// The folder of migrations.
    pub folder: String,
    /// The database does not exist yet.
    pub missing_database: bool,
    /// Which database it is, if it has a ledger.
    pub identity: Option<Identity>,
    /// The other tool whose history is kept true.
    pub mirrored: Option<&'static str>,
    /// Who writes now.
    pub lease: Option<LeaseInfo>,
    /// What is kept for the way back, if anything is.
    pub kept: Option<KeptSpace>,
    /// Every migration, in order; those without a file last.
    pub migrations: Vec<StatusLine>,
    /// What is wrong with the files, and what is worth knowing about them.
    pub issues: Vec<DirectoryIssue>,
    /// Restores in place of this database, oldest first.
    pub restores: Vec<KeptDatabase>,
    /// The backups of this database.
    pub backups: BackupsLine,
    /// The backup of which a restore is filling this database, or has left it half filled; and
    /// whether it takes the place of what was there.
    pub restoring: Option<(String, bool)>,
}

impl StatusReport {
    /// How many migrations are pending or begun.
    pub fn pending(&self) -> usize {
        self.migrations.iter().filter(|line| !line.state.is_applied()).count()
    }

    /// Whether something must be looked at: changed files, interrupted migrations, errors.
    pub fn has_findings(&self) -> bool {
        let odd = self
            .migrations
            .iter()
            .any(|line| matches!(line.state, State::AppliedChanged | State::Partial { .. }));
        odd || self.issues.iter().any(|issue| issue.severity == Severity::Error)
    }
}

impl Project {
    /// Reads files and ledger and compares them. Changes nothing.
    pub async fn status(&self) -> Result<StatusReport, EngineError> {
        let mut session = self.connect_to_read().await?;
        let picture = self.picture(session.as_mut()).await?;
        let lease = match (&mut session, &picture.identity) {
            (Some(session), Some(_)) => lease::read(&self.ledger, session.as_mut()).await?,
            _ => None,
        };
        let kept = match &mut session {
            Some(session) if picture.identity.is_some() => {
                self.kept_space(session.as_mut()).await?
            }
            _ => None,
        };
        let mut progress = match &mut session {
            Some(session) if picture.identity.is_some() => self.progress(session.as_mut()).await?,
            _ => Vec::new(),
        };
        let restores = match &mut session {
            Some(session) if picture.identity.is_some() => self.restores(session.as_mut()).await?,
            _ => Vec::new(),
        };
        let restoring = match &mut session {
            Some(session) => self.restoring(session.as_mut()).await?,
            None => None,
        };
        let mut backups = match (&mut session, &picture.identity) {
            (Some(session), Some(one)) => self.backups_line(session.as_mut(), one).await?,
            _ => BackupsLine::default(),
        };
        backups.bytes += restores.iter().map(|one| one.bytes).sum::<u64>();
        let migrations = picture
            .compared
            .iter()
            .map(|one| {
                let file = picture.files.directory.get(&one.name);
                let recorded = one.recorded.as_ref().filter(|recorded| recorded.is_applied());
                let of_it = progress.iter().position(|(name, _)| *name == one.name);
                let partial = matches!(one.state, State::Partial { .. });
                StatusLine {
                    progress: of_it.filter(|_| partial).map(|at| progress.swap_remove(at).1),
                    name: one.name.clone(),
                    version: file.map_or_else(
                        || recorded.map_or_else(String::new, |found| found.row.version.clone()),
                        |file| file.id.version(),
                    ),
                    kind: file.map_or("schema", |file| file.id.kind.name()).to_owned(),
                    state: one.state.clone(),
                    applied_at_ms: recorded.map(|found| found.row.at_ms),
                    applied_by: recorded.map(|found| found.row.actor.clone()),
                    has_down: file.is_some_and(|file| file.down.is_some()),
                }
            })
            .collect();
        Ok(StatusReport {
            database: self.backend.label(),
            dialect: self.ledger.dialect.name(),
            format: self.options.layout.format.name(),
            folder: self.options.layout.migrations.clone(),
            missing_database: session.is_none(),
            identity: picture.identity,
            mirrored: self.mirror.as_ref().map(Mirror::tool),
            // A process that is known to be dead is not at it, whatever its row says.
            lease: lease.filter(|info| info.left_ms > 0 && !self.owner.knows_dead(&info.owner)),
            kept,
            migrations,
            issues: picture.files.issues,
            restores,
            backups,
            restoring,
        })
    }

    #[cfg(not(feature = "sqlite"))]
    async fn backups_line(
        &self,
        _session: &mut dyn Session,
        _identity: &Identity,
    ) -> Result<BackupsLine, EngineError> {
        Ok(BackupsLine::default())
    }

    #[cfg(not(feature = "sqlite"))]
    pub(super) async fn restores(
        &self,
        _session: &mut dyn Session,
    ) -> Result<Vec<KeptDatabase>, EngineError> {
        Ok(Vec::new())
    }

    #[cfg(not(feature = "sqlite"))]
    async fn restoring(
        &self,
        _session: &mut dyn Session,
    ) -> Result<Option<(String, bool)>, EngineError> {
        Ok(None)
    }

    /// How far the batches are of migrations that have begun, by file name.
    async fn progress(
        &self,
        session: &mut dyn Session,
    ) -> Result<Vec<(String, DataProgress)>, EngineError> {
        if !self.has_batches(session).await? {
            return Ok(Vec::new());
        }
        let attempts = self.ledger.table("attempts");
        let sql = format!(
            "SELECT c.migration, c.statement_index, c.batches, c.rows_read, c.details, \
             c.rows_quarantined, a.error FROM {} c \
             LEFT JOIN {attempts} a ON a.seq = (SELECT max(f.seq) FROM {attempts} f \
             WHERE f.migration = c.migration AND f.direction = 'up' \
             AND f.statement_index = c.statement_index AND f.event = 'failed') \
             WHERE c.direction = 'up' AND c.state = 'running' ORDER BY c.seq",
            self.ledger.table("cursors")
        );
        let rows = session.query(&sql).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let count = |index| u64::try_from(number(row, index)).unwrap_or(0);
                let details: serde_json::Value =
                    serde_json::from_str(&text(row, 4)).unwrap_or_default();
                let estimated = details.get("rows_estimated").and_then(serde_json::Value::as_u64);
                let progress = DataProgress {
                    statement: usize::try_from(number(row, 1)).unwrap_or(0) + 1,
                    batches: count(2),
                    rows_read: count(3),
                    rows_estimated: estimated.unwrap_or(0),
                    rows_quarantined: count(5),
                    stopped_by: row.get(6).cloned().flatten(),
                };
                (text(row, 0), progress)
            })
            .collect())
    }
}
