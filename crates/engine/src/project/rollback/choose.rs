//! Which run is rolled back, and which of its migrations.

use whimbrel_core::ddl::{Change, Constraint, ObjectName};
use whimbrel_core::ledger::{Direction, MigrationEvent, Recorded};
use whimbrel_core::migration::Kind;
use whimbrel_core::sql::dialect::Dialect;

use super::super::Project;
use super::super::load::{Picture, changes_of};
use super::RollbackHow;
use crate::backend::Session;
use crate::error::EngineError;
use crate::ledger::text;

/// The word for the newest run that applied something.
const LAST: &str = "last";
/// Most ids of runs that an error names.
const IDS_SHOWN_MAX: usize = 5;

/// Objects that a migration's way up has to do with.
#[derive(Default)]
struct Objects {
    /// What it creates.
    created: Vec<ObjectName>,
    /// All it creates, changes or refers to.
    touched: Vec<ObjectName>,
}

impl Project {
    /// The run of `up` that the user calls `asked`: its id, the beginning of it, or `last`.
    pub(super) async fn run_named(
        &self,
        session: &mut dyn Session,
        asked: &str,
    ) -> Result<String, EngineError> {
        let (runs, migrations, attempts) = (
            self.ledger.table("runs"),
            self.ledger.table("migrations"),
            self.ledger.table("attempts"),
        );
        if asked == LAST {
            // Of a run whose backup was restored nothing else is left.
            let identity = self.ledger.identity(session).await?;
            let saved = match identity.is_some_and(|one| one.has_backups()) {
                true => format!(
                    " OR EXISTS (SELECT 1 FROM {} b WHERE b.run_id = r.run_id \
                     AND b.event = 'created')",
                    self.ledger.table("backups")
                ),
                false => String::new(),
            };
            let sql = format!(
                "SELECT r.run_id FROM {runs} r WHERE r.event = 'start' AND r.verb = 'up' AND \
                 (EXISTS (SELECT 1 FROM {migrations} m WHERE m.run_id = r.run_id \
                 AND m.event = 'up') OR EXISTS (SELECT 1 FROM {attempts} a \
                 WHERE a.run_id = r.run_id AND a.direction = 'up' \
                 AND a.event IN ('done', 'happened', 'begun', 'intent')){saved}) \
                 ORDER BY r.seq DESC LIMIT 1"
            );
            let rows = session.query(&sql).await?;
            let none = || EngineError::NotFound("No run has applied anything yet".to_owned());
            return rows.first().map(|row| text(row, 0)).ok_or_else(none);
        }
        let sql = format!("SELECT run_id, verb FROM {runs} WHERE event = 'start' ORDER BY seq");
        let rows = session.query(&sql).await?;
        let found: Vec<(String, String)> = rows
            .iter()
            .map(|row| (text(row, 0), text(row, 1)))
            .filter(|(id, _)| !asked.is_empty() && id.starts_with(asked))
            .collect();
        match found.as_slice() {
            [(id, verb)] if verb == "up" => Ok(id.clone()),
            [(id, verb)] => Err(EngineError::Refused(format!(
                "The run `{id}` is one of `{verb}`; only runs of `up` can be rolled back"
            ))),
            [] => Err(EngineError::NotFound(format!(
                "There is no run `{asked}`; `whimbrel history` shows those that can be rolled back"
            ))),
            many => {
                let ids: Vec<&str> =
                    many.iter().take(IDS_SHOWN_MAX).map(|(id, _)| id.as_str()).collect();
                Err(EngineError::Refused(format!(
                    "{} runs begin with `{asked}`: {}; give more of the id",
                    many.len(),
                    ids.join(", ")
                )))
            }
        }
    }

