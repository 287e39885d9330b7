//! Signals that hold a data migration between two batches.

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Running, Whimbrel};

use crate::control::lease_is_renewed;
use crate::data::{count, people};
use crate::engines::{Bench, every_engine, on};

every_engine!(
    a_file_holds_the_run_until_it_is_gone,
    a_query_holds_the_run_while_it_is_above_zero,
    a_run_that_is_held_for_ever_can_be_cancelled,
    batches_run_in_their_window_only,
);

/// A migration of some small batches, and the settings.
fn prepare(bench: &Bench, throttle: &str) {
    people(bench, 60);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=20\nUPDATE people SET visits = visits + 1;\n",
    );
    bench.project.file("whimbrel.toml", &format!("[throttle]\n{throttle}\n"));
}

#[track_caller]
fn held(bench: &Bench, signal: &str) -> Running {
    let running = bench.whimbrel().spawn(["up", "--json"]);
    let wanted = format!("\"signal\":\"{signal}\"");
    running.wait_until(|out, _| out.contains("\"event\":\"held\"") && out.contains(&wanted));
    running
}

fn all_once(bench: &Bench) {
    let rows = count(bench, "SELECT count(*) FROM people");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn a_file_holds_the_run_until_it_is_gone(bench: &Bench) {
    prepare(bench, "flag-file = \"stop.flag\"");
    bench.project.file("stop.flag", "");
    let running = held(bench, "flag-file");
    lease_is_renewed(bench);
    let status = bench.whimbrel().run(["run", "status"]).success();
    assert!(status.stdout.contains("held by flag-file: `stop.flag` exists"), "{status}");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), 0);
    std::fs::remove_file(bench.project.path().join("stop.flag")).expect("the file goes");
    let done = running.wait().success();
    assert!(done.stdout.contains("\"event\":\"released\""), "{done}");
    all_once(bench);
}

fn a_query_holds_the_run_while_it_is_above_zero(bench: &Bench) {
    bench.migration(
        "0000_brake.sql",
        "CREATE TABLE brake (x INTEGER);\nINSERT INTO brake VALUES (7);\n",
    );
    prepare(bench, "query = \"SELECT sum(x) FROM brake\"");
    let running = held(bench, "query");
    assert!(running.stdout_so_far().contains("\"value\":\"7\""));
    bench.database.query("DELETE FROM brake");
    running.wait().success();
    all_once(bench);
    bench.migration("0003_again.data.sql", "UPDATE people SET visits = visits + 1;\n");
    for (query, words) in
        [("SELECT nope FROM brake", "cannot be measured"), ("SELECT 'x'", "must return a number")]
    {
        bench.project.file("whimbrel.toml", &format!("[throttle]\nquery = \"{query}\"\n"));
        let up = bench.whimbrel().run(["up"]).expect_code(2);
        assert!(up.stderr.contains(words), "{up}");
    }
    all_once(bench);
}

fn a_run_that_is_held_for_ever_can_be_cancelled(bench: &Bench) {
    prepare(bench, "query = \"SELECT 1\"");
    let running = held(bench, "query");
    running.wait_until(|out, _| out.matches("\"event\":\"held\"").count() > 1);
    lease_is_renewed(bench);
    bench.whimbrel().run(["run", "cancel"]).success();
    running.wait().expect_code(130);
    let running = held(bench, "query");
    running.signal("INT");
    running.wait().expect_code(130);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), 0);
    bench.project.file("whimbrel.toml", "[throttle]\nquery = \"SELECT 0\"\n");
    bench.whimbrel().run(["up"]).success();
    all_once(bench);
}

fn batches_run_in_their_window_only(bench: &Bench) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 3_600;
    let hour = |plus: u64| (now + plus) % 24;
    prepare(bench, &format!("window = \"{:02}:00-{:02}:00\"", hour(3), hour(5)));
    let running = held(bench, "window");
    bench.whimbrel().run(["run", "cancel"]).success();
    running.wait().expect_code(130);
    let window = format!("[throttle]\nwindow = \"{:02}:00-{:02}:00\"\n", hour(22), hour(3));
    bench.project.file("whimbrel.toml", &window);
    bench.whimbrel().run(["up"]).success();
    all_once(bench);
    bench.project.file("whimbrel.toml", "[throttle]\nwindow = \"noon\"\n");
    let wrong = bench.whimbrel().run(["status"]).expect_code(2);
    assert!(wrong.stderr.contains("whimbrel.toml:2:10"), "{wrong}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (engine, signal) in [
        ("sqlite", "active-connections = 5"),
        ("sqlite", "lock-waits = 5"),
        ("mariadb", "replication-lag = \"5s\""),
        // Our account has no right to see it.
        ("mariadb", "lock-waits = 5"),
    ] {
        on(engine, |bench| {
            prepare(bench, signal);
            let up = bench.whimbrel().run(["up"]).expect_code(2);
            assert!(up.stderr.contains("cannot be measured"), "{up}");
            assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), 0);
        });
    }
}

/// A session that is at work for a long time; it ends with the test.
struct Busy(std::process::Child);

impl Busy {
    fn new(bench: &Bench, sql: &str) -> Busy {
        let mut command = bench.database.client_command();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the client starts");
        let mut input = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, sql.as_bytes()).expect("it reads");
        Busy(child)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sessions_at_work_hold_the_run_on_mariadb() {
    on("mariadb", |bench| {
        prepare(bench, "active-connections = 0");
        let busy = Busy::new(bench, "SELECT sleep(100);\n");
        let running = held(bench, "active-connections");
        drop(busy);
        bench.whimbrel().run(["run", "cancel"]).success();
        running.wait().expect_code(130);
        bench.project.file("whimbrel.toml", "[throttle]\nactive-connections = 100000\n");
        bench.whimbrel().run(["up"]).success();
        all_once(bench);
    });
}

/// An account that may see other sessions, and may do what the owner of the database may.
struct Seer<'a> {
    bench: &'a Bench,
    role: String,
}

