//! Keys: the data key of a backup, wrapped for those who may open it, and the key that signs.

use std::io::{Error, Read, Write};
use std::path::Path;

use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, scrypt, x25519};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use whimbrel_core::backup::{Damage, Signature, from_hex, signed_bytes, to_hex};
use whimbrel_core::secret::Secret;

use super::store::{make_private_folder, write_private};
use crate::error::EngineError;

/// The wrapped data key for recipients' keys.
const KEY_FILE: &str = "key.age";
/// The wrapped data key for a passphrase.
const PASSPHRASE_FILE: &str = "key.passphrase.age";
/// The project's folder for what is made here.
pub(super) const FOLDER: &str = ".whimbrel";
/// Work that a passphrase takes: 2^17 rounds of scrypt, 128 MiB and about half a second. It is not
/// measured on each machine, so that what a fast one has sealed opens on a slow one.
const WORK_FACTOR: u8 = 17;
/// Most work that opening may take: 2^20 rounds, 1 GiB.
const WORK_FACTOR_MAX: u8 = 20;
/// What the secret key's file begins with.
const SECRET_HEAD: &str = "whimbrel-signing-key 1 ";
/// What the public key's file begins with.
const PUBLIC_HEAD: &str = "whimbrel-public-key 1 ";
/// Names that a repository must not hold.
const IGNORED: &str = "/signing.key\n/backups/\n";

/// For whom a backup is sealed.
#[derive(Clone, Debug, Default)]
pub struct SealFor {
    /// Public age keys, `age1...`.
    pub recipients: Vec<String>,
    /// A passphrase.
    pub passphrase: Option<Secret>,
}

impl SealFor {
    /// Whether nobody is named.
    pub fn is_nobody(&self) -> bool {
        self.recipients.is_empty() && self.passphrase.is_none()
    }
}

/// A pair of keys for one proof: the public one, and what opens. Nobody has the secret one later.
pub(crate) fn for_once() -> (String, Secret) {
    let identity = x25519::Identity::generate();
    let secret = identity.to_string().expose_secret().to_owned();
    (identity.to_public().to_string(), Secret::new(secret))
}

/// What opens a backup.
#[derive(Clone, Debug, Default)]
pub struct OpenWith {
    /// Secret age keys, `AGE-SECRET-KEY-1...`, each alone or in the text of a key file.
    pub identities: Vec<Secret>,
    /// A passphrase.
    pub passphrase: Option<Secret>,
}

/// The key that seals the files of one backup.
pub(super) struct DataKey(x25519::Identity);

impl DataKey {
    pub(super) fn generate() -> DataKey {
        DataKey(x25519::Identity::generate())
    }

    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        age::encrypt(&self.0.to_public(), plain).map_err(|error| Error::other(error.to_string()))
    }

    /// The plain bytes, at most `bytes_max` of them.
    pub(super) fn open(&self, sealed: &[u8], bytes_max: u64) -> Result<Vec<u8>, String> {
        open(sealed, &self.0, bytes_max)
    }

    /// The key's files.
    pub(super) fn wrap(&self, to: &SealFor) -> Result<Vec<(&'static str, Vec<u8>)>, EngineError> {
        let mut text = self.0.to_string().expose_secret().to_owned();
        text.push('\n');
        let mut files = Vec::new();
        if !to.recipients.is_empty() {
            let recipients: Vec<x25519::Recipient> =
                to.recipients.iter().map(|one| recipient(one)).collect::<Result<_, _>>()?;
            let all = recipients.iter().map(|one| one as &dyn age::Recipient);
            files.push((KEY_FILE, encrypt(Encryptor::with_recipients(all), &text)?));
        }
        if let Some(passphrase) = &to.passphrase {
            let words = SecretString::from(passphrase.expose().to_owned());
            let mut one = scrypt::Recipient::new(words);
            one.set_work_factor(WORK_FACTOR);
            let all = std::iter::once(&one as &dyn age::Recipient);
            files.push((PASSPHRASE_FILE, encrypt(Encryptor::with_recipients(all), &text)?));
        }
        Ok(files)
    }

    /// Opens one of the key's files; `None` when nothing that was given opens it.
    pub(super) fn unwrap(file: &str, sealed: &[u8], with: &OpenWith) -> Option<DataKey> {
        let plain = if file == PASSPHRASE_FILE {
            let passphrase = with.passphrase.as_ref()?;
            let words = SecretString::from(passphrase.expose().to_owned());
            let mut identity = scrypt::Identity::new(words);
            identity.set_max_work_factor(WORK_FACTOR_MAX);
            open(sealed, &identity, KEY_TEXT_BYTES_MAX).ok()
        } else {
            let mut keys = with.identities.iter().flat_map(identities);
            keys.find_map(|one| open(sealed, &one, KEY_TEXT_BYTES_MAX).ok())
        };
        let text = String::from_utf8(plain?).ok()?;
        text.trim_end().parse().ok().map(DataKey)
    }
}

/// Most bytes of a data key's text.
const KEY_TEXT_BYTES_MAX: u64 = 1_024;

