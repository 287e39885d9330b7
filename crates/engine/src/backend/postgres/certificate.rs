//! What is read from a certificate directly, because webpki does not give it or refuses to read it:
//! the signature's hash (for channel binding), the common name, and version 1 certificates, which
//! PostgreSQL's own documentation lets people make.

use rustls::pki_types::SignatureVerificationAlgorithm;
use sha2::{Digest, Sha256, Sha384, Sha512};
use whimbrel_core::calendar::days_from_civil;

/// The parts of a certificate, as slices of its DER.
pub(super) struct Certificate<'a> {
    /// Version 1: no extensions at all.
    pub(super) is_v1: bool,
    /// The issuer's name.
    pub(super) issuer: &'a [u8],
    /// The subject's name.
    pub(super) subject: &'a [u8],
    /// Seconds since 1970 from which and until which it is valid.
    pub(super) validity: (i64, i64),
    /// The `CN` of the subject.
    pub(super) common_name: Option<String>,
    /// It names hosts or addresses in an extension, so that the common name does not count.
    pub(super) names_hosts: bool,
    key_algorithm: &'a [u8],
    key: &'a [u8],
    signed: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-ce-subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// `dNSName` and `iPAddress` of a GeneralName.
const HOST_NAMES: [u8; 2] = [0x82, 0x87];

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` if it is not well-formed.
    pub(super) fn read(der: &'a [u8]) -> Option<Certificate<'a>> {
        let mut outer = Reader(Reader(der).take(SEQUENCE)?);
        let before = outer.0;
        let mut tbs = Reader(outer.take(SEQUENCE)?);
        let signed = before.get(..before.len().checked_sub(outer.0.len())?)?;
        let signature_algorithm = outer.take(SEQUENCE)?;
        let signature = bits(outer.take(BIT_STRING)?)?;
        let is_v1 = tbs.optional(CONTEXT_0).is_none();
        tbs.take(INTEGER)?;
        tbs.take(SEQUENCE)?;
        let issuer = tbs.take(SEQUENCE)?;
        let mut validity = Reader(tbs.take(SEQUENCE)?);
        let validity = (time(&mut validity)?, time(&mut validity)?);
        let subject = tbs.take(SEQUENCE)?;
        let mut key_info = Reader(tbs.take(SEQUENCE)?);
        let key_algorithm = key_info.take(SEQUENCE)?;
        let key = bits(key_info.take(BIT_STRING)?)?;
        Some(Certificate {
            is_v1,
            issuer,
            subject,
            validity,
            common_name: common_name(subject),
            names_hosts: names_hosts(tbs),
            key_algorithm,
            key,
            signed,
            signature_algorithm,
            signature,
        })
    }

    /// Whether `issuer`'s key made this certificate's signature.
    pub(super) fn is_signed_by(
        &self,
        issuer: &Certificate<'_>,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == self.signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == issuer.key_algorithm
        };
        algorithms.iter().filter(fits).any(|algorithm| {
            algorithm.verify_signature(issuer.key, self.signed, self.signature).is_ok()
        })
    }

    /// Whether this certificate's key made a signature, by one of the algorithms.
    pub(super) fn has_signed(
        &self,
        message: &[u8],
        signature: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.public_key_alg_id().as_ref() == self.key_algorithm
        };
        algorithms
            .iter()
            .filter(fits)
            .any(|algorithm| algorithm.verify_signature(self.key, message, signature).is_ok())
    }
}

/// The `tls-server-end-point` of RFC 5929: the certificate's hash by the hash of its own signature,
/// SHA-256 in place of MD5 and SHA-1. `None` where the signature has no single hash (Ed25519).
pub(super) fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::read(der)?;
    Some(match signature_hash(certificate.signature_algorithm)? {
        Hash::Sha256 => Sha256::digest(der).to_vec(),
        Hash::Sha384 => Sha384::digest(der).to_vec(),
        Hash::Sha512 => Sha512::digest(der).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The hash in an AlgorithmIdentifier's content.
fn signature_hash(algorithm: &[u8]) -> Option<Hash> {
    /// 1.2.840.113549.1.1, RSA's own numbers.
    const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    /// 1.2.840.10045.4, signatures with ECDSA.
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let mut reader = Reader(algorithm);
    let oid = reader.take(OID)?;
    if let Some(number) = oid.strip_prefix(PKCS1) {
        return match number {
            // md5WithRSA, sha1WithRSA, sha256WithRSA
            [4 | 5 | 11] => Some(Hash::Sha256),
            [12] => Some(Hash::Sha384),
            [13] => Some(Hash::Sha512),
            [10] => pss_hash(reader),
            _ => None,
        };
    }
    match oid.strip_prefix(ECDSA)? {
        // ecdsa-with-SHA1 and ecdsa-with-SHA256
        [1] | [3, 2] => Some(Hash::Sha256),
        [3, 3] => Some(Hash::Sha384),
        [3, 4] => Some(Hash::Sha512),
        _ => None,
    }
}

/// RSASSA-PSS says its hash in the parameters; without one it is SHA-1.
fn pss_hash(mut parameters: Reader<'_>) -> Option<Hash> {
    /// 2.16.840.1.101.3.4.2, NIST's hashes.
    const NIST: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    let mut fields = Reader(parameters.take(SEQUENCE)?);
    let Some(hash) = fields.optional(CONTEXT_0) else { return Some(Hash::Sha256) };
    let oid = Reader(Reader(hash).take(SEQUENCE)?).take(OID)?;
    match oid.strip_prefix(NIST) {
        Some([1]) | None => Some(Hash::Sha256),
        Some([2]) => Some(Hash::Sha384),
        Some([3]) => Some(Hash::Sha512),
        Some(_) => None,
    }
}

fn common_name(subject: &[u8]) -> Option<String> {
    let mut names = Reader(subject);
    let mut found = None;
    while let Some(set) = names.optional(SET) {
        let mut attributes = Reader(set);
        while let Some(attribute) = attributes.optional(SEQUENCE) {
            let mut parts = Reader(attribute);
            if parts.take(OID)? == COMMON_NAME {
                let (_, value) = parts.next()?;
                // A NUL would cut the name short for whoever compares it.
                found = std::str::from_utf8(value).ok().filter(|name| !name.contains('\0'));
            }
        }
    }
    found.map(str::to_owned)
}

/// Whether the extensions behind the public key hold a host's name or address.
fn names_hosts(mut tbs: Reader<'_>) -> bool {
    while let Some((tag, content)) = tbs.next() {
        if tag == CONTEXT_3 {
            return alternative_names(content).is_some_and(|mut names| {
                std::iter::from_fn(|| names.next()).any(|(tag, _)| HOST_NAMES.contains(&tag))
            });
        }
    }
    false
}

fn alternative_names(extensions: &[u8]) -> Option<Reader<'_>> {
    let mut list = Reader(Reader(extensions).take(SEQUENCE)?);
    while let Some(extension) = list.optional(SEQUENCE) {
        let mut parts = Reader(extension);
        if parts.take(OID)? != ALTERNATIVE_NAMES {
            continue;
        }
        while let Some((tag, content)) = parts.next() {
            if tag == OCTET_STRING {
                return Reader(content).take(SEQUENCE).map(Reader);
            }
        }
    }
    None
}

/// The bytes of a BIT STRING of whole bytes.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(&[0])
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` in seconds since 1970.
fn time(reader: &mut Reader<'_>) -> Option<i64> {
    let (tag, content) = reader.next()?;
    let text = std::str::from_utf8(content).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let field = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days_from_civil(year, field(0)?, field(2)?);
    Some(((days * 24 + field(4)?) * 60 + field(6)?) * 60 + field(8)?)
}

