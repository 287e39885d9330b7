//! Whether a declared type is the one that the catalog prints.
//!
//! A wrong "different" would roll back somebody's migration, so it is said only for two types that
//! are both known; everything else is [`TypeMatch::Unsure`].

use crate::sql::dialect::Dialect;

/// How a declared type and a catalog's type compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeMatch {
    /// They are the same type.
    Same,
    /// They are certainly not the same type.
    Different,
    /// This cannot be said from the names alone.
    Unsure,
}

/// Compares a type as declared with the type as the catalog prints it.
pub fn types_match(declared: &str, catalog: &str, dialect: Dialect) -> TypeMatch {
    match dialect {
        Dialect::Sqlite => sqlite(declared, catalog),
        Dialect::Postgres => postgres(declared, catalog),
        Dialect::Mysql => mysql(declared, catalog),
    }
}

/// Whether a type, as PostgreSQL's catalog prints it, certainly comes with the server, so that no
/// migration can drop it. False for enums, domains, composite types and those of extensions.
pub fn is_built_in(catalog: &str) -> bool {
    postgres_parts(catalog).known
}

/// SQLite keeps the declaration's text.
fn sqlite(declared: &str, catalog: &str) -> TypeMatch {
    let squeeze = |text: &str| {
        let kept = |c: &char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '`' | '[' | ']');
        text.chars().filter(kept).collect::<String>().to_lowercase()
    };
    let (a, b) = (squeeze(declared), squeeze(catalog));
    let plain = |text: &str| {
        text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '(' | ')' | ',' | '.' | '-'))
    };
    if a == b {
        TypeMatch::Same
    } else if plain(&a) && plain(&b) && !a.contains("--") && !b.contains("--") {
        TypeMatch::Different
    } else {
        TypeMatch::Unsure
    }
}

/// A type taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    schema: Option<String>,
    name: String,
    args: Option<String>,
    array: bool,
    known: bool,
}

fn postgres(declared: &str, catalog: &str) -> TypeMatch {
    let (a, b) = (postgres_parts(declared), postgres_parts(catalog));
    if matches!(b.name.as_str(), "array" | "user-defined") {
        return TypeMatch::Unsure;
    }
    if !a.known || !b.known {
        let same_schema = a.schema == b.schema || a.schema.is_none() || b.schema.is_none();
        let same = a.name == b.name && a.array == b.array && a.args == b.args && same_schema;
        return if same { TypeMatch::Same } else { TypeMatch::Unsure };
    }
    if a.name != b.name || a.array != b.array {
        return TypeMatch::Different;
    }
    match (&a.args, &b.args) {
        (a, b) if a == b => TypeMatch::Same,
        // A catalog view without lengths, or a precision above what the server keeps.
        (Some(_), None) => TypeMatch::Unsure,
        _ if a.name.starts_with("time") || a.name.starts_with("interval") => TypeMatch::Unsure,
        _ => TypeMatch::Different,
    }
}

