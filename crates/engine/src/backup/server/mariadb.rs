//! MariaDB and MySQL: the snapshot, what there is in a database, what a restored one is made of.

use std::collections::BTreeMap;

use whimbrel_core::backup::{Contents, RowsOf};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use super::Seen;
use super::differ::{Column, Side};
use super::exchange::AWAY;
use super::rows::Table;
use crate::backend::{DbError, Session};
use crate::error::EngineError;
use crate::ledger::{number, text};

/// By which name the old rows of system-versioned tables are left out.
const HISTORY: &str = "history";
/// The table that says that a restore is at it.
pub(super) const MARKER: &str = "whimbrel_restoring";
/// A database that every account may connect to.
pub(super) const ALWAYS_THERE: [&str; 1] = ["information_schema"];
/// Number of the error for a database that is not there.
const UNKNOWN_DATABASE: &str = "1049";

/// What decides how values are written as text, and what could stop the work. Texts come as the
/// bytes that they are stored as.
const SETTINGS: &str = "SET NAMES utf8mb4; SET SESSION character_set_results = NULL, \
    time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600, net_read_timeout = 3600";

/// What lets in everything that was stored, also what a strict mode would refuse today, and leaves
/// out checks that have been made when the rows were written.
const LOAD_SETTINGS: &str = "SET NAMES utf8mb4; SET SESSION time_zone = '+00:00', \
    sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks = 0, \
    unique_checks = 0, net_write_timeout = 3600, net_read_timeout = 3600";

/// A part of the schema, as the dump program prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Tables, views, routines.
    Before,
    /// Triggers.
    After,
    /// Events.
    Events,
}

/// Prepares a session that reads rows as text.
pub(super) async fn prepare(session: &mut dyn Session) -> Result<(), DbError> {
    session.batch(SETTINGS).await?;
    no_limit(session).await
}

/// Prepares a session that writes rows from text.
pub(super) async fn prepare_load(session: &mut dyn Session) -> Result<(), DbError> {
    session.batch(LOAD_SETTINGS).await?;
    no_limit(session).await?;
    if is_mariadb(session).await? {
        session.batch("SET SESSION check_constraint_checks = 0").await?;
    }
    Ok(())
}

async fn is_mariadb(session: &mut dyn Session) -> Result<bool, DbError> {
    let rows = session.query("SELECT VERSION()").await?;
    Ok(rows.first().is_some_and(|row| text(row, 0).contains("MariaDB")))
}

/// A statement may take as long as it takes.
async fn no_limit(session: &mut dyn Session) -> Result<(), DbError> {
    let limit =
        if is_mariadb(session).await? { "max_statement_time" } else { "max_execution_time" };
    session.batch(&format!("SET SESSION {limit} = 0")).await
}

/// Begins the transaction whose picture is saved; the tables.
pub(super) async fn begin(session: &mut dyn Session) -> Result<Vec<Table>, EngineError> {
    prepare(session).await?;
    session
        .batch(
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
             START TRANSACTION WITH CONSISTENT SNAPSHOT",
        )
        .await?;
    tables(session).await
}

/// A question that has a row where the database has a table of this name, one of ours.
pub(super) fn has_table(name: &str) -> String {
    format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND table_name = '{name}'"
    )
}

/// The tables, ordered by name.
pub(super) async fn tables(session: &mut dyn Session) -> Result<Vec<Table>, EngineError> {
    let sql = format!(
        "SELECT t.table_name, COALESCE(t.data_length, 0) FROM information_schema.tables t \
         WHERE t.table_schema = DATABASE() AND t.table_name <> '{MARKER}' \
         AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY BINARY t.table_name"
    );
    let names = session.query(&sql).await?;
    let sql = "SELECT table_name, column_name FROM information_schema.columns \
        WHERE table_schema = DATABASE() AND COALESCE(generation_expression, '') = '' \
        AND extra NOT LIKE '%GENERATED%' ORDER BY table_name, ordinal_position";
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.query(sql).await? {
        columns.entry(text(&row, 0)).or_default().push(text(&row, 1));
    }
    let table = |row: &Vec<Option<String>>| {
        let table = text(row, 0);
        let columns = columns.get(&table).cloned().unwrap_or_default();
        let rows = RowsOf { table, columns, ..RowsOf::default() };
        Table { rows, slice: None, bytes: u64::try_from(number(row, 1)).unwrap_or(0) }
    };
    Ok(names.iter().map(table).collect())
}

