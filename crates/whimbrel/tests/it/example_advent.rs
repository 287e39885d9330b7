//! `examples/advent` on PostgreSQL: eight legacy tables into twelve new ones, proven.

use std::path::Path;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

use crate::guide;

/// The example with fewer rows and an empty database; `None` if the run leaves PostgreSQL out.
fn advent() -> Option<(Project, TestDatabase)> {
    let database = fresh_postgres("advent")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/advent");
    let project = Project::copy_of(folder);
    let legacy = project.read("legacy.sql");
    let fewer = legacy.replace(
        "1000 AS accounts, 2000 AS children, 50000 AS messages, 200000 AS events",
        "60 AS accounts, 120 AS children, 1500 AS messages, 3000 AS events",
    );
    assert_ne!(fewer, legacy);
    project.file("legacy.sql", &fewer);
    Some((project, database))
}

fn count(database: &TestDatabase, sql: &str) -> i64 {
    database.query(sql).trim().parse().expect("a number")
}

#[test]
fn the_readme_can_be_followed() {
    let Some((project, database)) = advent() else { return };
    let output = guide::follow(
        &project.read("README.md"),
        project.path(),
        &[("DATABASE_URL", &database.url)],
    );
    assert!(output.stdout.contains("holds: no row was lost"), "{output}");
    assert!(output.stdout.contains("Made 100 rows in 2 tables"), "{output}");
    // In the end all of it is taken back: the legacy rows are there, and nothing in the new tables.
    assert_eq!(count(&database, "SELECT count(*) FROM account"), 61);
    assert_eq!(count(&database, "SELECT count(*) FROM chat_message_v2"), 0);
}

#[test]
fn broken_rows_are_in_quarantine_and_nowhere_else_whatever_is_killed() {
    let Some((project, database)) = advent() else { return };
    database.query(&project.read("legacy.sql"));
    let whimbrel = || {
        Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path())
            .env("DATABASE_URL", &database.url)
    };
    whimbrel().run(["baseline", "--to", "0"]).success();
    whimbrel().run(["up", "--to", "0006"]).success();
    for batches in [2, 5, 4] {
        let running = whimbrel().spawn(["up", "--to", "0007", "--json"]);
        running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > batches);
        running.kill();
    }
    whimbrel().run(["up", "--to", "0007"]).success();
    for (legacy, new) in [
        ("account", "account_v2"),
        ("child", "child_profile_v2"),
        ("calendar", "advent_calendar_v2"),
        ("calendar_day", "calendar_day_v2"),
        ("chat_record", "chat_session_v2"),
        ("chat_message", "chat_message_v2"),
        ("surprise_config", "surprise_collection_v2"),
    ] {
        let aside = format!(
            "SELECT count(*) FROM whimbrel.quarantine q JOIN {legacy} l ON q.row_key LIKE \
             '%' || l.id || '%'"
        );
        let both = format!("{aside} JOIN {new} n ON n.id = l.id");
        assert_eq!(count(&database, &both), 0, "{legacy}");
        let gone = format!(
            "SELECT count(*) FROM {legacy} l WHERE NOT EXISTS (SELECT FROM {new} n WHERE n.id = l.id)"
        );
        assert_eq!(count(&database, &gone), count(&database, &aside), "{legacy}");
        assert_eq!(count(&database, &format!("SELECT count(*) FROM {new}")), {
            count(&database, &format!("SELECT count(*) FROM {legacy}")) - count(&database, &aside)
        });
    }
    let events = "SELECT count(*) FROM (SELECT event_id FROM calendar_analytics UNION ALL SELECT \
                  event_id FROM day_analytics UNION ALL SELECT event_id FROM chat_analytics UNION \
                  ALL SELECT event_id FROM user_engagement) e";
    let moved =
        "SELECT count(*) FROM analytics_event WHERE event_type NOT IN ('heartbeat', 'mystery')";
    assert_eq!(count(&database, events), count(&database, moved));
    let videos = "SELECT sum(jsonb_array_length(video_urls)) FROM surprise_config";
    assert_eq!(count(&database, "SELECT count(*) FROM surprise_video"), count(&database, videos));
    assert_eq!(count(&database, "SELECT count(*) FROM whimbrel.quarantine"), 5);
    let cleanup = whimbrel().run(["up"]).expect_code(2);
    assert!(cleanup.stderr.contains("requires the account"), "{cleanup}");
    assert_eq!(count(&database, "SELECT count(*) FROM account"), 61);
}
