//! What a trigger's text says of the tables that it writes.

use super::key;
use super::mentions;
use super::rewrite::DataKind;
use crate::ddl::name::same_column_name;
use crate::snapshot::{Table, Trigger};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, ident_value, lex};

/// Whether the trigger fires for this kind of change; in doubt it does.
pub(super) fn fires(trigger: &Trigger, kind: DataKind, dialect: Dialect) -> bool {
    let sql = &trigger.definition;
    let mut words = Vec::new();
    for token in lex(sql, dialect) {
        if token.kind == TokenKind::Word {
            words.push(token.text(sql).to_ascii_uppercase());
        }
        if words.last().is_some_and(|word| word == "ON") {
            break;
        }
    }
    let word = match kind {
        DataKind::Update => "UPDATE",
        DataKind::Delete => "DELETE",
        DataKind::Insert => "INSERT",
    };
    let named = ["UPDATE", "DELETE", "INSERT"].iter().any(|event| words.iter().any(|w| w == event));
    !named || words.iter().any(|found| found == word)
}

/// The words of a body, names unquoted; PostgreSQL's bodies are strings.
fn words(body: &str, dialect: Dialect) -> Vec<String> {
    let mut words = Vec::new();
    for token in lex(body, dialect) {
        match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => {
                words.push(ident_value(token.text(body), dialect).to_lowercase());
            }
            TokenKind::Str if dialect == Dialect::Postgres && token.text(body).starts_with('$') => {
                let text = token.text(body);
                let inner = text.split_once('$').and_then(|(_, rest)| rest.split_once('$'));
                let inner = inner.map_or("", |(_, rest)| rest);
                for token in lex(inner, dialect) {
                    if !token.is_trivia() && token.kind != TokenKind::Str {
                        words.push(ident_value(token.text(inner), dialect).to_lowercase());
                    }
                }
            }
            TokenKind::Dot | TokenKind::Op => words.push(token.text(body).to_owned()),
            _ => {}
        }
    }
    words
}

/// Words before the table that a statement writes.
const VERBS: [&str; 15] = [
    "into",
    "update",
    "from",
    "only",
    "ignore",
    "replace",
    "insert",
    "delete",
    "truncate",
    "table",
    "abort",
    "fail",
    "rollback",
    "low_priority",
    "quick",
];

/// Whether a body writes the table; in doubt it does.
pub(super) fn writes(body: &str, table: &str, dialect: Dialect) -> bool {
    if is_dynamic(body, dialect) {
        return mentions::words(body, dialect).contains(&table.to_lowercase());
    }
    writings(&words(body, dialect), table) > 0
}

/// Whether a body runs SQL that it puts together.
fn is_dynamic(body: &str, dialect: Dialect) -> bool {
    let words = words(body, dialect);
    let runs = |pair: &[String]| match pair {
        [word, next] => {
            let grants = ["function", "procedure", "on"].contains(&next.as_str());
            (word == "execute" && !grants) || word == "prepare"
        }
        _ => false,
    };
    dialect != Dialect::Sqlite && words.windows(2).any(runs)
}

/// How often a body writes the table: INSERT INTO, UPDATE, DELETE FROM, REPLACE INTO, MERGE INTO,
/// and MySQL's UPDATE of joined tables.
fn writings(words: &[String], table: &str) -> usize {
    let table = table.to_lowercase();
    let before = |at: usize, by: usize| at.checked_sub(by).and_then(|at| words.get(at));
    let mut joined = false;
    let mut count = 0;
    for (at, word) in words.iter().enumerate() {
        let after = words.get(at + 1).map(String::as_str);
        match word.as_str() {
            // `AFTER UPDATE ON t` and `FOR UPDATE` write nothing.
            "update" => {
                let begins = before(at, 1).is_none_or(|word| word != "key" && word != "for");
                joined = begins && !matches!(after, Some("on" | "of" | "or"));
            }
            "set" | "select" | "values" => joined = false,
            _ => {}
        }
        if *word != table || before(at, 1).is_some_and(|word| word == "=") {
            continue;
        }
        // `schema.table` as well; behind a JOIN `table.column` is not the table.
        let by = if before(at, 1).is_some_and(|word| word == ".") { 3 } else { 1 };
        let verb = before(at, by).is_some_and(|word| VERBS.contains(&word.as_str()));
        let reads = before(at, by).is_some_and(|word| word == "from")
            && before(at, by + 1).is_none_or(|word| word != "delete");
        count += usize::from((verb && !reads) || (joined && after != Some(".")));
    }
    count
}

