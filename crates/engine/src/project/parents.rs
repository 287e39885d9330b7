//! Foreign keys to tables that are not there: found before anything runs.

use whimbrel_core::ddl::{Change, Constraint, ForeignKey, ObjectKind, ObjectName};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;

use super::Project;
use crate::backend::Session;
use crate::error::{EngineError, Problem};

/// A table that a foreign key needs, and where that is written.
struct Need<'a> {
    migration: &'a PlannedMigration,
    statement: usize,
    child: &'a ObjectName,
    parent: &'a ObjectName,
}

impl Project {
    /// Refuses a plan whose foreign keys point to a table that neither exists nor is made by the
    /// plan. Only PostgreSQL refuses such a key always; what the plan does by computed statements
    /// cannot be seen, and then nothing is refused here.
    pub(super) async fn check_parents(
        &self,
        plan: &[PlannedMigration],
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        let opaque = plan
            .iter()
            .flat_map(|one| one.changes.iter().flatten())
            .any(|change| matches!(change, Change::Dynamic { .. } | Change::SearchPath { .. }));
        if self.ledger.dialect != Dialect::Postgres || opaque {
            return Ok(());
        }
        let mut needs = needs(plan);
        needs.retain(|need| !is_made(plan, need.parent));
        if needs.is_empty() {
            return Ok(());
        }
        let scope: Vec<(ObjectKind, ObjectName)> =
            needs.iter().map(|need| (ObjectKind::Table, need.parent.clone())).collect();
        let snapshot = session.inspect(Some(&scope)).await?;
        let problems: Vec<Problem> = needs
            .iter()
            .filter(|need| !snapshot.tables.iter().any(|table| table.name.name == need.parent.name))
            .map(|need| self.problem(need))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(EngineError::Files(problems)) }
    }

    fn problem(&self, need: &Need<'_>) -> Problem {
        let statement = need.migration.script.statements.get(need.statement);
        let place = statement.map(|one| (one.line + need.migration.lines_before, one.column));
        Problem {
            path: need.migration.path.clone(),
            place,
            message: format!(
                "`{}` refers to the table `{}`, which does not exist and is made by no pending \
                 migration; nothing was changed",
                need.child, need.parent
            ),
            hint: Some(format!(
                "Make `{}` first (in an earlier migration, or by the application that owns it), or \
                 check that {} is the right database",
                need.parent,
                self.backend.label()
            )),
        }
    }
}

fn needs(plan: &[PlannedMigration]) -> Vec<Need<'_>> {
    let mut out = Vec::new();
    for migration in plan {
        for (statement, changes) in migration.changes.iter().enumerate() {
            for change in changes {
                for (child, key) in foreign_keys(change) {
                    out.push(Need { migration, statement, child, parent: &key.to_table });
                }
            }
        }
    }
    out
}

fn foreign_keys(change: &Change) -> Vec<(&ObjectName, &ForeignKey)> {
    match change {
        Change::CreateTable(table) => {
            let at_columns = table.columns.iter().filter_map(|column| column.references.as_ref());
            let in_list = table.constraints.iter().filter_map(key_of);
            at_columns.chain(in_list).map(|key| (&table.name, key)).collect()
        }
        Change::AddColumn { table, column, .. } => {
            column.references.iter().map(|key| (table, key)).collect()
        }
        Change::AddConstraint { table, constraint, .. } => {
            key_of(constraint).into_iter().map(|key| (table, key)).collect()
        }
        _ => Vec::new(),
    }
}

fn key_of(constraint: &Constraint) -> Option<&ForeignKey> {
    match constraint {
        Constraint::ForeignKey(key) => Some(key),
        _ => None,
    }
}

/// Whether a statement of the plan may make the table, by whatever way.
fn is_made(plan: &[PlannedMigration], parent: &ObjectName) -> bool {
    plan.iter().flat_map(|one| one.changes.iter().flatten()).any(|change| match change {
        Change::RenameTable { to, .. } | Change::RenameObject { to, .. } => to.name == parent.name,
        _ => change
            .created()
            .is_some_and(|(kind, name)| kind == ObjectKind::Table && name.name == parent.name),
    })
}
