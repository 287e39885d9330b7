//! Statements about rows: what table they write, and whether they copy one table whole.

use super::change::Change;
use super::cursor::Cursor;
use super::name::ObjectName;
use super::parts::TableCopy;
use crate::sql::lexer::TokenKind;

/// How deep statements inside `WITH` are followed.
const WITH_DEPTH_MAX: u8 = 8;

/// Functions that change no schema, so that a query calling them is not a riddle.
const HARMLESS_CALLS: &[&str] = &[
    "setval",
    "nextval",
    "currval",
    "set_config",
    "current_setting",
    "now",
    "count",
    "max",
    "min",
    "sum",
    "avg",
    "coalesce",
    "exists",
    "in",
    "and",
    "or",
    "not",
    "values",
    "from",
    "as",
    "any",
    "all",
    "cast",
    "length",
    "lower",
    "upper",
    "concat",
    "greatest",
    "least",
    "nullif",
    "pg_get_serial_sequence",
    "version",
    "pg_sleep",
    "where",
    "on",
    "using",
    "over",
    "filter",
    "row_number",
    "array_agg",
    "string_agg",
    "to_regclass",
    "random",
    "case",
    "when",
    "then",
    "else",
    "select",
    "union",
    "except",
    "intersect",
    "by",
    "having",
    "array",
    "row",
    "interval",
    "extract",
    "date_trunc",
    "round",
    "floor",
    "ceil",
    "abs",
    "substring",
    "trim",
    "replace",
    "current_database",
    "current_schema",
    "pg_advisory_lock",
    "pg_advisory_unlock",
    "pg_advisory_xact_lock",
    "generate_series",
    "unnest",
    "jsonb_build_object",
    "gen_random_uuid",
    "like",
    "ilike",
    "between",
    "is",
    "distinct",
    "limit",
    "offset",
    "lateral",
    "join",
];

/// Reads a statement about rows, a query or a `WITH`; none if it is something else.
pub(super) fn rows(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    rows_at_depth(cursor, 0)
}

fn rows_at_depth(cursor: &mut Cursor<'_>, depth: u8) -> Option<Vec<Change>> {
    if cursor.at("WITH") {
        return with(cursor, depth);
    }
    if cursor.at_any(&["SELECT", "VALUES", "TABLE"]) {
        return query(*cursor);
    }
    if cursor.at_any(&["INSERT", "REPLACE"]) {
        return insert(cursor).map(|change| vec![change]);
    }
    if cursor.eat("UPDATE") {
        return update(cursor);
    }
    if cursor.eat("DELETE") {
        return delete(cursor);
    }
    if cursor.eat("MERGE INTO") || cursor.eat("MERGE") {
        cursor.eat("ONLY");
        return cursor.object_name().map(|table| vec![Change::UpdateRows { table }]);
    }
    if cursor.eat("COPY") {
        let table = cursor.object_name()?;
        cursor.group();
        let copies = None;
        return cursor
            .at("FROM")
            .then(|| vec![Change::InsertRows { table, replaces: false, copies }]);
    }
    if cursor.eat("LOAD DATA") || cursor.eat("LOAD XML") {
        let replaces = cursor.skip_to(&["REPLACE", "INTO"]) && cursor.eat("REPLACE");
        cursor.skip_to(&["INTO"]);
        let table = cursor.eat("INTO TABLE").then(|| cursor.object_name())??;
        return Some(vec![Change::InsertRows { table, replaces, copies: None }]);
    }
    None
}

