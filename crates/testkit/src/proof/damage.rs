//! Backups that somebody or something has changed: all of it must be found before a database is
//! touched.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Verdict, ensure, guarded};
use crate::database::{TestDatabase, sqlite_in};
use crate::failure::must;
use crate::project::Project;
use crate::run::Whimbrel;

/// A pair of age keys from the tests of the `age` crate, which everybody knows.
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
/// Another one.
const OTHER: &str = "AGE-SECRET-KEY-19R7ZE06GZHGD94KAPDZS5Q4K93VLL4E3H5NA52LKNT4ANXDPPYGQ97EW7P";
/// Chunks of the large backups: nine megabytes that cannot be compressed.
const CHUNKS: usize = 3;
/// What a manifest says, in the order in which it says it.
const FIELDS: [&str; 15] = [
    "format",
    "version",
    "id",
    "database_id",
    "environment",
    "engine",
    "engine_version",
    "tool_version",
    "created_ms",
    "expires_ms",
    "data_bytes",
    "sealed",
    "keys",
    "contents",
    "chunks",
];

/// One way in which a backup is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A field of the manifest has another value.
    Field(&'static str),
    /// One bit of a byte of a file.
    Flipped(String, usize),
    /// A file ends early.
    Cut(String, usize),
    /// A chunk is gone.
    Removed(usize),
    /// The bytes of a chunk stand in the place of another one, too.
    Repeated(usize, usize),
    /// Two chunks have changed places.
    Swapped(usize, usize),
    /// A chunk is that of another backup of the same database.
    Foreign(usize),
    /// Each chunk is changed; all must be named.
    All,
    /// There is a file more.
    More,
    /// Manifest and signature are those of an older backup.
    Replayed,
    /// The backup was signed elsewhere.
    ForeignSigner,
    /// The key is not one of those that it was sealed for.
    WrongKey,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A database with backups.
#[derive(Debug)]
pub struct Bench {
    project: Project,
    database: TestDatabase,
    /// A small backup, and two large ones, the older first.
    small: String,
    large: [String; 2],
    before: Vec<u8>,
    /// A backup with a signature of another project.
    elsewhere: Project,
}

impl Bench {
    /// Makes the database and its backups.
    pub fn new(program: &Path) -> Bench {
        let project = Project::new();
        project.file("migrations/0001_all.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, v);\n");
        project.file("my.key", SECRET).file("other.key", OTHER);
        let database = sqlite_in(project.path());
        let bench = Bench {
            database,
            project,
            small: String::new(),
            large: Default::default(),
            before: Vec::new(),
            elsewhere: Project::new(),
        };
        let whimbrel = bench.whimbrel(program);
        whimbrel.run(["up"]).success();
        let small = create(&whimbrel);
        let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) \
                    INSERT INTO t (v) SELECT randomblob(1000000) FROM n";
        bench.database.query(rows);
        let large = [create(&whimbrel), create(&whimbrel)];
        bench.elsewhere.folder("migrations");
        let other = Whimbrel::new(program, bench.elsewhere.path());
        let other = other.env("DATABASE_URL", &bench.database.url);
        other.run(["backup", "create", "--no-encrypt"]).success();
        let before = must(fs::read(&bench.database.name));
        Bench { small, large, before, ..bench }
    }

    fn whimbrel(&self, program: &Path) -> Whimbrel {
        Whimbrel::new(program, self.project.path()).env("DATABASE_URL", &self.database.url)
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.project.at(".whimbrel/backups").join(id)
    }

    /// Every case; of flipped bytes and cuts each `step`-th.
    pub fn cases(&self, step: usize) -> Vec<Damage> {
        let mut cases: Vec<Damage> = FIELDS.map(Damage::Field).to_vec();
        for at in 1..=CHUNKS {
            cases.extend([Damage::Removed(at), Damage::Foreign(at)]);
            for other in (1..=CHUNKS).filter(|other| *other != at) {
                cases.push(Damage::Repeated(at, other));
                if at < other {
                    cases.push(Damage::Swapped(at, other));
                }
            }
        }
        cases.extend([Damage::All, Damage::More, Damage::Replayed]);
        cases.extend([Damage::ForeignSigner, Damage::WrongKey]);
        for file in SMALL {
            let bytes = must(fs::read(self.folder(&self.small).join(file))).len();
            cases.extend((0..bytes).step_by(step).map(|at| Damage::Flipped(file.to_owned(), at)));
            cases.extend((0..bytes).step_by(step).map(|at| Damage::Cut(file.to_owned(), at)));
        }
        cases
    }

    /// Tries to restore a backup with `damage` in place of the present database.
    ///
    /// # Errors
    /// When it is not found, not said, or the database was touched.
    pub fn run(&self, program: &Path, damage: &Damage) -> Verdict<()> {
        guarded(|| self.one(program, damage)).map_err(|error| format!("{damage}: {error}"))
    }

    fn one(&self, program: &Path, damage: &Damage) -> Verdict<()> {
        let id = match damage {
            Damage::Flipped(..) | Damage::Cut(..) => self.small.clone(),
            Damage::ForeignSigner => must(fs::read_dir(self.elsewhere.at(".whimbrel/backups")))
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .find(|name| name.starts_with("backup_"))
                .ok_or("there is no backup elsewhere")?,
            _ => self.large[1].clone(),
        };
        let copies = Project::new();
        let from = match damage {
            Damage::ForeignSigner => self.elsewhere.at(".whimbrel/backups").join(&id),
            _ => self.folder(&id),
        };
        let folder = copies.at(&id);
        copy(&from, &folder);
        self.change(&folder, damage);
        let (dir, key) = (
            copies.path().display().to_string(),
            match damage {
                Damage::WrongKey => "file:other.key",
                _ => "file:my.key",
            },
        );
        let restore = ["backup", "restore", &id, "--in-place", "--yes", "--dir", &dir];
        let output = self.whimbrel(program).run([&restore[..], &["--identity", key]].concat());
        ensure(matches!(output.code, Some(1 | 2)), || format!("it was not refused: {output}"))?;
        for word in said(damage) {
            ensure(output.stderr.contains(&word), || format!("nothing says `{word}`: {output}"))?;
        }
        let same = must(fs::read(&self.database.name)) == self.before;
        ensure(same, || "the database was touched".to_owned())?;
        let restores = self.project.at(".whimbrel/restores").exists();
        ensure(!restores, || "a restore had begun".to_owned())
    }

    fn change(&self, folder: &Path, damage: &Damage) {
        let chunk = |number: usize| folder.join(chunk_file(number));
        match damage {
            Damage::Field(name) => change_field(&folder.join("manifest.json"), name),
            Damage::Flipped(file, at) => change_bytes(&folder.join(file), |bytes| {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte ^= 1 << (at % 8);
                }
            }),
            Damage::Cut(file, at) => change_bytes(&folder.join(file), |bytes| bytes.truncate(*at)),
            Damage::Removed(at) => must(fs::remove_file(chunk(*at))),
            Damage::Repeated(at, over) => {
                must(fs::copy(chunk(*at), chunk(*over)));
            }
            Damage::Swapped(at, other) => {
                must(fs::rename(chunk(*at), folder.join("aside")));
                must(fs::rename(chunk(*other), chunk(*at)));
                must(fs::rename(folder.join("aside"), chunk(*other)));
            }
            Damage::Foreign(at) => {
                must(fs::copy(self.folder(&self.large[0]).join(chunk_file(*at)), chunk(*at)));
            }
            Damage::All => (1..=CHUNKS).for_each(|at| {
                change_bytes(&chunk(at), |bytes| bytes.iter_mut().take(1).for_each(|b| *b ^= 1));
            }),
            Damage::More => must(fs::write(folder.join("chunks/000009.zst.age"), "more")),
            Damage::Replayed => ["manifest.json", "manifest.sig"].iter().for_each(|file| {
                must(fs::copy(self.folder(&self.large[0]).join(file), folder.join(file)));
            }),
            Damage::ForeignSigner | Damage::WrongKey => {}
        }
    }
}

