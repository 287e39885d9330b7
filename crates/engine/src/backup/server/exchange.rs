//! MariaDB: the tables of a database change places with those of another one.
//!
//! No database can be renamed there, and a table with triggers cannot leave its database. So the
//! tables first get other names, all by one statement: nobody can write them then. What was counted
//! is counted again, and only then do they change places, without their triggers, which are made
//! anew before the new tables get the names that the application knows, again by one statement.
//! Each of these statements happens or not (atomic DDL, MariaDB 10.6). What is between them is seen
//! by a table of its own, and can be carried on or taken back at every moment.
//!
//! Triggers are looked up by `event_object_schema`: by `trigger_schema` the server opens the tables
//! of all databases, and fails where somebody changes one of them (error 1684).

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use super::mariadb;
use crate::backend::{Row, Session};
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::text;

/// What the names of the tables begin with while nobody can use them.
pub(super) const AWAY: &str = "whimbrel_away_";
/// Characters of the name of a table, at most.
const NAME_CHARS_MAX: usize = 64;
/// The table that says that a restore in place is at it, with the backup.
const REPLACING: &str = "whimbrel_replacing";
/// Keeps the triggers of both databases while they are not there.
const TRIGGERS: &str = "whimbrel_triggers";
/// The first version whose RENAME TABLE happens as a whole or not at all.
const ATOMIC_SINCE: (i64, i64) = (10, 6);
/// How long a rename waits for those that use the tables, in seconds; who comes later waits behind.
const LOCK_SECONDS: u32 = 2;
/// How often it is tried.
const LOCK_TRIES_MAX: u32 = 10;

/// The databases.
pub(crate) struct Exchange<'a> {
    /// The one that the application knows.
    pub(crate) name: &'a str,
    /// The one that gets the tables that are replaced.
    pub(crate) kept: &'a str,
    /// The one whose tables take their places.
    pub(crate) made: &'a str,
}

/// The backup whose restore in place has begun to change the tables' places, if one has.
pub(crate) async fn replacing(session: &mut dyn Session) -> Result<Option<String>, EngineError> {
    if session.query(&mariadb::has_table(REPLACING)).await?.is_empty() {
        return Ok(None);
    }
    let row = session.query(&format!("SELECT backup FROM {REPLACING}")).await?.pop();
    Ok(Some(row.map(|row| text(&row, 0)).unwrap_or_default()))
}

/// Refuses a server or a database of which it is not known that it works.
pub(crate) async fn refuse_exchange(session: &mut dyn Session) -> Result<(), EngineError> {
    let row = session.query("SELECT VERSION()").await?.pop().unwrap_or_default();
    let version = text(&row, 0);
    let mut numbers = version.split(['.', '-']).map(|one| one.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if !version.contains("MariaDB") || found < ATOMIC_SINCE {
        let message = format!(
            "A restore in place needs MariaDB {}.{} or newer, where tables are renamed all or not \
             at all, and this is {version}; restore into a new database with `--to`",
            ATOMIC_SINCE.0, ATOMIC_SINCE.1
        );
        return Err(EngineError::Refused(message));
    }
    let most = NAME_CHARS_MAX - AWAY.len();
    let long = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND CHAR_LENGTH(table_name) > {most} AND table_name NOT LIKE 'whimbrel\\_%' \
         AND table_type <> 'VIEW' LIMIT 1"
    );
    if let Some(row) = session.query(&long).await?.first() {
        let message = format!(
            "The name of the table `{}` is too long to be changed for a while; restore into a new \
             database with `--to`",
            text(row, 0)
        );
        return Err(EngineError::Refused(message));
    }
    Ok(())
}

