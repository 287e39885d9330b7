//! What a backup holds; sealed like the chunks, as names and numbers of rows are nobody's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Damage, Manifest, part_and_number};

/// Chunks that belong together, one part after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is; SQLite has one part, `database`.
    pub name: String,
    /// Of which table it holds the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsOf>,
    /// How many chunks.
    pub chunks: u64,
    /// Bytes before compression.
    pub bytes: u64,
}

/// A table whose rows are a part of a backup, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsOf {
    /// Its schema; empty where the database has none (MariaDB).
    pub schema: String,
    /// Its name.
    pub table: String,
    /// The columns that are in the text, in their order; generated ones are not.
    pub columns: Vec<String>,
    /// `WHERE ...`: of a table that belongs to an extension, which rows are the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

impl RowsOf {
    /// The table's name as people write it.
    pub fn name(&self) -> String {
        if self.schema.is_empty() {
            return self.table.clone();
        }
        format!("{}.{}", self.schema, self.table)
    }
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableDigest {
    /// Its name.
    pub name: String,
    /// How many.
    pub rows: u64,
    /// Digest over all of them, in hexadecimal digits.
    pub digest: String,
}

/// The contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Which chunks belong together.
    pub parts: Vec<Part>,
    /// The tables, ordered by name.
    pub tables: Vec<TableDigest>,
    /// File names of the applied migrations, in the order of applying.
    pub migrations: Vec<String>,
    /// What a new database must be made with: names and values, as the database calls them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub database: BTreeMap<String, String>,
    /// Rows of some tables only are there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What was in the database and is not in the backup, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl Contents {
    /// The bytes that are compressed and sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and lists only: there is nothing that could fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the contents of a backup with so many chunks and bytes.
    ///
    /// # Errors
    /// When they are none, or do not fit.
    pub fn parse(bytes: &[u8], chunks: usize, data_bytes: u64) -> Result<Contents, Damage> {
        let wrong = |reason: String| Damage::Contents { reason };
        let contents: Contents =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let sum =
            |of: fn(&Part) -> u64| contents.parts.iter().map(of).try_fold(0u64, u64::checked_add);
        if sum(|part| part.chunks) != Some(chunks as u64) {
            return Err(wrong(format!("there are {chunks} chunks")));
        }
        if sum(|part| part.bytes) != Some(data_bytes) {
            return Err(wrong(format!("there are {data_bytes} bytes")));
        }
        Ok(contents)
    }

    /// Holds the parts, where there are several, against the chunks of the manifest.
    ///
    /// # Errors
    /// When a part has other chunks than it should have.
    pub fn fits(&self, manifest: &Manifest) -> Result<(), Damage> {
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        let names = manifest.chunks.iter().map(|chunk| manifest.place_of(chunk));
        for (part, _) in names.filter_map(part_and_number) {
            *counts.entry(part).or_default() += 1;
        }
        if counts.is_empty() {
            return Ok(());
        }
        for (index, part) in self.parts.iter().enumerate() {
            let found = counts.remove(&(index + 1)).unwrap_or(0);
            if found != part.chunks {
                let name = &part.name;
                let reason = format!("`{name}` has {found} chunks in place of {}", part.chunks);
                return Err(Damage::Contents { reason });
            }
        }
        match counts.keys().next() {
            Some(part) => Err(Damage::Contents { reason: format!("there is no part {part}") }),
            None => Ok(()),
        }
    }

    /// Holds the tables of a restored database against those that were saved.
    pub fn compare(&self, restored: &[TableDigest]) -> Vec<Damage> {
        let rows_of = |tables: &[TableDigest], name: &str| {
            tables.iter().find(|one| one.name == name).map_or(0, |one| one.rows)
        };
        let differing = |table: &&TableDigest| !restored.contains(table);
        let missing = self.tables.iter().filter(differing).map(|table| Damage::Rows {
            table: table.name.clone(),
            expected: table.rows,
            found: rows_of(restored, &table.name),
        });
        let unknown = |table: &&TableDigest| self.tables.iter().all(|one| one.name != table.name);
        let extra = restored.iter().filter(unknown).map(|table| Damage::Rows {
            table: table.name.clone(),
            expected: 0,
            found: table.rows,
        });
        missing.chain(extra).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, digest: &str) -> TableDigest {
        TableDigest { name: name.to_owned(), rows, digest: digest.to_owned() }
    }

    #[test]
    fn parts_must_make_up_the_chunks() {
        let part = |chunks, bytes| Part { name: "database".to_owned(), rows: None, chunks, bytes };
        let contents = Contents { parts: vec![part(2, 100)], ..Contents::default() };
        assert_eq!(Contents::parse(&contents.to_bytes(), 2, 100), Ok(contents.clone()));
        assert!(Contents::parse(&contents.to_bytes(), 3, 100).is_err());
        assert!(Contents::parse(&contents.to_bytes(), 2, 101).is_err());
        let overflow = vec![part(u64::MAX, 0), part(3, 100)];
        let contents = Contents { parts: overflow, ..Contents::default() };
        assert!(Contents::parse(&contents.to_bytes(), 2, 100).is_err());
        assert!(Contents::parse(b"{}", 0, 0).is_err());
    }

    #[test]
    fn tables_that_differ_are_named() {
        let tables = vec![table("a", 1, "x"), table("b", 2, "y"), table("c", 3, "z")];
        let saved = Contents { tables: tables.clone(), ..Contents::default() };
        assert_eq!(saved.compare(&tables), []);
        let restored = [table("a", 1, "other"), table("b", 2, "y"), table("d", 4, "z")];
        let names: Vec<String> = saved.compare(&restored).iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        for (line, name) in names.iter().zip(["`a`", "`c`", "`d`"]) {
            assert!(line.starts_with(name), "{line}");
        }
    }
}