/// The files of a small backup.
const SMALL: [&str; 5] =
    ["manifest.json", "manifest.sig", "key.age", "contents.zst.age", "chunks/000001.zst.age"];

fn chunk_file(number: usize) -> String {
    format!("chunks/{number:06}.zst.age")
}

/// What must be said of a damage.
fn said(damage: &Damage) -> Vec<String> {
    let is_not = |file: &str| vec![format!("`{file}`")];
    match damage {
        Damage::Field(_) => vec!["signature".to_owned()],
        Damage::Flipped(file, _) | Damage::Cut(file, _) if !file.starts_with("manifest") => {
            is_not(file)
        }
        Damage::Flipped(..) | Damage::Cut(..) => vec!["cannot be trusted".to_owned()],
        Damage::Removed(at) => vec![format!("`{}` is missing", chunk_file(*at))],
        Damage::Repeated(at, over) => {
            vec![format!("`{}` holds what belongs into `{}`", chunk_file(*over), chunk_file(*at))]
        }
        Damage::Swapped(a, b) => [(a, b), (b, a)]
            .map(|(at, other)| {
                let (at, other) = (chunk_file(*at), chunk_file(*other));
                format!("`{at}` holds what belongs into `{other}`")
            })
            .to_vec(),
        Damage::Foreign(at) => vec![format!("`{}` ", chunk_file(*at))],
        Damage::All => {
            (1..=CHUNKS).map(|at| format!("`{}` does not hold", chunk_file(at))).collect()
        }
        Damage::More => vec!["`chunks/000009.zst.age` does not belong".to_owned()],
        Damage::Replayed => vec!["Its manifest is that of `backup_".to_owned()],
        Damage::ForeignSigner => vec!["signed with the key".to_owned()],
        Damage::WrongKey => vec!["None of the keys opens".to_owned()],
    }
}

