//! What is inside a table: columns, constraints, indexes.

use super::expected::{
    AbsentKind, ConstraintName, Expected, IndexFact, TableFacts, has_column, set_doubt,
};
use super::parts::{
    Marks, doubt_unnamed, forget_with_column, is_named, names_mut, remove_named, rename_in,
    rename_in_keys, shrink_keys,
};
use super::text::mentions;
use crate::ddl::name::same_column_name;
use crate::ddl::{ColumnAction, ColumnDef, Constraint, CreateIndex, ObjectKind, ObjectName};
use crate::sql::dialect::Dialect;

const IF_NOT_EXISTS: &str = "declared with IF NOT EXISTS, so an older one may have stayed";

impl Expected {
    pub(super) fn add_column(
        &mut self,
        table: &ObjectName,
        column: &ColumnDef,
        if_not_exists: bool,
    ) {
        let dialect = self.dialect;
        let kept = self.known_name(table);
        let known = self.table_at(&kept).and_then(|at| self.tables.get(at)).is_some_and(|facts| {
            facts.columns.iter().any(|own| same_column_name(&own.name, &column.name, dialect))
        });
        if known && if_not_exists {
            return;
        }
        let name = ObjectName::bare(column.name.clone());
        let was_gone = self.not_absent(AbsentKind::Column, &name, Some(&kept));
        let judge = self.without_facts();
        let Some(facts) = self.table_mut(table) else { return };
        let marks = Marks::of(facts);
        judge.declare_column(facts, column);
        if if_not_exists && !was_gone {
            marks.doubt_new(facts, IF_NOT_EXISTS);
            if let Some(own) = facts.column_mut(&column.name, dialect) {
                set_doubt(&mut own.doubt, IF_NOT_EXISTS);
            }
        }
    }

    /// This without its facts: what decides about names while a table is borrowed.
    fn without_facts(&self) -> Expected {
        let path = self.path.clone();
        // Names are looked for among the tables only along a search path.
        let named = self.tables.iter().filter(|_| !path.is_empty());
        let tables = named.map(TableFacts::name_only).collect();
        Expected { path, tables, ..Expected::new(self.dialect) }
    }

