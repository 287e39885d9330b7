//! The splitter against each database's own: the texts of the corpus and random ones are cut where
//! SQLite's parser, `psql` and `mariadb` cut them.
//!
//! Cases that are refused, and those in which the client is known to be wrong (`beyond_*.txt`), are
//! left out. Texts are compared by their code tokens, as clients drop comments.

use std::fmt;

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::lex;
use whimbrel_core::sql::split::split;
use whimbrel_testkit::corpus::{Case, Expected, split_cases};

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// How many random texts each database sees.
const RANDOM_TEXTS: usize = 150;

/// A text to be cut, with a name for messages.
struct Text {
    name: String,
    sql: String,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  text   {:?}", self.name, self.sql)
    }
}

/// The texts of the corpus and the random ones that our splitter takes.
fn texts(dialect: Dialect, fragments: &[&str]) -> Vec<Text> {
    let cases = split_cases().unwrap();
    let judged = |case: &Case| {
        case.dialect == dialect.name()
            && matches!(case.expected, Expected::Statements(_))
            && !case.name.contains("/beyond_")
            && !case.sql.contains("restrict")
    };
    let mut texts: Vec<Text> = cases
        .into_iter()
        .filter(judged)
        .map(|case| Text { name: case.name, sql: case.sql })
        .collect();
    let mut random = Random(0x5eed);
    let mut made = 0;
    while made < RANDOM_TEXTS {
        let length = 2 + random.below(12);
        let sql: String = (0..length).map(|_| fragments[random.below(fragments.len())]).collect();
        if split(&sql, dialect).is_ok() {
            texts.push(Text { name: format!("random {made}"), sql });
            made += 1;
        }
    }
    texts
}

/// A small generator (Knuth's MMIX constants), so that every run sees the same texts.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Our statements, by their code tokens.
fn ours(text: &Text, dialect: Dialect) -> Vec<String> {
    let statements = split(&text.sql, dialect).unwrap();
    statements.iter().map(|statement| code(statement.text(&text.sql), dialect)).collect()
}

/// The code tokens of a statement, without what stands between them (clients put a blank there).
fn code(sql: &str, dialect: Dialect) -> String {
    let sql = sql.replace("\r\n", "\n");
    let tokens = lex(&sql, dialect);
    let words = tokens.iter().filter(|token| !token.is_trivia()).map(|token| token.text(&sql));
    let text: String = words.collect();
    text.trim_end_matches(';').to_owned()
}

/// Fails with all disagreements.
fn report(disagreements: &[String]) {
    let count = disagreements.len();
    assert!(disagreements.is_empty(), "{count} disagreements:\n{}", disagreements.join("\n"));
}
