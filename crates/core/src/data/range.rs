//! The predicate of a key range.

use crate::sql::dialect::Dialect;

/// `key > lower AND key <= upper`, for keys of any number of columns.
///
/// `key` is the SQL text of the key's columns; the bounds are literals in the same order. Without a
/// lower bound the range begins at the first row. Composite keys are compared as row values, and
/// written out on MySQL, whose optimizer uses an index only for the leading column's own bounds.
/// None if a bound has not as many parts as the key, or if the key is empty.
pub fn range_predicate(
    key: &[&str],
    lower: Option<&[String]>,
    upper: &[String],
    dialect: Dialect,
) -> Option<String> {
    let fits = !key.is_empty()
        && key.len() == upper.len()
        && lower.is_none_or(|lower| lower.len() == key.len());
    if !fits {
        return None;
    }
    if let [column] = key {
        let above = lower.and_then(|lower| Some(format!("{column} > {} AND ", lower.first()?)));
        return Some(format!("{}{column} <= {}", above.unwrap_or_default(), upper.first()?));
    }
    Some(match dialect {
        Dialect::Sqlite | Dialect::Postgres => row_values(key, lower, upper),
        Dialect::Mysql => expanded(key, lower, upper),
    })
}

/// `key > lower`, as [`range_predicate`] writes it, without an upper bound.
pub fn after_predicate(key: &[&str], lower: &[String], dialect: Dialect) -> Option<String> {
    if key.is_empty() || key.len() != lower.len() {
        return None;
    }
    if let ([column], [low]) = (key, lower) {
        return Some(format!("{column} > {low}"));
    }
    Some(match dialect {
        Dialect::Sqlite | Dialect::Postgres => {
            format!("({}) > ({})", key.join(", "), lower.join(", "))
        }
        Dialect::Mysql => {
            let (leading, low) = (key.first()?, lower.first()?);
            format!("{leading} >= {low} AND ({})", lexicographic(key, lower, (">", ">")))
        }
    })
}

fn row_values(key: &[&str], lower: Option<&[String]>, upper: &[String]) -> String {
    let columns = key.join(", ");
    let above = lower.map(|lower| format!("({columns}) > ({}) AND ", lower.join(", ")));
    format!("{}({columns}) <= ({})", above.unwrap_or_default(), upper.join(", "))
}

fn expanded(key: &[&str], lower: Option<&[String]>, upper: &[String]) -> String {
    let mut parts = Vec::new();
    let leading = key.first().copied().unwrap_or_default();
    if let Some(low) = lower.and_then(|lower| lower.first()) {
        parts.push(format!("{leading} >= {low}"));
    }
    if let Some(high) = upper.first() {
        parts.push(format!("{leading} <= {high}"));
    }
    if let Some(lower) = lower {
        parts.push(format!("({})", lexicographic(key, lower, (">", ">"))));
    }
    parts.push(format!("({})", lexicographic(key, upper, ("<", "<="))));
    parts.join(" AND ")
}

/// `a < x OR (a = x AND b <= y)`; the last column has the last operator.
fn lexicographic(key: &[&str], bound: &[String], operators: (&str, &str)) -> String {
    let last = key.len().saturating_sub(1);
    let mut out = String::new();
    for (index, (column, value)) in key.iter().zip(bound).enumerate().rev() {
        let comparison = if index == last { operators.1 } else { operators.0 };
        let here = format!("{column} {comparison} {value}");
        out = match out.as_str() {
            "" => here,
            rest if rest.contains(" OR ") => {
                format!("{here} OR ({column} = {value} AND ({rest}))")
            }
            rest => format!("{here} OR ({column} = {value} AND {rest})"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    fn range(key: &[&str], lower: Option<&[&str]>, upper: &[&str], dialect: Dialect) -> String {
        let lower = lower.map(of);
        range_predicate(key, lower.as_deref(), &of(upper), dialect).unwrap_or_default()
    }

    #[test]
    fn one_column() {
        let dialect = Dialect::Postgres;
        assert_eq!(range(&["p.id"], Some(&["1"]), &["9"], dialect), "p.id > 1 AND p.id <= 9");
        assert_eq!(range(&["p.id"], None, &["9"], dialect), "p.id <= 9");
        assert_eq!(range(&["p.id"], None, &["9", "8"], dialect), "");
    }

    #[test]
    fn behind_a_key() {
        let after = |dialect| after_predicate(&["a", "b"], &of(&["1", "2"]), dialect);
        assert_eq!(after(Dialect::Sqlite).as_deref(), Some("(a, b) > (1, 2)"));
        assert_eq!(
            after(Dialect::Mysql).as_deref(),
            Some("a >= 1 AND (a > 1 OR (a = 1 AND b > 2))")
        );
        let one = after_predicate(&["a"], &of(&["1"]), Dialect::Postgres);
        assert_eq!(one.as_deref(), Some("a > 1"));
    }

    #[test]
    fn composite() {
        let (key, lower, upper): (_, &[&str], &[&str]) = (&["a", "b"], &["1", "2"], &["3", "4"]);
        assert_eq!(
            range(key, Some(lower), upper, Dialect::Sqlite),
            "(a, b) > (1, 2) AND (a, b) <= (3, 4)"
        );
        assert_eq!(
            range(key, Some(lower), upper, Dialect::Mysql),
            "a >= 1 AND a <= 3 AND (a > 1 OR (a = 1 AND b > 2)) \
             AND (a < 3 OR (a = 3 AND b <= 4))"
        );
        assert_eq!(
            range(&["a", "b", "c"], None, &["3", "4", "5"], Dialect::Mysql),
            "a <= 3 AND (a < 3 OR (a = 3 AND (b < 4 OR (b = 4 AND c <= 5))))"
        );
    }
}
