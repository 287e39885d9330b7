//! What a schema expects of one value, as far as the way from column to JSON depends on it.

use serde_json::{Map, Value};

/// References are followed so deep; a deeper one expects anything.
const DEPTH_MAX: usize = 16;

/// A set of JSON types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Types = Types(1);
    pub(super) const BOOLEAN: Types = Types(2);
    pub(super) const INTEGER: Types = Types(4);
    /// Numbers with a fraction; `number` is both.
    pub(super) const FRACTION: Types = Types(8);
    pub(super) const NUMBER: Types = Types(12);
    pub(super) const STRING: Types = Types(16);
    pub(super) const ARRAY: Types = Types(32);
    pub(super) const OBJECT: Types = Types(64);
    pub(super) const ALL: Types = Types(127);
    pub(super) const NONE: Types = Types(0);

    /// Whether one of them is in the set.
    pub(super) fn has(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    pub(super) fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    fn named(name: &str) -> Types {
        match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "string" => Types::STRING,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => Types::NONE,
        }
    }

    fn of_value(value: &Value) -> Types {
        match value {
            Value::Null => Types::NULL,
            Value::Bool(_) => Types::BOOLEAN,
            Value::Number(_) => Types::NUMBER,
            Value::String(_) => Types::STRING,
            Value::Array(_) => Types::ARRAY,
            Value::Object(_) => Types::OBJECT,
        }
    }

    /// What the keyword `type` says.
    pub(super) fn of_keyword(value: &Value) -> Types {
        match value {
            Value::String(name) => Types::named(name),
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .fold(Types::NONE, |all, name| all.or(Types::named(name))),
            _ => Types::ALL,
        }
    }
}

/// What a property's schema expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expect {
    /// Types that can fit.
    pub(super) types: Types,
    /// The first `format` that is found.
    pub(super) format: Option<String>,
}

impl Expect {
    pub(super) const ANYTHING: Expect = Expect { types: Types::ALL, format: None };

    /// Reads a schema; `root` is the document that its references point into.
    pub(super) fn of(schema: &Value, root: &Value) -> Expect {
        Expect::at(schema, root, DEPTH_MAX)
    }

    fn at(schema: &Value, root: &Value, depth: usize) -> Expect {
        let Some(object) = schema.as_object() else {
            let types = if schema == &Value::Bool(false) { Types::NONE } else { Types::ALL };
            return Expect { types, format: None };
        };
        let mut out = Expect::own(object);
        if depth == 0 {
            return out;
        }
        if let Some(target) = object.get("$ref").and_then(|to| target(to, root)) {
            out.narrow(Expect::at(target, root, depth - 1));
        }
        for name in ["anyOf", "oneOf"] {
            let Some(choices) = object.get(name).and_then(Value::as_array) else { continue };
            let mut any = Expect { types: Types::NONE, format: None };
            for choice in choices {
                let one = Expect::at(choice, root, depth - 1);
                any.types = any.types.or(one.types);
                any.format = any.format.or(one.format);
            }
            out.narrow(any);
        }
        for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            out.narrow(Expect::at(part, root, depth - 1));
        }
        out
    }

    fn own(object: &Map<String, Value>) -> Expect {
        let mut types = object.get("type").map_or(Types::ALL, Types::of_keyword);
        if let Some(value) = object.get("const") {
            types = types.and(Types::of_value(value));
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array) {
            let all = values.iter().map(Types::of_value);
            types = types.and(all.fold(Types::NONE, Types::or));
        }
        let format = object.get("format").and_then(Value::as_str).map(str::to_owned);
        Expect { types, format }
    }

    fn narrow(&mut self, other: Expect) {
        self.types = self.types.and(other.types);
        self.format = self.format.take().or(other.format);
    }
}

/// What a reference inside the document points to.
pub(crate) fn target<'a>(reference: &Value, root: &'a Value) -> Option<&'a Value> {
    let pointer = reference.as_str()?.strip_prefix('#')?;
    root.pointer(pointer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_schemas_expect() {
        let root = json!({"$defs": {
            "Tier": {"type": "string", "enum": ["a"]},
            "Loop": {"$ref": "#/$defs/Loop"},
        }});
        let date = Some("date-time".to_owned());
        for (schema, types, format) in [
            (json!({}), Types::ALL, None),
            (json!(true), Types::ALL, None),
            (json!(false), Types::NONE, None),
            (json!({"type": "integer"}), Types::INTEGER, None),
            (json!({"type": ["string", "null"]}), Types::STRING.or(Types::NULL), None),
            (json!({"const": 1}), Types::NUMBER, None),
            (json!({"enum": ["a", null]}), Types::STRING.or(Types::NULL), None),
            (json!({"$ref": "#/$defs/Tier"}), Types::STRING, None),
            (json!({"$ref": "#/$defs/Loop"}), Types::ALL, None),
            (
                json!({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
                Types::STRING.or(Types::NULL),
                date.clone(),
            ),
            (json!({"allOf": [{"type": "number"}, {"type": "integer"}]}), Types::INTEGER, None),
        ] {
            assert_eq!(Expect::of(&schema, &root), Expect { types, format }, "{schema}");
        }
    }
}
