//! Data migrations whose key range several connections go through at a time (`parallel=`). On
//! SQLite the same files run by one connection.

use whimbrel_engine::failpoint;
use whimbrel_testkit::run::Running;

use crate::data::{CARDS, count, ledger, people};
use crate::engines::{Bench, every_engine};

every_engine!(
    the_parts_of_every_kind_of_statement_add_up,
    composite_and_text_keys_are_cut_too,
    a_kill_at_every_place_changes_nothing,
    a_resume_with_another_number_keeps_the_parts,
    bad_rows_of_all_parts_are_counted_together,
    a_bad_row_stops_all_of_them,
    they_are_paused_cancelled_and_stopped_together,
    the_plan_says_who_goes_alone,
    a_lost_connection_is_made_again,
    a_part_of_the_work_can_be_taken_back,
);

const COUNT: &str = "UPDATE people SET visits = visits + 1;\n";

/// How many connections there are where so many are asked for.
fn of(bench: &Bench, parallel: i64) -> i64 {
    if bench.engine == "sqlite" { 0 } else { parallel }
}

fn parts(bench: &Bench, condition: &str) -> i64 {
    count(bench, &format!("SELECT count(*) FROM {} WHERE {condition}", ledger(bench, "parts")))
}

/// Each row of `people` was counted once, and the ledger says the same.
fn counted_once(bench: &Bench) {
    let rows = count(bench, "SELECT count(*) FROM people");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
    adds_up(bench, 0, rows);
    bench.whimbrel().run(["account", "0002"]).success();
}

/// The batches of a statement are numbered through, and they and its cursor have read `rows`.
fn adds_up(bench: &Bench, statement: usize, rows: i64) {
    let these = format!("direction = 'up' AND statement_index = {statement}");
    let (batches, cursors) = (ledger(bench, "batches"), ledger(bench, "cursors"));
    let sum = |what: &str, table: &str| {
        count(bench, &format!("SELECT {what} FROM {table} WHERE {these} "))
    };
    assert_eq!(sum("sum(rows_read)", &batches), rows, "by the batches");
    assert_eq!(sum("max(rows_read)", &format!("{cursors} c")), rows, "by the cursor");
    let number = sum("count(*)", &batches);
    assert_eq!(sum("count(DISTINCT number)", &batches), number);
    assert_eq!(sum("max(number)", &batches), number);
    assert_eq!(sum("max(batches)", &cursors), number);
    assert_eq!(parts(bench, "state = 'running'"), 0);
}

fn the_parts_of_every_kind_of_statement_add_up(bench: &Bench) {
    people(bench, 400);
    bench.migration("0002_cards.sql", CARDS);
    bench.whimbrel().run(["up"]).success();
    let before = bench.database.rows();
    let work: Vec<String> = [
        "UPDATE people SET visits = visits + 1, handle = lower(nick)",
        "INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p",
        "DELETE FROM people WHERE id % 3 = 0",
    ]
    .iter()
    .map(|sql| format!("-- whimbrel: batch size=20 parallel=3\n{sql};\n"))
    .collect();
    bench.migration("0003_work.data.sql", &work.join("\n"));
    let rows = count(bench, "SELECT count(*) FROM people");
    let rest = count(bench, "SELECT count(*) FROM people WHERE id % 3 <> 0");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rest);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE handle = lower(nick)"), rest);
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    for statement in 0..3 {
        adds_up(bench, statement, rows);
    }
    assert_eq!(parts(bench, "state = 'done'"), of(bench, 9));
    let sessions = format!("SELECT count(DISTINCT server_session) FROM {}", ledger(bench, "parts"));
    assert_eq!(count(bench, &sessions), of(bench, 9));
    let spread = format!(
        "SELECT max(rows_read) - min(rows_read) FROM {} WHERE part < 3",
        ledger(bench, "parts")
    );
    if bench.engine != "sqlite" {
        assert_eq!(count(bench, &spread), 0, "the parts are of about the same size");
    }
    let account = bench.whimbrel().run(["account", "0003"]).success();
    assert!(account.stdout.contains("holds: no row was lost"), "{account}");
    bench.whimbrel().run(["undo", "0003"]).success();
    assert_eq!(bench.database.rows(), before);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rest);
}

