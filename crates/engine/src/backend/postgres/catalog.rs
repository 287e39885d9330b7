//! The live picture of a schema.
//!
//! It is taken once per migration, so everything is asked for in one message (two, when the session
//! prepares its queries), and each query begins with the oids of what was asked for; the size of
//! the database does not matter then. Names are looked up along the session's search path first;
//! after that the path is emptied until the end of the message, so that the server prints every
//! name with its schema, and the same object always looks the same. Both are done by settings that
//! last no longer than the transaction.

mod queries;
mod read;

use std::hash::{DefaultHasher, Hash, Hasher};

use whimbrel_core::ddl::{ObjectKind, ObjectName};
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;

use self::queries::{EMPTY_PATH, Part, RESTORE_PATH};
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
    let look = Look {
        asked: asked(scope),
        finder: scope.and_then(finder),
        parts: parts.iter().map(|part| part.sql(scope.is_some(), major)).collect(),
    };
    let mut found = None;
    if scope.is_some() && session.keeps_statements() {
        found = known(session, &look).await?;
        if found.is_none() {
            found = prepared(session, &look).await?;
        }
    }
    let (first, results) = match found {
        Some(found) => found,
        None => {
            let sql = format!("{};\n{}", look.asked, look.sequence(str::to_owned));
            look.found(session.results(&sql).await?)
        }
    };
    Ok(read::snapshot(&first, parts.into_iter().zip(results)))
}

/// The statements of one look.
struct Look {
    /// Keeps the path and the names that are asked for in settings of the transaction.
    asked: String,
    /// Looks the names up along the path.
    finder: Option<String>,
    /// What is read of that with an empty path.
    parts: Vec<String>,
}

impl Look {
    /// What follows `asked`; `how` says how a query is sent.
    fn sequence(&self, how: impl Fn(&str) -> String) -> String {
        let mut sql: Vec<String> = self.finder.iter().map(|query| how(query)).collect();
        sql.push(EMPTY_PATH.to_owned());
        sql.extend(self.parts.iter().map(|query| how(query)));
        sql.push(RESTORE_PATH.to_owned());
        sql.join(";\n")
    }

    fn queries(&self) -> impl Iterator<Item = &String> {
        self.finder.iter().chain(&self.parts)
    }

    /// The first row, and what each part found, of all results of a look.
    fn found(&self, results: Vec<Vec<Row>>) -> Found {
        let mut results = results.into_iter();
        let first = results.next().unwrap_or_default();
        // The finder and the emptying of the path have results of their own.
        let rest = results.skip(usize::from(self.finder.is_some()) + 1);
        (first, rest.collect())
    }
}

/// What each part found, after what the prelude found.
type Found = (Vec<Row>, Vec<Vec<Row>>);

/// The name under which the server keeps a query for the session. No other query has it, also not
/// another version's on a connection that is shared.
fn name_of(query: &str) -> String {
    let mut hasher = DefaultHasher::new();
    query.hash(&mut hasher);
    format!("whimbrel_{:016x}", hasher.finish())
}

/// The look by statements that this session has used before, in one message. The author's SQL may
/// have dropped them since, and there may be no transaction: `None` then, and nothing has changed.
async fn known(session: &mut PgSession, look: &Look) -> Result<Option<Found>, DbError> {
    if look.queries().any(|query| !session.prepared.contains(&name_of(query))) {
        return Ok(None);
    }
    let sql = format!(
        "SAVEPOINT whimbrel_look;\n{};\n{};\nRELEASE SAVEPOINT whimbrel_look",
        look.asked,
        look.sequence(|query| format!("EXECUTE {}", name_of(query)))
    );
    match session.results(&sql).await {
        Ok(results) => Ok(Some(look.found(results))),
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
/// than running them. Inside a transaction only, where the settings of `asked` last until the next
/// message; `None` outside of one. Which statements are there is asked for. Each is prepared under
/// the path under which it will run, as the server plans it anew under any other.
async fn prepared(session: &mut PgSession, look: &Look) -> Result<Option<Found>, DbError> {
    // A message that begins a transaction has its time.
    let asked = format!(
        "{};\nSELECT pg_catalog.statement_timestamp() <> pg_catalog.transaction_timestamp(), \
         (SELECT pg_catalog.string_agg(p.name, ' ') FROM pg_catalog.pg_prepared_statements p)",
        look.asked
    );
    let mut results = session.results(&asked).await?;
    let state = results.pop().unwrap_or_default();
    let value = |at: usize| state.first().and_then(|row| row.get(at)?.as_deref()).unwrap_or("");
    if value(0) != "t" {
        return Ok(None);
    }
    let sql = look.sequence(|query| {
        let name = name_of(query);
        if value(1).split(' ').any(|kept| kept == name) {
            format!("EXECUTE {name}")
        } else {
            format!("PREPARE {name} AS {query};\nEXECUTE {name}")
        }
    });
    results.extend(session.results(&sql).await?);
    session.prepared.extend(look.queries().map(|query| name_of(query)));
    Ok(Some(look.found(results)))
}

/// Keeps the path, and the names that are asked for, in settings of the transaction.
fn asked(scope: Option<&Scope>) -> String {
    let mut columns = vec![
        "pg_catalog.current_schema()".to_owned(),
        keep("path", "pg_catalog.current_setting('search_path')"),
    ];
    if let Some(scope) = scope {
        for group in Group::ALL {
            let names = group.names(scope);
            if !names.is_empty() {
                columns.push(keep(
                    &group.setting("schemas"),
                    &array(&names, |name| name.schema.as_deref()),
                ));
                columns
                    .push(keep(&group.setting("names"), &array(&names, |name| Some(&name.name))));
            }
        }
        for (setting, kind) in
            [("schemas", ObjectKind::Schema), ("extensions", ObjectKind::Extension)]
        {
            let names: Vec<&ObjectName> = named(scope, &[kind]);
            columns.push(keep(setting, &array(&names, |name| Some(&name.name))));
        }
    }
    format!("SELECT {}", columns.join(",\n"))
}

/// Objects that are looked up among each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Relations,
    Indexes,
    Triggers,
    Routines,
    Types,
}

impl Group {
    const ALL: [Group; 5] =
        [Group::Relations, Group::Indexes, Group::Triggers, Group::Routines, Group::Types];

    fn names(self, scope: &Scope) -> Vec<&ObjectName> {
        match self {
            Group::Relations => named(scope, queries::RELATIONS),
            Group::Indexes => named(scope, &[ObjectKind::Index]),
            Group::Triggers => named(scope, &[ObjectKind::Trigger]),
            Group::Routines => named(scope, &[ObjectKind::Routine]),
            Group::Types => named(scope, &[ObjectKind::Type]),
        }
    }

    /// The setting that keeps its `names`, or their `schemas`.
    fn setting(self, what: &str) -> String {
        let group = match self {
            Group::Relations => "relations",
            Group::Indexes => "indexes",
            Group::Triggers => "triggers",
            Group::Routines => "routines",
            Group::Types => "types",
        };
        format!("asked_{group}_{what}")
    }

    /// `asked(schema, name)` as a table of values.
    fn asked(self) -> String {
        let array = |what: &str| {
            let setting = self.setting(what);
            format!("pg_catalog.current_setting('whimbrel.{setting}')::pg_catalog.name[]")
        };
        format!(
            "ROWS FROM (pg_catalog.unnest({}), pg_catalog.unnest({})) AS asked(schema, name)",
            array("schemas"),
            array("names")
        )
    }
}

fn named<'a>(scope: &'a Scope, kinds: &[ObjectKind]) -> Vec<&'a ObjectName> {
    scope.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, name)| name).collect()
}

