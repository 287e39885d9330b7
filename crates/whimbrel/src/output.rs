//! The envelope around every JSON document.

use serde::Serialize;
use serde_json::Value;

/// Version of the JSON documents; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What a reading verb prints with `--json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Envelope<T> {
    /// Version of this document; it grows when a field changes its meaning or goes.
    schema_version: u32,
    /// The verb.
    command: String,
    /// Its result.
    data: T,
}

/// `data` of a command in its envelope.
pub(crate) fn envelope(command: &str, data: impl Serialize) -> Value {
    let envelope = Envelope { schema_version: SCHEMA_VERSION, command: command.to_owned(), data };
    serde_json::to_value(envelope).unwrap_or(Value::Null)
}
