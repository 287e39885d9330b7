//! What a migration removes, so that it can be kept first.

use crate::ddl::name::{same_column_name, same_table_name};
use crate::ddl::{Change, CreateTable, ObjectName, TableCopy, TableSource};
use crate::sql::dialect::Dialect;

/// Something that a change removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Which change of the list it is.
    pub change: usize,
    /// What goes.
    pub what: Removed,
}

/// What a change removes or overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A table with its rows.
    Table {
        /// The table.
        name: ObjectName,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// A column with its values.
    Column {
        /// The table.
        table: ObjectName,
        /// The column.
        column: String,
    },
    /// All rows of a table.
    AllRows {
        /// The table.
        table: ObjectName,
        /// Tables that reference it lose theirs too.
        cascade: bool,
    },
    /// Some rows of a table.
    DeletedRows {
        /// The table.
        table: ObjectName,
    },
    /// The old values of some rows.
    OverwrittenRows {
        /// The table.
        table: ObjectName,
    },
    /// The rows of a partition.
    Partition {
        /// The partitioned table.
        table: ObjectName,
        /// The action as written.
        action: String,
    },
    /// A schema with what is in it.
    Schema {
        /// The schema.
        name: String,
    },
    /// Whatever depends on an object that is dropped with CASCADE, columns among it.
    Dependents {
        /// The object.
        name: ObjectName,
    },
    /// No loss of rows: the table was copied whole into a new one that takes its name.
    Rebuild {
        /// The table as it was called before and is called afterwards.
        table: ObjectName,
        /// The name that the old or new table had in between.
        via: ObjectName,
        /// The old columns whose values are taken over unchanged; none means all that both have.
        /// What is missing here is lost.
        copied: Option<Vec<String>>,
        /// The new table's columns, empty where a query made them.
        columns: Vec<String>,
    },
}

/// What one migration's changes remove, in order.
///
/// Tables that the migration itself created, and temporary ones, count for nothing.
pub fn removals(changes: &[Change], dialect: Dialect) -> Vec<Removal> {
    let mut born = Born { names: Vec::new(), dialect };
    let mut removals = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let rebuild = match change {
            Change::DropTable { name, .. } => rebuild(changes, at, name, dialect),
            _ => None,
        };
        let what = match rebuild {
            Some(rebuild) => vec![rebuild],
            None => removed(change, &born),
        };
        removals.extend(what.into_iter().map(|what| Removal { change: at, what }));
        born.follow(change);
    }
    removals
}

/// The tables that this migration created.
struct Born {
    names: Vec<ObjectName>,
    dialect: Dialect,
}

impl Born {
    fn has(&self, name: &ObjectName) -> bool {
        let same = |own: &ObjectName| same_name(own, name, self.dialect);
        self.names.iter().any(same) || name.is_temporary(self.dialect)
    }

    fn forget(&mut self, name: &ObjectName) {
        let dialect = self.dialect;
        self.names.retain(|own| !same_name(own, name, dialect));
    }

    fn follow(&mut self, change: &Change) {
        match change {
            // With IF NOT EXISTS it may be an older one.
            Change::CreateTable(table) if table.temporary || !table.if_not_exists => {
                self.names.push(table.name.clone());
            }
            Change::DropTable { name, .. } => self.forget(name),
            Change::RenameTable { from, to } => {
                let moved = self.has(from);
                self.forget(from);
                self.forget(to);
                if moved {
                    self.names.push(to.clone());
                }
            }
            _ => {}
        }
    }
}

/// Exactly the same name; a bare one and one with a schema are two.
fn same_name(a: &ObjectName, b: &ObjectName, dialect: Dialect) -> bool {
    let schemas = match (a.schema_in(dialect), b.schema_in(dialect)) {
        (Some(a), Some(b)) => same_table_name(a, b, dialect),
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
    };
    schemas && same_table_name(&a.name, &b.name, dialect)
}

fn removed(change: &Change, born: &Born) -> Vec<Removed> {
    match change {
        Change::DropTable { name, cascade, .. } if !born.has(name) => {
            vec![Removed::Table { name: name.clone(), cascade: *cascade }]
        }
        Change::CreateTable(table) if table.or_replace && !table.temporary => {
            vec![Removed::Table { name: table.name.clone(), cascade: false }]
        }
        Change::DropColumn { table, column, .. } if !born.has(table) => {
            vec![Removed::Column { table: table.clone(), column: column.clone() }]
        }
        Change::Truncate { tables, cascade } => {
            let old = tables.iter().filter(|table| *cascade || !born.has(table));
            let all =
                |table: &ObjectName| Removed::AllRows { table: table.clone(), cascade: *cascade };
            old.map(all).collect()
        }
        Change::DeleteRows { table } if !born.has(table) => {
            vec![Removed::DeletedRows { table: table.clone() }]
        }
        Change::UpdateRows { table } | Change::InsertRows { table, replaces: true, .. }
            if !born.has(table) =>
        {
            vec![Removed::OverwrittenRows { table: table.clone() }]
        }
        Change::OtherTableChange { table, action } if drops_partition(action) => {
            vec![Removed::Partition { table: table.clone(), action: action.clone() }]
        }
        Change::DropSchema { name, cascade: true, .. } => {
            vec![Removed::Schema { name: name.clone() }]
        }
        Change::DropType { name, cascade: true, .. } => {
            vec![Removed::Dependents { name: name.clone() }]
        }
        Change::DropExtension { name, cascade: true } => {
            vec![Removed::Dependents { name: ObjectName::bare(name.clone()) }]
        }
        _ => Vec::new(),
    }
}

