//! MariaDB's own shapes. A schema change commits by itself there.

pub(super) const OWN: &str = "\
START TRANSACTION;
INSERT INTO item VALUES (3, 'three');
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.a');
COMMIT;
INSERT INTO probe VALUES ('0002.b');
BEGIN;
INSERT INTO probe VALUES ('never');
ROLLBACK;
BEGIN;
UPDATE item SET name = concat(name, '!');
INSERT INTO probe VALUES ('0002.c');
COMMIT;
";

pub(super) const PAIR: &str = "\
INSERT INTO probe VALUES ('0002.a');
COMMIT;
SET FOREIGN_KEY_CHECKS = 0;
BEGIN;
CREATE TABLE extra (id integer PRIMARY KEY, item_id integer NOT NULL);
INSERT INTO extra SELECT id * 10, id FROM item;
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.b');
COMMIT;
SET FOREIGN_KEY_CHECKS = 1;
BEGIN;
INSERT INTO probe VALUES ('0002.c');
COMMIT;
";

pub(super) const BETWEEN: &str = "\
CREATE TABLE feeling (id integer PRIMARY KEY, mood varchar(20) NOT NULL);
INSERT INTO feeling VALUES (1, 'good');
INSERT INTO probe VALUES ('0002.a');
ALTER TABLE item ADD COLUMN mood_id integer NULL;
UPDATE item SET mood_id = 1;
CREATE INDEX item_name ON item (name);
ALTER TABLE item ADD CONSTRAINT item_mood FOREIGN KEY (mood_id) REFERENCES feeling (id);
INSERT INTO probe VALUES ('0002.b');
ALTER TABLE feeling MODIFY COLUMN mood varchar(60) NOT NULL;
ALTER TABLE item DROP INDEX item_name;
CREATE VIEW moods AS SELECT mood FROM feeling;
CREATE TABLE gone (id integer PRIMARY KEY);
DROP TABLE gone;
UPDATE counter SET n = n + 1;
INSERT INTO probe VALUES ('0002.c');
";
