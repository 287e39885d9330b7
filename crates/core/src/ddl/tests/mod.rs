//! Tables of statements and the changes read from them.
//!
//! A corpus file holds cases: the lines of one statement, each after `> `, then one line for each
//! change. Lines with `#` are headings.

mod properties;

use super::read;
use crate::sql::dialect::Dialect;

struct Case {
    sql: String,
    want: Vec<String>,
}

fn cases(corpus: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut in_sql = false;
    for line in corpus.lines().filter(|line| !line.starts_with("# ")) {
        if line.is_empty() {
            in_sql = false;
            continue;
        }
        match line.strip_prefix('>') {
            Some(sql) => {
                if !in_sql {
                    cases.push(Case { sql: String::new(), want: Vec::new() });
                }
                let case = cases.last_mut().unwrap();
                case.sql.push_str(sql.strip_prefix(' ').unwrap_or(sql));
                case.sql.push('\n');
            }
            None => cases.last_mut().unwrap().want.push(line.to_owned()),
        }
        in_sql = line.starts_with('>');
    }
    cases
}

#[track_caller]
fn check(dialect: Dialect, corpus: &str, cases_min: usize) {
    let cases = cases(corpus);
    assert!(cases.len() >= cases_min, "only {} cases", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        let got: Vec<String> = read(&case.sql, dialect).iter().map(ToString::to_string).collect();
        if got != case.want {
            wrong += &format!(
                "{}got:\n{}\nwant:\n{}\n\n",
                case.sql,
                got.join("\n"),
                case.want.join("\n")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn sqlite() {
    check(Dialect::Sqlite, include_str!("corpus/sqlite.txt"), 50);
}

#[test]
fn postgres() {
    check(Dialect::Postgres, include_str!("corpus/postgres.txt"), 100);
}

#[test]
fn mysql() {
    check(Dialect::Mysql, include_str!("corpus/mysql.txt"), 50);
}

#[test]
fn empty_text_holds_no_change() {
    for dialect in Dialect::ALL {
        assert_eq!(read("", dialect), []);
        assert_eq!(read(" ;; -- nothing\n", dialect), []);
    }
}
