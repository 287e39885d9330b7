//! Backups of PostgreSQL and MariaDB: made, proven and restored by the built program.

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres};

use crate::backup::{PUBLIC, SECRET};
use crate::engines::{Bench, on};

/// Makes one test of the scenario for each server.
macro_rules! servers {
    ($($scenario:ident),+ $(,)?) => {
        mod postgres {
            $(#[test] fn $scenario() { crate::engines::on("postgres", super::$scenario); })+
        }
        mod mariadb {
            $(#[test] fn $scenario() { crate::engines::on("mariadb", super::$scenario); })+
        }
    };
}
pub(crate) use servers;

servers!(
    a_server_comes_back_as_it_was,
    it_is_one_picture_while_others_write,
    long_rows_are_cut_and_come_back,
    a_big_table_goes_over_several_connections,
    some_tables_and_the_schema_alone,
    nothing_is_written_when_something_is_wrong,
    it_can_be_restored_without_whimbrel,
);

/// Something of everything that PostgreSQL has.
const POSTGRES: &str = r#"
CREATE SCHEMA "Other one";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL
    COLLATE "C", parent bigint REFERENCES people DEFERRABLE, m mood, p positive,
    loud text GENERATED ALWAYS AS (upper(name)) STORED,
    kind varchar(3) CHECK (kind IN ('a', 'b')), UNIQUE (name, kind));
CREATE TABLE "Other one".pets (owner bigint, "n""ame" text, PRIMARY KEY (owner, "n""ame"));
ALTER TABLE people ADD pet text, ADD FOREIGN KEY (id, pet) REFERENCES "Other one".pets
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "Other one".pets ADD FOREIGN KEY (owner) REFERENCES people
    DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE kinds (b boolean, i2 smallint, i8 bigint, n numeric, f4 real, f8 double precision,
    t text, y bytea, d date, ti time, tz timestamptz, ts timestamp, iv interval, u uuid, j json,
    jb jsonb, x xml, mo money, a text[], ia integer[][], r int4range, ip inet, mac macaddr,
    bits bit varying(9), pt point, ts_v tsvector, rc regclass, c char(4), o oid);
CREATE TABLE parts (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT PARTITION BY HASH (id);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE base (id serial, v text);
CREATE TABLE child () INHERITS (base);
ALTER TABLE base ADD late int;
CREATE TABLE nothing ();
CREATE UNLOGGED TABLE quick (v int);
CREATE TABLE dropped (a int, b int, c int);
ALTER TABLE dropped DROP b;
CREATE SEQUENCE alone START 5 INCREMENT -3 MINVALUE -1000 MAXVALUE 100 CYCLE;
CREATE VIEW families AS SELECT p.name, c.name AS child FROM people p JOIN people c
    ON c.parent = p.id;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
CREATE INDEX by_expression ON people (lower(name)) WHERE kind = 'a';
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- Name: not an object; Type: FK CONSTRAINT;
    NEW.name := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER loud BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION shout();
CREATE RULE quiet AS ON DELETE TO quick DO INSTEAD NOTHING;
ALTER TABLE quick ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON quick FOR SELECT USING (v > 1);
COMMENT ON TABLE people IS 'with ''quotes'' and \ slashes';
"#;

const POSTGRES_ROWS: &str = r#"
INSERT INTO people (name, m, p, kind) SELECT 'n' || i || E'\t\n\\', 'it''s', i, 'a'
    FROM generate_series(1, 300) i;
UPDATE people SET parent = 1 WHERE id > 3;
BEGIN; INSERT INTO "Other one".pets VALUES (1, 'rex"'), (2, '');
UPDATE people SET pet = 'rex"' WHERE id = 1; COMMIT;
INSERT INTO kinds VALUES (true, -32768, 9223372036854775807, 'NaN', 'Infinity', -0.0, E'\\N', '',
    'infinity', '24:00', '-infinity', '4713-01-01 BC', '-1 year 3 days -00:00:00.000001',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '{"a":1, "a":2}', '{"a": 1e400}', '<a/>', -12.5,
    ARRAY['', NULL, 'NULL', '\', '"', ','], '{{1,2},{3,NULL}}', 'empty', '::1/128',
    '08:00:2b:01:02:03', '101', '(1e308,-1e-308)', 'a:1A b', 'people', 'a', 4294967295);
INSERT INTO kinds DEFAULT VALUES;
INSERT INTO kinds VALUES (false, 0, 0, 1e-1000, 1.1754944e-38, 0.1, E'\\.', '\x00ff0a5c',
    '0001-01-01', '00:00', '1969-12-31 23:59:59.999999+00', '294276-12-31', '0', NULL, 'null',
    'null', 'text only', 0, '{}', '{}', '(,)');
INSERT INTO parts SELECT i, date '2019-12-01' + i FROM generate_series(1, 600) i;
INSERT INTO base (v) VALUES ('own'); INSERT INTO child VALUES (7, 'childs', 9);
INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
INSERT INTO quick VALUES (1), (2);
INSERT INTO dropped VALUES (1, 2);
SELECT nextval('alone'); SELECT nextval('alone');
REFRESH MATERIALIZED VIEW counted;
"#;

/// Something of everything that MariaDB has.
const MARIADB: &str = r#"
CREATE TABLE people (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(60) NOT NULL
    COLLATE utf8mb4_bin, parent bigint, loud varchar(70) AS (upper(name)) STORED,
    more int AS (id + 1) VIRTUAL, pet varchar(20), FOREIGN KEY (parent) REFERENCES people (id),
    UNIQUE (name, id), KEY prefix (name(5)), CHECK (name <> ''));
CREATE TABLE `pe``ts` (owner bigint, `n ame` varchar(20), PRIMARY KEY (owner, `n ame`),
    FOREIGN KEY (owner) REFERENCES people (id));
ALTER TABLE people ADD FOREIGN KEY (id, pet) REFERENCES `pe``ts` (owner, `n ame`);
CREATE TABLE kinds (t1 tinyint, i8 bigint unsigned, n decimal(65, 30), f float, d double,
    fm float(7, 4), v varchar(50), l varchar(50) CHARACTER SET latin1,
    u2 varchar(50) CHARACTER SET ucs2, sj varchar(50) CHARACTER SET sjis, b varbinary(50),
    fix binary(4), bl longblob, t text, da date, ti time(6), dt datetime(6),
    ts timestamp(6) NULL, y year, e enum ('a', 'it''s', 'é') CHARACTER SET latin1,
    s set ('x', 'y'), bi bit(64), j json, g geometry, u uuid, ip inet6, z int(5) ZEROFILL,
    hidden int INVISIBLE);
CREATE TABLE parts (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (year(at))
    (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE old (a int PRIMARY KEY, b text) ENGINE = MyISAM;
CREATE TABLE log (what text);
CREATE SEQUENCE alone START WITH 5 INCREMENT BY -3 MINVALUE -1000 MAXVALUE 100 CYCLE;
CREATE VIEW families AS SELECT p.name, c.name AS child FROM people p JOIN people c
    ON c.parent = p.id;
CREATE VIEW a_first AS SELECT * FROM families;
"#;

const MARIADB_CODE: &str = r#"
DELIMITER //
CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC BEGIN RETURN x * 2; END//
CREATE TRIGGER logged AFTER INSERT ON people FOR EACH ROW BEGIN
    INSERT INTO log VALUES (concat('new; ', NEW.name)); END//
CREATE PROCEDURE pro() BEGIN -- Name: x
    SELECT 1; END//
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO BEGIN DELETE FROM log; END//
DELIMITER ;
"#;

const MARIADB_ROWS: &str = r#"
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
INSERT INTO people (id, name) VALUES (0, 'zero');
INSERT INTO people (name) SELECT concat('n', seq, '\t\n\\''"') FROM seq_1_to_300;
UPDATE people SET parent = 0 WHERE id > 3;
INSERT INTO `pe``ts` VALUES (1, 're`x'), (2, '');
UPDATE people SET pet = 're`x' WHERE id = 1;
INSERT INTO kinds (t1, i8, n, f, d, fm, v, l, u2, sj, b, fix, bl, t, da, ti, dt, ts, y, e, s, bi,
    j, g, u, ip, z, hidden) VALUES (-128, 18446744073709551615,
    -99999999999999999999999999999999999.999999999999999999999999999999, 0.1, -0e0, 123.4567,
    concat('a', char(0), '\Z', '\r\n', '😀'), 'é€', 'Ωß', 'あ', x'00ff5c27', x'01',
    x'', '', '0000-00-00', '-838:59:59.999999', '9999-12-31 23:59:59.999999',
    '1970-01-01 00:00:01.000001', 0, 'é', 'x,y', b'1', '{"a": "\\u00e9"}',
    ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326),
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '::1', 42, 7);
INSERT INTO kinds (e, da, dt, f, d, s, bi) VALUES ('none such', '2020-02-31', '2020-00-00',
    3.402823466e38, 4.9e-324, '', ~0), (NULL, NULL, NULL, 1e-38, 1.7976931348623157e308, NULL, 0);
INSERT INTO parts SELECT seq, date '2019-12-01' + INTERVAL seq DAY FROM seq_1_to_600;
INSERT INTO old VALUES (1, 'x');
SELECT NEXT VALUE FOR alone;
"#;

/// A project with a key and, in its database, something of everything.
pub(crate) fn full(bench: &Bench) {
    bench.project.file("my.key", &format!("# a key\n{SECRET}\n"));
    let (schema, rows) = match bench.engine {
        "postgres" => (POSTGRES, POSTGRES_ROWS),
        _ => (MARIADB, MARIADB_ROWS),
    };
    bench.migration("0001_all.sql", schema);
    if bench.engine == "mariadb" {
        bench.migration("0002_code.sql", MARIADB_CODE);
    }
    bench.whimbrel().run(["up"]).success();
    bench.database.query(rows);
}

/// Makes a backup; its id.
pub(crate) fn create(bench: &Bench, more: &[&str]) -> String {
    let arguments = [&["backup", "create", "--json"], more].concat();
    let output = bench.whimbrel().run(arguments).success();
    let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    value["data"]["manifest"]["id"].as_str().expect("an id").to_owned()
}

/// An empty database on the same server.
pub(crate) fn another(bench: &Bench) -> TestDatabase {
    let made = match bench.engine {
        "postgres" => fresh_postgres("restored"),
        _ => fresh_mariadb("restored"),
    };
    made.expect("the server is there")
}

/// The name of a database that is not there, as a value that drops it in the end.
pub(crate) fn gone(bench: &Bench) -> TestDatabase {
    let made = another(bench);
    bench.database.query(&format!("DROP DATABASE {}", made.name));
    made
}

/// Schema and rows, also those of the ledger that a restore does not change.
pub(crate) fn all_of(bench: &Bench, database: &TestDatabase) -> String {
    let prefix = if bench.engine == "postgres" { "whimbrel." } else { "whimbrel_" };
    let ledger: Vec<String> = ["identity", "runs", "attempts", "migrations", "control"]
        .map(|table| database.query(&format!("SELECT * FROM {prefix}{table} ORDER BY 1")))
        .into();
    // A server moves casts and parentheses when it reads a CHECK again.
    let schema = database.schema().replace("'a'::character varying", "('a'::character varying)");
    let schema = schema.replace(['(', ')'], "").replace("::text[]", "").replace("::text", "");
    format!("{schema}\n{}\n{}", database.rows(), ledger.join("\n"))
}

fn a_server_comes_back_as_it_was(bench: &Bench) {
    full(bench);
    let prefix = if bench.engine == "postgres" { "whimbrel." } else { "whimbrel_" };
    bench
        .database
        .query(&format!("UPDATE {prefix}lease SET owner = 'x', expires_ms = 99999999999999"));
    let token: i64 = bench
        .database
        .query(&format!("SELECT token FROM {prefix}fence"))
        .trim()
        .parse()
        .expect("a number");
    let id = create(bench, &["--recipient", PUBLIC]);
    let key = ["--identity", "file:my.key"];
    let before = all_of(bench, &bench.database);
    bench.whimbrel().run(["backup", "verify", &id]).success();
    let verify = [&["backup", "verify", &id, "--restore"][..], &key].concat();
    let verify = bench.whimbrel().run(verify).success();
    assert!(verify.stdout.contains("all rows are the same"), "{verify}");
    let show = [&["backup", "show", &id][..], &key].concat();
    let show = bench.whimbrel().run(show).success();
    assert!(show.stdout.contains("people: 30"), "{show}");
    for restored in [another(bench), gone(bench)] {
        let restore = [&["backup", "restore", &id, "--to", &restored.url][..], &key].concat();
        bench.whimbrel().run(&restore).success();
        let after = all_of(bench, &restored);
        assert!(after == before, "{}", difference(&before, &after));
        let lease = restored.query(&format!("SELECT owner, expires_ms FROM {prefix}lease"));
        assert_eq!(lease.trim(), "NULL|0");
        let raised = restored.query(&format!("SELECT token FROM {prefix}fence"));
        assert_eq!(raised.trim(), (token + 1).to_string());
        bench.whimbrel().env("DATABASE_URL", &restored.url).run(["verify"]).success();
        bench.whimbrel().env("DATABASE_URL", &restored.url).run(["up"]).success();
        // What is there is not written over.
        let again = bench.whimbrel().run(&restore).expect_code(2);
        assert!(again.stderr.contains("is not empty"), "{again}");
        assert!(all_of(bench, &restored) == before);
        if bench.engine == "postgres" {
            let next = "SELECT nextval('alone'), nextval('people_id_seq')";
            assert_eq!(restored.query(next), "-1|301");
        }
    }
    let catalog = match bench.engine {
        "postgres" => "pg_database WHERE datname",
        _ => "information_schema.schemata WHERE schema_name",
    };
    let scratch = id.replace("backup_", "whimbrel_scratch_");
    let left = bench.database.query(&format!("SELECT count(*) FROM {catalog} = '{scratch}'"));
    assert_eq!(left.trim(), "0");
}

/// The first lines that are not the same.
pub(crate) fn difference(one: &str, two: &str) -> String {
    let differing = one.lines().zip(two.lines()).find(|(one, two)| one != two);
    format!("{differing:?}; {} and {} lines", one.lines().count(), two.lines().count())
}

fn it_is_one_picture_while_others_write(bench: &Bench) {
    let rows = "INSERT INTO %(id, v) SELECT i, 1000000 FROM ";
    let many = match bench.engine {
        "postgres" => "generate_series(1, 2000) i",
        _ => "(SELECT seq AS i FROM seq_1_to_2000) x",
    };
    for table in ["left_side", "right_side"] {
        bench.database.query(&format!("CREATE TABLE {table} (id int PRIMARY KEY, v bigint)"));
        bench.database.query(&format!("{}{many}", rows.replace('%', table)));
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    bench.project.folder("migrations");
    let ids = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut moves = 0;
            while !done.load(order) {
                // What is taken from one side is given to the other.
                bench.database.query(
                    "BEGIN; UPDATE left_side SET v = v - 1; UPDATE right_side SET v = v + 1; \
                     INSERT INTO left_side SELECT max(id) + 1, 0 FROM right_side WHERE FALSE \
                     HAVING count(*) > 0; COMMIT;",
                );
                moves += 1;
            }
            moves
        });
        let ids = [(); 2].map(|()| create(bench, &["--no-encrypt"]));
        done.store(true, order);
        assert!(writer.join().expect("the writer") > 0);
        ids
    });
    for id in ids {
        let restored = another(bench);
        bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
        let sum = "SELECT (SELECT sum(v) FROM left_side) + (SELECT sum(v) FROM right_side)";
        assert_eq!(restored.query(sum).trim(), "4000000000");
        assert_eq!(restored.query("SELECT count(DISTINCT v) FROM left_side").trim(), "1");
    }
}

fn long_rows_are_cut_and_come_back(bench: &Bench) {
    bench.project.folder("migrations");
    let text = if bench.engine == "postgres" { "text" } else { "longtext" };
    bench.database.query(&format!("CREATE TABLE long_ones (id int PRIMARY KEY, v {text})"));
    let backslash = if bench.engine == "postgres" { "chr(92)" } else { "char(92)" };
    bench.database.query(&format!(
        "INSERT INTO long_ones VALUES (1, repeat('ab', 5000000)), (2, 'short'), \
         (3, repeat({backslash}, 2500000)), (4, ''), (5, repeat('é', 2500000)), (6, NULL)",
    ));
    let id = create(bench, &["--no-encrypt"]);
    let restored = another(bench);
    bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
    let sum = "SELECT id, length(v), md5(v) FROM long_ones ORDER BY id";
    assert_eq!(restored.query(sum), bench.database.query(sum));
    bench.whimbrel().run(["backup", "verify", &id, "--restore"]).success();
}

/// More than 16 MiB, so that it is loaded and read in slices, with a row across two chunks.
fn a_big_table_goes_over_several_connections(bench: &Bench) {
    bench.project.folder("migrations");
    let many = match bench.engine {
        "postgres" => "SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, 17000) i",
        _ => "SELECT seq, repeat(md5(seq), 32) FROM seq_1_to_17000",
    };
    let text = if bench.engine == "postgres" { "text" } else { "longtext" };
    bench.database.query(&format!(
        "CREATE TABLE big (id int PRIMARY KEY, v {text}); \
        INSERT INTO big {many}; UPDATE big SET v = repeat('x', 9000000) WHERE id = 8000"
    ));
    let id = create(bench, &["--no-encrypt"]);
    let restored = another(bench);
    bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
    let sum = "SELECT count(*), count(DISTINCT id), sum(length(v)), min(md5(v)) FROM big";
    assert_eq!(restored.query(sum), bench.database.query(sum));
}

fn some_tables_and_the_schema_alone(bench: &Bench) {
    bench.migration(
        "0001_all.sql",
        "CREATE TABLE parents (id int PRIMARY KEY);\n\
         CREATE TABLE children (id int PRIMARY KEY, parent int, \
         FOREIGN KEY (parent) REFERENCES parents (id));\n\
         CREATE TABLE others (id int PRIMARY KEY, child int, \
         FOREIGN KEY (child) REFERENCES children (id));\n",
    );
    bench.whimbrel().run(["up"]).success();
    bench.database.query("INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1, 1);");
    bench.database.query("INSERT INTO others VALUES (1, 1);");
    let keys = |database: &TestDatabase| {
        database
            .query(
                "SELECT count(*) FROM information_schema.table_constraints \
                 WHERE constraint_type = 'FOREIGN KEY' AND table_name IN ('children', 'others')",
            )
            .trim()
            .to_owned()
    };
    let count = |database: &TestDatabase| {
        let sql = "SELECT (SELECT count(*) FROM parents) * 100 + \
                   (SELECT count(*) FROM children) * 10 + (SELECT count(*) FROM others)";
        database.query(sql).trim().parse::<u32>().expect("a number")
    };
    let whole = create(bench, &["--no-encrypt"]);
    let part = create(bench, &["--no-encrypt", "--tables", "children,others"]);
    let schema = create(bench, &["--no-encrypt", "--schema-only"]);
    for (id, more, rows) in [
        (&whole, "children,others", 11),
        (&part, "", 11),
        (&part, "others", 1),
        (&schema, "", 0),
        (&whole, "", 111),
    ] {
        let restored = another(bench);
        let mut restore = vec!["backup", "restore", id, "--to", &restored.url];
        if !more.is_empty() {
            restore.extend(["--tables", more]);
        }
        bench.whimbrel().run(&restore).success();
        assert_eq!(count(&restored), rows, "{id} {more}");
        let whole_keys = bench.engine != "postgres" || rows % 100 == 0 || rows == 111;
        let expected = if whole_keys { "2" } else { "1" };
        if bench.engine == "postgres" {
            // A key to rows that are not there cannot hold.
            assert_eq!(keys(&restored), expected, "{id} {more}");
        }
    }
    let missing = bench.whimbrel().run(["backup", "create", "--no-encrypt", "--tables", "nobody"]);
    assert!(missing.expect_code(2).stderr.contains("There is no table `nobody`"));
    let restored = another(bench);
    let arguments = ["backup", "restore", &part, "--to", &restored.url, "--tables", "parents"];
    let missing = bench.whimbrel().run(arguments).expect_code(2);
    assert!(missing.stderr.contains("holds no rows of a table `parents`"), "{missing}");
}

fn nothing_is_written_when_something_is_wrong(bench: &Bench) {
    bench.project.file("my.key", &format!("{SECRET}\n"));
    bench.migration("0001_all.sql", "CREATE TABLE t (id int PRIMARY KEY);\n");
    bench.whimbrel().run(["up"]).success();
    let id = create(bench, &["--recipient", PUBLIC]);
    let restored = gone(bench);
    let chunk = bench.project.at(".whimbrel/backups").join(&id).join("chunks");
    let chunk = chunk.join("00001-000001.zst.age");
    let restore = |more: &[&str]| {
        let arguments = [&["backup", "restore", &id, "--to", &restored.url], more].concat();
        let output = bench.whimbrel().run(arguments);
        assert!(restored.try_query("SELECT 1").is_err(), "the database was made: {output}");
        output
    };
    let key = ["--identity", "file:my.key"];
    assert!(restore(&[]).expect_code(2).stderr.contains("no key is given"));
    let good = std::fs::read(&chunk).expect("a chunk");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&chunk, &bad).expect("a file");
    let damaged = restore(&key).expect_code(1);
    assert!(damaged.stderr.contains("`chunks/00001-000001.zst.age` does not hold"), "{damaged}");
    bench.whimbrel().run(["backup", "verify", &id]).expect_code(1);
    std::fs::remove_file(&chunk).expect("a file");
    let damaged = restore(&key).expect_code(1);
    assert!(damaged.stderr.contains("`chunks/00001-000001.zst.age` is missing"), "{damaged}");
    std::fs::write(&chunk, &good).expect("a file");
    let file = bench.project.at("new.db").display().to_string();
    let arguments = ["backup", "restore", &id, "--to", &format!("sqlite:{file}")];
    let other = bench.whimbrel().run([&arguments[..], &key].concat()).expect_code(2);
    assert!(other.stderr.contains("cannot be restored into"), "{other}");
    assert!(!bench.project.at("new.db").exists());
    let left = [&["backup", "create", "--no-encrypt", "--leave-out", "public.nobody"][..]].concat();
    let left = bench.whimbrel().run(left).expect_code(2);
    assert!(left.stderr.contains("There is no `public.nobody`"), "{left}");
}

