//! Why a statement cannot run in batches, and what lifts that.

use std::ops::Range;

/// A statement that cannot run in batches as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub code: RefusalCode,
    /// The place in the statement, in bytes.
    pub span: Range<usize>,
    /// What is wrong with which name.
    pub message: String,
    /// The directive or the rewriting that lifts it.
    pub lift: Option<String>,
}

/// Which statements can have this reason and run in batches with `materialize=true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// UPDATE, DELETE and INSERT .. SELECT.
    All,
    /// INSERT .. SELECT, whose driving rows are then those of the work table.
    Inserts,
    /// None: it is not about reading.
    No,
}

impl RefusalCode {
    /// For which statements `materialize=true` lifts this reason: the rows to be written, and their
    /// values, are then computed by one query, before the first batch.
    pub fn lifted_by_materialize(self) -> Lifted {
        match self {
            RefusalCode::Limit
            | RefusalCode::SetOperation
            | RefusalCode::DistinctNotOnKey
            | RefusalCode::GroupByNotOnKey
            | RefusalCode::Aggregate
            | RefusalCode::WindowNotOnKey
            | RefusalCode::OrderByNotOnKey
            | RefusalCode::ReadsWrittenColumn
            | RefusalCode::DeleteReadsTarget
            | RefusalCode::InsertReadsTarget
            | RefusalCode::InnerOrderNotTotal
            | RefusalCode::VolatileInWhere
            | RefusalCode::VolatileInSubquery
            | RefusalCode::ArbitraryMatch
            | RefusalCode::UnknownFunction
            | RefusalCode::CascadeWritesReadTable
            | RefusalCode::TriggerWritesReadTable => Lifted::All,
            RefusalCode::NoDrivingTable
            | RefusalCode::NoFrom
            | RefusalCode::NullSide
            | RefusalCode::NoUniqueKey
            | RefusalCode::NullableKey => Lifted::Inserts,
            RefusalCode::SeveralTargets
            | RefusalCode::WritesBatchKey
            | RefusalCode::DmlInCte
            | RefusalCode::NotParsed
            | RefusalCode::UnknownRelation
            | RefusalCode::TargetNotTable
            | RefusalCode::ByNotUsable => Lifted::No,
        }
    }
}

impl Refusal {
    /// A refusal with the usual way to lift its reason.
    pub(super) fn new(code: RefusalCode, span: Range<usize>, message: impl Into<String>) -> Self {
        let lift = code.lift().map(str::to_owned);
        Refusal { code, span, message: message.into(), lift }
    }
}

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $lift:expr;)*) => {
        /// The stable reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)*
        }

        impl RefusalCode {
            /// Every reason, in the order in which documents name them.
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$name,)*];

            /// The kebab-case word used in messages and JSON.
            pub fn code(self) -> &'static str {
                match self {
                    $(RefusalCode::$name => $code,)*
                }
            }

            /// What usually lifts it.
            pub fn lift(self) -> Option<&'static str> {
                match self {
                    $(RefusalCode::$name => $lift,)*
                }
            }
        }
    };
}

const STABLE: &str = "Say `materialize=true`; or, if the result cannot depend on it, say \
                      `self-read=stable`";
const FREEZE: &str = "Say `materialize=true`: keys and values are computed once, and applied in \
                      batches; or put the statement into a schema migration (`NAME.sql`), which \
                      runs it in one transaction";
const WHOLE: &str = "Put the statement into a schema migration (`NAME.sql`), which runs it in one \
                     transaction";
const REPEAT: &str = "Say `materialize=true`; or, if it can be run again until it changes no row, \
                      say `until=no-rows undo=off`";

