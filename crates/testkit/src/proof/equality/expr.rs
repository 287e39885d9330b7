//! Random expressions over the columns of a generated table. They never fail on any row.

use crate::proof::engine::Engine;
use crate::proof::random::Random;

const TEXTS: [&str; 6] = ["'a'", "'Ä'", "''", "'x-y'", "'it''s'", "'日本'"];

/// Makes expressions whose columns are written with a qualifier.
pub(super) struct Writer<'r> {
    pub(super) engine: Engine,
    pub(super) random: &'r mut Random,
    /// `d.`, or nothing.
    pub(super) prefix: String,
    /// Another table that sub-queries may read; none where they may not.
    pub(super) other: Option<String>,
}

impl Writer<'_> {
    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        self.random.pick(items).copied().unwrap_or("NULL")
    }

    fn column(&mut self, names: &[&str]) -> String {
        let name = self.pick(names);
        format!("{}{name}", self.prefix)
    }

    /// A whole number, or NULL.
    pub(super) fn number(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.random.below(4) == 0 {
                self.random.below(20).to_string()
            } else {
                self.column(&["a", "b", "r", "f"])
            };
        }
        let one = self.number(depth - 1);
        match self.random.below(8) {
            0 => format!("({one} + {})", self.number(depth - 1)),
            1 => format!("({one} - {})", self.number(depth - 1)),
            2 => format!("({one} * {})", self.random.below(5)),
            3 => format!("abs({one})"),
            4 => format!("coalesce({one}, {})", self.number(depth - 1)),
            5 => format!("nullif({one}, {})", self.random.below(9)),
            6 => {
                let condition = self.condition(depth - 1);
                format!("CASE WHEN {condition} THEN {one} ELSE {} END", self.number(depth - 1))
            }
            _ => {
                let text = self.text(depth - 1);
                format!("({one} + length({text}))")
            }
        }
    }

    /// A text, or NULL.
    pub(super) fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.random.below(4) == 0 {
                self.pick(&TEXTS).to_owned()
            } else {
                self.column(&["s"])
            };
        }
        let one = self.text(depth - 1);
        match self.random.below(7) {
            0 => format!("upper({one})"),
            1 => format!("lower({one})"),
            2 => format!("trim({one})"),
            3 => format!("replace({one}, 'a', 'bb')"),
            4 => format!("substr({one}, 2)"),
            5 => format!("coalesce({one}, {})", self.pick(&TEXTS)),
            _ => {
                let other = self.text(depth - 1);
                match self.engine {
                    Engine::Mariadb => format!("concat({one}, {other})"),
                    Engine::Sqlite | Engine::Postgres => format!("({one} || {other})"),
                }
            }
        }
    }

    /// A condition; sometimes neither true nor false.
    pub(super) fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            let number = self.number(0);
            let limit = self.random.below(15);
            if let Some(other) = self.other.clone()
                && self.random.below(4) == 0
            {
                return self.sub_query(&other);
            }
            return match self.random.below(7) {
                0 => format!("{number} IS NULL"),
                1 => format!("{number} < {limit}"),
                2 => format!("{number} >= {limit}"),
                3 => format!("{number} IN (1, 3, {limit})"),
                4 => format!("{} LIKE '%a%'", self.text(0)),
                5 => format!("{} <> {}", self.text(0), self.pick(&TEXTS)),
                _ => format!("{number} BETWEEN 2 AND {limit}"),
            };
        }
        let (one, other) = (self.condition(depth - 1), self.condition(depth - 1));
        match self.random.below(4) {
            0 => format!("{one} OR {other}"),
            1 => format!("{one} AND {other}"),
            2 => format!("NOT ({one})"),
            _ => one,
        }
    }

    /// A condition that reads another table.
    fn sub_query(&mut self, other: &str) -> String {
        let (a, r) = (format!("{}a", self.prefix), format!("{}r", self.prefix));
        let limit = self.random.below(9);
        match self.random.below(5) {
            0 => format!("EXISTS (SELECT 1 FROM {other} WHERE {other}.k = {r})"),
            1 => format!("NOT EXISTS (SELECT 1 FROM {other} q WHERE q.g = {a} AND q.v > {limit})"),
            2 => format!("{r} IN (SELECT k FROM {other} WHERE v > {limit} OR w IS NULL)"),
            3 => format!("(SELECT count(*) FROM {other} q WHERE q.g = {a}) > 1"),
            _ => format!("{r} NOT IN (SELECT k FROM {other} WHERE v < {limit})"),
        }
    }

    /// A whole number that another table may have a part in.
    pub(super) fn value(&mut self) -> String {
        let Some(other) = self.other.clone() else { return self.number(2) };
        let (a, r) = (format!("{}a", self.prefix), format!("{}r", self.prefix));
        match self.random.below(8) {
            0 => format!("(SELECT max(q.v) FROM {other} q WHERE q.k = {r})"),
            1 => format!("(SELECT count(*) FROM {other} q WHERE q.g = {a})"),
            2 => format!("coalesce((SELECT v FROM {other} WHERE {other}.k = {r}), -1)"),
            3 => format!("(SELECT q.v FROM {other} q WHERE q.g = {a} ORDER BY q.k LIMIT 1)"),
            4 => format!("CASE WHEN {} THEN 1 ELSE {} END", self.condition(1), self.number(1)),
            _ => self.number(2),
        }
    }

    /// ` WHERE ..`, or nothing.
    pub(super) fn filter(&mut self) -> String {
        match self.random.below(4) {
            0 => String::new(),
            more => format!(" WHERE {}", self.condition(more - 1)),
        }
    }
}
