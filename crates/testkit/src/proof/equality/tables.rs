//! The tables that one generated statement has to itself.

use std::fmt::Write as _;

use super::key::KeyKind;
use crate::proof::engine::Engine;
use crate::proof::random::Random;

/// How many rows the driving table has; a batch of 7 ends before, at and after some of them.
const ROWS: [usize; 8] = [0, 1, 6, 7, 8, 15, 22, 40];
const TEXTS: [&str; 9] =
    ["NULL", "'a'", "'A'", "'Ärger'", "''", "'a b '", "'it''s'", "'日本a'", "'long enough to see'"];

/// A table that is compared.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    /// Its name in SQL.
    pub(super) table: String,
    /// What tells its rows apart: columns in SQL.
    pub(super) key: Vec<String>,
    /// Whether the database makes the key, so that equal contents may have others.
    pub(super) numbered: bool,
    /// All other columns.
    pub(super) columns: Vec<String>,
}

/// Names and contents of the tables of one statement.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) engine: Engine,
    pub(super) kind: KeyKind,
    /// The driving table: key, `a`, `b`, `s`, `f`, `r`.
    pub(super) driving: String,
    /// A table with `k` (its primary key, on which `r` points), `v`, `w`, `g`.
    pub(super) other: String,
    /// The table that an INSERT fills; its columns depend on the statement.
    pub(super) target: String,
    pub(super) setup: String,
    /// Keys of the driving table.
    pub(super) keys: Vec<Vec<String>>,
}

impl Tables {
    /// Tables for statement `number`.
    pub(super) fn new(engine: Engine, random: &mut Random, number: usize) -> Tables {
        let kinds = KeyKind::all(engine, number);
        let kind = random.pick(&kinds).cloned();
        let kind = kind.unwrap_or_else(|| panic!("{engine} has no kind of key"));
        let odd = random.below(4) == 0;
        let name = |letter: &str| {
            if odd {
                quote(engine, &format!("{letter} Select {number}"))
            } else {
                format!("{letter}{number}")
            }
        };
        let rows = random.pick(&ROWS).copied().unwrap_or(7);
        let keys = kind.keys(engine, random, rows);
        let mut tables = Tables {
            engine,
            driving: name("d"),
            other: name("o"),
            target: name("t"),
            setup: kind.before.clone(),
            kind,
            keys,
        };
        tables.make_driving(random);
        tables.make_other(random);
        tables
    }

    fn make_driving(&mut self, random: &mut Random) {
        let mut columns: Vec<String> =
            self.kind.columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        columns.extend(["a", "b", "f", "r"].map(|name| format!("{name} integer")));
        columns.push("s varchar(400)".to_owned());
        columns.extend(Some(self.kind.constraint.clone()).filter(|text| !text.is_empty()));
        let (table, options) = (&self.driving, self.kind.options);
        let _ = writeln!(self.setup, "CREATE TABLE {table} ({}){options};", columns.join(", "));
        let keys = self.keys.clone();
        let rows: Vec<String> = keys.iter().map(|key| self.row(key, random)).collect();
        self.insert_rows(&self.driving.clone(), &rows);
    }

    /// A row of the driving table: key, `a`, `b`, `f`, `r`, `s`.
    pub(super) fn row(&self, key: &[String], random: &mut Random) -> String {
        let mut values = key.to_vec();
        values.push(number(random, 12));
        values.push(number(random, 30));
        values.push(number(random, 2));
        values.push(number(random, 14));
        values.push(random.pick(&TEXTS).copied().unwrap_or("NULL").to_owned());
        format!("({})", values.join(", "))
    }

    fn make_other(&mut self, random: &mut Random) {
        let table = self.other.clone();
        let _ = writeln!(
            self.setup,
            "CREATE TABLE {table} (k integer PRIMARY KEY, v integer, w varchar(100), g integer);"
        );
        let count = random.below(14);
        let rows: Vec<String> = (0..count)
            .map(|at| {
                let text = random.pick(&TEXTS).copied().unwrap_or("NULL");
                format!("({}, {}, {text}, {})", at, number(random, 9), number(random, 12))
            })
            .collect();
        self.insert_rows(&table, &rows);
    }

    /// Adds rows to the set-up.
    pub(super) fn insert_rows(&mut self, table: &str, rows: &[String]) {
        if !rows.is_empty() {
            let _ = writeln!(self.setup, "INSERT INTO {table} VALUES {};", rows.join(", "));
        }
    }

    /// The names of the driving key's columns.
    pub(super) fn key_names(&self) -> Vec<&'static str> {
        self.kind.columns.iter().map(|(name, _)| *name).collect()
    }

    /// The driving table, as it is compared.
    pub(super) fn compared_driving(&self) -> Compared {
        let key = match self.kind.name {
            "rowid" | "text_null" => vec!["rowid".to_owned()],
            _ => self.key_names().iter().map(|name| (*name).to_owned()).collect(),
        };
        let mut columns = ["a", "b", "f", "r", "s"].map(str::to_owned).to_vec();
        if self.kind.name == "text_null" {
            columns.push("k".to_owned());
        }
        Compared { table: self.driving.clone(), key, numbered: false, columns }
    }

    /// Makes the target with the driving table's key and the columns `c1`, `c2`.
    pub(super) fn keyed_target(&mut self, constraint: bool) -> Compared {
        let mut columns: Vec<String> =
            self.kind.columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        columns.push("c1 integer, c2 varchar(400)".to_owned());
        let own = self.kind.constraint.clone();
        columns.extend(Some(own).filter(|text| constraint && !text.is_empty()));
        let _ = writeln!(self.setup, "CREATE TABLE {} ({});", self.target, columns.join(", "));
        Compared {
            table: self.target.clone(),
            key: self.key_names().iter().map(|name| (*name).to_owned()).collect(),
            numbered: false,
            columns: vec!["c1".to_owned(), "c2".to_owned()],
        }
    }

    /// Makes the target with a key of its own, the driving key's columns, and `c1`, `c2`.
    pub(super) fn numbered_target(&mut self, random: &mut Random) -> Compared {
        let id = match self.engine {
            Engine::Sqlite if random.below(2) == 0 => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Engine::Sqlite => "INTEGER PRIMARY KEY",
            Engine::Postgres if random.below(2) == 0 => "bigserial PRIMARY KEY",
            Engine::Postgres => "integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            Engine::Mariadb => "integer AUTO_INCREMENT PRIMARY KEY",
        };
        let keys: Vec<String> = self
            .kind
            .columns
            .iter()
            .map(|(name, kind)| format!("{name} {}", kind.replace(" NOT NULL", "")))
            .collect();
        let keys = keys.iter().map(|key| format!("{key}, ")).collect::<String>();
        let table = &self.target;
        let _ = writeln!(
            self.setup,
            "CREATE TABLE {table} (id {id}, {keys}c1 integer, c2 varchar(400));"
        );
        let mut columns: Vec<String> =
            self.key_names().iter().map(|name| (*name).to_owned()).collect();
        columns.extend(["c1".to_owned(), "c2".to_owned()]);
        Compared { table: table.clone(), key: vec!["id".to_owned()], numbered: true, columns }
    }
}

/// A name that needs quotes.
pub(super) fn quote(engine: Engine, name: &str) -> String {
    match engine {
        Engine::Mariadb => format!("`{name}`"),
        Engine::Sqlite | Engine::Postgres => format!("\"{name}\""),
    }
}

fn number(random: &mut Random, below: usize) -> String {
    if random.below(5) == 0 { "NULL".to_owned() } else { random.below(below).to_string() }
}