fn composite_and_text_keys_are_cut_too(bench: &Bench) {
    let mut sql = String::from(
        "CREATE TABLE members (team VARCHAR(20) NOT NULL, person INTEGER NOT NULL, \
         visits INTEGER NOT NULL, PRIMARY KEY (team, person));\n",
    );
    for team in ["ö", "a", "B", "b''", "10", "9", ""] {
        let values: Vec<String> = (-9..10).map(|id| format!("('{team}', {id}, 0)")).collect();
        sql.push_str(&format!("INSERT INTO members VALUES {};\n", values.join(", ")));
    }
    bench.migration("0001_members.sql", &sql);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=7 parallel=4\nUPDATE members SET visits = visits + 1;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM members WHERE visits = 1"), 7 * 19);
    adds_up(bench, 0, 7 * 19);
    assert_eq!(parts(bench, "state = 'done'"), of(bench, 4));
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM members WHERE visits = 0"), 7 * 19);
}

fn a_kill_at_every_place_changes_nothing(bench: &Bench) {
    people(bench, 300);
    let text = format!("-- whimbrel: batch size=10 parallel=3\n{COUNT}");
    bench.migration("0002_count.data.sql", &text);
    let before = bench.database.rows();
    for point in failpoint::BATCHES {
        let nth = if point.ends_with("_cursor") { 1 } else { 3 };
        let spec = format!("{point}:{nth}");
        let up = bench.whimbrel().env("WHIMBREL_FAILPOINT", &spec).run(["up"]);
        assert_eq!(up.code, None, "{spec}: {up}");
        assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits > 1"), 0, "{spec}");
    }
    bench.whimbrel().run(["up"]).success();
    counted_once(bench);
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.rows(), before);
}

/// The ledger without what it says of batches, so that the next round is counted by itself.
fn forget(bench: &Bench) {
    for table in ["batches", "cursors", "parts"] {
        bench.database.query(&format!("DELETE FROM {}", ledger(bench, table)));
    }
}

fn a_resume_with_another_number_keeps_the_parts(bench: &Bench) {
    people(bench, 240);
    let write = |parallel: u32| {
        let text = format!("-- whimbrel: batch size=10 parallel={parallel}\n{COUNT}");
        bench.migration("0002_count.data.sql", &text);
    };
    write(4);
    for (point, next) in [("batch.after_commit:4", 2), ("batch.before_commit:3", 16)] {
        let up = bench.whimbrel().env("WHIMBREL_FAILPOINT", point).run(["up"]);
        assert_eq!(up.code, None, "{up}");
        assert_eq!(parts(bench, "1 = 1"), of(bench, 4));
        write(next);
    }
    write(1);
    bench.whimbrel().run(["up", "--sample", "3"]).success();
    let tried = bench.whimbrel().run(["up", "--dry-run"]);
    assert!(tried.code.is_some(), "{tried}");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(parts(bench, "state = 'done'"), of(bench, 4));
    counted_once(bench);
}

/// Cards with a limit on their length, and people who are refused: so many in each third.
fn cards_with_bad_rows(bench: &Bench, bad: u32, directive: &str) -> Vec<i64> {
    people(bench, 300);
    let cards = CARDS.replace("NOT NULL);", "NOT NULL, CHECK (length(label) < 9));");
    bench.migration("0002_cards.sql", &cards);
    bench.whimbrel().run(["up"]).success();
    let rows = count(bench, "SELECT count(*) FROM people");
    let mut ids = Vec::new();
    for third in 0..3 {
        for at in 0..bad {
            let offset = rows / 3 * third + i64::from(at) * 7 + 20;
            let id = format!("SELECT id FROM people ORDER BY id LIMIT 1 OFFSET {offset}");
            let id = count(bench, &id);
            bench
                .database
                .query(&format!("UPDATE people SET nick = 'far too long' WHERE id = {id}"));
            ids.push(id);
        }
    }
    bench.migration(
        "0003_cards.data.sql",
        &format!(
            "-- whimbrel: batch size=20 parallel=3 {directive}\n\
             INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p;\n"
        ),
    );
    ids
}

