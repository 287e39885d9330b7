//! Kinds of changes that public histories hold.

use super::{holds, says};
use crate::sql::dialect::Dialect::{Postgres, Sqlite};

#[test]
fn an_index_becomes_a_key() {
    let history = "CREATE TABLE t (id uuid NOT NULL, a int, b int);
CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id);
CREATE UNIQUE INDEX t_a_idx ON t (a);
CREATE UNIQUE INDEX t_b_key ON t (b);
ALTER TABLE \"public\".\"t\" ADD CONSTRAINT \"t_pkey\" PRIMARY KEY USING INDEX \"t_pkey\";
ALTER TABLE t ADD CONSTRAINT t_a_key UNIQUE USING INDEX t_a_idx, ADD UNIQUE USING INDEX t_b_key;
";
    let schema = "CREATE TABLE t (id uuid NOT NULL, a integer, b integer,
    CONSTRAINT t_pkey PRIMARY KEY (id), CONSTRAINT t_a_key UNIQUE (a),
    CONSTRAINT t_b_key UNIQUE (b));
";
    // The table, three columns, not null, three keys, and the index whose name is gone.
    assert_eq!(holds(Postgres, history, schema), 9);
    let later = history.replace("ALTER TABLE \"public\"", "---\nALTER TABLE \"public\"");
    assert_eq!(holds(Postgres, &later, schema), 9);
    let other = schema.replace("KEY (id)", "KEY (id, a)");
    let want = "FAILS t: primary key (id) <- primary key (id, a)";
    says(Postgres, history, &other, &[want]);
}

#[test]
fn an_index_of_an_earlier_migration_becomes_a_key() {
    let history = "ALTER TABLE t ADD PRIMARY KEY USING INDEX t_id;\n";
    says(Postgres, history, "CREATE TABLE t (id int, CONSTRAINT t_id PRIMARY KEY (id));\n", &[]);
}

#[test]
fn a_sequence_goes_with_the_column_that_owns_it() {
    let history = "CREATE SEQUENCE s;
CREATE TABLE t (a int, b int);
ALTER SEQUENCE s OWNED BY t.b;
ALTER TABLE t DROP COLUMN b;
";
    let want = "? s: sequence <- no such sequence; a dropped column may have owned it";
    says(Postgres, history, "CREATE TABLE t (a integer);\n", &[want]);
}

#[test]
fn a_default_goes_with_its_sequence() {
    let history = "CREATE SEQUENCE s;
CREATE TABLE t (a int);
ALTER TABLE t ALTER COLUMN a SET DEFAULT nextval('s');
DROP SEQUENCE s CASCADE;
";
    holds(Postgres, history, "CREATE TABLE t (a integer);\n");
}

#[test]
fn functions_of_a_tables_rows_go_with_it() {
    let history = "CREATE TABLE t (a int);
CREATE FUNCTION whole_name(t) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
DROP TABLE t CASCADE;
";
    let why = "a DROP ... CASCADE may have taken it";
    let want = format!("? whole_name: routine <- no such routine; {why}");
    says(Postgres, history, "", &[&want]);
    let history = history.replace("DROP TABLE t CASCADE", "ALTER TABLE t DROP COLUMN a CASCADE");
    says(Postgres, &history, "CREATE TABLE t ();\n", &[&want]);
}

#[test]
fn alter_table_renames_an_index() {
    let history = "CREATE TABLE t (a int);
CREATE INDEX i ON t (a);
ALTER TABLE i RENAME TO j;
";
    holds(Postgres, history, "CREATE TABLE t (a integer);\nCREATE INDEX j ON t (a);\n");
}

#[test]
fn rows_of_the_catalog_may_be_anything() {
    let history = "CREATE TABLE t (a text NOT NULL);
PRAGMA writable_schema = ON;
UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 't';
";
    let said = [
        "? t.a: not null <- it may be NULL; a `UPDATE` that came later may have changed it",
        "? `UPDATE` statement: not derived <- its text does not say what it does",
    ];
    says(Sqlite, history, "CREATE TABLE t (a text);\n", &said);
}
