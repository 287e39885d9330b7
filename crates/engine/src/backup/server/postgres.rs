//! PostgreSQL: one snapshot for the dump program and for all connections, what there is in a
//! database, and what a restored one is made of.

use std::collections::BTreeMap;

use whimbrel_core::backup::RowsOf;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use super::differ::{Column, Side};
use super::rows::{CONNECTIONS, Table};
use super::{LARGE_OBJECTS, Seen};
use crate::backend::{Backend, DbError, DbErrorKind, Session};
use crate::error::EngineError;
use crate::ledger::{number, text};

/// How often a snapshot is tried while others make tables.
const TRIES_MAX: u32 = 5;
/// Tables that are locked, and sequences that are read, by one statement.
const NAMES_AT_ONCE: usize = 200;
/// Bytes of a block, unless the server was built otherwise; it only decides where slices meet.
const BLOCK_BYTES: u64 = 8_192;
/// Fewest bytes of a table that is read in slices.
const SPLIT_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// The first version that reads the rows of some blocks without looking at all others (release
/// notes of PostgreSQL 14, "TID range scans").
const PLACES_SINCE: u32 = 14;
/// The schema whose table says that a restore is at it.
pub(super) const MARKER_SCHEMA: &str = "whimbrel_restoring";
/// Code of the error for a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// What decides how values are written as text, and what could hide rows or stop the work.
const SETTINGS: &str = "SET DateStyle TO 'ISO, YMD'; SET IntervalStyle TO 'postgres'; \
    SET extra_float_digits TO 3; SET bytea_output TO 'hex'; SET TimeZone TO 'UTC'; \
    SET lc_monetary TO 'C'; SET xmloption TO 'content'; SET client_encoding TO 'UTF8'; \
    SET row_security TO off; SET check_function_bodies TO off; \
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings \
    WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', \
    'idle_in_transaction_session_timeout', 'idle_session_timeout'); \
    SELECT pg_catalog.set_config('search_path', '', false)";

/// Which relations are the user's: not the system's, not temporary; of an extension's only those
/// whose rows are the user's.
const OF_THE_USER: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND n.nspname <> 'whimbrel_restoring' AND c.relpersistence <> 't' \
    AND (x.extconfig IS NOT NULL OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
    AND d.deptype = 'e'))";

/// Joins a relation to its schema, and to the extension that has it dumped.
const RELATIONS: &str = "pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_extension x ON c.oid = ANY (x.extconfig)";

/// The server's major version.
pub(super) async fn major(session: &mut dyn Session) -> Result<u32, EngineError> {
    let sql = "SELECT pg_catalog.current_setting('server_version_num')";
    let version = session.query(sql).await?.first().map_or(0, |row| number(row, 0));
    Ok(u32::try_from(version / 10_000).unwrap_or(0))
}

/// Prepares a session that reads or writes rows as text.
pub(super) async fn prepare(session: &mut dyn Session) -> Result<(), DbError> {
    session.batch(SETTINGS).await
}

/// The user's tables and foreign tables; the flag says which is foreign.
async fn relations(session: &mut dyn Session) -> Result<Vec<(Table, bool)>, EngineError> {
    // `attgenerated` came with version 12.
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind = 'f', pg_catalog.pg_relation_size(c.oid), \
         (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         AND COALESCE(pg_catalog.to_jsonb(a) ->> 'attgenerated', '') = ''), \
         x.extcondition[pg_catalog.array_position(x.extconfig, c.oid)], x.extname \
         FROM {RELATIONS} WHERE c.relkind IN ('r', 'f') AND {OF_THE_USER} \
         ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
    );
    let mut out = Vec::new();
    for row in session.query(&sql).await? {
        let columns: Vec<String> = serde_json::from_str(&text(&row, 4)).unwrap_or_default();
        // An extension fills its table when it is made; the rest is the user's.
        let only = row.get(6).cloned().flatten().map(|_| text(&row, 5));
        let rows = RowsOf { schema: text(&row, 0), table: text(&row, 1), columns, only };
        let bytes = u64::try_from(number(&row, 3)).unwrap_or(0);
        out.push((Table { rows, slice: None, bytes }, text(&row, 2) == "t"));
    }
    Ok(out)
}

