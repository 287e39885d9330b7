//! Every way to damage a backup is found, and says what it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use tempfile::TempDir;
use whimbrel_core::backup::{CHUNK_BYTES, Contents, to_hex};
use whimbrel_core::secret::Secret;

use super::keys::Signer;
use super::store::{MANIFEST, SIGNATURE};
use super::*;
use crate::error::EngineError;

/// A folder with a key, and backups in it.
struct Bench {
    folder: TempDir,
    key: Identity,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap(), key: Identity::generate() }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn place(&self) -> BackupPlace {
        BackupPlace {
            folder: self.root().join("backups"),
            store: None,
            signer: None,
            stop: StopFlag::default(),
            meter: Meter::default(),
        }
    }

    fn with(&self) -> OpenWith {
        open_with(&self.key)
    }

    /// Saves `data` as it were a database; the id.
    fn save(&self, data: &[u8], encrypted: bool) -> String {
        let seal_for =
            SealFor { recipients: vec![self.key.to_public().to_string()], passphrase: None };
        let keep = Duration::from_secs(60);
        let what = BackupWhat::default();
        let options = BackupOptions { seal_for, unencrypted: !encrypted, keep, what, run: None };
        let begun = Writer::begin(self.root(), &self.place(), &options, 1_712_345_678_901);
        let mut writer = begun.unwrap();
        let file = writer.scratch().unwrap();
        fs::write(file.file("data"), data).unwrap();
        writer.part("database", &file.file("data")).unwrap();
        drop(file);
        let id = writer.manifest.id.clone();
        writer.finish(Contents::default()).unwrap();
        id
    }

    fn file(&self, id: &str, file: &str) -> PathBuf {
        self.place().folder.join(id).join(file)
    }

    /// Checks everything; what is wrong, or nothing.
    fn check(&self, id: &str, with: &OpenWith) -> String {
        let found = Archive::find(self.root(), &self.place(), id);
        match found.and_then(|archive| archive.check(with)) {
            Ok(_) => String::new(),
            Err(EngineError::BackupDamaged { damage, .. }) => {
                let words: Vec<String> = damage.iter().map(ToString::to_string).collect();
                words.join("\n")
            }
            Err(other) => format!("error: {other}"),
        }
    }

    /// The data as a restore would write it.
    fn data(&self, id: &str) -> Vec<u8> {
        let path = self.root().join("restored");
        let mut file = fs::File::create(&path).unwrap();
        let archive = Archive::find(self.root(), &self.place(), id).unwrap();
        archive.extract(&self.with(), &mut file, &path).unwrap();
        fs::read(path).unwrap()
    }

    /// All files of a backup, with their bytes.
    fn files(&self, id: &str) -> Vec<(String, Vec<u8>)> {
        let archive = Archive::find(self.root(), &self.place(), id).unwrap();
        let named = archive.manifest.files().map(|one| one.file.clone());
        let all: Vec<String> = named.chain([MANIFEST.to_owned(), SIGNATURE.to_owned()]).collect();
        all.into_iter()
            .map(|name| (name.clone(), fs::read(self.file(id, &name)).unwrap()))
            .collect()
    }
}

fn open_with(key: &Identity) -> OpenWith {
    let text = format!("# a comment\n{}\n", key.to_string().expose_secret());
    OpenWith { identities: vec![Secret::new(text)], passphrase: None }
}

/// Three chunks, the last a short one, that do not compress.
fn three_chunks() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..CHUNK_BYTES * 2 + 100).map(|_| next()).collect()
}

#[test]
fn what_was_saved_comes_back() {
    let bench = Bench::new();
    for encrypted in [true, false] {
        for data in [Vec::new(), b"small".to_vec(), vec![7; CHUNK_BYTES], three_chunks()] {
            let id = bench.save(&data, encrypted);
            assert_eq!(bench.check(&id, &bench.with()), "");
            assert!(bench.data(&id) == data, "{} bytes came back otherwise", data.len());
        }
    }
    let ids: Vec<String> = state(bench.root(), &bench.place(), 0)
        .unwrap()
        .into_iter()
        .map(|line| {
            assert!(line.manifest.is_ok() && !line.expired, "{line:?}");
            line.id
        })
        .collect();
    assert_eq!(ids.len(), 8);
    assert!(ids.is_sorted());
}

