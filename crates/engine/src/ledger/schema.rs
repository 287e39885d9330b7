//! The ledger's tables, one definition for all databases (docs/formats/ledger.md).

use whimbrel_core::sql::dialect::Dialect;

/// The format of the ledger that this binary writes.
pub const LEDGER_FORMAT: i64 = 4;

/// The types that the ledger's columns have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Filled by the database, ascending.
    Seq,
    /// The one row's key.
    One,
    Int,
    IntNull,
    /// Up to 255 characters.
    Name,
    NameNull,
    Text,
    TextNull,
}

struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Type)],
}

use Type::{Int, IntNull, Name, NameNull, One, Seq, Text, TextNull};

/// Tables by the format that brought them.
const FORMATS: &[(i64, &[Table])] = &[(1, FIRST), (2, DATA), (3, BACKUPS), (4, PARTS)];

/// Columns of older tables by the format that brought them: table, column, type.
const ADDED: &[(i64, &str, (&str, Type))] = &[(4, "batches", ("digest", NameNull))];

/// Schema migrations.
const FIRST: &[Table] = &[
    Table {
        name: "identity",
        columns: &[
            ("seq", Seq),
            ("database_id", Name),
            ("environment", Name),
            ("ledger_format", Int),
            ("tool_version", Name),
            ("at_ms", Int),
        ],
    },
    Table {
        name: "runs",
        columns: &[
            ("seq", Seq),
            ("run_id", Name),
            ("event", Name),
            ("verb", Name),
            ("outcome", NameNull),
            ("actor", Name),
            ("detail", Text),
            ("token", Int),
            ("at_ms", Int),
        ],
    },
    Table {
        name: "attempts",
        columns: &[
            ("seq", Seq),
            ("run_id", Name),
            ("migration", Name),
            ("direction", Name),
            ("statement_index", Int),
            ("statement_hash", Name),
            ("event", Name),
            ("rows_affected", IntNull),
            ("error", TextNull),
            ("fingerprint", TextNull),
            ("started_ms", Int),
            ("at_ms", Int),
            ("token", Int),
        ],
    },
    Table {
        name: "migrations",
        columns: &[
            ("seq", Seq),
            ("name", Name),
            ("version", Name),
            ("kind", Name),
            ("event", Name),
            ("text_checksum", Name),
            ("token_checksum", Name),
            ("up_text", TextNull),
            ("down_text", TextNull),
            ("run_id", Name),
            ("actor", Name),
            ("after_attempt", Int),
            ("duration_ms", Int),
            ("at_ms", Int),
            ("token", Int),
        ],
    },
    Table {
        name: "undo",
        columns: &[
            ("seq", Seq),
            ("run_id", Name),
            ("migration", Name),
            ("statement_index", Int),
            ("event", Name),
            ("kind", Name),
            ("object", Name),
            ("kept_as", Name),
            ("key_columns", Text),
            ("columns", Text),
            ("rows_kept", Int),
            ("at_ms", Int),
            ("token", Int),
        ],
    },
    Table {
        name: "audit",
        columns: &[
            ("seq", Seq),
            ("run_id", Name),
            ("actor", Name),
            ("action", Name),
            ("detail", Text),
            ("at_ms", Int),
            ("token", Int),
        ],
    },
    Table { name: "fence", columns: &[("id", One), ("token", Int)] },
    Table {
        name: "lease",
        columns: &[
            ("id", One),
            ("owner", NameNull),
            ("host", Name),
            ("boot_id", Name),
            ("pid", Int),
            ("process_start", Name),
            ("server_session", Name),
            ("run_id", Name),
            ("verb", Name),
            ("token", Int),
            ("acquired_ms", Int),
            ("expires_ms", Int),
            ("steps_done", Int),
            ("steps_total", Int),
            ("step_now", Name),
        ],
    },
];

