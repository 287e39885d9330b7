//! Statements that look as if they could be cut into batches and must not be.

use super::draft::{Draft, Made};
use super::{change, insert};
use crate::proof::engine::Engine;

/// The driving table read by its own UPDATE or DELETE; MariaDB wants it derived.
fn read_again(draft: &Draft<'_>) -> String {
    let driving = draft.driving();
    if draft.engine == Engine::Mariadb { format!("(SELECT * FROM {driving})") } else { driving }
}

pub(super) fn update_reads_written(draft: &mut Draft<'_>) -> Made {
    let (from, again, a) = (draft.from(), read_again(draft), draft.of("a"));
    let b = draft.of("b");
    let sql = match draft.random.below(3) {
        0 => format!("UPDATE {from} SET b = (SELECT max(y.b) FROM {again} y WHERE y.a >= {a})"),
        1 => format!(
            "UPDATE {from} SET b = 1 WHERE {b} IN (SELECT y.b FROM {again} y WHERE y.a > 3)"
        ),
        _ => format!(
            "UPDATE {from} SET b = coalesce((SELECT sum(y.b) FROM {again} y WHERE y.r = {a}), 0) + 1"
        ),
    };
    (sql, draft.tables.compared_driving())
}

/// Rows move along the key that the batches follow.
pub(super) fn update_key(draft: &mut Draft<'_>) -> Made {
    if !matches!(draft.tables.kind.name, "int" | "bigint" | "unique") {
        return change::update(draft);
    }
    let from = draft.from();
    let sql = format!("UPDATE {from} SET k = k + 1000, b = coalesce(b, 0) + 1");
    (sql, draft.tables.compared_driving())
}

pub(super) fn update_window_of_written(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return change::update(draft);
    }
    let (from, driving, same) = (draft.from(), draft.driving(), draft.key_is("q"));
    let names = draft.tables.key_names().join(", ");
    let b = draft.of("b");
    let derived =
        format!("SELECT {names}, row_number() OVER (ORDER BY b, {names}) AS n FROM {driving}");
    let sql = if draft.engine == Engine::Mariadb {
        format!("UPDATE {from} JOIN ({derived}) q ON {same} SET {b} = -q.n")
    } else {
        format!("UPDATE {from} SET b = -q.n FROM ({derived}) q WHERE {same}")
    };
    (sql, draft.tables.compared_driving())
}

pub(super) fn delete_reads_itself(draft: &mut Draft<'_>) -> Made {
    draft.aliased = false;
    let (from, again) = (draft.from(), read_again(draft));
    let sql = match draft.random.below(2) {
        0 => format!("DELETE FROM {from} WHERE a < (SELECT avg(y.a) FROM {again} y)"),
        _ => format!(
            "DELETE FROM {from} WHERE a IN (SELECT y.a FROM {again} y GROUP BY y.a HAVING count(*) > 1)"
        ),
    };
    (sql, draft.tables.compared_driving())
}

/// A second batch would see new leaves.
pub(super) fn delete_leaves(draft: &mut Draft<'_>) -> Made {
    draft.aliased = false;
    let (from, again) = (draft.from(), read_again(draft));
    let outer = draft.of("a");
    let sql = format!(
        "DELETE FROM {from} WHERE NOT EXISTS (SELECT 1 FROM {again} y WHERE y.r = {outer})"
    );
    (sql, draft.tables.compared_driving())
}

pub(super) fn limit(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return insert::copy(draft);
    }
    let compared = draft.tables.numbered_target(draft.random);
    let (target, columns, items) = (draft.target(), draft.target_columns(), draft.items());
    let (from, key) = (draft.from(), draft.key().join(", "));
    let sql = format!(
        "INSERT INTO {target} ({columns}) SELECT {items} FROM {from} ORDER BY {key} LIMIT 5"
    );
    (sql, compared)
}

