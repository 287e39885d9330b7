//! The catalog's queries. Their columns are read by place in [`super::table`] and [`super`].

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;

use super::OWN_PREFIX;
use crate::backend::mysql::client::Client;

/// Up to how many names are looked up one by one.
const LOOKUPS_MAX: usize = 8;

/// Which names of a schema are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// None.
    None,
    /// These.
    Names(Vec<String>),
    /// All.
    All,
}

impl Filter {
    /// The filter in parts, so that each of a few names is looked up by itself: with a list, the
    /// server goes through the names of all tables, which costs more.
    pub(super) fn parts(&self) -> Vec<Filter> {
        match self {
            Filter::None => Vec::new(),
            Filter::Names(names) if names.len() <= LOOKUPS_MAX => {
                names.iter().map(|name| Filter::Names(vec![name.clone()])).collect()
            }
            Filter::Names(_) | Filter::All => vec![self.clone()],
        }
    }

    /// The condition on `column`. One name is compared by `=`, which the server looks up at once.
    pub(super) fn sql(&self, column: &str) -> String {
        match self {
            Filter::All => "1 = 1".to_owned(),
            Filter::None => "1 = 0".to_owned(),
            Filter::Names(names) => match names.as_slice() {
                [one] => format!("{column} = {}", quoted(one)),
                many => {
                    let many: Vec<String> = many.iter().map(|name| quoted(name)).collect();
                    format!("{column} IN ({})", many.join(", "))
                }
            },
        }
    }
}

/// A name as a literal. Names hold three-byte UTF-8 at most; a literal of more than that would keep
/// the server from looking the name up, and it would go through all tables instead.
pub(super) fn quoted(name: &str) -> String {
    let sql = quote_text(name, Dialect::Mysql);
    match sql.strip_suffix(" USING utf8mb4)") {
        Some(literal) if sql.starts_with("CONVERT(") => format!("{literal} USING utf8mb3)"),
        _ => sql,
    }
}

/// The condition for the tables of `schema`, by the names that the columns have in this view.
fn tables(schema_column: &str, table_column: &str, schema: &str, filter: &Filter) -> String {
    format!(
        "{schema_column} = {} AND {} AND LEFT({table_column}, {}) <> '{OWN_PREFIX}'",
        quoted(schema),
        filter.sql(table_column),
        OWN_PREFIX.len()
    )
}

/// Tables, columns, indexes, key columns, rules of foreign keys, checks, triggers, views.
pub(super) fn sequence_of_queries(client: &Client, schema: &str, filter: &Filter) -> String {
    let named = |schema_column: &str, table_column: &str| {
        tables(schema_column, table_column, schema, filter)
    };
    let here = named("TABLE_SCHEMA", "TABLE_NAME");
    let (hidden, expression) = index_columns(client);
    [
        format!(
            "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT \
             FROM information_schema.TABLES WHERE {here} ORDER BY TABLE_NAME"
        ),
        format!(
            "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, \
             GENERATION_EXPRESSION, EXTRA, COLLATION_NAME, COLUMN_COMMENT \
             FROM information_schema.COLUMNS WHERE {here} ORDER BY TABLE_NAME, ORDINAL_POSITION"
        ),
        format!(
            "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, \
             INDEX_TYPE, {hidden}, {expression} \
             FROM information_schema.STATISTICS WHERE {here} \
             ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
        ),
        format!(
            "SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, \
             REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME \
             FROM information_schema.KEY_COLUMN_USAGE WHERE {here} \
             AND REFERENCED_TABLE_NAME IS NOT NULL \
             ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION"
        ),
        format!(
            "SELECT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE \
             FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE {}",
            named("CONSTRAINT_SCHEMA", "TABLE_NAME")
        ),
        checks_sql(client, schema, filter),
        format!(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, \
             ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE {} \
             ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
            named("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE")
        ),
        format!(
            "SELECT TABLE_NAME, VIEW_DEFINITION, CHECK_OPTION FROM information_schema.VIEWS \
             WHERE {here} ORDER BY TABLE_NAME"
        ),
    ]
    .join("; ")
}

/// What the versions call an index that the optimizer does not use, and an index's expression.
fn index_columns(client: &Client) -> (&'static str, &'static str) {
    let version = client.version();
    match client.is_mariadb() {
        true if version >= (10, 6) => ("IF(IGNORED = 'YES', 'IGNORED', '')", "NULL"),
        true => ("''", "NULL"),
        false if version >= (8, 0) => ("IF(IS_VISIBLE = 'NO', 'INVISIBLE', '')", "EXPRESSION"),
        false => ("''", "NULL"),
    }
}

fn checks_sql(client: &Client, schema: &str, filter: &Filter) -> String {
    let version = client.version();
    match client.is_mariadb() {
        true if version >= (10, 3) => {
            // The level came with 10.5.10.
            let level = if version >= (10, 6) { "LEVEL" } else { "'Table'" };
            format!(
                "SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE, {level} \
                 FROM information_schema.CHECK_CONSTRAINTS WHERE {} \
                 ORDER BY TABLE_NAME, CONSTRAINT_NAME",
                tables("CONSTRAINT_SCHEMA", "TABLE_NAME", schema, filter)
            )
        }
        false if version >= (8, 0) => format!(
            "SELECT t.TABLE_NAME, t.CONSTRAINT_NAME, c.CHECK_CLAUSE, 'Table' \
             FROM information_schema.TABLE_CONSTRAINTS t \
             JOIN information_schema.CHECK_CONSTRAINTS c \
             ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA \
             AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME \
             WHERE {} AND t.CONSTRAINT_TYPE = 'CHECK' ORDER BY t.TABLE_NAME, t.CONSTRAINT_NAME",
            tables("t.TABLE_SCHEMA", "t.TABLE_NAME", schema, filter)
        ),
        // Checks are parsed and forgotten there.
        _ => "SELECT NULL FROM DUAL WHERE 1 = 0".to_owned(),
    }
}

pub(super) fn partitions_sql(schema: &str, filter: &Filter) -> String {
    format!(
        "SELECT TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, PARTITION_METHOD, \
         PARTITION_EXPRESSION, PARTITION_DESCRIPTION, SUBPARTITION_METHOD, SUBPARTITION_EXPRESSION \
         FROM information_schema.PARTITIONS WHERE {} \
         ORDER BY TABLE_NAME, PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION",
        tables("TABLE_SCHEMA", "TABLE_NAME", schema, filter)
    )
}

/// Routines and their parameters.
pub(super) fn routines_sql(schema: &str, filter: &Filter) -> String {
    let schema = quoted(schema);
    format!(
        "SELECT SPECIFIC_NAME, ROUTINE_NAME, ROUTINE_TYPE, DTD_IDENTIFIER, ROUTINE_DEFINITION, \
         IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE \
         FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {schema} AND {} \
         ORDER BY ROUTINE_TYPE, ROUTINE_NAME; \
         SELECT SPECIFIC_NAME, ROUTINE_TYPE, PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER \
         FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = {schema} AND {} \
         AND ORDINAL_POSITION > 0 ORDER BY SPECIFIC_NAME, ORDINAL_POSITION",
        filter.sql("ROUTINE_NAME"),
        filter.sql("SPECIFIC_NAME")
    )
}
