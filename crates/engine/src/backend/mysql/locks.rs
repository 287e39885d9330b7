//! Other sessions: telling one from its successor, ending it, and seeing whom it waits for.

use std::time::{Duration, Instant};

use super::client::Client;
use crate::backend::{DbError, DbErrorKind, Limits, Row};

/// Waiting without end, in seconds: the longest that the server knows.
const ENDLESS_S: u64 = 31_536_000;

/// How far two readings of the same server's start may differ, in seconds.
const START_S_TOLERANCE: u64 = 2;
/// How long an ended session is waited for, in milliseconds.
const END_MS_MAX: u128 = 2_000;
/// How often it is looked for meanwhile, in milliseconds.
const END_LOOK_MS: u64 = 50;
/// Most sessions that are named as blockers.
const BLOCKERS_MAX: usize = 5;
/// Longest piece of another session's statement that is shown, in characters.
const STATEMENT_CHARS_MAX: usize = 120;

/// The statement that bounds those that follow it; `None` where there is nothing to say. MySQL can
/// bound the running time of queries only, and older servers not even that.
pub(super) fn limit_sql(limits: Limits, mariadb: bool, version: (u16, u16)) -> Option<String> {
    let mut set = Vec::new();
    if let Some(ms) = limits.lock_ms {
        let seconds = if ms == 0 { ENDLESS_S } else { ms.div_ceil(1_000).min(ENDLESS_S) };
        set.push(format!("lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}"));
    }
    if let Some(ms) = limits.statement_ms {
        if mariadb && version >= (10, 1) {
            let ms = ms.min(ENDLESS_S * 1_000);
            set.push(format!("max_statement_time = {}.{:03}", ms / 1_000, ms % 1_000));
        } else if !mariadb && version >= (5, 7) {
            set.push(format!("max_execution_time = {}", ms.min(u64::from(u32::MAX))));
        }
    }
    (!set.is_empty()).then(|| format!("SET SESSION {}", set.join(", ")))
}

/// A session by its number, which a server gives again after a restart, and by the start and the
/// host of the server that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionName {
    pub(super) id: u64,
    pub(super) started_s: u64,
    pub(super) host: String,
}

impl SessionName {
    /// Reads `id/started/host`.
    pub(super) fn parse(text: &str) -> Option<SessionName> {
        let mut parts = text.splitn(3, '/');
        let id = parts.next()?.parse().ok()?;
        let started_s = parts.next()?.parse().ok()?;
        Some(SessionName { id, started_s, host: parts.next()?.to_owned() })
    }

    /// The form that the lease keeps.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}", self.id, self.started_s, self.host)
    }

    /// Whether both were given by the same server since the same start of it.
    fn same_server(&self, other: &SessionName) -> bool {
        self.host == other.host && self.started_s.abs_diff(other.started_s) <= START_S_TOLERANCE
    }
}

/// The expression for a status value of the server.
pub(super) fn status_value(mariadb: bool, name: &str) -> String {
    let schema = if mariadb { "information_schema" } else { "performance_schema" };
    format!("(SELECT VARIABLE_VALUE FROM {schema}.global_status WHERE VARIABLE_NAME = '{name}')")
}

/// The query for this session's name. The server's start is exact: its uptime is measured by the
/// same clock as the time of the statement.
pub(super) fn name_sql(mariadb: bool) -> String {
    let uptime = status_value(mariadb, "Uptime");
    format!(
        "SELECT CONNECTION_ID(), \
         TIMESTAMPDIFF(SECOND, '1970-01-01', UTC_TIMESTAMP()) - {uptime}, @@hostname"
    )
}

/// Reads the row of [`name_sql`].
pub(super) fn name_of(row: &Row) -> Option<SessionName> {
    let number = |at: usize| row.get(at)?.as_deref()?.parse::<f64>().ok();
    Some(SessionName {
        id: row.first()?.as_deref()?.parse().ok()?,
        // Whole seconds since 1970 fit.
        started_s: number(1).map(|value| value.round() as u64)?,
        host: row.get(2).cloned().flatten().unwrap_or_default(),
    })
}