/// PostgreSQL's dump program writes inherited columns first.
#[test]
fn columns_in_another_order_hold_the_same_rows() {
    on("postgres", |bench| {
        bench.project.folder("migrations");
        bench.database.query(
            "CREATE TABLE base (id int); CREATE TABLE child (extra int) INHERITS (base); \
             ALTER TABLE base ADD late text; INSERT INTO child VALUES (1, 2, 'three')",
        );
        let id = create(bench, &["--no-encrypt"]);
        let restored = another(bench);
        bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
        assert_eq!(restored.query("SELECT id, extra, late FROM child"), "1|2|three");
        assert_eq!(restored.query("SELECT * FROM child"), "1|three|2");
    });
}

/// The blocks of the page, on a backup of everything.
fn it_can_be_restored_without_whimbrel(bench: &Bench) {
    full(bench);
    let id = create(bench, &["--no-encrypt"]);
    let restored = another(bench);
    let page =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/backup.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let block = |behind: &str| {
        let (_, rest) = page.split_once(behind).expect("the words");
        let (_, rest) = rest.split_once("```sh\n").expect("a block");
        rest.split("```").next().unwrap_or_default().to_owned()
    };
    let first = block("A server's backup has its parts").replace("backup_1712345678901", &id);
    let first = first.replace("/tmp/contents.json", "\"$CONTENTS\"");
    let second = match bench.engine {
        "postgres" => block("PostgreSQL, into an empty database"),
        _ => block("On MariaDB each line"),
    };
    // The test's server has no option file.
    let client = restored.client_command();
    let arguments: Vec<String> =
        client.get_args().map(|one| format!("'{}'", one.to_string_lossy())).collect();
    let script = format!("set -e\n{first}{second}").replace(
        "mariadb --comments \"$DATABASE\"",
        &format!("mariadb {} --comments", arguments.join(" ")),
    );
    let output = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", &script])
        .current_dir(bench.project.path())
        .env("URL", &restored.url)
        .env("CONTENTS", bench.project.at("contents.json"))
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (before, after) = (all_of(bench, &bench.database), all_of(bench, &restored));
    assert!(after == before, "{}", difference(&before, &after));
}

