//! What can be wrong with a backup, each with its own words.

/// Something that is not as it was when the backup was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The signature's file cannot be read.
    #[error("`manifest.sig` is not a signature as Whimbrel writes it")]
    SignatureForm,
    /// The manifest is not what was signed.
    #[error("`manifest.json` is not what was signed: it, or its signature, was changed")]
    Signature,
    /// Somebody else signed it.
    #[error("It is signed with the key {found}, and this project trusts {pinned}")]
    ForeignSigner {
        /// The public key of the backup.
        found: String,
        /// The public key of the project.
        pinned: String,
    },
    /// It is no manifest of a backup.
    #[error("`manifest.json` is not the manifest of a backup: {reason}")]
    Manifest {
        /// Why not.
        reason: String,
    },
    /// A later version wrote it.
    #[error("It has format {found}, and this version of Whimbrel knows {known}")]
    NewerFormat {
        /// Format found.
        found: u32,
        /// Newest known.
        known: u32,
    },
    /// The manifest of another backup lies in this one.
    #[error("Its manifest is that of `{found}`")]
    OtherBackup {
        /// Id in the manifest.
        found: String,
    },
    /// A file is not there.
    #[error("`{file}` is missing")]
    Missing {
        /// Its name.
        file: String,
    },
    /// A file is there that the manifest does not name.
    #[error("`{file}` does not belong to the backup")]
    Extra {
        /// Its name.
        file: String,
    },
    /// A file has another length.
    #[error("`{file}` has {found} bytes in place of {expected}")]
    Length {
        /// Its name.
        file: String,
        /// Bytes that were written.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A file holds what belongs into another one.
    #[error("`{file}` holds what belongs into `{other}`")]
    Exchanged {
        /// Its name.
        file: String,
        /// Where its bytes belong.
        other: String,
    },
    /// A file holds other bytes.
    #[error("`{file}` does not hold the bytes that were written (SHA-256 differs)")]
    Bytes {
        /// Its name.
        file: String,
    },
    /// The disk does not give a file out.
    #[error("`{file}` cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        reason: String,
    },
    /// The data key does not open a file.
    #[error("`{file}` does not open with the backup's own key: {reason}")]
    Sealed {
        /// Its name.
        file: String,
        /// Why.
        reason: String,
    },
    /// A file says that it belongs elsewhere.
    #[error("`{file}` says that it is `{found}`")]
    Place {
        /// Its name.
        file: String,
        /// Its place; empty when it has none.
        found: String,
    },
    /// A file cannot be decompressed.
    #[error("`{file}` cannot be decompressed: {reason}")]
    Compressed {
        /// Its name.
        file: String,
        /// Why.
        reason: String,
    },
    /// The contents do not fit the chunks.
    #[error("The contents do not fit the chunks: {reason}")]
    Contents {
        /// Why.
        reason: String,
    },
    /// A restored table does not hold the rows that were saved.
    #[error("`{table}` holds other rows after restoring: {found} rows in place of {expected}")]
    Rows {
        /// The table.
        table: String,
        /// Rows that were saved.
        expected: u64,
        /// Rows that came back.
        found: u64,
    },
    /// The restored database is not whole.
    #[error("The restored database is damaged: {reason}")]
    Database {
        /// What the database says.
        reason: String,
    },
}
