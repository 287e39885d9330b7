//! The facts themselves, and how they are found again by name.

use crate::ddl::name::{same_column_name, same_table_name};
use crate::ddl::{Change, Check, ForeignKey, IndexPart, ObjectKind, ObjectName};
use crate::sql::dialect::Dialect;

/// Why a mismatch would not be certain; none means that it would be.
pub(super) type Doubt = Option<String>;

/// What must exist, folded over migrations.
#[derive(Clone, Debug)]
pub struct Expected {
    pub(super) dialect: Dialect,
    pub(super) tables: Vec<TableFacts>,
    pub(super) objects: Vec<ObjectFact>,
    pub(super) absent: Vec<Absent>,
    pub(super) not_derived: Vec<String>,
    /// Where bare names are looked up in the migration being folded.
    pub(super) path: Vec<String>,
    /// Tables and views of the session of the migration being folded.
    pub(super) temporary: Vec<ObjectName>,
    /// The changes being folded may not have happened to this table.
    pub(super) only_if: Option<ObjectName>,
}

/// What is known of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct TableFacts {
    pub(super) name: ObjectName,
    /// Its creation was seen, so that its existence is a fact of its own.
    pub(super) created: bool,
    pub(super) existence_doubt: Doubt,
    /// A doubt about everything in it.
    pub(super) doubt: Doubt,
    pub(super) parents: Vec<ObjectName>,
    pub(super) partition: bool,
    pub(super) columns: Vec<ColumnFacts>,
    pub(super) primary_key: Option<KeyFact>,
    pub(super) uniques: Vec<KeyFact>,
    pub(super) foreign_keys: Vec<ForeignKeyFact>,
    pub(super) checks: Vec<CheckFact>,
    pub(super) indexes: Vec<IndexFact>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ColumnFacts {
    pub(super) name: String,
    pub(super) type_text: Option<String>,
    pub(super) nullable: Option<bool>,
    pub(super) default: Option<bool>,
    /// The expression of a generated column.
    pub(super) generated: Option<String>,
    pub(super) doubt: Doubt,
}

#[derive(Clone, Debug, Default)]
pub(super) struct KeyFact {
    pub(super) name: ConstraintName,
    pub(super) columns: Vec<String>,
    pub(super) doubt: Doubt,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ForeignKeyFact {
    pub(super) name: ConstraintName,
    pub(super) key: ForeignKey,
    pub(super) doubt: Doubt,
}

#[derive(Clone, Debug, Default)]
pub(super) struct CheckFact {
    pub(super) name: ConstraintName,
    pub(super) check: Check,
    /// The column at which it is written.
    pub(super) at_column: Option<String>,
    pub(super) doubt: Doubt,
}

#[derive(Clone, Debug, Default)]
pub(super) struct IndexFact {
    pub(super) name: ConstraintName,
    pub(super) columns: Vec<IndexPart>,
    pub(super) unique: bool,
    pub(super) partial: bool,
    pub(super) doubt: Doubt,
}

/// The name that a constraint or index was given, or the one that the server probably gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ConstraintName {
    Given(String),
    Guessed(String),
    #[default]
    None,
}

impl ConstraintName {
    pub(super) fn new(given: &Option<String>, guess: impl FnOnce() -> Option<String>) -> Self {
        match given {
            Some(name) => ConstraintName::Given(name.clone()),
            None => guess().map_or(ConstraintName::None, ConstraintName::Guessed),
        }
    }

    pub(super) fn given(&self) -> Option<&str> {
        match self {
            ConstraintName::Given(name) => Some(name),
            ConstraintName::Guessed(_) | ConstraintName::None => None,
        }
    }

    pub(super) fn is(&self, name: &str, dialect: Dialect) -> bool {
        match self {
            ConstraintName::Given(own) | ConstraintName::Guessed(own) => {
                same_column_name(own, name, dialect)
            }
            ConstraintName::None => false,
        }
    }
}

