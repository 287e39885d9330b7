//! The parser's names as ours.

use sqlparser::ast::{Ident, ObjectName as TreeName, ObjectNamePart};

use crate::ddl::ObjectName;
use crate::ddl::name::{as_stored, same_table_name};
use crate::sql::dialect::Dialect;

/// What a name stands for: PostgreSQL's unquoted ones are folded.
pub(super) fn ident(ident: &Ident, dialect: Dialect) -> String {
    let value = match (dialect, ident.quote_style) {
        (Dialect::Postgres, None) => ident.value.to_ascii_lowercase(),
        _ => ident.value.clone(),
    };
    as_stored(value, dialect)
}

/// The parts of a name; none if one of them is computed.
pub(super) fn parts(name: &TreeName) -> Option<Vec<&Ident>> {
    name.0.iter().map(ObjectNamePart::as_ident).collect()
}

/// A table's or function's name; what stands before the schema is left out.
pub(super) fn object(name: &TreeName, dialect: Dialect) -> Option<ObjectName> {
    let parts = parts(name)?;
    let mut names = parts.iter().rev().map(|part| ident(part, dialect));
    let last = names.next()?;
    Some(match names.next() {
        Some(schema) => ObjectName::in_schema(schema, last),
        None => ObjectName::bare(last),
    })
}

/// Whether two aliases or CTE names may be the same; in doubt they are.
pub(super) fn same_alias(a: &str, b: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Mysql => a.to_lowercase() == b.to_lowercase(),
        Dialect::Sqlite | Dialect::Postgres => same_table_name(a, b, dialect),
    }
}
