//! The demo's folder: made if it is not there, replaced only when it is an earlier demo's.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{CommandError, Exit};

/// The file that says whose folder it is.
const MARK: &str = "whimbrel-demo.txt";
const MARK_TEXT: &str = "This folder was made by `whimbrel demo`.
`whimbrel demo --force` replaces shop.db, whimbrel.toml and migrations/ in it.
";
/// Everything that a demo makes, besides its mark and its folder of migrations.
const FILES: &[&str] =
    &["shop.db", "shop.db-journal", "shop.db-wal", "shop.db-shm", "whimbrel.toml"];
/// Where the migrations lie.
const MIGRATIONS: &str = "migrations";

/// The project's settings.
const CONFIG: &str = include_str!("files/whimbrel.toml");
/// The migration that the demo lets fail, and what is wrong with it.
pub(super) const WRONG: (&str, &str) = ("oders", "orders");

/// A file of the demo's project: name and text.
type DemoFile = (&'static str, &'static str);

/// What the project begins with.
const FIRST: &[DemoFile] = &[
    ("0001_shop.sql", include_str!("files/0001_shop.sql")),
    ("0001_shop.down.sql", include_str!("files/0001_shop.down.sql")),
    ("0002_cities.sql", include_str!("files/0002_cities.sql")),
    ("0002_cities.down.sql", include_str!("files/0002_cities.down.sql")),
    ("0002_cities.verify.sql", include_str!("files/0002_cities.verify.sql")),
    ("0003_order_status.sql", include_str!("files/0003_order_status.sql")),
    ("0003_order_status.down.sql", include_str!("files/0003_order_status.down.sql")),
];
/// The migration with a mistake in it.
pub(super) const POINTS: [DemoFile; 2] = [
    ("0004_points.sql", include_str!("files/0004_points.sql")),
    ("0004_points.down.sql", include_str!("files/0004_points.down.sql")),
];
/// The migration that takes a while.
pub(super) const VISITS: [DemoFile; 2] = [
    ("0005_visits.sql", include_str!("files/0005_visits.sql")),
    ("0005_visits.down.sql", include_str!("files/0005_visits.down.sql")),
];
/// The migration that removes rows.
pub(super) const NO_POINTS: [DemoFile; 2] = [
    ("0006_no_points.sql", include_str!("files/0006_no_points.sql")),
    ("0006_no_points.down.sql", include_str!("files/0006_no_points.down.sql")),
];

/// Makes the folder with the project's first files.
///
/// # Errors
/// When the folder holds anything but an earlier demo, or an earlier demo that may not be replaced.
pub(super) fn prepare(folder: &Path, replace: bool) -> Result<(), CommandError> {
    let shown = folder.display();
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return fill(folder),
        Err(error) => return Err(failed(folder, &error)),
    };
    if entries.next().is_none() {
        return fill(folder);
    }
    let ours = std::fs::read_to_string(folder.join(MARK)).is_ok_and(|text| text == MARK_TEXT);
    if !ours {
        return Err(CommandError::usage(format!("{shown} is not empty"))
            .hinted("Name another folder: `whimbrel demo DIR`"));
    }
    if !replace {
        return Err(CommandError {
            exit: Exit::Unconfirmed,
            message: format!("{shown} holds an earlier demo"),
            lines: vec!["Nothing was changed".to_owned()],
            hints: vec!["Replace it with `--force`, or name another folder".to_owned()],
        });
    }
    clear(folder)?;
    fill(folder)
}

/// Writes files into the folder of migrations.
pub(super) fn write(folder: &Path, files: &[(&str, &str)]) -> Result<(), CommandError> {
    let migrations = folder.join(MIGRATIONS);
    std::fs::create_dir_all(&migrations).map_err(|error| failed(&migrations, &error))?;
    for (name, text) in files {
        let path = migrations.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

/// Names of the migrations that are in the folder now, without their companions.
pub(super) fn migrations(folder: &Path) -> Result<Vec<String>, CommandError> {
    let migrations = folder.join(MIGRATIONS);
    let entries = std::fs::read_dir(&migrations).map_err(|error| failed(&migrations, &error))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.ends_with(".down.sql") && !name.ends_with(".verify.sql"))
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn fill(folder: &Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    for (name, text) in [(MARK, MARK_TEXT), ("whimbrel.toml", CONFIG)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    write(folder, FIRST)
}

/// Removes what a demo makes, and nothing else.
fn clear(folder: &Path) -> Result<(), CommandError> {
    for name in FILES {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path, &error)),
            Ok(()) | Err(_) => {}
        }
    }
    let migrations = folder.join(MIGRATIONS);
    match std::fs::remove_dir_all(&migrations) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&migrations, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::usage(format!("{}: {error}", path.display()))
}
