//! `rollback` on every engine: in part, in stages, killed, and with what others wrote since.

use serde_json::Value;
use whimbrel_engine::failpoint;
use whimbrel_testkit::run::{Output, Whimbrel};

use crate::data::{CARDS, count, ledger, people};
use crate::engines::{Bench, every_engine};

every_engine!(
    in_part_the_data_goes_and_the_schema_stays,
    in_part_what_others_changed_is_named_and_stays,
    by_force_exactly_that_number_of_rows_is_lost,
    in_stages_everything_goes,
    in_stages_it_stops_and_goes_on,
    rows_of_others_go_only_with_their_number,
    values_of_others_in_a_new_column_go_only_with_their_number,
    only_what_touches_a_table,
    what_came_later_goes_first,
    a_run_that_was_killed_is_rolled_back,
    a_kill_at_every_place_changes_nothing,
    what_cannot_be_rolled_back_says_so,
);

/// A table with rows, then a run that makes a table, fills it, changes rows and adds a column.
pub(crate) fn prepared(bench: &Bench, rows: u32) {
    people(bench, rows);
    bench.migration("0002_cards.sql", CARDS);
    bench.migration("0002_cards.down.sql", "DROP TABLE cards;\n");
    bench.migration(
        "0003_cards.data.sql",
        "-- whimbrel: batch size=25\n\
         INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p;\n",
    );
    bench.migration(
        "0004_handles.data.sql",
        "-- whimbrel: batch size=25\nUPDATE people SET handle = upper(nick), visits = visits + 1;\n",
    );
    bench.migration("0005_tags.sql", "ALTER TABLE people ADD COLUMN tag VARCHAR(20);\n");
    bench.migration("0005_tags.down.sql", "ALTER TABLE people DROP COLUMN tag;\n");
}

fn rollback(bench: &Bench, how: &str, options: &[&str]) -> Output {
    let mut words = vec!["rollback", "last", "--how", how];
    words.extend(options);
    bench.whimbrel().run(words)
}