/// The user's tables.
pub(super) async fn tables(session: &mut dyn Session) -> Result<Vec<Table>, EngineError> {
    let all = relations(session).await?.into_iter();
    Ok(all.filter(|(_, foreign)| !foreign).map(|(table, _)| table).collect())
}

/// Begins the transaction whose picture is saved: the tables are locked against changes of their
/// form before the snapshot is taken. The snapshot's name, the tables, and the foreign ones.
pub(super) async fn begin(
    session: &mut dyn Session,
    lock_timeout_ms: u64,
) -> Result<(String, Vec<Table>, Vec<String>), EngineError> {
    prepare(session).await?;
    for _ in 0..TRIES_MAX {
        let before = relations(session).await?;
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = {}",
            lock_timeout_ms.min(i32::MAX.unsigned_abs().into())
        );
        session.batch(&begin).await?;
        let names: Vec<String> = before
            .iter()
            .filter(|(_, foreign)| !foreign)
            .map(|(table, _)| format!("ONLY {}", ident(&table.rows)))
            .collect();
        if lock(session, &names).await? {
            let snapshot = session.query("SELECT pg_catalog.pg_export_snapshot()").await?;
            let snapshot = snapshot.first().map(|row| text(row, 0)).unwrap_or_default();
            let now = relations(session).await?;
            let known = |one: &Table| before.iter().any(|(old, _)| old.rows == one.rows);
            if now.iter().all(|(table, _)| known(table)) {
                let (foreign, tables): (Vec<_>, Vec<_>) =
                    now.into_iter().partition(|(_, foreign)| *foreign);
                let tables = tables.into_iter().map(|(table, _)| table).collect();
                let foreign = foreign.iter().map(|(table, _)| table.rows.name()).collect();
                return Ok((snapshot, tables, foreign));
            }
        }
        session.batch("ROLLBACK").await?;
    }
    let message = "Others make and remove tables all the time; try again when they have done";
    Err(EngineError::Refused(message.to_owned()))
}

