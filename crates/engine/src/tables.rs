//! The user's own tables: whether there are any, and which.

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use crate::backend::{DbError, Session};

/// Most names that are fetched; enough to show and to know that there are some.
const NAMES_MAX: usize = 100;

/// Schemas of PostgreSQL platforms, which exist before the first migration.
pub(crate) const PLATFORM_SCHEMAS: &[&str] = &[
    "auth",
    "storage",
    "realtime",
    "_realtime",
    "vault",
    "extensions",
    "graphql",
    "graphql_public",
    "pgsodium",
    "pgsodium_masks",
    "pgbouncer",
    "net",
    "cron",
    "_analytics",
    "_supavisor",
    "supabase_functions",
    "supabase_migrations",
    "neon_auth",
    "whimbrel",
];

/// Names of the user's tables, at most [`NAMES_MAX`]. `other_tool` is the table in which another
/// migration tool remembers what it ran.
pub(crate) async fn user_tables(
    session: &mut dyn Session,
    dialect: Dialect,
    other_tool: Option<&str>,
) -> Result<Vec<String>, DbError> {
    let other = quote_text(other_tool.unwrap_or_default(), dialect);
    let sql = match dialect {
        Dialect::Sqlite => format!(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' \
             AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> {other} \
             ORDER BY name LIMIT {NAMES_MAX}"
        ),
        Dialect::Postgres => {
            let platform: Vec<String> =
                PLATFORM_SCHEMAS.iter().map(|name| quote_text(name, dialect)).collect();
            format!(
                "SELECT CASE WHEN n.nspname = 'public' THEN c.relname \
                 ELSE n.nspname || '.' || c.relname END \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' \
                 AND n.nspname !~ '^pg_' AND n.nspname NOT IN ({}) AND c.relname <> {other} \
                 AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid \
                 AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') \
                 ORDER BY 1 LIMIT {NAMES_MAX}",
                platform.join(", ")
            )
        }
        Dialect::Mysql => format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
             AND table_name NOT LIKE 'whimbrel\\_%' AND table_name <> {other} \
             ORDER BY table_name LIMIT {NAMES_MAX}"
        ),
    };
    let rows = session.query(&sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// How many rows a table holds; `None` when that cannot be told (a view, no permission).
pub(crate) async fn count_rows(
    session: &mut dyn Session,
    dialect: Dialect,
    table: &whimbrel_core::ddl::ObjectName,
) -> Option<u64> {
    let name = match &table.schema {
        Some(schema) => {
            format!("{}.{}", quote_ident(schema, dialect), quote_ident(&table.name, dialect))
        }
        None => quote_ident(&table.name, dialect),
    };
    let rows = session.query(&format!("SELECT count(*) FROM {name}")).await.ok()?;
    rows.first()?.first()?.as_deref()?.parse().ok()
}
