//! One project with one fresh database, and what can be seen of them from outside.

use std::path::Path;

use super::plan::{ByHand, Plan};
use super::proxy::Proxy;
use super::{Verdict, ensure};
use crate::database::TestDatabase;
use crate::project::Project;
use crate::run::{Output, Whimbrel};

/// A project folder and its database.
pub(super) struct Trial<'a> {
    pub(super) plan: &'a Plan,
    pub(super) database: TestDatabase,
    pub(super) project: Project,
    program: &'a Path,
    url: String,
}

/// Everything that must be the same after an interrupted and an undisturbed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    parts: Vec<(&'static str, String)>,
}

impl Sight {
    /// What differs, in words; empty if nothing does.
    pub(super) fn differences(&self, undisturbed: &Sight) -> String {
        let pairs = self.parts.iter().zip(&undisturbed.parts);
        let different = pairs.filter(|(ours, theirs)| ours != theirs);
        let texts: Vec<String> = different
            .map(|((name, ours), (_, theirs))| {
                format!("{name} is\n{ours}\n--- undisturbed it is\n{theirs}")
            })
            .collect();
        texts.join("\n")
    }
}

impl<'a> Trial<'a> {
    /// `None` if the run leaves this engine out by name.
    pub(super) fn new(program: &'a Path, plan: &'a Plan) -> Option<Trial<'a>> {
        let database = plan.engine.fresh(plan.name)?;
        Some(Trial::on(program, plan, database))
    }

    /// The plan's project with this database.
    pub(super) fn on(program: &'a Path, plan: &'a Plan, database: TestDatabase) -> Trial<'a> {
        let project = Project::new();
        for (path, text) in &plan.files {
            project.file(path, text);
        }
        let url = database.url.clone();
        Trial { plan, database, project, program, url }
    }

    /// The program in this project, on this database.
    pub(super) fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(self.program, self.project.path()).env("DATABASE_URL", &self.url)
    }

    /// From now on the program reaches the database by another address.
    pub(super) fn reach_by(&mut self, url: String) {
        self.url = url;
    }

    /// From now on the program reaches the server through a proxy in front of its port.
    pub(super) fn through(
        &mut self,
        start: impl FnOnce(u16) -> crate::failure::Result<Proxy>,
    ) -> Verdict<Proxy> {
        let url = self.database.url.clone();
        let rest = url.split_once("127.0.0.1:").map(|(_, rest)| rest);
        let port = rest.and_then(|rest| rest.split_once('/')).map(|(port, _)| port);
        let port = port.and_then(|port| port.parse().ok()).ok_or("the URL has no port")?;
        let proxy = start(port).map_err(|error| error.to_string())?;
        self.reach_by(url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port())));
        Ok(proxy)
    }

    /// The command of the plan.
    pub(super) fn run(&self) -> Output {
        self.whimbrel().run(&self.plan.command)
    }

    /// Runs what comes before the command.
    pub(super) fn prepare(&self) -> Verdict<()> {
        for command in &self.plan.before {
            let output = self.whimbrel().run(command);
            ensure(output.code == Some(0), || format!("`{}` failed: {output}", command.join(" ")))?;
        }
        Ok(())
    }

    /// Runs SQL with the database's own client.
    pub(super) fn query(&self, sql: &str) -> Verdict<String> {
        self.database.try_query(sql).map_err(|error| format!("{sql}: {error}"))
    }

    /// Makes the lease look as if a process on another host had let it run out.
    pub(super) fn expire_lease(&self) -> Verdict<()> {
        let lease = self.plan.engine.ledger("lease");
        self.query(&format!("UPDATE {lease} SET expires_ms = 0, host = 'elsewhere' WHERE id = 1;"))
            .map(drop)
    }

    /// Looks into the database for the row that a statement in doubt writes, and says what it saw.
    pub(super) fn decide(&self, by_hand: &ByHand) -> Verdict<()> {
        let sql = format!("SELECT count(*) FROM probe WHERE step = '{}';", by_hand.probe);
        let answer = match self.query(&sql)?.as_str() {
            "0" => "--retry",
            "1" => "--happened",
            other => return Err(format!("{} happened {other} times", by_hand.step)),
        };
        let output = self.whimbrel().run(["resolve", by_hand.step, answer]);
        ensure(output.code == Some(0), || format!("`resolve` failed: {output}"))
    }

    /// Checks what must hold after every run that ended well, and returns the sight.
    pub(super) fn look(&self) -> Verdict<Sight> {
        self.check_probes()?;
        let status = self.status()?;
        self.check_ledger()?;
        let verify = self.whimbrel().run(["verify"]);
        ensure(verify.code == Some(0), || format!("`verify` failed: {verify}"))?;
        let engine = self.plan.engine;
        let migrations =
            format!("SELECT name, event FROM {} ORDER BY seq;", engine.ledger("migrations"));
        Ok(Sight {
            parts: vec![
                ("the schema", self.database.schema()),
                ("the rows", self.database.rows()),
                ("the history", self.query(&migrations)?),
                ("`status`", status),
            ],
        })
    }

    /// Each probe is there exactly once, and no other.
    pub(super) fn check_probes(&self) -> Verdict<()> {
        let found = self.query("SELECT step, count(*) FROM probe GROUP BY step;")?;
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        let mut wanted: Vec<String> =
            self.plan.probes.iter().map(|step| format!("{step}|1")).collect();
        wanted.sort_unstable();
        ensure(found == wanted, || {
            format!("effects happened as `{}`, not as `{}`", found.join(" "), wanted.join(" "))
        })
    }

    /// Each step is settled exactly once, and nobody holds the lease. A process that was killed
    /// after its last step leaves its name there, and a run with nothing to do does not take the
    /// lease; then the next one that asks must get it at once.
    pub(super) fn check_ledger(&self) -> Verdict<()> {
        let engine = self.plan.engine;
        let twice = self.query(&format!(
            "SELECT migration, direction, statement_index, count(*) FROM {} \
             WHERE event IN ('done', 'happened') GROUP BY migration, direction, statement_index \
             HAVING count(*) <> 1;",
            engine.ledger("attempts")
        ))?;
        ensure(twice.is_empty(), || format!("the ledger settles steps twice: {twice}"))?;
        if self.check_released().is_err() {
            let output = self.whimbrel().run(["accept", "--wait", "0s"]);
            ensure(output.code == Some(0), || format!("the lease is not to be had: {output}"))?;
        }
        self.check_released()
    }

    /// Nobody holds the lease.
    pub(super) fn check_released(&self) -> Verdict<()> {
        let lease = self.plan.engine.ledger("lease");
        let owner = self.query(&format!("SELECT owner FROM {lease};"))?;
        ensure(owner == "NULL", || format!("the lease is held by `{owner}` after the run"))
    }

    /// Names and states of all migrations and whether a run is in progress, as `status` says it.
    fn status(&self) -> Verdict<String> {
        let output = self.whimbrel().run(["status", "--json"]);
        ensure(output.code == Some(0), || format!("`status` failed: {output}"))?;
        let names = ["\"name\"", "\"state\"", "\"pending\"", "\"running\""];
        let lines = output.stdout.lines().map(str::trim);
        let lines: Vec<&str> =
            lines.filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
        Ok(lines.join("\n"))
    }
}
