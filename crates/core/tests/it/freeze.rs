//! `materialize=true`: the two halves of a statement.

use std::collections::BTreeMap;

use whimbrel_core::data::{
    BatchOptions, Catalog, Frozen, Lifted, Refusal, RefusalCode, analyse, freeze,
};
use whimbrel_core::ddl::ObjectName;
use whimbrel_core::sql::dialect::Dialect::{self, Mysql, Postgres, Sqlite};

use crate::data::{cases, snapshot};

fn frozen(tables: &[&str], sql: &str, dialect: Dialect) -> Result<Frozen, Refusal> {
    let tables: Vec<String> = tables.iter().map(|one| (*one).to_owned()).collect();
    let snapshot = snapshot(&tables, dialect);
    let functions = BTreeMap::new();
    let catalog = Catalog { dialect, snapshot: &snapshot, functions: &functions };
    freeze(sql, &catalog, &BatchOptions::default(), &ObjectName::bare("w"))
}

const LABEL: &str = "label(id int primary key not null, owner_id int, pos int, name varchar(20))";

#[test]
fn an_update_is_a_query_and_an_update_from_its_rows() {
    let sql = "UPDATE label AS l SET pos = 1 + (SELECT count(*) FROM label m WHERE m.pos < l.pos), \
               name = 'x' || name WHERE l.owner_id = 3 OR pos = 1";
    let found = frozen(&[LABEL], sql, Postgres).unwrap();
    assert_eq!(
        found.fill,
        "INSERT INTO \"w\" (\"id\", \"whimbrel_n1\", \"whimbrel_n2\", \"whimbrel_o1\", \
         \"whimbrel_o2\", \"whimbrel_o3\") SELECT l.\"id\", 1 + (SELECT count(*) FROM label m \
         WHERE m.pos < l.pos), 'x' || name, l.\"owner_id\", l.\"pos\", l.\"name\" FROM label AS l \
         WHERE (l.owner_id = 3 OR pos = 1)"
    );
    assert_eq!(found.lifted, [RefusalCode::ReadsWrittenColumn]);
    let apply = found.apply.restricted("P");
    assert!(
        apply.starts_with(
            "UPDATE \"label\" AS whimbrel_r SET \"pos\" = whimbrel_w.whimbrel_n1, \"name\" = \
             whimbrel_w.whimbrel_n2 FROM \"w\" AS whimbrel_w WHERE (whimbrel_w.\"id\" = \
             whimbrel_r.\"id\" AND "
        ),
        "{apply}"
    );
    assert!(apply.ends_with(") AND (P)"), "{apply}");
    assert_eq!(found.apply.key[0].sql, "whimbrel_r.\"id\"");
    assert_eq!(found.apply.notes[0].code, "materialized");
    // A plus or minus behind the sign of the assignment is the value's.
    let found = frozen(&[LABEL], "UPDATE label SET pos =-1", Sqlite).unwrap();
    assert!(found.fill.contains("SELECT \"id\", -1, ") || found.fill.contains("\"id\", -1,"));
    assert!(found.apply.restricted("P").contains("whimbrel_r SET"));
}

#[test]
fn joins_bring_a_row_once() {
    let other = "o(id int primary key, label_id int, n int)";
    let sql = "UPDATE label SET pos = o.n FROM o WHERE o.label_id = label.id";
    let found = frozen(&[LABEL, other], sql, Postgres).unwrap();
    assert!(found.fill.contains(" FROM label, o WHERE (o.label_id = label.id) ON CONFLICT DO"));
    let sql = "UPDATE label l JOIN o ON o.label_id = l.id SET l.pos = o.n";
    let found = frozen(&[LABEL, other], sql, Mysql).unwrap();
    assert!(found.fill.ends_with("ON DUPLICATE KEY UPDATE `id` = VALUES(`id`)"), "{}", found.fill);
    assert!(found.apply.restricted("P").contains("JOIN `w` AS whimbrel_w ON whimbrel_w.`id`"));
    let sql = "DELETE FROM label a USING label b WHERE a.id < b.id AND a.name = b.name";
    let found = frozen(&[LABEL], sql, Postgres).unwrap();
    assert!(found.fill.contains("FROM label a, label b WHERE (a.id < b.id AND a.name = b.name)"));
    assert!(found.apply.restricted("P").starts_with("DELETE FROM \"label\" AS whimbrel_r WHERE ("));
    // What the statement does not name may change meanwhile.
    assert!(!found.fill.contains("owner_id"), "{}", found.fill);
}

