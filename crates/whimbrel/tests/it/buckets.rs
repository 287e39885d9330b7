//! Backups in an object store: a real server that is compatible with S3, on loopback.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use whimbrel_engine::failpoint;
use whimbrel_testkit::proof::proxy::{Cut, Moment, Proxy};
use whimbrel_testkit::run::{Output, Whimbrel};
use whimbrel_testkit::servers::{S3_BUCKET, S3_KEY, S3_SECRET, S3Server};

use crate::backup::{PUBLIC, SECRET};
use crate::data::count;
use crate::engines::{Bench, every_engine};

every_engine!(a_backup_lives_in_a_bucket, a_kill_anywhere_leaves_no_half_backup);

/// Where backups lie in the bucket.
const PREFIX: &str = "app/prod";

/// An object store, and a project whose backups lie there.
pub(crate) struct Store {
    server: S3Server,
    _folder: TempDir,
}

impl Store {
    /// `None` if this run leaves it out by name.
    fn start() -> Option<Store> {
        let folder = tempfile::Builder::new().prefix("whimbrel-s3-").tempdir().expect("a folder");
        let server = S3Server::start(&folder.path().join("store"))?;
        Some(Store { server, _folder: folder })
    }

    /// The project's settings; `more` stands under `[backup]`.
    fn settings(&self, bench: &Bench, endpoint: &str, more: &str) {
        let text = format!(
            "[backup]\nstore = \"s3://{S3_BUCKET}/{PREFIX}\"\nendpoint = \"{endpoint}\"\n{more}"
        );
        bench.project.file("whimbrel.toml", &text);
    }

    /// A table with rows, and settings with this store.
    fn project(&self, bench: &Bench) {
        self.settings(bench, &self.server.endpoint(), "");
        bench.project.file("my.key", SECRET);
        bench.migration("0001_people.sql", "CREATE TABLE people (id INTEGER, name VARCHAR(20));\n");
        with_keys(bench).run(["up"]).success();
        bench.database.query("INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob');");
    }

    /// The file of an object.
    fn object(&self, id: &str, name: &str) -> PathBuf {
        self.server.objects().join(PREFIX).join(id).join(name)
    }

    /// How many objects there are of backups.
    fn objects(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
            let paths = entries.map(|entry| entry.expect("an entry").path());
            paths.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(&self.server.objects())
    }
}

/// The program with the store's keys.
fn with_keys(bench: &Bench) -> Whimbrel {
    let whimbrel = bench.whimbrel().env("AWS_ACCESS_KEY_ID", S3_KEY);
    whimbrel.env("AWS_SECRET_ACCESS_KEY", S3_SECRET)
}

fn create(bench: &Bench, more: &[&str]) -> String {
    let output = with_keys(bench).run([&["backup", "create", "--json"], more].concat()).success();
    id_of(&output)
}

fn id_of(output: &Output) -> String {
    let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    value["data"]["manifest"]["id"].as_str().expect("an id").to_owned()
}