    /// What is left of a run in the database, newest first: applied migrations and data migrations
    /// that it has begun.
    ///
    /// # Errors
    /// When a schema migration of it is half applied, which has no way back yet.
    pub(super) fn left_of_run(
        &self,
        picture: &Picture,
        run_id: &str,
        how: RollbackHow,
    ) -> Result<Vec<String>, EngineError> {
        let mut found: Vec<(i64, String)> = picture
            .ledger
            .applied()
            .filter(|one| one.row.run_id == run_id && one.row.event == MigrationEvent::Up)
            .map(|one| (one.row.seq, one.row.name.clone()))
            .collect();
        for (name, direction, partial) in picture.ledger.unfinished() {
            let of_run = partial.steps.iter().any(|step| step.run_id == run_id);
            let begun = partial.has_begun() || partial.done_count() > 0;
            let up = direction == Direction::Up && !picture.ledger.is_applied(name);
            if !(of_run && up && (begun || partial.open_intent().is_some())) {
                continue;
            }
            let file = picture.files.directory.get(name);
            if file.is_some_and(|file| file.id.kind == Kind::Data) {
                found.push((i64::MAX, name.to_owned()));
            } else if how == RollbackHow::Staged {
                return Err(EngineError::Refused(format!(
                    "`{name}` is half applied, and what is half there has no way back: finish it \
                     with `whimbrel up --to {name}`, then roll back"
                )));
            }
        }
        if how == RollbackHow::Partial {
            found.retain(|(_, name)| self.is_data(picture, name));
        }
        found.sort();
        found.reverse();
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    fn is_data(&self, picture: &Picture, name: &str) -> bool {
        let recorded = picture.ledger.migration(name).filter(|one| one.is_applied());
        let file = picture.files.directory.get(name);
        recorded.map_or_else(
            || file.is_some_and(|file| file.id.kind == Kind::Data),
            |one| one.row.kind == Kind::Data.name(),
        )
    }

    /// Of `names`, newest first, those that touch `table` and what depends on them.
    pub(super) async fn touching(
        &self,
        picture: &Picture,
        session: &mut dyn Session,
        (names, table): (&[String], &str),
    ) -> Result<Vec<String>, EngineError> {
        let dialect = self.ledger.dialect;
        let mut wanted = vec![table_name(table, dialect)];
        let mut out = Vec::new();
        for name in names.iter().rev() {
            let objects = self.objects(picture, session, name).await?;
            if objects.common(&wanted, dialect).is_some() {
                wanted.extend(objects.created);
                out.insert(0, name.clone());
            }
        }
        if out.is_empty() && !names.is_empty() {
            let message = format!("Nothing that is left of the run touches `{table}`");
            return Err(EngineError::NotFound(message));
        }
        Ok(out)
    }

    /// Nothing is taken back below what was applied after it and touches the same objects.
    pub(super) async fn check_later(
        &self,
        picture: &Picture,
        session: &mut dyn Session,
        names: &[String],
    ) -> Result<(), EngineError> {
        let dialect = self.ledger.dialect;
        for name in names {
            let Some(own) =
                picture.ledger.migration(name).filter(|one| one.row.kind != Kind::Data.name())
            else {
                continue;
            };
            let objects = self.objects(picture, session, name).await?;
            let is_later =
                |one: &&Recorded| one.row.seq > own.row.seq && !names.contains(&one.row.name);
            for later in picture.ledger.applied().filter(is_later) {
                let theirs = self.objects(picture, session, &later.row.name).await?;
                if let Some(common) = theirs.common(&objects.touched, dialect) {
                    return Err(EngineError::Refused(format!(
                        "`{}` was applied after `{name}` (run {}), and both have to do with \
                         `{common}`: it must be taken back first",
                        later.row.name, later.row.run_id
                    )));
                }
            }
        }
        Ok(())
    }

    /// What the way up of a migration has to do with, by the text that ran.
    async fn objects(
        &self,
        picture: &Picture,
        session: &mut dyn Session,
        name: &str,
    ) -> Result<Objects, EngineError> {
        let (up, _) = self.ledger.texts(session, name).await?;
        let file = picture.files.directory.get(name);
        let text = up.or_else(|| file.map(|file| file.up.text.clone())).unwrap_or_default();
        let script = match self.is_data(picture, name) {
            true => self.data_script(&text, name, 0),
            false => self.script(&text, name, 0),
        };
        let script = script.map_err(|problem| EngineError::Files(vec![problem]))?;
        let mut objects = Objects::default();
        for change in changes_of(&script, self.ledger.dialect).iter().flatten() {
            objects.created.extend(change.created().map(|(_, name)| name));
            objects.touched.extend(change.touches().into_iter().map(|(_, name)| name));
            objects.touched.extend(referred(change));
        }
        Ok(objects)
    }
}

impl Objects {
    /// One of `others` that this migration has to do with.
    fn common<'o>(&self, others: &'o [ObjectName], dialect: Dialect) -> Option<&'o ObjectName> {
        others.iter().find(|other| self.touched.iter().any(|own| own.matches(other, dialect)))
    }
}

/// The tables that foreign keys of a change point to.
fn referred(change: &Change) -> Vec<ObjectName> {
    let of_constraint = |constraint: &Constraint| match constraint {
        Constraint::ForeignKey(key) => Some(key.to_table.clone()),
        _ => None,
    };
    match change {
        Change::CreateTable(table) => {
            let columns = table.columns.iter().filter_map(|column| column.references.as_ref());
            let mut out: Vec<ObjectName> = columns.map(|key| key.to_table.clone()).collect();
            out.extend(table.constraints.iter().filter_map(of_constraint));
            out
        }
        Change::AddColumn { column, .. } => {
            column.references.iter().map(|key| key.to_table.clone()).collect()
        }
        Change::AddConstraint { constraint, .. } => of_constraint(constraint).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The table of `users`, or on PostgreSQL of `auth.users`.
fn table_name(table: &str, dialect: Dialect) -> ObjectName {
    match table.split_once('.') {
        Some((schema, name)) if dialect == Dialect::Postgres => ObjectName::in_schema(schema, name),
        _ => ObjectName::bare(table),
    }
}
