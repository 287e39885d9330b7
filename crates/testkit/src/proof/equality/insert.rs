//! INSERT .. SELECT.

use super::draft::{Draft, Made};
use super::tables::Compared;
use crate::proof::engine::Engine;

fn made(draft: &mut Draft<'_>, sql: String, compared: Compared) -> Made {
    (draft.dressed(sql), compared)
}

/// A target with the driving table's key, or with a number of its own.
fn any_target(draft: &mut Draft<'_>) -> Compared {
    if draft.tables.kind.is_named() && draft.random.below(2) == 0 {
        draft.tables.keyed_target(true)
    } else {
        draft.tables.numbered_target(draft.random)
    }
}

pub(super) fn copy(draft: &mut Draft<'_>) -> Made {
    let compared = any_target(draft);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, filter) = (draft.from(), draft.filter());
    let sql = format!("INSERT INTO {target} ({columns}) SELECT {items} FROM {from}{filter}");
    made(draft, sql, compared)
}

/// The number of some rows is NULL, so that the database makes one.
pub(super) fn without_number(draft: &mut Draft<'_>) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, filter) = (draft.from(), draft.filter());
    let sql =
        format!("INSERT INTO {target} (id, {columns}) SELECT NULL, {items} FROM {from}{filter}");
    made(draft, sql, compared)
}

/// Nothing is written with its table.
pub(super) fn unqualified(draft: &mut Draft<'_>) -> Made {
    let compared = any_target(draft);
    let (target, columns, driving) = (draft.target(), draft.target_columns(), draft.driving());
    let (value, text) = (draft.plain("").number(2), draft.plain("").text(1));
    let filter = draft.plain("").filter();
    let mut items: Vec<String> =
        draft.tables.key_names().iter().map(|name| (*name).to_owned()).collect();
    items.extend([value, text]);
    let items = items.join(", ");
    let sql = format!("INSERT INTO {target} ({columns}) SELECT {items} FROM {driving}{filter}");
    made(draft, sql, compared)
}

/// `k, k2, o.v, o.w` for a join with the other table.
fn joined_items(draft: &mut Draft<'_>) -> String {
    let mut items = draft.key();
    items.extend(match draft.random.below(3) {
        0 => ["o.v".to_owned(), "o.w".to_owned()],
        1 => ["o.k".to_owned(), draft.of("s")],
        _ => {
            let number = draft.writer().number(1);
            [format!("coalesce(o.v, {number})"), "coalesce(o.w, 'none')".to_owned()]
        }
    });
    items.join(", ")
}

fn join(draft: &mut Draft<'_>, kind: &str) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, items) = (draft.target(), draft.target_columns(), joined_items(draft));
    let (from, other, filter) = (draft.from(), draft.other(), draft.filter());
    // With `g = a` one driving row has several rows.
    let (on, on_more) = (format!("o.k = {}", draft.of("r")), format!("o.g = {}", draft.of("a")));
    let on = match draft.random.below(3) {
        0 => on,
        1 => on_more,
        _ => format!("{on_more} AND o.v > 2"),
    };
    let sql = format!(
        "INSERT INTO {target} ({columns}) SELECT {items} FROM {from} {kind} {other} o \
         ON {on}{filter}"
    );
    made(draft, sql, compared)
}

pub(super) fn inner_join(draft: &mut Draft<'_>) -> Made {
    join(draft, "JOIN")
}

pub(super) fn left_join(draft: &mut Draft<'_>) -> Made {
    join(draft, "LEFT JOIN")
}

pub(super) fn comma_join(draft: &mut Draft<'_>) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, items) = (draft.target(), draft.target_columns(), joined_items(draft));
    let (from, other, also) = (draft.from(), draft.other(), draft.also());
    let on = match draft.random.below(2) {
        0 => format!("o.k = {}", draft.of("r")),
        _ => format!("o.g = {}", draft.of("a")),
    };
    let sql = format!(
        "INSERT INTO {target} ({columns}) SELECT {items} FROM {from}, {other} o \
         WHERE {on} AND {also}"
    );
    made(draft, sql, compared)
}

pub(super) fn group_by_key(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return left_join(draft);
    }
    let compared = draft.tables.keyed_target(true);
    let (target, columns, key) = (draft.target(), draft.target_columns(), draft.key().join(", "));
    let (from, other, a) = (draft.from(), draft.other(), draft.of("a"));
    let filter = draft.filter();
    let having = if draft.random.below(3) == 0 { " HAVING count(*) > 1" } else { "" };
    let kind = if draft.random.below(2) == 0 { "LEFT JOIN" } else { "JOIN" };
    let sql = format!(
        "INSERT INTO {target} ({columns}) SELECT {key}, count(o.k) + coalesce(sum(o.v), 0), 'n' \
         FROM {from} {kind} {other} o ON o.g = {a}{filter} GROUP BY {key}{having}"
    );
    made(draft, sql, compared)
}