/// Fills `c1` and `c2` of a target with a number of its own.
fn into_numbered(draft: &mut Draft<'_>, select: &str) -> Made {
    let compared = draft.tables.numbered_target(draft.random);
    (format!("INSERT INTO {} (c1, c2) {select}", draft.target()), compared)
}

pub(super) fn aggregate(draft: &mut Draft<'_>) -> Made {
    let (from, a) = (draft.from(), draft.of("a"));
    let select = match draft.random.below(2) {
        0 => format!("SELECT count(*), 'all' FROM {from}"),
        _ => format!("SELECT q.n, 'all' FROM (SELECT max({a}) AS n FROM {from}) q"),
    };
    into_numbered(draft, &select)
}

pub(super) fn group_by_other(draft: &mut Draft<'_>) -> Made {
    let (from, a) = (draft.from(), draft.of("a"));
    let select = match draft.random.below(2) {
        0 => format!("SELECT {a}, 'g' FROM {from} GROUP BY {a}"),
        _ => format!("SELECT q.n, 'g' FROM (SELECT count(*) AS n FROM {from} GROUP BY {a}) q"),
    };
    into_numbered(draft, &select)
}

pub(super) fn distinct(draft: &mut Draft<'_>) -> Made {
    let (from, a) = (draft.from(), draft.of("a"));
    let select = match draft.random.below(2) {
        0 => format!("SELECT DISTINCT {a}, 'd' FROM {from}"),
        _ => format!("SELECT q.a, 'd' FROM (SELECT DISTINCT {a} AS a FROM {from}) q"),
    };
    into_numbered(draft, &select)
}

pub(super) fn window(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return aggregate(draft);
    }
    let (from, key, a) = (draft.from(), draft.key().join(", "), draft.of("a"));
    let select = match draft.random.below(2) {
        0 => format!("SELECT row_number() OVER (ORDER BY {key}), 'w' FROM {from}"),
        _ => format!("SELECT count(*) OVER (PARTITION BY {a}), 'w' FROM {from}"),
    };
    into_numbered(draft, &select)
}

pub(super) fn union_all(draft: &mut Draft<'_>) -> Made {
    let (from, a, b) = (draft.from(), draft.of("a"), draft.of("b"));
    let driving = draft.driving();
    let select = match draft.random.below(2) {
        0 => format!("SELECT {a}, 'one' FROM {from} UNION ALL SELECT {b}, 'two' FROM {from}"),
        _ => format!(
            "SELECT q.c, 'x' FROM (SELECT a AS c FROM {driving} UNION SELECT b FROM {driving}) q"
        ),
    };
    into_numbered(draft, &select)
}

/// What is inserted depends on what was inserted before.
pub(super) fn reads_target(draft: &mut Draft<'_>) -> Made {
    let (from, target) = (draft.from(), draft.target());
    let select = format!("SELECT (SELECT count(*) FROM {target} t), 'r' FROM {from}");
    into_numbered(draft, &select)
}

/// The guard is not tied to the driving key: a second row with the same value is inserted too.
pub(super) fn guard_on_other_column(draft: &mut Draft<'_>) -> Made {
    let (from, target, a) = (draft.from(), draft.target(), draft.of("a"));
    let select = format!(
        "SELECT {a}, 'g' FROM {from} WHERE NOT EXISTS (SELECT 1 FROM {target} t WHERE t.c1 = {a})"
    );
    into_numbered(draft, &select)
}

/// Rows of the other table stay, also without a driving row.
pub(super) fn null_side(draft: &mut Draft<'_>) -> Made {
    let (from, other, a) = (draft.from(), draft.other(), draft.of("a"));
    let b = draft.of("b");
    let select = match draft.random.below(2) {
        0 => format!("SELECT {b}, o.w FROM {other} o LEFT JOIN {from} ON o.g = {a}"),
        _ => format!("SELECT {b}, o.w FROM {from} RIGHT JOIN {other} o ON o.g = {a}"),
    };
    into_numbered(draft, &select)
}