fn drops_partition(action: &str) -> bool {
    let upper = action.to_uppercase();
    ["DROP PARTITION", "TRUNCATE PARTITION"].iter().any(|verb| upper.starts_with(verb))
}

/// Recognises the two orders in which a table is rebuilt, at the statement that drops the
/// old one.
///
/// 1. create new, copy, drop old, rename new to old
/// 2. rename old away, create it anew, copy, drop the one renamed away
fn rebuild(
    changes: &[Change],
    drop_at: usize,
    dropped: &ObjectName,
    dialect: Dialect,
) -> Option<Removed> {
    let before = changes.get(..drop_at)?;
    let after = changes.get(drop_at + 1..)?;
    let same = |a: &ObjectName, b: &ObjectName| same_name(a, b, dialect);
    let (copy_at, target, copy) = before.iter().enumerate().rev().find_map(|(at, change)| {
        let (target, copy) = copied(change)?;
        (same(&copy.from, dropped) && !same(target, dropped)).then_some((at, target, copy))
    })?;
    let created = before.iter().rev().find_map(|change| match change {
        Change::CreateTable(table) if same(&table.name, target) => Some(table),
        _ => None,
    })?;
    if created.if_not_exists || created.temporary {
        return None;
    }
    // Rows written to either table between the copy and the drop could be lost.
    let between = before.get(copy_at + 1..)?;
    if between.iter().any(|change| writes(change, &[dropped, target], dialect)) {
        return None;
    }
    let renamed_to = after.iter().find_map(|change| match change {
        Change::RenameTable { from, to } if same(from, target) => Some(to),
        _ => None,
    });
    let new_takes_name = renamed_to.is_some_and(|to| same(to, dropped));
    let old_went_away = before.iter().any(|change| match change {
        Change::RenameTable { from, to } => same(from, target) && same(to, dropped),
        _ => false,
    });
    let (table, via) = match (new_takes_name, old_went_away) {
        (true, _) => (dropped, target),
        (false, true) => (target, dropped),
        (false, false) => return None,
    };
    let columns = column_names(created);
    let copied = copy.columns.clone();
    Some(Removed::Rebuild { table: table.clone(), via: via.clone(), copied, columns })
}

/// The table that a change fills with all rows of another one.
fn copied(change: &Change) -> Option<(&ObjectName, &TableCopy)> {
    match change {
        Change::InsertRows { table, replaces: false, copies } => Some((table, copies.as_ref()?)),
        Change::CreateTable(table) => match &table.source {
            TableSource::AsSelect { copies } => Some((&table.name, copies.as_ref()?)),
            _ => None,
        },
        _ => None,
    }
}

fn column_names(table: &CreateTable) -> Vec<String> {
    table.columns.iter().map(|column| column.name.clone()).collect()
}

fn writes(change: &Change, tables: &[&ObjectName], dialect: Dialect) -> bool {
    let hit = |name: &ObjectName| tables.iter().any(|table| same_name(table, name, dialect));
    match change {
        Change::InsertRows { table, .. }
        | Change::UpdateRows { table }
        | Change::DeleteRows { table }
        | Change::DropTable { name: table, .. }
        | Change::DropColumn { table, .. } => hit(table),
        Change::Truncate { tables, .. } => tables.iter().any(hit),
        _ => false,
    }
}

