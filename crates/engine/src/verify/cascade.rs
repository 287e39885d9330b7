//! Proving a cascade on real rows: a parent and a child are made from the catalog, the parent is
//! deleted, the child must be gone; all of it is rolled back.
//!
//! Rows that cannot be made (a check that refuses the values, a type without an obvious value, a
//! missing permission) leave the cascade declared and not exercised. Triggers could do more than
//! a rollback takes back, so a table with triggers is not tried; nor is a table of MariaDB whose
//! engine knows no rollback.

mod guard;
mod values;

use whimbrel_core::ddl::{ForeignKey, ObjectKind, ObjectName, ReferentialAction};
use whimbrel_core::snapshot::{Column, Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};
use whimbrel_core::verify::Verdict;

use crate::backend::Session;
use crate::report::FactLine;

/// How many parents of parents are made.
const DEPTH_MAX: u32 = 4;

/// A column's name and the SQL of its value.
type Values = Vec<(String, String)>;

/// Why a cascade could not be tried.
type NotTried = String;

/// One line for each cascading foreign key that is among `declared`.
pub(super) async fn facts(
    session: &mut dyn Session,
    dialect: Dialect,
    snapshot: &Snapshot,
    declared: &[FactLine],
) -> Vec<FactLine> {
    let mut out = Vec::new();
    // Asked once, when the first cascade comes up.
    let mut enforced: Option<bool> = None;
    for table in &snapshot.tables {
        for key in cascades(table) {
            let from = format!("({}) -> ", key.columns.join(", "));
            let is_declared = declared.iter().any(|fact| {
                fact.kind == "foreign key"
                    && fact.detail.starts_with(&from)
                    && fact.detail.contains("ON DELETE CASCADE")
                    && fact.subject.rsplit('.').next() == Some(&table.name.name)
                    && matches!(fact.verdict, Verdict::Holds)
            });
            if !is_declared {
                continue;
            }
            let on = match enforced {
                Some(on) => on,
                None => guard::enforces(session, dialect).await.unwrap_or(false),
            };
            enforced = Some(on);
            let verdict = if on {
                verdict(prove(session, dialect, table, key).await)
            } else {
                let reason = "declared; foreign keys are off on this connection".to_owned();
                Verdict::NotChecked { reason }
            };
            out.push(FactLine {
                kind: "cascade",
                subject: table.name.name.clone(),
                detail: format!("goes with its row of {}", key.to_table.name),
                verdict,
            });
        }
    }
    out
}

fn cascades(table: &Table) -> impl Iterator<Item = &ForeignKey> {
    table.foreign_keys.iter().filter(|key| key.on_delete == ReferentialAction::Cascade)
}

fn verdict(proof: Result<bool, NotTried>) -> Verdict {
    match proof {
        Ok(true) => Verdict::Holds,
        Ok(false) => Verdict::Fails { found: "the row is still there".to_owned() },
        Err(reason) => Verdict::NotChecked { reason: format!("declared, not exercised: {reason}") },
    }
}

/// Whether the child goes with its parent, tried in a transaction or savepoint that is rolled back.
async fn prove(
    session: &mut dyn Session,
    dialect: Dialect,
    child: &Table,
    key: &ForeignKey,
) -> Result<bool, NotTried> {
    let nested = guard::begin(session, dialect).await?;
    let result = Proof { session, dialect, number: 0 }.delete_parent(child, key).await;
    guard::end(session, dialect, nested).await?;
    result
}

struct Proof<'a> {
    session: &'a mut dyn Session,
    dialect: Dialect,
    /// Makes the values of different rows differ.
    number: u32,
}

