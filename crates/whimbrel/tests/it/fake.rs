//! Rows for testing on every engine: what they keep, and that a seed means the same rows.

use serde_json::Value;

use crate::engines::{Bench, every_engine};

every_engine!(
    a_seed_means_the_same_rows,
    every_kind_of_table_is_filled,
    trees_and_circles_are_filled,
    checks_and_rules_are_kept,
    what_the_database_refuses_is_reported,
    tables_with_rows_and_protected_environments_are_refused,
    rows_are_added_behind_those_that_are_there,
    odd_tables_are_filled,
    obvious_mistakes_are_answered,
);

const SHOP: &str = "
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    email VARCHAR(80) NOT NULL UNIQUE,
    name VARCHAR(60) NOT NULL,
    phone VARCHAR(30),
    birthday DATE,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    slug VARCHAR(40) NOT NULL UNIQUE,
    title VARCHAR(20) NOT NULL,
    price DECIMAL(7, 2) NOT NULL,
    url VARCHAR(100)
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL,
    note VARCHAR(30),
    FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE TABLE items (
    order_id INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    quantity SMALLINT NOT NULL,
    PRIMARY KEY (order_id, product_id),
    FOREIGN KEY (order_id) REFERENCES orders (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
);
";

fn begin(bench: &Bench, schema: &str) {
    bench.migration("0001_tables.sql", schema);
    bench.whimbrel().run(["up"]).success();
}

fn count(bench: &Bench, sql: &str) -> i64 {
    bench.database.query(sql).trim().parse().expect("a number")
}

/// No row of `child` points nowhere.
fn has_parents(bench: &Bench, child: &str, column: &str, parent: &str) {
    let sql = format!(
        "SELECT count(*) FROM {child} c WHERE c.{column} IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM {parent} p WHERE p.id = c.{column})"
    );
    assert_eq!(count(bench, &sql), 0, "{child}.{column}");
}

fn a_seed_means_the_same_rows(bench: &Bench) {
    begin(bench, SHOP);
    let made = bench.whimbrel().run(["fake", "--rows", "700", "--seed", "5"]).success();
    assert!(made.stdout.contains("Made 2800 rows in 4 tables"), "{made}");
    let rows = bench.database.rows();
    has_parents(bench, "orders", "user_id", "users");
    has_parents(bench, "items", "order_id", "orders");
    has_parents(bench, "items", "product_id", "products");
    assert_eq!(count(bench, "SELECT count(*) FROM users WHERE email LIKE '%@example.com'"), 700);
    assert!(count(bench, "SELECT count(DISTINCT user_id) FROM orders") > 300);
    let clear = "DELETE FROM items; DELETE FROM orders; DELETE FROM products; DELETE FROM users;";
    bench.database.query(clear);
    bench.whimbrel().run(["fake", "--rows", "700", "--seed", "6"]).success();
    assert_ne!(bench.database.rows(), rows);
    bench.database.query(clear);
    bench.whimbrel().run(["fake", "--rows", "700", "--seed", "5"]).success();
    assert_eq!(bench.database.rows(), rows);
}

fn every_kind_of_table_is_filled(bench: &Bench) {
    let schema = match bench.engine {
        "sqlite" => {
            "CREATE TABLE kinds (a INT, b TEXT NOT NULL, c REAL NOT NULL, d BLOB NOT NULL, e BOOLEAN \
             NOT NULL, f DATETIME NOT NULL, g NUMERIC(9, 3) NOT NULL, h, i JSON NOT NULL, j CHAR(3) \
             UNIQUE, k TEXT NOT NULL COLLATE NOCASE UNIQUE, l GENERATED ALWAYS AS (upper(b)), \
             id INTEGER PRIMARY KEY AUTOINCREMENT);\n\
             CREATE TABLE strict_kinds (id TEXT PRIMARY KEY, n INTEGER NOT NULL, x REAL NOT NULL, y \
             BLOB NOT NULL, z ANY) STRICT, WITHOUT ROWID;\n\
             CREATE VIRTUAL TABLE notes USING fts5 (body);\n"
        }
        "postgres" => {
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s fine');\n\
             CREATE DOMAIN percent AS integer NOT NULL CHECK (VALUE BETWEEN 3 AND 7);\n\
             CREATE TABLE kinds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a smallint, b \
             text NOT NULL, c double precision NOT NULL, d bytea NOT NULL UNIQUE, e boolean NOT NULL, \
             f timestamptz NOT NULL, g numeric(9, 3) NOT NULL, h uuid UNIQUE NOT NULL, i jsonb NOT \
             NULL, j char(3) UNIQUE, k mood NOT NULL, l percent, m text[] NOT NULL, n integer[] NOT \
             NULL, o inet NOT NULL, p interval NOT NULL, q time NOT NULL, r date NOT NULL UNIQUE, \
             s int4range NOT NULL, t bit(5) NOT NULL, u mood[] NOT NULL, v varchar NOT NULL, w serial, \
             x text GENERATED ALWAYS AS (upper(b)) STORED, y money NOT NULL, z timestamp NOT NULL \
             UNIQUE, aa varbit NOT NULL, ab real NOT NULL, ac timetz NOT NULL, ad tsvector NOT NULL, \
             ae name NOT NULL, af macaddr NOT NULL, ag point NOT NULL, ah xml NOT NULL);\n\
             CREATE TABLE parts (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);\n\
             CREATE TABLE parts_all PARTITION OF parts DEFAULT;\n"
        }
        _ => {
            "CREATE TABLE kinds (id BIGINT AUTO_INCREMENT PRIMARY KEY, a TINYINT UNSIGNED, b TEXT \
             NOT NULL, c DOUBLE NOT NULL, d VARBINARY(20) NOT NULL UNIQUE, e TINYINT(1) NOT NULL, f \
             TIMESTAMP NOT NULL, g DECIMAL(9, 3) NOT NULL, h UUID NOT NULL, i JSON NOT NULL, j \
             CHAR(3) UNIQUE, k ENUM('sad', 'ok', 'it''s fine') NOT NULL, l SET('x', 'y') NOT NULL, m \
             DATETIME(6) NOT NULL UNIQUE, n TIME NOT NULL, o YEAR NOT NULL, p BIT(5) NOT NULL, q \
             BINARY(16) NOT NULL UNIQUE, r VARCHAR(50) CHARACTER SET latin1 NOT NULL UNIQUE, s BLOB \
             NOT NULL, t MEDIUMINT NOT NULL, u FLOAT NOT NULL, v DATE NOT NULL UNIQUE, w VARCHAR(40) \
             COLLATE utf8mb4_unicode_ci NOT NULL UNIQUE, x VARCHAR(60) AS (upper(w)) STORED, y INET6 \
             NOT NULL, z POINT NOT NULL);\n"
        }
    };
    begin(bench, schema);
    let made = bench.whimbrel().run(["fake", "--rows", "300", "--null-rate", "0.5"]).success();
    assert!(!made.stdout.contains("warning"), "{made}");
    assert_eq!(count(bench, "SELECT count(*) FROM kinds"), 300);
    let empty = count(bench, "SELECT count(*) FROM kinds WHERE a IS NULL");
    assert!((75..225).contains(&empty), "{empty} of 300 are NULL");
    bench.whimbrel().run(["validate", "kinds"]).success();
}

fn trees_and_circles_are_filled(bench: &Bench) {
    // Only SQLite takes a key to a table that comes later.
    let key = "FOREIGN KEY (lead_id) REFERENCES people (id)";
    let (lead, alter) = match bench.engine {
        "sqlite" => (format!(", {key}"), String::new()),
        _ => (String::new(), format!("ALTER TABLE teams ADD {key};\n")),
    };
    begin(
        bench,
        &format!(
            "CREATE TABLE folders (id INTEGER PRIMARY KEY, parent_id INTEGER, name VARCHAR(40), \
             FOREIGN KEY (parent_id) REFERENCES folders (id));\n\
             CREATE TABLE roots (id INTEGER PRIMARY KEY, root_id INTEGER NOT NULL, \
             FOREIGN KEY (root_id) REFERENCES roots (id));\n\
             CREATE TABLE teams (id INTEGER PRIMARY KEY, lead_id INTEGER{lead});\n\
             CREATE TABLE people (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL, \
             FOREIGN KEY (team_id) REFERENCES teams (id));\n\
             CREATE TABLE profiles (person_id INTEGER PRIMARY KEY, bio VARCHAR(50) NOT NULL, \
             FOREIGN KEY (person_id) REFERENCES people (id));\n{alter}"
        ),
    );
    bench.whimbrel().run(["fake", "--rows", "120"]).success();
    for (child, column, parent) in [
        ("folders", "parent_id", "folders"),
        ("roots", "root_id", "roots"),
        ("teams", "lead_id", "people"),
        ("people", "team_id", "teams"),
        ("profiles", "person_id", "people"),
    ] {
        has_parents(bench, child, column, parent);
        assert_eq!(count(bench, &format!("SELECT count(*) FROM {child}")), 120, "{child}");
    }
    assert!(count(bench, "SELECT count(*) FROM teams WHERE lead_id IS NOT NULL") > 60);
    assert!(count(bench, "SELECT count(*) FROM folders WHERE parent_id IS NOT NULL") > 60);
    assert!(count(bench, "SELECT count(*) FROM roots WHERE root_id <> id") > 60);
    let again = bench.whimbrel().run(["fake", "profiles", "--append"]).expect_code(3);
    assert!(again.stdout.contains("person_id must be unique"), "{again}");
}

fn checks_and_rules_are_kept(bench: &Bench) {
    begin(
        bench,
        "CREATE TABLE plans (id INTEGER PRIMARY KEY, tier VARCHAR(10) NOT NULL CHECK (tier IN \
         ('free', 'pro')), seats INTEGER NOT NULL CHECK (seats >= 1 AND seats < 10), code \
         VARCHAR(30) NOT NULL CHECK (length(code) BETWEEN 8 AND 9), starts_at TIMESTAMP NOT NULL \
         DEFAULT CURRENT_TIMESTAMP, ends_at TIMESTAMP NULL, state VARCHAR(9) CHECK (state = 'on' OR \
         state = 'off'), low INTEGER NOT NULL, high INTEGER NOT NULL, mail VARCHAR(60), age INTEGER, \
         kind VARCHAR(9), CHECK (ends_at > starts_at), CHECK (high > low));\n",
    );
    bench.project.file(
        "rules/plans.schema.json",
        r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": {"mail": {"type": "string", "format": "email", "minLength": 6},
            "age": {"type": "integer", "minimum": 18, "exclusiveMaximum": 21},
            "kind": {"enum": ["a", "b", null]}}, "required": ["mail", "age"]}"#,
    );
    let made = bench.whimbrel().run(["fake", "--rows", "200"]).success();
    assert!(made.stdout.contains("Made 200 rows in 1 table"), "{made}");
    bench.whimbrel().run(["validate"]).success();
    assert_eq!(count(bench, "SELECT count(DISTINCT tier) FROM plans"), 2);
    assert_eq!(count(bench, "SELECT count(DISTINCT kind) FROM plans"), 2);
    assert_eq!(count(bench, "SELECT count(*) FROM plans WHERE age BETWEEN 18 AND 20"), 200);
}

