//! Exactly once: killed at every place of the loop, refused, resumed.

use whimbrel_engine::failpoint;

use super::{Ends, every_pair};

every_pair!(a_kill_at_every_place_of_the_loop_changes_nothing);

/// The target has no key: a row that came twice would stay.
fn a_kill_at_every_place_of_the_loop_changes_nothing(ends: &Ends) {
    people(ends, 300);
    ends.tables("CREATE TABLE people (id integer, team varchar(10), name varchar(20));");
    let want = ends.source.query("SELECT team, id, name FROM people ORDER BY id, team");
    for point in failpoint::BATCHES {
        for nth in [1, 3] {
            ends.target.query("DELETE FROM people");
            let killed = ends
                .whimbrel()
                .env("WHIMBREL_FAILPOINT", format!("{point}:{nth}"))
                .run(super::arguments(&["--size", "40"]));
            let once = point.ends_with("cursor") && nth == 3;
            assert_eq!(killed.code.is_none(), !once, "{point}:{nth}: {killed}");
            let again = ends.copy(&["--size", "40", "--verify"]).success();
            assert!(again.stdout.contains("same 300 rows at both ends"), "{point}:{nth}: {again}");
            let rows = ends.target.query("SELECT team, id, name FROM people ORDER BY id, team");
            assert_eq!(rows, want, "after {point}:{nth}");
        }
    }
}

/// A composite key of text and number, in an order that is not the key's.
fn people(ends: &Ends, rows: u32) {
    let team =
        if ends.from == "mariadb" { "varchar(10) COLLATE utf8mb4_bin" } else { "varchar(10)" };
    ends.source.query(&format!(
        "CREATE TABLE people (id integer NOT NULL, team {team} NOT NULL, name varchar(20), \
         PRIMARY KEY (team, id));"
    ));
    let teams = ["a", "B", "ö", "it''s", "", "Z"];
    let values: Vec<String> = (0..rows)
        .map(|at| {
            let number = (at * 7919) % rows;
            let team = teams[number as usize % teams.len()];
            format!("({number}, '{team}', 'name{number}')")
        })
        .collect();
    ends.source.query(&format!("INSERT INTO people VALUES {}", values.join(", ")));
}

#[test]
fn a_stop_goes_on_later_and_a_second_copy_changes_nothing() {
    super::between("sqlite", "postgres", |ends| {
        people(ends, 200);
        ends.tables("CREATE TABLE people (id integer, team varchar(10), name varchar(20));");
        let running = ends
            .whimbrel()
            .env("WHIMBREL_FAILPOINT", "batch.after_commit:2")
            .env("WHIMBREL_FAILPOINT_ACTION", "stop")
            .spawn(super::arguments(&["--size", "30"]));
        while ends.count("SELECT count(*) FROM people") < 60 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        running.signal("INT");
        running.resume();
        let stopped = running.wait().expect_code(130);
        assert!(stopped.stderr.contains("the same command goes on"), "{stopped}");
        let rest = ends.copy(&["--json"]).success();
        assert!(rest.stdout.contains("\"rows_written\":200"), "{rest}");
        let again = ends.copy(&[]).success();
        assert!(again.stdout.contains("was copied before"), "{again}");
        assert_eq!(ends.count("SELECT count(*) FROM people"), 200);
        // What somebody changes afterwards is found.
        ends.target.query(
            "UPDATE people SET name = 'x' WHERE id = 7; DELETE FROM people WHERE id = 8; \
             INSERT INTO people VALUES (999, 'a', 'new')",
        );
        let differs = ends.copy(&["--verify"]).expect_code(3);
        for line in ["other values: team = B, id = 7", "only at the source: team = ö, id = 8"] {
            assert!(differs.stdout.contains(line), "{line}: {differs}");
        }
        assert!(differs.stdout.contains("only at the target: team = a, id = 999"), "{differs}");
    });
}
