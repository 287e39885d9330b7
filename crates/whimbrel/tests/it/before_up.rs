//! The backup that is made before `up`, on every engine.

use crate::backup::{PUBLIC, SECRET};
use crate::data::{count, ledger};
use crate::engines::{Bench, every_engine};

every_engine!(
    up_saves_the_database_first_and_the_run_says_which_backup,
    without_a_key_nothing_runs,
    a_backup_that_is_not_good_ends_it,
);

fn protected(bench: &Bench, more: &str) {
    bench.project.file(
        "whimbrel.toml",
        &format!("[environments.prod]\nurl = \"env:DATABASE_URL\"\nprotected = true\n{more}"),
    );
}

fn with_rows(bench: &Bench) {
    bench.migration("0001_people.sql", "CREATE TABLE people (id INTEGER, name VARCHAR(20));\n");
    bench.whimbrel().run(["up", "--env", "prod", "--no-backup"]).success();
    bench.database.query("INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob');");
    bench.migration("0002_more.sql", "ALTER TABLE people ADD COLUMN age INTEGER;\n");
}

fn up_saves_the_database_first_and_the_run_says_which_backup(bench: &Bench) {
    protected(bench, &format!("[backup]\nrecipients = [\"{PUBLIC}\"]\nkeep = \"2h\"\n"));
    with_rows(bench);
    let up = bench.whimbrel().run(["up", "--env", "prod", "--json"]).success();
    let events: Vec<serde_json::Value> =
        up.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let saved = events.iter().find(|one| one["event"] == "backed-up").expect("a backup");
    let end = events.last().expect("an end");
    let id = saved["backup"].as_str().expect("an id");
    assert_eq!(end["backup"], saved["backup"]);
    let run = end["run_id"].as_str().expect("a run");
    let noted = |event: &str| {
        let backups = ledger(bench, "backups");
        let sql = format!(
            "SELECT count(*) FROM {backups} WHERE backup_id = '{id}' AND run_id = '{run}' \
             AND event = '{event}'"
        );
        count(bench, &sql)
    };
    let proven = saved["unproven"].is_null();
    assert_eq!((noted("created"), noted("verified")), (1, i64::from(proven)), "{up}");
    let list = bench.whimbrel().run(["backup", "list", "--json"]).success();
    let list: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(list["data"]["backups"][0]["verified_ms"].is_null(), !proven, "{list}");
    let manifest = &list["data"]["backups"][0]["manifest"];
    let lasts = manifest["expires_ms"].as_i64().unwrap() - manifest["created_ms"].as_i64().unwrap();
    assert_eq!(lasts, 2 * 3_600_000);
    // The key of the settings opens it, and what it holds is the state before.
    bench.project.file("my.key", SECRET);
    let show = bench.whimbrel().run(["backup", "show", id, "--identity", "file:my.key"]).success();
    assert!(show.stdout.contains("people: 2 rows"), "{show}");
    assert!(show.stdout.contains("1 migration, the last `0001_people.sql`"), "{show}");
    let status = bench.whimbrel().run(["status", "--env", "prod", "--json"]).success();
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    let backups = &status["data"]["backups"];
    assert_eq!(backups["last"]["id"], id, "{status}");
    assert_eq!(backups["rollback"]["run_id"], run, "{status}");
    assert_eq!(backups["rollback"]["backup"], id, "{status}");
    assert!(backups["bytes"].as_u64().unwrap() > 0, "{status}");
    // Nothing to do: nothing is saved.
    bench.whimbrel().run(["up", "--env", "prod"]).success();
    assert_eq!(
        bench.project.files().iter().filter(|one| one.ends_with("manifest.json")).count(),
        1
    );
}

fn without_a_key_nothing_runs(bench: &Bench) {
    protected(bench, "");
    with_rows(bench);
    let refused = bench.whimbrel().run(["up", "--env", "prod"]).expect_code(2);
    assert!(refused.stderr.contains("there is no key"), "{refused}");
    for hint in ["age-keygen", "[backup]", "WHIMBREL_BACKUP_PASSPHRASE", "--no-backup"] {
        assert!(refused.stderr.contains(hint), "{hint}: {refused}");
    }
    assert_eq!(count(bench, "SELECT count(*) FROM people"), 2);
    let runs = format!("SELECT count(*) FROM {}", ledger(bench, "runs"));
    assert_eq!(count(bench, &runs), 2, "no run has begun");
    // A key that is none, or a folder that is a file, ends it before anything is applied.
    bench.project.file("blocked", "");
    let text = format!("[backup]\nrecipients = [\"{PUBLIC}\"]\nfolder = \"blocked\"\n");
    protected(bench, &text);
    let failed = bench.whimbrel().run(["up", "--env", "prod"]).expect_code(2);
    assert!(failed.stderr.contains("blocked"), "{failed}");
    let status = bench.whimbrel().run(["status", "--env", "prod"]).success();
    assert!(status.stdout.contains("1 applied, 1 pending"), "{status}");
    bench.whimbrel().run(["up", "--env", "prod", "--no-backup"]).success();
}

/// What was saved is not what lies there a moment later.
fn a_backup_that_is_not_good_ends_it(bench: &Bench) {
    protected(bench, &format!("[backup]\nrecipients = [\"{PUBLIC}\"]\n"));
    with_rows(bench);
    let slow = bench.whimbrel().env("WHIMBREL_FAILPOINT", "backup.after_rename");
    let slow = slow.env("WHIMBREL_FAILPOINT_ACTION", "sleep:2000");
    let up = slow.spawn(["up", "--env", "prod"]);
    let saved = || {
        let files = bench.project.files();
        files.into_iter().find(|file| file.contains("/backup_") && file.contains("chunks/"))
    };
    let chunk = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        saved().filter(|file| !file.contains(".tmp-"))
    });
    let chunk = chunk.take(2_000).flatten().next().expect("a backup");
    let path = bench.project.at(&chunk);
    let mut bytes = std::fs::read(&path).expect("a chunk");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let up = up.wait().expect_code(1);
    assert!(up.stderr.contains("cannot be trusted") && up.stderr.contains("chunks/"), "{up}");
    let status = bench.whimbrel().run(["status", "--env", "prod"]).success();
    assert!(status.stdout.contains("1 applied, 1 pending"), "{status}");
    let noted = |event: &str| {
        let backups = ledger(bench, "backups");
        count(bench, &format!("SELECT count(*) FROM {backups} WHERE event = '{event}'"))
    };
    assert_eq!((noted("created"), noted("verified")), (1, 0));
    // The lease is free again, and the next one makes a good one.
    bench.whimbrel().run(["up", "--env", "prod"]).success();
    assert_eq!(noted("created"), 2);
}