fn what_the_database_refuses_is_reported(bench: &Bench) {
    begin(
        bench,
        "CREATE TABLE odd (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, \
         CONSTRAINT too_odd CHECK (n * n < 0));\n\
         CREATE TABLE half (id INTEGER PRIMARY KEY, b BOOLEAN NOT NULL UNIQUE);\n",
    );
    let made = bench.whimbrel().run(["fake", "--json", "--rows", "30"]).expect_code(3);
    let end: Value = serde_json::from_str(made.stdout.lines().last().expect("a line")).unwrap();
    assert_eq!(end["event"], "end");
    let table = |name: &str| {
        let tables = end["tables"].as_array().expect("tables");
        let is_it = |one: &&Value| one["table"].as_str().is_some_and(|text| text.ends_with(name));
        tables.iter().find(is_it).expect("the table").clone()
    };
    let odd = table("odd");
    assert_eq!((&odd["made"], &odd["wanted"]), (&Value::from(0), &Value::from(30)), "{made}");
    assert_eq!(odd["refused"][0]["rows"], 30, "{made}");
    let reason = odd["refused"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("too_odd") || reason.contains("n * n"), "{made}");
    let half = table("half");
    assert_eq!(half["made"], 2, "{made}");
    assert!(half["short"].as_str().is_some_and(|text| text.contains("b must be unique")), "{made}");
    assert_eq!(count(bench, "SELECT count(*) FROM odd"), 0);
}