#[test]
fn what_cannot_be_saved_is_listed_and_left_out_by_name() {
    on("postgres", |bench| {
        bench.migration("0001_all.sql", "CREATE TABLE t (id int PRIMARY KEY);\n");
        bench.whimbrel().run(["up"]).success();
        bench.database.query("SELECT lo_from_bytea(0, 'large')");
        bench.database.admin(
            "CREATE EXTENSION postgres_fdw; \
             CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere'); \
             CREATE FOREIGN TABLE public.far (id int) SERVER s; \
             CREATE ROLE whimbrel_reader_of_t; GRANT SELECT ON t TO whimbrel_reader_of_t",
        );
        let refused = bench.whimbrel().run(["backup", "create", "--no-encrypt"]).expect_code(2);
        assert!(
            refused.stderr.contains("large-objects") && refused.stderr.contains("public.far"),
            "{refused}"
        );
        let list = bench.whimbrel().run(["backup", "list"]).success();
        assert!(list.stdout.contains("There is no backup"), "{list}");
        let more = ["--leave-out", "large-objects", "--leave-out", "public.far"];
        let arguments = [&["backup", "create", "--no-encrypt"][..], &more].concat();
        let made = bench.whimbrel().run(arguments).success();
        assert!(made.stderr.contains("whimbrel_reader_of_t"), "{made}");
        bench.database.admin("DROP OWNED BY whimbrel_reader_of_t; DROP ROLE whimbrel_reader_of_t");
    });
}
