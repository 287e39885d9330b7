//! PostgreSQL databases with random schemas and rows.

use std::fmt::Write as _;

use super::Maker;

/// What a schema can have. One that no case had makes the proof fail.
pub(super) const FEATURES: &[&str] = &[
    "array",
    "check",
    "collation",
    "comment",
    "composite key",
    "composite type",
    "default",
    "domain",
    "dropped column",
    "enum",
    "exclusion",
    "expression index",
    "extension",
    "foreign key to itself",
    "foreign keys in a circle",
    "function",
    "generated stored",
    "identity always",
    "identity by default",
    "inheritance",
    "materialized view",
    "no key",
    "partial index",
    "partition by hash",
    "partition by list",
    "partition by range",
    "row security",
    "rule",
    "schema",
    "sequence",
    "serial",
    "statistics",
    "trigger",
    "unlogged",
    "view",
];

/// Types, and values at their edges.
const TYPES: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["0", "-32768", "32767"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    ("numeric", &["'NaN'", "'Infinity'", "1e-1000", "-0.000", "12345678901234567890.5"]),
    ("numeric(9,4)", &["0", "-99999.9999"]),
    ("real", &["'NaN'", "-0.0", "1.1754944e-38", "0.1", "3.4028235e38"]),
    ("double precision", &["'-Infinity'", "-0.0", "0.1", "4.9e-324", "1.7976931348623157e308"]),
    ("text", &["''", "E'\\t\\n\\r\\\\'", "E'\\\\N'", "E'\\\\.'", "'ünï 😀'", "repeat('x', 9000)"]),
    ("varchar(3)", &["'abc'", "''", "'  '"]),
    ("char(5)", &["'a'", "''"]),
    ("\"char\"", &["'a'"]),
    ("name", &["'a name'"]),
    ("bytea", &["''", "'\\x00ff0a5c'", "decode(repeat('00', 3000), 'hex')"]),
    ("date", &["'infinity'", "'0001-01-01'", "'4713-01-01 BC'", "'5874897-12-31'"]),
    ("time", &["'00:00'", "'24:00'", "'23:59:59.999999'"]),
    ("timetz", &["'12:00+15:59'"]),
    ("timestamp", &["'-infinity'", "'294276-12-31 23:59:59.999999'"]),
    ("timestamptz", &["'infinity'", "'1969-12-31 23:59:59.999999+00'", "'2000-02-29 12:00+05'"]),
    ("interval", &["'0'", "'-1 year 3 days -00:00:00.000001'", "'178000000 years'"]),
    ("uuid", &["'00000000-0000-0000-0000-000000000000'"]),
    ("json", &["'{\"a\":1, \"a\":2}'", "'null'"]),
    ("jsonb", &["'{\"b\": [1e400, \"\\u00e9\"]}'", "'null'"]),
    ("xml", &["'<a b=\"c\">d</a>'", "'text only'"]),
    ("money", &["0", "-92233720368547758.08"]),
    ("int4range", &["'empty'", "'(,)'", "'[1,5)'"]),
    ("tsmultirange", &["'{}'", "'{[2000-01-01,2000-01-02),[2001-01-01,)}'"]),
    ("inet", &["'::1/128'", "'10.0.0.0/8'"]),
    ("cidr", &["'10.0.0.0/8'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("bit(3)", &["B'101'"]),
    ("bit varying", &["''", "B'1'"]),
    ("point", &["'(1e308,-1e-308)'"]),
    ("polygon", &["'((0,0),(1,0),(1,1))'"]),
    ("tsvector", &["'a:1A b'", "''"]),
    ("tsquery", &["'a & !b'"]),
    ("regclass", &["'pg_class'", "0"]),
    ("pg_lsn", &["'FFFFFFFF/FFFFFFFF'"]),
    ("oid", &["4294967295"]),
];

impl Maker {
    /// A whole database.
    pub(super) fn postgres(&mut self) -> String {
        let mut sql = String::from("BEGIN;\n");
        let schema = if self.one_in(3, "schema") { "\"My schema\"" } else { "public" };
        if schema != "public" {
            let _ = writeln!(sql, "CREATE SCHEMA {schema};");
        }
        let types = self.postgres_types(schema, &mut sql);
        let tables = 1 + self.random.below(3);
        let mut rows = String::new();
        for number in 0..tables {
            self.postgres_table(schema, number, tables, &types, (&mut sql, &mut rows));
        }
        sql.push_str(&rows);
        for number in 0..tables {
            self.postgres_extras(schema, number, &mut sql);
        }
        self.postgres_others(schema, &mut sql);
        sql.push_str("COMMIT;\n");
        sql
    }

    fn postgres_types(
        &mut self,
        schema: &str,
        sql: &mut String,
    ) -> Vec<(String, Vec<&'static str>)> {
        let mut types: Vec<(String, Vec<&'static str>)> =
            TYPES.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
        let mut own = Vec::new();
        if self.one_in(2, "enum") {
            let _ = writeln!(sql, "CREATE TYPE {schema}.mood AS ENUM ('sad', 'it''s', 'ünï');");
            own.push((format!("{schema}.mood"), vec!["'it''s'", "'ünï'"]));
        }
        if self.one_in(2, "domain") {
            let _ = writeln!(sql, "CREATE DOMAIN {schema}.small AS int CHECK (VALUE < 10);");
            own.push((format!("{schema}.small"), vec!["9", "-2147483648"]));
        }
        if self.one_in(2, "composite type") {
            let _ = writeln!(sql, "CREATE TYPE {schema}.pair AS (a text, b int[]);");
            own.push((
                format!("{schema}.pair"),
                vec!["ROW('a,\"b', '{1,NULL}')", "ROW(NULL, '{}')"],
            ));
        }
        if self.one_in(2, "extension") {
            let _ = writeln!(sql, "CREATE EXTENSION hstore SCHEMA {schema};");
            own.push((format!("{schema}.hstore"), vec!["'a=>1, \"b c\"=>NULL'", "''"]));
        }
        // Types of its own are used more often than others.
        for _ in 0..6 {
            types.extend(own.clone());
        }
        types
    }

    fn postgres_table(
        &mut self,
        schema: &str,
        number: usize,
        tables: usize,
        types: &[(String, Vec<&'static str>)],
        (sql, later): (&mut String, &mut String),
    ) {
        let name = format!("{schema}.t{number}");
        let id = match self.random.below(5) {
            0 if self.one_in(1, "identity always") => "bigint GENERATED ALWAYS AS IDENTITY",
            1 if self.one_in(1, "identity by default") => {
                "int GENERATED BY DEFAULT AS IDENTITY (START 7 INCREMENT 3)"
            }
            2 if self.one_in(1, "serial") => "serial",
            _ => "int",
        };
        let partitions = match self.random.below(6) {
            0 if self.one_in(1, "partition by range") => "RANGE",
            1 if self.one_in(1, "partition by list") => "LIST",
            2 if self.one_in(1, "partition by hash") => "HASH",
            _ => "",
        };
        // What others refer to has a key; the last table may have none.
        let no_key = number + 1 == tables && tables == 1 && self.one_in(3, "no key");
        let composite = !no_key && self.one_in(4, "composite key");
        let mut lines = vec![format!("id {id} NOT NULL"), "ref bigint".to_owned()];
        let mut columns: Vec<(String, Vec<String>)> = Vec::new();
        for column in 0..1 + self.random.below(6) {
            let (line, given) = self.postgres_column(column, types);
            lines.push(line);
            columns.push(given);
        }
        if self.one_in(4, "generated stored") {
            lines.push("g text GENERATED ALWAYS AS (id::text || '!') STORED".to_owned());
        }
        if composite {
            lines.push("PRIMARY KEY (id, k)".to_owned());
            lines.push("k text NOT NULL DEFAULT 'k'".to_owned());
        }
        if !no_key {
            lines.push(if composite { "UNIQUE (id)" } else { "PRIMARY KEY (id)" }.to_owned());
        }
        if self.one_in(4, "collation") {
            lines.push("co text COLLATE \"C\" DEFAULT 'ä'".to_owned());
        }
        if self.one_in(4, "check") {
            lines.push("CHECK (id > 0 AND (ref IS NULL OR ref <> -1))".to_owned());
        }
        let by = if partitions.is_empty() {
            String::new()
        } else {
            format!(" PARTITION BY {partitions} (id)")
        };
        if !partitions.is_empty() {
            // A key of a partitioned table holds the column that it is divided by, and only that.
            lines.retain(|line| !line.starts_with("g "));
        }
        let _ = writeln!(sql, "CREATE TABLE {name} ({}){by};", lines.join(", "));
        self.postgres_partitions(&name, partitions, sql);
        if self.one_in(5, "dropped column") {
            let _ = writeln!(sql, "ALTER TABLE {name} ADD gone int; ALTER TABLE {name} DROP gone;");
        }
        let rows = self.random.below(20);
        for row in 1..=rows {
            self.postgres_row(&name, row, &columns, sql);
        }
        self.postgres_keys(schema, number, tables, (no_key, rows), later);
    }

    fn postgres_column(
        &mut self,
        number: usize,
        types: &[(String, Vec<&'static str>)],
    ) -> (String, (String, Vec<String>)) {
        let name = format!("\"c{number} \"\"x\"");
        let (kind, values) = self.random.pick(types).cloned().unwrap_or_default();
        let is_array = !kind.ends_with("pair") && self.one_in(6, "array");
        let brackets = if is_array { "[]" } else { "" };
        let mut line = format!("{name} {kind}{brackets}");
        if self.one_in(6, "default") {
            let value = values.first().copied().unwrap_or("NULL");
            let value = if is_array { "NULL" } else { value };
            let _ = write!(line, " DEFAULT {value}");
        }
        let mut given = vec!["NULL".to_owned()];
        for value in values {
            given.push(match is_array {
                true => format!("ARRAY[{value}, NULL]::{kind}[]"),
                false => format!("({value})::{kind}"),
            });
        }
        (line, (name, given))
    }

    fn postgres_row(
        &mut self,
        table: &str,
        row: usize,
        columns: &[(String, Vec<String>)],
        sql: &mut String,
    ) {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let values: Vec<String> = columns
            .iter()
            .map(|(_, values)| self.random.pick(values).cloned().unwrap_or_default())
            .collect();
        let _ = writeln!(
            sql,
            "INSERT INTO {table} (id, {}) OVERRIDING SYSTEM VALUE VALUES ({row}, {});",
            names.join(", "),
            values.join(", ")
        );
    }

    fn postgres_partitions(&mut self, name: &str, by: &str, sql: &mut String) {
        let part = |suffix: &str| {
            let (schema, table) = name.rsplit_once('.').unwrap_or(("public", name));
            format!("{schema}.{table}{suffix}")
        };
        let (one, two) = (part("_a"), part("_b"));
        let _ = match by {
            "RANGE" => writeln!(
                sql,
                "CREATE TABLE {one} PARTITION OF {name} FOR VALUES FROM (MINVALUE) TO (5);\n\
                 CREATE TABLE {two} PARTITION OF {name} DEFAULT;"
            ),
            "LIST" => writeln!(
                sql,
                "CREATE TABLE {one} PARTITION OF {name} FOR VALUES IN (1, 2, 3);\n\
                 CREATE TABLE {two} PARTITION OF {name} DEFAULT PARTITION BY RANGE (id);\n\
                 CREATE TABLE {two}2 PARTITION OF {two} DEFAULT;"
            ),
            "HASH" => writeln!(
                sql,
                "CREATE TABLE {one} PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER 0);\n\
                 CREATE TABLE {two} PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
            ),
            _ => Ok(()),
        };
    }

    /// Foreign keys, after the rows; the rows then refer to each other.
    fn postgres_keys(
        &mut self,
        schema: &str,
        number: usize,
        tables: usize,
        (no_key, rows): (bool, usize),
        sql: &mut String,
    ) {
        let own = format!("{schema}.t{number}");
        if no_key {
            return;
        }
        let target = if tables > 1 && self.one_in(2, "foreign keys in a circle") {
            format!("{schema}.t{}", (number + 1) % tables)
        } else if self.one_in(3, "foreign key to itself") {
            own.clone()
        } else {
            return;
        };
        let how = self.pick(&["", " DEFERRABLE INITIALLY DEFERRED", " ON DELETE CASCADE"]);
        let _ = writeln!(
            sql,
            "UPDATE {own} SET ref = (SELECT max(id) FROM {target} WHERE id <= {rows});\n\
             SET CONSTRAINTS ALL IMMEDIATE;\n\
             ALTER TABLE {own} ADD FOREIGN KEY (ref) REFERENCES {target} (id){how};"
        );
    }

    fn postgres_extras(&mut self, schema: &str, number: usize, sql: &mut String) {
        let table = format!("{schema}.t{number}");
        let mut add = |line: String| sql.push_str(&line);
        if self.one_in(3, "expression index") {
            add(format!("CREATE INDEX ON {table} ((id % 7), lower(ref::text));\n"));
        }
        if self.one_in(3, "partial index") {
            add(format!("CREATE INDEX \"i {number}\" ON {table} (ref) WHERE id > 3;\n"));
        }
        if self.one_in(3, "view") {
            add(format!("CREATE VIEW {schema}.v{number} AS SELECT id AS \"; x\" FROM {table};\n"));
        }
        if self.one_in(3, "materialized view") {
            add(format!(
                "CREATE MATERIALIZED VIEW {schema}.m{number} AS SELECT count(*) FROM {table};\n"
            ));
        }
        if self.one_in(3, "trigger") {
            self.has("function");
            add(format!(
                "CREATE FUNCTION {schema}.f{number}() RETURNS trigger LANGUAGE plpgsql AS $f$ \
                 BEGIN RAISE 'never; %', NEW.id; END $f$;\n\
                 CREATE TRIGGER r{number} BEFORE INSERT ON {table} FOR EACH ROW \
                 EXECUTE FUNCTION {schema}.f{number}();\n"
            ));
        }
        if self.one_in(3, "row security") {
            add(format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n\
                 CREATE POLICY few ON {table} USING (id = 1);\n"
            ));
        }
        if self.one_in(3, "rule") {
            add(format!("CREATE RULE q AS ON DELETE TO {table} DO INSTEAD NOTHING;\n"));
        }
        if self.one_in(3, "comment") {
            add(format!("COMMENT ON TABLE {table} IS E'it''s \\\\ a\\n-- Name: comment';\n"));
        }
        if self.one_in(3, "statistics") {
            add(format!("CREATE STATISTICS {schema}.s{number} ON id, ref FROM {table};\n"));
        }
    }

    fn postgres_others(&mut self, schema: &str, sql: &mut String) {
        let mut add = |line: String| sql.push_str(&line);
        if self.one_in(2, "unlogged") {
            add(format!(
                "CREATE UNLOGGED TABLE {schema}.u (v int); INSERT INTO {schema}.u VALUES (1);\n"
            ));
        }
        if self.one_in(2, "inheritance") {
            add(format!(
                "CREATE TABLE {schema}.base (id int, v text); \
                 CREATE TABLE {schema}.child (more int) INHERITS ({schema}.base);\n\
                 INSERT INTO {schema}.base VALUES (1, 'own'); \
                 INSERT INTO {schema}.child VALUES (2, 'childs', 3);\n"
            ));
        }
        if self.one_in(2, "exclusion") {
            add(format!(
                "CREATE TABLE {schema}.busy (r int4range, EXCLUDE USING gist (r WITH &&));\n\
                 INSERT INTO {schema}.busy VALUES ('[1,2)'), ('[2,3)'), ('empty'), (NULL);\n"
            ));
        }
        if self.one_in(2, "sequence") {
            add(format!(
                "CREATE SEQUENCE {schema}.\"a seq\" START 5 INCREMENT -3 MINVALUE -9 MAXVALUE 9 \
                 CYCLE; SELECT nextval('{schema}.\"a seq\"'), nextval('{schema}.\"a seq\"');\n"
            ));
        }
    }
}
