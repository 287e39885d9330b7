//! MariaDB databases with random schemas and rows.

use std::fmt::Write as _;

use super::Maker;

/// What a schema can have. One that no case had makes the proof fail.
pub(super) const FEATURES: &[&str] = &[
    "auto_increment",
    "check",
    "collation",
    "composite key",
    "default",
    "event",
    "foreign key to itself",
    "foreign keys in a circle",
    "fulltext index",
    "function",
    "generated stored",
    "generated virtual",
    "invisible",
    "no key",
    "no transactions",
    "other character set",
    "partition by hash",
    "partition by range",
    "prefix index",
    "procedure",
    "sequence",
    "spatial index",
    "trigger",
    "unique",
    "view",
];

/// Types, and values at their edges.
const TYPES: &[(&str, &[&str])] = &[
    ("tinyint(1)", &["0", "1", "-128"]),
    ("smallint unsigned", &["65535"]),
    ("mediumint", &["-8388608"]),
    ("int(5) zerofill", &["42", "4294967295"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    ("bigint unsigned", &["18446744073709551615"]),
    ("decimal(65,30)", &["-99999999999999999999999999999999999.999999999999999999999999999999"]),
    ("decimal(9,4)", &["0", "-0.0001"]),
    ("float", &["0.1", "-0e0", "3.402823466e38", "1e-38", "16777217"]),
    ("float(7,4)", &["123.4567"]),
    ("double", &["0.1", "-0e0", "4.9e-324", "1.7976931348623157e308", "1/3"]),
    ("double(10,3)", &["1234567.891"]),
    ("varchar(60)", &["''", "'it''s'", "'a\\0b\\Z\\r\\n\\t\\\\'", "'ünï 😀'", "'  '", "'NULL'"]),
    ("char(9)", &["'a'", "''", "'é'"]),
    ("varchar(60) CHARACTER SET latin1", &["'é€'", "x'80ff5c27'"]),
    ("varchar(60) CHARACTER SET sjis", &["'あ'", "x'835c'"]),
    ("varchar(60) CHARACTER SET ucs2", &["'Ωß'"]),
    ("varchar(60) CHARACTER SET utf8mb3", &["'Ωß'"]),
    ("text", &["''", "repeat('x', 9000)", "'{\"a\": [1]}'"]),
    ("longtext", &["repeat('ünï', 3000)"]),
    ("binary(4)", &["x'00'", "x'ff00ff00'"]),
    ("varbinary(60)", &["x''", "x'00ff5c27'"]),
    ("longblob", &["x''", "repeat(x'00ff', 3000)"]),
    ("bit(1)", &["b'1'", "b'0'"]),
    ("bit(64)", &["~0", "1"]),
    ("date", &["'0000-00-00'", "'9999-12-31'", "'2020-02-31'", "'2020-00-00'"]),
    ("time(6)", &["'-838:59:59.999999'", "'00:00:00'"]),
    ("datetime(6)", &["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59.999999'"]),
    ("timestamp(6) NULL", &["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07'"]),
    ("timestamp NULL", &["'0000-00-00 00:00:00'"]),
    ("year", &["0", "1901", "2155"]),
    ("enum ('a', 'it''s', 'é')", &["'it''s'", "'é'", "'none such'"]),
    ("set ('x', 'y', 'é') CHARACTER SET latin1", &["''", "'x,é'"]),
    ("json", &["'{\"a\": \"\\\\u00e9\"}'", "'null'", "'[1.50]'"]),
    ("uuid", &["'ffffffff-ffff-ffff-ffff-ffffffffffff'"]),
    ("inet6", &["'::1'", "'10.0.0.1'"]),
    ("point", &["point(1e300, -0.0)"]),
    ("geometry", &["ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326)"]),
];

impl Maker {
    /// A whole database.
    pub(super) fn mariadb(&mut self) -> String {
        let mut sql = String::from(
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', \
             foreign_key_checks = 0;\n",
        );
        let tables = 1 + self.random.below(3);
        for number in 0..tables {
            self.mariadb_table(number, tables, &mut sql);
        }
        for number in 0..tables {
            self.mariadb_extras(number, &mut sql);
        }
        self.mariadb_others(&mut sql);
        sql
    }

    fn mariadb_table(&mut self, number: usize, tables: usize, sql: &mut String) {
        let keyless = tables == 1 && self.one_in(3, "no key");
        let counter = !keyless && self.one_in(2, "auto_increment");
        let mut lines = vec![
            format!("id int NOT NULL{}", if counter { " AUTO_INCREMENT" } else { "" }),
            "ref int".to_owned(),
        ];
        if !keyless && self.one_in(4, "composite key") {
            lines.push("k varchar(9) NOT NULL DEFAULT 'k', PRIMARY KEY (id, k)".to_owned());
        } else if !keyless {
            lines.push("PRIMARY KEY (id)".to_owned());
        }
        let mut columns: Vec<(String, &'static [&'static str])> = Vec::new();
        for column in 0..1 + self.random.below(7) {
            let name = format!("`c{column} ``x`");
            let (kind, values) = self.random.pick(TYPES).copied().unwrap_or(("int", &["0"]));
            lines.push(self.mariadb_column(&name, kind));
            columns.push((name, values));
        }
        if self.one_in(4, "generated stored") {
            lines.push("g varchar(20) AS (concat(ref, '!')) STORED".to_owned());
        }
        if self.one_in(4, "generated virtual") {
            lines.push("h int AS (ref + 1) VIRTUAL".to_owned());
        }
        if self.one_in(5, "check") {
            lines.push("CHECK (ref IS NULL OR ref >= 0)".to_owned());
        }
        let circle = tables > 1 && !keyless && self.one_in(2, "foreign keys in a circle");
        let itself = !circle && !keyless && self.one_in(3, "foreign key to itself");
        let target = if circle { (number + 1) % tables } else { number };
        if circle || itself {
            lines.push(format!("FOREIGN KEY (ref) REFERENCES t{target} (id) ON DELETE CASCADE"));
        }
        let referred = tables > 1 || itself;
        let partitions = match self.random.below(5) {
            0 if !referred && !keyless && self.one_in(1, "partition by range") => {
                " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5), \
                 PARTITION p1 VALUES LESS THAN MAXVALUE)"
            }
            1 if !referred && !keyless && self.one_in(1, "partition by hash") => {
                " PARTITION BY HASH (id) PARTITIONS 3"
            }
            _ => "",
        };
        // Partitions know no geometry.
        if !partitions.is_empty() {
            let is_geometry = |line: &String| line.contains(" point") || line.contains(" geometry");
            columns.retain(|(name, _)| {
                !lines.iter().any(|line| line.starts_with(name.as_str()) && is_geometry(line))
            });
            lines.retain(|line| !is_geometry(line));
        }
        let _ = writeln!(sql, "CREATE TABLE t{number} ({}){partitions};", lines.join(", "));
        for row in 0..self.random.below(20) {
            let (mut names, mut values) = (String::new(), String::new());
            for (name, given) in &columns {
                let value = if self.random.below(4) == 0 { "NULL" } else { self.pick(given) };
                let _ = write!(names, ", {name}");
                let _ = write!(values, ", {value}");
            }
            let to = if itself { row.to_string() } else { "NULL".to_owned() };
            let _ = writeln!(
                sql,
                "INSERT INTO t{number} (id, ref{names}) VALUES ({row}, {to}{values});"
            );
        }
        if circle {
            let _ = writeln!(sql, "UPDATE t{number} SET ref = 0;");
        }
    }

    fn mariadb_column(&mut self, name: &str, kind: &str) -> String {
        let mut line = format!("{name} {kind}");
        if kind.contains("CHARACTER SET") {
            self.has("other character set");
        }
        if kind == "varchar(60)" && self.one_in(2, "collation") {
            line.push_str(" COLLATE utf8mb4_bin");
        }
        let plain = kind.starts_with("varchar") || kind.contains("int");
        if plain && self.one_in(5, "default") {
            line.push_str(" DEFAULT 0");
        }
        if self.one_in(8, "invisible") {
            line.push_str(" INVISIBLE");
        }
        line
    }

    fn mariadb_extras(&mut self, number: usize, sql: &mut String) {
        if self.one_in(3, "view") {
            let _ = writeln!(sql, "CREATE VIEW v{number} AS SELECT id AS `; x` FROM t{number};");
            let _ = writeln!(sql, "CREATE VIEW a{number} AS SELECT `; x` FROM v{number};");
        }
        if self.one_in(3, "trigger") {
            let _ = writeln!(
                sql,
                "DELIMITER //\nCREATE TRIGGER r{number} BEFORE INSERT ON t{number} FOR EACH ROW \
                 BEGIN -- it's a comment\n SIGNAL SQLSTATE '45000'; END//\nDELIMITER ;"
            );
        }
        if self.one_in(3, "unique") {
            let _ = writeln!(sql, "ALTER TABLE t{number} ADD UNIQUE (id, ref);");
        }
    }

    fn mariadb_others(&mut self, sql: &mut String) {
        let mut add = |line: &str| sql.push_str(line);
        if self.one_in(2, "no transactions") {
            add("CREATE TABLE old (a int PRIMARY KEY, b text) ENGINE = MyISAM;\n\
                 INSERT INTO old VALUES (1, 'x'), (2, NULL);\n");
        }
        if self.one_in(2, "fulltext index") {
            add("CREATE TABLE words (id int PRIMARY KEY, w text, FULLTEXT (w));\n\
                 INSERT INTO words VALUES (1, 'some words'), (2, NULL);\n");
        }
        if self.one_in(2, "spatial index") {
            add("CREATE TABLE places (g point NOT NULL, SPATIAL INDEX (g));\n\
                 INSERT INTO places VALUES (point(1, 2)), (point(-0.0, 1e-300));\n");
        }
        if self.one_in(2, "prefix index") {
            add("CREATE TABLE long_ones (t longtext, KEY (t(7)));\n");
        }
        if self.one_in(2, "sequence") {
            add("CREATE SEQUENCE `a seq` START 5 INCREMENT -3 MINVALUE -9 MAXVALUE 9 CYCLE;\n\
                 SELECT NEXT VALUE FOR `a seq`;\n");
        }
        if self.one_in(2, "function") {
            add("DELIMITER //\nCREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC \
                 BEGIN RETURN x * 2; END//\nDELIMITER ;\n\
                 CREATE VIEW doubled AS SELECT twice(id) AS d FROM t0;\n");
        }
        if self.one_in(2, "procedure") {
            add("DELIMITER //\nCREATE PROCEDURE `a b`() BEGIN -- Name: x\n SELECT ';'; END//\n\
                 DELIMITER ;\n");
        }
        if self.one_in(2, "event") {
            add("CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DELETE FROM t0;\n");
        }
    }
}