/// A view, trigger, routine, type, sequence, schema or extension.
#[derive(Clone, Debug)]
pub(super) struct ObjectFact {
    pub(super) kind: ObjectKind,
    pub(super) name: ObjectName,
    /// A trigger's table.
    pub(super) table: Option<ObjectName>,
    /// A routine's parameters.
    pub(super) signature: String,
    pub(super) doubt: Doubt,
}

/// Something that is gone.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    pub(super) what: AbsentKind,
    pub(super) name: ObjectName,
    /// The table of a column, constraint, index or trigger.
    pub(super) table: Option<ObjectName>,
    pub(super) doubt: Doubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AbsentKind {
    Object(ObjectKind),
    Column,
    Constraint,
    PrimaryKey,
}

impl Expected {
    /// No facts yet.
    pub fn new(dialect: Dialect) -> Expected {
        Expected {
            dialect,
            tables: Vec::new(),
            objects: Vec::new(),
            absent: Vec::new(),
            not_derived: Vec::new(),
            path: Vec::new(),
            temporary: Vec::new(),
            only_if: None,
        }
    }

    /// The facts of one list of changes, read as one migration.
    pub fn fold(changes: &[Change], dialect: Dialect) -> Expected {
        let mut expected = Expected::new(dialect);
        expected.apply(changes);
        expected
    }

    /// The objects whose live picture [`Expected::check`] needs.
    pub fn touched(&self) -> Vec<(ObjectKind, ObjectName)> {
        let mut touched: Vec<(ObjectKind, ObjectName)> = Vec::new();
        touched.extend(self.tables.iter().map(|table| (ObjectKind::Table, table.name.clone())));
        for object in &self.objects {
            touched.push((object.kind, object.name.clone()));
            touched.extend(object.table.iter().map(|table| (ObjectKind::Table, table.clone())));
        }
        for absent in &self.absent {
            if let AbsentKind::Object(kind) = absent.what {
                touched.push((kind, absent.name.clone()));
            }
            touched.extend(absent.table.iter().map(|table| (ObjectKind::Table, table.clone())));
        }
        touched.sort();
        touched.dedup();
        touched
    }

