//! Backups of SQLite databases: made, checked and restored by the built program.

use std::path::Path;
use std::process::Command;

use whimbrel_engine::failpoint;
use whimbrel_testkit::database::{TestDatabase, sqlite_in};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

/// A pair of age keys from the tests of the `age` crate, which everybody knows.
pub(crate) const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
pub(crate) const SECRET: &str =
    "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// Something of everything that SQLite has.
const SCHEMA: &str = "\
CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE NOT NULL,
    parent INTEGER REFERENCES people (id) ON DELETE CASCADE,
    short TEXT GENERATED ALWAYS AS (substr(name, 1, 2)) VIRTUAL,
    long TEXT AS (name || '!') STORED, CHECK (length(name) > 0));
CREATE TABLE pairs (a TEXT, b BLOB, c, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE exact (id INT PRIMARY KEY, r REAL, t TEXT, b BLOB, x ANY) STRICT;
CREATE TABLE loose (k TEXT PRIMARY KEY, v);
CREATE TABLE log (what TEXT);
CREATE UNIQUE INDEX by_name ON people (name DESC) WHERE parent IS NULL;
CREATE INDEX by_expression ON people (lower(name));
CREATE VIEW families AS
    SELECT p.name, c.name AS child FROM people p JOIN people c ON c.parent = p.id;
CREATE TRIGGER logged AFTER INSERT ON people BEGIN
    INSERT INTO log VALUES ('new; ' || new.name);
END;
CREATE VIRTUAL TABLE notes USING fts5 (body, tokenize = 'porter');
";

const ROWS: &str = "\
INSERT INTO people (name, parent) VALUES ('Ada', NULL), ('Zoë', 1), ('O''Neil', 1);
DELETE FROM people WHERE id = 3;
INSERT INTO pairs VALUES ('', x'', NULL), ('a', x'00ff', 9223372036854775807), ('b', x'00', 1e308);
INSERT INTO exact VALUES (1, -0.0, 'a' || char(0) || 'b', zeroblob(5000), 1.5);
INSERT INTO exact VALUES (2, 9e999, '', x'', 'x');
INSERT INTO exact VALUES (3, 0.1, '😀', NULL, -9223372036854775808), (4, NULL, NULL, NULL, x'41');
INSERT INTO loose VALUES (NULL, 1), (NULL, '1'), ('k', x'31'), ('l', 1.0);
INSERT INTO notes VALUES ('whimbrels were flying'), ('the sea');
DELETE FROM loose WHERE k = 'k';
PRAGMA user_version = 77;
PRAGMA application_id = 1234567;
";

/// A project with a SQLite database, and the program in it.
pub(crate) struct Bench {
    project: Project,
    pub(crate) database: TestDatabase,
}

impl Bench {
    /// A project without a migration, and a key.
    pub(crate) fn empty() -> Bench {
        let project = Project::new();
        project.folder("migrations");
        project.file("my.key", &format!("# a key\n{SECRET}\n"));
        let database = sqlite_in(project.path());
        Bench { project, database }
    }

    /// A project with a database, and a key.
    pub(crate) fn new() -> Bench {
        let bench = Bench::empty();
        bench.project.file("migrations/0001_all.sql", SCHEMA);
        bench.whimbrel().run(["up"]).success();
        bench.database.query(ROWS);
        bench
    }

    pub(crate) fn whimbrel(&self) -> Whimbrel {
        let program = Path::new(env!("CARGO_BIN_EXE_whimbrel"));
        Whimbrel::new(program, self.project.path()).env("DATABASE_URL", &self.database.url)
    }

    /// Makes a backup; its id.
    pub(crate) fn create(&self, more: &[&str]) -> String {
        let arguments = words(&["backup", "create", "--json"], more);
        let output = self.whimbrel().run(arguments).success();
        let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        value["data"]["manifest"]["id"].as_str().expect("an id").to_owned()
    }

    /// Writes a file of the project.
    pub(crate) fn file(&self, name: &str, text: &str) {
        self.project.file(name, text);
    }

    /// The path of a file of the project.
    pub(crate) fn at(&self, name: &str) -> std::path::PathBuf {
        self.project.at(name)
    }

    /// All files of the project.
    pub(crate) fn files(&self) -> Vec<String> {
        self.project.files()
    }

    /// The public key that signs the project's backups.
    pub(crate) fn signer(&self) -> String {
        let pinned = self.project.read(".whimbrel/signing.pub");
        pinned.split_whitespace().last().expect("a key").to_owned()
    }

    fn sealed(&self) -> String {
        self.create(&["--recipient", PUBLIC])
    }

    fn backup(&self, id: &str, file: &str) -> std::path::PathBuf {
        self.project.at(".whimbrel/backups").join(id).join(file)
    }

    /// The database that a restore makes.
    pub(crate) fn restored(&self) -> TestDatabase {
        let folder = self.project.at("new");
        std::fs::create_dir_all(&folder).expect("a folder");
        sqlite_in(&folder)
    }
}

fn words<'a>(one: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [one, more].concat()
}

