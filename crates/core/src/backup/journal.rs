//! The journal of a restore in place: kept outside the database, as that is what is replaced.

use serde::{Deserialize, Serialize};

/// Newest format of the journal.
const FORMAT: u32 = 1;

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The database has not been touched.
    Begun,
    /// It is being replaced; only the database itself tells whether it was.
    Replacing,
    /// It was replaced.
    Done,
}

/// The journal: one file for each restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreJournal {
    format: u32,
    /// The run that restores.
    pub run_id: String,
    /// The backup that is restored.
    pub backup: String,
    /// The run whose restore is taken back, where it is that.
    pub takes_back: Option<String>,
    /// UUID of the database.
    pub database_id: String,
    /// Its address, without secrets.
    pub database: String,
    /// SHA-256 of the replaced database, which is kept; empty before it is, and on servers.
    pub kept_sha256: String,
    /// On a server: the database that is made beside, and takes the place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub made: String,
    /// On a server: the name under which the replaced database is kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kept_as: String,
    /// How far it is.
    pub phase: Phase,
    /// When it began, in milliseconds since 1970.
    pub began_ms: i64,
    /// Who: host, boot, process and its start, as in the lease.
    pub host: String,
    /// Changes with every start of the machine.
    pub boot_id: String,
    /// Process id.
    pub pid: u32,
    /// When the process started.
    pub process_start: String,
}

impl RestoreJournal {
    /// A journal of a restore that begins; who does it is to be filled in.
    pub fn begin(run_id: &str, backup: &str, database_id: &str, database: &str) -> RestoreJournal {
        RestoreJournal {
            format: FORMAT,
            run_id: run_id.to_owned(),
            backup: backup.to_owned(),
            takes_back: None,
            database_id: database_id.to_owned(),
            database: database.to_owned(),
            kept_sha256: String::new(),
            made: String::new(),
            kept_as: String::new(),
            phase: Phase::Begun,
            began_ms: 0,
            host: String::new(),
            boot_id: String::new(),
            pid: 0,
            process_start: String::new(),
        }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers only: there is nothing that could fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn parse(bytes: &[u8]) -> Result<RestoreJournal, String> {
        let journal: RestoreJournal =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match journal.format {
            FORMAT => Ok(journal),
            newer => Err(format!("it has format {newer}, and this version knows {FORMAT}")),
        }
    }
}

/// Whether a name is a run's id (a UUID), so that it never leaves the folder it lies in.
pub fn is_run_id(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| match hyphens.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut journal = RestoreJournal::begin("run", "backup_1712345678901", "uuid", "app.db");
        journal.phase = Phase::Replacing;
        let bytes = journal.to_bytes();
        assert_eq!(RestoreJournal::parse(&bytes), Ok(journal));
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [("\"format\": 1", "\"format\": 2"), ("replacing", "replaced")] {
            assert!(RestoreJournal::parse(text.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        assert!(RestoreJournal::parse(b"").is_err());
    }

    #[test]
    fn ids_of_runs_are_read_strictly() {
        assert!(is_run_id("019340c0-6a31-7aa2-9c3d-0123456789ab"));
        for wrong in ["", ".", "019340c0-6a31-7aa2-9c3d-0123456789a", "../340c0-6a31-7aa2-9c3d-012"]
        {
            assert!(!is_run_id(wrong), "{wrong}");
        }
    }
}
