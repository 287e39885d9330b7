//! What is said of single rows, and of files that cannot be used.

use super::*;
use crate::rows::ColumnKind as K;
use Cell::{Bool, Int, Null, Text};

const USERS: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$defs": {"Tier": {"enum": ["free", "pro"], "type": "string"}},
  "type": "object",
  "properties": {
    "id": {"type": "integer", "minimum": 1},
    "email": {"type": "string", "format": "email"},
    "tier": {"$ref": "#/$defs/Tier"},
    "age": {"anyOf": [{"type": "integer", "maximum": 150}, {"type": "null"}]},
    "prefs": {"type": "object", "properties": {"token": {"type": "string"}}},
    "api_token": {"type": "string", "minLength": 8}
  },
  "required": ["id", "email", "age"],
  "additionalProperties": false
}"##;
const COLUMNS: &[(&str, K)] = &[
    ("id", K::Int),
    ("email", K::Text),
    ("tier", K::Text),
    ("age", K::Int),
    ("prefs", K::Json),
    ("api_token", K::Text),
    ("other", K::Text),
];

fn row<'a>(changes: &[(usize, Cell<'a>)]) -> Vec<Cell<'a>> {
    let mut row = vec![
        Int(7),
        Text("a@example.org"),
        Text("pro"),
        Null,
        Text("{\"token\":\"x\"}"),
        Text("12345678"),
        Text("anything"),
    ];
    for (at, cell) in changes {
        row[*at] = *cell;
    }
    row
}

#[test]
fn each_keyword_is_told_with_its_path() {
    let judge = judge(USERS, COLUMNS);
    assert_eq!(broken(&judge, &row(&[])), Vec::<String>::new());
    assert_eq!(broken(&judge, &row(&[(2, Null), (4, Null), (5, Null)])), Vec::<String>::new());
    for (changes, want) in [
        ((0, Int(0)), "id: json-schema minimum at /properties/id/minimum"),
        ((0, Text("x")), "id: json-schema type at /properties/id/type"),
        ((1, Text("nobody")), "email: json-schema format at /properties/email/format"),
        ((1, Null), "email: json-schema required at /required"),
        ((2, Text("gold")), "tier: json-schema enum at /$defs/Tier/enum"),
        ((3, Int(200)), "age: json-schema anyOf at /properties/age/anyOf"),
        (
            (4, Text("{\"token\":1}")),
            "prefs: json-schema type at /properties/prefs/properties/token/type",
        ),
        ((4, Text("[]")), "prefs: json-schema type at /properties/prefs/type"),
        ((5, Text("short")), "api_token: json-schema minLength at /properties/api_token/minLength"),
    ] {
        assert_eq!(broken(&judge, &row(&[changes])), [want]);
    }
    assert_eq!(broken(&judge, &row(&[(0, Int(0)), (1, Text("x"))])).len(), 2);
}

#[test]
fn values_are_shown_unless_secret() {
    let judge = judge(USERS, COLUMNS);
    let one = |changes| violations(&judge, &row(&[changes])).remove(0);
    let email = one((1, Text("nobody")));
    assert_eq!(email.value.as_deref(), Some("nobody"));
    assert_eq!(email.key, [("id".to_owned(), "7".to_owned())]);
    assert_eq!(
        (email.table.as_str(), email.message.as_str()),
        ("users", "The value is not a `email`")
    );
    let missing = one((1, Null));
    assert_eq!(missing.value.as_deref(), Some("NULL"));
    assert_eq!(missing.message, "`email` is a required property");
    for secret in [one((5, Text("hunter2"))), one((4, Text("{\"token\":12345}")))] {
        assert_eq!(secret.value.as_deref(), Some("***"));
        assert!(!format!("{secret:?}").contains("hunter2"), "{secret:?}");
        assert!(!format!("{secret:?}").contains("12345"), "{secret:?}");
    }
}

