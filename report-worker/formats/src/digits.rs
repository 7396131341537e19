//! Exact decimal numbers as text. Nothing here goes through floating point.

use std::cmp::Ordering;

/// The parts of a decimal number's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecimalText<'a> {
    pub(super) negative: bool,
    /// Before the point.
    pub(super) whole: &'a [u8],
    /// Behind the point.
    pub(super) fraction: &'a [u8],
}

impl<'a> DecimalText<'a> {
    /// Splits a text like `-12.50`. Returns `None` for anything else: `NaN`, `Infinity`, `1e+300`.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let bytes = rest.as_bytes();
        let point = bytes.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = point.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 1..]));
        let good = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let any = !whole.is_empty() || !fraction.is_empty();
        (any && good(whole) && good(fraction)).then_some(Self { negative, whole, fraction })
    }

    /// Drops zeros that say nothing.
    pub(super) fn trimmed(self) -> Self {
        let leading = self.whole.iter().take_while(|digit| **digit == b'0').count();
        let trailing = self.fraction.iter().rev().take_while(|digit| **digit == b'0').count();
        let (whole, fraction) = (&self.whole[leading..], &self.fraction[..self.fraction.len() - trailing]);
        Self { negative: self.negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction }
    }

    fn magnitude(self) -> (usize, &'a [u8], &'a [u8]) {
        (self.whole.len(), self.whole, self.fraction)
    }
}

/// Writes a float's text without exponent: `1e+3` is `1000`. Other text stays as it is.
pub(super) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text.into() };
    let (Some(digits), Ok(exponent)) = (DecimalText::of(mantissa), exponent.parse::<i32>()) else { return text.into() };
    let all: Vec<u8> = digits.whole.iter().chain(digits.fraction).copied().collect();
    let point = i64::try_from(digits.whole.len()).unwrap_or(0) + i64::from(exponent);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let length = i64::try_from(all.len()).unwrap_or(0);
    let all = String::from_utf8(all).unwrap_or_default();
    let sign = if digits.negative { "-" } else { "" };
    if point <= 0 {
        format!("{sign}0.{}{all}", zeros(-point)).into()
    } else if point >= length {
        format!("{sign}{all}{}", zeros(point - length)).into()
    } else {
        let (whole, fraction) = all.split_at(usize::try_from(point).unwrap_or(0));
        format!("{sign}{whole}.{fraction}").into()
    }
}

/// Compares two numbers. What is not a number is more than every number, as in the databases; infinities are where they belong.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (DecimalText::of(left).map(DecimalText::trimmed), DecimalText::of(right).map(DecimalText::trimmed)) {
        (Some(left), Some(right)) => match (left.negative, right.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (true, true) => right.magnitude().cmp(&left.magnitude()),
            (false, false) => left.magnitude().cmp(&right.magnitude()),
        },
        _ => rank(left).cmp(&rank(right)),
    }
}

fn rank(text: &str) -> u8 {
    match text {
        "-Infinity" => 0,
        "Infinity" => 2,
        "NaN" => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::{compare, plain};

    #[test]
    fn exponents_are_written_out() {
        assert_eq!(plain("1e+3"), "1000");
        assert_eq!(plain("-1.25e1"), "-12.5");
        assert_eq!(plain("1.5e-3"), "0.0015");
        assert_eq!(plain("12.5"), "12.5");
        assert_eq!(plain("NaN"), "NaN");
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(left in -10_000_i32..10_000, right in -10_000_i32..10_000) {
            let text = |number: i32| format!("{:.3}", f64::from(number) / 100.0);
            prop_assert_eq!(compare(&text(left), &text(right)), left.cmp(&right));
            prop_assert_eq!(compare(&text(left), "NaN"), Ordering::Less);
            prop_assert_eq!(compare("-Infinity", &text(left)), Ordering::Less);
        }
    }
}
