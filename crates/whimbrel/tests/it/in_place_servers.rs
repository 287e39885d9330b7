//! Backups of servers, restored into the place of the present database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use whimbrel_engine::failpoint;
use whimbrel_testkit::database::TestDatabase;
use whimbrel_testkit::run::Output;

use crate::backup::{PUBLIC, SECRET};
use crate::backup_servers::{another, create, servers};
use crate::data::{count, ledger};
use crate::engines::{Bench, on};

servers!(
    the_saved_database_takes_the_place_of_the_present_one_and_back,
    a_kill_anywhere_leaves_the_old_one_or_the_new_one,
    a_kill_of_the_way_back_leaves_one_or_the_other,
    what_an_application_writes_meanwhile_is_never_lost,
    a_writer_that_does_not_end_is_not_ended,
    what_is_refused_touches_nothing,
);

/// A key for which nothing is sealed.
const OTHER: &str = "AGE-SECRET-KEY-1QYPQXPQ9QCRSSZG2PVXQ6RS0ZQG3YYC5Z5TPWXQERGD3C8G7RUSQGPQYEE";

/// The phrase for the rows that [`saved`] has written since.
pub(crate) const PHRASE: &str = "LOSE 6 ROWS";

/// What is written after the backup.
const SINCE: &str = "UPDATE people SET name = 'ADA' WHERE id = 1;
    DELETE FROM people WHERE id = 2; INSERT INTO people VALUES (9, 'nine');
    INSERT INTO pairs VALUES ('x', '1'); UPDATE pairs SET b = NULL WHERE a IS NULL;";

/// A database, a backup of it, and rows written since: six that are lost with a restore.
pub(crate) struct Saved {
    pub(crate) id: String,
    /// As it was saved, and as it is now.
    pub(crate) old: String,
    pub(crate) now: String,
}

pub(crate) fn rows(database: &TestDatabase) -> String {
    // MariaDB writes the name of a trigger as it was written.
    let schema = database.schema().replace('`', "");
    format!("{schema}\n{}", database.rows())
}

pub(crate) fn saved(bench: &Bench) -> Saved {
    bench.migration(
        "0001_all.sql",
        "CREATE TABLE people (id int PRIMARY KEY, name varchar(40));\n\
         CREATE TABLE letters (id int PRIMARY KEY, person int REFERENCES people (id), v text);\n\
         CREATE TABLE pairs (a varchar(20), b varchar(20));\n\
         CREATE VIEW names AS SELECT name FROM people;\n",
    );
    if bench.engine == "mariadb" {
        bench.migration(
            "0001a_more.sql",
            "CREATE TRIGGER shout BEFORE INSERT ON pairs FOR EACH ROW SET NEW.a = UPPER(NEW.a);\n\
             CREATE SEQUENCE numbers;\n",
        );
    }
    bench.whimbrel().run(["up"]).success();
    bench.database.query(
        "INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob'), (3, NULL), (10, 'x|y');
         INSERT INTO letters VALUES (1, 3, 'a'), (2, 10, 'b\\n');
         INSERT INTO pairs VALUES ('x', '1'), ('x', '1'), (NULL, 'z');",
    );
    let id = create(bench, &["--no-encrypt"]);
    let old = rows(&bench.database);
    bench.database.query(SINCE);
    let now = rows(&bench.database);
    assert_ne!(old, now);
    Saved { id, old, now }
}

pub(crate) fn restore(bench: &Bench, saved: &Saved, more: &[&str]) -> Output {
    bench.whimbrel().run([&["backup", "restore", &saved.id, "--in-place"], more].concat())
}

/// Names of the databases that belong to the one of the test, without itself.
pub(crate) fn beside(bench: &Bench) -> Vec<String> {
    let name = &bench.database.name;
    let sql = match bench.engine {
        "postgres" => format!("SELECT datname FROM pg_database WHERE datname LIKE '{name}\\_%'"),
        _ => format!(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '{name}\\_%'"
        ),
    };
    bench.database.query(&sql).lines().map(str::to_owned).collect()
}

