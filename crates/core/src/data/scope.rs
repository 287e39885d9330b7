//! What names can mean at one place of a statement.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::ddl::ObjectName;

/// One mention of a table or view in a FROM clause, and what is read through it.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// The name as the catalog has it.
    pub(super) name: ObjectName,
    pub(super) kind: InstanceKind,
    pub(super) span: Range<usize>,
    pub(super) reads: Reads,
    /// Equalities that tie its rows to a row of the statement's own FROM clause.
    pub(super) ties: Vec<Tie>,
    /// It stands in the statement's own FROM clause, as the relation with this number.
    pub(super) top: Option<usize>,
    /// A DELETE reads it for rows that stay in any case.
    pub(super) kept: bool,
    /// It stands in a WITH clause, whose table may be used several times.
    pub(super) in_with: bool,
}

/// What a mention means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceKind {
    Table,
    View,
    /// The server's own tables.
    System,
}

/// Columns that are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    pub(super) all: bool,
    pub(super) columns: BTreeSet<String>,
}

/// `instance.column = relation.top_column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    pub(super) column: String,
    pub(super) relation: usize,
    pub(super) top_column: String,
    /// `NOT IN` makes it, so that a NULL among the rows matters to all.
    pub(super) not_in: bool,
}

/// A column that a relation offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) origin: Option<Origin>,
    /// `*` leaves it out: a rowid, PostgreSQL's ctid.
    pub(super) hidden: bool,
    /// It numbers the rows of a table in a total order.
    pub(super) numbers: bool,
    /// It is the least or greatest key of each group of a table's rows.
    pub(super) extreme: Option<Extreme>,
}

/// The least or greatest key of each group of a table's rows.
#[derive(Clone, Debug)]
pub(super) struct Extreme {
    pub(super) instance: usize,
    pub(super) column: String,
    /// Groups of one row are left out.
    pub(super) several: bool,
}

/// Which rows of a table there are, where they are numbered in a total order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rank {
    /// They are not numbered.
    #[default]
    None,
    /// All of them.
    All,
    /// Those behind the first ones.
    Tail,
}

/// The table's column whose value an output column hands on unchanged.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) instance: usize,
    pub(super) column: String,
    /// No outer join can have made it NULL.
    pub(super) preserved: bool,
    /// The relation has at most one row for each row of that table.
    pub(super) single: bool,
    /// What else the relation's row holds comes from that one row of that table, or from others.
    pub(super) apart: bool,
    pub(super) rank: Rank,
}

/// The columns of a relation.
#[derive(Clone, Debug, Default)]
pub(super) struct Outputs {
    pub(super) columns: Vec<Output>,
    /// There may be others.
    pub(super) open: bool,
    /// Sets of columns of which no two rows have the same values.
    pub(super) unique: Vec<Vec<String>>,
}

/// Where a relation's rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Table,
    View,
    Cte,
    Derived,
    Function,
}

/// A relation of a FROM clause.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) qualifier: String,
    /// The qualifier as SQL that is valid at this place.
    pub(super) qualifier_sql: String,
    pub(super) span: Range<usize>,
    pub(super) source: Source,
    pub(super) instance: Option<usize>,
    pub(super) outputs: Outputs,
    /// No outer join makes NULLs of it.
    pub(super) preserved: bool,
    /// It brings rows of the target along through a WITH clause.
    pub(super) tainted: bool,
}

/// A FROM clause.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<Relation>,
    /// The statement's own FROM clause.
    pub(super) top: bool,
    /// Derived tables that are being read here do not see their neighbours for certain.
    pub(super) opaque: bool,
    /// Columns that USING or NATURAL merges are ambiguous here.
    pub(super) merged: bool,
}

/// A common table expression.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) outputs: Outputs,
    pub(super) tainted: bool,
    pub(super) uses: usize,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A value of the statement's own rows: SET and the outer select list.
    Value,
    /// It decides which rows there are.
    Filter,
    /// A value made in a sub-query, derived table or WITH clause.
    Inner,
}

/// A function call that is not the same in every batch, or not known.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) varies: super::functions::Varies,
    pub(super) span: Range<usize>,
}