/// Ends the session `text`, if it is still there and may be ended. True when it is gone.
pub(super) async fn end(client: &mut Client, text: &str) -> Result<bool, DbError> {
    let Some(target) = SessionName::parse(text) else {
        // Not one that this backend wrote; nothing is known about it.
        return Ok(false);
    };
    let sets = client.sets(&name_sql(client.is_mariadb())).await?;
    let own = sets.first().and_then(|rows| rows.first()).and_then(name_of);
    let Some(own) = own else { return Ok(false) };
    if !own.same_server(&target) {
        // The server was restarted, or this is its successor; no session lived through that.
        return Ok(true);
    }
    if own.id == target.id {
        // This very connection, which is not running anything else.
        return Ok(true);
    }
    let began = Instant::now();
    loop {
        // Asking again is also the way to see whether it is gone: it needs no right to look at the
        // list of sessions.
        match client.batch(&format!("KILL CONNECTION {}", target.id)).await {
            Ok(()) => {}
            Err(error) if code_of(&error) == Some(1094) => return Ok(true),
            Err(error) if error.kind == DbErrorKind::Permission => return Ok(false),
            Err(error) => return Err(error),
        }
        if began.elapsed().as_millis() > END_MS_MAX {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(END_LOOK_MS)).await;
    }
}

fn code_of(error: &DbError) -> Option<u16> {
    error.code.as_deref()?.split(' ').next()?.parse().ok()
}

/// How many sessions wait for locks that the session `text` holds. It needs the PROCESS privilege.
pub(super) async fn waiters(client: &mut Client, text: &str) -> Result<u64, DbError> {
    let Some(target) = SessionName::parse(text) else { return Ok(0) };
    let (waits, requesting, blocking) = if client.is_mariadb() {
        ("information_schema.innodb_lock_waits", "requesting_trx_id", "blocking_trx_id")
    } else {
        (
            "performance_schema.data_lock_waits",
            "REQUESTING_ENGINE_TRANSACTION_ID",
            "BLOCKING_ENGINE_TRANSACTION_ID",
        )
    };
    let sql = format!(
        "SELECT count(DISTINCT w.{requesting}) FROM {waits} w \
         JOIN information_schema.innodb_trx b ON b.trx_id = w.{blocking} \
         WHERE b.trx_mysql_thread_id = {}",
        target.id
    );
    let sets = client.sets(&sql).await?;
    let count = sets.first().and_then(|rows| rows.first()?.first()?.as_deref()?.parse().ok());
    Ok(count.unwrap_or(0))
}

/// Who holds the locks that the session `text` waits for, in words.
pub(super) async fn blockers(client: &mut Client, text: &str) -> Result<Vec<String>, DbError> {
    let Some(target) = SessionName::parse(text) else { return Ok(Vec::new()) };
    let (id, mariadb) = (target.id, client.is_mariadb());
    let sql = format!("SELECT STATE, INFO FROM information_schema.processlist WHERE ID = {id}");
    let sets = client.sets(&sql).await?;
    let Some(row) = sets.first().and_then(|rows| rows.first()) else { return Ok(Vec::new()) };
    let state = row.first().cloned().flatten().unwrap_or_default().to_ascii_lowercase();
    let statement = row.get(1).cloned().flatten().unwrap_or_default();
    let found = named(client, &row_lock_sql(mariadb, id), "").await;
    if !found.is_empty() {
        return Ok(found);
    }
    // `Waiting for table metadata lock`, `... backup lock`, `... table level lock`, and so on.
    if !(state.contains("waiting for") && state.contains("lock")) {
        return Ok(Vec::new());
    }
    let found = metadata_blockers(client, mariadb, id, &statement).await;
    if !found.is_empty() {
        return Ok(found);
    }
    let found = named(client, &open_transactions_sql(id), "perhaps ").await;
    if !found.is_empty() {
        return Ok(found);
    }
    // Without the PROCESS privilege only the own account's sessions are seen, without their
    // transactions.
    Ok(named(client, &others_sql(id), "perhaps ").await)
}

/// Columns that [`described`] reads, from `information_schema.processlist p`.
const WHO: &str = "p.ID, p.USER, p.HOST, p.COMMAND, p.TIME, p.INFO";

fn row_lock_sql(mariadb: bool, id: u64) -> String {
    if mariadb {
        format!(
            "SELECT DISTINCT {WHO} FROM information_schema.innodb_lock_waits w \
             JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id \
             JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id \
             JOIN information_schema.processlist p ON p.ID = b.trx_mysql_thread_id \
             WHERE r.trx_mysql_thread_id = {id} LIMIT {BLOCKERS_MAX}"
        )
    } else {
        format!(
            "SELECT DISTINCT {WHO} FROM performance_schema.data_lock_waits w \
             JOIN performance_schema.threads r ON r.THREAD_ID = w.REQUESTING_THREAD_ID \
             JOIN performance_schema.threads b ON b.THREAD_ID = w.BLOCKING_THREAD_ID \
             JOIN information_schema.processlist p ON p.ID = b.PROCESSLIST_ID \
             WHERE r.PROCESSLIST_ID = {id} LIMIT {BLOCKERS_MAX}"
        )
    }
}