fn tables_with_rows_and_protected_environments_are_refused(bench: &Bench) {
    begin(bench, SHOP);
    bench.project.file(
        "whimbrel.toml",
        "[environments.prod]\nurl = \"env:DATABASE_URL\"\nprotected = true\n",
    );
    let before = bench.database.rows();
    let prod = bench.whimbrel().run(["fake", "--env", "prod", "--yes"]).expect_code(2);
    assert!(prod.stderr.contains("`prod` is protected"), "{prod}");
    bench
        .database
        .query("INSERT INTO users (id, email, name) VALUES (1, 'ann@example.org', 'Ann')");
    let full = bench.whimbrel().run(["fake"]).expect_code(2);
    assert!(full.stderr.contains("users` (1 rows)") && full.stderr.contains("--append"), "{full}");
    let alone = bench.whimbrel().run(["fake", "items=5"]).expect_code(2);
    assert!(alone.stderr.contains("needs rows of"), "{alone}");
    bench.database.query("DELETE FROM users");
    assert_eq!(bench.database.rows(), before);
}

fn rows_are_added_behind_those_that_are_there(bench: &Bench) {
    begin(bench, SHOP);
    bench.whimbrel().run(["fake", "users=90", "--seed", "3"]).success();
    let whole = bench.database.rows();
    bench.database.query("DELETE FROM users");
    bench.whimbrel().run(["fake", "users=40", "--seed", "3"]).success();
    bench.whimbrel().run(["fake", "users=50", "--seed", "3", "--append"]).success();
    assert_eq!(bench.database.rows(), whole);
    bench.whimbrel().run(["fake", "orders=7", "products=3", "items=15"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM items"), 15);
    bench.database.query("DELETE FROM items; DELETE FROM orders; DELETE FROM users;");
    bench.database.query("INSERT INTO users (id, email, name) VALUES (3, 'x@example.org', 'X')");
    bench.whimbrel().run(["fake", "users=20", "--append"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM users"), 21);
}

fn odd_tables_are_filled(bench: &Bench) {
    let quote = if bench.engine == "mariadb" { "`" } else { "\"" };
    let sql = "CREATE TABLE ~select~ (~from~ INTEGER PRIMARY KEY, ~Order By~ VARCHAR(20) NOT NULL, \
               ~where?~ INTEGER, ~it's~ VARCHAR(30));\n\
               CREATE TABLE keyless (a INTEGER, b VARCHAR(10));\n\
               CREATE TABLE codes (code VARCHAR(8) PRIMARY KEY, title VARCHAR(30) NOT NULL);\n\
               CREATE TABLE pairs (code VARCHAR(8) NOT NULL, n INTEGER NOT NULL, x INTEGER, PRIMARY \
               KEY (code, n), FOREIGN KEY (code) REFERENCES codes (code));\n\
               CREATE TABLE deep (id INTEGER PRIMARY KEY, code VARCHAR(8), n INTEGER, \
               FOREIGN KEY (code, n) REFERENCES pairs (code, n));\n\
               CREATE VIEW seen AS SELECT a FROM keyless;\n";
    begin(bench, &sql.replace('~', quote));
    let made = bench.whimbrel().run(["fake", "--rows", "150"]).success();
    assert!(made.stdout.contains("Made 750 rows in 5 tables"), "{made}");
    let orphans = "SELECT count(*) FROM deep d WHERE d.code IS NOT NULL AND d.n IS NOT NULL AND NOT \
                   EXISTS (SELECT 1 FROM pairs p WHERE p.code = d.code AND p.n = d.n)";
    assert_eq!(count(bench, orphans), 0);
    assert!(count(bench, "SELECT count(*) FROM deep WHERE code IS NOT NULL") > 75);
}

fn obvious_mistakes_are_answered(bench: &Bench) {
    begin(bench, SHOP);
    for (arguments, wanted) in [
        (vec!["fake", "user"], "There is no table `user`"),
        (vec!["fake", "users=many"], "`many` is no number of rows"),
        (vec!["fake", "--null-rate", "7"], "a number from 0 to 1"),
    ] {
        let output = bench.whimbrel().run(arguments).expect_code(2);
        assert!(output.stderr.contains(wanted), "{output}");
    }
    assert_eq!(count(bench, "SELECT count(*) FROM users"), 0);
}
