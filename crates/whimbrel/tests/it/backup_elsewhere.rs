//! Backups of servers that come back elsewhere: on a server that is named for the proof, and under
//! another name.

use std::process::Command;

use crate::backup_servers::{all_of, another, create, difference, full, servers};
use crate::engines::{Bench, on};

servers!(it_is_proven_where_somebody_says);

/// How many scratch databases there are.
fn scratches(bench: &Bench) -> String {
    let catalog = match bench.engine {
        "postgres" => "pg_database WHERE datname",
        _ => "information_schema.schemata WHERE schema_name",
    };
    let id = "whimbrel_scratch_%";
    bench.database.query(&format!("SELECT count(*) FROM {catalog} LIKE '{id}'")).trim().to_owned()
}

fn it_is_proven_where_somebody_says(bench: &Bench) {
    full(bench);
    let id = create(bench, &["--no-encrypt"]);
    let scratch = another(bench);
    scratch.query("CREATE TABLE mine (id INTEGER); INSERT INTO mine VALUES (7);");
    // The project's own database is not there any more.
    let nowhere = match bench.engine {
        "postgres" => "postgres://nobody:x@127.0.0.1:1/none",
        _ => "mysql://nobody:x@127.0.0.1:1/none",
    };
    let whimbrel = || bench.whimbrel().env("DATABASE_URL", nowhere);
    let alone = whimbrel().run(["backup", "verify", &id, "--restore"]).expect_code(1);
    assert!(alone.stderr.contains("127.0.0.1:1"), "{alone}");
    let verify = ["backup", "verify", &id, "--restore", "--scratch"];
    let verify = |url: &str| whimbrel().run([&verify[..], &[url]].concat());
    let proven = verify(&scratch.url).success();
    assert!(proven.stdout.contains("all rows are the same"), "{proven}");
    assert_eq!(scratch.query("SELECT id FROM mine").trim(), "7", "it was made beside");
    assert_eq!(scratches(bench), "0");
    let list = whimbrel().run(["backup", "list"]).success();
    assert!(list.stdout.contains(" verified"), "{list}");
    // Another kind of database cannot prove it.
    let other = verify("sqlite:other.db").expect_code(2);
    assert!(
        other.stderr.contains("cannot be restored") || other.stderr.contains("server"),
        "{other}"
    );
    assert!(!bench.project.at("other.db").exists(), "{other}");
}

/// Its dump program names the saved database where code was made under another character set.
#[test]
fn the_saved_database_keeps_its_character_set() {
    on("mariadb", |bench| {
        let name = &bench.database.name;
        bench.database.query(&format!(
            "ALTER DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci"
        ));
        bench.migration(
            "0001_code.sql",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(9));\n\
             CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2;\n\
             CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x';\n\
             CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DELETE FROM t;\n",
        );
        bench.whimbrel().run(["up"]).success();
        bench.database.query(&format!(
            "ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
        ));
        let collation = |database: &str| {
            let sql = format!(
                "SELECT default_collation_name FROM information_schema.schemata \
                 WHERE schema_name = '{database}'"
            );
            bench.database.query(&sql).trim().to_owned()
        };
        let before = collation(name);
        let id = create(bench, &["--no-encrypt"]);
        let dump = Command::new("sh")
            .args(["-c", "cat chunks/* | zstd -dq"])
            .current_dir(bench.project.at(".whimbrel/backups").join(&id))
            .output()
            .expect("zstd");
        let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
        assert!(dump.contains(&format!("ALTER DATABASE `{name}`")), "nothing to rewrite: {dump}");
        // While it is restored, whoever may alter the saved database shows what does.
        bench.whimbrel().run(["backup", "verify", &id, "--restore"]).success();
        let restored = another(bench);
        bench.database.query(&format!("ALTER DATABASE {name} COLLATE utf8mb4_bin"));
        bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
        assert_eq!(collation(name), "utf8mb4_bin", "the saved database was altered");
        assert_ne!(before, "utf8mb4_bin");
        restored.query("INSERT INTO t (id) VALUES (1)");
        assert_eq!(restored.query("SELECT twice(21), v FROM t").trim(), "42|x");
        let made_under = "SELECT database_collation FROM information_schema.routines \
                          WHERE routine_schema = DATABASE()";
        assert_eq!(restored.query(made_under).trim(), "latin1_swedish_ci");
    });
}

