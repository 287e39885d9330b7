//! What lies in the folders: each oddity is an error or an ignore with its reason, and nothing is
//! passed over in silence.

use std::os::unix::fs::symlink;

use whimbrel_testkit::database::{TestDatabase, fresh_sqlite};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

struct Folder {
    project: Project,
    database: TestDatabase,
}

impl Folder {
    fn new() -> Folder {
        let project = Project::new();
        project.file("migrations/0001_a.sql", "CREATE TABLE a (x int);");
        Folder { project, database: fresh_sqlite() }
    }

    fn file(self, name: &str, text: &str) -> Folder {
        self.project.file(&format!("migrations/{name}"), text);
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), self.project.path())
            .env("DATABASE_URL", &self.database.url)
            .run(arguments)
    }

    /// Nothing may run, and the message holds these words.
    #[track_caller]
    fn is_refused(&self, words: &[&str]) {
        for arguments in [["up"].as_slice(), &["plan"], &["verify"]] {
            let output = self.run(arguments);
            assert_ne!(output.code, Some(0), "{output}");
            has_all(&output, words);
        }
        let status = self.run(&["status"]);
        has_all(&status, words);
        assert!(!self.has_table("a"), "something ran");
    }

    /// Everything runs, and `status --all` holds these words.
    #[track_caller]
    fn runs_and_says(&self, words: &[&str]) {
        self.run(&["up"]).success();
        let status = self.run(&["status", "--all"]).success();
        has_all(&status, words);
        assert!(self.has_table("a"));
    }

    fn has_table(&self, name: &str) -> bool {
        let sql = format!("SELECT count(*) FROM sqlite_schema WHERE name = '{name}';");
        self.database.query(&sql) == "1"
    }
}

#[track_caller]
fn has_all(output: &Output, words: &[&str]) {
    let text = output.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is missing:\n{output}");
    }
}

#[test]
fn a_number_twice_names_both_files_and_the_next_free_number() {
    Folder::new().file("0001_b.sql", "SELECT 1;").is_refused(&[
        "0001_a.sql",
        "0001_b.sql",
        "both have the number 0001",
        "next free number is 0002",
    ]);
}

#[test]
fn gaps_and_suffixes_are_no_trouble() {
    let folder = Folder::new()
        .file("0003_c.sql", "CREATE TABLE c (x int);")
        .file("0003b_d.sql", "ALTER TABLE c ADD COLUMN y int;")
        .file("0010_e.sql", "ALTER TABLE c ADD COLUMN z int;");
    folder.runs_and_says(&["4 applied, 0 pending"]);
    let order = "SELECT group_concat(name) FROM pragma_table_info('c');";
    assert_eq!(folder.database.query(order), "x,y,z");
    let new = folder.run(&["new", "next"]).success();
    assert!(new.to_string().contains("0011_next.sql"), "{new}");
}

#[test]
fn a_missing_way_back_is_said() {
    let folder = Folder::new();
    has_all(&folder.run(&["plan"]).success(), &["no way back"]);
    folder.run(&["up"]).success();
    let down = folder.run(&["down"]);
    assert_ne!(down.code, Some(0), "{down}");
    has_all(&down, &["`0001_a.sql` has no way back", "0001_a.down.sql"]);
    assert!(folder.has_table("a"));
}

#[test]
fn a_byte_order_mark_and_crlf_change_nothing() {
    let folder = Folder::new().file(
        "0002_b.sql",
        "\u{feff}-- from Windows\r\nCREATE TABLE b (\r\n  x int\r\n);\r\nINSERT INTO b VALUES (1);\r\n",
    );
    folder.runs_and_says(&["2 applied, 0 pending"]);
    // Whoever saves it with other line ends has not changed what it does.
    folder.project.file(
        "migrations/0002_b.sql",
        "-- from Windows\nCREATE TABLE b (\n  x int\n);\nINSERT INTO b VALUES (1);\n",
    );
    folder.run(&["status", "--check"]).success();
    folder.run(&["up"]).success();
}

