//! A disk that is full.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{check_orderly, named, recover};
use crate::database::sqlite_in;
use crate::process::{capture, is_root};
use crate::proof::case::Bench;
use crate::proof::engine::Engine;
use crate::proof::plan::Plan;
use crate::proof::trial::Trial;
use crate::proof::{Verdict, ensure};

/// Enough for every plan, in KiB.
const ENOUGH: usize = 8_192;

/// A file system in memory with a size.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Makes one of so many KiB; only root may.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(kib: usize) -> Verdict<Disk> {
        let folder = tempfile::Builder::new().prefix("whimbrel-disk-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let size = format!("size={kib}k");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        capture(&mut command, "").map_err(|error| error.to_string())?;
        Ok(Disk { folder })
    }

    /// Gives it another size, in KiB.
    ///
    /// # Errors
    /// When it cannot be mounted anew.
    pub fn resize(&self, kib: usize) -> Verdict<()> {
        let size = format!("remount,size={kib}k");
        let mut command = Command::new("mount");
        command.args(["-o", &size]).arg(self.folder.path());
        capture(&mut command, "").map(drop).map_err(|error| error.to_string())
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What cannot be unmounted now ends with the machine; the case has its result.
        let _ = capture(Command::new("umount").arg("-l").arg(self.path()), "");
    }
}

/// Why disks of a chosen size cannot be made here, if they cannot.
pub fn unavailable() -> Option<String> {
    if !is_root() {
        return Some("only root may mount a small disk".to_owned());
    }
    Disk::mount(64).err()
}

/// The sizes that are tried, in KiB: from too small for the ledger to large enough.
pub fn sizes(step: usize) -> Vec<usize> {
    (16..520).step_by(step.max(1)).collect()
}

/// Runs a plan on a disk of this size, then makes space and runs it again. Says whether the disk
/// was full at all.
pub fn run(bench: &Bench, name: &'static str, kib: usize) -> Verdict<bool> {
    named(&format!("sqlite/{name}, disk of {kib} KiB"), || {
        let plan = large(name)?;
        let undisturbed = bench.undisturbed(&plan)?.ok_or("SQLite is never left out")?;
        let disk = Disk::mount(kib)?;
        let trial = Trial::on(bench.program(), &plan, sqlite_in(disk.path()));
        let output = trial.run();
        check_orderly(&output)?;
        let full = output.code != Some(0);
        disk.resize(ENOUGH)?;
        if full {
            check_nothing_half(&trial)?;
        }
        recover(&trial, &undisturbed)?;
        Ok(full)
    })
}

/// After the failure: what the ledger says is applied is there, and nothing else is.
fn check_nothing_half(trial: &Trial<'_>) -> Verdict<()> {
    let path = PathBuf::from(&trial.database.name);
    let ledger = "SELECT count(*) FROM sqlite_schema WHERE name = 'whimbrel_migrations';";
    if !path.exists() || trial.query(ledger)? == "0" {
        return Ok(());
    }
    let applied = trial.query("SELECT count(*) FROM whimbrel_migrations WHERE event = 'up';")?;
    let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'probe';";
    let there = match trial.query(table)?.as_str() {
        "0" => "0".to_owned(),
        _ => trial.query("SELECT count(*) FROM probe;")?,
    };
    ensure(applied == there, || {
        format!("the ledger says {applied} migrations, the database holds the effect of {there}")
    })
}

/// A plan in which every migration writes some 100 KiB.
fn large(name: &'static str) -> Verdict<Plan> {
    let mut plan = super::plan(Engine::Sqlite, name)?;
    for (index, (_, text)) in plan.files.iter_mut().enumerate() {
        text.push_str(&format!(
            "CREATE TABLE big{index} (text TEXT);\n\
             INSERT INTO big{index} VALUES (printf('%.100000c', 'x'));\n"
        ));
    }
    plan.name = if name == "several" { "several-large" } else { "single-large" };
    Ok(plan)
}
