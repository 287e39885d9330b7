//! Views, triggers, routines, types, sequences, schemas and extensions.

use super::expected::{AbsentKind, Expected, ObjectFact, set_doubt};
use crate::ddl::{Change, ObjectKind, ObjectName};
use crate::sql::dialect::Dialect;

const CASCADE: &str = "a DROP ... CASCADE may have taken it";

impl Expected {
    pub(super) fn fold_object(&mut self, change: &Change) {
        match change {
            // `CREATE FUNCTION pg_temp.helper()` ends with the session.
            Change::CreateSequence { name, .. }
            | Change::CreateRoutine { name, .. }
            | Change::CreateType { name, .. }
                if name.is_temporary(self.dialect) => {}
            Change::DropIndex { name, table, .. } => self.drop_index(name, table.as_ref()),
            Change::RenameIndex { table, from, to } => {
                self.rename_index(table.as_ref(), from, to);
            }
            Change::CreateView { name, temporary: true, .. } => self.temporary.push(name.clone()),
            Change::CreateView { name, .. } => self.create_object(ObjectKind::View, name),
            Change::CreateTrigger { temporary: true, .. }
            | Change::CreateSequence { temporary: true, .. } => {}
            Change::CreateTrigger { name, table, .. } => self.create_trigger(name, table),
            Change::CreateSequence { name, .. } => self.create_object(ObjectKind::Sequence, name),
            Change::CreateRoutine { name, arguments, .. } => self.create_routine(name, arguments),
            Change::CreateType { name, .. } => self.create_object(ObjectKind::Type, name),
            Change::CreateSchema { name, .. } => {
                self.create_plain(ObjectKind::Schema, name);
            }
            Change::CreateExtension { name, .. } => {
                self.create_plain(ObjectKind::Extension, name);
            }
            Change::RenameObject { kind, from, to } => self.rename_object(*kind, from, to),
            _ => self.drop_object(change),
        }
    }

    fn drop_object(&mut self, change: &Change) {
        match change {
            Change::DropView { name, cascade, .. } => {
                let kept = self.known_name(name);
                self.forget_object(ObjectKind::View, &kept);
                // A stored view's indexes were kept as those of a table that nobody created.
                let mut tables = std::mem::take(&mut self.tables);
                tables.retain(|table| table.created || !self.same(&table.name, &kept));
                self.tables = tables;
                self.forget_triggers_of(&kept);
                if *cascade {
                    self.doubt_dependents();
                }
                if !self.is_temporary(name) {
                    self.now_absent(AbsentKind::Object(ObjectKind::View), kept);
                }
            }
            Change::DropTrigger { name, table, .. } => self.drop_trigger(name, table.as_ref()),
            Change::DropRoutine { name, arguments, cascade, .. } => {
                self.drop_routine(name, arguments.as_deref());
                if *cascade {
                    self.doubt_dependents();
                    self.doubt_tables(CASCADE);
                }
            }
            Change::DropType { name, cascade, .. } => {
                self.drop_plain(ObjectKind::Type, name);
                if *cascade {
                    self.doubt_dependents();
                    self.doubt_tables(CASCADE);
                }
            }
            Change::DropSequence { name, .. } => {
                self.drop_plain(ObjectKind::Sequence, name);
                // With CASCADE the defaults that use it go, too.
                let columns = self.tables.iter_mut().flat_map(|table| &mut table.columns);
                columns.for_each(|column| column.default = column.default.filter(|has| !has));
            }
            Change::DropSchema { name, cascade, .. } => self.drop_schema(name, *cascade),
            Change::DropExtension { name, cascade } => {
                self.drop_plain(ObjectKind::Extension, &ObjectName::bare(name.clone()));
                if *cascade {
                    self.doubt_everything(CASCADE);
                }
            }
            _ => {}
        }
    }

    fn create_plain(&mut self, kind: ObjectKind, name: &str) {
        let name = ObjectName::bare(name);
        self.forget_object(kind, &name);
        self.not_absent(AbsentKind::Object(kind), &name, None);
        self.push_object(kind, name, None, String::new());
    }

    fn create_object(&mut self, kind: ObjectKind, name: &ObjectName) {
        let kept = self.kept_name(name);
        self.forget_object(kind, &kept);
        self.not_absent(AbsentKind::Object(kind), &kept, None);
        self.push_object(kind, kept, None, String::new());
    }

