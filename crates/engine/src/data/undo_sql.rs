//! The SQL that takes back what a statement changed, and that finds where it cannot be.

use whimbrel_core::data::same_value;
use whimbrel_core::plan::OnConflict;
use whimbrel_core::sql::dialect::Dialect;

use super::image::{new_name, old_name};
use super::job::quote_column;
use super::key::{Key, Keys};
use super::undo::Undo;
use crate::apply::keep::sql_name;
use crate::error::{EngineError, UndoConflict};

/// Some of the kept rows (`u`), and how the target's rows (`t`) are found for them.
pub(super) struct KeptRows {
    pub(super) rows: String,
    pub(super) matches: String,
}

impl Undo<'_> {
    pub(super) fn target_sql(&self) -> String {
        sql_name(&self.target.name, self.dialect)
    }

    pub(super) fn column(&self, alias: &str, name: &str) -> String {
        format!("{alias}.{}", quote_column(name, self.dialect))
    }

    fn target_keys(&self) -> Vec<String> {
        self.kept.keys.iter().map(|name| self.column("t", name)).collect()
    }

    fn key_matches(&self) -> String {
        Keys::same(&self.target_keys(), &self.keys.of("u"))
    }

    /// Kept rows for which `rows` holds.
    pub(super) fn kept_rows(&self, rows: String) -> KeptRows {
        KeptRows { rows, matches: self.key_matches() }
    }

    /// The kept rows with keys in `(after, last]`.
    pub(super) fn kept_range(
        &self,
        after: Option<&Key>,
        last: &Key,
    ) -> Result<KeptRows, EngineError> {
        let mut kept = self.kept_rows(self.keys.range(&self.keys.of("u"), after, last)?);
        if self.dialect == Dialect::Postgres {
            // Without it a plan that walks the target's whole key looks cheap, once for each
            // batch. Elsewhere the kept key may be ordered otherwise than the target's.
            let target = self.keys.range(&self.target_keys(), after, last)?;
            kept.matches.push_str(&format!(" AND {target}"));
        }
        Ok(kept)
    }

    /// Whether each column still holds what the migration wrote.
    pub(super) fn unchanged(&self, old_too: bool) -> String {
        let parts: Vec<String> = self
            .kept
            .columns
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let now = self.column("t", name);
                let same = same_value(&now, &format!("u.{}", new_name(at)), self.dialect);
                if old_too {
                    let back = same_value(&now, &format!("u.{}", old_name(at)), self.dialect);
                    format!("({same} OR {back})")
                } else {
                    same
                }
            })
            .collect();
        let referred = self.referrers.iter().map(|one| format!("NOT {}", one.refers(self.dialect)));
        let parts: Vec<String> = parts.into_iter().chain(referred).collect();
        if parts.is_empty() { "1 = 1".to_owned() } else { parts.join(" AND ") }
    }

    /// `FROM ... WHERE` of the rows that somebody changed since.
    pub(super) fn conflicts_from(&self, among: &KeptRows) -> String {
        let (target, undo) = (self.target_sql(), &self.keys.table);
        let KeptRows { rows: range, matches: key } = among;
        match self.kept.kind.as_str() {
            "delete" => format!("FROM {undo} u JOIN {target} t ON {key} WHERE {range}"),
            "insert" => format!(
                "FROM {undo} u JOIN {target} t ON {key} WHERE {range} AND NOT ({})",
                self.unchanged(false)
            ),
            _ => {
                let first = self.kept.keys.first().map_or("rowid", String::as_str);
                format!(
                    "FROM {undo} u LEFT JOIN {target} t ON {key} WHERE {range} AND ({} IS NULL OR \
                     NOT ({}))",
                    self.column("t", first),
                    self.unchanged(true)
                )
            }
        }
    }

    /// The key, then for each column the value before, the one written and the one now.
    pub(super) fn shown_items(&self) -> Vec<String> {
        let text = |sql: &str| match self.dialect {
            Dialect::Postgres => format!("({sql})::text"),
            Dialect::Sqlite => format!("quote({sql})"),
            Dialect::Mysql => format!("CAST({sql} AS CHAR)"),
        };
        let mut items: Vec<String> = self.keys.of("u").iter().map(|key| text(key)).collect();
        for (at, name) in self.kept.columns.iter().enumerate() {
            let old = format!("u.{}", old_name(at));
            let new = format!("u.{}", new_name(at));
            items.push(if self.kept.kind == "insert" { "NULL".to_owned() } else { text(&old) });
            items.push(if self.kept.kind == "delete" { "NULL".to_owned() } else { text(&new) });
            items.push(text(&self.column("t", name)));
        }
        items.extend(
            self.referrers
                .iter()
                .map(|one| format!("CASE WHEN {} THEN 1 END", one.refers(self.dialect))),
        );
        items
    }

    pub(super) fn conflict_of(&self, row: &crate::backend::Row) -> Vec<UndoConflict> {
        let keys = self.kept.keys.len();
        let key: Vec<String> = self
            .kept
            .keys
            .iter()
            .zip(row)
            .map(|(name, value)| format!("{name} = {}", value.as_deref().unwrap_or("NULL")))
            .collect();
        let mut out = Vec::new();
        for (at, column) in self.kept.columns.iter().enumerate() {
            let value = |offset: usize| row.get(keys + at * 3 + offset).cloned().flatten();
            let (old, new, now) = (value(0), value(1), value(2));
            if self.kept.kind != "delete" && (now == new || now == old) && now.is_some() {
                continue;
            }
            out.push(UndoConflict {
                table: self.kept.object.clone(),
                key: key.join(", "),
                column: column.clone(),
                old,
                new,
                now,
                referrer: None,
            });
            if self.kept.kind == "delete" {
                break;
            }
        }
        let first = keys + self.kept.columns.len() * 3;
        for (referrer, value) in self.referrers.iter().zip(row.iter().skip(first)) {
            if value.is_some() {
                out.push(UndoConflict {
                    table: self.kept.object.clone(),
                    key: key.join(", "),
                    column: String::new(),
                    old: None,
                    new: None,
                    now: None,
                    referrer: Some(referrer.name.clone()),
                });
            }
        }
        out
    }

    /// The statement that takes back the rows of a range.
    pub(super) fn restore_sql(&self, among: &KeptRows, on_conflict: OnConflict) -> String {
        let (target, undo) = (self.target_sql(), &self.keys.table);
        let KeptRows { rows: range, matches: key } = among;
        let quoted: Vec<String> =
            self.kept.columns.iter().map(|name| quote_column(name, self.dialect)).collect();
        match self.kept.kind.as_str() {
            "delete" => {
                let identity = self.target.columns.iter().any(|column| column.identity);
                let over = if identity && self.dialect == Dialect::Postgres {
                    "OVERRIDING SYSTEM VALUE "
                } else {
                    ""
                };
                let old: Vec<String> =
                    (0..quoted.len()).map(|at| format!("u.{}", old_name(at))).collect();
                let mut columns = quoted.clone();
                let mut values = old;
                if self.kept.keys.iter().any(|name| name == "rowid") {
                    columns.push("rowid".to_owned());
                    values.push("u.whimbrel_k1".to_owned());
                }
                format!(
                    "INSERT INTO {target} ({}) {over}SELECT {} FROM {undo} u WHERE {range} \
                     AND NOT EXISTS (SELECT 1 FROM {target} t WHERE {key})",
                    columns.join(", "),
                    values.join(", ")
                )
            }
            "insert" => {
                let same = if on_conflict == OnConflict::Force {
                    String::new()
                } else {
                    format!(" AND {}", self.unchanged(false))
                };
                match self.dialect {
                    Dialect::Postgres => format!(
                        "DELETE FROM {target} t USING {undo} u WHERE {range} AND {key}{same}"
                    ),
                    Dialect::Mysql => format!(
                        "DELETE t FROM {target} t JOIN {undo} u ON {key} WHERE {range}{same}"
                    ),
                    Dialect::Sqlite => {
                        let keys = &self.kept.keys;
                        let of = |alias: &str| {
                            let names: Vec<String> =
                                keys.iter().map(|name| self.column(alias, name)).collect();
                            names.join(", ")
                        };
                        format!(
                            "DELETE FROM {target} AS d WHERE ({}) IN (SELECT {} FROM {undo} u \
                             JOIN {target} t ON {key} WHERE {range}{same})",
                            of("d"),
                            of("t")
                        )
                    }
                }
            }
            _ => self.update_sql(among, on_conflict, &quoted),
        }
    }

    fn update_sql(&self, among: &KeptRows, on_conflict: OnConflict, quoted: &[String]) -> String {
        let (target, undo) = (self.target_sql(), &self.keys.table);
        let KeptRows { rows: range, matches: key } = among;
        let sets: Vec<String> = quoted
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let (old, new) = (format!("u.{}", old_name(at)), format!("u.{}", new_name(at)));
                let to = match self.dialect {
                    Dialect::Mysql => format!("t.{name}"),
                    Dialect::Sqlite | Dialect::Postgres => name.clone(),
                };
                match on_conflict {
                    OnConflict::Skip => {
                        let same = same_value(&format!("t.{name}"), &new, self.dialect);
                        format!("{to} = CASE WHEN {same} THEN {old} ELSE t.{name} END")
                    }
                    OnConflict::Stop | OnConflict::Force => format!("{to} = {old}"),
                }
            })
            .collect();
        let sets = sets.join(", ");
        let same = if on_conflict == OnConflict::Stop {
            format!(" AND {}", self.unchanged(true))
        } else {
            String::new()
        };
        match self.dialect {
            Dialect::Postgres | Dialect::Sqlite => format!(
                "UPDATE {target} AS t SET {sets} FROM {undo} u WHERE {range} AND {key}{same}"
            ),
            Dialect::Mysql => {
                format!("UPDATE {target} t JOIN {undo} u ON {key} SET {sets} WHERE {range}{same}")
            }
        }
    }
}
