//! `examples/briefly` on PostgreSQL: a data migration with everything around it.

use std::path::Path;

use whimbrel_testkit::database::fresh_postgres;
use whimbrel_testkit::project::Project;

use crate::guide;

#[test]
fn the_readme_can_be_followed() {
    let Some(database) = fresh_postgres("briefly") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/briefly");
    let project = Project::copy_of(folder);
    let output = guide::follow(&project.read("README.md"), project.path(), Some(&database.url));
    assert!(output.stdout.contains("Made 2780 rows in 8 tables"), "{output}");
    assert!(output.stdout.contains("2 violations"), "{output}");
    assert!(output.stdout.contains("The account holds"), "{output}");
    // Four rows went into quarantine, each once.
    let aside = project.read("quarantine.ndjson");
    let keys = ["0001", "0002", "0003"].map(|end| format!("00000000-0000-4000-8000-00000000{end}"));
    assert_eq!(aside.lines().count(), 4, "{aside}");
    assert!(keys.iter().all(|key| aside.contains(key)), "{aside}");
    assert!(aside.contains("oauth_tokens_user_id_fkey"), "{aside}");
    // In the end all is taken back but the row that was changed since.
    assert_eq!(database.query("SELECT email FROM users").trim(), "nobody@example.com");
    assert_eq!(database.query("SELECT count(*) FROM chat_messages").trim(), "0");
    assert_eq!(database.query("SELECT count(*) FROM backend.users").trim(), "101");
}