fn postgres_parts(text: &str) -> Parts {
    let mut rest = text.trim().to_owned();
    let mut array = false;
    while let Some(open) = rest.rfind('[').filter(|_| rest.ends_with(']')) {
        rest.truncate(open);
        rest = rest.trim_end().to_owned();
        array = true;
    }
    let bare = rest.to_ascii_lowercase();
    if let Some(element) = bare.strip_suffix(" array") {
        rest.truncate(element.len());
        array = true;
    }
    let (words, mut args) = without_arguments(&rest);
    let (schema, name) = schema_and_name(&words);
    let mut name = if name.contains('"') {
        name.replace('"', "")
    } else {
        name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    if schema.is_none()
        && let Some(element) = name.strip_prefix('_').filter(|e| postgres_alias(e).is_some())
    {
        name = element.to_owned();
        array = true;
    }
    let own_schema = schema.as_deref().is_some_and(|schema| schema != "pg_catalog");
    let canonical = if own_schema || words.contains('"') { None } else { postgres_alias(&name) };
    let known = canonical.is_some();
    if let Some(canonical) = canonical {
        args = postgres_arguments(&name, canonical, args);
        name = canonical.to_owned();
        if name == "float" {
            let small = args.take().and_then(|a| a.parse::<u8>().ok()).is_some_and(|n| n <= 24);
            name = if small { "real" } else { "double precision" }.to_owned();
        }
    }
    Parts { schema: schema.filter(|s| s != "pg_catalog"), name, args, array, known }
}

/// The words without the first parenthesised part, and that part without blanks.
fn without_arguments(text: &str) -> (String, Option<String>) {
    let Some((before, behind)) = text.split_once('(') else { return (text.to_owned(), None) };
    let Some((inside, after)) = behind.rsplit_once(')') else { return (text.to_owned(), None) };
    let mut quoted = false;
    let mut args = String::new();
    for c in inside.chars() {
        quoted ^= c == '\'';
        if quoted || !c.is_whitespace() {
            args.push(c);
        }
    }
    (format!("{} {}", before.trim(), after.trim()).trim().to_owned(), Some(args))
}

fn schema_and_name(words: &str) -> (Option<String>, String) {
    match words.rsplit_once('.') {
        Some((schema, name)) => {
            let schema = schema.trim();
            let value =
                if schema.contains('"') { schema.replace('"', "") } else { schema.to_lowercase() };
            (Some(value), name.trim().to_owned())
        }
        None => (None, words.to_owned()),
    }
}

/// The name that `format_type` prints for a built-in type.
fn postgres_alias(name: &str) -> Option<&'static str> {
    Some(match name {
        "int" | "int4" | "integer" | "serial" | "serial4" => "integer",
        "int8" | "bigint" | "bigserial" | "serial8" => "bigint",
        "int2" | "smallint" | "smallserial" | "serial2" => "smallint",
        "bool" | "boolean" => "boolean",
        "varchar"
        | "character varying"
        | "char varying"
        | "national character varying"
        | "national char varying"
        | "nchar varying" => "character varying",
        "char" | "character" | "nchar" | "national character" | "national char" => "character",
        "bpchar" => "bpchar",
        "decimal" | "dec" | "numeric" => "numeric",
        "float" => "float",
        "float4" | "real" => "real",
        "float8" | "double precision" => "double precision",
        "timestamptz" | "timestamp with time zone" => "timestamp with time zone",
        "timestamp" | "timestamp without time zone" => "timestamp without time zone",
        "timetz" | "time with time zone" => "time with time zone",
        "time" | "time without time zone" => "time without time zone",
        "varbit" | "bit varying" => "bit varying",
        "bit" => "bit",
        "text" => "text",
        "uuid" => "uuid",
        "json" => "json",
        "jsonb" => "jsonb",
        "bytea" => "bytea",
        "date" => "date",
        "interval" => "interval",
        "inet" => "inet",
        "cidr" => "cidr",
        "macaddr" => "macaddr",
        "money" => "money",
        "xml" => "xml",
        "tsvector" => "tsvector",
        "tsquery" => "tsquery",
        "point" => "point",
        "oid" => "oid",
        "int4range" => "int4range",
        "int8range" => "int8range",
        "numrange" => "numrange",
        "daterange" => "daterange",
        "tsrange" => "tsrange",
        "tstzrange" => "tstzrange",
        _ => return None,
    })
}

/// The arguments as the catalog prints them where they are left out.
fn postgres_arguments(name: &str, canonical: &str, args: Option<String>) -> Option<String> {
    match (canonical, args) {
        ("character" | "bit", None) if name != "bpchar" => Some("1".to_owned()),
        ("numeric", Some(args)) if !args.contains(',') => Some(format!("{args},0")),
        (_, args) => args,
    }
}