/// False when one of the tables is gone.
async fn lock(session: &mut dyn Session, names: &[String]) -> Result<bool, EngineError> {
    for some in names.chunks(NAMES_AT_ONCE) {
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", some.join(", "));
        match session.batch(&sql).await {
            Ok(()) => {}
            Err(error) if error.code.as_deref() == Some(UNDEFINED_TABLE) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Another connection that sees the same.
pub(super) async fn join(
    backend: &dyn Backend,
    snapshot: &str,
) -> Result<Box<dyn Session>, EngineError> {
    let mut session = backend.connect().await?;
    prepare(session.as_mut()).await?;
    let snapshot = quote_text(snapshot, Dialect::Postgres);
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {snapshot}"
    );
    session.batch(&sql).await?;
    Ok(session)
}

/// What is there besides tables, by the names by which it can be left out.
pub(super) async fn others(session: &mut dyn Session) -> Result<Seen, EngineError> {
    let mut seen = Seen::default();
    let one = |rows: Vec<Vec<Option<String>>>| rows.first().map_or(0, |row| number(row, 0));
    let count = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    if one(session.query(count).await?) > 0 {
        seen.refused.push(LARGE_OBJECTS.to_owned());
    }
    let grants = format!(
        "SELECT DISTINCT pg_catalog.pg_get_userbyid(g.grantee) FROM (SELECT (a).grantee, owner \
         FROM (SELECT pg_catalog.aclexplode(c.relacl) AS a, c.relowner AS owner \
         FROM {RELATIONS} WHERE {OF_THE_USER}) AS r) AS g \
         WHERE g.grantee <> g.owner AND g.grantee <> 0 ORDER BY 1"
    );
    let owners = format!(
        "SELECT DISTINCT pg_catalog.pg_get_userbyid(c.relowner) FROM {RELATIONS} \
         WHERE {OF_THE_USER} AND pg_catalog.pg_get_userbyid(c.relowner) <> current_user ORDER BY 1"
    );
    for (what, sql) in [("Privileges granted to", grants), ("Other owners of tables:", owners)] {
        let names: Vec<String> =
            session.query(&sql).await?.iter().map(|row| format!("`{}`", text(row, 0))).collect();
        if !names.is_empty() {
            seen.left_out.push(format!("{what} {}", names.join(", ")));
        }
    }
    let subscriptions = "SELECT count(*) FROM pg_catalog.pg_subscription \
        WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database \
        WHERE datname = pg_catalog.current_database())";
    if one(session.query(subscriptions).await?) > 0 {
        seen.left_out.push("Subscriptions".to_owned());
    }
    let settings = "SELECT count(*) FROM pg_catalog.pg_db_role_setting \
        WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database \
        WHERE datname = pg_catalog.current_database())";
    if one(session.query(settings).await?) > 0 {
        seen.left_out.push("Settings of the database (`ALTER DATABASE ... SET`)".to_owned());
    }
    Ok(seen)
}

/// What a new database must be made with.
pub(super) async fn database(
    session: &mut dyn Session,
) -> Result<BTreeMap<String, String>, EngineError> {
    // The columns of the collation's provider came with versions 15 and 17.
    let sql = "SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, \
        COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'), \
        COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', \
        pg_catalog.to_jsonb(d) ->> 'daticulocale'), \
        pg_catalog.current_setting('server_version_num') \
        FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database()";
    let names = ["encoding", "collate", "ctype", "provider", "locale", "version"];
    let row = session.query(sql).await?.pop().unwrap_or_default();
    let values = names.iter().zip(row);
    Ok(values.filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect())
}

/// The statement that makes a database like the saved one.
pub(super) fn create_database(name: &str, like: &BTreeMap<String, String>) -> String {
    let value = |of: &str| like.get(of).map(|value| quote_text(value, Dialect::Postgres));
    let mut sql =
        format!("CREATE DATABASE {} TEMPLATE template0", quote_ident(name, Dialect::Postgres));
    let mut add = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.push_str(&format!(" {word} {value}"));
        }
    };
    add("ENCODING", value("encoding"));
    add("LC_COLLATE", value("collate"));
    add("LC_CTYPE", value("ctype"));
    match like.get("provider").map(String::as_str) {
        Some("i") => {
            add("LOCALE_PROVIDER", Some("icu".to_owned()));
            add("ICU_LOCALE", value("locale"));
        }
        Some("b") => {
            add("LOCALE_PROVIDER", Some("builtin".to_owned()));
            add("BUILTIN_LOCALE", value("locale"));
        }
        _ => {}
    }
    sql
}

/// The tables as several connections read them at the same time in one snapshot.
pub(super) async fn for_connections(
    session: &mut dyn Session,
    tables: Vec<Table>,
) -> Result<Vec<Table>, EngineError> {
    if major(session).await? < PLACES_SINCE {
        return Ok(tables);
    }
    Ok(tables.into_iter().flat_map(slices).collect())
}

/// A big table as slices for several connections, by the places of its rows.
pub(super) fn slices(table: Table) -> Vec<Table> {
    let blocks = table.bytes / BLOCK_BYTES;
    let is_small = table.bytes < SPLIT_BYTES_MIN || table.rows.columns.is_empty();
    if is_small || table.rows.only.is_some() {
        return vec![table];
    }
    let count = CONNECTIONS as u64;
    let each = blocks / count;
    let slice = |number: u64| {
        let first = (number > 0).then(|| format!("ctid >= '({},0)'", each * number));
        let end = (number + 1 < count).then(|| format!("ctid < '({},0)'", each * (number + 1)));
        let conditions: Vec<String> = first.into_iter().chain(end).collect();
        let slice = Some(format!("WHERE {}", conditions.join(" AND ")));
        Table { rows: table.rows.clone(), slice, bytes: table.bytes / count }
    };
    (0..count).map(slice).collect()
}

