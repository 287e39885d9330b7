//! Settings: whimbrel.toml as typed values, and which layer each value comes from.
//!
//! Flags win over the environment, that over `.env`, that over whimbrel.toml, that over what the
//! project shows by itself. Every value knows its origin, for `doctor --explain`. Files and
//! variables arrive as values; nothing is read here.

mod backup;
mod file;
mod keys;
mod layers;
mod settings;
#[cfg(test)]
mod tests;
mod throttle;
mod units;
mod url_source;
mod words;

pub use backup::{
    BACKUP_FOLDER, BACKUP_KEEP, BACKUP_KEYS, BackupConfig, BackupKey, BackupSettings, BackupWhen,
};
pub use file::{Config, ConfigError, DatabaseConfig, Lined};
pub use keys::{CONFIG_KEYS, ConfigKey, VARIABLES};
pub use layers::{DotEnvEntry, Flags, Layers, Origin, Sourced, Variables};
pub use settings::{Settings, SettingsError};
pub use throttle::{THROTTLE_KEYS, ThrottleConfig, ThrottleKey};
pub use units::{parse_duration, parse_size};
pub use url_source::{UrlSource, UrlSourceError};
pub use words::nearest;
