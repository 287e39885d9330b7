//! `[backup]` of whimbrel.toml.

use std::time::Duration;

use super::file::Lined;
use super::units::parse_duration;
use crate::backup::{StoreUrl, check_endpoint};

/// A key of `[backup]`.
#[derive(Debug)]
pub struct BackupKey {
    /// As written.
    pub name: &'static str,
    /// The values it takes.
    pub values: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does, for the reference.
    pub docs: &'static str,
}

/// Every key.
pub const BACKUP_KEYS: &[BackupKey] = &[
    BackupKey {
        name: "folder",
        values: "a folder, relative to the project",
        default: ".whimbrel/backups",
        docs: "Where backups lie. `--dir` says more. With `store`, only what is being worked on lies \
               here.",
    },
    BackupKey {
        name: "store",
        values: "an address such as \"s3://bucket/prefix\", \"gs://...\" or \"az://...\"",
        default: "none",
        docs: "The object store in which backups lie, in place of the folder. Its keys are only taken \
               from the environment: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, \
               `GOOGLE_SERVICE_ACCOUNT`, or `AZURE_STORAGE_ACCOUNT_NAME` and \
               `AZURE_STORAGE_ACCOUNT_KEY`. `--store` says more.",
    },
    BackupKey {
        name: "endpoint",
        values: "an address such as \"https://minio.example:9000\"",
        default: "that of AWS",
        docs: "The server of an `s3://` store, where it is not that of AWS.",
    },
    BackupKey {
        name: "region",
        values: "a name such as \"eu-central-1\"",
        default: "us-east-1",
        docs: "The region of an `s3://` store.",
    },
    BackupKey {
        name: "plain-http-host",
        values: "the name of a host",
        default: "none",
        docs: "The one host that `endpoint` may reach without TLS (`http://`); this machine it always \
               may. Whoever is on the way can read what is sent.",
    },
    BackupKey {
        name: "recipients",
        values: "a list of public age keys (`age1...`, `env:NAME`, `file:PATH`)",
        default: "none",
        docs: "For whom new backups are sealed; each alone opens them. `--recipient` says more. With \
               `WHIMBREL_BACKUP_PASSPHRASE` set, the passphrase opens them too.",
    },
    BackupKey {
        name: "identity",
        values: "a list of places of secret age keys (`env:NAME`, `file:PATH`)",
        default: "none",
        docs: "What opens backups. `--identity` says more.",
    },
    BackupKey {
        name: "keep",
        values: "a duration such as \"168h\"",
        default: "24h",
        docs: "How long a new backup is kept.",
    },
    BackupKey {
        name: "keep-count",
        values: "a number, 1 or more",
        default: "1",
        docs: "How many of the newest verified backups `backup prune` keeps, expired or not.",
    },
];

/// What the table says. `None` is "not said".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupConfig {
    /// `folder`
    pub folder: Option<Lined<String>>,
    /// `store`
    pub store: Option<Lined<StoreUrl>>,
    /// `endpoint`
    pub endpoint: Option<Lined<String>>,
    /// `region`
    pub region: Option<Lined<String>>,
    /// `plain-http-host`
    pub plain_http_host: Option<Lined<String>>,
    /// `recipients`
    pub recipients: Option<Lined<Vec<String>>>,
    /// `identity`
    pub identity: Option<Lined<Vec<String>>>,
    /// `keep`
    pub keep: Option<Lined<Duration>>,
    /// `keep-count`
    pub keep_count: Option<Lined<u64>>,
}

/// A value as the file has it.
pub(super) struct Said<'a> {
    pub(super) line: u32,
    pub(super) text: Option<&'a str>,
    pub(super) number: Option<u64>,
    pub(super) list: Option<Vec<String>>,
}

impl BackupConfig {
    /// Takes the value of a known key; false if it is none.
    pub(super) fn set(&mut self, name: &str, said: Said<'_>) -> bool {
        fn put<T>(slot: &mut Option<Lined<T>>, line: u32, value: Option<T>) -> bool {
            *slot = value.map(|value| Lined { value, line });
            slot.is_some()
        }
        let Said { line, text, number, list } = said;
        let named = |one: &String| one.starts_with("env:") || one.starts_with("file:");
        let any_host =
            |text: &&str| check_endpoint(text, None).is_ok() || text.starts_with("http://");
        let word = |text: &&str| {
            let of_word = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
            !text.is_empty() && text.bytes().all(of_word)
        };
        match name {
            "folder" => {
                let folder = text.map(str::trim).filter(|text| !text.is_empty());
                put(&mut self.folder, line, folder.map(str::to_owned))
            }
            "store" => put(&mut self.store, line, text.and_then(|text| StoreUrl::parse(text).ok())),
            "endpoint" => put(&mut self.endpoint, line, text.filter(any_host).map(str::to_owned)),
            "region" => put(&mut self.region, line, text.filter(word).map(str::to_owned)),
            "plain-http-host" => {
                put(&mut self.plain_http_host, line, text.filter(word).map(str::to_owned))
            }
            "recipients" => {
                let key = |one: &String| one.starts_with("age1") || named(one);
                put(&mut self.recipients, line, list.filter(|list| list.iter().all(key)))
            }
            "identity" => put(&mut self.identity, line, list.filter(|list| list.iter().all(named))),
            "keep" => put(&mut self.keep, line, text.and_then(parse_duration)),
            "keep-count" => put(&mut self.keep_count, line, number.filter(|count| *count > 0)),
            _ => false,
        }
    }
}

/// When a backup is made without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupWhen {
    /// Before each run of `up` that has something to apply.
    BeforeUp,
    /// Never.
    #[default]
    None,
}