impl Proof<'_> {
    async fn delete_parent(&mut self, child: &Table, key: &ForeignKey) -> Result<bool, NotTried> {
        let parent = self.table(&key.to_table).await?;
        let to = parent_columns(key, &parent);
        let made = self.insert(&parent, Vec::new(), &to, DEPTH_MAX).await?;
        let given: Values = key.columns.iter().cloned().zip(values_of(&made, &to)).collect();
        self.insert(child, given.clone(), &[], DEPTH_MAX).await?;
        let of_child = format!("{} WHERE {}", self.quoted(&child.name), self.condition(&given));
        if self.count(&of_child).await? != 1 {
            return Err("the new row was not found".to_owned());
        }
        let of_parent: Values = to.iter().cloned().zip(values_of(&made, &to)).collect();
        let delete = format!(
            "DELETE FROM {} WHERE {}",
            self.quoted(&parent.name),
            self.condition(&of_parent)
        );
        self.session.batch(&delete).await.map_err(|error| error.message)?;
        Ok(self.count(&of_child).await? == 0)
    }

    async fn count(&mut self, of: &str) -> Result<u64, NotTried> {
        let sql = format!("SELECT count(*) FROM {of}");
        let value = guard::first(self.session, &sql).await?;
        value.and_then(|text| text.parse().ok()).ok_or_else(|| "nothing was counted".to_owned())
    }

    async fn table(&mut self, name: &ObjectName) -> Result<Table, NotTried> {
        let scope = [(ObjectKind::Table, name.clone())];
        let snapshot = self.session.inspect(Some(&scope)).await.map_err(|error| error.message)?;
        if !snapshot.triggers.is_empty() {
            return Err(format!("{} has triggers", name.name));
        }
        guard::check_table(self.session, self.dialect, name).await?;
        snapshot.tables.into_iter().next().ok_or_else(|| format!("{} was not found", name.name))
    }

    /// Inserts a row with the given values, and values for what the table asks for and for the
    /// columns that the caller must know. Returns what was given to each column.
    async fn insert(
        &mut self,
        table: &Table,
        given: Values,
        known: &[String],
        depth: u32,
    ) -> Result<Values, NotTried> {
        let table = &self.table(&table.name).await?;
        let mut values = given;
        for key in &table.foreign_keys {
            let asks = key.columns.iter().any(|name| {
                let column = table.columns.iter().find(|column| column.name == *name);
                column.is_some_and(|column| !column.nullable) && value_of(&values, name).is_none()
            });
            if asks {
                let made = self.parent_values(key, depth).await?;
                values.extend(made);
            }
        }
        for column in &table.columns {
            let wanted = is_asked(column) || known.contains(&column.name);
            if wanted && value_of(&values, &column.name).is_none() {
                self.number += 1;
                let value = self.value(column).await?;
                values.push((column.name.clone(), value));
            }
        }
        let sql = self.insert_sql(&table.name, &values);
        self.session.batch(&sql).await.map_err(|error| error.message)?;
        Ok(values)
    }

    async fn parent_values(&mut self, key: &ForeignKey, depth: u32) -> Result<Values, NotTried> {
        if depth == 0 {
            return Err("its parents have too many parents".to_owned());
        }
        let parent = self.table(&key.to_table).await?;
        let to = parent_columns(key, &parent);
        let made = Box::pin(self.insert(&parent, Vec::new(), &to, depth - 1)).await?;
        Ok(key.columns.iter().cloned().zip(values_of(&made, &to)).collect())
    }

    /// SQL of a value that the column's type takes.
    async fn value(&mut self, column: &Column) -> Result<String, NotTried> {
        match values::value(column, self.number, self.dialect) {
            Some(value) => Ok(value),
            None if self.dialect == Dialect::Postgres => self.label(&column.type_name).await,
            None => Err(no_value(&column.type_name)),
        }
    }

    fn insert_sql(&self, table: &ObjectName, values: &Values) -> String {
        let table = self.quoted(table);
        if values.is_empty() {
            let nothing =
                if self.dialect == Dialect::Mysql { "() VALUES ()" } else { "DEFAULT VALUES" };
            return format!("INSERT INTO {table} {nothing}");
        }
        let names: Vec<String> = values.iter().map(|(name, _)| self.ident(name)).collect();
        let texts: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
        let system =
            if self.dialect == Dialect::Postgres { " OVERRIDING SYSTEM VALUE" } else { "" };
        format!("INSERT INTO {table} ({}){system} VALUES ({})", names.join(", "), texts.join(", "))
    }

    fn condition(&self, values: &Values) -> String {
        let parts: Vec<String> =
            values.iter().map(|(name, value)| format!("{} = {value}", self.ident(name))).collect();
        parts.join(" AND ")
    }

    fn ident(&self, name: &str) -> String {
        quote_ident(name, self.dialect)
    }

    fn quoted(&self, name: &ObjectName) -> String {
        match &name.schema {
            Some(schema) => format!("{}.{}", self.ident(schema), self.ident(&name.name)),
            None => self.ident(&name.name),
        }
    }

    /// The first label of an enum.
    async fn label(&mut self, type_name: &str) -> Result<String, NotTried> {
        let sql = format!(
            "SELECT pg_catalog.quote_literal(enumlabel) FROM pg_catalog.pg_enum \
             WHERE enumtypid = pg_catalog.to_regtype({}) ORDER BY enumsortorder LIMIT 1",
            quote_text(type_name, Dialect::Postgres)
        );
        guard::first(self.session, &sql).await?.ok_or_else(|| no_value(type_name))
    }
}

fn no_value(type_name: &str) -> NotTried {
    format!("no value is known for the type {type_name}")
}

/// Whether the column needs a value from us. One that a sequence numbers gets ours too, so that no
/// number is used up.
fn is_asked(column: &Column) -> bool {
    let numbered =
        column.identity || column.default.as_deref().is_some_and(|text| text.contains("nextval("));
    column.generated.is_none() && (numbered || (!column.nullable && column.default.is_none()))
}

fn parent_columns(key: &ForeignKey, parent: &Table) -> Vec<String> {
    if key.to_columns.is_empty() { parent.primary_key.clone() } else { key.to_columns.clone() }
}

fn value_of<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.iter().find(|(column, _)| column == name).map(|(_, value)| value.as_str())
}

fn values_of(values: &Values, names: &[String]) -> Vec<String> {
    names.iter().filter_map(|name| value_of(values, name)).map(str::to_owned).collect()
}