#[test]
fn an_insert_is_a_query_and_an_insert_of_its_rows() {
    let to = "tops(id int primary key, name varchar(20))";
    let sql = "WITH x AS (SELECT 1 AS n) INSERT INTO tops (id, name) SELECT id, name FROM label \
               UNION SELECT n, 'x' FROM x ORDER BY 1 LIMIT 5 ON CONFLICT (id) DO NOTHING";
    for dialect in [Sqlite, Postgres] {
        let found = frozen(&[LABEL, to], sql, dialect).unwrap();
        assert_eq!(
            found.fill,
            "WITH x AS (SELECT 1 AS n) INSERT INTO \"w\" (\"id\", \"name\") SELECT id, name FROM \
             label UNION SELECT n, 'x' FROM x ORDER BY 1 LIMIT 5"
        );
        assert_eq!(found.apply.key[0].name, "whimbrel_row");
        assert!(found.apply.restricted("P").contains("ON CONFLICT (id) DO NOTHING"));
    }
    // Neither a driving table nor a key is needed.
    let sql = "INSERT INTO tops (id, name) SELECT count(*), 'all' FROM log";
    let found = frozen(&[LABEL, to, "log(n int)"], sql, Postgres).unwrap();
    assert!(found.apply.restricted("P").starts_with("INSERT INTO tops (id, name) SELECT"));
}

#[test]
fn what_cannot_be_computed_beforehand_is_refused() {
    let to = "tops(id int primary key, name varchar(20))";
    for (sql, dialect, code) in [
        ("UPDATE label SET id = id + 1", Postgres, RefusalCode::WritesBatchKey),
        ("UPDATE label SET (pos, name) = (SELECT 1, 'x')", Postgres, RefusalCode::NotParsed),
        ("UPDATE label SET pos = DEFAULT", Postgres, RefusalCode::NotParsed),
        ("UPDATE label SET pos = 2, owner_id = pos", Mysql, RefusalCode::NotParsed),
        ("INSERT INTO tops VALUES (1, 'x')", Sqlite, RefusalCode::NoFrom),
        (
            "WITH d AS (DELETE FROM label RETURNING id, name) INSERT INTO tops SELECT * FROM d",
            Postgres,
            RefusalCode::DmlInCte,
        ),
    ] {
        let found = frozen(&[LABEL, to], sql, dialect).map(|found| found.fill);
        assert_eq!(found.map_err(|refusal| refusal.code), Err(code), "{sql}");
    }
    let row = "UPDATE label SET (pos, name) = (owner_id, 'x'), owner_id = 5";
    let found = frozen(&[LABEL], row, Postgres).unwrap();
    assert!(found.fill.contains("\"id\", owner_id, 'x', 5, "), "{}", found.fill);
}

/// Every refusal that the table lifts is lifted, and what can be cut can be computed first, too.
#[test]
fn the_corpus_is_lifted_as_the_table_says() {
    let (mut lifted, mut wrong) = (0, Vec::new());
    for case in cases() {
        for dialect in case.dialects.clone() {
            let tables = snapshot(&case.tables, dialect);
            let functions = &case.functions;
            let catalog = Catalog { dialect, snapshot: &tables, functions };
            let plain = BatchOptions::default();
            let before = analyse(&case.statement, &catalog, &plain);
            let after = freeze(&case.statement, &catalog, &plain, &ObjectName::bare("w"));
            let insert = case.statement.to_ascii_uppercase().contains("INSERT")
                || case.statement.to_ascii_uppercase().contains("REPLACE INTO");
            let wanted = match &before {
                Ok(_) => true,
                Err(refusal) => match refusal.code.lifted_by_materialize() {
                    Lifted::All => true,
                    Lifted::Inserts => insert,
                    Lifted::No => false,
                },
            };
            lifted += usize::from(before.is_err() && after.is_ok());
            // A second reason may stand behind the first one.
            let other = after.as_ref().is_err_and(|refusal| match refusal.code {
                RefusalCode::NotParsed => {
                    let lift = refusal.lift.as_deref().unwrap_or_default();
                    lift.starts_with("Write it so that")
                }
                RefusalCode::NoFrom => refusal.message.contains("constant rows"),
                code => code.lifted_by_materialize() == Lifted::No,
            });
            if after.is_ok() != wanted && !(wanted && other) {
                let (before, after) = (before.map(|_| ()), after.map(|found| found.fill));
                wrong.push(format!("{}\n  {before:?}\n  {after:?}", case.statement));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lifted >= 60, "{lifted}");
}
