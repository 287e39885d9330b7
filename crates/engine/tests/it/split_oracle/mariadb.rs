//! What `mariadb` sends, as the server's general log shows it.

use std::io::Write;
use std::process::Stdio;

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::split::split;
use whimbrel_testkit::database::{TestDatabase, fresh_mariadb};

use super::{code, ours, report, texts};

const FRAGMENTS: [&str; 22] = [
    "SELECT 1",
    "; ",
    ";\n",
    "'a;b'",
    "'it''s;'",
    "'x\\';y'",
    "\"q;\\\"r\"",
    "`t;``u`",
    " -- c; 'd\n",
    "# e; '\n",
    "/* f; ' */",
    "/*!50003 , 3 */",
    ", 2",
    " AS ",
    "SELECT ",
    "--1",
    ";\nDELIMITER //\nSELECT 'a;//' // SELECT 2; SELECT 3//\nDELIMITER ;\n",
    " // ",
    "\r\n",
    "é",
    "(1, ';')",
    "\n",
];

/// What the client changes or keeps for itself.
const CLIENTS_OWN: [&str; 4] = [
    "mysql/routines.txt: ",
    "mysql/plain.txt: a comment in an executable comment",
    "mysql/plain.txt: the sandbox line of a dump",
    "mysql/plain.txt: use without a delimiter",
];

/// Runs the client over the text, however many errors there are.
fn send(database: &TestDatabase, number: usize, sql: &str) {
    let mut command = database.client_command();
    command.args(["--force", "--default-character-set=utf8mb4"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let text = format!("SELECT 'text {number} of {}';\n{sql}", database.name);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap();
}

/// What stands before another delimiter is sent at once; the server cuts it.
fn statements_in(sent: &str) -> Vec<String> {
    let Ok(pieces) = split(sent, Dialect::Mysql) else { return vec![code(sent, Dialect::Mysql)] };
    pieces.iter().map(|piece| code(piece.text(sent), Dialect::Mysql)).collect()
}

/// The log's table knows no characters of four bytes.
fn as_logged(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.len_utf8() == 4 {
            let bytes = c.to_string().into_bytes();
            out.extend(bytes.iter().map(|byte| format!("\\x{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    out
}

fn unhex(hex: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    let bytes: Vec<u8> =
        pairs.iter().map(|[a, b]| u8::try_from(digit(*a) * 16 + digit(*b)).unwrap()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The statements of the session that began with the text's mark.
fn sent(database: &TestDatabase) -> Vec<Vec<String>> {
    let mark = format!("of {}''", database.name);
    let rows = database.admin(&format!(
        "SELECT thread_id, HEX(argument) FROM mysql.general_log WHERE command_type = 'Query' \
         AND thread_id IN (SELECT thread_id FROM mysql.general_log WHERE command_type = 'Query' \
         AND argument LIKE 'SELECT ''text % {mark}') ORDER BY event_time, thread_id;"
    ));
    let mut sent: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows.lines() {
        let (thread, hex) = row.split_once('|').unwrap_or((row, ""));
        let statement = unhex(hex);
        match sent.iter_mut().find(|(known, _)| known == thread) {
            Some((_, statements)) => statements.push(statement),
            None => sent.push((thread.to_owned(), vec![statement])),
        }
    }
    sent.into_iter().map(|(_, statements)| statements).collect()
}

#[test]
fn mariadb_sends_what_we_cut() {
    let Some(database) = fresh_mariadb("split_oracle") else { return };
    database.admin("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON;");
    let mut texts = texts(Dialect::Mysql, &FRAGMENTS);
    texts.retain(|text| !CLIENTS_OWN.iter().any(|own| text.name.starts_with(own)));
    for (number, text) in texts.iter().enumerate() {
        send(&database, number, &text.sql);
    }
    let sent = sent(&database);
    database.admin("SET GLOBAL general_log = OFF; TRUNCATE mysql.general_log;");
    let mut wrong = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let mark = format!("SELECT 'text {number} of {}'", database.name);
        let Some(statements) = sent.iter().find(|one| one.contains(&mark)) else {
            wrong.push(format!("{}: not in the log", text.name));
            continue;
        };
        let from = statements.iter().position(|one| *one == mark).unwrap_or(0) + 1;
        let mut theirs: Vec<String> =
            statements[from..].iter().flat_map(|one| statements_in(one)).collect();
        theirs.retain(|statement| !statement.is_empty());
        let ours: Vec<String> =
            ours(text, Dialect::Mysql).iter().map(|one| as_logged(one)).collect();
        if ours != theirs {
            wrong.push(format!("{text}\n  mariadb {theirs:?}\n  ours    {ours:?}"));
        }
    }
    report(&wrong);
}