/// Reads `WITH name AS (...)`, where each part and the statement behind may write.
fn with(cursor: &mut Cursor<'_>, depth: u8) -> Option<Vec<Change>> {
    cursor.bump();
    cursor.eat("RECURSIVE");
    let mut changes = Vec::new();
    loop {
        cursor.ident()?;
        cursor.group();
        if !cursor.eat("AS") {
            return None;
        }
        cursor.eat_any(&["NOT MATERIALIZED", "MATERIALIZED"]);
        let mut part = cursor.group()?;
        let writes = part.at_any(&["WITH", "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"]);
        if writes && depth < WITH_DEPTH_MAX {
            changes.extend(rows_at_depth(&mut part, depth + 1).unwrap_or_default());
        }
        while !cursor.at_end() && !cursor.is_kind(TokenKind::Comma) && !at_main(cursor) {
            cursor.skip();
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
    }
    if !cursor.at("WITH") {
        changes.extend(rows_at_depth(cursor, depth).unwrap_or_default());
    }
    // What is copied may be a part of the WITH, not a table.
    for change in &mut changes {
        if let Change::InsertRows { copies, .. } = change {
            *copies = None;
        }
    }
    (!changes.is_empty()).then_some(changes)
}

fn at_main(cursor: &Cursor<'_>) -> bool {
    cursor.at_any(&["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "REPLACE", "TABLE"])
}

/// A query changes nothing, unless it creates a table (`INTO`) or calls who knows what.
fn query(cursor: Cursor<'_>) -> Option<Vec<Change>> {
    if !cursor.is_postgres() {
        return None;
    }
    let mut scan = cursor;
    if scan.skip_to(&["INTO"]) {
        scan.bump();
        let temporary = scan.eat_any(&["TEMPORARY", "TEMP", "LOCAL TEMPORARY", "LOCAL TEMP"]);
        scan.eat("UNLOGGED");
        scan.eat("TABLE");
        return Some(vec![super::created_as_select(scan.object_name()?, temporary)]);
    }
    let mut scan = cursor;
    while !scan.at_end() {
        let call = matches!(scan.kind(0), Some(TokenKind::Word | TokenKind::QuotedIdent))
            && scan.kind(1) == Some(TokenKind::LParen);
        let word = scan.peek(0).to_ascii_lowercase();
        if call && !HARMLESS_CALLS.contains(&word.as_str()) {
            return Some(vec![Change::Dynamic { verb: "SELECT".to_owned(), text: cursor.text() }]);
        }
        scan.bump();
    }
    None
}

fn insert(cursor: &mut Cursor<'_>) -> Option<Change> {
    let mut replaces = cursor.eat("REPLACE");
    let mut skips = false;
    if !replaces {
        cursor.bump();
    }
    // REPLACE and OR stand before INTO, together with MariaDB's priorities.
    while cursor.at_any(&["OR", "IGNORE", "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "REPLACE"])
        || cursor.at_any(&["ROLLBACK", "ABORT", "FAIL"])
    {
        replaces |= cursor.at("REPLACE");
        skips |= cursor.at("IGNORE");
        cursor.bump();
    }
    cursor.eat("OVERWRITE");
    cursor.eat("INTO");
    let table = cursor.object_name()?;
    if cursor.eat("AS") {
        cursor.ident();
    }
    let mut scan = *cursor;
    let conflict = scan.skip_to(&["DUPLICATE", "CONFLICT"]);
    if conflict {
        replaces |= scan.at("DUPLICATE") || (scan.skip_to(&["DO"]) && scan.at("DO UPDATE"));
    }
    cursor.group();
    cursor.eat_any(&["OVERRIDING SYSTEM VALUE", "OVERRIDING USER VALUE"]);
    let copies = if conflict || skips { None } else { copied_table(*cursor) };
    Some(Change::InsertRows { table, replaces, copies })
}

/// What a query copies row by row: `SELECT ... FROM table` and nothing else.
pub(super) fn copied_table(mut cursor: Cursor<'_>) -> Option<TableCopy> {
    if cursor.is_kind(TokenKind::LParen) {
        cursor = cursor.group()?;
    }
    if !cursor.eat("SELECT") || cursor.at_any(&["DISTINCT", "TOP"]) {
        return None;
    }
    let start = cursor;
    if !cursor.skip_to(&["FROM"]) {
        return None;
    }
    let list = start.before(cursor);
    if aggregates(list) {
        return None;
    }
    cursor.bump();
    cursor.eat("ONLY");
    let copy = TableCopy { from: cursor.object_name()?, columns: plain_columns(list) };
    if cursor.at("ORDER BY") {
        let limited = cursor.skip_to(&["LIMIT", "OFFSET", "FETCH", "UNION", "EXCEPT", "INTERSECT"]);
        return (!limited).then_some(copy);
    }
    let aliased = cursor.eat("AS") || (!cursor.at_end() && !cursor.at_any(CLAUSES));
    if aliased {
        cursor.ident();
    }
    cursor.eat("WITH DATA");
    cursor.at_end().then_some(copy)
}

/// The columns that a select list takes over as they are; none for `*`.
fn plain_columns(list: Cursor<'_>) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    for mut item in list.items() {
        let text = item.text();
        if text == "*" || text.ends_with(".*") {
            return None;
        }
        let Some(name) = item.object_name() else { continue };
        // `NULL` and its kin are values; a name before anything but its alias is an expression.
        let value = ["null", "true", "false", "current_timestamp"];
        let plain = !value.contains(&text.to_lowercase().as_str());
        item.eat("AS");
        item.ident();
        if plain && item.at_end() && !text.starts_with('\'') {
            columns.push(name.name);
        }
    }
    Some(columns)
}

const CLAUSES: &[&str] = &[
    "WHERE",
    "GROUP",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "CROSS",
    "NATURAL",
    "FULL",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
    "FETCH",
    "FOR",
    "TABLESAMPLE",
    "STRAIGHT_JOIN",
    "WITH",
];

/// Whether the select list folds rows together.
fn aggregates(mut list: Cursor<'_>) -> bool {
    while !list.at_end() {
        let name = list.at_any(&["COUNT", "SUM", "AVG", "TOTAL", "GROUP_CONCAT", "STRING_AGG"])
            || list.at_any(&["MAX", "MIN", "ARRAY_AGG", "JSON_GROUP_ARRAY"]);
        if name && list.kind(1) == Some(TokenKind::LParen) {
            return true;
        }
        list.bump();
    }
    false
}

fn update(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    if cursor.eat("OR") {
        cursor.bump();
    }
    cursor.eat("LOW_PRIORITY");
    cursor.eat("IGNORE");
    cursor.eat("ONLY");
    let mut changes = vec![Change::UpdateRows { table: cursor.object_name()? }];
    if cursor.is_mysql() {
        // Any table of a join may be the one that is set.
        let mut scan = *cursor;
        while scan.skip_to(&["JOIN", "SET"]) && scan.eat("JOIN") {
            if let Some(table) = scan.object_name() {
                changes.push(Change::UpdateRows { table });
            }
        }
    }
    Some(changes)
}

fn delete(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    cursor.eat_any(&["LOW_PRIORITY", "QUICK"]);
    cursor.eat("IGNORE");
    let from_first = cursor.eat("FROM");
    cursor.eat("ONLY");
    let first = cursor.object_name()?;
    let mut named = vec![first];
    if cursor.is_mysql() {
        while cursor.eat_kind(TokenKind::Comma) {
            named.extend(cursor.object_name());
        }
        if !from_first || cursor.at("USING") {
            named = joined_tables(*cursor, named);
        }
    }
    Some(named.into_iter().map(|table| Change::DeleteRows { table }).collect())
}

/// MariaDB's `DELETE a, b FROM t1 a JOIN t2 b`: the names are aliases of what follows FROM.
fn joined_tables(mut cursor: Cursor<'_>, named: Vec<ObjectName>) -> Vec<ObjectName> {
    let mut aliases: Vec<(String, ObjectName)> = Vec::new();
    while cursor.skip_to(&["FROM", "USING", "JOIN"]) {
        cursor.bump();
        while let Some(table) = cursor.object_name() {
            cursor.eat("AS");
            let alias = if cursor.at_any(CLAUSES) || cursor.at_any(&["ON", "USING", "SET"]) {
                None
            } else {
                cursor.ident()
            };
            aliases.push((alias.unwrap_or_else(|| table.name.clone()), table));
            if !cursor.eat_kind(TokenKind::Comma) {
                break;
            }
        }
    }
    let resolve = |name: ObjectName| {
        let found = aliases.iter().find(|(alias, _)| *alias == name.name);
        found.map_or(name, |(_, table)| table.clone())
    };
    named.into_iter().map(resolve).collect()
}

/// Reads what follows `TRUNCATE`.
pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Option<Change> {
    cursor.eat("TABLE");
    let mut tables = Vec::new();
    loop {
        cursor.eat("ONLY");
        tables.push(cursor.object_name()?);
        cursor.eat_text("*");
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
    }
    let cascade = cursor.skip_to(&["CASCADE"]);
    Some(Change::Truncate { tables, cascade })
}