/// More rows than those for which keys and indexes are made one after the other.
/// In how many parts of a backup that is not encrypted the rows of a table are.
fn parts(bench: &Bench, id: &str, table: &str) -> usize {
    let path = bench.project.at(&format!(".whimbrel/backups/{id}/contents.zst"));
    let out = Command::new("zstd").arg("-dqc").arg(path).output().expect("zstd runs");
    let contents: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let parts = contents["parts"].as_array().expect("parts");
    parts.iter().filter(|part| part["name"] == table).count()
}

#[test]
fn keys_and_indexes_made_side_by_side_are_all_there() {
    on("postgres", |bench| {
        bench.migration(
            "0001_big.sql",
            "CREATE TABLE a (id INTEGER CONSTRAINT a_key PRIMARY KEY, v TEXT NOT NULL, w INTEGER);\n\
             CREATE TABLE \"b b\" (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a (id), v TEXT,\n\
             UNIQUE (v, id), EXCLUDE USING btree (id WITH =));\n\
             CREATE INDEX a_v ON a (v);\n\
             CREATE UNIQUE INDEX a_lower ON a (lower(v)) WHERE w > 0;\n\
             COMMENT ON INDEX a_v IS 'of; a\n-- Name: x; Type: INDEX;';\n\
             COMMENT ON CONSTRAINT a_key ON a IS 'key';\n\
             CREATE INDEX b_v ON \"b b\" USING hash (v);\n\
             ALTER TABLE \"b b\" CLUSTER ON \"b b_pkey\";\n\
             CREATE INDEX b_id ON \"b b\" (a_id);\n\
             CREATE TABLE p (id INTEGER, d INTEGER, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);\n\
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);\n\
             CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);\n\
             CREATE INDEX p_d ON p (d);\n\
             CREATE MATERIALIZED VIEW m AS SELECT id, v FROM a WHERE id < 100;\n\
             CREATE UNIQUE INDEX m_id ON m (id);\n\
             CREATE STATISTICS s ON id, w FROM a;\n\
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';\n\
             CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f();\n",
        );
        bench.whimbrel().run(["up"]).success();
        bench.database.query(
            "INSERT INTO a SELECT i, repeat(md5(i::text), 8), i FROM generate_series(1, 60000) i; \
             INSERT INTO \"b b\" SELECT i, i, repeat(md5(i::text), 4) FROM generate_series(1, 40000) i; \
             INSERT INTO p SELECT i, i % 20 FROM generate_series(1, 1000) i; \
             REFRESH MATERIALIZED VIEW m",
        );
        let id = create(bench, &["--no-encrypt"]);
        // Two connections have read the big table side by side.
        assert_eq!(parts(bench, &id, "public.a"), 2);
        assert_eq!(parts(bench, &id, "public.p1"), 1);
        let restored = another(bench);
        bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
        let (before, after) = (all_of(bench, &bench.database), all_of(bench, &restored));
        assert!(after == before, "{}", difference(&before, &after));
        let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
        assert_eq!(restored.query(invalid).trim(), "0");
        let comments = "SELECT count(*) FROM pg_description d JOIN pg_class c ON c.oid = d.objoid \
                        WHERE c.relname = 'a_v' AND d.description LIKE 'of; a%'";
        assert_eq!(restored.query(comments).trim(), "1");
        bench.whimbrel().run(["backup", "verify", &id, "--restore"]).success();
    });
}
