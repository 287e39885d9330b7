//! What to do about errors of backups and their places.

use whimbrel_engine::{EngineError, StoreFault};

use super::{Exit, Explained};

/// What to do about an object store.
pub(super) fn store_refused(fault: StoreFault) -> Explained {
    let (exit, hint) = match fault {
        StoreFault::Network => (
            Exit::Failed,
            "It could not be reached, or did not answer in time. Check `store`, `endpoint` and \
             `region` under `[backup]`",
        ),
        StoreFault::Keys => (
            Exit::Usage,
            "Set the store's keys in the environment or in `.env` (s3://: AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY; gs://: GOOGLE_SERVICE_ACCOUNT; az://: \
             AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY), and check what they may do",
        ),
        StoreFault::Bucket => {
            (Exit::Usage, "Make the bucket, or correct its name: Whimbrel never makes one")
        }
        StoreFault::Other => (Exit::Failed, "Nothing is listed that is not whole; try again"),
    };
    (exit, Vec::new(), vec![hint.to_owned()])
}

/// A backup of another database.
pub(super) fn other_database(backup: &Option<String>, database: &Option<String>) -> Explained {
    let shown =
        |id: &Option<String>| id.clone().unwrap_or_else(|| "none, as without a ledger".to_owned());
    let lines = vec![
        format!("Database id in the backup: {}", shown(backup)),
        format!("Database id of the database: {}", shown(database)),
    ];
    let hint = "Restore it into a new database with `--to`";
    (Exit::Usage, lines, vec![hint.to_owned()])
}

/// What a backup needs and has not got.
pub(super) fn refused(error: &EngineError) -> Explained {
    let hints: &[&str] = match error {
        EngineError::BackupUnsealed => &[
            "Name a public age key with `--recipient age1...` (`age-keygen -o backup.key` makes a \
             pair), or set WHIMBREL_BACKUP_PASSPHRASE",
            "Without encryption, everybody who sees the files can read the rows: `--no-encrypt`",
        ],
        EngineError::BackupBeforeUp => &[
            "`age-keygen -o backup.key` makes a pair; write `recipients = [\"age1...\"]` with the \
             public key under `[backup]` into whimbrel.toml, and keep the file elsewhere. Or set \
             WHIMBREL_BACKUP_PASSPHRASE",
            "To apply without a backup, pass `--no-backup`",
        ],
        EngineError::BackupSigner { .. } => {
            &["`whimbrel backup create` makes it; for the backups of another machine copy its \
             `.whimbrel/signing.pub` here, or name the key with `--signer`"]
        }
        EngineError::BackupExpired { .. } => &["To restore it all the same, pass `--expired`"],
        _ => &["Name the secret age key with `--identity file:PATH` or `--identity env:NAME`, or \
               set WHIMBREL_BACKUP_PASSPHRASE"],
    };
    (Exit::Usage, Vec::new(), hints.iter().map(|hint| (*hint).to_owned()).collect())
}
