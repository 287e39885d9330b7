//! `manifest.json`: what there is, readable without any key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    BackupId, CHUNK_FILE_BYTES_MAX, CONTENTS_BYTES_MAX, Damage, KEY_BYTES_MAX, chunk_name,
    from_hex, part_and_number,
};

const FORMAT: &str = "whimbrel-backup";
/// Newest version of the format.
const VERSION: u32 = 1;
/// The folder of the chunks.
const CHUNKS: &str = "chunks/";
/// The wrapped data key for recipients, and for a passphrase.
const KEYS: [&str; 2] = ["key.age", "key.passphrase.age"];

/// How chunks and contents are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sealed {
    /// As age files for the data key.
    Age,
    /// Not at all.
    None,
}

impl Sealed {
    /// What the names of sealed files end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Sealed::Age => ".zst.age",
            Sealed::None => ".zst",
        }
    }
}

/// A file of the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the backup's folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A file as it lies there: its length and SHA-256, or why it cannot be read.
pub type FoundFile = Result<(u64, String), String>;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u32,
    /// Name of the backup's folder.
    pub id: String,
    /// UUID of the database, if it has a ledger.
    pub database_id: Option<String>,
    /// Environment of the ledger; empty without one.
    pub environment: String,
    /// Kind of database.
    pub engine: String,
    /// Its version, as it says it.
    pub engine_version: String,
    /// Version of Whimbrel.
    pub tool_version: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when it is kept, in milliseconds since 1970.
    pub expires_ms: i64,
    /// Bytes of all chunks before compression.
    pub data_bytes: u64,
    /// How it is sealed.
    pub sealed: Sealed,
    /// The wrapped data key.
    pub keys: Vec<FileEntry>,
    /// Tables, rows and digests.
    pub contents: FileEntry,
    /// The data.
    pub chunks: Vec<FileEntry>,
}