/// Data migrations.
const DATA: &[Table] = &[
    Table {
        name: "cursors",
        columns: &[
            ("seq", Seq),
            ("migration", Name),
            ("direction", Name),
            ("statement_index", Int),
            ("statement_hash", Name),
            ("state", Name),
            ("driving", Name),
            ("key_columns", Text),
            ("last_key", TextNull),
            ("upper_key", TextNull),
            ("details", Text),
            ("batches", Int),
            ("rows_read", Int),
            ("rows_produced", Int),
            ("rows_staged", Int),
            ("rows_written", Int),
            ("rows_quarantined", Int),
            ("rows_skipped", Int),
            ("rows_missing", Int),
            ("batch_size", Int),
            ("began_ms", Int),
            ("updated_ms", Int),
            ("token", Int),
        ],
    },
    Table {
        name: "batches",
        columns: &[
            ("seq", Seq),
            ("run_id", Name),
            ("migration", Name),
            ("direction", Name),
            ("statement_index", Int),
            ("number", Int),
            ("first_after", TextNull),
            ("last_key", Text),
            ("rows_read", Int),
            ("rows_written", Int),
            ("rows_quarantined", Int),
            ("duration_ms", Int),
            ("at_ms", Int),
            ("token", Int),
        ],
    },
    Table {
        name: "quarantine",
        columns: &[
            ("seq", Seq),
            ("run_id", Name),
            ("migration", Name),
            ("statement_index", Int),
            ("driving", Name),
            ("row_key", Text),
            ("row_json", Text),
            ("error", Text),
            ("code", Name),
            ("state", Name),
            ("edit_json", TextNull),
            ("tries", Int),
            ("actor", Name),
            ("at_ms", Int),
            ("updated_ms", Int),
            ("token", Int),
        ],
    },
    Table {
        name: "control",
        columns: &[
            ("id", One),
            ("run_id", Name),
            ("wanted", Name),
            ("actor", Name),
            ("at_ms", Int),
        ],
    },
];

/// Backups.
const BACKUPS: &[Table] = &[Table {
    name: "backups",
    columns: &[
        ("seq", Seq),
        ("backup_id", Name),
        ("run_id", Name),
        ("event", Name),
        ("bytes", Int),
        ("location", Text),
        ("actor", Name),
        ("at_ms", Int),
        ("token", Int),
    ],
}];

/// Parts of the key range of a statement that several connections go through.
const PARTS: &[Table] = &[Table {
    name: "parts",
    columns: &[
        ("seq", Seq),
        ("cursor_seq", Int),
        ("part", Int),
        ("state", Name),
        ("first_after", TextNull),
        ("last_key", TextNull),
        ("upper_key", Text),
        ("batches", Int),
        ("rows_read", Int),
        ("batch_size", Int),
        ("server_session", Name),
        ("updated_ms", Int),
        ("token", Int),
    ],
}];

/// The columns of one of the ledger's tables, without `seq`.
pub(crate) fn columns_of(name: &str) -> Vec<&'static str> {
    let mut tables = FORMATS.iter().flat_map(|(_, tables)| tables.iter());
    let columns = tables.find(|table| table.name == name).map_or(&[][..], |table| table.columns);
    let added = ADDED.iter().filter(|(_, table, _)| *table == name).map(|(.., column)| column);
    columns.iter().chain(added).filter(|(_, kind)| *kind != Seq).map(|(name, _)| *name).collect()
}

/// The name of one of the ledger's tables as it stands in SQL.
pub fn table(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("whimbrel.{name}"),
        Dialect::Sqlite | Dialect::Mysql => format!("whimbrel_{name}"),
    }
}

/// The statements that bring a ledger of format `from` (0: none) to [`LEDGER_FORMAT`].
pub(super) fn upgrade(dialect: Dialect, from: i64) -> Vec<String> {
    let mut out = Vec::new();
    if from == 0 && dialect == Dialect::Postgres {
        out.push("CREATE SCHEMA IF NOT EXISTS whimbrel".to_owned());
    }
    for (_, tables) in FORMATS.iter().filter(|(format, _)| *format > from) {
        for definition in *tables {
            out.push(create_table(dialect, definition));
            if definition.columns.iter().any(|(_, kind)| *kind == One) {
                out.push(first_row(dialect, definition));
            }
        }
    }
    for (_, name, column) in ADDED.iter().filter(|(format, ..)| *format > from) {
        out.push(add_column(dialect, name, *column));
    }
    out
}