/// All of a database as its own client prints it, without the rows that a restore changes.
pub(crate) fn dump(database: &TestDatabase) -> String {
    let pragmas = database.query("PRAGMA user_version; PRAGMA application_id; PRAGMA page_size;");
    let dump = database.query(".dump");
    let tables = ["lease", "fence", "backups"];
    let changes = tables.map(|table| format!("INSERT INTO whimbrel_{table}"));
    let kept = |line: &&str| !changes.iter().any(|start| line.starts_with(&**start));
    let lines: Vec<&str> = dump.lines().filter(kept).collect();
    format!("{pragmas}\n{}", lines.join("\n"))
}

#[test]
fn a_database_comes_back_as_it_was() {
    let bench = Bench::new();
    // Somebody is at it while the backup is made.
    bench.database.query("UPDATE whimbrel_lease SET owner = 'x', expires_ms = 99999999999999");
    let token = bench.database.query("SELECT token FROM whimbrel_fence");
    let id = bench.sealed();
    let list = bench.whimbrel().run(["backup", "list"]).success();
    assert!(list.stdout.contains(&id) && list.stdout.contains(" encrypted"), "{list}");
    let show = bench.whimbrel().run(["backup", "show", &id]).success();
    assert!(!show.stdout.contains("people"), "names need a key: {show}");
    let key = ["--identity", "file:my.key"];
    let show = bench.whimbrel().run(words(&["backup", "show", &*id], &key)).success();
    assert!(show.stdout.contains("people: 2 rows"), "{show}");
    bench.whimbrel().run(["backup", "verify", &id]).success();
    let verify = words(&["backup", "verify", &*id, "--restore"], &key);
    let verify = bench.whimbrel().run(verify).success();
    assert!(verify.stdout.contains("all rows are the same"), "{verify}");
    let restored = bench.restored();
    let restore = words(&["backup", "restore", &*id, "--to", &*restored.url], &key);
    bench.whimbrel().run(restore).success();
    assert_eq!(dump(&restored), dump(&bench.database));
    assert_eq!(restored.query("SELECT body FROM notes WHERE notes MATCH 'fly'").lines().count(), 1);
    assert_eq!(restored.query("PRAGMA integrity_check").trim(), "ok");
    // The lease does not come out of a backup, and what had it cannot write here.
    assert_eq!(restored.query("SELECT owner, expires_ms FROM whimbrel_lease").trim(), "NULL|0");
    let number = |text: String| text.trim().parse::<i64>().expect("a number");
    let raised = number(restored.query("SELECT token FROM whimbrel_fence"));
    assert_eq!(raised, number(token) + 1);
    bench.whimbrel().env("DATABASE_URL", &restored.url).run(["up"]).success();
    let left: Vec<String> = bench.project.files();
    assert!(!left.iter().any(|file| file.contains(".tmp-") || file.contains("restoring")));
}

#[test]
fn text_that_is_no_text_and_rowids_come_back() {
    let bench = Bench::new();
    let odd = "CREATE TABLE odd (v); INSERT INTO odd (rowid, v) VALUES \
               (-5, CAST(x'ff00fe' AS TEXT)), (9000000000000000000, CAST(x'c3' AS TEXT)); \
               PRAGMA journal_mode = WAL;";
    bench.database.query(odd);
    let id = bench.create(&["--no-encrypt"]);
    let restored = bench.restored();
    bench.whimbrel().run(["backup", "restore", &id, "--to", &restored.url]).success();
    let look = "SELECT rowid, typeof(v), hex(CAST(v AS BLOB)) FROM odd ORDER BY rowid";
    assert_eq!(restored.query(look), "-5|text|FF00FE\n9000000000000000000|text|C3");
    assert_eq!(restored.query("PRAGMA journal_mode").trim(), "wal");
}

