//! What must hold on every engine alike.

use crate::engines::{Bench, every_engine};

every_engine!(
    applies_verifies_and_does_nothing_twice,
    a_failure_names_the_place_and_keeps_what_came_before,
    what_a_drop_removes_comes_back,
    rows_of_a_delete_are_kept_on_request,
    keep_can_be_switched_off,
    an_edited_file_stops_the_next_run_until_it_is_accepted,
    an_accepted_text_is_what_counts,
    a_comment_is_no_change,
    tables_without_history_are_refused_until_a_baseline,
    out_of_order_runs_only_where_nothing_is_shared,
    a_table_that_is_gone_is_found_by_verify,
    a_wrong_phrase_changes_nothing,
    a_protected_environment_wants_its_name,
    verify_queries_are_part_of_up,
);

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(100) NOT NULL);\n\
                     CREATE UNIQUE INDEX idx_users_email ON users (email);\n\
                     INSERT INTO users (id, email) VALUES (1, 'a@example.org'), (2, 'it''s@b');\n";

fn applies_verifies_and_does_nothing_twice(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.migration("0005_posts.sql", "CREATE TABLE posts (id INTEGER PRIMARY KEY, t VARCHAR(9));");
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("0 applied, 2 pending"), "{status}");
    assert!(bench.database.query("SELECT 1").contains('1'));
    bench.whimbrel().run(["status", "--check"]).expect_code(3);
    let up = bench.whimbrel().run(["up"]).success();
    assert!(up.stdout.contains("Applied 2 migrations"), "{up}");
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "2");
    bench.whimbrel().run(["status", "--check"]).success();
    let verify = bench.whimbrel().run(["verify"]).success();
    assert!(verify.stdout.contains("0 fail"), "{verify}");
    let again = bench.whimbrel().run(["up"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again}");
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "2");
}

fn a_failure_names_the_place_and_keeps_what_came_before(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.migration(
        "0002_bad.sql",
        "-- two lines of comment\n-- before it\nINSERT INTO users VALUES (3, 'c');\n\n\
         INSERT INTO nowhere (id) VALUES (1);\n",
    );
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains("0002_bad.sql:5"), "{up}");
    assert!(up.stderr.contains("INSERT INTO nowhere"), "{up}");
    assert!(up.stderr.contains("0001_users.sql"), "{up}");
    // The failed migration is one transaction of rows on every engine: nothing of it stays.
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "2");
    bench.migration("0002_bad.sql", "INSERT INTO users VALUES (3, 'c');\n");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "3");
}

const DROP: &str = "ALTER TABLE users DROP COLUMN nick;\nDROP TABLE notes;\n";
const DROP_BACK: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body VARCHAR(50));\n\
                         ALTER TABLE users ADD COLUMN nick VARCHAR(20);\n";

fn kept_schema(bench: &Bench) {
    bench.migration(
        "0001_a.sql",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, nick VARCHAR(20));\n\
         CREATE TABLE notes (id INTEGER PRIMARY KEY, body VARCHAR(50));\n\
         INSERT INTO users VALUES (1, 'Ann'), (2, NULL), (3, 'it''s');\n\
         INSERT INTO notes VALUES (7, 'ünï'), (8, NULL);\n",
    );
}

fn what_a_drop_removes_comes_back(bench: &Bench) {
    kept_schema(bench);
    bench.migration("0002_b.sql", DROP);
    bench.migration("0002_b.down.sql", DROP_BACK);
    bench.whimbrel().run(["up", "--to", "0001"]).success();
    let (schema, rows) = (bench.database.schema(), bench.database.rows());
    for _ in 0..2 {
        bench.whimbrel().run(["up"]).success();
        assert_ne!(bench.database.schema(), schema);
        bench.whimbrel().run(["down"]).success();
        assert_eq!(bench.database.rows(), rows);
        if bench.engine != "sqlite" {
            // SQLite keeps the text of the ALTER, so its dump differs in spelling only.
            assert_eq!(bench.database.schema(), schema);
        }
    }
}

