//! Keys of driving rows: reading them, comparing with them, keeping them in the ledger.

use whimbrel_core::data::{
    FROZEN_TEMPORARY, KeyColumn, after_predicate, key_literal, range_predicate,
};
use whimbrel_core::snapshot::Table;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{TokenKind, ident_value, lex};
use whimbrel_core::sql::quote::quote_ident;

use super::cursor::Cursor;
use crate::backend::{Row, Session};
use crate::error::EngineError;

/// The values of a key's columns, as texts that [`Keys`] read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(Vec<String>);

impl Key {
    /// The key of a statement that has none.
    pub(super) fn none() -> Key {
        Key(Vec::new())
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| "[]".to_owned())
    }

    /// A key whose texts are as [`key_literal`] reads them.
    pub(super) fn of_texts(texts: Vec<String>) -> Key {
        Key(texts)
    }

    /// Its texts.
    pub(super) fn texts(&self) -> &[String] {
        &self.0
    }

    pub(super) fn of_json(text: &str) -> Option<Key> {
        serde_json::from_str(text).ok().map(Key)
    }

    pub(super) fn of_row(row: &Row) -> Option<Key> {
        row.iter().cloned().collect::<Option<Vec<String>>>().map(Key)
    }
}

/// The key of the driving table, and how it is read and compared.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(super) dialect: Dialect,
    /// The driving table as it stands in SQL.
    pub(crate) table: String,
    pub(super) columns: Vec<KeyColumn>,
    /// The table whose keys are gone along, where that is not the driving table: it has columns of
    /// the same names, and fewer rows.
    pub(super) walked: Option<String>,
    /// Rows that no range has in it: an earlier statement of the file has set them aside.
    pub(super) aside: Vec<Key>,
}

/// Rows in key order: after the first key, up to and with the second, and how many they are.
pub(super) type Range = (Option<Key>, Key, u64);

/// Which driving rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows<'a> {
    /// Those after the first key, up to and with the second.
    Range(Option<&'a Key>, &'a Key),
    /// One.
    One(&'a Key),
}

/// Alias of the driving table in our own queries.
pub(super) const ALIAS: &str = "whimbrel_d";

impl Keys {
    /// A key without rows that are set aside.
    pub(super) fn new(dialect: Dialect, table: String, columns: Vec<KeyColumn>) -> Keys {
        Keys { dialect, table, columns, walked: None, aside: Vec::new() }
    }

    /// The table whose keys are gone along.
    pub(super) fn walked(&self) -> &str {
        self.walked.as_deref().unwrap_or(&self.table)
    }

