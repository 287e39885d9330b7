//! `rollback --how immediate`: the backup of the run takes the place of the database.

use whimbrel_engine::failpoint;
use whimbrel_testkit::run::{Output, Whimbrel};

use crate::data::{count, ledger};
use crate::engines::{Bench, every_engine, on};
use crate::in_place_servers::beside;
use crate::rollback::{pending, prepared};

every_engine!(
    what_the_run_itself_changed_is_not_counted,
    what_others_wrote_since_goes_only_with_its_number,
    what_the_run_removed_is_not_counted_either,
    what_cannot_be_undone_is_counted_and_said,
    a_kill_at_every_place_leaves_one_or_the_other,
);

/// How many replaced databases are kept.
fn kept(bench: &Bench) -> usize {
    match bench.engine {
        "sqlite" => bench.project.files().iter().filter(|one| one.ends_with("before.db")).count(),
        _ => beside(bench).iter().filter(|one| one.contains("_before_")).count(),
    }
}

fn whimbrel(bench: &Bench) -> Whimbrel {
    bench.whimbrel().env("WHIMBREL_BACKUP_PASSPHRASE", "a word that nobody knows")
}

fn immediate(bench: &Bench, options: &[&str]) -> Output {
    whimbrel(bench).run([&["rollback", "last", "--how", "immediate"][..], options].concat())
}

/// A run with its backup, and the rows before it.
fn saved(bench: &Bench) -> (String, String) {
    prepared(bench, 60);
    let before = (bench.database.schema(), bench.database.rows());
    whimbrel(bench).run(["up", "--backup"]).success();
    before
}

fn what_the_run_itself_changed_is_not_counted(bench: &Bench) {
    let before = saved(bench);
    let dry = immediate(bench, &["--dry-run"]).success();
    assert!(dry.stderr.contains("No row differs"), "{dry}");
    immediate(bench, &[]).expect_code(6);
    immediate(bench, &["--yes"]).success();
    assert_eq!((bench.database.schema(), bench.database.rows()), before);
    assert_eq!(pending(&whimbrel(bench)).len(), 4);
    let runs = ledger(bench, "runs");
    let runs = format!("SELECT count(*) FROM {runs} WHERE verb = 'rollback' AND event = 'end'");
    assert_eq!(count(bench, &runs), 1);
    assert_eq!(kept(bench), 1);
    let purge = whimbrel(bench).run(["purge", "--older-than", "0", "--yes"]).success();
    assert!(purge.stdout.contains("Let go of 0 undo tables and 1 database"), "{purge}");
    assert_eq!(kept(bench), 0);
    // It is still the last run, and nothing of it is left.
    let words = ["rollback", "last", "--how", "staged", "--yes"];
    let nothing = whimbrel(bench).run(words).success();
    assert!(nothing.stdout.contains("Nothing to do"), "{nothing}");
    whimbrel(bench).run(["up"]).success();
    whimbrel(bench).run(["verify"]).success();
}

fn what_others_wrote_since_goes_only_with_its_number(bench: &Bench) {
    let before = saved(bench);
    // A new row, one that the run had made, one of before, two values of one row, one gone.
    bench.database.query(
        "INSERT INTO cards VALUES (900001, 'mine');
         UPDATE cards SET label = 'mine' WHERE person_id = (SELECT min(person_id) FROM cards);
         UPDATE people SET nick = 'mine' WHERE id = (SELECT max(id) FROM people);
         UPDATE people SET tag = 'mine', handle = 'mine'
         WHERE id = (SELECT min(id) FROM people);
         DELETE FROM people WHERE id = (SELECT min(id) FROM people WHERE tag IS NULL);",
    );
    let rows = bench.database.rows();
    let asked = immediate(bench, &["--yes"]).expect_code(6);
    assert!(asked.stderr.contains("cards: 2 rows added"), "{asked}");
    assert!(asked.stderr.contains("people: 2 rows changed, 1 row removed"), "{asked}");
    assert!(asked.stderr.contains("`LOSE 5 ROWS`"), "{asked}");
    immediate(bench, &["--yes", "--confirm", "LOSE 4 ROWS"]).expect_code(6);
    assert_eq!(bench.database.rows(), rows);
    // One more row while it gets ready: the number is out of date.
    let running = whimbrel(bench)
        .env("WHIMBREL_FAILPOINT", "lock.before_acquire:1")
        .env("WHIMBREL_FAILPOINT_ACTION", "stop")
        .spawn(["rollback", "last", "--how", "immediate", "--confirm", "LOSE 5 ROWS"]);
    crate::rollback::wait_until_stopped(running.pid());
    bench.database.query("INSERT INTO cards VALUES (900002, 'late')");
    running.resume();
    let refused = running.wait().expect_code(2);
    let words = match bench.engine {
        "sqlite" => "6 rows would be lost, and not 5",
        _ => "cards` was written after the rows",
    };
    assert!(refused.stderr.contains(words), "{refused}");
    immediate(bench, &["--confirm", "LOSE 6 ROWS"]).success();
    assert_eq!((bench.database.schema(), bench.database.rows()), before);
}