fn rows_of_a_delete_are_kept_on_request(bench: &Bench) {
    kept_schema(bench);
    bench.migration(
        "0002_b.sql",
        "-- whimbrel: purpose=\"clean up\"\n\nINSERT INTO notes VALUES (9, 'new');\n\
         -- whimbrel: keep=on\nDELETE FROM users WHERE id = 1;\n",
    );
    bench.migration("0002_b.down.sql", "DELETE FROM notes WHERE id = 9;\n");
    bench.whimbrel().run(["up", "--to", "0001"]).success();
    let rows = bench.database.rows();
    bench.whimbrel().run(["up"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "2");
    bench.whimbrel().run(["down", "--confirm", "0002_b.sql"]).success();
    assert_eq!(bench.database.rows(), rows);
}

fn keep_can_be_switched_off(bench: &Bench) {
    kept_schema(bench);
    bench.migration("0002_b.sql", &format!("-- whimbrel: keep=off\n{DROP}"));
    bench.migration("0002_b.down.sql", DROP_BACK);
    bench.whimbrel().run(["up"]).success();
    bench.whimbrel().run(["down"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM notes").trim(), "0");
}

fn an_edited_file_stops_the_next_run_until_it_is_accepted(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.whimbrel().run(["up"]).success();
    bench.migration("0001_users.sql", &USERS.replace("VARCHAR(100)", "VARCHAR(120)"));
    bench.migration("0002_posts.sql", "CREATE TABLE posts (id INTEGER PRIMARY KEY);");
    let up = bench.whimbrel().run(["up"]).expect_code(4);
    assert!(up.stderr.contains("was changed after it was applied"), "{up}");
    assert!(up.stderr.contains("whimbrel accept"), "{up}");
    bench.whimbrel().run(["verify"]).expect_code(3);
    bench.whimbrel().run(["accept", "0001"]).success();
    bench.whimbrel().run(["up"]).success();
}

fn an_accepted_text_is_what_counts(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.migration("0001_users.down.sql", "DROP TABLE users;");
    bench.whimbrel().run(["up"]).success();
    // Somebody added a column by hand, and the file says so.
    bench.database.query("ALTER TABLE users ADD COLUMN nick VARCHAR(20)");
    bench.migration(
        "0001_users.sql",
        &format!("{USERS}ALTER TABLE users ADD COLUMN nick VARCHAR(20);"),
    );
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stderr.contains("run `whimbrel accept`"), "{status}");
    bench.whimbrel().run(["accept", "--reason", "by hand"]).success();
    let verify = bench.whimbrel().run(["verify", "--verbose"]).success();
    assert!(verify.stdout.contains("nick") || verify.stderr.contains("nick"), "{verify}");
    let history = bench.whimbrel().run(["history"]).success();
    assert!(history.stdout.contains("accepted as changed"), "{history}");
    // What is not in the database does not become true by being accepted.
    let more = format!("{USERS}ALTER TABLE users ADD COLUMN missing VARCHAR(20);");
    bench.migration("0001_users.sql", &more);
    bench.migration("0001_users.down.sql", "DROP TABLE users;\nCREATE TABLE after_it (x INTEGER);");
    bench.whimbrel().run(["accept"]).success();
    let verify = bench.whimbrel().run(["verify"]).expect_code(3);
    assert!(verify.stdout.contains("missing"), "{verify}");
    // A file without a way back does not take the kept one away.
    bench.project.remove("migrations/0001_users.down.sql");
    bench.migration("0001_users.sql", &format!("{USERS}SELECT 1;"));
    bench.whimbrel().run(["accept"]).success();
    bench.whimbrel().run(["down", "--confirm", "DELETE USERS TABLE"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM after_it").trim(), "0");
    bench.whimbrel().run(["up"]).success();
    let history = bench.whimbrel().run(["history"]).success();
    assert!(!history.stdout.contains("accepted"), "{history}");
}

fn a_comment_is_no_change(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.whimbrel().run(["up"]).success();
    bench.migration("0001_users.sql", &format!("-- why\r\n{}", USERS.replace('\n', "\r\n")));
    let status = bench.whimbrel().run(["status", "--check"]).success();
    assert!(status.stdout.contains("comments changed"), "{status}");
    bench.whimbrel().run(["up"]).success();
}

fn tables_without_history_are_refused_until_a_baseline(bench: &Bench) {
    bench.database.query("CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(100))");
    bench.migration("0001_users.sql", USERS);
    bench.migration("0002_posts.sql", "CREATE TABLE posts (id INTEGER PRIMARY KEY);");
    let up = bench.whimbrel().run(["up"]).expect_code(4);
    assert!(up.stderr.contains("no history"), "{up}");
    bench.whimbrel().run(["baseline", "--to", "0001"]).success();
    let up = bench.whimbrel().run(["up"]).success();
    assert!(up.stdout.contains("Applied 1 migration"), "{up}");
}

fn out_of_order_runs_only_where_nothing_is_shared(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.migration("0005_posts.sql", "CREATE TABLE posts (id INTEGER PRIMARY KEY);");
    bench.whimbrel().run(["up"]).success();
    bench.migration("0003_other.sql", "CREATE TABLE other (id INTEGER PRIMARY KEY);");
    bench.whimbrel().run(["up"]).success();
    bench.migration("0004_posts.sql", "ALTER TABLE posts ADD COLUMN title VARCHAR(9);");
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("0005_posts.sql") && up.stderr.contains("`posts`"), "{up}");
    bench.whimbrel().run(["up", "--out-of-order"]).success();
}

fn a_table_that_is_gone_is_found_by_verify(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.whimbrel().run(["up"]).success();
    bench.database.query("DROP TABLE users");
    let verify = bench.whimbrel().run(["verify"]).expect_code(3);
    assert!(verify.stdout.contains("table users"), "{verify}");
}

fn a_wrong_phrase_changes_nothing(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.migration("0001_users.down.sql", "DROP TABLE users;");
    bench.whimbrel().run(["up"]).success();
    let rows = bench.database.rows();
    let down = bench.whimbrel().run(["down", "--confirm", "delete users table"]).expect_code(6);
    assert!(down.stderr.contains("DELETE USERS TABLE"), "{down}");
    bench.whimbrel().run(["down"]).expect_code(6);
    assert_eq!(bench.database.rows(), rows);
    let down = bench.whimbrel().run(["down", "--confirm", "DELETE USERS TABLE"]).success();
    assert!(down.stderr.contains("2 rows"), "{down}");
    bench.whimbrel().run(["status", "--check"]).expect_code(3);
}

fn a_protected_environment_wants_its_name(bench: &Bench) {
    bench.project.file(
        "whimbrel.toml",
        "[environments.prod]\nprotected = true\n[environments.stage]\nprotected = true\n",
    );
    bench.migration("0001_users.sql", USERS);
    bench.migration("0001_users.down.sql", "DROP TABLE users;");
    let prod = |arguments: &[&str]| {
        let all = arguments.iter().chain(&["--env", "prod"]).copied().collect::<Vec<_>>();
        bench.whimbrel().run(all)
    };
    prod(&["up", "--no-backup"]).success();
    for refused in [
        &["down"][..],
        &["down", "--yes"],
        &["down", "--confirm", "DELETE USERS TABLE"],
        &["down", "--confirm", "DELETE USERS TABLE", "--yes"],
        &["down", "--confirm", "DELETE USERS TABLE IN stage"],
    ] {
        let down = prod(refused).expect_code(6);
        assert!(down.stderr.contains("`DELETE USERS TABLE IN prod`"), "{down}");
        assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "2");
    }
    prod(&["down", "--confirm", "DELETE USERS TABLE IN prod"]).success();
    bench.whimbrel().run(["status", "--check"]).expect_code(3);
}

fn verify_queries_are_part_of_up(bench: &Bench) {
    bench.migration("0001_users.sql", USERS);
    bench.migration("0001_users.verify.sql", "SELECT id FROM users WHERE email = 'it''s@b';");
    let code = if bench.engine == "mariadb" { 3 } else { 1 };
    let up = bench.whimbrel().run(["up"]).expect_code(code);
    assert!(up.stderr.contains("returns no row"), "{up}");
    let status = bench.whimbrel().run(["status"]).success();
    let wanted = if code == 3 { "1 applied" } else { "0 applied" };
    assert!(status.stdout.contains(wanted), "{status}");
}