    /// The key's columns of the table that is called `alias`.
    pub(super) fn of(&self, alias: &str) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| {
                let name = if column.rowid {
                    column.name.clone()
                } else {
                    quote_ident(&column.name, self.dialect)
                };
                format!("{alias}.{name}")
            })
            .collect()
    }

    /// The key's columns as the author's statement calls the driving table.
    pub(super) fn as_written(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.sql.clone()).collect()
    }

    pub(super) fn literals(&self, key: &Key) -> Result<Vec<String>, EngineError> {
        let pairs = self.columns.iter().zip(&key.0);
        let literals: Option<Vec<String>> = pairs
            .map(|(column, text)| key_literal(text, &column.type_name, self.dialect))
            .collect();
        literals.filter(|found| found.len() == self.columns.len()).ok_or_else(|| self.unusable(key))
    }

    fn unusable(&self, key: &Key) -> EngineError {
        EngineError::Refused(format!(
            "The key {} of {} cannot be compared with; name another with `by=`",
            self.shown(key),
            self.table
        ))
    }

    /// The condition that the driving row of the author's statement is among these.
    pub(super) fn as_written_among(&self, rows: Rows<'_>) -> Result<String, EngineError> {
        self.among(&self.as_written(), rows)
    }

    /// The same for all rows of a range, those that are set aside, too.
    pub(super) fn as_written_range(
        &self,
        after: Option<&Key>,
        last: &Key,
    ) -> Result<String, EngineError> {
        self.range(&self.as_written(), after, last)
    }

    /// The same as [`Keys::as_written_among`] for columns that are called otherwise.
    pub(super) fn among(&self, columns: &[String], rows: Rows<'_>) -> Result<String, EngineError> {
        match rows {
            Rows::Range(after, last) => {
                let range = self.range(columns, after, last)?;
                Ok(match self.is_aside(columns)? {
                    Some(aside) => format!("{range} AND NOT ({aside})"),
                    None => range,
                })
            }
            Rows::One(key) => self.equals(columns, key),
        }
    }

    /// The condition that a row is one of those set aside; none if there are none.
    pub(super) fn is_aside(&self, columns: &[String]) -> Result<Option<String>, EngineError> {
        self.one_of(columns, &self.aside)
    }

    /// The condition that the driving row of the author's statement has none of these keys.
    pub(super) fn as_written_none_of(&self, keys: &[Key]) -> Result<String, EngineError> {
        let found = self.one_of(&self.as_written(), keys)?;
        Ok(found.map_or_else(|| "1 = 1".to_owned(), |found| format!("NOT {found}")))
    }

    fn one_of(&self, columns: &[String], keys: &[Key]) -> Result<Option<String>, EngineError> {
        let one = |key: &Key| Ok(format!("({})", self.equals(columns, key)?));
        let keys: Vec<String> = keys.iter().map(one).collect::<Result<_, EngineError>>()?;
        Ok((!keys.is_empty()).then(|| format!("({})", keys.join(" OR "))))
    }

    /// The condition that a key lies in `(after, last]`.
    pub(super) fn range(
        &self,
        columns: &[String],
        after: Option<&Key>,
        last: &Key,
    ) -> Result<String, EngineError> {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let after = after.map(|key| self.literals(key)).transpose()?;
        range_predicate(&columns, after.as_deref(), &self.literals(last)?, self.dialect)
            .ok_or_else(|| self.unusable(last))
    }

    /// The condition that a key comes behind another.
    pub(super) fn behind(&self, columns: &[String], after: &Key) -> Result<String, EngineError> {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        after_predicate(&columns, &self.literals(after)?, self.dialect)
            .ok_or_else(|| self.unusable(after))
    }

    /// The condition that a row has exactly this key.
    pub(super) fn equals(&self, columns: &[String], key: &Key) -> Result<String, EngineError> {
        let pairs = columns.iter().zip(self.literals(key)?);
        let parts: Vec<String> =
            pairs.map(|(column, literal)| format!("{column} = {literal}")).collect();
        Ok(parts.join(" AND "))
    }

    /// The condition that two tables' keys are the same.
    pub(super) fn same(left: &[String], right: &[String]) -> String {
        let parts: Vec<String> =
            left.iter().zip(right).map(|(left, right)| format!("{left} = {right}")).collect();
        parts.join(" AND ")
    }

    /// An expression whose text [`key_literal`] turns back into the value.
    pub(super) fn text_of(&self, column: &KeyColumn, sql: &str) -> String {
        value_text(sql, &column.type_name, self.dialect)
    }

    /// Those expressions for the key of the table that is called `alias`.
    pub(super) fn texts_of(&self, alias: &str) -> Vec<String> {
        let pairs = self.columns.iter().zip(self.of(alias));
        pairs.map(|(column, sql)| self.text_of(column, &sql)).collect()
    }

    /// `key1 AS whimbrel_k1, key2 AS whimbrel_k2`
    pub(super) fn aliased(&self, columns: &[String]) -> String {
        let parts: Vec<String> = columns
            .iter()
            .zip(self.names())
            .map(|(sql, name)| format!("{sql} AS {name}"))
            .collect();
        parts.join(", ")
    }

    /// The names of the key's columns in our own tables.
    pub(super) fn names(&self) -> Vec<String> {
        (1..=self.columns.len()).map(|number| format!("whimbrel_k{number}")).collect()
    }

    /// Whether MySQL can index the columns without being told a length.
    pub(super) fn may_be_indexed(&self) -> bool {
        let long = |column: &KeyColumn| {
            let lower = column.type_name.to_ascii_lowercase();
            lower.contains("text") || lower.contains("blob")
        };
        !self.columns.iter().any(long)
    }

    /// Whether an index on the columns is surely no longer than MariaDB's engine Aria takes (2,000
    /// bytes); a character has four bytes at most.
    pub(super) fn is_short(&self) -> bool {
        let bytes = self.columns.iter().map(|column| bytes_max(&column.type_name));
        bytes.fold(0, usize::saturating_add) <= ARIA_KEY_BYTES_MAX
    }

    /// Those names in the table called `alias`.
    pub(super) fn names_in(&self, alias: &str) -> Vec<String> {
        self.names().iter().map(|name| format!("{alias}.{name}")).collect()
    }

    /// The key of the row that comes `number`th (from 1) among those in `(after, last]`.
    pub(super) async fn nth(
        &self,
        session: &mut dyn Session,
        after: Option<&Key>,
        last: &Key,
        number: u64,
    ) -> Result<Option<Key>, EngineError> {
        let columns = self.of(ALIAS);
        self.one(session, &self.range(&columns, after, last)?, "", number.saturating_sub(1)).await
    }

    /// The rows of the batch after those that a cursor has done; none when all are done.
    pub(super) async fn next(
        &self,
        session: &mut dyn Session,
        cursor: &Cursor,
        size: u64,
    ) -> Result<Option<Range>, EngineError> {
        let Some(upper) = &cursor.upper else { return Ok(None) };
        if cursor.last.as_ref() == Some(upper) {
            return Ok(None);
        }
        let after = cursor.last.clone();
        if let Some(last) = self.nth(session, after.as_ref(), upper, size).await? {
            return Ok(Some((after, last, size)));
        }
        let rows = self.count(session, after.as_ref(), upper).await?;
        Ok(Some((after, upper.clone(), rows)))
    }

    /// The greatest key there is.
    pub(super) async fn greatest(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<Key>, EngineError> {
        let there: Vec<String> =
            self.of(ALIAS).iter().map(|column| format!("{column} IS NOT NULL")).collect();
        self.one(session, &there.join(" AND "), " DESC", 0).await
    }

    /// The texts are read outside of the query that orders, where a column of the same name would
    /// be the text and be ordered as one.
    async fn one(
        &self,
        session: &mut dyn Session,
        condition: &str,
        order: &str,
        offset: u64,
    ) -> Result<Option<Key>, EngineError> {
        let columns = self.of(ALIAS);
        let ordered: Vec<String> =
            columns.iter().map(|column| format!("{column}{order}")).collect();
        let names = self.names_in("whimbrel_b");
        let texts: Vec<String> = self
            .columns
            .iter()
            .zip(&names)
            .map(|(column, sql)| self.text_of(column, sql))
            .collect();
        let sql = format!(
            "SELECT {} FROM (SELECT {} FROM {} {ALIAS} WHERE {condition} ORDER BY {} LIMIT 1 \
             OFFSET {offset}) whimbrel_b",
            texts.join(", "),
            self.aliased(&columns),
            self.walked(),
            ordered.join(", ")
        );
        Ok(session.query(&sql).await?.first().and_then(Key::of_row))
    }

    /// How many driving rows lie in `(after, last]`.
    pub(super) async fn count(
        &self,
        session: &mut dyn Session,
        after: Option<&Key>,
        last: &Key,
    ) -> Result<u64, EngineError> {
        let sql = format!(
            "SELECT count(*) FROM {} {ALIAS} WHERE {}",
            self.walked(),
            self.range(&self.of(ALIAS), after, last)?
        );
        let rows = session.query(&sql).await?;
        let count = rows.first().map_or(0, |row| crate::ledger::number(row, 0));
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The key's columns with their types, as the cursor keeps them.
    pub(super) fn json(&self) -> String {
        let columns: Vec<serde_json::Value> = self
            .columns
            .iter()
            .map(|column| {
                serde_json::json!({
                    "name": column.name,
                    "type": column.type_name,
                    "collation": column.collation,
                })
            })
            .collect();
        serde_json::Value::Array(columns).to_string()
    }

    /// The driving table for people.
    pub(crate) fn shown_table(&self) -> String {
        shown_table(&self.table, self.dialect)
    }

    /// A key in words: `id = 17`.
    pub(super) fn shown(&self, key: &Key) -> String {
        let pairs = self.columns.iter().zip(&key.0);
        let parts: Vec<String> =
            pairs.map(|(column, text)| format!("{} = {text}", column.name)).collect();
        parts.join(", ")
    }
}

/// The columns of a key of this table; one that it does not have is SQLite's rowid.
pub(super) fn key_columns(table: &Table, names: &[String]) -> Vec<KeyColumn> {
    let of = |name: &String| {
        let column = table.columns.iter().find(|column| column.name == *name);
        KeyColumn {
            name: name.clone(),
            sql: name.clone(),
            type_name: column.map_or_else(|| "INTEGER".to_owned(), |one| one.type_name.clone()),
            rowid: column.is_none(),
            collation: None,
        }
    };
    names.iter().map(of).collect()
}

/// MySQL prints a FLOAT with fewer digits than it has, and orders ENUM and SET by their numbers.
fn mysql_text(type_name: &str, sql: &str) -> String {
    let lower = type_name.to_ascii_lowercase();
    let is = |start: &str| lower.starts_with(start);
    if is("enum(") || is("set(") {
        return format!("CAST({sql} + 0 AS CHAR)");
    }
    if is("float") {
        return format!("CAST(CAST({sql} AS DOUBLE) AS CHAR)");
    }
    if is_binary(type_name) {
        return format!("HEX({sql})");
    }
    format!("CAST({sql} AS CHAR)")
}

/// An expression whose text [`key_literal`] turns back into the value.
pub(crate) fn value_text(sql: &str, type_name: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => format!("quote({sql})"),
        Dialect::Postgres => format!("({sql})::text"),
        Dialect::Mysql => mysql_text(type_name, sql),
    }
}

