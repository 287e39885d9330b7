//! One statement being made: its tables, and how it calls them.

use super::expr::Writer;
use super::tables::{Compared, Tables};
use crate::proof::engine::Engine;
use crate::proof::random::Random;

/// What a form makes: the statement, and the table that it writes.
pub(super) type Made = (String, Compared);

/// The tables of a statement, and how it calls the driving one.
pub(super) struct Draft<'r> {
    pub(super) engine: Engine,
    pub(super) random: &'r mut Random,
    pub(super) tables: Tables,
    /// Whether the driving table has an alias.
    pub(super) aliased: bool,
}

impl<'r> Draft<'r> {
    pub(super) fn new(engine: Engine, random: &'r mut Random, number: usize) -> Draft<'r> {
        let tables = Tables::new(engine, random, number);
        let aliased = random.below(2) == 0;
        Draft { engine, random, tables, aliased }
    }

    pub(super) fn driving(&self) -> String {
        self.tables.driving.clone()
    }

    pub(super) fn other(&self) -> String {
        self.tables.other.clone()
    }

    pub(super) fn target(&self) -> String {
        self.tables.target.clone()
    }

    /// The driving table where it is introduced: `d1`, `d1 AS x`.
    pub(super) fn from(&self) -> String {
        let driving = &self.tables.driving;
        if self.aliased { format!("{driving} AS x") } else { driving.clone() }
    }

    /// What the driving table is called: `x`, `d1`.
    pub(super) fn name(&self) -> String {
        if self.aliased { "x".to_owned() } else { self.tables.driving.clone() }
    }

    /// A column of the driving table: `x.a`.
    pub(super) fn of(&self, column: &str) -> String {
        format!("{}.{column}", self.name())
    }

    /// Expressions over the driving table, and over another one in sub-queries.
    pub(super) fn writer(&mut self) -> Writer<'_> {
        let prefix = format!("{}.", self.name());
        let other = Some(self.tables.other.clone());
        Writer { engine: self.engine, random: &mut *self.random, prefix, other }
    }

    /// Expressions over the driving table alone, its columns written with `prefix`.
    pub(super) fn plain(&mut self, prefix: &str) -> Writer<'_> {
        Writer {
            engine: self.engine,
            random: &mut *self.random,
            prefix: prefix.to_owned(),
            other: None,
        }
    }

    /// A condition that stands in a list of others, in parentheses.
    pub(super) fn also(&mut self) -> String {
        let depth = self.random.below(3);
        let condition = self.writer().condition(depth);
        format!("({condition})")
    }

    /// ` WHERE ..`, or nothing.
    pub(super) fn filter(&mut self) -> String {
        self.writer().filter()
    }

    /// One or two assignments to `b` and `s`, whose left sides are written with `prefix`.
    pub(super) fn assignments(&mut self, prefix: &str) -> String {
        let number = self.writer().value();
        let depth = self.random.below(3);
        let text = self.writer().text(depth);
        match self.random.below(4) {
            0 => format!("{prefix}s = {text}"),
            1 => format!("{prefix}s = {text}, {prefix}b = {number}"),
            2 => format!("{prefix}b = {number}, {prefix}f = {}", self.random.below(9)),
            _ => format!("{prefix}b = {number}"),
        }
    }

    /// The driving key's columns, called as the driving table is.
    pub(super) fn key(&self) -> Vec<String> {
        self.tables.key_names().iter().map(|name| self.of(name)).collect()
    }

    /// `x.k = t.k AND ..` for the columns of the key.
    pub(super) fn key_is(&self, table: &str) -> String {
        let names = self.tables.key_names();
        let parts: Vec<String> =
            names.iter().map(|name| format!("{} = {table}.{name}", self.of(name))).collect();
        parts.join(" AND ")
    }

    /// `k, k2, c1, c2` of the target.
    pub(super) fn target_columns(&self) -> String {
        let mut names: Vec<&str> = self.tables.key_names();
        names.extend(["c1", "c2"]);
        names.join(", ")
    }

    /// A list of the driving key's columns and two more values.
    pub(super) fn items(&mut self) -> String {
        let mut items = self.key();
        let depth = self.random.below(3);
        items.push(self.writer().value());
        items.push(self.writer().text(depth));
        items.join(", ")
    }

    /// The text with a comment and line breaks, as people write it.
    pub(super) fn dressed(&mut self, sql: String) -> String {
        match self.random.below(5) {
            0 => sql.replacen(" WHERE ", "\n -- only WHERE it's needed\n WHERE ", 1),
            1 => sql.replacen(" SET ", " /* SET ; */ SET ", 1),
            2 => sql.replacen(" FROM ", "\n\tfrom ", 1),
            _ => sql,
        }
    }
}
