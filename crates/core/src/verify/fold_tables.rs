//! Whole tables: created, dropped, renamed.

use super::expected::{
    AbsentKind, CheckFact, ConstraintName, Doubt, Expected, ForeignKeyFact, KeyFact, ObjectFact,
    TableFacts, set_doubt,
};
use crate::ddl::{
    ColumnDef, Constraint, CreateTable, ForeignKey, ObjectKind, ObjectName, TableSource,
};
use crate::sql::dialect::Dialect;

const IF_NOT_EXISTS: &str = "declared with IF NOT EXISTS, so an older one may have stayed";

impl Expected {
    pub(super) fn create_table(&mut self, table: &CreateTable) {
        if table.temporary {
            self.temporary.push(table.name.clone());
            return;
        }
        let name = self.kept_name(&table.name);
        let existing = self.table_at(&name);
        if let Some(at) = existing {
            if table.if_not_exists {
                return;
            }
            self.tables.remove(at);
        }
        let object = AbsentKind::Object(ObjectKind::Table);
        let was_gone = self.not_absent(object, &name, None);
        self.forget_parts_absent(&name);
        let mut facts = TableFacts { name, created: true, ..TableFacts::default() };
        if table.if_not_exists && !was_gone {
            set_doubt(&mut facts.doubt, IF_NOT_EXISTS);
        }
        facts.parents = table.inherits.iter().map(|parent| self.known_name(parent)).collect();
        if !facts.parents.is_empty() {
            set_doubt(&mut facts.doubt, "it inherits and follows its parent");
        }
        match &table.source {
            TableSource::Columns | TableSource::Like(_) => {}
            TableSource::AsSelect { .. } => {
                set_doubt(&mut facts.doubt, "its columns come from a query");
            }
            TableSource::PartitionOf(parent) => {
                facts.parents.push(self.known_name(parent));
                facts.partition = true;
                self.tables.push(facts);
                return;
            }
            TableSource::OfType(_) | TableSource::Virtual(_) => {
                self.tables.push(facts);
                return;
            }
        }
        for column in &table.columns {
            self.declare_column(&mut facts, column);
        }
        for constraint in &table.constraints {
            self.declare_constraint(&mut facts, constraint);
        }
        let other_engine = self.dialect == Dialect::Mysql && not_innodb(&table.options);
        for key in facts.foreign_keys.iter_mut().filter(|_| other_engine) {
            set_doubt(&mut key.doubt, "the storage engine may ignore foreign keys");
        }
        self.tables.push(facts);
    }

    /// A new table, or none, has nothing that was dropped from an older one.
    fn forget_parts_absent(&mut self, table: &ObjectName) {
        let absent = std::mem::take(&mut self.absent);
        let of_table = |of: &Option<ObjectName>| of.as_ref().is_some_and(|of| self.same(of, table));
        let kept = absent.into_iter().filter(|absent| !of_table(&absent.table)).collect();
        self.absent = kept;
    }

    /// Adds a column with the constraints written at it.
    pub(super) fn declare_column(&self, facts: &mut TableFacts, column: &ColumnDef) {
        let dialect = self.dialect;
        let key_is_not_null = dialect != Dialect::Sqlite && column.primary_key;
        if let Some(own) = facts.column_mut(&column.name, dialect) {
            own.type_text = Some(column.type_text.clone()).filter(|text| !text.is_empty());
            own.nullable = (column.not_null || key_is_not_null).then_some(false);
            own.default = None;
            own.generated.clone_from(&column.generated);
            own.doubt = None;
        }
        self.declare_at_column(facts, column);
    }

    /// The constraints written at a column.
    pub(super) fn declare_at_column(&self, facts: &mut TableFacts, column: &ColumnDef) {
        let columns = vec![column.name.clone()];
        if column.primary_key {
            let name = column.key_name.clone();
            let columns = columns.clone();
            self.declare_constraint(facts, &Constraint::PrimaryKey { name, columns });
        }
        if column.unique {
            let name = column.key_name.clone().filter(|_| !column.primary_key);
            self.declare_constraint(facts, &Constraint::Unique { name, columns });
        }
        if let Some(key) = &column.references {
            self.declare_foreign_key(facts, key);
            if self.dialect == Dialect::Mysql
                && let Some(fact) = facts.foreign_keys.last_mut()
            {
                set_doubt(&mut fact.doubt, "not every version obeys REFERENCES at a column");
            }
        }
        for check in &column.checks {
            let guess = || Some(format!("{}_{}_check", facts.name.name, column.name));
            let name = ConstraintName::new(&check.name, guess);
            let at_column = Some(column.name.clone());
            facts.checks.push(CheckFact { name, check: check.clone(), at_column, doubt: None });
        }
    }

