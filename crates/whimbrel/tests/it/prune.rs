//! Which backups stay: `backup prune`, and copies of backups.

use std::path::Path;
use std::process::Command;

use whimbrel_engine::failpoint;

use crate::backup::Bench;

fn list(bench: &Bench) -> Vec<(String, String)> {
    let list = bench.whimbrel().run(["backup", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let backups = value["data"]["backups"].as_array().expect("backups").iter();
    backups
        .map(|one| {
            let verified = if one["verified_ms"].is_null() { "" } else { "+verified" };
            let state = one["state"].as_str().expect("a state");
            (one["id"].as_str().expect("an id").to_owned(), format!("{state}{verified}"))
        })
        .collect()
}

fn expired(bench: &Bench, verified: bool) -> String {
    let id = bench.create(&["--no-encrypt", "--keep", "0"]);
    if verified {
        bench.whimbrel().run(["backup", "verify", &id, "--restore"]).success();
    }
    id
}

fn events(bench: &Bench, id: &str) -> String {
    let sql = format!("SELECT event FROM whimbrel_backups WHERE backup_id = '{id}' ORDER BY seq");
    bench.database.query(&sql).trim().replace('\n', " ")
}

#[test]
fn what_has_expired_goes_and_the_last_good_one_stays() {
    let bench = Bench::new();
    let old = expired(&bench, true);
    let good = expired(&bench, true);
    let unverified = expired(&bench, false);
    let kept = bench.create(&["--no-encrypt", "--keep", "1h"]);
    let dry = bench.whimbrel().run(["backup", "prune", "--dry-run"]).success();
    assert!(dry.stderr.contains(&old) && dry.stderr.contains(&unverified), "{dry}");
    assert!(!dry.stderr.contains(&good) && !dry.stderr.contains(&kept), "{dry}");
    let asked = bench.whimbrel().run(["backup", "prune"]).expect_code(6);
    assert!(asked.stderr.contains("--yes"), "{asked}");
    assert_eq!(list(&bench).len(), 4);
    bench.whimbrel().run(["backup", "prune", "--yes"]).success();
    let left = list(&bench);
    let expected =
        [(good.clone(), "expired+verified".to_owned()), (kept.clone(), "good".to_owned())];
    assert_eq!(left, expected);
    assert_eq!(events(&bench, &old), "created verified pruned");
    assert_eq!(events(&bench, &unverified), "created pruned");
    assert_eq!(events(&bench, &good), "created verified");
    let none = bench.whimbrel().run(["backup", "prune", "--yes"]).success();
    assert!(none.stdout.contains("Nothing to remove"), "{none}");
    // The last good one is restored without `--expired`; another expired one is not.
    let other = expired(&bench, false);
    let into = format!("sqlite:{}", bench.at("new.db").display());
    let refused = ["backup", "restore", &other, "--to", &into];
    bench.whimbrel().run(refused).expect_code(2);
    bench.whimbrel().run(["backup", "restore", &good, "--to", &into]).success();
    // More are kept where that is said.
    bench.file("whimbrel.toml", "[backup]\nkeep-count = 2\n");
    let third = expired(&bench, true);
    bench.whimbrel().run(["backup", "prune", "--yes"]).success();
    let left: Vec<String> = list(&bench).into_iter().map(|one| one.0).collect();
    assert_eq!(left, [good, kept, third]);
}

#[test]
fn a_mark_that_somebody_made_does_not_count() {
    let bench = Bench::new();
    let (first, second) = (expired(&bench, true), expired(&bench, false));
    let mark = |id: &str| bench.at(".whimbrel/backups").join(id).join("verified");
    let good = std::fs::read(mark(&first)).expect("the mark");
    std::fs::write(mark(&second), &good).expect("written");
    assert_eq!(list(&bench)[1].1, "expired", "the mark of another backup");
    for (at, byte) in good.iter().enumerate() {
        let mut changed = good.clone();
        changed[at] = if *byte == b'1' { b'2' } else { b'1' };
        std::fs::write(mark(&first), &changed).expect("written");
        if at % 29 == 0 || at > good.len() - 3 {
            assert_eq!(list(&bench)[0].1, "expired", "byte {at}");
        }
    }
    std::fs::remove_file(mark(&second)).expect("removed");
    std::fs::write(mark(&first), &good).expect("written");
    assert_eq!(list(&bench)[0].1, "expired+verified");
    // The mark is no part of what is checked.
    bench.whimbrel().run(["backup", "verify", &first]).success();
    // Where the secret key is not, a backup can be verified, and is not marked.
    std::fs::rename(bench.at(".whimbrel/signing.key"), bench.at("away")).expect("moved");
    let other = bench.whimbrel().run(["backup", "verify", &second, "--restore"]).success();
    assert!(other.stderr.contains("not marked as verified"), "{other}");
    assert!(!bench.at(".whimbrel/signing.key").exists());
}

#[test]
fn what_killed_commands_left_goes_and_what_is_at_work_stays() {
    let bench = Bench::new();
    let first = bench.create(&["--no-encrypt"]);
    let create = ["backup", "create", "--no-encrypt"];
    bench.whimbrel().env("WHIMBREL_FAILPOINT", "backup.chunk").run(create);
    let working = bench
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", "backup.copied")
        .env("WHIMBREL_FAILPOINT_ACTION", "sleep:4000")
        .spawn(create);
    let drafts = || -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(bench.at(".whimbrel/backups")).expect("the folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.display().to_string().contains(".tmp-")).collect()
    };
    while drafts().len() < 2 || !drafts().iter().any(|one| one.join("scratch/copy.db").exists()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let young = bench.whimbrel().run(["backup", "prune", "--yes"]).success();
    assert!(young.stdout.contains("Nothing to remove"), "{young}");
    for folder in drafts() {
        let old = Command::new("touch").args(["-d", "1 hour ago"]).arg(&folder).status();
        assert!(old.expect("touch").success());
    }
    bench.whimbrel().run(["backup", "prune", "--yes"]).success();
    assert_eq!(drafts().len(), 1, "the living one's");
    working.wait().success();
    assert_eq!(list(&bench).len(), 2);
    bench.whimbrel().run(["backup", "verify", &first, "--restore"]).success();
}

#[test]
fn a_kill_while_pruning_leaves_no_half_backup() {
    let bench = Bench::new();
    let (first, second) = (expired(&bench, true), expired(&bench, true));
    for name in failpoint::PRUNE {
        let prune = ["backup", "prune", "--yes"];
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(prune);
        assert_eq!(killed.signal, Some(9), "{killed}");
    }
    assert_eq!(list(&bench), [(second, "expired+verified".to_owned())]);
    assert!(!bench.at(".whimbrel/backups").join(first).exists());
}

#[test]
fn a_copy_is_checked_and_can_be_restored() {
    let bench = Bench::new();
    let id = expired(&bench, true);
    bench.whimbrel().run(["backup", "download", &id, "--to", "copies"]).success();
    let again = bench.whimbrel().run(["backup", "download", &id, "--to", "copies"]).expect_code(2);
    assert!(again.stderr.contains("is there already"), "{again}");
    let verify = ["backup", "verify", &id, "--restore", "--dir", "copies"];
    bench.whimbrel().run(verify).success();
    let original = bench.at(".whimbrel/backups").join(&id);
    let mut diff = Command::new("diff");
    diff.args(["-r", "-x", "verified"]).arg(&original);
    let same = same_as(&mut diff, &bench.at("copies").join(&id));
    assert!(same, "the copy differs");
    let chunk = original.join("chunks/000001.zst");
    let mut bytes = std::fs::read(&chunk).expect("a chunk");
    bytes[50] ^= 4;
    std::fs::write(&chunk, bytes).expect("written");
    let bad = bench.whimbrel().run(["backup", "download", &id, "--to", "other"]).expect_code(1);
    assert!(bad.stderr.contains("000001.zst"), "{bad}");
    assert!(!bench.at("other").join(&id).exists());
}

fn same_as(command: &mut Command, other: &Path) -> bool {
    command.arg(other).status().expect("diff").success()
}