/// The statements that set all sequences to where they stand.
pub(super) async fn sequences(session: &mut dyn Session) -> Result<String, EngineError> {
    let sql = format!(
        "SELECT n.nspname, c.relname FROM {RELATIONS} WHERE c.relkind = 'S' AND {OF_THE_USER} \
         ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
    );
    let names: Vec<String> = session
        .query(&sql)
        .await?
        .iter()
        .map(|row| format!("{}.{}", quoted(&text(row, 0)), quoted(&text(row, 1))))
        .collect();
    let mut out = String::new();
    for some in names.chunks(NAMES_AT_ONCE) {
        let parts: Vec<String> = some
            .iter()
            .enumerate()
            .map(|(at, name)| format!("SELECT {at}, last_value, is_called FROM {name}"))
            .collect();
        let sql = format!("{} ORDER BY 1", parts.join(" UNION ALL "));
        for (name, row) in some.iter().zip(session.query(&sql).await?) {
            let (value, called) = (text(&row, 1), text(&row, 2) == "t");
            let name = quote_text(name, Dialect::Postgres);
            out.push_str(&format!("SELECT pg_catalog.setval({name}, {value}, {called});\n"));
        }
    }
    Ok(out)
}

/// The user's tables with their keys, by name, for a comparison.
pub(super) async fn sides(
    session: &mut dyn Session,
) -> Result<BTreeMap<String, Side>, EngineError> {
    prepare(session).await?;
    let mut sides = BTreeMap::new();
    for table in tables(session).await? {
        let only = table.rows.only.as_deref().unwrap_or_default();
        let from = format!("ONLY {} {only}", ident(&table.rows));
        let side = Side { from, key: Vec::new(), columns: BTreeMap::new() };
        sides.insert(table.rows.name(), (table.rows.columns, side));
    }
    // Columns of a primary key come in its order; `indnkeyatts` came with version 11.
    let sql = "SELECT n.nspname || '.' || c.relname, a.attname, \
        pg_catalog.format_type(a.atttypid, a.atttypmod), \
        pg_catalog.pg_get_expr(d.adbin, d.adrelid), k.at \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
        AND NOT a.attisdropped \
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
        LEFT JOIN (SELECT i.indrelid, u.attnum, u.at FROM pg_catalog.pg_index i, \
        LATERAL unnest(i.indkey) WITH ORDINALITY AS u(attnum, at) WHERE i.indisprimary \
        AND u.at <= COALESCE((pg_catalog.to_jsonb(i) ->> 'indnkeyatts')::pg_catalog.int4, \
        i.indnatts)) AS k ON k.indrelid = c.oid AND k.attnum = a.attnum \
        WHERE c.relkind = 'r' ORDER BY k.at";
    for row in session.query(sql).await? {
        let Some((columns, side)) = sides.get_mut(&text(&row, 0)) else { continue };
        let (name, kind) = (text(&row, 1), text(&row, 2));
        if !columns.contains(&name) {
            continue;
        }
        if row.get(4).is_some_and(Option::is_some) {
            side.key.push(name.clone());
        }
        // What a function gives may be another value for each row.
        let default = row.get(3).cloned().flatten().filter(|one| !one.contains('('));
        let default = default.map(|one| format!("({one})::{kind}::pg_catalog.text"));
        let value = format!("{}::pg_catalog.text", quoted(&name));
        side.columns.insert(name, Column { value, default });
    }
    Ok(sides.into_iter().map(|(name, (_, side))| (name, side)).collect())
}