impl Removed {
    /// The columns of a rebuilt table that are lost, given those it has before.
    pub fn lost_columns(&self, before: &[String], dialect: Dialect) -> Vec<String> {
        let Removed::Rebuild { copied, columns, .. } = self else { return Vec::new() };
        let has = |list: &[String], name: &String| {
            list.iter().any(|own| same_column_name(own, name, dialect))
        };
        let kept = |name: &String| match copied {
            Some(copied) => has(copied, name),
            None => columns.is_empty() || has(columns, name),
        };
        before.iter().filter(|name| !kept(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::read;

    fn all(sql: &str, dialect: Dialect) -> Vec<Removed> {
        let changes: Vec<Change> = sql.split(';').flat_map(|one| read(one, dialect)).collect();
        removals(&changes, dialect).into_iter().map(|removal| removal.what).collect()
    }

    fn table(name: &str) -> Removed {
        Removed::Table { name: ObjectName::bare(name), cascade: false }
    }

    fn rebuild_of(table: &str, via: &str, copied: &[&str], columns: &[&str]) -> Removed {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Removed::Rebuild {
            table: ObjectName::bare(table),
            via: ObjectName::bare(via),
            copied: Some(names(copied)),
            columns: names(columns),
        }
    }

    #[test]
    fn drops_and_rows_are_removals() {
        let sql = "DROP TABLE a, b; ALTER TABLE c DROP x; TRUNCATE d; DELETE FROM e WHERE 1;
                   UPDATE f SET a = 1; REPLACE INTO g VALUES (1); INSERT INTO h VALUES (1);
                   ALTER TABLE i DROP PARTITION p0; DROP DATABASE j; ALTER TABLE k ADD y int";
        let name = ObjectName::bare;
        let want = [
            table("a"),
            table("b"),
            Removed::Column { table: name("c"), column: "x".to_owned() },
            Removed::AllRows { table: name("d"), cascade: false },
            Removed::DeletedRows { table: name("e") },
            Removed::OverwrittenRows { table: name("f") },
            Removed::OverwrittenRows { table: name("g") },
            Removed::Partition { table: name("i"), action: "DROP PARTITION p0".to_owned() },
            Removed::Schema { name: "j".to_owned() },
        ];
        assert_eq!(all(sql, Dialect::Mysql), want);
    }

    #[test]
    fn what_the_migration_made_itself_is_no_loss() {
        let sql = "CREATE TABLE a (x int); DELETE FROM a; ALTER TABLE a RENAME TO b;
                   ALTER TABLE b DROP x; DROP TABLE b; CREATE TEMP TABLE t (x int); DROP TABLE t";
        assert_eq!(all(sql, Dialect::Sqlite), []);
        let older = "CREATE TABLE IF NOT EXISTS a (x int); DROP TABLE a";
        assert_eq!(all(older, Dialect::Sqlite), [table("a")]);
    }

    #[test]
    fn a_rebuild_is_no_loss() {
        let sql = "PRAGMA foreign_keys=OFF;
                   CREATE TABLE `__new_users` (`id` integer PRIMARY KEY, `email` text, n int);
                   INSERT INTO `__new_users`(\"id\", \"email\") SELECT \"id\", \"email\" FROM \
                   `users`;
                   DROP TABLE `users`;
                   ALTER TABLE `__new_users` RENAME TO `users`;
                   PRAGMA foreign_keys=ON";
        let want = rebuild_of("users", "__new_users", &["id", "email"], &["id", "email", "n"]);
        assert_eq!(all(sql, Dialect::Sqlite), std::slice::from_ref(&want));
        let before = ["ID", "email", "age"].map(str::to_owned);
        assert_eq!(want.lost_columns(&before, Dialect::Sqlite), ["age"]);
    }

    #[test]
    fn the_other_order_is_a_rebuild_too() {
        let sql = "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (a int, b int);
                   INSERT INTO t SELECT a, coalesce(b, 0) FROM t_old; DROP TABLE t_old";
        assert_eq!(all(sql, Dialect::Sqlite), [rebuild_of("t", "t_old", &["a"], &["a", "b"])]);
    }

    #[test]
    fn a_query_may_make_the_new_table() {
        let sql = "CREATE TABLE n AS SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t";
        let [Removed::Rebuild { copied: None, columns, .. }] = &all(sql, Dialect::Sqlite)[..]
        else {
            panic!("no rebuild");
        };
        assert!(columns.is_empty());
    }

    #[test]
    fn a_copy_with_gaps_is_a_loss() {
        let copies = [
            "INSERT INTO n SELECT a FROM t WHERE a > 1",
            "INSERT OR IGNORE INTO n SELECT a FROM t",
            "INSERT INTO n SELECT DISTINCT a FROM t",
            "INSERT INTO n SELECT t.a FROM t JOIN u ON u.a = t.a",
            "INSERT INTO n SELECT a FROM t LIMIT 5",
            "INSERT INTO n SELECT a FROM other",
            "INSERT INTO n SELECT a FROM t; INSERT INTO t VALUES (1)",
            "INSERT INTO n SELECT a FROM t; DELETE FROM n",
            "SELECT 1",
        ];
        for copy in copies {
            let sql = format!(
                "CREATE TABLE n (a int); {copy}; DROP TABLE t; ALTER TABLE n RENAME \
                TO t"
            );
            let last = all(&sql, Dialect::Sqlite).pop();
            assert_eq!(last, Some(table("t")), "{copy}");
        }
        let kept_name = "CREATE TABLE n (a int); INSERT INTO n SELECT a FROM t; DROP TABLE t";
        assert_eq!(all(kept_name, Dialect::Sqlite), [table("t")]);
    }
}
