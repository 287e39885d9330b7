//! What a row must satisfy: rules from files and from the catalog.
//!
//! A [`Judge`] is made once for each table and looks at every row. A row that breaks nothing costs
//! no memory: what the fast check accepts is not looked at again, and only what it does not accept
//! goes through the whole of JSON Schema, whose verdict counts.

mod catalog;
mod expect;
mod fast;
mod file;
mod judge;
mod map;
mod query;
mod schema;
mod secret;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

pub use catalog::Scope;
pub(crate) use catalog::{Fit, fit_of, quoted};
pub(crate) use expect::target;
pub use file::{RuleError, SCHEMA_SUFFIX, check_statements, table_of_file};
pub use judge::{Judge, TableRules};
pub use query::{RuleQuery, queries};
pub use schema::RowSchema;
pub use secret::{REDACTED, SECRET_WORDS, is_secret};
pub use text::shown;

/// What was broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A keyword of the table's JSON Schema.
    JsonSchema {
        /// The keyword: `format`, `required`, ...
        keyword: String,
        /// Where it stands in the schema, as a JSON pointer.
        path: String,
    },
    /// The column must have a value.
    NotNull,
    /// The value must fit the column's type.
    Type(String),
    /// No two rows may have the same values in these columns.
    Unique(Vec<String>),
    /// The row's parent must exist.
    ForeignKey {
        /// The columns.
        columns: Vec<String>,
        /// The parent's table.
        to: String,
    },
    /// A CHECK of the table, by its name or expression.
    Check(String),
    /// A file of `checks/`, by its name.
    File(String),
}

impl Rule {
    /// The sort of rule, as one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Rule::JsonSchema { .. } => "json-schema",
            Rule::NotNull => "not-null",
            Rule::Type(_) => "type",
            Rule::Unique(_) => "unique",
            Rule::ForeignKey { .. } => "foreign-key",
            Rule::Check(_) => "check",
            Rule::File(_) => "file",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Rule::JsonSchema { keyword, path } => write!(f, "{kind} {keyword} at {path}"),
            Rule::NotNull => f.write_str(kind),
            Rule::Type(text) | Rule::Check(text) | Rule::File(text) => write!(f, "{kind} {text}"),
            Rule::Unique(columns) => write!(f, "{kind} {}", columns.join(", ")),
            Rule::ForeignKey { columns, to } => {
                write!(f, "{kind} {} -> {to}", columns.join(", "))
            }
        }
    }
}

/// A row that breaks a rule. Every value in it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The table; empty for a check that reads several.
    pub table: String,
    /// The row's key, column by column; empty where the table has none.
    pub key: Vec<(String, String)>,
    /// The column at fault, where it is one.
    pub column: Option<String>,
    /// Its value, shortened, or `***` where the column's name says that it is secret.
    pub value: Option<String>,
    /// The rule.
    pub rule: Rule,
    /// What is wrong, in words without the value.
    pub message: String,
}