pub(crate) fn pending(whimbrel: &Whimbrel) -> Vec<String> {
    let status = whimbrel.run(["status", "--json"]).success();
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    let migrations = status["data"]["migrations"].as_array().expect("migrations").clone();
    let open = migrations.iter().filter(|one| one["state"].as_str() != Some("applied"));
    open.map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn in_part_the_data_goes_and_the_schema_stays(bench: &Bench) {
    prepared(bench, 120);
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.whimbrel().run(["up"]).success();
    let unasked = rollback(bench, "partial", &[]).expect_code(6);
    assert!(unasked.stderr.contains("--yes"), "{unasked}");
    let plan = rollback(bench, "partial", &["--dry-run"]).success();
    assert!(plan.stdout.contains(&format!("cards ({rows} rows)")), "{plan}");
    assert!(plan.stdout.contains("nothing would be lost"), "{plan}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    let json = rollback(bench, "partial", &["--yes", "--json"]).success();
    let lines: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let plan = lines.iter().find(|one| one["event"] == "rollback-plan").expect("a plan");
    assert_eq!(plan["steps"][0]["migration"], "0004_handles.data.sql");
    assert_eq!(plan["lost"], 0);
    let end = lines.last().expect("an end");
    assert_eq!((&end["event"], &end["left"]), (&Value::from("end"), &serde_json::json!([])));
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 0);
    let untouched = "SELECT count(*) FROM people WHERE handle IS NULL AND visits = 0";
    assert_eq!(count(bench, untouched), rows);
    assert_eq!(pending(&bench.whimbrel()), ["0003_cards.data.sql", "0004_handles.data.sql"]);
    let again = rollback(bench, "partial", &["--yes"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again}");
    bench.whimbrel().run(["up", "--out-of-order"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn in_part_what_others_changed_is_named_and_stays(bench: &Bench) {
    prepared(bench, 60);
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.whimbrel().run(["up"]).success();
    let id = count(bench, "SELECT max(id) FROM people");
    bench.database.query(&format!("UPDATE cards SET label = 'mine' WHERE person_id = {id}"));
    rollback(bench, "partial", &["--dry-run"]).expect_code(3);
    let stopped = rollback(bench, "partial", &["--yes"]).expect_code(4);
    assert!(stopped.stderr.contains("mine"), "{stopped}");
    assert!(stopped.stderr.contains("--on-conflict skip"), "{stopped}");
    // Nothing at all is taken back, not even the other migration.
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
    rollback(bench, "partial", &["--yes", "--on-conflict", "skip"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 0"), rows);
    assert_eq!(count(bench, "SELECT count(*) FROM cards WHERE label = 'mine'"), 1);
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 1);
}

fn by_force_exactly_that_number_of_rows_is_lost(bench: &Bench) {
    prepared(bench, 60);
    bench.whimbrel().run(["up"]).success();
    bench.database.query("UPDATE people SET handle = 'mine' WHERE id % 3 = 0");
    let mine = count(bench, "SELECT count(*) FROM people WHERE handle = 'mine'");
    let force = ["--on-conflict", "force"];
    let asked = rollback(bench, "partial", &[&force[..], &["--yes"]].concat()).expect_code(6);
    let phrase = format!("LOSE {mine} ROWS");
    assert!(asked.stderr.contains(&phrase), "{asked}");
    let other = format!("LOSE {} ROWS", mine - 1);
    rollback(bench, "partial", &[&force[..], &["--confirm", &other]].concat()).expect_code(6);
    // Somebody writes after the question: what was agreed to is not enough.
    let running = bench
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", "batch.before_begin:1")
        .env("WHIMBREL_FAILPOINT_ACTION", "stop")
        .spawn(
            [&["rollback", "last", "--how", "partial", "--confirm", &phrase], &force[..]].concat(),
        );
    wait_until_stopped(running.pid());
    bench.database.query("UPDATE people SET handle = 'more' WHERE id % 3 = 1");
    let more = count(bench, "SELECT count(*) FROM people WHERE handle = 'more'");
    running.resume();
    let refused = running.wait().expect_code(6);
    assert!(refused.stderr.contains("rows would be lost by now"), "{refused}");
    let kept = count(bench, "SELECT count(*) FROM people WHERE handle IN ('mine', 'more')");
    assert!(kept >= more, "{kept} of {mine} and {more} are left");
    let dry = rollback(bench, "partial", &[&force[..], &["--dry-run"]].concat()).expect_code(3);
    let phrase = format!("LOSE {kept} ROWS");
    assert!(dry.stdout.contains(&phrase), "{dry}");
    rollback(bench, "partial", &[&force[..], &["--confirm", &phrase]].concat()).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE handle IS NOT NULL"), 0);
}

/// Waits until a process stands still, as the place where it stops says.
pub(crate) fn wait_until_stopped(pid: u32) {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn in_stages_everything_goes(bench: &Bench) {
    prepared(bench, 60);
    let (schema, rows) = (bench.database.schema(), bench.database.rows());
    bench.whimbrel().run(["up"]).success();
    let dry = rollback(bench, "staged", &["--dry-run"]).success();
    assert!(dry.stdout.contains("4 of 4"), "{dry}");
    let back = rollback(bench, "staged", &["--yes"]).success();
    assert!(back.stdout.contains("Took back 4 migrations"), "{back}");
    assert_eq!((bench.database.schema(), bench.database.rows()), (schema, rows));
    assert_eq!(pending(&bench.whimbrel()).len(), 4);
    let runs = ledger(bench, "runs");
    let ends = format!(
        "SELECT count(*) FROM {runs} WHERE verb = 'rollback' AND event = 'end' \
         AND outcome = 'done' AND detail LIKE '%0002_cards.sql%'"
    );
    assert_eq!(count(bench, &ends), 2, "one dry run, one that did it");
    bench.whimbrel().run(["up"]).success();
    bench.whimbrel().run(["verify"]).success();
}

fn in_stages_it_stops_and_goes_on(bench: &Bench) {
    prepared(bench, 60);
    let (schema, rows) = (bench.database.schema(), bench.database.rows());
    bench.whimbrel().run(["up"]).success();
    let first = rollback(bench, "staged", &["--yes", "--steps", "1"]).success();
    assert!(first.stdout.contains("3 migrations are left"), "{first}");
    assert_eq!(pending(&bench.whimbrel()), ["0005_tags.sql"]);
    // A stop in the middle of the batches of 0004.
    let running = bench
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", "batch.after_commit:1")
        .env("WHIMBREL_FAILPOINT_ACTION", "stop")
        .spawn(["rollback", "last", "--how", "staged", "--yes"]);
    running.wait_until(|_, err| err.contains("0004"));
    wait_until_stopped(running.pid());
    running.signal("INT");
    running.resume();
    let stopped = running.wait().expect_code(130);
    assert!(stopped.stderr.contains("the same command goes on"), "{stopped}");
    rollback(bench, "staged", &["--yes"]).success();
    assert_eq!((bench.database.schema(), bench.database.rows()), (schema, rows));
}

fn rows_of_others_go_only_with_their_number(bench: &Bench) {
    prepared(bench, 40);
    bench.whimbrel().run(["up"]).success();
    bench.database.query(
        "INSERT INTO cards VALUES (900001, 'mine'); INSERT INTO cards VALUES (900002, 'mine');",
    );
    let asked = rollback(bench, "staged", &["--yes"]).expect_code(6);
    assert!(asked.stderr.contains("`LOSE 2 ROWS`"), "{asked}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 2);
    assert_eq!(
        pending(&bench.whimbrel()),
        ["0003_cards.data.sql", "0004_handles.data.sql", "0005_tags.sql"]
    );
    rollback(bench, "staged", &["--yes", "--confirm", "LOSE 1 ROWS"]).expect_code(6);
    // One more comes after the question, before the table goes.
    let place = if bench.engine == "mariadb" {
        "history.after_intent:1"
    } else {
        "transaction.before_begin:1"
    };
    let running = bench
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", place)
        .env("WHIMBREL_FAILPOINT_ACTION", "stop")
        .spawn(["rollback", "last", "--how", "staged", "--confirm", "LOSE 2 ROWS"]);
    running.wait_until(|_, err| err.contains("will be lost"));
    wait_until_stopped(running.pid());
    bench.database.query("INSERT INTO cards VALUES (900003, 'late')");
    running.resume();
    let refused = running.wait().expect_code(6);
    assert!(refused.stderr.contains("3 rows would be lost by now, and 2"), "{refused}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 3);
    rollback(bench, "staged", &["--confirm", "LOSE 3 ROWS"]).success();
    assert_eq!(pending(&bench.whimbrel()).len(), 4);
    bench.whimbrel().run(["up"]).success();
}

fn values_of_others_in_a_new_column_go_only_with_their_number(bench: &Bench) {
    prepared(bench, 40);
    bench.migration(
        "0006_level.sql",
        "ALTER TABLE people ADD COLUMN level INTEGER NOT NULL DEFAULT 7;\n",
    );
    bench.migration("0006_level.down.sql", "ALTER TABLE people DROP COLUMN level;\n");
    bench.whimbrel().run(["up"]).success();
    bench.database.query("UPDATE people SET level = 8 WHERE id % 2 = 0");
    let mine = count(bench, "SELECT count(*) FROM people WHERE level = 8");
    let asked = rollback(bench, "staged", &["--yes"]).expect_code(6);
    assert!(asked.stderr.contains(&format!("`LOSE {mine} ROWS`")), "{asked}");
    assert_eq!(pending(&bench.whimbrel()).len(), 0);
    let phrase = format!("LOSE {mine} ROWS");
    rollback(bench, "staged", &["--yes", "--steps", "1", "--confirm", &phrase]).success();
    assert_eq!(pending(&bench.whimbrel()), ["0006_level.sql"]);
}

fn only_what_touches_a_table(bench: &Bench) {
    prepared(bench, 40);
    bench.migration("0006_index.sql", "CREATE INDEX cards_label ON cards (label);\n");
    bench.migration(
        "0006_index.down.sql",
        match bench.engine {
            "mariadb" => "DROP INDEX cards_label ON cards;\n",
            _ => "DROP INDEX cards_label;\n",
        },
    );
    bench.whimbrel().run(["up"]).success();
    rollback(bench, "staged", &["--yes", "--table", "nowhere"]).expect_code(2);
    rollback(bench, "staged", &["--yes", "--table", "cards"]).success();
    assert_eq!(
        pending(&bench.whimbrel()),
        ["0002_cards.sql", "0003_cards.data.sql", "0006_index.sql"]
    );
    rollback(bench, "partial", &["--yes", "--table", "people"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits <> 0"), 0);
    assert_eq!(pending(&bench.whimbrel()).len(), 4);
}

fn what_came_later_goes_first(bench: &Bench) {
    prepared(bench, 40);
    bench.whimbrel().run(["up"]).success();
    let first = history_runs(bench).pop().expect("a run");
    bench.migration("0006_more.sql", "ALTER TABLE cards ADD COLUMN more INTEGER;\n");
    bench.migration("0006_more.down.sql", "ALTER TABLE cards DROP COLUMN more;\n");
    bench.whimbrel().run(["up"]).success();
    let id = first["run_id"].as_str().expect("an id");
    let refused = bench.whimbrel().run(["rollback", id, "--how", "staged", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("`0006_more.sql` was applied after"), "{refused}");
    rollback(bench, "staged", &["--yes"]).success();
    // `last` is still the run that was just rolled back, never an older one.
    let nothing = rollback(bench, "staged", &["--yes"]).success();
    assert!(nothing.stdout.contains("Nothing to do"), "{nothing}");
    // The beginning of an id is enough, where it is unique.
    let short = &id[..id.len() - 3];
    bench.whimbrel().run(["rollback", short, "--how", "staged", "--yes"]).success();
    assert_eq!(pending(&bench.whimbrel()).len(), 5);
}

/// The runs that can be rolled back, as `history --json` has them.
fn history_runs(bench: &Bench) -> Vec<Value> {
    let history = bench.whimbrel().run(["history", "--json"]).success();
    let history: Value = serde_json::from_str(&history.stdout).expect("JSON");
    history["data"]["runs"].as_array().expect("runs").clone()
}

fn a_run_that_was_killed_is_rolled_back(bench: &Bench) {
    prepared(bench, 100);
    let rows = bench.database.rows();
    let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", "batch.after_commit:2").run(["up"]);
    assert_eq!(killed.code, None, "{killed}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 50);
    rollback(bench, "partial", &["--yes"]).success();
    assert_eq!(bench.database.rows(), rows);
    bench.whimbrel().run(["up"]).success();
    bench.whimbrel().run(["account", "0003"]).success();
    rollback(bench, "staged", &["--yes"]).success();
    assert_eq!(bench.database.rows(), rows);
}

fn a_kill_at_every_place_changes_nothing(bench: &Bench) {
    prepared(bench, 40);
    let (schema, rows) = (bench.database.schema(), bench.database.rows());
    let mut met = 0;
    for (number, point) in failpoint::ALL.iter().chain(failpoint::BATCHES).enumerate() {
        bench.whimbrel().run(["up"]).success();
        let words = ["rollback", "last", "--how", "staged", "--yes"];
        let spec = format!("{point}:{}", 1 + number % 2);
        let output = bench.whimbrel().env("WHIMBREL_FAILPOINT", &spec).run(words);
        met += usize::from(output.code.is_none());
        assert!(output.code.is_none() || output.code == Some(0), "{spec}: {output}");
        bench.whimbrel().run(words).success();
        assert_eq!(bench.database.schema(), schema, "after {point}");
        assert_eq!(bench.database.rows(), rows, "after {point}");
        let twice = format!(
            "SELECT count(*) FROM (SELECT name FROM {} WHERE event = 'down' GROUP BY name \
             HAVING count(*) <> (SELECT count(*) FROM {} u WHERE u.name = '0002_cards.sql' \
             AND u.event = 'up')) x",
            ledger(bench, "migrations"),
            ledger(bench, "migrations"),
        );
        assert_eq!(count(bench, &twice), 0, "after {point}");
    }
    assert!(met >= 12, "only {met} kills met the run");
}

fn what_cannot_be_rolled_back_says_so(bench: &Bench) {
    bench.project.folder("migrations");
    let early = rollback(bench, "partial", &["--yes"]).expect_code(2);
    assert!(early.stderr.contains("No run has applied anything"), "{early}");
    prepared(bench, 20);
    bench.whimbrel().run(["up", "--to", "0002"]).success();
    let none = rollback(bench, "immediate", &["--yes"]).expect_code(2);
    assert!(none.stderr.contains("has no backup"), "{none}");
    let unknown = bench.whimbrel().run(["rollback", "zz", "--how", "staged"]).expect_code(2);
    assert!(unknown.stderr.contains("There is no run `zz`"), "{unknown}");
    let down = bench.whimbrel().run(["down", "--yes"]).success();
    let id = count_of_verb(bench, "down");
    let wrong = bench.whimbrel().run(["rollback", &id, "--how", "staged"]).expect_code(2);
    assert!(wrong.stderr.contains("only runs of `up`"), "{wrong}{down}");
    // Without a way back of its own, a schema migration stops the stages.
    bench.migration(
        "0002_cards.sql",
        "-- whimbrel: purpose=\"cards\"\nCREATE TABLE cards (id INTEGER);\n",
    );
    bench.project.remove("migrations/0002_cards.down.sql");
    bench.whimbrel().run(["up", "--to", "0002"]).success();
    let stuck = rollback(bench, "staged", &["--yes"]).expect_code(2);
    assert!(stuck.stderr.contains("has no way back"), "{stuck}");
}

fn count_of_verb(bench: &Bench, verb: &str) -> String {
    let sql = format!(
        "SELECT run_id FROM {} WHERE verb = '{verb}' AND event = 'start'",
        ledger(bench, "runs")
    );
    bench.database.query(&sql).trim().to_owned()
}
