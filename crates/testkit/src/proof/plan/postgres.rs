//! PostgreSQL's own shapes.

pub(super) const OWN: &str = "\
BEGIN;
CREATE TABLE own (id integer PRIMARY KEY);
INSERT INTO own VALUES (1);
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.a');
COMMIT;
INSERT INTO probe VALUES ('0002.b');
BEGIN;
INSERT INTO probe VALUES ('never');
ROLLBACK;
START TRANSACTION;
ALTER TABLE own ADD COLUMN name text;
INSERT INTO probe VALUES ('0002.c');
COMMIT;
";

pub(super) const PAIR: &str = "\
INSERT INTO probe VALUES ('0002.a');
COMMIT;
SET statement_timeout = '1min';
BEGIN;
ALTER TABLE item ADD COLUMN extra text NOT NULL DEFAULT 'x';
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.b');
COMMIT;
RESET statement_timeout;
BEGIN;
INSERT INTO probe VALUES ('0002.c');
";

pub(super) const BETWEEN: &str = "\
CREATE TYPE mood AS ENUM ('good');
INSERT INTO probe VALUES ('0002.a');
CREATE INDEX CONCURRENTLY item_name ON item (name);
ALTER TYPE mood ADD VALUE 'better';
CREATE TABLE feeling (mood mood NOT NULL DEFAULT 'better');
INSERT INTO feeling DEFAULT VALUES;
INSERT INTO probe VALUES ('0002.b');
VACUUM item;
CREATE UNIQUE INDEX CONCURRENTLY item_both ON item (id, name);
DROP INDEX CONCURRENTLY item_name;
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.c');
";