impl<'a> Seer<'a> {
    fn new(bench: &'a Bench) -> Seer<'a> {
        let name = &bench.database.name;
        let role = format!("seer{}", name.rsplit('_').take(2).collect::<String>());
        bench.database.admin(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'seer' IN ROLE pg_monitor, app_owner;"
        ));
        Seer { bench, role }
    }

    fn whimbrel(&self) -> Whimbrel {
        let (_, server) = self.bench.database.url.split_once('@').expect("an account");
        let url = format!("postgres://{}:seer@{server}", self.role);
        self.bench.whimbrel().env("DATABASE_URL", url)
    }
}

impl Drop for Seer<'_> {
    fn drop(&mut self) {
        let role = &self.role;
        self.bench.database.admin(&format!(
            "REASSIGN OWNED BY {role} TO app_owner; DROP OWNED BY {role}; DROP ROLE {role};"
        ));
    }
}

#[test]
fn sessions_at_work_hold_the_run_on_postgres() {
    on("postgres", |bench| {
        prepare(bench, "active-connections = 0");
        let seer = Seer::new(bench);
        let busy = Busy::new(bench, "SELECT pg_sleep(100);\n");
        let running = seer.whimbrel().spawn(["up", "--json"]);
        running.wait_until(|out, _| out.contains("\"signal\":\"active-connections\""));
        drop(busy);
        bench.whimbrel().run(["run", "cancel"]).success();
        running.wait().expect_code(130);
        bench.project.file("whimbrel.toml", "[throttle]\nactive-connections = 100000\n");
        seer.whimbrel().run(["up"]).success();
        all_once(bench);
    });
}

#[test]
fn a_replica_that_is_behind_holds_the_run() {
    on("postgres", |bench| {
        prepare(bench, "replication-lag = \"8MiB\"");
        let seer = Seer::new(bench);
        let admin = std::env::var("WHIMBREL_TEST_POSTGRES_ADMIN").expect("a server");
        let folder = Project::new();
        let replica = Whimbrel::new("/usr/bin/pg_receivewal", folder.path()).spawn([
            "-D",
            ".",
            "-d",
            &admin,
            "--synchronous",
            "-s",
            "1",
            "--no-loop",
        ]);
        let there = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        let deadline = Instant::now() + Duration::from_secs(60);
        while bench.database.admin(there).trim() == "0" {
            assert!(Instant::now() < deadline, "no replica: {}", replica.stderr_so_far());
            std::thread::sleep(Duration::from_millis(50));
        }
        replica.pause();
        bench.database.query(
            "CREATE TABLE filler AS SELECT repeat(md5(g::text), 30) AS text \
             FROM generate_series(1, 25000) g",
        );
        let running = seer.whimbrel().spawn(["up", "--json"]);
        running.wait_until(|out, _| out.contains("\"signal\":\"replication-lag\""));
        assert!(running.stdout_so_far().contains("at most 8388608 bytes"));
        replica.resume();
        running.wait().success();
        all_once(bench);
        bench.migration("0003_again.data.sql", "UPDATE people SET visits = visits;\n");
        bench.project.file("whimbrel.toml", "[throttle]\nreplication-lag = \"1h\"\n");
        seer.whimbrel().run(["up"]).success();
        replica.kill();
    });
}

/// Each batch takes some time, and others wait for it.
fn others_wait(bench: &Bench, url: &str, sleep: &str) {
    people(bench, 200);
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.project.file("whimbrel.toml", "[throttle]\nlock-waits = 0\n");
    bench.migration(
        "0002_count.data.sql",
        &format!("-- whimbrel: batch size=50\nUPDATE people SET visits = visits + 1 + {sleep};\n"),
    );
    let running = bench.whimbrel().env("DATABASE_URL", url).spawn(["up", "--json"]);
    running.wait_until(|out, _| out.contains("\"begins\":true"));
    let mut others = Vec::new();
    while !running.stdout_so_far().contains("\"signal\":\"lock-waits\"") {
        assert!(others.len() < 200, "nobody was seen waiting:\n{}", running.stdout_so_far());
        others.push(Busy::new(bench, "UPDATE people SET nick = nick;\n"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let smaller = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        event["event"] == "batch" && event["batch_size"].as_u64().is_some_and(|size| size < 50)
    };
    let done = running.wait().success();
    assert!(done.stdout.lines().any(smaller), "{done}");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

#[test]
fn sessions_that_wait_for_us_hold_the_run_on_postgres() {
    let sleep = "coalesce(length(pg_sleep(0.03)::text), 0)";
    on("postgres", |bench| others_wait(bench, &bench.database.url, sleep));
}

#[test]
fn sessions_that_wait_for_us_hold_the_run_on_mariadb() {
    on("mariadb", |bench| {
        let name = &bench.database.name;
        let user = format!("seer{}", name.rsplit('_').take(2).collect::<String>());
        bench.database.admin(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'seer'; GRANT PROCESS ON *.* TO '{user}'@'%'; \
             GRANT ALL ON `{name}`.* TO '{user}'@'%';"
        ));
        let (_, server) = bench.database.url.split_once('@').expect("an account");
        others_wait(bench, &format!("mysql://{user}:seer@{server}"), "sleep(0.03)");
        bench.database.admin(&format!("DROP USER '{user}'@'%';"));
    });
}