/// The tables with their keys, by the name that the application knows, for a comparison.
pub(super) async fn sides(
    session: &mut dyn Session,
) -> Result<BTreeMap<String, Side>, EngineError> {
    prepare(session).await?;
    let mut sides = BTreeMap::new();
    for table in tables(session).await? {
        let from = quoted(&table.rows.table);
        let side = Side { from, key: Vec::new(), columns: BTreeMap::new() };
        sides.insert(table.rows.table, (table.rows.columns, side));
    }
    let sql = "SELECT c.table_name, c.column_name, c.data_type, c.column_default, \
        k.ordinal_position, VERSION() LIKE '%MariaDB%' FROM information_schema.columns c \
        LEFT JOIN information_schema.key_column_usage k ON k.table_schema = c.table_schema \
        AND k.table_name = c.table_name AND k.column_name = c.column_name \
        AND k.constraint_name = 'PRIMARY' WHERE c.table_schema = DATABASE() \
        ORDER BY k.ordinal_position";
    for row in session.query(sql).await? {
        let Some((columns, side)) = sides.get_mut(&text(&row, 0)) else { continue };
        let name = text(&row, 1);
        if !columns.contains(&name) {
            continue;
        }
        if row.get(4).is_some_and(Option::is_some) {
            side.key.push(name.clone());
        }
        // A FLOAT is printed with six digits; as a DOUBLE with all that it has.
        let is_float = text(&row, 2).eq_ignore_ascii_case("float");
        let times = if is_float { " * 1e0" } else { "" };
        let value = format!("({}{times})", quoted(&name));
        // What a function gives may be another value for each row; MySQL gives texts without
        // quotes, so that nobody can tell.
        let default = row.get(3).cloned().flatten().filter(|one| !one.contains('('));
        let default = default.filter(|_| text(&row, 5) == "1");
        side.columns.insert(name, Column { value, default });
    }
    let plain = |name: String| name.strip_prefix(AWAY).map_or_else(|| name.clone(), str::to_owned);
    Ok(sides.into_iter().map(|(name, (_, side))| (plain(name), side)).collect())
}

/// Tables whose storage engine knows no snapshot.
pub(super) async fn not_in_snapshot(session: &mut dyn Session) -> Result<Vec<String>, EngineError> {
    let sql = "SELECT table_name FROM information_schema.tables \
        WHERE table_schema = DATABASE() AND engine <> 'InnoDB' AND engine IS NOT NULL \
        AND table_type <> 'SEQUENCE'";
    Ok(session.query(sql).await?.iter().map(|row| text(row, 0)).collect())
}

/// What is there besides tables, by the names by which it can be left out.
pub(super) async fn others(session: &mut dyn Session) -> Result<Seen, EngineError> {
    let mut seen = Seen::default();
    let versioned = "SELECT COUNT(*) FROM information_schema.tables \
        WHERE table_schema = DATABASE() AND table_type = 'SYSTEM VERSIONED'";
    if session.query(versioned).await?.first().is_some_and(|row| number(row, 0) > 0) {
        seen.refused.push(HISTORY.to_owned());
    }
    let grants = "SELECT DISTINCT grantee FROM (SELECT grantee, table_schema \
        FROM information_schema.schema_privileges UNION ALL SELECT grantee, table_schema \
        FROM information_schema.table_privileges) g WHERE table_schema = DATABASE() ORDER BY 1";
    let names: Vec<String> = session.query(grants).await?.iter().map(|row| text(row, 0)).collect();
    if !names.is_empty() {
        seen.left_out.push(format!("Privileges granted to {}", names.join(", ")));
    }
    Ok(seen)
}

/// What a new database must be made with.
pub(super) async fn database(
    session: &mut dyn Session,
) -> Result<BTreeMap<String, String>, EngineError> {
    let sql = "SELECT schema_name, default_character_set_name, default_collation_name, VERSION() \
        FROM information_schema.schemata WHERE schema_name = DATABASE()";
    let row = session.query(sql).await?.pop().unwrap_or_default();
    let values = ["name", "charset", "collation", "version"].iter().zip(row);
    Ok(values.filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect())
}

/// The statement that makes a database like the saved one.
pub(super) fn create_database(name: &str, like: &BTreeMap<String, String>) -> String {
    let mut sql = format!("CREATE DATABASE {}", quoted(name));
    for (word, key) in [("CHARACTER SET", "charset"), ("COLLATE", "collation")] {
        if let Some(value) = like.get(key) {
            sql.push_str(&format!(" {word} {}", quoted(value)));
        }
    }
    sql
}