/// Puts some of the driving keys into the target.
fn fill_target(draft: &mut Draft<'_>) {
    let target = draft.target();
    let keys: Vec<Vec<String>> = draft.tables.keys.clone();
    let mut rows = Vec::new();
    for key in keys {
        if draft.random.below(3) == 0 && !key.iter().any(|value| value == "NULL") {
            rows.push(format!("({}, {}, 'there')", key.join(", "), draft.random.below(50)));
        }
    }
    draft.tables.insert_rows(&target, &rows);
}

pub(super) fn anti_join(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return copy(draft);
    }
    // Without a key, an INSERT can be taken back on SQLite only.
    let constraint = draft.engine != Engine::Sqlite || draft.random.below(2) == 0;
    let compared = draft.tables.keyed_target(constraint);
    fill_target(draft);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, same) = (draft.from(), draft.key_is("t"));
    let also = draft.also();
    let sql = format!(
        "INSERT INTO {target} ({columns}) SELECT {items} FROM {from} \
         WHERE NOT EXISTS (SELECT 1 FROM {target} t WHERE {same}) AND {also}"
    );
    made(draft, sql, compared)
}

pub(super) fn left_anti_join(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return copy(draft);
    }
    let compared = draft.tables.keyed_target(true);
    fill_target(draft);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, same) = (draft.from(), draft.key_is("t"));
    let first = draft.tables.key_names().first().copied().unwrap_or("k");
    let sql = format!(
        "INSERT INTO {target} ({columns}) SELECT {items} FROM {from} \
         LEFT JOIN {target} t ON {same} WHERE t.{first} IS NULL"
    );
    made(draft, sql, compared)
}

/// The inner select of a derived table or CTE over the driving table.
fn inner(draft: &mut Draft<'_>) -> String {
    let (from, name, filter) = (draft.from(), draft.name(), draft.filter());
    let value = draft.writer().number(1);
    let mut items = draft.key();
    items.extend(["a", "r", "s"].map(|column| format!("{name}.{column}")));
    format!("SELECT {}, {value} AS c FROM {from}{filter}", items.join(", "))
}

fn outer_items(draft: &Draft<'_>) -> String {
    let mut items: Vec<String> =
        draft.tables.key_names().iter().map(|name| format!("q.{name}")).collect();
    items.extend(["q.c".to_owned(), "q.s".to_owned()]);
    items.join(", ")
}

pub(super) fn derived(draft: &mut Draft<'_>) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, inner) = (draft.target(), draft.target_columns(), inner(draft));
    let (items, other) = (outer_items(draft), draft.other());
    let rest = match draft.random.below(3) {
        0 => String::new(),
        1 => " WHERE q.a > 2 OR q.s IS NULL".to_owned(),
        _ => format!(" JOIN {other} o ON o.k = q.r"),
    };
    let sql = format!("INSERT INTO {target} ({columns}) SELECT {items} FROM ({inner}) q{rest}");
    made(draft, sql, compared)
}

pub(super) fn cte(draft: &mut Draft<'_>) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, inner) = (draft.target(), draft.target_columns(), inner(draft));
    let (items, other) = (outer_items(draft), draft.other());
    let rest = match draft.random.below(3) {
        0 => String::new(),
        1 => " WHERE q.a > 2 OR q.s IS NULL".to_owned(),
        _ => format!(" LEFT JOIN {other} o ON o.k = q.r WHERE o.k IS NULL"),
    };
    let with = format!("WITH q AS ({inner})");
    let insert = format!("INSERT INTO {target} ({columns})");
    let select = format!("SELECT {items} FROM q{rest}");
    let outside = draft.engine != Engine::Mariadb && draft.random.below(2) == 0;
    let sql = if outside {
        format!("{with} {insert} {select}")
    } else {
        format!("{insert} {with} {select}")
    };
    made(draft, sql, compared)
}

