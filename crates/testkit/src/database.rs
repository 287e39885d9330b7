//! A fresh database for each test, made and looked at with the databases' own client programs, so
//! that nothing of Whimbrel judges its own work.

mod client;
mod conversation;
mod dump;
mod hold;
mod log;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use self::client::Client;
pub use self::conversation::Conversation;
pub use self::hold::Holder;
use crate::failure::{Result, must};
use crate::servers::{MariaDb, Postgres, TlsKind};
use crate::variables::{self, Backend, required};

/// A database of its own for one test. Dropping it drops the database.
#[derive(Debug)]
pub struct TestDatabase {
    /// The URL that Whimbrel is given.
    pub url: String,
    /// The database's name; for SQLite the file's path.
    pub name: String,
    client: Client,
    owner: Owner,
}

/// What has to be done to remove a database.
#[derive(Debug)]
enum Owner {
    Folder {
        _folder: TempDir,
    },
    /// Whoever made the folder or the server.
    Other,
    Postgres(Client),
    Mariadb(Client),
}

/// A new SQLite file (not yet made) in a temporary folder.
pub fn fresh_sqlite() -> TestDatabase {
    let folder = must(tempfile::Builder::new().prefix("whimbrel-sqlite-").tempdir());
    let mut database = sqlite_in(folder.path());
    database.owner = Owner::Folder { _folder: folder };
    database
}

/// A new SQLite file (not yet made) in a folder of the test's own.
pub fn sqlite_in(folder: &Path) -> TestDatabase {
    let path = folder.join("test.db");
    let name = path.display().to_string();
    let url = format!("sqlite:{name}");
    TestDatabase { url, name, client: Client::Sqlite(path), owner: Owner::Other }
}

/// A new database on a PostgreSQL of the test's own.
#[track_caller]
pub fn on_postgres(server: &Postgres, hint: &str) -> TestDatabase {
    let name = unique_name(hint);
    must(server.admin(&format!("CREATE DATABASE {name} OWNER {};", user_of(&server.url()))));
    let url = with_database(&server.url(), &name);
    TestDatabase { client: Client::Postgres(url.clone()), url, name, owner: Owner::Other }
}

