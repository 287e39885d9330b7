//! The demo, run as the README says, and what it says held against the database.

use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

fn demo(project: &Project, arguments: &[&str]) -> Output {
    Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path()).run(arguments)
}

/// What a verb says in the demo's folder afterwards.
fn after(project: &Project, arguments: &[&str]) -> Output {
    Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.at("whimbrel-demo")).run(arguments)
}

/// The lines of one scene.
fn scene<'a>(output: &'a Output, title: &str) -> &'a str {
    let from = output.stdout.find(title).unwrap_or_else(|| panic!("no scene {title}:\n{output}"));
    output.stdout[from..].split("\n\n").next().unwrap()
}

#[track_caller]
fn has(text: &str, wanted: &[&str]) {
    for want in wanted {
        assert!(text.contains(want), "`{want}` is missing in:\n{text}");
    }
}

#[test]
fn the_demo_shows_what_happens() {
    let project = Project::new();
    let output = demo(&project, &["demo"]).success();
    assert_eq!(output.stderr, "", "the story is told in one stream");
    let refused = scene(&output, "2. Tables without a history");
    has(refused, &["no history of migrations", "exit code 4", "2 tables with as many rows"]);
    let applied = scene(&output, "3. See it before");
    has(applied, &["ok  0002_cities.sql", "new table cities, 6 rows", "0 fail"]);
    let mistake = scene(&output, "4. A migration with a mistake");
    has(mistake, &["migrations/0004_points.sql:8:1", "no such table: oders", "exit code 1"]);
    has(mistake, &["Counted: 3 tables with as many rows as before", "new table points"]);
    let killed = scene(&output, "5. A run that is killed");
    has(killed, &["in step 2 of 2, was killed: signal: 9", "new table visits, 200 rows"]);
    has(killed, &["interrupted, 1 step done", "going on, 1 step done by an earlier run"]);
    has(killed, &["new table visits, 600200 rows"]);
    assert!(!killed.contains("running:"), "nobody runs after the kill:\n{killed}");
    let back = scene(&output, "6. The way back");
    has(back, &["table visits (600200 rows)", "'DELETE VISITS TABLE'"]);
    has(back, &["table visits is gone (600200 rows)"]);
    has(scene(&output, "7. And forward"), &["5 applied, 0 pending"]);
    let kept = scene(&output, "8. A table that a migration drops");
    has(kept, &["table points is gone (200 rows)", "table points is back (200 rows)"]);
    has(kept, &["Counted: 5 tables with as many rows as before"]);
}

#[test]
fn what_the_demo_suggests_works_in_its_folder() {
    let project = Project::new();
    demo(&project, &["demo"]).success();
    after(&project, &["doctor", "--explain"]).success();
    after(&project, &["new", "loyalty", "levels"]).success();
    assert!(project.files().contains(&"whimbrel-demo/migrations/0007_loyalty_levels.sql".into()));
    after(&project, &["down", "--to", "0001"]).expect_code(6);
    after(&project, &["down", "--to", "0001", "--yes"]).success();
    has(&after(&project, &["status"]).success().stdout, &["1 applied, 6 pending"]);
    after(&project, &["verify"]).success();
}

#[test]
fn an_earlier_demo_is_replaced_only_when_asked() {
    let project = Project::new();
    demo(&project, &["demo", "here"]).success();
    project.file("here/notes.txt", "mine");
    let again = demo(&project, &["demo", "here"]).expect_code(6);
    has(&again.stderr, &["holds an earlier demo", "--force"]);
    demo(&project, &["demo", "here", "--force"]).success();
    assert_eq!(project.read("here/notes.txt"), "mine", "what the demo did not make stays");
}

#[test]
fn a_folder_of_somebody_elses_is_refused() {
    let project = Project::new();
    project.file("here/shop.db", "mine");
    let output = demo(&project, &["demo", "here", "--force"]).expect_code(2);
    has(&output.stderr, &["here is not empty", "whimbrel demo DIR"]);
    assert_eq!(project.files(), ["here/shop.db"]);
}

#[test]
fn in_json_each_line_is_an_object_and_a_foreign_environment_does_not_matter() {
    let project = Project::new();
    let output = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path())
        .env("DATABASE_URL", "postgres://nobody@192.0.2.1/none")
        .env("WHIMBREL_ENV", "production")
        .run(["demo", "--json"])
        .success();
    let mut codes = Vec::new();
    for line in output.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["schema_version"], 1);
        codes.extend(event["exit_code"].as_u64());
    }
    assert_eq!(codes, [0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    has(&output.stdout, &["whimbrel --url sqlite:shop.db status"]);
}