#[test]
fn others_write_while_a_backup_is_made() {
    let bench = Bench::new();
    bench
        .database
        .query("PRAGMA journal_mode = WAL; CREATE TABLE big (id INTEGER PRIMARY KEY, v);");
    bench.database.query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         INSERT INTO big SELECT i, randomblob(400) FROM n",
    );
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    let (id, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !done.load(order) {
                // Two rows, so that half of a transaction would be seen.
                bench.database.query("INSERT INTO log VALUES ('one'), ('two')");
                written += 2;
            }
            written
        });
        let id = bench.sealed();
        done.store(true, order);
        (id, writer.join().expect("the writer"))
    });
    let restored = bench.restored();
    let key = ["--identity", "file:my.key"];
    let restore = words(&["backup", "restore", &*id, "--to", &*restored.url], &key);
    bench.whimbrel().run(restore).success();
    let count = |what: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM log WHERE what = '{what}'");
        restored.query(&sql).trim().parse().expect("a number")
    };
    assert_eq!(count("one"), count("two"));
    assert!(count("one") * 2 <= written && written > 0);
    assert_eq!(restored.query("SELECT count(*) FROM big").trim(), "20000");
}

#[test]
fn nothing_is_written_when_something_is_wrong() {
    let bench = Bench::new();
    let id = bench.sealed();
    let restored = bench.restored();
    let restore = |more: &[&str]| {
        let arguments = words(&["backup", "restore", &*id, "--to", &*restored.url], more);
        let output = bench.whimbrel().run(arguments);
        let left: Vec<_> = std::fs::read_dir(bench.project.at("new")).expect("a folder").collect();
        assert!(left.is_empty(), "{output}\n{left:?}");
        output
    };
    let key = ["--identity", "file:my.key"];
    let none = restore(&[]).expect_code(2);
    assert!(
        none.stderr.contains("no key is given") && none.stderr.contains("--identity"),
        "{none}"
    );
    bench.project.file("other.key", "AGE-SECRET-KEY-1NOTAKEY\n");
    let wrong = restore(&["--identity", "file:other.key"]).expect_code(2);
    assert!(wrong.stderr.contains("None of the keys opens"), "{wrong}");
    let shown = restore(&["--identity", SECRET]).expect_code(2);
    assert!(!shown.stderr.contains("GQ9778"), "{shown}");
    // One byte of the only chunk.
    let chunk = bench.backup(&id, "chunks/000001.zst.age");
    let good = std::fs::read(&chunk).expect("a chunk");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&chunk, &bad).expect("a file");
    let damaged = restore(&key).expect_code(1);
    assert!(damaged.stderr.contains("`chunks/000001.zst.age` does not hold"), "{damaged}");
    bench.whimbrel().run(["backup", "verify", &id]).expect_code(1);
    std::fs::write(&chunk, &good).expect("a file");
    // The public key of the project is gone: nobody can say whose backup it is.
    std::fs::rename(bench.project.at(".whimbrel/signing.pub"), bench.project.at("pub"))
        .expect("it");
    let unknown = restore(&key).expect_code(2);
    assert!(unknown.stderr.contains("--signer"), "{unknown}");
    std::fs::rename(bench.project.at("pub"), bench.project.at(".whimbrel/signing.pub"))
        .expect("it");
    let missing = bench.whimbrel().run(["backup", "verify", "backup_1712345678901"]).expect_code(2);
    assert!(missing.stderr.contains("There is no backup"), "{missing}");
    // The database that is there is never touched.
    let before = dump(&bench.database);
    let there = words(&["backup", "restore", &*id, "--to", &*bench.database.url], &key);
    let there = bench.whimbrel().run(there).expect_code(2);
    assert!(there.stderr.contains("is there already"), "{there}");
    assert_eq!(dump(&bench.database), before);
    let nobody = bench.whimbrel().run(["backup", "create"]).expect_code(2);
    assert!(
        nobody.stderr.contains("--recipient") && nobody.stderr.contains("--no-encrypt"),
        "{nobody}"
    );
}

