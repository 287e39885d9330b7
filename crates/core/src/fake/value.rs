//! One value as an SQL literal.

use super::bounds::{Bounds, smaller};
use super::dice::Dice;
use super::kind::Kind;
use super::names::{Style, months, numbers};
use super::text::{self, Shape};
use crate::sql::dialect::Dialect;
use crate::sql::quote::quote_text;

/// Elements of an array.
const ELEMENTS_MAX: u64 = 3;
/// Days of a month that every month has.
const DAYS: u64 = 28;
/// Bytes of a value whose type says no length.
const BYTES: usize = 16;
/// Numbers in one step of a unique time, in seconds: from 04:00 on, so that no change to summer
/// time leaves it out.
const DAY_SECONDS: u64 = 20 * 3_600;
/// Months are counted from here.
const YEAR: i128 = 2024;

/// What one column's values are made from.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) style: Style,
    pub(super) bounds: Bounds,
    /// A CHECK names the column, and no rule says what its texts look like: they are tried in
    /// several forms.
    pub(super) is_checked: bool,
    /// The column's character set has nothing but ASCII, as far as is known.
    pub(super) ascii: bool,
    pub(super) dialect: Dialect,
}

impl Recipe {
    /// The SQL of a value. With `number` it is no other number's.
    pub(super) fn literal(&self, number: Option<u64>, attempt: u32, dice: &mut Dice) -> String {
        if let Some(listed) = &self.bounds.listed {
            return self.one_of(listed, number, dice);
        }
        match &self.kind {
            Kind::Bool => {
                let is = number.map_or_else(|| dice.below(2), |n| n % 2) == 1;
                match self.dialect {
                    Dialect::Postgres => if is { "TRUE" } else { "FALSE" }.to_owned(),
                    Dialect::Sqlite | Dialect::Mysql => u8::from(is).to_string(),
                }
            }
            Kind::Whole(low, high) => self.whole(*low, *high, number, dice),
            Kind::Decimal(before, behind) => self.decimal(*before, *behind, number, dice),
            Kind::Real => self.decimal(6, 3, number, dice),
            Kind::Listed(values) => self.one_of(values, number, dice),
            Kind::Bytes(length, exact) => self.bytes(*length, *exact, number, dice),
            Kind::Bits(length) => {
                let bits = number.unwrap_or_else(|| dice.roll());
                let bit = |at: usize| (bits.checked_shr(at as u32).unwrap_or(0) & 1).to_string();
                let bits: String = (0..*length).rev().map(bit).collect();
                format!("B'{bits}'")
            }
            Kind::Sql(sql) => (*sql).to_owned(),
            kind => quote_text(&self.text_of(kind, number, attempt, dice), self.dialect),
        }
    }

    /// How many different values there are, where they are few.
    pub(super) fn choices(&self) -> Option<u64> {
        let count = |values: &[String]| values.len() as u64;
        if let Some(listed) = &self.bounds.listed {
            return Some(count(listed));
        }
        match &self.kind {
            Kind::Bool => Some(2),
            Kind::Listed(values) => Some(count(values)),
            Kind::Constant(_) | Kind::Sql(_) => Some(1),
            Kind::Bits(length) => Some(2_u64.checked_pow(*length as u32).unwrap_or(u64::MAX)),
            Kind::Whole(low, high) => {
                let (low, high) = self.bounds.whole(*low, *high);
                Some(u64::try_from(high.saturating_sub(low).saturating_add(1)).unwrap_or(u64::MAX))
            }
            Kind::Text(most) => {
                let most = smaller(*most, self.bounds.length_max).filter(|most| *most < 12)?;
                Some(36_u64.checked_pow(most as u32).unwrap_or(u64::MAX))
            }
            _ => None,
        }
    }

    fn one_of(&self, values: &[String], number: Option<u64>, dice: &mut Dice) -> String {
        let at = number.unwrap_or_else(|| dice.roll()).checked_rem(values.len() as u64);
        let value = at.and_then(|at| values.get(usize::try_from(at).ok()?));
        let is_number = !matches!(self.kind, Kind::Text(_) | Kind::Listed(_));
        match value {
            Some(value) if is_number && value.parse::<f64>().is_ok() => value.clone(),
            Some(value) => quote_text(value, self.dialect),
            None => "NULL".to_owned(),
        }
    }

    fn whole(&self, low: i128, high: i128, number: Option<u64>, dice: &mut Dice) -> String {
        let (low, high) = self.bounds.whole(low, high);
        if let Some(number) = number {
            // From 1 on where that is allowed, and from the lowest when the numbers end.
            let span = high.saturating_sub(low).saturating_add(1).max(1);
            let first = if low <= 1 && high >= 1 { 1 - low } else { 0 };
            let offset = (first + i128::from(number)).checked_rem(span).unwrap_or(0);
            return (low + offset).to_string();
        }
        let (plausible_low, plausible_high) = numbers(&self.name);
        let (from, to) = (plausible_low.max(low), plausible_high.min(high));
        let (from, to) = if from <= to { (from, to) } else { (low, high) };
        dice.between(from, to).to_string()
    }

