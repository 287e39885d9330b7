//! Proving a cascade on real rows: a parent and a child are made from the catalog, the parent is
//! deleted, the child must be gone; all of it is rolled back.
//!
//! Rows that cannot be made (a check that refuses the values, a type without an obvious value, a
//! missing permission) leave the cascade declared and not exercised. Triggers could do more than
//! a rollback takes back, so a table with triggers is not tried.

use whimbrel_core::ddl::{ForeignKey, ObjectKind, ObjectName, ReferentialAction};
use whimbrel_core::snapshot::{Column, Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};
use whimbrel_core::verify::Verdict;

use crate::backend::Session;
use crate::report::FactLine;

/// How many parents of parents are made.
const DEPTH_MAX: u32 = 4;
/// How long a lock is waited for when no migration has set a limit.
const LOCK_LIMIT: &str = "SET LOCAL lock_timeout = '2s'";

/// A column's name and the SQL of its value.
type Values = Vec<(String, String)>;

/// Why a cascade could not be tried.
type NotTried = String;

/// One line for each cascading foreign key that is among `declared`.
pub(super) async fn facts(
    session: &mut dyn Session,
    snapshot: &Snapshot,
    declared: &[FactLine],
) -> Vec<FactLine> {
    let mut out = Vec::new();
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
            let verdict = match prove(session, table, key).await {
                Ok(true) => Verdict::Holds,
                Ok(false) => Verdict::Fails { found: "the row is still there".to_owned() },
                Err(reason) => {
                    Verdict::NotChecked { reason: format!("declared, not exercised: {reason}") }
                }
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

/// Whether the child goes with its parent, tried in a transaction or savepoint that is rolled back.
async fn prove(
    session: &mut dyn Session,
    child: &Table,
    key: &ForeignKey,
) -> Result<bool, NotTried> {
    let nested = session.batch("SAVEPOINT whimbrel_proof").await.is_ok();
    if !nested {
        let begin = format!("BEGIN; {LOCK_LIMIT}");
        session.batch(&begin).await.map_err(|error| error.message)?;
    }
    let result = Proof { session, number: 0 }.delete_parent(child, key).await;
    let end = if nested {
        "ROLLBACK TO SAVEPOINT whimbrel_proof; RELEASE SAVEPOINT whimbrel_proof"
    } else {
        "ROLLBACK"
    };
    session.batch(end).await.map_err(|error| error.message)?;
    result
}

struct Proof<'a> {
    session: &'a mut dyn Session,
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
        let of_child = format!("{} WHERE {}", quoted(&child.name), condition(&given));
        if self.count(&of_child).await? != 1 {
            return Err("the new row was not found".to_owned());
        }
        let of_parent: Values = to.iter().cloned().zip(values_of(&made, &to)).collect();
        let delete =
            format!("DELETE FROM {} WHERE {}", quoted(&parent.name), condition(&of_parent));
        self.session.batch(&delete).await.map_err(|error| error.message)?;
        Ok(self.count(&of_child).await? == 0)
    }

    async fn count(&mut self, of: &str) -> Result<u64, NotTried> {
        let sql = format!("SELECT count(*) FROM {of}");
        let rows = self.session.query(&sql).await.map_err(|error| error.message)?;
        let value = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        value.and_then(|text| text.parse().ok()).ok_or_else(|| "nothing was counted".to_owned())
    }

    async fn table(&mut self, name: &ObjectName) -> Result<Table, NotTried> {
        let scope = [(ObjectKind::Table, name.clone())];
        let snapshot = self.session.inspect(Some(&scope)).await.map_err(|error| error.message)?;
        if !snapshot.triggers.is_empty() {
            return Err(format!("{} has triggers", name.name));
        }
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
        let names: Vec<String> = values.iter().map(|(name, _)| ident(name)).collect();
        let texts: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
        let sql = if values.is_empty() {
            format!("INSERT INTO {} DEFAULT VALUES", quoted(&table.name))
        } else {
            format!(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                quoted(&table.name),
                names.join(", "),
                texts.join(", ")
            )
        };
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
        let number = self.number;
        let type_name = column.type_name.as_str();
        let (base, length) = base_and_length(type_name);
        Ok(match base {
            "text" | "name" | "citext" => format!("'whimbrel-{number}@example.invalid'"),
            "character varying" | "character" | "bpchar" => {
                let text = format!("{number}whimbrel@example.invalid");
                let text: String = text.chars().take(length.unwrap_or(usize::MAX)).collect();
                quote_text(&text, Dialect::Postgres)
            }
            "integer" | "bigint" => (2_000_000_000 + number).to_string(),
            "smallint" => (32_000 + number).to_string(),
            "numeric" | "real" | "double precision" => number.to_string(),
            "boolean" => "false".to_owned(),
            "uuid" => format!("'00000000-0000-4000-8000-{number:012x}'"),
            "json" | "jsonb" => "'{}'".to_owned(),
            "bytea" => "''".to_owned(),
            "date"
            | "timestamp without time zone"
            | "timestamp with time zone"
            | "time without time zone"
            | "time with time zone" => "now()".to_owned(),
            "interval" => "'1 day'".to_owned(),
            "inet" => "'192.0.2.1'".to_owned(),
            _ if type_name.ends_with("[]") => "'{}'".to_owned(),
            _ => self.label(type_name).await?,
        })
    }

    /// The first label of an enum.
    async fn label(&mut self, type_name: &str) -> Result<String, NotTried> {
        let sql = format!(
            "SELECT pg_catalog.quote_literal(enumlabel) FROM pg_catalog.pg_enum \
             WHERE enumtypid = pg_catalog.to_regtype({}) ORDER BY enumsortorder LIMIT 1",
            quote_text(type_name, Dialect::Postgres)
        );
        let rows = self.session.query(&sql).await.map_err(|error| error.message)?;
        let label = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        label.ok_or_else(|| format!("no value is known for the type {type_name}"))
    }
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

fn condition(values: &Values) -> String {
    let parts: Vec<String> =
        values.iter().map(|(name, value)| format!("{} = {value}", ident(name))).collect();
    parts.join(" AND ")
}

/// `character varying(20)` as `character varying` and 20.
fn base_and_length(type_name: &str) -> (&str, Option<usize>) {
    let Some((base, rest)) = type_name.split_once('(') else { return (type_name, None) };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (base.trim_end(), digits.parse().ok())
}

fn ident(name: &str) -> String {
    quote_ident(name, Dialect::Postgres)
}

fn quoted(name: &ObjectName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", ident(schema), ident(&name.name)),
        None => ident(&name.name),
    }
}
