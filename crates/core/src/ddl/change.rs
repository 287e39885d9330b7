//! What one statement changes, as data.

use super::name::ObjectName;
use super::parts::{
    ColumnAction, ColumnDef, Constraint, CreateIndex, CreateTable, ObjectKind, RoutineKind,
    TableCopy, TypeKind,
};

/// One change that a statement makes. A statement may make several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A table is created.
    CreateTable(Box<CreateTable>),
    /// A table is dropped; one change for each name of the statement.
    DropTable {
        /// The table.
        name: ObjectName,
        /// No error if it is missing.
        if_exists: bool,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// A table (on PostgreSQL perhaps a view or sequence) gets another name or schema.
    RenameTable {
        /// The name before.
        from: ObjectName,
        /// The name after.
        to: ObjectName,
    },
    /// The changes to this table that follow happen only if it exists (`ALTER TABLE IF EXISTS`).
    OnlyIfTableExists {
        /// The table.
        table: ObjectName,
    },
    /// A column is added, with the constraints written at it.
    AddColumn {
        /// The table.
        table: ObjectName,
        /// The column.
        column: Box<ColumnDef>,
        /// No error if it is there.
        if_not_exists: bool,
    },
    /// A column is dropped.
    DropColumn {
        /// The table.
        table: ObjectName,
        /// The column's name.
        column: String,
        /// No error if it is missing.
        if_exists: bool,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// A column gets another name.
    RenameColumn {
        /// The table.
        table: ObjectName,
        /// The name before.
        from: String,
        /// The name after.
        to: String,
    },
    /// A property of a column changes.
    AlterColumn {
        /// The table.
        table: ObjectName,
        /// The column's name.
        column: String,
        /// What changes.
        action: ColumnAction,
    },
    /// A constraint is added.
    AddConstraint {
        /// The table.
        table: ObjectName,
        /// The constraint.
        constraint: Constraint,
        /// No error if one of this name is there (MariaDB).
        if_not_exists: bool,
    },
    /// A constraint is dropped by name, of whatever kind it is.
    DropConstraint {
        /// The table.
        table: ObjectName,
        /// The constraint's name.
        name: String,
        /// No error if it is missing.
        if_exists: bool,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// A foreign key is dropped by name (MariaDB, MySQL).
    DropForeignKey {
        /// The table.
        table: ObjectName,
        /// The foreign key's name.
        name: String,
        /// No error if it is missing.
        if_exists: bool,
    },
    /// The primary key is dropped (MariaDB, MySQL).
    DropPrimaryKey {
        /// The table.
        table: ObjectName,
    },
    /// A constraint gets another name.
    RenameConstraint {
        /// The table.
        table: ObjectName,
        /// The name before.
        from: String,
        /// The name after.
        to: String,
    },
    /// Something about a table changes that this reader does not model.
    OtherTableChange {
        /// The table.
        table: ObjectName,
        /// The action as written, white space normalised.
        action: String,
    },
    /// An index is created.
    CreateIndex(Box<CreateIndex>),
    /// An index is dropped.
    DropIndex {
        /// The index.
        name: ObjectName,
        /// Its table, where the dialect says it.
        table: Option<ObjectName>,
        /// No error if it is missing.
        if_exists: bool,
        /// Without blocking writers, outside a transaction.
        concurrently: bool,
    },
    /// An index gets another name.
    RenameIndex {
        /// Its table, where the dialect says it.
        table: Option<ObjectName>,
        /// The name before.
        from: ObjectName,
        /// The name after.
        to: String,
    },
    /// A view is created or replaced.
    CreateView {
        /// The view.
        name: ObjectName,
        /// An existing one is replaced.
        or_replace: bool,
        /// No error if it is there.
        if_not_exists: bool,
        /// It stores its rows.
        materialized: bool,
        /// It goes with the session.
        temporary: bool,
    },
    /// A view is dropped.
    DropView {
        /// The view.
        name: ObjectName,
        /// No error if it is missing.
        if_exists: bool,
        /// It stores its rows.
        materialized: bool,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// A trigger is created.
    CreateTrigger {
        /// The trigger.
        name: ObjectName,
        /// The table or view it watches.
        table: ObjectName,
        /// No error if it is there.
        if_not_exists: bool,
        /// It goes with the session.
        temporary: bool,
    },
    /// A trigger is dropped.
    DropTrigger {
        /// The trigger.
        name: ObjectName,
        /// Its table, where the dialect says it.
        table: Option<ObjectName>,
        /// No error if it is missing.
        if_exists: bool,
    },
    /// A stored routine is created or replaced.
    CreateRoutine {
        /// What it is.
        kind: RoutineKind,
        /// Its name.
        name: ObjectName,
        /// Its parameter list as written.
        arguments: String,
    },
    /// A stored routine is dropped.
    DropRoutine {
        /// What it is.
        kind: RoutineKind,
        /// Its name.
        name: ObjectName,
        /// The argument list, where one is written.
        arguments: Option<String>,
        /// No error if it is missing.
        if_exists: bool,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// A type or domain is created.
    CreateType {
        /// Its name.
        name: ObjectName,
        /// What it is.
        kind: TypeKind,
    },
    /// A type or domain is dropped.
    DropType {
        /// Its name.
        name: ObjectName,
        /// No error if it is missing.
        if_exists: bool,
        /// Columns of this type go too.
        cascade: bool,
    },
    /// An enum gets another value.
    AddEnumValue {
        /// The enum.
        name: ObjectName,
        /// The value.
        value: String,
        /// No error if it is there.
        if_not_exists: bool,
    },
    /// A schema (MariaDB: database) is created.
    CreateSchema {
        /// Its name.
        name: String,
        /// No error if it is there.
        if_not_exists: bool,
    },
    /// A schema (MariaDB: database) is dropped.
    DropSchema {
        /// Its name.
        name: String,
        /// No error if it is missing.
        if_exists: bool,
        /// What is in it goes too.
        cascade: bool,
    },
    /// A sequence is created.
    CreateSequence {
        /// Its name.
        name: ObjectName,
        /// No error if it is there.
        if_not_exists: bool,
        /// It goes with the session.
        temporary: bool,
    },
    /// A sequence is dropped.
    DropSequence {
        /// Its name.
        name: ObjectName,
        /// No error if it is missing.
        if_exists: bool,
    },
    /// An extension is installed.
    CreateExtension {
        /// Its name.
        name: String,
        /// No error if it is there.
        if_not_exists: bool,
    },
    /// An extension is removed, with everything it brought.
    DropExtension {
        /// Its name.
        name: String,
        /// What depends on it goes too.
        cascade: bool,
    },
    /// An object other than a table or index gets another name or schema.
    RenameObject {
        /// What it is.
        kind: ObjectKind,
        /// The name before.
        from: ObjectName,
        /// The name after.
        to: ObjectName,
    },
    /// All rows go.
    Truncate {
        /// The tables named.
        tables: Vec<ObjectName>,
        /// Tables that reference them lose their rows too.
        cascade: bool,
    },
    /// Rows are deleted.
    DeleteRows {
        /// The table.
        table: ObjectName,
    },
    /// Rows are changed.
    UpdateRows {
        /// The table.
        table: ObjectName,
    },
    /// Rows are added.
    InsertRows {
        /// The table.
        table: ObjectName,
        /// Rows that are already there may be overwritten (`REPLACE`, `ON CONFLICT DO UPDATE`).
        replaces: bool,
        /// What is copied, if every row of one table is.
        copies: Option<TableCopy>,
    },
    /// A comment is set.
    Comment,
    /// Where bare names are looked up from here on (`SET search_path`, `USE`).
    SearchPath {
        /// The schemas in order; empty means that the default is back.
        schemas: Vec<String>,
    },
    /// Code runs whose effect its text does not say: `DO`, `CALL`, `EXECUTE`, a function call.
    Dynamic {
        /// The statement's first word or words, upper-case.
        verb: String,
        /// The statement, white space normalised.
        text: String,
    },
    /// A statement that this reader does not model.
    Unknown {
        /// The statement's first word or words, upper-case.
        verb: String,
    },
}
