//! What a value must keep, as far as a CHECK or a rule says it in a simple form.

use super::names::Style;

/// Bounds of one column's values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    /// One of these.
    pub(super) listed: Option<Vec<String>>,
    /// Not less than this.
    pub(super) low: Option<f64>,
    /// Not more than this.
    pub(super) high: Option<f64>,
    /// The low bound itself is not allowed.
    pub(super) above_low: bool,
    /// The high bound itself is not allowed.
    pub(super) below_high: bool,
    /// At least so many characters.
    pub(super) length_min: Option<usize>,
    /// At most so many characters.
    pub(super) length_max: Option<usize>,
    /// A value is needed.
    pub(super) not_null: bool,
    /// The text is JSON.
    pub(super) json: bool,
    /// What the text looks like.
    pub(super) style: Option<Style>,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Less,
    LessOrSame,
    Same,
    MoreOrSame,
    More,
}

impl Compare {
    pub(super) fn of(operator: &str) -> Option<Compare> {
        Some(match operator {
            "<" => Compare::Less,
            "<=" => Compare::LessOrSame,
            "=" | "==" => Compare::Same,
            ">=" => Compare::MoreOrSame,
            ">" => Compare::More,
            _ => return None,
        })
    }

    /// The same with its sides exchanged.
    pub(super) fn turned(self) -> Compare {
        match self {
            Compare::Less => Compare::More,
            Compare::LessOrSame => Compare::MoreOrSame,
            Compare::Same => Compare::Same,
            Compare::MoreOrSame => Compare::LessOrSame,
            Compare::More => Compare::Less,
        }
    }
}

impl Bounds {
    /// The value must be one of these, besides what is said already.
    pub(super) fn among(&mut self, values: Vec<String>) {
        self.listed = Some(match self.listed.take() {
            Some(old) => old.into_iter().filter(|one| values.contains(one)).collect(),
            None => values,
        });
    }

    /// Both must hold.
    pub(super) fn also(&mut self, other: Bounds) {
        if let Some(values) = other.listed {
            self.among(values);
        }
        if let Some(low) = other.low {
            let at = if other.above_low { Compare::More } else { Compare::MoreOrSame };
            self.number(at, low);
        }
        if let Some(high) = other.high {
            let at = if other.below_high { Compare::Less } else { Compare::LessOrSame };
            self.number(at, high);
        }
        self.length_min = self.length_min.max(other.length_min);
        self.length_max = smaller(self.length_max, other.length_max);
        self.not_null |= other.not_null;
        self.json |= other.json;
        self.style = other.style.or(self.style);
    }

    /// The value compares so with a number.
    pub(super) fn number(&mut self, compare: Compare, number: f64) {
        if matches!(compare, Compare::More | Compare::MoreOrSame | Compare::Same)
            && self.low.is_none_or(|low| number >= low)
        {
            self.low = Some(number);
            self.above_low = compare == Compare::More;
        }
        if matches!(compare, Compare::Less | Compare::LessOrSame | Compare::Same)
            && self.high.is_none_or(|high| number <= high)
        {
            self.high = Some(number);
            self.below_high = compare == Compare::Less;
        }
    }

    /// The number of characters compares so with a number.
    pub(super) fn length(&mut self, compare: Compare, number: f64) {
        if !(0.0..=1e9).contains(&number) {
            return;
        }
        let number = number as usize;
        let least = match compare {
            Compare::More => Some(number + 1),
            Compare::MoreOrSame | Compare::Same => Some(number),
            Compare::Less | Compare::LessOrSame => None,
        };
        let most = match compare {
            Compare::Less => Some(number.saturating_sub(1)),
            Compare::LessOrSame | Compare::Same => Some(number),
            Compare::More | Compare::MoreOrSame => None,
        };
        self.length_min = self.length_min.max(least);
        self.length_max = smaller(self.length_max, most);
    }

    /// The whole numbers between these, within the bounds.
    pub(super) fn whole(&self, low: i128, high: i128) -> (i128, i128) {
        self.scaled(low, high, 1.0)
    }

    /// The same for numbers that are printed with a power of ten in front of the point.
    pub(super) fn scaled(&self, low: i128, high: i128, unit: f64) -> (i128, i128) {
        let own_low = self.low.map(|bound| {
            let scaled = bound * unit;
            let whole = scaled.ceil();
            whole as i128 + i128::from(self.above_low && whole == scaled)
        });
        let own_high = self.high.map(|bound| {
            let scaled = bound * unit;
            let whole = scaled.floor();
            whole as i128 - i128::from(self.below_high && whole == scaled)
        });
        (own_low.map_or(low, |own| own.max(low)), own_high.map_or(high, |own| own.min(high)))
    }
}

/// The smaller of two limits that are there.
pub(super) fn smaller(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_narrow() {
        let mut bounds = Bounds::default();
        bounds.number(Compare::More, 0.0);
        bounds.number(Compare::LessOrSame, 5.5);
        bounds.number(Compare::Less, 100.0);
        assert_eq!(bounds.whole(-128, 127), (1, 5));
        assert_eq!(bounds.scaled(-9999, 9999, 100.0), (1, 550));
        bounds.length(Compare::More, 2.0);
        bounds.length(Compare::Less, 10.0);
        bounds.length(Compare::LessOrSame, 40.0);
        assert_eq!((bounds.length_min, bounds.length_max), (Some(3), Some(9)));
        bounds.among(vec!["a".to_owned(), "b".to_owned()]);
        bounds.among(vec!["b".to_owned(), "c".to_owned()]);
        assert_eq!(bounds.listed, Some(vec!["b".to_owned()]));
    }
}