/// Finds the oids of what was asked for and keeps them in settings of the transaction. Its text
/// depends on the kinds of what is asked for alone, so that few of them are ever prepared.
fn finder(scope: &Scope) -> Option<String> {
    let is_asked = |group: &Group| !group.names(scope).is_empty();
    let on_relations = [Group::Relations, Group::Indexes, Group::Triggers];
    let sources: Vec<String> =
        on_relations.into_iter().filter(is_asked).map(found_relations).collect();
    let mut columns = Vec::new();
    if !sources.is_empty() {
        let found = format!("(SELECT ARRAY({})::text)", sources.join(" UNION "));
        columns.push(keep("relations", &found));
    }
    if is_asked(&Group::Routines) {
        columns.push(keep("routines", &found_by_name(Group::Routines, "pg_proc", "pro")));
    }
    if is_asked(&Group::Types) {
        columns.push(keep("types", &found_by_name(Group::Types, "pg_type", "typ")));
    }
    (!columns.is_empty()).then(|| format!("SELECT {}", columns.join(",\n")))
}

fn keep(setting: &str, value: &str) -> String {
    format!("pg_catalog.set_config('whimbrel.{setting}', {value}, true)")
}

/// An array of names as a literal's text.
fn array(names: &[&ObjectName], part: impl Fn(&ObjectName) -> Option<&str>) -> String {
    let quoted = |name: &str| quote_text(name, Dialect::Postgres);
    let list: Vec<String> =
        names.iter().map(|name| part(name).map_or_else(|| "NULL".to_owned(), quoted)).collect();
    format!("(ARRAY[{}]::pg_catalog.name[])::text", list.join(", "))
}

/// Schemas in which a name is looked for: its own, or those of the path and then `public`, which
/// stands for "no schema" in what was read from the migrations.
const IN_ASKED_SCHEMAS: &str = "n.nspname <> 'whimbrel' AND (n.nspname = asked.schema OR \
    (asked.schema IS NULL AND n.nspname = ANY (pg_catalog.current_schemas(false) || \
    'public'::pg_catalog.name)))";

/// The oids of tables, views and sequences: named themselves, or owners of an index or a trigger.
fn found_relations(group: Group) -> String {
    let of_kinds = |kinds: &str| {
        format!(
            "SELECT first.oid FROM {} CROSS JOIN LATERAL \
             (SELECT c.oid FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c \
             ON c.relnamespace = n.oid AND c.relname = asked.name AND c.relkind IN ({kinds}) \
             WHERE {IN_ASKED_SCHEMAS} ORDER BY pg_catalog.array_position(\
             pg_catalog.current_schemas(false), n.nspname) NULLS LAST LIMIT 1) first",
            group.asked()
        )
    };
    match group {
        Group::Indexes => format!(
            "SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = ANY (ARRAY({}))",
            of_kinds("'i', 'I'")
        ),
        Group::Triggers => format!(
            "SELECT t.tgrelid FROM pg_catalog.pg_trigger t, {} \
             WHERE NOT t.tgisinternal AND t.tgname = asked.name",
            group.asked()
        ),
        Group::Relations | Group::Routines | Group::Types => {
            of_kinds("'r', 'p', 'f', 'v', 'm', 'S'")
        }
    }
}

/// The oids of all objects of these names; routines may be several of one name.
fn found_by_name(group: Group, catalog: &str, prefix: &str) -> String {
    format!(
        "(SELECT ARRAY(SELECT o.oid FROM {} JOIN pg_catalog.pg_namespace n ON {IN_ASKED_SCHEMAS} \
         JOIN pg_catalog.{catalog} o ON o.{prefix}namespace = n.oid AND o.{prefix}name = \
         asked.name)::text)",
        group.asked()
    )
}