#[test]
fn every_flipped_byte_and_every_cut_is_found() {
    let bench = Bench::new();
    for encrypted in [true, false] {
        let id = bench.save(b"one small table", encrypted);
        for (name, bytes) in bench.files(&id) {
            let path = bench.file(&id, &name);
            // Without a key all of it is found too, as the signature covers every file.
            let found = |what: String| {
                let words = bench.check(&id, &OpenWith::default());
                let signed = name == SIGNATURE && words.contains("sign");
                let named = words.contains(&name) || signed;
                assert!(named && !words.starts_with("error"), "{name} {what}: {words:?}");
            };
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                fs::write(&path, changed).unwrap();
                found(format!("with another byte at {at}"));
                fs::write(&path, &bytes[..at]).unwrap();
                found(format!("cut at {at}"));
            }
            fs::write(&path, [&bytes[..], b"\0"].concat()).unwrap();
            found("with a byte more".to_owned());
            fs::remove_file(&path).unwrap();
            found("removed".to_owned());
            fs::write(&path, bytes).unwrap();
        }
        assert_eq!(bench.check(&id, &bench.with()), "");
    }
}

#[test]
fn chunks_in_the_wrong_place_are_found() {
    let bench = Bench::new();
    let (id, other) = (bench.save(&three_chunks(), true), bench.save(&three_chunks(), true));
    let chunk = |number: u32| format!("chunks/{number:06}.zst.age");
    let [first, second, third] = [1, 2, 3].map(|one| bench.file(&id, &chunk(one)));
    let bytes = [&first, &second, &third].map(|one| fs::read(one).unwrap());
    // Exchanged.
    fs::write(&first, &bytes[1]).unwrap();
    fs::write(&second, &bytes[0]).unwrap();
    let words = bench.check(&id, &bench.with());
    let holds = |one, two| format!("`{}` holds what belongs into `{}`", chunk(one), chunk(two));
    assert_eq!(words, format!("{}\n{}", holds(1, 2), holds(2, 1)));
    // Repeated, and another one missing: both are named.
    fs::write(&first, &bytes[0]).unwrap();
    fs::write(&second, &bytes[0]).unwrap();
    fs::remove_file(&third).unwrap();
    let words = bench.check(&id, &bench.with());
    assert_eq!(words, format!("{}\n`{}` is missing", holds(2, 1), chunk(3)));
    // Of another backup.
    fs::write(&third, &bytes[2]).unwrap();
    fs::copy(bench.file(&other, &chunk(2)), &second).unwrap();
    let words = bench.check(&id, &bench.with());
    // age files of the same length are not: whichever is seen first is said.
    let named = words.starts_with(&format!("`{}` ", chunk(2)));
    assert!(named && words.lines().count() == 1, "{words}");
    // One more than there should be, and a link in place of a file.
    fs::write(&second, &bytes[1]).unwrap();
    fs::write(bench.file(&id, &chunk(4)), &bytes[0]).unwrap();
    let words = bench.check(&id, &bench.with());
    assert_eq!(words, format!("`{}` does not belong to the backup", chunk(4)));
    fs::remove_file(bench.file(&id, &chunk(4))).unwrap();
    fs::rename(&second, bench.root().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(bench.root().join("elsewhere"), &second).unwrap();
    let words = bench.check(&id, &bench.with());
    assert_eq!(words, format!("`{}` cannot be read: it is not a plain file", chunk(2)));
}

/// Whoever holds the signing key can still not put a file into another place.
#[test]
fn places_are_bound_inside_of_what_is_sealed() {
    let bench = Bench::new();
    for encrypted in [true, false] {
        let id = bench.save(&three_chunks(), encrypted);
        let archive = Archive::find(bench.root(), &bench.place(), &id).unwrap();
        let mut manifest = archive.manifest.clone();
        let [one, two] = [0, 1].map(|at| bench.file(&id, &manifest.chunks[at].file));
        let aside = bench.root().join("aside");
        fs::rename(&one, &aside).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&aside, &two).unwrap();
        let (name_one, name_two) =
            (manifest.chunks[0].file.clone(), manifest.chunks[1].file.clone());
        manifest.chunks.swap(0, 1);
        (manifest.chunks[0].file, manifest.chunks[1].file) = (name_one, name_two);
        sign(&bench, &id, &manifest.to_bytes());
        let words = bench.check(&id, &bench.with());
        assert!(words.contains(&format!("says that it is `{id} 000002`")), "{words}");
        assert_eq!(words.lines().count(), 2, "{words}");
    }
}

fn sign(bench: &Bench, id: &str, manifest: &[u8]) {
    fs::write(bench.file(id, MANIFEST), manifest).unwrap();
    let signature = Signer::of(bench.root()).unwrap().sign(manifest);
    fs::write(bench.file(id, SIGNATURE), signature.to_bytes()).unwrap();
}

