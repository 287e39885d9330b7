//! What a name says, by itself.

use super::*;

/// What one name is: `number|suffix|name` and the kind, a companion, or the severity and code.
pub(super) fn read(layout: &Layout, name: &str) -> String {
    let file = entry(name, b"");
    match names::read(layout, file.place, &file.path) {
        names::Name::Migration(id) => {
            format!("{} {}|{}|{}", id.kind.name(), id.number, id.suffix, id.name)
        }
        names::Name::Companion(c) => format!("{} {} of {}", c.kind.name(), c.role.name(), c.stem),
        names::Name::Nothing(issue) => format!("{:?} {}", issue.severity, issue.code.name()),
    }
}

#[track_caller]
fn check_names(layout: &Layout, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|(name, want)| (name, want, read(layout, name)))
        .filter(|(_, want, got)| got != *want)
        .map(|(name, want, got)| format!("{name}: want {want}, got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const BAD: &str = "Error unreadable-name";
const DOUBT: &str = "Note unreadable-name";
const OUT: &str = "Ignored not-a-migration";

#[test]
fn names_in_our_own_format() {
    check_names(
        &layout(Format::Own),
        &[
            ("0001_init.sql", "schema 0001||init"),
            ("1_init.sql", "schema 1||init"),
            ("0_init.sql", "schema 0||init"),
            ("0001.sql", "schema 0001||"),
            ("0001_.sql", "schema 0001||"),
            ("0001-init.sql", "schema 0001||init"),
            ("0001__init.sql", "schema 0001||init"),
            ("0003b_fix.sql", "schema 0003|b|fix"),
            ("0003b.sql", "schema 0003|b|"),
            ("0003B_fix.sql", "schema 0003|B|fix"),
            ("0003init.sql", "schema 0003|init|"),
            ("20240131235959_init.sql", "schema 20240131235959||init"),
            ("20240131T235959_init.sql", "schema 20240131|T235959|init"),
            ("99999999999999999999999999_x.sql", "schema 99999999999999999999999999||x"),
            ("0001_add v2.sql", "schema 0001||add v2"),
            ("0001_add.v2.sql", "schema 0001||add.v2"),
            ("0001_größe.sql", "schema 0001||größe"),
            ("0001_🦅.sql", "schema 0001||🦅"),
            ("0001_it's.sql", "schema 0001||it's"),
            ("0001_a.b.c.sql", "schema 0001||a.b.c"),
            ("0001_sql.sql", "schema 0001||sql"),
            ("0001_x.sql.sql", "schema 0001||x.sql"),
            ("0007_children.data.sql", "data 0007||children"),
            ("0007b_children.data.sql", "data 0007|b|children"),
            ("0007.data.sql", "data 0007||"),
            ("0001_init.down.sql", "schema down of 0001_init"),
            ("0001_init.verify.sql", "schema verify of 0001_init"),
            ("0007_c.data.down.sql", "data down of 0007_c"),
            ("0007_c.data.verify.sql", "data verify of 0007_c"),
            ("0001.down.sql", "schema down of 0001"),
            ("0001_a.b.down.sql", "schema down of 0001_a.b"),
            ("0001_init.up.sql", BAD),
            ("0001_init.dwon.sql", BAD),
            ("0001_init.Down.sql", BAD),
            ("0001_init.DATA.sql", BAD),
            ("0001_init.verfy.sql", BAD),
            ("0001_init.dat.sql", BAD),
            ("0001 init.sql", BAD),
            ("0001.init.sql", BAD),
            ("0001+init.sql", BAD),
            ("0001é.sql", BAD),
            ("0001_init.SQL", BAD),
            ("0001_init.Sql", BAD),
            ("init.sql", BAD),
            ("_0001_init.sql", BAD),
            ("-1_init.sql", BAD),
            ("V1__init.sql", BAD),
            ("v0001_init.sql", BAD),
            ("R__view.sql", BAD),
            ("x0001_init.sql", BAD),
            ("٠٠٠١_init.sql", BAD),
            ("０００１_init.sql", BAD),
            ("¹_init.sql", BAD),
            ("Ⅳ_init.sql", BAD),
            ("seed.data.sql", BAD),
            ("0001_a\nb.sql", BAD),
            ("0001_a\u{1b}[2J.sql", BAD),
            ("0001_a\u{202e}b.sql", BAD),
            ("0001_a\u{200b}.sql", BAD),
            ("\u{feff}0001_a.sql", BAD),
            ("0001_a\u{fffd}.sql", BAD),
            ("0001_init.sq", DOUBT),
            ("0001_init.sql.txt", DOUBT),
            ("0001_init", DOUBT),
            ("0001_init.py", DOUBT),
            ("0001_init.sql.gz", DOUBT),
            ("2024.md", DOUBT),
            (".DS_Store", OUT),
            (".ds_store", OUT),
            ("Thumbs.db", OUT),
            ("thumbs.db", OUT),
            ("desktop.ini", OUT),
            ("._0001_init.sql", OUT),
            (".0001_init.sql.swp", OUT),
            ("0001_init.sql.swo", OUT),
            ("0001_init.sql~", OUT),
            ("#0001_init.sql#", OUT),
            (".#0001_init.sql", OUT),
            (".0001_init.sql", OUT),
            ("0001_init.sql.bak", OUT),
            ("0001_init.sql.orig", OUT),
            ("0001_init.sql.rej", OUT),
            ("0001_init.sql.tmp", OUT),
            ("0001_init.sql.old", OUT),
            ("0001_init.sql.disabled", OUT),
            ("0001_init.sql.skip", OUT),
            (".gitkeep", OUT),
            (".gitignore", OUT),
            ("README", OUT),
            ("README.md", OUT),
            ("LICENSE.txt", OUT),
            ("atlas.sum", OUT),
            ("notes.txt", OUT),
            ("sql", OUT),
            (".sql", OUT),
        ],
    );
}

#[test]
fn names_in_foreign_formats() {
    let moved = "Error misplaced-companion";
    check_names(
        &layout(Format::Wrangler),
        &[
            ("0001_init.sql", "schema 0001||init"),
            ("0003b_x.sql", "schema 0003|b|x"),
            ("0001 init.sql", "schema 0001||init"),
            ("0001.init.sql", "schema 0001||init"),
            ("seed.sql", "schema ||seed"),
            ("V1__init.sql", "schema ||V1__init"),
            ("0001_init.up.sql", "schema 0001||init.up"),
            ("0001_init.SQL", DOUBT),
            ("0001_init.down.sql", moved),
            ("0001_init.verify.sql", moved),
            ("0001_init.data.sql", moved),
            ("0001_init.data.down.sql", moved),
            ("whimbrel:0001_init.down.sql", "schema down of 0001_init"),
            ("whimbrel:0007_c.data.sql", "data 0007||c"),
            ("whimbrel:0007_c.data.down.sql", "data down of 0007_c"),
            ("whimbrel:0001_init.sql", moved),
            ("whimbrel:c.data.sql", BAD),
            ("whimbrel:0001_init.dwon.sql", BAD),
            ("whimbrel:seed.down.sql", "schema down of seed"),
            ("whimbrel:README.md", OUT),
        ],
    );
    check_names(
        &layout(Format::Supabase),
        &[
            ("20240131235959_init.sql", "schema 20240131235959||init"),
            ("20240131235959_.sql", "schema 20240131235959||"),
            ("1_init.sql", "schema 1||init"),
            ("20200101000000_init.sql", OUT),
            ("20211209000000_init.sql", "schema 20211209000000||init"),
            ("20240131235959.sql", "Note not-a-migration"),
            ("20240131235959b_x.sql", "Note not-a-migration"),
            ("init.sql", "Note not-a-migration"),
            ("20240131235959_x.down.sql", moved),
        ],
    );
    let nested = Layout { pattern: Pattern::parse("*/migration.sql"), ..layout(Format::Wrangler) };
    check_names(
        &nested,
        &[
            ("0000_init/migration.sql", "schema 0000||init"),
            ("20240131235959_a/migration.sql", "schema 20240131235959||a"),
            ("0000_init/snapshot.json", OUT),
            ("0000_init/other.sql", "Note not-a-migration"),
            ("0001_x.sql", "Note not-a-migration"),
            ("whimbrel:0000_init.down.sql", "schema down of 0000_init"),
        ],
    );
}
