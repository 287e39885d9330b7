//! The mark beside a backup that says when it was restored and compared.

use super::{Signature, from_hex, to_hex};

/// What the line begins with.
const HEAD: &str = "whimbrel-verified 1 ";
/// What is signed before the rest, so that a signature means nothing elsewhere.
const DOMAIN: &str = "whimbrel-backup-verified 1\0";
/// Most bytes of the file.
pub const VERIFIED_BYTES_MAX: u64 = 1_024;

/// The mark; its signature is yet to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// SHA-256 of the manifest.
    pub manifest: [u8; 32],
}

impl Verified {
    /// The bytes that are signed.
    pub fn signed_bytes(&self) -> Vec<u8> {
        format!("{DOMAIN}{}", self.words()).into_bytes()
    }

    fn words(&self) -> String {
        format!("{} {}", self.at_ms, to_hex(&self.manifest))
    }

    /// The file's bytes.
    pub fn to_bytes(&self, signature: &Signature) -> Vec<u8> {
        let (public, signed) = (to_hex(&signature.public), to_hex(&signature.signature));
        format!("{HEAD}{} {public} {signed}\n", self.words()).into_bytes()
    }

    /// Reads the file; `None` when it is in any other form than [`Verified::to_bytes`] gives.
    pub fn parse(bytes: &[u8]) -> Option<(Verified, Signature)> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(HEAD)?.strip_suffix('\n')?;
        let mut words = text.split(' ');
        let at_ms = words.next()?.parse().ok()?;
        let mark = Verified { at_ms, manifest: from_hex(words.next()?)? };
        let (public, signature) = (from_hex(words.next()?)?, from_hex(words.next()?)?);
        let signature = Signature { public, signature };
        (mark.to_bytes(&signature) == bytes).then_some((mark, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_gives_another_mark_or_none() {
        let mark = Verified { at_ms: 1_712_345_678_901, manifest: [0xa1; 32] };
        let signature = Signature { public: [0x07; 32], signature: [0x5e; 64] };
        let bytes = mark.to_bytes(&signature);
        assert_eq!(Verified::parse(&bytes), Some((mark, signature)));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Verified::parse(&changed), Some((mark, signature)), "bit {bit}");
        }
        assert_eq!(Verified::parse(&bytes[..bytes.len() - 1]), None);
    }
}
