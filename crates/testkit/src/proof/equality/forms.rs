//! The forms of statements: those that are cut into batches, and traps that must not be.

use super::change;
use super::draft::{Draft, Made};
use super::insert;
use super::own;
use super::trap;
use crate::proof::engine::Engine::{self, Mariadb, Postgres, Sqlite};

/// A form of statements.
pub(super) struct Form {
    /// Its name in reports.
    pub(super) name: &'static str,
    /// The databases that have it.
    pub(super) on: &'static [Engine],
    /// Whether it is meant to be cut into batches. A trap must not be, unless it cannot matter.
    pub(super) trap: bool,
    /// Whether it can be taken back exactly.
    pub(super) undo: bool,
    pub(super) make: fn(&mut Draft<'_>) -> Made,
}

const ALL: &[Engine] = &[Sqlite, Postgres, Mariadb];
const STANDARD: &[Engine] = &[Sqlite, Postgres];

const fn form(name: &'static str, on: &'static [Engine], make: fn(&mut Draft<'_>) -> Made) -> Form {
    Form { name, on, trap: false, undo: true, make }
}

const fn final_form(
    name: &'static str,
    on: &'static [Engine],
    make: fn(&mut Draft<'_>) -> Made,
) -> Form {
    Form { name, on, trap: false, undo: false, make }
}

const fn trap(name: &'static str, on: &'static [Engine], make: fn(&mut Draft<'_>) -> Made) -> Form {
    Form { name, on, trap: true, undo: false, make }
}

/// Every form.
pub(super) const FORMS: &[Form] = &[
    form("update", ALL, change::update),
    form("update case", ALL, change::update_case),
    form("update unqualified", ALL, change::update_unqualified),
    form("update from table", STANDARD, change::update_from),
    form("update join", &[Mariadb], change::update_join),
    form("update left join", &[Mariadb], change::update_left_join),
    form("update from derived", ALL, change::update_from_derived),
    form("update from cte", STANDARD, change::update_from_cte),
    form("update row value", STANDARD, change::update_row_value),
    form("update self-read", ALL, change::update_self_read),
    form("update window", ALL, change::update_window),
    form("delete", ALL, change::delete),
    form("delete unqualified", ALL, change::delete_unqualified),
    form("delete using", &[Postgres], change::delete_using),
    form("delete join", &[Mariadb], change::delete_join),
    form("delete left join", &[Mariadb], change::delete_left_join),
    form("delete cte", STANDARD, change::delete_cte),
    form("update own row", ALL, own::update_own),
    form("delete own row", ALL, own::delete_own),
    form("delete duplicates", ALL, own::delete_duplicates),
    form("insert copy", ALL, insert::copy),
    form("insert inner join", ALL, insert::inner_join),
    form("insert left join", ALL, insert::left_join),
    form("insert comma join", ALL, insert::comma_join),
    form("insert group by key", ALL, insert::group_by_key),
    form("insert anti-join", ALL, insert::anti_join),
    form("insert left anti-join", ALL, insert::left_anti_join),
    form("insert derived", ALL, insert::derived),
    form("insert cte", ALL, insert::cte),
    form("insert lateral", ALL, insert::lateral),
    form("insert ignore", ALL, insert::ignore),
    form("insert unqualified", ALL, insert::unqualified),
    form("insert without number", &[Sqlite, Mariadb], insert::without_number),
    form("insert into itself", ALL, insert::into_itself),
    final_form("insert on conflict", ALL, insert::on_conflict),
    final_form("replace", &[Sqlite, Mariadb], insert::replace),
    trap("trap: update reads written", ALL, trap::update_reads_written),
    trap("trap: update key", ALL, trap::update_key),
    trap("trap: update window of written", ALL, trap::update_window_of_written),
    trap("trap: delete reads itself", ALL, trap::delete_reads_itself),
    trap("trap: delete leaves", ALL, trap::delete_leaves),
    trap("trap: delete partners", ALL, own::delete_partners),
    trap("trap: limit", ALL, trap::limit),
    trap("trap: aggregate", ALL, trap::aggregate),
    trap("trap: group by other", ALL, trap::group_by_other),
    trap("trap: distinct", ALL, trap::distinct),
    trap("trap: window", ALL, trap::window),
    trap("trap: union all", ALL, trap::union_all),
    trap("trap: reads target", ALL, trap::reads_target),
    trap("trap: guard on other column", ALL, trap::guard_on_other_column),
    trap("trap: null side", ALL, trap::null_side),
];