refusal_codes! {
    /// No table of the FROM clause can drive batches.
    NoDrivingTable = "no-driving-table", Some("Name a table's key with `by`");
    /// The statement reads no table at all.
    NoFrom = "no-from", Some(WHOLE);
    /// More than one table is written.
    SeveralTargets = "several-targets", Some("Write one statement for each table");
    /// A LIMIT counts rows of the whole statement.
    Limit = "limit", Some(REPEAT);
    /// UNION, EXCEPT or INTERSECT at the driving level.
    SetOperation = "set-operation",
        Some("Write one statement for each branch, or say `materialize=true`");
    /// DISTINCT without the driving key.
    DistinctNotOnKey = "distinct-not-on-key", Some(FREEZE);
    /// GROUP BY without the driving key.
    GroupByNotOnKey = "group-by-not-on-key", Some(FREEZE);
    /// An aggregate over the whole input.
    Aggregate = "aggregate", Some(FREEZE);
    /// A window that is not partitioned by the driving key.
    WindowNotOnKey = "window-not-on-key", Some(FREEZE);
    /// The driving table is where an outer join makes NULLs.
    NullSide = "null-side", Some("Name a key of the preserved side with `by`");
    /// The driving table has no unique key.
    NoUniqueKey = "no-unique-key", Some("Add a primary key, or name another table's key with `by`");
    /// The unique key admits NULL, and a range never reaches those rows.
    NullableKey = "nullable-key", Some("Make the key NOT NULL, or name another key with `by`");
    /// The statement changes the key that batches go along.
    WritesBatchKey = "writes-batch-key", Some(
        "Name another key with `by`, or put the statement into a schema migration (`NAME.sql`)",
    );
    /// A WITH clause writes.
    DmlInCte = "dml-in-cte", Some("Write two statements, with a table that keeps the map");
    /// Another row's written columns are read.
    ReadsWrittenColumn = "reads-written-column", Some(STABLE);
    /// A DELETE reads other rows of its target.
    DeleteReadsTarget = "delete-reads-target", Some(STABLE);
    /// An INSERT reads its target.
    InsertReadsTarget = "insert-reads-target", Some(STABLE);
    /// Which rows match changes from batch to batch.
    VolatileInWhere = "volatile-in-where",
        Some("Use `:run_started_at`, or say `allow=volatile-in-where`");
    /// The rows are wanted in an order that batches do not follow.
    OrderByNotOnKey = "order-by-not-on-key", Some(FREEZE);
    /// The statement was not understood.
    NotParsed = "not-parsed", Some(WHOLE);
    /// Ties in an inner order may fall differently after each batch.
    InnerOrderNotTotal = "inner-order-not-total", Some("End the inner order in a unique key");
    /// A sub-query makes a value that is shared by rows, and each batch would make another one.
    VolatileInSubquery = "volatile-in-subquery",
        Some("Store the value in a table first, or say `allow=volatile-in-subquery`");
    /// Any of many rows may give the new value.
    ArbitraryMatch = "arbitrary-match",
        Some("Join on a unique key, or say `allow=arbitrary-match`");
    /// A foreign key's action changes a table that the statement reads.
    CascadeWritesReadTable = "cascade-writes-read-table", Some(STABLE);
    /// A trigger changes a table that the statement reads.
    TriggerWritesReadTable = "trigger-writes-read-table", Some(STABLE);
    /// A relation that the catalog does not know.
    UnknownRelation = "unknown-relation", Some("Make the table in an earlier migration");
    /// The target is a view.
    TargetNotTable = "target-not-table", Some("Write to the table itself");
    /// A function that might be an aggregate.
    UnknownFunction = "unknown-function", Some("Say `allow=unknown-function`");
    /// What `by` names is no usable key.
    ByNotUsable = "by-not-usable", Some("Name a unique key of a table in FROM, as `by=alias.column`");
}

/// A reason that the author declares harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allow {
    /// [`RefusalCode::VolatileInWhere`].
    VolatileInWhere,
    /// [`RefusalCode::VolatileInSubquery`].
    VolatileInSubquery,
    /// [`RefusalCode::ArbitraryMatch`].
    ArbitraryMatch,
    /// [`RefusalCode::UnknownFunction`].
    UnknownFunction,
}

impl Allow {
    /// All that can be allowed.
    pub const ALL: [Allow; 4] = [
        Allow::VolatileInWhere,
        Allow::VolatileInSubquery,
        Allow::ArbitraryMatch,
        Allow::UnknownFunction,
    ];

    /// The word of the directive `allow=`.
    pub fn word(self) -> &'static str {
        self.refusal().code()
    }

    /// The reason that it lifts.
    pub fn refusal(self) -> RefusalCode {
        match self {
            Allow::VolatileInWhere => RefusalCode::VolatileInWhere,
            Allow::VolatileInSubquery => RefusalCode::VolatileInSubquery,
            Allow::ArbitraryMatch => RefusalCode::ArbitraryMatch,
            Allow::UnknownFunction => RefusalCode::UnknownFunction,
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Allow> {
        Allow::ALL.into_iter().find(|allow| allow.word() == word)
    }
}

/// Something that the plan should say about a statement that runs in batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// A stable kebab-case word.
    pub code: &'static str,
    /// What is to be known.
    pub message: String,
    /// The place in the statement, in bytes.
    pub span: Range<usize>,
}
