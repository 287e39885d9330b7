//! Folding changes into facts: one arm for each kind of change.

use super::expected::{Absent, AbsentKind, Expected, ObjectFact, set_doubt};
use crate::ddl::{Change, ObjectKind, ObjectName};
use crate::sql::dialect::Dialect;

impl Expected {
    /// Folds the changes of one migration. Session state (search path, temporary tables) ends
    /// with it.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            self.fold_change(change);
        }
        self.path.clear();
        self.temporary.clear();
        self.only_if = None;
    }

    fn fold_change(&mut self, change: &Change) {
        match change {
            Change::CreateTable(table) => self.create_table(table),
            Change::DropTable { name, cascade, .. } => self.drop_table(name, *cascade),
            Change::RenameTable { from, to } => self.rename_table(from, to),
            Change::OnlyIfTableExists { table } => {
                let kept = self.known_name(table);
                self.only_if = self.table_at(&kept).is_none().then_some(kept);
            }
            Change::OtherTableChange { table, action } => self.other_table_change(table, action),
            Change::SearchPath { schemas } => self.path.clone_from(schemas),
            Change::Dynamic { verb, text } => self.dynamic(verb, text),
            Change::Unknown { verb } => self.unknown(verb),
            Change::Truncate { .. }
            | Change::DeleteRows { .. }
            | Change::UpdateRows { .. }
            | Change::InsertRows { .. }
            | Change::Comment
            | Change::AddEnumValue { .. } => {}
            _ => {
                if !self.fold_table_part(change) {
                    self.fold_object(change);
                }
            }
        }
    }

    /// A change inside a table; false if it is none.
    fn fold_table_part(&mut self, change: &Change) -> bool {
        let table = match change {
            Change::AddColumn { table, .. }
            | Change::DropColumn { table, .. }
            | Change::RenameColumn { table, .. }
            | Change::AlterColumn { table, .. }
            | Change::AddConstraint { table, .. }
            | Change::DropConstraint { table, .. }
            | Change::DropForeignKey { table, .. }
            | Change::DropPrimaryKey { table }
            | Change::RenameConstraint { table, .. } => table,
            Change::CreateIndex(index) => &index.table,
            _ => return false,
        };
        let index = matches!(change, Change::CreateIndex(_));
        if self.is_temporary(table) || (!index && self.is_known_view(table)) {
            return true;
        }
        match change {
            Change::AddColumn { table, column, if_not_exists } => {
                self.add_column(table, column, *if_not_exists);
            }
            Change::DropColumn { table, column, cascade, .. } => {
                self.drop_column(table, column, *cascade);
            }
            Change::RenameColumn { table, from, to } => self.rename_column(table, from, to),
            Change::AlterColumn { table, column, action } => {
                self.alter_column(table, column, action);
            }
            Change::AddConstraint { table, constraint, if_not_exists } => {
                self.add_constraint(table, constraint, *if_not_exists);
            }
            Change::DropConstraint { table, name, cascade, .. } => {
                self.drop_constraint(table, name, *cascade);
            }
            Change::DropForeignKey { table, name, .. } => self.drop_foreign_key(table, name),
            Change::DropPrimaryKey { table } => self.drop_primary_key(table),
            Change::RenameConstraint { table, from, to } => {
                self.rename_constraint(table, from, to);
            }
            Change::CreateIndex(index) => self.create_index(index),
            _ => {}
        }
        true
    }

    fn other_table_change(&mut self, table: &ObjectName, action: &str) {
        let upper = action.to_uppercase();
        if let Some(rest) = upper.strip_prefix("ATTACH PARTITION ") {
            // The partition follows its parent from here on; its name is a word of the action.
            let start = action.len().saturating_sub(rest.len());
            let words = action.get(start..).unwrap_or_default();
            let name = words.split_whitespace().next().unwrap_or_default().replace('"', "");
            let child = match name.split_once('.') {
                Some((schema, name)) => ObjectName::in_schema(schema, name),
                None => ObjectName::bare(name),
            };
            let parent = self.known_name(table);
            let kept = self.known_name(&child);
            if let Some(facts) = self.table_at(&kept).and_then(|at| self.tables.get_mut(at)) {
                set_doubt(&mut facts.doubt, "it is a partition and follows its parent");
                facts.parents.push(parent);
                facts.partition = true;
            }
        } else if upper.starts_with("INHERIT ") {
            if let Some(facts) = self.known_table(table) {
                set_doubt(&mut facts.doubt, "it inherits and follows its parent");
            }
        } else if self.dialect == Dialect::Mysql
            && upper.contains("ENGINE")
            && !upper.contains("INNODB")
            && let Some(facts) = self.known_table(table)
        {
            for key in &mut facts.foreign_keys {
                set_doubt(&mut key.doubt, "the storage engine may ignore foreign keys");
            }
        }
    }

    /// Code ran whose effect is not known: what it may have changed is no longer certain.
    fn dynamic(&mut self, verb: &str, text: &str) {
        self.not_derived.push(verb.to_owned());
        let lower = text.to_lowercase();
        let code = ["execute", "perform", "call ", "cascade", "foreach", "quote_ident", "format("];
        let anything = verb != "DO" || code.iter().any(|word| lower.contains(word));
        let reason = format!("a `{verb}` that came later may have changed it");
        let may_mean = |name: &str| anything || has_word(&lower, &name.to_lowercase());
        for table in &mut self.tables {
            if may_mean(&table.name.name) {
                set_doubt(&mut table.doubt, &reason);
                set_doubt(&mut table.existence_doubt, &reason);
            }
            // An index or constraint can be named without its table.
            for index in table.indexes.iter_mut().filter(|i| i.name.given().is_some_and(may_mean)) {
                set_doubt(&mut index.doubt, &reason);
            }
        }
        for object in &mut self.objects {
            if may_mean(&object.name.name) {
                set_doubt(&mut object.doubt, &reason);
            }
        }
        for absent in &mut self.absent {
            let table = absent.table.as_ref().is_some_and(|table| may_mean(&table.name));
            if table || may_mean(&absent.name.name) {
                set_doubt(&mut absent.doubt, &reason);
            }
        }
    }

    /// Most statements that are not modelled leave tables alone; these few do not.
    fn unknown(&mut self, verb: &str) {
        if matches!(verb, "DROP OWNED" | "IMPORT" | "REASSIGN" | "CREATE SCHEMA elements") {
            self.dynamic(verb, "");
        }
    }

    /// Something in a table is gone.
    pub(super) fn part_absent(&mut self, what: AbsentKind, table: &ObjectName, name: &str) {
        let doubt = self
            .only_if
            .as_ref()
            .filter(|only_if| self.same(only_if, table))
            .map(|_| "`ALTER TABLE IF EXISTS` may have met no table".to_owned());
        let name = ObjectName::bare(name);
        self.push_absent(Absent { what, name, table: Some(table.clone()), doubt });
    }

    /// The facts of a table, if it is known.
    pub(super) fn known_table(
        &mut self,
        name: &ObjectName,
    ) -> Option<&mut super::expected::TableFacts> {
        let kept = self.known_name(name);
        self.table_at(&kept).and_then(|at| self.tables.get_mut(at))
    }

    /// `ALTER TABLE` is also said of views.
    fn is_known_view(&self, name: &ObjectName) -> bool {
        let kept = self.known_name(name);
        let view =
            |object: &ObjectFact| object.kind == ObjectKind::View && self.same(&object.name, &kept);
        self.dialect == Dialect::Postgres
            && self
                .table_at(&kept)
                .is_none_or(|at| !self.tables.get(at).is_some_and(|table| table.created))
            && self.objects.iter().any(view)
    }

    /// Everything of a kind may have changed.
    pub(super) fn doubt_kind(&mut self, kind: ObjectKind, reason: &str) {
        for object in self.objects.iter_mut().filter(|object| object.kind == kind) {
            set_doubt(&mut object.doubt, reason);
        }
    }
}

/// Whether a text has this word, not as part of another one.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}