/// Ids with their states.
fn list(bench: &Bench) -> Vec<(String, String)> {
    let list = with_keys(bench).run(["backup", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let all = value["data"]["backups"].as_array().expect("backups").iter();
    let text = |one: &serde_json::Value| one.as_str().expect("a text").to_owned();
    all.map(|one| (text(&one["id"]), text(&one["state"]))).collect()
}

/// A new, empty database of the same engine, and its address.
fn restored(bench: &Bench) -> whimbrel_testkit::database::TestDatabase {
    match bench.engine {
        "sqlite" => {
            std::fs::create_dir_all(bench.project.at("new")).expect("a folder");
            whimbrel_testkit::database::sqlite_in(&bench.project.at("new"))
        }
        _ => crate::backup_servers::another(bench),
    }
}

fn a_backup_lives_in_a_bucket(bench: &Bench) {
    let Some(store) = Store::start() else { return };
    store.project(bench);
    assert!(list(bench).is_empty());
    let key = ["--identity", "file:my.key"];
    let made = with_keys(bench).run(["backup", "create", "--json", "--recipient", PUBLIC]);
    let made = made.success();
    let id = id_of(&made);
    assert!(!store.object(&id, "unfinished").exists());
    let secrets = [S3_SECRET, "AGE-SECRET-KEY"];
    let shown = |output: Output| {
        for secret in secrets {
            assert!(!format!("{output}").contains(secret), "{output}");
        }
        output
    };
    shown(made);
    assert_eq!(list(bench), [(id.clone(), "good".to_owned())]);
    let run = |more: &[&str]| shown(with_keys(bench).run([more, &key].concat()).success());
    assert!(run(&["backup", "show", &id]).stdout.contains("people: 2 rows"));
    assert!(run(&["backup", "verify", &id]).stdout.contains("every chunk opens"));
    run(&["backup", "verify", &id, "--restore"]);
    let into = restored(bench);
    run(&["backup", "restore", &id, "--to", &into.url]);
    assert_eq!(into.query("SELECT id, name FROM people ORDER BY id").trim(), "1|Ada\n2|Bob");
    // A copy on this machine needs no store.
    let copied = with_keys(bench).run(["backup", "download", &id, "--to", "copies"]).success();
    assert!(copied.stdout.contains("copies"), "{copied}");
    bench
        .whimbrel()
        .run([&["backup", "verify", &id, "--dir", "copies"][..], &key].concat())
        .success();
    let status = with_keys(bench).run(["status", "--json"]).success();
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(status["data"]["backups"]["last"]["id"], *id, "{status}");
    assert!(!status["data"]["backups"]["last"]["verified_ms"].is_null(), "{status}");
    let rows = format!(
        "SELECT count(*) FROM {} WHERE backup_id = '{id}' AND location LIKE 's3://{S3_BUCKET}/%{id}'",
        crate::data::ledger(bench, "backups")
    );
    assert_eq!(count(bench, &rows), 2, "made and verified");
    // Before `up` too, and the run begins after it was proven.
    store.settings(bench, &store.server.endpoint(), &format!("recipients = [\"{PUBLIC}\"]\n"));
    bench.migration("0002_more.sql", "ALTER TABLE people ADD COLUMN age INTEGER;\n");
    with_keys(bench).run(["up", "--backup"]).success();
    assert_eq!(list(bench).len(), 2);
    if bench.engine == "sqlite" {
        bench.database.query("INSERT INTO people (id) VALUES (3), (4)");
        let in_place = run(&["backup", "restore", &id, "--in-place", "--dry-run"]);
        assert!(format!("{in_place}").contains("2 rows"), "{in_place}");
    }
    // What has expired goes, object by object.
    let expired = create(bench, &["--no-encrypt", "--keep", "0"]);
    with_keys(bench).run(["backup", "prune", "--yes"]).success();
    assert!(list(bench).iter().all(|(one, _)| *one != expired));
    assert!(!store.object(&expired, "manifest.json").exists());
    let left = bench.project.files();
    assert!(!left.iter().any(|file| file.contains(".tmp-")), "{left:?}");
}

fn a_kill_anywhere_leaves_no_half_backup(bench: &Bench) {
    let Some(store) = Store::start() else { return };
    store.project(bench);
    let first = create(bench, &["--no-encrypt"]);
    let mut whole = 1;
    for name in failpoint::BUCKETS {
        if *name == "backup.copied" && bench.engine != "sqlite" {
            continue;
        }
        let killed = with_keys(bench).env("WHIMBREL_FAILPOINT", name);
        let killed = killed.run(["backup", "create", "--no-encrypt"]);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        whole += usize::from(["backup.published", "backup.after_rename"].contains(name));
        let listed = list(bench);
        assert_eq!(listed.len(), whole, "{name}: {listed:?}");
        for (id, state) in listed {
            assert_eq!(state, "good", "{name}");
            with_keys(bench).run(["backup", "verify", &id]).success();
        }
    }
    let before = store.objects();
    let prune = with_keys(bench).run(["backup", "prune", "--yes"]).success();
    assert!(prune.stderr.contains("left by a killed command"), "{prune}");
    assert!(store.objects() < before);
    let none = with_keys(bench).run(["backup", "prune", "--dry-run"]).success();
    assert!(none.stdout.contains("Nothing to remove"), "{none}");
    assert_eq!(list(bench).len(), whole);
    with_keys(bench).run(["backup", "verify", &first, "--restore"]).success();
    // Removing is killed: it is not listed any more, and the next one goes on.
    let expired = create(bench, &["--no-encrypt", "--keep", "0"]);
    let killed = with_keys(bench).env("WHIMBREL_FAILPOINT", "prune.renamed");
    let killed = killed.run(["backup", "prune", "--yes"]);
    assert_eq!(killed.signal, Some(9), "{killed}");
    assert!(list(bench).iter().all(|(id, _)| *id != expired));
    with_keys(bench).run(["backup", "prune", "--yes"]).success();
    assert!(!store.object(&expired, "manifest.json").exists());
}

fn on_sqlite(scenario: impl Fn(&Bench, &mut Store)) {
    crate::engines::on("sqlite", |bench| {
        if let Some(mut store) = Store::start() {
            store.project(bench);
            scenario(bench, &mut store);
        }
    });
}

#[test]
fn what_is_wrong_with_the_store_is_said_and_no_secret() {
    on_sqlite(|bench, store| {
        let arguments = ["backup", "create", "--no-encrypt"];
        let refused = |whimbrel: Whimbrel, code, words: &[&str]| {
            let output = whimbrel.run(arguments).expect_code(code);
            for word in words {
                assert!(output.stderr.contains(word), "{word}: {output}");
            }
            assert!(!format!("{output}").contains(S3_SECRET), "{output}");
            assert!(!format!("{output}").contains("other-secret"), "{output}");
        };
        refused(bench.whimbrel(), 2, &["`AWS_ACCESS_KEY_ID` is not set", "in the environment"]);
        let half = || bench.whimbrel().env("AWS_ACCESS_KEY_ID", S3_KEY);
        refused(half(), 2, &["`AWS_SECRET_ACCESS_KEY` is not set"]);
        let wrong = half().env("AWS_SECRET_ACCESS_KEY", "other-secret");
        refused(wrong, 2, &["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]);
        let unknown = bench.whimbrel().env("AWS_ACCESS_KEY_ID", "NOBODY");
        refused(
            unknown.env("AWS_SECRET_ACCESS_KEY", "other-secret"),
            2,
            &["s3://backups/app/prod: "],
        );
        let elsewhere = |text: &str| bench.project.file("whimbrel.toml", text);
        let endpoint = store.server.endpoint();
        elsewhere(&format!(
            "[backup]\nstore = \"s3://nobody-made-it\"\nendpoint = \"{endpoint}\"\n"
        ));
        refused(with_keys(bench), 2, &["NoSuchBucket", "Make the bucket"]);
        let list = with_keys(bench).run(["backup", "list"]).expect_code(2);
        assert!(list.stderr.contains("NoSuchBucket"), "{list}");
        store.settings(bench, "http://minio.example:9000", "");
        refused(with_keys(bench), 2, &["without TLS", "plain-http-host"]);
        store.settings(bench, "https://key:other-secret@minio.example", "");
        refused(with_keys(bench), 2, &["endpoint"]);
        store.settings(bench, &endpoint, "");
        let by_hand = [&arguments[..], &["--store", "s3://other-secret@x"]].concat();
        let by_hand = with_keys(bench).run(by_hand).expect_code(2);
        assert!(
            by_hand.stderr.contains("--store") && !by_hand.stderr.contains("other-secret"),
            "{by_hand}"
        );
        // Nobody is there, and comes back: tried again, and not for ever.
        store.server.stop().expect("it stops");
        refused(with_keys(bench), 1, &["refused", "could not be reached"]);
        let status = with_keys(bench).run(["status"]).success();
        assert!(status.stdout.contains("backups: s3://"), "{status}");
        let waiting = with_keys(bench).spawn(arguments);
        std::thread::sleep(Duration::from_millis(700));
        store.server.start_again().expect("it starts");
        waiting.wait().success();
        assert_eq!(list_states(bench), ["good"]);
        assert_eq!(store.objects(), 4, "manifest, signature, contents and one chunk");
    });
}

fn list_states(bench: &Bench) -> Vec<String> {
    list(bench).into_iter().map(|(_, state)| state).collect()
}

#[test]
fn a_cut_connection_makes_no_second_and_no_half_backup() {
    on_sqlite(|bench, store| {
        for (word, nth) in
            [("PUT /backups", 1), ("PUT /backups", 2), ("PUT /backups", 5), ("GET /backups", 2)]
        {
            for moment in [Moment::BeforeServer, Moment::AfterServer] {
                let before = list(bench).len();
                let proxy = Proxy::start(store.server.port(), Cut { word, nth, moment });
                let proxy = proxy.expect("a proxy");
                store.settings(bench, &format!("http://127.0.0.1:{}", proxy.port()), "");
                let made = with_keys(bench).run(["backup", "create", "--no-encrypt"]).success();
                assert!(proxy.seen() >= nth, "{word} {nth} was not reached");
                store.settings(bench, &store.server.endpoint(), "");
                let after = list(bench);
                assert_eq!(after.len(), before + 1, "{word} {nth} {moment:?}: {made}");
                for (id, _) in after {
                    with_keys(bench).run(["backup", "verify", &id]).success();
                }
            }
        }
    });
}

#[test]
fn damage_in_a_bucket_is_found_and_named() {
    on_sqlite(|bench, store| {
        bench.database.query(
            "CREATE TABLE big (v); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 \
             FROM n WHERE i < 10000) INSERT INTO big SELECT randomblob(1000) FROM n",
        );
        let id = create(bench, &["--no-encrypt"]);
        let check = |words: &[&str]| {
            let into = format!("sqlite:{}", bench.project.at("other.db").display());
            for arguments in
                [vec!["backup", "verify", &id], vec!["backup", "restore", &id, "--to", &into]]
            {
                let output = with_keys(bench).run(arguments).expect_code(1);
                for word in words {
                    assert!(output.stderr.contains(word), "{word}: {output}");
                }
                assert!(!bench.project.at("other.db").exists(), "{output}");
            }
        };
        let (one, two) =
            (store.object(&id, "chunks/000001.zst"), store.object(&id, "chunks/000002.zst"));
        let (first, second) = (std::fs::read(&one).expect("it"), std::fs::read(&two).expect("it"));
        std::fs::write(&one, &second).expect("written");
        std::fs::remove_file(&two).expect("removed");
        std::fs::write(store.object(&id, "chunks/more"), "x").expect("written");
        check(&[
            "`chunks/000001.zst` holds what belongs",
            "`chunks/000002.zst` is missing",
            "`chunks/more`",
        ]);
        std::fs::remove_file(store.object(&id, "chunks/more")).expect("removed");
        std::fs::write(&two, &second).expect("written");
        std::fs::write(&one, &first[1..]).expect("written");
        check(&["`chunks/000001.zst` has"]);
        std::fs::write(&one, &first).expect("written");
        with_keys(bench).run(["backup", "verify", &id, "--restore"]).success();
        // Without its signature it is damaged, and not what a killed command has left.
        std::fs::remove_file(store.object(&id, "manifest.sig")).expect("removed");
        assert_eq!(list_states(bench), ["damaged"]);
        with_keys(bench).run(["backup", "prune", "--yes"]).success();
        assert!(one.exists());
    });
}

#[test]
fn what_another_machine_has_left_goes_after_a_day() {
    on_sqlite(|bench, store| {
        let whimbrel = with_keys(bench).env("WHIMBREL_FAILPOINT", "backup.manifest");
        whimbrel.run(["backup", "create", "--no-encrypt"]);
        let folder = store.server.objects().join(PREFIX);
        let id = std::fs::read_dir(&folder).expect("it").next().expect("one").expect("one");
        let id = id.file_name().into_string().expect("a name");
        let mark = store.object(&id, "unfinished");
        let foreign = "{\"host\":\"far\",\"boot_id\":\"x\",\"pid\":1,\"process_start\":\"1\"}";
        std::fs::write(&mark, foreign).expect("written");
        let prune = || with_keys(bench).run(["backup", "prune", "--yes"]).success();
        assert!(prune().stdout.contains("Nothing to remove"));
        let names = ["unfinished", "manifest.json", "contents.zst", "chunks/000001.zst"];
        let old = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
        for (at, name) in names.iter().enumerate() {
            // As long as one object is new somebody may be at it.
            assert!(mark.exists(), "{at}");
            let file = std::fs::File::options().write(true).open(store.object(&id, name));
            file.expect("it").set_modified(old).expect("set");
        }
        let pruned = prune();
        assert!(pruned.stderr.contains(&format!("s3://{S3_BUCKET}/{PREFIX}/{id}")), "{pruned}");
        assert_eq!(store.objects(), 0);
        // Somebody has removed it while it was being written: it does not become a backup.
        let slow = with_keys(bench).env("WHIMBREL_FAILPOINT", "backup.before_rename");
        let slow = slow.env("WHIMBREL_FAILPOINT_ACTION", "sleep:1500");
        let slow = slow.spawn(["backup", "create", "--no-encrypt"]);
        let manifest = || {
            let mut entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            entries
                .find_map(|one| Some(one.path()).filter(|path| path.join("manifest.json").exists()))
        };
        let made = std::iter::repeat_with(|| {
            std::thread::sleep(Duration::from_millis(20));
            manifest()
        });
        let made = made.take(500).flatten().next().expect("it is written");
        std::fs::remove_file(made.join("unfinished")).expect("removed");
        let slow = slow.wait().expect_code(2);
        assert!(slow.stderr.contains("Somebody has removed"), "{slow}");
        assert!(list(bench).is_empty());
    });
}

/// More than a page of a listing, which has 1,000 names.
#[test]
fn many_backups_and_many_chunks_are_listed() {
    on_sqlite(|bench, store| {
        let id = create(bench, &["--no-encrypt"]);
        let whole = store.object(&id, "");
        for number in 0..1_005 {
            let other = store.object(&format!("backup_{:013}", 1_000_000 + number), "");
            std::fs::create_dir_all(&other).expect("a folder");
            std::fs::copy(whole.join("manifest.sig"), other.join("manifest.sig")).expect("a file");
        }
        for number in 0..1_005 {
            std::fs::write(store.object(&id, &format!("chunks/x{number:05}")), "").expect("a file");
        }
        std::fs::write(store.server.objects().join("app/prod/notes.txt"), "no backup")
            .expect("a file");
        let all = list(bench);
        assert_eq!(all.len(), 1_006);
        assert_eq!(
            all.last().map(|(id, state)| (id.as_str(), state.as_str())),
            Some((&*id, "good"))
        );
        let verify = with_keys(bench).run(["backup", "verify", &id]).expect_code(1);
        let named = verify.stderr.lines().filter(|line| line.contains("does not belong")).count();
        assert_eq!(named, 1_005, "{verify}");
    });
}
