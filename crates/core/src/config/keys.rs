//! Every key of whimbrel.toml and every variable of the environment, in one table each.

/// A key of whimbrel.toml.
#[derive(Debug)]
pub struct ConfigKey {
    /// As written.
    pub name: &'static str,
    /// Whether it may stand in `[project]`.
    pub project: bool,
    /// Whether it may stand in `[environments.<name>]`, where it wins over `[project]`.
    pub environment: bool,
    /// The variable that sets it too.
    pub variable: Option<&'static str>,
    /// The values it takes.
    pub values: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does, for the reference.
    pub docs: &'static str,
}

/// Every key.
pub const CONFIG_KEYS: &[ConfigKey] = &[
    ConfigKey {
        name: "format",
        project: true,
        environment: false,
        variable: None,
        values: "`own`, `wrangler` or `supabase`",
        default: "recognised",
        docs: "Whose conventions the folder of migrations follows.",
    },
    ConfigKey {
        name: "migrations",
        project: true,
        environment: false,
        variable: None,
        values: "a folder",
        default: "that of the format",
        docs: "Where migrations lie, relative to the project.",
    },
    ConfigKey {
        name: "environment",
        project: true,
        environment: false,
        variable: Some("WHIMBREL_ENV"),
        values: "the name of an environment",
        default: "none",
        docs: "Which environment is meant when none is named.",
    },
    ConfigKey {
        name: "url",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_URL"),
        values: "`env:NAME`, `file:path` or a URL without a password",
        default: "`DATABASE_URL`",
        docs: "Which database.",
    },
    ConfigKey {
        name: "database",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_DATABASE"),
        values: "a name or binding",
        default: "the only one",
        docs: "Which of several databases that another tool's configuration names.",
    },
    ConfigKey {
        name: "foreign-keys",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_FOREIGN_KEYS"),
        values: "`true` or `false`",
        default: "false",
        docs: "Whether SQLite enforces foreign keys while migrations run. D1 always does.",
    },
    ConfigKey {
        name: "keep-max",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_KEEP_MAX"),
        values: "a size such as \"500MB\" or \"1GiB\"",
        default: "1GiB",
        docs: "Above this size, a destructive statement must say whether what it removes is kept.",
    },
    ConfigKey {
        name: "lock-timeout",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_LOCK_TIMEOUT"),
        values: "a duration such as \"500ms\" or \"5s\"",
        default: "2s",
        docs: "How long one try waits for a lock before it gives up and is made again.",
    },
    ConfigKey {
        name: "statement-timeout",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_STATEMENT_TIMEOUT"),
        values: "a duration such as \"5m\"",
        default: "0",
        docs: "How long one statement of a migration may run; 0 is no limit, also where a role, a \
               database or a server has one. The directive of the same name says more.",
    },
    ConfigKey {
        name: "rules",
        project: true,
        environment: true,
        variable: None,
        values: "a folder",
        default: "rules",
        docs: "Where the rules for rows lie, relative to the project. Those of an environment are for \
               a database that has other tables, as the source of a data migration has.",
    },
    ConfigKey {
        name: "checks",
        project: true,
        environment: true,
        variable: None,
        values: "a folder",
        default: "checks",
        docs: "Where the checks lie that `validate` runs, relative to the project.",
    },
    ConfigKey {
        name: "batch-size",
        project: true,
        environment: true,
        variable: Some("MIGRATION_BATCH_SIZE"),
        values: "a number of rows, or \"auto\"",
        default: "auto",
        docs: "Data migrations: how many driving rows a batch has where no directive `size=` says \
               it.",
    },
    ConfigKey {
        name: "max-retries",
        project: true,
        environment: true,
        variable: Some("MIGRATION_MAX_RETRIES"),
        values: "a number",
        default: "3",
        docs: "Data migrations: how often a batch is tried again after a deadlock, a lock that was \
               not granted in time, a serialization failure or a busy database. An error about rows \
               or about the statement is never tried again.",
    },
    ConfigKey {
        name: "retry-delay",
        project: true,
        environment: true,
        variable: Some("MIGRATION_RETRY_DELAY"),
        values: "a duration such as \"1s\"; in the variable also a number of milliseconds",
        default: "1s",
        docs: "Data migrations: about how long the first wait before a further try is. Each further \
               one is twice as long, up to a minute, more or less by half.",
    },
    ConfigKey {
        name: "wait",
        project: true,
        environment: true,
        variable: Some("WHIMBREL_WAIT"),
        values: "a duration such as \"60s\"",
        default: "60s",
        docs: "How long to wait while another run holds the lease.",
    },
    ConfigKey {
        name: "protected",
        project: false,
        environment: true,
        variable: None,
        values: "`true` or `false`",
        default: "false",
        docs: "Whether destructive acts want their phrase typed, so that `--yes` is not enough. The \
               phrase ends with the environment's name there: `DELETE CHATS TABLE IN prod`.",
    },
    ConfigKey {
        name: "backup",
        project: false,
        environment: true,
        variable: None,
        values: "`before-up` or `none`",
        default: "before-up where `protected`, else none",
        docs: "Whether `up` saves the database before it applies anything, and proves that what it \
               saved can be restored. Without a key it refuses to run. `--backup` and `--no-backup` \
               say more.",
    },
];

/// Variables of the environment beyond those of [`CONFIG_KEYS`], with what they do.
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
        "The keys of an `s3://` store of backups (`.env` is read too); the token where there is one.",
    ),
    (
        "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
        "The keys of an `az://` store of backups (`.env` is read too).",
    ),
    (
        "DATABASE_URL",
        "Which database, where neither `WHIMBREL_URL` nor a named environment says it.",
    ),
    (
        "GOOGLE_SERVICE_ACCOUNT",
        "The path of a service account's JSON key for a `gs://` store of backups (`.env` is read too).",
    ),
    (
        "WHIMBREL_BACKUP_PASSPHRASE",
        "Seals new backups and opens those that it has sealed (`.env` is read too).",
    ),
    ("WHIMBREL_PERSIST_TO", "Where wrangler keeps local state, as its `--persist-to`."),
];
