//! A table's JSON Schema, compiled once.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use super::expect::{Expect, Types, target};
use super::fast::Fast;
use super::file::{RuleError, place_of};
use super::map::Mapped;
use super::secret::{REDACTED, is_secret};
use super::text::shown_json;
use super::{Rule, Violation};
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;

/// References and combinations at the top are followed so deep for the names of properties.
const DEPTH_MAX: usize = 8;
/// Keywords of an object that speak of its properties one by one, or of nothing.
const FLAT_KEYWORDS: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "type",
    "properties",
    "required",
    "additionalProperties",
];

/// A compiled JSON Schema for the rows of one table.
pub struct RowSchema {
    whole: Validator,
    /// The properties can be judged one by one.
    is_flat: bool,
    properties: Vec<Property>,
}

/// A property that has a column.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) column: String,
    pub(super) expect: Expect,
    required: bool,
    fast: Option<Fast>,
    own: Option<Validator>,
}

impl RowSchema {
    /// Reads and compiles the text of a file for `table`.
    ///
    /// # Errors
    /// When it is no JSON, no valid schema, refers to what is not in it, or requires what the table
    /// does not have.
    pub fn read(text: &str, table: &Table, dialect: Dialect) -> Result<RowSchema, RuleError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document: Value = serde_json::from_str(text).map_err(|error| {
            let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let at = (place(error.line()), place(error.column()));
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            RuleError::new(Some(at), format!("This is no JSON: {words}"))
        })?;
        let options = jsonschema::options().should_validate_formats(true);
        let whole = options.build(&document).map_err(|error| unusable(&error, text))?;
        let parts = options.build_map(&document).map_err(|error| unusable(&error, text))?;
        if !Expect::of(&document, &document).types.has(Types::OBJECT) {
            let message = "A row is an object, and the schema allows none";
            return Err(RuleError::new(place_of(text, "type"), message));
        }
        let mut found = Found::default();
        found.collect(&document, &document, "#", DEPTH_MAX);
        if found.properties.is_empty() {
            let mut error =
                RuleError::new(None, "The schema names no property, so it judges no row");
            error.hint = Some("Its `properties` are named as the table's columns".to_owned());
            return Err(error);
        }
        let column = |name: &str| {
            let all = || table.columns.iter().map(|column| &column.name);
            let same = |column: &&String| same_column_name(column, name, dialect);
            all().find(|column| *column == name).or_else(|| all().find(same))
        };
        if let Some(name) = found.required.iter().find(|name| column(name).is_none()) {
            return Err(no_column(name, table, text));
        }
        let properties = found.properties.iter().filter_map(|(name, schema, pointer)| {
            Some(Property {
                name: name.clone(),
                column: column(name)?.clone(),
                expect: found.expect(name, &document),
                required: found.required.contains(name),
                fast: Fast::of(schema, &document),
                own: parts.get(pointer).cloned(),
            })
        });
        let mut properties: Vec<Property> = properties.collect();
        properties.dedup_by(|b, a| a.name == b.name);
        Ok(RowSchema { whole, is_flat: found.is_flat(), properties })
    }

    pub(super) fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The properties' names that are judged without the whole of JSON Schema.
    pub fn fast_properties(&self) -> Vec<&str> {
        let fast = self.properties.iter().filter(|one| self.is_flat && one.fast.is_some());
        fast.map(|one| one.name.as_str()).collect()
    }

    /// Whether a value is certainly valid, as far as one property can tell.
    pub(super) fn accepts(&self, property: &Property, value: &Mapped<'_>) -> bool {
        if !self.is_flat {
            return false;
        }
        if matches!(value, Mapped::Absent) {
            return !property.required;
        }
        if property.fast.as_ref().is_some_and(|fast| fast.accepts(value)) {
            return true;
        }
        let Some(own) = &property.own else { return false };
        value.clone().into_value().is_some_and(|value| own.is_valid(&value))
    }

    /// Everything that is wrong with a row; without the table and the key.
    pub(super) fn violations(&self, row: Map<String, Value>) -> Vec<Violation> {
        let row = Value::Object(row);
        self.whole.iter_errors(&row).map(|error| self.violation(&error)).collect()
    }

    fn violation(&self, error: &ValidationError<'_>) -> Violation {
        let path = error.instance_path().as_str();
        let mut segments: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect();
        let is_row = segments.is_empty();
        if let (ValidationErrorKind::Required { property: Value::String(name) }, true) =
            (error.kind(), is_row)
        {
            segments.push(name.clone());
        }
        let name = segments.first();
        let property = name.and_then(|name| self.properties.iter().find(|one| one.name == *name));
        let secret = segments.iter().any(|segment| is_secret(segment));
        let value = match (property, is_row) {
            (None, _) => None,
            // A property that is required and not there is a NULL.
            (Some(_), true) => Some("NULL".to_owned()),
            (Some(_), false) if secret => Some(REDACTED.to_owned()),
            (Some(_), false) => Some(shown_json(error.instance())),
        };
        Violation {
            table: String::new(),
            key: Vec::new(),
            column: property.map(|one| one.column.clone()),
            value,
            rule: Rule::JsonSchema {
                keyword: error.kind().keyword().to_owned(),
                path: error.schema_path().as_str().to_owned(),
            },
            message: words(error),
        }
    }
}

