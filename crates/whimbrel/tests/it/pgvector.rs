//! `examples/advent` on a PostgreSQL that has pgvector: its vectors are changed in batches, come
//! back, and survive a backup.

use std::path::Path;

use whimbrel_testkit::database::{TestDatabase, on_postgres};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;
use whimbrel_testkit::servers::Postgres;
use whimbrel_testkit::variables::{Backend, is_left_out};

/// The example on a server of its own, with its old rows.
struct Advent {
    project: Project,
    database: TestDatabase,
    path: String,
    _server: Postgres,
    _folder: Project,
}

impl Advent {
    /// `None` if the run leaves PostgreSQL or the peers out by name.
    fn begin() -> Option<Advent> {
        if is_left_out(Backend::Postgres) {
            return None;
        }
        let folder = Project::open_to_all();
        let server = Postgres::with_pgvector(folder.path())?;
        // The extension is one that only superusers install.
        server.admin("ALTER ROLE app_owner SUPERUSER;").expect("a superuser");
        let database = on_postgres(&server, "advent");
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/advent");
        let project = Project::copy_of(examples);
        let legacy = project.read("legacy.sql").replace(
            "1000 AS accounts, 2000 AS children, 50000 AS messages, 200000 AS events",
            "60 AS accounts, 120 AS children, 1500 AS messages, 3000 AS events",
        );
        database.query(&legacy);
        // Not what is judged here: the old tables stay.
        project.remove("supabase/migrations/0009_drop_legacy.sql");
        project.remove("whimbrel/0009_drop_legacy.down.sql");
        let old = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{old}", server.programs().display());
        Some(Advent { project, database, path, _server: server, _folder: folder })
    }

    fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), self.project.path())
            .env("DATABASE_URL", &self.database.url)
            .env("WHIMBREL_BACKUP_PASSPHRASE", "four-long-words-here")
            .env("PATH", &self.path)
    }

    fn one(&self, sql: &str) -> String {
        self.database.query(sql).trim().to_owned()
    }

    /// All vectors as one value.
    fn vectors(&self) -> String {
        self.one(
            "SELECT md5(string_agg(id || embedding::text, ' ' ORDER BY id)) FROM memory_embedding",
        )
    }
}

#[test]
fn vectors_go_in_batches_and_come_back() {
    let Some(advent) = Advent::begin() else { return };
    advent.whimbrel().run(["baseline", "--to", "0"]).success();
    advent.whimbrel().run(["up"]).success();
    let kind = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
                WHERE attrelid = 'memory_embedding'::regclass AND attname = 'embedding'";
    assert_eq!(advent.one(kind), "vector(384)");
    advent.whimbrel().run(["verify"]).success();

    advent.database.query(
        "SELECT setseed(0.5);
         INSERT INTO memory_embedding (child_id, content, embedding)
         SELECT c.id, 'memory ' || n,
             (SELECT array_agg(random() + n / g) FROM generate_series(1, 384) g)
         FROM (SELECT id FROM child_profile_v2 LIMIT 1) c, generate_series(1, 3000) n;
         CREATE INDEX ON memory_embedding USING hnsw (embedding vector_l2_ops);",
    );
    let before = advent.vectors();
    advent.project.file(
        "whimbrel/0010_double.data.sql",
        "-- whimbrel: batch size=500\nUPDATE memory_embedding SET embedding = embedding + embedding;\n",
    );
    let running = advent.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.contains("\"event\":\"batch\""));
    running.kill();
    advent.whimbrel().run(["up"]).success();
    assert_ne!(advent.vectors(), before);
    let doubled = "SELECT count(*) FROM memory_embedding WHERE vector_norm(embedding) > 0 \
                   AND content LIKE 'memory %'";
    assert_eq!(advent.one(doubled), "3000");
    advent.whimbrel().run(["account", "0010"]).success();
    advent.whimbrel().run(["undo", "0010"]).success();
    assert_eq!(advent.vectors(), before);

    advent.whimbrel().run(["backup", "create"]).success();
    let list = advent.whimbrel().run(["backup", "list"]).success();
    let id = list.stdout.split_whitespace().next().expect("an id").to_owned();
    let verified = advent.whimbrel().run(["backup", "verify", &id, "--restore"]).success();
    assert!(!verified.stdout.contains("FAILED"), "{verified}");
}
