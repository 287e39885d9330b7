//! A test may start a server of its own, take its power away and start it again.

use std::path::Path;

use whimbrel_testkit::project::Project;
use whimbrel_testkit::servers::{Durability, MariaDb, Postgres};
use whimbrel_testkit::variables::{Backend, is_left_out};

fn is_process(pid: Option<u32>) -> bool {
    pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
}

#[test]
fn postgres_comes_back_after_a_crash() {
    if is_left_out(Backend::Postgres) {
        return;
    }
    let folder = Project::open_to_all();
    for (durability, synced) in [(Durability::Machine, "on"), (Durability::Process, "off")] {
        let place = folder.at(&format!("own_{synced}"));
        let settings = Postgres::settings(durability);
        let mut server = Postgres::start(&place, settings, None).unwrap();
        let (pid, url) = (server.pid(), server.url());
        assert!(is_process(pid));
        assert_eq!(server.admin("SHOW fsync;").unwrap().trim(), synced);
        server.admin("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7);").unwrap();
        server.crash().unwrap();
        assert!(!is_process(pid));
        server.start_again().unwrap();
        assert_eq!(server.url(), url);
        assert_eq!(server.admin("SELECT id FROM kept;").unwrap().trim(), "7");
        let pid = server.pid();
        server.stop().unwrap();
        assert!(!is_process(pid));
    }
}

#[test]
fn mariadb_comes_back_after_a_crash() {
    if is_left_out(Backend::Mariadb) {
        return;
    }
    let folder = Project::open_to_all();
    for (durability, name) in [(Durability::Machine, "own"), (Durability::Process, "quick")] {
        let mut server = MariaDb::start_with(&folder.at(name), durability).unwrap();
        let (pid, url) = (server.pid(), server.url());
        let table = "CREATE DATABASE whimbrel_kept; USE whimbrel_kept; \
                     CREATE TABLE kept (id int); INSERT INTO kept VALUES (7);";
        server.admin(table).unwrap();
        server.crash().unwrap();
        assert!(!is_process(pid));
        server.start_again().unwrap();
        assert_eq!(server.url(), url);
        assert_eq!(server.admin("SELECT id FROM whimbrel_kept.kept;").unwrap().trim(), "7");
    }
}