/// The first thing of a user's in the database; none when it is empty.
pub(super) async fn occupied(session: &mut dyn Session) -> Result<Option<String>, EngineError> {
    let sql = format!(
        "SELECT n.nspname || '.' || c.relname FROM {RELATIONS} \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {OF_THE_USER} \
         UNION ALL SELECT n.nspname || '.' || p.proname FROM pg_catalog.pg_proc p \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid \
         AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e') \
         UNION ALL SELECT 'schema ' || nspname FROM pg_catalog.pg_namespace n \
         WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', \
         '{MARKER_SCHEMA}') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
         WHERE d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objid = n.oid \
         AND d.deptype = 'e') LIMIT 1"
    );
    Ok(session.query(&sql).await?.first().map(|row| text(row, 0)))
}

/// Removes everything of the user's from a database that cannot be removed itself.
pub(super) const WIPE: &str = "DO $wipe$ DECLARE r record; BEGIN \
    FOR r IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' \
        AND nspname NOT IN ('information_schema', 'public') LOOP \
        EXECUTE pg_catalog.format('DROP SCHEMA IF EXISTS %I CASCADE', r.nspname); END LOOP; \
    FOR r IN SELECT extname FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' LOOP \
        EXECUTE pg_catalog.format('DROP EXTENSION IF EXISTS %I CASCADE', r.extname); END LOOP; \
    FOR r IN SELECT relname, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' \
        WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind \
        FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
        AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public') \
        ORDER BY relkind = 'S' LOOP \
        EXECUTE pg_catalog.format('DROP %s IF EXISTS public.%I CASCADE', r.kind, r.relname); \
        END LOOP; \
    FOR r IN SELECT p.oid::pg_catalog.regprocedure AS name FROM pg_catalog.pg_proc p \
        WHERE pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public') \
        LOOP EXECUTE pg_catalog.format('DROP ROUTINE IF EXISTS %s CASCADE', r.name); END LOOP; \
    FOR r IN SELECT typname FROM pg_catalog.pg_type WHERE typtype IN ('c', 'd', 'e', 'r') \
        AND typnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public') \
        LOOP EXECUTE pg_catalog.format('DROP TYPE IF EXISTS public.%I CASCADE', r.typname); \
        END LOOP; END $wipe$";

/// The arguments of the dump program for one section of the schema.
pub(super) fn dump_arguments(
    section: &str,
    snapshot: Option<&str>,
    leave_out: &[String],
) -> Vec<String> {
    let mut out: Vec<String> = [
        "--format=plain",
        "--encoding=UTF8",
        "--no-owner",
        "--no-privileges",
        "--no-subscriptions",
        "--no-tablespaces",
        "--no-password",
        "--no-blobs",
    ]
    .map(str::to_owned)
    .to_vec();
    out.push(format!("--section={section}"));
    out.push(format!("--exclude-schema={MARKER_SCHEMA}"));
    out.extend(snapshot.map(|snapshot| format!("--snapshot={snapshot}")));
    let tables = leave_out.iter().filter_map(|name| name.split_once('.'));
    out.extend(
        tables.map(|(schema, name)| format!("--exclude-table={}.{}", quoted(schema), quoted(name))),
    );
    out
}

/// The arguments of the client that runs a text.
pub(super) fn client_arguments() -> Vec<String> {
    let words = ["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", "-"];
    words.map(str::to_owned).to_vec()
}

/// Whether the dump program has come to its end: its last lines say so.
pub(super) fn is_complete(dump: &[u8]) -> bool {
    super::ends_with_line(dump, "-- PostgreSQL database dump complete")
}

/// What makes a connection to a database that is always there.
pub(super) const ALWAYS_THERE: [&str; 2] = ["postgres", "template1"];

/// Whether the error says that the database is not there.
pub(super) fn is_no_database(error: &DbError) -> bool {
    error.code.as_deref() == Some("3D000")
        || (error.kind == DbErrorKind::Connection && error.message.contains("does not exist"))
}

/// The table as it stands in SQL.
pub(super) fn ident(of: &RowsOf) -> String {
    format!("{}.{}", quoted(&of.schema), quoted(&of.table))
}

fn quoted(name: &str) -> String {
    quote_ident(name, Dialect::Postgres)
}
