//! The first hour with the program: the README's tour in an empty folder, and obvious mistakes,
//! each answered by a message that leads on.

use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

use crate::guide;

const USERS: &str = "migrations/0001_create_users.sql";

fn whimbrel(project: &Project, arguments: &[&str]) -> Output {
    Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path()).run(arguments)
}

/// A project as `init` and `new` leave it, with a database.
fn begun() -> Project {
    let project = Project::new();
    whimbrel(&project, &["init"]).success();
    whimbrel(&project, &["new", "create", "users"]).success();
    project.file(".env", "DATABASE_URL=sqlite:app.db\n");
    project
}

#[track_caller]
fn says(output: &Output, wanted: &[&str]) {
    for want in wanted {
        assert!(output.stderr.contains(want), "`{want}` is missing:\n{output}");
    }
}

/// A chapter of the README.
fn chapter(heading: &str) -> &'static str {
    let readme = include_str!("../../../../README.md");
    let text = readme.split(heading).nth(1).expect("the chapter");
    text.split("\n## ").next().unwrap_or_default()
}

#[test]
fn rows_can_be_moved_with_the_readme_alone() {
    let project = Project::new();
    let output = guide::follow(chapter("## Moving rows"), project.path(), &[]);
    assert!(output.stdout.contains("3 rows are in quarantine"), "{output}");
    assert!(output.stdout.contains("holds: no row was lost"), "{output}");
    let status = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path())
        .env("DATABASE_URL", "sqlite:shop.db")
        .run(["status"])
        .success();
    assert!(status.stdout.contains("2 applied, 1 pending"), "{status}");
}

#[test]
fn the_guide_names_every_refusal() {
    let guide = include_str!("../../../../docs/guides/data-migrations.md");
    for code in whimbrel_core::data::RefusalCode::ALL {
        assert!(guide.contains(&format!("`{}`", code.code())), "{}", code.code());
    }
}

#[test]
fn the_tour_of_the_readme_works() {
    let project = Project::new();
    let output = guide::follow(chapter("## One minute on SQLite"), project.path(), &[]);
    assert!(output.stdout.contains("Applied 1 migration"), "{output}");
    assert!(output.stdout.contains("Took back 1 migration"), "{output}");
}

#[test]
fn a_project_can_be_begun_before_its_database_is_named() {
    let project = Project::new();
    whimbrel(&project, &["init"]).success();
    whimbrel(&project, &["new", "create", "users"]).success();
    let output = whimbrel(&project, &["status"]).expect_code(2);
    says(&output, &["`DATABASE_URL` is not set", "whimbrel.toml line", ".env"]);
}

#[test]
fn paths_are_shown_as_one_would_type_them() {
    let output = whimbrel(&begun(), &["status"]).success();
    assert!(output.stdout.starts_with("app.db (sqlite)"), "{output}");
}

#[test]
fn a_wrong_url_names_the_right_one() {
    let project = begun();
    for (url, wanted) in [
        ("postgress://ann:secret@localhost/app", "Did you mean `postgres:`?"),
        ("sqllite:app.db", "Did you mean `sqlite:`?"),
        ("app", "sqlite:path/to/file.db"),
        ("", "The database URL is empty"),
    ] {
        let output = whimbrel(&project, &["--url", url, "status"]).expect_code(2);
        says(&output, &[wanted, "--url"]);
        assert!(!output.stderr.contains("secret"), "{output}");
    }
}

#[test]
fn a_file_in_a_folder_that_is_not_there() {
    let output = whimbrel(&begun(), &["--url", "sqlite:nowhere/app.db", "up"]).expect_code(1);
    says(&output, &["unable to open", "There is no folder `nowhere`", "doctor --explain"]);
}

#[test]
fn a_slip_in_sql_is_shown_with_its_place_and_leaves_nothing() {
    let project = begun();
    project
        .file(USERS, "CREATE TABLE a (id INTEGER);\nCREATE TABLE users (\n  name TEXT NOT NUL\n);");
    let output = whimbrel(&project, &["up"]).expect_code(1);
    says(
        &output,
        &["migrations/0001_create_users.sql:3:", "near \"NUL\"", "Nothing of the failed"],
    );
    let status = whimbrel(&project, &["status"]).success();
    assert!(status.stdout.contains("0 applied, 1 pending"), "{status}");
}

