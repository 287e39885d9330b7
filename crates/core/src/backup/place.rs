//! Where a sealed file belongs, written inside of it where `zstd -d` passes over it.

use super::BackupId;

/// Name of the contents in a place.
pub const CONTENTS: &str = "contents";
/// First bytes of a skippable frame (RFC 8878, 3.1.2: 0x184D2A50, the lowest byte first).
const MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// Most bytes of a place's text.
const TEXT_BYTES_MAX: usize = 256;

/// Name of a chunk in a place, from 1, where all chunks are one part.
pub fn chunk_name(number: usize) -> String {
    format!("{number:06}")
}

/// Name of a chunk in a place where there are several parts: the part, from 1, and the chunk's
/// number in it, from 1.
pub fn part_chunk_name(part: usize, number: usize) -> String {
    format!("{part:05}-{number:06}")
}

/// Part and number of a name that [`part_chunk_name`] has made; `None` for any other text.
pub fn part_and_number(name: &str) -> Option<(usize, usize)> {
    let (part, number) = name.split_once('-')?;
    let (part, number) = (part.parse().ok()?, number.parse().ok()?);
    (part > 0 && number > 0 && part_chunk_name(part, number) == name).then_some((part, number))
}

/// The frame with the place of the file `name` of a backup.
pub fn place(id: &BackupId, name: &str) -> Vec<u8> {
    let text = text(id, name);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&MAGIC[..], &length.to_le_bytes(), text.as_bytes()].concat()
}

fn text(id: &BackupId, name: &str) -> String {
    format!("whimbrel-backup 1 {id} {name}")
}

/// What follows the place of the file `name`.
///
/// # Errors
/// The place that is there instead; empty when there is none.
pub fn without_place<'a>(bytes: &'a [u8], id: &BackupId, name: &str) -> Result<&'a [u8], String> {
    let Some((found, rest)) = split(bytes) else { return Err(String::new()) };
    if found == text(id, name).as_bytes() {
        return Ok(rest);
    }
    let words = String::from_utf8_lossy(found);
    let short = words.strip_prefix("whimbrel-backup 1 ").unwrap_or(&words);
    Err(short.to_owned())
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if *magic != MAGIC || length > TEXT_BYTES_MAX {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_chunks_are_read_strictly() {
        assert_eq!(part_and_number("00012-000345"), Some((12, 345)));
        assert_eq!(part_and_number("100000-1000000"), Some((100_000, 1_000_000)));
        for wrong in ["", "000001", "1-1", "00000-000001", "00001-000000", "00001-0000012", "-"] {
            assert_eq!(part_and_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_place_is_found_again_and_another_one_is_named() {
        let (id, other) = (BackupId::at(1), BackupId::at(2));
        let file = [place(&id, "000001"), b"rest".to_vec()].concat();
        assert_eq!(without_place(&file, &id, "000001"), Ok(&b"rest"[..]));
        let there = "backup_0000000000001 000001".to_owned();
        assert_eq!(without_place(&file, &id, "000002"), Err(there.clone()));
        assert_eq!(without_place(&file, &other, "000001"), Err(there));
        for cut in 0..file.len() - 4 {
            assert_eq!(without_place(&file[..cut], &id, "000001"), Err(String::new()), "{cut}");
        }
        assert_eq!(without_place(b"PK\x03\x04 no place at all", &id, "x"), Err(String::new()));
    }
}