/// Reads DER values one after the other.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Tag and content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.is_empty() || bytes.len() > 4 {
                return None;
            }
            length = bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.optional(tag)
    }

    /// The next value's content if it has this tag; else it stays.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let before = *self;
        match self.next() {
            Some((found, content)) if found == tag => Some(content),
            _ => {
                *self = before;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let read = |tag: u8, text: &str| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend_from_slice(text.as_bytes());
            time(&mut Reader(&der))
        };
        assert_eq!(read(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, "000229123456Z"), Some(951_827_696));
        assert_eq!(read(GENERALIZED_TIME, "20991231235959Z"), Some(4_102_444_799));
        assert_eq!(read(UTC_TIME, "70"), None);
        assert_eq!(read(OID, "700101000000Z"), None);
    }

    #[test]
    fn broken_der_is_no_certificate() {
        for der in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], b"abc"]
        {
            assert!(Certificate::read(der).is_none());
            assert!(end_point(der).is_none());
        }
    }

    #[test]
    fn hashes_of_signatures() {
        let hash = |oid: &[u8]| {
            let mut der = vec![OID, u8::try_from(oid.len()).unwrap()];
            der.extend_from_slice(oid);
            signature_hash(&der).map(|hash| hash as u8)
        };
        let rsa = |number| hash(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, number]);
        assert_eq!([rsa(5), rsa(11), rsa(12), rsa(13)], [Some(0), Some(0), Some(1), Some(2)]);
        assert_eq!(hash(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04]), Some(2));
        // Ed25519 has no hash of its own.
        assert_eq!(hash(&[0x2b, 0x65, 0x70]), None);
    }
}