fn mysql(declared: &str, catalog: &str) -> TypeMatch {
    let (a, b) = (mysql_parts(declared), mysql_parts(catalog));
    if a == b {
        return TypeMatch::Same;
    }
    let json = |x: &MysqlParts, y: &MysqlParts| x.base == "json" && y.base == "longtext";
    if json(&a, &b) || json(&b, &a) {
        return TypeMatch::Same;
    }
    let (Some(a_family), Some(b_family)) = (mysql_family(&a.base), mysql_family(&b.base)) else {
        return TypeMatch::Unsure;
    };
    // The server widens texts by itself and keeps what it likes of an enum's spelling.
    let soft = |family: &str| matches!(family, "text" | "blob" | "listed" | "float");
    if soft(a_family) || soft(b_family) {
        let certain = a_family != b_family
            && ["whole", "time"].iter().any(|f| *f == a_family || *f == b_family);
        return if certain { TypeMatch::Different } else { TypeMatch::Unsure };
    }
    TypeMatch::Different
}

#[derive(Debug, PartialEq, Eq)]
struct MysqlParts {
    base: String,
    args: Option<String>,
    unsigned: bool,
}

fn mysql_parts(text: &str) -> MysqlParts {
    let (words, mut args) = without_arguments(text);
    let mut unsigned = false;
    let mut base: Vec<String> = Vec::new();
    for word in words.to_lowercase().split_whitespace() {
        match word {
            "unsigned" | "zerofill" => unsigned = true,
            "signed" => {}
            "character" | "charset" | "collate" if !base.is_empty() => break,
            _ => base.push(word.to_owned()),
        }
    }
    let base = base.join(" ");
    let canonical = match base.as_str() {
        "int" | "integer" | "int4" => "int",
        "tinyint" | "int1" | "bool" | "boolean" => "tinyint",
        "smallint" | "int2" => "smallint",
        "mediumint" | "int3" | "middleint" => "mediumint",
        "bigint" | "int8" => "bigint",
        "serial" => {
            unsigned = true;
            "bigint"
        }
        "dec" | "fixed" | "numeric" | "decimal" => "decimal",
        "double" | "double precision" | "float8" | "real" => "double",
        "float" | "float4" => "float",
        "varchar" | "nvarchar" | "national varchar" | "character varying" | "varcharacter"
        | "char varying" => "varchar",
        "char" | "nchar" | "national char" | "character" => "char",
        "long" | "long varchar" => "mediumtext",
        other => other,
    };
    args = match (canonical, args) {
        ("int" | "tinyint" | "smallint" | "mediumint" | "bigint" | "year", _) => None,
        ("decimal", None) => Some("10,0".to_owned()),
        ("decimal", Some(args)) if !args.contains(',') => Some(format!("{args},0")),
        ("char" | "binary" | "bit", None) => Some("1".to_owned()),
        ("datetime" | "timestamp" | "time", Some(args)) if args == "0" => None,
        (_, args) => args,
    };
    MysqlParts { base: canonical.to_owned(), args, unsigned }
}

