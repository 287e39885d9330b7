//! UPDATE and DELETE.

use super::draft::{Draft, Made};
use super::tables::quote;
use crate::proof::engine::Engine;

fn made(draft: &mut Draft<'_>, sql: String) -> Made {
    let sql = draft.dressed(sql);
    (sql, draft.tables.compared_driving())
}

/// How the left side of an assignment is written: MariaDB's joins need a qualifier.
fn left(draft: &mut Draft<'_>) -> String {
    let qualified = draft.engine == Engine::Mariadb && draft.random.below(2) == 0;
    if qualified { format!("{}.", draft.name()) } else { String::new() }
}

pub(super) fn update(draft: &mut Draft<'_>) -> Made {
    let left = left(draft);
    let (from, set, filter) = (draft.from(), draft.assignments(&left), draft.filter());
    made(draft, format!("UPDATE {from} SET {set}{filter}"))
}

pub(super) fn update_case(draft: &mut Draft<'_>) -> Made {
    let (one, two) = (draft.writer().condition(1), draft.writer().condition(2));
    let (value, rest) = (draft.writer().value(), draft.writer().number(1));
    let (from, filter) = (draft.from(), draft.filter());
    let case = format!("CASE WHEN {one} THEN {value} WHEN {two} THEN {rest} END");
    made(draft, format!("UPDATE {from} SET b = {case}{filter}"))
}

/// No column is written with its table, neither outside nor in sub-queries.
pub(super) fn update_unqualified(draft: &mut Draft<'_>) -> Made {
    let other = draft.other();
    let depth = draft.random.below(3);
    let (value, filter) = (draft.plain("").number(depth), draft.plain("").condition(depth));
    let from = draft.from();
    let sql = match draft.random.below(3) {
        0 => format!("UPDATE {from} SET b = {value} WHERE {filter}"),
        1 => {
            format!("UPDATE {from} SET b = {value} WHERE r IN (SELECT k FROM {other}) OR {filter}")
        }
        _ => format!(
            "UPDATE {from} SET b = (SELECT max(v) FROM {other} WHERE g = a), f = {value} \
             WHERE {filter}"
        ),
    };
    made(draft, sql)
}

pub(super) fn update_from(draft: &mut Draft<'_>) -> Made {
    let (from, other, r) = (draft.from(), draft.other(), draft.of("r"));
    let also = draft.also();
    let value = draft.writer().number(1);
    let sql = match draft.random.below(3) {
        0 => format!("UPDATE {from} SET b = o.v, s = o.w FROM {other} o WHERE o.k = {r}"),
        1 => format!(
            "UPDATE {from} SET b = coalesce(o.v, {value}) FROM {other} AS o WHERE {also} \
             AND {r} = o.k"
        ),
        _ => format!(
            "UPDATE {from} SET b = o.v + p.v FROM {other} o JOIN {other} p ON p.k = o.g \
             WHERE o.k = {r} AND {also}"
        ),
    };
    made(draft, sql)
}

pub(super) fn update_join(draft: &mut Draft<'_>) -> Made {
    let (from, other, r) = (draft.from(), draft.other(), draft.of("r"));
    let (b, s, also) = (draft.of("b"), draft.of("s"), draft.also());
    let sql = match draft.random.below(3) {
        0 => format!("UPDATE {from} JOIN {other} o ON o.k = {r} SET {b} = o.v, {s} = o.w"),
        1 => format!("UPDATE {from}, {other} o SET {b} = o.v WHERE o.k = {r} AND {also}"),
        _ => format!("UPDATE {other} o JOIN {from} ON o.k = {r} SET {b} = o.v WHERE {also}"),
    };
    made(draft, sql)
}

pub(super) fn update_left_join(draft: &mut Draft<'_>) -> Made {
    let (from, other, r) = (draft.from(), draft.other(), draft.of("r"));
    let (b, filter) = (draft.of("b"), draft.filter());
    let sql = format!(
        "UPDATE {from} LEFT JOIN {other} o ON o.k = {r} SET {b} = coalesce(o.v, -7){filter}"
    );
    made(draft, sql)
}

/// A derived table with one row for each value that it is joined by.
fn groups(draft: &mut Draft<'_>) -> String {
    let other = draft.other();
    let limit = draft.random.below(6);
    match draft.random.below(3) {
        0 => format!("SELECT g, count(*) AS n FROM {other} GROUP BY g"),
        1 => format!("SELECT g, sum(v) AS n FROM {other} WHERE v > {limit} GROUP BY g"),
        _ => format!("SELECT k AS g, max(v) AS n FROM {other} GROUP BY k HAVING count(*) > 0"),
    }
}

pub(super) fn update_from_derived(draft: &mut Draft<'_>) -> Made {
    let (from, groups, a) = (draft.from(), groups(draft), draft.of("a"));
    let (b, also) = (draft.of("b"), draft.also());
    let sql = if draft.engine == Engine::Mariadb {
        format!("UPDATE {from} JOIN ({groups}) q ON q.g = {a} SET {b} = q.n WHERE {also}")
    } else {
        format!("UPDATE {from} SET b = q.n FROM ({groups}) q WHERE q.g = {a} AND {also}")
    };
    made(draft, sql)
}

pub(super) fn update_from_cte(draft: &mut Draft<'_>) -> Made {
    let (from, groups, a, also) = (draft.from(), groups(draft), draft.of("a"), draft.also());
    let sql = match draft.random.below(2) {
        0 => format!(
            "WITH q AS ({groups}) UPDATE {from} SET b = q.n FROM q WHERE q.g = {a} AND {also}"
        ),
        _ => format!(
            "WITH q AS ({groups}) UPDATE {from} SET b = (SELECT n FROM q WHERE q.g = {a}) \
             WHERE {also}"
        ),
    };
    made(draft, sql)
}

