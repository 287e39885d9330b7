//! Rules in the batch loop: the rows that a statement writes are judged before they are committed.

use whimbrel_core::data::DataKind;
use whimbrel_core::ddl::ObjectName;
use whimbrel_core::rows::Chunk;
use whimbrel_core::rules::{RowSchema, Scope, TableRules, Violation};
use whimbrel_core::snapshot::Snapshot;

use super::job::{Job, quote_column};
use super::key::{Keys, Rows};
use crate::apply::{Applier, StepWork};
use crate::backend::{DbError, DbErrorKind};
use crate::error::{EngineError, Problem};

/// How the code of an error begins that a rule made and not the database.
pub(super) const RULE_CODE: &str = "rule ";
/// Most violations of one batch that are put into words.
const SHOWN_MAX: usize = 3;

/// A file with the rules of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleText {
    /// Path relative to the project.
    pub(crate) path: String,
    pub(crate) table: ObjectName,
    pub(crate) text: String,
}

impl Applier<'_> {
    /// The rules of a job's target, if there is a file of them.
    pub(super) fn rules_of(&self, job: &Job) -> Option<RuleText> {
        let snapshot = Snapshot { tables: vec![job.target.clone()], ..Snapshot::default() };
        let dialect = self.ledger.dialect;
        let mut files = self.options.rules.iter();
        files.find(|file| snapshot.table(&file.table, dialect).is_some()).cloned()
    }

    /// Judges what a statement has written for some driving rows. A row that breaks a rule is an
    /// error like one of the database's.
    pub(super) async fn judge_range(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        rows: Rows<'_>,
    ) -> Result<(), EngineError> {
        let Some(file) = &job.rules else { return Ok(()) };
        if job.batchable.kind == DataKind::Delete {
            return Ok(());
        }
        let dialect = self.ledger.dialect;
        let schema = RowSchema::read(&file.text, &job.target, dialect).map_err(|error| {
            EngineError::Files(vec![Problem {
                path: file.path.clone(),
                place: error.place,
                message: error.message,
                hint: error.hint,
            }])
        })?;
        let snapshot = Snapshot { tables: vec![job.target.clone()], ..Snapshot::default() };
        let rules = TableRules::of(&job.target, &snapshot, dialect, Scope::Own).with_schema(schema);
        // Whether the rows that were written can be read with all their columns.
        let known = job.batchable.kind != DataKind::Insert || self.knows_staged_keys(job).await?;
        let sql = job.written_rows_sql(&rules.columns(), rows, known)?;
        let Some(sql) = sql else { return Ok(()) };
        let mut found: Vec<Violation> = Vec::new();
        {
            let mut stream = self.session.stream(&sql).await?;
            let judge = rules.judge(stream.columns());
            let mut chunk = Chunk::default();
            while stream.next(&mut chunk).await? {
                for row in chunk.rows() {
                    if found.len() >= SHOWN_MAX {
                        break;
                    }
                    let broken = judge.judge(row).into_iter();
                    found.extend(broken.filter(|one| known || job.is_written(one)));
                }
            }
        }
        let Some(first) = found.first() else { return Ok(()) };
        let mut error = DbError::new(DbErrorKind::Statement, words(first));
        error.code = Some(format!("{RULE_CODE}{}", first.rule.kind()));
        let detail: Vec<String> = found.iter().skip(1).map(words).collect();
        error.detail = (!detail.is_empty()).then(|| detail.join("; "));
        error.hint = Some(format!("The rules are those of `{}`", file.path));
        Err(self.failure(work.migration, job.statement, error, work.kept))
    }
}

impl Job {
    fn is_written(&self, violation: &Violation) -> bool {
        violation.column.as_ref().is_none_or(|column| {
            self.batchable.written.iter().any(|one| one.eq_ignore_ascii_case(column))
        })
    }

    /// A query for the rows that the statement has written for these driving rows.
    fn written_rows_sql(
        &self,
        columns: &[String],
        rows: Rows<'_>,
        known: bool,
    ) -> Result<Option<String>, EngineError> {
        let dialect = self.dialect;
        let items = |alias: &str| -> Vec<String> {
            columns.iter().map(|name| format!("{alias}.{}", quote_column(name, dialect))).collect()
        };
        let target = self.target_sql();
        Ok(Some(match self.batchable.kind {
            DataKind::Update if self.captures() => {
                let keys = self.keys.of("whimbrel_t");
                let same = Keys::same(&keys, &self.keys.names_in("whimbrel_i"));
                format!(
                    "SELECT {} FROM {} whimbrel_i JOIN {target} whimbrel_t ON {same} WHERE {}",
                    items("whimbrel_t").join(", "),
                    self.temporary(super::image::IMAGE),
                    self.keys.among(&keys, rows)?
                )
            }
            DataKind::Update | DataKind::Delete => {
                let range = self.keys.among(&self.keys.of("whimbrel_t"), rows)?;
                let items = items("whimbrel_t").join(", ");
                format!("SELECT {items} FROM {target} whimbrel_t WHERE {range}")
            }
            DataKind::Insert if !self.is_staged() => return Ok(None),
            DataKind::Insert if known => format!(
                "SELECT {} FROM {target} whimbrel_t JOIN {} whimbrel_s ON {}",
                items("whimbrel_t").join(", "),
                self.temporary(super::insert::STAGE),
                self.staged_key_matches()
            ),
            DataKind::Insert => {
                let staged: Vec<String> = columns
                    .iter()
                    .map(|name| {
                        let value = self.staged_as(name).unwrap_or_else(|| "NULL".to_owned());
                        format!("{value} AS {}", quote_column(name, dialect))
                    })
                    .collect();
                let stage = self.temporary(super::insert::STAGE);
                format!("SELECT {} FROM {stage}", staged.join(", "))
            }
        }))
    }
}

fn words(violation: &Violation) -> String {
    let column = violation.column.as_deref().map_or_else(String::new, |name| format!("{name}: "));
    let value = violation.value.as_deref().map_or_else(String::new, |value| format!(" ({value})"));
    format!("{column}{}{value}", violation.message)
}
