//! Whether facts can still be judged after later changes, so that many are judged at once.

use super::expected::{AbsentKind, Expected};
use crate::ddl::name::same_table_name;
use crate::ddl::{Change, ColumnDef, CreateTable, ObjectKind, ObjectName, ReferentialAction};

impl Expected {
    /// Whether every fact gets the same verdict after `later` as before it: `later` neither takes
    /// away nor makes what is expected here. Says `false` where it is not sure.
    pub fn outlives<'c>(&self, later: impl IntoIterator<Item = &'c Change>) -> bool {
        self.not_derived.is_empty() && later.into_iter().all(|change| self.outlives_one(change))
    }

    /// Whether a foreign key whose rows go with their parent is expected: such a fact is tried on
    /// rows, and so depends on everything else in the table.
    pub fn declares_cascades(&self) -> bool {
        self.tables.iter().any(|table| {
            table.foreign_keys.iter().any(|fact| fact.key.on_delete == ReferentialAction::Cascade)
        })
    }

    fn outlives_one(&self, change: &Change) -> bool {
        match change {
            Change::Comment
            | Change::InsertRows { .. }
            | Change::UpdateRows { .. }
            | Change::DeleteRows { .. } => true,
            Change::CreateTable(table) => self.outlives_table(table),
            Change::AddColumn { table, column, .. } => {
                is_plain(column) && self.does_not_know_column(table, &column.name)
            }
            Change::CreateIndex(index) => match &index.name {
                Some(name) => self.does_not_know_index(&index.table, name),
                None => !self.mentions(&index.table),
            },
            Change::AddConstraint { table, .. } | Change::AlterColumn { table, .. } => {
                !self.mentions(table)
            }
            _ => false,
        }
    }

    fn outlives_table(&self, table: &CreateTable) -> bool {
        // A key's index may have a name that is expected to be gone, or to be another table's.
        let keyed = self.objects.iter().any(|object| object.kind == ObjectKind::Index)
            || self.absent.iter().any(|gone| gone.what != AbsentKind::Column);
        !table.or_replace && !self.mentions(&table.name) && !keyed
    }

    /// Whether a fact is about an object of this name, in whatever schema.
    fn mentions(&self, name: &ObjectName) -> bool {
        let same = |other: &ObjectName| same_table_name(&other.name, &name.name, self.dialect);
        self.tables.iter().any(|table| same(&table.name) || table.parents.iter().any(same))
            || self
                .objects
                .iter()
                .any(|object| same(&object.name) || object.table.as_ref().is_some_and(same))
            || self
                .absent
                .iter()
                .any(|gone| same(&gone.name) || gone.table.as_ref().is_some_and(same))
    }

    fn does_not_know_column(&self, table: &ObjectName, column: &str) -> bool {
        let same = |other: &ObjectName| same_table_name(&other.name, &table.name, self.dialect);
        let lower = column.to_lowercase();
        let is_known = |facts: &super::expected::TableFacts| {
            facts.columns.iter().any(|known| known.name.to_lowercase() == lower)
                || !facts.parents.is_empty()
                || facts.partition
        };
        let inside = self.tables.iter().filter(|facts| same(&facts.name)).any(is_known);
        let parent = self.tables.iter().any(|facts| facts.parents.iter().any(same));
        let gone = self.absent.iter().any(|gone| gone.table.as_ref().is_none_or(same));
        let other = self.objects.iter().any(|object| same(&object.name));
        !inside && !parent && !gone && !other
    }

    fn does_not_know_index(&self, table: &ObjectName, index: &ObjectName) -> bool {
        let lower = index.name.to_lowercase();
        let known = self.tables.iter().any(|facts| {
            let unsure = same_table_name(&facts.name.name, &table.name, self.dialect)
                && !facts.uniques.is_empty();
            unsure
                || facts
                    .indexes
                    .iter()
                    .any(|own| own.name.given().is_none_or(|own| own.to_lowercase() == lower))
        });
        !known && !self.mentions(index) && self.absent.is_empty()
    }
}

/// Whether the column brings no key, reference or check with it.
fn is_plain(column: &ColumnDef) -> bool {
    !column.primary_key
        && !column.unique
        && column.references.is_none()
        && column.checks.is_empty()
        && column.generated.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl;
    use crate::sql::dialect::Dialect;
    use crate::sql::split::split;

    fn changes(sql: &str, dialect: Dialect) -> Vec<Change> {
        let statements = split(sql, dialect).unwrap();
        statements.iter().flat_map(|one| ddl::read(&sql[one.span.clone()], dialect)).collect()
    }

    fn outlives(first: &str, later: &str) -> bool {
        let dialect = Dialect::Postgres;
        Expected::fold(&changes(first, dialect), dialect).outlives(&changes(later, dialect))
    }

    #[test]
    fn what_only_adds_elsewhere_is_outlived() {
        let table = "CREATE TABLE t (id int PRIMARY KEY, name text);";
        for later in [
            "CREATE TABLE u (id int);",
            "ALTER TABLE t ADD COLUMN more text;",
            "CREATE INDEX i ON t (name);",
            "INSERT INTO t VALUES (1, 'x'); UPDATE t SET name = 'y'; DELETE FROM t;",
            "ALTER TABLE u ADD CONSTRAINT c CHECK (id > 0);",
        ] {
            assert!(outlives(table, later), "{later}");
        }
    }

    #[test]
    fn what_may_make_or_take_away_is_not() {
        for (first, later) in [
            ("CREATE TABLE IF NOT EXISTS t (a int, b int);", "ALTER TABLE t ADD COLUMN b int;"),
            ("CREATE TABLE t (a int);", "ALTER TABLE t ALTER COLUMN a TYPE bigint;"),
            ("CREATE TABLE t (a int);", "DROP TABLE t;"),
            ("CREATE TABLE t (a int);", "ALTER TABLE t RENAME TO u;"),
            ("CREATE TABLE t (a int);", "DROP SCHEMA s CASCADE;"),
            ("CREATE TABLE t (a int);", "DO $$ BEGIN EXECUTE 'x'; END $$;"),
            ("CREATE TABLE t (a int);", "CREATE TABLE s.t (a int);"),
            ("CREATE TABLE t (a int);", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);"),
            ("CREATE TABLE t (a int);", "ALTER TABLE t ADD COLUMN b int UNIQUE;"),
            ("CREATE INDEX IF NOT EXISTS i ON t (a);", "CREATE INDEX i ON t (a);"),
            ("CREATE INDEX ON t (a);", "CREATE INDEX i ON t (a);"),
            ("CREATE TABLE t (a int UNIQUE);", "CREATE UNIQUE INDEX i ON t (a);"),
            ("ALTER TABLE t DROP COLUMN a;", "ALTER TABLE t ADD COLUMN a int;"),
            ("DROP TABLE t;", "CREATE TABLE t (a int);"),
            ("DO $$ BEGIN EXECUTE 'x'; END $$;", "CREATE TABLE u (a int);"),
            ("CREATE TABLE t (a int);", "SET search_path = s;"),
        ] {
            assert!(!outlives(first, later), "{first} {later}");
        }
    }

    #[test]
    fn cascades_are_known() {
        let fold = |sql: &str| Expected::fold(&changes(sql, Dialect::Sqlite), Dialect::Sqlite);
        assert!(
            fold("CREATE TABLE c (p int REFERENCES p (id) ON DELETE CASCADE);").declares_cascades()
        );
        assert!(!fold("CREATE TABLE c (p int REFERENCES p (id));").declares_cascades());
    }
}
