//! Which objects a change touches, for fingerprints before and after.

use super::change::Change;
use super::name::ObjectName;
use super::parts::ObjectKind;

impl Change {
    /// The objects whose picture may differ afterwards. Empty for what is not modelled.
    pub fn touches(&self) -> Vec<(ObjectKind, ObjectName)> {
        if let Some(created) = self.created() {
            let mut objects = vec![created];
            match self {
                Change::CreateIndex(index) => {
                    objects.push((ObjectKind::Table, index.table.clone()));
                }
                Change::CreateTrigger { table, .. } => {
                    objects.push((ObjectKind::Table, table.clone()));
                }
                _ => {}
            }
            return objects;
        }
        self.touched_tables().unwrap_or_else(|| self.touched_others())
    }

    fn touched_tables(&self) -> Option<Vec<(ObjectKind, ObjectName)>> {
        let tables = match self {
            Change::CreateTable(table) => vec![&table.name],
            Change::DropTable { name, .. } => vec![name],
            Change::RenameTable { from, to } => vec![from, to],
            Change::CreateIndex(index) => vec![&index.table],
            Change::Truncate { tables, .. } => tables.iter().collect(),
            Change::OnlyIfTableExists { table }
            | Change::AddColumn { table, .. }
            | Change::DropColumn { table, .. }
            | Change::RenameColumn { table, .. }
            | Change::AlterColumn { table, .. }
            | Change::AddConstraint { table, .. }
            | Change::DropConstraint { table, .. }
            | Change::DropForeignKey { table, .. }
            | Change::DropPrimaryKey { table }
            | Change::RenameConstraint { table, .. }
            | Change::OtherTableChange { table, .. }
            | Change::DeleteRows { table }
            | Change::UpdateRows { table }
            | Change::InsertRows { table, .. } => vec![table],
            _ => return None,
        };
        Some(tables.into_iter().map(|name| (ObjectKind::Table, name.clone())).collect())
    }

    fn touched_others(&self) -> Vec<(ObjectKind, ObjectName)> {
        let bare = |name: &String| ObjectName::bare(name.clone());
        match self {
            Change::DropIndex { name, table, .. } => with_table(name.clone(), table),
            Change::RenameIndex { table, from, to } => {
                let mut objects = with_table(from.clone(), table);
                let to = ObjectName { schema: from.schema.clone(), name: to.clone() };
                objects.push((ObjectKind::Index, to));
                objects
            }
            Change::CreateView { name, .. } | Change::DropView { name, .. } => {
                vec![(ObjectKind::View, name.clone())]
            }
            Change::CreateTrigger { name, .. } | Change::DropTrigger { name, .. } => {
                vec![(ObjectKind::Trigger, name.clone())]
            }
            Change::DropRoutine { name, .. } => vec![(ObjectKind::Routine, name.clone())],
            Change::DropType { name, .. } | Change::AddEnumValue { name, .. } => {
                vec![(ObjectKind::Type, name.clone())]
            }
            Change::CreateSequence { name, .. } | Change::DropSequence { name, .. } => {
                vec![(ObjectKind::Sequence, name.clone())]
            }
            Change::DropSchema { name, .. } => vec![(ObjectKind::Schema, bare(name))],
            Change::DropExtension { name, .. } => vec![(ObjectKind::Extension, bare(name))],
            Change::RenameObject { kind, from, to } => {
                vec![(*kind, from.clone()), (*kind, to.clone())]
            }
            _ => Vec::new(),
        }
    }
}

fn with_table(index: ObjectName, table: &Option<ObjectName>) -> Vec<(ObjectKind, ObjectName)> {
    let mut objects = vec![(ObjectKind::Index, index)];
    objects.extend(table.iter().map(|table| (ObjectKind::Table, table.clone())));
    objects
}