fn token(bench: &Bench) -> i64 {
    count(bench, &format!("SELECT token FROM {}", ledger(bench, "fence")))
}

fn the_saved_database_takes_the_place_of_the_present_one_and_back(bench: &Bench) {
    let saved = saved(bench);
    let dry = restore(bench, &saved, &["--dry-run"]).success();
    assert!(dry.stderr.contains("people: 1 row added, 1 row changed, 1 row removed"), "{dry}");
    assert!(dry.stderr.contains("pairs: 2 rows added, 1 row removed"), "{dry}");
    let without = restore(bench, &saved, &[]).expect_code(6);
    assert!(without.stderr.contains(PHRASE), "{without}");
    restore(bench, &saved, &["--confirm", "LOSE 5 ROWS"]).expect_code(6);
    assert_eq!(rows(&bench.database), saved.now);
    assert_eq!(beside(bench), Vec::<String>::new(), "what was made for it is gone");
    assert!(!bench.project.files().iter().any(|file| file.ends_with("journal.json")));

    // A run that the backup does not know of.
    bench.migration("0002_late.sql", "CREATE TABLE late (id int);\n");
    bench.whimbrel().run(["up"]).success();
    let before = token(bench);
    let runs = format!("SELECT count(*) FROM {}", ledger(bench, "runs"));
    let (was, done) = (count(bench, &runs), restore(bench, &saved, &["--confirm", PHRASE]));
    assert!(done.success().stdout.contains("Restored"));
    assert_eq!(rows(&bench.database), saved.old);
    assert_eq!(count(bench, &runs), was + 2, "the runs of both, and this one");
    assert!(token(bench) > before + 1, "above the restore's own token");
    let lease = format!("SELECT owner, expires_ms FROM {}", ledger(bench, "lease"));
    assert_eq!(bench.database.query(&lease).trim(), "NULL|0");
    let audit = ledger(bench, "audit");
    let audit = format!("SELECT count(*) FROM {audit} WHERE action = 'restore'");
    assert_eq!(count(bench, &audit), 1);
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains(" applied, 1 pending"), "{status}");
    let kept = beside(bench);
    assert!(kept.len() == 1 && kept[0].contains("_before_"), "{kept:?}");
    assert!(status.stdout.contains(&kept[0]), "{status}");

    // Somebody works with it, and then it is taken back.
    bench.whimbrel().run(["up"]).success();
    bench.database.query("INSERT INTO people VALUES (99, 'since the restore')");
    let asked = restore(bench, &saved, &["--take-back"]).expect_code(6);
    assert!(asked.stderr.contains("LOSE 1 ROWS"), "{asked}");
    let before = token(bench);
    restore(bench, &saved, &["--take-back", "--confirm", "LOSE 1 ROWS"]).success();
    assert!(saved.now.ends_with(&bench.database.rows()));
    assert!(token(bench) > before + 1);
    assert_eq!(count(bench, "SELECT count(*) FROM late"), 0);
    bench.whimbrel().run(["status", "--check"]).success();
    bench.whimbrel().run(["verify"]).success();

    // What is kept goes with a purge.
    assert_eq!(beside(bench).len(), 1);
    let purge = bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
    assert!(purge.stdout.contains("1 database"), "{purge}");
    assert_eq!(beside(bench), Vec::<String>::new());
    let gone = restore(bench, &saved, &["--take-back"]).expect_code(2);
    assert!(gone.stderr.contains("was not of"), "{gone}");
}