/// The validator's words, without the value and as our messages are written.
fn words(error: &ValidationError<'_>) -> String {
    let text = error.masked_with("the value").to_string().replace('"', "`");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    }
}

fn unusable(error: &ValidationError<'_>, text: &str) -> RuleError {
    let keyword = |path: &str| path.rsplit('/').find_map(|part| place_of(text, part));
    let place = keyword(error.instance_path().as_str());
    let mut out = match error.kind() {
        ValidationErrorKind::Referencing(_) => {
            let mut out = RuleError::new(
                place.or_else(|| place_of(text, "$ref")),
                format!("The schema refers to what is not in it: {error}"),
            );
            out.hint = Some("Put what it refers to into its own `$defs`".to_owned());
            out
        }
        _ => RuleError::new(place, format!("This is no valid JSON Schema: {error}")),
    };
    out.message = out.message.replace('"', "`");
    out
}

fn no_column(name: &str, table: &Table, text: &str) -> RuleError {
    let table_name = &table.name.name;
    let place = place_of(text, name);
    let message = format!("`{name}` is required, and `{table_name}` has no such column");
    let mut error = RuleError::new(place, message);
    let plain = |text: &str| text.replace('_', "").to_lowercase();
    let near = table.columns.iter().find(|column| plain(&column.name) == plain(name));
    error.hint = near.map(|column| format!("Is it the column `{}`?", column.name));
    error
}

/// The properties of the schemas at the top.
#[derive(Default)]
struct Found {
    /// Name, schema, and pointer to the schema.
    properties: Vec<(String, Value, String)>,
    required: Vec<String>,
    not_flat: bool,
}

impl Found {
    fn collect(&mut self, schema: &Value, root: &Value, pointer: &str, depth: usize) {
        let Some(object) = schema.as_object() else { return };
        let is_reference = object.contains_key("$ref");
        let plain = |name: &str| FLAT_KEYWORDS.contains(&name) || name == "$ref";
        // A reference beside properties of its own has two sorts of them.
        let both = is_reference && object.contains_key("properties");
        self.not_flat |= both || !object.keys().all(|name| plain(name));
        let known = object.get("properties").and_then(Value::as_object);
        for (name, inner) in known.into_iter().flatten() {
            let at = name.replace('~', "~0").replace('/', "~1");
            let at = format!("{pointer}/properties/{at}");
            // Two schemas for one property are judged together.
            self.not_flat |= self.properties.iter().any(|(seen, _, _)| seen == name);
            self.properties.push((name.clone(), inner.clone(), at));
        }
        let required = object.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        self.required.extend(names.map(str::to_owned));
        if depth == 0 {
            return;
        }
        if let Some(reference) = object.get("$ref")
            && let (Some(to), Some(at)) = (target(reference, root), reference.as_str())
        {
            self.collect(to, root, at, depth - 1);
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            let parts = object.get(name).and_then(Value::as_array);
            for (index, part) in parts.into_iter().flatten().enumerate() {
                let required = self.required.len();
                self.collect(part, root, &format!("{pointer}/{name}/{index}"), depth - 1);
                if name != "allOf" {
                    // Only one of them has to hold.
                    self.required.truncate(required);
                }
            }
        }
        for name in ["if", "then", "else"] {
            let required = self.required.len();
            if let Some(part) = object.get(name) {
                self.collect(part, root, &format!("{pointer}/{name}"), depth - 1);
            }
            self.required.truncate(required);
        }
    }

    /// What all schemas of one property expect together.
    fn expect(&self, name: &str, root: &Value) -> Expect {
        let all = self.properties.iter().filter(|(seen, _, _)| seen == name);
        let all = all.map(|(_, schema, _)| Expect::of(schema, root));
        let both = |a: Expect, b: Expect| Expect {
            types: a.types.or(b.types),
            format: a.format.or(b.format),
        };
        all.reduce(both).unwrap_or(Expect::ANYTHING)
    }

    fn is_flat(&self) -> bool {
        !self.not_flat
    }
}
