//! The backup's format, as `docs/formats/backup.md` has it: what its files say, and what can be
//! wrong with them. Reading, sealing and writing are the engine's.

mod bucket;
mod contents;
mod damage;
mod journal;
mod manifest;
mod place;
mod retention;
mod rows;
mod schema;
mod signature;
mod verified;

pub use bucket::{StoreKind, StoreUrl, check_endpoint};
pub use contents::{Contents, Part, RowsOf, TableDigest};
pub use damage::Damage;
pub use journal::{Phase, RestoreJournal, is_run_id};
pub use manifest::{FileEntry, FoundFile, Manifest, Sealed};
pub use place::{CONTENTS, chunk_name, part_and_number, part_chunk_name, place, without_place};
pub use retention::{Keep, Kept, expired};
pub use rows::{Piece, Pieces, RowHasher};
pub use schema::schema_differences;
pub use signature::{Signature, signed_bytes};
pub use verified::{VERIFIED_BYTES_MAX, Verified};

use std::fmt;

/// Bytes of a chunk before it is compressed; only the last of a part may have less.
pub const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes that a chunk's file may have. What does not compress grows by less than this.
pub const CHUNK_FILE_BYTES_MAX: u64 = CHUNK_BYTES as u64 + 1024 * 1024;
/// Most bytes of the contents, before compression and after.
pub const CONTENTS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most bytes of a manifest: enough for about 8 TiB of chunks.
pub const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most bytes of a file with a wrapped key.
pub const KEY_BYTES_MAX: u64 = 1024 * 1024;
/// Fewest digits of the number in an id.
const ID_DIGITS_MIN: usize = 13;
/// Most digits of the number in an id.
const ID_DIGITS_MAX: usize = 16;
/// What ids begin with.
const ID_PREFIX: &str = "backup_";

/// Name of a backup: `backup_` and the milliseconds since 1970 (UTC) when it began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(String);

impl BackupId {
    /// The id of a backup that begins at `ms`, milliseconds since 1970.
    pub fn at(ms: i64) -> BackupId {
        BackupId(format!("{ID_PREFIX}{:0width$}", ms.max(0), width = ID_DIGITS_MIN))
    }

    /// Reads an id; `None` if it is not one. So an id never leaves the folder of backups.
    pub fn parse(text: &str) -> Option<BackupId> {
        let digits = text.strip_prefix(ID_PREFIX)?;
        let fits = (ID_DIGITS_MIN..=ID_DIGITS_MAX).contains(&digits.len());
        let valid = fits && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| BackupId(text.to_owned()))
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `bytes` in lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads lower-case hexadecimal digits; `None` for anything else, or another length than `N`.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != N * 2 || !text.bytes().all(lower) {
        return None;
    }
    let mut out = [0; N];
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly() {
        assert_eq!(BackupId::at(1_712_345_678_901).as_str(), "backup_1712345678901");
        assert_eq!(BackupId::at(5).as_str(), "backup_0000000000005");
        assert!(BackupId::parse("backup_1712345678901").is_some());
        for wrong in [
            "",
            "backup_",
            "backup_171234567890",
            "backup_17123456789012345",
            "backup_171234567890x",
            "backup_../../../etc/passwd",
            "Backup_1712345678901",
            " backup_1712345678901",
            "backup_1712345678901/",
            "backup_\u{0661}712345678901",
        ] {
            assert_eq!(BackupId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hexadecimal_digits() {
        assert_eq!(to_hex(&[0, 255, 16]), "00ff10");
        assert_eq!(from_hex("00ff10"), Some([0, 255, 16]));
        for wrong in ["00FF10", "00ff1", "00ff1g", "00ff1000", "+0ff10"] {
            assert_eq!(from_hex::<3>(wrong), None, "{wrong}");
        }
    }
}
