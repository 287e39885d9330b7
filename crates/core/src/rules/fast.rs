//! A check that says either "certainly valid" or "ask the whole of JSON Schema".
//!
//! It knows the keywords that most columns have. That it never accepts what JSON Schema refuses is
//! held by a property test.

mod known;

use serde_json::{Map, Value};

use self::known::Known;
use super::expect::{Types, target};
use super::map::Mapped;

/// References and alternatives are followed so deep; a deeper one is not fast.
const DEPTH_MAX: usize = 8;
/// Whole numbers up to here are floating point numbers, too.
const EXACT_MAX: i64 = 1 << 53;

/// Keywords that say nothing about validity.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// The fast check of one value. It holds when all parts accept.
#[derive(Clone, Debug)]
pub(super) struct Fast {
    types: Types,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Any(Vec<Fast>),
    All(Fast),
    Length { min: usize, max: usize },
    Known(Known),
    Least(Bound),
    Most(Bound),
    Choices(Vec<Value>),
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    limit: f64,
    /// The limit itself is out.
    exclusive: bool,
}

impl Fast {
    /// Reads a schema; `None` when it has a keyword that only JSON Schema itself can judge.
    pub(super) fn of(schema: &Value, root: &Value) -> Option<Fast> {
        Fast::at(schema, root, DEPTH_MAX)
    }

    fn at(schema: &Value, root: &Value, depth: usize) -> Option<Fast> {
        let object = match schema {
            Value::Bool(true) => return Some(Fast { types: Types::ALL, parts: Vec::new() }),
            Value::Object(object) if depth > 0 => object,
            _ => return None,
        };
        let mut out = Fast { types: Types::ALL, parts: Vec::new() };
        for (name, value) in object {
            match name.as_str() {
                name if ANNOTATIONS.contains(&name) => {}
                "type" => out.types = out.types.and(Types::of_keyword(value)),
                "$ref" => {
                    let to = target(value, root)?;
                    // Another base would change what references mean.
                    if to.get("$id").is_some() || to.get("$dynamicAnchor").is_some() {
                        return None;
                    }
                    out.parts.push(Part::All(Fast::at(to, root, depth - 1)?));
                }
                "anyOf" => {
                    let choices = value.as_array()?.iter();
                    let fast: Option<Vec<Fast>> =
                        choices.map(|choice| Fast::at(choice, root, depth - 1)).collect();
                    out.parts.push(Part::Any(fast?));
                }
                "const" => out.parts.push(Part::choices(std::slice::from_ref(value))?),
                "enum" => out.parts.push(Part::choices(value.as_array()?)?),
                // These are read together.
                "minLength" | "maxLength" => {}
                _ => out.parts.push(Part::of(name, value)?),
            }
        }
        out.parts.extend(Part::length(object)?);
        out.parts.retain(|part| !matches!(part, Part::Known(Known::Anything)));
        Some(out)
    }

    /// Whether the value is certainly valid.
    pub(super) fn accepts(&self, value: &Mapped<'_>) -> bool {
        let own = match value {
            // Whether a property may be left out is not the value's own matter.
            Mapped::Absent => return true,
            Mapped::Null => Types::NULL,
            Mapped::Bool(_) => Types::BOOLEAN,
            Mapped::Int(_) | Mapped::UInt(_) => Types::INTEGER,
            Mapped::Real(value) if value.is_finite() => Types::FRACTION,
            Mapped::Text(_) => Types::STRING,
            Mapped::Json(Value::Array(_)) => Types::ARRAY,
            Mapped::Json(Value::Object(_)) => Types::OBJECT,
            Mapped::Real(_) | Mapped::Json(_) => return false,
        };
        self.types.has(own) && self.parts.iter().all(|part| part.accepts(value))
    }
}