/// A table's name in SQL as people write it: without quotes, and without PostgreSQL's `public`.
pub(crate) fn shown_table(sql: &str, dialect: Dialect) -> String {
    let tokens = lex(sql, dialect);
    let names = tokens.iter().filter(|token| token.kind != TokenKind::Dot);
    let names: Vec<String> = names.map(|token| ident_value(token.text(sql), dialect)).collect();
    match names.as_slice() {
        [schema @ .., table] if is_work_table(schema, table) => "the computed rows".to_owned(),
        [schema, table] if schema == "public" && dialect == Dialect::Postgres => table.clone(),
        names => names.join("."),
    }
}

/// Whether a table is the work table of a frozen statement.
fn is_work_table(schema: &[String], name: &str) -> bool {
    let ours = match schema {
        [schema] if schema == "whimbrel" => Some(name),
        _ => name.strip_prefix("whimbrel_"),
    };
    let kept = ours.is_some_and(|name| name.starts_with("undo_") && name.ends_with("_work"));
    kept || name == FROZEN_TEMPORARY
}

pub(super) fn is_binary(type_name: &str) -> bool {
    let lower = type_name.to_ascii_lowercase();
    lower.contains("binary") || lower.contains("blob")
}

/// Most bytes of a key for which Aria makes an index that is surely not too long.
const ARIA_KEY_BYTES_MAX: usize = 1_000;

/// Most bytes that a value of a key's column has in an index; more than any, where that is unknown.
fn bytes_max(type_name: &str) -> usize {
    const NUMBER_OR_TIME: usize = 40;
    let lower = type_name.to_ascii_lowercase();
    if !(lower.contains("char") || lower.contains("binary")) {
        return NUMBER_OR_TIME;
    }
    let length = lower.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let characters = length.and_then(|(length, _)| length.trim().parse::<usize>().ok());
    characters.map_or(usize::MAX, |characters| characters.saturating_mul(4))
}