/// A new database on a MariaDB of the test's own.
#[track_caller]
pub fn on_mariadb(server: &MariaDb, hint: &str) -> TestDatabase {
    let name = unique_name(hint);
    must(server.admin(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4;")));
    let url = with_database(&server.url(), &name);
    TestDatabase { client: Client::Mariadb(url.clone()), url, name, owner: Owner::Other }
}

/// A new PostgreSQL database, owned by a role that is no superuser. `None` if the run leaves
/// PostgreSQL out by name.
///
/// # Panics
/// If the server is not there and nobody asked to leave it out.
#[track_caller]
pub fn fresh_postgres(hint: &str) -> Option<TestDatabase> {
    let server = required(variables::POSTGRES, Backend::Postgres)?;
    let admin_url = std::env::var(variables::POSTGRES_ADMIN).unwrap_or_else(|_| server.clone());
    let name = unique_name(hint);
    let admin = Client::Postgres(admin_url);
    let role = user_of(&server);
    must(admin.run(&format!("CREATE DATABASE {name} OWNER {role} TEMPLATE template0;")));
    let url = with_database(&server, &name);
    let client = Client::Postgres(url.clone());
    Some(TestDatabase { url, name, client, owner: Owner::Postgres(admin) })
}

/// A new MariaDB database. `None` if the run leaves MariaDB out by name.
///
/// # Panics
/// If the server is not there and nobody asked to leave it out.
#[track_caller]
pub fn fresh_mariadb(hint: &str) -> Option<TestDatabase> {
    let server = required(variables::MARIADB, Backend::Mariadb)?;
    let name = unique_name(hint);
    let url = with_database(&server, &name);
    let socket = std::env::var_os(variables::MARIADB_SOCKET).map(PathBuf::from);
    let admin = socket.map_or_else(|| Client::Mariadb(server.clone()), Client::MariadbRoot);
    must(admin.run(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4;")));
    let client = Client::Mariadb(url.clone());
    Some(TestDatabase { url, name, client, owner: Owner::Mariadb(admin) })
}

/// A PostgreSQL that shows a certificate of this kind.
#[derive(Clone, Debug)]
pub struct TlsCluster {
    /// URL with the host `localhost` and no TLS parameters.
    pub url: String,
    /// The authority that signed the cluster's certificate.
    pub ca: PathBuf,
    /// An authority that signed nothing here.
    pub other_ca: PathBuf,
}

impl TlsCluster {
    /// The shared cluster of this kind. `None` if the run leaves PostgreSQL out by name.
    ///
    /// # Panics
    /// If the server is not there and nobody asked to leave it out.
    #[track_caller]
    pub fn of(kind: TlsKind) -> Option<TlsCluster> {
        let url = required(kind.variable(), Backend::Postgres)?;
        let folder = PathBuf::from(required(variables::TLS_DIR, Backend::Postgres)?);
        Some(TlsCluster { url, ca: folder.join("ca.pem"), other_ca: folder.join("other-ca.pem") })
    }

    /// The URL with parameters, such as `sslmode=require&channel_binding=require`.
    pub fn url_with(&self, parameters: &str) -> String {
        format!("{}?{parameters}", self.url)
    }

    /// The URL that asks for everything: the name checked, and trust in `authority` only.
    pub fn verify_full(&self, authority: &Path) -> String {
        self.url_with(&format!("sslmode=verify-full&sslrootcert={}", authority.display()))
    }
}

impl TestDatabase {
    /// Runs SQL with the database's own client: each row is a line, columns are separated by `|`,
    /// NULL is `NULL`, booleans are as the database prints them.
    ///
    /// # Panics
    /// If the database reports an error.
    #[track_caller]
    pub fn query(&self, sql: &str) -> String {
        must(self.try_query(sql))
    }

    /// As [`TestDatabase::query`], for SQL that may fail.
    pub fn try_query(&self, sql: &str) -> Result<String> {
        self.client.run(sql)
    }

    /// Runs SQL as the server's superuser, in this database; for SQLite as always.
    ///
    /// # Panics
    /// If the database reports an error.
    #[track_caller]
    pub fn admin(&self, sql: &str) -> String {
        must(match &self.owner {
            Owner::Folder { .. } | Owner::Other => self.client.run(sql),
            Owner::Postgres(admin) => admin.in_database(&self.name).run(sql),
            Owner::Mariadb(admin) => admin.run(&format!("USE {};\n{sql}", self.name)),
        })
    }

    /// The schema as the database's dump program prints it, without Whimbrel's own objects,
    /// comments and empty lines.
    #[track_caller]
    pub fn schema(&self) -> String {
        must(dump::schema(&self.client, &self.name))
    }

    /// Every row of every table as an INSERT, sorted, without Whimbrel's own tables.
    #[track_caller]
    pub fn rows(&self) -> String {
        must(dump::rows(&self.client, &self.name))
    }

    /// The same PostgreSQL database through pgbouncer in transaction mode.
    ///
    /// # Panics
    /// If the pooler is not there.
    #[track_caller]
    pub fn pooled_url(&self) -> String {
        let pooler = required(variables::PGBOUNCER, Backend::Postgres).unwrap_or_default();
        with_database(&pooler, &self.name)
    }

    /// From now on the PostgreSQL server writes each statement of new sessions to its log.
    #[track_caller]
    pub fn log_statements(&self) {
        self.admin(&format!("ALTER DATABASE {} SET log_statement = 'all';", self.name));
    }

    /// The statements of this database in the PostgreSQL server's log, in order.
    ///
    /// # Panics
    /// If the log cannot be read.
    #[track_caller]
    pub fn logged_statements(&self) -> Vec<String> {
        let Some(path) = required(variables::POSTGRES_LOG, Backend::Postgres) else {
            return Vec::new();
        };
        let bytes = must(std::fs::read(path));
        log::statements(&String::from_utf8_lossy(&bytes), &self.name)
    }

    /// A client program on this database, with its options set, for tests that want a session
    /// of their own (`psql`, `mariadb` or `sqlite3`; it reads SQL from its standard input).
    pub fn client_command(&self) -> Command {
        self.client.command()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A database that cannot be dropped ends with its server; the test has its result.
        let _ = match &self.owner {
            Owner::Folder { .. } | Owner::Other => Ok(String::new()),
            Owner::Postgres(admin) => {
                // Also what a restore in place has kept or left beside it.
                let name = &self.name;
                let beside =
                    format!("SELECT datname FROM pg_database WHERE datname LIKE '{name}\\_%'");
                let beside = admin.run(&beside).unwrap_or_default();
                let drops = beside.lines().chain([name.as_str()]);
                let drops =
                    drops.map(|one| format!("DROP DATABASE IF EXISTS {one} WITH (FORCE);\n"));
                admin.run(&drops.collect::<String>())
            }
            Owner::Mariadb(admin) => {
                let name = &self.name;
                let beside = format!(
                    "SELECT schema_name FROM information_schema.schemata \
                     WHERE schema_name LIKE '{name}\\_%'"
                );
                let beside = admin.run(&beside).unwrap_or_default();
                let drops = beside.lines().chain([name.as_str()]);
                let drops = drops.map(|one| format!("DROP DATABASE IF EXISTS {one};\n"));
                admin.run(&drops.collect::<String>())
            }
        };
    }
}

/// A name that no other test of any process uses, short enough for every database.
fn unique_name(hint: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let letters = hint.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let hint: String = letters.take(20).collect::<String>().to_ascii_lowercase();
    format!("whimbrel_{hint}_{time:x}_{}_{number}", std::process::id())
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (head, query) = url.split_once('?').map_or((url, None), |(h, q)| (h, Some(q)));
    let authority = head.find("://").map_or(0, |at| at + 3);
    let rest = head.get(authority..).unwrap_or_default();
    let end = rest.find('/').map_or(head.len(), |at| authority + at);
    let server = head.get(..end).unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{server}/{name}{query}")
}

fn user_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let user = rest.split_once('@').map_or("postgres", |(user, _)| user);
    user.split_once(':').map_or(user, |(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes_in_a_url() {
        assert_eq!(with_database("postgres://u:p@h:1/a", "b"), "postgres://u:p@h:1/b");
        assert_eq!(with_database("postgres://u@h", "b"), "postgres://u@h/b");
        assert_eq!(with_database("mysql://u@h/a?x=1", "b"), "mysql://u@h/b?x=1");
    }

    #[test]
    fn users_are_read_from_urls() {
        assert_eq!(user_of("postgres://whimbrel:p@h:1/a"), "whimbrel");
        assert_eq!(user_of("postgres://h/a"), "postgres");
    }

    #[test]
    fn names_are_unique_and_plain() {
        let (one, two) = (unique_name("Chats & owners"), unique_name("Chats & owners"));
        assert_ne!(one, two);
        assert!(one.starts_with("whimbrel_chats___owners_"), "{one}");
        assert!(one.len() <= 63, "{one}");
    }
}
