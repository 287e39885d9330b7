//! Any text is read without a panic, and damage never makes reading slow.

use proptest::prelude::*;

use crate::ddl::read;
use crate::destructive::removals;
use crate::snapshot::Snapshot;
use crate::sql::dialect::Dialect;
use crate::verify::Expected;

/// Words, marks and quotes that statements are made of, put together at random.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "CREATE",
            "TABLE",
            "ALTER",
            "DROP",
            "ADD",
            "COLUMN",
            "CONSTRAINT",
            "UNIQUE",
            "INDEX",
            "KEY",
            "PRIMARY KEY",
            "FOREIGN KEY",
            "REFERENCES",
            "CHECK",
            "DEFAULT",
            "NOT NULL",
            "IF",
            "EXISTS",
            "AS",
            "SELECT",
            "FROM",
            "WITH",
            "INSERT INTO",
            "UPDATE",
            "DELETE",
            "ON",
            "RENAME",
            "TO",
            "VIEW",
            "TRIGGER",
            "LIKE",
            "USING",
            "WHERE",
            "SET",
            "COPY",
            "TYPE",
            "GENERATED ALWAYS",
            "IDENTITY",
            "COLLATE",
            "OF",
            "PARTITION",
            "DEFINER",
            "TRUNCATE",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "(", ")", ",", ";", ".", "'", "\"", "`", "[", "]", "--", "/*", "*/", "/*!50001", "$$",
            "$x$", "*", "=", "::", "@", "\n", "\0", "é", "1", "''", "a", "t", "b",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn statement_like_text_never_panics(sql in pieces()) {
        for dialect in Dialect::ALL {
            for change in read(&sql, dialect) {
                let _ = change.to_string();
            }
        }
    }

    #[test]
    fn folding_and_checking_never_panic(statements in prop::collection::vec(pieces(), 1..8)) {
        for dialect in Dialect::ALL {
            let changes: Vec<_> = statements.iter().flat_map(|sql| read(sql, dialect)).collect();
            let mut expected = Expected::fold(&changes, dialect);
            expected.apply(&changes);
            let live = Snapshot::default();
            prop_assert_eq!(expected.check(&live), expected.check(&live.only(&[], dialect)));
            prop_assert!(removals(&changes, dialect).iter().all(|r| r.change < changes.len()));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(sql in "\\PC{0,200}") {
        for dialect in Dialect::ALL {
            let _ = read(&sql, dialect);
        }
    }
}

#[test]
fn deep_and_long_text_is_read_in_linear_time() {
    let deep = format!("CREATE TABLE t ({}", "(".repeat(200_000));
    let withs = "WITH a AS (".repeat(20_000);
    let wide = format!("CREATE TABLE t ({})", "a int default (1), ".repeat(50_000));
    for sql in [deep, withs, wide] {
        for dialect in Dialect::ALL {
            assert!(!read(&sql, dialect).is_empty());
        }
    }
}
