//! What `psql` sends, as the server's log shows it.

use std::io::Write;

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_testkit::database::{TestDatabase, fresh_postgres};

use super::{code, ours, report, texts};

const FRAGMENTS: [&str; 22] = [
    "SELECT 1",
    "; ",
    ";\n",
    "'a;b'",
    "'it''s;'",
    "\"q;\"\"r\"",
    " E'x\\';y'",
    "$$ a; ' $$",
    "$t$ b; $$ $t$",
    " -- c; 'd\n",
    "/* e; /* ' */ ; */",
    ", 2",
    " AS ",
    "(SELECT 1; 2)",
    "U&'d;'",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
    "SELECT ",
    "B'01'",
    " x'0f' ",
    "\r\n",
    "é",
    ";\nCOPY nowhere FROM stdin;\n1;'\n\\.\n",
];

/// Runs psql over the text, however many errors there are.
fn send(database: &TestDatabase, number: usize, sql: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(sql.as_bytes()).unwrap();
    let mut command = std::process::Command::new("psql");
    command.args(["-X", "-q", "-d", &database.url]);
    command.args(["-c", &format!("SELECT 'text {number}'"), "-f"]).arg(file.path());
    command.output().unwrap();
}

#[test]
fn psql_sends_what_we_cut() {
    let Some(database) = fresh_postgres("split_oracle") else { return };
    // A COPY that fails takes no rows: psql would send them as statements.
    for table in ["nowhere", "t", "a", "b", "\"a;b\""] {
        database.query(&format!("CREATE TABLE {table} (a text, b text, id text);"));
    }
    database.log_statements();
    let texts = texts(Dialect::Postgres, &FRAGMENTS);
    for (number, text) in texts.iter().enumerate() {
        send(&database, number, &text.sql);
    }
    let logged = database.logged_statements();
    let mut sent: Vec<Vec<String>> = Vec::new();
    for statement in logged {
        if statement == format!("SELECT 'text {}'", sent.len()) {
            sent.push(Vec::new());
        } else if let Some(last) = sent.last_mut() {
            last.push(code(&statement, Dialect::Postgres));
        }
    }
    assert_eq!(sent.len(), texts.len());
    let mut wrong = Vec::new();
    for (text, mut sent) in texts.iter().zip(sent) {
        sent.retain(|statement| !statement.is_empty());
        let ours = ours(text, Dialect::Postgres);
        if ours != sent {
            wrong.push(format!("{text}\n  psql {sent:?}\n  ours {ours:?}"));
        }
    }
    report(&wrong);
}
