//! "Did you mean …": the known word nearest to a mistyped one.

/// The candidate nearest to `word`, if it is near enough to be what was meant.
///
/// Near enough: at most a third of the longer word differs, and at least one edit is always
/// allowed.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A longer word than this is no typing error, and hostile input must not cost quadratic time.
    const LENGTH_MAX: usize = 64;
    if word.len() > LENGTH_MAX {
        return None;
    }
    let word: Vec<char> = fold(word).collect();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other: Vec<char> = fold(candidate).collect();
            let allowed = (word.len().max(other.len()) / 3).max(1);
            let distance = distance(&word, &other);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letter case and `_` for `-` are no difference worth counting.
fn fold(word: &str) -> impl Iterator<Item = char> + '_ {
    word.chars().flat_map(char::to_lowercase).map(|c| if c == '_' { '-' } else { c })
}

/// Edits between two words: insert, delete, replace, and swap of two neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut best = at(&last, j) + usize::from(x != y);
            best = best.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_word() {
        let words = ["transaction", "keep", "lock-timeout", "statement-timeout"];
        for (typed, want) in [
            ("transacton", Some("transaction")),
            ("kepe", Some("keep")),
            ("Keep", Some("keep")),
            ("lock_timeout", Some("lock-timeout")),
            ("statment-timout", Some("statement-timeout")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, words), want, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), words), None);
    }
}