/// Adds a column. Where that ends the transaction, a column that is there already is left alone.
fn add_column(dialect: Dialect, name: &str, (column, kind): (&str, Type)) -> String {
    let table = table(dialect, name);
    let add = format!("ALTER TABLE {table} ADD COLUMN {column} {}", column_type(dialect, kind));
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => add,
        // Only MariaDB has `ADD COLUMN IF NOT EXISTS`.
        Dialect::Mysql => format!(
            "SET @whimbrel_add = (SELECT CASE count(*) WHEN 0 THEN '{add}' ELSE 'DO 0' END \
             FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = '{table}' AND column_name = '{column}'); \
             PREPARE whimbrel_add FROM @whimbrel_add; EXECUTE whimbrel_add; \
             DEALLOCATE PREPARE whimbrel_add"
        ),
    }
}

fn create_table(dialect: Dialect, definition: &Table) -> String {
    let columns: Vec<String> = definition
        .columns
        .iter()
        .map(|(name, kind)| format!("{name} {}", column_type(dialect, *kind)))
        .collect();
    let options = match dialect {
        Dialect::Mysql => " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        Dialect::Sqlite | Dialect::Postgres => "",
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({}){options}",
        table(dialect, definition.name),
        columns.join(", ")
    )
}

fn column_type(dialect: Dialect, kind: Type) -> &'static str {
    match (dialect, kind) {
        (Dialect::Sqlite, Seq | One) => "INTEGER PRIMARY KEY",
        (Dialect::Postgres, Seq) => "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        (Dialect::Mysql, Seq) => "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
        (Dialect::Postgres | Dialect::Mysql, One) => "bigint PRIMARY KEY",
        (Dialect::Sqlite, Int) => "INTEGER NOT NULL",
        (Dialect::Sqlite, IntNull) => "INTEGER",
        (Dialect::Postgres | Dialect::Mysql, Int) => "bigint NOT NULL",
        (Dialect::Postgres | Dialect::Mysql, IntNull) => "bigint",
        (Dialect::Mysql, Name) => "VARCHAR(255) NOT NULL",
        (Dialect::Mysql, NameNull) => "VARCHAR(255)",
        (Dialect::Mysql, Text) => "LONGTEXT NOT NULL",
        (Dialect::Mysql, TextNull) => "LONGTEXT",
        (Dialect::Sqlite | Dialect::Postgres, Name | Text) => "text NOT NULL",
        (Dialect::Sqlite | Dialect::Postgres, NameNull | TextNull) => "text",
    }
}

/// The one row of `fence` and `lease`, written so that two processes may both try.
fn first_row(dialect: Dialect, definition: &Table) -> String {
    let names: Vec<&str> = definition.columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = definition
        .columns
        .iter()
        .map(|(_, kind)| match kind {
            One => "1",
            Int => "0",
            NameNull | TextNull | IntNull => "NULL",
            Name | Text | Seq => "''",
        })
        .collect();
    let (verb, tail) = match dialect {
        Dialect::Sqlite | Dialect::Postgres => ("INSERT", " ON CONFLICT DO NOTHING"),
        Dialect::Mysql => ("INSERT IGNORE", ""),
    };
    format!(
        "{verb} INTO {} ({}) VALUES ({}){tail}",
        table(dialect, definition.name),
        names.join(", "),
        values.join(", ")
    )
}

/// The server's clock in milliseconds since 1970-01-01 UTC, as an SQL expression.
pub(crate) fn now_ms(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        Dialect::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        // UNIX_TIMESTAMP would go through local time, which has one hour twice in autumn.
        Dialect::Mysql => "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_specification_is_created_for_every_dialect() {
        let page = include_str!("../../../../docs/formats/ledger.md");
        for dialect in Dialect::ALL {
            let sql = upgrade(dialect, 0).join(";\n");
            for heading in page.lines().filter_map(|line| line.strip_prefix("### ")) {
                let name = heading.split(':').next().unwrap();
                assert!(sql.contains(&format!("EXISTS {} (", table(dialect, name))), "{name}");
            }
        }
    }

    #[test]
    fn the_newest_format_needs_no_upgrade() {
        assert!(upgrade(Dialect::Sqlite, LEDGER_FORMAT).is_empty());
    }
}