    /// The name as it is kept here: the search path applied, `public` and `main` left out.
    pub(super) fn kept_name(&self, name: &ObjectName) -> ObjectName {
        let schema = name.schema.clone().or_else(|| self.path.first().cloned());
        let implied = match self.dialect {
            Dialect::Sqlite => schema.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("main")),
            Dialect::Postgres => schema.as_deref() == Some("public"),
            Dialect::Mysql => false,
        };
        ObjectName { schema: schema.filter(|_| !implied), name: name.name.clone() }
    }

    /// Whether two kept names are the same.
    pub(super) fn same(&self, a: &ObjectName, b: &ObjectName) -> bool {
        let schemas = match (&a.schema, &b.schema) {
            (Some(a), Some(b)) => same_table_name(a, b, self.dialect),
            (None, None) => true,
            // On MariaDB a bare name is in the connection's database, which may be this one.
            (None, Some(_)) | (Some(_), None) => self.dialect == Dialect::Mysql,
        };
        schemas && same_table_name(&a.name, &b.name, self.dialect)
    }

    /// The kept name of an existing object: a bare name is looked for along the search path.
    pub(super) fn known_name(&self, name: &ObjectName) -> ObjectName {
        if name.schema.is_none() {
            for schema in &self.path {
                let tried = ObjectName::in_schema(schema.clone(), name.name.clone());
                let tried = self.kept_name(&tried);
                let table = self.tables.iter().any(|table| self.same(&table.name, &tried));
                if table || self.objects.iter().any(|object| self.same(&object.name, &tried)) {
                    return tried;
                }
            }
        }
        self.kept_name(name)
    }

    pub(super) fn table_at(&self, name: &ObjectName) -> Option<usize> {
        self.tables.iter().position(|table| self.same(&table.name, name))
    }

    pub(super) fn is_temporary(&self, name: &ObjectName) -> bool {
        let named = |temp: &ObjectName| same_table_name(&temp.name, &name.name, self.dialect);
        name.is_temporary(self.dialect)
            || (name.schema.is_none() && self.temporary.iter().any(named))
    }

    /// The facts of a table that a change names, made if it was not known.
    pub(super) fn table_mut(&mut self, name: &ObjectName) -> Option<&mut TableFacts> {
        let kept = self.known_name(name);
        if let Some(at) = self.table_at(&kept) {
            return self.tables.get_mut(at);
        }
        let doubt = self
            .only_if
            .as_ref()
            .filter(|only_if| self.same(only_if, &kept))
            .map(|_| "`ALTER TABLE IF EXISTS` may have met no table".to_owned());
        self.tables.push(TableFacts { name: kept, doubt, ..TableFacts::default() });
        self.tables.last_mut()
    }

    /// Another schema's object of this name may be the one that was meant.
    pub(super) fn doubt_lookalikes(&mut self, name: &ObjectName, reason: &str) {
        let dialect = self.dialect;
        for table in &mut self.tables {
            if same_table_name(&table.name.name, &name.name, dialect) {
                set_doubt(&mut table.doubt, reason);
                set_doubt(&mut table.existence_doubt, reason);
            }
        }
        for object in &mut self.objects {
            if same_table_name(&object.name.name, &name.name, dialect) {
                set_doubt(&mut object.doubt, reason);
            }
        }
    }

    pub(super) fn now_absent(&mut self, what: AbsentKind, name: ObjectName) {
        self.push_absent(Absent { what, name, table: None, doubt: None });
    }

    pub(super) fn push_absent(&mut self, absent: Absent) {
        self.not_absent(absent.what, &absent.name, absent.table.as_ref());
        self.absent.push(absent);
    }

    /// Forgets that something is gone; true if it was known to be.
    pub(super) fn not_absent(
        &mut self,
        what: AbsentKind,
        name: &ObjectName,
        table: Option<&ObjectName>,
    ) -> bool {
        let before = self.absent.len();
        let dialect = self.dialect;
        let mut kept = std::mem::take(&mut self.absent);
        kept.retain(|absent| {
            let same_table = match (&absent.table, table) {
                (Some(a), Some(b)) => self.same(a, b),
                (None, _) | (_, None) => true,
            };
            let same_name = match what {
                AbsentKind::Object(ObjectKind::Index) | AbsentKind::Column => {
                    same_column_name(&absent.name.name, &name.name, dialect)
                }
                AbsentKind::Constraint => same_column_name(&absent.name.name, &name.name, dialect),
                AbsentKind::PrimaryKey => true,
                AbsentKind::Object(_) => self.same(&absent.name, name),
            };
            !(absent.what == what && same_table && same_name)
        });
        self.absent = kept;
        self.absent.len() < before
    }
}

impl TableFacts {
    /// The facts of a column, made if it was not known. Always some.
    pub(super) fn column_mut(&mut self, name: &str, dialect: Dialect) -> Option<&mut ColumnFacts> {
        let at = self.columns.iter().position(|c| same_column_name(&c.name, name, dialect));
        let at = at.unwrap_or_else(|| {
            self.columns.push(ColumnFacts { name: name.to_owned(), ..ColumnFacts::default() });
            self.columns.len() - 1
        });
        self.columns.get_mut(at)
    }
}

/// Sets a doubt where there is none yet: the first reason is the best.
pub(super) fn set_doubt(doubt: &mut Doubt, reason: &str) {
    doubt.get_or_insert_with(|| reason.to_owned());
}

/// Whether a list of columns has this one.
pub(super) fn has_column(columns: &[String], name: &str, dialect: Dialect) -> bool {
    columns.iter().any(|column| same_column_name(column, name, dialect))
}