#[test]
fn foreign_and_older_manifests_are_refused() {
    let bench = Bench::new();
    let (older, id) = (bench.save(b"older", true), bench.save(b"newer", true));
    let good = fs::read(bench.file(&id, MANIFEST)).unwrap();
    for file in [MANIFEST, SIGNATURE] {
        fs::copy(bench.file(&older, file), bench.file(&id, file)).unwrap();
    }
    assert_eq!(bench.check(&id, &bench.with()), format!("Its manifest is that of `{older}`"));
    // A later format is said to be one, whatever else is in it.
    let text = String::from_utf8(good.clone()).unwrap();
    let later = text.replace("\"version\": 1", "\"version\": 2, \"more\": true");
    sign(&bench, &id, later.as_bytes());
    let words = bench.check(&id, &bench.with());
    assert_eq!(words, "It has format 2, and this version of Whimbrel knows 1");
    // Signed by somebody else.
    let stranger = Signer::of(&bench.root().join("stranger")).unwrap().sign(&good);
    fs::write(bench.file(&id, MANIFEST), &good).unwrap();
    fs::write(bench.file(&id, SIGNATURE), stranger.to_bytes()).unwrap();
    let words = bench.check(&id, &bench.with());
    assert!(words.starts_with("It is signed with the key"), "{words}");
    // Trusted where that key is named.
    let signer = Some(to_hex(&stranger.public));
    let place = BackupPlace { signer, ..bench.place() };
    let archive = Archive::find(bench.root(), &place, &id).unwrap();
    archive.check(&bench.with()).unwrap();
    // Our own key with the stranger's signature.
    let mixed = whimbrel_core::backup::Signature {
        public: Signer::of(bench.root()).unwrap().sign(&good).public,
        ..stranger
    };
    fs::write(bench.file(&id, SIGNATURE), mixed.to_bytes()).unwrap();
    let words = bench.check(&id, &bench.with());
    assert!(words.contains("is not what was signed"), "{words}");
}

#[test]
fn only_the_right_key_opens_it() {
    let bench = Bench::new();
    let id = bench.save(b"secret", true);
    let words = bench.check(&id, &open_with(&Identity::generate()));
    assert_eq!(words, format!("error: None of the keys opens the backup `{id}`"));
    let words = bench.check(&id, &OpenWith::default());
    assert_eq!(words, format!("error: The backup `{id}` is sealed, and no key is given"));
    for (name, bytes) in bench.files(&id) {
        let plain = bytes.windows(6).any(|part| part == b"secret");
        assert!(!plain, "{name} shows what was sealed");
    }
    let options = BackupOptions {
        seal_for: SealFor::default(),
        unencrypted: false,
        keep: Duration::from_secs(1),
        ..BackupOptions::default()
    };
    let refused = Writer::begin(bench.root(), &bench.place(), &options, 0);
    assert!(matches!(refused.err(), Some(EngineError::BackupUnsealed)));
}

#[test]
fn a_passphrase_opens_it_too() {
    let bench = Bench::new();
    let secret = |text: &str| Some(Secret::new(text));
    let seal_for = SealFor {
        recipients: vec![bench.key.to_public().to_string()],
        passphrase: secret("correct horse"),
    };
    let options = BackupOptions { seal_for, ..BackupOptions::default() };
    let writer = Writer::begin(bench.root(), &bench.place(), &options, 5).unwrap();
    let id = writer.manifest.id.clone();
    writer.finish(Contents::default()).unwrap();
    let pass = |text| OpenWith { identities: Vec::new(), passphrase: secret(text) };
    assert_eq!(bench.check(&id, &pass("correct horse")), "");
    assert!(bench.check(&id, &pass("wrong horse")).contains("None of the keys"));
    assert_eq!(bench.check(&id, &bench.with()), "");
}

#[test]
fn what_is_not_finished_is_not_listed() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let id = bench.save(b"whole", false);
    let folder = bench.place().folder;
    let seal_for = SealFor::default();
    let options = BackupOptions { seal_for, unencrypted: true, ..BackupOptions::default() };
    let writer = Writer::begin(bench.root(), &bench.place(), &options, 99).unwrap();
    let listed = || state(bench.root(), &bench.place(), 0).unwrap();
    assert_eq!(listed().iter().map(|line| &*line.id).collect::<Vec<_>>(), [&id]);
    drop(writer);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "the draft is gone");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(&id)), 0o700);
    for (name, _) in bench.files(&id) {
        assert_eq!(mode(&bench.file(&id, &name)), 0o600, "{name}");
    }
    assert_eq!(mode(&bench.root().join(".whimbrel/signing.key")), 0o600);
    assert!(Archive::find(bench.root(), &bench.place(), "../backups").is_err());
}
