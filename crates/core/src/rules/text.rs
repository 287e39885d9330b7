//! Values as reports show them.

use serde_json::Value;

use super::secret::{REDACTED, is_secret};
use crate::rows::Cell;

/// Characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 80;

/// A column's value for a report: shortened, and hidden if the column's name says so.
pub fn shown(column: &str, cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        _ if is_secret(column) => REDACTED.to_owned(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Decimal(text) | Cell::Text(text) => document(text).unwrap_or_else(|| short(text)),
        Cell::Bytes(bytes) => {
            let head = bytes.iter().take(SHOWN_CHARS_MAX / 2);
            short(&format!("0x{}", head.map(|byte| format!("{byte:02x}")).collect::<String>()))
        }
    }
}

/// Text that is a JSON document may have secrets inside.
fn document(text: &str) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let value = serde_json::from_str(text).ok()?;
    Some(shown_json(&value))
}

/// A JSON value for a report, without the secrets inside it.
pub(super) fn shown_json(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        Value::Object(_) | Value::Array(_) => short(&without_secrets(value).to_string()),
        other => other.to_string(),
    }
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, inner)| {
                let hidden = is_secret(name) && !inner.is_null();
                let inner = if hidden { REDACTED.into() } else { without_secrets(inner) };
                (name.clone(), inner)
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        other => other.clone(),
    }
}

fn short(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_inside_documents_too() {
        assert_eq!(shown("api_token", Cell::Text("abc")), "***");
        assert_eq!(shown("api_token", Cell::Null), "NULL");
        let text = "{\"a\":1,\"password\":\"x\",\"list\":[{\"apiKey\":\"y\",\"n\":null}]}";
        let want = "{\"a\":1,\"password\":\"***\",\"list\":[{\"apiKey\":\"***\",\"n\":null}]}";
        assert_eq!(shown("settings", Cell::Text(text)), want);
        assert_eq!(shown("name", Cell::Text(&"é".repeat(90))).chars().count(), 81);
        assert_eq!(shown("data", Cell::Bytes(&[0, 255])), "0x00ff");
    }
}
