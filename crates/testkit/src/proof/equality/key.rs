//! Keys of driving tables: types whose order in the database is not the order of their texts, rows
//! in an order that is not the key's.

use crate::proof::engine::Engine;
use crate::proof::random::Random;

/// The key of a generated table.
#[derive(Clone, Debug)]
pub(super) struct KeyKind {
    /// Its name in reports.
    pub(super) name: &'static str,
    /// Names and types of its columns.
    pub(super) columns: Vec<(&'static str, String)>,
    /// What makes it a key: `PRIMARY KEY (..)`; empty for a table without any.
    pub(super) constraint: String,
    /// What stands behind the table's closing parenthesis.
    pub(super) options: &'static str,
    /// What must be made before.
    pub(super) before: String,
    make: Make,
}

#[derive(Clone, Copy, Debug)]
enum Make {
    Int,
    BigInt,
    Unsigned,
    Text,
    IntInt,
    TextInt,
    EnumInt,
    Uuid,
    Decimal,
    Double,
    Float,
    Moment,
    Bytes,
    Mixed,
    TextWithNull,
    None,
}

const WORDS: [&str; 16] =
    ["a", "B", "ä", "Z", "é", "_", "''", "日本", " x", "%", "10", "9", "-", "ß", "zz", "\\"];

impl KeyKind {
    /// Every kind of an engine.
    pub(super) fn all(engine: Engine, number: usize) -> Vec<KeyKind> {
        let kind = |name, columns: &[(&'static str, &str)], make| KeyKind {
            name,
            columns: columns.iter().map(|(name, kind)| (*name, (*kind).to_owned())).collect(),
            constraint: primary(columns),
            options: "",
            before: String::new(),
            make,
        };
        let mut all = vec![
            kind("int", &[("k", "integer")], Make::Int),
            kind("bigint", &[("k", "bigint")], Make::BigInt),
            kind("int_int", &[("k", "integer"), ("k2", "integer")], Make::IntInt),
            KeyKind {
                name: "unique",
                columns: vec![("k", "integer NOT NULL".to_owned())],
                constraint: "UNIQUE (k)".to_owned(),
                options: "",
                before: String::new(),
                make: Make::Int,
            },
        ];
        match engine {
            Engine::Sqlite => all.extend([
                kind("nocase", &[("k", "TEXT COLLATE NOCASE NOT NULL")], Make::Text),
                kind(
                    "text_int",
                    &[("k", "TEXT NOT NULL"), ("k2", "INTEGER NOT NULL")],
                    Make::TextInt,
                ),
                KeyKind {
                    options: " WITHOUT ROWID",
                    ..kind("without_rowid", &[("k", "TEXT"), ("k2", "INTEGER")], Make::TextInt)
                },
                kind("real", &[("k", "REAL NOT NULL")], Make::Double),
                kind("numeric", &[("k", "NUMERIC NOT NULL")], Make::Decimal),
                kind("blob", &[("k", "BLOB NOT NULL")], Make::Bytes),
                kind("mixed", &[("k", "INT NOT NULL")], Make::Mixed),
                kind("text_null", &[("k", "TEXT")], Make::TextWithNull),
                KeyKind { name: "rowid", columns: Vec::new(), ..kind("", &[], Make::None) },
            ]),
            Engine::Postgres => all.extend([
                kind("text", &[("k", "text")], Make::Text),
                kind("icu", &[("k", "text COLLATE \"und-x-icu\"")], Make::Text),
                kind(
                    "icu_int",
                    &[("k", "varchar(40) COLLATE \"und-x-icu\""), ("k2", "smallint")],
                    Make::TextInt,
                ),
                kind("char_int", &[("k", "char(8)"), ("k2", "bigint")], Make::TextInt),
                kind("uuid", &[("k", "uuid")], Make::Uuid),
                kind("numeric", &[("k", "numeric")], Make::Decimal),
                kind("float8", &[("k", "double precision")], Make::Double),
                kind("timestamptz", &[("k", "timestamptz")], Make::Moment),
                kind("bytea", &[("k", "bytea")], Make::Bytes),
                KeyKind {
                    before: format!("CREATE TYPE e{number} AS ENUM ('z', 'b', 'M', 'a');\n"),
                    columns: vec![("k", format!("e{number}")), ("k2", "integer".to_owned())],
                    ..kind("enum_int", &[("k", ""), ("k2", "")], Make::EnumInt)
                },
            ]),
            Engine::Mariadb => all.extend([
                kind("text", &[("k", "varchar(40) COLLATE utf8mb4_unicode_ci")], Make::Text),
                kind("text_bin", &[("k", "varchar(40) COLLATE utf8mb4_bin")], Make::Text),
                kind("text_int", &[("k", "varchar(40)"), ("k2", "integer")], Make::TextInt),
                kind("unsigned", &[("k", "bigint unsigned")], Make::Unsigned),
                kind("uuid", &[("k", "uuid")], Make::Uuid),
                kind("decimal", &[("k", "decimal(20,6)")], Make::Decimal),
                kind("double", &[("k", "double")], Make::Double),
                kind("float", &[("k", "float")], Make::Float),
                kind("set_int", &[("k", "set('z','b','M','a')"), ("k2", "integer")], Make::EnumInt),
                kind("char", &[("k", "char(20)")], Make::Text),
                kind("datetime", &[("k", "datetime(6)")], Make::Moment),
                kind("varbinary", &[("k", "varbinary(20)")], Make::Bytes),
                kind(
                    "enum_int",
                    &[("k", "enum('z','b','M','a')"), ("k2", "integer")],
                    Make::EnumInt,
                ),
            ]),
        }
        all
    }

    /// Whether a generated statement may name the key's columns.
    pub(super) fn is_named(&self) -> bool {
        !self.columns.is_empty()
    }

    /// `count` different keys as literals, in no order.
    pub(super) fn keys(
        &self,
        engine: Engine,
        random: &mut Random,
        count: usize,
    ) -> Vec<Vec<String>> {
        let mut keys: Vec<Vec<String>> =
            (0..count).map(|at| self.make.values(engine, random, at)).collect();
        for at in (1..keys.len()).rev() {
            keys.swap(at, random.below(at + 1));
        }
        keys
    }
}

fn primary(columns: &[(&'static str, &str)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    if names.is_empty() { String::new() } else { format!("PRIMARY KEY ({})", names.join(", ")) }
}

impl Make {
    fn values(self, engine: Engine, random: &mut Random, at: usize) -> Vec<String> {
        let number = i64::try_from(at).unwrap_or(0) * 3 - 40;
        let near = i64::try_from(random.below(3)).unwrap_or(0);
        let one = |text: String| vec![text];
        match self {
            Make::Int => one((number + near).to_string()),
            Make::BigInt => one((number * 100_000_000_000 + near).to_string()),
            Make::Unsigned => {
                let at = u64::try_from(at).unwrap_or(0);
                one(if at % 2 == 0 { u64::MAX - at } else { at }.to_string())
            }
            Make::Text => one(text(engine, random, at)),
            Make::IntInt => vec![(number / 12).to_string(), number.to_string()],
            Make::TextInt => vec![format!("'{}'", word(engine, random)), number.to_string()],
            Make::EnumInt => {
                let word = random.pick(&["z", "b", "M", "a"]).copied().unwrap_or("z");
                vec![format!("'{word}'"), number.to_string()]
            }
            Make::Uuid => one(uuid(random)),
            Make::Decimal => one(format!("{}{}.{:03}", sign(random), at, random.below(1_000))),
            Make::Double => {
                one(format!("{}{}.{}e{}", sign(random), at, random.next(), random.below(30)))
            }
            Make::Float => one(format!("{}{at}.{}", sign(random), random.below(100))),
            Make::Moment => one(format!(
                "'{}-01-{:02} 0{}:00:0{}.{:06}'",
                1_970 + at * 7 % 60,
                at % 28 + 1,
                at % 10,
                random.below(10),
                at * 31
            )),
            Make::Bytes => {
                let hex = format!("{:02x}{at:06x}", random.below(256));
                one(if engine == Engine::Postgres {
                    format!("'\\x{hex}'")
                } else {
                    format!("x'{hex}'")
                })
            }
            Make::Mixed => one(match at % 4 {
                0 => number.to_string(),
                1 => format!("'t{at}'"),
                2 => format!("{at}.5"),
                _ => format!("x'{at:04x}'"),
            }),
            Make::TextWithNull => {
                one(if at % 4 == 1 { "NULL".to_owned() } else { text(engine, random, at) })
            }
            Make::None => Vec::new(),
        }
    }
}

fn sign(random: &mut Random) -> &'static str {
    if random.below(2) == 0 { "-" } else { "" }
}

/// A text that no other number gives, under any collation.
fn text(engine: Engine, random: &mut Random, at: usize) -> String {
    format!("'{}.{at}'", word(engine, random))
}

fn word(engine: Engine, random: &mut Random) -> String {
    let word = random.pick(&WORDS).copied().unwrap_or("a");
    if engine == Engine::Mariadb { word.replace('\\', "\\\\") } else { word.to_owned() }
}

fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    let version = if high % 2 == 0 { 4 } else { 1 };
    format!(
        "'{:08x}-{:04x}-{version}{:03x}-{:04x}-{:012x}'",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}
