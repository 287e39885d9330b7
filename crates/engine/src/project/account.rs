//! `account`: the proof that each driving row of a data migration was moved, skipped by
//! declaration or set aside.

use super::Project;
use crate::backend::Session;
use crate::data::compared::EndsCompared;
use crate::data::key::shown_table;
use crate::error::EngineError;
use crate::ledger::{number, text};

/// Most keys of missing rows that are listed.
const MISSING_SHOWN_MAX: usize = 20;

/// The account of a data migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// File name of the migration.
    pub migration: String,
    /// One line for each statement that ran in batches.
    pub lines: Vec<AccountLine>,
    /// Driving rows that no statement of the file made anything of, by table.
    pub missing: Vec<MissingRows>,
    /// Rows in quarantine that are open.
    pub open: u64,
    /// What keeps the account from holding, in words.
    pub reasons: Vec<String>,
}

/// The account of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountLine {
    /// The statement, from 1.
    pub statement: usize,
    /// The driving table.
    pub table: String,
    /// Whether all of its batches are done.
    pub done: bool,
    /// Driving rows that were read.
    pub read: u64,
    /// Driving rows from which something came; for UPDATE and DELETE the rows changed.
    pub produced: u64,
    /// Rows that were to be inserted.
    pub staged: u64,
    /// Rows that were inserted, changed or deleted.
    pub written: u64,
    /// Driving rows set aside, as they are now.
    pub quarantined: u64,
    /// Driving rows that were declared to produce nothing.
    pub skipped: u64,
    /// Driving rows that produced nothing in this statement and were not declared to.
    pub missing: u64,
    /// It is an INSERT, or its rows were computed first: all driving rows must be accounted for.
    pub inserts: bool,
    /// It is an UPDATE or DELETE whose values were computed first; its missing rows are those that
    /// others have changed or deleted since.
    pub frozen: bool,
    /// With `source=`: both ends, held against what was read.
    pub ends: Option<EndsCompared>,
}

/// Driving rows of which nothing came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingRows {
    /// The driving table.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// Keys of some of them.
    pub keys: Vec<String>,
    /// Their new values were computed first, and others have changed or deleted them since.
    pub frozen: bool,
}

impl Account {
    /// Whether nothing was lost.
    pub fn holds(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Whether both ends of each statement with `source=` are what was read, as far as they were
    /// compared. That somebody has changed a row since is a finding; nothing was lost by it.
    pub fn ends_are_same(&self) -> bool {
        self.lines.iter().filter_map(|line| line.ends.as_ref()).all(EndsCompared::is_same)
    }
}

impl Project {
    /// The account of the data migration that the user calls `version`. With `compare` both ends
    /// of its statements with `source=` are read again; else it has what their last batches found.
    ///
    /// # Errors
    /// When there is no such migration, or the database cannot be read.
    pub async fn account(&self, version: &str, compare: bool) -> Result<Account, EngineError> {
        let name = self.name_of(Some(version))?.unwrap_or_default();
        let Some(mut session) = self.connect_to_read().await? else {
            return Err(EngineError::NotFound(format!("`{name}` has not run yet")));
        };
        let mut account = self.account_of(session.as_mut(), &name).await?;
        self.account_ends(session.as_mut(), &mut account, compare).await?;
        Ok(account)
    }

