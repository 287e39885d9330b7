//! The migrations of a case.

use crate::proof::engine::Engine;
use crate::proof::random::Random;

/// Every such row is deleted by a migration.
pub(super) const GONE: (i64, i64) = (9, 4);
/// Rows of `items` that are there before the migrations.
pub(super) const ITEMS: i64 = 30;

/// A pair of age keys of the proof's own.
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// What backups need: paths and texts.
pub(super) fn keys() -> [(&'static str, String); 2] {
    let toml = format!("[backup]\nrecipients = [\"{PUBLIC}\"]\nidentity = [\"file:my.key\"]\n");
    [("whimbrel.toml", toml), ("my.key", SECRET.to_owned())]
}

/// Sizes of batches.
const SIZES: [usize; 4] = [1, 4, 13, 100];

/// File names and texts.
pub(super) fn files(engine: Engine, random: &mut Random) -> Vec<(String, String)> {
    let mut files = vec![(
        "0001_items.sql",
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40), note VARCHAR(40), \
         price INTEGER NOT NULL DEFAULT 1);\n"
            .to_owned(),
    )];
    let size = |random: &mut Random| random.pick(&SIZES).copied().unwrap_or(1);
    files.push((
        "0002_cards.sql",
        "CREATE TABLE cards (item_id INTEGER PRIMARY KEY, label VARCHAR(40));\n".to_owned(),
    ));
    files.push(("0002_cards.down.sql", "DROP TABLE cards;\n".to_owned()));
    files.push((
        "0003_cards.data.sql",
        format!(
            "-- whimbrel: batch size={} pause-ms=0 on-error=quarantine errors-max=100000\n\
             INSERT INTO cards (item_id, label) SELECT i.id, 'made' FROM items i WHERE i.id % 3 <> 0;\n",
            size(random)
        ),
    ));
    files.push((
        "0004_notes.data.sql",
        format!(
            "-- whimbrel: batch size={} pause-ms=0\n\
             UPDATE items SET note = 'migrated', price = price + 1 WHERE id % 4 <> 1;\n",
            size(random)
        ),
    ));
    files.push(("0005_slug.sql", "ALTER TABLE items ADD COLUMN slug VARCHAR(40);\n".to_owned()));
    files.push(("0005_slug.down.sql", back_of_slug(engine, random)));
    files.push((
        "0006_slug.data.sql",
        format!(
            "-- whimbrel: batch size={} pause-ms=0\nUPDATE items SET slug = 'slugged' WHERE id % 2 = 0;\n",
            size(random)
        ),
    ));
    if random.below(2) == 0 {
        files.push((
            "0007_gone.data.sql",
            format!(
                "-- whimbrel: batch size={} pause-ms=0\nDELETE FROM items WHERE id % {} = {};\n",
                size(random),
                GONE.0,
                GONE.1
            ),
        ));
    }
    files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// On SQLite a column also goes by making the table anew.
fn back_of_slug(engine: Engine, random: &mut Random) -> String {
    if engine == Engine::Sqlite && random.below(2) == 0 {
        return "CREATE TABLE items_new (id INTEGER PRIMARY KEY, name VARCHAR(40), \
                note VARCHAR(40), price INTEGER NOT NULL DEFAULT 1);\n\
                INSERT INTO items_new (id, name, note, price) SELECT id, name, note, price FROM items;\n\
                DROP TABLE items;\nALTER TABLE items_new RENAME TO items;\n"
            .to_owned();
    }
    "ALTER TABLE items DROP COLUMN slug;\n".to_owned()
}
