//! What the real zod and the real pydantic print is judged as they judge.

use serde_json::Value;
use whimbrel_testkit::peers::Peer;

use crate::engines::{Bench, every_engine};

every_engine!(zods_verdicts_are_ours, pydantics_verdicts_are_ours);

fn zods_verdicts_are_ours(bench: &Bench) {
    let Some(mut zod) = Peer::Zod.command() else { return };
    let output = zod.arg("rows").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    compare(bench, &printed);
}

/// Printed by pydantic 2.14.3 (`python fixtures/pydantic/print.py > fixtures/pydantic/users.json`).
fn pydantics_verdicts_are_ours(bench: &Bench) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/pydantic/users.json");
    let printed: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    compare(bench, &printed);
}

/// Puts the rows into a table and holds our verdicts against the peer's.
fn compare(bench: &Bench, printed: &Value) {
    let rows = printed["rows"].as_array().unwrap();
    let columns: Vec<&String> = rows[0]["row"].as_object().unwrap().keys().collect();
    let declared: Vec<String> = columns
        .iter()
        .map(|name| format!("{name} {}", column_type(bench.engine, name, rows)))
        .collect();
    bench.database.query(&format!(
        "CREATE TABLE users (number INTEGER PRIMARY KEY, {});",
        declared.join(", ")
    ));
    for (number, one) in rows.iter().enumerate() {
        let row = one["row"].as_object().unwrap();
        let values: Vec<String> = columns.iter().map(|name| literal(&row[*name])).collect();
        bench
            .database
            .query(&format!("INSERT INTO users VALUES ({number}, {})", values.join(", ")));
    }
    std::fs::create_dir_all(bench.project.path().join("migrations")).unwrap();
    bench.project.file("rules/users.schema.json", &printed["schema"].to_string());
    let output = bench.whimbrel().run(["validate", "--format", "ndjson"]).expect_code(3);
    let violations: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, one) in rows.iter().enumerate() {
        let key = Value::from(number.to_string());
        let ours = !violations.iter().any(|line| line["key"][0]["value"] == key);
        assert_eq!(Value::from(ours), one["valid"], "row {number}: {}\n{output}", one["row"]);
    }
}

/// A type that takes every value that the rows have in the column.
fn column_type(engine: &str, name: &str, rows: &[Value]) -> &'static str {
    let mut values = rows.iter().map(|one| &one["row"][name]);
    match values.find(|value| !value.is_null()) {
        Some(Value::Bool(_)) => "BOOLEAN",
        Some(Value::Number(_)) if engine == "postgres" => "NUMERIC",
        Some(Value::Number(_)) => "DOUBLE PRECISION",
        Some(Value::Object(_) | Value::Array(_)) if engine == "postgres" => "JSONB",
        _ => "TEXT",
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => format!("'{}'", other.to_string().replace('\'', "''")),
    }
}