impl BackupWhen {
    /// Reads the word of whimbrel.toml.
    pub fn from_name(name: &str) -> Option<BackupWhen> {
        match name {
            "before-up" => Some(BackupWhen::BeforeUp),
            "none" => Some(BackupWhen::None),
            _ => None,
        }
    }

    /// The word of whimbrel.toml.
    pub fn name(self) -> &'static str {
        match self {
            BackupWhen::BeforeUp => "before-up",
            BackupWhen::None => "none",
        }
    }
}

/// `[backup]`, settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// Where backups lie, relative to the project; with a store, what is being worked on.
    pub folder: String,
    /// The object store in which they lie.
    pub store: Option<StoreUrl>,
    /// The server of an `s3://` store.
    pub endpoint: Option<String>,
    /// The region of an `s3://` store.
    pub region: Option<String>,
    /// The host that may be reached without TLS.
    pub plain_http_host: Option<String>,
    /// For whom they are sealed.
    pub recipients: Vec<String>,
    /// Where the keys are that open them.
    pub identity: Vec<String>,
    /// How long they are kept.
    pub keep: Duration,
    /// How many verified ones are kept in any case.
    pub keep_count: u64,
}

impl Default for BackupSettings {
    fn default() -> BackupSettings {
        BackupConfig::default().settled()
    }
}

/// Where backups lie when nothing else is said.
pub const BACKUP_FOLDER: &str = ".whimbrel/backups";
/// How long a backup is kept when nothing else is said.
pub const BACKUP_KEEP: Duration = Duration::from_secs(24 * 60 * 60);

impl BackupConfig {
    /// What holds.
    pub(super) fn settled(&self) -> BackupSettings {
        fn value<T: Clone>(slot: &Option<Lined<T>>) -> Option<T> {
            slot.as_ref().map(|said| said.value.clone())
        }
        BackupSettings {
            folder: value(&self.folder).unwrap_or_else(|| BACKUP_FOLDER.to_owned()),
            store: value(&self.store),
            endpoint: value(&self.endpoint),
            region: value(&self.region),
            plain_http_host: value(&self.plain_http_host),
            recipients: value(&self.recipients).unwrap_or_default(),
            identity: value(&self.identity).unwrap_or_default(),
            keep: value(&self.keep).unwrap_or(BACKUP_KEEP),
            keep_count: value(&self.keep_count).unwrap_or(1),
        }
    }

    /// What is said, with its line, as `doctor --explain` shows it.
    pub(super) fn said(&self) -> Vec<(&'static str, String, u32)> {
        let mut rows = Vec::new();
        let texts = [
            ("backup.folder", &self.folder),
            ("backup.endpoint", &self.endpoint),
            ("backup.region", &self.region),
            ("backup.plain-http-host", &self.plain_http_host),
        ];
        for (name, text) in texts {
            rows.extend(text.as_ref().map(|one| (name, one.value.clone(), one.line)));
        }
        let store = |one: &Lined<StoreUrl>| ("backup.store", one.value.to_string(), one.line);
        rows.extend(self.store.as_ref().map(store));
        let lists = [("backup.recipients", &self.recipients), ("backup.identity", &self.identity)];
        for (name, list) in lists {
            rows.extend(list.as_ref().map(|one| (name, one.value.join(", "), one.line)));
        }
        let keep = |one: &Lined<Duration>| ("backup.keep", format!("{:?}", one.value), one.line);
        rows.extend(self.keep.as_ref().map(keep));
        let count = |one: &Lined<u64>| ("backup.keep-count", one.value.to_string(), one.line);
        rows.extend(self.keep_count.as_ref().map(count));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn errors(text: &str) -> Vec<String> {
        let errors = Config::parse(text).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn backups_are_read_from_their_table() {
        let text = "[backup]\nfolder = \"saved\"\nrecipients = [\"age1abc\", \"file:k.pub\"]\n\
                    identity = \"env:KEY\"\nkeep = \"168h\"\nkeep-count = 3\n\
                    store = \"s3://bucket/a/b\"\nendpoint = \"http://minio:9000\"\n\
                    region = \"eu-1\"\nplain-http-host = \"minio\"\n\
                    [environments.x]\nbackup = \"before-up\"\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.environments["x"].backup.as_ref().unwrap().value, BackupWhen::BeforeUp);
        let settled = config.backup.settled();
        assert_eq!(settled.folder, "saved");
        assert_eq!(settled.recipients, ["age1abc", "file:k.pub"]);
        assert_eq!(settled.identity, ["env:KEY"]);
        assert_eq!((settled.keep.as_secs(), settled.keep_count), (168 * 3_600, 3));
        assert_eq!(settled.store.unwrap().to_string(), "s3://bucket/a/b");
        assert_eq!(settled.endpoint.as_deref(), Some("http://minio:9000"));
        assert_eq!(config.backup.said().len(), 9);
        for key in BACKUP_KEYS {
            for value in ["[1]", "0", "\"AGE-SECRET-KEY-1\""] {
                let found = errors(&format!("[backup]\n{} = {value}", key.name));
                let text = ["folder", "region", "plain-http-host"].contains(&key.name);
                let fits = text && value.starts_with('"');
                assert_eq!(found.len(), usize::from(!fits), "{} {value}: {found:?}", key.name);
                assert!(found.iter().all(|one| !one.contains("SECRET")), "{found:?}");
            }
        }
        assert!(errors("[backup]\nkeeps = 1")[0].contains("Unknown key `keeps`"));
        assert!(errors("[environments.x]\nbackup = true")[0].contains("`before-up` or `none`"));
    }
}
