//! Whimbrel's own format: `migrations/0001_name.sql`, companions beside it.

use super::{Detected, Format, FormatRow, Layout, Wanted, clean_folder};

pub(super) const ROW: FormatRow = FormatRow {
    format: Format::Own,
    name: "own",
    signal: "nothing else",
    migrations: "migrations",
    companions: None,
    dialect: None,
    history_table: None,
    timestamps: false,
    recognise: |_, wanted| Ok(Some(layout(wanted))),
};

pub(super) fn layout(wanted: &Wanted<'_>) -> Detected {
    let mut layout = Layout::new(Format::Own);
    let why = match wanted.migrations {
        Some(migrations) => {
            layout.migrations = clean_folder(migrations);
            "`migrations` in whimbrel.toml"
        }
        None => "no other tool's files",
    };
    Detected { layout, why: why.to_owned(), database: None, notes: Vec::new() }
}