#[test]
fn an_expired_backup_is_restored_only_when_that_is_said() {
    let bench = Bench::new();
    let id = bench.create(&["--no-encrypt", "--keep", "0"]);
    let list = bench.whimbrel().run(["backup", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(value["data"]["backups"][0]["state"], "expired", "{list}");
    let restored = bench.restored();
    let arguments = ["backup", "restore", &id, "--to", &restored.url];
    let refused = bench.whimbrel().run(arguments).expect_code(2);
    assert!(refused.stderr.contains("--expired"), "{refused}");
    bench.whimbrel().run(words(&arguments, &["--expired"])).success();
    assert_eq!(dump(&restored), dump(&bench.database));
}

#[test]
fn a_kill_anywhere_leaves_no_half_backup_and_no_half_database() {
    let bench = Bench::new();
    let first = bench.create(&["--no-encrypt"]);
    for name in failpoint::BACKUPS {
        let restores = name.starts_with("restore.");
        let restored = bench.restored();
        let arguments = match restores {
            true => vec!["backup", "restore", &first, "--to", &restored.url],
            false => vec!["backup", "create", "--no-encrypt"],
        };
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(&arguments);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        let list = bench.whimbrel().run(["backup", "list", "--json"]).success();
        let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
        for backup in value["data"]["backups"].as_array().expect("backups") {
            let id = backup["id"].as_str().expect("an id");
            bench.whimbrel().run(["backup", "verify", id, "--restore"]).success();
        }
        let whole = bench.project.at("new/test.db").exists();
        assert_eq!(whole, *name == "restore.after_rename", "{name}");
        if whole {
            assert_eq!(dump(&restored), dump(&bench.database));
        }
        let _ = std::fs::remove_dir_all(bench.project.at("new"));
    }
}

#[test]
fn the_guide_says_what_happens() {
    let bench = Bench::new();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/backups.md");
    let page = std::fs::read_to_string(page).expect("the page");
    crate::guide::follow(&page, bench.project.path(), &[("DATABASE_URL", &bench.database.url)]);
    let restored = bench.restored();
    let made = bench.project.at("restored.db");
    std::fs::rename(made, bench.project.at("new/test.db")).expect("the file");
    assert_eq!(dump(&restored), dump(&bench.database));
}

/// On another machine there is nothing but the backups, the key, and the public key of old.
#[test]
fn it_can_be_restored_where_nothing_else_is_left() {
    let bench = Bench::new();
    let id = bench.sealed();
    let elsewhere = Project::new();
    let signer = bench.signer();
    let folder = bench.project.at(".whimbrel/backups").display().to_string();
    let place = ["--dir", &folder, "--signer", &signer];
    let program = Path::new(env!("CARGO_BIN_EXE_whimbrel"));
    let whimbrel =
        Whimbrel::new(program, elsewhere.path()).env("MY_BACKUP_KEY", format!("{SECRET}\n"));
    whimbrel.run(words(&["backup", "verify", &id], &place)).success();
    let restore =
        ["backup", "restore", &id, "--to", "sqlite:test.db", "--identity", "env:MY_BACKUP_KEY"];
    whimbrel.run(words(&restore, &place)).success();
    assert_eq!(dump(&sqlite_in(elsewhere.path())), dump(&bench.database));
}

/// The recipe of docs/formats/backup.md, with the tools that it names.
#[test]
fn it_can_be_restored_without_whimbrel() {
    let bench = Bench::new();
    let id = bench.sealed();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/backup.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let recipe = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let (data_key, target) = (bench.project.at("data.key"), bench.project.at("by-hand.db"));
    let script = recipe
        .expect("a recipe")
        .replace("backup_1712345678901", &id)
        .replace("my.key", &bench.project.at("my.key").display().to_string())
        .replace("/dev/shm/data.key", &data_key.display().to_string())
        .replace("/tmp/restored.db", &target.display().to_string());
    let mut shell = Command::new("sh");
    let output = shell.args(["-e", "-c", &script]).current_dir(bench.project.path()).output();
    let output = output.expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.starts_with("ok\n") && said.contains("\"name\":\"people\",\"rows\":2"), "{said}");
    let folder = bench.restored();
    std::fs::rename(&target, bench.project.at("new/test.db")).expect("the file");
    assert_eq!(dump(&folder), dump(&bench.database));
}
