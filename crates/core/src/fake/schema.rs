//! A table's JSON Schema as bounds of columns, as far as it is simple.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bounds::{Bounds, Compare};
use super::names::Style;
use crate::rules::target;

/// References are followed so deep.
const DEPTH_MAX: usize = 8;

/// What a schema says of columns, by the properties' lower-case names. A text that is no JSON says
/// nothing: `validate` reports it.
pub(super) fn read(text: &str) -> BTreeMap<String, Bounds> {
    let Ok(root) = serde_json::from_str::<Value>(text) else { return BTreeMap::new() };
    let Some(top) = resolved(&root, &root, DEPTH_MAX) else { return BTreeMap::new() };
    let mut out: BTreeMap<String, Bounds> = BTreeMap::new();
    let properties = top.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        let bounds = out.entry(name.to_lowercase()).or_default();
        if let Some(schema) = resolved(schema, &root, DEPTH_MAX) {
            property(schema, bounds);
        }
    }
    let required = top.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let own = properties.and_then(|all| all.get(name));
        if !own.is_some_and(allows_null) {
            out.entry(name.to_lowercase()).or_default().not_null = true;
        }
    }
    out
}

fn allows_null(schema: &Value) -> bool {
    let is_null = |value: &Value| value == "null" || value.get("type").is_some_and(|t| t == "null");
    let types = schema.get("type").and_then(Value::as_array);
    let choices = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
    types.into_iter().chain(choices).flatten().any(is_null)
}

/// The schema behind references, and of several choices the first that is not null.
fn resolved<'a>(schema: &'a Value, root: &'a Value, depth: usize) -> Option<&'a Value> {
    let depth = depth.checked_sub(1)?;
    if let Some(reference) = schema.get("$ref") {
        return resolved(target(reference, root)?, root, depth);
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        let choices = schema.get(name).and_then(Value::as_array);
        let is_value = |one: &&Value| one.get("type").is_none_or(|kind| kind != "null");
        if let Some(choice) = choices.and_then(|all| all.iter().find(is_value)) {
            return resolved(choice, root, depth);
        }
    }
    Some(schema)
}

fn property(schema: &Value, bounds: &mut Bounds) {
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    for (name, compare) in [
        ("minimum", Compare::MoreOrSame),
        ("exclusiveMinimum", Compare::More),
        ("maximum", Compare::LessOrSame),
        ("exclusiveMaximum", Compare::Less),
    ] {
        if let Some(number) = number(name) {
            bounds.number(compare, number);
        }
    }
    for (name, compare) in [("minLength", Compare::MoreOrSame), ("maxLength", Compare::LessOrSame)]
    {
        if let Some(number) = number(name) {
            bounds.length(compare, number);
        }
    }
    let one = schema.get("const").map(std::slice::from_ref);
    let listed = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).or(one);
    if let Some(values) = listed {
        bounds.among(values.iter().filter_map(printed).collect());
    }
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    bounds.style = match format {
        "email" | "idn-email" => Some(Style::Email),
        "uri" | "url" | "iri" | "uri-reference" => Some(Style::Url),
        "uuid" => Some(Style::Uuid),
        "date-time" => Some(Style::Moment),
        "date" => Some(Style::Date),
        "ipv4" => Some(Style::Ip),
        _ => bounds.style,
    };
    let is_document = schema.get("type").is_some_and(|kind| kind == "object" || kind == "array");
    bounds.json |= is_document;
}

fn printed(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
