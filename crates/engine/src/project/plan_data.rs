//! `plan` of a data migration: what each statement is driven by, and its first batch.

use whimbrel_core::data::DataKind;
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::step::StepMode;

use super::Project;
use crate::backend::Session;
use crate::data::job::{Job, Prepared, prepare, said};
use crate::data::moment::Moment;
use crate::data::parallel::until_note;
use crate::data::sources::{self, Opened};
use crate::error::{EngineError, Problem};

/// How a statement of a data migration will run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedBatches {
    /// It runs whole, with the reason; else it runs in batches.
    pub whole: Option<String>,
    /// Why it is refused, and what lifts that.
    pub refused: Option<(String, Option<String>)>,
    /// The driving table.
    pub table: String,
    /// The key in whose order its rows are taken.
    pub key: Vec<String>,
    /// About how many driving rows there are.
    pub rows: u64,
    /// Whether what changes is kept for `undo`.
    pub undo: bool,
    /// About how many bytes that takes, where it is known before.
    pub undo_bytes: Option<u64>,
    /// Triggers of the written table that will fire.
    pub triggers: Vec<String>,
    /// Tables whose rows change along with those that are deleted.
    pub cascades: Vec<String>,
    /// What is worth knowing: a code and a sentence.
    pub notes: Vec<(String, String)>,
    /// The SQL that computes its rows and values once, before the first batch.
    pub computed: Option<String>,
    /// The SQL of the first batch.
    pub first_batch: Option<String>,
}

impl Project {
    /// How the statements of a data migration will run, by statement. Empty for schema migrations.
    ///
    /// `waits` says that earlier migrations of the plan change the schema first, so that a
    /// statement may speak of tables that are not there yet.
    pub(super) async fn plan_batches(
        &self,
        planned: &PlannedMigration,
        session: &mut dyn Session,
        waits: bool,
    ) -> Result<Vec<(usize, PlannedBatches)>, EngineError> {
        let mut out = Vec::new();
        if planned.kind != Kind::Data {
            return Ok(out);
        }
        let mut opened = Opened::new();
        for step in planned.script.steps.iter().filter(|step| step.mode == StepMode::Batches) {
            let index = step.statements.start;
            let moment = Moment::for_plan();
            let source = match said(planned, index).source {
                Some(name) => Some(sources::open(&self.sources, &mut opened, &name).await?),
                None => None,
            };
            let prepared = prepare(self.ledger, session, planned, index, moment, source).await?;
            let batches = match prepared {
                Prepared::Batches(job) => {
                    let mut batches = self.planned(&job, session).await?;
                    match &job.work {
                        // How many rows it has is known when they are computed.
                        Some(frozen) => {
                            batches.computed = Some(frozen.fill.clone());
                            batches.first_batch = Some(job.batchable.restricted("1 = 1"));
                        }
                        None => self.look_at(&job, &mut batches, session, &mut opened).await?,
                    }
                    batches
                }
                Prepared::Whole(reason, _) | Prepared::Refused(Problem { message: reason, .. })
                    if waits =>
                {
                    let note = "It is looked at again when the migrations before it are done";
                    PlannedBatches {
                        notes: vec![("waits".to_owned(), format!("{note}; now: {reason}"))],
                        ..PlannedBatches::default()
                    }
                }
                Prepared::Until(_) => PlannedBatches {
                    notes: [
                        Some(("until", "It is run again and again until it changes no row")),
                        until_note(planned, index).map(|why| ("one-connection", why)),
                    ]
                    .into_iter()
                    .flatten()
                    .map(|(code, words)| (code.to_owned(), words.to_owned()))
                    .collect(),
                    ..PlannedBatches::default()
                },
                Prepared::Whole(reason, _) => {
                    PlannedBatches { whole: Some(reason), ..PlannedBatches::default() }
                }
                Prepared::Refused(problem) => PlannedBatches {
                    refused: Some((problem.message, problem.hint)),
                    ..PlannedBatches::default()
                },
            };
            out.push((index, batches));
        }
        Ok(out)
    }

    /// How many rows there are, and what the first batch does.
    async fn look_at(
        &self,
        job: &Job,
        batches: &mut PlannedBatches,
        session: &mut dyn Session,
        opened: &mut Opened,
    ) -> Result<(), EngineError> {
        let driving = sources::driving_of(session, opened, job);
        batches.rows = job.estimate(driving).await?;
        let scan = job.scans(driving, batches.rows).await?;
        let note = scan.map(|message| ("key-index-unused".to_owned(), message));
        batches.notes.extend(note);
        batches.first_batch = job.first_batch(driving, batches.rows).await?;
        batches.undo_bytes = job.undo_bytes(session, batches.rows).await?;
        Ok(())
    }

    async fn planned(
        &self,
        job: &Job,
        session: &mut dyn Session,
    ) -> Result<PlannedBatches, EngineError> {
        let snapshot = session.inspect(None).await?;
        let dialect = self.ledger.dialect;
        let target = &job.batchable.target;
        let triggers = snapshot
            .triggers
            .iter()
            .filter(|trigger| trigger.table.matches(target, dialect))
            .map(|trigger| trigger.name.clone())
            .collect();
        let cascades = match job.batchable.kind {
            DataKind::Delete => snapshot
                .tables
                .iter()
                .filter(|table| {
                    table.foreign_keys.iter().any(|key| {
                        key.to_table.matches(target, dialect) && key.on_delete.changes_children()
                    })
                })
                .map(|table| table.name.to_string())
                .collect(),
            DataKind::Update | DataKind::Insert => Vec::new(),
        };
        let notes: Vec<(String, String)> = job
            .batchable
            .notes
            .iter()
            .map(|note| (note.code.to_owned(), note.message.clone()))
            .collect();
        Ok(PlannedBatches {
            table: job.keys.shown_table(),
            key: job.key_names(),
            undo: job.undo,
            triggers,
            cascades,
            notes,
            ..PlannedBatches::default()
        })
    }
}
