//! "Did it happen?": what the catalog says of a statement whose answer was never seen.

use crate::ddl::Change;
use crate::verify::{Fact, Verdict};

/// What is known about a statement that was sent outside of a transaction and never answered.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// What the statement changes, as far as it is understood.
    pub changes: &'a [Change],
    /// Running it again after it happened is harmless.
    pub repeatable: bool,
    /// The touched objects before it was sent.
    pub before: &'a str,
    /// The touched objects now.
    pub now: &'a str,
    /// What it should have made, judged on the catalog now.
    pub facts: &'a [Fact],
    /// An index that it should have built is there and not valid.
    pub invalid_index: Option<&'a str>,
}

/// The answer, with what showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its effect is there.
    Happened(String),
    /// Nothing of it is there, or what is there is swept away before it is repeated.
    Repeat(String),
    /// Only a person can say.
    Unknown(String),
}

/// Answers the question from the evidence.
pub fn answer(evidence: &Evidence<'_>) -> Answer {
    if let Some(index) = evidence.invalid_index {
        return Answer::Repeat(format!(
            "index `{index}` is there but not valid; it is dropped first"
        ));
    }
    if evidence.repeatable {
        return Answer::Repeat("it does no harm twice".to_owned());
    }
    if !is_understood(evidence.changes) {
        return Answer::Unknown("its effect cannot be seen in the catalog".to_owned());
    }
    if evidence.before == evidence.now {
        return Answer::Repeat("the objects that it touches are as they were before".to_owned());
    }
    let certain = evidence.facts.iter().filter(|fact| fact.verdict != Verdict::Holds).count() == 0;
    if certain && !evidence.facts.is_empty() {
        let count = evidence.facts.len();
        return Answer::Happened(match evidence.facts.first() {
            Some(fact) if count == 1 => format!("the catalog shows {}", fact.subject),
            _ => format!("the catalog shows all {count} things that it makes"),
        });
    }
    Answer::Unknown(
        "the objects that it touches have changed, but not in a way that shows its effect"
            .to_owned(),
    )
}

fn is_understood(changes: &[Change]) -> bool {
    let riddle = |change: &Change| {
        matches!(
            change,
            Change::Unknown { .. }
                | Change::Dynamic { .. }
                | Change::DeleteRows { .. }
                | Change::UpdateRows { .. }
                | Change::InsertRows { .. }
                | Change::Comment
        )
    };
    !changes.is_empty() && !changes.iter().any(riddle)
}
