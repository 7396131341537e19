//! Exact sums and means of decimal numbers. Nothing here goes through floating point.

use super::digits::{DecimalText, plain};

/// One limb holds so many digits.
const LIMB_DIGITS: usize = 18;
/// What a limb counts up to.
const LIMB: i128 = 1_000_000_000_000_000_000;
/// Digits behind the point that a quotient gets at least, in limbs.
const QUOTIENT_LIMBS: usize = 2;

/// A sum of any numbers, exact.
///
/// Each limb adds up on its own and carries only when the sum is asked for: a limb would have to take 10^20 numbers before it
/// was full.
#[derive(Debug, Default, Clone)]
pub(super) struct ExactSum {
    /// Before the point, from the point outwards.
    whole: Vec<i128>,
    /// Behind the point, from the point outwards.
    fraction: Vec<i128>,
    /// Most digits behind the point that a number had.
    scale: usize,
    count: u64,
    not_a_number: bool,
    infinite: bool,
    minus_infinite: bool,
}

impl ExactSum {
    /// Adds a whole number.
    pub(super) fn add_integer(&mut self, value: i64) {
        let limb = LIMB as i64;
        add(&mut self.whole, 0, i128::from(value % limb));
        if value / limb != 0 {
            add(&mut self.whole, 1, i128::from(value / limb));
        }
        self.count += 1;
    }

    /// Adds a number of 18 digits at most, `scale` of them behind the point.
    pub(super) fn add_decimal(&mut self, value: i64, scale: usize) {
        let unit = 10_i64.pow(u32::try_from(scale.min(LIMB_DIGITS)).unwrap_or(0));
        let missing = u32::try_from(LIMB_DIGITS.saturating_sub(scale)).unwrap_or(0);
        self.add_integer(value / unit);
        if scale > 0 {
            add(&mut self.fraction, 0, i128::from(value % unit) * 10_i128.pow(missing));
        }
        self.scale = self.scale.max(scale);
    }

    /// Adds a number given as text, with exponent or without.
    pub(super) fn add_text(&mut self, text: &str) {
        self.count += 1;
        match DecimalText::of(text) {
            Some(digits) => self.add_digits(digits),
            None => match text {
                "Infinity" => self.infinite = true,
                "-Infinity" => self.minus_infinite = true,
                other => match DecimalText::of(&plain(other)) {
                    Some(digits) => self.add_digits(digits),
                    None => self.not_a_number = true,
                },
            },
        }
    }

    fn add_digits(&mut self, digits: DecimalText<'_>) {
        let sign = if digits.negative { -1 } else { 1 };
        for (at, chunk) in digits.whole.rchunks(LIMB_DIGITS).enumerate() {
            add(&mut self.whole, at, sign * value_of(chunk));
        }
        for (at, chunk) in digits.fraction.chunks(LIMB_DIGITS).enumerate() {
            let missing = u32::try_from(LIMB_DIGITS - chunk.len()).unwrap_or(0);
            add(&mut self.fraction, at, sign * value_of(chunk) * 10_i128.pow(missing));
        }
        self.scale = self.scale.max(digits.fraction.len());
    }

    /// Returns how many numbers were added.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum, with as many decimals as the number that had most.
    pub(super) fn sum(&self) -> String {
        if let Some(word) = self.word() {
            return word.to_owned();
        }
        let (negative, limbs) = self.limbs(self.fraction.len());
        text(negative, &limbs, self.fraction.len(), self.scale)
    }

    /// Returns the mean to 36 decimals or more, the last of which tells that there would be further ones: it rounds like the mean
    /// itself to any smaller number of decimals. `None` without numbers.
    pub(super) fn average(&self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        if let Some(word) = self.word() {
            return Some(word.to_owned());
        }
        let fraction = self.fraction.len().max(QUOTIENT_LIMBS);
        let (negative, mut limbs) = self.limbs(fraction);
        let (count, mut rest) = (i128::from(self.count), 0);
        for limb in limbs.iter_mut().rev() {
            let value = rest * LIMB + *limb;
            (*limb, rest) = (value / count, value % count);
        }
        if rest != 0
            && let Some(last) = limbs.first_mut()
            && (*last % 10 == 0 || *last % 10 == 5)
        {
            *last += 1;
        }
        let exact = text(negative, &limbs, fraction, fraction * LIMB_DIGITS);
        Some(exact.trim_end_matches('0').trim_end_matches('.').to_owned())
    }

