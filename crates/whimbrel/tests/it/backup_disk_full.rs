//! A disk that becomes full at each named place of making and restoring a backup.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use whimbrel_engine::failpoint;
use whimbrel_testkit::database::sqlite_in;
use whimbrel_testkit::proof::fault::disk::{self, Disk};
use whimbrel_testkit::run::Output;

use crate::engines::{Bench, every_engine, on};

every_engine!(a_full_disk_makes_no_half_backup);

/// Kibibytes of the disk; a backup here takes less than 2,000.
const DISK_KIB: usize = 16_000;

/// A small disk; none where it cannot be made here.
fn small_disk() -> Option<Disk> {
    match disk::unavailable() {
        None => Some(Disk::mount(DISK_KIB).expect("a disk")),
        Some(why) => {
            let _ = writeln!(std::io::stderr(), "no disk becomes full here: {why}");
            None
        }
    }
}

/// Takes all space of a disk until it is dropped.
struct Filled(PathBuf);

impl Filled {
    fn on(disk: &Disk) -> Filled {
        let path = disk.path().join("fill");
        let mut file = File::create(&path).expect("a file");
        for bytes in [65_536, 512, 1] {
            while file.write_all(&vec![b'x'; bytes]).is_ok() {}
        }
        Filled(path)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn rows(bench: &Bench) {
    let text = match bench.engine {
        "mariadb" => "LONGTEXT",
        _ => "TEXT",
    };
    bench.migration(
        "0001_big.sql",
        &format!("CREATE TABLE big (id INTEGER PRIMARY KEY, v {text});\n"),
    );
    bench.whimbrel().run(["up"]).success();
    for id in 0..20 {
        // Each differs, and hardly gets smaller.
        let mut state = 88_172_645_463_325_252_u64 + id;
        let text: String = (0..60_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(b'A' + u8::try_from(state % 26).unwrap_or(0))
            })
            .collect();
        bench.database.query(&format!("INSERT INTO big VALUES ({id}, '{text}');"));
    }
}

/// Runs a command whose disk becomes full at the place `name`.
fn with_full_disk(bench: &Bench, disk: &Disk, name: &str, arguments: &[&str]) -> Output {
    let log = bench.project.at("passed.txt");
    let _ = std::fs::remove_file(&log);
    let whimbrel = bench.whimbrel().env("WHIMBREL_FAILPOINT", name);
    let whimbrel = whimbrel.env("WHIMBREL_FAILPOINT_ACTION", "stop");
    let mut running =
        whimbrel.env("WHIMBREL_FAILPOINT_LOG", log.display().to_string()).spawn(arguments);
    let passed =
        || std::fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|one| one == name));
    while !passed() && running.is_running() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(50));
    let filled = Filled::on(disk);
    running.resume();
    let output = running.wait();
    drop(filled);
    assert!(passed(), "{name} was not reached: {output}");
    if output.code != Some(0) {
        let words = ["space", "full", " are free"];
        assert!(words.iter().any(|word| output.stderr.contains(word)), "{name}: {output}");
    }
    output
}

fn ids(bench: &Bench, place: &[&str]) -> Vec<String> {
    let list = bench.whimbrel().run([&["backup", "list", "--json"], place].concat()).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let all = value["data"]["backups"].as_array().expect("backups").iter();
    all.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    entries.map(|one| one.expect("it").file_name().to_string_lossy().into_owned()).collect()
}

fn a_full_disk_makes_no_half_backup(bench: &Bench) {
    let Some(disk) = small_disk() else { return };
    rows(bench);
    let folder = disk.path().join("backups").display().to_string();
    let place = ["--dir", folder.as_str()];
    let create = [&["backup", "create", "--no-encrypt"], &place[..]].concat();
    bench.whimbrel().run(&create).success();
    let names = match bench.engine {
        "sqlite" => failpoint::BACKUPS,
        _ => failpoint::SERVER_BACKUPS,
    };
    let mut full = 0;
    for name in names.iter().filter(|name| name.starts_with("backup.")) {
        let before = ids(bench, &place);
        let output = with_full_disk(bench, &disk, name, &create);
        let after = ids(bench, &place);
        let is_made = output.code == Some(0);
        full += usize::from(!is_made);
        assert!(after.starts_with(&before), "{name}: an old one is gone");
        assert_eq!(after.len(), before.len() + usize::from(is_made), "{name}: {output}");
        for id in &after {
            bench.whimbrel().run([&["backup", "verify", id], &place[..]].concat()).success();
        }
        let left = names_in(Path::new(&folder));
        assert!(!left.iter().any(|one| one.starts_with('.')), "{name}: {left:?}");
        for id in after.iter().skip(1) {
            std::fs::remove_dir_all(Path::new(&folder).join(id)).expect("removed");
        }
    }
    assert!(full >= 3, "the disk was full only {full} times");
}

#[test]
fn a_full_disk_makes_no_half_database() {
    on("sqlite", |bench| {
        let Some(disk) = small_disk() else { return };
        rows(bench);
        bench.whimbrel().run(["backup", "create", "--no-encrypt"]).success();
        let id = ids(bench, &[]).pop().expect("an id");
        std::fs::create_dir_all(disk.path().join("new")).expect("a folder");
        let restored = sqlite_in(&disk.path().join("new"));
        let restore = ["backup", "restore", id.as_str(), "--to", &restored.url];
        let mut whole = 0;
        for name in failpoint::BACKUPS.iter().filter(|name| name.starts_with("restore.")) {
            let output = with_full_disk(bench, &disk, name, &restore);
            let left = names_in(&disk.path().join("new"));
            if output.code == Some(0) {
                whole += 1;
                assert_eq!(restored.query("SELECT count(*) FROM big").trim(), "20");
                assert_eq!(restored.query("PRAGMA integrity_check").trim(), "ok");
                std::fs::remove_dir_all(disk.path().join("new")).expect("removed");
                std::fs::create_dir_all(disk.path().join("new")).expect("a folder");
            } else {
                assert!(left.is_empty(), "{name}: {left:?} {output}");
            }
        }
        assert!(whole >= 1);
        // From the beginning on: too small for all of it, by more and more.
        let mut full = 0;
        for kib in [64, 512, 1_024, 1_300, 1_500, 1_700] {
            let disk = Disk::mount(kib).expect("a disk");
            let restored = sqlite_in(disk.path());
            let into = ["backup", "restore", id.as_str(), "--to", &restored.url];
            let output = bench.whimbrel().run(into);
            if output.code != Some(0) {
                full += 1;
                assert!(names_in(disk.path()).is_empty(), "{kib} KiB: {output}");
            }
        }
        assert!(full >= 2, "{full}");
        bench.whimbrel().run(["backup", "verify", &id, "--restore"]).success();
    });
}
