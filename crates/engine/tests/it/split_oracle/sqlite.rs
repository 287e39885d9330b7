//! SQLite's parser says where a statement ends, also when it does not like what it says.

use std::ffi::{CStr, c_char};

use rusqlite::{Connection, ffi};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::split::split;

use super::{Text, report, texts};

/// Most of them whole: behind what the parser does not understand nothing is judged.
const FRAGMENTS: [&str; 18] = [
    "SELECT 1;",
    "; ",
    ";\n",
    "SELECT 'a;b', 'it''s;';",
    "SELECT \"q;\"\"r\", [x;y], `t;`;",
    " -- c; 'd\n",
    "/* e; ' */",
    "CREATE TABLE t(a, b);",
    "INSERT INTO t VALUES (1, ';');",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM t; END;",
    "SELECT CASE WHEN 1 THEN 2 END AS \"end;\";",
    "SELECT ",
    "DELETE FROM t",
    " x'00' ",
    "\r\n",
    "SELECT 'é';",
    "EXPLAIN ",
    "CREATE TEMP TRIGGER IF NOT EXISTS h INSTEAD OF DELETE ON v BEGIN \
     SELECT 'END;'; /* END; */ SELECT 2; -- END;\n END;",
];

/// What the parser found at the start of a text.
struct Found {
    /// Bytes up to and with the semicolon.
    length: usize,
    is_statement: bool,
    /// It stopped in the middle, so that nothing can be said of the rest.
    is_syntax_error: bool,
}

#[expect(unsafe_code, reason = "the safe interface hides where the parser stopped")]
fn prepare(connection: &Connection, sql: &str) -> Found {
    let mut statement = std::ptr::null_mut();
    let mut tail: *const c_char = std::ptr::null();
    let start = sql.as_ptr().cast::<c_char>();
    let length = i32::try_from(sql.len()).unwrap();
    // SAFETY: the handle is open for as long as `connection` lives, `sql` outlives the call, and
    // `tail` points into it or is null afterwards.
    let (code, message, length) = unsafe {
        let db = connection.handle();
        let code = ffi::sqlite3_prepare_v2(db, start, length, &raw mut statement, &raw mut tail);
        let message = CStr::from_ptr(ffi::sqlite3_errmsg(db)).to_string_lossy().into_owned();
        let length =
            if tail.is_null() { sql.len() } else { tail.offset_from(start).unsigned_abs() };
        if code == ffi::SQLITE_OK && !statement.is_null() {
            ffi::sqlite3_step(statement);
        }
        ffi::sqlite3_finalize(statement);
        (code, message, length)
    };
    let failed = code != ffi::SQLITE_OK;
    let words = ["syntax error", "incomplete input", "unrecognized token"];
    Found {
        length,
        is_statement: failed || !statement.is_null(),
        is_syntax_error: failed
            && (words.iter().any(|word| message.contains(word))
                || !sql.get(..length).is_some_and(|text| text.trim_end().ends_with(';'))),
    }
}

/// How many statements were judged, and where it is not as we say.
fn judge(text: &Text) -> (usize, Option<String>) {
    let connection = Connection::open_in_memory().unwrap();
    let ours = split(&text.sql, Dialect::Sqlite).unwrap();
    let (mut at, mut judged) = (0, 0);
    while at < text.sql.len() {
        let found = prepare(&connection, &text.sql[at..]);
        if found.is_syntax_error || found.length == 0 {
            break;
        }
        let end = at + found.length;
        let inside: Vec<_> =
            ours.iter().filter(|one| (at..end).contains(&one.span.start)).collect();
        let whole = inside.iter().all(|one| one.span.end <= end);
        if inside.len() != usize::from(found.is_statement) || !whole {
            let piece = &text.sql[at..end];
            let texts: Vec<&str> = inside.iter().map(|one| one.text(&text.sql)).collect();
            return (judged, Some(format!("{text}\n  sqlite {piece:?}\n  ours   {texts:?}")));
        }
        judged += usize::from(found.is_statement);
        at = end;
    }
    (judged, None)
}

#[test]
fn sqlite_cuts_as_we_do() {
    let texts = texts(Dialect::Sqlite, &FRAGMENTS);
    let (mut judged, mut wrong) = (0, Vec::new());
    for text in &texts {
        let (count, disagreement) = judge(text);
        judged += count;
        wrong.extend(disagreement);
    }
    report(&wrong);
    assert!(judged >= 150, "only {judged} statements were judged");
}
