//! The story itself, scene by scene.

use whimbrel_engine::DownSelection;

use super::folder::{self, NO_POINTS, POINTS, VISITS, WRONG};
use super::killed::run_and_kill;
use super::shop::{self, Shop, Tables};
use super::stage::Stage;
use crate::cli::text::plural;
use crate::error::{CommandError, Exit};

/// Tells all of it; stops where something does not go as it should.
pub(super) async fn tell(stage: &mut Stage<'_>) -> Result<(), CommandError> {
    let shop = Shop::new(stage.folder());
    begin(stage, &shop).await?;
    apply(stage, &shop).await?;
    mistake(stage, &shop).await?;
    kill(stage, &shop).await?;
    back_and_forth(stage, &shop).await?;
    remove(stage, &shop).await?;
    end(stage).await
}

async fn begin(stage: &mut Stage<'_>, shop: &Shop) -> Result<(), CommandError> {
    shop.make().await?;
    stage.scene("A database from before its migrations");
    let path = stage.folder().join(shop::FILE);
    stage.tell(&format!("{}: {}", path.display(), shop.tables().await?.words()));
    let files = folder::migrations(stage.folder())?;
    stage.tell(&format!("migrations/: {}", files.join(", ")));
    stage.whimbrel(&["status"], Exit::Done).await?;

    stage.scene("Tables without a history: nobody knows what ran, so nothing runs");
    let before = shop.tables().await?;
    stage.whimbrel(&["up"], Exit::Decision).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["baseline", "--to", "0001"], Exit::Done).await
}

async fn apply(stage: &mut Stage<'_>, shop: &Shop) -> Result<(), CommandError> {
    stage.scene("See it before, do it, prove it");
    stage.whimbrel(&["plan"], Exit::Done).await?;
    let before = shop.tables().await?;
    stage.whimbrel(&["up"], Exit::Done).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["verify"], Exit::Done).await
}

async fn mistake(stage: &mut Stage<'_>, shop: &Shop) -> Result<(), CommandError> {
    stage.scene("A migration with a mistake in its second statement");
    let [(name, text), _] = POINTS;
    folder::write(stage.folder(), &POINTS)?;
    let before = shop.tables().await?;
    stage.whimbrel(&["up"], Exit::Failed).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    let (wrong, right) = WRONG;
    folder::write(stage.folder(), &[(name, &text.replace(wrong, right))])?;
    stage.tell(&format!("{name}: `{wrong}` is corrected to `{right}`"));
    stage.whimbrel(&["up"], Exit::Done).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    Ok(())
}

async fn kill(stage: &mut Stage<'_>, shop: &Shop) -> Result<(), CommandError> {
    stage.scene("A run that is killed half-way");
    folder::write(stage.folder(), &VISITS)?;
    let before = shop.tables().await?;
    stage.show_command(&["up"]);
    let killed = run_and_kill(stage.folder(), stage.user())?;
    let (pid, (step, steps)) = (killed.pid, killed.step);
    match &killed.ended {
        Some(how) => {
            stage.tell(&format!("Process {pid}, in step {step} of {steps}, was killed: {how}"));
        }
        None => stage.tell(&format!("Process {pid} was done before it could be killed")),
    }
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["status"], Exit::Done).await?;
    stage.whimbrel(&["up"], Exit::Done).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["verify"], Exit::Done).await?;
    stage.whimbrel(&["history"], Exit::Done).await
}

async fn back_and_forth(stage: &mut Stage<'_>, shop: &Shop) -> Result<(), CommandError> {
    stage.scene("The way back asks first");
    stage.whimbrel(&["down", "--dry-run"], Exit::Done).await?;
    let plan = stage.project()?.plan_down(&DownSelection::default()).await?;
    let before = shop.tables().await?;
    match &plan.phrase {
        Some(phrase) => stage.whimbrel(&["down", "--confirm", phrase], Exit::Done).await?,
        None => stage.whimbrel(&["down"], Exit::Done).await?,
    }
    stage.tell(&compared(&before, &shop.tables().await?));

    stage.scene("And forward again");
    stage.whimbrel(&["up"], Exit::Done).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["status", "--check"], Exit::Done).await
}

async fn remove(stage: &mut Stage<'_>, shop: &Shop) -> Result<(), CommandError> {
    stage.scene("A table that a migration drops is kept, and comes back with its rows");
    folder::write(stage.folder(), &NO_POINTS)?;
    let before = shop.tables().await?;
    stage.whimbrel(&["up"], Exit::Done).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["down"], Exit::Done).await?;
    stage.tell(&compared(&before, &shop.tables().await?));
    stage.whimbrel(&["verify"], Exit::Done).await
}

async fn end(stage: &mut Stage<'_>) -> Result<(), CommandError> {
    let report = stage.project()?.status().await?;
    stage.scene("What to try next");
    let applied = report.migrations.len() - report.pending();
    let state = format!("{} applied, {} pending", plural(applied, "migration"), report.pending());
    stage.tell(&format!("The demo is done: {state}. The folder is yours:"));
    let folder = stage.folder().display().to_string();
    stage.tell(&format!("    cd {folder}"));
    let outside = if stage.is_found_from_outside() { "" } else { " --url sqlite:shop.db" };
    for arguments in ["status", "up", "new loyalty levels", "down --to 0001", "doctor --explain"] {
        stage.tell(&format!("    whimbrel{outside} {arguments}"));
    }
    if !outside.is_empty() {
        stage.tell("(`--url`, because your environment names another database)");
    }
    if let Ok(program) = std::env::current_exe() {
        stage.tell(&format!("`whimbrel` stands for {}", program.display()));
    }
    Ok(())
}

/// What became of the tables: those that are new, gone or have another number of rows.
fn compared(before: &Tables, now: &Tables) -> String {
    let mut parts = Vec::new();
    for (name, rows) in &before.0 {
        match now.rows(name) {
            None => parts.push(format!("table {name} is gone ({rows} rows)")),
            Some(left) if left != *rows => parts.push(format!("{name} {rows} -> {left} rows")),
            Some(_) => {}
        }
    }
    for (name, rows) in now.0.iter().filter(|(name, _)| before.rows(name).is_none()) {
        parts.push(format!("new table {name}, {rows} rows"));
    }
    let same = before.0.iter().filter(|(name, rows)| now.rows(name) == Some(*rows)).count();
    parts.push(format!("{} with as many rows as before", plural(same, "table")));
    format!("Counted: {}", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_compared() {
        let before = Tables(vec![("a".into(), 1), ("b".into(), 2), ("c".into(), 3)]);
        let now = Tables(vec![("a".into(), 1), ("b".into(), 5), ("d".into(), 4)]);
        assert_eq!(
            compared(&before, &now),
            "Counted: b 2 -> 5 rows; table c is gone (3 rows); new table d, 4 rows; \
             1 table with as many rows as before"
        );
    }
}