/// As much as every version has.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Manifest {
    /// A manifest of this version without files; the rest is to be filled in.
    pub fn new(id: &BackupId, sealed: Sealed) -> Manifest {
        let contents = FileEntry { file: contents_file(sealed), bytes: 0, sha256: String::new() };
        Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: id.to_string(),
            database_id: None,
            environment: String::new(),
            engine: String::new(),
            engine_version: String::new(),
            tool_version: String::new(),
            created_ms: 0,
            expires_ms: 0,
            data_bytes: 0,
            sealed,
            keys: Vec::new(),
            contents,
            chunks: Vec::new(),
        }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, texts and lists only: there is nothing that could fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the manifest of the backup `id`. Its signature is checked before.
    ///
    /// # Errors
    /// When it is none, is of a later version or of another backup, or says what cannot be.
    pub fn parse(bytes: &[u8], id: &BackupId) -> Result<Manifest, Damage> {
        let wrong = |reason: String| Damage::Manifest { reason };
        let head: Head = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if head.format != FORMAT {
            return Err(wrong(format!("its format is `{}`", head.format)));
        }
        if head.version > VERSION {
            return Err(Damage::NewerFormat { found: head.version, known: VERSION });
        }
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.to_bytes() != bytes {
            return Err(wrong("it is not in the form in which it is written".to_owned()));
        }
        if manifest.id != id.as_str() {
            return Err(Damage::OtherBackup { found: manifest.id });
        }
        manifest.check().map_err(wrong)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let expected = if self.sealed == Sealed::None { 0..=0 } else { 1..=KEYS.len() };
        if !expected.contains(&self.keys.len()) {
            return Err(format!("it has {} keys", self.keys.len()));
        }
        let mut names = BTreeSet::new();
        for key in &self.keys {
            let known = KEYS.contains(&key.file.as_str()) && names.insert(&key.file);
            check_file(key, known, KEY_BYTES_MAX)?;
        }
        let known = self.contents.file == contents_file(self.sealed);
        check_file(&self.contents, known, CONTENTS_BYTES_MAX)?;
        let mut before = None;
        for (index, chunk) in self.chunks.iter().enumerate() {
            let name = self.place_of(chunk);
            let follows = match (before, part_and_number(name)) {
                (None, None) => name == chunk_name(index + 1),
                (None, Some((_, number))) => index == 0 && number == 1,
                (Some(_), None) => false,
                (Some((part, last)), Some((next, number))) => {
                    (next == part && number == last + 1) || (next > part && number == 1)
                }
            };
            before = part_and_number(name);
            let known = follows && chunk.file == self.chunk_file(name);
            check_file(chunk, known, CHUNK_FILE_BYTES_MAX)?;
        }
        if self.expires_ms < self.created_ms {
            return Err("it expires before it was made".to_owned());
        }
        Ok(())
    }

    /// Name of the file of the chunk with this name in its place.
    pub fn chunk_file(&self, name: &str) -> String {
        format!("{CHUNKS}{name}{}", self.sealed.suffix())
    }

    /// What a chunk is called in its place.
    pub fn place_of<'a>(&self, chunk: &'a FileEntry) -> &'a str {
        let name = chunk.file.strip_prefix(CHUNKS).unwrap_or_default();
        name.strip_suffix(self.sealed.suffix()).unwrap_or_default()
    }

    /// The chunks of the part `part`, from 1, where there are several parts.
    pub fn chunks_of(&self, part: usize) -> impl Iterator<Item = &FileEntry> {
        let is_in = move |name: &str| part_and_number(name).is_some_and(|(one, _)| one == part);
        self.chunks.iter().filter(move |chunk| is_in(self.place_of(chunk)))
    }

    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.keys.iter().chain([&self.contents]).chain(&self.chunks)
    }

    /// Bytes of all files that it names.
    pub fn stored_bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    /// Holds the files that are there against those that were written; every one is named that is
    /// not the same. The manifest and its signature are not among them.
    pub fn compare(&self, found: &BTreeMap<String, FoundFile>) -> Vec<Damage> {
        let places: BTreeMap<&str, &str> =
            self.files().map(|one| (one.sha256.as_str(), one.file.as_str())).collect();
        let mut out = Vec::new();
        for entry in self.files() {
            let file = entry.file.clone();
            match found.get(&file) {
                None => out.push(Damage::Missing { file }),
                Some(Err(reason)) => out.push(Damage::Unreadable { file, reason: reason.clone() }),
                Some(Ok((_, sha256))) if *sha256 == entry.sha256 => {}
                Some(Ok((bytes, sha256))) => out.push(match places.get(sha256.as_str()) {
                    Some(other) => Damage::Exchanged { file, other: (*other).to_owned() },
                    None if *bytes != entry.bytes => {
                        Damage::Length { file, expected: entry.bytes, found: *bytes }
                    }
                    None => Damage::Bytes { file },
                }),
            }
        }
        let named: BTreeSet<&str> = self.files().map(|one| one.file.as_str()).collect();
        let extra = found.keys().filter(|file| !named.contains(file.as_str()));
        out.extend(extra.map(|file| Damage::Extra { file: file.clone() }));
        out
    }
}

fn check_file(entry: &FileEntry, known: bool, bytes_max: u64) -> Result<(), String> {
    if !known {
        return Err(format!("the file `{}` is not at its place", entry.file));
    }
    if entry.bytes > bytes_max {
        return Err(format!("`{}` has more than {bytes_max} bytes", entry.file));
    }
    match from_hex::<32>(&entry.sha256) {
        Some(_) => Ok(()),
        None => Err(format!("`{}` has no SHA-256", entry.file)),
    }
}