/// One driving row becomes several.
pub(super) fn lateral(draft: &mut Draft<'_>) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, from) = (draft.target(), draft.target_columns(), draft.from());
    let (f, filter) = (draft.of("f"), draft.filter());
    let mut items = draft.key();
    let (value, expansion) = match draft.engine {
        Engine::Postgres => {
            let way = draft.random.below(2);
            let other = draft.other();
            let a = draft.of("a");
            let text = if way == 0 {
                format!("CROSS JOIN LATERAL generate_series(1, {f} + 1) AS j(value)")
            } else {
                format!(
                    "CROSS JOIN LATERAL (SELECT o.k AS value FROM {other} o WHERE o.g = {a} \
                     ORDER BY o.k LIMIT 2) j"
                )
            };
            ("j.value", text)
        }
        Engine::Sqlite => {
            ("j.value", format!("JOIN json_each(CASE WHEN {f} = 1 THEN '[1,5]' ELSE '[7]' END) j"))
        }
        Engine::Mariadb => (
            "j.v",
            "JOIN JSON_TABLE('[1,5]', '$[*]' COLUMNS (v int PATH '$')) j ON j.v > 0".to_owned(),
        ),
    };
    items.extend([value.to_owned(), draft.of("s")]);
    let items = items.join(", ");
    let sql =
        format!("INSERT INTO {target} ({columns}) SELECT {items} FROM {from} {expansion}{filter}");
    made(draft, sql, compared)
}

/// Rows whose key is there already are left out.
pub(super) fn ignore(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return copy(draft);
    }
    let compared = draft.tables.keyed_target(true);
    fill_target(draft);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    // Without WHERE, SQLite takes ON for the condition of a join.
    let (from, filter) = (draft.from(), draft.also());
    let select = format!("SELECT {items} FROM {from} WHERE {filter}");
    let key = draft.tables.key_names().join(", ");
    let sql = match (draft.engine, draft.random.below(3)) {
        (Engine::Mariadb, _) => format!("INSERT IGNORE INTO {target} ({columns}) {select}"),
        (Engine::Sqlite, 0) => format!("INSERT OR IGNORE INTO {target} ({columns}) {select}"),
        (_, 1) => {
            format!("INSERT INTO {target} ({columns}) {select} ON CONFLICT ({key}) DO NOTHING")
        }
        _ => format!("INSERT INTO {target} ({columns}) {select} ON CONFLICT DO NOTHING"),
    };
    made(draft, sql, compared)
}

/// Rows whose key is there already are changed.
pub(super) fn on_conflict(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return copy(draft);
    }
    let compared = draft.tables.keyed_target(true);
    fill_target(draft);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, filter) = (draft.from(), draft.also());
    let select = format!("SELECT {items} FROM {from} WHERE {filter}");
    let key = draft.tables.key_names().join(", ");
    let sql = match draft.engine {
        Engine::Mariadb => format!(
            "INSERT INTO {target} ({columns}) {select} ON DUPLICATE KEY UPDATE \
             c1 = coalesce({target}.c1, 0) + coalesce(VALUES(c1), 0), c2 = VALUES(c2)"
        ),
        Engine::Sqlite | Engine::Postgres => format!(
            "INSERT INTO {target} ({columns}) {select} ON CONFLICT ({key}) DO UPDATE SET \
             c1 = coalesce({target}.c1, 0) + coalesce(excluded.c1, 0), c2 = excluded.c2"
        ),
    };
    made(draft, sql, compared)
}

pub(super) fn replace(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return copy(draft);
    }
    let compared = draft.tables.keyed_target(true);
    fill_target(draft);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, filter) = (draft.from(), draft.filter());
    let word = match (draft.engine, draft.random.below(2)) {
        (Engine::Sqlite, 0) => "INSERT OR REPLACE",
        _ => "REPLACE",
    };
    let sql = format!("{word} INTO {target} ({columns}) SELECT {items} FROM {from}{filter}");
    made(draft, sql, compared)
}

/// The driving table is the target; new keys lie above the greatest that was there.
pub(super) fn into_itself(draft: &mut Draft<'_>) -> Made {
    if !matches!(draft.tables.kind.name, "int" | "int_int" | "unique") {
        return copy(draft);
    }
    let (driving, from, filter) = (draft.driving(), draft.from(), draft.filter());
    let number = draft.writer().number(1);
    let names = draft.tables.key_names().join(", ");
    let keys: Vec<String> = draft.key().iter().map(|column| format!("{column} + 100000")).collect();
    let (s, keys) = (draft.of("s"), keys.join(", "));
    let sql = format!(
        "INSERT INTO {driving} ({names}, b, s) SELECT {keys}, {number}, {s} FROM {from}{filter}"
    );
    let compared = draft.tables.compared_driving();
    made(draft, sql, compared)
}
