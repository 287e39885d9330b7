//! Making a backup of a server.

use std::collections::BTreeSet;

use whimbrel_core::backup::{Contents, Manifest, RowHasher, TableDigest};
use whimbrel_core::sql::dialect::Dialect;

use super::programs::{self, Program};
use super::rows::{CONNECTIONS, ReadTable, Table, read_all};
use super::{
    AFTER, BEFORE, EVENTS, LARGE_OBJECTS, SEQUENCES, Seen, ServerSide, Writer, mariadb, postgres,
    server_engine,
};
use crate::backend::Session;
use crate::backend::sqlite::free_bytes;
use crate::backup::BackupWhat;
use crate::error::EngineError;
use crate::failpoint;

/// Stands behind what was left out by name.
pub(crate) const AS_ASKED: &str = ", as asked";
/// How many times smaller than its tables a backup may be expected to be, at most.
const SMALLER_AT_MOST: u64 = 8;

impl ServerSide<'_> {
    /// Saves the database.
    pub(crate) async fn save(
        &self,
        mut writer: Writer,
        what: &BackupWhat,
    ) -> Result<(Manifest, Contents), EngineError> {
        let mut session = self.backend.connect().await?;
        let facts = session.facts().await?;
        if let Some(reason) = facts.pooled {
            let message =
                format!("A backup needs the server itself, and this is a pooler: {reason}");
            return Err(EngineError::Refused(message));
        }
        writer.manifest.engine = server_engine(self.dialect()).unwrap_or_default().to_owned();
        writer.manifest.engine_version = facts.version;
        writer.manifest.tool_version = env!("CARGO_PKG_VERSION").to_owned();
        let contents = match self.dialect() {
            Dialect::Mysql => self.save_mariadb(session, &mut writer, what).await?,
            Dialect::Postgres | Dialect::Sqlite => {
                self.save_postgres(session, &mut writer, what).await?
            }
        };
        writer.finish(contents)
    }

    async fn save_postgres(
        &self,
        mut session: Box<dyn Session>,
        writer: &mut Writer,
        what: &BackupWhat,
    ) -> Result<Contents, EngineError> {
        let dump = self.pg_dump(session.as_mut()).await?;
        let (snapshot, tables, foreign) =
            postgres::begin(session.as_mut(), self.lock_timeout_ms).await?;
        failpoint::pass("backup.snapshot");
        let mut seen = postgres::others(session.as_mut()).await?;
        seen.refused.extend(foreign);
        let mut contents = Contents { left_out: allowed(seen, what)?, ..Contents::default() };
        contents.database = postgres::database(session.as_mut()).await?;
        contents.migrations = writer.identify(self.ledger, session.as_mut()).await?;
        let tables = chosen(tables, what, &mut contents)?;
        let schema = |section| self.postgres_schema(&dump, section, Some(&snapshot), what);
        self.check_room(&tables)?;
        // Both are of the snapshot, and most of their time is the program's own.
        let (before, after) = tokio::join!(schema("pre-data"), schema("post-data"));
        let (before, after) = (before?, after?);
        writer.text(BEFORE, &before)?;
        let tables = postgres::for_connections(session.as_mut(), tables).await?;
        let mut sessions = Vec::new();
        for _ in 0..CONNECTIONS.min(tables.len()) {
            sessions.push(postgres::join(self.backend, &snapshot).await?);
        }
        contents.tables = self.rows(writer, sessions, tables).await?;
        if !what.schema_only {
            writer.text(SEQUENCES, postgres::sequences(session.as_mut()).await?.as_bytes())?;
        }
        writer.text(AFTER, &after)?;
        session.batch("COMMIT").await?;
        Ok(contents)
    }

    /// The dump program that fits the server.
    pub(super) async fn pg_dump(&self, session: &mut dyn Session) -> Result<Program, EngineError> {
        programs::postgres("pg_dump", postgres::major(session).await?).await
    }

    /// A section of the schema.
    pub(super) async fn postgres_schema(
        &self,
        dump: &Program,
        section: &str,
        snapshot: Option<&str>,
        what: &BackupWhat,
    ) -> Result<Vec<u8>, EngineError> {
        let mut arguments = postgres::dump_arguments(section, snapshot, &what.leave_out);
        arguments.push(format!("--lock-wait-timeout={}", self.lock_timeout_ms.max(1)));
        let access = self.access()?;
        let out = dump.run(&arguments, &access, b"", &self.place.stop).await?;
        if !postgres::is_complete(&out) {
            return Err(cut_short(dump));
        }
        Ok(out)
    }

    async fn save_mariadb(
        &self,
        mut session: Box<dyn Session>,
        writer: &mut Writer,
        what: &BackupWhat,
    ) -> Result<Contents, EngineError> {
        if let Some(id) = super::replacing(session.as_mut()).await? {
            return Err(away(&id));
        }
        let dump = programs::mariadb(["mariadb-dump", "mysqldump"]).await?;
        let before = self.mariadb_schema(&dump, mariadb::Section::Before).await?;
        let tables = mariadb::begin(session.as_mut()).await?;
        failpoint::pass("backup.snapshot");
        let seen = mariadb::others(session.as_mut()).await?;
        let mut contents = Contents { left_out: allowed(seen, what)?, ..Contents::default() };
        contents.database = mariadb::database(session.as_mut()).await?;
        contents.migrations = writer.identify(self.ledger, session.as_mut()).await?;
        let tables = chosen(tables, what, &mut contents)?;
        self.check_room(&tables)?;
        writer.text(BEFORE, &before)?;
        let unsafe_tables = mariadb::not_in_snapshot(session.as_mut()).await?;
        let twice: Vec<Table> =
            tables.iter().filter(|one| unsafe_tables.contains(&one.rows.table)).cloned().collect();
        contents.tables = self.rows(writer, vec![session], tables).await?;
        self.unchanged(twice, &contents.tables).await?;
        let mut session = self.backend.connect().await?;
        if !what.schema_only {
            writer.text(SEQUENCES, mariadb::sequences(session.as_mut()).await?.as_bytes())?;
        }
        writer.text(AFTER, &self.mariadb_schema(&dump, mariadb::Section::After).await?)?;
        writer.text(EVENTS, &self.mariadb_schema(&dump, mariadb::Section::Events).await?)?;
        let again = self.mariadb_schema(&dump, mariadb::Section::Before).await?;
        super::compare::same_schema(&before, &again).map_err(|differences| {
            let message = format!(
                "The schema was changed while the backup was made ({}); nothing was saved, try \
                 again",
                differences.join(", ")
            );
            EngineError::Refused(message)
        })?;
        Ok(contents)
    }

    /// A section of the schema.
    pub(super) async fn mariadb_schema(
        &self,
        dump: &Program,
        section: mariadb::Section,
    ) -> Result<Vec<u8>, EngineError> {
        let arguments = mariadb::dump_arguments(section, self.database()?, dump.is_mariadb());
        let access = self.access()?;
        let out = dump.run(&arguments, &access, b"", &self.place.stop).await?;
        if !mariadb::is_complete(&out) {
            return Err(cut_short(dump));
        }
        Ok(out)
    }

    /// Refuses what will hardly fit.
    fn check_room(&self, tables: &[Table]) -> Result<(), EngineError> {
        let bytes = tables.iter().map(|table| table.bytes).sum::<u64>() / SMALLER_AT_MOST;
        match free_bytes(&self.place.folder) {
            Some(free) if free < bytes => {
                let message = format!(
                    "At least {bytes} bytes are needed in {}, and {free} are free",
                    self.place.folder.display()
                );
                Err(EngineError::Refused(message))
            }
            _ => Ok(()),
        }
    }

    /// Tables that no transaction protects are read once more: what came out first is one picture
    /// only if nothing has changed since.
    async fn unchanged(
        &self,
        tables: Vec<Table>,
        first: &[TableDigest],
    ) -> Result<(), EngineError> {
        if tables.is_empty() {
            return Ok(());
        }
        let mut session = self.backend.connect().await?;
        mariadb::prepare(session.as_mut()).await?;
        let again = self.digests(vec![session], tables).await?;
        match again.iter().find(|one| !first.contains(one)) {
            None => Ok(()),
            Some(one) => Err(EngineError::Refused(format!(
                "`{}` was written while it was saved, and its storage engine has no transactions; \
                 nothing was saved, try again when nobody writes it",
                one.name
            ))),
        }
    }

    /// Writes the rows, one part for each table or slice of one.
    async fn rows(
        &self,
        writer: &mut Writer,
        sessions: Vec<Box<dyn Session>>,
        tables: Vec<Table>,
    ) -> Result<Vec<TableDigest>, EngineError> {
        let chunks = Some((writer.chunk_writer(), writer.parts() + 1));
        let mut read = read_all(sessions, tables.clone(), chunks, self.place).await?;
        for (table, read) in tables.iter().zip(&mut read) {
            let chunks = std::mem::take(&mut read.chunks);
            writer.add_part(&table.rows.name(), Some(table.rows.clone()), chunks, read.bytes);
        }
        Ok(digests_of(&tables, read))
    }

    /// Rows and digests of tables.
    pub(super) async fn digests(
        &self,
        sessions: Vec<Box<dyn Session>>,
        tables: Vec<Table>,
    ) -> Result<Vec<TableDigest>, EngineError> {
        let read = read_all(sessions, tables.clone(), None, self.place).await?;
        Ok(digests_of(&tables, read))
    }
}

