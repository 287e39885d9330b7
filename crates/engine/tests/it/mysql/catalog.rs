//! The catalog as a snapshot.

use whimbrel_core::ddl::{ObjectKind, ObjectName, ReferentialAction};
use whimbrel_core::snapshot::{Column, IndexOrigin, Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;

use super::*;

const RICH: &[&str] = &[
    "CREATE TABLE parent (
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'it''s the key',
        code varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'it''s',
        v int DEFAULT 5 CHECK (v > 0),
        price decimal(10,2) NOT NULL,
        body text,
        full_ varchar(30) GENERATED ALWAYS AS (concat(code, 'x')) STORED,
        half int AS (v + 1) VIRTUAL,
        changed timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
        data json,
        kind enum('a','b') NOT NULL DEFAULT 'a',
        nothing int,
        UNIQUE KEY by_code (code),
        KEY by_body (body(10)),
        KEY by_v (v DESC, id),
        FULLTEXT KEY words (body),
        CONSTRAINT cheap CHECK (price < 1000 OR (v = 1))
    ) COMMENT='the parents'",
    "CREATE TABLE child (
        a int unsigned, b int, p int unsigned,
        PRIMARY KEY (b, a),
        CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES parent (id)
            ON DELETE CASCADE ON UPDATE SET NULL
    )",
    "CREATE TABLE pair (x int unsigned, y int, FOREIGN KEY (y, x) REFERENCES child (b, a))",
    "CREATE TABLE parts (a int PRIMARY KEY, b int) PARTITION BY RANGE (a)
        (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE)",
    "CREATE SEQUENCE numbers START WITH 7",
    "CREATE VIEW cheap_ones AS SELECT id, price FROM parent WHERE price < 3
        WITH CASCADED CHECK OPTION",
    "CREATE TRIGGER stamp BEFORE INSERT ON parent FOR EACH ROW SET NEW.v = 1",
    "CREATE FUNCTION plus_one(x int) RETURNS int DETERMINISTIC RETURN x + 1",
    "CREATE PROCEDURE both_ways(OUT a int, IN b varchar(10)) BEGIN SELECT 1; SELECT 2; END",
    "CREATE TABLE whimbrel_undo (a int)",
];

async fn rich(hint: &str) -> Option<(TestDatabase, Box<dyn Session>)> {
    let (database, mut session) = fresh(hint).await?;
    for sql in RICH {
        session.run(sql, None).await.unwrap();
    }
    Some((database, session))
}

fn table<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Table {
    let found = snapshot.table(&ObjectName::bare(name), Dialect::Mysql);
    found.unwrap_or_else(|| panic!("{name}: {snapshot:?}"))
}

fn column<'a>(table: &'a Table, name: &str) -> &'a Column {
    table.columns.iter().find(|column| column.name == name).unwrap()
}

