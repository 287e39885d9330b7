//! `copy` between each two databases, judged by the databases' own client and dump programs.

mod bad;
mod many;
mod order;
mod pairs;
mod read_again;
mod source;
mod source_faults;
mod types;

use std::path::Path;

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

/// Two databases, and a project whose database is the second.
struct Ends {
    from: &'static str,
    to: &'static str,
    source: TestDatabase,
    target: TestDatabase,
    project: Project,
}

fn fresh(engine: &str) -> Option<TestDatabase> {
    match engine {
        "sqlite" => Some(fresh_sqlite()),
        "postgres" => fresh_postgres("copy"),
        _ => fresh_mariadb("copy"),
    }
}

/// Runs a scenario between two engines, unless one is left out of this run by name.
fn between(from: &'static str, to: &'static str, scenario: impl Fn(&Ends)) {
    if let (Some(source), Some(target)) = (fresh(from), fresh(to)) {
        let project = Project::new();
        project.file("migrations/0001_none.sql", "");
        scenario(&Ends { from, to, source, target, project });
    }
}

impl Ends {
    /// The program, with the target in `DATABASE_URL` and the source in `LEGACY_URL`.
    fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(Path::new(env!("CARGO_BIN_EXE_whimbrel")), self.project.path())
            .env("DATABASE_URL", &self.target.url)
            .env("LEGACY_URL", &self.source.url)
    }

    /// Makes the target's tables by a migration.
    fn tables(&self, sql: &str) {
        self.project.file("migrations/0001_tables.sql", sql).remove("migrations/0001_none.sql");
        self.whimbrel().run(["up"]).success();
    }

    fn copy(&self, more: &[&str]) -> Output {
        self.whimbrel().run(arguments(more))
    }

    fn count(&self, sql: &str) -> i64 {
        self.target.query(sql).trim().parse().expect("a number")
    }
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["copy", "--from", "env:LEGACY_URL", "--to", "env:DATABASE_URL"];
    all.extend(more);
    all
}

/// Makes one test of the scenario for each two engines.
macro_rules! every_pair {
    ($($scenario:ident),+ $(,)?) => {
        crate::copy::every_pair!(@from sqlite, $($scenario),+);
        crate::copy::every_pair!(@from postgres, $($scenario),+);
        crate::copy::every_pair!(@from mariadb, $($scenario),+);
    };
    (@from $from:ident, $($scenario:ident),+) => {
        mod $from {
            $(mod $scenario {
                use crate::copy::between;
                #[test]
                fn sqlite() { between(stringify!($from), "sqlite", super::super::$scenario); }
                #[test]
                fn postgres() { between(stringify!($from), "postgres", super::super::$scenario); }
                #[test]
                fn mariadb() { between(stringify!($from), "mariadb", super::super::$scenario); }
            })+
        }
    };
}
use every_pair;
