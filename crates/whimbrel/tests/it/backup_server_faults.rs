//! Backups of servers when something dies in the middle.

use std::os::unix::fs::PermissionsExt;

use whimbrel_engine::failpoint;
use whimbrel_testkit::run::{Output, Whimbrel};

use crate::backup_servers::{all_of, another, create, full, gone, servers};
use crate::engines::Bench;

servers!(
    a_dump_program_that_is_cut_short_makes_no_backup,
    a_kill_anywhere_leaves_no_half_backup,
    an_interrupted_restore_is_seen_and_begun_again,
);

/// The whimbrel program with another program in front of the dump program.
fn with_dump(bench: &Bench, script: &str) -> Whimbrel {
    let (name, real) = match bench.engine {
        "postgres" => ("pg_dump", "/usr/bin/pg_dump"),
        _ => ("mariadb-dump", "/usr/bin/mariadb-dump"),
    };
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*) exec {real} --version;; esac\n{}\n",
        script.replace("REAL", real)
    );
    bench.project.file(&format!("bin/{name}"), &text);
    let path = bench.project.at("bin").join(name);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a file");
    let folder = bench.project.at("bin").display().to_string();
    bench.whimbrel().env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"))
}

/// The ids that `backup list` shows, all of them good.
fn listed(bench: &Bench) -> Vec<String> {
    let list = bench.whimbrel().run(["backup", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let all = value["data"]["backups"].as_array().expect("backups");
    let id = |one: &serde_json::Value| {
        assert_eq!(one["state"], "good", "{list}");
        one["id"].as_str().expect("an id").to_owned()
    };
    all.iter().map(id).collect()
}

fn a_dump_program_that_is_cut_short_makes_no_backup(bench: &Bench) {
    full(bench);
    let first = create(bench, &["--no-encrypt"]);
    let after = match bench.engine {
        "postgres" => "--section=post-data",
        _ => "--triggers",
    };
    let only_after =
        |what: &str| format!("case \"$*\" in *{after}*) {what};; *) exec REAL \"$@\";; esac");
    for (script, words) in [
        // Ends well, and the end of what it says is missing.
        ("REAL \"$@\" | head -c 700; exit 0".to_owned(), "end of its output is missing"),
        ("REAL \"$@\" | head -n -8; exit 0".to_owned(), "end of its output is missing"),
        ("exit 0".to_owned(), "end of its output is missing"),
        (only_after("REAL \"$@\" | head -c 700; exit 0"), "end of its output is missing"),
        // Says everything and ends badly.
        ("REAL \"$@\"; echo 'no more disk' >&2; exit 7".to_owned(), "no more disk"),
        (only_after("REAL \"$@\" | head -c 700; kill -9 $$"), "signal: 9"),
    ] {
        let failed: Output =
            with_dump(bench, &script).run(["backup", "create", "--no-encrypt"]).expect_code(1);
        assert!(failed.stderr.contains(words), "{script}: {failed}");
        assert_eq!(listed(bench), [first.as_str()], "{script}");
        let left: Vec<String> = bench.project.files();
        assert!(!left.iter().any(|file| file.contains(".tmp-")), "{script}: {left:?}");
    }
    // The same way round the real program makes a good one.
    with_dump(bench, "exec REAL \"$@\"").run(["backup", "create", "--no-encrypt"]).success();
    assert_eq!(listed(bench).len(), 2);
    bench.whimbrel().run(["backup", "verify", &first, "--restore"]).success();
}

fn a_kill_anywhere_leaves_no_half_backup(bench: &Bench) {
    full(bench);
    let first = create(bench, &["--no-encrypt"]);
    for name in failpoint::SERVER_BACKUPS.iter().filter(|name| name.starts_with("backup.")) {
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run([
            "backup",
            "create",
            "--no-encrypt",
        ]);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        let ids = listed(bench);
        assert!(ids.contains(&first), "{name}");
        assert_eq!(ids.len(), if *name == "backup.after_rename" { 2 } else { 1 }, "{name}");
        for id in ids {
            bench.whimbrel().run(["backup", "verify", &id]).success();
        }
    }
    let last = listed(bench).pop().expect("a backup");
    bench.whimbrel().run(["backup", "verify", &last, "--restore"]).success();
}

fn an_interrupted_restore_is_seen_and_begun_again(bench: &Bench) {
    full(bench);
    let id = create(bench, &["--no-encrypt"]);
    let before = all_of(bench, &bench.database);
    let names = failpoint::SERVER_BACKUPS.iter().filter(|name| name.starts_with("restore."));
    for (number, name) in names.enumerate() {
        // A database that was made for it, and one that was there.
        let restored = if number % 2 == 0 { gone(bench) } else { another(bench) };
        let arguments = ["backup", "restore", &id, "--to", &restored.url];
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(arguments);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        let again = bench.whimbrel().run(arguments).expect_code(2);
        if *name == "restore.freed" {
            assert!(again.stderr.contains("is not empty"), "{again}");
        } else {
            assert!(again.stderr.contains(&id) && again.stderr.contains("--again"), "{again}");
            let again = [&arguments[..], &["--again"]].concat();
            bench.whimbrel().run(again).success();
        }
        assert!(all_of(bench, &restored) == before, "{name}");
    }
    // Nothing that is whole is ever removed.
    let again = ["backup", "restore", &id, "--to", &bench.database.url, "--again"];
    let again = bench.whimbrel().run(again).expect_code(2);
    assert!(again.stderr.contains("is not empty"), "{again}");
    assert!(all_of(bench, &bench.database) == before);
}