#[test]
fn booleans_and_texts_come_from_numbers_where_the_schema_says_so() {
    let schema = r#"{"type": "object", "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"}, "ok": {"type": "boolean"}}}"#;
    let judge = judge(schema, &[("id", K::Int), ("ok", K::Any)]);
    for (id, ok, count) in [
        (Int(1), Int(1), 0),
        (Int(1), Int(0), 0),
        (Int(1), Bool(true), 0),
        (Int(1), Int(2), 1),
        (Int(-1), Int(1), 1),
        (Int(1), Text("yes"), 1),
    ] {
        assert_eq!(violations(&judge, &[id, ok]).len(), count, "{id:?} {ok:?}");
    }
}

#[test]
fn schemas_that_look_at_several_columns_see_the_whole_row() {
    let schema = r#"{"type": "object",
        "properties": {"id": {"type": "integer"}, "a": {"type": "integer"}},
        "if": {"properties": {"a": {"const": 1}}, "required": ["a"]},
        "then": {"required": ["b"], "properties": {"b": {"type": "string"}}}}"#;
    let judge = judge(schema, &[("id", K::Int), ("a", K::Int), ("b", K::Text)]);
    assert_eq!(violations(&judge, &[Int(1), Int(2), Null]), []);
    assert_eq!(violations(&judge, &[Int(1), Int(1), Text("x")]), []);
    assert_eq!(violations(&judge, &[Int(1), Int(1), Null]).len(), 1);
}

#[test]
fn a_model_behind_a_reference_is_read() {
    let schema = r##"{"$defs": {"Node": {"type": "object",
        "properties": {"id": {"type": "integer"}, "up": {"anyOf": [
            {"$ref": "#/$defs/Node"}, {"type": "null"}]}}, "required": ["id"]}},
        "$ref": "#/$defs/Node"}"##;
    let judge = judge(schema, &[("id", K::Int), ("up", K::Json)]);
    assert_eq!(violations(&judge, &[Int(1), Null]), []);
    assert_eq!(violations(&judge, &[Int(1), Text("{\"id\": 2}")]), []);
    assert_eq!(violations(&judge, &[Int(1), Text("{\"id\": \"x\"}")]).len(), 1);
}

#[test]
fn what_zod_prints_is_judged_fast() {
    let schema = read(
        include_str!("zod.schema.json"),
        &["id", "email", "subscription_tier", "created_at", "birthday", "age", "nickname"],
    );
    let schema = schema.expect("a good schema");
    assert_eq!(
        schema.fast_properties(),
        ["id", "email", "subscription_tier", "created_at", "birthday", "age", "nickname",]
    );
}

#[test]
fn files_that_cannot_be_used() {
    let error = |text: &str| {
        let error = read(text, &["id", "user_id"]).err().expect("an error");
        (error.place, error.message, error.hint)
    };
    let (place, message, _) = error("{\n  \"type\": }");
    assert_eq!((place, message.as_str()), (Some((2, 11)), "This is no JSON: expected value"));
    let (place, message, _) = error("{\"type\": \"object\",\n \"properties\": 5}");
    assert_eq!(place, Some((2, 2)), "{message}");
    assert!(message.starts_with("This is no valid JSON Schema: "), "{message}");
    let (place, message, hint) = error("{\"properties\": {\"id\":\n{\"$ref\": \"#/$defs/No\"}}}");
    assert_eq!(place, Some((2, 2)), "{message}");
    assert!(message.starts_with("The schema refers to what is not in it"), "{message}");
    assert!(hint.is_some());
    let (_, message, _) = error("{\"properties\": {\"id\": {\"$ref\": \"https://a.example/x\"}}}");
    assert!(message.starts_with("The schema refers to what is not in it"), "{message}");
    let (place, message, hint) = error(
        "{\"properties\": {\n  \"userId\": {\"type\": \"string\"}}, \"required\": [\"userId\"]}",
    );
    assert_eq!(place, Some((2, 3)));
    assert_eq!(message, "`userId` is required, and `users` has no such column");
    assert_eq!(hint.as_deref(), Some("Is it the column `user_id`?"));
    assert!(error("{}").1.starts_with("The schema names no property"));
    assert!(error("{\"type\": \"array\"}").1.starts_with("A row is an object"));
    // A property without a column that may be absent is absent.
    assert!(read("{\"properties\": {\"id\": {}, \"extra\": {}}}", &["id"]).is_ok());
}
