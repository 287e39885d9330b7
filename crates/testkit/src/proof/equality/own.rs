//! Statements that read their own table where batches cannot see what earlier ones wrote: the row
//! itself, and duplicates of rows that stay.

use super::change;
use super::draft::{Draft, Made};
use crate::proof::engine::Engine;

/// `key` in its brackets: `y.k`.
fn keys(draft: &Draft<'_>, alias: &str) -> String {
    let names = draft.tables.key_names();
    names.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
}

/// New values are computed in a query over the table itself, and come back by the key.
pub(super) fn update_own(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return change::update(draft);
    }
    let (from, driving, other) = (draft.from(), draft.driving(), draft.other());
    let (same, b, names) = (draft.key_is("q"), draft.of("b"), keys(draft, "y"));
    let limit = draft.random.below(5);
    let derived = match draft.random.below(3) {
        0 => format!("SELECT {names}, coalesce(y.b, 0) + 1 AS n FROM {driving} y"),
        1 => format!(
            "SELECT {names}, y.b * 2 AS n FROM {driving} y JOIN {other} o ON o.k = y.r \
             WHERE y.b > {limit}"
        ),
        _ => format!(
            "SELECT {names}, count(o.v) + coalesce(max(y.b), 0) AS n FROM {driving} AS y \
             LEFT JOIN {other} o ON o.g = y.a GROUP BY {names}"
        ),
    };
    let also = draft.also();
    let sql = match draft.engine {
        Engine::Mariadb => {
            format!("UPDATE {from} JOIN ({derived}) q ON {same} SET {b} = q.n WHERE {also}")
        }
        Engine::Postgres | Engine::Sqlite => {
            format!("UPDATE {from} SET b = q.n FROM ({derived}) q WHERE {same} AND {also}")
        }
    };
    (sql, draft.tables.compared_driving())
}

/// The rows to go are found with a join, and come back by the key.
pub(super) fn delete_own(draft: &mut Draft<'_>) -> Made {
    let names = draft.tables.key_names();
    let nullable = draft.tables.kind.name == "text_null";
    let [key] = names.as_slice() else { return change::delete(draft) };
    if !draft.tables.kind.is_named() || nullable {
        return change::delete(draft);
    }
    let key = (*key).to_owned();
    draft.aliased = false;
    let (driving, other) = (draft.driving(), draft.other());
    let value = draft.random.below(6);
    let (not, inner) = match draft.random.below(3) {
        0 => ("", format!("LEFT JOIN {other} o ON o.k = y.r WHERE o.k IS NULL")),
        1 => ("", format!("JOIN {other} o ON o.g = y.a WHERE o.v > {value} OR y.b IS NULL")),
        _ => ("NOT ", format!("WHERE y.a > {value} OR y.b < {value}")),
    };
    let query = format!("SELECT y.{key} FROM {driving} y {inner}");
    let query = match draft.engine {
        Engine::Mariadb => format!("SELECT * FROM ({query}) z"),
        Engine::Postgres | Engine::Sqlite => query,
    };
    let sql = format!("DELETE FROM {driving} WHERE {key} {not}IN ({query})");
    (sql, draft.tables.compared_driving())
}

/// Deletes what has a twin that comes before it, or behind it, in some order.
pub(super) fn delete_duplicates(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return change::delete(draft);
    }
    let name = draft.tables.kind.name;
    match draft.random.below(3) {
        0 if matches!(name, "int" | "bigint" | "unique") => delete_all_but_one(draft),
        1 if name != "text_null" => delete_numbered(draft),
        _ => {
            let less = ["<", ">"][draft.random.below(2)];
            delete_pairs(draft, &format!("y.a = x.a AND y.k {less} x.k"))
        }
    }
}

fn delete_all_but_one(draft: &mut Draft<'_>) -> Made {
    let (driving, also) = (draft.driving(), ["", "a > 2 AND "][draft.random.below(2)]);
    let least = ["min", "max"][draft.random.below(2)];
    let filter = ["", " WHERE b > 1"][draft.random.below(2)];
    let query = format!("SELECT {least}(k) AS k FROM {driving}{filter} GROUP BY a");
    let query = match draft.engine {
        Engine::Mariadb => format!("SELECT * FROM ({query}) z"),
        Engine::Postgres | Engine::Sqlite => query,
    };
    let sql = format!("DELETE FROM {driving} WHERE {also}k NOT IN ({query})");
    (sql, draft.tables.compared_driving())
}

fn delete_numbered(draft: &mut Draft<'_>) -> Made {
    let (driving, names) = (draft.driving(), draft.tables.key_names().join(", "));
    let first = draft.random.below(2) + 1;
    let numbered = format!(
        "SELECT {names}, row_number() OVER (PARTITION BY a ORDER BY b, {names}) AS n FROM {driving}"
    );
    draft.aliased = true;
    let same = draft.key_is("q");
    let sql = match draft.engine {
        Engine::Mariadb => {
            format!("DELETE x FROM {driving} x JOIN ({numbered}) q ON {same} WHERE q.n > {first}")
        }
        Engine::Postgres => {
            format!("DELETE FROM {driving} x USING ({numbered}) q WHERE {same} AND q.n > {first}")
        }
        Engine::Sqlite => {
            let [key] = draft.tables.key_names()[..] else { return change::delete(draft) };
            format!(
                "DELETE FROM {driving} WHERE {key} IN (SELECT {key} FROM ({numbered}) q WHERE n > {first})"
            )
        }
    };
    (sql, draft.tables.compared_driving())
}

/// Deletes a row `x` that has a partner `y`.
fn delete_pairs(draft: &mut Draft<'_>, pairs: &str) -> Made {
    let driving = draft.driving();
    let sql = match draft.engine {
        Engine::Mariadb => format!("DELETE x FROM {driving} x JOIN {driving} y ON {pairs}"),
        Engine::Postgres if draft.random.below(2) == 0 => {
            format!("DELETE FROM {driving} x USING {driving} y WHERE {pairs}")
        }
        Engine::Postgres | Engine::Sqlite => {
            format!(
                "DELETE FROM {driving} AS x WHERE EXISTS (SELECT 1 FROM {driving} y WHERE {pairs})"
            )
        }
    };
    (sql, draft.tables.compared_driving())
}

/// Pairs by any conditions: only some of them are an order.
pub(super) fn delete_partners(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return change::delete(draft);
    }
    let mut parts = Vec::new();
    for _ in 0..=draft.random.below(3) {
        let one = ["a", "b", "r", "k"][draft.random.below(4)];
        let other = if draft.random.below(4) == 0 && one != "k" { "a" } else { one };
        let op = ["=", "<", ">", "<=", "<>"][draft.random.below(5)];
        parts.push(match draft.random.below(8) {
            0 => format!("y.{} > {}", ["a", "b"][draft.random.below(2)], draft.random.below(5)),
            1 => format!("(x.a = y.a OR x.b < y.{})", if other == "k" { "b" } else { other }),
            2 => "coalesce(x.a, 0) % 3 = coalesce(y.a, 0) % 3".to_owned(),
            _ if other != one => format!("x.{one} {op} y.{other}"),
            _ => format!("y.{one} {op} x.{one}"),
        });
    }
    delete_pairs(draft, &parts.join(" AND "))
}