impl Part {
    fn of(name: &str, value: &Value) -> Option<Part> {
        Some(match name {
            "minimum" => Part::Least(Bound::of(value, false)?),
            "exclusiveMinimum" => Part::Least(Bound::of(value, true)?),
            "maximum" => Part::Most(Bound::of(value, false)?),
            "exclusiveMaximum" => Part::Most(Bound::of(value, true)?),
            "format" => Part::Known(Known::format(value.as_str()?)?),
            "pattern" => Part::Known(Known::pattern(value.as_str()?)?),
            _ => return None,
        })
    }

    fn length(object: &Map<String, Value>) -> Option<Option<Part>> {
        let limit = |name: &str, without: usize| match object.get(name) {
            None => Some(without),
            Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()),
        };
        let (min, max) = (limit("minLength", 0)?, limit("maxLength", usize::MAX)?);
        Some((min > 0 || max < usize::MAX).then_some(Part::Length { min, max }))
    }

    /// Only values that are compared without any doubt.
    fn choices(values: &[Value]) -> Option<Part> {
        let plain = |value: &&Value| {
            matches!(value, Value::Null | Value::Bool(_) | Value::String(_)) || value.is_i64()
        };
        let known: Vec<Value> = values.iter().filter(plain).cloned().collect();
        (known.len() == values.len()).then_some(Part::Choices(known))
    }

    fn accepts(&self, value: &Mapped<'_>) -> bool {
        match (self, value) {
            (Part::Any(choices), _) => choices.iter().any(|choice| choice.accepts(value)),
            (Part::All(one), _) => one.accepts(value),
            (Part::Choices(choices), _) => choices.iter().any(|choice| is_same(choice, value)),
            (Part::Length { min, max }, Mapped::Text(text)) => {
                let bytes = text.len();
                // A character has one to four bytes.
                if bytes <= *max && bytes >= min.saturating_mul(4) {
                    return true;
                }
                let count = text.chars().count();
                (*min..=*max).contains(&count)
            }
            (Part::Known(known), Mapped::Text(text)) => known.accepts(text.as_bytes()),
            (Part::Least(bound), _) => bound.holds(value, |limit, n| limit < n),
            (Part::Most(bound), _) => bound.holds(value, |limit, n| n < limit),
            // A keyword for texts says nothing about other values.
            (Part::Length { .. } | Part::Known(_), _) => true,
        }
    }
}

impl Bound {
    fn of(value: &Value, exclusive: bool) -> Option<Bound> {
        let limit = value.as_f64().filter(|limit| limit.abs() <= EXACT_MAX as f64)?;
        Some(Bound { limit, exclusive })
    }

    /// Whether the value is no number, or on the right side of the limit.
    fn holds(self, value: &Mapped<'_>, is_right: fn(f64, f64) -> bool) -> bool {
        match number(value) {
            None => true,
            Some(None) => false,
            Some(Some(n)) => is_right(self.limit, n) || (!self.exclusive && self.limit == n),
        }
    }
}

/// The number as floating point; inside `None` where that would not be exact. The outer `None` is
/// no number at all.
fn number(value: &Mapped<'_>) -> Option<Option<f64>> {
    match value {
        Mapped::Int(number) => {
            let is_exact = (-EXACT_MAX..=EXACT_MAX).contains(number);
            Some(is_exact.then_some(*number as f64))
        }
        Mapped::UInt(number) => {
            let number = i64::try_from(*number).ok().filter(|number| *number <= EXACT_MAX);
            Some(number.map(|number| number as f64))
        }
        Mapped::Real(number) => Some(Some(*number)),
        _ => None,
    }
}

fn is_same(choice: &Value, value: &Mapped<'_>) -> bool {
    match (choice, value) {
        (Value::Null, Mapped::Null) => true,
        (Value::Bool(a), Mapped::Bool(b)) => a == b,
        (Value::String(a), Mapped::Text(b)) => a == b,
        (Value::Number(a), Mapped::Int(b)) => a.as_i64() == Some(*b),
        _ => false,
    }
}
