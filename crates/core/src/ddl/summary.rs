//! Changes as one short line each, for lists, messages and tests.

use std::fmt::{self, Display, Formatter};

use super::change::Change;
use super::name::ObjectName;
use super::parts::{
    Check, ColumnAction, ColumnDef, Constraint, CreateIndex, CreateTable, ForeignKey, IndexPart,
    ReferentialAction, RoutineKind, TableCopy, TableSource, TypeKind,
};

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Change::CreateTable(table) => table.fmt(f),
            Change::DropTable { name, if_exists, cascade } => {
                write!(f, "drop table {name}{}{}", maybe(*if_exists), cascading(*cascade))
            }
            Change::RenameTable { from, to } => write!(f, "rename table {from} to {to}"),
            Change::OnlyIfTableExists { table } => write!(f, "only if table {table} exists"),
            Change::OtherTableChange { table, action } => {
                write!(f, "alter table {table}: {action}")
            }
            Change::CreateIndex(index) => index.fmt(f),
            Change::Truncate { tables, cascade } => {
                write!(f, "truncate {}{}", list(tables), cascading(*cascade))
            }
            Change::DeleteRows { table } => write!(f, "delete from {table}"),
            Change::UpdateRows { table } => write!(f, "update {table}"),
            Change::InsertRows { table, replaces, copies } => {
                let verb = if *replaces { "insert or replace" } else { "insert" };
                write!(f, "{verb} into {table}{}", copying(copies))
            }
            Change::Comment => f.write_str("comment"),
            Change::SearchPath { schemas } => write!(f, "search path [{}]", schemas.join(", ")),
            Change::Dynamic { verb, .. } => write!(f, "dynamic {verb}"),
            Change::Unknown { verb } => write!(f, "unknown {verb}"),
            _ => column_or_constraint(self, f),
        }
    }
}

fn column_or_constraint(change: &Change, f: &mut Formatter<'_>) -> fmt::Result {
    match change {
        Change::AddColumn { table, column, if_not_exists } => {
            write!(f, "add column {table}: {column}{}", maybe(*if_not_exists))
        }
        Change::DropColumn { table, column, if_exists, cascade } => {
            write!(f, "drop column {table}.{column}{}{}", maybe(*if_exists), cascading(*cascade))
        }
        Change::RenameColumn { table, from, to } => {
            write!(f, "rename column {table}.{from} to {to}")
        }
        Change::AlterColumn { table, column, action } => {
            write!(f, "alter column {table}.{column}: {action}")
        }
        Change::AddConstraint { table, constraint, if_not_exists } => {
            write!(f, "add constraint {table}: {constraint}{}", maybe(*if_not_exists))
        }
        Change::DropConstraint { table, name, if_exists, cascade } => {
            let tail = cascading(*cascade);
            write!(f, "drop constraint {table}: {name}{}{tail}", maybe(*if_exists))
        }
        Change::DropForeignKey { table, name, if_exists } => {
            write!(f, "drop foreign key {table}: {name}{}", maybe(*if_exists))
        }
        Change::DropPrimaryKey { table } => write!(f, "drop primary key {table}"),
        Change::RenameConstraint { table, from, to } => {
            write!(f, "rename constraint {table}: {from} to {to}")
        }
        Change::DropIndex { name, table, if_exists, concurrently } => {
            let how = if *concurrently { " concurrently" } else { "" };
            write!(f, "drop index {name}{}{}{how}", on(table), maybe(*if_exists))
        }
        Change::RenameIndex { table, from, to } => {
            write!(f, "rename index {from}{} to {to}", on(table))
        }
        _ => other_object(change, f),
    }
}