    fn word(&self) -> Option<&'static str> {
        match (self.not_a_number, self.infinite, self.minus_infinite) {
            (false, false, false) => None,
            (false, true, false) => Some("Infinity"),
            (false, false, true) => Some("-Infinity"),
            _ => Some("NaN"),
        }
    }

    /// Carries, and returns whether the sum is negative and its limbs from the smallest on.
    fn limbs(&self, fraction: usize) -> (bool, Vec<i128>) {
        let missing = fraction - self.fraction.len();
        let all = std::iter::repeat_n(0, missing).chain(self.fraction.iter().rev().copied());
        let mut limbs: Vec<i128> = all.chain(self.whole.iter().copied()).collect();
        let negative = carry(&mut limbs) < 0;
        if negative {
            // The carry that was left stands for minus one of a further limb: taken from the mirrored number it is gone.
            limbs.iter_mut().for_each(|limb| *limb = -*limb);
            let last = limbs.len();
            limbs.push(1);
            carry(&mut limbs);
            if limbs.get(last) == Some(&0) {
                limbs.pop();
            }
        }
        (negative, limbs)
    }
}

fn add(limbs: &mut Vec<i128>, at: usize, value: i128) {
    if limbs.len() <= at {
        limbs.resize(at + 1, 0);
    }
    if let Some(limb) = limbs.get_mut(at) {
        *limb += value;
    }
}

/// Brings every limb into its range and adds limbs as needed. Returns -1 when the whole is negative, and is then to be read as
/// that much of a further limb.
fn carry(limbs: &mut Vec<i128>) -> i128 {
    let mut carried = 0;
    for limb in limbs.iter_mut() {
        let value = *limb + carried;
        (*limb, carried) = (value.rem_euclid(LIMB), value.div_euclid(LIMB));
    }
    while !(-1..=0).contains(&carried) {
        limbs.push(carried.rem_euclid(LIMB));
        carried = carried.div_euclid(LIMB);
    }
    carried
}

fn value_of(digits: &[u8]) -> i128 {
    let value = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    i128::from(value)
}

/// Writes limbs, the smallest first, of which `fraction` stand behind the point, with `scale` decimals.
fn text(negative: bool, limbs: &[i128], fraction: usize, scale: usize) -> String {
    let digits: String = limbs.iter().rev().map(|limb| format!("{limb:018}")).collect();
    let point = digits.len() - fraction * LIMB_DIGITS;
    let (whole, behind) = digits.split_at(point);
    let whole = whole.trim_start_matches('0');
    let behind = behind.get(..scale).unwrap_or(behind);
    let zero = whole.is_empty() && behind.bytes().all(|digit| digit == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    if behind.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{behind}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ExactSum;

    fn sum_of(numbers: &[&str]) -> String {
        let mut sum = ExactSum::default();
        numbers.iter().for_each(|number| sum.add_text(number));
        sum.sum()
    }

    #[test]
    fn sums_lose_no_digit() {
        assert_eq!(sum_of(&[]), "0");
        assert_eq!(sum_of(&["0.1", "0.2"]), "0.3");
        assert_eq!(sum_of(&["0.10", "-0.1"]), "0.00");
        assert_eq!(sum_of(&["-0.5", "0.25"]), "-0.25");
        assert_eq!(sum_of(&["-1000000000000000000.5", "0.25"]), "-1000000000000000000.25");
        assert_eq!(
            sum_of(&["99999999999999999999999999999999999999.99", "0.01"]),
            "100000000000000000000000000000000000000.00"
        );
        assert_eq!(sum_of(&["1e+20", "1e-20", "-1E20"]), "0.00000000000000000001");
        assert_eq!(sum_of(&["1", "NaN"]), "NaN");
        assert_eq!(sum_of(&["1", "-Infinity"]), "-Infinity");
        assert_eq!(sum_of(&["Infinity", "-Infinity"]), "NaN");
    }

    #[test]
    fn a_mean_rounds_like_itself() {
        let mut sum = ExactSum::default();
        ["1", "0", "0"].into_iter().for_each(|number| sum.add_text(number));
        assert_eq!(sum.average().as_deref(), Some("0.333333333333333333333333333333333333"));
        let mut sum = ExactSum::default();
        [-5, -6].into_iter().for_each(|number| sum.add_integer(number));
        assert_eq!(sum.average().as_deref(), Some("-5.5"));
        assert_eq!(ExactSum::default().average(), None);
    }

    proptest! {
        #[test]
        fn sums_are_those_of_whole_numbers(numbers in proptest::collection::vec(any::<i64>(), 0..30), scale in 0_u32..19) {
            let (mut sum, mut integers) = (ExactSum::default(), ExactSum::default());
            for number in &numbers {
                let (sign, digits) = (if *number < 0 { "-" } else { "" }, number.unsigned_abs());
                let unit = 10_u64.pow(scale);
                let fraction = format!("{:0width$}", digits % unit, width = scale as usize);
                sum.add_text(&format!("{sign}{}.{}", digits / unit, if scale == 0 { "" } else { &fraction }));
                integers.add_integer(*number);
            }
            let exact: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
            prop_assert_eq!(integers.sum(), exact.to_string());
            prop_assert_eq!(sum.sum().replace('.', "").parse::<i128>().unwrap_or(0), exact);
        }
    }
}
