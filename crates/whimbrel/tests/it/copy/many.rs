//! Several tables at a time, and transactions that are tried again.

use std::fmt::Write as _;

use whimbrel_testkit::proof::proxy::Proxy;

use super::{Ends, arguments, every_pair};

every_pair!(a_forest_of_tables, a_kill_between_tables_changes_nothing);

/// Rows of each table.
const ROWS: usize = 90;

/// Three trees of three tables each, filled at the source.
fn forest(ends: &Ends) {
    let mut tables = String::new();
    for tree in ["a", "b", "c"] {
        let _ = writeln!(
            tables,
            "CREATE TABLE {tree}_root (id integer PRIMARY KEY, name varchar(20));\n\
             CREATE TABLE {tree}_stem (id integer PRIMARY KEY, root_id integer NOT NULL, \
             FOREIGN KEY (root_id) REFERENCES {tree}_root (id));\n\
             CREATE TABLE {tree}_leaf (id integer PRIMARY KEY, stem_id integer NOT NULL, \
             FOREIGN KEY (stem_id) REFERENCES {tree}_stem (id));"
        );
    }
    ends.source.query(&tables);
    for tree in ["a", "b", "c"] {
        let rows = |of: &dyn Fn(usize) -> String| (1..=ROWS).map(of).collect::<Vec<_>>().join(", ");
        let roots = rows(&|id| format!("({id}, 'n{id}')"));
        let others = rows(&|id| format!("({id}, {})", ROWS + 1 - id));
        ends.source.query(&format!(
            "INSERT INTO {tree}_root VALUES {roots}; INSERT INTO {tree}_stem VALUES {others}; \
             INSERT INTO {tree}_leaf VALUES {others};"
        ));
    }
    // So that a child that comes too early is refused on SQLite, too.
    ends.project.file("whimbrel.toml", "[project]\nforeign-keys = true\n");
    ends.tables(&tables);
}

fn all_rows(ends: &Ends) -> i64 {
    let tables = ["a", "b", "c"]
        .iter()
        .flat_map(|tree| ["root", "stem", "leaf"].iter().map(move |name| format!("{tree}_{name}")));
    tables.map(|table| ends.count(&format!("SELECT count(*) FROM {table}"))).sum()
}

fn a_forest_of_tables(ends: &Ends) {
    forest(ends);
    let copy = ends.copy(&["--jobs", "3", "--size", "20", "--verify"]).success();
    assert_eq!(all_rows(ends), 9 * 90, "{copy}");
    assert_eq!(copy.stdout.matches("the same 90 rows").count(), 9, "{copy}");
    let again = ends.copy(&["--jobs", "3"]).success();
    assert_eq!(all_rows(ends), 9 * 90, "{again}");
}

fn a_kill_between_tables_changes_nothing(ends: &Ends) {
    forest(ends);
    for point in [
        "batch.before_cursor:2",
        "batch.after_commit:7",
        "batch.before_commit:9",
        "batch.after_statement:8",
    ] {
        let killed = ends
            .whimbrel()
            .env("WHIMBREL_FAILPOINT", point)
            .run(arguments(&["--jobs", "4", "--size", "20"]));
        assert_ne!(killed.code, Some(0), "{point}: {killed}");
    }
    let copy = ends.copy(&["--jobs", "2", "--size", "20", "--verify"]).success();
    assert_eq!(all_rows(ends), 9 * 90, "{copy}");
    assert_eq!(copy.stdout.matches("the same 90 rows").count(), 9, "{copy}");
}

/// One connection to the target ends after so many bytes, anywhere.
fn a_cut(ends: &Ends) {
    forest(ends);
    let url = &ends.target.url;
    let port = url.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split_once('/'));
    let port = port.and_then(|(port, _)| port.parse::<u16>().ok()).expect("a port");
    for bytes in [4_000, 15_000, 30_000, 60_000] {
        let proxy = Proxy::cutting_after(port, bytes).expect("a proxy");
        let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        ends.whimbrel()
            .env("DATABASE_URL", through)
            .run(arguments(&["--jobs", "3", "--size", "20"]));
    }
    let copy = ends.copy(&["--jobs", "2", "--size", "20", "--verify"]).success();
    assert_eq!(all_rows(ends), 9 * 90, "{copy}");
    assert_eq!(copy.stdout.matches("the same 90 rows").count(), 9, "{copy}");
}

#[test]
fn a_cut_connection_changes_nothing_on_postgres() {
    super::between("sqlite", "postgres", a_cut);
}

#[test]
fn a_cut_connection_changes_nothing_on_mariadb() {
    super::between("postgres", "mariadb", a_cut);
}

/// Somebody holds a lock for longer than is waited for it.
fn a_lock_that_is_not_granted(ends: &Ends, lock: &str) {
    forest(ends);
    let program = ends
        .whimbrel()
        .env("MIGRATION_RETRY_DELAY", "40")
        .env("MIGRATION_MAX_RETRIES", "50")
        .env("WHIMBREL_FAILPOINT", "batch.before_begin:4")
        .env("WHIMBREL_FAILPOINT_ACTION", "sleep:1500");
    let running = program.spawn(arguments(&["--size", "20", "--jobs", "1", "--json"]));
    running.wait_until(|out, _| out.matches("\"event\":\"copying\"").count() >= 3);
    let holder = loop {
        if let Ok(holder) = ends.target.hold(lock) {
            break holder;
        }
    };
    running.wait_until(|out, _| out.matches("\"event\":\"retrying\"").count() > 1);
    drop(holder);
    running.wait().success();
    assert_eq!(all_rows(ends), 9 * 90);
}

#[test]
fn a_lock_that_is_not_granted_is_tried_again_on_sqlite() {
    super::between("postgres", "sqlite", |ends| {
        a_lock_that_is_not_granted(ends, "UPDATE whimbrel_identity SET environment = environment");
    });
}

#[test]
fn a_lock_that_is_not_granted_is_tried_again_on_postgres() {
    super::between("sqlite", "postgres", |ends| {
        ends.target.query(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = ''150ms''', \
             current_database()); END $$",
        );
        a_lock_that_is_not_granted(ends, "LOCK TABLE a_root IN ACCESS EXCLUSIVE MODE");
    });
}
