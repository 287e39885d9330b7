//! `examples/d1-webapp`: a wrangler project without any configuration of Whimbrel's, beside the
//! real `wrangler`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use whimbrel_testkit::peers::Peer;
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

const DATABASE: &str = "webapp-production";
const LAST: &str = "0026_threads_and_invites.sql";

fn example() -> Project {
    Project::copy_of(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/d1-webapp"))
}

fn whimbrel(project: &Project) -> Whimbrel {
    Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path())
}

/// The one local D1 file of the project.
fn d1_file(project: &Project) -> PathBuf {
    let found: Vec<String> =
        project.files().into_iter().filter(|file| file.ends_with(".sqlite")).collect();
    let databases: Vec<&String> =
        found.iter().filter(|file| !file.ends_with("metadata.sqlite")).collect();
    assert_eq!(databases.len(), 1, "{found:?}");
    project.at(databases[0])
}

fn sqlite3(file: &Path, sql: &str) -> String {
    let mut child = std::process::Command::new("sqlite3")
        .args(["-batch", "-bail", "-init", "/dev/null"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs wrangler in the project; `None` if the run leaves the peers out.
fn wrangler(project: &Project, arguments: &[&str]) -> Option<String> {
    let mut command = Peer::Wrangler.command()?;
    let home = project.at("home");
    std::fs::create_dir_all(&home).unwrap();
    command.current_dir(project.path()).env("HOME", &home).args(arguments);
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{arguments:?}: {text}");
    Some(text)
}

fn wrangler_list(project: &Project) -> Option<String> {
    wrangler(project, &["d1", "migrations", "list", DATABASE, "--local"])
}

#[test]
fn everything_is_found_applied_and_verified_without_configuration() {
    let project = example();
    let status = whimbrel(&project).run(["status"]).success();
    assert!(status.stdout.contains("miniflare-D1DatabaseObject/"), "{status}");
    assert!(status.stdout.contains("not made yet"), "{status}");
    assert!(status.stdout.contains("0 applied, 19 pending"), "{status}");

    let up = whimbrel(&project).run(["up"]).success();
    assert!(up.stdout.contains("Applied 19 migrations"), "{up}");
    let file = d1_file(&project);
    assert!(status.stdout.contains(&file.file_name().unwrap().display().to_string()), "{status}");

    let verify = whimbrel(&project).run(["verify", "--verbose"]).success();
    assert!(verify.stdout.contains("of 19 applied migrations hold, 0 fail"), "{verify}");
    let all = verify.to_string();
    let count = |what: &str| all.lines().filter(|line| line.contains(what)).count();
    assert!(count("table ") >= 30, "{all}");
    assert!(count("index ") >= 50, "{all}");
    let made = sqlite3(
        &file,
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND name NOT LIKE 'whimbrel_%' AND name NOT IN ('d1_migrations', '_cf_METADATA');",
    );
    assert!(made.parse::<u32>().unwrap() >= 30, "{made}");

    let Some(list) = wrangler_list(&project) else { return };
    assert!(list.contains("No migrations to apply"), "{list}");
    assert_eq!(sqlite3(&d1_file(&project), "SELECT count(*) FROM d1_migrations;"), "19");
}

#[test]
fn a_database_that_wrangler_made_is_used() {
    let project = example();
    let execute = ["d1", "execute", DATABASE, "--local", "--command", "SELECT 1"];
    let Some(_) = wrangler(&project, &execute) else { return };
    let file = d1_file(&project);
    let status = whimbrel(&project).run(["status"]).success();
    assert!(status.stdout.contains("0 applied, 19 pending"), "{status}");
    assert!(!status.stdout.contains("not made yet"), "{status}");
    whimbrel(&project).run(["up"]).success();
    assert_eq!(d1_file(&project), file);
    let list = wrangler_list(&project).unwrap_or_default();
    assert!(list.contains("No migrations to apply"), "{list}");
}

#[test]
fn what_wrangler_applied_is_adopted_and_taken_back() {
    let project = example();
    let apply = ["d1", "migrations", "apply", DATABASE, "--local"];
    let Some(_) = wrangler(&project, &apply) else { return };

    let status = whimbrel(&project).run(["status", "--check"]).success();
    assert!(status.stdout.contains("19 applied, 0 pending"), "{status}");
    whimbrel(&project).run(["verify"]).success();
    let up = whimbrel(&project).run(["up"]).success();
    assert!(!up.stdout.contains("Applied"), "{up}");
    let history = whimbrel(&project).run(["history"]).success();
    assert!(history.stdout.contains("wrangler"), "{history}");

    whimbrel(&project).run(["down", "--confirm", LAST]).success();
    let list = wrangler_list(&project).unwrap_or_default();
    assert!(list.contains(LAST), "{list}");
    assert!(!list.contains("0025_"), "{list}");
    wrangler(&project, &apply);
    let status = whimbrel(&project).run(["status", "--check"]).success();
    assert!(status.stdout.contains("19 applied, 0 pending"), "{status}");
}

#[test]
fn the_last_migration_is_taken_back_with_its_rows_and_applied_again() {
    let project = example();
    whimbrel(&project).run(["up"]).success();
    let file = d1_file(&project);
    let before = sqlite3(&file, ".schema");
    sqlite3(&file, &project.read("seed.sql"));
    let rows = sqlite3(&file, "SELECT count(*) FROM threads;");

    let refused = whimbrel(&project).run(["down"]).expect_code(6);
    assert!(refused.stderr.contains(&format!("table threads ({rows} rows)")), "{refused}");
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM threads;"), rows);

    whimbrel(&project).run(["down", "--confirm", LAST]).success();
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM sqlite_schema WHERE name = 'threads';"), "0");
    assert_eq!(sqlite3(&file, "SELECT max(name) FROM d1_migrations;").get(..4), Some("0025"));
    whimbrel(&project).run(["up"]).success();
    let after = sqlite3(&file, ".schema");
    let own = |text: &str| {
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.contains("whimbrel_")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(own(&before), own(&after));
}

#[test]
fn new_takes_the_next_number_and_a_number_twice_is_a_finding() {
    let project = example();
    let new = whimbrel(&project).run(["new", "new_feature"]).success();
    assert!(new.to_string().contains("db/migrations/0027_new_feature.sql"), "{new}");
    assert!(project.read("db/migrations/0027_new_feature.sql").contains("0027"));

    project.file("db/migrations/0026_again.sql", "SELECT 1;");
    let status = whimbrel(&project).run(["status"]).success();
    let text = status.to_string();
    assert!(text.contains("0026_again.sql") && text.contains(LAST), "{status}");
    assert!(text.contains("0026") && text.contains("0028"), "{status}");
}

#[test]
fn history_says_what_each_migration_is_for_and_made() {
    let project = example();
    whimbrel(&project).run(["up"]).success();
    let history = whimbrel(&project).run(["history"]).success();
    for name in project.files().iter().filter_map(|file| file.strip_prefix("db/migrations/")) {
        assert!(history.stdout.contains(name), "{name}: {history}");
    }
    assert!(history.stdout.contains("Core foundation tables"), "{history}");
    assert!(history.stdout.contains("8 tables: users, workspaces"), "{history}");
    assert!(history.stdout.contains("3 tables: threads"), "{history}");
}

#[test]
fn a_foreign_key_error_names_child_parent_and_rows() {
    let insert = "INSERT INTO room_members (id, room_id, user_id) \
                  VALUES ('m1', 'no-room', 'no-user'), ('m2', 'other-room', 'no-user');";
    for start in ["", "PRAGMA defer_foreign_keys = ON;\n"] {
        let project = example();
        whimbrel(&project).run(["up"]).success();
        project.file("db/migrations/0027_orphans.sql", &format!("{start}{insert}"));
        let up = whimbrel(&project).run(["up"]).expect_code(1);
        for parent in ["rooms", "users"] {
            let said = format!("2 rows of `room_members` point to rows of `{parent}`");
            assert!(up.stderr.contains(&said), "{start}{up}");
        }
        assert_eq!(sqlite3(&d1_file(&project), "SELECT count(*) FROM room_members;"), "0");
    }
}

#[test]
fn foreign_keys_may_be_switched_on_but_not_off() {
    let project = example();
    whimbrel(&project).run(["up"]).success();
    let on = "PRAGMA foreign_keys = ON;\nCREATE TABLE extra (id INTEGER PRIMARY KEY);\n\
              PRAGMA foreign_keys(1);\nINSERT INTO extra VALUES (1);";
    project.file("db/migrations/0027_on.sql", on);
    whimbrel(&project).run(["up"]).success();
    assert_eq!(sqlite3(&d1_file(&project), "SELECT count(*) FROM extra;"), "1");
    whimbrel(&project).run(["verify"]).success();
    project.file("db/migrations/0028_off.sql", "PRAGMA foreign_keys=OFF;\nDROP TABLE extra;");
    let up = whimbrel(&project).run(["up"]).expect_code(2);
    assert!(up.stderr.contains("0028_off.sql:1:1"), "{up}");
    assert!(up.stderr.contains("ON DELETE CASCADE"), "{up}");
    assert_eq!(sqlite3(&d1_file(&project), "SELECT count(*) FROM extra;"), "1");
}

#[test]
fn nothing_is_written_while_another_process_has_the_file_open() {
    let project = example();
    whimbrel(&project).run(["up", "--to", "0025"]).success();
    let file = d1_file(&project);
    sqlite3(&file, "PRAGMA journal_mode = WAL;");
    let mut other = std::process::Command::new("sqlite3")
        .args(["-batch", "-init", "/dev/null"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = other.stdin.take().unwrap();
    writeln!(input, "SELECT count(*) FROM users;\n.print ready").unwrap();
    input.flush().unwrap();
    std::thread::sleep(Duration::from_millis(500));

    let status = whimbrel(&project).run(["status"]).success();
    assert!(status.stdout.contains("18 applied, 1 pending"), "{status}");
    let up = whimbrel(&project).run(["up"]);
    assert_ne!(up.code, Some(0), "{up}");
    assert!(up.stderr.contains("Another process has"), "{up}");
    assert!(up.stderr.contains("open"), "{up}");

    drop(input);
    other.wait().unwrap();
    whimbrel(&project).run(["up"]).success();
    whimbrel(&project).run(["status", "--check"]).success();
}

#[test]
fn two_runs_at_once_do_not_take_each_other_for_a_stranger() {
    let project = example();
    let runs: Vec<_> = (0..4).map(|_| whimbrel(&project).spawn(["up"])).collect();
    let outputs: Vec<_> = runs.into_iter().map(|run| run.wait().success()).collect();
    let worked = outputs.iter().filter(|one| one.stdout.contains("Applied 19")).count();
    assert_eq!(worked, 1, "{outputs:?}");
    whimbrel(&project).run(["verify"]).success();
}