/// No key, a damaged chunk, a part, another database: nothing is made, locked or written.
fn what_is_refused_touches_nothing(bench: &Bench) {
    bench.project.file("my.key", &format!("{SECRET}\n"));
    bench.migration("0001_all.sql", "CREATE TABLE people (id int PRIMARY KEY);\n");
    bench.whimbrel().run(["up"]).success();
    bench.database.query("INSERT INTO people VALUES (1)");
    let whole = create(bench, &["--recipient", PUBLIC]);
    let part = create(bench, &["--no-encrypt", "--tables", "people"]);
    bench.database.query("INSERT INTO people VALUES (2)");
    let (now, runs) = (rows(&bench.database), ledger(bench, "runs"));
    let runs = count(bench, &format!("SELECT count(*) FROM {runs}"));
    let refused = |id: &str, more: &[&str], code: i32, words: &str| {
        let words_of_it = ["backup", "restore", id, "--in-place", "--confirm", "LOSE 1 ROWS"];
        let output = bench.whimbrel().run([&words_of_it[..], more].concat()).expect_code(code);
        assert!(output.stderr.contains(words), "{output}");
        assert_eq!(rows(&bench.database), now, "{output}");
        assert_eq!(beside(bench), Vec::<String>::new(), "{output}");
        let table = ledger(bench, "runs");
        assert_eq!(count(bench, &format!("SELECT count(*) FROM {table}")), runs, "{output}");
        assert!(!bench.project.files().iter().any(|file| file.ends_with("journal.json")));
    };
    refused(&whole, &[], 2, "no key is given");
    bench.project.file("other.key", &format!("{OTHER}\n"));
    refused(&whole, &["--identity", "file:other.key"], 2, "None of the keys opens");
    refused(&part, &[], 2, "cannot take its place");
    let chunks = bench.project.at(".whimbrel/backups").join(&whole).join("chunks");
    let chunk = chunks.join("00001-000001.zst.age");
    let mut bytes = std::fs::read(&chunk).expect("a chunk");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&chunk, &bytes).expect("a file");
    refused(&whole, &["--identity", "file:my.key"], 1, "does not hold");
    bytes[middle] ^= 1;
    std::fs::write(&chunk, &bytes).expect("a file");
    // The same backup, asked of a database that was never saved.
    let other = another(bench);
    bench.whimbrel().run(["up", "--url", &other.url]).success();
    let made = other.rows();
    let words = ["backup", "restore", &whole, "--in-place", "--identity", "file:my.key"];
    let output = bench.whimbrel().run([&words[..], &["--url", &other.url]].concat());
    assert!(output.stderr.contains("is not one of this database"), "{output}");
    assert_eq!(other.rows(), made);
    // And with its key it goes.
    let words = [&words[..], &["--confirm", "LOSE 1 ROWS"]].concat();
    bench.whimbrel().run(words).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people"), 1);
}

fn a_kill_anywhere_leaves_the_old_one_or_the_new_one(bench: &Bench) {
    let saved = saved(bench);
    let places = match bench.engine {
        "postgres" => failpoint::SERVER_IN_PLACE,
        _ => failpoint::MARIADB_IN_PLACE,
    };
    let places = places.iter().filter(|one| **one != "in_place.copied");
    for (at, name) in places.enumerate() {
        let words = ["backup", "restore", &saved.id, "--in-place", "--confirm", PHRASE];
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(words);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        let is = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
        let new = is(&["exchanged", "triggers", "opened", "replaced", "done"]);
        let away = bench.engine == "mariadb"
            && is(&["locked", "journaled", "prepared", "bare", "exchanged", "triggers"]);
        let status = bench.whimbrel().run(["status"]).success();
        let seen = status.stdout.contains("interrupted");
        assert_eq!(seen, !name.ends_with("done"), "{name}: {status}");
        let write = "INSERT INTO people VALUES (77, 'x'); DELETE FROM people WHERE id = 77";
        if away {
            assert!(bench.database.try_query(write).is_err(), "{name}");
            assert!(status.stdout.contains("are away"), "{name}: {status}");
            let up = bench.whimbrel().run(["up"]).expect_code(2);
            assert!(up.stderr.contains("--take-back"), "{name}: {up}");
            bench.whimbrel().run(["backup", "create", "--no-encrypt"]).expect_code(2);
        } else {
            assert_eq!(rows(&bench.database) == saved.old, new, "{name}");
            assert_eq!(rows(&bench.database) == saved.now, !new, "{name}");
            // Nobody is kept from writing it.
            bench.database.query(write);
        }
        if at % 2 == 0 && !name.ends_with("done") {
            // The same command goes on, or finds it done.
            let again = bench.whimbrel().run(words).success();
            assert_eq!(again.stdout.contains("Nothing to do"), new, "{name}: {again}");
            assert_eq!(rows(&bench.database), saved.old, "{name}");
            bench.database.query(SINCE);
        } else {
            restore(bench, &saved, &["--take-back"]).success();
        }
        assert_eq!(rows(&bench.database), saved.now, "{name}");
        let status = bench.whimbrel().run(["status"]).success();
        assert!(!status.stdout.contains("interrupted"), "{name}: {status}");
        let left = beside(bench);
        assert!(left.iter().all(|one| one.contains("_before_")), "{name}: {left:?}");
    }
    bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
    assert_eq!(beside(bench), Vec::<String>::new());
    // The leases of the dead runs are in nobody's way.
    bench.migration("0002_next.sql", "CREATE TABLE next (id int);\n");
    bench.whimbrel().run(["up", "--wait", "0s"]).success();
}