    /// Adds a constraint to what is known of a table.
    pub(super) fn declare_constraint(&self, facts: &mut TableFacts, constraint: &Constraint) {
        let table = facts.name.name.clone();
        match constraint {
            Constraint::PrimaryKey { name, columns } if columns.is_empty() => {
                if let Some((columns, doubt)) = take_index(facts, name, self.dialect) {
                    let key = Constraint::PrimaryKey { name: name.clone(), columns };
                    self.declare_constraint(facts, &key);
                    facts.primary_key.iter_mut().for_each(|key| key.doubt.clone_from(&doubt));
                }
            }
            Constraint::PrimaryKey { name, columns } => {
                let name = ConstraintName::new(name, || Some(format!("{table}_pkey")));
                for column in columns.iter().filter(|_| self.dialect != Dialect::Sqlite) {
                    let known = facts.columns.iter_mut().find(|own| own.name == *column);
                    if let Some(known) = known {
                        known.nullable = Some(false);
                    }
                }
                let columns = columns.clone();
                facts.primary_key = Some(KeyFact { name, columns, doubt: None });
            }
            Constraint::Unique { name, columns } if columns.is_empty() => {
                if let Some((columns, doubt)) = take_index(facts, name, self.dialect) {
                    let name = ConstraintName::new(name, || None);
                    facts.uniques.push(KeyFact { name, columns, doubt });
                }
            }
            Constraint::Unique { name, columns } => {
                let guess = || self.unique_guess(&table, columns);
                let name = ConstraintName::new(name, guess);
                facts.uniques.push(KeyFact { name, columns: columns.clone(), doubt: None });
            }
            Constraint::ForeignKey(key) => self.declare_foreign_key(facts, key),
            Constraint::Check(check) => {
                let name = ConstraintName::new(&check.name, || Some(format!("{table}_check")));
                let check = check.clone();
                facts.checks.push(CheckFact { name, check, at_column: None, doubt: None });
            }
            Constraint::Other { .. } => {}
        }
    }

    /// The name that the server gives a unique constraint without one.
    fn unique_guess(&self, table: &str, columns: &[String]) -> Option<String> {
        match self.dialect {
            Dialect::Mysql => columns.first().cloned(),
            Dialect::Postgres => Some(format!("{table}_{}_key", columns.join("_"))),
            Dialect::Sqlite => None,
        }
    }

    fn declare_foreign_key(&self, facts: &mut TableFacts, key: &ForeignKey) {
        let mut key = key.clone();
        key.to_table = self.known_name(&key.to_table);
        let count = facts.foreign_keys.len() + 1;
        let table = &facts.name.name;
        let name = ConstraintName::new(&key.name, || match self.dialect {
            Dialect::Postgres => Some(format!("{table}_{}_fkey", key.columns.join("_"))),
            Dialect::Mysql => Some(format!("{table}_ibfk_{count}")),
            Dialect::Sqlite => None,
        });
        facts.foreign_keys.push(ForeignKeyFact { name, key, doubt: None });
    }

    pub(super) fn drop_table(&mut self, name: &ObjectName, cascade: bool) {
        if self.is_temporary(name) {
            let dialect = self.dialect;
            self.temporary
                .retain(|temp| !crate::ddl::name::same_table_name(&temp.name, &name.name, dialect));
            return;
        }
        let kept = self.known_name(name);
        if self.table_at(&kept).is_none() {
            self.doubt_lookalikes(name, "a table of this name was dropped, perhaps this one");
        }
        self.remove_table(&kept, cascade);
        self.now_absent(AbsentKind::Object(ObjectKind::Table), kept);
    }

    /// Removes a table with what goes with it.
    pub(super) fn remove_table(&mut self, name: &ObjectName, cascade: bool) {
        let mut gone = vec![name.clone()];
        // Partitions go with their parent; each round finds those of the round before.
        while let Some(next) = gone.pop() {
            let mut tables = std::mem::take(&mut self.tables);
            tables.retain(|table| !self.same(&table.name, &next));
            for table in &tables {
                let child = table.parents.iter().any(|parent| self.same(parent, &next));
                if child && (table.partition || cascade) {
                    gone.push(table.name.clone());
                }
            }
            self.tables = tables;
            self.forget_parts_absent(&next);
            self.forget_what_hung_on(&next);
        }
        if cascade {
            self.doubt_dependents();
        }
    }

