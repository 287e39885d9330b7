//! What runs in batches, and what must hold afterwards.

use std::fmt::Write as _;

use crate::proof::engine::Engine;
use crate::proof::plan::Plan;
use crate::proof::random::Random;
use crate::proof::trial::Trial;
use crate::proof::{Verdict, ensure};

/// Rows of each table.
const ROWS: usize = 60;
/// Rows that the statement with a LIMIT takes.
const TOP: usize = 40;
/// How often a command may be run again, once the trouble is over, until it ends well.
const RERUNS_MAX: usize = 3;

pub(super) const UP: &[&str] = &["up"];
pub(super) const UNDO: &[&str] = &["undo", "0002"];

/// A counter that is not idempotent, rows that must come once each, both by several connections
/// where the database has them, rows that go; then values and
/// rows that are computed once: in a second go the greatest place would be another.
const WORK: &str = "\
-- whimbrel: batch size=12 pause-ms=0 parallel=3
UPDATE item SET n = n + 1, name = lower(name);

-- whimbrel: batch size=12 pause-ms=0 parallel=2
INSERT INTO copied (item_id, name) SELECT i.id, i.name FROM item i;

-- whimbrel: batch size=12 pause-ms=0
DELETE FROM gone WHERE id % 3 = 0;

-- whimbrel: batch size=12 pause-ms=0 materialize=true
UPDATE ranked SET pos = pos + (SELECT m FROM (SELECT max(pos) AS m FROM ranked) q);

-- whimbrel: batch size=12 pause-ms=0 materialize=true
INSERT INTO top (item_id) SELECT id FROM item ORDER BY name, id LIMIT 40;
";

/// The project: tables, and one data migration.
pub(super) fn plan(engine: Engine) -> Plan {
    let number = match engine {
        Engine::Sqlite => "INTEGER PRIMARY KEY",
        Engine::Postgres => "bigserial PRIMARY KEY",
        Engine::Mariadb => "bigint AUTO_INCREMENT PRIMARY KEY",
    };
    let key = if engine == Engine::Sqlite { "INTEGER PRIMARY KEY" } else { "bigint PRIMARY KEY" };
    let mut tables = format!(
        "CREATE TABLE item (id {key}, n integer NOT NULL, name varchar(40));\n\
         CREATE TABLE copied (id {number}, item_id bigint NOT NULL, name varchar(40));\n\
         CREATE TABLE gone (id {key}, name varchar(40));\n\
         CREATE TABLE ranked (id {key}, pos integer NOT NULL);\n\
         CREATE TABLE top (id {number}, item_id bigint NOT NULL);\n"
    );
    let mut ids: Vec<usize> = (0..ROWS).collect();
    let mut random = Random::new(11);
    for at in (1..ids.len()).rev() {
        ids.swap(at, random.below(at + 1));
    }
    let ids = ids.iter().map(|id| i64::try_from(*id).unwrap_or(0) * 2 - 101);
    let ranked: Vec<String> = ids.clone().map(|id| format!("({id}, 1)")).collect();
    let _ = writeln!(tables, "INSERT INTO ranked VALUES {};", ranked.join(", "));
    let (items, gone): (Vec<String>, Vec<String>) =
        ids.map(|id| (format!("({id}, 0, 'Name {id}')"), format!("({id}, 'G')"))).unzip();
    let _ = writeln!(tables, "INSERT INTO item VALUES {};", items.join(", "));
    let _ = writeln!(tables, "INSERT INTO gone VALUES {};", gone.join(", "));
    Plan {
        name: "batches",
        engine,
        files: vec![
            ("migrations/0001_tables.sql", tables),
            ("migrations/0002_work.data.sql", WORK.to_owned()),
        ],
        before: vec![vec!["up", "--to", "0001"]],
        command: UP.to_vec(),
        probes: Vec::new(),
        by_hand: Vec::new(),
    }
}

/// Every row. Where a sequence stands is no row: nobody takes numbers back.
pub(super) fn rows(trial: &Trial<'_>) -> String {
    let text = trial.database.rows();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("setval(")).collect();
    lines.join("\n")
}

/// Runs a command again until it ends well.
pub(super) fn finish(trial: &Trial<'_>, command: &[&str]) -> Verdict<()> {
    let mut output = trial.whimbrel().run(command);
    for _ in 1..RERUNS_MAX {
        if output.code == Some(0) {
            break;
        }
        output = trial.whimbrel().run(command);
    }
    ensure(output.code == Some(0), || format!("it does not end well afterwards: {output}"))
}

/// The same for the way back, which may have been all but finished.
pub(super) fn finish_undo(trial: &Trial<'_>, before: &str) -> Verdict<()> {
    let pending = trial.whimbrel().run(["status"]).stdout.contains("1 pending");
    if pending && rows(trial) == before {
        return Ok(());
    }
    finish(trial, UNDO)
}

/// Every driving row was done exactly once, and the account says so.
pub(super) fn check(trial: &Trial<'_>, engine: Engine) -> Verdict<()> {
    let batches = engine.ledger("batches");
    let cursors = engine.ledger("cursors");
    let facts = [
        ("items", "SELECT count(*) FROM item WHERE name = lower(name);".to_owned(), ROWS),
        ("items counted once", "SELECT count(*) FROM item WHERE n = 1;".to_owned(), ROWS),
        ("rows copied", "SELECT count(*) FROM copied;".to_owned(), ROWS),
        ("items copied", "SELECT count(DISTINCT item_id) FROM copied;".to_owned(), ROWS),
        ("rows left", "SELECT count(*) FROM gone WHERE id % 3 <> 0;".to_owned(), ROWS / 3 * 2),
        ("rows gone", "SELECT count(*) FROM gone WHERE id % 3 = 0;".to_owned(), 0),
        ("places computed once", "SELECT count(*) FROM ranked WHERE pos = 2;".to_owned(), ROWS),
        ("rows at the top", "SELECT count(*) FROM top;".to_owned(), TOP),
        ("items at the top", "SELECT count(DISTINCT item_id) FROM top;".to_owned(), TOP),
        (
            "rows in the metrics",
            format!("SELECT sum(rows_read) FROM {batches} WHERE direction = 'up';"),
            ROWS * 4 + TOP,
        ),
        (
            "rows by the cursors",
            format!(
                "SELECT sum(rows_read) FROM {cursors} WHERE direction = 'up' AND state = 'done';"
            ),
            ROWS * 4 + TOP,
        ),
    ];
    for (what, sql, wanted) in facts {
        let found = trial.query(&sql)?;
        ensure(found == wanted.to_string(), || format!("{found} {what}, not {wanted}"))?;
    }
    let account = trial.whimbrel().run(["account", "0002"]);
    ensure(account.code == Some(0), || format!("the account does not hold: {account}"))?;
    trial.check_ledger()
}

/// Each row is as it was, and the migration is to be done.
pub(super) fn check_undone(trial: &Trial<'_>, before: &str) -> Verdict<()> {
    ensure(rows(trial) == before, || "taken back, the rows are not what they were".to_owned())?;
    let status = trial.whimbrel().run(["status"]);
    ensure(status.stdout.contains("1 pending"), || format!("taken back, but: {status}"))?;
    trial.check_ledger()
}
