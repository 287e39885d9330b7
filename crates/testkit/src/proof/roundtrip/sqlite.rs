//! SQLite databases with random schemas and rows.

use std::fmt::Write as _;

use super::Maker;

/// What a schema can have. One that no case had makes the test fail.
pub(super) const FEATURES: &[&str] = &[
    "autoincrement",
    "check",
    "collation",
    "composite key",
    "default",
    "expression index",
    "foreign key to itself",
    "foreign keys in a circle",
    "fts5",
    "generated stored",
    "generated virtual",
    "no key",
    "strict",
    "trigger",
    "view",
    "without rowid",
];

/// Values at the edges of their types.
const VALUES: &[&str] = &[
    "NULL",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "-0.0",
    "0.1",
    "1e308",
    "5e-324",
    "-9e999",
    "''",
    "'a''b \"c\" %s \\'",
    "'line' || char(10) || 'two' || char(9)",
    "'ünï 😀'",
    "x''",
    "randomblob(3000)",
];

impl Maker {
    /// A table without its foreign keys: names of its columns that can be given, and the SQL.
    fn table(&mut self, name: &str, others: usize) -> (Vec<String>, String) {
        let strict = self.one_in(4, "strict");
        let count = 1 + self.random.below(6);
        let (mut columns, mut lines) = (Vec::new(), Vec::new());
        let without_rowid = self.one_in(4, "without rowid");
        if without_rowid || self.one_in(4, "composite key") {
            lines.extend(["k1 TEXT NOT NULL".to_owned(), "k2 BLOB NOT NULL".to_owned()]);
            columns.extend(["k1".to_owned(), "k2".to_owned()]);
        } else if self.one_in(2, "autoincrement") {
            lines.push("id INTEGER PRIMARY KEY AUTOINCREMENT".to_owned());
        } else {
            self.has("no key");
        }
        for column in 0..count {
            let name = format!("c{column} \"x");
            let quoted = name.replace('"', "\"\"");
            let kind = if strict { "ANY" } else { self.kind() };
            let mut line = format!("\"{quoted}\" {kind}");
            if !strict && self.one_in(5, "collation") {
                line.push_str(" COLLATE NOCASE");
            }
            if self.one_in(5, "default") {
                line.push_str(" DEFAULT ('a' || 1)");
            }
            if self.one_in(6, "check") {
                let _ = write!(line, " CHECK (\"{quoted}\" IS NULL OR 1)");
            }
            lines.push(line);
            columns.push(format!("\"{quoted}\""));
        }
        let kind = if strict { "ANY" } else { "" };
        for (feature, how) in [("generated stored", "STORED"), ("generated virtual", "VIRTUAL")] {
            if self.one_in(4, feature) {
                let from = columns.last().cloned().unwrap_or_default();
                lines.push(format!("g_{how} {kind} AS (quote({from})) {how}"));
            }
        }
        if columns.first().is_some_and(|first| first == "k1") {
            lines.push("PRIMARY KEY (k1, k2)".to_owned());
        }
        self.references(name, others, &columns, &mut lines);
        let options = match (strict, without_rowid) {
            (true, true) => " STRICT, WITHOUT ROWID",
            (true, false) => " STRICT",
            (false, true) => " WITHOUT ROWID",
            (false, false) => "",
        };
        (columns, format!("CREATE TABLE {name} ({}){options};\n", lines.join(", ")))
    }

    fn kind(&mut self) -> &'static str {
        let kinds = ["", "TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC", "VARCHAR(3)", "DATETIME"];
        self.pick(&kinds)
    }

    fn references(&mut self, name: &str, others: usize, from: &[String], to: &mut Vec<String>) {
        let Some(column) = from.last() else { return };
        if self.one_in(4, "foreign key to itself") {
            to.push(format!("FOREIGN KEY ({column}) REFERENCES {name} ({column})"));
        }
        if others > 1 && self.one_in(4, "foreign keys in a circle") {
            // Tables may refer to ones that come later; all of them in a circle do.
            let own: usize = name.trim_start_matches('t').parse().unwrap_or(0);
            let next = (own + 1) % others;
            to.push(format!("FOREIGN KEY ({column}) REFERENCES t{next} (\"c0 \"\"x\")"));
        }
    }

    /// A whole database.
    pub(super) fn sqlite(&mut self) -> String {
        let tables = 1 + self.random.below(4);
        let mut sql = String::new();
        for number in 0..tables {
            let name = format!("t{number}");
            let (columns, create) = self.table(&name, tables);
            sql.push_str(&create);
            let last = columns.last().cloned().unwrap_or_default();
            if self.one_in(3, "expression index") {
                let _ = writeln!(sql, "CREATE INDEX i{number} ON {name} (typeof({last}));");
            }
            if self.one_in(3, "view") {
                let _ =
                    writeln!(sql, "CREATE VIEW v{number} AS SELECT {last} AS \"; x\" FROM {name};");
            }
            for row in 0..self.random.below(30) {
                let values: Vec<String> = columns
                    .iter()
                    .map(|column| match column.as_str() {
                        "k1" => format!("'{row}'"),
                        "k2" => format!("x'{row:04}'"),
                        _ => self.pick(VALUES).to_owned(),
                    })
                    .collect();
                let (names, values) = (columns.join(", "), values.join(", "));
                let _ = writeln!(sql, "INSERT INTO {name} ({names}) VALUES ({values});");
            }
            if self.one_in(3, "trigger") {
                let body = "BEGIN SELECT 1; SELECT 2; END";
                let _ = writeln!(sql, "CREATE TRIGGER r{number} BEFORE DELETE ON {name} {body};");
            }
        }
        if self.one_in(3, "fts5") {
            sql.push_str("CREATE VIRTUAL TABLE f USING fts5 (a, b);\n");
            sql.push_str("INSERT INTO f VALUES ('some words', 'and more'), (NULL, 'ünï');\n");
        }
        sql
    }
}
