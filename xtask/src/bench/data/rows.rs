//! Rows to measure with: the same on every database, about 200 bytes each, all good.

/// `rows` rows of 10 mixed columns.
pub(in crate::bench) fn sqlite_rows(rows: usize) -> String {
    format!(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, public_id TEXT NOT NULL, email \
         VARCHAR(200) NOT NULL, tier TEXT NOT NULL, created_at TEXT NOT NULL, age INTEGER NOT \
         NULL, balance REAL NOT NULL, active BOOLEAN NOT NULL, name TEXT NOT NULL, bio TEXT); \
         WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
         INSERT INTO accounts SELECT n, printf('%08x-0000-4000-8000-%012x', n * 7919 % 4294967296, \
         n), printf('user.%d@mail%d.example.org', n, n % 50), CASE n % 3 WHEN 0 THEN 'free' WHEN 1 \
         THEN 'pro' ELSE 'team' END, strftime('%Y-%m-%dT%H:%M:%SZ', 1700000000 + n, 'unixepoch'), \
         n % 100, n % 100000 / 4.0, n % 2, printf('Name %d of somebody', n), CASE WHEN n % 10 > 0 \
         THEN printf('%.80c', 'b') END FROM s;"
    )
}

/// The same on PostgreSQL.
pub(in crate::bench) fn postgres_rows(rows: usize) -> String {
    format!(
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, public_id UUID NOT NULL, email \
         VARCHAR(200) NOT NULL, tier TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, age INTEGER \
         NOT NULL, balance NUMERIC(12,2) NOT NULL, active BOOLEAN NOT NULL, name TEXT NOT NULL, \
         bio TEXT); \
         INSERT INTO accounts SELECT n, (lpad(to_hex(n * 7919 % 4294967296), 8, '0') || \
         '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, format('user.%s@mail%s.example.org', \
         n, n % 50), CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE 'team' END, \
         to_timestamp(1700000000 + n), n % 100, (n % 100000)::numeric / 4, n % 2 = 1, \
         format('Name %s of somebody', n), CASE WHEN n % 10 > 0 THEN repeat('b', 80) END \
         FROM generate_series(1, {rows}::bigint) AS s(n); VACUUM ANALYZE accounts;"
    )
}

/// The same on MariaDB, whose sequence engine counts.
pub(in crate::bench) fn mariadb_rows(rows: usize) -> String {
    format!(
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, public_id CHAR(36) NOT NULL, email \
         VARCHAR(200) NOT NULL, tier VARCHAR(10) NOT NULL, created_at DATETIME NOT NULL, age \
         INTEGER NOT NULL, balance DECIMAL(12,2) NOT NULL, active BOOLEAN NOT NULL, name \
         VARCHAR(100) NOT NULL, bio TEXT); \
         INSERT INTO accounts SELECT seq, concat(lpad(hex(seq * 7919 % 4294967296), 8, '0'), \
         '-0000-4000-8000-', lpad(hex(seq), 12, '0')), concat('user.', seq, '@mail', seq % 50, \
         '.example.org'), elt(seq % 3 + 1, 'free', 'pro', 'team'), \
         from_unixtime(1700000000 + seq), seq % 100, seq % 100000 / 4, seq % 2, concat('Name ', \
         seq, ' of somebody'), CASE WHEN seq % 10 > 0 THEN repeat('b', 80) END \
         FROM seq_1_to_{rows}; ANALYZE TABLE accounts;"
    )
}