fn what_the_run_removed_is_not_counted_either(bench: &Bench) {
    prepared(bench, 30);
    bench.migration("0006_gone.sql", "DROP TABLE people;\n");
    bench.migration(
        "0006_gone.down.sql",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, nick VARCHAR(60), handle VARCHAR(60), \
         visits INTEGER NOT NULL DEFAULT 0, tag VARCHAR(20));\n",
    );
    let before = bench.database.rows();
    whimbrel(bench).run(["up", "--backup"]).success();
    immediate(bench, &["--yes"]).success();
    assert_eq!(bench.database.rows(), before);
}

fn what_cannot_be_undone_is_counted_and_said(bench: &Bench) {
    prepared(bench, 30);
    bench.migration(
        "0006_off.data.sql",
        "-- whimbrel: batch undo=off\nUPDATE people SET nick = 'x' WHERE id % 2 = 0;\n",
    );
    let before = bench.database.rows();
    whimbrel(bench).run(["up", "--backup"]).success();
    let asked = immediate(bench, &["--yes"]).expect_code(6);
    assert!(asked.stderr.contains("own changes are counted too"), "{asked}");
    assert!(asked.stderr.contains("undo=off"), "{asked}");
    let phrase = asked.stderr.split('`').find(|word| word.starts_with("LOSE")).expect("one");
    immediate(bench, &["--confirm", phrase]).success();
    assert_eq!(bench.database.rows(), before);
}

fn a_kill_at_every_place_leaves_one_or_the_other(bench: &Bench) {
    let before = saved(bench);
    // Here one piece of pages is all; the places of servers are gone through by a restore.
    let places = match bench.engine {
        "sqlite" => failpoint::IN_PLACE,
        "postgres" => &["in_place.copied", "in_place.before_commit"][..],
        _ => &["in_place.copied", "in_place.exchanged"][..],
    };
    for point in places.iter().filter(|point| **point != "in_place.pages") {
        whimbrel(bench).run(["up", "--backup"]).success();
        let now = bench.database.rows();
        let words = ["rollback", "last", "--how", "immediate", "--yes"];
        let killed = whimbrel(bench).env("WHIMBREL_FAILPOINT", point).run(words);
        assert_eq!(killed.code, None, "{point}: {killed}");
        if !(bench.engine == "mariadb" && point == &"in_place.exchanged") {
            let rows = bench.database.rows();
            assert!(rows == now || rows == before.1, "{point}");
        }
        whimbrel(bench).run(words).success();
        assert_eq!((bench.database.schema(), bench.database.rows()), before, "{point}");
    }
}

#[test]
fn expired_backups_go_with_a_purge_but_not_the_last_good_one() {
    on("sqlite", |bench| {
        saved(bench);
        let words = ["backup", "create", "--keep", "1ms"];
        whimbrel(bench).run(words).success();
        whimbrel(bench).run(words).success();
        let backups =
            || bench.project.files().iter().filter(|one| one.ends_with("manifest.json")).count();
        assert_eq!(backups(), 3);
        let unasked = whimbrel(bench).run(["purge"]).expect_code(6);
        assert!(unasked.stdout.contains("expired"), "{unasked}");
        let purge = whimbrel(bench).run(["purge", "--yes"]).success();
        assert!(purge.stdout.contains("and 2 expired backups"), "{purge}");
        assert_eq!(backups(), 1, "the one of the run has not expired");
        let nothing = whimbrel(bench).run(["purge", "--yes"]).success();
        assert!(nothing.stdout.contains("Nothing to do"), "{nothing}");
    });
}