    fn create_trigger(&mut self, name: &ObjectName, table: &ObjectName) {
        if self.is_temporary(table) {
            return;
        }
        let kept = self.known_name(table);
        let bare = ObjectName::bare(name.name.clone());
        self.remove_trigger(&bare, Some(&kept));
        let of = (self.dialect == Dialect::Postgres).then_some(&kept);
        self.not_absent(AbsentKind::Object(ObjectKind::Trigger), &bare, of);
        self.push_object(ObjectKind::Trigger, bare, Some(kept), String::new());
    }

    fn create_routine(&mut self, name: &ObjectName, arguments: &str) {
        let kept = self.kept_name(name);
        let signature = arguments.to_lowercase();
        let objects = std::mem::take(&mut self.objects);
        let same = |object: &ObjectFact| {
            object.kind == ObjectKind::Routine
                && self.same(&object.name, &kept)
                && object.signature == signature
        };
        let others = objects.into_iter().filter(|object| !same(object)).collect();
        self.objects = others;
        self.not_absent(AbsentKind::Object(ObjectKind::Routine), &kept, None);
        self.push_object(ObjectKind::Routine, kept, None, signature);
    }

    fn push_object(
        &mut self,
        kind: ObjectKind,
        name: ObjectName,
        table: Option<ObjectName>,
        signature: String,
    ) {
        self.objects.push(ObjectFact { kind, name, table, signature, doubt: None });
    }

    fn forget_object(&mut self, kind: ObjectKind, name: &ObjectName) {
        let objects = std::mem::take(&mut self.objects);
        let same = |object: &ObjectFact| object.kind == kind && self.same(&object.name, name);
        let others = objects.into_iter().filter(|object| !same(object)).collect();
        self.objects = others;
    }

    fn forget_triggers_of(&mut self, table: &ObjectName) {
        let objects = std::mem::take(&mut self.objects);
        let on = |object: &ObjectFact| object.table.as_ref().is_some_and(|t| self.same(t, table));
        let others = objects.into_iter().filter(|object| !on(object)).collect();
        self.objects = others;
    }

    fn drop_plain(&mut self, kind: ObjectKind, name: &ObjectName) {
        let kept = self.known_name(name);
        self.forget_object(kind, &kept);
        self.now_absent(AbsentKind::Object(kind), kept);
    }

    /// PostgreSQL's trigger names belong to their table, others' to the schema.
    fn remove_trigger(&mut self, name: &ObjectName, table: Option<&ObjectName>) {
        let per_table = self.dialect == Dialect::Postgres;
        let objects = std::mem::take(&mut self.objects);
        let same = |object: &ObjectFact| {
            let here = match (&object.table, table) {
                (Some(a), Some(b)) if per_table => self.same(a, b),
                _ => true,
            };
            let named = ObjectName::bare(object.name.name.clone());
            object.kind == ObjectKind::Trigger && here && self.same(&named, name)
        };
        let others = objects.into_iter().filter(|object| !same(object)).collect();
        self.objects = others;
    }

    fn drop_trigger(&mut self, name: &ObjectName, table: Option<&ObjectName>) {
        let table = table.map(|table| self.known_name(table));
        let bare = ObjectName::bare(name.name.clone());
        self.remove_trigger(&bare, table.as_ref());
        let what = AbsentKind::Object(ObjectKind::Trigger);
        match table {
            Some(table) => self.part_absent(what, &table, &bare.name),
            None => self.now_absent(what, bare),
        }
    }

    /// Of several overloads only the one with these arguments goes.
    fn drop_routine(&mut self, name: &ObjectName, arguments: Option<&str>) {
        let kept = self.known_name(name);
        let is_it = |expected: &Expected, object: &ObjectFact| {
            object.kind == ObjectKind::Routine && expected.same(&object.name, &kept)
        };
        let overloads = self.objects.iter().filter(|object| is_it(self, object)).count();
        if overloads <= 1 {
            self.forget_object(ObjectKind::Routine, &kept);
            if arguments.is_none() {
                self.now_absent(AbsentKind::Object(ObjectKind::Routine), kept);
            }
            return;
        }
        let mut objects = std::mem::take(&mut self.objects);
        for object in objects.iter_mut().filter(|object| is_it(self, object)) {
            set_doubt(&mut object.doubt, "one of several routines of this name was dropped");
        }
        self.objects = objects;
    }