impl Exchange<'_> {
    fn in_name(&self, table: &str) -> String {
        qualified(self.name, table)
    }

    /// Refuses when views or routines of the two are not the same: they cannot change places at
    /// once with the tables.
    pub(crate) async fn refuse_code(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        let (here, there) = (code(session, self.name).await?, code(session, self.made).await?);
        let of = |one: &Row| format!("{} {}", text(one, 0), text(one, 1));
        let mut names: Vec<String> =
            here.iter().filter(|one| !there.contains(one)).map(of).collect();
        names.extend(there.iter().filter(|one| !here.contains(one)).map(of));
        names.sort_unstable();
        names.dedup();
        for database in [self.name, self.made] {
            let triggers = format!(
                "SELECT trigger_name, action_statement FROM information_schema.triggers \
                 WHERE event_object_schema = {} AND character_set_client NOT LIKE 'utf8%'",
                literal(database)
            );
            // Its text would have to be sent in the character set that it was made in.
            let odd = session.query(&triggers).await?;
            let odd = odd.iter().find(|row| !text(row, 1).is_ascii());
            names.extend(odd.map(|row| format!("trigger {}", text(row, 0))));
        }
        if names.is_empty() {
            return Ok(());
        }
        let message = format!(
            "Views and routines of the backup are not those of the database ({}), and they cannot \
             be replaced at once with the tables; restore it into a new one with `--to`",
            names.join(", ")
        );
        Err(EngineError::Refused(message))
    }

    /// Gives all tables of the user's other names, at once. From here on nobody reads or writes
    /// them, and `replacing` says so.
    pub(crate) async fn close(
        &self,
        session: &mut dyn Session,
        backup: &str,
    ) -> Result<(), EngineError> {
        let (kept, triggers) = (quoted(self.kept), qualified(self.kept, TRIGGERS));
        let of = |database: &str| {
            format!(
                "SELECT {} AS which, trigger_name, event_object_table, action_timing, \
                 event_manipulation, action_statement, sql_mode, definer, character_set_client, \
                 collation_connection, action_order FROM information_schema.triggers \
                 WHERE event_object_schema = {}",
                literal(database),
                literal(database)
            )
        };
        let row = session
            .query(&format!(
                "SELECT default_character_set_name, default_collation_name \
                 FROM information_schema.schemata WHERE schema_name = {}",
                literal(self.name)
            ))
            .await?
            .pop()
            .unwrap_or_default();
        // Strict, or a trigger of a table that somebody changes just now would be left out.
        session
            .batch(&format!(
                "CREATE DATABASE {kept} CHARACTER SET {} COLLATE {}; \
                 SET STATEMENT sql_mode = 'STRICT_ALL_TABLES' FOR \
                 CREATE TABLE {triggers} AS {} UNION ALL {}; \
                 CREATE TABLE {REPLACING} (backup VARCHAR(64) NOT NULL); \
                 INSERT INTO {REPLACING} VALUES ({}); COMMIT",
                text(&row, 0),
                text(&row, 1),
                of(self.name),
                of(self.made),
                literal(backup)
            ))
            .await?;
        failpoint::pass("in_place.marked");
        let tables = tables(session, self.name).await?;
        let away: Vec<(String, String)> = tables
            .iter()
            .filter(|one| !is_own(one))
            .map(|one| (self.in_name(one), self.in_name(&format!("{AWAY}{one}"))))
            .collect();
        rename(session, &away).await
    }

    /// Lets the tables change places, at once, without their triggers. They still have other names
    /// than those that the application knows.
    pub(crate) async fn swap(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        for database in [self.name, self.made] {
            let sql = format!(
                "SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = {}",
                literal(database)
            );
            for row in session.query(&sql).await? {
                let name = qualified(database, &text(&row, 0));
                session.batch(&format!("DROP TRIGGER {name}")).await?;
            }
        }
        failpoint::pass("in_place.bare");
        let mut all = Vec::new();
        for table in tables(session, self.name).await? {
            if table != REPLACING {
                let name = table.strip_prefix(AWAY).unwrap_or(&table);
                all.push((self.in_name(&table), qualified(self.kept, name)));
            }
        }
        for table in tables(session, self.made).await? {
            let own = is_own(&table);
            let name = if own { table.clone() } else { format!("{AWAY}{table}") };
            all.push((qualified(self.made, &table), self.in_name(&name)));
        }
        rename(session, &all).await
    }

    /// Makes the triggers that are not there, and gives the tables the names that the application
    /// knows, at once: the old ones or the new ones, whichever are there.
    pub(crate) async fn open(
        &self,
        session: &mut dyn Session,
        replaced: bool,
    ) -> Result<(), EngineError> {
        let triggers = qualified(self.kept, TRIGGERS);
        if tables(session, self.kept).await?.iter().any(|one| one == TRIGGERS) {
            let which = if replaced { self.made } else { self.name };
            self.make_triggers(session, which, self.name).await?;
            if replaced {
                self.make_triggers(session, self.name, self.kept).await?;
            }
        }
        failpoint::pass("in_place.triggers");
        let back: Vec<(String, String)> = tables(session, self.name)
            .await?
            .iter()
            .filter_map(|one| Some((self.in_name(one), self.in_name(one.strip_prefix(AWAY)?))))
            .collect();
        rename(session, &back).await?;
        failpoint::pass("in_place.opened");
        let end = format!("DROP TABLE IF EXISTS {}", self.in_name(REPLACING));
        session.batch(&end).await?;
        if replaced {
            session.batch(&format!("DROP TABLE IF EXISTS {triggers}")).await?;
        } else if tables(session, self.kept).await?.iter().all(|one| one == TRIGGERS) {
            session.batch(&format!("DROP DATABASE IF EXISTS {}", quoted(self.kept))).await?;
        }
        Ok(())
    }

    /// Makes those triggers that were `of` one database in the database `into`, unless they are
    /// there. A table that is away has them, too.
    async fn make_triggers(
        &self,
        session: &mut dyn Session,
        of: &str,
        into: &str,
    ) -> Result<(), EngineError> {
        let sql = format!(
            "SELECT trigger_name, event_object_table, action_timing, event_manipulation, \
             action_statement, sql_mode, definer, character_set_client, collation_connection \
             FROM {} t WHERE which = {} AND NOT EXISTS (SELECT 1 FROM information_schema.triggers i \
             WHERE i.event_object_schema = {} AND i.trigger_name = t.trigger_name) \
             ORDER BY event_object_table, action_timing, event_manipulation, action_order",
            qualified(self.kept, TRIGGERS),
            literal(of),
            literal(into)
        );
        let missing = session.query(&sql).await?;
        let tables = tables(session, into).await?;
        // The database stays out of the text, which others may restore elsewhere.
        session.batch(&format!("USE {}", quoted(into))).await?;
        for row in missing {
            let at = |index: usize| text(&row, index);
            let name = at(1);
            let plain = name.strip_prefix(AWAY).unwrap_or(&name);
            let away = format!("{AWAY}{plain}");
            let table = if tables.contains(&away) { away } else { plain.to_owned() };
            let definer = match at(6).rsplit_once('@') {
                Some((user, host)) => format!("{}@{}", quoted(user), quoted(host)),
                None => quoted(&at(6)),
            };
            session
                .batch(&format!(
                    "SET SESSION sql_mode = {}, character_set_client = {}, \
                     collation_connection = {}",
                    literal(&at(5)),
                    at(7),
                    at(8)
                ))
                .await?;
            let sql = format!(
                "CREATE DEFINER = {definer} TRIGGER {} {} {} ON {} FOR EACH ROW {}",
                quoted(&at(0)),
                at(2),
                at(3),
                quoted(&table),
                at(4)
            );
            session.run(&sql, None).await?;
        }
        session.batch(&format!("USE {}", quoted(self.name))).await?;
        session.reset().await?;
        let unlike = format!(
            "SELECT trigger_name FROM {} t WHERE which = {} AND NOT EXISTS (SELECT 1 \
             FROM information_schema.triggers i WHERE i.event_object_schema = {} \
             AND i.trigger_name = t.trigger_name AND i.action_statement = t.action_statement \
             AND i.action_timing = t.action_timing AND i.sql_mode = t.sql_mode \
             AND i.event_manipulation = t.event_manipulation AND i.definer = t.definer)",
            qualified(self.kept, TRIGGERS),
            literal(of),
            literal(into)
        );
        match session.query(&unlike).await?.first() {
            None => Ok(()),
            Some(row) => Err(EngineError::Refused(format!(
                "The trigger `{}` could not be made as it was; what it was stands in `{}.{TRIGGERS}`",
                text(row, 0),
                self.kept
            ))),
        }
    }
}

