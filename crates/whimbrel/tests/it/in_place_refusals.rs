//! What keeps a restore in place of a PostgreSQL database from beginning.

use whimbrel_testkit::run::Output;

use crate::backup_servers::create;
use crate::engines::on;
use crate::in_place_servers::{PHRASE, Saved, beside, restore, rows, saved};

#[test]
fn what_cannot_take_the_place_is_refused_before_anything() {
    on("postgres", |bench| {
        let saved = saved(bench);
        let unchanged = |output: &Output| {
            assert_eq!(rows(&bench.database), saved.now, "{output}");
            assert_eq!(beside(bench), Vec::<String>::new(), "{output}");
            let left = bench.project.files();
            assert!(!left.iter().any(|file| file.contains(".tmp-") || file.contains("restores")));
        };
        // Another database.
        on("postgres", |other| {
            other.migration("0001_all.sql", "CREATE TABLE people (id int PRIMARY KEY);\n");
            other.whimbrel().run(["up"]).success();
            let words = ["backup", "restore", &saved.id, "--in-place"];
            let refused = bench.whimbrel().env("DATABASE_URL", &other.database.url).run(words);
            let refused = refused.expect_code(2);
            assert!(refused.stderr.contains("is not one of this database"), "{refused}");
            unchanged(&refused);
        });
        // Through a pooler.
        let words = ["backup", "restore", &saved.id, "--in-place", "--confirm", PHRASE];
        let pooled = bench.database.pooled_url();
        let refused = bench.whimbrel().env("DATABASE_URL", pooled).run(words).expect_code(2);
        assert!(refused.stderr.contains("a pooler"), "{refused}");
        unchanged(&refused);
        // A setting that this role may not make.
        let role = format!("{}_r", bench.database.name);
        let name = &bench.database.name;
        bench.database.admin(&format!(
            "CREATE ROLE {role}; ALTER ROLE {role} IN DATABASE {name} SET work_mem = '8MB'"
        ));
        let refused = restore(bench, &saved, &["--confirm", PHRASE]);
        bench.database.admin(&format!("DROP ROLE {role}"));
        assert!(refused.expect_code(2).stderr.contains("let the role do that"));
        // Somebody else's database: only its owner may rename it.
        let me = bench.database.query("SELECT current_user").trim().to_owned();
        bench.database.admin(&format!("ALTER DATABASE {name} OWNER TO CURRENT_USER"));
        let refused = restore(bench, &saved, &["--confirm", PHRASE]);
        bench.database.admin(&format!("ALTER DATABASE {name} OWNER TO {me}"));
        assert!(refused.expect_code(2).stderr.contains("Only its owner may rename"));
        // Part of the rows only.
        let part = create(bench, &["--no-encrypt", "--tables", "people"]);
        let part = Saved { id: part, old: String::new(), now: String::new() };
        let refused = restore(bench, &part, &[]).expect_code(2);
        assert!(refused.stderr.contains("does not hold all"), "{refused}");
        unchanged(&refused);
        // A damaged one.
        let chunks = bench.project.at(&format!(".whimbrel/backups/{}/chunks", saved.id));
        let chunk = std::fs::read_dir(&chunks).expect("chunks").next().expect("one").expect("one");
        let mut bytes = std::fs::read(chunk.path()).expect("a chunk");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(chunk.path(), bytes).expect("written");
        let damaged = restore(bench, &saved, &["--confirm", PHRASE]).expect_code(1);
        assert!(damaged.stderr.contains("chunks/"), "{damaged}");
        unchanged(&damaged);
    });
}

#[test]
fn what_forbids_the_rename_is_named() {
    on("postgres", |bench| {
        let saved = saved(bench);
        let name = &bench.database.name;
        let refused = |url: &str, reason: &str| {
            let words = ["backup", "restore", &saved.id, "--in-place", "--confirm", PHRASE];
            let refused = bench.whimbrel().env("DATABASE_URL", url).run(words).expect_code(2);
            assert!(refused.stderr.contains(reason), "{refused}");
            assert_eq!(beside(bench), Vec::<String>::new(), "{refused}");
            let left = bench.project.files();
            assert!(!left.iter().any(|file| file.contains("restores")), "{left:?}");
        };
        let url = &bench.database.url;
        // A role of the owner's that may not make databases.
        let owner = bench.database.query("SELECT current_user").trim().to_owned();
        let (role, word) = (format!("{name}_n"), "no-databases");
        bench
            .database
            .admin(&format!("CREATE ROLE {role} LOGIN PASSWORD '{word}' IN ROLE {owner}"));
        let (_, rest) = url.split_once('@').expect("a user in the URL");
        refused(&format!("postgres://{role}:{word}@{rest}"), "ALTER ROLE ... CREATEDB");
        bench.database.admin(&format!("DROP ROLE {role}"));
        // What no backup holds.
        bench.database.admin(
            "CREATE SUBSCRIPTION far CONNECTION 'dbname=nowhere' PUBLICATION all_of_it \
             WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false)",
        );
        refused(url, "The database has subscriptions (1)");
        bench.database.admin("DROP SUBSCRIPTION far");
        let object = bench.database.query("SELECT lo_create(0)").trim().to_owned();
        refused(url, "The database has large objects (1)");
        bench.database.query(&format!("SELECT lo_unlink({object})"));
        restore(bench, &saved, &["--confirm", PHRASE]).success();
        assert_eq!(rows(&bench.database), saved.old);
    });
}
