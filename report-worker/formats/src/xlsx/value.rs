//! What a number of a spreadsheet, a double, can hold: numbers of up to 15 digits, dates from 1900-03-01, times.

use crate::digits::DecimalText;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// The day 1970-01-01.
const EPOCH: i64 = 25_569;
/// 1900-03-01. Before it the calendar of spreadsheets has a day that never was.
const FIRST: i64 = 61;
/// 9999-12-31
const LAST: i64 = 2_958_465;
/// Digits that spreadsheets keep and show.
const MOST_DIGITS: usize = 15;
/// Digits before or behind the point that are surely in range.
const MOST_PLACES: usize = 300;

/// Tells whether a decimal number can stand as a number without losing a digit.
pub(super) fn is_exact(text: &str) -> bool {
    if text.len() <= MOST_DIGITS {
        // Whatever it is, it is short; what ends in no digit is `NaN` or `Infinity`.
        return text.as_bytes().last().is_some_and(u8::is_ascii_digit);
    }
    let Some(digits) = DecimalText::of(text).map(DecimalText::trimmed) else { return false };
    if digits.whole.len() > MOST_PLACES || digits.fraction.len() > MOST_PLACES {
        return false;
    }
    let zeros = |part: &[u8]| part.iter().take_while(|digit| **digit == b'0').count();
    let significant = match (digits.whole, digits.fraction) {
        (whole, []) => whole.len() - whole.iter().rev().take_while(|digit| **digit == b'0').count(),
        ([], fraction) => fraction.len() - zeros(fraction),
        (whole, fraction) => whole.len() + fraction.len(),
    };
    significant <= MOST_DIGITS
}

/// Tells whether a whole number can stand as a number without losing a digit.
pub(super) const fn is_exact_integer(value: i64) -> bool {
    value.unsigned_abs() < 1_000_000_000_000_000
}

/// Tells whether a float can stand as a number: neither infinite nor beyond what spreadsheets read.
pub(super) fn is_in_range(value: f64) -> bool {
    value == 0.0 || (2.3e-308..=9.99e307).contains(&value.abs())
}

/// Returns the number of a date. `days` count from 1970-01-01.
pub(super) fn serial_day(days: i32) -> Option<i64> {
    let serial = i64::from(days) + EPOCH;
    (FIRST..=LAST).contains(&serial).then_some(serial)
}

/// Returns the number of a time, if a double can tell its microsecond. `micros` count from 1970-01-01T00:00:00.
pub(super) fn serial_time(micros: i64) -> Option<f64> {
    let day = micros.div_euclid(MICROS_PER_DAY) + EPOCH;
    if !(FIRST..=LAST).contains(&day) {
        return None;
    }
    let within = micros.rem_euclid(MICROS_PER_DAY);
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let serial = day as f64 + within as f64 / MICROS_PER_DAY as f64;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let back = (serial - day as f64) * MICROS_PER_DAY as f64;
    #[expect(clippy::cast_possible_truncation, reason = "within a day")]
    let same = back.round() as i64 == within;
    // Readers go by the millisecond, which any double of these tells.
    (same || within % 1000 == 0).then_some(serial)
}

#[cfg(test)]
mod tests {
    use super::{is_exact, is_exact_integer, serial_day, serial_time};

    #[test]
    fn fifteen_digits_are_exact() {
        for text in [
            "0",
            "-12.50",
            "123456789012345",
            "0.00000000000000000012",
            "12300000000000000000000",
            "1234567890.12345000000",
        ] {
            assert!(is_exact(text), "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity", "1234567890123456", "0.1234567890123456", "1234567890.123456"] {
            assert!(!is_exact(text), "{text}");
        }
        assert!(is_exact_integer(-999_999_999_999_999) && !is_exact_integer(i64::MIN));
    }

    #[test]
    fn days_count_as_in_spreadsheets_from_march_1900() {
        assert_eq!(serial_day(-25_508), Some(61), "1900-03-01");
        assert_eq!(serial_day(-25_509), None, "1900-02-28");
        assert_eq!(serial_day(19_782), Some(45_351), "2024-02-29");
        assert_eq!(serial_day(2_932_896), Some(2_958_465), "9999-12-31");
        assert_eq!(serial_day(i32::MAX), None);
        assert_eq!(serial_time(43_200_000_000), Some(25_569.5));
        assert_eq!(serial_time(i64::MIN), None);
        assert!(serial_time(1_709_210_096_000_007).is_some(), "a microsecond of 2024");
    }
}