/// Renames, all or nothing. Waits for those that use the tables, and lets others go first where
/// that takes too long.
async fn rename(session: &mut dyn Session, names: &[(String, String)]) -> Result<(), EngineError> {
    if names.is_empty() {
        return Ok(());
    }
    session.batch(&format!("SET SESSION lock_wait_timeout = {LOCK_SECONDS}")).await?;
    let all: Vec<String> = names.iter().map(|(from, to)| format!("{from} TO {to}")).collect();
    let sql = format!("RENAME TABLE {}", all.join(", "));
    let mut tries = 0;
    loop {
        match session.batch(&sql).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() && tries < LOCK_TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(crate::jitter::between_ms(200, 800)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tables and sequences of a database.
async fn tables(session: &mut dyn Session, database: &str) -> Result<Vec<String>, EngineError> {
    let sql = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {} \
         AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') \
         ORDER BY BINARY table_name",
        literal(database)
    );
    Ok(session.query(&sql).await?.iter().map(|row| text(row, 0)).collect())
}

/// Views and routines of a database, with all that makes them what they are.
async fn code(session: &mut dyn Session, database: &str) -> Result<Vec<Row>, EngineError> {
    session.batch("SET SESSION group_concat_max_len = 1000000").await?;
    let (name, prefix) = (literal(database), literal(&format!("{}.", quoted(database))));
    let sql = format!(
        "SELECT 'view', table_name, REPLACE(view_definition, {prefix}, ''), check_option, definer, \
         security_type, character_set_client, collation_connection \
         FROM information_schema.views WHERE table_schema = {name} \
         UNION ALL SELECT LOWER(r.routine_type), r.routine_name, r.routine_definition, \
         CONCAT_WS(' ', r.is_deterministic, r.sql_data_access, r.sql_mode, r.routine_comment), \
         r.definer, r.security_type, r.dtd_identifier, (SELECT GROUP_CONCAT(CONCAT_WS(' ', \
         p.parameter_mode, p.parameter_name, p.dtd_identifier) ORDER BY p.ordinal_position) \
         FROM information_schema.parameters p WHERE p.specific_schema = r.routine_schema \
         AND p.specific_name = r.specific_name) FROM information_schema.routines r \
         WHERE r.routine_schema = {name} ORDER BY 1, 2"
    );
    Ok(session.query(&sql).await?)
}

/// Whether a table is Whimbrel's own and not one of the user's that is away.
fn is_own(table: &str) -> bool {
    table.starts_with("whimbrel_") && !table.starts_with(AWAY)
}

fn qualified(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}

fn quoted(name: &str) -> String {
    quote_ident(name, Dialect::Mysql)
}

fn literal(value: &str) -> String {
    quote_text(value, Dialect::Mysql)
}
