//! `examples/chats` on PostgreSQL: one table, done with care.

use std::path::Path;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

struct Chats {
    project: Project,
    database: TestDatabase,
}

/// The example with a new, empty database; `None` if the run leaves PostgreSQL out.
fn chats() -> Option<Chats> {
    let database = fresh_postgres("chats")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/chats");
    Some(Chats { project: Project::copy_of(folder), database })
}

impl Chats {
    fn run(&self, arguments: &[&str]) -> Output {
        let output = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), self.project.path())
            .env("DATABASE_URL", &self.database.url)
            .run(arguments);
        assert!(!output.to_string().contains("correct-horse"), "{output}");
        output
    }

    fn with_users(self) -> Chats {
        self.database.query(&self.project.read("users.sql"));
        self.run(&["baseline", "--to", "0"]).success();
        self
    }

    fn has_chats(&self) -> bool {
        self.database.query("SELECT to_regclass('public.chats') IS NOT NULL;") == "t"
    }
}

#[test]
fn without_users_it_is_refused_before_anything_runs() {
    let Some(chats) = chats() else { return };
    for verb in ["plan", "up"] {
        let output = chats.run(&[verb]);
        assert_ne!(output.code, Some(0), "{output}");
        assert!(output.stderr.contains("`chats` refers to the table `users`"), "{output}");
        assert!(output.stderr.contains("does not exist"), "{output}");
        assert!(output.stderr.contains("hint: Make `users` first"), "{output}");
        assert!(output.stderr.contains("0001_create_chats.sql:"), "{output}");
    }
    assert!(!chats.has_chats());
    let status = chats.run(&["status"]).success();
    assert!(status.stdout.contains("0 applied, 1 pending"), "{status}");
    chats.database.query(&chats.project.read("users.sql"));
    chats.run(&["up"]).success();
    assert!(chats.has_chats());
}

#[test]
fn tables_without_a_history_are_refused_until_baseline() {
    let Some(chats) = chats() else { return };
    chats.database.query(&chats.project.read("users.sql"));
    let refused = chats.run(&["up"]);
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.stderr.contains("users") && refused.stderr.contains("baseline"), "{refused}");
    assert!(!chats.has_chats());
    chats.run(&["baseline", "--to", "0"]).success();
    chats.run(&["up"]).success();
    assert!(chats.has_chats());
}

#[test]
fn up_says_what_it_verified_and_proves_the_cascade() {
    let Some(chats) = chats() else { return };
    let chats = chats.with_users();
    let before = chats.database.rows();
    let up = chats.run(&["up"]).success();
    assert!(up.stderr.contains("1 table, 2 indexes, 1 foreign key, 1 cascade"), "{up}");
    assert!(!up.stderr.contains("not exercised"), "{up}");
    let again = chats.run(&["up"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again}");
    let verify = chats.run(&["verify", "--verbose"]).success();
    assert!(verify.to_string().contains("cascade chats goes with its row of users"), "{verify}");
    // The proof's rows are gone, and no row of the user's was touched.
    assert_eq!(chats.database.rows(), before);
}

#[test]
fn a_cascade_that_was_changed_by_hand_is_found() {
    let Some(chats) = chats() else { return };
    let chats = chats.with_users();
    chats.run(&["up"]).success();
    chats.database.query(
        "ALTER TABLE chats DROP CONSTRAINT chats_user_id_fkey, ADD FOREIGN KEY (user_id) \
         REFERENCES users (id);",
    );
    let verify = chats.run(&["verify"]).expect_code(3);
    assert!(verify.to_string().contains("CASCADE"), "{verify}");
    // A rule that keeps the row makes the declared cascade void; only the proof can see that.
    chats.database.query(
        "ALTER TABLE chats DROP CONSTRAINT chats_user_id_fkey, ADD FOREIGN KEY (user_id) \
         REFERENCES users (id) ON DELETE CASCADE;\n\
         CREATE RULE keep AS ON DELETE TO users DO INSTEAD NOTHING;",
    );
    let verify = chats.run(&["verify"]).expect_code(3);
    assert!(verify.to_string().contains("the row is still there"), "{verify}");
}

#[test]
fn down_counts_the_rows_and_wants_the_phrase() {
    let Some(chats) = chats() else { return };
    let chats = chats.with_users();
    chats.run(&["up"]).success();
    chats.database.query(
        "INSERT INTO chats (user_id, query, response) \
         SELECT id, 'q' || n, 'r' FROM users, generate_series(1, 4) n;",
    );
    let wrong: [&[&str]; 5] = [
        &["down"],
        &["down", "--confirm", "delete chats table"],
        &["down", "--confirm", "DELETE CHATS"],
        &["down", "--confirm", "yes"],
        &["down", "--confirm", ""],
    ];
    for arguments in wrong {
        let output = chats.run(arguments).expect_code(6);
        assert!(output.stderr.contains("table chats (12 rows)"), "{output}");
        assert!(output.to_string().contains("DELETE CHATS TABLE"), "{output}");
        assert_eq!(chats.database.query("SELECT count(*) FROM chats;"), "12");
    }
    chats.run(&["down", "--confirm", "DELETE CHATS TABLE"]).success();
    assert!(!chats.has_chats());
    assert_eq!(chats.database.query("SELECT count(*) FROM users;"), "3");
    let again = chats.run(&["down"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again}");
}

#[test]
fn the_password_is_in_no_output() {
    let Some(chats) = chats() else { return };
    let server = chats.database.url.split_once('@').unwrap().1.to_owned();
    for (password, encoded) in [
        ("two words here", "two%20words%20here"),
        ("quo'te\"d`it", "quo'te%22d%60it"),
        ("100%sure%41", "100%25sure%2541"),
        ("sl/ash@at:colon#", "sl%2Fash%40at%3Acolon%23"),
    ] {
        let url = format!("postgres://nobody_here:{encoded}@{server}");
        for arguments in [
            vec!["status"],
            vec!["up", "--verbose"],
            vec!["doctor"],
            vec!["doctor", "--explain"],
            vec!["verify", "--json"],
        ] {
            let whimbrel = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), chats.project.path());
            let by_variable = whimbrel.env("DATABASE_URL", &url).run(&arguments);
            chats.project.file(".env", &format!("DATABASE_URL={url:?}\n"));
            let plain = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), chats.project.path());
            let by_file = plain.run(&arguments);
            chats.project.remove(".env");
            let mut flag = arguments.clone();
            flag.extend(["--url", &url]);
            let by_flag = plain.run(&flag);
            for output in [by_variable, by_file, by_flag] {
                let text = output.to_string();
                assert!(!text.contains(password) && !text.contains(encoded), "{output}");
            }
        }
    }
}