    fn forget_what_hung_on(&mut self, gone: &ObjectName) {
        let objects = std::mem::take(&mut self.objects);
        let of_gone = |of: &ObjectFact| of.table.as_ref().is_some_and(|of| self.same(of, gone));
        let kept = objects.into_iter().filter(|object| !of_gone(object)).collect();
        self.objects = kept;
        if self.dialect != Dialect::Postgres {
            return;
        }
        // Without CASCADE there were none; an owned sequence goes with its table.
        let mut tables = std::mem::take(&mut self.tables);
        for table in &mut tables {
            table.foreign_keys.retain(|fact| !self.same(&fact.key.to_table, gone));
        }
        self.tables = tables;
        for object in &mut self.objects {
            if object.kind == ObjectKind::Sequence {
                set_doubt(&mut object.doubt, "a dropped table may have owned it");
            }
        }
    }

    pub(super) fn rename_table(&mut self, from: &ObjectName, to: &ObjectName) {
        if self.is_temporary(from) {
            self.temporary.push(to.clone());
            return;
        }
        let kept_from = self.known_name(from);
        let schema = to.schema.clone().or_else(|| kept_from.schema.clone());
        let kept_to = self.kept_name(&ObjectName { schema, name: to.name.clone() });
        let known = self.table_at(&kept_from).is_some();
        if kept_from == kept_to {
            return;
        }
        if !known && self.rename_known_object(&kept_from, &kept_to) {
            return;
        }
        // PostgreSQL's ALTER TABLE renames an index as well.
        let postgres = self.dialect == Dialect::Postgres;
        if !known && postgres && self.index_owner(&kept_from, None).is_some() {
            self.rename_index(None, &kept_from, &kept_to.name);
            return;
        }
        if !known {
            self.doubt_lookalikes(from, "a table of this name was renamed, perhaps this one");
        }
        if !self.same(&kept_from, &kept_to) {
            let mut tables = std::mem::take(&mut self.tables);
            tables.retain(|table| !self.same(&table.name, &kept_to));
            self.tables = tables;
        }
        self.not_absent(AbsentKind::Object(ObjectKind::Table), &kept_to, None);
        self.forget_parts_absent(&kept_to);
        self.rename_everywhere(&kept_from, &kept_to);
        if !known {
            let view = self.dialect == Dialect::Postgres;
            let doubt = view.then(|| "what was renamed may be a view or sequence".to_owned());
            self.tables.push(TableFacts {
                name: kept_to.clone(),
                created: true,
                existence_doubt: doubt,
                ..TableFacts::default()
            });
        }
        if !self.same(&kept_from, &kept_to) {
            self.now_absent(AbsentKind::Object(ObjectKind::Table), kept_from);
        }
    }

    /// Writes the new name wherever the old one stands.
    fn rename_everywhere(&mut self, from: &ObjectName, to: &ObjectName) {
        let mut tables = std::mem::take(&mut self.tables);
        for table in &mut tables {
            if self.same(&table.name, from) {
                table.name = to.clone();
            }
            for parent in table.parents.iter_mut().filter(|parent| self.same(parent, from)) {
                *parent = to.clone();
            }
            for fact in &mut table.foreign_keys {
                if self.same(&fact.key.to_table, from) {
                    fact.key.to_table = to.clone();
                    if self.dialect == Dialect::Sqlite {
                        let why = "with legacy_alter_table a rename leaves references alone";
                        set_doubt(&mut fact.doubt, why);
                    }
                }
            }
        }
        let mut objects = std::mem::take(&mut self.objects);
        for object in &mut objects {
            if object.table.as_ref().is_some_and(|table| self.same(table, from)) {
                object.table = Some(to.clone());
            }
        }
        let mut absent = std::mem::take(&mut self.absent);
        for absent in &mut absent {
            if absent.table.as_ref().is_some_and(|table| self.same(table, from)) {
                absent.table = Some(to.clone());
            }
        }
        self.tables = tables;
        self.objects = objects;
        self.absent = absent;
    }
}

/// `USING INDEX`: takes an index away from a table, as it becomes a key of that name; its columns,
/// if it is known.
fn take_index(
    facts: &mut TableFacts,
    name: &Option<String>,
    dialect: Dialect,
) -> Option<(Vec<String>, Doubt)> {
    let name = name.as_ref()?;
    let at = facts.indexes.iter().position(|index| index.name.is(name, dialect))?;
    let index = facts.indexes.remove(at);
    let columns: Option<Vec<String>> = index.columns.into_iter().map(|part| part.column).collect();
    Some((columns?, index.doubt))
}

fn not_innodb(options: &str) -> bool {
    let lower = options.to_lowercase();
    lower.contains("engine") && !lower.contains("innodb")
}