    pub(super) fn drop_column(&mut self, table: &ObjectName, column: &str, cascade: bool) {
        let dialect = self.dialect;
        let kept = self.known_name(table);
        if let Some(facts) = self.known_table(table) {
            facts.columns.retain(|own| !same_column_name(&own.name, column, dialect));
            match dialect {
                Dialect::Postgres => forget_with_column(facts, column),
                Dialect::Mysql => shrink_keys(facts, column),
                // It refuses, unless the constraint is written at the column itself.
                Dialect::Sqlite => facts
                    .foreign_keys
                    .retain(|fact| !has_column(&fact.key.columns, column, dialect)),
            }
            for fact in &mut facts.checks {
                if mentions(&fact.check.expr, column, dialect) {
                    set_doubt(&mut fact.doubt, "its column was dropped");
                }
            }
        } else {
            self.doubt_lookalikes(table, "a table of this name lost a column, perhaps this one");
        }
        if dialect == Dialect::Postgres {
            let why = "a dropped column may have owned it";
            self.doubt_kind(ObjectKind::Sequence, why);
        }
        if cascade && let Some(facts) = self.known_table(table) {
            for own in &mut facts.columns {
                if own.generated.as_ref().is_some_and(|expr| mentions(expr, column, dialect)) {
                    set_doubt(&mut own.doubt, "a DROP ... CASCADE may have taken it");
                }
            }
        }
        if cascade {
            let why = "a DROP ... CASCADE may have taken it";
            self.doubt_dependents();
            let mut tables = std::mem::take(&mut self.tables);
            for fact in tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
                if self.same(&fact.key.to_table, &kept) {
                    set_doubt(&mut fact.doubt, why);
                }
            }
            self.tables = tables;
        }
        self.part_absent(AbsentKind::Column, &kept, column);
    }

    pub(super) fn rename_column(&mut self, table: &ObjectName, from: &str, to: &str) {
        let dialect = self.dialect;
        let kept = self.known_name(table);
        let name = ObjectName::bare(to);
        self.not_absent(AbsentKind::Column, &name, Some(&kept));
        let Some(facts) = self.table_mut(table) else { return };
        if facts.columns.iter().any(|own| same_column_name(&own.name, to, dialect)) && from != to {
            set_doubt(&mut facts.doubt, "columns were renamed onto each other");
        }
        if let Some(own) = facts.column_mut(from, dialect) {
            own.name = to.to_owned();
        }
        rename_in_keys(facts, from, to, dialect);
        let mut tables = std::mem::take(&mut self.tables);
        for fact in tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
            if self.same(&fact.key.to_table, &kept) {
                rename_in(&mut fact.key.to_columns, from, to, dialect);
            }
        }
        self.tables = tables;
        if !same_column_name(from, to, dialect) {
            self.part_absent(AbsentKind::Column, &kept, from);
        }
    }

    pub(super) fn alter_column(&mut self, table: &ObjectName, name: &str, action: &ColumnAction) {
        let dialect = self.dialect;
        let judge = self.without_facts();
        if matches!(action, ColumnAction::Other(_)) {
            return;
        }
        let unknown_view =
            matches!(action, ColumnAction::SetDefault(_) | ColumnAction::DropDefault)
                && dialect == Dialect::Postgres
                && self.known_table(table).is_none();
        if unknown_view {
            return;
        }
        let Some(facts) = self.table_mut(table) else { return };
        if let ColumnAction::Redefine(column) = action {
            for check in facts.checks.iter_mut().filter(|c| c.at_column.as_deref() == Some(name)) {
                set_doubt(
                    &mut check.doubt,
                    "MariaDB forgets a column's CHECK with its declaration",
                );
            }
            judge.declare_at_column(facts, column);
        }
        let in_key =
            facts.primary_key.as_ref().is_some_and(|k| has_column(&k.columns, name, dialect));
        let Some(own) = facts.column_mut(name, dialect) else { return };
        match action {
            ColumnAction::Type(text) => own.type_text = Some(text.clone()),
            ColumnAction::SetNotNull => own.nullable = Some(false),
            ColumnAction::DropNotNull => own.nullable = (!in_key).then_some(true),
            ColumnAction::SetDefault(text) => {
                // DEFAULT NULL is no default in most catalogs.
                own.default = (!text.to_uppercase().starts_with("NULL")).then_some(true);
            }
            ColumnAction::DropDefault => own.default = Some(false),
            ColumnAction::Redefine(column) => {
                own.type_text = Some(column.type_text.clone());
                own.default = None;
                // A TIMESTAMP may be NOT NULL by itself.
                let by_itself = in_key || column.primary_key || column.identity;
                let timestamp = column.type_text.to_lowercase().starts_with("timestamp");
                own.nullable = match column.not_null {
                    true => Some(false),
                    false => (!by_itself && !timestamp).then_some(true),
                };
            }
            ColumnAction::Other(_) => {}
        }
    }

    pub(super) fn add_constraint(
        &mut self,
        table: &ObjectName,
        constraint: &Constraint,
        if_not_exists: bool,
    ) {
        let kept = self.known_name(table);
        let given = match constraint {
            Constraint::PrimaryKey { name, .. }
            | Constraint::Unique { name, .. }
            | Constraint::Other { name, .. } => name,
            Constraint::ForeignKey(key) => &key.name,
            Constraint::Check(check) => &check.name,
        };
        let name = ObjectName::bare(given.clone().unwrap_or_default());
        self.not_absent(AbsentKind::Constraint, &name, Some(&kept));
        self.not_absent(AbsentKind::Object(ObjectKind::Index), &name, Some(&kept));
        if matches!(constraint, Constraint::PrimaryKey { .. }) {
            self.not_absent(AbsentKind::PrimaryKey, &ObjectName::default(), Some(&kept));
        }
        let judge = self.without_facts();
        let dialect = self.dialect;
        let Some(facts) = self.table_mut(table) else { return };
        let known = given.as_ref().is_some_and(|name| is_named(facts, name, dialect));
        if if_not_exists && known {
            return;
        }
        let marks = Marks::of(facts);
        judge.declare_constraint(facts, constraint);
        if if_not_exists {
            marks.doubt_new(facts, IF_NOT_EXISTS);
        }
    }

    pub(super) fn drop_constraint(&mut self, table: &ObjectName, name: &str, cascade: bool) {
        let dialect = self.dialect;
        let kept = self.known_name(table);
        if let Some(facts) = self.known_table(table) {
            remove_named(facts, name, dialect);
        }
        if cascade {
            let mut tables = std::mem::take(&mut self.tables);
            for fact in tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
                if self.same(&fact.key.to_table, &kept) {
                    set_doubt(&mut fact.doubt, "a DROP CONSTRAINT ... CASCADE may have taken it");
                }
            }
            self.tables = tables;
        }
        self.part_absent(AbsentKind::Constraint, &kept, name);
    }

    pub(super) fn drop_foreign_key(&mut self, table: &ObjectName, name: &str) {
        let dialect = self.dialect;
        let kept = self.known_name(table);
        if let Some(facts) = self.known_table(table) {
            let before = facts.foreign_keys.len();
            facts.foreign_keys.retain(|fact| !fact.name.is(name, dialect));
            if facts.foreign_keys.len() == before {
                doubt_unnamed(facts);
            }
        }
        self.part_absent(AbsentKind::Constraint, &kept, name);
    }

    pub(super) fn drop_primary_key(&mut self, table: &ObjectName) {
        let kept = self.known_name(table);
        if let Some(facts) = self.known_table(table) {
            facts.primary_key = None;
        }
        self.part_absent(AbsentKind::PrimaryKey, &kept, "");
    }

    pub(super) fn rename_constraint(&mut self, table: &ObjectName, from: &str, to: &str) {
        let dialect = self.dialect;
        if same_column_name(from, to, dialect) {
            return;
        }
        let kept = self.known_name(table);
        if let Some(facts) = self.known_table(table) {
            for name in names_mut(facts) {
                if name.is(from, dialect) {
                    *name = ConstraintName::Given(to.to_owned());
                }
            }
        }
        self.part_absent(AbsentKind::Constraint, &kept, from);
    }

    pub(super) fn create_index(&mut self, index: &CreateIndex) {
        let dialect = self.dialect;
        let given = index.name.as_ref().map(|name| name.name.clone());
        let kept = self.known_name(&index.table);
        let mut was_gone = false;
        if let Some(name) = &index.name {
            let known = self.index_owner(name, Some(&index.table)).is_some();
            if index.if_not_exists && known {
                return;
            }
            // Only MariaDB's index names belong to their table.
            let of = (dialect == Dialect::Mysql).then_some(&kept);
            was_gone = self.not_absent(AbsentKind::Object(ObjectKind::Index), name, of);
        }
        let Some(facts) = self.table_mut(&index.table) else { return };
        let table = facts.name.name.clone();
        let plain: Option<Vec<String>> = index.columns.iter().map(|c| c.column.clone()).collect();
        let name = ConstraintName::new(&given, || match (dialect, plain) {
            (Dialect::Postgres, Some(columns)) => {
                Some(format!("{table}_{}_idx", columns.join("_")))
            }
            (Dialect::Mysql, Some(columns)) => columns.into_iter().next(),
            _ => None,
        });
        let doubt = (index.if_not_exists && !was_gone).then(|| IF_NOT_EXISTS.to_owned());
        facts.indexes.push(IndexFact {
            name,
            columns: index.columns.clone(),
            unique: index.unique,
            partial: index.partial.is_some(),
            doubt,
        });
    }

    /// Where the table of a named index stands; on MariaDB the table must be said.
    pub(super) fn index_owner(
        &self,
        name: &ObjectName,
        table: Option<&ObjectName>,
    ) -> Option<usize> {
        let dialect = self.dialect;
        let kept = table.map(|table| self.known_name(table));
        self.tables.iter().position(|facts| {
            let here = match (&kept, dialect) {
                (Some(kept), Dialect::Mysql) => self.same(&facts.name, kept),
                // PostgreSQL's index lives in its table's schema.
                _ => {
                    name.schema.is_none() || {
                        let schema = self.kept_name(name).schema;
                        schema == facts.name.schema
                    }
                }
            };
            here && facts.indexes.iter().any(|index| index.name.is(&name.name, dialect))
        })
    }

    pub(super) fn drop_index(&mut self, name: &ObjectName, table: Option<&ObjectName>) {
        let dialect = self.dialect;
        if let Some(facts) = self.index_owner(name, table).and_then(|at| self.tables.get_mut(at)) {
            facts.indexes.retain(|index| !index.name.is(&name.name, dialect));
        } else if let Some(facts) = table.and_then(|table| self.known_table(table)) {
            remove_named(facts, &name.name, dialect);
        } else {
            self.tables.iter_mut().for_each(doubt_unnamed);
        }
        let what = AbsentKind::Object(ObjectKind::Index);
        match table.map(|table| self.known_name(table)) {
            Some(table) => self.part_absent(what, &table, &name.name),
            None => self.now_absent(what, name.clone()),
        }
    }

    pub(super) fn rename_index(&mut self, table: Option<&ObjectName>, from: &ObjectName, to: &str) {
        let dialect = self.dialect;
        if same_column_name(&from.name, to, dialect) {
            return;
        }
        self.not_absent(AbsentKind::Object(ObjectKind::Index), &ObjectName::bare(to), table);
        let of = table.map(|table| self.known_name(table));
        let mut tables = std::mem::take(&mut self.tables);
        for facts in &mut tables {
            if of.as_ref().is_none_or(|of| self.same(of, &facts.name)) {
                for name in names_mut(facts).into_iter().filter(|n| n.is(&from.name, dialect)) {
                    *name = ConstraintName::Given(to.to_owned());
                }
            }
        }
        self.tables = tables;
        let what = AbsentKind::Object(ObjectKind::Index);
        match of {
            Some(of) => self.part_absent(what, &of, &from.name),
            None => self.now_absent(what, from.clone()),
        }
    }
}
