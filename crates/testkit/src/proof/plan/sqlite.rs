//! SQLite's own shapes.

pub(super) const OWN: &str = "\
BEGIN;
CREATE TABLE own (id INTEGER PRIMARY KEY);
INSERT INTO own VALUES (1);
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.a');
COMMIT;
INSERT INTO probe VALUES ('0002.b');
BEGIN;
INSERT INTO probe VALUES ('never');
ROLLBACK;
BEGIN IMMEDIATE;
ALTER TABLE own ADD COLUMN name TEXT;
INSERT INTO probe VALUES ('0002.c');
COMMIT;
";

pub(super) const PAIR: &str = "\
INSERT INTO probe VALUES ('0002.a');
COMMIT;
PRAGMA foreign_keys = OFF;
BEGIN;
CREATE TABLE item_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, extra TEXT);
INSERT INTO item_new SELECT id, name, 'x' FROM item;
DROP TABLE item;
ALTER TABLE item_new RENAME TO item;
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.b');
COMMIT;
PRAGMA foreign_keys = ON;
BEGIN;
INSERT INTO probe VALUES ('0002.c');
";

pub(super) const BETWEEN: &str = "\
INSERT INTO probe VALUES ('0002.a');
VACUUM;
CREATE INDEX item_name ON item (name);
INSERT INTO probe VALUES ('0002.b');
VACUUM;
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.c');
";
