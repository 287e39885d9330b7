//! Other sessions of the same server: ending one, and who blocks one.

use std::time::{Duration, Instant};

use super::session::PgSession;
use crate::backend::{DbError, Row, Session};

/// How long a session is given to end, in milliseconds.
const END_MS_MAX: u64 = 2_000;
/// How often it is looked whether it is gone, in milliseconds.
const END_LOOK_MS: u64 = 40;
/// How much of a blocker's statement is shown, in characters.
const QUERY_CHARACTERS_MAX: usize = 80;

/// When a backend started, as the session's text has it: in UTC with microseconds, whatever the
/// session's time zone is.
pub(super) const BACKEND_START: &str =
    "pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')";

/// Whether a session of ours is there.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Gone,
    /// It is this one.
    Ours,
    /// It is there, and whether it may be ended.
    There(bool),
}

/// Ends the session of `text`, which is `pid/start`. A reused pid is left alone.
///
/// Raises no error where ending is not permitted, since that would abort the open transaction.
pub(super) async fn end(session: &mut PgSession, text: &str) -> Result<bool, DbError> {
    let Some((pid, start)) = parse(text) else { return Ok(true) };
    let began = Instant::now();
    let mut asked = false;
    loop {
        match look(session, pid, start).await? {
            Found::Gone | Found::Ours => return Ok(true),
            Found::There(may_end) if may_end && !asked => {
                session.query(&format!("SELECT pg_catalog.pg_terminate_backend({pid})")).await?;
                asked = true;
            }
            Found::There(_) if began.elapsed().as_millis() >= u128::from(END_MS_MAX) => {
                return Ok(false);
            }
            Found::There(_) => tokio::time::sleep(Duration::from_millis(END_LOOK_MS)).await,
        }
    }
}

/// `pid/start`; `None` for a text that names no backend.
fn parse(text: &str) -> Option<(i32, &str)> {
    let (pid, start) = text.split_once('/')?;
    let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
    let plain = start.bytes().all(|b| b.is_ascii_digit() || b"-T:.".contains(&b));
    (plain && !start.is_empty()).then_some((pid, start))
}

async fn look(session: &mut PgSession, pid: i32, start: &str) -> Result<Found, DbError> {
    // Inside a transaction the view of other sessions is frozen until it is cleared.
    let sql = format!(
        "SELECT pg_catalog.pg_stat_clear_snapshot(); \
         SELECT a.pid = pg_catalog.pg_backend_pid(), {BACKEND_START} = '{start}', \
         me.rolsuper OR (NOT coalesce(r.rolsuper, false) AND \
         (pg_catalog.pg_has_role(a.usesysid, 'USAGE') OR \
         pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))) \
         FROM pg_catalog.pg_stat_activity a \
         JOIN pg_catalog.pg_roles me ON me.rolname = current_user \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid WHERE a.pid = {pid}"
    );
    let rows = session.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(Found::Gone) };
    // The start is hidden of the sessions of other accounts: it may be the one.
    match flag(row, 1) {
        Some(false) => Ok(Found::Gone),
        Some(true) if flag(row, 0) == Some(true) => Ok(Found::Ours),
        Some(true) => Ok(Found::There(flag(row, 2) == Some(true))),
        None => Ok(Found::There(false)),
    }
}

/// Who holds what the session of `text` waits for.
pub(super) async fn blockers(session: &mut PgSession, text: &str) -> Result<Vec<String>, DbError> {
    let Some((pid, _)) = parse(text) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT pg_catalog.pg_stat_clear_snapshot(); \
         SELECT b.pid, a.usename, a.application_name, a.state, greatest(0, \
         extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change))::bigint, \
         pg_catalog.left(a.query, 400) \
         FROM (SELECT DISTINCT pid FROM \
         pg_catalog.unnest(pg_catalog.pg_blocking_pids({pid})) AS p(pid)) b \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY b.pid"
    );
    Ok(session.query(&sql).await?.iter().map(describe).collect())
}

/// How many sessions wait for what the session of `text` holds. Locks are seen without any right.
pub(super) async fn waiters(session: &mut PgSession, text: &str) -> Result<u64, DbError> {
    let Some((pid, _)) = parse(text) else { return Ok(0) };
    let sql = format!(
        "SELECT count(DISTINCT l.pid) FROM pg_catalog.pg_locks l \
         WHERE NOT l.granted AND {pid} = ANY (pg_catalog.pg_blocking_pids(l.pid))"
    );
    let rows = session.query(&sql).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(0))
}

fn describe(row: &Row) -> String {
    let value =
        |index: usize| row.get(index).and_then(Option::as_deref).filter(|value| !value.is_empty());
    let pid = value(0).unwrap_or("0");
    if pid == "0" {
        // It has no process: only COMMIT PREPARED or ROLLBACK PREPARED ends it.
        return "a prepared transaction (see pg_prepared_xacts)".to_owned();
    }
    let mut facts: Vec<String> = value(1).map(|user| format!("user {user}")).into_iter().collect();
    facts.extend(value(2).map(str::to_owned));
    if let Some(state) = value(3) {
        facts.push(match value(4) {
            Some(seconds) => format!("{state} since {seconds} s"),
            None => state.to_owned(),
        });
    }
    let mut text = format!("pid {pid}");
    if !facts.is_empty() {
        text.push_str(&format!(" ({})", facts.join(", ")));
    }
    if let Some(query) = value(5).filter(|query| *query != "<insufficient privilege>") {
        text.push_str(&format!(": {}", shortened(query)));
    }
    text
}

/// On one line, cut where it gets long.
fn shortened(query: &str) -> String {
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUERY_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn flag(row: &Row, index: usize) -> Option<bool> {
    row.get(index).and_then(Option::as_deref).map(|value| value == "t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_backend_is_read() {
        let start = "2026-01-02T03:04:05.000006";
        assert_eq!(parse(&format!("12/{start}")), Some((12, start)));
        for text in ["", "12", "12/", "x/1", "0/1", "-1/1", "12/' OR true --"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn blockers_are_described() {
        let row = |values: &[&str]| -> Row {
            values.iter().map(|v| (*v != "-").then(|| (*v).to_owned())).collect()
        };
        assert_eq!(
            describe(&row(&["7", "app", "psql", "idle in transaction", "42", "SELECT  1\n"])),
            "pid 7 (user app, psql, idle in transaction since 42 s): SELECT 1"
        );
        assert_eq!(
            describe(&row(&["7", "a", "-", "-", "-", "<insufficient privilege>"])),
            "pid 7 (user a)"
        );
        assert!(describe(&row(&["0", "-", "-", "-", "-", "-"])).contains("prepared"));
        let long = "é".repeat(90);
        assert_eq!(shortened(&long), format!("{}…", "é".repeat(80)));
    }
}
