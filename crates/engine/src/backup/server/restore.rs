//! Restoring a backup of a server into a new database.
//!
//! While a restore is at it, a table of its own stands in the database. It goes in the end, so that
//! one that was interrupted is seen, and can be begun again.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::backup::{Contents, Manifest};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use super::programs;
use super::{
    AFTER, Archive, BEFORE, EVENTS, OpenWith, RestoreOptions, SEQUENCES, Sealer, ServerSide,
    mariadb, partial, postgres, server_engine,
};
use crate::backend::{DbError, Session};
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::text;

/// How often a database is asked to go while its last connections are still ending.
const DROP_TRIES_MAX: u32 = 100;
/// How long is waited between two tries.
const DROP_WAIT: Duration = Duration::from_millis(50);
/// Code of PostgreSQL's error for a database that somebody uses.
const IN_USE: &str = "55006";

/// How far a restore goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The database stays.
    Keep,
    /// It takes another one's place later, or nobody knows of it; its events do not run.
    Beside,
    /// It is compared once more and thrown away.
    Prove,
}

/// Where the rows are, and what they are restored from.
struct Opened {
    archive: Arc<Archive>,
    sealer: Arc<Sealer>,
    contents: Contents,
}

impl ServerSide<'_> {
    /// Restores into the database of the address, which must be empty, or not there yet.
    pub(crate) async fn restore(
        &self,
        archive: Archive,
        options: &RestoreOptions,
    ) -> Result<(Manifest, Contents), EngineError> {
        self.restore_for(archive, options, Purpose::Keep).await
    }

    /// The same for a database that is not to be used yet.
    pub(crate) async fn restore_beside(
        &self,
        archive: Archive,
        with: &OpenWith,
    ) -> Result<(Manifest, Contents), EngineError> {
        let options = RestoreOptions { with: with.clone(), ..RestoreOptions::default() };
        self.restore_for(archive, &options, Purpose::Beside).await
    }

    /// Restores into a database that is made for it beside the one of the address, compares, and
    /// removes it.
    pub(crate) async fn prove(
        &self,
        archive: Archive,
        with: &OpenWith,
    ) -> Result<(Manifest, Contents), EngineError> {
        let number = archive.manifest.id.rsplit('_').next().unwrap_or_default();
        let name = format!("whimbrel_scratch_{number}");
        let Some(backend) = self.backend.at_database(&name) else {
            return Err(EngineError::Refused("This database is not a server's".to_owned()));
        };
        let scratch = ServerSide { backend: backend.as_ref(), ..*self };
        let options = RestoreOptions { with: with.clone(), ..RestoreOptions::default() };
        // What an interrupted proof of the same backup has left.
        self.drop_database(&name).await?;
        let proven = scratch.restore_for(archive, &options, Purpose::Prove).await;
        let dropped = self.drop_database(&name).await;
        let proven = proven?;
        dropped.map(|()| proven)
    }

    async fn restore_for(
        &self,
        archive: Archive,
        options: &RestoreOptions,
        purpose: Purpose,
    ) -> Result<(Manifest, Contents), EngineError> {
        if server_engine(self.dialect()) != Some(archive.manifest.engine.as_str()) {
            let message = format!(
                "`{}` is a backup of a {} database and cannot be restored into {}",
                archive.manifest.id,
                archive.manifest.engine,
                self.backend.label()
            );
            return Err(EngineError::Refused(message));
        }
        archive.check_files()?;
        let (sealer, contents) = archive.unlock(&options.with)?;
        let contents = partial::only(contents, &options.tables)?;
        let opened = Opened { archive: Arc::new(archive), sealer: Arc::new(sealer), contents };
        let mut session = self.open_target(&opened, options.again).await?;
        failpoint::pass("restore.begun");
        self.fill(&mut session, &opened, purpose).await?;
        self.free(session.as_mut()).await?;
        failpoint::pass("restore.freed");
        drop(session);
        let Opened { archive, sealer, contents } = opened;
        if purpose == Purpose::Prove {
            self.compare_schema(&archive, &sealer, &contents).await?;
        }
        Ok((archive.manifest.clone(), contents))
    }

    /// Brings everything into the empty database, and compares the rows.
    async fn fill(
        &self,
        session: &mut Box<dyn Session>,
        opened: &Opened,
        purpose: Purpose,
    ) -> Result<(), EngineError> {
        let Opened { archive, sealer, contents } = opened;
        let part = |name| self.part(archive, sealer, contents, name);
        self.script(session.as_mut(), contents, part(BEFORE)?).await?;
        failpoint::pass("restore.schema");
        self.load(archive, sealer, contents).await?;
        failpoint::pass("restore.loaded");
        if let Some(sequences) = part(SEQUENCES)?.filter(|text| !text.is_empty()) {
            session.batch(&String::from_utf8_lossy(&sequences)).await?;
        }
        let after = part(AFTER)?.map(|text| partial::without_keys(text, contents));
        match (self.dialect(), after) {
            (Dialect::Postgres, Some(text)) => {
                self.after_rows(session.as_mut(), contents, text).await?;
            }
            (_, after) => self.script(session.as_mut(), contents, after).await?,
        }
        self.analyze(session.as_mut(), contents).await?;
        self.compare_rows(archive, sealer, contents).await?;
        failpoint::pass("restore.compared");
        if purpose == Purpose::Keep {
            // They may run at once, and change what was just compared.
            self.script(session.as_mut(), contents, part(EVENTS)?).await?;
        }
        Ok(())
    }

    /// Runs a text of the dump program by the database's own client.
    async fn script(
        &self,
        session: &mut dyn Session,
        contents: &Contents,
        text: Option<Vec<u8>>,
    ) -> Result<(), EngineError> {
        let Some(mut text) = text else { return Ok(()) };
        let (program, arguments) = match self.dialect() {
            Dialect::Mysql => {
                let program = programs::mariadb(["mariadb", "mysql"]).await?;
                let database = self.database()?;
                text = mariadb::renamed(text, contents, database);
                let arguments = mariadb::client_arguments(database);
                (program, arguments)
            }
            Dialect::Postgres | Dialect::Sqlite => {
                let major = postgres::major(session).await?;
                let program = programs::postgres("psql", major).await?;
                (program, postgres::client_arguments())
            }
        };
        program.run(&arguments, &self.access()?, &text, &self.place.stop).await.map(drop)
    }

    async fn analyze(
        &self,
        session: &mut dyn Session,
        contents: &Contents,
    ) -> Result<(), EngineError> {
        match self.dialect() {
            Dialect::Mysql => {
                for part in contents.parts.iter().filter_map(|part| part.rows.as_ref()) {
                    let table = quote_ident(&part.table, Dialect::Mysql);
                    session.query(&format!("ANALYZE TABLE {table}")).await?;
                }
            }
            Dialect::Postgres | Dialect::Sqlite => session.batch("ANALYZE").await?,
        }
        Ok(())
    }

    /// Connects to the database, which is made if it is not there, and leaves the mark of a restore
    /// in it.
    async fn open_target(
        &self,
        opened: &Opened,
        again: bool,
    ) -> Result<Box<dyn Session>, EngineError> {
        let (mut session, mut made) = match self.backend.connect().await {
            Ok(session) => (session, false),
            Err(error) if self.is_no_database(&error) => (self.make(opened).await?, true),
            Err(error) => return Err(error.into()),
        };
        if let Some((id, ours)) = interrupted(session.as_mut(), self.dialect()).await? {
            if !again {
                return Err(EngineError::RestoreInterrupted { label: self.backend.label(), id });
            }
            made = ours;
            if ours {
                drop(session);
                self.drop_database(self.database()?).await?;
                session = self.make(opened).await?;
            } else {
                self.wipe(session.as_mut()).await?;
            }
        }
        let occupied = match self.dialect() {
            Dialect::Mysql => mariadb::occupied(session.as_mut()).await?,
            Dialect::Postgres | Dialect::Sqlite => postgres::occupied(session.as_mut()).await?,
        };
        if let Some(name) = occupied {
            let message = format!(
                "{} is not empty (there is `{name}`); a backup is restored into a new database",
                self.backend.label()
            );
            return Err(EngineError::Refused(message));
        }
        self.check_encoding(session.as_mut(), &opened.contents).await?;
        let id = quote_text(&opened.archive.manifest.id, self.dialect());
        let made = i32::from(made);
        let schema = match self.dialect() {
            Dialect::Mysql => String::new(),
            _ => format!("CREATE SCHEMA {}; ", postgres::MARKER_SCHEMA),
        };
        let table = marker_table(self.dialect());
        let sql = format!(
            "{schema}CREATE TABLE {table} (backup VARCHAR(64) NOT NULL, made INTEGER NOT NULL); \
             INSERT INTO {table} VALUES ({id}, {made})"
        );
        session.batch(&sql).await?;
        Ok(session)
    }

    fn is_no_database(&self, error: &DbError) -> bool {
        match self.dialect() {
            Dialect::Mysql => mariadb::is_no_database(error),
            Dialect::Postgres | Dialect::Sqlite => postgres::is_no_database(error),
        }
    }

    /// A connection to the server by a database that is always there.
    pub(crate) async fn administration(&self) -> Result<Box<dyn Session>, EngineError> {
        let names: &[&str] = match self.dialect() {
            Dialect::Mysql => &mariadb::ALWAYS_THERE,
            Dialect::Postgres | Dialect::Sqlite => &postgres::ALWAYS_THERE,
        };
        let mut failed = None;
        for backend in names.iter().filter_map(|name| self.backend.at_database(name)) {
            match backend.connect().await {
                Ok(session) => return Ok(session),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let message = || EngineError::Refused("This database is not a server's".to_owned());
        Err(failed.map_or_else(message, EngineError::from))
    }

    /// Makes the database like the saved one and connects to it.
    async fn make(&self, opened: &Opened) -> Result<Box<dyn Session>, EngineError> {
        let (name, like) = (self.database()?, &opened.contents.database);
        let sql = match self.dialect() {
            Dialect::Mysql => mariadb::create_database(name, like),
            Dialect::Postgres | Dialect::Sqlite => postgres::create_database(name, like),
        };
        self.administration().await?.batch(&sql).await?;
        Ok(self.backend.connect().await?)
    }

    /// Drops a database of the server, if it is there.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), EngineError> {
        let mut session = self.administration().await?;
        let sql = format!("DROP DATABASE IF EXISTS {}", quote_ident(name, self.dialect()));
        let mut tries = 0;
        loop {
            match session.batch(&sql).await {
                Ok(()) => return Ok(()),
                Err(error) if error.code.as_deref() == Some(IN_USE) && tries < DROP_TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(DROP_WAIT).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn wipe(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        match self.dialect() {
            Dialect::Mysql => mariadb::wipe(session).await,
            Dialect::Postgres | Dialect::Sqlite => Ok(session.batch(postgres::WIPE).await?),
        }
    }

    /// A database that was there already must be able to hold the texts.
    async fn check_encoding(
        &self,
        session: &mut dyn Session,
        contents: &Contents,
    ) -> Result<(), EngineError> {
        if self.dialect() != Dialect::Postgres {
            return Ok(());
        }
        let here = postgres::database(session).await?;
        let (saved, found) = (contents.database.get("encoding"), here.get("encoding"));
        if saved == found {
            return Ok(());
        }
        let word = |of: Option<&String>| of.cloned().unwrap_or_default();
        Err(EngineError::Refused(format!(
            "{} has the encoding {}, and the saved database has {}; name a database that is not \
             there yet, and it is made as it must be",
            self.backend.label(),
            word(found),
            word(saved)
        )))
    }

    /// Whoever held the lease when the backup was made does not hold it here, and what it still
    /// wants to write has the token of another time. The restore's mark goes.
    async fn free(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        let mut sql = String::from("BEGIN; ");
        if self.ledger.identity(session).await?.is_some() {
            sql.push_str(&format!("{}; ", self.ledger.free_sql(0)));
        }
        let mark = match self.dialect() {
            // It ends the transaction by itself.
            Dialect::Mysql => format!("COMMIT; DROP TABLE {}", mariadb::MARKER),
            _ => format!("DROP SCHEMA {} CASCADE; COMMIT", postgres::MARKER_SCHEMA),
        };
        sql.push_str(&mark);
        Ok(session.batch(&sql).await?)
    }
}

/// The table that says that a restore is at it.
fn marker_table(dialect: Dialect) -> String {
    match dialect {
        Dialect::Mysql => mariadb::MARKER.to_owned(),
        Dialect::Postgres | Dialect::Sqlite => format!("{}.state", postgres::MARKER_SCHEMA),
    }
}

/// Which restore is or was at the database of a server, and whether it has made the database.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn interrupted(
    session: &mut dyn Session,
    dialect: Dialect,
) -> Result<Option<(String, bool)>, EngineError> {
    let there = match dialect {
        Dialect::Mysql => mariadb::has_table(mariadb::MARKER),
        Dialect::Postgres => format!(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '{}'",
            postgres::MARKER_SCHEMA
        ),
        // A file gets its name when it is whole.
        Dialect::Sqlite => return Ok(None),
    };
    if session.query(&there).await?.is_empty() {
        return Ok(None);
    }
    let sql = format!("SELECT backup, made FROM {}", marker_table(dialect));
    let row = session.query(&sql).await?.pop().unwrap_or_default();
    Ok(Some((text(&row, 0), text(&row, 1) == "1")))
}
