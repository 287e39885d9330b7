//! Whether a restored server holds what was saved.

use whimbrel_core::backup::{Contents, Damage, TableDigest, schema_differences};
use whimbrel_core::sql::dialect::Dialect;

use super::differ::{is_apart, is_own};
use super::exchange::AWAY;
use super::rows::{CONNECTIONS, Table};
use super::{AFTER, BEFORE, EVENTS, OpenWith, SEQUENCES, ServerSide, mariadb, postgres, programs};
use crate::backend::Session;
use crate::backup::{Apart, Archive, BackupWhat, Sealer};
use crate::error::EngineError;

/// Most differences that are told of a schema.
const DIFFERENCES_MAX: usize = 20;

/// What differs between two texts of the dump program.
pub(super) fn same_schema(saved: &[u8], other: &[u8]) -> Result<(), Vec<String>> {
    let (saved, other) = (String::from_utf8_lossy(saved), String::from_utf8_lossy(other));
    let mut differences = schema_differences(&saved, &other);
    differences.truncate(DIFFERENCES_MAX);
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

impl ServerSide<'_> {
    /// Reads all rows again, and compares them and the sequences with what was saved.
    pub(super) async fn compare_rows(
        &self,
        archive: &Archive,
        sealer: &Sealer,
        saved: &Contents,
    ) -> Result<(), EngineError> {
        let mut session = self.backend.connect().await?;
        let found = self.tables(session.as_mut()).await?;
        let sequences = match self.dialect() {
            Dialect::Mysql => mariadb::sequences(session.as_mut()).await?,
            Dialect::Postgres | Dialect::Sqlite => postgres::sequences(session.as_mut()).await?,
        };
        drop(session);
        // Columns as they were saved, as an inherited table may have them in another order now.
        let rows = |table: &Table| {
            let parts = saved.parts.iter().filter_map(|part| part.rows.as_ref());
            let name = table.rows.name();
            parts.into_iter().find(|rows| rows.name() == name).cloned()
        };
        let tables = found.into_iter().flat_map(|table| {
            let rows = rows(&table).unwrap_or_else(|| table.rows.clone());
            match self.dialect() {
                Dialect::Postgres => postgres::slices(Table { rows, ..table }),
                Dialect::Mysql | Dialect::Sqlite => vec![Table { rows, ..table }],
            }
        });
        let sessions = self.readers().await?;
        let mut restored = self.digests(sessions, tables.collect()).await?;
        let is_saved = |name: &str| saved.tables.iter().any(|one| one.name == name);
        restored.retain(|table| table.rows > 0 || is_saved(&table.name));
        archive.none(saved.compare(&restored))?;
        let saved_sequences = self.part(archive, sealer, saved, SEQUENCES)?;
        if saved_sequences.is_some_and(|saved| saved != sequences.as_bytes()) {
            let reason = "its sequences do not stand where they stood".to_owned();
            archive.none(vec![Damage::Database { reason }])?;
        }
        Ok(())
    }

    /// Connections that read rows as text.
    async fn readers(&self) -> Result<Vec<Box<dyn Session>>, EngineError> {
        let mut sessions = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut session = self.backend.connect().await?;
            self.prepare(session.as_mut()).await?;
            sessions.push(session);
        }
        Ok(sessions)
    }

    /// Which of the user's tables do not hold what `saved` says, or are not there, or new.
    pub(crate) async fn unlike(
        &self,
        saved: &[TableDigest],
        apart: &Apart,
    ) -> Result<Vec<String>, EngineError> {
        let dialect = self.dialect();
        let users = |name: &str| !is_own(name, dialect) && !is_apart(name, apart);
        let mut tables = self.tables(self.backend.connect().await?.as_mut()).await?;
        let plain =
            |name: String| name.strip_prefix(AWAY).map_or_else(|| name.clone(), str::to_owned);
        tables.retain(|table| users(&plain(table.rows.name())));
        let mut now = self.digests(self.readers().await?, tables).await?;
        for one in &mut now {
            one.name = plain(std::mem::take(&mut one.name));
        }
        let saved = saved.iter().filter(|one| users(&one.name));
        let mut names: Vec<String> =
            saved.clone().filter(|one| !now.contains(one)).map(|one| one.name.clone()).collect();
        let is_new = |one: &&TableDigest| !saved.clone().any(|old| old.name == one.name);
        names.extend(now.iter().filter(is_new).map(|one| one.name.clone()));
        Ok(names)
    }

    /// Refuses when the events of the database are not those that were saved (MariaDB): they cannot
    /// be replaced at once with the tables.
    pub(crate) async fn refuse_events(
        &self,
        archive: &Archive,
        with: &OpenWith,
    ) -> Result<(), EngineError> {
        let (sealer, saved) = archive.unlock(with)?;
        let dump = programs::mariadb(["mariadb-dump", "mysqldump"]).await?;
        let now = self.mariadb_schema(&dump, mariadb::Section::Events).await?;
        let before = self.part(archive, &sealer, &saved, EVENTS)?.unwrap_or_default();
        let before = mariadb::renamed(before, &saved, self.database()?);
        same_schema(&before, &now).map_err(|differences| {
            EngineError::Refused(format!(
                "Events of the backup are not those of the database ({}), and they cannot be \
                 replaced at once with the tables; restore it into a new one with `--to`",
                differences.join(", ")
            ))
        })
    }

    /// Compares the schema with the saved one, by what the dump program says of both.
    pub(super) async fn compare_schema(
        &self,
        archive: &Archive,
        sealer: &Sealer,
        saved: &Contents,
    ) -> Result<(), EngineError> {
        let nothing = BackupWhat::default();
        let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
        match self.dialect() {
            Dialect::Mysql => {
                let dump = programs::mariadb(["mariadb-dump", "mysqldump"]).await?;
                for (part, section) in
                    [(BEFORE, mariadb::Section::Before), (AFTER, mariadb::Section::After)]
                {
                    found.push((part, self.mariadb_schema(&dump, section).await?));
                }
            }
            Dialect::Postgres | Dialect::Sqlite => {
                let mut session = self.backend.connect().await?;
                let dump = self.pg_dump(session.as_mut()).await?;
                for (part, section) in [(BEFORE, "pre-data"), (AFTER, "post-data")] {
                    let text = self.postgres_schema(&dump, section, None, &nothing).await?;
                    found.push((part, text));
                }
            }
        }
        for (part, text) in found {
            let Some(before) = self.part(archive, sealer, saved, part)? else { continue };
            if let Err(differences) = same_schema(&before, &text) {
                let damage = differences.into_iter().map(|reason| Damage::Database { reason });
                archive.none(damage.collect())?;
            }
        }
        Ok(())
    }

    /// The user's tables.
    async fn tables(&self, session: &mut dyn Session) -> Result<Vec<Table>, EngineError> {
        match self.dialect() {
            Dialect::Mysql => mariadb::tables(session).await,
            Dialect::Postgres | Dialect::Sqlite => {
                self.prepare(session).await?;
                postgres::tables(session).await
            }
        }
    }

    /// Prepares a session that reads or writes rows as text.
    pub(super) async fn prepare(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        match self.dialect() {
            Dialect::Mysql => mariadb::prepare(session).await?,
            Dialect::Postgres | Dialect::Sqlite => postgres::prepare(session).await?,
        }
        Ok(())
    }

    /// All of the part with this name, if there is one.
    pub(super) fn part(
        &self,
        archive: &Archive,
        sealer: &Sealer,
        saved: &Contents,
        name: &str,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let is_it = |part: &whimbrel_core::backup::Part| part.rows.is_none() && part.name == name;
        match saved.parts.iter().position(is_it) {
            Some(index) => archive.part(sealer, index + 1).map(Some),
            None => Ok(None),
        }
    }
}