    fn drop_schema(&mut self, name: &str, cascade: bool) {
        if cascade {
            let inside: Vec<ObjectName> = self
                .tables
                .iter()
                .map(|table| table.name.clone())
                .filter(|table| table.schema.as_deref().unwrap_or("public") == name)
                .collect();
            inside.iter().for_each(|table| self.remove_table(table, true));
            self.objects.retain(|object| {
                matches!(object.kind, ObjectKind::Schema | ObjectKind::Extension)
                    || object.name.schema.as_deref().unwrap_or("public") != name
            });
            if self.dialect == Dialect::Mysql || name == "public" {
                self.doubt_everything("its schema may have been dropped");
            } else {
                self.doubt_dependents();
                self.doubt_tables(CASCADE);
            }
        }
        self.drop_plain(ObjectKind::Schema, &ObjectName::bare(name));
    }

    /// What a CASCADE on a table, view, column, type or routine may take along: views, routines
    /// whose parameters are its rows, triggers.
    pub(super) fn doubt_dependents(&mut self) {
        for kind in [ObjectKind::View, ObjectKind::Routine, ObjectKind::Trigger] {
            self.doubt_kind(kind, CASCADE);
        }
    }

    fn doubt_tables(&mut self, reason: &str) {
        for table in &mut self.tables {
            set_doubt(&mut table.doubt, reason);
        }
    }

    fn doubt_everything(&mut self, reason: &str) {
        for table in &mut self.tables {
            set_doubt(&mut table.doubt, reason);
            set_doubt(&mut table.existence_doubt, reason);
        }
        for object in &mut self.objects {
            set_doubt(&mut object.doubt, reason);
        }
    }

    /// `ALTER TABLE` may rename a view or sequence; false if no such object is known.
    pub(super) fn rename_known_object(&mut self, from: &ObjectName, to: &ObjectName) -> bool {
        let mut objects = std::mem::take(&mut self.objects);
        let mut found = None;
        for object in &mut objects {
            let relation = matches!(object.kind, ObjectKind::View | ObjectKind::Sequence);
            if relation && self.same(&object.name, from) {
                object.name = to.clone();
                found = Some(object.kind);
            }
        }
        self.objects = objects;
        if let Some(kind) = found {
            self.not_absent(AbsentKind::Object(kind), to, None);
            self.now_absent(AbsentKind::Object(kind), from.clone());
        }
        found.is_some()
    }

    fn rename_object(&mut self, kind: ObjectKind, from: &ObjectName, to: &ObjectName) {
        if kind == ObjectKind::Schema {
            return self.rename_schema(&from.name, &to.name);
        }
        let kept_from = self.known_name(from);
        let schema = to.schema.clone().or_else(|| kept_from.schema.clone());
        let kept_to = self.kept_name(&ObjectName { schema, name: to.name.clone() });
        let mut objects = std::mem::take(&mut self.objects);
        for object in objects.iter_mut().filter(|object| object.kind == kind) {
            if self.same(&object.name, &kept_from) {
                object.name = kept_to.clone();
            }
        }
        self.objects = objects;
        if kind == ObjectKind::Type {
            for column in self.tables.iter_mut().flat_map(|table| &mut table.columns) {
                // The type's text is the old name; an unknown name is never a certain mismatch.
                set_doubt(&mut column.doubt, "a type was renamed");
            }
        }
        self.not_absent(AbsentKind::Object(kind), &kept_to, None);
    }

    fn rename_schema(&mut self, from: &str, to: &str) {
        let moved = |name: &mut ObjectName| {
            if name.schema.as_deref() == Some(from) {
                name.schema = Some(to.to_owned());
            }
        };
        for table in &mut self.tables {
            moved(&mut table.name);
            table.foreign_keys.iter_mut().for_each(|fact| moved(&mut fact.key.to_table));
        }
        for object in &mut self.objects {
            moved(&mut object.name);
            object.table.iter_mut().for_each(moved);
            if object.kind == ObjectKind::Schema && object.name.name == from {
                to.clone_into(&mut object.name.name);
            }
        }
        if from == "public" {
            self.doubt_everything("its schema was renamed");
        }
        self.absent.retain(|absent| absent.name.schema.as_deref() != Some(to));
    }
}
