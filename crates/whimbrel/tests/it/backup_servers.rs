//! Backups of PostgreSQL and MariaDB: made, proven and restored by the built program.

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres};

use crate::backup::{PUBLIC, SECRET};
use crate::backup_everything::{MARIADB, MARIADB_CODE, MARIADB_ROWS, POSTGRES, POSTGRES_ROWS};
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
