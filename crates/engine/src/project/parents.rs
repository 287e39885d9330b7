//! Foreign keys to tables that are not there: found before anything runs.

use whimbrel_core::ddl::{Change, Constraint, ForeignKey, ObjectKind, ObjectName};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::statement::StatementClass;

use super::load::Picture;
use super::{Project, Selection};
use crate::backend::Session;
use crate::error::{EngineError, Problem};

/// A table that a foreign key needs, and where that is written.
struct Need<'a> {
    migration: &'a PlannedMigration,
    statement: usize,
    child: &'a ObjectName,
    parent: &'a ObjectName,
    /// The key is written at its column, not in the table's list.
    at_column: bool,
}

impl Project {
    /// Refuses a plan whose foreign keys point to a table that neither exists nor is made by the
    /// plan, where the database refuses such a key (PostgreSQL, MariaDB) or every row under it
    /// (SQLite with foreign keys on; there a later file may still make the table). D1 takes what
    /// wrangler takes. What a plan does by computed statements cannot be seen, and then nothing is
    /// refused here.
    pub(super) async fn check_parents(
        &self,
        plan: &[PlannedMigration],
        picture: &Picture,
        mut session: Option<&mut Box<dyn Session>>,
    ) -> Result<(), EngineError> {
        if plan.iter().any(|one| self.is_opaque(one)) {
            return Ok(());
        }
        let mut needs = needs(plan);
        needs.retain(|need| !is_made(plan, need.parent, self.ledger.dialect));
        if needs.is_empty()
            || !self.refuses_missing_parents(&mut needs, session.as_deref_mut()).await?
        {
            return Ok(());
        }
        if self.ledger.dialect == Dialect::Sqlite {
            let all = self.choose(picture, &Selection::default())?;
            needs.retain(|need| !is_made(&all, need.parent, Dialect::Sqlite));
        }
        let scope: Vec<(ObjectKind, ObjectName)> =
            needs.iter().map(|need| (ObjectKind::Table, need.parent.clone())).collect();
        if scope.is_empty() {
            return Ok(());
        }
        let snapshot = match session {
            Some(session) => session.inspect(Some(&scope)).await?,
            // A file that does not exist yet has no tables.
            None => Snapshot::default(),
        };
        let dialect = self.ledger.dialect;
        let problems: Vec<Problem> = needs
            .iter()
            .filter(|need| {
                let mut tables = snapshot.tables.iter();
                !tables.any(|table| same(&table.name, need.parent, dialect))
            })
            .map(|need| self.problem(need))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(EngineError::Files(problems)) }
    }

    /// Whether a migration may make tables that cannot be seen, or says itself that its keys are
    /// not to be looked at.
    fn is_opaque(&self, migration: &PlannedMigration) -> bool {
        let hidden = |change: &Change| match change {
            Change::Dynamic { .. } | Change::SearchPath { .. } => true,
            // Both bring tables of their own.
            Change::CreateExtension { .. } => true,
            Change::Unknown { verb } => verb.starts_with("CREATE SCHEMA"),
            _ => false,
        };
        if migration.changes.iter().flatten().any(hidden) {
            return true;
        }
        if self.ledger.dialect == Dialect::Postgres {
            return false;
        }
        let script = &migration.script;
        let switches = ["foreign_key_checks", "foreign_keys"];
        script.infos.iter().enumerate().any(|(index, info)| {
            let text = script.statement(index).to_ascii_lowercase();
            let sets = info.settings && switches.iter().any(|word| text.contains(word));
            let routine = info.class == StatementClass::Routine || info.verb.starts_with("USE");
            sets || routine || info.verb.starts_with("ATTACH")
        })
    }

    /// Whether this connection refuses a key to a missing table; drops the needs of tables whose
    /// keys the server does not look at.
    async fn refuses_missing_parents(
        &self,
        needs: &mut Vec<Need<'_>>,
        session: Option<&mut Box<dyn Session>>,
    ) -> Result<bool, EngineError> {
        let can = self.backend.capabilities();
        match self.ledger.dialect {
            Dialect::Postgres => return Ok(true),
            Dialect::Sqlite => return Ok(can.refuses_orphans && !can.no_own_transactions),
            Dialect::Mysql => {}
        }
        let sql = "SELECT @@SESSION.foreign_key_checks, @@default_storage_engine, VERSION()";
        let Some(session) = session else { return Ok(false) };
        let rows = session.query(sql).await?;
        let text =
            |at: usize| rows.first().and_then(|row| row.get(at)?.clone()).unwrap_or_default();
        let innodb = text(1).eq_ignore_ascii_case("innodb");
        let mariadb = text(2).contains("MariaDB");
        needs.retain(|need| {
            let sql = need.migration.script.statement(need.statement).to_ascii_lowercase();
            let engine = if sql.contains("engine") { sql.contains("innodb") } else { innodb };
            // MySQL reads a key that stands at its column, and forgets it.
            engine && (mariadb || !need.at_column) && need.parent.schema.is_none()
        });
        Ok(text(0) == "1" && !needs.is_empty())
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
                for (child, key, at_column) in foreign_keys(change) {
                    let parent = &key.to_table;
                    out.push(Need { migration, statement, child, parent, at_column });
                }
            }
        }
    }
    out
}

fn foreign_keys(change: &Change) -> Vec<(&ObjectName, &ForeignKey, bool)> {
    match change {
        Change::CreateTable(table) => {
            let columns = table.columns.iter().filter_map(|column| column.references.as_ref());
            let at_columns = columns.map(|key| (&table.name, key, true));
            let in_list = table.constraints.iter().filter_map(key_of);
            at_columns.chain(in_list.map(|key| (&table.name, key, false))).collect()
        }
        Change::AddColumn { table, column, .. } => {
            column.references.iter().map(|key| (table, key, true)).collect()
        }
        Change::AddConstraint { table, constraint, .. } => {
            key_of(constraint).into_iter().map(|key| (table, key, false)).collect()
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
fn is_made(plan: &[PlannedMigration], parent: &ObjectName, dialect: Dialect) -> bool {
    plan.iter().flat_map(|one| one.changes.iter().flatten()).any(|change| match change {
        Change::RenameTable { to, .. } | Change::RenameObject { to, .. } => {
            same(to, parent, dialect)
        }
        _ => change
            .created()
            .is_some_and(|(kind, name)| kind == ObjectKind::Table && same(&name, parent, dialect)),
    })
}

/// Whether both may be the same table. On MariaDB the server's file system decides about case.
fn same(one: &ObjectName, other: &ObjectName, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres => one.name == other.name,
        Dialect::Sqlite | Dialect::Mysql => one.name.eq_ignore_ascii_case(&other.name),
    }
}
