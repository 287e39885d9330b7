//! The signature's file: one line, in one form only.

use super::{Damage, from_hex, to_hex};

/// What the line begins with.
const HEAD: &str = "whimbrel-signature 1 ";
/// What is signed before the manifest, so that a signature means nothing elsewhere.
const DOMAIN: &[u8] = b"whimbrel-backup-manifest 1\0";

/// An Ed25519 signature and the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The public key.
    pub public: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
}

impl Signature {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{HEAD}{} {}\n", to_hex(&self.public), to_hex(&self.signature)).into_bytes()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is in any other form than [`Signature::to_bytes`] gives.
    pub fn parse(bytes: &[u8]) -> Result<Signature, Damage> {
        let read = || {
            let text = std::str::from_utf8(bytes).ok()?;
            let (public, signature) =
                text.strip_prefix(HEAD)?.strip_suffix('\n')?.split_once(' ')?;
            Some(Signature { public: from_hex(public)?, signature: from_hex(signature)? })
        };
        read().ok_or(Damage::SignatureForm)
    }
}

/// The bytes that are signed for a manifest.
pub fn signed_bytes(manifest: &[u8]) -> Vec<u8> {
    [DOMAIN, manifest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_gives_another_signature_or_none() {
        let signature = Signature { public: [0xa1; 32], signature: [0x5e; 64] };
        let bytes = signature.to_bytes();
        assert_eq!(Signature::parse(&bytes), Ok(signature));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Signature::parse(&changed), Ok(signature), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Signature::parse(&bytes[..length]), Err(Damage::SignatureForm));
        }
        assert_eq!(Signature::parse(&[&bytes[..], b"\n"].concat()), Err(Damage::SignatureForm));
    }
}
