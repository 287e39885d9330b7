//! The parts that changes are made of: tables, columns, constraints, indexes.

use super::name::ObjectName;

/// `CREATE TABLE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTable {
    /// The table.
    pub name: ObjectName,
    /// No error if it is there.
    pub if_not_exists: bool,
    /// An existing one is dropped first (MariaDB's `OR REPLACE`).
    pub or_replace: bool,
    /// It goes with the session.
    pub temporary: bool,
    /// The columns written out.
    pub columns: Vec<ColumnDef>,
    /// The constraints written in the list, not those at a column.
    pub constraints: Vec<Constraint>,
    /// Where its columns come from.
    pub source: TableSource,
    /// Tables it inherits from (PostgreSQL).
    pub inherits: Vec<ObjectName>,
    /// What follows the list, as written: engine, partitioning, storage, `STRICT`.
    pub options: String,
}

/// Where a new table's columns come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TableSource {
    /// They are written out.
    #[default]
    Columns,
    /// From a query.
    AsSelect {
        /// What is copied, if every row of one table is.
        copies: Option<TableCopy>,
    },
    /// From another table, beside those written out.
    Like(ObjectName),
    /// From the partitioned table.
    PartitionOf(ObjectName),
    /// From a composite type.
    OfType(ObjectName),
    /// From a virtual table module (SQLite).
    Virtual(String),
}

/// A query that reads every row of one table once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableCopy {
    /// The table read.
    pub from: ObjectName,
    /// The columns whose values are taken over unchanged; none means all of them (`*`).
    pub columns: Option<Vec<String>>,
}

/// A column as declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnDef {
    /// Its name.
    pub name: String,
    /// Its type as written, white space normalised, without character set and collation; empty
    /// where SQLite needs none.
    pub type_text: String,
    /// `NOT NULL` is written, or the type says it (`serial`).
    pub not_null: bool,
    /// `PRIMARY KEY` is written at the column.
    pub primary_key: bool,
    /// `UNIQUE` is written at the column.
    pub unique: bool,
    /// The name of the `PRIMARY KEY` or `UNIQUE` written at the column.
    pub key_name: Option<String>,
    /// The default's expression.
    pub default: Option<String>,
    /// `REFERENCES` written at the column.
    pub references: Option<ForeignKey>,
    /// `CHECK`s written at the column.
    pub checks: Vec<Check>,
    /// The expression of a generated column.
    pub generated: Option<String>,
    /// The database numbers it: serial, identity, AUTO_INCREMENT, AUTOINCREMENT.
    pub identity: bool,
}

/// A constraint of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// `PRIMARY KEY`.
    PrimaryKey {
        /// Its name, if given.
        name: Option<String>,
        /// The columns; empty when it takes over an index, which has got the constraint's name.
        columns: Vec<String>,
    },
    /// `UNIQUE`.
    Unique {
        /// Its name, if given.
        name: Option<String>,
        /// The columns; empty when it takes over an index, which has got the constraint's name.
        columns: Vec<String>,
    },
    /// `FOREIGN KEY`.
    ForeignKey(ForeignKey),
    /// `CHECK`.
    Check(Check),
    /// `EXCLUDE` and what else there is.
    Other {
        /// Its name, if given.
        name: Option<String>,
        /// As written, white space normalised.
        text: String,
    },
}

/// A `CHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Its name, if given.
    pub name: Option<String>,
    /// The expression, white space normalised, without the outer parentheses.
    pub expr: String,
}

/// A foreign key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name, if given.
    pub name: Option<String>,
    /// The child's columns.
    pub columns: Vec<String>,
    /// The parent.
    pub to_table: ObjectName,
    /// The parent's columns; empty means its primary key.
    pub to_columns: Vec<String>,
    /// What happens when the parent row goes.
    pub on_delete: ReferentialAction,
    /// What happens when the parent key changes.
    pub on_update: ReferentialAction,
}

/// What a foreign key does when its parent changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferentialAction {
    /// The change is refused at the end of the statement or transaction.
    #[default]
    NoAction,
    /// The change is refused at once.
    Restrict,
    /// The child follows.
    Cascade,
    /// The child's columns become NULL.
    SetNull,
    /// The child's columns get their defaults.
    SetDefault,
}

impl ReferentialAction {
    /// Whether the children's rows change along with the parent's.
    pub fn changes_children(self) -> bool {
        matches!(
            self,
            ReferentialAction::Cascade | ReferentialAction::SetNull | ReferentialAction::SetDefault
        )
    }

    /// As SQL writes it.
    pub fn sql(self) -> &'static str {
        match self {
            ReferentialAction::NoAction => "NO ACTION",
            ReferentialAction::Restrict => "RESTRICT",
            ReferentialAction::Cascade => "CASCADE",
            ReferentialAction::SetNull => "SET NULL",
            ReferentialAction::SetDefault => "SET DEFAULT",
        }
    }
}

/// `CREATE INDEX`, or an index written in a MariaDB table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateIndex {
    /// Its name, if given.
    pub name: Option<ObjectName>,
    /// Its table.
    pub table: ObjectName,
    /// No two rows may have the same values.
    pub unique: bool,
    /// What it is over.
    pub columns: Vec<IndexPart>,
    /// Without blocking writers, outside a transaction.
    pub concurrently: bool,
    /// No error if it is there.
    pub if_not_exists: bool,
    /// The predicate of a partial index.
    pub partial: Option<String>,
}

/// One part of an index: a column or an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexPart {
    /// As written, white space normalised.
    pub text: String,
    /// The column's name, if it is a column.
    pub column: Option<String>,
}

/// What changes about a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnAction {
    /// Its type.
    Type(String),
    /// It becomes NOT NULL.
    SetNotNull,
    /// It may be NULL from now on.
    DropNotNull,
    /// It gets a default.
    SetDefault(String),
    /// It loses its default.
    DropDefault,
    /// It is declared anew, whole (MariaDB's and MySQL's MODIFY and CHANGE).
    Redefine(Box<ColumnDef>),
    /// Something else, as written.
    Other(String),
}

/// What a routine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutineKind {
    /// A function.
    Function,
    /// A procedure.
    Procedure,
    /// An aggregate function.
    Aggregate,
    /// Any of them (`DROP ROUTINE`).
    Routine,
}

/// What a type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// One of a list of words.
    Enum(Vec<String>),
    /// A row.
    Composite,
    /// Another type with rules.
    Domain,
    /// A range, a base type or a shell.
    Other,
}

/// The kinds of object that have a name of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A table.
    Table,
    /// An index.
    Index,
    /// A view, stored or not.
    View,
    /// A trigger.
    Trigger,
    /// A function or procedure.
    Routine,
    /// A type or domain.
    Type,
    /// A sequence.
    Sequence,
    /// A schema.
    Schema,
    /// An extension.
    Extension,
}

impl ObjectKind {
    /// The lower-case word used in messages.
    pub fn word(self) -> &'static str {
        match self {
            ObjectKind::Table => "table",
            ObjectKind::Index => "index",
            ObjectKind::View => "view",
            ObjectKind::Trigger => "trigger",
            ObjectKind::Routine => "routine",
            ObjectKind::Type => "type",
            ObjectKind::Sequence => "sequence",
            ObjectKind::Schema => "schema",
            ObjectKind::Extension => "extension",
        }
    }
}
