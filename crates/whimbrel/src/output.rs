//! The envelope around every JSON document.

use serde::Serialize;
use serde_json::{Value, json};

/// Version of the JSON documents; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// `data` of a command in its envelope.
pub fn envelope(command: &str, data: &impl Serialize) -> Value {
    let data = serde_json::to_value(data).unwrap_or(Value::Null);
    json!({ "schema_version": SCHEMA_VERSION, "command": command, "data": data })
}
