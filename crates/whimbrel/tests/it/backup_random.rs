//! Databases with random schemas and rows, saved and restored.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whimbrel_testkit::proof::random::Random;

use crate::backup::{Bench, dump};

/// How many databases; `cargo xtask prove roundtrip` is to make more.
const CASES: u64 = 12;
/// The seed of the first.
const SEED: u64 = 20_261_121;

/// What a schema can have. One that no case had makes the test fail.
const FEATURES: [&str; 16] = [
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
const VALUES: [&str; 16] = [
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

struct Maker {
    random: Random,
    seen: BTreeMap<&'static str, u64>,
}

impl Maker {
    fn one_in(&mut self, n: usize, feature: &'static str) -> bool {
        let yes = self.random.below(n) == 0;
        if yes {
            *self.seen.entry(feature).or_default() += 1;
        }
        yes
    }

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
            *self.seen.entry("no key").or_default() += 1;
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
        self.random.pick(&kinds).copied().unwrap_or_default()
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

    fn database(&mut self) -> String {
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
                        _ => self.random.pick(&VALUES).copied().unwrap_or("NULL").to_owned(),
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

#[test]
fn random_databases_come_back_as_they_were() {
    let mut maker = Maker { random: Random::new(SEED), seen: BTreeMap::new() };
    for case in 0..CASES {
        let bench = Bench::empty();
        let sql = maker.database();
        let journal = if case % 2 == 0 { "WAL" } else { "DELETE" };
        bench.database.query(&format!("PRAGMA journal_mode = {journal};\nBEGIN;\n{sql}COMMIT;"));
        let id = bench.create(&["--no-encrypt"]);
        let restored = bench.restored();
        bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
        let saved = dump(&bench.database);
        assert!(saved == dump(&restored), "case {case} of seed {SEED}:\n{sql}");
    }
    let covered: Vec<_> = FEATURES.map(|one| (one, maker.seen.get(one).copied())).into();
    println!("{CASES} databases, seed {SEED}: {covered:?}");
    let missing: Vec<_> = covered.iter().filter(|(_, count)| count.is_none()).collect();
    assert!(missing.is_empty(), "no case had {missing:?}");
}