#[test]
fn an_edited_applied_file_is_refused_with_both_ways_out() {
    let project = begun();
    project.file(USERS, "CREATE TABLE users (id INTEGER);");
    whimbrel(&project, &["up"]).success();
    project.file(USERS, "CREATE TABLE users (id INTEGER, name TEXT);");
    project.file("migrations/0002_more.sql", "CREATE TABLE more (id INTEGER);");
    let output = whimbrel(&project, &["up"]).expect_code(4);
    says(&output, &["changed after it was applied", "new migration", "whimbrel accept"]);
    assert_eq!(output.stderr.matches("changed after it was applied").count(), 1, "{output}");
    whimbrel(&project, &["accept", "--reason", "by hand"]).success();
    whimbrel(&project, &["up"]).success();
}

#[test]
fn a_missing_folder_is_named() {
    let project = Project::new();
    let output = whimbrel(&project, &["--project", "nowhere", "status"]).expect_code(2);
    says(&output, &["There is no folder `nowhere`"]);
    let output = whimbrel(&project, &["--url", "sqlite:app.db", "up"]).expect_code(2);
    says(&output, &["There is no folder `migrations`", "whimbrel new NAME", "--project"]);
    assert!(project.files().is_empty(), "nothing was made");
}

#[test]
fn an_empty_migration_is_said_and_an_empty_way_back_is_refused() {
    let project = begun();
    says(&whimbrel(&project, &["up"]).success(), &["no statement in it, only recorded"]);
    project.file("migrations/0002_more.sql", "CREATE TABLE more (id INTEGER);");
    project.file("migrations/0002_more.down.sql", "-- still to be written\n");
    whimbrel(&project, &["up"]).success();
    let output = whimbrel(&project, &["down"]).expect_code(2);
    says(&output, &["has no way back", "migrations/0002_more.down.sql", "--from-file"]);
    project.file("migrations/0002_more.down.sql", "DROP TABLE more;");
    whimbrel(&project, &["down", "--from-file", "--yes"]).success();
}

#[test]
fn every_verb_helps_with_its_exit_codes() {
    let project = Project::new();
    let general = whimbrel(&project, &["--help"]).success();
    let list = general.stdout.split("Commands:\n").nth(1).unwrap();
    let verbs: Vec<&str> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 19, "{verbs:?}");
    for verb in verbs {
        let output = whimbrel(&project, &[verb, "--help"]).success();
        assert!(output.stdout.contains("Exit codes:"), "{verb}: {output}");
        assert!(output.stdout.contains(&format!("Usage: whimbrel {verb}")), "{verb}: {output}");
    }
}

#[test]
fn the_doctor_warns_and_says_what_to_do() {
    let project = begun();
    let output = whimbrel(&project, &["doctor"]).success();
    assert!(output.stdout.contains("note     file"), "{output}");
    assert!(output.stdout.contains("`whimbrel up` makes it"), "{output}");
    crate::engines::on("mariadb", |bench| {
        bench.project.folder("migrations");
        let output = bench.whimbrel().run(["doctor"]).success();
        assert!(!output.stdout.contains("warning"), "{output}");
        bench.database.query("ALTER DATABASE CHARACTER SET latin1");
        let output = bench.whimbrel().run(["doctor"]).success();
        assert!(output.stdout.contains("warning  character_set_database"), "{output}");
        assert!(output.stdout.contains("CHARACTER SET utf8mb4"), "{output}");
        let output = bench.whimbrel().run(["doctor", "--json"]).success();
        assert!(output.stdout.contains("\"state\": \"warning\""), "{output}");
    });
    crate::engines::on("postgres", |bench| {
        bench.project.folder("migrations");
        let name = &bench.database.name;
        bench
            .database
            .admin(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on;"));
        let output = bench.whimbrel().run(["doctor"]).expect_code(3);
        assert!(output.stdout.contains("bad      default_transaction_read_only"), "{output}");
    });
}