fn names<T>(items: &[T], name: impl Fn(&T) -> &ObjectName) -> Vec<String> {
    items.iter().map(|item| name(item).to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn columns_are_read() {
    let Some((database, mut session)) = rich("my_columns").await else { return };
    let all = session.inspect(None).await.unwrap();
    assert_eq!(all.default_schema.as_deref(), Some(database.name.as_str()));
    assert_eq!(names(&all.tables, |table| &table.name), ["child", "pair", "parent", "parts"]);
    let parent = table(&all, "parent");
    let id = column(parent, "id");
    assert_eq!(
        (id.type_name.as_str(), id.nullable, id.identity),
        ("int(10) unsigned", false, true)
    );
    assert!(id.extra.contains("it's the key"), "{}", id.extra);
    let code = column(parent, "code");
    assert_eq!(code.default.as_deref(), Some("'it''s'"));
    assert!(code.nullable && code.extra.contains("latin1_bin"), "{}", code.extra);
    assert_eq!(column(parent, "price").type_name, "decimal(10,2)");
    assert_eq!(column(parent, "price").default, None);
    assert_eq!(column(parent, "nothing").default, None);
    assert_eq!(column(parent, "v").default.as_deref(), Some("5"));
    assert!(column(parent, "full_").generated.as_deref().unwrap().starts_with("concat("));
    assert!(column(parent, "half").generated.is_some());
    assert!(column(parent, "half").extra.contains("VIRTUAL"));
    let changed = column(parent, "changed");
    assert_eq!(changed.default.as_deref(), Some("current_timestamp(3)"));
    assert!(changed.extra.contains("on update"), "{}", changed.extra);
    assert_eq!(column(parent, "kind").type_name, "enum('a','b')");
    assert!(parent.options.contains("the parents") && parent.options.contains("engine InnoDB"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_checks_and_indexes_are_read() {
    let Some((_database, mut session)) = rich("my_keys").await else { return };
    let all = session.inspect(None).await.unwrap();
    let parent = table(&all, "parent");
    assert_eq!(parent.primary_key, ["id"]);
    assert_eq!(parent.uniques.len(), 1);
    assert_eq!(parent.uniques[0].name.as_deref(), Some("by_code"));
    let index = |name: &str| parent.indexes.iter().find(|index| index.name == name).unwrap();
    assert_eq!(index("by_v").columns, ["v", "id"]);
    assert_eq!(index("PRIMARY").origin, IndexOrigin::PrimaryKey);
    assert_eq!((index("by_code").origin, index("by_code").unique), (IndexOrigin::Constraint, true));
    assert_eq!((index("by_body").origin, index("by_body").unique), (IndexOrigin::Created, false));
    for special in ["index by_body body(10)", "index by_v v DESC", "index words FULLTEXT"] {
        assert!(parent.options.contains(special), "{}", parent.options);
    }
    let checks: Vec<_> =
        parent.checks.iter().map(|check| (check.name.as_deref(), check.expr.as_str())).collect();
    assert!(checks.contains(&(Some("cheap"), "`price` < 1000 or `v` = 1")), "{checks:?}");
    assert!(checks.contains(&(None, "`v` > 0")), "{checks:?}");
    assert!(checks.contains(&(None, "json_valid(`data`)")), "{checks:?}");

    let child = table(&all, "child");
    assert_eq!(child.primary_key, ["b", "a"]);
    let key = &child.foreign_keys[0];
    assert_eq!(key.name.as_deref(), Some("to_parent"));
    assert_eq!(
        (&key.columns[..], &key.to_columns[..]),
        (&["p".to_owned()][..], &["id".to_owned()][..])
    );
    assert_eq!(key.to_table, ObjectName::bare("parent"));
    assert_eq!(
        (key.on_delete, key.on_update),
        (ReferentialAction::Cascade, ReferentialAction::SetNull)
    );
    let pair = &table(&all, "pair").foreign_keys[0];
    assert_eq!(
        (&pair.columns[..], &pair.to_columns[..]),
        (&["y".to_owned(), "x".to_owned()][..], &["b".to_owned(), "a".to_owned()][..])
    );
    assert!(
        table(&all, "parts").options.contains("partition high RANGE `a` MAXVALUE"),
        "{}",
        table(&all, "parts").options
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn views_triggers_routines_and_sequences_are_read() {
    let Some((_database, mut session)) = rich("my_objects").await else { return };
    let all = session.inspect(None).await.unwrap();
    assert_eq!(names(&all.views, |view| &view.name), ["cheap_ones"]);
    let want = "select `parent`.`id` AS `id`,`parent`.`price` AS `price` from `parent` \
                where `parent`.`price` < 3 WITH CASCADED CHECK OPTION";
    assert_eq!(all.views[0].definition, want);
    assert_eq!(names(&all.sequences, |name| name), ["numbers"]);
    assert_eq!(all.triggers.len(), 1);
    let trigger = &all.triggers[0];
    assert_eq!((trigger.name.as_str(), trigger.table.name.as_str()), ("stamp", "parent"));
    assert_eq!(trigger.definition, "BEFORE INSERT ON parent FOR EACH ROW SET NEW.v = 1");
    assert_eq!(names(&all.routines, |routine| &routine.name), ["plus_one", "both_ways"]);
    assert_eq!(all.routines[0].arguments, "IN x int(11)");
    assert_eq!(all.routines[1].arguments, "OUT a int(11), IN b varchar(10)");
    assert!(all.routines[1].definition.contains("SELECT 2"), "{:?}", all.routines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_scope_brings_what_was_named_and_no_more() {
    let Some((database, mut session)) = rich("my_scope").await else { return };
    let all = session.inspect(None).await.unwrap();
    let bare = ObjectName::bare;
    let mut inspect =
        async |scope: &[(ObjectKind, ObjectName)]| session.inspect(Some(scope)).await.unwrap();
    // A table as it is in the whole picture, with its trigger.
    let one = inspect(&[(ObjectKind::Table, bare("parent"))]).await;
    assert_eq!(one.tables, [table(&all, "parent").clone()]);
    assert_eq!(one.triggers, all.triggers);
    assert!(one.views.is_empty() && one.routines.is_empty() && one.sequences.is_empty());
    // The statement's word may be wrong, and the name may bear its schema.
    let qualified = ObjectName::in_schema(database.name.as_str(), "cheap_ones");
    let two = inspect(&[(ObjectKind::Table, qualified), (ObjectKind::View, bare("numbers"))]).await;
    assert_eq!((two.views, two.sequences), (all.views.clone(), all.sequences.clone()));
    // An index or a trigger brings its table.
    let by_index = inspect(&[(ObjectKind::Index, bare("by_body"))]).await;
    assert_eq!(names(&by_index.tables, |table| &table.name), ["parent"]);
    let by_trigger = inspect(&[(ObjectKind::Trigger, bare("stamp"))]).await;
    assert_eq!((by_trigger.tables.len(), by_trigger.triggers.len()), (1, 1));
    // Several tables at once, one of which is not there; a routine; a schema.
    let several = inspect(&[
        (ObjectKind::Table, bare("pair")),
        (ObjectKind::Table, bare("gone")),
        (ObjectKind::Table, bare("whimbrel_undo")),
        (ObjectKind::Routine, bare("plus_one")),
        (ObjectKind::Schema, bare("information_schema")),
        (ObjectKind::Schema, bare("gone")),
    ])
    .await;
    assert_eq!(names(&several.tables, |table| &table.name), ["pair"]);
    assert_eq!(names(&several.routines, |routine| &routine.name), ["plus_one"]);
    assert_eq!(several.schemas, ["information_schema"]);
    // Another database says its name.
    let other =
        inspect(&[(ObjectKind::Table, ObjectName::in_schema("information_schema", "TABLES"))])
            .await;
    assert!(other.tables.is_empty(), "a view of the server is no table");
    assert!(inspect(&[]).await.tables.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_fingerprint_sees_every_kind_of_change() {
    let Some((_database, mut session)) = rich("my_prints").await else { return };
    let mut before = session.inspect(None).await.unwrap().fingerprint_text();
    for sql in [
        "ALTER TABLE parent COMMENT = 'other'",
        "ALTER TABLE parent MODIFY body text COMMENT 'x'",
        "ALTER TABLE parent MODIFY nothing int DEFAULT 1",
        "ALTER TABLE parent DROP INDEX by_body, ADD INDEX by_body (body(11))",
        "ALTER TABLE parent ALTER INDEX by_v IGNORED",
        "ALTER TABLE parent DROP CONSTRAINT cheap",
        "ALTER TABLE child DROP FOREIGN KEY to_parent, DROP INDEX to_parent",
        "ALTER TABLE parts DROP PARTITION high",
        "ALTER TABLE pair CONVERT TO CHARACTER SET latin1",
        "ALTER TABLE pair ENGINE = InnoDB ROW_FORMAT = COMPACT",
        "CREATE OR REPLACE VIEW cheap_ones AS SELECT id FROM parent",
        "CREATE OR REPLACE TRIGGER stamp AFTER INSERT ON parent FOR EACH ROW SET @x = 1",
        "CREATE OR REPLACE FUNCTION plus_one(x bigint) RETURNS int DETERMINISTIC RETURN x + 1",
        "DROP SEQUENCE numbers",
        "DROP PROCEDURE both_ways",
        "RENAME TABLE pair TO pairs",
    ] {
        session.run(sql, None).await.unwrap();
        let after = session.inspect(None).await.unwrap().fingerprint_text();
        assert_ne!(before, after, "{sql}");
        before = after;
    }
    // Rows and the next number are no part of a schema.
    session
        .batch("INSERT INTO parent (price, code) VALUES (1, 'x'), (2, 'y'); ANALYZE TABLE parent")
        .await
        .unwrap();
    assert_eq!(session.inspect(None).await.unwrap().fingerprint_text(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_picture_does_not_depend_on_the_session_or_end_its_transaction() {
    let Some((_database, mut session)) = rich("my_odd").await else { return };
    let before = session.inspect(None).await.unwrap();
    session
        .batch(
            "CREATE TABLE `od``d 'é\\\\ñ` (`cö\\\\l` int); \
             SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'; \
             START TRANSACTION; INSERT INTO whimbrel_undo VALUES (1)",
        )
        .await
        .unwrap();
    let odd = ObjectName::bare("od`d 'é\\\\ñ");
    let found = session.inspect(Some(&[(ObjectKind::Table, odd.clone())])).await.unwrap();
    assert_eq!(names(&found.tables, |table| &table.name), [odd.to_string()]);
    assert_eq!(found.tables[0].columns[0].name, "cö\\\\l");
    let mut after = session.inspect(None).await.unwrap();
    after.tables.retain(|table| table.name != odd);
    assert_eq!(after, before);
    assert!(value(session.as_mut(), "SELECT @@sql_mode").await.contains("ANSI_QUOTES"));
    assert_eq!(session.in_transaction(), Some(true));
    session.batch("ROLLBACK").await.unwrap();
    assert_eq!(value(session.as_mut(), "SELECT count(*) FROM whimbrel_undo").await, "0");
}
