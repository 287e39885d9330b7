//! Damaged, nested and odd data statements: a verdict in any case.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::data::{BatchOptions, Catalog, DataKind, RefusalCode, analyse, mentions};
use whimbrel_core::sql::dialect::Dialect;

use crate::data::{Case, cases, snapshot};

/// What is done to a statement's text.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, &'static str),
    Repeat(usize, usize),
}

const PIECES: [&str; 28] = [
    "(",
    ")",
    "'",
    "\"",
    "`",
    "--",
    "/*",
    "*/",
    ";",
    ",",
    ".",
    " WHERE ",
    " FROM ",
    " SET ",
    " SELECT ",
    " LIMIT 1 ",
    " ORDER BY ",
    " UNION ",
    " IN ",
    " END ",
    " CASE WHEN ",
    ":run_id",
    "::",
    "é",
    "$$",
    " JOIN ",
    " ON CONFLICT ",
    " * ",
];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 0..20_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (any::<usize>(), prop::sample::select(PIECES.to_vec()))
            .prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (any::<usize>(), 0..40_usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
}

fn damaged(sql: &str, all: &[Damage]) -> String {
    let mut chars: Vec<char> = sql.chars().collect();
    for damage in all {
        let length = chars.len() + 1;
        match damage {
            Damage::Cut(at) => chars.truncate(at % length),
            Damage::Remove(at, count) => {
                let at = at % length;
                let end = (at + count).min(chars.len());
                chars.drain(at..end);
            }
            Damage::Insert(at, piece) => {
                let at = at % length;
                chars.splice(at..at, piece.chars());
            }
            Damage::Repeat(at, count) => {
                let at = at % length;
                let end = (at + count).min(chars.len());
                let copy: Vec<char> = chars[at..end].to_vec();
                chars.splice(at..at, copy);
            }
        }
    }
    chars.into_iter().collect()
}

/// Analyses a text and uses everything that an accepted one offers.
fn judge(case: &Case, sql: &str, dialect: Dialect) {
    let snapshot = snapshot(&case.tables, dialect);
    let catalog = Catalog { dialect, snapshot: &snapshot, functions: &case.functions };
    let _ = mentions(sql, dialect);
    match analyse(sql, &catalog, &BatchOptions::default()) {
        Ok(batchable) => {
            let restricted = batchable.restricted("1 = 1");
            assert!(restricted.contains("(1 = 1)"), "{restricted}");
            assert!(mentions(&restricted, dialect).is_ok(), "{restricted}");
            match batchable.kind {
                DataKind::Insert => {
                    let source = batchable.source_select("1 AS k", "1 = 1");
                    assert!(mentions(&source, dialect).is_ok(), "{source}");
                }
                DataKind::Update | DataKind::Delete => {
                    let matching = batchable.matching("1", "1 = 1", "");
                    assert!(mentions(&matching, dialect).is_ok(), "{matching}");
                }
            }
        }
        Err(refusal) => {
            assert!(refusal.span.end <= sql.len(), "{refusal:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: prop::test_runner::RngSeed::Fixed(7),
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_statements_have_a_verdict(
        number in any::<usize>(),
        all in prop::collection::vec(damage(), 1..4),
    ) {
        let cases = cases();
        let case = &cases[number % cases.len()];
        let sql = damaged(&case.statement, &all);
        for dialect in case.dialects.clone() {
            judge(case, &sql, dialect);
        }
    }
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let snapshot = snapshot(&["t(id integer primary key, v int)".to_owned()], Dialect::Sqlite);
    let functions = BTreeMap::new();
    let deep = |open: &str, close: &str, count: usize| {
        format!("UPDATE t SET v = {}1{}", open.repeat(count), close.repeat(count))
    };
    for dialect in Dialect::ALL {
        let catalog = Catalog { dialect, snapshot: &snapshot, functions: &functions };
        for count in [10_usize, 30, 60, 150, 390, 5_000] {
            let all = [
                deep("(", ")", count),
                deep("1 + ", "", count),
                deep("NOT ", "", count),
                deep("- ", "", count),
                deep("(SELECT ", ")", count),
                deep("CASE WHEN 1 THEN ", " END", count),
                deep("coalesce(1, ", ")", count),
                deep("", " + 1 IS NULL", count),
                deep("", "::int", count),
                deep("(SELECT 1 FROM t WHERE v IN ", ")", count),
                format!("UPDATE t SET v = 1 WHERE {}v = 1", "v = 1 OR ".repeat(count)),
                format!("INSERT INTO t (v) SELECT 1 {}", "UNION SELECT 1 ".repeat(count)),
                format!("INSERT INTO t (v) SELECT 1 FROM t{}", " JOIN t".repeat(count)),
                format!("INSERT INTO t (v) SELECT 1 FROM {}t", "(".repeat(count)),
                format!("DELETE FROM t WHERE v = {}1", "CASE WHEN v THEN v + ".repeat(count)),
            ];
            for sql in all {
                let result = analyse(&sql, &catalog, &BatchOptions::default());
                let refused = result.as_ref().err().map(|refusal| refusal.code);
                if count >= 5_000 {
                    assert_eq!(refused, Some(RefusalCode::NotParsed), "{dialect:?} {}", &sql[..60]);
                }
            }
        }
        let long =
            format!("UPDATE t SET v = CASE {}ELSE 0 END", "WHEN v = 1 THEN 2 ".repeat(2_000));
        assert!(analyse(&long, &catalog, &BatchOptions::default()).is_ok());
        let list = format!("UPDATE t SET v = 1 WHERE v IN (1{})", ", 2".repeat(5_000));
        assert!(analyse(&list, &catalog, &BatchOptions::default()).is_ok());
    }
}