fn other_object(change: &Change, f: &mut Formatter<'_>) -> fmt::Result {
    match change {
        Change::CreateView { name, or_replace, if_not_exists, materialized, temporary } => {
            let stored = if *materialized { "materialized " } else { "" };
            let replace = if *or_replace { " or replace" } else { "" };
            let maybe = maybe(*if_not_exists);
            write!(f, "create {}{stored}view {name}{replace}{maybe}", temp(*temporary))
        }
        Change::DropView { name, if_exists, materialized, cascade } => {
            let stored = if *materialized { "materialized " } else { "" };
            write!(f, "drop {stored}view {name}{}{}", maybe(*if_exists), cascading(*cascade))
        }
        Change::CreateTrigger { name, table, if_not_exists, temporary } => {
            let temp = temp(*temporary);
            write!(f, "create {temp}trigger {name} on {table}{}", maybe(*if_not_exists))
        }
        Change::DropTrigger { name, table, if_exists } => {
            write!(f, "drop trigger {name}{}{}", on(table), maybe(*if_exists))
        }
        Change::CreateRoutine { kind, name, arguments } => {
            write!(f, "create {} {name}({arguments})", routine(*kind))
        }
        Change::DropRoutine { kind, name, arguments, if_exists, cascade } => {
            let arguments = arguments.as_ref().map_or(String::new(), |a| format!("({a})"));
            let tail = cascading(*cascade);
            write!(f, "drop {} {name}{arguments}{}{tail}", routine(*kind), maybe(*if_exists))
        }
        _ => type_or_space(change, f),
    }
}

fn type_or_space(change: &Change, f: &mut Formatter<'_>) -> fmt::Result {
    match change {
        Change::CreateType { name, kind: TypeKind::Enum(values) } => {
            write!(f, "create enum {name} ({})", values.join(", "))
        }
        Change::CreateType { name, kind: TypeKind::Domain } => write!(f, "create domain {name}"),
        Change::CreateType { name, .. } => write!(f, "create type {name}"),
        Change::DropType { name, if_exists, cascade } => {
            write!(f, "drop type {name}{}{}", maybe(*if_exists), cascading(*cascade))
        }
        Change::AddEnumValue { name, value, if_not_exists } => {
            write!(f, "add enum value {name}: {value}{}", maybe(*if_not_exists))
        }
        Change::CreateSchema { name, if_not_exists } => {
            write!(f, "create schema {name}{}", maybe(*if_not_exists))
        }
        Change::DropSchema { name, if_exists, cascade } => {
            write!(f, "drop schema {name}{}{}", maybe(*if_exists), cascading(*cascade))
        }
        Change::CreateSequence { name, if_not_exists, temporary } => {
            write!(f, "create {}sequence {name}{}", temp(*temporary), maybe(*if_not_exists))
        }
        Change::DropSequence { name, if_exists } => {
            write!(f, "drop sequence {name}{}", maybe(*if_exists))
        }
        Change::CreateExtension { name, if_not_exists } => {
            write!(f, "create extension {name}{}", maybe(*if_not_exists))
        }
        Change::DropExtension { name, cascade } => {
            write!(f, "drop extension {name}{}", cascading(*cascade))
        }
        Change::RenameObject { kind, from, to } => {
            write!(f, "rename {} {from} to {to}", kind.word())
        }
        // Everything else is written by the callers of this function.
        _ => Ok(()),
    }
}

impl Display for CreateTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let replace = if self.or_replace { " or replace" } else { "" };
        let maybe = maybe(self.if_not_exists);
        write!(f, "create {}table {}{replace}{maybe}", temp(self.temporary), self.name)?;
        let mut parts: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        parts.extend(self.constraints.iter().map(ToString::to_string));
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        match &self.source {
            TableSource::Columns => {}
            TableSource::AsSelect { copies } => write!(f, " as select{}", copying(copies))?,
            TableSource::Like(name) => write!(f, " like {name}")?,
            TableSource::PartitionOf(name) => write!(f, " partition of {name}")?,
            TableSource::OfType(name) => write!(f, " of {name}")?,
            TableSource::Virtual(module) => write!(f, " virtual {module}")?,
        }
        if !self.inherits.is_empty() {
            write!(f, " inherits {}", list(&self.inherits))?;
        }
        if !self.options.is_empty() {
            write!(f, " [{}]", self.options)?;
        }
        Ok(())
    }
}