/// The way back is killed, too.
fn a_kill_of_the_way_back_leaves_one_or_the_other(bench: &Bench) {
    let saved = saved(bench);
    let places = match bench.engine {
        "postgres" => ["in_place.prepared", "in_place.before_commit", "in_place.replaced"],
        _ => ["in_place.prepared", "in_place.triggers", "in_place.replaced"],
    };
    for name in places {
        restore(bench, &saved, &["--confirm", PHRASE]).success();
        let words = ["backup", "restore", &saved.id, "--in-place", "--take-back"];
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(words);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        let back = ["in_place.replaced", "in_place.triggers"].contains(&name);
        if bench.engine == "postgres" {
            assert_eq!(rows(&bench.database) == saved.now, back, "{name}");
        }
        let again = bench.whimbrel().run(words).success();
        assert_eq!(again.stdout.contains("Nothing to do"), back, "{name}: {again}");
        assert_eq!(rows(&bench.database), saved.now, "{name}");
        bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
        assert_eq!(beside(bench), Vec::<String>::new(), "{name}");
    }
}

/// An application writes all the time. What it was told is committed is never gone.
fn what_an_application_writes_meanwhile_is_never_lost(bench: &Bench) {
    let saved = saved(bench);
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = Vec::new();
            let mut id = 1_000;
            while !done.load(Ordering::SeqCst) {
                id += 1;
                let sql = format!("INSERT INTO people VALUES ({id}, 'app')");
                if bench.database.try_query(&sql).is_ok() {
                    written.push(id);
                }
            }
            written
        });
        for _ in 0..3 {
            let refused = restore(bench, &saved, &["--confirm", PHRASE]);
            assert!(matches!(refused.code, Some(2 | 6)), "{refused}");
        }
        done.store(true, Ordering::SeqCst);
        writer.join().expect("the writer")
    });
    assert!(!written.is_empty());
    let there = count(bench, "SELECT count(*) FROM people WHERE id > 1000");
    assert_eq!(usize::try_from(there).expect("a count"), written.len());
    bench.database.query("DELETE FROM people WHERE id > 1000");

    // One writes while everything is locked: it waits, and is told that it failed.
    let running = bench
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", "in_place.prepared")
        .env("WHIMBREL_FAILPOINT_ACTION", "sleep:1500")
        .spawn(["backup", "restore", &saved.id, "--in-place", "--confirm", PHRASE]);
    let is_locked = || match bench.engine {
        "postgres" => {
            let sql = "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' \
                       AND locktype = 'relation' AND relation = 'people'::regclass";
            count(bench, sql) > 0
        }
        _ => bench.database.try_query("SELECT 1 FROM people").is_err(),
    };
    while !is_locked() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let late = bench.database.try_query("INSERT INTO people VALUES (2000, 'late')");
    running.wait().success();
    assert!(late.is_err(), "{late:?}");
    assert_eq!(rows(&bench.database), saved.old);
}

