//! Memory stays the same however many rows there are.

use crate::engines::{Bench, every_engine};

every_engine!(memory_does_not_grow_with_the_rows);

/// The large table's rows are more than 40 MiB, the small one's less than one.
const GROWTH_MAX_KIB: u64 = 12 * 1024;
/// What the program has for itself, where it ended too soon to be seen.
const FLOOR_KIB: u64 = 24 * 1024;

fn memory_does_not_grow_with_the_rows(bench: &Bench) {
    let numbers = match bench.engine {
        "postgres" => "SELECT n FROM generate_series(1, 200000) AS s(n)",
        "mariadb" => "SELECT seq AS n FROM seq_1_to_200000",
        _ => {
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 200000) \
             SELECT n FROM s"
        }
    };
    let text = match bench.engine {
        "sqlite" => "printf('%0200d', n)",
        "postgres" => "lpad(n::text, 200, '0')",
        _ => "lpad(n, 200, '0')",
    };
    bench.database.query(&format!(
        "CREATE TABLE large (id INTEGER PRIMARY KEY, body VARCHAR(300), n INTEGER); \
         INSERT INTO large SELECT n, {text}, n % 7 FROM ({numbers}) AS q; \
         CREATE TABLE small (id INTEGER PRIMARY KEY, body VARCHAR(300), n INTEGER); \
         INSERT INTO small SELECT * FROM large WHERE id <= 2000;"
    ));
    std::fs::create_dir_all(bench.project.path().join("migrations")).unwrap();
    let rule = r#"{"properties": {"body": {"type": "string", "pattern": "^[0-9]+$"},
        "n": {"type": "integer", "maximum": 5}}, "required": ["body"]}"#;
    for table in ["small", "large"] {
        bench.project.file(&format!("rules/{table}.schema.json"), rule);
    }
    let (small, large) = (peak(bench, "small"), peak(bench, "large"));
    assert!(large > 0 && large < small.max(FLOOR_KIB) + GROWTH_MAX_KIB, "{small} KiB, {large} KiB");
}

/// The peak of resident memory while a table is judged, in KiB.
fn peak(bench: &Bench, table: &str) -> u64 {
    let mut running = bench.whimbrel().spawn(["validate", table]);
    let mut peak = 0;
    while running.is_running() {
        peak = running.peak_memory_kib().unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.wait().expect_code(3);
    peak
}
