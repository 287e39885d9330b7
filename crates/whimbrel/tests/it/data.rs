//! Data migrations on every engine: batches, bad rows, account, undo.

use std::fmt::Write as _;

use whimbrel_engine::failpoint;

use crate::engines::{Bench, every_engine, on};

every_engine!(
    an_update_runs_in_batches,
    a_delete_runs_in_batches,
    an_insert_is_staged_and_accounted_for,
    a_bad_row_stops_the_run_and_is_named,
    bad_rows_are_set_aside_and_tried_again,
    rows_that_produce_nothing_are_reported,
    undo_takes_back_what_nobody_changed,
    a_stop_between_batches_goes_on_later,
    a_kill_at_every_place_of_the_loop_changes_nothing,
    what_cannot_be_cut_is_refused_with_its_reason,
    small_tables_run_whole,
    composite_and_text_keys,
    down_is_the_undo,
    parameters_are_one_value_for_all_batches,
    undo_takes_back_what_the_database_made_itself,
);

/// Rows of the table `people`, in an order that is not the key's.
pub(crate) fn people(bench: &Bench, rows: u32) {
    let mut sql = String::from(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, nick VARCHAR(60), handle VARCHAR(60), \
         visits INTEGER NOT NULL DEFAULT 0);\n",
    );
    let ids: Vec<u32> = (1..=rows).map(|number| number * 7919 % (rows * 3 + 1) + 1).collect();
    let mut seen = std::collections::BTreeSet::new();
    for chunk in ids.chunks(200) {
        let values: Vec<String> = chunk
            .iter()
            .filter(|id| seen.insert(**id))
            .map(|id| format!("({id}, 'Nick{id}', NULL, 0)"))
            .collect();
        if !values.is_empty() {
            let _ = writeln!(sql, "INSERT INTO people VALUES {};", values.join(", "));
        }
    }
    bench.migration("0001_people.sql", &sql);
    bench.whimbrel().run(["up"]).success();
}

pub(crate) fn count(bench: &Bench, sql: &str) -> i64 {
    bench.database.query(sql).trim().parse().expect("a number")
}

/// Rows of a table of the ledger.
pub(crate) fn ledger(bench: &Bench, table: &str) -> String {
    if bench.engine == "postgres" {
        format!("whimbrel.{table}")
    } else {
        format!("whimbrel_{table}")
    }
}