/// A session that has written and does not commit is waited for, and then nothing is done.
fn a_writer_that_does_not_end_is_not_ended(bench: &Bench) {
    let saved = saved(bench);
    let held = bench.database.hold("BEGIN; INSERT INTO people VALUES (50, 'open');");
    let held = held.expect("a session");
    let refused = bench.whimbrel().timeout(Duration::from_secs(120)).run([
        "backup",
        "restore",
        &saved.id,
        "--in-place",
        "--confirm",
        PHRASE,
    ]);
    assert_eq!(refused.code, Some(1), "{refused}");
    drop(held);
    assert_eq!(rows(&bench.database), saved.now);
    assert_eq!(beside(bench), Vec::<String>::new());
    restore(bench, &saved, &["--confirm", PHRASE]).success();
    assert_eq!(rows(&bench.database), saved.old);
}

/// What belongs to the database and is in no backup comes along.
#[test]
fn owners_privileges_and_settings_come_along() {
    on("postgres", |bench| {
        let saved = saved(bench);
        let (name, role) = (&bench.database.name, format!("{}_r", bench.database.name));
        bench.database.admin(&format!(
            "CREATE ROLE {role}; GRANT SELECT, UPDATE (name) ON people TO {role}; \
             GRANT CREATE ON DATABASE {name} TO {role}; GRANT USAGE ON SCHEMA public TO {role}; \
             ALTER DATABASE {name} SET work_mem = '7MB'; \
             ALTER DATABASE {name} CONNECTION LIMIT 77; REVOKE TEMPORARY ON DATABASE {name} \
             FROM PUBLIC; COMMENT ON DATABASE {name} IS 'ours'"
        ));
        let default =
            format!("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}");
        bench.database.query(&default);
        let own = format!("ALTER ROLE CURRENT_USER IN DATABASE {name} SET work_mem = '8MB'");
        bench.database.query(&own);
        let facts = || {
            bench.database.admin(
                "SELECT datname, pg_get_userbyid(datdba), ARRAY(SELECT a::text \
                 FROM unnest(datacl) a ORDER BY 1), datconnlimit, \
                 pg_encoding_to_char(encoding), datcollate, datctype, \
                 shobj_description(oid, 'pg_database') FROM pg_database \
                 WHERE datname = current_database(); \
                 SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setdatabase = \
                 (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1; \
                 SELECT relname, relacl, pg_get_userbyid(relowner) FROM pg_class \
                 WHERE relnamespace = 'public'::regnamespace ORDER BY 1; \
                 SELECT attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL \
                 AND attrelid = 'people'::regclass; SELECT defaclacl FROM pg_default_acl; \
                 SELECT nspacl FROM pg_namespace WHERE nspname = 'public'",
            )
        };
        let before = facts();
        assert!(before.contains("7MB") && before.contains("8MB") && before.contains("77"));
        let done = restore(bench, &saved, &["--confirm", PHRASE]);
        let after = facts();
        for database in beside(bench) {
            bench.database.admin(&format!("DROP DATABASE {database} WITH (FORCE)"));
        }
        bench.database.admin(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
        done.success();
        assert_eq!(after, before);
        assert!(saved.old.ends_with(&bench.database.rows()));
    });
}

#[test]
fn an_interrupted_restore_into_a_new_database_is_seen_by_all() {
    for engine in ["postgres", "mariadb"] {
        on(engine, |bench| {
            bench.migration("0001_all.sql", "CREATE TABLE people (id int PRIMARY KEY);\n");
            bench.whimbrel().run(["up"]).success();
            let id = create(bench, &["--no-encrypt"]);
            let target = another(bench);
            let words = ["backup", "restore", &id, "--to", &target.url];
            let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", "restore.schema").run(words);
            assert_eq!(killed.signal, Some(9), "{killed}");
            let there = bench.whimbrel().env("DATABASE_URL", &target.url);
            let status = there.run(["status"]).success();
            assert!(status.stdout.contains(&id) && status.stdout.contains("--again"), "{status}");
            let up = there.run(["up"]).expect_code(2);
            assert!(up.stderr.contains(&id) && up.stderr.contains("--again"), "{up}");
            bench.whimbrel().run([&words[..], &["--again"]].concat()).success();
            there.run(["up"]).success();
        });
    }
}
