//! Schema and rows as text, by the databases' own dump programs, for comparing two databases.

use std::process::Command;

use super::client::Client;
use crate::failure::Result;
use crate::process::capture;

const SQLITE_TABLES: &str = "FROM sqlite_schema WHERE type = 'table' \
                             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                             AND name NOT LIKE 'whimbrel\\_%' ESCAPE '\\'";

pub(super) fn schema(client: &Client, name: &str) -> Result<String> {
    let text = match client {
        Client::Sqlite(_) => client.run(
            "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL \
             AND tbl_name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name;",
        )?,
        Client::Postgres(url) => pg_dump(url, "--schema-only")?,
        Client::Mariadb(_) | Client::MariadbRoot(_) => {
            let options = ["--no-data", "--routines", "--triggers"];
            without_counters(&mariadb_dump(client, name, &options)?)
        }
    };
    Ok(meaningful_lines(&text).join("\n"))
}

pub(super) fn rows(client: &Client, name: &str) -> Result<String> {
    let text = match client {
        Client::Sqlite(_) => sqlite_rows(client)?,
        Client::Postgres(url) => pg_dump(url, "--data-only")?,
        Client::Mariadb(_) | Client::MariadbRoot(_) => {
            let options = ["--no-create-info", "--skip-extended-insert", "--skip-triggers"];
            mariadb_dump(client, name, &options)?
        }
    };
    let mut lines = meaningful_lines(&text);
    lines.retain(|line| !line.starts_with("LOCK ") && !line.starts_with("UNLOCK "));
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

fn sqlite_rows(client: &Client) -> Result<String> {
    let names = client.run(&format!("SELECT name {SQLITE_TABLES} ORDER BY name;"))?;
    let mut script = String::from(".headers off\n");
    for name in names.lines() {
        let quoted = name.replace('"', "\"\"");
        script.push_str(&format!(".mode insert \"{quoted}\"\nSELECT * FROM \"{quoted}\";\n"));
    }
    client.run(&script)
}

fn pg_dump(url: &str, what: &str) -> Result<String> {
    let mut command = Command::new("pg_dump");
    command.args(["--no-owner", "--no-privileges", "--column-inserts", "-N", "whimbrel"]);
    capture(command.args([what, "-d", url]), "")
}

fn mariadb_dump(client: &Client, name: &str, options: &[&str]) -> Result<String> {
    let own = client.run(&format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = '{name}' \
         AND table_name LIKE 'whimbrel\\_%';"
    ))?;
    let mut command = Command::new("mariadb-dump");
    command.args(["--no-defaults", "--skip-comments", "--skip-dump-date", "--no-tablespaces"]);
    command.args(["--skip-add-drop-table", "--skip-add-locks", "--complete-insert"]);
    command.arg("--skip-disable-keys").args(options);
    command.args(own.lines().map(|table| format!("--ignore-table={name}.{table}")));
    capture(command.args(client.mariadb_arguments()), "")
}

/// MariaDB prints the next number of a table with its schema; it says nothing about the schema.
fn without_counters(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for (index, part) in text.split(" AUTO_INCREMENT=").enumerate() {
        let digits = if index == 0 { "" } else { "0123456789" };
        result.push_str(part.trim_start_matches(|c| digits.contains(c)));
    }
    result
}

/// Drops comments, empty lines and the guard lines with random words that newer dumps contain.
fn meaningful_lines(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("--"))
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .filter(|line| !line.starts_with("/*!4") && !line.starts_with("/*M!"))
        .filter(|line| !is_session_setting(line))
        .collect()
}

/// What `pg_dump` sets for the session that reads the dump. Other lines that begin with `SET` may
/// be part of a function's body.
fn is_session_setting(line: &str) -> bool {
    const NAMES: [&str; 12] = [
        "check_function_bodies",
        "client_encoding",
        "client_min_messages",
        "default_table_access_method",
        "default_tablespace",
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "row_security",
        "standard_conforming_strings",
        "statement_timeout",
        "transaction_timeout",
        "xmloption",
    ];
    let set = line.strip_prefix("SET ").and_then(|rest| rest.split_once(" = "));
    line.starts_with("SELECT pg_catalog.set_config('search_path'")
        || set.is_some_and(|(name, _)| NAMES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_removed() {
        let text = ") ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4;";
        assert_eq!(without_counters(text), ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;");
        assert_eq!(without_counters("1 2"), "1 2");
    }

    #[test]
    fn noise_is_removed() {
        let text =
            "-- comment\n\nSET row_security = off;\n\\restrict x\n/*!40101 SET b */;\nSET a = 1";
        assert_eq!(meaningful_lines(text), ["SET a = 1"]);
    }
}