    /// The account of a migration by its file name.
    pub(super) async fn account_of(
        &self,
        session: &mut dyn Session,
        name: &str,
    ) -> Result<Account, EngineError> {
        let mut account = Account { migration: name.to_owned(), ..Account::default() };
        if !self.has_batches(session).await? {
            account.reasons.push(format!("`{name}` has not run yet"));
            return Ok(account);
        }
        let sql = format!(
            "SELECT statement_index, driving, state, rows_read, rows_produced, rows_staged, \
             rows_written, rows_quarantined, rows_skipped, rows_missing, details FROM {} \
             WHERE migration = {} AND direction = 'up' AND state <> 'undone' \
             ORDER BY statement_index, seq",
            self.ledger.table("cursors"),
            self.ledger.quote(name)
        );
        let rows = session.query(&sql).await?;
        let mut tables: Vec<(String, String, bool)> = Vec::new();
        for row in &rows {
            let count = |index| u64::try_from(number(row, index)).unwrap_or(0);
            let details: serde_json::Value =
                serde_json::from_str(&text(row, 10)).unwrap_or_default();
            let missing = details.get("missing_table").and_then(serde_json::Value::as_str);
            let frozen = details.get("frozen_change").and_then(serde_json::Value::as_bool);
            let line = AccountLine {
                statement: usize::try_from(number(row, 0)).unwrap_or(0) + 1,
                table: shown_table(&text(row, 1), self.ledger.dialect),
                done: text(row, 2) == "done",
                read: count(3),
                produced: count(4),
                staged: count(5),
                written: count(6),
                quarantined: count(7),
                skipped: count(8),
                missing: count(9),
                inserts: missing.is_some(),
                frozen: frozen == Some(true),
                ends: None,
            };
            if let Some(missing) = missing
                && !tables.iter().any(|(name, ..)| name == missing)
            {
                tables.push((missing.to_owned(), line.table.clone(), line.frozen));
            }
            account.lines.push(line);
        }
        for (missing, table, frozen) in tables {
            let mut found = self.missing_rows(session, &missing, table).await?;
            found.frozen = frozen;
            if found.rows > 0 {
                account.missing.push(found);
            }
        }
        let open = format!(
            "SELECT count(*) FROM {} WHERE migration = {} AND state = 'open'",
            self.ledger.table("quarantine"),
            self.ledger.quote(name)
        );
        let rows = session.query(&open).await?;
        account.open = rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0));
        let applied = self.ledger.read(session).await?.is_applied(name);
        account.reasons = reasons(&account, applied);
        Ok(account)
    }

    async fn missing_rows(
        &self,
        session: &mut dyn Session,
        missing: &str,
        table: String,
    ) -> Result<MissingRows, EngineError> {
        let missing = self.ledger.table(missing);
        let count = session.query(&format!("SELECT count(*) FROM {missing}")).await?;
        let rows = count.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0));
        let sql = format!("SELECT * FROM {missing} LIMIT {MISSING_SHOWN_MAX}");
        let keys = session
            .query(&sql)
            .await?
            .iter()
            .map(|row| {
                let parts: Vec<&str> =
                    row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
                parts.join(", ")
            })
            .collect();
        Ok(MissingRows { table, rows, keys, frozen: false })
    }
}

fn reasons(account: &Account, applied: bool) -> Vec<String> {
    let mut out = Vec::new();
    if !applied {
        out.push(format!("`{}` is not finished", account.migration));
    }
    for line in &account.lines {
        let statement = line.statement;
        if !line.done {
            out.push(format!("Statement {statement} is not finished"));
        }
        if !line.inserts {
            continue;
        }
        let accounted = line.produced + line.skipped + line.missing + line.quarantined;
        let first = line.missing > 0 || line.skipped > 0 || line.frozen;
        if first && accounted != line.read {
            out.push(format!(
                "Statement {statement}: {} driving rows were read, and {accounted} are accounted for",
                line.read
            ));
        }
        if line.staged != line.written {
            out.push(format!(
                "Statement {statement}: of {} rows to be inserted {} arrived",
                line.staged, line.written
            ));
        }
    }
    for missing in &account.missing {
        let why = match missing.frozen {
            true => "were changed or deleted by others after their new values were computed",
            false => "produced nothing and are not declared by `skips=`",
        };
        out.push(format!("{} rows of {} {why}", missing.rows, missing.table));
    }
    if account.open > 0 {
        out.push(format!("{} rows are in quarantine", account.open));
    }
    out
}