    fn decimal(&self, before: u32, behind: u32, number: Option<u64>, dice: &mut Dice) -> String {
        let behind = behind.min(9);
        let unit = 10_i128.pow(behind);
        let most = 10_i128.pow(before.min(15)) * unit - 1;
        let scale = unit as f64;
        let (low, high) = self.bounds.scaled(-most, most, scale);
        let units = match number {
            Some(number) => {
                let first = low.max(0);
                let span = high.saturating_sub(first).saturating_add(1).max(1);
                first + i128::from(number).checked_rem(span).unwrap_or(0)
            }
            None => {
                let (from, to) = numbers(&self.name);
                let (from, to) = ((from * unit).max(low), (to * unit).min(high));
                let (from, to) = if from <= to { (from, to) } else { (low, high) };
                dice.between(from, to)
            }
        };
        let sign = if units < 0 { "-" } else { "" };
        let (whole, rest) = (units.unsigned_abs() / unit.unsigned_abs(), units.unsigned_abs());
        let rest = rest % unit.unsigned_abs();
        let width = behind as usize;
        if width == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:0width$}") }
    }

    fn bytes(
        &self,
        length: Option<usize>,
        exact: bool,
        number: Option<u64>,
        dice: &mut Dice,
    ) -> String {
        let count = if exact { length } else { length.map(|most| most.min(BYTES)) };
        let count = count.unwrap_or(BYTES);
        let own = number.unwrap_or_else(|| dice.roll()).to_be_bytes();
        let mut bytes: Vec<u8> = own.iter().copied().skip(8_usize.saturating_sub(count)).collect();
        while bytes.len() < count {
            bytes.extend(dice.roll().to_be_bytes());
        }
        bytes.truncate(count);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.dialect {
            Dialect::Postgres => quote_text(&format!("\\x{hex}"), self.dialect),
            Dialect::Sqlite | Dialect::Mysql => format!("X'{hex}'"),
        }
    }

    fn text_of(&self, kind: &Kind, number: Option<u64>, attempt: u32, dice: &mut Dice) -> String {
        match kind {
            Kind::Date => day(&self.name, number, dice),
            Kind::Time => time(number.unwrap_or_else(|| dice.roll()) % DAY_SECONDS),
            Kind::Moment(zone) => {
                let seconds = number.unwrap_or_else(|| dice.roll());
                let days = number.map(|number| number / DAY_SECONDS);
                let date = day(&self.name, days, dice);
                let zone = if *zone { "+00" } else { "" };
                format!("{date} {}{zone}", time(seconds % DAY_SECONDS))
            }
            Kind::Uuid => uuid(dice),
            Kind::Json if self.is_checked && attempt % 2 == 1 => "[]".to_owned(),
            Kind::Json => text::json(number, dice),
            Kind::Array(inner) => self.array(inner, number, attempt, dice),
            Kind::Vector(length) => {
                let numbers: Vec<String> =
                    (0..*length).map(|_| format!("{:.4}", dice.unit() * 2.0 - 1.0)).collect();
                format!("[{}]", numbers.join(","))
            }
            Kind::Constant(text) => (*text).to_owned(),
            Kind::Text(most) => self.text(*most, number, attempt, dice),
            _ => String::new(),
        }
    }

    fn text(
        &self,
        most: Option<usize>,
        number: Option<u64>,
        attempt: u32,
        dice: &mut Dice,
    ) -> String {
        let most = smaller(most, self.bounds.length_max);
        let shape = Shape {
            least: self.bounds.length_min.unwrap_or(0),
            most,
            ascii: self.ascii || attempt > 0,
            number,
        };
        let form = if self.is_checked { attempt } else { 0 };
        let style = self.bounds.style.unwrap_or(self.style);
        let fits = |length: usize| most.is_none_or(|most| most >= length);
        if self.bounds.json || (style == Style::Json && fits(60)) {
            let kind = Kind::Json;
            return self.text_of(&kind, number, attempt, dice);
        }
        let kind = match style {
            Style::Uuid if fits(36) => Kind::Uuid,
            Style::Date if fits(10) => Kind::Date,
            Style::Time if fits(8) => Kind::Time,
            Style::Moment if fits(19) => Kind::Moment(false),
            style => return text::text(style, shape, form, dice),
        };
        if form > 1 {
            return text::text(style, shape, form, dice);
        }
        self.text_of(&kind, number, attempt, dice)
    }

    fn array(&self, inner: &Kind, number: Option<u64>, attempt: u32, dice: &mut Dice) -> String {
        let count = dice.below(ELEMENTS_MAX) + 1;
        let recipe = Recipe { kind: inner.clone(), ..self.clone() };
        let element = |dice: &mut Dice| match inner {
            Kind::Whole(low, high) => recipe.whole(*low, *high, number, dice),
            Kind::Decimal(before, behind) => recipe.decimal(*before, *behind, number, dice),
            Kind::Real => recipe.decimal(6, 3, number, dice),
            Kind::Bool => if dice.below(2) == 1 { "t" } else { "f" }.to_owned(),
            Kind::Listed(values) => dice.pick(values).cloned().unwrap_or_default(),
            kind => recipe.text_of(kind, number, attempt, dice),
        };
        let quoted = |text: String| {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"")
        };
        let elements: Vec<String> = (0..count).map(|_| quoted(element(dice))).collect();
        format!("{{{}}}", elements.join(","))
    }
}

/// A day of the calendar; with `number` so many days after the first.
fn day(name: &str, number: Option<u64>, dice: &mut Dice) -> String {
    let (from, to) = months(name);
    let (month, day) = match number {
        Some(number) => (from + i128::from(number / DAYS), number % DAYS),
        None => (dice.between(from, to), dice.below(DAYS)),
    };
    let year = YEAR + month.div_euclid(12);
    format!("{year:04}-{:02}-{:02}", month.rem_euclid(12) + 1, day + 1)
}

/// So many seconds after 04:00.
fn time(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", 4 + seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A random UUID (RFC 9562, version 4).
fn uuid(dice: &mut Dice) -> String {
    let (a, b) = (dice.roll(), dice.roll());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        8 + (b >> 62),
        (b >> 48) & 0xfff,
        b & 0xffff_ffff_ffff
    )
}
