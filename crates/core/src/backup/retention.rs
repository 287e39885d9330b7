//! Which backups may go.

/// A backup, as far as keeping it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when it is to be kept, in milliseconds since 1970.
    pub expires_ms: i64,
    /// It was verified; only such a one counts.
    pub verified: bool,
}

/// What is kept beyond the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// At least so many of the newest verified backups; never less than one.
    pub count_min: usize,
}

/// For each backup of one database whether it may go at `now_ms`: it has expired and is not among
/// the newest verified ones, which are kept in any case. Where none was ever verified the newest
/// stays.
pub fn expired(backups: &[Kept], keep: Keep, now_ms: i64) -> Vec<bool> {
    let mut good: Vec<usize> =
        (0..backups.len()).filter(|at| backups.get(*at).is_some_and(|one| one.verified)).collect();
    good.sort_by_key(|at| std::cmp::Reverse(backups.get(*at).map(|one| one.created_ms)));
    good.truncate(keep.count_min.max(1));
    if good.is_empty() {
        good.extend((0..backups.len()).max_by_key(|at| backups.get(*at).map(|one| one.created_ms)));
    }
    let has_expired = |(at, one): (usize, &Kept)| one.expires_ms <= now_ms && !good.contains(&at);
    backups.iter().enumerate().map(has_expired).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(created_ms: i64, verified: bool) -> Kept {
        Kept { created_ms, expires_ms: created_ms + 10, verified }
    }

    #[test]
    fn the_last_good_one_never_goes() {
        let all = [made(0, true), made(5, true), made(7, false)];
        let keep = Keep { count_min: 0 };
        assert_eq!(expired(&all, keep, 9), [false, false, false]);
        assert_eq!(expired(&all, keep, 10), [true, false, false]);
        assert_eq!(expired(&all, keep, 100), [true, false, true]);
        assert_eq!(expired(&all, Keep { count_min: 2 }, 100), [false, false, true]);
        assert_eq!(expired(&[made(0, false), made(1, false)], keep, 100), [true, false]);
        assert_eq!(expired(&[], keep, 100), Vec::<bool>::new());
    }
}