fn create(whimbrel: &Whimbrel) -> String {
    let arguments = ["backup", "create", "--recipient", PUBLIC, "--json"];
    let output = whimbrel.run(arguments).success();
    let at = output.stdout.find("backup_").unwrap_or(0);
    let id: Vec<&str> = output.stdout.get(at..).unwrap_or_default().split('"').take(1).collect();
    id.concat()
}

fn copy(from: &Path, to: &Path) {
    must(fs::create_dir_all(to.join("chunks")));
    for folder in ["", "chunks"] {
        for entry in must(fs::read_dir(from.join(folder))) {
            let entry = must(entry);
            if must(entry.file_type()).is_file() {
                must(fs::copy(entry.path(), to.join(folder).join(entry.file_name())));
            }
        }
    }
}

fn change_bytes(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = must(fs::read(path));
    change(&mut bytes);
    must(fs::write(path, bytes));
}

/// Gives a field another value of its kind; the form of the file stays.
fn change_field(path: &Path, name: &str) {
    let text = must(fs::read_to_string(path));
    let head = format!("\n  \"{name}\": ");
    let Some(at) = text.find(&head) else { panic!("the manifest has no `{name}`") };
    let (before, rest) = text.split_at(at + head.len());
    // Of a list or an object the first length is changed.
    let nested = if rest.starts_with(['[', '{']) { rest.find("\"bytes\": ") } else { Some(0) };
    let at = rest.find(|one: char| one.is_ascii_alphanumeric()).unwrap_or(0);
    let at = match nested {
        Some(0) => at,
        Some(found) => found + "\"bytes\": ".len(),
        None => panic!("`{name}` is empty"),
    };
    let (middle, value) = rest.split_at(at);
    let (other, tail) = match (rest.starts_with("\"\""), value.chars().next()) {
        // An empty text gets a letter.
        (true, _) => ("\"x\"", rest.get(2..).unwrap_or_default()),
        (false, Some('7')) => ("8", value.get(1..).unwrap_or_default()),
        (false, _) => ("7", value.get(1..).unwrap_or_default()),
    };
    let middle = if rest.starts_with("\"\"") { "" } else { middle };
    must(fs::write(path, format!("{before}{middle}{other}{tail}")));
}