fn an_update_runs_in_batches(bench: &Bench) {
    people(bench, 500);
    bench.migration(
        "0002_handles.data.sql",
        "-- whimbrel: batch size=50\n\
         UPDATE people SET handle = lower(nick), visits = visits + 1 WHERE handle IS NULL OR id < 0;\n",
    );
    let rows = count(bench, "SELECT count(*) FROM people");
    let up = bench.whimbrel().run(["up"]).success();
    assert!(up.stderr.contains(&format!("{rows} rows of")), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE handle = lower(nick)"), rows);
    let batches = count(bench, &format!("SELECT count(*) FROM {}", ledger(bench, "batches")));
    assert_eq!(batches, (rows + 49) / 50, "batches follow the key, not the heap");
    bench.whimbrel().run(["status", "--check"]).success();
    let again = bench.whimbrel().run(["up"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again}");
}

fn a_delete_runs_in_batches(bench: &Bench) {
    people(bench, 300);
    bench.migration(
        "0002_gone.data.sql",
        "-- whimbrel: batch size=32\nDELETE FROM people WHERE id % 3 = 0;\n",
    );
    let (all, rest) = (
        count(bench, "SELECT count(*) FROM people"),
        count(bench, "SELECT count(*) FROM people WHERE id % 3 <> 0"),
    );
    let before = bench.database.rows();
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people"), rest);
    let plan = bench.whimbrel().run(["undo", "0002", "--dry-run"]).success();
    assert!(plan.stdout.contains(&format!("{} rows", all - rest)), "{plan}");
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.rows(), before);
}

pub(crate) const CARDS: &str = "CREATE TABLE cards (person_id INTEGER NOT NULL PRIMARY KEY, \
                     label VARCHAR(12) NOT NULL);\n";

fn an_insert_is_staged_and_accounted_for(bench: &Bench) {
    people(bench, 400);
    bench.migration("0002_cards.sql", CARDS);
    bench.migration(
        "0003_cards.data.sql",
        "-- whimbrel: batch size=64\n\
         INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p;\n",
    );
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    let account = bench.whimbrel().run(["account", "0003"]).success();
    assert!(account.stdout.contains("holds: no row was lost"), "{account}");
    let json = bench.whimbrel().run(["account", "0003", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(value["data"]["statements"][0]["rows_read"], rows);
    assert_eq!(value["data"]["statements"][0]["rows_produced"], rows);
    assert_eq!(value["data"]["statements"][0]["rows_written"], rows);
    bench.whimbrel().run(["undo", "0003"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 0);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
}

/// One row whose value does not fit into `cards.label`.
fn cards_with_bad_rows(bench: &Bench, directive: &str) {
    people(bench, 300);
    bench.migration(
        "0002_cards.sql",
        &CARDS.replace("NOT NULL);", "NOT NULL, CHECK (length(label) < 9));"),
    );
    bench.migration(
        "0003_cards.data.sql",
        &format!(
            "-- whimbrel: batch size=40 {directive}\n\
             INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p;\n"
        ),
    );
    bench.whimbrel().run(["up", "--to", "0002"]).success();
    bench.database.query(
        "UPDATE people SET nick = 'far too long' WHERE id IN (SELECT x FROM (SELECT min(id) AS x \
         FROM people UNION SELECT max(id) FROM people) y)",
    );
}

fn a_bad_row_stops_the_run_and_is_named(bench: &Bench) {
    cards_with_bad_rows(bench, "");
    let first = count(bench, "SELECT min(id) FROM people");
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains(&format!("id = {first}")), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 0);
    bench.database.query("UPDATE people SET nick = 'ok' WHERE nick = 'far too long'");
    bench.whimbrel().run(["up"]).success();
    bench.whimbrel().run(["account", "0003"]).success();
}

fn bad_rows_are_set_aside_and_tried_again(bench: &Bench) {
    cards_with_bad_rows(bench, "on-error=quarantine");
    bench.migration("0004_cleanup.sql", "-- whimbrel: requires=account:0003\nDROP TABLE people;\n");
    let rows = count(bench, "SELECT count(*) FROM people");
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("requires the account"), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows - 2);
    let list = bench.whimbrel().run(["quarantine", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let open = value["data"]["rows"].as_array().expect("rows");
    assert_eq!(open.len(), 2, "{list}");
    assert_eq!(open[0]["row"]["nick"], "far too long");
    let account = bench.whimbrel().run(["account", "0003"]).expect_code(3);
    assert!(account.stdout.contains("2 rows are in quarantine"), "{account}");
    bench.whimbrel().run(["quarantine", "retry"]).expect_code(3);
    let (first, second) = (open[0]["id"].to_string(), open[1]["id"].to_string());
    bench
        .whimbrel()
        .run(["quarantine", "edit", &first, "--set", r#"{"label": "edited"}"#])
        .success();
    bench.whimbrel().run(["quarantine", "retry", &first]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards WHERE label = 'edited'"), 1);
    bench.database.query("UPDATE people SET nick = 'short' WHERE nick = 'far too long'");
    bench.whimbrel().run(["quarantine", "retry", &second]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    bench.whimbrel().run(["account", "0003"]).success();
    bench.whimbrel().run(["up"]).success();
}

fn rows_that_produce_nothing_are_reported(bench: &Bench) {
    people(bench, 200);
    bench.migration("0002_cards.sql", CARDS);
    bench.migration(
        "0003_cards.data.sql",
        "-- whimbrel: batch size=30\n\
         INSERT INTO cards (person_id, label) SELECT id, nick FROM people WHERE id % 5 <> 0;\n",
    );
    bench.whimbrel().run(["up"]).success();
    let lost = count(bench, "SELECT count(*) FROM people WHERE id % 5 = 0");
    let account = bench.whimbrel().run(["account", "0003"]).expect_code(3);
    assert!(account.stdout.contains(&format!("{lost} rows of")), "{account}");
    bench.whimbrel().run(["undo", "0003"]).success();
    bench.migration(
        "0003_cards.data.sql",
        "-- whimbrel: batch size=30 skips=\"id % 10 = 0\"\n\
         INSERT INTO cards (person_id, label) SELECT id, nick FROM people WHERE id % 5 <> 0;\n\n\
         -- whimbrel: batch size=17\n\
         INSERT INTO cards (person_id, label) SELECT id, 'five' FROM people WHERE id % 10 = 5;\n",
    );
    bench.whimbrel().run(["up"]).success();
    bench.whimbrel().run(["account", "0003"]).success();
}

fn undo_takes_back_what_nobody_changed(bench: &Bench) {
    people(bench, 200);
    let before = bench.database.rows();
    bench.migration(
        "0002_handles.data.sql",
        "-- whimbrel: batch size=30\nUPDATE people SET handle = upper(nick), visits = 5;\n",
    );
    bench.whimbrel().run(["up"]).success();
    let id = count(bench, "SELECT min(id) FROM people");
    bench.database.query(&format!("UPDATE people SET handle = 'mine' WHERE id = {id}"));
    let undo = bench.whimbrel().run(["undo", "0002"]).expect_code(4);
    assert!(undo.stderr.contains("handle: was NULL"), "{undo}");
    assert!(undo.stderr.contains("mine"), "{undo}");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 0"), 0);
    bench.whimbrel().run(["undo", "0002", "--on-conflict", "skip"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE handle = 'mine'"), 1);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits <> 0"), 0);
    bench.database.query("UPDATE people SET handle = NULL");
    assert_eq!(bench.database.rows(), before);
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("1 pending"), "{status}");
}

fn a_stop_between_batches_goes_on_later(bench: &Bench) {
    people(bench, 300);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=10 pause-ms=60\nUPDATE people SET visits = visits + 1;\n",
    );
    let rows = count(bench, "SELECT count(*) FROM people");
    let running = bench.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 3);
    running.signal("INT");
    let stopped = running.wait().expect_code(130);
    let done = count(bench, "SELECT count(*) FROM people WHERE visits = 1");
    assert!(done > 0 && done < rows, "{done} of {rows}: {stopped}");
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("interrupted"), "{status}");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn a_kill_at_every_place_of_the_loop_changes_nothing(bench: &Bench) {
    people(bench, 120);
    let rows = count(bench, "SELECT count(*) FROM people");
    let mut expected = 0;
    for (number, point) in failpoint::BATCHES.iter().enumerate() {
        for nth in [1, 3] {
            let version = 10 + number * 2 + usize::from(nth == 3);
            bench.migration(
                &format!("00{version}_count.data.sql"),
                "-- whimbrel: batch size=25\nUPDATE people SET visits = visits + 1;\n",
            );
            expected += 1;
            let killed =
                bench.whimbrel().env("WHIMBREL_FAILPOINT", format!("{point}:{nth}")).run(["up"]);
            let once = point.ends_with("cursor") && nth == 3;
            assert_eq!(killed.code.is_none(), !once, "{point}:{nth}: {killed}");
            bench.whimbrel().run(["up"]).success();
            let right = format!("SELECT count(*) FROM people WHERE visits = {expected}");
            assert_eq!(count(bench, &right), rows, "after {point}:{nth}");
        }
    }
}

fn what_cannot_be_cut_is_refused_with_its_reason(bench: &Bench) {
    people(bench, 1_500);
    bench.migration(
        "0002_leaves.data.sql",
        "DELETE FROM people WHERE id NOT IN (SELECT x FROM (SELECT max(visits) AS x FROM people \
         GROUP BY nick) y);\n",
    );
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("delete-reads-target"), "{up}");
    assert!(up.stderr.contains("self-read=stable"), "{up}");
    bench.migration("0002_leaves.data.sql", "DROP TABLE people;\n");
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("does not belong into a data migration"), "{up}");
}

fn small_tables_run_whole(bench: &Bench) {
    people(bench, 20);
    bench.migration(
        "0002_seed.data.sql",
        "INSERT INTO people (id, nick) VALUES (100000, 'seed');\n\
         UPDATE people SET id = id + 1 WHERE id = 100000;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE id = 100001"), 1);
}

fn composite_and_text_keys(bench: &Bench) {
    let mut sql = String::from(
        "CREATE TABLE members (team VARCHAR(20) NOT NULL, person INTEGER NOT NULL, \
         visits INTEGER NOT NULL, PRIMARY KEY (team, person));\n",
    );
    for team in ["ö", "a", "B", "b'", "Z\\", "10", "9", ""] {
        let values: Vec<String> = (-9..10)
            .map(|person| {
                let team = team.replace('\'', "''");
                let team =
                    if bench.engine == "mariadb" { team.replace('\\', "\\\\") } else { team };
                format!("('{team}', {person}, 0)")
            })
            .collect();
        let _ = writeln!(sql, "INSERT INTO members VALUES {};", values.join(", "));
    }
    bench.migration("0001_members.sql", &sql);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=7\nUPDATE members SET visits = visits + 1;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM members WHERE visits = 1"), 8 * 19);
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM members WHERE visits = 0"), 8 * 19);
}

fn down_is_the_undo(bench: &Bench) {
    people(bench, 100);
    let before = bench.database.rows();
    bench.migration(
        "0002_handles.data.sql",
        "UPDATE people SET handle = upper(nick);\n\nDELETE FROM people WHERE id % 2 = 0;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_ne!(bench.database.rows(), before);
    bench.whimbrel().run(["down"]).success();
    assert_eq!(bench.database.rows(), before);
    bench.migration(
        "0002_handles.data.sql",
        "-- whimbrel: batch undo=off\nUPDATE people SET handle = upper(nick);\n",
    );
    bench.whimbrel().run(["up"]).success();
    let down = bench.whimbrel().run(["down"]).expect_code(2);
    assert!(down.stderr.contains("undo=off"), "{down}");
}

fn parameters_are_one_value_for_all_batches(bench: &Bench) {
    people(bench, 100);
    bench.migration(
        "0002_stamp.data.sql",
        "-- whimbrel: batch size=10\nUPDATE people SET handle = :run_id, \
         nick = CAST(:run_started_at AS CHAR(60));\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(DISTINCT handle) FROM people"), 1);
    assert_eq!(count(bench, "SELECT count(DISTINCT nick) FROM people"), 1);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE handle IS NULL"), 0);
}

fn undo_takes_back_what_the_database_made_itself(bench: &Bench) {
    let (number, stamp) = match bench.engine {
        "postgres" => ("serial", ""),
        "sqlite" => ("INTEGER", ""),
        _ => ("INTEGER AUTO_INCREMENT", " ON UPDATE CURRENT_TIMESTAMP"),
    };
    bench.migration(
        "0001_item.sql",
        &format!(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, \
             at TIMESTAMP DEFAULT '2020-01-01 00:00:00'{stamp});\n\
             INSERT INTO item (id, n) VALUES (1, 0), (2, 0), (3, 0);\n\
             CREATE TABLE copy (id {number} PRIMARY KEY, item_id INTEGER NOT NULL);\n"
        ),
    );
    bench.whimbrel().run(["up"]).success();
    let id = if bench.engine == "postgres" { "nextval('copy_id_seq')" } else { "NULL" };
    bench.migration(
        "0002_work.data.sql",
        &format!(
            "UPDATE item SET n = n + 1;\n\
             INSERT INTO copy (id, item_id) SELECT {id}, i.id FROM item i;\n"
        ),
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM copy"), 3);
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM copy"), 0);
    let before = "SELECT count(*) FROM item WHERE n = 0 AND at < '2020-01-02'";
    assert_eq!(count(bench, before), 3);
}

/// A row that comes after the rows of its range were captured is not changed without being kept.
fn a_row_comes_between(bench: &Bench) {
    people(bench, 200);
    let others = "SELECT * FROM people WHERE nick <> 'late' ORDER BY id";
    let was = bench.database.query(others);
    for (version, statement) in [
        ("0002", "UPDATE people SET visits = visits + 1 WHERE visits < 100"),
        ("0003", "DELETE FROM people WHERE visits < 100 AND lower(nick) LIKE ('%')"),
    ] {
        let file = format!("migrations/{version}_x.data.sql");
        let free = "SELECT min(id) + 1 FROM people p \
                    WHERE NOT EXISTS (SELECT 1 FROM people o WHERE o.id = p.id + 1)";
        let id = count(bench, free);
        bench.project.file(&file, &format!("-- whimbrel: batch size=150\n{statement};\n"));
        let running = bench
            .whimbrel()
            .env("WHIMBREL_FAILPOINT", "batch.captured:1")
            .env("WHIMBREL_FAILPOINT_ACTION", "sleep:1500")
            .spawn(["up"]);
        let lock = "SELECT id FROM people ORDER BY id LIMIT 1 FOR UPDATE NOWAIT";
        let is_locked = (0..2_000).any(|_| bench.database.try_query(lock).is_err());
        assert!(is_locked, "{statement}");
        bench.database.query(&format!("INSERT INTO people VALUES ({id}, 'late', NULL, 50)"));
        running.wait().success();
        let late = "SELECT count(*) FROM people WHERE nick = 'late' AND visits = 50";
        assert_ne!(bench.database.query(others), was, "{statement}");
        bench.whimbrel().run(["undo", version]).success();
        assert_eq!(bench.database.query(others), was, "{statement}");
        assert_eq!(count(bench, late), 1, "{statement}");
        bench.project.remove(&file);
        bench.database.query("DELETE FROM people WHERE nick = 'late'");
    }
}

#[test]
fn a_row_comes_between_on_postgres() {
    on("postgres", a_row_comes_between);
}

#[test]
fn a_row_comes_between_on_mariadb() {
    on("mariadb", a_row_comes_between);
}
