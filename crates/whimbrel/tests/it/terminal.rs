//! What is asked on a terminal: `script` (util-linux) gives the program a real one.

use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

/// A project whose one migration is applied and has a way back.
fn applied() -> Project {
    let project = Project::new();
    project
        .file("whimbrel.toml", "[project]\nurl = \"sqlite:app.db\"\n")
        .file("migrations/0001_users.sql", "CREATE TABLE users (id INTEGER PRIMARY KEY);\n")
        .file("migrations/0001_users.down.sql", "DROP TABLE users;\n");
    whimbrel(&project, &["up"]).success();
    project
}

fn whimbrel(project: &Project, arguments: &[&str]) -> Output {
    Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path()).run(arguments)
}

/// Runs the program on a terminal on which `typed` is typed. What it says is its standard output.
fn on_a_terminal(project: &Project, arguments: &str, typed: &str) -> Output {
    let command = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_whimbrel"));
    Whimbrel::new("script", project.path()).stdin(typed).run([
        "--quiet",
        "--return",
        "--command",
        &command,
        "/dev/null",
    ])
}

fn status(project: &Project) -> String {
    whimbrel(project, &["status"]).success().stdout
}

#[test]
fn the_phrase_is_asked_for_and_read_from_the_terminal() {
    let project = applied();
    let down = on_a_terminal(&project, "down", "DELETE USERS TABLE\n").success();
    assert!(down.stdout.contains("Type `DELETE USERS TABLE` to go on:"), "{down}");
    assert!(down.stdout.contains("Took back 1 migration"), "{down}");
    assert!(status(&project).contains("1 pending"));
}

#[test]
fn anything_but_the_phrase_changes_nothing() {
    let project = applied();
    for typed in ["delete users table\n", "yes\n", "\n", "\u{4}"] {
        let down = on_a_terminal(&project, "down", typed).expect_code(6);
        assert!(down.stdout.contains("Nothing was changed"), "{typed:?}: {down}");
    }
    assert!(status(&project).contains("1 applied"));
}

#[test]
fn an_interrupt_at_the_question_ends_it() {
    let project = applied();
    // Typed when the question is there; before that it would be none at the question.
    let script = format!(
        "touch on; (until grep -qs 'to go on' log; do sleep 0.05; done; printf '\\003'; \
         while [ -e on ]; do sleep 0.05; done) | \
         {{ script --quiet --return --flush --command \"'{}' down\" log; code=$?; rm on; exit $code; }}",
        env!("CARGO_BIN_EXE_whimbrel")
    );
    let down = Whimbrel::new("sh", project.path()).run(["-c", &script]).expect_code(130);
    assert!(down.stdout.contains("Nothing was changed"), "{down}");
    assert!(status(&project).contains("1 applied"));
}
