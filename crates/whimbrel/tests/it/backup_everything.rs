//! A schema with something of everything that each server has, and rows at the edges of the types.

/// Something of everything that PostgreSQL has.
pub(crate) const POSTGRES: &str = r#"
CREATE SCHEMA "Other one";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL
    COLLATE "C", parent bigint REFERENCES people DEFERRABLE, m mood, p positive,
    loud text GENERATED ALWAYS AS (upper(name)) STORED,
    kind varchar(3) CHECK (kind IN ('a', 'b')), UNIQUE (name, kind));
CREATE TABLE "Other one".pets (owner bigint, "n""ame" text, PRIMARY KEY (owner, "n""ame"));
ALTER TABLE people ADD pet text, ADD FOREIGN KEY (id, pet) REFERENCES "Other one".pets
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "Other one".pets ADD FOREIGN KEY (owner) REFERENCES people
    DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE kinds (b boolean, i2 smallint, i8 bigint, n numeric, f4 real, f8 double precision,
    t text, y bytea, d date, ti time, tz timestamptz, ts timestamp, iv interval, u uuid, j json,
    jb jsonb, x xml, mo money, a text[], ia integer[][], r int4range, ip inet, mac macaddr,
    bits bit varying(9), pt point, ts_v tsvector, rc regclass, c char(4), o oid);