/// The digests of tables; what was read in slices is one table again.
fn digests_of(tables: &[Table], read: Vec<ReadTable>) -> Vec<TableDigest> {
    let mut all: Vec<(String, RowHasher)> = Vec::new();
    for (table, read) in tables.iter().zip(read) {
        let name = table.rows.name();
        match all.last_mut() {
            Some((last, hasher)) if *last == name => hasher.merge(&read.hasher),
            _ => all.push((name, read.hasher)),
        }
    }
    let digest = |(name, hasher): (String, RowHasher)| {
        let (rows, digest) = hasher.finish();
        TableDigest { name, rows, digest }
    };
    all.into_iter().map(digest).collect()
}

/// The error that says that a restore in place has the tables.
pub(crate) fn away(id: &str) -> EngineError {
    EngineError::Refused(format!(
        "The tables of the database are away, as a restore of `{id}` in its place is at it or was \
         interrupted; `whimbrel backup restore {id} --in-place` goes on, and with `--take-back` it \
         is taken back"
    ))
}

pub(super) fn cut_short(dump: &Program) -> EngineError {
    let how = "it said that all went well, but the end of its output is missing";
    dump.failed(how.to_owned(), String::new())
}

/// Refuses what would be missing unless it may be; what is missing, in words.
fn allowed(seen: Seen, what: &BackupWhat) -> Result<Vec<String>, EngineError> {
    let named: BTreeSet<&String> = what.leave_out.iter().collect();
    let refused: Vec<String> =
        seen.refused.iter().filter(|name| !named.contains(name)).cloned().collect();
    if !refused.is_empty() {
        return Err(EngineError::BackupLeavesOut { what: refused });
    }
    if let Some(name) = what.leave_out.iter().find(|name| !seen.refused.contains(name)) {
        let message = format!(
            "There is no `{name}` that could be left out; only foreign tables (`schema.name`) and \
             `{LARGE_OBJECTS}` can be"
        );
        return Err(EngineError::NotFound(message));
    }
    let mut out = seen.left_out;
    out.extend(seen.refused.iter().map(|name| format!("`{name}`{AS_ASKED}")));
    Ok(out)
}

/// The tables whose rows are wanted.
fn chosen(
    tables: Vec<Table>,
    what: &BackupWhat,
    contents: &mut Contents,
) -> Result<Vec<Table>, EngineError> {
    if what.schema_only {
        contents.left_out.push(format!("All rows{AS_ASKED}"));
        return Ok(Vec::new());
    }
    if what.tables.is_empty() {
        return Ok(tables);
    }
    let is = |table: &Table, name: &str| table.rows.name() == name || table.rows.table == name;
    if let Some(name) = what.tables.iter().find(|name| !tables.iter().any(|one| is(one, name))) {
        return Err(EngineError::NotFound(format!("There is no table `{name}`")));
    }
    contents.partial = true;
    contents.left_out.push("Rows of the tables that were not named".to_owned());
    let wanted = |table: &Table| what.tables.iter().any(|name| is(table, name));
    Ok(tables.into_iter().filter(wanted).collect())
}