/// Name of the contents' file.
fn contents_file(sealed: Sealed) -> String {
    format!("contents{}", sealed.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, digit: char) -> FileEntry {
        FileEntry { file: file.to_owned(), bytes: 10, sha256: digit.to_string().repeat(64) }
    }

    fn manifest() -> (BackupId, Manifest) {
        let id = BackupId::at(1_712_345_678_901);
        let mut manifest = Manifest::new(&id, Sealed::Age);
        manifest.engine = "sqlite".to_owned();
        manifest.keys = vec![entry("key.age", '1')];
        manifest.contents = entry("contents.zst.age", '2');
        manifest.chunks =
            vec![entry("chunks/000001.zst.age", '3'), entry("chunks/000002.zst.age", '4')];
        (id, manifest)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let (id, manifest) = manifest();
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::parse(&bytes, &id), Ok(manifest));
        let text = String::from_utf8(bytes).unwrap();
        for (from, to, message) in [
            ("whimbrel-backup", "other", "its format is `other`"),
            ("\"version\": 1", "\"version\": 2", "It has format 2, and this version"),
            ("\"version\": 1", "\"version\": -1", "is not the manifest"),
            ("5678901\"", "5678902\"", "is that of `backup_1712345678902`"),
            ("\n}", ",\n  \"more\": 1\n}", "unknown field `more`"),
            ("\"data_bytes\": 0", "\"data_bytes\":  0", "not in the form"),
            ("\"expires_ms\": 0", "\"expires_ms\": -1", "expires before"),
            ("000002.zst", "000003.zst", "not at its place"),
            ("chunks/000001", "../chunks/000001", "not at its place"),
            ("key.age", "key.passphrase.ag", "not at its place"),
            ("\"sealed\": \"age\"", "\"sealed\": \"none\"", "it has 1 keys"),
            ("\"sealed\": \"age\"", "\"sealed\": \"rot13\"", "unknown variant"),
            ("3333", "333G", "has no SHA-256"),
            ("\"bytes\": 10", "\"bytes\": 99999999999", "more than"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let damage = Manifest::parse(changed.as_bytes(), &id).unwrap_err();
            assert!(damage.to_string().contains(message), "{from}: {damage}");
        }
    }

    #[test]
    fn chunks_of_several_parts_follow_each_other() {
        let (id, mut manifest) = manifest();
        let with = |manifest: &mut Manifest, names: &[&str]| {
            let file = |name: &&str| entry(&format!("chunks/{name}.zst.age"), '3');
            manifest.chunks = names.iter().map(file).collect();
            Manifest::parse(&manifest.to_bytes(), &id)
        };
        let good = ["00001-000001", "00001-000002", "00003-000001"];
        let read = with(&mut manifest, &good).unwrap();
        assert_eq!(read.chunks_of(1).count(), 2);
        assert_eq!(read.chunks_of(2).count(), 0);
        assert_eq!(read.place_of(&read.chunks[2]), "00003-000001");
        for wrong in [
            ["00001-000002", "00001-000003", "00003-000001"],
            ["00001-000001", "00001-000003", "00003-000001"],
            ["00001-000001", "00001-000002", "00003-000002"],
            ["00003-000001", "00001-000001", "00001-000002"],
            ["000001", "000002", "00003-000001"],
            ["00001-000001", "000002", "000003"],
            ["00001-000001", "00001-000001", "00001-000002"],
        ] {
            assert!(with(&mut manifest, &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_bad_file_is_named() {
        let (_, manifest) = manifest();
        let good: BTreeMap<String, FoundFile> = manifest
            .files()
            .map(|one| (one.file.clone(), Ok((one.bytes, one.sha256.clone()))))
            .collect();
        assert_eq!(manifest.compare(&good), []);
        let mut bad = good.clone();
        bad.remove("key.age");
        bad.insert("contents.zst.age".to_owned(), Err("Is a directory".to_owned()));
        bad.insert("chunks/000001.zst.age".to_owned(), Ok((10, "4".repeat(64))));
        bad.insert("chunks/000002.zst.age".to_owned(), Ok((9, "5".repeat(64))));
        bad.insert("notes.txt".to_owned(), Ok((1, "6".repeat(64))));
        let words: Vec<String> = manifest.compare(&bad).iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "`key.age` is missing",
                "`contents.zst.age` cannot be read: Is a directory",
                "`chunks/000001.zst.age` holds what belongs into `chunks/000002.zst.age`",
                "`chunks/000002.zst.age` has 9 bytes in place of 10",
                "`notes.txt` does not belong to the backup",
            ]
        );
        bad = good;
        bad.insert("chunks/000002.zst.age".to_owned(), Ok((10, "5".repeat(64))));
        assert_eq!(
            manifest.compare(&bad),
            [Damage::Bytes { file: "chunks/000002.zst.age".to_owned() }]
        );
    }
}
