use std::collections::BTreeSet;

use super::bounds::Bounds;
use super::*;
use crate::ddl::{Check, ForeignKey, ObjectName};
use crate::snapshot::{Column, Snapshot, Table, Unique};
use crate::sql::dialect::Dialect;

fn facts(expr: &str, dialect: Dialect, column: &str) -> Bounds {
    check::read(expr, dialect).remove(column).unwrap_or_default()
}

#[test]
fn checks_of_simple_forms_are_understood() {
    use Dialect::{Mysql, Postgres, Sqlite};
    let listed = |expr: &str, dialect| facts(expr, dialect, "a").listed;
    let ab = Some(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(listed("a IN ('a', 'b')", Sqlite), ab);
    assert_eq!(listed("(a = ANY (ARRAY['a'::text, 'b'::text]))", Postgres), ab);
    let cast =
        "((a)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))";
    assert_eq!(listed(cast, Postgres), ab);
    assert_eq!(listed("`a` in (_utf8mb4'a','b')", Mysql), ab);
    assert_eq!(listed("a = 'a' OR a = 'b'", Sqlite), ab);
    assert_eq!(listed("a IS NULL OR a IN ('a','b')", Sqlite), ab);
    assert_eq!(listed("a NOT IN ('a','b')", Sqlite), None);
    assert_eq!(listed("a IN ('a','b') OR c > 3", Sqlite), None);
    assert_eq!(listed("a IN (SELECT x FROM y)", Sqlite), None);
    let range = |expr: &str, dialect| {
        let found = facts(expr, dialect, "a");
        (found.low, found.high, found.above_low, found.below_high)
    };
    let one_to_five = (Some(1.0), Some(5.0), false, false);
    assert_eq!(range("a BETWEEN 1 AND 5", Sqlite), one_to_five);
    assert_eq!(range("((a >= 1) AND (a <= 5))", Postgres), one_to_five);
    assert_eq!(range("1 <= a AND 5 >= a", Mysql), one_to_five);
    assert_eq!(range("(a >= '-1'::integer)", Postgres), (Some(-1.0), None, false, false));
    assert_eq!(range("(a > (0)::numeric)", Postgres), (Some(0.0), None, true, false));
    assert_eq!(range("a > -2 and a < 3.5", Mysql), (Some(-2.0), Some(3.5), true, true));
    assert_eq!(range("NOT a > 3", Sqlite), (None, None, false, false));
    assert_eq!(range("a + 1 > 3", Sqlite), (None, None, false, false));
    let length = |expr: &str, dialect| {
        let found = facts(expr, dialect, "a");
        (found.length_min, found.length_max)
    };
    assert_eq!(length("length(a) >= 3 AND length(a) < 9", Sqlite), (Some(3), Some(8)));
    assert_eq!(length("(char_length((a)::text) = 5)", Postgres), (Some(5), Some(5)));
    assert!(facts("json_valid(`a`)", Mysql, "a").json);
    assert!(facts("a IS NOT NULL AND lower(a) = a", Sqlite, "a").not_null);
}

#[test]
fn a_check_of_any_text_is_no_trouble() {
    for text in ["", "(", ")", "a >", "((((", "a IN (", "and and", "'", "a BETWEEN 1", "= ANY ("] {
        for dialect in Dialect::ALL {
            let _ = check::read(text, dialect);
        }
    }
    let deep = "(".repeat(10_000) + "a > 1" + &")".repeat(10_000);
    assert!(check::read(&deep, Dialect::Sqlite).is_empty());
}

fn column(name: &str, type_name: &str) -> Column {
    Column { name: name.to_owned(), type_name: type_name.to_owned(), ..Column::default() }
}

fn table(name: &str, columns: &[(&str, &str)], key: &[&str]) -> Table {
    Table {
        name: ObjectName::bare(name),
        columns: columns.iter().map(|(name, type_name)| column(name, type_name)).collect(),
        primary_key: key.iter().map(|name| (*name).to_owned()).collect(),
        ..Table::default()
    }
}

fn refers(table: &mut Table, column: &str, to: &str) {
    table.foreign_keys.push(ForeignKey {
        columns: vec![column.to_owned()],
        to_table: ObjectName::bare(to),
        to_columns: vec!["id".to_owned()],
        ..ForeignKey::default()
    });
}

const WISHES: Wishes = Wishes { seed: 7, null_rate: 0.0 };

fn maker(table: &Table, snapshot: &Snapshot) -> Maker {
    let turn = Turn { table, later: Vec::new() };
    Maker::new(&turn, snapshot, Dialect::Sqlite, None, &WISHES).unwrap()
}

#[test]
fn unique_values_are_unique_and_fit() {
    let mut users = table(
        "users",
        &[("id", "INTEGER"), ("email", "VARCHAR(12)"), ("code", "CHAR(2)"), ("age", "SMALLINT")],
        &["id"],
    );
    users.uniques = vec![
        Unique { name: None, columns: vec!["email".to_owned()] },
        Unique { name: None, columns: vec!["code".to_owned()] },
    ];
    users.checks = vec![Check { name: None, expr: "age BETWEEN 20 AND 30".to_owned() }];
    let snapshot = Snapshot::default();
    let maker = maker(&users, &snapshot);
    assert_eq!(maker.most(&[]), Some((36 * 36, vec!["code".to_owned()])));
    let rows: Vec<_> = (0..1_296).map(|n| maker.row(n, 0, &[]).unwrap()).collect();
    for at in 0..3 {
        let distinct: BTreeSet<_> = rows.iter().map(|row| row[at].to_lowercase()).collect();
        assert_eq!(distinct.len(), rows.len(), "column {at}");
    }
    for row in &rows {
        assert!(row[1].chars().count() <= 12 + 2, "{}", row[1]);
        assert!(row[2].len() <= 2 + 2, "{}", row[2]);
        assert!((20..=30).contains(&row[3].parse::<i32>().unwrap()), "{}", row[3]);
    }
    assert_eq!(maker.row(1_296, 0, &[]), None);
}

#[test]
fn pairs_of_parents_come_once() {
    let snapshot =
        Snapshot { tables: vec![table("a", &[("id", "INTEGER")], &["id"])], ..Snapshot::default() };
    let mut pairs = table("pairs", &[("x", "INTEGER"), ("y", "INTEGER")], &["x", "y"]);
    refers(&mut pairs, "x", "a");
    refers(&mut pairs, "y", "a");
    let maker = maker(&pairs, &snapshot);
    let keys: ParentKeys = (1..=5).map(|id| vec![id.to_string()]).collect();
    let keys = vec![keys.clone(), keys];
    let names = vec!["x".to_owned(), "y".to_owned()];
    assert_eq!(maker.most(&keys), Some((25, names)));
    let rows: BTreeSet<_> = (0..25).map(|n| maker.row(n, 0, &keys).unwrap()).collect();
    assert_eq!(rows.len(), 25);
}

#[test]
fn parents_come_first_and_circles_are_opened() {
    let mut a = table("a", &[("id", "INTEGER"), ("b_id", "INTEGER")], &["id"]);
    refers(&mut a, "b_id", "b");
    let mut b = table("b", &[("id", "INTEGER"), ("a_id", "INTEGER")], &["id"]);
    refers(&mut b, "a_id", "a");
    let names = |tables: Vec<Table>| {
        let snapshot = Snapshot { tables, ..Snapshot::default() };
        let all: Vec<&Table> = snapshot.tables.iter().collect();
        order(&all, &snapshot, Dialect::Sqlite).map(|turns| {
            turns.iter().map(|turn| (turn.table.name.name.clone(), turn.later.len())).collect()
        })
    };
    let found: Result<Vec<(String, usize)>, FakeError> = names(vec![a.clone(), b.clone()]);
    assert!(found.unwrap_err().message.contains("refer to each other"));
    b.columns[1].nullable = true;
    let found: Vec<(String, usize)> = names(vec![a, b]).unwrap();
    assert_eq!(found, [("b".to_owned(), 1), ("a".to_owned(), 0)]);
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let snapshot = Snapshot::default();
    let users = table("users", &[("id", "UUID"), ("name", "TEXT"), ("data", "BLOB")], &["id"]);
    let one = maker(&users, &snapshot);
    let two = maker(&users, &snapshot);
    assert_eq!(one.row(41, 0, &[]), two.row(41, 0, &[]));
    assert_ne!(one.row(41, 0, &[]), one.row(42, 0, &[]));
    assert_ne!(one.row(41, 0, &[]), one.row(41, 1, &[]));
}

#[test]
fn a_schema_is_respected() {
    let text = r##"{"properties": {
        "tier": {"$ref": "#/$defs/Tier"},
        "age": {"type": "integer", "minimum": 20, "exclusiveMaximum": 23},
        "mail": {"anyOf": [{"type": "null"}, {"type": "string", "format": "email"}]}
    }, "required": ["tier", "mail"], "$defs": {"Tier": {"enum": ["free", "pro"]}}}"##;
    let found = schema::read(text);
    assert_eq!(found["tier"].listed, Some(vec!["free".to_owned(), "pro".to_owned()]));
    assert!(found["tier"].not_null && !found["mail"].not_null);
    assert_eq!(found["age"].whole(0, 100), (20, 22));
    assert_eq!(found["mail"].style, Some(names::Style::Email));
    assert!(schema::read("{").is_empty());
}
