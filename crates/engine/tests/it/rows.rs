//! Streams of rows, on every database alike.

use whimbrel_core::rows::{CHUNK_BYTES_MAX, Cell, Chunk, ColumnKind};
use whimbrel_engine::backend::{Backend, Session};
use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};

/// A session on each database that this run has, with a query that returns `n` numbered rows.
async fn sessions(hint: &str) -> Vec<(&'static str, TestDatabase, Box<dyn Session>)> {
    let mut out = Vec::new();
    let database = fresh_sqlite();
    let backend = whimbrel_engine::backend::sqlite::SqliteBackend::new(&database.name, false);
    out.push(("sqlite", database, backend.connect().await.unwrap()));
    #[cfg(feature = "postgres")]
    if let Some(database) = fresh_postgres(hint) {
        let session = crate::postgres::backend(&database.url).connect().await.unwrap();
        out.push(("postgres", database, session));
    }
    #[cfg(feature = "mysql")]
    if let Some(database) = fresh_mariadb(hint) {
        let session = crate::mysql::backend(&database.url).connect().await.unwrap();
        out.push(("mariadb", database, session));
    }
    out
}

fn numbers(engine: &str, count: u32) -> String {
    match engine {
        "postgres" => {
            format!("SELECT n, repeat('x', 100) AS x FROM generate_series(1, {count}) AS s(n)")
        }
        "mariadb" => format!("SELECT seq AS n, repeat('x', 100) AS x FROM seq_1_to_{count}"),
        _ => format!(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) \
             SELECT n, printf('%.*c', 100, 'x') AS x FROM s"
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_rows_come_in_chunks_of_bounded_size() {
    for (engine, _database, mut session) in sessions("rows_many").await {
        let sql = numbers(engine, 20_000);
        let mut stream = session.stream(&sql).await.unwrap();
        let names: Vec<&str> = stream.columns().iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["n", "x"], "{engine}");
        let (mut chunk, mut count, mut chunks) = (Chunk::default(), 0_i64, 0);
        while stream.next(&mut chunk).await.unwrap() {
            chunks += 1;
            assert!(chunk.len() * 100 < CHUNK_BYTES_MAX * 2, "{engine}");
            for row in chunk.rows() {
                count += 1;
                assert_eq!(row.cell(0), Cell::Int(count), "{engine}");
                assert_eq!(row.len(), 2);
            }
        }
        assert!(!stream.next(&mut chunk).await.unwrap(), "{engine}");
        assert_eq!(count, 20_000, "{engine}");
        assert!(chunks >= 8, "{engine}: {chunks}");
        drop(stream);
        assert_eq!(session.query("SELECT 1").await.unwrap().len(), 1, "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_that_is_dropped_leaves_the_session_usable() {
    for (engine, _database, mut session) in sessions("rows_drop").await {
        session.batch("CREATE TABLE t (a INTEGER)").await.unwrap();
        session.batch("BEGIN").await.unwrap();
        session.batch("INSERT INTO t VALUES (1)").await.unwrap();
        for read in [0, 1] {
            let sql = numbers(engine, 300_000);
            let mut stream = session.stream(&sql).await.unwrap();
            let mut chunk = Chunk::default();
            for _ in 0..read {
                assert!(stream.next(&mut chunk).await.unwrap(), "{engine}");
            }
            drop(stream);
            let rows = session.query("SELECT count(*) FROM t").await.unwrap();
            assert_eq!(rows, [[Some("1".to_owned())]], "{engine}");
        }
        session.batch("COMMIT").await.unwrap();
        let rows = session.query("SELECT count(*) FROM t").await.unwrap();
        assert_eq!(rows, [[Some("1".to_owned())]], "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn errors_are_told_and_leave_the_session_usable() {
    for (engine, _database, mut session) in sessions("rows_error").await {
        for sql in ["SELECT nothing", "SELEC 1"] {
            assert!(session.stream(sql).await.is_err(), "{engine}: {sql}");
            assert_eq!(session.query("SELECT 1").await.unwrap().len(), 1, "{engine}");
        }
    }
    let Some(database) = fresh_postgres("rows_late") else { return };
    let mut session = crate::postgres::backend(&database.url).connect().await.unwrap();
    let late = "SELECT 1 / (50000 - n) AS a FROM generate_series(1, 60000) AS s(n)";
    let mut stream = session.stream(late).await.unwrap();
    let (mut chunk, mut failed) = (Chunk::default(), None);
    while failed.is_none() {
        match stream.next(&mut chunk).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => failed = Some(error),
        }
    }
    assert!(failed.unwrap().message.contains("division by zero"));
    drop(stream);
    assert_eq!(session.query("SELECT 1").await.unwrap().len(), 1);
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_values_come_exactly() {
    let Some(database) = fresh_postgres("rows_values") else { return };
    let mut session = crate::postgres::backend(&database.url).connect().await.unwrap();
    session.batch("CREATE TYPE mood AS ENUM ('ok')").await.unwrap();
    let sql = "SELECT true AS b, 7::smallint AS i, 5000000000 AS l, 0.1::real AS r, \
        -12.340::numeric AS n, 'tëxt'::varchar(9) AS t, '\\x00ff'::bytea AS y, \
        date '2024-02-29' AS d, date 'infinity' AS inf, time '10:15:00.5' AS tm, \
        timestamp '1969-12-31 23:59:59.000001' AS ts, \
        timestamptz '2026-11-21 12:15:00+02' AS tz, \
        '123e4567-e89b-12d3-a456-426614174000'::uuid AS u, '{\"a\": 1}'::jsonb AS j, \
        'ok'::mood AS m, ARRAY[1, 2] AS a, '10.0.0.0/8'::cidr AS c, NULL::text AS nothing";
    let mut stream = session.stream(sql).await.unwrap();
    let heads: Vec<(String, ColumnKind)> =
        stream.columns().iter().map(|one| (one.type_name.clone(), one.kind)).collect();
    let types: Vec<&str> = heads.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        types,
        [
            "boolean",
            "smallint",
            "bigint",
            "real",
            "numeric",
            "character varying(9)",
            "bytea",
            "date",
            "date",
            "time without time zone",
            "timestamp without time zone",
            "timestamp with time zone",
            "uuid",
            "jsonb",
            "mood",
            "integer[]",
            "cidr",
            "text",
        ]
    );
    let mut chunk = Chunk::default();
    assert!(stream.next(&mut chunk).await.unwrap());
    let row = chunk.row(0).unwrap();
    let want = [
        Cell::Bool(true),
        Cell::Int(7),
        Cell::Int(5_000_000_000),
        Cell::Real(0.1),
        Cell::Decimal("-12.340"),
        Cell::Text("tëxt"),
        Cell::Bytes(&[0, 255]),
        Cell::Text("2024-02-29"),
        Cell::Text("infinity"),
        Cell::Text("10:15:00.5"),
        Cell::Text("1969-12-31T23:59:59.000001"),
        Cell::Text("2026-11-21T10:15:00Z"),
        Cell::Text("123e4567-e89b-12d3-a456-426614174000"),
        Cell::Text("{\"a\": 1}"),
        Cell::Text("ok"),
        Cell::Text("{1,2}"),
        Cell::Text("10.0.0.0/8"),
        Cell::Null,
    ];
    for (at, want) in want.iter().enumerate() {
        assert_eq!(row.cell(at), *want, "{:?}", heads[at]);
    }
}

/// The server's own text of each number, against what was read from its binary form.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_decimals_are_what_the_server_prints() {
    let Some(database) = fresh_postgres("rows_decimals") else { return };
    let mut session = crate::postgres::backend(&database.url).connect().await.unwrap();
    let sql = "SELECT x, x::text FROM (SELECT (random()::numeric - 0.5) * \
        power(10::numeric, (n % 60) - 30) AS x FROM generate_series(1, 3000) AS s(n) UNION ALL \
        SELECT round((n::numeric - 500) * power(10::numeric, n % 9), 3) \
        FROM generate_series(1, 1000) AS s(n)) AS q";
    let mut stream = session.stream(sql).await.unwrap();
    let (mut chunk, mut count) = (Chunk::default(), 0);
    while stream.next(&mut chunk).await.unwrap() {
        for row in chunk.rows() {
            let (Cell::Decimal(read), Cell::Text(printed)) = (row.cell(0), row.cell(1)) else {
                panic!("{row:?}");
            };
            assert_eq!(read, printed);
            count += 1;
        }
    }
    assert_eq!(count, 4_000);
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn mariadb_values_come_exactly() {
    let Some(database) = fresh_mariadb("rows_values") else { return };
    let mut session = crate::mysql::backend(&database.url).connect().await.unwrap();
    session
        .batch(
            "CREATE TABLE t (a TINYINT, b BIGINT UNSIGNED, c DECIMAL(9,3), d DOUBLE, e DATETIME(3), \
             f DATE, g TIME, h BIT(1), i VARBINARY(4), j VARCHAR(9), k JSON, l ENUM('x'), m YEAR); \
             INSERT INTO t VALUES (-1, 18446744073709551615, 1.5, 0.1, '2026-11-21 10:15:00.25', \
             '2026-11-21', '-01:02:03', b'1', X'00ff', 'tëxt', '[1]', 'x', 2026), \
             (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        )
        .await
        .unwrap();
    let mut stream = session.stream("SELECT * FROM t").await.unwrap();
    let mut chunk = Chunk::default();
    assert!(stream.next(&mut chunk).await.unwrap());
    let want = [
        Cell::Int(-1),
        Cell::UInt(u64::MAX),
        Cell::Decimal("1.500"),
        Cell::Real(0.1),
        Cell::Text("2026-11-21T10:15:00.250"),
        Cell::Text("2026-11-21"),
        Cell::Text("-01:02:03"),
        Cell::UInt(1),
        Cell::Bytes(&[0, 255]),
        Cell::Text("tëxt"),
        Cell::Text("[1]"),
        Cell::Text("x"),
        Cell::Int(2_026),
    ];
    let row = chunk.row(0).unwrap();
    for (at, want) in want.iter().enumerate() {
        assert_eq!(row.cell(at), *want, "{at}");
        assert_eq!(chunk.row(1).unwrap().cell(at), Cell::Null);
    }
}
