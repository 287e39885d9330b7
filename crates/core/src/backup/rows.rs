//! Rows of a table as lines of text: cut into pieces, and hashed, in whatever order they come.

use sha2::{Digest as _, Sha256};

use super::CHUNK_BYTES;
use crate::transfer::Summary;

/// Cuts the text of a table into pieces for chunks, which end with a row's end unless a row is
/// longer than a chunk.
#[derive(Debug, Default)]
pub struct Pieces {
    rest: Vec<u8>,
    /// What is given out next begins inside of a row.
    inside: bool,
}

/// Bytes for a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes, at most [`CHUNK_BYTES`].
    pub bytes: Vec<u8>,
    /// They are rows from their beginning to their end.
    pub whole: bool,
}

impl Pieces {
    /// Where more text goes: to the end of what is there.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.rest
    }

    /// The next piece, when there is more than one chunk takes.
    pub fn full(&mut self) -> Option<Piece> {
        let first = self.rest.get(..CHUNK_BYTES)?;
        if self.rest.len() == CHUNK_BYTES {
            return None;
        }
        let end = first.iter().rposition(|byte| *byte == b'\n').map_or(CHUNK_BYTES, |at| at + 1);
        Some(self.cut(end))
    }

    /// What is left at the end; none when nothing is.
    pub fn last(&mut self) -> Option<Piece> {
        (!self.rest.is_empty()).then(|| self.cut(self.rest.len()))
    }

    fn cut(&mut self, end: usize) -> Piece {
        let mut next = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
        next.extend_from_slice(self.rest.get(end..).unwrap_or_default());
        self.rest.truncate(end);
        let bytes = std::mem::replace(&mut self.rest, next);
        let ends = bytes.last() == Some(&b'\n');
        let whole = ends && !self.inside;
        self.inside = !ends;
        Piece { bytes, whole }
    }
}

/// Adds up the digests of rows that are lines of text.
#[derive(Clone, Debug, Default)]
pub struct RowHasher {
    summary: Summary,
    /// A row of which the end has not come yet.
    open: Option<Sha256>,
}

impl RowHasher {
    /// Adds text that follows the text before it.
    pub fn add(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some((row, after)) =
            memchr::memchr(b'\n', rest).and_then(|at| rest.split_at_checked(at))
        {
            let mut hash = self.open.take().unwrap_or_default();
            hash.update(row);
            self.close(hash);
            rest = after.get(1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            self.open.get_or_insert_default().update(rest);
        }
    }

    fn close(&mut self, hash: Sha256) {
        let bytes = hash.finalize();
        let digest = bytes.first_chunk::<16>().copied().map_or(0, u128::from_be_bytes);
        self.summary.add(digest, digest);
    }

    /// Adds rows that another one has seen.
    pub fn merge(&mut self, other: &RowHasher) {
        self.summary.merge(&other.summary);
    }

    /// How many rows there were, and the digest of all.
    pub fn finish(mut self) -> (u64, String) {
        if let Some(hash) = self.open.take() {
            self.close(hash);
        }
        (self.summary.rows(), self.summary.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8], step: usize) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        let mut out = Vec::new();
        for more in text.chunks(step) {
            pieces.buffer().extend_from_slice(more);
            while let Some(piece) = pieces.full() {
                out.push(piece);
            }
        }
        out.extend(pieces.last());
        out
    }

    #[test]
    fn pieces_end_with_rows_and_make_up_the_text() {
        let long = "x".repeat(CHUNK_BYTES * 2 + 17);
        let row = "y".repeat(1_000_003);
        let text = format!("a\nb\n{row}\n{row}\n{row}\n{row}\n{row}\n{long}\n\n{row}\nend\n");
        let whole = pieces(text.as_bytes(), 65_536);
        let joined: Vec<u8> = whole.iter().flat_map(|piece| piece.bytes.clone()).collect();
        assert!(joined == text.as_bytes());
        assert!(whole.iter().all(|piece| piece.bytes.len() <= CHUNK_BYTES));
        assert!(whole[0].whole && !whole.iter().all(|piece| piece.whole));
        for piece in whole.iter().filter(|piece| piece.whole) {
            assert_eq!(piece.bytes.last(), Some(&b'\n'));
        }
        // Pieces that are not whole follow each other until the row's end.
        let count = whole.iter().filter(|piece| !piece.whole).count();
        assert!(count >= 3, "{count}");
        assert_eq!(pieces(b"", 1), []);
    }

    #[test]
    fn digests_do_not_depend_on_order_or_cuts() {
        let of = |texts: &[&str]| {
            let mut hasher = RowHasher::default();
            texts.iter().for_each(|text| hasher.add(text.as_bytes()));
            hasher.finish()
        };
        let one = of(&["a\tb\nc\td\n\n"]);
        assert_eq!(one.0, 3);
        assert_eq!(of(&["\nc\t", "d\na", "\tb\n"]), one);
        let (mut left, mut right) = (RowHasher::default(), RowHasher::default());
        left.add(b"c\td\n");
        right.add(b"\na\tb\n");
        left.merge(&right);
        assert_eq!(left.finish(), one);
        assert_ne!(of(&["a\tb\nc\td\n"]), one);
        assert_ne!(of(&["a\tb\nc\te\n\n"]), one);
        // A row that comes twice counts twice.
        assert_ne!(of(&["a\n"]).1, of(&["a\na\n"]).1);
    }
}