CREATE TABLE parts (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT PARTITION BY HASH (id);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE base (id serial, v text);
CREATE TABLE child () INHERITS (base);
ALTER TABLE base ADD late int;
CREATE TABLE nothing ();
CREATE UNLOGGED TABLE quick (v int);
CREATE TABLE dropped (a int, b int, c int);
ALTER TABLE dropped DROP b;
CREATE SEQUENCE alone START 5 INCREMENT -3 MINVALUE -1000 MAXVALUE 100 CYCLE;
CREATE VIEW families AS SELECT p.name, c.name AS child FROM people p JOIN people c
    ON c.parent = p.id;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
CREATE INDEX by_expression ON people (lower(name)) WHERE kind = 'a';
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- Name: not an object; Type: FK CONSTRAINT;
    NEW.name := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER loud BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION shout();
CREATE RULE quiet AS ON DELETE TO quick DO INSTEAD NOTHING;
ALTER TABLE quick ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON quick FOR SELECT USING (v > 1);
COMMENT ON TABLE people IS 'with ''quotes'' and \ slashes';
"#;

pub(crate) const POSTGRES_ROWS: &str = r#"
INSERT INTO people (name, m, p, kind) SELECT 'n' || i || E'\t\n\\', 'it''s', i, 'a'
    FROM generate_series(1, 300) i;
UPDATE people SET parent = 1 WHERE id > 3;
BEGIN; INSERT INTO "Other one".pets VALUES (1, 'rex"'), (2, '');
UPDATE people SET pet = 'rex"' WHERE id = 1; COMMIT;
INSERT INTO kinds VALUES (true, -32768, 9223372036854775807, 'NaN', 'Infinity', -0.0, E'\\N', '',
    'infinity', '24:00', '-infinity', '4713-01-01 BC', '-1 year 3 days -00:00:00.000001',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '{"a":1, "a":2}', '{"a": 1e400}', '<a/>', -12.5,
    ARRAY['', NULL, 'NULL', '\', '"', ','], '{{1,2},{3,NULL}}', 'empty', '::1/128',
    '08:00:2b:01:02:03', '101', '(1e308,-1e-308)', 'a:1A b', 'people', 'a', 4294967295);
INSERT INTO kinds DEFAULT VALUES;
INSERT INTO kinds VALUES (false, 0, 0, 1e-1000, 1.1754944e-38, 0.1, E'\\.', '\x00ff0a5c',
    '0001-01-01', '00:00', '1969-12-31 23:59:59.999999+00', '294276-12-31', '0', NULL, 'null',
    'null', 'text only', 0, '{}', '{}', '(,)');
INSERT INTO parts SELECT i, date '2019-12-01' + i FROM generate_series(1, 600) i;
INSERT INTO base (v) VALUES ('own'); INSERT INTO child VALUES (7, 'childs', 9);
INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
INSERT INTO quick VALUES (1), (2);
INSERT INTO dropped VALUES (1, 2);
SELECT nextval('alone'); SELECT nextval('alone');
REFRESH MATERIALIZED VIEW counted;
"#;

/// Something of everything that MariaDB has.
pub(crate) const MARIADB: &str = r#"
CREATE TABLE people (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(60) NOT NULL
    COLLATE utf8mb4_bin, parent bigint, loud varchar(70) AS (upper(name)) STORED,
    more int AS (id + 1) VIRTUAL, pet varchar(20), FOREIGN KEY (parent) REFERENCES people (id),
    UNIQUE (name, id), KEY prefix (name(5)), CHECK (name <> ''));
CREATE TABLE `pe``ts` (owner bigint, `n ame` varchar(20), PRIMARY KEY (owner, `n ame`),
    FOREIGN KEY (owner) REFERENCES people (id));
ALTER TABLE people ADD FOREIGN KEY (id, pet) REFERENCES `pe``ts` (owner, `n ame`);
CREATE TABLE kinds (t1 tinyint, i8 bigint unsigned, n decimal(65, 30), f float, d double,
    fm float(7, 4), v varchar(50), l varchar(50) CHARACTER SET latin1,
    u2 varchar(50) CHARACTER SET ucs2, sj varchar(50) CHARACTER SET sjis, b varbinary(50),
    fix binary(4), bl longblob, t text, da date, ti time(6), dt datetime(6),
    ts timestamp(6) NULL, y year, e enum ('a', 'it''s', 'é') CHARACTER SET latin1,
    s set ('x', 'y'), bi bit(64), j json, g geometry, u uuid, ip inet6, z int(5) ZEROFILL,
    hidden int INVISIBLE);
CREATE TABLE parts (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (year(at))
    (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE old (a int PRIMARY KEY, b text) ENGINE = MyISAM;
CREATE TABLE log (what text);
CREATE SEQUENCE alone START WITH 5 INCREMENT BY -3 MINVALUE -1000 MAXVALUE 100 CYCLE;
CREATE VIEW families AS SELECT p.name, c.name AS child FROM people p JOIN people c
    ON c.parent = p.id;
CREATE VIEW a_first AS SELECT * FROM families;
"#;

pub(crate) const MARIADB_CODE: &str = r#"
DELIMITER //
CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC BEGIN RETURN x * 2; END//
CREATE TRIGGER logged AFTER INSERT ON people FOR EACH ROW BEGIN
    INSERT INTO log VALUES (concat('new; ', NEW.name)); END//
CREATE PROCEDURE pro() BEGIN -- Name: x
    SELECT 1; END//
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO BEGIN DELETE FROM log; END//
DELIMITER ;
"#;

pub(crate) const MARIADB_ROWS: &str = r#"
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
INSERT INTO people (id, name) VALUES (0, 'zero');
INSERT INTO people (name) SELECT concat('n', seq, '\t\n\\''"') FROM seq_1_to_300;
UPDATE people SET parent = 0 WHERE id > 3;
INSERT INTO `pe``ts` VALUES (1, 're`x'), (2, '');
UPDATE people SET pet = 're`x' WHERE id = 1;
INSERT INTO kinds (t1, i8, n, f, d, fm, v, l, u2, sj, b, fix, bl, t, da, ti, dt, ts, y, e, s, bi,
    j, g, u, ip, z, hidden) VALUES (-128, 18446744073709551615,
    -99999999999999999999999999999999999.999999999999999999999999999999, 0.1, -0e0, 123.4567,
    concat('a', char(0), '\Z', '\r\n', '😀'), 'é€', 'Ωß', 'あ', x'00ff5c27', x'01',
    x'', '', '0000-00-00', '-838:59:59.999999', '9999-12-31 23:59:59.999999',
    '1970-01-01 00:00:01.000001', 0, 'é', 'x,y', b'1', '{"a": "\\u00e9"}',
    ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326),
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '::1', 42, 7);
INSERT INTO kinds (e, da, dt, f, d, s, bi) VALUES ('none such', '2020-02-31', '2020-00-00',
    3.402823466e38, 4.9e-324, '', ~0), (NULL, NULL, NULL, 1e-38, 1.7976931348623157e308, NULL, 0);
INSERT INTO parts SELECT seq, date '2019-12-01' + INTERVAL seq DAY FROM seq_1_to_600;
INSERT INTO old VALUES (1, 'x');
SELECT NEXT VALUE FOR alone;
"#;
