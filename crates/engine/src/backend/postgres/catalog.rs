//! The live picture of a schema.
//!
//! It is taken once per migration, so everything is asked for in one message (two, when the session
//! prepares its queries), and each query begins
//! with the oids of what was asked for; the size of the database does not matter then. Names are
//! looked up along the session's search path first; after that the path is emptied until the end of
//! the message, so that the server prints every name with its schema, and the same object always
//! looks the same. Both are done by settings that last no longer than the transaction.

mod queries;
mod read;

use std::hash::{DefaultHasher, Hash, Hasher};

use whimbrel_core::ddl::{ObjectKind, ObjectName};
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;

use self::queries::{Part, RESTORE_PATH};
use super::session::PgSession;
use crate::backend::{DbError, Row, Scope, Session};

/// SQLSTATE `no_active_sql_transaction`: a savepoint outside of a transaction.
const NO_TRANSACTION: &str = "25P01";
/// SQLSTATE `invalid_sql_statement_name`: a prepared statement that is not there.
const NO_STATEMENT: &str = "26000";

pub(super) async fn inspect(
    session: &mut PgSession,
    scope: Option<&Scope>,
) -> Result<Snapshot, DbError> {
    let parts = Part::needed(scope);
    let major = session.major().unwrap_or(u32::MAX);
    let mut sql = prelude(scope);
    if scope.is_some() && session.keeps_statements() {
        let queries: Vec<Prepared> =
            parts.iter().map(|part| Prepared::of(part.sql(true, major))).collect();
        let found = match known(session, &sql, &queries).await? {
            None => prepared(session, &sql, &queries).await?,
            found => found,
        };
        if let Some((first, results)) = found {
            return Ok(read::snapshot(&first, parts.into_iter().zip(results)));
        }
    }
    for part in &parts {
        sql.push_str(";\n");
        sql.push_str(&part.sql(scope.is_some(), major));
    }
    sql.push_str(";\n");
    sql.push_str(RESTORE_PATH);
    let mut results = session.results(&sql).await?.into_iter();
    let first = results.next().unwrap_or_default();
    // The emptying of the path has a result of its own.
    results.next();
    Ok(read::snapshot(&first, parts.into_iter().zip(results)))
}

/// What each part found, after what the prelude found.
type Found = (Vec<Row>, Vec<Vec<Row>>);

/// A query that the server keeps for the session, under a name that no other query has, also not
/// another version's on a connection that is shared.
struct Prepared {
    name: String,
    query: String,
}

impl Prepared {
    fn of(query: String) -> Prepared {
        let mut hasher = DefaultHasher::new();
        query.hash(&mut hasher);
        Prepared { name: format!("whimbrel_{:016x}", hasher.finish()), query }
    }
}