pub(super) fn update_row_value(draft: &mut Draft<'_>) -> Made {
    let (from, other, r, filter) = (draft.from(), draft.other(), draft.of("r"), draft.filter());
    let sql = format!(
        "UPDATE {from} SET (b, s) = (SELECT o.v, o.w FROM {other} o WHERE o.k = {r}){filter}"
    );
    made(draft, sql)
}

/// Reads columns of its own table that it does not write.
pub(super) fn update_self_read(draft: &mut Draft<'_>) -> Made {
    let (from, driving, a) = (draft.from(), draft.driving(), draft.of("a"));
    let filter = draft.filter();
    // MariaDB reads a table that it writes only through a derived one.
    let inner = if draft.engine == Engine::Mariadb {
        format!("(SELECT a, r FROM {driving})")
    } else {
        driving
    };
    let sql = match draft.random.below(2) {
        0 => format!(
            "UPDATE {from} SET b = (SELECT count(*) FROM {inner} y WHERE y.a = {a}){filter}"
        ),
        _ => format!(
            "UPDATE {from} SET b = (SELECT max(y.r) FROM {inner} y WHERE y.a > {a}){filter}"
        ),
    };
    made(draft, sql)
}

/// Numbers the rows of a group in the order of their key.
pub(super) fn update_window(draft: &mut Draft<'_>) -> Made {
    if !draft.tables.kind.is_named() {
        return update_self_read(draft);
    }
    let (from, driving) = (draft.from(), draft.driving());
    let names = draft.tables.key_names().join(", ");
    let (same, b, also) = (draft.key_is("q"), draft.of("b"), draft.also());
    let derived = format!(
        "SELECT {names}, row_number() OVER (PARTITION BY a ORDER BY {names}) AS n FROM {driving}"
    );
    let sql = match draft.engine {
        Engine::Mariadb => {
            format!("UPDATE {from} JOIN ({derived}) q ON {same} SET {b} = q.n WHERE {also}")
        }
        Engine::Postgres | Engine::Sqlite => {
            format!("UPDATE {from} SET b = q.n FROM ({derived}) q WHERE {same} AND {also}")
        }
    };
    made(draft, sql)
}

/// MariaDB takes an alias in a DELETE only in its form for several tables.
fn delete_from(draft: &mut Draft<'_>) -> String {
    let from = draft.from();
    if draft.engine == Engine::Mariadb && draft.aliased {
        format!("DELETE x FROM {from}")
    } else {
        format!("DELETE FROM {from}")
    }
}

pub(super) fn delete(draft: &mut Draft<'_>) -> Made {
    let (delete, filter) = (delete_from(draft), draft.filter());
    made(draft, format!("{delete}{filter}"))
}

pub(super) fn delete_unqualified(draft: &mut Draft<'_>) -> Made {
    draft.aliased = false;
    let (delete, other) = (delete_from(draft), draft.other());
    let depth = draft.random.below(3);
    let filter = draft.plain("").condition(depth);
    let sql = match draft.random.below(3) {
        0 => format!("{delete} WHERE {filter}"),
        1 => format!("{delete} WHERE r IN (SELECT k FROM {other} WHERE v > 3) AND ({filter})"),
        _ => format!(
            "{delete} WHERE NOT EXISTS (SELECT 1 FROM {other} q WHERE q.k = r AND g = a) OR {filter}"
        ),
    };
    made(draft, sql)
}

pub(super) fn delete_using(draft: &mut Draft<'_>) -> Made {
    let (from, other, r, a) = (draft.from(), draft.other(), draft.of("r"), draft.of("a"));
    let also = draft.also();
    let sql = match draft.random.below(3) {
        0 => format!("DELETE FROM {from} USING {other} o WHERE o.k = {r} AND {also}"),
        1 => format!("DELETE FROM {from} USING {other} o WHERE o.g = {a} OR o.k = {r} AND {also}"),
        _ => {
            format!("DELETE FROM {from} USING (SELECT g FROM {other} GROUP BY g) q WHERE q.g = {a}")
        }
    };
    made(draft, sql)
}

pub(super) fn delete_join(draft: &mut Draft<'_>) -> Made {
    let (from, other, r, name) = (draft.from(), draft.other(), draft.of("r"), draft.name());
    let also = draft.also();
    let sql = match draft.random.below(3) {
        0 => format!("DELETE {name} FROM {from} JOIN {other} o ON o.k = {r} WHERE {also}"),
        1 => format!("DELETE {name} FROM {from} JOIN {other} o ON o.k = {r}"),
        _ => format!("DELETE FROM {name} USING {from} JOIN {other} o ON o.k = {r} WHERE {also}"),
    };
    made(draft, sql)
}

pub(super) fn delete_left_join(draft: &mut Draft<'_>) -> Made {
    let (from, other, r, name) = (draft.from(), draft.other(), draft.of("r"), draft.name());
    let also = draft.also();
    let sql = format!(
        "DELETE {name} FROM {from} LEFT JOIN {other} o ON o.k = {r} WHERE o.k IS NULL AND {also}"
    );
    made(draft, sql)
}

pub(super) fn delete_cte(draft: &mut Draft<'_>) -> Made {
    let (from, other, r, a) = (draft.from(), draft.other(), draft.of("r"), draft.of("a"));
    let also = draft.also();
    let cte = quote(draft.engine, "the Order");
    let sql = format!(
        "WITH {cte} AS (SELECT k, g FROM {other} WHERE v IS NOT NULL) DELETE FROM {from} \
         WHERE {r} IN (SELECT k FROM {cte}) OR ({a} IN (SELECT g FROM {cte}) AND {also})"
    );
    made(draft, sql)
}
