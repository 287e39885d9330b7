//! One statement with its tables.

use std::fmt;

use super::draft::Draft;
use super::forms::{FORMS, Form};
use super::key::KeyKind;
use super::tables::Compared;
use crate::proof::engine::Engine;
use crate::proof::random::Random;

/// A generated statement, its tables, and what is looked at afterwards.
pub(super) struct Case {
    pub(super) engine: Engine,
    pub(super) seed: u64,
    pub(super) number: usize,
    pub(super) form: &'static Form,
    /// Name of the driving table's kind of key.
    pub(super) key: &'static str,
    pub(super) setup: String,
    pub(super) sql: String,
    pub(super) compared: Compared,
}

impl Case {
    /// Statement `number` of a seed: the same each time.
    pub(super) fn new(engine: Engine, seed: u64, number: usize) -> Case {
        let forms = of(engine);
        let form = forms.get(number % forms.len()).copied();
        let form = form.unwrap_or_else(|| panic!("{engine} has no form"));
        let own = u64::try_from(number).unwrap_or(0).wrapping_mul(0x1000_0001);
        let mut random = Random::new(seed.wrapping_add(own));
        let mut draft = Draft::new(engine, &mut random, number);
        let (sql, compared) = (form.make)(&mut draft);
        let (key, setup) = (draft.tables.kind.name, draft.tables.setup);
        Case { engine, seed, number, form, key, setup, sql, compared }
    }

    /// Whether the statement has no one result: SQLite computes and writes row by row, so that a
    /// sub-query for each row sees what the statement has written so far.
    pub(super) fn is_row_by_row(&self) -> bool {
        self.engine == Engine::Sqlite && self.form.name == "trap: update reads written"
    }

    /// A query that prints the rows of the table that the statement writes, values in a form that
    /// tells types and NULL apart.
    pub(super) fn look(&self) -> String {
        let key = if self.compared.numbered { &[][..] } else { &self.compared.key[..] };
        let shown: Vec<String> = key
            .iter()
            .chain(&self.compared.columns)
            .map(|name| match self.engine {
                Engine::Sqlite => format!("quote({name})"),
                Engine::Postgres => format!("quote_nullable({name}::text)"),
                Engine::Mariadb if self.key == "varbinary" && name == "k" => format!("hex({name})"),
                Engine::Mariadb => format!("quote({name})"),
            })
            .collect();
        format!("SELECT {} FROM {};\n", shown.join(", "), self.compared.table)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { engine, seed, number, form, key, .. } = self;
        write!(f, "{engine}/{seed}/{number} ({}, key {key})\n{};", form.name, self.sql)
    }
}

fn of(engine: Engine) -> Vec<&'static Form> {
    FORMS.iter().filter(|form| form.on.contains(&engine)).collect()
}

/// Names of the forms of an engine.
pub(super) fn form_names(engine: Engine) -> Vec<&'static str> {
    of(engine).iter().map(|form| form.name).collect()
}

/// Names of the kinds of keys of an engine.
pub(super) fn key_names(engine: Engine) -> Vec<&'static str> {
    KeyKind::all(engine, 0).iter().map(|kind| kind.name).collect()
}