impl Display for ColumnDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.type_text.is_empty() {
            write!(f, " {}", self.type_text)?;
        }
        let flags = [
            (self.identity, " identity"),
            (self.primary_key, " pk"),
            (self.unique, " unique"),
            (self.not_null, " not null"),
        ];
        for (_, word) in flags.iter().filter(|(on, _)| *on) {
            f.write_str(word)?;
        }
        if let Some(name) = &self.key_name {
            write!(f, " named {name}")?;
        }
        if let Some(default) = &self.default {
            write!(f, " default {default}")?;
        }
        if let Some(expr) = &self.generated {
            write!(f, " as ({expr})")?;
        }
        if let Some(key) = &self.references {
            write!(f, " {key}")?;
        }
        self.checks.iter().try_for_each(|check| write!(f, " {check}"))
    }
}

impl Display for Constraint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::PrimaryKey { name, columns } => {
                write!(f, "pk{}({})", named(name), columns.join(", "))
            }
            Constraint::Unique { name, columns } => {
                write!(f, "unique{}({})", named(name), columns.join(", "))
            }
            Constraint::ForeignKey(key) => key.fmt(f),
            Constraint::Check(check) => check.fmt(f),
            Constraint::Other { text, .. } => write!(f, "other <{text}>"),
        }
    }
}

impl Display for ForeignKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "fk{}({}) -> {}", named(&self.name), self.columns.join(", "), self.to_table)?;
        if !self.to_columns.is_empty() {
            write!(f, "({})", self.to_columns.join(", "))?;
        }
        if self.on_delete != ReferentialAction::NoAction {
            write!(f, " on delete {}", self.on_delete.sql().to_lowercase())?;
        }
        if self.on_update != ReferentialAction::NoAction {
            write!(f, " on update {}", self.on_update.sql().to_lowercase())?;
        }
        Ok(())
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "check{}({})", named(&self.name), self.expr)
    }
}

impl Display for CreateIndex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unique = if self.unique { "unique " } else { "" };
        let name = self.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        write!(f, "create {unique}index{name} on {} ({})", self.table, columns.join(", "))?;
        if let Some(predicate) = &self.partial {
            write!(f, " where {predicate}")?;
        }
        f.write_str(maybe(self.if_not_exists))?;
        f.write_str(if self.concurrently { " concurrently" } else { "" })
    }
}

impl Display for IndexPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => f.write_str(column),
            None => write!(f, "<{}>", self.text),
        }
    }
}

impl Display for ColumnAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ColumnAction::Type(text) => write!(f, "type {text}"),
            ColumnAction::SetNotNull => f.write_str("set not null"),
            ColumnAction::DropNotNull => f.write_str("drop not null"),
            ColumnAction::SetDefault(text) => write!(f, "set default {text}"),
            ColumnAction::DropDefault => f.write_str("drop default"),
            ColumnAction::Redefine(column) => write!(f, "redefine {column}"),
            ColumnAction::Other(text) => write!(f, "other <{text}>"),
        }
    }
}

fn routine(kind: RoutineKind) -> &'static str {
    match kind {
        RoutineKind::Function => "function",
        RoutineKind::Procedure => "procedure",
        RoutineKind::Aggregate => "aggregate",
        RoutineKind::Routine => "routine",
    }
}

fn maybe(flag: bool) -> &'static str {
    if flag { " (if needed)" } else { "" }
}

fn cascading(flag: bool) -> &'static str {
    if flag { " cascade" } else { "" }
}

fn temp(flag: bool) -> &'static str {
    if flag { "temporary " } else { "" }
}

fn on(table: &Option<ObjectName>) -> String {
    table.as_ref().map_or(String::new(), |table| format!(" on {table}"))
}

fn named(name: &Option<String>) -> String {
    name.as_ref().map_or(String::new(), |name| format!(" {name} "))
}

fn copying(copy: &Option<TableCopy>) -> String {
    let Some(TableCopy { from, columns }) = copy else { return String::new() };
    match columns {
        Some(columns) => format!(" copying {from} ({})", columns.join(", ")),
        None => format!(" copying {from}"),
    }
}

fn list(names: &[ObjectName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