#[test]
fn utf_16_with_its_mark_is_read_and_other_encodings_are_refused_with_the_way_out() {
    let text = "CREATE TABLE b (x int);";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (mark, bytes) in [([0xff, 0xfe], &little), ([0xfe, 0xff], &big)] {
        let folder = Folder::new();
        folder.project.bytes("migrations/0002_b.sql", &[&mark, bytes.as_slice()].concat());
        folder.runs_and_says(&["2 applied, 0 pending"]);
        assert!(folder.has_table("b"));
    }
    for bytes in [little, big] {
        let folder = Folder::new();
        folder.project.bytes("migrations/0002_b.sql", &bytes);
        folder.is_refused(&["0002_b.sql", "UTF-16 without a byte order mark", "UTF-8"]);
    }
    let folder = Folder::new();
    folder.project.bytes("migrations/0002_b.sql", b"-- caf\xe9\nSELECT 1;");
    folder.is_refused(&["0002_b.sql", "is not UTF-8", "line 1", "iconv"]);
    let folder = Folder::new();
    folder.project.bytes("migrations/0002_b.sql", b"SELECT 1;\n\0");
    folder.is_refused(&["0002_b.sql", "NUL", "line 2"]);
}

#[test]
fn a_folder_in_place_of_a_file_is_refused() {
    let folder = Folder::new();
    folder.project.folder("migrations/0002_b.sql");
    folder.is_refused(&["0002_b.sql", "folder"]);
}

#[test]
fn links_that_lead_nowhere_or_to_themselves_are_refused() {
    let folder = Folder::new();
    symlink("0002_b.sql", folder.project.at("migrations/0002_b.sql")).unwrap();
    folder.is_refused(&["0002_b.sql", "itself"]);

    let folder = Folder::new();
    symlink("nowhere.sql", folder.project.at("migrations/0002_b.sql")).unwrap();
    folder.is_refused(&["0002_b.sql", "link"]);

    let folder = Folder::new();
    folder.project.file("elsewhere/b.sql", "CREATE TABLE b (x int);");
    symlink("../elsewhere/b.sql", folder.project.at("migrations/0002_b.sql")).unwrap();
    folder.runs_and_says(&["2 applied, 0 pending"]);
    assert!(folder.has_table("b"));
}

#[test]
fn what_is_no_migration_is_ignored_with_its_reason() {
    let folder = Folder::new()
        .file(".DS_Store", "x")
        .file("._0001_a.sql", "x")
        .file("0002_b.sql.disabled", "CREATE TABLE b (x int);")
        .file("0003_c.sql~", "x")
        .file("0004_d.sql.bak", "x")
        .file("README.md", "x");
    folder.runs_and_says(&[
        ".DS_Store",
        "Finder",
        "0002_b.sql.disabled",
        "disabled by its name",
        "0003_c.sql~",
        "an editor's backup",
        "0004_d.sql.bak",
        "a backup by its name",
        "README.md",
        "does not end in `.sql`",
        "1 applied, 0 pending",
    ]);
    assert!(!folder.has_table("b"));
}

#[test]
fn names_that_cannot_be_read_are_refused() {
    Folder::new().file("create_b.sql", "SELECT 1;").is_refused(&["create_b.sql"]);
    Folder::new().file("0002_B.SQL", "SELECT 1;").is_refused(&["0002_B.SQL", ".sql"]);
    Folder::new().file("0002_\u{200b}b.sql", "SELECT 1;").is_refused(&["invisible character"]);
    Folder::new().file("0002_b.down.sql", "SELECT 1;").is_refused(&["0002_b.down.sql"]);
}

#[test]
fn companions_never_lie_in_another_tools_folder() {
    let project = Project::new();
    project
        .file(
            "wrangler.toml",
            "name = \"app\"\n[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"app\"\n\
             database_id = \"00000000-0000-4000-8000-000000000001\"\n",
        )
        .file("migrations/0001_a.sql", "CREATE TABLE a (x int);")
        .file("migrations/0001_a.down.sql", "DROP TABLE a;");
    let whimbrel = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path());
    let up = whimbrel.run(["up"]);
    assert_ne!(up.code, Some(0), "{up}");
    has_all(&up, &["0001_a.down.sql", "wrangler", "whimbrel/"]);
    project.file("whimbrel/0001_a.down.sql", "DROP TABLE a;");
    project.remove("migrations/0001_a.down.sql");
    whimbrel.run(["up"]).success();
    whimbrel.run(["down", "--confirm", "DELETE A TABLE"]).success();
}

#[test]
fn thousands_of_empty_files_are_applied() {
    let project = Project::new();
    for number in 1..=2_000 {
        project.file(&format!("migrations/{number:04}_nothing.sql"), "-- for another database\n");
    }
    let folder = Folder { project, database: fresh_sqlite() };
    folder.run(&["up"]).success();
    has_all(&folder.run(&["status"]).success(), &["2000 applied, 0 pending"]);
}