/// The look by statements that this session has used before, in one message. The author's SQL may
/// have dropped them since, and there may be no transaction: `None` then, and nothing has changed.
async fn known(
    session: &mut PgSession,
    prelude: &str,
    queries: &[Prepared],
) -> Result<Option<Found>, DbError> {
    if queries.iter().any(|query| !session.prepared.contains(&query.name)) {
        return Ok(None);
    }
    let execute: String =
        queries.iter().map(|query| format!("EXECUTE {};\n", query.name)).collect();
    let sql = format!(
        "SAVEPOINT whimbrel_look;\n{prelude};\n{execute}{RESTORE_PATH};\n\
         RELEASE SAVEPOINT whimbrel_look"
    );
    match session.results(&sql).await {
        Ok(results) => {
            let mut results = results.into_iter();
            let first = results.next().unwrap_or_default();
            // The emptying of the path has a result of its own.
            results.next();
            Ok(Some((first, results.collect())))
        }
        Err(error) if error.code.as_deref() == Some(NO_TRANSACTION) => Ok(None),
        Err(error) if error.code.as_deref() == Some(NO_STATEMENT) => {
            session.prepared.clear();
            session
                .batch("ROLLBACK TO SAVEPOINT whimbrel_look; RELEASE SAVEPOINT whimbrel_look")
                .await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The same by statements that the server keeps for this session, as planning them takes longer
/// than running them. Inside a transaction only, where the prelude's settings last until the next
/// message; `None` outside of one. Which statements are there is asked for.
async fn prepared(
    session: &mut PgSession,
    prelude: &str,
    queries: &[Prepared],
) -> Result<Option<Found>, DbError> {
    // A message that begins a transaction has its time.
    let asked = format!(
        "{prelude};\nSELECT pg_catalog.statement_timestamp() <> pg_catalog.transaction_timestamp(), \
         (SELECT pg_catalog.string_agg(p.name, ' ') FROM pg_catalog.pg_prepared_statements p)"
    );
    let mut results = session.results(&asked).await?.into_iter();
    let first = results.next().unwrap_or_default();
    let state = results.nth(1).unwrap_or_default();
    let value = |at: usize| state.first().and_then(|row| row.get(at)?.as_deref()).unwrap_or("");
    if value(0) != "t" {
        return Ok(None);
    }
    let mut sql = Vec::new();
    for Prepared { name, query } in queries {
        if !value(1).split(' ').any(|kept| kept == name) {
            sql.push(format!("PREPARE {name} AS {query}"));
        }
        sql.push(format!("EXECUTE {name}"));
    }
    sql.push(RESTORE_PATH.to_owned());
    let found = session.results(&sql.join(";\n")).await?;
    session.prepared.extend(queries.iter().map(|query| query.name.clone()));
    Ok(Some((first, found)))
}

/// Finds what was asked for, keeps it in settings of the transaction, and empties the path.
fn prelude(scope: Option<&Scope>) -> String {
    let mut columns = vec![
        "pg_catalog.current_schema()".to_owned(),
        keep("whimbrel.path", "pg_catalog.current_setting('search_path')"),
    ];
    if let Some(scope) = scope {
        let named = |kinds: &[ObjectKind]| -> Vec<&ObjectName> {
            scope.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, name)| name).collect()
        };
        let relations = named(queries::RELATIONS);
        let routines = named(&[ObjectKind::Routine]);
        let types = named(&[ObjectKind::Type]);
        if !relations.is_empty() || !named(queries::ON_RELATIONS).is_empty() {
            let triggers = named(&[ObjectKind::Trigger]);
            let indexes = named(&[ObjectKind::Index]);
            let found = found_relations(&relations, &indexes, &triggers);
            columns.push(keep("whimbrel.relations", &found));
        }
        if !routines.is_empty() {
            let found = found_by_name(&routines, "pg_proc", "pro");
            columns.push(keep("whimbrel.routines", &found));
        }
        if !types.is_empty() {
            columns.push(keep("whimbrel.types", &found_by_name(&types, "pg_type", "typ")));
        }
        columns.push(keep("whimbrel.schemas", &names(&named(&[ObjectKind::Schema]))));
        columns.push(keep("whimbrel.extensions", &names(&named(&[ObjectKind::Extension]))));
    }
    format!(
        "SELECT {};\nSELECT pg_catalog.set_config('search_path', '', true)",
        columns.join(",\n")
    )
}

fn keep(setting: &str, value: &str) -> String {
    format!("pg_catalog.set_config('{setting}', {value}, true)")
}

/// An array of names as a literal's text.
fn names(names: &[&ObjectName]) -> String {
    let list: Vec<String> = names.iter().map(|name| text(&name.name)).collect();
    format!("(ARRAY[{}]::pg_catalog.name[])::text", list.join(", "))
}

fn text(text: &str) -> String {
    quote_text(text, Dialect::Postgres)
}

/// `asked(schema, name)` as a table of values.
fn asked(names: &[&ObjectName]) -> String {
    let rows: Vec<String> = names
        .iter()
        .map(|name| {
            let schema = name.schema.as_deref().map_or_else(|| "NULL".to_owned(), text);
            format!("({schema}::pg_catalog.name, {}::pg_catalog.name)", text(&name.name))
        })
        .collect();
    format!("(VALUES {}) AS asked(schema, name)", rows.join(", "))
}

/// Schemas in which a name is looked for: its own, or those of the path and then `public`, which
/// stands for "no schema" in what was read from the migrations.
const IN_ASKED_SCHEMAS: &str = "n.nspname <> 'whimbrel' AND (n.nspname = asked.schema OR \
    (asked.schema IS NULL AND n.nspname = ANY (pg_catalog.current_schemas(false) || \
    'public'::pg_catalog.name)))";

/// The oids of tables, views and sequences: named themselves, or owners of an index or a trigger.
fn found_relations(
    relations: &[&ObjectName],
    indexes: &[&ObjectName],
    triggers: &[&ObjectName],
) -> String {
    let mut sources = Vec::new();
    for (names, kinds) in [(relations, "'r', 'p', 'f', 'v', 'm', 'S'"), (indexes, "'i', 'I'")] {
        if names.is_empty() {
            continue;
        }
        let found = format!(
            "SELECT first.oid FROM {} CROSS JOIN LATERAL \
             (SELECT c.oid FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c \
             ON c.relnamespace = n.oid AND c.relname = asked.name AND c.relkind IN ({kinds}) \
             WHERE {IN_ASKED_SCHEMAS} ORDER BY pg_catalog.array_position(\
             pg_catalog.current_schemas(false), n.nspname) NULLS LAST LIMIT 1) first",
            asked(names)
        );
        sources.push(if kinds.contains("'i'") {
            format!(
                "SELECT i.indrelid FROM pg_catalog.pg_index i \
                 WHERE i.indexrelid = ANY (ARRAY({found}))"
            )
        } else {
            found
        });
    }
    if !triggers.is_empty() {
        sources.push(format!(
            "SELECT t.tgrelid FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND \
             t.tgname = ANY ({}::pg_catalog.name[])",
            names(triggers)
        ));
    }
    format!("(SELECT ARRAY({})::text)", sources.join(" UNION "))
}

/// The oids of all objects of these names; routines may be several of one name.
fn found_by_name(names: &[&ObjectName], catalog: &str, prefix: &str) -> String {
    format!(
        "(SELECT ARRAY(SELECT o.oid FROM {} JOIN pg_catalog.pg_namespace n ON {IN_ASKED_SCHEMAS} \
         JOIN pg_catalog.{catalog} o ON o.{prefix}namespace = n.oid AND o.{prefix}name = \
         asked.name)::text)",
        asked(names)
    )
}