/// The family of a known type.
fn mysql_family(base: &str) -> Option<&'static str> {
    Some(match base {
        "int" | "tinyint" | "smallint" | "mediumint" | "bigint" => "whole",
        "decimal" | "bit" => "exact",
        "double" | "float" => "float",
        "varchar" | "char" | "text" | "tinytext" | "mediumtext" | "longtext" => "text",
        "blob" | "tinyblob" | "mediumblob" | "longblob" | "binary" | "varbinary" => "blob",
        "date" | "datetime" | "timestamp" | "time" | "year" => "time",
        "enum" | "set" => "listed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use TypeMatch::{Different, Same, Unsure};

    #[track_caller]
    fn check(dialect: Dialect, rows: &[(&str, &str, TypeMatch)]) {
        for (declared, catalog, want) in rows {
            assert_eq!(types_match(declared, catalog, dialect), *want, "{declared} / {catalog}");
        }
    }

    #[test]
    fn postgres_aliases() {
        check(
            Dialect::Postgres,
            &[
                ("INT", "integer", Same),
                ("int4", "integer", Same),
                ("serial", "integer", Same),
                ("pg_catalog.int8", "bigint", Same),
                ("BIGSERIAL", "bigint", Same),
                ("varchar(255)", "character varying(255)", Same),
                ("varchar( 255 )", "character varying(255)", Same),
                ("char", "character(1)", Same),
                ("char(3)", "character(3)", Same),
                ("bool", "boolean", Same),
                ("timestamptz", "timestamp with time zone", Same),
                ("TIMESTAMP(3)", "timestamp(3) without time zone", Same),
                ("timestamp (3) with time zone", "timestamp(3) with time zone", Same),
                ("decimal(10)", "numeric(10,0)", Same),
                ("NUMERIC(10, 2)", "numeric(10,2)", Same),
                ("numeric", "numeric", Same),
                ("float8", "double precision", Same),
                ("float(24)", "real", Same),
                ("float", "double precision", Same),
                ("text[]", "text[]", Same),
                ("text[3][]", "text[]", Same),
                ("integer ARRAY", "integer[]", Same),
                ("varchar(10)[]", "character varying(10)[]", Same),
                ("text[]", "_text", Same),
                ("public.mood", "mood", Same),
                ("mood", "public.mood", Same),
                ("\"Role\"", "\"Role\"", Same),
                ("\"Role\"[]", "\"Role\"[]", Same),
                ("public.\"Role\"", "\"Role\"", Same),
                ("vector(1536)", "vector(1536)", Same),
                ("extensions.vector(1536)", "vector(1536)", Same),
                ("geometry(Point, 4326)", "geometry(Point,4326)", Same),
                ("bit", "bit(1)", Same),
                ("interval", "interval", Same),
                ("int", "bigint", Different),
                ("varchar(10)", "character varying(20)", Different),
                ("varchar(10)", "text", Different),
                ("text", "text[]", Different),
                ("timestamptz", "timestamp without time zone", Different),
                ("numeric(10,2)", "numeric(12,2)", Different),
                ("email", "text", Unsure),
                ("mood", "feeling", Unsure),
                ("a.mood", "b.mood", Unsure),
                ("varchar(10)", "character varying", Unsure),
                ("timestamp(9)", "timestamp(6) without time zone", Unsure),
                ("text[]", "ARRAY", Unsure),
                ("mood", "USER-DEFINED", Unsure),
                ("", "integer", Unsure),
                ("((", "]", Unsure),
            ],
        );
    }

    #[test]
    fn mysql_aliases() {
        check(
            Dialect::Mysql,
            &[
                ("INT", "int(11)", Same),
                ("INTEGER UNSIGNED", "int(10) unsigned", Same),
                ("bool", "tinyint(1)", Same),
                ("BIGINT(20)", "bigint", Same),
                ("serial", "bigint(20) unsigned", Same),
                ("numeric", "decimal(10,0)", Same),
                ("DECIMAL(10, 2)", "decimal(10,2)", Same),
                ("varchar(255)", "varchar(255)", Same),
                ("varchar(255) CHARACTER SET utf8 COLLATE utf8_bin", "varchar(255)", Same),
                ("char", "char(1)", Same),
                ("json", "longtext", Same),
                ("datetime(0)", "datetime", Same),
                ("enum('a', 'b')", "enum('a','b')", Same),
                ("int zerofill", "int(10) unsigned zerofill", Same),
                ("double precision", "double", Same),
                ("int", "bigint(20)", Different),
                ("int", "int(10) unsigned", Different),
                ("decimal(10,2)", "decimal(12,2)", Different),
                ("date", "datetime", Different),
                ("datetime", "text", Different),
                ("varchar(10)", "varchar(20)", Unsure),
                ("text", "mediumtext", Unsure),
                ("enum('a')", "enum('a','b')", Unsure),
                ("real", "float", Unsure),
                ("uuid", "char(36)", Unsure),
            ],
        );
    }

    #[test]
    fn sqlite_keeps_the_text() {
        check(
            Dialect::Sqlite,
            &[
                ("integer", "INTEGER", Same),
                ("VARCHAR( 255 )", "VARCHAR(255)", Same),
                ("DOUBLE  PRECISION", "DOUBLE PRECISION", Same),
                ("\"text\"", "text", Same),
                ("TEXT", "INTEGER", Different),
                ("TEXT", "", Different),
                ("TEXT", "TEXT /* note */", Unsure),
            ],
        );
    }
}