/// Whether a body that writes its own table writes only the row that fired it: each time a whole
/// unique key is compared with the same columns of NEW or OLD.
pub(super) fn only_own_row(body: &str, table: &Table, dialect: Dialect) -> bool {
    let words = words(body, dialect);
    let inserts = words.windows(2).any(|pair| pair == ["insert", "into"]);
    if inserts || is_dynamic(body, dialect) || words.iter().any(|word| word == "or") {
        return false;
    }
    let tied: Vec<&str> = words.iter().enumerate().filter_map(|(at, _)| tie(&words, at)).collect();
    let count =
        |column: &str| tied.iter().filter(|tied| same_column_name(tied, column, dialect)).count();
    let mut keys = key::unique_sets(table, dialect);
    if dialect == Dialect::Sqlite {
        keys.push(vec!["rowid".to_owned()]);
    }
    let times = writings(&words, &table.name.name);
    keys.iter().any(|set| set.iter().all(|column| count(column) >= times))
}

/// The column of `column = NEW.column`, or the other way round, whose `=` stands here.
fn tie(words: &[String], at: usize) -> Option<&str> {
    let word = |at: usize| words.get(at).map(String::as_str);
    let is_row = |at: usize| matches!(word(at), Some("new" | "old")) && word(at + 1) == Some(".");
    if !matches!(word(at), Some("=" | "==" | "is")) {
        return None;
    }
    let left = word(at.checked_sub(1)?)?;
    let right = match word(at + 2) {
        Some(".") => word(at + 3)?,
        _ => word(at + 1)?,
    };
    let one_row = is_row(at + 1) || at.checked_sub(3).is_some_and(is_row);
    (one_row && left == right).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes_t(body: &str, dialect: Dialect) -> bool {
        writes(body, "t", dialect)
    }

    #[test]
    fn every_way_to_write_is_seen() {
        use Dialect::{Mysql, Postgres, Sqlite};
        for (dialect, body, expected) in [
            (Sqlite, "BEGIN UPDATE t SET a = 1; END", true),
            (Sqlite, "BEGIN UPDATE OR FAIL t SET a = 1; END", true),
            (Sqlite, "BEGIN DELETE FROM \"t\" WHERE 1; END", true),
            (Sqlite, "BEGIN INSERT INTO o SELECT a FROM t; END", false),
            (
                Sqlite,
                "AFTER UPDATE ON t BEGIN UPDATE o SET a = 1 WHERE x IN (SELECT a FROM t); END",
                false,
            ),
            (Mysql, "BEGIN INSERT t VALUES (1); END", true),
            (Mysql, "BEGIN UPDATE o JOIN t ON o.x = t.a SET t.a = 1; END", true),
            (Mysql, "BEGIN UPDATE o, t SET t.a = 1; END", true),
            (Mysql, "BEGIN DELETE t FROM t JOIN o ON o.x = t.a; END", true),
            (Postgres, "AS $$ BEGIN UPDATE ONLY app.t SET a = 1; END $$", true),
            (Postgres, "AS $$ BEGIN SELECT a INTO x FROM t; END $$", false),
            (Postgres, "AS $$ BEGIN EXECUTE 'UPDATE t SET a = 1'; END $$", true),
            (Postgres, "AS $$ BEGIN EXECUTE format('UPDATE %I SET a = 1', 'o'); END $$", false),
            (Postgres, "AS $$ BEGIN INSERT INTO o SELECT 1 FROM t FOR UPDATE; END $$", false),
        ] {
            assert_eq!(writes_t(body, dialect), expected, "{body}");
        }
    }

    #[test]
    fn the_own_row_is_told_by_its_key() {
        let table = Table {
            name: crate::ddl::ObjectName::bare("t"),
            primary_key: vec!["id".to_owned()],
            columns: ["id", "a", "b"]
                .map(|name| crate::snapshot::Column { name: name.to_owned(), ..Default::default() })
                .to_vec(),
            ..Table::default()
        };
        for (body, expected) in [
            ("BEGIN UPDATE t SET a = 1 WHERE id = NEW.id; END", true),
            ("BEGIN UPDATE t SET a = 1 WHERE OLD.id = t.id AND b = 2; END", true),
            ("BEGIN UPDATE t SET a = 1 WHERE rowid = NEW.rowid; END", true),
            ("BEGIN UPDATE t SET a = 1 WHERE b = NEW.b AND id <> NEW.id; END", false),
            ("BEGIN UPDATE t SET a = 1 WHERE id = NEW.b; END", false),
            ("BEGIN UPDATE t SET a = 1 WHERE id = NEW.id OR b = 2; END", false),
            ("BEGIN UPDATE t SET a = 1 WHERE id = NEW.id; UPDATE t SET b = 1; END", false),
        ] {
            assert_eq!(only_own_row(body, &table, Dialect::Sqlite), expected, "{body}");
        }
    }
}