fn bad_rows_of_all_parts_are_counted_together(bench: &Bench) {
    let bad = cards_with_bad_rows(bench, 4, "on-error=quarantine errors-max=5");
    let rows = count(bench, "SELECT count(*) FROM people");
    let open = format!("SELECT count(*) FROM {} WHERE state = 'open'", ledger(bench, "quarantine"));
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains("errors-max"), "{up}");
    // What two other workers found in the batches of that moment may be beyond it.
    assert!(count(bench, &open) <= 5 + 2 * 4, "{up}");
    let text = "-- whimbrel: batch size=20 parallel=3 on-error=quarantine errors-max=12\n\
                INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p;\n";
    bench.migration("0003_cards.data.sql", text);
    let up = bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, &open), 12, "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows - 12);
    let account = bench.whimbrel().run(["account", "0003"]).expect_code(3);
    assert!(account.stdout.contains("12"), "{account}");
    for id in bad {
        bench.database.query(&format!("UPDATE people SET nick = 'short' WHERE id = {id}"));
    }
    bench.whimbrel().run(["quarantine", "retry"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    let account = bench.whimbrel().run(["account", "0003"]).success();
    assert!(account.stdout.contains("holds: no row was lost"), "{account}");
    bench.whimbrel().run(["undo", "0003"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 0);
}

fn a_bad_row_stops_all_of_them(bench: &Bench) {
    let bad = cards_with_bad_rows(bench, 1, "");
    let rows = count(bench, "SELECT count(*) FROM people");
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(bad.iter().any(|id| up.stderr.contains(&format!("id = {id}"))), "{up}");
    let done = count(bench, "SELECT count(*) FROM cards");
    assert!(done < rows - 1, "{done}");
    for id in bad {
        bench.database.query(&format!("UPDATE people SET nick = 'short' WHERE id = {id}"));
    }
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    adds_up(bench, 0, rows);
}

/// Starts a migration of many small batches and waits until some of them are done.
fn slow_run(bench: &Bench) -> Running {
    people(bench, 600);
    let text = format!("-- whimbrel: batch size=10 pause-ms=80 parallel=3\n{COUNT}");
    bench.migration("0002_count.data.sql", &text);
    let running = bench.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 4);
    running
}

fn they_are_paused_cancelled_and_stopped_together(bench: &Bench) {
    let running = slow_run(bench);
    bench.whimbrel().run(["run", "pause"]).success();
    running.wait_until(|out, _| out.contains("\"event\":\"held\""));
    crate::control::lease_is_renewed(bench);
    let done = count(bench, "SELECT count(*) FROM people WHERE visits = 1");
    crate::control::lease_is_renewed(bench);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), done);
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("held by paused"), "{status}");
    assert!(status.stdout.contains(&format!("{done} of about")), "{status}");
    bench.whimbrel().run(["run", "resume"]).success();
    running.wait_until(|out, _| {
        out.split_once("\"event\":\"released\"")
            .is_some_and(|(_, after)| after.contains("\"event\":\"batch\""))
    });
    bench.whimbrel().run(["run", "cancel"]).success();
    let ended = running.wait().expect_code(130);
    assert!(ended.stdout.contains("\"cancelled_by\":\""), "{ended}");
    let running = bench.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 2);
    running.signal("INT");
    running.wait().expect_code(130);
    let rows = count(bench, "SELECT count(*) FROM people");
    let done = count(bench, "SELECT count(*) FROM people WHERE visits = 1");
    assert!(done > 0 && done < rows, "{done}");
    bench.whimbrel().run(["up"]).success();
    counted_once(bench);
}

