//! Names of objects, and when two spellings mean the same object.

use std::fmt;

use crate::sql::dialect::Dialect;

/// The longest identifier PostgreSQL stores; it cuts off the rest with a notice.
const POSTGRES_NAME_BYTES_MAX: usize = 63;

/// A table's, index's or other object's name, with the schema where one was written.
///
/// Names are values, not spellings: quotes are gone and PostgreSQL's folding is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// The schema, or the database on MariaDB and MySQL.
    pub schema: Option<String>,
    /// The name inside the schema.
    pub name: String,
}

impl ObjectName {
    /// A name without a schema.
    pub fn bare(name: impl Into<String>) -> ObjectName {
        ObjectName { schema: None, name: name.into() }
    }

    /// A name inside a schema.
    pub fn in_schema(schema: impl Into<String>, name: impl Into<String>) -> ObjectName {
        ObjectName { schema: Some(schema.into()), name: name.into() }
    }

    /// Whether both may mean the same object: equal names, and equal schemas where both say one.
    pub fn matches(&self, other: &ObjectName, dialect: Dialect) -> bool {
        if !same_table_name(&self.name, &other.name, dialect) {
            return false;
        }
        match (self.schema_in(dialect), other.schema_in(dialect)) {
            (Some(a), Some(b)) => same_table_name(a, b, dialect),
            (None, _) | (_, None) => true,
        }
    }

    /// The schema, without SQLite's `main`, which every bare name has.
    pub fn schema_in(&self, dialect: Dialect) -> Option<&str> {
        let schema = self.schema.as_deref()?;
        let implied = dialect == Dialect::Sqlite && schema.eq_ignore_ascii_case("main");
        (!implied).then_some(schema)
    }

    /// Whether the object is none of this database's: it lives only as long as the session, or in a
    /// file that SQLite has attached to it.
    pub fn is_temporary(&self, dialect: Dialect) -> bool {
        let Some(schema) = &self.schema else { return false };
        match dialect {
            // What is neither `main` nor `temp` was attached.
            Dialect::Sqlite => !schema.eq_ignore_ascii_case("main"),
            Dialect::Postgres => schema.starts_with("pg_temp"),
            Dialect::Mysql => false,
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether two table (view, schema) names are equal.
///
/// SQLite ignores ASCII case. MariaDB's rule depends on the server's file system; equal there
/// means equal as written, and whoever looks something up may fall back to ignoring case.
pub fn same_table_name(a: &str, b: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Sqlite => a.eq_ignore_ascii_case(b),
        Dialect::Postgres | Dialect::Mysql => a == b,
    }
}

/// Whether two column, index or constraint names are equal.
pub fn same_column_name(a: &str, b: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Sqlite => a.eq_ignore_ascii_case(b),
        Dialect::Mysql => a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase(),
        Dialect::Postgres => a == b,
    }
}

/// The name as the database stores it: PostgreSQL cuts at 63 bytes.
pub fn as_stored(mut name: String, dialect: Dialect) -> String {
    if dialect == Dialect::Postgres && name.len() > POSTGRES_NAME_BYTES_MAX {
        let mut end = POSTGRES_NAME_BYTES_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_counts_only_where_both_say_one() {
        let public = ObjectName::in_schema("public", "users");
        assert!(public.matches(&ObjectName::bare("users"), Dialect::Postgres));
        assert!(!public.matches(&ObjectName::in_schema("auth", "users"), Dialect::Postgres));
        let main = ObjectName::in_schema("main", "Users");
        assert!(main.matches(&ObjectName::in_schema("main", "users"), Dialect::Sqlite));
        assert!(main.matches(&ObjectName::bare("USERS"), Dialect::Sqlite));
        assert!(!ObjectName::bare("Users").matches(&ObjectName::bare("users"), Dialect::Mysql));
    }

    #[test]
    fn postgres_cuts_long_names_at_a_character() {
        let long = "é".repeat(40);
        assert_eq!(as_stored(long.clone(), Dialect::Postgres), "é".repeat(31));
        assert_eq!(as_stored(long.clone(), Dialect::Sqlite), long);
    }
}
