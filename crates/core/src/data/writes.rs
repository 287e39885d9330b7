//! What a statement writes, as far as its form alone tells.

use sqlparser::ast::{
    AssignmentTarget, FromTable, SqliteOnConflict, Statement, TableFactor, TableObject,
    TableWithJoins,
};

use super::insert::conflict;
use super::names;
use super::parse::parse;
use super::rewrite::{Conflict, DataKind};
use crate::ddl::ObjectName;
use crate::sql::dialect::Dialect;

/// One kind of change to the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes {
    /// What happens to its rows.
    pub kind: DataKind,
    /// The table.
    pub target: ObjectName,
    /// The columns that an UPDATE assigns to.
    pub assigned: Vec<String>,
}

/// What the statement writes itself; triggers and cascades aside. `None` where that is more than
/// one table, or more than one kind of change (an INSERT that may change rows which are there), or
/// where it is not certain.
pub fn writes(statement: &str, dialect: Dialect) -> Option<Writes> {
    let parsed = parse(statement, dialect).ok()?;
    let (_, inner) = parsed.inner();
    if matches!(inner, Statement::Query(_)) || parsed.writes_in_with() {
        return None;
    }
    let (kind, target, assigned) = match inner {
        Statement::Update(update) if !matches!(update.or, Some(SqliteOnConflict::Replace)) => {
            let assigned: Option<Vec<Vec<String>>> = update
                .assignments
                .iter()
                .map(|assignment| match &assignment.target {
                    AssignmentTarget::ColumnName(name) => Some(vec![column(name, dialect)?]),
                    AssignmentTarget::Tuple(names) => {
                        names.iter().map(|name| column(name, dialect)).collect()
                    }
                })
                .collect();
            (DataKind::Update, only(&update.table, dialect)?, assigned?.concat())
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let [from] = from.as_slice() else { return None };
            let joined = dialect == Dialect::Mysql && delete.using.is_some();
            if !delete.tables.is_empty() || joined {
                return None;
            }
            (DataKind::Delete, only(from, dialect)?, Vec::new())
        }
        Statement::Insert(insert) => {
            let TableObject::TableName(name) = &insert.table else { return None };
            if !matches!(conflict(insert), Conflict::None | Conflict::Ignore) {
                return None;
            }
            (DataKind::Insert, names::object(name, dialect)?, Vec::new())
        }
        _ => return None,
    };
    Some(Writes { kind, target, assigned })
}

fn column(name: &sqlparser::ast::ObjectName, dialect: Dialect) -> Option<String> {
    names::object(name, dialect).map(|name| name.name)
}

/// The table, if it stands by itself.
fn only(table: &TableWithJoins, dialect: Dialect) -> Option<ObjectName> {
    match &table.relation {
        TableFactor::Table { name, args: None, .. } if table.joins.is_empty() => {
            names::object(name, dialect)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_of_one_table_is_known() {
        use Dialect::{Mysql, Postgres, Sqlite};
        let said = |sql: &str, dialect| {
            writes(sql, dialect).map(|found| {
                let assigned = found.assigned.join(" ");
                format!("{:?} {} {assigned}", found.kind, found.target).trim_end().to_owned()
            })
        };
        for (dialect, sql, expected) in [
            (Sqlite, "INSERT INTO t VALUES (1), (2)", Some("Insert t")),
            (Sqlite, "INSERT OR IGNORE INTO t (a) SELECT max(b) FROM u", Some("Insert t")),
            (Sqlite, "INSERT OR REPLACE INTO t VALUES (1)", None),
            (Sqlite, "REPLACE INTO t VALUES (1)", None),
            (Postgres, "INSERT INTO s.t (a) VALUES (1) ON CONFLICT DO NOTHING", Some("Insert s.t")),
            (Postgres, "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", None),
            (Mysql, "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2", None),
            (Postgres, "UPDATE t SET a = 1, (b, c) = (2, 3)", Some("Update t a b c")),
            (Postgres, "UPDATE T SET \"A\" = u.x FROM u WHERE u.id = t.id", Some("Update t A")),
            (Mysql, "UPDATE t JOIN u ON u.id = t.id SET t.a = u.a", None),
            (Mysql, "UPDATE t, u SET t.a = u.a", None),
            (Sqlite, "UPDATE OR REPLACE t SET a = 1", None),
            (Sqlite, "DELETE FROM t WHERE a IN (SELECT a FROM u LIMIT 3)", Some("Delete t")),
            (Postgres, "DELETE FROM t USING u WHERE u.id = t.id", Some("Delete t")),
            (Mysql, "DELETE t, u FROM t JOIN u ON u.id = t.id", None),
            (Mysql, "DELETE FROM t USING t JOIN u ON u.id = t.id", None),
            (Postgres, "WITH x AS (SELECT 1) UPDATE t SET a = 1", Some("Update t a")),
            (Postgres, "WITH x AS (DELETE FROM u RETURNING a) INSERT INTO t SELECT a FROM x", None),
            (Postgres, "WITH x AS (DELETE FROM u RETURNING a) SELECT * FROM x", None),
            (Sqlite, "SELECT 1", None),
            (Sqlite, "CREATE TABLE t (a)", None),
            (Sqlite, "not SQL at all", None),
        ] {
            assert_eq!(said(sql, dialect).as_deref(), expected, "{sql}");
        }
    }
}
