//! When a value is unchanged.

use crate::sql::dialect::Dialect;

/// The condition that two expressions have the same value, byte for byte and of the same type, NULL
/// being the same as NULL.
pub fn same_value(left: &str, right: &str, dialect: Dialect) -> String {
    match dialect {
        // In parentheses, because sqlparser reads COLLATE right behind a name or a parenthesis.
        Dialect::Postgres => format!(
            "((({left})::text) COLLATE \"C\" IS NOT DISTINCT FROM (({right})::text) COLLATE \"C\")"
        ),
        Dialect::Sqlite => format!(
            "(typeof({left}) = typeof({right}) AND {left} COLLATE BINARY IS NOT DISTINCT FROM \
             {right})"
        ),
        Dialect::Mysql => format!("(BINARY {left} <=> BINARY {right})"),
    }
}
