//! A file of a backup: place, compression, seal; and the way back.

use std::io::{Error, Read};

use whimbrel_core::backup::{BackupId, Damage, place, without_place};

use super::keys::DataKey;

/// How hard zstd tries. On databases 3 takes twice the time of 1 and is not smaller.
const LEVEL: i32 = 1;
/// Bytes that sealing and place add at most to what is compressed.
const OVERHEAD_BYTES_MAX: u64 = 64 * 1024;

/// Seals and opens the files of one backup.
pub(crate) struct Sealer {
    pub(super) id: BackupId,
    /// `None` without encryption.
    pub(super) key: Option<DataKey>,
}

impl Sealer {
    /// The bytes of the file that is called `name` in its place.
    pub(super) fn seal(&self, name: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
        // All at once: a stream would copy it into a window of its own first.
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        let plain = [place(&self.id, name), compressor.compress(data)?].concat();
        match &self.key {
            Some(key) => key.seal(&plain),
            None => Ok(plain),
        }
    }

    /// The data of the file `file` that is called `name` in its place, at most `bytes_max` of it.
    pub(super) fn open(
        &self,
        (file, name): (&str, &str),
        sealed: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Damage> {
        let named = || file.to_owned();
        let plain = match &self.key {
            // What does not compress grows a little.
            Some(key) => key
                .open(&sealed, bytes_max.saturating_add(bytes_max / 128 + OVERHEAD_BYTES_MAX))
                .map_err(|reason| Damage::Sealed { file: named(), reason })?,
            None => sealed,
        };
        let frame = without_place(&plain, &self.id, name)
            .map_err(|found| Damage::Place { file: named(), found })?;
        decompress(frame, bytes_max).map_err(|reason| Damage::Compressed { file: named(), reason })
    }
}

fn decompress(frame: &[u8], bytes_max: u64) -> Result<Vec<u8>, String> {
    if frame.is_empty() {
        return Err("it is empty".to_owned());
    }
    let decoder = zstd::stream::read::Decoder::with_buffer(frame);
    let mut limited = decoder.map_err(|error| error.to_string())?.take(bytes_max.saturating_add(1));
    let mut out = Vec::new();
    limited.read_to_end(&mut out).map_err(|error| error.to_string())?;
    if out.len() as u64 > bytes_max {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_opens_at_its_place_only() {
        let data = b"rows and rows and rows and rows".repeat(100);
        for key in [Some(DataKey::generate()), None] {
            let sealer = Sealer { id: BackupId::at(1), key };
            let sealed = sealer.seal("000001", &data).unwrap();
            let open = |name, bytes: &[u8], max| sealer.open(("file", name), bytes.to_vec(), max);
            assert_eq!(open("000001", &sealed, 4_096), Ok(data.clone()));
            let other = open("000002", &sealed, 4_096);
            assert!(matches!(other, Err(Damage::Place { .. })), "{other:?}");
            let small = open("000001", &sealed, 100);
            assert!(matches!(small, Err(Damage::Compressed { .. })), "{small:?}");
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << (at % 8);
                // A frame's header has bits that mean nothing; the file's hash covers those.
                if sealer.key.is_some() {
                    assert!(open("000001", &changed, 4_096).is_err(), "changed at {at}");
                }
                assert!(open("000001", &sealed[..at], 4_096).is_err(), "cut at {at}");
            }
        }
        let foreign = Sealer { id: BackupId::at(1), key: Some(DataKey::generate()) };
        let one = Sealer { id: BackupId::at(1), key: Some(DataKey::generate()) };
        let sealed = foreign.seal("000001", &data).unwrap();
        let opened = one.open(("file", "000001"), sealed, 4_096);
        assert!(matches!(opened, Err(Damage::Sealed { .. })), "{opened:?}");
    }
}