/// Sessions with a lock on the definition of a table that the waiting statement names. MariaDB
/// shows these locks only with its plugin `metadata_lock_info`.
async fn metadata_blockers(
    client: &mut Client,
    mariadb: bool,
    id: u64,
    statement: &str,
) -> Vec<String> {
    let sql = if mariadb {
        format!(
            "SELECT DISTINCT {WHO}, m.TABLE_NAME FROM information_schema.metadata_lock_info m \
             JOIN information_schema.processlist p ON p.ID = m.THREAD_ID \
             WHERE m.THREAD_ID <> {id}"
        )
    } else {
        format!(
            "SELECT DISTINCT {WHO}, m.OBJECT_NAME FROM performance_schema.metadata_locks m \
             JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
             JOIN information_schema.processlist p ON p.ID = t.PROCESSLIST_ID \
             WHERE m.LOCK_STATUS = 'GRANTED' AND m.OBJECT_TYPE IN ('TABLE', 'GLOBAL') \
             AND t.PROCESSLIST_ID NOT IN ({id}, CONNECTION_ID())"
        )
    };
    let Ok(sets) = client.sets(&sql).await else { return Vec::new() };
    let statement = statement.to_lowercase();
    let mut out = Vec::new();
    for row in sets.into_iter().flatten() {
        let table = row.get(6).cloned().flatten().unwrap_or_default();
        let line = described(&row, "");
        // A lock without a table is the global read lock.
        if statement.contains(&table.to_lowercase()) && !out.contains(&line) {
            out.push(line);
        }
    }
    out.truncate(BLOCKERS_MAX);
    out
}

fn open_transactions_sql(id: u64) -> String {
    format!(
        "SELECT {WHO} FROM information_schema.innodb_trx b \
         JOIN information_schema.processlist p ON p.ID = b.trx_mysql_thread_id \
         WHERE p.ID NOT IN ({id}, CONNECTION_ID()) ORDER BY b.trx_started LIMIT {BLOCKERS_MAX}"
    )
}

fn others_sql(id: u64) -> String {
    format!(
        "SELECT {WHO} FROM information_schema.processlist p \
         WHERE p.ID NOT IN ({id}, CONNECTION_ID()) AND p.DB = DATABASE() \
         AND p.COMMAND NOT IN ('Daemon', 'Binlog Dump') ORDER BY p.TIME DESC LIMIT {BLOCKERS_MAX}"
    )
}

/// The sessions that a query names; nothing when this account or server does not allow it.
async fn named(client: &mut Client, sql: &str, prefix: &str) -> Vec<String> {
    match client.sets(sql).await {
        Ok(sets) => sets.iter().flatten().map(|row| described(row, prefix)).collect(),
        Err(_) => Vec::new(),
    }
}

/// `connection 12 (app@localhost, Sleep 42 s): UPDATE ...`
fn described(row: &Row, prefix: &str) -> String {
    let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
    let host = text(2).rsplit_once(':').map_or(text(2), |(host, _)| host);
    let who = format!("{}@{host}, {} {} s", text(1), text(3), text(4));
    let mut out = format!("{prefix}connection {} ({who})", text(0));
    let statement = shown_statement(text(5));
    if !statement.is_empty() {
        out.push_str(": ");
        out.push_str(&statement);
    }
    out
}

/// Another session's statement on one line, cut, without what may be a password.
fn shown_statement(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let upper = sql.to_ascii_uppercase();
    if upper.contains("IDENTIFIED") || upper.contains("PASSWORD") {
        let first: Vec<&str> = words.into_iter().take(2).collect();
        return format!("{} ...", first.join(" "));
    }
    let line = words.join(" ");
    let mut out: String = line.chars().take(STATEMENT_CHARS_MAX).collect();
    if out.len() < line.len() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_servers_start() {
        let one = SessionName { id: 12, started_s: 1_700_000_000, host: "db/1".into() };
        assert_eq!(SessionName::parse(&one.text()), Some(one.clone()));
        assert!(one.same_server(&SessionName { started_s: 1_700_000_002, ..one.clone() }));
        assert!(!one.same_server(&SessionName { started_s: 1_700_000_003, ..one.clone() }));
        assert!(!one.same_server(&SessionName { host: "db2".into(), ..one.clone() }));
        assert_eq!(SessionName::parse("12"), None);
        assert_eq!(SessionName::parse("x/1/y"), None);
    }

    #[test]
    fn statements_of_others_are_cut_and_hide_passwords() {
        assert_eq!(shown_statement("UPDATE t\n  SET a = 1"), "UPDATE t SET a = 1");
        assert_eq!(shown_statement("CREATE USER x IDENTIFIED BY 'pw'"), "CREATE USER ...");
        assert_eq!(shown_statement(&"é".repeat(200)), format!("{}...", "é".repeat(120)));
    }
}
