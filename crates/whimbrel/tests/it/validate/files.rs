//! What only one engine has: dynamic types, other schemas, tables without a key.

use whimbrel_testkit::database::{TestDatabase, fresh_postgres, fresh_sqlite};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

fn validate(database: &TestDatabase, project: &Project, arguments: &[&str]) -> Output {
    std::fs::create_dir_all(project.path().join("migrations")).unwrap();
    let program = env!("CARGO_BIN_EXE_whimbrel");
    let mut all = vec!["validate"];
    all.extend_from_slice(arguments);
    Whimbrel::new(program, project.path()).env("DATABASE_URL", &database.url).run(all)
}

#[test]
fn sqlite_takes_values_that_do_not_fit_and_validate_finds_them() {
    let (database, project) = (fresh_sqlite(), Project::new());
    database.query(
        "CREATE TABLE t (n INTEGER, name VARCHAR(3), ok BOOLEAN, price DECIMAL(4,2), x);
         INSERT INTO t VALUES (1, 'abc', 1, 12.34, 'any'), ('one', 'abcd', 2, 123.4, X'00'),
         (NULL, NULL, NULL, NULL, NULL);",
    );
    let output = validate(&database, &project, &[]).expect_code(3);
    for line in [
        "rowid=2  n `one`: The value does not fit the type `INTEGER`",
        "rowid=2  name `abcd`: The value does not fit the type `VARCHAR(3)`",
        "rowid=2  ok `2`: The value does not fit the type `BOOLEAN`",
        "rowid=2  price `123.4`: The value does not fit the type `DECIMAL(4,2)`",
        "4 violations in 3 rows of 1 table",
    ] {
        assert!(output.stdout.contains(line), "{line}\n{output}");
    }
}

#[test]
fn a_parent_that_is_gone_is_found() {
    let (database, project) = (fresh_sqlite(), Project::new());
    database.query(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES gone (id));
         CREATE TABLE pair (x TEXT, y TEXT, PRIMARY KEY (x, y));
         CREATE TABLE c (id INTEGER PRIMARY KEY, x TEXT, y TEXT,
           FOREIGN KEY (x, y) REFERENCES pair);
         INSERT INTO a VALUES (1, 5), (2, NULL); INSERT INTO pair VALUES ('p', 'q');
         INSERT INTO c VALUES (1, 'p', 'q'), (2, 'p', 'r'), (3, 'p', NULL);",
    );
    let output = validate(&database, &project, &[]).expect_code(3);
    assert!(output.stdout.contains("id=1  b `5`: The table `gone`"), "{output}");
    assert!(output.stdout.contains("c: foreign-key x, y -> pair (1x)"), "{output}");
    assert!(output.stdout.contains("id=2  x `p`"), "{output}");
}

#[test]
fn the_folder_of_rules_can_be_named() {
    let (database, project) = (fresh_sqlite(), Project::new());
    database.query("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (-1);");
    let rule = "{\"properties\": {\"id\": {\"minimum\": 0}}}";
    project.file("more/t.schema.json", rule);
    validate(&database, &project, &[]).success();
    let output = validate(&database, &project, &["--rules", "more"]).expect_code(3);
    assert!(output.stdout.contains("more/t.schema.json"), "{output}");
    let output = validate(&database, &project, &["--rules", "none"]).expect_code(2);
    assert!(output.stderr.contains("none"), "{output}");
    project.file("more/t.json", rule);
    let output = validate(&database, &project, &["--rules", "more"]).expect_code(2);
    assert!(output.stderr.contains("`t.json` does not name a table"), "{output}");
    std::fs::remove_file(project.path().join("more/t.json")).unwrap();
    project.file("more/main.t.schema.json", rule);
    let output = validate(&database, &project, &["--rules", "more"]).expect_code(2);
    assert!(output.stderr.contains("has its rules in"), "{output}");
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let (database, project) = (fresh_sqlite(), Project::new());
    let output = validate(&database, &project, &[]).expect_code(2);
    assert!(output.stderr.contains("There is no database"), "{output}");
    assert!(!std::path::Path::new(&database.name).exists());
}

#[test]
fn a_file_names_the_schema_of_its_table() {
    let Some(database) = fresh_postgres("validate_schema") else { return };
    let project = Project::new();
    database.query(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id INTEGER PRIMARY KEY);
         CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO auth.users VALUES (-1);
         INSERT INTO users VALUES (-2);",
    );
    project.file("rules/auth.users.schema.json", "{\"properties\": {\"id\": {\"minimum\": 0}}}");
    let output = validate(&database, &project, &[]).expect_code(3);
    assert!(output.stdout.contains("auth.users: json-schema minimum"), "{output}");
    assert!(output.stdout.contains("id=-1") && !output.stdout.contains("id=-2"), "{output}");
}
