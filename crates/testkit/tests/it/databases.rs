//! Fresh databases answer, are empty, are apart from each other and disappear.

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};
use whimbrel_testkit::servers::PASSWORD;

fn answers_and_dumps(database: &TestDatabase) {
    assert_eq!(database.schema(), "");
    database.query("CREATE TABLE owner (id int PRIMARY KEY, name varchar(20));");
    database.query("CREATE TABLE whimbrel_own (id int);");
    database.query("INSERT INTO owner VALUES (2, NULL), (1, 'Ada');");
    assert_eq!(database.query("SELECT id, name FROM owner ORDER BY id;"), "1|Ada\n2|NULL");
    let schema = database.schema();
    assert!(schema.contains("owner"), "{schema}");
    let rows = database.rows();
    assert_eq!(rows.lines().filter(|line| line.starts_with("INSERT INTO")).count(), 2, "{rows}");
    assert!(database.try_query("SELECT nothing FROM nowhere;").is_err());
}

#[test]
fn sqlite_is_fresh() {
    let (one, two) = (fresh_sqlite(), fresh_sqlite());
    answers_and_dumps(&one);
    assert!(!one.schema().contains("whimbrel_own"));
    assert_eq!(two.schema(), "");
}

#[test]
fn postgres_is_fresh_and_dropped() {
    let Some(one) = fresh_postgres("Harness one") else { return };
    let Some(two) = fresh_postgres("Harness one") else { return };
    answers_and_dumps(&one);
    assert_eq!(two.schema(), "");
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{}';", one.name);
    assert_eq!(two.query(&count), "1");
    drop(one);
    assert_eq!(two.query(&count), "0");
}

#[test]
fn postgres_roles_and_commits_are_like_a_real_server() {
    let Some(database) = fresh_postgres("settings") else { return };
    // What is committed survives the server's process, synced or not.
    assert_eq!(database.query("SHOW synchronous_commit;"), "on");
    assert_eq!(database.query("SELECT rolsuper FROM pg_roles WHERE rolname = user;"), "f");
    assert_eq!(database.admin("SELECT current_database();"), database.name);
    let wrong = database.url.replace(PASSWORD, "wrong");
    let mut psql = std::process::Command::new("psql");
    let status = psql.args(["-X", "-d", &wrong, "-c", "SELECT 1"]).output().unwrap().status;
    assert!(!status.success(), "a wrong password must be refused");
}

#[test]
fn postgres_statements_are_read_from_the_log() {
    let Some(database) = fresh_postgres("log") else { return };
    database.query("SELECT 'before';");
    database.log_statements();
    database.query("SELECT\n  'after';");
    let statements = database.logged_statements();
    assert_eq!(statements, ["SELECT\n  'after';"]);
}

#[test]
fn the_pooler_forwards_in_transaction_mode() {
    let Some(database) = fresh_postgres("pooler") else { return };
    let url = database.pooled_url();
    let psql = |sql: &str| {
        let mut command = std::process::Command::new("psql");
        let output = command.args(["-X", "-A", "-t", "-d", &url, "-c", sql]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(psql("SELECT current_database();"), database.name);
    let mode = psql("SELECT 1;");
    assert_eq!(mode, "1");
    let admin = url.replace(&database.name, "pgbouncer");
    let output = std::process::Command::new("psql")
        .args(["-X", "-A", "-t", "-d", &admin, "-c", "SHOW CONFIG"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("pool_mode|transaction"), "{text}");
}

#[test]
fn mariadb_is_fresh_and_dropped() {
    let Some(one) = fresh_mariadb("Harness one") else { return };
    let Some(two) = fresh_mariadb("Harness one") else { return };
    answers_and_dumps(&one);
    assert!(!one.schema().contains("whimbrel_own"), "{}", one.schema());
    assert_eq!(two.schema(), "");
    assert_eq!(
        one.admin("SELECT DATABASE(), CURRENT_USER();"),
        format!("{}|root@localhost", one.name)
    );
    let name = one.name.clone();
    drop(one);
    let count =
        format!("SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{name}';");
    assert_eq!(two.query(&count), "0");
}