/// The statements that set all sequences to where they stand.
pub(super) async fn sequences(session: &mut dyn Session) -> Result<String, EngineError> {
    let sql = "SELECT table_name FROM information_schema.tables \
        WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE' ORDER BY BINARY table_name";
    let mut out = String::new();
    for row in session.query(sql).await? {
        let name = quoted(&text(&row, 0));
        let sql = format!("SELECT next_not_cached_value, cycle_count FROM {name}");
        let row = session.query(&sql).await?.pop().unwrap_or_default();
        let (next, round) = (text(&row, 0), text(&row, 1));
        out.push_str(&format!("SELECT SETVAL({name}, {next}, 0, {round});\n"));
    }
    Ok(out)
}

/// The first thing of a user's in the database; none when it is empty.
pub(super) async fn occupied(session: &mut dyn Session) -> Result<Option<String>, EngineError> {
    let sql = format!(
        "SELECT table_name FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name <> '{MARKER}' \
         UNION ALL SELECT routine_name FROM information_schema.routines \
         WHERE routine_schema = DATABASE() \
         UNION ALL SELECT event_name FROM information_schema.events \
         WHERE event_schema = DATABASE() LIMIT 1"
    );
    Ok(session.query(&sql).await?.first().map(|row| text(row, 0)))
}

/// Removes everything from a database that cannot be removed itself.
pub(super) async fn wipe(session: &mut dyn Session) -> Result<(), EngineError> {
    let sql = format!(
        "SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' \
         ELSE 'TABLE' END, table_name FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name <> '{MARKER}' \
         UNION ALL SELECT routine_type, routine_name FROM information_schema.routines \
         WHERE routine_schema = DATABASE() \
         UNION ALL SELECT 'EVENT', event_name FROM information_schema.events \
         WHERE event_schema = DATABASE()"
    );
    let there = session.query(&sql).await?;
    session.batch("SET SESSION foreign_key_checks = 0").await?;
    for row in there {
        let (kind, name) = (text(&row, 0), quoted(&text(&row, 1)));
        session.batch(&format!("DROP {kind} IF EXISTS {name}")).await?;
    }
    session.batch(&format!("DROP TABLE {MARKER}; SET SESSION foreign_key_checks = 1")).await?;
    Ok(())
}

/// The arguments of the dump program for one section of the schema of `database`.
pub(super) fn dump_arguments(section: Section, database: &str, mariadb: bool) -> Vec<String> {
    let mut out: Vec<String> = [
        "--no-data",
        "--single-transaction",
        "--skip-lock-tables",
        "--skip-add-drop-table",
        "--skip-add-locks",
        "--skip-disable-keys",
        "--skip-dump-date",
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
    ]
    .map(str::to_owned)
    .to_vec();
    let more: &[&str] = match section {
        Section::Before => &["--routines", "--skip-triggers", "--skip-events"],
        Section::After => &["--no-create-info", "--triggers", "--skip-routines", "--skip-events"],
        Section::Events => &["--no-create-info", "--skip-triggers", "--skip-routines", "--events"],
    };
    out.extend(more.iter().map(|word| (*word).to_owned()));
    if !mariadb {
        out.extend(["--set-gtid-purged=OFF", "--column-statistics=0"].map(str::to_owned));
    }
    out.push(format!("--ignore-table={database}.{MARKER}"));
    out.push("--".to_owned());
    out.push(database.to_owned());
    out
}

/// The arguments of the client that runs a text in `database`.
pub(super) fn client_arguments(database: &str) -> Vec<String> {
    // Without `--comments` it takes the comments out of the code of routines.
    let words = ["--batch", "--comments", "--default-character-set=utf8mb4"];
    let mut out: Vec<String> = words.map(str::to_owned).to_vec();
    out.push(format!("--database={database}"));
    out
}

/// Whether the dump program has come to its end: its last line says so.
pub(super) fn is_complete(dump: &[u8]) -> bool {
    super::ends_with_line(dump, "-- Dump completed")
}

/// The text with the name of the saved database, which stands where a trigger, routine or event was
/// made under another character set, replaced by that of the restored one.
pub(super) fn renamed(text: Vec<u8>, contents: &Contents, database: &str) -> Vec<u8> {
    let Some(saved) = contents.database.get("name") else { return text };
    let from = format!("ALTER DATABASE {} ", quoted(saved)).into_bytes();
    let to = format!("ALTER DATABASE {} ", quoted(database)).into_bytes();
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(from.as_slice()) {
            Some(rest) => {
                out.extend_from_slice(&to);
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// Whether the error says that the database is not there.
pub(super) fn is_no_database(error: &DbError) -> bool {
    // The SQLSTATE stands behind it.
    error.code.as_deref().is_some_and(|code| code.split(' ').next() == Some(UNKNOWN_DATABASE))
}

fn quoted(name: &str) -> String {
    quote_ident(name, Dialect::Mysql)
}
