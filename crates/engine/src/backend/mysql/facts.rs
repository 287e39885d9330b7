//! What `doctor` shows of a server and of this connection.

use std::time::{SystemTime, UNIX_EPOCH};

use super::client::Client;
use super::locks::{name_of, name_sql};
use crate::backend::{DbError, Row, ServerFacts};

/// Most grants that are listed.
const GRANTS_MAX: usize = 8;

/// Variables that change how migrations behave. A server reports those that it has.
const VARIABLES: &[&str] = &[
    "sql_mode",
    "transaction_isolation",
    "tx_isolation",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
    "wait_timeout",
    "max_statement_time",
    "max_allowed_packet",
    "character_set_server",
    "collation_server",
    "character_set_database",
    "collation_database",
    "lower_case_table_names",
    "innodb_file_per_table",
    "foreign_key_checks",
    "time_zone",
    "system_time_zone",
    "log_bin",
    "read_only",
    "have_ssl",
    "wsrep_on",
];

/// Collects the facts. What the account may not see is left out.
pub(super) async fn facts(client: &mut Client) -> Result<ServerFacts, DbError> {
    let sql = format!(
        "SELECT VERSION(), @@version_comment, DATABASE(), CURRENT_USER(); {}",
        name_sql(client.is_mariadb())
    );
    let mut sets = client.sets(&sql).await?.into_iter();
    let server = sets.next().and_then(|rows| rows.into_iter().next()).unwrap_or_default();
    let session = sets.next().and_then(|rows| rows.first().and_then(name_of));
    let (version, comment) = (text(&server, 0), text(&server, 1));
    let pooled = comment
        .to_ascii_lowercase()
        .contains("proxysql")
        .then(|| "ProxySQL may change the connection between two statements".to_owned());
    Ok(ServerFacts {
        version: if comment.is_empty() { version } else { format!("{version} ({comment})") },
        database: text(&server, 2),
        user: server.get(3).cloned().flatten(),
        session: session.map(|name| name.text()),
        pooled,
        settings: settings(client).await?,
    })
}

async fn settings(client: &mut Client) -> Result<Vec<(String, String)>, DbError> {
    let names: Vec<String> = VARIABLES.iter().map(|name| format!("'{name}'")).collect();
    let sql = format!(
        "SHOW VARIABLES WHERE Variable_name IN ({}); SHOW SESSION STATUS LIKE 'Ssl_cipher'",
        names.join(", ")
    );
    let mut sets = client.sets(&sql).await?.into_iter();
    let found = sets.next().unwrap_or_default();
    let mut out = Vec::new();
    for name in VARIABLES {
        if let Some(row) = found.iter().find(|row| text(row, 0).eq_ignore_ascii_case(name)) {
            out.push(((*name).to_owned(), text(row, 1)));
            if *name == "sql_mode" {
                out.push(("strict".to_owned(), strictness(&text(row, 1)).to_owned()));
            }
        }
    }
    let cipher = sets.next().and_then(|rows| rows.first().map(|row| text(row, 1)));
    let cipher = cipher.filter(|cipher| !cipher.is_empty());
    out.push(("tls".to_owned(), cipher.unwrap_or_else(|| "not encrypted".to_owned())));
    out.push(("clock".to_owned(), clock(client).await?));
    if let Ok(sets) = client.sets("SHOW GRANTS").await {
        out.push(("grants".to_owned(), grants(sets.iter().flatten())));
    }
    Ok(out)
}

fn strictness(sql_mode: &str) -> &'static str {
    let is = |mode: &str| sql_mode.split(',').any(|word| word.eq_ignore_ascii_case(mode));
    if is("STRICT_ALL_TABLES") || is("TRADITIONAL") {
        "yes"
    } else if is("STRICT_TRANS_TABLES") {
        "yes, for transactional tables"
    } else {
        "no: a value that does not fit is cut with a warning, which Whimbrel takes for an error"
    }
}

/// The difference between the server's clock and this machine's.
async fn clock(client: &mut Client) -> Result<String, DbError> {
    let before = now_ms();
    let sql = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";
    let sets = client.sets(sql).await?;
    let after = now_ms();
    let value = sets.first().and_then(|rows| rows.first()).map(|row| text(row, 0));
    let Some(server) = value.and_then(|value| value.parse::<i64>().ok()) else {
        return Ok("unknown".to_owned());
    };
    // The server looked at its clock somewhere between the two.
    let difference = server - (before + after) / 2;
    let doubt = (after - before) / 2 + 1;
    Ok(format!("{difference:+} ms (within {doubt} ms)"))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What the account may do, without the password hashes that older servers print.
fn grants<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let all: Vec<String> = rows.map(|row| short_grant(&text(row, 0))).collect();
    let mut out = all.iter().take(GRANTS_MAX).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > GRANTS_MAX {
        out.push_str(&format!("; {} more", all.len() - GRANTS_MAX));
    }
    out
}

/// `GRANT SELECT ON a.* TO x IDENTIFIED ... WITH GRANT OPTION` as
/// `SELECT ON a.* WITH GRANT OPTION`.
fn short_grant(grant: &str) -> String {
    let option = if grant.ends_with("WITH GRANT OPTION") { " WITH GRANT OPTION" } else { "" };
    let what = grant.strip_prefix("GRANT ").unwrap_or(grant);
    let what = what.split(" TO ").next().unwrap_or(what);
    format!("{what}{option}")
}

fn text(row: &Row, at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_hide_passwords() {
        let grant = "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED BY PASSWORD \
                     '*6BB4' WITH GRANT OPTION";
        assert_eq!(short_grant(grant), "ALL PRIVILEGES ON *.* WITH GRANT OPTION");
        assert_eq!(short_grant("SET DEFAULT ROLE x FOR y"), "SET DEFAULT ROLE x FOR y");
    }

    #[test]
    fn strictness_is_read_from_the_mode() {
        assert_eq!(strictness("STRICT_TRANS_TABLES,NO_ZERO_DATE"), "yes, for transactional tables");
        assert!(strictness("").starts_with("no:"));
    }
}
