//! What the fast check accepts, JSON Schema accepts too; and judging says the same as JSON Schema.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::rules::expect::Expect;
use crate::rules::fast::Fast;
use crate::rules::map::map;

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(schema).expect("a good schema")
}

/// Schemas of one column, of the sorts that the fast check knows, and of some that it does not.
fn schema() -> impl Strategy<Value = Value> {
    let zod: Value = serde_json::from_str(include_str!("zod.schema.json")).expect("JSON");
    let from_zod: Vec<Value> =
        zod["properties"].as_object().expect("an object").values().cloned().collect();
    let formats = ["uuid", "email", "date", "date-time", "time", "uri", "starts_with"];
    let number = prop_oneof![
        (-3_i64..4).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1e16, -2.5]).prop_map(Value::from),
        Just(json!(9_007_199_254_740_991_i64)),
        Just(json!(i64::MAX)),
    ];
    let value = prop_oneof![
        number.clone(),
        "[ab]{0,3}".prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ];
    let types = prop::sample::select(vec![
        json!("string"),
        json!("integer"),
        json!("number"),
        json!("boolean"),
        json!(["string", "null"]),
        json!(["integer", "string"]),
    ]);
    let bound =
        prop::sample::select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]);
    let leaf = prop_oneof![
        4 => prop::sample::select(from_zod),
        3 => prop::sample::select(formats.to_vec())
            .prop_map(|format| json!({"type": "string", "format": format})),
        3 => (types.clone(), bound, number).prop_map(|(kind, bound, limit)|
            json!({"type": kind, bound: limit})),
        2 => (types, 0_u64..4, 0_u64..6).prop_map(|(kind, min, max)|
            json!({"type": kind, "minLength": min, "maxLength": max})),
        1 => prop::collection::vec(value.clone(), 1..4).prop_map(|all| json!({"enum": all})),
        1 => value.prop_map(|one| json!({"const": one})),
        1 => Just(json!({"type": "string", "pattern": "^[a-c]+$"})),
        1 => Just(json!({"type": "number", "multipleOf": 0.5})),
        1 => Just(json!({})),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"anyOf": all})),
            inner.clone().prop_map(|one| json!({"anyOf": [one, {"type": "null"}]})),
            prop::collection::vec(inner, 1..3).prop_map(|all| json!({"allOf": all})),
        ]
    })
}

#[derive(Clone, Debug)]
enum Owned {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Real(f64),
    Decimal(String),
    Text(String),
}

impl Owned {
    fn cell(&self) -> Cell<'_> {
        match self {
            Owned::Null => Cell::Null,
            Owned::Bool(value) => Cell::Bool(*value),
            Owned::Int(value) => Cell::Int(*value),
            Owned::UInt(value) => Cell::UInt(*value),
            Owned::Real(value) => Cell::Real(*value),
            Owned::Decimal(text) => Cell::Decimal(text),
            Owned::Text(text) => Cell::Text(text),
        }
    }
}

/// Values near the edges of what schemas say.
fn cell() -> impl Strategy<Value = Owned> {
    let texts = prop_oneof![
        "[ab]{0,5}",
        "[éü]{0,5}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
        Just("00000000-0000-0000-0000-000000000000".to_owned()),
        "[a-c.'+_-]{1,4}@[a-c.-]{1,5}\\.[a-z1]{1,3}",
        "[a-z]{1,3}@[a-z-]{1,3}\\.[a-z]{2}",
        "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\
         (\\.[0-9]{1,10})?(Z|\\+01:00|)",
        "(1900|2000|2024|2023|0000)-02-(28|29|30)T[0-2][0-9]:00:(59|60)Z",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:00",
    ];
    prop_oneof![
        1 => Just(Owned::Null),
        1 => any::<bool>().prop_map(Owned::Bool),
        2 => (-4_i64..5).prop_map(Owned::Int),
        1 => prop::sample::select(vec![
            i64::MAX, i64::MIN, 1 << 53, (1 << 53) - 1, (1 << 53) + 1, 10_000_000_000_000_000,
        ]).prop_map(Owned::Int),
        1 => prop::sample::select(vec![0, 1, u64::MAX]).prop_map(Owned::UInt),
        1 => prop::sample::select(vec![0.0, 0.5, 1.0, -2.5, 1e16, 1e300, f64::NAN, f64::INFINITY])
            .prop_map(Owned::Real),
        1 => "-?[0-9]{1,3}(\\.[0-9]{1,2})?".prop_map(Owned::Decimal),
        6 => texts.prop_map(Owned::Text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn fast_never_accepts_what_json_schema_refuses(schema in schema(), owned in cell()) {
        let Some(fast) = Fast::of(&schema, &schema) else { return Ok(()) };
        let expect = Expect::of(&schema, &schema);
        for kind in [ColumnKind::Any, ColumnKind::Timestamp, ColumnKind::Text] {
            let mapped = map(owned.cell(), kind, &expect);
            let accepted = fast.accepts(&mapped);
            if let Some(value) = mapped.into_value() {
                let valid = validator(&schema).is_valid(&value);
                prop_assert!(!accepted || valid, "{value} {schema}");
            }
        }
    }

    #[test]
    fn judging_says_what_json_schema_says(
        schema in schema(), owned in cell(), must in any::<bool>(),
    ) {
        let expect = Expect::of(&schema, &schema);
        let required = if must { json!(["a"]) } else { json!([]) };
        let row = json!({"type": "object", "properties": {"a": schema}, "required": required});
        let judge = judge(&row.to_string(), &[("a", ColumnKind::Any)]);
        let mut object = serde_json::Map::new();
        if let Some(value) = map(owned.cell(), ColumnKind::Any, &expect).into_value() {
            object.insert("a".to_owned(), value);
        }
        let valid = validator(&row).is_valid(&Value::Object(object));
        prop_assert_eq!(violations(&judge, &[owned.cell()]).is_empty(), valid);
    }
}

#[test]
fn most_of_what_zod_accepts_is_accepted_fast() {
    let zod: Value = serde_json::from_str(include_str!("zod.schema.json")).expect("JSON");
    for (name, good) in [
        ("id", "123e4567-e89b-12d3-a456-426614174000"),
        ("email", "first.last+tag@mail.example.org"),
        ("created_at", "2024-02-29T10:15:00.123Z"),
        ("birthday", "2000-02-29"),
        ("nickname", "ünï"),
    ] {
        let schema = &zod["properties"][name];
        let fast = Fast::of(schema, &zod).expect("a fast check");
        let mapped = map(Cell::Text(good), ColumnKind::Any, &Expect::of(schema, &zod));
        assert!(fast.accepts(&mapped), "{name}");
    }
}