fn the_plan_says_who_goes_alone(bench: &Bench) {
    people(bench, 1_100);
    let tables = "CREATE TABLE ranks (id INTEGER PRIMARY KEY, place INTEGER UNIQUE, name VARCHAR(9));\n\
         CREATE TABLE folders (id INTEGER PRIMARY KEY, inside INTEGER, \
         FOREIGN KEY (inside) REFERENCES folders (id));\n";
    bench.migration("0002_cards.sql", &format!("{CARDS}{tables}"));
    bench.whimbrel().run(["up"]).success();
    let sqlite = "on SQLite one connection writes at a time";
    let upsert = match bench.engine {
        "mariadb" => "INSERT IGNORE INTO cards (person_id, label) SELECT id, nick FROM people",
        _ => {
            "INSERT INTO cards (person_id, label) SELECT id, nick FROM people WHERE true \
             ON CONFLICT DO NOTHING"
        }
    };
    for (directive, statement, why) in [
        ("", "UPDATE people SET visits = 1", "cut into 3 parts"),
        (" materialize=true", "UPDATE people SET visits = 1", "materialize=true"),
        (
            " self-read=stable",
            "DELETE FROM people WHERE id < (SELECT max(q.id) FROM people q)",
            "self-read=",
        ),
        ("", upsert, "which of two rows with one key comes first"),
        ("", "UPDATE ranks SET place = place + 1", "may take over unique values of"),
        ("", "UPDATE ranks SET name = 'x'", "cut into 3 parts"),
        ("", "DELETE FROM folders WHERE id > 3", "refer to each other"),
    ] {
        bench.migration(
            "0003_work.data.sql",
            &format!("-- whimbrel: batch parallel=3{directive}\n{statement};\n"),
        );
        let plan = bench.whimbrel().run(["plan"]);
        let why = if bench.engine == "sqlite" { sqlite } else { why };
        assert!(plan.stdout.contains(why), "{directive} {statement}: {plan}");
    }
    for wrong in ["0", "17", "many"] {
        let text = format!("-- whimbrel: batch parallel={wrong}\n{COUNT}");
        bench.migration("0003_work.data.sql", &text);
        let plan = bench.whimbrel().run(["plan"]).expect_code(2);
        assert!(plan.stderr.contains("no value of `parallel`"), "{plan}");
    }
}

fn a_lost_connection_is_made_again(bench: &Bench) {
    if bench.engine == "sqlite" {
        return;
    }
    let running = slow_run(bench);
    let sessions = format!(
        "SELECT server_session FROM {} WHERE server_session <> '' ORDER BY part",
        ledger(bench, "parts")
    );
    let sessions = bench.database.query(&sessions);
    let one = sessions.lines().next().expect("a connection").to_owned();
    let pid: String = one.chars().take_while(char::is_ascii_digit).collect();
    assert!(!pid.is_empty(), "{one}");
    bench.database.query(&match bench.engine {
        "postgres" => format!("SELECT pg_terminate_backend({pid})"),
        _ => format!("KILL {pid}"),
    });
    let up = running.wait().success();
    assert!(up.stdout.contains("\"event\":\"reconnected\""), "{up}");
    counted_once(bench);
}

fn a_part_of_the_work_can_be_taken_back(bench: &Bench) {
    people(bench, 240);
    let text = format!("-- whimbrel: batch size=10 parallel=3\n{COUNT}");
    bench.migration("0002_count.data.sql", &text);
    let before = bench.database.rows();
    let up = bench.whimbrel().env("WHIMBREL_FAILPOINT", "batch.after_commit:5").run(["up"]);
    assert_eq!(up.code, None, "{up}");
    assert!(count(bench, "SELECT count(*) FROM people WHERE visits = 1") >= 50);
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.rows(), before);
    forget(bench);
    bench.whimbrel().run(["up"]).success();
    counted_once(bench);
}