fn recipient(text: &str) -> Result<x25519::Recipient, EngineError> {
    let text = text.trim();
    text.parse().map_err(|reason| {
        // A secret key by mistake must not be printed.
        let shown = if text.starts_with("age1") { text } else { "what was given" };
        EngineError::Refused(format!("`{shown}` is no public age key (`age1...`): {reason}"))
    })
}

/// The keys in the text of a key file: lines, of which some are comments.
fn identities(text: &Secret) -> Vec<x25519::Identity> {
    text.expose().lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn encrypt(
    encryptor: Result<Encryptor, age::EncryptError>,
    text: &str,
) -> Result<Vec<u8>, EngineError> {
    let failed = |reason: String| EngineError::Refused(format!("Cannot seal the key: {reason}"));
    let encryptor = encryptor.map_err(|error| failed(error.to_string()))?;
    let mut out = Vec::new();
    let written = encryptor.wrap_output(&mut out).and_then(|mut writer| {
        writer.write_all(text.as_bytes())?;
        writer.finish().map(|_| ())
    });
    written.map_err(|error| failed(error.to_string()))?;
    Ok(out)
}

fn open(sealed: &[u8], with: &dyn age::Identity, bytes_max: u64) -> Result<Vec<u8>, String> {
    let decryptor = Decryptor::new_buffered(sealed).map_err(|error| error.to_string())?;
    let reader = decryptor.decrypt(std::iter::once(with)).map_err(|error| error.to_string())?;
    let mut plain = Vec::new();
    let mut limited = reader.take(bytes_max.saturating_add(1));
    limited.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    if plain.len() as u64 > bytes_max {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    Ok(plain)
}

/// The project's pair of keys for signatures.
pub(super) struct Signer(SigningKey);

impl Signer {
    /// Reads the project's key, or makes one.
    pub(super) fn of(root: &Path) -> Result<Signer, EngineError> {
        let folder = root.join(FOLDER);
        let path = folder.join("signing.key");
        if path.exists() {
            return read_hex(&path, SECRET_HEAD).map(|seed| Signer(SigningKey::from_bytes(&seed)));
        }
        make_private_folder(&folder)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| EngineError::Refused(format!("No random numbers: {error}")))?;
        let key = SigningKey::from_bytes(&seed);
        let public = to_hex(key.verifying_key().as_bytes());
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            write_private(&ignore, IGNORED.as_bytes())?;
        }
        write_private(&path, format!("{SECRET_HEAD}{}\n", to_hex(&seed)).as_bytes())?;
        let pinned = folder.join("signing.pub");
        if !pinned.exists() {
            write_private(&pinned, format!("{PUBLIC_HEAD}{public}\n").as_bytes())?;
        }
        Ok(Signer(key))
    }

    /// Reads the project's key, if it is here.
    pub(super) fn existing(root: &Path) -> Result<Option<Signer>, EngineError> {
        let there = root.join(FOLDER).join("signing.key").exists();
        if there { Signer::of(root).map(Some) } else { Ok(None) }
    }

    /// The public key.
    pub(super) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a manifest.
    pub(super) fn sign(&self, manifest: &[u8]) -> Signature {
        self.sign_bytes(&signed_bytes(manifest))
    }

    /// Signs bytes that say themselves what they are.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        Signature { public: self.public(), signature: self.0.sign(bytes).to_bytes() }
    }
}

/// The public key that backups of a project must be signed with: the one that is named, or else
/// the project's own.
///
/// # Errors
/// When there is none, or it is no key.
pub(super) fn pinned(root: &Path, named: Option<&str>) -> Result<[u8; 32], EngineError> {
    if let Some(text) = named {
        return from_hex(text.trim()).ok_or_else(|| {
            EngineError::Refused(format!("`{text}` is no public key (64 hexadecimal digits)"))
        });
    }
    let path = root.join(FOLDER).join("signing.pub");
    if !path.exists() {
        return Err(EngineError::BackupSigner { path });
    }
    read_hex(&path, PUBLIC_HEAD)
}

fn read_hex(path: &Path, head: &str) -> Result<[u8; 32], EngineError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| EngineError::File { path: path.to_owned(), error })?;
    let key = text.strip_prefix(head).and_then(|rest| from_hex(rest.trim_end()));
    key.ok_or_else(|| EngineError::Refused(format!("{} holds no key", path.display())))
}

/// Whether a manifest is signed by the key that is trusted.
pub(super) fn check_signature(
    manifest: &[u8],
    signature: &[u8],
    pinned: &[u8; 32],
) -> Result<(), Damage> {
    let signature = Signature::parse(signature)?;
    if signature.public != *pinned {
        let (found, pinned) = (to_hex(&signature.public), to_hex(pinned));
        return Err(Damage::ForeignSigner { found, pinned });
    }
    match is_signed(&signed_bytes(manifest), &signature, pinned) {
        true => Ok(()),
        false => Err(Damage::Signature),
    }
}

/// Whether the signature of `bytes` is one of the key that is trusted.
pub(super) fn is_signed(bytes: &[u8], signature: &Signature, pinned: &[u8; 32]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(pinned) else { return false };
    let signed = ed25519_dalek::Signature::from_bytes(&signature.signature);
    signature.public == *pinned && key.verify_strict(bytes, &signed).is_ok()
}
